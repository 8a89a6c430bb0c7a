#include "sandbox/image_unpack.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "sandbox/fstree.h"
#include "sandbox/privs.h"
#include "sandbox/sys.h"

#define ROOTS "roots"
#define LOCK "lock"
#define NEW ".new" /* being unpacked, under the lock */
#define OLD ".old" /* being removed, under the lock */
#define KEEP 4u    /* at least, those used last */
#define SEEN_MAX 256u
#define PLAIN (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
#ifdef BRIG_SANITIZE
#define MEMORY_MAX RLIM_INFINITY /* address space is what a sanitizer uses */
#else
#define MEMORY_MAX (1024ull * 1024 * 1024) /* xz asks for some hundred MB */
#endif
#define CPU_MAX 3600 /* seconds */

int
image_roots(int state, struct error *err)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (mkdirat(state, ROOTS, 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, "make " ROOTS);
	fd = sys_openat2(state, ROOTS, O_RDONLY | O_DIRECTORY, PLAIN);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "open " ROOTS);
	if (st.st_uid != 0 || (st.st_mode & 077) != 0)
		return error_set(err, EPERM, ROOTS " is not root's alone");
	return steal_fd(&fd);
}

int
image_known(int roots, const char *key, char hex[IMAGE_HASH_SIZE])
{
	ssize_t n = readlinkat(roots, key, hex, IMAGE_HASH_SIZE);

	if (n != IMAGE_HASH_SIZE - 1)
		return 0;
	hex[n] = '\0';
	return strspn(hex, "0123456789abcdef") == (size_t)n;
}

void
image_remember(int roots, const char *key, const char *hex)
{
	/* Without it the next job has to read the archive again. */
	if (symlinkat(hex, roots, key) < 0 && errno != EEXIST)
		log_debug("%s: %s", key, strerror(errno));
}

/* What a crash has left, or what nobody wants. */
static int
sweep(int roots, const char *name, struct error *err)
{
	cleanup_fd int old = -1;

	old = sys_openat2(roots, name, O_RDONLY | O_DIRECTORY, PLAIN);
	if (old < 0 && errno == ENOENT)
		return 0;
	if (old < 0)
		return error_set(err, errno, "open " ROOTS "/%s", name);
	if (fstree_empty(old, err) < 0)
		return -1;
	if (unlinkat(roots, name, AT_REMOVEDIR) < 0)
		return error_set(err, errno, "remove " ROOTS "/%s", name);
	return 0;
}

static int
cap(int what, rlim_t n)
{
	const struct rlimit rl = { n, n };

	return setrlimit((__rlimit_resource_t)what, &rl);
}

/* Archive at 0, errors to 2, the folder is the working directory. */
static void run(const struct image_conf *c, int file, int dir, int errors,
    pid_t parent) __attribute__((noreturn));

static void
run(const struct image_conf *c, int file, int dir, int errors, pid_t parent)
{
	char *const argv[] = { (char[]){ "brig-unpack" }, NULL };
	char *const envp[] = { (char[]){ "LC_ALL=C.UTF-8" }, NULL };
	struct error err = { 0 };
	sigset_t none;
	int null;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* Out of the way of 0-2. */
	file = fcntl(file, F_DUPFD_CLOEXEC, 10);
	errors = fcntl(errors, F_DUPFD_CLOEXEC, 10);
	if (null < 0 || file < 0 || errors < 0 || fchdir(dir) < 0 ||
	    dup2(file, 0) < 0 || lseek(0, 0, SEEK_SET) < 0 ||
	    dup2(null, 1) < 0 || dup2(errors, 2) < 0)
		_exit(1);
	fd_close_from(3);
	if (cap(RLIMIT_AS, MEMORY_MAX) < 0 || cap(RLIMIT_CPU, CPU_MAX) < 0 ||
	    cap(RLIMIT_NOFILE, 64) < 0 || cap(RLIMIT_CORE, 1) < 0 ||
	    privs_become(c->uid, c->gid, &err) < 0 ||
	    /* After the ids, which clear it. */
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent) {
		(void)dprintf(2, "%s", err.msg);
		_exit(1);
	}
	(void)execve(c->unpack, argv, envp);
	(void)dprintf(2, "%s: %s", c->unpack, strerror(errno));
	_exit(1);
}

static int
unpack(const struct image_conf *c, int file, int dir, struct error *err)
{
	struct clone_args a = { .exit_signal = SIGCHLD };
	const pid_t parent = getpid();
	cleanup_free char *shown = NULL;
	char said[160];
	int p[2], status;
	ssize_t n, got = 0;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return error_set(err, errno, "pipe");
	pid = sys_clone3(&a);
	if (pid == 0)
		run(c, file, dir, p[1], parent);
	fd_close(&p[1]);
	if (pid < 0) {
		fd_close(&p[0]);
		return error_set(err, errno, "clone");
	}
	/* One line at most; what it says comes from the archive. */
	while ((n = read(p[0], said + got, sizeof(said) - (size_t)got)) > 0 &&
	       (size_t)(got += n) < sizeof(said))
		;
	fd_close(&p[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "wait for brig-unpack");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	shown = str_escape(said, (size_t)got);
	if (WIFSIGNALED(status))
		return error_set(err, 0, "brig-unpack died of signal %d%s%s",
		    WTERMSIG(status), got > 0 ? ": " : "", shown);
	return error_set(err, 0, "%s", got > 0 ? shown : "cannot be unpacked");
}

static int
make(const struct image_conf *c, int roots, const char *hex, int file,
    struct error *err)
{
	cleanup_fd int dir = -1;

	if (sweep(roots, NEW, err) < 0 || sweep(roots, OLD, err) < 0)
		return -1;
	if (mkdirat(roots, NEW, 0755) < 0)
		return error_set(err, errno, "make " ROOTS "/" NEW);
	dir = sys_openat2(roots, NEW, O_RDONLY | O_DIRECTORY, PLAIN);
	if (dir < 0 || fchown(dir, c->uid, c->gid) < 0 || fchmod(dir, 0755) < 0)
		(void)error_set(err, errno, "make " ROOTS "/" NEW);
	else if (unpack(c, file, dir, err) == 0 &&
		 fstree_chown(dir, 0, 0, err) == 0) {
		if (syncfs(dir) == 0 && renameat(roots, NEW, roots, hex) == 0)
			return 0;
		(void)error_set(err, errno, "keep what was unpacked");
	}
	(void)sweep(roots, NEW, NULL);
	return -1;
}

/*
 * What is there, locked against its removal as long as the descriptor is open,
 * and marked as used now; -1 with errno.
 */
static int
use(int roots, const char *hex)
{
	cleanup_fd int dir = -1;
	struct stat a, b;

	dir = sys_openat2(roots, hex, O_RDONLY | O_DIRECTORY, PLAIN);
	if (dir < 0 || flock(dir, LOCK_SH | LOCK_NB) < 0 || fstat(dir, &a) < 0)
		return -1;
	/* Removed in between. */
	if (fstatat(roots, hex, &b, AT_SYMLINK_NOFOLLOW) < 0 ||
	    a.st_ino != b.st_ino || a.st_dev != b.st_dev) {
		errno = ENOENT;
		return -1;
	}
	(void)futimens(dir, NULL);
	return steal_fd(&dir);
}

struct root {
	char name[IMAGE_HASH_SIZE];
	struct timespec used;
};

static int
by_use(const void *a, const void *b)
{
	const struct timespec *x = &((const struct root *)a)->used;
	const struct timespec *y = &((const struct root *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec > y->tv_sec ? -1 : 1;
	return x->tv_nsec == y->tv_nsec ? 0 : x->tv_nsec > y->tv_nsec ? -1 : 1;
}

static void
drop(int roots, const char *name)
{
	cleanup_fd int dir = -1;
	struct error err = { 0 };

	dir = sys_openat2(roots, name, O_RDONLY | O_DIRECTORY, PLAIN);
	/* Not while a job has it. */
	if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) < 0)
		return;
	if (renameat(roots, name, roots, OLD) < 0 ||
	    sweep(roots, OLD, &err) < 0)
		log_warnx("unpacked root %s: %s", name, err.msg);
}

/* A hash of an archive whose content has gone is of no use. */
static void
forget(int roots, const char *key)
{
	char hex[IMAGE_HASH_SIZE];
	struct stat st;

	if (image_known(roots, key, hex) == 1 &&
	    fstatat(roots, hex, &st, AT_SYMLINK_NOFOLLOW) < 0)
		(void)unlinkat(roots, key, 0);
}

/* Under the lock: the disk holds a few, whatever archives there were. */
static void
make_room(int roots)
{
	int fd = openat(roots, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct root r[SEEN_MAX];
	struct dirent *e;
	struct stat st;
	size_t n = 0, i;

	if (d == NULL) {
		fd_close(&fd);
		return;
	}
	while (n < SEEN_MAX && (e = readdir(d)) != NULL) {
		if (strlen(e->d_name) != IMAGE_HASH_SIZE - 1 ||
		    str_starts(e->d_name, IMAGE_KEY) ||
		    fstatat(roots, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISDIR(st.st_mode))
			continue;
		(void)snprintf(
		    r[n].name, sizeof(r[n].name), "%.64s", e->d_name);
		r[n++].used = st.st_mtim;
	}
	qsort(r, n, sizeof(r[0]), by_use);
	for (i = KEEP; i < n; i++)
		drop(roots, r[i].name);
	rewinddir(d);
	while (n > KEEP && (e = readdir(d)) != NULL)
		if (str_starts(e->d_name, IMAGE_KEY))
			forget(roots, e->d_name);
	(void)closedir(d);
}

int
image_unpacked(const struct image_conf *c, int roots, const char *hex, int file,
    struct error *err)
{
	cleanup_fd int lock = -1;
	int dir;

	dir = use(roots, hex);
	if (dir >= 0)
		return dir;
	lock = openat(
	    roots, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return error_set(err, errno, "lock " ROOTS);
	dir = use(roots, hex);
	if (dir >= 0)
		return dir;
	if (make(c, roots, hex, file, err) < 0)
		return -1;
	dir = use(roots, hex);
	if (dir < 0)
		return error_set(err, errno, "open " ROOTS "/%s", hex);
	make_room(roots);
	return dir;
}

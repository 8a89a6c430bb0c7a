/*
 * What the engine may still do once it is confined (inferd/confine.h), in its
 * main thread and in the others.  Each attempt is made unconfined as well,
 * where it must succeed.
 */
#include "inferd/confine.h"

#include <sys/eventfd.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compat.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "inferd/filter.h"
#include "inferd/pool.h"

/* 0: done, else errno; what a confined process exits with. */
typedef int attempt_fn(void);

enum where {
	OUTSIDE,
	MAIN,
	THREAD
};

#define NOT_CONFINED 200
#define KILLED 300 /* by the filter */

static int loose_socket = -1; /* neither connected nor listening */
static char cache[] = "/tmp/brig-confine-XXXXXX"; /* the directory */
static char other[64];                            /* a file beside it */
static int listener = -1;                         /* a Unix socket */
static struct sockaddr_un address;
static socklen_t address_len;

static bool
has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0,
		   LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

struct later {
	attempt_fn *fn;
	int go, done; /* eventfds */
	int result;
};

static void *
do_later(void *arg)
{
	struct later *l = arg;
	uint64_t n;

	if (read(l->go, &n, sizeof(n)) != sizeof(n))
		return NULL;
	l->result = l->fn();
	n = 1;
	(void)!write(l->done, &n, sizeof(n));
	return NULL;
}

/* In a process of its own, which has threads: its pool's, and one that waits
 * in read(2) with the signal mask of a thread of the engine. */
static int
child(attempt_fn *fn, enum where where, const char *dir)
{
	struct later l = { fn, eventfd(0, 0), eventfd(0, 0), 0 };
	struct error err;
	struct pool *pool;
	uint64_t n = 1;
	sigset_t all;
	pthread_t t;

	log_init("test", LOG_LEVEL_WARN);
	loose_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (where == OUTSIDE)
		return fn();
	pool = pool_new(3);
	sigfillset(&all);
	sigdelset(&all, CONFINE_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	if (pthread_create(&t, NULL, do_later, &l) != 0)
		return NOT_CONFINED;
	if (confine(dir, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return NOT_CONFINED;
	}
	if (where == MAIN)
		return fn();
	if (write(l.go, &n, sizeof(n)) != sizeof(n) ||
	    read(l.done, &n, sizeof(n)) != sizeof(n))
		return NOT_CONFINED;
	pool_free(pool);
	return l.result;
}

static int
outcome(attempt_fn *fn, enum where where, const char *dir)
{
	pid_t pid = fork();
	int st;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child(fn, where, dir));
	assert_int_equal(waitpid(pid, &st, 0), pid);
	if (WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS)
		return KILLED;
	assert_true(WIFEXITED(st));
	return WEXITSTATUS(st);
}

#define RC(call) ((call) < 0 ? errno : 0)

static int
try_socket_unix(void)
{
	return RC(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int
try_socket_inet(void)
{
	return RC(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int
try_socketpair(void)
{
	int s[2];

	return RC(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
}

static int
try_connect(void)
{
	return RC(connect(
	    loose_socket, (const struct sockaddr *)&address, address_len));
}

static int
try_bind(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	return RC(bind(
	    loose_socket, (const struct sockaddr *)&a, sizeof(a.sun_family)));
}

static int
try_listen(void)
{
	return RC(listen(listener, 1));
}

static int
try_exec(void)
{
	char arg[] = "/bin/true", *argv[] = { arg, NULL }, *envp[] = { NULL };

	return RC(execve(arg, argv, envp));
}

static int
try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return RC(pid);
}

static void *
nothing(void *arg)
{
	return arg;
}

static int
try_thread(void)
{
	pthread_t t;

	return pthread_create(&t, NULL, nothing, NULL);
}

static int
try_ptrace(void)
{
	return RC(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int
try_kill(void)
{
	return RC(kill(getppid(), 0));
}

static int
try_memfd(void)
{
	return RC(memfd_create("x", MFD_CLOEXEC));
}

static int
try_pipe(void)
{
	int p[2];

	return RC(pipe2(p, O_CLOEXEC));
}

static int
try_limit(void)
{
	struct rlimit r = { 64, 64 };

	return RC(setrlimit(RLIMIT_NOFILE, &r));
}

static int
try_x32(void)
{
#ifdef __x86_64__
	return RC(syscall(SYS_getpid | 0x40000000));
#else
	return RC(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
#endif
}

static void
what_ends_the_process(void **state)
{
	static const struct {
		const char *name;
		attempt_fn *fn;
		int outside;
	} cases[] = {
		{ "socket, unix", try_socket_unix, 0 },
		{ "socket, inet", try_socket_inet, 0 },
		{ "socketpair", try_socketpair, 0 },
		{ "connect", try_connect, 0 },
		{ "bind", try_bind, 0 },
		{ "listen", try_listen, 0 },
		{ "execve", try_exec, 0 },
		{ "fork", try_fork, 0 },
		{ "a new thread", try_thread, 0 },
		{ "ptrace", try_ptrace, 0 },
		{ "kill", try_kill, 0 },
		{ "memfd_create", try_memfd, 0 },
		{ "pipe2", try_pipe, 0 },
	};

#ifdef BRIG_SANITIZE
	print_message("SKIP: a sanitizer build has no filter\n");
	skip();
#endif
	for (size_t i = 0; i < nitems(cases); i++) {
		int out = outcome(cases[i].fn, OUTSIDE, NULL),
		    in = outcome(cases[i].fn, MAIN, NULL),
		    thread = outcome(cases[i].fn, THREAD, NULL),
		    cached = KILLED;

		if (has_landlock())
			cached = outcome(cases[i].fn, THREAD, cache);
		if (out != 0 || in != KILLED || thread != KILLED ||
		    cached != KILLED)
			fail_msg("%s: %d outside, %d, %d, %d inside",
			    cases[i].name, out, in, thread, cached);
	}
	assert_int_equal(outcome(try_x32, MAIN, NULL), KILLED);
}

static int
try_read_outside(void)
{
	return RC(open(other, O_RDONLY | O_CLOEXEC));
}

static int
try_write_outside(void)
{
	return RC(open(other, O_WRONLY | O_CLOEXEC));
}

static int
try_climb_out(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/../%s", cache, other + 5);
	return RC(open(path, O_RDONLY | O_CLOEXEC));
}

static int
try_stat_outside(void)
{
	struct stat st;

	return RC(stat(other, &st));
}

static int
try_exec_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int
try_protect(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NOT_CONFINED;
	return RC(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int open_file = -1;

static int
try_map_file(void)
{
	void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, open_file, 0);

	return p == MAP_FAILED ? errno : 0;
}

static void
what_is_refused(void **state)
{
	static const struct {
		const char *name;
		attempt_fn *fn;
		int code;
		bool by_filter;
	} cases[] = {
		{ "read outside", try_read_outside, EACCES, false },
		{ "write outside", try_write_outside, EACCES, false },
		{ "out of the cache by ..", try_climb_out, EACCES, false },
		{ "look outside", try_stat_outside, EACCES, true },
		{ "executable memory", try_exec_memory, EPERM, true },
		{ "make memory executable", try_protect, EPERM, true },
		{ "map a file", try_map_file, EACCES, true },
		{ "a new limit", try_limit, EPERM, true },
	};

	for (size_t i = 0; i < nitems(cases); i++) {
		int code = cases[i].code;
		int out = outcome(cases[i].fn, OUTSIDE, NULL), in[4];

		in[0] = in[1] = in[2] = in[3] = code;
#ifdef BRIG_SANITIZE
		if (cases[i].by_filter || !has_landlock())
			continue;
#endif
		in[0] = outcome(cases[i].fn, MAIN, NULL);
		in[1] = outcome(cases[i].fn, THREAD, NULL);
		if (has_landlock()) {
			in[2] = outcome(cases[i].fn, MAIN, cache);
			in[3] = outcome(cases[i].fn, THREAD, cache);
		}
		if (out != 0 || in[0] != code || in[1] != code ||
		    in[2] != code || in[3] != code)
			fail_msg("%s: %d outside, %d %d %d %d inside",
			    cases[i].name, out, in[0], in[1], in[2], in[3]);
	}
}

static int
use_cache(void)
{
	char from[128], to[128], b[8] = { 0 };
	cleanup_fd int fd = -1, dir = -1;
	struct stat st;

	snprintf(from, sizeof(from), "%s/a", cache);
	snprintf(to, sizeof(to), "%s/b", cache);
	fd = open(from, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || pwrite(fd, "kept", 4, 0) != 4 || fdatasync(fd) != 0 ||
	    fstat(fd, &st) != 0 || st.st_size != 4 || ftruncate(fd, 4) != 0)
		return errno;
	dir = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || renameat(dir, "a", dir, "b") != 0 || fsync(dir) != 0)
		return errno;
	fd_close(&fd);
	fd = openat(dir, "b", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, b, 4, 0) != 4 || strcmp(b, "kept") != 0 ||
	    futimens(fd, NULL) != 0)
		return errno;
	return RC(unlinkat(dir, "b", 0));
}

static int
move_out(void)
{
	char from[128], to[128];
	int fd, rc;

	snprintf(from, sizeof(from), "%s/c", cache);
	snprintf(to, sizeof(to), "%s-out", cache);
	fd = open(from, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return NOT_CONFINED;
	close(fd);
	rc = RC(renameat(AT_FDCWD, from, AT_FDCWD, to));
	(void)unlinkat(AT_FDCWD, from, 0);
	if (rc == 0)
		(void)unlinkat(AT_FDCWD, to, 0);
	return rc;
}

static void
only_the_cache_directory_is_there(void **state)
{
	int rc;

	if (!has_landlock()) {
		print_message("SKIP: this kernel has no Landlock\n");
		skip();
	}
	assert_int_equal(outcome(use_cache, OUTSIDE, cache), 0);
	assert_int_equal(outcome(use_cache, MAIN, cache), 0);
	assert_int_equal(outcome(use_cache, THREAD, cache), 0);
	assert_int_equal(outcome(move_out, OUTSIDE, cache), 0);
	rc = outcome(move_out, THREAD, cache);
	assert_true(rc == EACCES || rc == EXDEV);
#ifndef BRIG_SANITIZE
	assert_int_equal(outcome(use_cache, MAIN, NULL), EACCES);
#endif
}

static int
serve_one(void)
{
	cleanup_fd int c = accept4(listener, NULL, NULL, SOCK_CLOEXEC), e = -1;
	struct epoll_event ev = { .events = EPOLLIN }, got;
	struct ucred who;
	socklen_t n = sizeof(who);
	char *big, b[8];

	if (c < 0 || getsockopt(c, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0)
		return errno;
	e = epoll_create1(EPOLL_CLOEXEC);
	if (e < 0 || epoll_ctl(e, EPOLL_CTL_ADD, c, &ev) != 0 ||
	    epoll_wait(e, &got, 1, -1) != 1 || recv(c, b, sizeof(b), 0) != 2 ||
	    send(c, b, 2, MSG_NOSIGNAL) != 2)
		return errno;
	/* Large and small memory, time, a line for the log. */
	if ((big = malloc(64u << 20)) == NULL)
		return ENOMEM;
	memset(big, 1, 64u << 20);
	free(big);
	log_warnx("served uid=%d", (int)who.uid);
	return 0;
}

static void
a_connection_is_served(void **state)
{
	int old;

	/* Those of attempts to connect. */
	assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	while ((old = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(old);
	assert_int_equal(fcntl(listener, F_SETFL, 0), 0);
	for (int where = OUTSIDE; where <= THREAD; where++) {
		cleanup_fd int c = socket(AF_UNIX, SOCK_STREAM, 0);

		assert_true(c >= 0);
		assert_int_equal(
		    connect(c, (const struct sockaddr *)&address, address_len),
		    0);
		assert_int_equal(write(c, "hi", 2), 2);
		assert_int_equal(
		    outcome(serve_one, (enum where)where, NULL), 0);
	}
}

static int
core_limit(void)
{
	struct rlimit r;

	return getrlimit(RLIMIT_CORE, &r) == 0 && r.rlim_max == 0 ? 0 : 1;
}

static void
no_core_file_is_written(void **state)
{
	assert_int_equal(outcome(core_limit, MAIN, NULL), 0);
	assert_int_equal(outcome(core_limit, THREAD, NULL), 0);
}

static int ready = -1, enough = -1; /* eventfds */

static int
wait_for_end(void)
{
	uint64_t n = 1;

	if (write(ready, &n, sizeof(n)) != sizeof(n) ||
	    read(enough, &n, sizeof(n)) != sizeof(n))
		return errno;
	return 0;
}

static bool
status_has(pid_t pid, const char *tid, const char *line)
{
	char path[300], text[256];
	bool seen = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, tid);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	while (fgets(text, sizeof(text), f) != NULL)
		seen = seen || strcmp(text, line) == 0;
	fclose(f);
	return seen;
}

/* As the kernel tells others. */
static void
every_thread_is_confined(void **state)
{
	static const char *const lines[] = {
		"NoNewPrivs:\t1\n",
		"CapInh:\t0000000000000000\n",
		"CapPrm:\t0000000000000000\n",
		"CapEff:\t0000000000000000\n",
		"CapAmb:\t0000000000000000\n",
#ifndef BRIG_SANITIZE
		"Seccomp:\t2\n",
#endif
	};
	unsigned threads = 0;
	struct dirent *e;
	char path[64];
	uint64_t n;
	pid_t pid;
	DIR *d;
	int st;

	ready = eventfd(0, EFD_CLOEXEC);
	enough = eventfd(0, EFD_CLOEXEC);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child(wait_for_end, MAIN, NULL));
	assert_int_equal(read(ready, &n, sizeof(n)), sizeof(n));
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	assert_non_null(d = opendir(path));
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		threads++;
		for (size_t i = 0; i < nitems(lines); i++)
			if (!status_has(pid, e->d_name, lines[i]))
				fail_msg("thread %u does not say %s", threads,
				    lines[i]);
	}
	closedir(d);
	assert_int_equal(threads, 4); /* main, two of the pool, one */
	n = 1;
	assert_int_equal(write(enough, &n, sizeof(n)), sizeof(n));
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_true(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

/* A kernel that lacks a part, as a filter from outside has it. */
static int
without(int call)
{
	struct sock_filter f[] = { FILTER_LOAD(nr), FILTER_IS(call, 1),
		FILTER_ERRNO(ENOSYS), FILTER_ALLOW };
	struct sock_fprog prog = { nitems(f), f };
	struct error err = { 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) != 0)
		return NOT_CONFINED;
	if (confine(cache, &err) == 0)
		return 0;
	return err.msg[0] != '\0' ? 1 : 2;
}

static int
without_landlock(void)
{
	return without(SYS_landlock_create_ruleset);
}

static int
without_restrict(void)
{
	return without(SYS_landlock_restrict_self);
}

static int
without_seccomp(void)
{
	return without(SYS_seccomp);
}

static int
without_capset(void)
{
	return without(SYS_capset);
}

static int
without_proc(void)
{
	return without(SYS_openat);
}

static int
with_all(void)
{
	return without(-1);
}

static void
a_kernel_that_refuses_a_part_is_not_good_enough(void **state)
{
	static attempt_fn *const cases[] = { without_landlock, without_restrict,
		without_capset, without_proc,
#ifndef BRIG_SANITIZE
		without_seccomp
#endif
	};

	if (!has_landlock()) {
		print_message("SKIP: this kernel has no Landlock\n");
		skip();
	}
	assert_int_equal(outcome(with_all, OUTSIDE, NULL), 0);
	for (size_t i = 0; i < nitems(cases); i++)
		assert_int_equal(outcome(cases[i], OUTSIDE, NULL), 1);
}

static int
gone_cache(void)
{
	struct error err;

	return confine("/nonexistent/cache", &err) == 0 ? 0 : 1;
}

static void
a_cache_directory_that_is_not_there_is_refused(void **state)
{
	assert_int_equal(outcome(gone_cache, OUTSIDE, NULL), 1);
}

static int
setup(void **state)
{
	socklen_t n = sizeof(address);
	int fd;

	if (mkdtemp(cache) == NULL)
		return -1;
	snprintf(other, sizeof(other), "%s.other", cache);
	fd = open(other, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 4096) != 0)
		return -1;
	open_file = fd;
	address.sun_family = AF_UNIX;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* No path: the kernel chooses an abstract name. */
	if (listener < 0 ||
	    bind(listener, (const struct sockaddr *)&address,
		sizeof(address.sun_family)) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &n) != 0 ||
	    listen(listener, 16) != 0)
		return -1;
	address_len = n;
	return 0;
}

static int
teardown(void **state)
{
	(void)unlink(other);
	return rmdir(cache);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_ends_the_process),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(only_the_cache_directory_is_there),
		cmocka_unit_test(a_connection_is_served),
		cmocka_unit_test(no_core_file_is_written),
		cmocka_unit_test(every_thread_is_confined),
		cmocka_unit_test(
		    a_kernel_that_refuses_a_part_is_not_good_enough),
		cmocka_unit_test(
		    a_cache_directory_that_is_not_there_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

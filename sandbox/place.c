#include "sandbox/place.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/pathwalk.h"
#include "sandbox/privs.h"
#include "sandbox/protect.h"
#include "sandbox/sys.h"

#define MARK 315532800 /* 1980-01-01: the mtime of a placeholder */
#define TRIES 50       /* a millisecond each, for another job's removal */
#define REPOSITORY ".git"
#define FILE_SIZE 2

/*
 * Where git stumbles over a folder, or an empty file: of its meaning as if
 * there were none, "here" and a comment.
 */
static const struct {
	const char *path;
	char text[FILE_SIZE + 1];
} files[] = { { ".git/commondir", ".\n" }, { ".git/config.worktree", "#\n" } };

static void
as_owner(const struct jail_config *c)
{
	(void)setfsgid(c->owner_gid);
	(void)setfsuid(c->owner_uid);
}

static void
as_root(void)
{
	(void)setfsuid(0);
	(void)setfsgid(0);
}

bool
place_is(const struct stat *st)
{
	return st->st_mtim.tv_sec == MARK && st->st_mtim.tv_nsec == 0 &&
	       (S_ISDIR(st->st_mode) ||
		   (S_ISREG(st->st_mode) && st->st_size == FILE_SIZE));
}

static int
mark(int fd)
{
	const struct timespec t[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_sec = MARK } };

	return futimens(fd, t);
}

static struct place *
add(struct places *pl, int dir, const char *name, struct error *err)
{
	struct place *p = &pl->at[pl->n];

	if (pl->n == PLACES_MAX || strlen(name) >= sizeof(p->name)) {
		(void)error_set(err, E2BIG, "path rule: placeholder %s", name);
		return NULL;
	}
	p->fd = -1;
	p->dir = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	if (p->dir < 0) {
		(void)error_set(err, errno, "path rule: placeholder %s", name);
		return NULL;
	}
	(void)snprintf(p->name, sizeof(p->name), "%s", name);
	pl->n++;
	return p;
}

/* Made, marked and locked: 1 and *fd; 0: it is not a placeholder, or may not
 * be made; -1 with errno.  EAGAIN: another job is removing it. */
static int
make_one(int dir, const char *name, const char *text, int *fd)
{
	struct stat st, now;
	bool made;
	int r;

	if (text != NULL) {
		*fd = openat(dir, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		made = *fd >= 0;
		if (made && fd_write_all(*fd, text, FILE_SIZE) < 0)
			return -1;
		r = made ? 0 : -1;
	} else {
		r = mkdirat(dir, name, 0755);
		made = r == 0;
	}
	if (r < 0 && (errno == EACCES || errno == EPERM || errno == EROFS))
		return 0;
	if (r < 0 && errno != EEXIST)
		return -1;
	if (*fd < 0)
		*fd = openat(
		    dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	/* What cannot be read is no placeholder. */
	if (*fd < 0)
		return errno == ENOENT ? (errno = EAGAIN, -1) : 0;
	if (made && mark(*fd) < 0)
		return -1;
	if (fstat(*fd, &st) < 0)
		return -1;
	if (!place_is(&st))
		return 0;
	if (flock(*fd, LOCK_SH | LOCK_NB) < 0)
		return -1;
	if (fstatat(dir, name, &now, AT_SYMLINK_NOFOLLOW) < 0 ||
	    now.st_ino != st.st_ino || now.st_dev != st.st_dev) {
		errno = EAGAIN;
		return -1;
	}
	return 1;
}

static int
make(struct places *pl, int dir, const char *name, const char *text,
    const char *pattern, struct error *err)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	struct place *p;
	int fd = -1, i, r = -1;

	for (i = 0; i < TRIES; i++) {
		r = make_one(dir, name, text, &fd);
		if (r >= 0 || errno != EAGAIN)
			break;
		fd_close(&fd);
		(void)nanosleep(&ms, NULL);
	}
	if (r < 0)
		(void)error_set(
		    err, errno, "path rule: placeholder for %s", pattern);
	if (r > 0) {
		p = add(pl, dir, name, err);
		if (p == NULL)
			r = -1;
		else
			p->fd = steal_fd(&fd);
	}
	fd_close(&fd);
	return r < 0 ? -1 : 0;
}

/* The folder called name: 1, 0 where it is not to be made, -1. */
static int
descend(struct places *pl, int *dir, const char *name, bool may_make,
    struct error *err)
{
	int fd;

	fd = sys_openat2(*dir, name, O_PATH | O_DIRECTORY,
	    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	if (fd < 0 && errno == ENOENT && may_make) {
		if (mkdirat(*dir, name, 0755) < 0)
			return errno == EACCES || errno == EROFS ||
				       errno == EEXIST
				   ? 0
				   : error_set(err, errno,
					 "path rule: placeholder %s", name);
		if (add(pl, *dir, name, err) == NULL)
			return -1;
		fd = sys_openat2(*dir, name, O_PATH | O_DIRECTORY,
		    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	}
	if (fd < 0)
		return 0;
	fd_close(dir);
	*dir = fd;
	return 1;
}

/* path is relative to top. */
static int
make_path(struct places *pl, int top, char *path, const char *pattern,
    struct error *err)
{
	const char *text = NULL;
	cleanup_fd int dir = -1;
	char *name = path, *slash;
	int r;

	for (size_t i = 0; i < nitems(files); i++)
		if (str_eq(path, files[i].path))
			text = files[i].text;
	dir = fcntl(top, F_DUPFD_CLOEXEC, 0);
	if (dir < 0)
		return error_set(err, errno, "path rule: placeholder");
	while ((slash = strchr(name, '/')) != NULL) {
		*slash = '\0';
		/* Whether a repository may be made is not this rule's. */
		r = descend(pl, &dir, name, !str_eq(name, REPOSITORY), err);
		if (r <= 0)
			return r;
		name = slash + 1;
	}
	return make(pl, dir, name, text, pattern, err);
}

/*
 * One repository that the job makes has the configuration and the hooks that
 * the job wants.  1: there is none, and its place is taken; 0; -1.
 */
static int
make_repository(struct places *pl, int ws, struct error *err)
{
	const size_t before = pl->n;

	if (make(pl, ws, REPOSITORY, NULL, REPOSITORY, err) < 0)
		return -1;
	return pl->n > before;
}

/* No place for what the job could not make anyway. */
static bool
job_can_write(const struct jail_config *c, const char *base)
{
	size_t i;

	for (i = 0; i < c->nrules; i++)
		if (c->rules[i].allow && c->rules[i].write &&
		    str_starts(c->rules[i].pattern, base))
			return true;
	return c->write_default;
}

int
places_make(int dir, const char *base, const struct jail_config *c,
    struct places *pl, struct error *err)
{
	bool repository = true;
	size_t i, n;
	int r = 0;

	pl->n = 0;
	if (!job_can_write(c, base))
		return 0;
	as_owner(c);
	if (c->protect && str_eq(base, PLACES_WORKSPACE)) {
		r = make_repository(pl, dir, err);
		repository = r == 0;
	}
	for (i = 0; r >= 0 && i < protect_all(c); i++) {
		const struct jail_rule *rule = protect_at(c, i);
		char path[PATH_MAX];

		if (rule->allow || !str_starts(rule->pattern, base))
			continue;
		n = (size_t)snprintf(
		    path, sizeof(path), "%s", rule->pattern + strlen(base));
		if (n >= sizeof(path))
			continue;
		if (str_ends(path, "/**"))
			path[n - 3] = '\0';
		if (!repository &&
		    strncmp(path, REPOSITORY "/", strlen(REPOSITORY "/")) == 0)
			continue;
		if (path[0] != '\0' && strchr(path, '*') == NULL)
			r = make_path(pl, dir, path, rule->pattern, err);
	}
	as_root();
	if (r < 0)
		places_remove(pl, c);
	return r < 0 ? -1 : 0;
}

void
places_keep(struct places *pl)
{
	for (; pl->n > 0; pl->n--) {
		fd_close(&pl->at[pl->n - 1].dir);
		fd_close(&pl->at[pl->n - 1].fd);
	}
}

static void
remove_all(struct places *pl)
{
	struct stat st, now;
	size_t i;

	/* What lies deeper was made later. */
	for (i = pl->n; i-- > 0;) {
		struct place *p = &pl->at[i];

		if (p->fd < 0) {
			(void)unlinkat(p->dir, p->name, AT_REMOVEDIR);
			continue;
		}
		if (flock(p->fd, LOCK_EX | LOCK_NB) < 0 ||
		    fstat(p->fd, &st) < 0 || !place_is(&st) ||
		    fstatat(p->dir, p->name, &now, AT_SYMLINK_NOFOLLOW) < 0 ||
		    now.st_ino != st.st_ino || now.st_dev != st.st_dev)
			continue;
		(void)unlinkat(
		    p->dir, p->name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
	}
}

void
places_remove(struct places *pl, const struct jail_config *c)
{
	as_owner(c);
	remove_all(pl);
	as_root();
	places_keep(pl);
}

/* Nothing else stays open: the job's pipes must end with the job. */
static void
only_fds(struct places *pl, int *pidfd)
{
	int fd = 3, used[2 * PLACES_MAX + 1];
	size_t i, n = 0;

	/* Through numbers that none of them has. */
	for (i = 0; i < pl->n; i++) {
		used[n++] = fcntl(pl->at[i].dir, F_DUPFD_CLOEXEC, 512);
		used[n++] = pl->at[i].fd < 0
				? -1
				: fcntl(pl->at[i].fd, F_DUPFD_CLOEXEC, 512);
	}
	used[n++] = fcntl(*pidfd, F_DUPFD_CLOEXEC, 512);
	for (i = 0; i < n; i++) {
		if (used[i] >= 0)
			(void)dup3(used[i], fd, O_CLOEXEC);
		used[i] = used[i] < 0 ? -1 : fd;
		fd += used[i] >= 0;
	}
	fd_close_from(fd);
	for (i = 0; i < pl->n; i++) {
		pl->at[i].dir = used[2 * i];
		pl->at[i].fd = used[2 * i + 1];
	}
	*pidfd = used[n - 1];
}

static void wait_and_remove(struct places *pl, const struct jail_config *c,
    int pidfd) __attribute__((noreturn));

static void
wait_and_remove(struct places *pl, const struct jail_config *c, int pidfd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), i;
	struct pollfd p = { .events = POLLIN };
	struct error err;
	sigset_t all;

	(void)prctl(PR_SET_NAME, "brig-places");
	(void)setsid();
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	for (i = 0; i < 3 && null >= 0; i++)
		(void)dup2(null, i);
	only_fds(pl, &pidfd);
	if (privs_become(c->owner_uid, c->owner_gid, &err) < 0)
		_exit(1);
	p.fd = pidfd;
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	remove_all(pl);
	_exit(0);
}

int
places_leave(struct places *pl, const struct jail_config *c, int pidfd,
    struct error *err)
{
	/* A child of our parent: it outlives us, and is none that we wait
	 * for. */
	struct clone_args a = { .flags = CLONE_PARENT };
	pid_t pid;

	if (pl->n == 0)
		return 0;
	pid = sys_clone3(&a);
	if (pid == 0)
		wait_and_remove(pl, c, pidfd);
	if (pid < 0) {
		(void)error_set(err, errno, "path rule: clone");
		places_remove(pl, c);
		return -1;
	}
	places_keep(pl);
	return 0;
}

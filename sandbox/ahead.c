#include "sandbox/ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "sandbox/build.h"
#include "sandbox/rules.h"
#include "sandbox/sys.h"
#include "sandbox/tree.h"

static const char *const ns_files[AHEAD_NS] = { "/proc/self/ns/mnt",
	"/proc/self/ns/ipc", "/proc/self/ns/uts" };

void
ahead_init(struct jail_ahead *a)
{
	capture_init(&a->net);
	for (size_t i = 0; i < AHEAD_NS; i++)
		a->ns[i] = -1;
	a->ca_fd = a->mounts = -1;
	a->stamp = 0;
}

static void
close_tree(struct jail_ahead *a)
{
	for (size_t i = 0; i < AHEAD_NS; i++)
		fd_close(&a->ns[i]);
	fd_close(&a->ca_fd);
	fd_close(&a->mounts);
}

void
ahead_close(struct jail_ahead *a)
{
	capture_close(&a->net);
	close_tree(a);
}

/* In new namespaces, to which the descriptors will lead when we are gone. */
static int
fill(const struct jail_config *c, int ns[AHEAD_NS], struct error *err)
{
	int part[TREE_PARTS];
	cleanup_fd int root = -1;

	for (size_t i = 0; i < AHEAD_NS; i++) {
		ns[i] = open(ns_files[i], O_RDONLY | O_CLOEXEC);
		if (ns[i] < 0)
			return error_set(err, errno, "ahead: %s", ns_files[i]);
	}
	for (size_t i = 0; i < TREE_PARTS; i++)
		part[i] = -1;
	root = tree_root(c, err);
	if (root < 0 || tree_shared(c, part, err) < 0 ||
	    tree_attach(root, part, c, err) < 0)
		return -1;
	return tree_enter(root, err);
}

static void maker(const struct jail_config *c, int ctl)
    __attribute__((noreturn));

static void
maker(const struct jail_config *c, int ctl)
{
	struct ctl_msg m = { .type = CTL_AHEAD };
	int ns[AHEAD_NS];

	(void)prctl(PR_SET_NAME, "brig-ahead");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)umask(0);
	if (fill(c, ns, &m.error) < 0) {
		m.type = CTL_ERROR;
		(void)ctl_send(ctl, &m, NULL, 0);
		_exit(1);
	}
	_exit(ctl_send(ctl, &m, ns, AHEAD_NS) < 0);
}

static int
make_tree(struct jail_ahead *a, int ca_fd, int trust_fd, struct error *err)
{
	const struct jail_config c = { .ca_fd = ca_fd,
		.trust_fd = trust_fd,
		.image_fd = -1,
		.home_fd = -1 };
	struct clone_args ca = { .flags = AHEAD_FLAGS, .exit_signal = SIGCHLD };
	int sv[2], fds[CTL_FDS_MAX], r;
	pid_t pid;

	if (ca_fd >= 0 && (a->ca_fd = fcntl(ca_fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return error_set(err, errno, "ahead: CA bundle");
	/* Before it is copied: a change in between is seen later. */
	a->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (a->mounts < 0)
		return error_set(err, errno, "ahead: mountinfo");
	if (tree_etc_stamp(&a->stamp, err) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return error_set(err, errno, "ahead: socketpair");
	pid = sys_clone3(&ca);
	if (pid == 0)
		maker(&c, sv[1]);
	fd_close(&sv[1]);
	if (pid < 0) {
		fd_close(&sv[0]);
		return error_set(err, errno, "ahead: clone");
	}
	r = ctl_expect(sv[0], CTL_AHEAD, fds, NULL, err);
	fd_close(&sv[0]);
	for (size_t i = 0; r == 0 && i < AHEAD_NS; i++) {
		a->ns[i] = fds[i];
		if (fds[i] < 0)
			r = error_set(err, EPROTO, "ahead: namespaces");
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return r;
}

int
ahead_make(struct jail_ahead *a, int ca_fd, int trust_fd, struct error *err)
{
	int r;

	ahead_init(a);
	r = capture_make(&a->net, err);
	if (make_tree(a, ca_fd, trust_fd, err) < 0) {
		close_tree(a);
		r = -1;
	}
	return r;
}

static bool
same_file(int a, int b)
{
	struct stat x, y;

	if (a < 0 || b < 0)
		return a < 0 && b < 0;
	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* See proc_pid_mountinfo(5): a change since the last look, or since it was
 * opened, is an exceptional condition. */
static bool
mounts_changed(const struct jail_ahead *a)
{
	struct pollfd p = { .fd = a->mounts, .events = POLLPRI };

	return poll(&p, 1, 0) != 0;
}

bool
ahead_fits(const struct jail_ahead *a, const struct jail_config *c)
{
	uint64_t stamp;

	/* More of the host can only be brought in where the host is. */
	if (a->ns[0] < 0 || c->image_fd >= 0 || c->ntrees != 0 ||
	    rules_need_host(c))
		return false;
	return same_file(a->ca_fd, c->ca_fd) && !mounts_changed(a) &&
	       tree_etc_stamp(&stamp, NULL) == 0 && stamp == a->stamp;
}

int
ahead_enter(const struct jail_ahead *a, struct error *err)
{
	/* The mount namespace last: /proc of the host is gone then. */
	for (size_t i = AHEAD_NS; i-- > 0;)
		if (setns(a->ns[i], 0) < 0)
			return error_set(err, errno, "namespaces: enter");
	return 0;
}

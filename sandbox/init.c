/*
 * pid 1 of a jail: builds it from inside, forks the workload, and stays as
 * its reaper.  It is a fork of the caller of jail_build(), becomes the job's
 * uid without any capability, and cannot be read by the job (not dumpable).
 */
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fdutil.h"
#include "sandbox/ahead.h"
#include "sandbox/build.h"
#include "sandbox/landlock.h"
#include "sandbox/privs.h"
#include "sandbox/rules.h"
#include "sandbox/sys.h"
#include "sandbox/tree.h"

#define KEYCTL_JOIN_SESSION_KEYRING 1

static void fail(struct build *b, const struct error *err)
    __attribute__((noreturn));

static void
fail(struct build *b, const struct error *err)
{
	struct ctl_msg m = { .type = CTL_ERROR, .error = *err };

	(void)ctl_send(b->ctl, &m, NULL, 0);
	_exit(1);
}

/*
 * How long the host has been up is none of the job's business: its clocks
 * begin now.  Best effort: a kernel may not have what we came from.
 */
static void
restart_clocks(void)
{
	struct timespec mono, boot;
	cleanup_fd int fd = -1;
	char text[96];
	int n;

	(void)clock_gettime(CLOCK_MONOTONIC, &mono);
	(void)clock_gettime(CLOCK_BOOTTIME, &boot);
	n = snprintf(text, sizeof(text),
	    "monotonic -%lld 0\nboottime -%lld 0\n", (long long)mono.tv_sec,
	    (long long)boot.tv_sec);
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, text, (size_t)n);
}

/*
 * Before the cgroup namespace is made, whose root they become.  A v2 group
 * has been entered by the clone.
 */
static int
enter_cgroups(const struct jail_cgroup *g, struct error *err)
{
	for (size_t i = 0; g != NULL && i < g->nv1; i++)
		if (write(g->v1[i], "0", 1) != 1)
			return error_set(err, errno, "cgroups: enter");
	return 0;
}

static int
namespaces(const struct build *b, struct error *err)
{
	/* Not CLONE_NEWUSER: everything made until then belongs to the
	 * initial user namespace, out of the job's reach. */
	const int all = CLONE_NEWCGROUP | (b->ahead != NULL ? 0 : AHEAD_FLAGS);

	/* Kernels may come without time namespaces. */
	if (unshare(all | CLONE_NEWTIME) == 0)
		restart_clocks();
	else if (errno != EINVAL || unshare(all) < 0)
		return error_set(err, errno, "namespaces: unshare");
	return b->ahead == NULL ? 0 : ahead_enter(b->ahead, err);
}

static int
network(struct build *b, struct error *err)
{
	int fds[CTL_FDS_MAX], r = 0;

	if (ctl_expect(b->ctl, CTL_NET, fds, NULL, err) < 0)
		return -1;
	if (fds[0] < 0 || setns(fds[0], CLONE_NEWNET) < 0)
		r = error_set(err, errno, "netns: enter");
	fd_close(&fds[0]);
	return r;
}

static int
host_name(const struct jail_config *c, struct error *err)
{
	const char *name = c->hostname != NULL ? c->hostname : "brig";

	if (sethostname(name, strlen(name)) < 0 ||
	    setdomainname("(none)", 6) < 0)
		return error_set(err, errno, "hostname: %s", name);
	return 0;
}

int
build_first(const struct build *b)
{
	return b->ahead == NULL ? TREE_USR : TREE_OWN;
}

int
build_parts(int i)
{
	return i + CTL_FDS_MAX <= TREE_PARTS ? CTL_FDS_MAX : TREE_PARTS - i;
}

static int
take_parts(struct build *b, int part[TREE_PARTS], struct error *err)
{
	int fds[CTL_FDS_MAX], i, k, n;

	for (i = 0; i < TREE_PARTS; i++)
		part[i] = -1;
	for (i = build_first(b); i < TREE_PARTS; i += n) {
		n = build_parts(i);
		if (ctl_expect(b->ctl, CTL_PARTS, fds, NULL, err) < 0)
			return -1;
		for (k = 0; k < n; k++)
			if ((part[i + k] = fds[k]) < 0)
				return error_set(
				    err, EPROTO, "tree: part %d", i + k);
	}
	return 0;
}

/* The tree with the workspace in it; leaves us in it, with a terminal. */
static int
tree(struct build *b, int *tty, struct error *err)
{
	const struct jail_config *c = b->c;
	struct ctl_msg m = { .type = CTL_TREE };
	int part[TREE_PARTS], out[2], i;
	cleanup_fd int root = -1;
	cleanup_fd int master = -1;

	if (b->ahead == NULL)
		root = tree_root(c, err);
	else if ((root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		(void)error_set(err, errno, "tree: open /");
	if (root < 0 || take_parts(b, part, err) < 0 ||
	    tree_attach(root, part, c, err) < 0 ||
	    tree_finish(root, c, err) < 0 || rules_mount(root, c, err) < 0 ||
	    tree_seal(root, err) < 0)
		return -1;
	if (b->ahead == NULL && tree_enter(root, err) < 0)
		return -1;
	for (i = 0; i < TREE_PARTS; i++)
		fd_close(&part[i]);
	if (c->tty && tree_terminal(c, &master, tty, err) < 0)
		return -1;
	out[0] = root;
	out[1] = master;
	if (ctl_send(b->ctl, &m, out, c->tty ? 2 : 1) < 0)
		return error_set(err, errno, "tree: send");
	return 0;
}

static int
become_job(struct build *b, struct error *err)
{
	struct ctl_msg m = { .type = CTL_MAP };

	/* The caller's session keyring is root's. */
	(void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	if (setgroups(0, NULL) < 0)
		return error_set(err, errno, "ids: setgroups");
	if (unshare(CLONE_NEWUSER) < 0)
		return error_set(err, errno, "userns: unshare");
	if (ctl_send(b->ctl, &m, NULL, 0) < 0)
		return error_set(err, errno, "userns: ask for maps");
	if (ctl_expect(b->ctl, CTL_MAPPED, NULL, NULL, err) < 0)
		return -1;
	if (privs_drop(err) < 0)
		return -1;
	/* Both are reset by a change of ids. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return error_set(err, errno, "init: prctl");
	return 0;
}

/* Standard descriptors to /dev/null, ctl and sigfd kept, all else closed:
 * the job's pipes must end when the job ends, not when we do. */
static void
init_fds(int *ctl, int *sigfd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int i;

	/* Through numbers that none of them has. */
	*ctl = fcntl(*ctl, F_DUPFD_CLOEXEC, 10);
	*sigfd = fcntl(*sigfd, F_DUPFD_CLOEXEC, 10);
	for (i = 0; i < 3; i++)
		if (null >= 0)
			(void)dup2(null, i);
	(void)dup3(*ctl, 3, O_CLOEXEC);
	(void)dup3(*sigfd, 4, O_CLOEXEC);
	*ctl = 3;
	*sigfd = 4;
	fd_close_from(5);
}

/* True when the workload is among the dead, with its status in *m. */
static bool
reap(pid_t job, struct ctl_msg *m)
{
	bool found = false;
	pid_t pid;
	int st;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (pid != job)
			continue;
		found = true;
		m->kind = WIFSIGNALED(st) ? EXIT_SIGNAL : EXIT_CODE;
		m->code = WIFSIGNALED(st) ? WTERMSIG(st) : WEXITSTATUS(st);
	}
	return found;
}

static void watch(int ctl, int sigfd, pid_t job) __attribute__((noreturn));

static void
watch(int ctl, int sigfd, pid_t job)
{
	struct ctl_msg m = { .type = CTL_EXIT };
	struct pollfd p[2] = { { .fd = sigfd, .events = POLLIN },
		{ .fd = ctl } };
	struct signalfd_siginfo si;

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			_exit(1);
		/* The shim is gone, and with it the tracer and the capture:
		 * our end takes the whole pid namespace along. */
		if (p[1].revents != 0)
			_exit(1);
		if (!(p[0].revents & POLLIN) ||
		    read(sigfd, &si, sizeof(si)) != (ssize_t)sizeof(si))
			continue;
		if (si.ssi_signo != SIGCHLD) {
			(void)kill(-job, (int)si.ssi_signo);
			continue;
		}
		if (!reap(job, &m))
			continue;
		(void)ctl_send(ctl, &m, NULL, 0);
		_exit(m.kind == EXIT_CODE ? m.code : 128 + m.code);
	}
}

void
init_main(struct build *b)
{
	struct error err = { 0 };
	sigset_t all;
	int ruleset = -1, tty = -1, sigfd;
	pid_t job;

	(void)prctl(PR_SET_NAME, "brig-init");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)umask(0);
	privs_reset_signals();
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	sigfd = signalfd(-1, &all, SFD_CLOEXEC);
	if (sigfd < 0) {
		(void)error_set(&err, errno, "init: signalfd");
		fail(b, &err);
	}
	if (enter_cgroups(b->c->cgroup, &err) < 0 || namespaces(b, &err) < 0 ||
	    host_name(b->c, &err) < 0 || tree(b, &tty, &err) < 0 ||
	    network(b, &err) < 0)
		fail(b, &err);
	(void)umask(022);
	if (become_job(b, &err) < 0)
		fail(b, &err);
	if (landlock_applies(b->landlock_abi, b->c->filter == FILTER_NESTED)) {
		ruleset = rules_landlock(b->c, b->landlock_abi, &err);
		if (ruleset < 0)
			fail(b, &err);
	}
	job = fork();
	if (job == 0)
		workload_main(b, ruleset, tty);
	if (job < 0) {
		(void)error_set(&err, errno, "init: fork");
		fail(b, &err);
	}
	init_fds(&b->ctl, &sigfd);
	if (filter_install_init(&err) < 0)
		fail(b, &err);
	watch(b->ctl, sigfd, job);
}

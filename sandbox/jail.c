#include "sandbox/jail.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fdutil.h"
#include "sandbox/ahead.h"
#include "sandbox/build.h"
#include "sandbox/capture.h"
#include "sandbox/landlock.h"
#include "sandbox/overlay.h"
#include "sandbox/place.h"
#include "sandbox/stagedir.h"
#include "sandbox/sys.h"
#include "sandbox/tree.h"
#include "sandbox/workspace.h"

#define OOM_ADJ_JOB "100" /* of 1000: sooner than what else is there */

void
jail_init(struct jail *j)
{
	int i;

	memset(j, 0, sizeof(*j));
	j->init_pidfd = j->ctl_fd = j->link_fd = -1;
	j->go_fd = j->pty_fd = j->root_fd = j->exec_fd = -1;
	for (i = 0; i < CAPTURE_MAX; i++)
		j->capture[i] = -1;
}

static int
check(const struct jail_config *c, struct error *err)
{
	if (c->host_uid == 0 || c->host_gid == 0)
		return error_set(err, EINVAL, "config: the job cannot be root");
	if (c->argv == NULL || c->argv[0] == NULL || c->argv[0][0] == '\0')
		return error_set(err, EINVAL, "config: empty command");
	if (c->staged && (c->workspace == NULL || c->workspace[0] == '\0'))
		return error_set(err, 0,
		    "config: a staged job needs a workspace (brig run -w "
		    "DIR), since nothing of an empty one could be applied");
	if (c->nrules > JAIL_RULES_MAX)
		return error_set(
		    err, E2BIG, "config: %zu path rules", c->nrules);
	if (c->hostname != NULL &&
	    (strlen(c->hostname) > 64 || strchr(c->hostname, '\n') != NULL))
		return error_set(err, EINVAL, "config: host name");
	return 0;
}

/* Policies that would be obeyed in part only. */
static int
check_layers(const struct jail_config *c, unsigned int abi, struct error *err)
{
	const bool nested = c->filter == FILTER_NESTED;

	if (nested && (!c->workspace_exec || !c->tmp_exec))
		return error_set(err, EINVAL,
		    "config: sandbox seccomp nested lets the job mount a "
		    "folder of its own and run programs there: it cannot be "
		    "combined with workspace exec no or tmp noexec");
	if (c->read_default && c->write_default)
		return 0;
	if (nested)
		return error_set(err, EINVAL,
		    "config: default read or write deny is enforced by "
		    "Landlock, which forbids the mounts of sandbox seccomp "
		    "nested: take one of the two out of the profile");
	if (abi == 0)
		return error_set(err, ENOTSUP,
		    "config: default read or write deny is enforced by "
		    "Landlock, which this kernel does not have (lsm=landlock)");
	return 0;
}

static int
send_type(const struct jail *j, enum ctl_type type, struct error *err)
{
	struct ctl_msg m = { .type = type };

	if (ctl_send(j->ctl_fd, &m, NULL, 0) < 0)
		return error_set(err, errno, "jail: control socket");
	return 0;
}

/* What the job sees as its workspace: lower itself, or a layer over it. */
static int
stage_over(struct jail *j, int lower, int dir, const struct jail_config *c,
    uint64_t attr, struct error *err)
{
	struct overlay o = { .lower = lower,
		.stage = -1,
		.uid = c->host_uid,
		.gid = c->host_gid,
		.attr = attr,
		.by_path = c->stage_by_path };
	cleanup_fd int stage = stagedir_make(c, dir, err);

	if (stage < 0)
		return -1;
	j->staged = true;
	o.stage = stage;
	return overlay_mount(&o, err);
}

/* The parts of the tree, made while pid 1 is busy with its namespaces. */
static int
give_parts(struct jail *j, const struct build *b, int dir, struct error *err)
{
	const struct jail_config *c = b->c;
	struct ctl_msg m = { .type = CTL_PARTS };
	int part[TREE_PARTS], i, n, r = 0;

	for (i = 0; i < TREE_PARTS; i++)
		part[i] = -1;
	if (dir >= 0) {
		const uint64_t attr = c->workspace_exec ? 0 : MOUNT_ATTR_NOEXEC;
		cleanup_fd int lower = workspace_mount(dir, c, attr, err);

		if (lower >= 0)
			part[TREE_WORKSPACE] =
			    c->staged ? stage_over(j, lower, dir, c, attr, err)
				      : steal_fd(&lower);
		r = part[TREE_WORKSPACE] < 0 ? -1 : 0;
	}
	if (r == 0 && b->ahead == NULL)
		r = tree_shared(c, part, err);
	if (r == 0)
		r = tree_own(c, part, err);
	if (r == 0 && c->agent)
		r = agent_socket(
		    part[TREE_TMP], &j->capture[CAPTURE_AGENT], err);
	for (i = build_first(b); r == 0 && i < TREE_PARTS; i += n) {
		n = build_parts(i);
		if (ctl_send(j->ctl_fd, &m, part + i, (size_t)n) < 0)
			r = error_set(err, errno, "tree: send");
	}
	for (i = 0; i < TREE_PARTS; i++)
		fd_close(&part[i]);
	return r;
}

/* The network with its capture, made now unless it was made ahead. */
static int
give_net(struct jail *j, const struct jail_config *c, struct error *err)
{
	struct ctl_msg m = { .type = CTL_NET };
	struct capture cp;
	int r = 0, i;

	capture_init(&cp);
	if (c->ahead == NULL || c->ahead->net.ns < 0) {
		if (capture_make(&cp, err) < 0)
			return -1;
	} else {
		cp = c->ahead->net;
		capture_init(&c->ahead->net);
	}
	for (i = 0; i < CAPTURE_MAX; i++)
		if (cp.sock[i] >= 0)
			j->capture[i] = steal_fd(&cp.sock[i]);
	j->link_fd = steal_fd(&cp.link);
	if (ctl_send(j->ctl_fd, &m, &cp.ns, 1) < 0)
		r = error_set(err, errno, "netns: send");
	capture_close(&cp);
	return r;
}

static int
take_tree(struct jail *j, const struct jail_config *c, struct error *err)
{
	int fds[CTL_FDS_MAX];

	if (ctl_expect(j->ctl_fd, CTL_TREE, fds, NULL, err) < 0)
		return -1;
	j->root_fd = fds[0];
	j->pty_fd = fds[1];
	if (j->root_fd < 0 || (c->tty && j->pty_fd < 0))
		return error_set(err, EPROTO, "tree: descriptors missing");
	return 0;
}

static int
take_ready(struct jail *j, struct error *err)
{
	int fds[CTL_FDS_MAX];

	if (ctl_expect(j->ctl_fd, CTL_READY, fds, &j->job_pid, err) < 0)
		return -1;
	j->exec_fd = fds[0];
	for (int i = 1; i < CTL_FDS_MAX; i++)
		fd_close(&fds[i]);
	if (j->job_pid <= 0)
		return error_set(err, EPROTO, "jail: workload without pid");
	return 0;
}

static int
start(struct jail *j, struct build *b, int *ctl, struct error *err)
{
	struct clone_args a = { .flags = CLONE_NEWPID | CLONE_PIDFD,
		.pidfd = (uintptr_t)&j->init_pidfd,
		.exit_signal = SIGCHLD };
	const int on = 1;
	int go[2], sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return error_set(err, errno, "jail: socketpair");
	j->ctl_fd = sv[0];
	*ctl = sv[1];
	if (setsockopt(sv[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return error_set(err, errno, "jail: SO_PASSCRED");
	if (pipe2(go, O_CLOEXEC) < 0)
		return error_set(err, errno, "jail: pipe");
	if (b->c->cgroup != NULL && b->c->cgroup->v2 >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)b->c->cgroup->v2;
	}
	b->ctl = *ctl;
	b->go = go[0];
	j->go_fd = go[1];
	j->init_pid = sys_clone3(&a);
	if (j->init_pid == 0) {
		/* Our ends must not keep the pair alive in there. */
		fd_close(&j->ctl_fd);
		fd_close(&j->go_fd);
		init_main(b);
	}
	fd_close(&go[0]);
	fd_close(ctl);
	if (j->init_pid < 0) {
		j->init_pid = 0;
		return error_set(err, errno, "jail: clone");
	}
	return 0;
}

static void
set_oom(pid_t pid, const char *value)
{
	cleanup_fd int fd = -1;
	char path[48];

	(void)snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)fd_write_all(fd, value, strlen(value));
}

/*
 * A job that has used up its memory loses one of its own processes, not our
 * pid 1 with all of them.  The first of these needs CAP_SYS_RESOURCE, which
 * root in a container may lack; either alone will mostly do.
 */
static void
protect_init(const struct jail *j)
{
	set_oom(j->init_pid, "-1000");
	set_oom(j->job_pid, OOM_ADJ_JOB);
}

/* pid 1, and what removes the placeholders of its workspace after it. */
static int
start_in(struct jail *j, struct build *b, int dir, int *ctl, struct error *err)
{
	struct places pl;

	pl.n = 0;
	/* What a staged job makes is looked at before it counts. */
	if (dir >= 0 && !b->c->staged &&
	    places_make(dir, PLACES_WORKSPACE, b->c, &pl, err) < 0)
		return -1;
	if (start(j, b, ctl, err) < 0) {
		places_remove(&pl, b->c);
		return -1;
	}
	return places_leave(&pl, b->c, j->init_pidfd, err);
}

static int
build(struct jail *j, struct build *b, struct error *err)
{
	const struct jail_config *c = b->c;
	cleanup_fd int dir = -1;
	cleanup_fd int ctl = -1;

	if (c->workspace != NULL && c->workspace[0] != '\0') {
		dir = workspace_open(c, err);
		if (dir < 0)
			return -1;
	}
	if (c->ahead != NULL && ahead_fits(c->ahead, c))
		b->ahead = c->ahead;
	if (start_in(j, b, dir, &ctl, err) < 0 ||
	    give_parts(j, b, dir, err) < 0)
		return -1;
	if (give_net(j, c, err) < 0 || take_tree(j, c, err) < 0 ||
	    ctl_expect(j->ctl_fd, CTL_MAP, NULL, NULL, err) < 0)
		return -1;
	if (userns_map(j->init_pid, JAIL_UID, c->host_uid, JAIL_GID,
		c->host_gid, err) < 0 ||
	    send_type(j, CTL_MAPPED, err) < 0)
		return -1;
	if (take_ready(j, err) < 0)
		return -1;
	if (c->cgroup != NULL)
		protect_init(j);
	return 0;
}

/* A broken channel is a consequence: pid 1 said why before it ended. */
static void
prefer_cause(const struct jail *j, struct error *err)
{
	int fds[CTL_FDS_MAX];
	struct ctl_msg m;
	size_t i;

	while (j->ctl_fd >= 0 &&
	       ctl_recv(j->ctl_fd, MSG_DONTWAIT, &m, fds, NULL) > 0) {
		for (i = 0; i < CTL_FDS_MAX; i++)
			fd_close(&fds[i]);
		if (m.type == CTL_ERROR && err != NULL)
			*err = m.error;
	}
}

int
jail_build(const struct jail_config *c, struct jail *j, struct error *err)
{
	struct build b = { .c = c, .ctl = -1, .go = -1 };
	int r;

	jail_init(j);
	b.landlock_abi = j->landlock_abi = landlock_abi();
	if (check(c, err) < 0 || check_layers(c, b.landlock_abi, err) < 0)
		return -1;
	b.env = jail_env(c);
	r = build(j, &b, err);
	jail_env_free(b.env);
	if (c->ahead != NULL)
		ahead_close(c->ahead);
	if (r < 0) {
		const bool staged = j->staged;

		prefer_cause(j, err);
		jail_destroy(j);
		if (staged)
			stagedir_drop(c->stage_fd);
	}
	return r;
}

int
jail_go(struct jail *j, struct error *err)
{
	if (write(j->go_fd, "g", 1) != 1)
		return error_set(err, errno, "jail: start the workload");
	fd_close(&j->go_fd);
	return 0;
}

int
jail_event(struct jail *j, struct jail_event *ev)
{
	int fds[CTL_FDS_MAX], r;
	struct ctl_msg m;
	size_t i;

	memset(ev, 0, sizeof(*ev));
	r = ctl_recv(j->ctl_fd, MSG_DONTWAIT, &m, fds, NULL);
	if (r < 0 && errno == EAGAIN)
		return 0;
	ev->kind = JAIL_GONE;
	ev->exit = EXIT_SIGNAL;
	ev->code = SIGKILL;
	if (r <= 0)
		return 1;
	for (i = 0; i < CTL_FDS_MAX; i++)
		fd_close(&fds[i]);
	if (m.type == CTL_EXEC_FAILED) {
		ev->kind = JAIL_EXEC_FAILED;
		ev->exit = EXIT_BRIG;
		ev->code = m.code;
		ev->error = m.error;
	} else if (m.type == CTL_EXIT) {
		ev->kind = JAIL_EXIT;
		ev->exit = m.kind == EXIT_SIGNAL ? EXIT_SIGNAL : EXIT_CODE;
		ev->code = m.code;
	}
	return 1;
}

int
jail_signal(struct jail *j, int sig)
{
	if (j->init_pid <= 0 || j->init_reaped) {
		errno = ESRCH;
		return -1;
	}
	return pidfd_send_signal(j->init_pidfd, sig, NULL, 0);
}

void
jail_init_reaped(struct jail *j)
{
	j->init_reaped = true;
}

void
jail_destroy(struct jail *j)
{
	pid_t pid;
	int i;

	if (j->init_pid > 0 && !j->init_reaped) {
		(void)jail_signal(j, SIGKILL);
		/* pid 1 ends last, and waits for processes that we trace: so
		 * reap whatever dies, not only pid 1. */
		do
			pid = waitpid(-1, NULL, __WALL);
		while (pid != j->init_pid && (pid > 0 || errno == EINTR));
	}
	fd_close(&j->init_pidfd);
	fd_close(&j->ctl_fd);
	fd_close(&j->go_fd);
	fd_close(&j->link_fd);
	fd_close(&j->pty_fd);
	fd_close(&j->exec_fd);
	fd_close(&j->root_fd);
	for (i = 0; i < CAPTURE_MAX; i++)
		fd_close(&j->capture[i]);
	jail_init(j);
}

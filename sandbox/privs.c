#include "sandbox/privs.h"

#include <errno.h>
#include <grp.h>
#include <linux/ioprio.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/compat.h"

#define PROCS_DEFAULT 4096u
#define FILES_DEFAULT 65536u
#define STACK_SOFT (8u * 1024 * 1024)

#define SECUREBITS                                                             \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |       \
	    SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |          \
	    SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

static int
check_ids(struct error *err)
{
	uid_t r, e, s;
	gid_t gr, ge, gs;

	if (getresuid(&r, &e, &s) < 0 || getresgid(&gr, &ge, &gs) < 0)
		return error_set(err, errno, "ids: read back");
	if (r != JAIL_UID || e != r || s != r || gr != JAIL_GID || ge != gr ||
	    gs != gr || getgroups(0, NULL) != 0)
		return error_set(err, EPERM, "ids: not what was set");
	return 0;
}

static int
drop_caps(struct error *err)
{
	cap_t caps;
	int c, r;

	if (cap_reset_ambient() < 0)
		return error_set(err, errno, "capabilities: ambient set");
	/* Up to the last one this kernel knows. */
	for (c = 0; cap_get_bound((cap_value_t)c) >= 0; c++)
		if (cap_drop_bound((cap_value_t)c) < 0)
			return error_set(
			    err, errno, "capabilities: bounding set, %d", c);
	if (prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0) < 0)
		return error_set(err, errno, "capabilities: securebits");
	caps = cap_init();
	if (caps == NULL)
		return error_set(err, ENOMEM, "capabilities");
	r = cap_set_proc(caps);
	if (r < 0)
		(void)error_set(err, errno, "capabilities: set");
	(void)cap_free(caps);
	return r < 0 ? -1 : 0;
}

static int
check_empty(struct error *err)
{
	cap_t empty = cap_init();
	cap_t now = cap_get_proc();
	int differ = -1;

	if (empty != NULL && now != NULL)
		differ = cap_compare(empty, now);
	(void)cap_free(empty);
	(void)cap_free(now);
	if (differ != 0)
		return error_set(err, EPERM, "capabilities: not empty");
	return 0;
}

static int
check_caps(struct error *err)
{
	int c, differ;

	if (check_empty(err) < 0)
		return -1;
	for (c = 0; (differ = cap_get_bound((cap_value_t)c)) >= 0; c++)
		if (differ != 0)
			return error_set(err, EPERM,
			    "capabilities: %d still in the bounding set", c);
	if (prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != SECUREBITS)
		return error_set(err, EPERM, "capabilities: securebits");
	return 0;
}

int
privs_drop(struct error *err)
{
	if (setresgid(JAIL_GID, JAIL_GID, JAIL_GID) < 0 ||
	    setresuid(JAIL_UID, JAIL_UID, JAIL_UID) < 0)
		return error_set(err, errno, "ids: set");
	if (check_ids(err) < 0 || drop_caps(err) < 0 || check_caps(err) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return error_set(err, errno, "no_new_privs");
	return 0;
}

int
privs_become(uid_t uid, gid_t gid, struct error *err)
{
	cap_t none;
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, errno, "no_new_privs");
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return error_set(err, errno, "ids: set");
	/* root stays root, without any power over others. */
	none = cap_init();
	r = none == NULL ? -1 : cap_set_proc(none);
	if (none != NULL)
		(void)cap_free(none);
	if (r < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set(err, errno, "capabilities: drop");
	return check_empty(err);
}

static int
limit(int what, const char *name, rlim_t soft, rlim_t hard, struct error *err)
{
	struct rlimit rl = { .rlim_cur = soft, .rlim_max = hard }, old;

	/* The shim's own hard limit cannot be raised from in here. */
	if (getrlimit((__rlimit_resource_t)what, &old) == 0 &&
	    old.rlim_max < rl.rlim_max) {
		rl.rlim_max = old.rlim_max;
		if (rl.rlim_cur > rl.rlim_max)
			rl.rlim_cur = rl.rlim_max;
	}
	if (setrlimit((__rlimit_resource_t)what, &rl) < 0)
		return error_set(err, errno, "rlimits: %s", name);
	return 0;
}

int
privs_limits(const struct jail_config *c, struct error *err)
{
	rlim_t procs = c->procs != 0 ? c->procs : PROCS_DEFAULT;
	rlim_t files = c->files != 0 ? c->files : FILES_DEFAULT;

	/* One byte, not 0: the kernel pipes a dump to the host's handler
	 * whatever the limit, unless it is 1 (core(5)). */
	if (limit(RLIMIT_CORE, "core", 1, 1, err) < 0 ||
	    limit(RLIMIT_NPROC, "nproc", procs, procs, err) < 0 ||
	    limit(RLIMIT_NOFILE, "nofile", files, files, err) < 0 ||
	    limit(RLIMIT_NICE, "nice", 0, 0, err) < 0 ||
	    limit(RLIMIT_RTPRIO, "rtprio", 0, 0, err) < 0 ||
	    limit(RLIMIT_STACK, "stack", STACK_SOFT, RLIM_INFINITY, err) < 0)
		return -1;
	if (c->memory != 0)
		return limit(RLIMIT_AS, "as", c->memory, c->memory, err);
	return 0;
}

int
privs_plain(struct error *err)
{
	const struct sched_param normal = { 0 };
	int policy = sched_getscheduler(0);

	/* An administrator may make brigd, and so all jobs, yield to others;
	 * what raises brigd over others is not for jobs. */
	if ((policy == SCHED_FIFO || policy == SCHED_RR ||
		policy == SCHED_DEADLINE) &&
	    sched_setscheduler(0, SCHED_OTHER, &normal) < 0)
		return error_set(err, errno, "scheduler: normal");
	if (getpriority(PRIO_PROCESS, 0) < 0 &&
	    setpriority(PRIO_PROCESS, 0, 0) < 0)
		return error_set(err, errno, "nice: 0");
	if (IOPRIO_PRIO_CLASS(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0)) ==
		IOPRIO_CLASS_RT &&
	    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, 0) < 0)
		return error_set(err, errno, "ioprio: none");
	/* Both may be locked by whoever started brigd, as systemd can: then
	 * they are what it wanted. */
	(void)personality(PER_LINUX);
	(void)prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	return 0;
}

void
privs_reset_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;
	int i;

	for (i = 1; i <= SIGRTMAX; i++)
		(void)sigaction(i, &sa, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

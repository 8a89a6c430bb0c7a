#include "sandbox/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fdutil.h"
#include "sandbox/capture.h"
#include "sandbox/landlock.h"
#include "sandbox/workspace.h"

struct doctor {
	void (*report)(void *arg, const char *feature, const char *state,
	    const char *detail);
	void *arg;
};

static void say(const struct doctor *d, const char *feature, const char *state,
    const char *fmt, ...) attr_printf(4, 5);

static void
say(const struct doctor *d, const char *feature, const char *state,
    const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->report(d->arg, feature, state, text);
}

/* Exit status of fn in a child: 0 works, else an errno. */
static int
in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int st;

	if (pid == 0)
		_exit(fn() & 0xff);
	if (pid < 0 || waitpid(pid, &st, 0) != pid)
		return errno;
	return WIFEXITED(st) ? WEXITSTATUS(st) : EINTR;
}

static int
try_namespaces(void)
{
	return unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
		       CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
		       CLONE_NEWTIME) < 0
		   ? errno
		   : 0;
}

static int
try_userns(void)
{
	return unshare(CLONE_NEWUSER) < 0 ? errno : 0;
}

static int
try_ptrace(void)
{
	pid_t pid = fork();
	int r = 0;

	if (pid < 0)
		return errno;
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	if (ptrace(PTRACE_SEIZE, pid, NULL,
		PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL) < 0)
		r = errno;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, __WALL);
	return r;
}

static void
check_kernel(const struct doctor *d)
{
	struct utsname u;
	unsigned int major = 0, minor = 0;

	(void)uname(&u);
	(void)sscanf(u.release, "%u.%u", &major, &minor);
	if (major > 6 || (major == 6 && minor >= 1))
		say(d, "kernel", "ok", "Linux %s", u.release);
	else
		say(d, "kernel", "degraded",
		    "Linux %s is older than 6.1, which is the oldest that is "
		    "tested",
		    u.release);
}

static void
check_namespaces(const struct doctor *d)
{
	int r = in_child(try_namespaces);

	if (r == 0)
		say(d, "namespaces", "ok",
		    "mount, pid, net, ipc, uts, cgroup, time");
	else
		say(d, "namespaces", "missing",
		    "unshare: %s%s: no job can "
		    "run",
		    strerror(r), r == EPERM ? " (not root?)" : "");
	r = in_child(try_userns);
	if (r == 0)
		say(d, "user namespaces", "ok", "one id is mapped per job");
	else
		say(d, "user namespaces", "missing",
		    "unshare: %s: no job can "
		    "run; see /proc/sys/user/max_user_namespaces",
		    strerror(r));
}

static void
check_seccomp(const struct doctor *d)
{
	const unsigned int action = SECCOMP_RET_KILL_PROCESS;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		say(d, "seccomp", "ok", "filters with KILL_PROCESS");
	else
		say(d, "seccomp", "missing", "%s: no job can run",
		    strerror(errno));
}

static void
check_landlock(const struct doctor *d)
{
	unsigned int abi = landlock_abi();

	if (abi >= 6)
		say(d, "landlock", "ok", "ABI %u", abi);
	else if (abi > 0)
		say(d, "landlock", "degraded", "ABI %u: %s", abi,
		    abi < 3 ? "truncate, device ioctl and signals are not "
			      "covered by the second layer"
			    : "signals and abstract sockets are not covered "
			      "by the second layer");
	else
		say(d, "landlock", "degraded",
		    "not enabled in this kernel "
		    "(lsm=landlock,...): allow read and allow write rules are "
		    "not enforced below mount points");
}

static void
check_capture(const struct doctor *d)
{
	struct error err = { 0 };

	if (capture_probe(&err) == 0)
		say(d, "network capture", "ok", "sk_lookup");
	else
		say(d, "network capture", "missing", "%s: no job can run",
		    err.msg);
}

static void
check_idmap(const struct doctor *d, const char *dir)
{
	struct jail_config c = { .host_uid = 65533,
		.host_gid = 65533,
		.owner_uid = 1000,
		.owner_gid = 1000,
		.workspace = dir };
	struct error err = { 0 };
	cleanup_fd int fd = -1;
	cleanup_fd int mnt = -1;

	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		say(d, "idmapped mounts", "missing", "%s: %s", dir,
		    strerror(errno));
		return;
	}
	mnt = workspace_mount(fd, &c, 0, &err);
	if (mnt >= 0)
		say(d, "idmapped mounts", "ok", "on %s", dir);
	else
		say(d, "idmapped mounts", "missing",
		    "%s: jobs cannot have a "
		    "workspace there",
		    err.msg);
}

static void
check_ptrace(const struct doctor *d)
{
	int r = in_child(try_ptrace);

	if (r == 0)
		say(d, "exec mediation", "ok", "ptrace");
	else
		say(d, "exec mediation", "degraded",
		    "ptrace: %s: exec rules "
		    "are advisory",
		    strerror(r));
}

static void
check_memfd(const struct doctor *d)
{
	if (access("/proc/sys/vm/memfd_noexec", F_OK) == 0)
		say(d, "memfd_noexec", "ok", "per pid namespace");
	else
		say(d, "memfd_noexec", "degraded",
		    "needs Linux 6.3: programs "
		    "in anonymous memory are stopped by exec rules only");
}

static void
check_cgroup(const struct doctor *d)
{
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0)
		say(d, "cgroups", "ok", "v2");
	else if (access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0 ||
		 access("/sys/fs/cgroup/pids", F_OK) == 0)
		say(d, "cgroups", "degraded",
		    "v1 or hybrid: limits are "
		    "resource limits per process");
	else
		say(d, "cgroups", "degraded",
		    "not mounted: limits are "
		    "resource limits per process");
}

void
doctor_run(void (*report)(void *arg, const char *feature, const char *state,
	       const char *detail),
    void *arg)
{
	const struct doctor d = { .report = report, .arg = arg };

	check_kernel(&d);
	check_namespaces(&d);
	check_seccomp(&d);
	check_landlock(&d);
	check_capture(&d);
	check_ptrace(&d);
	check_memfd(&d);
	check_cgroup(&d);
}

void
doctor_workspace(const char *dir,
    void (*report)(
	void *arg, const char *feature, const char *state, const char *detail),
    void *arg)
{
	const struct doctor d = { .report = report, .arg = arg };

	check_idmap(&d, dir);
}

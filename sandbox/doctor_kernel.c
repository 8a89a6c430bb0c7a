#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fdutil.h"
#include "sandbox/capture.h"
#include "sandbox/doctor_part.h"
#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/workspace.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define KERNEL_MAJOR 6 /* the oldest that is tested */
#define KERNEL_MINOR 1

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
		       CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) < 0
		   ? errno
		   : 0;
}

static int
try_timens(void)
{
	return unshare(CLONE_NEWTIME) < 0 ? errno : 0;
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
check_version(const struct doctor *d)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;

	(void)uname(&u);
	(void)sscanf(u.release, "%u.%u", &major, &minor);
	if (major > KERNEL_MAJOR ||
	    (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
		doctor_say(d, "kernel", "kernel", u.sysname, DOCTOR_IN_FORCE,
		    "%s %s", u.release, u.machine);
	else
		doctor_say(d, "kernel", "kernel", u.sysname, DOCTOR_FALLBACK,
		    "%s is older than %d.%d, the oldest that is tested",
		    u.release, KERNEL_MAJOR, KERNEL_MINOR);
}

static void
check_namespaces(const struct doctor *d)
{
	static const char what[] = "own processes, mounts, network, IPC";
	static const char time_what[] = "host's uptime hidden";
	int r = in_child(try_namespaces);

	if (r == 0)
		doctor_say(d, "namespaces", what, "namespaces", DOCTOR_IN_FORCE,
		    "mount, pid, net, ipc, uts, cgroup");
	else if (geteuid() != 0)
		doctor_say(d, "namespaces", what, "namespaces", DOCTOR_UNTRIED,
		    "needs root");
	else
		doctor_say(d, "namespaces", what, "namespaces", DOCTOR_FATAL,
		    "unshare: %s: brigd needs CAP_SYS_ADMIN and a kernel with "
		    "every namespace",
		    strerror(r));
	r = in_child(try_timens);
	if (r == 0)
		doctor_say(d, "time", time_what, "time namespace",
		    DOCTOR_IN_FORCE, "boot and monotonic clocks start at 0");
	else if (geteuid() != 0)
		doctor_say(d, "time", time_what, "time namespace",
		    DOCTOR_UNTRIED, "needs root");
	else
		doctor_say(d, "time", time_what, "time namespace",
		    DOCTOR_MISSING,
		    "unshare: %s: jobs see how long the host has been up",
		    strerror(r));
}

/* A user namespace with one id of the range in it, as every job has. */
static int
try_userns(uid_t uid, struct error *err)
{
	int ready[2], hold[2], r = -1;
	pid_t pid;
	char c;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return error_set(err, errno, "pipe");
	if (pipe2(hold, O_CLOEXEC) < 0) {
		fd_close(&ready[0]);
		fd_close(&ready[1]);
		return error_set(err, errno, "pipe");
	}
	pid = fork();
	if (pid == 0) {
		(void)close(hold[1]);
		c = unshare(CLONE_NEWUSER) < 0 ? (char)errno : 0;
		(void)!write(ready[1], &c, 1);
		(void)!read(hold[0], &c, 1);
		_exit(0);
	}
	fd_close(&ready[1]);
	if (pid < 0)
		(void)error_set(err, errno, "fork");
	else if (read(ready[0], &c, 1) != 1)
		(void)error_set(err, 0, "the child that tried it died");
	else if (c != 0)
		(void)error_set(err, c, "unshare");
	else
		r = geteuid() != 0
			? 0
			: userns_map(pid, JAIL_UID, uid, JAIL_GID, uid, err);
	fd_close(&ready[0]);
	fd_close(&hold[0]);
	fd_close(&hold[1]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return r;
}

static void
check_userns(const struct doctor *d)
{
	static const char what[] = "no privilege on the host";
	uid_t uid = d->job_uid_count > 0 ? d->job_uid_base : 65533;
	struct error err = { 0 };

	if (try_userns(uid, &err) == 0)
		doctor_say(d, "userns", what, "user namespace", DOCTOR_IN_FORCE,
		    geteuid() == 0 ? "uid %u can be mapped; one id each job"
				   : "one id each job",
		    uid);
	else if (geteuid() != 0)
		doctor_say(d, "userns", what, "user namespace", DOCTOR_UNTRIED,
		    "%s for this user; root may be allowed to", err.msg);
	else
		doctor_say(d, "userns", what, "user namespace", DOCTOR_FATAL,
		    "%s; see /proc/sys/user/max_user_namespaces", err.msg);
}

static void
check_seccomp(const struct doctor *d)
{
	static const char what[] = "system call list";
	const unsigned int action = SECCOMP_RET_KILL_PROCESS;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		doctor_say(d, "seccomp", what, "seccomp", DOCTOR_IN_FORCE,
		    "filters %s, %s and %s, up to KILL_PROCESS",
		    filter_name(FILTER_DEFAULT), filter_name(FILTER_STRICT),
		    filter_name(FILTER_NESTED));
	else
		doctor_say(d, "seccomp", what, "seccomp", DOCTOR_FATAL,
		    "%s: the kernel needs CONFIG_SECCOMP_FILTER",
		    strerror(errno));
}

static void
check_landlock(const struct doctor *d)
{
	static const char what[] = "file rules, second layer";
	static const struct {
		unsigned int abi;
		const char *cost;
	} parts[] = {
		{ 2, "renaming between directories is refused altogether" },
		{ 3, "truncate(2) is held by mounts only" },
		{ 5, "ioctl on devices by seccomp only" },
		{ 6, "signals and abstract sockets by namespaces only" },
	};
	unsigned int abi = landlock_abi();
	char has[256], lacks[256] = "";
	char name[32];
	size_t i;

	if (abi == 0) {
		doctor_say(d, "landlock", what, "Landlock", DOCTOR_MISSING,
		    "not enabled in this kernel (boot with lsm=landlock,...): "
		    "read and write rules hold by mounts only");
		return;
	}
	landlock_describe(abi, false, has, sizeof(has));
	for (i = 0; i < nitems(parts); i++) {
		if (abi >= parts[i].abi)
			continue;
		if (lacks[0] != '\0')
			(void)strlcat(lacks, "; ", sizeof(lacks));
		(void)strlcat(lacks, parts[i].cost, sizeof(lacks));
	}
	(void)snprintf(name, sizeof(name), "Landlock ABI %u", abi);
	if (lacks[0] == '\0')
		doctor_say(
		    d, "landlock", what, name, DOCTOR_IN_FORCE, "%s", has);
	else
		doctor_say(d, "landlock", what, name, DOCTOR_FALLBACK,
		    "%s. Not in this kernel: %s", has, lacks);
}

static void
check_capture(const struct doctor *d)
{
	static const char what[] = "no packet leaves, all is seen";
	struct error err = { 0 };

	if (capture_probe(&err) == 0)
		doctor_say(d, "network", what, "sk_lookup bpf", DOCTOR_IN_FORCE,
		    "every address and port, TCP and UDP");
	else if (geteuid() != 0)
		doctor_say(d, "network", what, "sk_lookup bpf", DOCTOR_UNTRIED,
		    "needs root");
	else
		doctor_say(d, "network", what, "sk_lookup bpf", DOCTOR_FATAL,
		    "%s: the kernel needs CONFIG_BPF_SYSCALL, brigd CAP_BPF",
		    err.msg);
}

static int
yama_scope(void)
{
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int n = -1;

	if (f == NULL)
		return -1;
	if (fscanf(f, "%d", &n) != 1)
		n = -1;
	(void)fclose(f);
	return n;
}

static void
check_ptrace(const struct doctor *d)
{
	static const char what[] = "exec rules";
	int scope = yama_scope();
	int r = in_child(try_ptrace);
	char yama[48] = "";

	if (scope >= 0)
		(void)snprintf(
		    yama, sizeof(yama), ", yama ptrace_scope %d", scope);
	if (r == 0)
		doctor_say(d, "ptrace", what, "ptrace", DOCTOR_IN_FORCE,
		    "judged before the first instruction%s", yama);
	else if (geteuid() != 0 && scope == 2)
		doctor_say(d, "ptrace", what, "ptrace", DOCTOR_UNTRIED,
		    "needs root%s", yama);
	else
		doctor_say(d, "ptrace", what, "ptrace", DOCTOR_MISSING,
		    "%s%s: exec rules are advisory", strerror(r), yama);
}

static void
check_memfd(const struct doctor *d)
{
	static const char what[] = "no programs in anonymous memory";

	if (access("/proc/sys/vm/memfd_noexec", F_OK) == 0)
		doctor_say(d, "memfd", what, "vm.memfd_noexec", DOCTOR_IN_FORCE,
		    "set in each job's pid namespace");
	else
		doctor_say(d, "memfd", what, "exec rules", DOCTOR_FALLBACK,
		    "vm.memfd_noexec needs Linux 6.3: a memfd can be made "
		    "executable, running it is refused where jobs are traced");
}

void
doctor_kernel(const struct doctor *d)
{
	check_version(d);
	check_namespaces(d);
	check_userns(d);
	check_seccomp(d);
	check_landlock(d);
	check_ptrace(d);
	check_memfd(d);
	check_capture(d);
}

/*
 * What each role may still do once it is confined: its ids, capabilities and
 * flags as the kernel reports them, what it opens and what kills it.
 */
#include "sandbox/self.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
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
#include "base/str.h"

#define UID 64901
#define GID 64902

/* What a confined child tries; its result is the exit status, 0 for done. */
typedef int attempt_fn(void);

static char root_dir[64];

static const struct self_conf confs[] = {
	{ ROLE_CONTROL, UID, GID, root_dir },
	{ ROLE_KEYD, UID, GID, root_dir },
	{ ROLE_AUDIT, UID, GID, root_dir },
	{ ROLE_DNS, UID, GID, NULL },
	{ ROLE_FRONT, UID, GID, root_dir },
	{ ROLE_BACK, UID, GID, root_dir },
};

static void
need_root(void)
{
	if (geteuid() != 0) {
		print_message("SKIP: needs root\n");
		skip();
	}
}

/* Start fn confined as role; the wait status. */
static int
run_as(enum role role, attempt_fn *fn)
{
	struct self_conf c = { role, 0, 0, NULL };
	pid_t pid;
	int st;

	for (size_t i = 0; i < nitems(confs); i++)
		if (confs[i].role == role)
			c = confs[i];
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		log_init("test", LOG_LEVEL_WARN);
		self_confine(&c);
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	return st;
}

#ifdef BRIG_SANITIZE
#define FILTERED false
#else
#define FILTERED true
#endif
#define KILLED(st) (WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS)
/* First in a case that is about the role filters. */
#define NEEDS_FILTER()                                                         \
	do {                                                                   \
		if (!FILTERED) {                                               \
			print_message("a sanitizer build has no filters\n");   \
			skip();                                                \
		}                                                              \
	} while (0)
#define RETURNED(st, n) (WIFEXITED(st) && WEXITSTATUS(st) == (n))

static int
try_socket_inet(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? errno : 0;
}

static int
try_socket_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? errno : 0;
}

static int
try_open_write(void)
{
	int fd = open("/made", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? errno : 0;
}

static int
try_open_passwd(void)
{
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? errno : 0;
}

static int
try_open_proc(void)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? errno : 0;
}

static int
try_exec(void)
{
	char arg[] = "/bin/true";
	char *argv[] = { arg, NULL };
	char *envp[] = { NULL };

	execve(arg, argv, envp);
	return errno;
}

static int
try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int
try_ptrace(void)
{
	return syscall(SYS_ptrace, 0, 0, 0, 0) < 0 ? errno : 0;
}

static int
try_kill(void)
{
	return kill(getppid(), SIGCONT) < 0 ? errno : 0;
}

static int
try_exec_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int
try_bind(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 ? errno : 0;
}

static int
try_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0) < 0 ? errno : 0;
}

static int
try_accept(void)
{
	return accept4(0, NULL, NULL, 0) < 0 ? errno : 0;
}

static void *
thread_main(void *arg)
{
	return arg;
}

static int
try_thread(void)
{
	pthread_t t;
	int rc = pthread_create(&t, NULL, thread_main, NULL);

	return rc != 0 ? rc : pthread_join(t, NULL);
}

/* Work of every role: memory, time, randomness, descriptors, a log line. */
static int
try_plain_work(void)
{
	char *p = malloc(8u << 20);
	int fds[2] = { 0, 0 };
	struct rlimit rl;

	if (p == NULL)
		return 1;
	memset(p, 1, 8u << 20);
	free(p);
	p = xasprintf("%d %d", getpid(), fds[0]);
	free(p);
	if (getrlimit(RLIMIT_CORE, &rl) != 0 || rl.rlim_max != 1)
		return 2;
	if (fcntl(PARENT_FD + 1, F_GETFD) >= 0)
		return 3;
	log_debug("confined");
	if (write(2, "", 0) < 0)
		return 4;
	return 0;
}

static int
try_reboot_calls(void)
{
	static const long calls[] = { SYS_kexec_load, SYS_init_module,
		SYS_delete_module, SYS_swapon, SYS_acct, SYS_settimeofday,
		SYS_io_uring_setup, SYS_reboot };

	for (size_t i = 0; i < nitems(calls); i++)
		if (syscall(calls[i], -1, -1, -1, -1) != -1 || errno != EPERM)
			return 1 + (int)i;
	return 0;
}

static int
try_child_keeps_caps(void)
{
	pid_t pid = fork();
	int st;

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c",
		    "grep -q '^NoNewPrivs:.1' /proc/self/status && "
		    "grep -q '^CapEff:.0000000000000000' /proc/self/status",
		    (char *)NULL);
		_exit(99);
	}
	/* 1: the last grep does not match, the child still has power. */
	if (waitpid(pid, &st, 0) != pid || !WIFEXITED(st))
		return 98;
	return WEXITSTATUS(st) == 1 ? 0 : WEXITSTATUS(st) + 10;
}

static int
try_much_memory(void)
{
	const int prot = PROT_READ | PROT_WRITE;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

	if (mmap(NULL, (size_t)1 << 30, prot, flags, -1, 0) == MAP_FAILED)
		return 1;
	if (mmap(NULL, (size_t)1 << 31, prot, flags, -1, 0) != MAP_FAILED)
		return 2;
	return 0;
}

static void
names_that_a_job_stages_cannot_take_all_memory(void **state)
{
	need_root();
	if (!FILTERED) {
		print_message("what a sanitizer maps counts, too\n");
		skip();
	}
	assert_true(RETURNED(run_as(ROLE_STAGE, try_much_memory), 0));
	assert_true(RETURNED(run_as(ROLE_CONTROL, try_much_memory), 2));
}

static void
every_role_does_plain_work(void **state)
{
	need_root();
	for (size_t i = 0; i < nitems(confs); i++) {
		int st = run_as(confs[i].role, try_plain_work);

		if (!RETURNED(st, 0))
			print_message(
			    "%s: %#x\n", role_name(confs[i].role), st);
		assert_true(RETURNED(st, 0));
	}
}

static void
no_role_can_exec_fork_ptrace_or_bpf(void **state)
{
	NEEDS_FILTER();
	static attempt_fn *const fns[] = { try_exec, try_fork, try_ptrace,
		try_bpf, try_kill };

	need_root();
	for (size_t i = 0; i < nitems(confs); i++)
		for (size_t k = 0; k < nitems(fns); k++) {
			int st = run_as(confs[i].role, fns[k]);

			if (!KILLED(st))
				print_message("%s, attempt %zu: %#x\n",
				    role_name(confs[i].role), k, st);
			assert_true(KILLED(st));
		}
}

static void
only_back_and_dns_have_sockets(void **state)
{
	NEEDS_FILTER();
	need_root();
	assert_true(KILLED(run_as(ROLE_KEYD, try_socket_inet)));
	assert_true(KILLED(run_as(ROLE_FRONT, try_socket_inet)));
	assert_true(KILLED(run_as(ROLE_AUDIT, try_socket_inet)));
	assert_true(KILLED(run_as(ROLE_CONTROL, try_socket_inet)));
	assert_true(KILLED(run_as(ROLE_KEYD, try_socket_unix)));
	assert_true(KILLED(run_as(ROLE_BACK, try_socket_unix)));
	assert_true(RETURNED(run_as(ROLE_BACK, try_socket_inet), 0));
	assert_true(RETURNED(run_as(ROLE_DNS, try_socket_inet), 0));
	assert_true(KILLED(run_as(ROLE_BACK, try_bind)));
	assert_true(KILLED(run_as(ROLE_BACK, try_accept)));
	assert_true(RETURNED(run_as(ROLE_DNS, try_bind), EPERM));
	assert_true(RETURNED(run_as(ROLE_DNS, try_socket_unix), EAFNOSUPPORT));
}

static void
only_control_and_audit_create_files_and_only_in_their_root(void **state)
{
	NEEDS_FILTER();
	struct stat sb;

	need_root();
	assert_true(RETURNED(run_as(ROLE_CONTROL, try_open_write), 0));
	assert_true(RETURNED(run_as(ROLE_AUDIT, try_open_write), 0));
	assert_int_not_equal(stat("/made", &sb), 0);
	assert_true(RETURNED(run_as(ROLE_AUDIT, try_open_passwd), ENOENT));
	assert_true(RETURNED(run_as(ROLE_CONTROL, try_open_passwd), ENOENT));
	assert_true(KILLED(run_as(ROLE_DNS, try_open_write)));
	assert_true(RETURNED(run_as(ROLE_KEYD, try_open_write), EACCES));
	assert_true(RETURNED(run_as(ROLE_FRONT, try_open_write), EACCES));
	assert_true(RETURNED(run_as(ROLE_BACK, try_open_passwd), EACCES));
}

static void
dns_reads_only_the_resolvers_files(void **state)
{
	need_root();
	assert_true(RETURNED(run_as(ROLE_DNS, try_open_passwd), 0));
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1) {
		print_message("SKIP: no Landlock\n");
		skip();
	}
	assert_true(RETURNED(run_as(ROLE_DNS, try_open_proc), EACCES));
	assert_true(RETURNED(run_as(ROLE_DNS, try_thread), 0));
}

static void
no_role_but_dns_makes_executable_memory(void **state)
{
	need_root();
	for (size_t i = 0; i < nitems(confs); i++)
		if (FILTERED && confs[i].role != ROLE_DNS)
			assert_true(RETURNED(
			    run_as(confs[i].role, try_exec_memory), EPERM));
}

/* The value of "Name:\t..." in /proc/PID/status. */
static void
status_of(pid_t pid, const char *name, char *out, size_t size)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	out[0] = '\0';
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0 &&
		    line[strlen(name)] == ':') {
			line[strcspn(line, "\n")] = '\0';
			strlcpy(out, line + strlen(name) + 2, size);
		}
	fclose(f);
}

static void
expect_status(pid_t pid, const char *name, const char *value)
{
	char got[128];

	status_of(pid, name, got, sizeof(got));
	assert_string_equal(got, value);
}

/* Confine a child, let look(pid) examine it from outside, end it. */
static void
examine(
    const struct self_conf *c, void (*second)(void), void (*look)(pid_t pid))
{
	int p[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		log_init("test", LOG_LEVEL_WARN);
		if (dup2(p[1], PARENT_FD) < 0)
			_exit(90);
		self_confine(c);
		if (second != NULL)
			second();
		if (write(PARENT_FD, "r", 1) != 1 ||
		    read(PARENT_FD, &byte, 1) != 1)
			_exit(91);
		_exit(0);
	}
	close(p[1]);
	assert_int_equal(read(p[0], &byte, 1), 1);
	look(pid);
	assert_int_equal(write(p[0], "q", 1), 1);
	close(p[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
look_powerless(pid_t pid)
{
	char text[64];

	snprintf(text, sizeof(text), "%d\t%d\t%d\t%d", UID, UID, UID, UID);
	expect_status(pid, "Uid", text);
	snprintf(text, sizeof(text), "%d\t%d\t%d\t%d", GID, GID, GID, GID);
	expect_status(pid, "Gid", text);
	expect_status(pid, "Groups", " ");
	expect_status(pid, "CapInh", "0000000000000000");
	expect_status(pid, "CapPrm", "0000000000000000");
	expect_status(pid, "CapEff", "0000000000000000");
	expect_status(pid, "CapBnd", "0000000000000000");
	expect_status(pid, "CapAmb", "0000000000000000");
	expect_status(pid, "NoNewPrivs", "1");
#ifndef BRIG_SANITIZE
	expect_status(pid, "Seccomp", "2");
#endif
	/* Not dumpable: its files below /proc are root's. */
	struct stat sb;

	snprintf(text, sizeof(text), "/proc/%d/environ", (int)pid);
	assert_int_equal(stat(text, &sb), 0);
	assert_int_equal(sb.st_uid, 0);
}

static void
every_role_has_its_ids_and_no_capability(void **state)
{
	need_root();
	for (size_t i = 0; i < nitems(confs); i++)
		examine(&confs[i], NULL, look_powerless);
}

static void
look_root_dir(pid_t pid)
{
	char path[64], got[128];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	n = readlink(path, got, sizeof(got) - 1);
	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, root_dir);
}

static void
a_root_directory_is_entered(void **state)
{
	need_root();
	examine(&confs[0], NULL, look_root_dir);
	examine(&confs[1], NULL, look_root_dir);
}

static void
look_shim(pid_t pid)
{
	expect_status(pid, "CapPrm", "0000000000000000");
	expect_status(pid, "CapEff", "0000000000000000");
	expect_status(pid, "CapBnd", "0000000000000000");
	expect_status(pid, "CapInh", "0000000000000000");
	expect_status(pid, "NoNewPrivs", "1");
	look_root_dir(pid);
}

static bool prepared;

static void
second_step(void)
{
	int fd = open(root_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct sock_fprog filter = { 0 };

	if (prepared)
		self_prepare_shim(&filter);
	self_confine_shim(fd, 65534, 65534, prepared ? &filter : NULL);
	free(filter.filter);
}

static void
shim_keeps_no_capability(void **state)
{
	static const struct self_conf c = { ROLE_SHIM, 0, 0, NULL };

	need_root();
	examine(&c, second_step, look_shim);
}

static int
shim_then_write(void)
{
	second_step();
	return try_open_write();
}

static int
shim_then_exec(void)
{
	second_step();
	return try_exec();
}

static int
shim_then_read(void)
{
	second_step();
	return try_open_passwd();
}

static void
shim_cannot_exec_or_write_files(void **state)
{
	NEEDS_FILTER();
	need_root();
	for (int i = 0; i < 2; i++) {
		prepared = i == 1;
		assert_true(KILLED(run_as(ROLE_SHIM, shim_then_write)));
		assert_true(KILLED(run_as(ROLE_SHIM, shim_then_exec)));
		assert_true(
		    RETURNED(run_as(ROLE_SHIM, shim_then_read), ENOENT));
	}
}

static void
parent_refuses_what_no_child_needs(void **state)
{
	need_root();
	if (FILTERED)
		assert_true(RETURNED(run_as(ROLE_PARENT, try_reboot_calls), 0));
	assert_true(RETURNED(run_as(ROLE_PARENT, try_child_keeps_caps), 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_role_does_plain_work),
		cmocka_unit_test(
		    names_that_a_job_stages_cannot_take_all_memory),
		cmocka_unit_test(every_role_has_its_ids_and_no_capability),
		cmocka_unit_test(a_root_directory_is_entered),
		cmocka_unit_test(no_role_can_exec_fork_ptrace_or_bpf),
		cmocka_unit_test(only_back_and_dns_have_sockets),
		cmocka_unit_test(
		    only_control_and_audit_create_files_and_only_in_their_root),
		cmocka_unit_test(dns_reads_only_the_resolvers_files),
		cmocka_unit_test(no_role_but_dns_makes_executable_memory),
		cmocka_unit_test(shim_keeps_no_capability),
		cmocka_unit_test(shim_cannot_exec_or_write_files),
		cmocka_unit_test(parent_refuses_what_no_child_needs),
	};
	int rc;

	strlcpy(root_dir, "/tmp/brig-self-XXXXXX", sizeof(root_dir));
	if (mkdtemp(root_dir) == NULL || chmod(root_dir, 0777) != 0)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	char *made = xasprintf("%s/made", root_dir);

	unlink(made);
	free(made);
	rmdir(root_dir);
	return rc;
}

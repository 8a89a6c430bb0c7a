/*
 * Exec mediation under attack: a process that does what it can to have a
 * program run that was not judged, or to hold up its judge.
 */
#include "tests/jail/trace_world.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
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

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

/* ---- threads against each other ---------------------------------------- */

static volatile int go;

static void
exec_failing(void)
{
	char no[] = "no";
	char *argv[] = { no, NULL };

	execv("/nonexistent", argv);
}

static void *
exec_true(void *arg)
{
	char name[] = "true";
	char *argv[] = { name, NULL };

	if (arg != NULL)
		exec_failing();
	__atomic_fetch_add(&go, 1, __ATOMIC_SEQ_CST);
	while (go < 5)
		sched_yield();
	execv("/bin/true", argv);
	return NULL;
}

static void *
exec_failing_for_ever(void *arg)
{
	exec_failing();
	__atomic_fetch_add(&go, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
	return NULL;
}

/*
 * EAGAIN: another thread is in an execve() (the file system context is being
 * looked at, copy_fs()); with Linux 6.1 also in one that fails at once.
 */
static void
start_thread(void *(*fn)(void *))
{
	pthread_t t;

	while (pthread_create(&t, NULL, fn, NULL) != 0)
		sched_yield();
}

/* All threads ask at once, some of which are attached to already. */
static void
threads_exec_at_once(void)
{
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (int k = 0; k < 4; k++)
				start_thread(
				    k < 2 ? exec_failing_for_ever : exec_true);
			exec_true(NULL);
			_exit(84);
		}
		waitpid(pid, NULL, 0);
	}
	_exit(0);
}

static void
threads_that_exec_at_once_do_not_hold_up_the_judge(void **state)
{
	struct world w;

	world_new(&w);
	alarm(bound(60));
	free(run(&w, NULL, threads_exec_at_once));
	alarm(0);
	assert_int_equal(WEXITSTATUS(w.status), 0);
	assert_int_equal(w.execs, 100);
	world_free(&w);
}

/* ---- ways to an exec that nobody judges -------------------------------- */

static char date[] = "date", ran[] = "+ran";
static char *date_argv[] = { date, ran, NULL };
static char *no_env[] = { NULL };

static void
exec_date(void)
{
	execve("/bin/date", date_argv, no_env);
	printf("errno %d\n", errno);
	fflush(stdout);
	_exit(90);
}

/* fn makes date run; but not where it is judged. */
static void
is_denied(void (*fn)(void), bool needs_judge)
{
	struct world w;
	char *s = run_plain(fn);

	/* The control: the way leads there. */
	assert_string_equal(s, "ran\n");
	free(s);
	world_new(&w);
	s = run(&w, NULL, fn);
	assert_null(strstr(s, "ran"));
	if (needs_judge)
		assert_string_equal(
		    s, "brig: denied by policy (t:1): no date\n");
	free(s);
	world_free(&w);
}

/* A filter of the job's own, newer than ours. */
static int
own_filter(uint32_t action, unsigned int flags)
{
	struct sock_filter insn[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execveat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { nitems(insn), insn };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static void
own_filter_allows(void)
{
	if (own_filter(SECCOMP_RET_ALLOW, 0) == 0)
		exec_date();
}

static void
own_filter_logs(void)
{
	if (own_filter(SECCOMP_RET_LOG, 0) == 0)
		exec_date();
}

static void
a_newer_filter_does_not_weaken_ours(void **state)
{
	is_denied(own_filter_allows, true);
	is_denied(own_filter_logs, true);
}

/* A child asks, its parent answers: go on. */
static void
own_listener(void)
{
	struct seccomp_notif_resp resp = { 0 };
	struct seccomp_notif req = { 0 };
	int p[2], st;
	int fd = own_filter(
	    SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);

	if (fd < 0 || pipe(p) != 0) {
		printf("listener: errno %d\n", errno);
		fflush(stdout);
		_exit(91);
	}
	if (fork() == 0)
		exec_date();
	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req) != 0)
		_exit(92);
	resp.id = req.id;
	resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp) != 0)
		_exit(93);
	wait(&st);
	_exit(0);
}

static void
a_listener_of_the_job_answers_nothing_for_ours(void **state)
{
	is_denied(own_listener, false);
}

/* The newest of equal actions counts, and this one has nobody to ask. */
static void
own_questions(void)
{
	if (own_filter(SECCOMP_RET_USER_NOTIF, 0) == 0)
		exec_date();
}

static void
own_tracer(void)
{
	if (own_filter(SECCOMP_RET_TRACE, 0) == 0)
		exec_date();
}

static void
questions_to_nobody_are_refused(void **state)
{
	void (*const fn[])(void) = { own_questions, own_tracer };

	for (size_t i = 0; i < nitems(fn); i++) {
		struct world w;

		world_new(&w);
		char *s = run(&w, NULL, fn[i]);

		assert_null(strstr(s, "ran"));
		free(s);
		world_free(&w);
	}
}

static void
without_dumping(void)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	exec_date();
}

static void
a_process_that_cannot_be_dumped_is_judged(void **state)
{
	is_denied(without_dumping, true);
}

static void
traced_by_its_parent(void)
{
	int st;
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		exec_date();
	}
	while (waitpid(pid, &st, 0) == pid && WIFSTOPPED(st))
		ptrace(PTRACE_CONT, pid, NULL, NULL);
	_exit(0);
}

static void
what_another_process_traces_does_not_exec(void **state)
{
	is_denied(traced_by_its_parent, false);
}

static void
by_descriptor(void)
{
	int fd = open("/bin/date", O_PATH | O_CLOEXEC);

	syscall(SYS_execveat, fd, "", date_argv, no_env, AT_EMPTY_PATH);
	_exit(94);
}

static void
relative_to_a_folder(void)
{
	int fd = open("/bin", O_PATH | O_DIRECTORY | O_CLOEXEC);

	syscall(SYS_execveat, fd, "date", date_argv, no_env, 0);
	_exit(94);
}

static void
by_proc(void)
{
	char path[64];
	int fd = open("/bin/date", O_PATH);

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	execve(path, date_argv, no_env);
	_exit(94);
}

static void
executions_by_descriptor_are_judged(void **state)
{
	is_denied(by_descriptor, true);
	is_denied(relative_to_a_folder, true);
	is_denied(by_proc, true);
}

static void *
quietly_exec_date(void *arg)
{
	exec_date();
	return NULL;
}

/* The leader is gone, or stopped for ever, when another thread asks. */
static void
after_its_leader(void)
{
	start_thread(quietly_exec_date);
	syscall(SYS_exit, 0);
}

static void
without_wakeups(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		exec_date();
	}
	for (int i = 0; i < 200; i++) {
		kill(pid, SIGSTOP);
		kill(pid, SIGCONT);
	}
	waitpid(pid, NULL, 0);
	_exit(0);
}

static void
leaders_that_end_and_stops_do_not_lose_a_judgement(void **state)
{
	is_denied(after_its_leader, true);
	is_denied(without_wakeups, true);
}

#ifdef __x86_64__
static void
by_int80(void)
{
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	uint32_t *argv = (uint32_t *)(void *)(low + 64);
	long rc = 11;

	if (low == MAP_FAILED)
		_exit(95);
	memcpy(low, "/bin/date", 10);
	memcpy(low + 32, "+ran", 5);
	argv[0] = (uint32_t)(uintptr_t)low;
	argv[1] = (uint32_t)(uintptr_t)low + 32;
	argv[2] = 0;
	__asm__ volatile("int $0x80"
			 : "+a"(rc)
			 : "b"(low), "c"(argv), "d"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	_exit(96);
}

static void
by_x32(void)
{
	syscall(0x40000000 | 520, "/bin/date", date_argv, no_env);
	_exit(96);
}

/* A 32-bit program: write(1, "ran\n", 4), exit(0). */
static void
by_32_bit_program(void)
{
	static const uint8_t elf[] = { 0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 2, 0, 3, 0, 1, 0, 0, 0, 0x54, 0x80, 4, 8, 52, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 52, 0, 32, 0, 1, 0, 40, 0, 0, 0,
		0, 0, /* then its one segment */
		1, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 4, 8, 0, 0x80, 4, 8, 0x7b, 0,
		0, 0, 0x7b, 0, 0, 0, 5, 0, 0, 0, 0, 0x10, 0, 0, 0xb8, 4, 0, 0,
		0, 0xbb, 1, 0, 0, 0, 0xb9, 0x77, 0x80, 4, 8, 0xba, 4, 0, 0, 0,
		0xcd, 0x80, 0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80, 0x90, 'r',
		'a', 'n', '\n' };
	int fd = memfd_create("32", MFD_CLOEXEC);

	if (fd < 0 || write(fd, elf, sizeof(elf)) != sizeof(elf))
		_exit(95);
	syscall(SYS_execveat, fd, "", date_argv, no_env, AT_EMPTY_PATH);
	_exit(96);
}

static void
a_program_for_another_machine_is_not_left_to_run(void **state)
{
	char *s = run_plain(by_32_bit_program);
	struct world w;

	if (strcmp(s, "ran\n") != 0)
		print_message("no 32-bit programs here\n");
	free(s);
	world_new(&w);
	s = run(&w, NULL, by_32_bit_program);
	assert_null(strstr(s, "ran"));
	/* 96: the kernel has no such programs. */
	assert_true(WIFEXITED(w.status) ? WEXITSTATUS(w.status) == 96
					: w.unreadable == 1);
	free(s);
	world_free(&w);
}

static void
other_ways_into_the_kernel_are_judged_or_closed(void **state)
{
	void (*const fn[])(void) = { by_int80, by_x32 };
	char *s = run_plain(by_int80);

	if (strcmp(s, "ran\n") != 0)
		print_message("no int 0x80 here\n");
	free(s);
	for (size_t i = 0; i < nitems(fn); i++) {
		struct world w;

		world_new(&w);
		s = run(&w, NULL, fn[i]);
		assert_null(strstr(s, "ran"));
		if (listening)
			assert_true(WIFSIGNALED(w.status) &&
				    WTERMSIG(w.status) == SIGSYS);
		free(s);
		world_free(&w);
	}
}
#endif

static void
ask_later(void)
{
	char byte;

	if (read(0, &byte, 1) != 1)
		_exit(97);
	exec_date();
}

static void
without_a_listener_nothing_is_executed(void **state)
{
	struct world w;
	int p[2], out, saved = dup(0);

	world_new(&w);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	dup2(p[0], 0);
	out = start(&w, NULL, ask_later);
	dup2(saved, 0);
	close(saved);
	close(p[0]);
	/* The judge is gone. */
	ptrace(PTRACE_INTERRUPT, w.pid, NULL, NULL);
	waitpid(w.pid, NULL, __WALL);
	ptrace(PTRACE_DETACH, w.pid, NULL, NULL);
	trace_free(w.t);
	w.t = NULL;
	close(w.listener);
	w.listener = -1;
	assert_int_equal(write(p[1], "g", 1), 1);
	close(p[1]);
	assert_int_equal(waitpid(w.pid, &w.status, 0), w.pid);
	char *s = output(out);

	assert_string_equal(s, "errno 38\n");
	free(s);
	close(out);
	world_free(&w);
}

/* ---- everything at once ------------------------------------------------- */

static void *
fail_then_exec_date(void *arg)
{
	exec_failing();
	return quietly_exec_date(arg);
}

/* A child that execs date, in one of many ways. */
static void
exec_somehow(unsigned int how)
{
	switch (how % 5) {
	case 0:
		exec_failing();
		exec_failing();
		break;
	case 1:
		setsid();
		break;
	case 2:
		for (int i = 0; i < 3; i++)
			start_thread(fail_then_exec_date);
		break;
	case 3:
		start_thread(fail_then_exec_date);
		syscall(SYS_exit, 0);
		break;
	case 4:
		start_thread(exec_failing_for_ever);
		break;
	}
	exec_date();
}

/* Its own function, since a vfork may clobber what is in registers. */
static pid_t
vfork_date(void)
{
	pid_t pid = (pid_t)vfork();

	if (pid == 0) {
		execve("/bin/date", date_argv, no_env);
		_exit(98);
	}
	return pid;
}

static void
storm(void)
{
	unsigned int x = (unsigned int)getpid();

	for (int i = 0; i < 3; i++)
		if (fork() == 0) {
			x = (unsigned int)getpid();
			break;
		}
	for (int i = 0; i < 150; i++) {
		pid_t pid = i % 7 == 0 ? vfork_date() : fork();

		if (pid == 0)
			exec_somehow(x >> 8);
		x = x * 1103515245 + 12345;
		/* At any moment of all that. */
		usleep((x >> 8) % 500);
		if ((x >> 16) % 3 == 0)
			kill(pid, SIGSTOP);
		if ((x >> 16) % 3 == 0)
			kill(pid, SIGCONT);
		if ((x >> 20) % 4 == 0)
			kill(pid, SIGKILL);
		/*
		 * A stop that was about to be delivered to a thread that an
		 * exec kills is sent once more by the kernel, maybe after
		 * what was to continue it.
		 */
		while (waitpid(pid, NULL, WNOHANG) == 0) {
			usleep(1000);
			kill(pid, SIGCONT);
		}
	}
	while (wait(NULL) > 0)
		continue;
	_exit(0);
}

static void
nothing_escapes_in_a_storm(void **state)
{
	struct world w;

	world_new(&w);
	char *s = run(&w, NULL, storm);

	assert_int_equal(w.status, 0);
	assert_null(strstr(s, "ran"));
	assert_true(w.denied > 200);
	assert_int_equal(w.unreadable, 0);
	free(s);
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(threads_that_exec_at_once_do_not_hold_up_the_judge),
		BOTH(a_newer_filter_does_not_weaken_ours),
		BOTH(a_listener_of_the_job_answers_nothing_for_ours),
		BOTH(questions_to_nobody_are_refused),
		BOTH(a_process_that_cannot_be_dumped_is_judged),
		BOTH(what_another_process_traces_does_not_exec),
		BOTH(executions_by_descriptor_are_judged),
		BOTH(leaders_that_end_and_stops_do_not_lose_a_judgement),
#ifdef __x86_64__
		BOTH(other_ways_into_the_kernel_are_judged_or_closed),
		BOTH(a_program_for_another_machine_is_not_left_to_run),
#endif
		BOTH(nothing_escapes_in_a_storm),
		cmocka_unit_test_setup(
		    without_a_listener_nothing_is_executed, attach_to_who_asks),
	};

	log_init("test", LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

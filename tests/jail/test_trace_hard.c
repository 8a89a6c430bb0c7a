/*
 * Exec mediation in hard cases: races, threads, execs that fail, programs
 * that wait for a verdict; and what traced programs see of each other is what
 * they would see untraced.
 */
#include "tests/jail/trace_world.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

#include "base/buf.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

/* ---- the race ---------------------------------------------------------- */

static char *volatile raced[3];
static char harmless[] = "harmless", forbidden[] = "forbidden";

static void *
flip(void *arg)
{
	for (;;) {
		raced[1] = forbidden;
		raced[1] = harmless;
	}
	return NULL;
}

/* Fewer where each takes long: make check-vm. */
static unsigned int
tries(void)
{
	const char *s = getenv("BRIG_TRIES");

	return s == NULL ? 150 : (unsigned int)strtoul(s, NULL, 10);
}

/* Try often; each try is a process whose second thread flips argv[1]. */
static void
race(void)
{
	const unsigned int n = tries();

	for (unsigned int i = 0; i < n; i++) {
		char name[] = "echo";
		pid_t pid = fork();
		pthread_t t;

		if (pid > 0) {
			waitpid(pid, NULL, 0);
			continue;
		}
		raced[0] = name;
		raced[1] = harmless;
		pthread_create(&t, NULL, flip, NULL);
		for (volatile int k = 0; k < 2000 + (int)i * 37; k++)
			continue;
		execv("/bin/echo", (char **)(uintptr_t)raced);
		_exit(84);
	}
	_exit(0);
}

static void
race_is_judged_as_it_runs(void (*fn)(void))
{
	struct world w;
	unsigned int ran = 0;

	world_new(&w);
	w.deny_arg = forbidden;
	char *s = run(&w, NULL, fn);

	assert_int_equal(WEXITSTATUS(w.status), 0);
	/* Each line is the output of echo or a refusal ("no forbidden"). */
	for (const char *p = s; *p != '\0'; p = strchr(p, '\n') + 1) {
		ran += str_starts(p, "harmless\n");
		assert_false(str_starts(p, "forbidden"));
	}
	print_message("%u ran, %u denied\n", ran, w.denied);
	assert_int_equal(ran + w.denied, tries());
	assert_true(tries() > 0);
	free(s);
	world_free(&w);
}

static void
argv_flipped_by_a_thread_is_judged_as_it_runs(void **state)
{
	race_is_judged_as_it_runs(race);
}

static void *
exec_in_thread(void *arg)
{
	char sh[] = "sh", c[] = "-c", script[] = "date; echo after";
	char *argv[] = { sh, c, script, NULL };

	execv("/bin/sh", argv);
	return NULL;
}

static void
exec_by_thread(void)
{
	pthread_t t;

	pthread_create(&t, NULL, exec_in_thread, NULL);
	pthread_join(t, NULL);
	_exit(85);
}

static void
exec_by_a_thread_stays_traced(void **state)
{
	struct world w;

	world_new(&w);
	char *s = run(&w, NULL, exec_by_thread);

	assert_string_equal(
	    s, "brig: denied by policy (t:1): no date\nafter\n");
	free(s);
	world_free(&w);
}

/* ---- hard cases -------------------------------------------------------- */

static void
an_exec_after_a_failed_one_is_judged(void **state)
{
	struct world w;

	world_new(&w);
	/* Three that fail in the same process, one that counts. */
	char *s = shell(&w, "env -i PATH=/no:/nono:/etc/passwd:/bin perl -e '"
			    "exec {\"/no/1\"} 1; exec {\"/etc/passwd\"} 2; "
			    "exec {\"/bin/date\"} \"date\"'; echo $?");

	assert_string_equal(s, "brig: denied by policy (t:1): no date\n126\n");
	assert_int_equal(w.denied, 1);
	free(s);
	world_free(&w);
}

static void *
exec_nothing(void *arg)
{
	char no[] = "no";
	char *argv[] = { no, NULL };

	execv("/nonexistent", argv);
	return NULL;
}

/* Leader and another thread have both tried before; the third succeeds. */
static void
exec_by_third_thread(void)
{
	pthread_t t;

	exec_nothing(NULL);
	pthread_create(&t, NULL, exec_nothing, NULL);
	pthread_join(t, NULL);
	exec_by_thread();
}

static void
an_exec_by_a_thread_of_many_that_tried_is_judged(void **state)
{
	struct world w;

	world_new(&w);
	char *s = run(&w, NULL, exec_by_third_thread);

	assert_string_equal(
	    s, "brig: denied by policy (t:1): no date\nafter\n");
	free(s);
	world_free(&w);
}

/* As race(), but the memory with the arguments is the parent's. */
static void
race_vfork(void)
{
	const unsigned int n = tries();
	pthread_t t;
	char name[] = "echo";

	raced[0] = name;
	raced[1] = harmless;
	pthread_create(&t, NULL, flip, NULL);
	for (unsigned int i = 0; i < n; i++) {
		pid_t pid = (pid_t)vfork();

		if (pid == 0) {
			execv("/bin/echo", (char **)(uintptr_t)raced);
			_exit(84);
		}
		waitpid(pid, NULL, 0);
	}
	_exit(0);
}

static void
argv_flipped_by_the_parent_of_a_vfork_is_judged_as_it_runs(void **state)
{
	race_is_judged_as_it_runs(race_vfork);
}

static void
a_parked_exec_holds_up_no_other(void **state)
{
	char sh[] = "sh", c[] = "-c";
	char script[] = "date +held & i=0; while [ $i -lt 500 ]; do "
			"/bin/true || echo bad; i=$((i+1)); done; "
			"echo through; wait; echo end";
	char *argv[] = { sh, c, script, NULL };
	uint64_t limit = ev_now_ms() + LIMIT_MS;
	struct world w;
	char *s;
	int out;

	world_new(&w);
	w.ask = true;
	out = start(&w, argv, NULL);
	for (;;) {
		bool through;

		ev_once(w.ev, 50);
		s = output(out);
		through = strstr(s, "through\n") != NULL;
		if (through || ev_now_ms() > limit)
			break;
		free(s);
	}
	assert_string_equal(s, "through\n");
	free(s);
	assert_true(w.execs >= 502);
	assert_int_not_equal(w.pending, 0);
	assert_int_equal(trace_resume(w.t, w.pending, TRACE_ALLOW, NULL), 0);
	spin(&w, &w.done);
	s = output(out);
	assert_string_equal(s, "through\nheld\nend\n");
	free(s);
	close(out);
	world_free(&w);
}

static void
an_exec_that_fails_half_way_harms_nobody(void **state)
{
	struct world w;

	world_new(&w);
	/* The headers are there, the segments are not. */
	char *s = shell(&w,
	    "d=$(mktemp -d) && head -c 1000 /bin/true >$d/half && "
	    "chmod +x $d/half && { $d/half; echo $?; rm -r $d; date; } "
	    "2>/dev/null; true && echo on");

	assert_non_null(strstr(s, "\non\n"));
	assert_int_equal(w.denied, 1);
	free(s);
	world_free(&w);
}

static void
chains_of_scripts_are_judged_with_the_first_name(void **state)
{
	struct world w;

	world_new(&w);
	char *s =
	    shell(&w, "d=$(mktemp -d /tmp/brig-traceXXXXXX) && "
		      "printf '#!/bin/sh\nshift 0; echo inner $2\n' >$d/a && "
		      "printf '#!%s/a x\n' $d >$d/b && chmod +x $d/a $d/b && "
		      "exec $d/b y");

	assert_true(str_starts(w.last_execfn, "/tmp/brig-trace"));
	assert_true(str_ends(w.last_execfn, "/b"));
	assert_non_null(strstr(w.last_path, "sh"));
	unlink(w.last_execfn);
	w.last_execfn[strlen(w.last_execfn) - 1] = 'a';
	unlink(w.last_execfn);
	w.last_execfn[strlen(w.last_execfn) - 2] = '\0';
	rmdir(w.last_execfn);
	free(s);
	world_free(&w);
}

/* ---- the same as without a tracer -------------------------------------- */

static volatile int chld[8];

static void
on_chld(int sig, siginfo_t *si, void *ctx)
{
	if (si->si_code > 0 && si->si_code < 8)
		chld[si->si_code]++;
}

static void
on_nothing(int sig)
{
}

static void
handle(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_flags = flags | SA_SIGINFO };

	sa.sa_sigaction = fn;
	sigaction(sig, &sa, NULL);
}

static void
show_wait(const char *what, pid_t pid, int options)
{
	siginfo_t si = { 0 };
	int rc = waitid(P_PID, (id_t)pid, &si, options);

	printf("%s: %d %d code %d status %d own %d\n", what, rc,
	    rc == 0 ? 0 : errno, si.si_code, si.si_status, si.si_pid == pid);
}

static pid_t
sleeper(void)
{
	pid_t pid = fork();

	/* A terminal's stop signals do nothing to an orphaned group, which
	 * that of the tests may be.  Whoever of the two comes first. */
	(void)setpgid(pid, pid);
	if (pid == 0) {
		execlp("sleep", "sleep", "60", NULL);
		_exit(1);
	}
	return pid;
}

/* Everything a shell or a build does to its children, and what it sees. */
static void
waits_and_signals(void)
{
	struct timespec ts = { .tv_sec = 30 };
	struct sigaction sa = { .sa_handler = on_nothing };
	siginfo_t si;
	sigset_t set;
	int st = 0, p[2];
	char byte;
	pid_t pid;

	handle(SIGCHLD, on_chld, SA_RESTART);
	pid = fork();
	if (pid == 0)
		_exit(7);
	show_wait("exit nowait", pid, WEXITED | WNOWAIT);
	printf("wait4 %d ", waitpid(pid, &st, 0) == pid);
	printf("%d\n", st);
	printf("again %d ", waitpid(pid, &st, 0));
	printf("%d\n", errno);
	pid = sleeper();
	kill(pid, SIGSTOP);
	show_wait("stop", pid, WSTOPPED);
	show_wait("none", pid, WEXITED | WNOHANG);
	kill(pid, SIGTERM);
	show_wait("still stopped", pid, WEXITED | WNOHANG);
	kill(pid, SIGCONT);
	show_wait("dies", pid, WEXITED);
	pid = sleeper();
	kill(pid, SIGTSTP);
	printf("untraced %d ", waitpid(pid, &st, WUNTRACED) == pid);
	printf("%d\n", WIFSTOPPED(st) ? WSTOPSIG(st) : -1);
	kill(pid, SIGCONT);
	printf("continued %d ", waitpid(pid, &st, WCONTINUED) == pid);
	printf("%d\n", WIFCONTINUED(st) != 0);
	kill(pid, SIGKILL);
	show_wait("killed", pid, WEXITED);
	printf("SIGCHLD %d exited %d killed, stops %d, continues %d\n",
	    chld[CLD_EXITED] > 0, chld[CLD_KILLED] > 0, chld[CLD_STOPPED] > 0,
	    chld[CLD_CONTINUED] > 0);
	/* Nobody waits for these. */
	handle(SIGCHLD, on_chld, SA_NOCLDWAIT | SA_NOCLDSTOP);
	pid = fork();
	if (pid == 0)
		_exit(0);
	printf("nocldwait %d ", waitpid(pid, &st, 0));
	printf("%d\n", errno);
	signal(SIGCHLD, SIG_DFL);
	/* An orphan of an own session goes to the next reaper. */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			setsid();
			execlp("sh", "sh", "-c", "kill -USR1 $$", NULL);
		}
		_exit(3);
	}
	printf("daemon %d ", waitpid(pid, &st, 0) == pid);
	printf("%d ", WEXITSTATUS(st));
	printf("%d ", waitpid(-1, &st, 0) > 0);
	printf("%d\n", WIFSIGNALED(st) ? WTERMSIG(st) : -1);
	/* Signals: interrupted calls, values, order, blocked over an exec. */
	sigaction(SIGALRM, &sa, NULL);
	ualarm(20000, 20000);
	printf("sleep %d ", nanosleep(&ts, NULL));
	printf("%d\n", errno);
	if (pipe(p) == 0) {
		ualarm(20000, 20000);
		printf("read %zd ", read(p[0], &byte, 1));
		printf("%d\n", errno);
	}
	ualarm(0, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 3; i++)
		sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i });
	kill(getpid(), SIGUSR2);
	for (int i = 0; i < 4; i++) {
		printf("queued %d ", sigwaitinfo(&set, &si) == SIGUSR2);
		printf("%d %d\n", si.si_code,
		    si.si_signo == SIGRTMIN ? si.si_value.sival_int : -1);
	}
	fflush(stdout);
	kill(getpid(), SIGUSR2);
	execlp("perl", "perl", "-e",
	    "use POSIX; my $s = POSIX::SigSet->new; sigpending($s); "
	    "print 'pending ', $s->ismember(SIGUSR2), \"\\n\"; "
	    "my $p = fork; if (!$p) { exec 'sh', '-c', "
	    "'kill -STOP $$; exit 5' } "
	    "waitpid($p, WUNTRACED); print \"st $?\\n\"; "
	    "kill 'CONT', $p; waitpid($p, 0); print \"st $?\\n\";",
	    NULL);
	_exit(86);
}

static void
waits_and_signals_are_as_without_a_tracer(void **state)
{
	char *plain = run_plain(waits_and_signals);
	struct world w;

	if (strstr(plain, "st 1280\n") == NULL)
		fail_msg("untraced: %s", plain);
	world_new(&w);
	char *s = run(&w, NULL, waits_and_signals);

	assert_string_equal(s, plain);
	free(s);
	free(plain);
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(argv_flipped_by_a_thread_is_judged_as_it_runs),
		BOTH(
		    argv_flipped_by_the_parent_of_a_vfork_is_judged_as_it_runs),
		BOTH(exec_by_a_thread_stays_traced),
		BOTH(an_exec_by_a_thread_of_many_that_tried_is_judged),
		BOTH(an_exec_after_a_failed_one_is_judged),
		BOTH(a_parked_exec_holds_up_no_other),
		BOTH(an_exec_that_fails_half_way_harms_nobody),
		BOTH(chains_of_scripts_are_judged_with_the_first_name),
		BOTH(waits_and_signals_are_as_without_a_tracer),
	};

	log_init("test", LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

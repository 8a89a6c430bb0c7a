/*
 * Exec mediation on plain processes: what is denied never runs, whoever
 * started it; everything else behaves as if it were not traced.  Each case
 * runs twice: attaching to who asks, and tracing everything all along.
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

static void
denied_exec_explains_itself_and_exits_126(void **state)
{
	char date[] = "date";
	char *argv[] = { date, NULL };
	struct world w;

	world_new(&w);
	char *s = run(&w, argv, NULL);

	assert_string_equal(s, "brig: denied by policy (t:1): no date\n");
	assert_true(WIFEXITED(w.status));
	assert_int_equal(WEXITSTATUS(w.status), 126);
	free(s);
	world_free(&w);
}

static void
others_run_unharmed(void **state)
{
	struct world w;

	world_new(&w);
	char *s = shell(&w, "echo a | cat; true && echo b; exit 7");

	assert_string_equal(s, "a\nb\n");
	assert_int_equal(WEXITSTATUS(w.status), 7);
	assert_int_equal(w.denied, 0);
	free(s);
	world_free(&w);
}

/* What is reported again and again would keep a processor busy. */
static void
the_tracer_rests_when_all_have_ended(void **state)
{
	struct world w;
	uint64_t begin;

	world_new(&w);
	free(shell(&w, "true"));
	for (int i = 0; i < 10; i++)
		ev_once(w.ev, 0);
	begin = ev_now_ms();
	ev_once(w.ev, 200);
	assert_true(ev_now_ms() - begin >= 190);
	world_free(&w);
}

static void
grandchildren_are_judged(void **state)
{
	static const char *const scripts[] = {
		"sh -c 'sh -c date'",
		"echo x | xargs -n1 date",
		"env -i /bin/date",
		"find / -maxdepth 0 -exec date ';'",
		"bash -c 'exec -a git date'",
		"(setsid date; true) & wait",
		"nice nohup timeout 5 date",
		"python3 -c 'import subprocess as s; s.run([\"date\"])'",
		"perl -e 'system(\"date\")'",
		"eval `echo date`",
		"date=$(date); echo \"<$date>\"",
	};

	for (size_t i = 0; i < nitems(scripts); i++) {
		struct world w;

		world_new(&w);
		char *s = shell(&w, scripts[i]);

		if (strstr(s, "denied by policy") == NULL)
			print_message("%s: %s\n", scripts[i], s);
		assert_non_null(strstr(s, "denied by policy"));
		assert_int_not_equal(w.denied, 0);
		free(s);
		world_free(&w);
	}
}

static void
other_names_of_the_same_file_are_denied(void **state)
{
	struct world w;

	world_new(&w);
	char *s = shell(&w, "d=$(mktemp -d) && ln -s /bin/date $d/git && "
			    "$d/git; rm -r $d; /bin/../bin//date");

	assert_int_equal(w.denied, 2);
	free(s);
	world_free(&w);
}

static void
scripts_show_their_own_name(void **state)
{
	struct world w;

	world_new(&w);
	char *s =
	    shell(&w, "f=$(mktemp /tmp/brig-traceXXXXXX) && "
		      "printf '#!/bin/sh\\necho hi\\n' >$f && chmod +x $f && "
		      "exec $f");

	assert_string_equal(s, "hi\n");
	assert_true(str_starts(w.last_execfn, "/tmp/brig-trace"));
	assert_non_null(strstr(w.last_path, "sh"));
	unlink(w.last_execfn);
	free(s);
	world_free(&w);
}

static void
exec_memfd(void)
{
	char arg[] = "date";
	char *argv[] = { arg, NULL };
	char *envp[] = { NULL };
	int in = open("/bin/true", O_RDONLY | O_CLOEXEC);
	int out = memfd_create("x", 0);
	char b[4096];
	ssize_t n;

	while ((n = read(in, b, sizeof(b))) > 0)
		if (write(out, b, (size_t)n) != n)
			_exit(82);
	close(in);
	fexecve(out, argv, envp);
	_exit(errno == EACCES ? 0 : 83);
}

static void
a_memfd_has_no_name(void **state)
{
	struct world w;

	world_new(&w);
	free(run(&w, NULL, exec_memfd));
	assert_int_equal(WEXITSTATUS(w.status), 0);
	if (w.execs > 0)
		assert_true(w.last_nameless);
	world_free(&w);
}

/* ---- signals, job control, asking -------------------------------------- */

static void
signals_are_delivered_unchanged(void **state)
{
	struct world w;

	world_new(&w);
	char *s = shell(&w, "trap 'echo usr1' USR1; kill -USR1 $$; "
			    "kill -TERM $$; echo not reached");

	assert_string_equal(s, "usr1\n");
	assert_true(WIFSIGNALED(w.status));
	assert_int_equal(WTERMSIG(w.status), SIGTERM);
	free(s);
	world_free(&w);
}

static void
signal_then_status(void)
{
	char text[2048], *p;
	int fd;
	ssize_t n;

	kill(getpid(), SIGWINCH);
	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = '\0';
	p = strstr(text, "\nTracerPid:\t");
	puts(p == NULL || p[12] == '0' ? "alone" : "traced");
	fflush(stdout);
	execlp("true", "true", (char *)NULL);
}

static void
a_signal_before_the_first_exec_takes_nothing_off(void **state)
{
	struct world w;

	world_new(&w);
	char *s = run(&w, NULL, signal_then_status);

	assert_string_equal(s, "traced\n");
	assert_true(WIFEXITED(w.status));
	assert_int_equal(w.execs, 1);
	free(s);
	world_free(&w);
}

static void
stop_and_continue_work(void **state)
{
	struct world w;

	world_new(&w);
	char *s = shell(&w,
	    "sleep 60 & p=$!; kill -STOP $p; "
	    "until grep -q 'State:.[tT]' /proc/$p/status; do :; done; "
	    "echo stopped; kill -CONT $p; "
	    "until grep -q 'State:.S' /proc/$p/status; do :; done; "
	    "echo runs; kill $p; wait $p 2>/dev/null; echo $?");

	assert_string_equal(s, "stopped\nruns\n143\n");
	free(s);
	world_free(&w);
}

static void
pending_exec_waits_and_is_resumed(void **state)
{
	bool held = false;
	struct world w;
	int out;
	char sh[] = "sh", c[] = "-c", script[] = "date +x; date +y; echo $?";
	char *argv[] = { sh, c, script, NULL };

	world_new(&w);
	w.ask = true;
	out = start(&w, argv, NULL);
	for (int i = 0; i < 200 && !held; i++) {
		ev_once(w.ev, 50);
		held = w.pending != 0;
	}
	assert_true(held);
	/* It does not run meanwhile. */
	for (int i = 0; i < 4; i++)
		ev_once(w.ev, 20);
	char *s = output(out);

	assert_string_equal(s, "");
	free(s);
	pid_t first = w.pending;

	assert_int_equal(trace_resume(w.t, first, TRACE_ALLOW, NULL), 0);
	assert_int_equal(trace_resume(w.t, first, TRACE_ALLOW, NULL), -1);
	for (int i = 0; i < 200 && w.pending == first; i++)
		ev_once(w.ev, 50);
	assert_int_equal(trace_resume(w.t, w.pending, TRACE_DENY, "no"), 0);
	spin(&w, &w.done);
	s = output(out);
	assert_string_equal(s, "x\nno\n126\n");
	free(s);
	close(out);
	world_free(&w);
}

static void
killed_while_pending_is_told(void **state)
{
	char date[] = "date";
	char *argv[] = { date, NULL };
	struct world w;
	int out;

	world_new(&w);
	w.ask = true;
	out = start(&w, argv, NULL);
	for (int i = 0; i < 200 && w.pending == 0; i++)
		ev_once(w.ev, 50);
	kill(w.pid, SIGKILL);
	spin(&w, &w.done);
	assert_int_equal(w.gone, 1);
	assert_int_equal(trace_resume(w.t, w.pending, TRACE_ALLOW, NULL), -1);
	close(out);
	world_free(&w);
}

static void
eight_in_parallel(void **state)
{
	struct world w;

	world_new(&w);
	char *s = shell(&w,
	    "for i in 1 2 3 4 5 6 7 8; do "
	    "(for k in 1 2 3 4 5; do date; [ $? = 126 ] || echo bad; true; "
	    "env true || echo bad; done) & done; wait; echo end");

	assert_null(strstr(s, "bad"));
	assert_non_null(strstr(s, "end\n"));
	assert_int_equal(w.denied, 40);
	free(s);
	world_free(&w);
}

static void
huge_argument_lists_are_read_or_denied(void **state)
{
	struct world w;

	world_new(&w);
	w.deny_arg = "needle";
	char *s = shell(&w, "env true $(seq 1 20000) needle; echo $?; "
			    "env true $(seq 1 20000) || echo bad");

	assert_non_null(strstr(s, "no needle"));
	assert_non_null(strstr(s, "126\n"));
	assert_null(strstr(s, "bad"));
	assert_int_equal(w.unreadable, 0);
	free(s);
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(denied_exec_explains_itself_and_exits_126),
		BOTH(others_run_unharmed),
		BOTH(the_tracer_rests_when_all_have_ended),
		BOTH(grandchildren_are_judged),
		BOTH(other_names_of_the_same_file_are_denied),
		BOTH(scripts_show_their_own_name),
		BOTH(a_memfd_has_no_name),
		BOTH(signals_are_delivered_unchanged),
		BOTH(a_signal_before_the_first_exec_takes_nothing_off),
		BOTH(stop_and_continue_work),
		BOTH(pending_exec_waits_and_is_resumed),
		BOTH(killed_while_pending_is_told),
		BOTH(eight_in_parallel),
		BOTH(huge_argument_lists_are_read_or_denied),
	};

	log_init("test", LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

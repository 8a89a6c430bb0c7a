/*
 * Exec mediation on plain processes: what is denied never runs, whoever
 * started it; everything else behaves as if it were not traced.
 */
#include "sandbox/trace.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
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

#include "base/buf.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

#define LIMIT_MS 20000

struct world {
	struct ev *ev;
	struct trace *t;
	int proc_fd;
	pid_t pid;
	int status;
	bool done;
	unsigned int execs, denied, unreadable, gone;
	pid_t pending;
	bool ask;  /* date is held instead of denied */
	dev_t dev; /* identity of date */
	ino_t ino;
	const char *deny_arg; /* deny execs with this argument */
	bool last_nameless;
	char last_execfn[256];
	char last_path[256];
	size_t last_argv0_len;
};

static enum trace_verdict
judge(const struct trace_exec *x, char *message, size_t size, void *arg)
{
	struct world *w = arg;

	w->execs++;
	w->last_nameless = x->path == NULL;
	snprintf(w->last_execfn, sizeof(w->last_execfn), "%s", x->execfn);
	snprintf(w->last_path, sizeof(w->last_path), "%s",
	    x->path == NULL ? "" : x->path);
	if (w->deny_arg != NULL)
		for (size_t i = 0; i < x->argc; i++)
			if (strcmp(x->argv[i], w->deny_arg) == 0) {
				w->denied++;
				snprintf(message, size, "no %s", w->deny_arg);
				return TRACE_DENY;
			}
	if (x->dev != w->dev || x->ino != w->ino)
		return TRACE_ALLOW;
	if (w->ask) {
		w->pending = x->pid;
		return TRACE_PENDING;
	}
	w->denied++;
	snprintf(
	    message, size, "brig: denied by policy (t:1): no %s", x->argv[0]);
	return TRACE_DENY;
}

static void
unreadable(pid_t pid, const char *why, void *arg)
{
	((struct world *)arg)->unreadable++;
}

static void
gone(pid_t pid, void *arg)
{
	struct world *w = arg;

	assert_int_equal(pid, w->pending);
	w->gone++;
}

static void
reaped(pid_t pid, int status, void *arg)
{
	struct world *w = arg;

	if (pid != w->pid)
		return;
	w->status = status;
	w->done = true;
}

static const struct trace_ops ops = { judge, unreadable, gone, reaped };

static void
world_new(struct world *w)
{
	struct stat sb;

	memset(w, 0, sizeof(*w));
	assert_int_equal(stat("/bin/date", &sb), 0);
	w->dev = sb.st_dev;
	w->ino = sb.st_ino;
	w->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(w->proc_fd >= 0);
	w->ev = ev_new();
	w->t = trace_new(w->ev, w->proc_fd, &ops, w);
}

static void
world_free(struct world *w)
{
	trace_free(w->t);
	ev_free(w->ev);
	close(w->proc_fd);
}

/*
 * Start argv (or fn) as a tracee with standard output and error going to a
 * file; the descriptor of that file.
 */
static int
start(struct world *w, char *const *argv, void (*fn)(void))
{
	struct error err;
	int go[2], out;
	char byte = 0;

	out = memfd_create("out", MFD_CLOEXEC);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		close(go[1]);
		dup2(out, 1);
		dup2(out, 2);
		if (read(go[0], &byte, 1) != 1)
			_exit(80);
		if (fn != NULL)
			fn();
		else
			execvp(argv[0], argv);
		_exit(81);
	}
	close(go[0]);
	assert_int_equal(trace_seize(w->t, w->pid, &err), 0);
	assert_int_equal(write(go[1], "g", 1), 1);
	close(go[1]);
	return out;
}

static void
spin(struct world *w, const bool *until)
{
	uint64_t end = ev_now_ms() + LIMIT_MS;

	while (!*until && ev_now_ms() < end)
		ev_once(w->ev, 100);
	assert_true(*until);
}

/* All that was written so far; caller frees. */
static char *
output(int fd)
{
	struct buf b;
	char *s;

	buf_init(&b, 0);
	assert_int_equal(fd_pread_all(fd, &b, 1 << 20), 0);
	s = xstrndup(buf_len(&b) == 0 ? "" : (char *)buf_head(&b), buf_len(&b));
	buf_free(&b);
	return s;
}

static char *
run(struct world *w, char *const *argv, void (*fn)(void))
{
	int out = start(w, argv, fn);
	char *s;

	spin(w, &w->done);
	s = output(out);
	close(out);
	return s;
}

static char *
shell(struct world *w, const char *script)
{
	char *argv[] = { xstrdup("sh"), xstrdup("-c"), xstrdup(script), NULL };
	char *s = run(w, argv, NULL);

	for (size_t i = 0; argv[i] != NULL; i++)
		free(argv[i]);
	return s;
}

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

/* Try often; each try is a process whose second thread flips argv[1]. */
static void
race(void)
{
	for (int i = 0; i < 150; i++) {
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
		for (volatile int k = 0; k < 2000 + i * 37; k++)
			continue;
		execv("/bin/echo", (char **)(uintptr_t)raced);
		_exit(84);
	}
	_exit(0);
}

static void
argv_flipped_by_a_thread_is_judged_as_it_runs(void **state)
{
	struct world w;
	unsigned int ran = 0;

	world_new(&w);
	w.deny_arg = forbidden;
	char *s = run(&w, NULL, race);

	assert_int_equal(WEXITSTATUS(w.status), 0);
	/* Each line is the output of echo or a refusal ("no forbidden"). */
	for (const char *p = s; *p != '\0'; p = strchr(p, '\n') + 1) {
		ran += str_starts(p, "harmless\n");
		assert_false(str_starts(p, "forbidden"));
	}
	print_message("%u ran, %u denied\n", ran, w.denied);
	assert_int_equal(ran + w.denied, 150);
	free(s);
	world_free(&w);
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
		cmocka_unit_test(denied_exec_explains_itself_and_exits_126),
		cmocka_unit_test(others_run_unharmed),
		cmocka_unit_test(grandchildren_are_judged),
		cmocka_unit_test(other_names_of_the_same_file_are_denied),
		cmocka_unit_test(scripts_show_their_own_name),
		cmocka_unit_test(a_memfd_has_no_name),
		cmocka_unit_test(argv_flipped_by_a_thread_is_judged_as_it_runs),
		cmocka_unit_test(exec_by_a_thread_stays_traced),
		cmocka_unit_test(signals_are_delivered_unchanged),
		cmocka_unit_test(stop_and_continue_work),
		cmocka_unit_test(pending_exec_waits_and_is_resumed),
		cmocka_unit_test(killed_while_pending_is_told),
		cmocka_unit_test(eight_in_parallel),
		cmocka_unit_test(huge_argument_lists_are_read_or_denied),
	};

	log_init("test", LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

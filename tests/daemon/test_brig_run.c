/*
 * `brig run` and `brig submit` as a user has them, with this test as the
 * daemon: what goes through the attach socket, signals, terminals.
 */
#include "tests/daemon/brig_play.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include "base/str.h"

static void
run_exits_with_the_status_of_the_job(void **state)
{
	static const struct {
		enum exit_kind kind;
		uint32_t code;
		const char *detail;
		int status;
		const char *err;
	} ends[] = {
		{ EXIT_CODE, 0, "", 0, "" },
		{ EXIT_CODE, 42, "", 42, "" },
		{ EXIT_SIGNAL, 9, "", 137, "" },
		{ EXIT_BRIG, 126, "denied by a:1", 126,
		    "brig: denied by a:1\n" },
		{ EXIT_BRIG, 127, "no such file", 127, "brig: no such file\n" },
		{ EXIT_BRIG, 125, "x\x1b[2J", 125, "brig: x\\x1b[2J\n" },
		{ EXIT_BRIG, 0, "odd", 125, "brig: odd\n" },
		{ EXIT_CODE, 256, "", 125,
		    "brig: the job did not end by itself\n" },
	};
	static const char *const args[] = { "run", "--", "true", NULL };
	struct brig b;

	(void)state;
	for (size_t i = 0; i < nitems(ends); i++) {
		cleanup_free char *out = NULL, *err = NULL;
		int sock;

		brig_start(&b, args);
		sock = brig_run_started(&b);
		brig_put_frame(sock, ATTACH_STDOUT, "hi\n", 3);
		brig_put_exit(sock, ends[i].kind, ends[i].code, ends[i].detail);
		assert_int_equal(brig_finish(&b, &out, &err), ends[i].status);
		assert_string_equal(out, "hi\n");
		assert_string_equal(err, ends[i].err);
		close(sock);
	}
}

static void
run_passes_input_and_its_end(void **state)
{
	static const char *const args[] = { "run", "cat", NULL };
	struct brig b;
	int sock;

	(void)state;
	brig_start(&b, args);
	sock = brig_run_started(&b);
	assert_int_equal(fd_write_all(b.in, "abc", 3), 0);
	cleanup_free char *s = brig_get_frame(&b, sock, ATTACH_STDIN);
	assert_string_equal(s, "abc");
	fd_close(&b.in);
	cleanup_free char *e = brig_get_frame(&b, sock, ATTACH_STDIN_EOF);
	assert_string_equal(e, "");
	brig_put_frame(sock, ATTACH_STDERR, "oops", 4);
	brig_put_exit(sock, EXIT_CODE, 3, "");
	cleanup_free char *err = NULL;
	assert_int_equal(brig_finish(&b, NULL, &err), 3);
	assert_string_equal(err, "oops");
	close(sock);
}

static void
run_forwards_signals(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP };
	static const char *const args[] = { "run", "sleep", NULL };
	struct brig b;
	int sock;

	(void)state;
	brig_start(&b, args);
	sock = brig_run_started(&b);
	/* Only then is it sure to be in its loop. */
	fd_write_all(b.in, "x", 1);
	free(brig_get_frame(&b, sock, ATTACH_STDIN));
	for (size_t i = 0; i < nitems(signals); i++) {
		cleanup_free char *s = NULL;

		kill(b.pid, signals[i]);
		s = brig_get_frame(&b, sock, ATTACH_SIGNAL);
		assert_int_equal(s[0], signals[i]);
	}
	brig_put_exit(sock, EXIT_SIGNAL, SIGTERM, "");
	assert_int_equal(brig_finish(&b, NULL, NULL), 128 + SIGTERM);
	close(sock);
}

static void
notices_are_printable_and_marked(void **state)
{
	static const char *const args[] = { "run", "x", NULL };
	static const char text[] = "ask A-1 \x1b]0;pwn\x07\r\n";
	cleanup_free char *out = NULL, *err = NULL;
	struct brig b;
	int sock;

	(void)state;
	brig_start(&b, args);
	sock = brig_run_started(&b);
	brig_put_frame(sock, ATTACH_NOTICE, text, sizeof(text) - 1);
	brig_put_exit(sock, EXIT_CODE, 0, "");
	assert_int_equal(brig_finish(&b, &out, &err), 0);
	assert_string_equal(out, "");
	assert_string_equal(err, "brig: ask A-1 \\x1b]0;pwn\\x07\\r\\n\n");
	close(sock);
}

static void
run_that_loses_its_socket_asks_what_happened(void **state)
{
	static const char *const args[] = { "run", "x", NULL };
	static const struct {
		const char *job, *err;
		int status;
		unsigned int before; /* how often it is not said yet */
	} ends[] = {
		{ "{\"job\":{\"id\":\"j-5\",\"state\":\"lost\",\"exit\":"
		  "{\"kind\":\"brig\",\"code\":125,\"detail\":\"shim died\"}}}",
		    "brig: shim died\n", 125, 0 },
		{ "{\"job\":{\"id\":\"j-5\",\"state\":\"done\",\"exit\":"
		  "{\"kind\":\"code\",\"code\":4,\"detail\":\"\"}}}",
		    "", 4, 2 },
		{ "{\"job\":{\"id\":\"j-5\",\"state\":\"running\"}}",
		    "brig: lost touch with job j-5, which is running; see "
		    "'brig logs -f j-5'\n",
		    125, 29 },
	};
	struct brig b;

	(void)state;
	for (size_t i = 0; i < nitems(ends); i++) {
		cleanup_free char *err = NULL;

		brig_start(&b, args);
		close(brig_run_started(&b));
		for (unsigned int n = 0; n < ends[i].before; n++) {
			json_decref(brig_expect(&b, "job.show"));
			brig_reply(&b,
			    "{\"job\":{\"id\":\"j-5\",\"state\":\"queued\"}}");
		}
		json_decref(brig_expect(&b, "job.show"));
		brig_reply(&b, ends[i].job);
		assert_int_equal(brig_finish(&b, NULL, &err), ends[i].status);
		assert_string_equal(err, ends[i].err);
	}
}

static void
bad_frame_ends_only_the_attachment(void **state)
{
	static const char *const args[] = { "run", "x", NULL };
	cleanup_free char *err = NULL;
	struct brig b;
	int sock;

	(void)state;
	brig_start(&b, args);
	sock = brig_run_started(&b);
	assert_int_equal(fd_write_all(sock, "\x10\xff\xff\xff\xff", 5), 0);
	assert_int_equal(brig_finish(&b, NULL, &err), 125);
	assert_string_equal(err, "brig: job j-5: a bad frame from the job; it "
				 "goes on, see 'brig show j-5'\n");
	close(sock);
}

static void
run_sends_what_was_asked_for(void **state)
{
	const char *const args[] = { "run", "-p", "coding", "-w", brig_dir,
		"--env", "A=b=c", "--env", "HOME", "--no-tty", "--", "git",
		"--json", NULL };
	cleanup_free char *real = realpath(brig_dir, NULL);
	struct brig b;
	json_t *rq;

	(void)state;
	brig_start(&b, args);
	rq = brig_expect(&b, "job.run");
	assert_int_equal(b.nfds, 2);
	assert_true((fcntl(b.fds[1], F_GETFL) & O_PATH) != 0);
	assert_string_equal(
	    json_string_value(json_object_get(rq, "profile")), "coding");
	assert_string_equal(
	    json_string_value(json_object_get(rq, "workspace")), real);
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(rq, "env"), "A")),
	    "b=c");
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(rq, "env"), "HOME")),
	    getenv("HOME"));
	assert_true(json_is_false(json_object_get(rq, "tty")));
	assert_true(json_is_false(json_object_get(rq, "detach")));
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(rq, "argv"), 1)),
	    "--json");
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(rq, "fds"), 0)),
	    "attach");
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(rq, "fds"), 1)),
	    "workspace");
	json_decref(rq);
	brig_refuse(&b, "denied");
	close(b.fds[0]);
	close(b.fds[1]);
	cleanup_free char *err = NULL;
	assert_int_equal(brig_finish(&b, NULL, &err), 125);
	assert_string_equal(err, "brig: run: because\n");
}

static void
submit_prints_the_id_and_leaves(void **state)
{
	static const char *const args[] = { "submit", "make", NULL };
	cleanup_free char *out = NULL;
	struct brig b;
	json_t *rq;

	(void)state;
	brig_start(&b, args);
	rq = brig_expect(&b, "job.run");
	assert_int_equal(b.nfds, 0);
	assert_true(json_is_true(json_object_get(rq, "detach")));
	json_decref(rq);
	brig_reply(&b, "{\"job\":\"j-12\"}");
	assert_int_equal(brig_finish(&b, &out, NULL), 0);
	assert_string_equal(out, "j-12\n");
}

/* On a terminal of its own; everything is over when it returns. */
static void
terminal_case(int signo)
{
	struct winsize ws = { .ws_row = 33, .ws_col = 101 };
	struct termios before, during, after;
	struct brig b;
	int master, slave, sock, status;
	json_t *rq;

	memset(&b, 0, sizeof(b));
	b.conn = -1;
	b.in = b.out = b.err = -1;
	buf_init(&b.rx, 0);
	assert_int_equal(openpty(&master, &slave, NULL, NULL, &ws), 0);
	assert_int_equal(tcgetattr(slave, &before), 0);
	fflush(NULL);
	b.pid = fork();
	if (b.pid == 0) {
		login_tty(slave);
		setenv("TERM", "xterm", 1);
		execl(brig_program, "brig", "run", "vi", NULL);
		_exit(99);
	}
	rq = brig_expect(&b, "job.run");
	assert_true(json_is_true(json_object_get(rq, "tty")));
	assert_int_equal(json_integer_value(json_object_get(rq, "rows")), 33);
	assert_int_equal(json_integer_value(json_object_get(rq, "cols")), 101);
	json_decref(rq);
	sock = b.fds[0];
	brig_reply(&b, "{\"job\":\"j-5\"}");
	cleanup_free char *w = brig_get_frame(&b, sock, ATTACH_WINSIZE);
	assert_memory_equal(w, "\x21\0\x65\0", 4);
	assert_int_equal(tcgetattr(slave, &during), 0);
	assert_int_equal(during.c_lflag & (tcflag_t)(ICANON | ECHO | ISIG), 0);
	/* Control characters are the job's. */
	assert_int_equal(fd_write_all(master, "\x03", 1), 0);
	cleanup_free char *s = brig_get_frame(&b, sock, ATTACH_STDIN);
	assert_string_equal(s, "\x03");
	ws.ws_row = 50;
	assert_int_equal(ioctl(master, TIOCSWINSZ, &ws), 0);
	cleanup_free char *w2 = brig_get_frame(&b, sock, ATTACH_WINSIZE);
	assert_memory_equal(w2, "\x32\0\x65\0", 4);
	if (signo == 0)
		brig_put_exit(sock, EXIT_CODE, 0, "");
	else if (signo == SIGTERM) {
		kill(b.pid, SIGTERM);
		free(brig_get_frame(&b, sock, ATTACH_SIGNAL));
		brig_put_exit(sock, EXIT_SIGNAL, SIGTERM, "");
	} else
		assert_int_equal(fd_write_all(sock, "\xff\0\0\0\0", 5), 0);
	assert_int_equal(waitpid(b.pid, &status, 0), b.pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(tcgetattr(slave, &after), 0);
	assert_int_equal(after.c_lflag, before.c_lflag);
	assert_int_equal(after.c_iflag, before.c_iflag);
	assert_int_equal(after.c_oflag, before.c_oflag);
	close(sock);
	close(b.conn);
	close(master);
	close(slave);
	buf_free(&b.rx);
}

static void
terminal_is_raw_and_restored_at_the_end(void **state)
{
	(void)state;
	terminal_case(0);
}

static void
terminal_is_restored_after_a_signal(void **state)
{
	(void)state;
	terminal_case(SIGTERM);
}

static void
terminal_is_restored_after_a_bad_frame(void **state)
{
	(void)state;
	terminal_case(-1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_exits_with_the_status_of_the_job),
		cmocka_unit_test(run_passes_input_and_its_end),
		cmocka_unit_test(run_forwards_signals),
		cmocka_unit_test(notices_are_printable_and_marked),
		cmocka_unit_test(run_that_loses_its_socket_asks_what_happened),
		cmocka_unit_test(bad_frame_ends_only_the_attachment),
		cmocka_unit_test(run_sends_what_was_asked_for),
		cmocka_unit_test(submit_prints_the_id_and_leaves),
		cmocka_unit_test(terminal_is_raw_and_restored_at_the_end),
		cmocka_unit_test(terminal_is_restored_after_a_signal),
		cmocka_unit_test(terminal_is_restored_after_a_bad_frame),
	};

	signal(SIGPIPE, SIG_IGN);
	setenv("HOME", "/home/x", 0);
	return cmocka_run_group_tests(
	    tests, brig_group_setup, brig_group_teardown);
}

/*
 * The `brig` program as a user has it, with this test as its daemon.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/attach.h"
#include "base/fdutil.h"
#include "base/proto.h"
#include "base/str.h"

#define WAIT_MS 10000

static char dir[] = "/tmp/brig-test-XXXXXX";
static char *socket_path, *program;
static int listener = -1;

struct brig {
	pid_t pid;
	int in, out, err;     /* our ends */
	int conn;             /* its connection */
	int fds[FD_PASS_MAX]; /* that came with the last request */
	size_t nfds;
	json_int_t id;
	struct buf rx; /* of the attach socket */
};

static int
group_setup(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const char *build = getenv("BRIG_BUILDDIR");

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	socket_path = xasprintf("%s/s", dir);
	program = xasprintf("%s/brig", build == NULL ? "." : build);
	strlcpy(sun.sun_path, socket_path, sizeof(sun.sun_path));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    listen(listener, 4) < 0)
		return -1;
	setenv("BRIG_SOCKET", socket_path, 1);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	unlink(socket_path);
	rmdir(dir);
	free(socket_path);
	free(program);
	return 0;
}

/* argv without argv[0], NULL-terminated, at most 15. */
static void
start(struct brig *b, const char *const *args)
{
	int in[2], out[2], err[2];
	const char *argv[17] = { program };

	memset(b, 0, sizeof(*b));
	b->conn = -1;
	buf_init(&b->rx, 0);
	for (size_t i = 0; i < 15 && args[i] != NULL; i++)
		argv[i + 1] = args[i];
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	fflush(NULL);
	b->pid = fork();
	assert_true(b->pid >= 0);
	if (b->pid == 0) {
		char *const *vec;

		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		memcpy(&vec, &(const char *const *){ argv }, sizeof(vec));
		execv(program, vec);
		_exit(99);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	b->in = in[1];
	b->out = out[0];
	b->err = err[0];
}

static void
wait_readable(int fd)
{
	struct pollfd pf = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&pf, 1, WAIT_MS), 1);
}

/* The next request, whose op must be op. */
static json_t *
expect(struct brig *b, const char *op)
{
	struct buf line;
	json_t *rq;
	char c;

	if (b->conn < 0) {
		wait_readable(listener);
		b->conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		assert_true(b->conn >= 0);
	}
	buf_init(&line, 1 << 20);
	wait_readable(b->conn);
	assert_int_equal(
	    fd_recvmsg(b->conn, &c, 1, b->fds, FD_PASS_MAX, &b->nfds), 1);
	buf_put_u8(&line, (uint8_t)c);
	while (c != '\n') {
		wait_readable(b->conn);
		assert_int_equal(read(b->conn, &c, 1), 1);
		buf_put_u8(&line, (uint8_t)c);
	}
	rq = json_loadb(
	    (char *)line.data, buf_len(&line), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(rq);
	assert_string_equal(json_string_value(json_object_get(rq, "op")), op);
	b->id = json_integer_value(json_object_get(rq, "id"));
	buf_free(&line);
	return rq;
}

static void
reply_fd(struct brig *b, const char *result, int fd)
{
	cleanup_free char *s = xasprintf("{\"id\":%lld,\"ok\":true,"
					 "\"result\":%s}\n",
	    (long long)b->id, result);

	assert_int_equal(fd_sendmsg(b->conn, s, strlen(s), &fd, fd >= 0),
	    (ssize_t)strlen(s));
}

static void
reply(struct brig *b, const char *result)
{
	reply_fd(b, result, -1);
}

static void
refuse(struct brig *b, const char *code)
{
	cleanup_free char *s =
	    xasprintf("{\"id\":%lld,\"ok\":false,"
		      "\"error\":{\"code\":\"%s\",\"message\":\"because\"}}\n",
		(long long)b->id, code);

	assert_int_equal(fd_write_all(b->conn, s, strlen(s)), 0);
}

/* Everything it wrote and its exit status. */
static int
finish(struct brig *b, char **out, char **err)
{
	int status, *fds[] = { &b->out, &b->err };
	char **dst[] = { out, err };

	fd_close(&b->in);
	for (int i = 0; i < 2; i++) {
		struct buf t;

		buf_init(&t, 0);
		fd_read_all(*fds[i], &t, 1 << 20);
		buf_put_u8(&t, 0);
		if (dst[i] != NULL)
			*dst[i] = (char *)t.data;
		else
			buf_free(&t);
		fd_close(fds[i]);
	}
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	fd_close(&b->conn);
	buf_free(&b->rx);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- attach -------------------------------------------------------------- */

/* Answer job.run; returns the attach socket. */
static int
run_started(struct brig *b)
{
	json_decref(expect(b, "job.run"));
	assert_int_equal(b->nfds, 1);
	reply(b, "{\"job\":\"j-5\"}");
	return b->fds[0];
}

static void
put_frame(int sock, enum attach_type type, const void *p, size_t n)
{
	struct buf f;

	buf_init(&f, 0);
	attach_put(&f, type, p, n);
	assert_int_equal(fd_write_all(sock, buf_head(&f), buf_len(&f)), 0);
	buf_free(&f);
}

static void
put_exit(int sock, enum exit_kind kind, uint32_t code, const char *detail)
{
	struct buf f;

	buf_init(&f, 0);
	buf_put_u8(&f, (uint8_t)kind);
	buf_put_u32(&f, code);
	buf_put_str(&f, detail);
	put_frame(sock, ATTACH_EXIT, buf_head(&f), buf_len(&f));
	buf_free(&f);
}

/* The next frame from brig must be this type; its payload as a string. */
static char *
get_frame(struct brig *b, int sock, enum attach_type want)
{
	enum attach_type type;
	const uint8_t *p;
	size_t n;
	char *s;

	while (attach_peek(&b->rx, &type, &p, &n) == 0) {
		ssize_t k;

		wait_readable(sock);
		k = read(sock, buf_reserve(&b->rx, 4096), 4096);
		assert_true(k > 0);
		buf_commit(&b->rx, (size_t)k);
	}
	assert_int_equal(type, want);
	s = xmalloc(n + 1);
	memcpy(s, p, n);
	s[n] = '\0';
	buf_consume(&b->rx, ATTACH_HEADER + n);
	return s;
}

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

		start(&b, args);
		sock = run_started(&b);
		put_frame(sock, ATTACH_STDOUT, "hi\n", 3);
		put_exit(sock, ends[i].kind, ends[i].code, ends[i].detail);
		assert_int_equal(finish(&b, &out, &err), ends[i].status);
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
	start(&b, args);
	sock = run_started(&b);
	assert_int_equal(fd_write_all(b.in, "abc", 3), 0);
	cleanup_free char *s = get_frame(&b, sock, ATTACH_STDIN);
	assert_string_equal(s, "abc");
	fd_close(&b.in);
	cleanup_free char *e = get_frame(&b, sock, ATTACH_STDIN_EOF);
	assert_string_equal(e, "");
	put_frame(sock, ATTACH_STDERR, "oops", 4);
	put_exit(sock, EXIT_CODE, 3, "");
	cleanup_free char *err = NULL;
	assert_int_equal(finish(&b, NULL, &err), 3);
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
	start(&b, args);
	sock = run_started(&b);
	/* Only then is it sure to be in its loop. */
	fd_write_all(b.in, "x", 1);
	free(get_frame(&b, sock, ATTACH_STDIN));
	for (size_t i = 0; i < nitems(signals); i++) {
		cleanup_free char *s = NULL;

		kill(b.pid, signals[i]);
		s = get_frame(&b, sock, ATTACH_SIGNAL);
		assert_int_equal(s[0], signals[i]);
	}
	put_exit(sock, EXIT_SIGNAL, SIGTERM, "");
	assert_int_equal(finish(&b, NULL, NULL), 128 + SIGTERM);
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
	start(&b, args);
	sock = run_started(&b);
	put_frame(sock, ATTACH_NOTICE, text, sizeof(text) - 1);
	put_exit(sock, EXIT_CODE, 0, "");
	assert_int_equal(finish(&b, &out, &err), 0);
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
	} ends[] = {
		{ "{\"job\":{\"id\":\"j-5\",\"state\":\"lost\",\"exit\":"
		  "{\"kind\":\"brig\",\"code\":125,\"detail\":\"shim died\"}}}",
		    "brig: shim died\n", 125 },
		{ "{\"job\":{\"id\":\"j-5\",\"state\":\"done\",\"exit\":"
		  "{\"kind\":\"code\",\"code\":4,\"detail\":\"\"}}}",
		    "", 4 },
		{ "{\"job\":{\"id\":\"j-5\",\"state\":\"running\"}}",
		    "brig: lost touch with job j-5, which is running; see "
		    "'brig logs -f j-5'\n",
		    125 },
	};
	struct brig b;

	(void)state;
	for (size_t i = 0; i < nitems(ends); i++) {
		cleanup_free char *err = NULL;

		start(&b, args);
		close(run_started(&b));
		json_decref(expect(&b, "job.show"));
		reply(&b, ends[i].job);
		assert_int_equal(finish(&b, NULL, &err), ends[i].status);
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
	start(&b, args);
	sock = run_started(&b);
	assert_int_equal(fd_write_all(sock, "\x10\xff\xff\xff\xff", 5), 0);
	assert_int_equal(finish(&b, NULL, &err), 125);
	assert_string_equal(err, "brig: job j-5: a bad frame from the job; it "
				 "goes on, see 'brig show j-5'\n");
	close(sock);
}

static void
run_sends_what_was_asked_for(void **state)
{
	const char *const args[] = { "run", "-p", "coding", "-w", dir, "--env",
		"A=b=c", "--env", "HOME", "--no-tty", "--", "git", "--json",
		NULL };
	cleanup_free char *real = realpath(dir, NULL);
	struct brig b;
	json_t *rq;

	(void)state;
	start(&b, args);
	rq = expect(&b, "job.run");
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
	refuse(&b, "denied");
	close(b.fds[0]);
	close(b.fds[1]);
	cleanup_free char *err = NULL;
	assert_int_equal(finish(&b, NULL, &err), 125);
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
	start(&b, args);
	rq = expect(&b, "job.run");
	assert_int_equal(b.nfds, 0);
	assert_true(json_is_true(json_object_get(rq, "detach")));
	json_decref(rq);
	reply(&b, "{\"job\":\"j-12\"}");
	assert_int_equal(finish(&b, &out, NULL), 0);
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
		execl(program, "brig", "run", "vi", NULL);
		_exit(99);
	}
	rq = expect(&b, "job.run");
	assert_true(json_is_true(json_object_get(rq, "tty")));
	assert_int_equal(json_integer_value(json_object_get(rq, "rows")), 33);
	assert_int_equal(json_integer_value(json_object_get(rq, "cols")), 101);
	json_decref(rq);
	sock = b.fds[0];
	reply(&b, "{\"job\":\"j-5\"}");
	cleanup_free char *w = get_frame(&b, sock, ATTACH_WINSIZE);
	assert_memory_equal(w, "\x21\0\x65\0", 4);
	assert_int_equal(tcgetattr(slave, &during), 0);
	assert_int_equal(during.c_lflag & (tcflag_t)(ICANON | ECHO | ISIG), 0);
	/* Control characters are the job's. */
	assert_int_equal(fd_write_all(master, "\x03", 1), 0);
	cleanup_free char *s = get_frame(&b, sock, ATTACH_STDIN);
	assert_string_equal(s, "\x03");
	ws.ws_row = 50;
	assert_int_equal(ioctl(master, TIOCSWINSZ, &ws), 0);
	cleanup_free char *w2 = get_frame(&b, sock, ATTACH_WINSIZE);
	assert_memory_equal(w2, "\x32\0\x65\0", 4);
	if (signo == 0)
		put_exit(sock, EXIT_CODE, 0, "");
	else if (signo == SIGTERM) {
		kill(b.pid, SIGTERM);
		free(get_frame(&b, sock, ATTACH_SIGNAL));
		put_exit(sock, EXIT_SIGNAL, SIGTERM, "");
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

/* ---- the other words ----------------------------------------------------- */

static void
secret_value_goes_in_a_sealed_memfd_only(void **state)
{
	static const char *const args[] = { "secret", "add", "github", "--host",
		"api.github.com", "--env", "GITHUB_TOKEN", NULL };
	cleanup_free char *out = NULL;
	char value[32] = { 0 };
	struct brig b;
	json_t *rq;

	(void)state;
	start(&b, args);
	assert_int_equal(fd_write_all(b.in, "ghp_secret\n\n", 12), 0);
	fd_close(&b.in);
	/* Two newlines: one is stripped, the other no header can carry. */
	assert_int_equal(finish(&b, NULL, &out), 1);
	assert_non_null(strstr(out, "control character at byte 11"));
	assert_null(strstr(out, "ghp_"));
	/* It connected before it read. */
	close(accept(listener, NULL, NULL));
	start(&b, args);
	assert_int_equal(fd_write_all(b.in, "ghp_secret\n", 11), 0);
	fd_close(&b.in);
	rq = expect(&b, "secret.add");
	assert_int_equal(b.nfds, 1);
	assert_true(fd_is_sealed(b.fds[0]));
	assert_int_equal(pread(b.fds[0], value, sizeof(value), 0), 10);
	assert_string_equal(value, "ghp_secret");
	assert_int_equal(json_integer_value(json_object_get(rq, "port")), 443);
	assert_string_equal(json_string_value(json_array_get(
				json_object_get(rq, "surfaces"), 0)),
	    "header:Authorization");
	cleanup_free char *text = json_dumps(rq, 0);
	assert_null(strstr(text, "ghp_"));
	json_decref(rq);
	reply(&b, "{\"fingerprint\":\"f1\",\"note\":\"start again\"}");
	free(out);
	cleanup_free char *err = NULL;
	assert_int_equal(finish(&b, &out, &err), 0);
	assert_string_equal(out, "github f1\n");
	assert_string_equal(err, "brig: secret github: start again\n");
	close(b.fds[0]);
}

static void
asks_print_no_raw_byte_of_an_agent(void **state)
{
	static const char *const args[] = { "asks", NULL };
	cleanup_free char *out = NULL;
	struct brig b;

	(void)state;
	start(&b, args);
	json_decref(expect(&b, "ask.list"));
	reply(&b, "{\"asks\":[{\"id\":\"A-1\",\"job\":\"j-1\",\"class\":"
		  "\"exec\",\"state\":\"pending\",\"rule\":\"a:1\",\"lines\":"
		  "[\"rm \\u001b[8m-rf\\u202e\\nA-2  pending\"]}]}");
	assert_int_equal(finish(&b, &out, NULL), 0);
	assert_non_null(
	    strstr(out, "  | rm \\x1b[8m-rf\\u{202e}\\nA-2  pending\n"));
	for (const char *p = out; *p != '\0'; p++)
		assert_true(*p == '\n' || (*p >= 0x20 && *p < 0x7f));
}

static void
wait_exits_with_the_status_of_the_job(void **state)
{
	static const char *const args[] = { "wait", "5", NULL };
	struct brig b;
	json_t *rq;

	(void)state;
	start(&b, args);
	rq = expect(&b, "job.wait");
	assert_string_equal(
	    json_string_value(json_object_get(rq, "job")), "j-5");
	json_decref(rq);
	reply(&b, "{\"job\":{\"id\":\"j-5\",\"state\":\"killed\",\"exit\":"
		  "{\"kind\":\"signal\",\"code\":15}}}");
	assert_int_equal(finish(&b, NULL, NULL), 143);
}

static void
logs_come_from_the_descriptor(void **state)
{
	static const char *const args[] = { "logs", "-f", "j-5", NULL };
	cleanup_free char *out = NULL;
	int fd = fd_memfd("log", "line\n\x1b[0m", 9);
	struct brig b;

	(void)state;
	start(&b, args);
	json_decref(expect(&b, "job.logs"));
	reply_fd(&b, "{\"job\":\"j-5\"}", fd);
	json_decref(expect(&b, "job.wait"));
	reply(&b, "{\"job\":{\"id\":\"j-5\",\"state\":\"done\"}}");
	assert_int_equal(finish(&b, &out, NULL), 0);
	/* Onto a pipe as they are. */
	assert_string_equal(out, "line\n\x1b[0m");
	close(fd);
}

static void
policy_mistakes_are_lines_of_their_own(void **state)
{
	static const char *const args[] = { "policy", "reload", NULL };
	cleanup_free char *err = NULL;
	struct brig b;
	cleanup_free char *s = NULL;

	(void)state;
	start(&b, args);
	json_decref(expect(&b, "policy.reload"));
	s = xasprintf(
	    "{\"id\":%lld,\"ok\":false,\"error\":{\"code\":"
	    "\"failed\",\"message\":\"a:1:2: bad\\n  alow\\n  ^\\n\"}}\n",
	    (long long)b.id);
	fd_write_all(b.conn, s, strlen(s));
	assert_int_equal(finish(&b, NULL, &err), 1);
	assert_true(str_starts(err, "a:1:2: bad\n  alow\n  ^\nbrig: "));
}

static void
audit_verify_tells_by_its_status(void **state)
{
	static const struct {
		const char *file;
		int status;
	} files[] = { { "two", 0 }, { "edited", 1 }, { "torn", 2 },
		{ "missing", 3 } };
	const char *src = getenv("BRIG_SRCDIR");
	struct brig b;

	(void)state;
	for (size_t i = 0; i < nitems(files); i++) {
		cleanup_free char *out = NULL;
		cleanup_free char *path = xasprintf("%s/tests/fuzz/corpus/"
						    "audit_verify/%s",
		    src == NULL ? "." : src, files[i].file);
		const char *const args[] = { "audit", "verify", "--file", path,
			NULL };

		start(&b, args);
		assert_int_equal(finish(&b, &out, NULL), files[i].status);
		if (files[i].status == 1)
			assert_non_null(
			    strstr(out, "first bad record 1 at byte 0"));
	}
}

static void
argument_errors_are_one_line_that_helps(void **state)
{
	static const struct {
		const char *args[8];
		int status;
	} bad[] = {
		{ { "frob" }, 64 },
		{ { "--frob", "ps" }, 64 },
		{ { "ps", "extra" }, 64 },
		{ { "ps", "-x" }, 64 },
		{ { "run" }, 125 },
		{ { "run", "-p" }, 125 },
		{ { "run", "-p", "a b", "x" }, 125 },
		{ { "run", "--env", "1x=2", "x" }, 125 },
		{ { "run", "-w", "/nonexistent", "x" }, 125 },
		{ { "run", "\xff" }, 125 },
		{ { "show" }, 64 },
		{ { "show", "j-1", "j-2" }, 64 },
		{ { "kill", "-s", "9x9", "j-1" }, 64 },
		{ { "kill" }, 64 },
		{ { "wait", "x" }, 125 },
		{ { "approve", "j-1" }, 64 },
		{ { "secret" }, 64 },
		{ { "secret", "add", "x" }, 64 },
		{ { "secret", "add", "x", "--host", "a:b:c" }, 64 },
		{ { "secret", "add", "x", "--host", "a", "--surface", "q" },
		    64 },
		{ { "secret", "add", "x", "--host", "a", "value" }, 64 },
		{ { "secret", "rotate", "a b" }, 64 },
		{ { "audit" }, 64 },
		{ { "audit", "tail", "-n", "many" }, 64 },
		{ { "audit", "verify", "--expect-head", "x" }, 64 },
	};
	struct brig b;

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		cleanup_free char *out = NULL, *err = NULL;
		int status;

		start(&b, bad[i].args);
		status = finish(&b, &out, &err);
		if (status != bad[i].status)
			fail_msg("brig %s %s: exit %d", bad[i].args[0],
			    bad[i].args[1], status);
		assert_string_equal(out, "");
		assert_true(str_starts(err, "brig: "));
		assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1);
	}
	/* One of them went as far as to connect. */
	close(accept(listener, NULL, NULL));
}

static void
every_command_has_help(void **state)
{
	static const char *const names[] = { "run", "submit", "ps", "show",
		"logs", "wait", "kill", "asks", "approve", "deny", "secret",
		"audit", "status" };
	struct brig b;

	(void)state;
	for (size_t i = 0; i < nitems(names); i++) {
		const char *const args[] = { names[i], "--help", NULL };
		cleanup_free char *out = NULL, *err = NULL;

		start(&b, args);
		assert_int_equal(finish(&b, &out, &err), 0);
		assert_true(str_starts(out, "usage: brig "));
		assert_string_equal(err, "");
	}
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
		cmocka_unit_test(secret_value_goes_in_a_sealed_memfd_only),
		cmocka_unit_test(asks_print_no_raw_byte_of_an_agent),
		cmocka_unit_test(wait_exits_with_the_status_of_the_job),
		cmocka_unit_test(logs_come_from_the_descriptor),
		cmocka_unit_test(policy_mistakes_are_lines_of_their_own),
		cmocka_unit_test(audit_verify_tells_by_its_status),
		cmocka_unit_test(argument_errors_are_one_line_that_helps),
		cmocka_unit_test(every_command_has_help),
	};

	signal(SIGPIPE, SIG_IGN);
	setenv("HOME", "/home/x", 0);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

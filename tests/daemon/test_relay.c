/*
 * The relay between a job and its clients, with pipes or a terminal as the
 * job and sockets as clients.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attach.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/shim_relay.h"
#include "daemon/shim_ring.h"

/* ---- the relay --------------------------------------------------------- */

struct box {
	struct ev *ev;
	struct relay *r;
	int in, out, err; /* the job's ends */
	int first;        /* the client that started it */
	int signo;
	unsigned int gone, ended, cuts, finished;
	bool attended;
	struct outlog log;
};

static void
on_signal(int signo, void *arg)
{
	((struct box *)arg)->signo = signo;
}

static void
on_gone(void *arg)
{
	((struct box *)arg)->gone++;
}

static void
on_attended(void *arg)
{
	struct box *b = arg;

	b->attended = relay_attached(b->r);
}

static void
on_output_cut(const struct outlog *l, void *arg)
{
	struct box *b = arg;

	assert_int_equal(b->ended, 0);
	assert_true(l->full);
	b->cuts++;
}

static void
on_output_end(const struct outlog *l, void *arg)
{
	struct box *b = arg;

	b->ended++;
	b->log = *l;
}

static void
on_finished(void *arg)
{
	((struct box *)arg)->finished++;
}

static const struct relay_ops ops = { on_signal, on_gone, on_attended,
	on_output_cut, on_output_end, on_finished };

static int
nonblocking(int fd)
{
	assert_int_equal(fd_nonblock(fd), 0);
	return fd;
}

static int
client_pair(int *mine)
{
	int sv[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	*mine = nonblocking(sv[0]);
	return sv[1];
}

static void
box_open_log(struct box *b, bool tty, bool first, int log_fd, uint64_t limit)
{
	struct relay_conf c = { .client_fd = -1,
		.uid = 1000,
		.log_fd = log_fd,
		.timing_fd = -1,
		.log_limit = limit,
		.err_fd = -1,
		.tty = tty,
		.rows = 24,
		.cols = 80 };
	struct winsize ws = { .ws_row = 24, .ws_col = 80 };
	int p[2], master;

	*b = (struct box){ .in = -1, .out = -1, .err = -1, .first = -1 };
	b->ev = ev_new();
	if (first)
		c.client_fd = client_pair(&b->first);
	if (tty) {
		assert_int_equal(openpty(&master, &b->out, NULL, NULL, &ws), 0);
		c.in_fd = c.out_fd = nonblocking(master);
		b->in = nonblocking(dup(b->out));
	} else {
		assert_int_equal(pipe2(p, O_CLOEXEC), 0);
		b->in = nonblocking(p[0]);
		c.in_fd = nonblocking(p[1]);
		assert_int_equal(pipe2(p, O_CLOEXEC), 0);
		b->out = p[1];
		c.out_fd = nonblocking(p[0]);
		assert_int_equal(pipe2(p, O_CLOEXEC), 0);
		b->err = p[1];
		c.err_fd = nonblocking(p[0]);
	}
	b->r = relay_new(b->ev, &c, &ops, b);
}

static void
box_open(struct box *b, bool tty, bool first)
{
	box_open_log(b, tty, first, -1, 0);
}

static void
box_close(struct box *b)
{
	relay_free(b->r);
	ev_once(b->ev, 0);
	ev_free(b->ev);
	fd_close(&b->in);
	fd_close(&b->out);
	fd_close(&b->err);
	fd_close(&b->first);
}

static void
turn(struct box *b)
{
	for (int i = 0; i < 20; i++)
		ev_once(b->ev, 0);
}

/* Come to the job; the client's end. */
static int
attach(struct box *b, bool read_only)
{
	int mine;

	relay_attach(b->r, client_pair(&mine), 1000, read_only);
	turn(b);
	return mine;
}

static void
put(int sock, enum attach_type type, const void *p, size_t n)
{
	cleanup_buf struct buf b = { 0 };

	attach_put(&b, type, p, n);
	assert_int_equal(
	    send(sock, buf_head(&b), buf_len(&b), MSG_NOSIGNAL), buf_len(&b));
}

/*
 * Read what is there as text: "o:hello e:oops L " and so on, one word a
 * frame, neighbours of one kind joined.  True at the end of the stream.
 */
static bool
frames(int sock, struct buf *rx, struct buf *text)
{
	static const struct {
		enum attach_type type;
		char c;
	} names[] = { { ATTACH_STDOUT, 'o' }, { ATTACH_STDERR, 'e' },
		{ ATTACH_NOTICE, 'N' }, { ATTACH_EXIT, 'X' },
		{ ATTACH_HELLO, 'H' }, { ATTACH_LIVE, 'L' },
		{ ATTACH_BYE, 'B' } };
	enum attach_type type;
	const uint8_t *p;
	bool end = false;
	char last = '\0';
	size_t n;

	for (;;) {
		ssize_t k = recv(sock, buf_reserve(rx, 65536), 65536, 0);

		if (k <= 0) {
			end = k == 0 || errno != EAGAIN;
			break;
		}
		buf_commit(rx, (size_t)k);
	}
	while (attach_peek(rx, &type, &p, &n) == 1) {
		for (size_t i = 0; i < nitems(names); i++) {
			if (names[i].type != type)
				continue;
			if (names[i].c != last)
				buf_printf(text,
				    "%s%c:", last == '\0' ? "" : " ",
				    names[i].c);
			last = names[i].c;
		}
		if (type == ATTACH_STDOUT || type == ATTACH_STDERR ||
		    type == ATTACH_BYE || type == ATTACH_NOTICE)
			buf_put(text, p, n);
		buf_consume(rx, ATTACH_HEADER + n);
	}
	return end;
}

/* The same of all that is there, as a string. */
static void
assert_frames(int sock, const char *want)
{
	struct buf rx, text;

	buf_init(&rx, 0);
	buf_init(&text, 0);
	frames(sock, &rx, &text);
	assert_int_equal(buf_len(&rx), 0);
	buf_put_u8(&text, '\0');
	assert_string_equal((char *)buf_head(&text), want);
	buf_free(&rx);
	buf_free(&text);
}

static bool
is_closed(int sock)
{
	struct buf rx, text;
	bool end;

	buf_init(&rx, 0);
	buf_init(&text, 0);
	end = frames(sock, &rx, &text);
	buf_free(&rx);
	buf_free(&text);
	return end;
}

static void
say(const struct box *b, int fd, const char *s)
{
	(void)b;
	assert_int_equal(fd_write_all(fd, s, strlen(s)), 0);
}

/* What the job reads; "" if nothing. */
static const char *
heard(const struct box *b)
{
	static char s[256];
	ssize_t n = read(b->in, s, sizeof(s) - 1);

	s[n > 0 ? n : 0] = '\0';
	return s;
}

static void
watcher_gets_the_past_and_then_the_present(void **state)
{
	struct box b;
	int w;

	(void)state;
	box_open(&b, false, true);
	say(&b, b.out, "one");
	turn(&b);
	say(&b, b.err, "two");
	turn(&b);
	w = attach(&b, true);
	assert_frames(w, "H: o:one e:two L:");
	say(&b, b.out, "three");
	turn(&b);
	assert_frames(w, "o:three");
	assert_frames(b.first, "o:one e:two o:three");
	relay_finish(b.r, EXIT_CODE, 3, "");
	turn(&b);
	assert_frames(w, "X:");
	assert_frames(b.first, "X:");
	assert_int_equal(b.finished, 1);
	assert_int_equal(b.ended, 1);
	assert_int_equal(b.gone, 0);
	close(w);
	box_close(&b);
}

static void
last_words_go_to_everybody(void **state)
{
	struct box b;
	int w;

	(void)state;
	box_open(&b, false, true);
	w = attach(&b, true);
	say(&b, b.out, "last");
	relay_finish(b.r, EXIT_CODE, 0, "");
	turn(&b);
	assert_frames(w, "H: L: o:last X:");
	assert_frames(b.first, "o:last X:");
	close(w);
	box_close(&b);
}

static void
first_client_that_vanishes_hangs_up(void **state)
{
	struct box b;

	(void)state;
	box_open(&b, false, true);
	assert_true(relay_attached(b.r));
	fd_close(&b.first);
	turn(&b);
	assert_int_equal(b.gone, 1);
	assert_false(b.attended);
	assert_false(relay_attached(b.r));
	/* Its input has ended. */
	char c;
	assert_int_equal(read(b.in, &c, 1), 0);
	box_close(&b);
}

static void
first_client_that_detaches_does_not(void **state)
{
	struct box b;
	char c;

	(void)state;
	box_open(&b, false, true);
	put(b.first, ATTACH_DETACH, NULL, 0);
	turn(&b);
	assert_int_equal(b.gone, 0);
	assert_true(is_closed(b.first));
	assert_int_equal(read(b.in, &c, 1), 0);
	say(&b, b.out, "still");
	turn(&b);
	int w = attach(&b, false);
	assert_frames(w, "H: o:still L:");
	assert_true(b.attended);
	close(w);
	turn(&b);
	assert_int_equal(b.gone, 0);
	assert_false(b.attended);
	box_close(&b);
}

static void
detaching_behind_much_input_is_heard(void **state)
{
	cleanup_free char *much = xcalloc(ATTACH_MAX, 1);
	struct box b;

	(void)state;
	box_open(&b, false, true);
	/* The job reads none of it: the relay stops reading the client. */
	for (int i = 0; i < 5; i++) {
		put(b.first, ATTACH_STDIN, much, ATTACH_MAX);
		turn(&b);
	}
	put(b.first, ATTACH_DETACH, NULL, 0);
	fd_close(&b.first);
	turn(&b);
	assert_int_equal(b.gone, 0);
	assert_false(relay_attached(b.r));
	box_close(&b);
}

static void
typing_on_a_terminal_is_for_writers_alone(void **state)
{
	struct box b;
	int w, ro;

	(void)state;
	box_open(&b, true, false);
	w = attach(&b, false);
	ro = attach(&b, true);
	put(w, ATTACH_STDIN, "ls\n", 3);
	turn(&b);
	assert_string_equal(heard(&b), "ls\n");
	put(ro, ATTACH_STDIN, "rm\n", 3);
	turn(&b);
	assert_string_equal(heard(&b), "");
	assert_true(is_closed(ro));
	assert_false(is_closed(w));
	assert_int_equal(b.gone, 0);
	close(w);
	close(ro);
	box_close(&b);
}

static void
read_only_client_may_nothing_but_leave(void **state)
{
	static const struct {
		enum attach_type type;
		const char *p;
		size_t n;
	} tries[] = { { ATTACH_STDIN, "x", 1 }, { ATTACH_STDIN_EOF, "", 0 },
		{ ATTACH_WINSIZE, "\1\0\1\0", 4 }, { ATTACH_SIGNAL, "\2", 1 } };
	struct winsize ws;
	struct box b;

	(void)state;
	box_open(&b, true, false);
	for (size_t i = 0; i < nitems(tries); i++) {
		int ro = attach(&b, true);

		put(ro, tries[i].type, tries[i].p, tries[i].n);
		turn(&b);
		assert_true(is_closed(ro));
		close(ro);
	}
	assert_int_equal(b.signo, 0);
	assert_string_equal(heard(&b), "");
	assert_int_equal(ioctl(b.out, TIOCGWINSZ, &ws), 0);
	assert_int_equal(ws.ws_row, 24);
	box_close(&b);
}

static void
input_of_pipes_is_the_first_clients(void **state)
{
	struct box b;
	int w;

	(void)state;
	box_open(&b, false, true);
	w = attach(&b, false);
	put(w, ATTACH_STDIN, "no", 2);
	put(w, ATTACH_STDIN_EOF, NULL, 0);
	turn(&b);
	put(b.first, ATTACH_STDIN, "yes", 3);
	turn(&b);
	assert_string_equal(heard(&b), "yes");
	assert_false(is_closed(w));
	close(w);
	box_close(&b);
}

static void
window_is_that_of_who_said_so_last(void **state)
{
	struct winsize ws;
	struct box b;
	int w1, w2;

	(void)state;
	box_open(&b, true, false);
	w1 = attach(&b, false);
	w2 = attach(&b, false);
	put(w1, ATTACH_WINSIZE, "\x21\0\x65\0", 4);
	turn(&b);
	put(w2, ATTACH_WINSIZE, "\x0a\0\x14\0", 4);
	turn(&b);
	assert_int_equal(ioctl(b.out, TIOCGWINSZ, &ws), 0);
	assert_int_equal(ws.ws_row, 10);
	assert_int_equal(ws.ws_col, 20);
	/* The size as it is, from one who is new: painted again. */
	close(w1);
	w1 = attach(&b, false);
	put(w1, ATTACH_WINSIZE, "\x0a\0\x14\0", 4);
	turn(&b);
	assert_int_equal(ioctl(b.out, TIOCGWINSZ, &ws), 0);
	assert_int_equal(ws.ws_row, 9);
	while (ws.ws_row != 10) {
		ev_once(b.ev, 100);
		assert_int_equal(ioctl(b.out, TIOCGWINSZ, &ws), 0);
	}
	/* It leaves: that of those who are still here. */
	put(w1, ATTACH_WINSIZE, "\x21\0\x65\0", 4);
	turn(&b);
	close(w1);
	turn(&b);
	assert_int_equal(ioctl(b.out, TIOCGWINSZ, &ws), 0);
	assert_int_equal(ws.ws_row, 10);
	assert_int_equal(ws.ws_col, 20);
	close(w2);
	box_close(&b);
}

static void
bad_frames_end_their_attachment_only(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {
		{ "\x63\0\0\0\0", 5 },       /* no such type */
		{ "\1\xff\xff\xff\xff", 5 }, /* too long */
		{ "\x10\1\0\0\0x", 6 },      /* as the job's output */
		{ "\x13\0\0\0\0", 5 },       /* as its end */
		{ "\2\1\0\0\0x", 6 },        /* EOF with a byte */
		{ "\3\2\0\0\0xx", 7 },       /* half a size */
		{ "\4\1\0\0\0\x13", 6 },     /* SIGSTOP */
		{ "\4\2\0\0\0\2\2", 7 },     /* two signals */
		{ "\5\1\0\0\0x", 6 },        /* detach with a byte */
	};
	struct box b;
	int other;

	(void)state;
	box_open(&b, true, false);
	other = attach(&b, false);
	for (size_t i = 0; i < nitems(bad); i++) {
		int w = attach(&b, false);

		assert_int_equal(
		    send(w, bad[i].p, bad[i].n, MSG_NOSIGNAL), bad[i].n);
		turn(&b);
		assert_true(is_closed(w));
		close(w);
	}
	assert_int_equal(b.signo, 0);
	assert_int_equal(b.gone, 0);
	put(other, ATTACH_SIGNAL, "\2", 1);
	turn(&b);
	assert_int_equal(b.signo, SIGINT);
	close(other);
	box_close(&b);
}

/* The job prints n bytes; true when all of it was taken. */
static bool
print_much(struct box *b, size_t n)
{
	cleanup_free char *chunk = xcalloc(32768, 1);
	size_t done = 0;

	nonblocking(b->out);
	for (int idle = 0; done < n && idle < 50;) {
		ssize_t k =
		    write(b->out, chunk, n - done < 32768 ? n - done : 32768);

		idle = k > 0 ? 0 : idle + 1;
		done += k > 0 ? (size_t)k : 0;
		turn(b);
	}
	return done == n;
}

static void
watcher_that_does_not_read_is_sent_away(void **state)
{
	struct buf rx, text;
	struct box b;
	int slow, quick;

	(void)state;
	box_open(&b, false, false);
	slow = attach(&b, true);
	/* The job is not held up. */
	assert_true(print_much(&b, 8 * RING_MAX));
	quick = attach(&b, true);
	buf_init(&rx, 0);
	buf_init(&text, 0);
	for (int i = 0; i < 200; i++) {
		frames(quick, &rx, &text);
		turn(&b);
	}
	/* All that is kept. */
	assert_true(buf_len(&text) > RING_MAX);
	buf_clear(&rx);
	buf_clear(&text);
	for (int i = 0; i < 200 && !frames(slow, &rx, &text); i++)
		turn(&b);
	buf_put_u8(&text, '\0');
	assert_non_null(memmem(
	    buf_head(&text), buf_len(&text), "faster than you read", 20));
	assert_true(is_closed(slow));
	assert_false(is_closed(quick));
	buf_free(&rx);
	buf_free(&text);
	close(slow);
	close(quick);
	box_close(&b);
}

static void
first_client_that_does_not_read_holds_the_job(void **state)
{
	struct buf rx, text;
	struct box b;

	(void)state;
	box_open(&b, false, true);
	assert_false(print_much(&b, 4 * RING_MAX));
	assert_false(is_closed(b.first));
	buf_init(&rx, 0);
	buf_init(&text, 0);
	for (int i = 0; i < 200; i++) {
		frames(b.first, &rx, &text);
		turn(&b);
	}
	assert_true(print_much(&b, 1000));
	buf_free(&rx);
	buf_free(&text);
	box_close(&b);
}

static void
number_of_watchers_is_bounded(void **state)
{
	int w[3 * RELAY_WATCHERS_MAX];
	struct box b;

	(void)state;
	box_open(&b, true, true);
	for (size_t i = 0; i < nitems(w); i++)
		w[i] = attach(&b, true);
	for (size_t i = 0; i < nitems(w); i++) {
		if (i < RELAY_WATCHERS_MAX)
			assert_frames(w[i], "H: L:");
		else
			assert_true(is_closed(w[i]));
		close(w[i]);
	}
	turn(&b);
	w[0] = attach(&b, true);
	assert_frames(w[0], "H: L:");
	close(w[0]);
	box_close(&b);
}

static void
others_are_told_of_a_stranger(void **state)
{
	struct box b;
	int mine;

	(void)state;
	box_open(&b, true, true);
	relay_attach(b.r, client_pair(&mine), 0, true);
	turn(&b);
	assert_frames(b.first, "N:uid 0 is attached to this job, read-only");
	close(mine);
	box_close(&b);
}

static void
end_of_the_job_waits_briefly_for_who_does_not_read(void **state)
{
	struct box b;
	int slow;

	(void)state;
	box_open(&b, false, false);
	assert_true(print_much(&b, RING_MAX));
	slow = attach(&b, true);
	uint64_t begin = ev_now_ms();
	relay_finish(b.r, EXIT_CODE, 0, "");
	while (b.finished == 0)
		ev_once(b.ev, 100);
	assert_in_range(ev_now_ms() - begin, 500, RELAY_WATCH_LINGER_MS + 1000);
	close(slow);
	box_close(&b);
}

static void
log_stops_at_its_limit_and_counts(void **state)
{
	char path[] = "/tmp/test_relay_XXXXXX";
	int fd = mkstemp(path);
	cleanup_buf struct buf got = { 0 };
	struct box b;

	(void)state;
	assert_true(fd >= 0);
	box_open_log(&b, false, false, dup(fd), 10);
	say(&b, b.out, "12345678");
	turn(&b);
	say(&b, b.out, "abcdefgh");
	turn(&b);
	say(&b, b.out, "more");
	turn(&b);
	relay_finish(b.r, EXIT_CODE, 0, "");
	assert_true(b.log.full);
	assert_int_equal(b.cuts, 1);
	assert_int_equal(b.log.kept, 10);
	assert_int_equal(b.log.dropped, 10);
	assert_int_equal(fd_pread_all(fd, &got, 4096), 0);
	buf_put_u8(&got, '\0');
	assert_string_equal((char *)buf_head(&got),
	    "12345678ab\n[brig: output limit reached, the rest is not "
	    "kept]\n");
	unlink(path);
	close(fd);
	box_close(&b);
}

static void
log_on_a_full_disk_does_not_stop_the_job(void **state)
{
	struct box b;
	int w;

	(void)state;
	box_open_log(
	    &b, false, false, open("/dev/full", O_WRONLY | O_CLOEXEC), 0);
	w = attach(&b, true);
	say(&b, b.out, "x");
	turn(&b);
	say(&b, b.out, "y");
	turn(&b);
	assert_frames(w, "H: L: o:xy");
	relay_finish(b.r, EXIT_CODE, 0, "");
	assert_true(b.log.full);
	assert_int_equal(b.log.dropped, 2);
	assert_string_equal(b.log.why, "no space left for output");
	close(w);
	box_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watcher_gets_the_past_and_then_the_present),
		cmocka_unit_test(last_words_go_to_everybody),
		cmocka_unit_test(first_client_that_vanishes_hangs_up),
		cmocka_unit_test(first_client_that_detaches_does_not),
		cmocka_unit_test(detaching_behind_much_input_is_heard),
		cmocka_unit_test(typing_on_a_terminal_is_for_writers_alone),
		cmocka_unit_test(read_only_client_may_nothing_but_leave),
		cmocka_unit_test(input_of_pipes_is_the_first_clients),
		cmocka_unit_test(window_is_that_of_who_said_so_last),
		cmocka_unit_test(bad_frames_end_their_attachment_only),
		cmocka_unit_test(watcher_that_does_not_read_is_sent_away),
		cmocka_unit_test(first_client_that_does_not_read_holds_the_job),
		cmocka_unit_test(number_of_watchers_is_bounded),
		cmocka_unit_test(others_are_told_of_a_stranger),
		cmocka_unit_test(
		    end_of_the_job_waits_briefly_for_who_does_not_read),
		cmocka_unit_test(log_stops_at_its_limit_and_counts),
		cmocka_unit_test(log_on_a_full_disk_does_not_stop_the_job),
	};

	signal(SIGPIPE, SIG_IGN);
	log_init("test_relay", LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

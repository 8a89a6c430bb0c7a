/*
 * HTTP on one connection: a client at the other end of a socket pair.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "inferd/conn.h"

#define BODY_MAX 1000u
#define ROUNDS 200

struct side {
	struct ev *ev;
	struct conn *c;
	int fd; /* the client's end */
	struct buf got;
	unsigned requests, closed;
	bool hold;   /* answer later */
	bool refuse; /* every head */
	size_t room;
	char name[CONN_NAME_MAX + 1];
	char target[64], method[16];
	struct buf body;
};

static int
on_name(struct conn *c, const char *name, void *arg)
{
	struct side *s = arg;

	(void)c;
	if (strcmp(name, "nobody") == 0)
		return -1;
	strlcpy(s->name, name, sizeof(s->name));
	return 0;
}

static unsigned
on_head(
    struct conn *c, const struct conn_request *r, const char **why, void *arg)
{
	struct side *s = arg;

	(void)c;
	(void)r;
	*why = "not here";
	return s->refuse ? 403 : 0;
}

static bool
on_room(struct conn *c, size_t n, void *arg)
{
	struct side *s = arg;

	(void)c;
	if (n > s->room)
		return false;
	s->room -= n;
	return true;
}

static void
on_request(struct conn *c, const struct conn_request *r, void *arg)
{
	struct side *s = arg;

	s->requests++;
	strlcpy(s->target, r->target, sizeof(s->target));
	strlcpy(s->method, r->method, sizeof(s->method));
	buf_clear(&s->body);
	buf_put(&s->body, r->body, r->n);
	if (!s->hold)
		conn_reply(c, 200, NULL, "hello", 5);
}

static void
on_error(struct conn *c, const struct conn_request *r, unsigned status,
    const char *why, struct buf *out, void *arg)
{
	(void)c;
	(void)arg;
	buf_printf(out, "%u %s%s", status, why, r == NULL ? "" : " (known)");
}

static void
on_closed(struct conn *c, void *arg)
{
	struct side *s = arg;

	(void)c;
	s->closed++;
	s->c = NULL;
}

static const struct conn_ops ops = { on_name, on_head, on_room, on_request,
	on_error, on_closed };

static void
begin_as(struct side *s, bool may_name)
{
	int fds[2];

	memset(s, 0, sizeof(*s));
	s->ev = ev_new();
	assert_int_equal(fd_socketpair(fds), 0);
	s->fd = fds[0];
	s->room = BODY_MAX * 10;
	s->c = conn_new(s->ev, fds[1], may_name, BODY_MAX, &ops, s);
}

static void
begin(struct side *s)
{
	begin_as(s, false);
}

/* Rounds until nothing happens; what the client gets is collected. */
static void
settle(struct side *s)
{
	char b[65536];
	ssize_t n;

	for (int i = 0; i < ROUNDS; i++)
		ev_once(s->ev, 0);
	while (s->fd >= 0 && (n = recv(s->fd, b, sizeof(b), 0)) > 0) {
		buf_put(&s->got, b, (size_t)n);
		ev_once(s->ev, 0);
	}
}

static void
end(struct side *s)
{
	conn_close(s->c);
	fd_close(&s->fd);
	ev_once(s->ev, 0);
	assert_int_equal(s->closed, 1);
	ev_free(s->ev);
	buf_free(&s->got);
	buf_free(&s->body);
}

static void
say(struct side *s, const char *text)
{
	size_t n = strlen(text);

	assert_int_equal(send(s->fd, text, n, MSG_NOSIGNAL), n);
	settle(s);
}

static const char *
got(struct side *s)
{
	static char text[65536];
	size_t n = buf_len(&s->got);

	assert_true(n < sizeof(text));
	if (n > 0)
		memcpy(text, buf_head(&s->got), n);
	text[n] = '\0';
	return text;
}

static unsigned
times(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what)) != NULL) {
		n++;
		text++;
	}
	return n;
}

/* Longer than any name, all together. */
#define A40 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define GET "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST "POST /a HTTP/1.1\r\nHost: x\r\n"

static void
connections_are_kept(void **state)
{
	struct side s;

	(void)state;
	begin(&s);
	say(&s, GET);
	say(&s, GET);
	assert_int_equal(s.requests, 2);
	assert_int_equal(times(got(&s), "HTTP/1.1 200 OK"), 2);
	assert_int_equal(times(got(&s), "hello"), 2);
	assert_int_equal(s.closed, 0);
	end(&s);
}

static void
pipelined_requests_are_answered_in_turn(void **state)
{
	struct side s;

	(void)state;
	begin(&s);
	s.hold = true;
	say(&s, GET GET);
	assert_int_equal(s.requests, 1);
	conn_reply(s.c, 200, NULL, "one", 3);
	settle(&s);
	assert_int_equal(s.requests, 2);
	conn_reply(s.c, 200, NULL, "two", 3);
	settle(&s);
	assert_true(strstr(got(&s), "one") < strstr(got(&s), "two"));
	end(&s);
}

static void
any_chunking_is_read_alike(void **state)
{
	static const char text[] =
	    POST "Transfer-Encoding: chunked\r\n\r\n"
		 "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n" GET;

	(void)state;
	for (size_t step = 1; step < sizeof(text); step++) {
		struct side s;

		begin(&s);
		for (size_t i = 0; i < sizeof(text) - 1; i += step) {
			size_t n = sizeof(text) - 1 - i;

			n = n < step ? n : step;
			assert_int_equal(send(s.fd, text + i, n, 0), n);
			ev_once(s.ev, 0);
			if (s.requests == 1 && i + n < sizeof(text) - 30)
				assert_int_equal(buf_len(&s.body), 7);
		}
		settle(&s);
		assert_int_equal(s.requests, 2);
		end(&s);
	}
}

static void
bodies_come_with_a_length(void **state)
{
	struct side s;

	(void)state;
	begin(&s);
	say(&s, POST "Content-Length: 4\r\n\r\nab");
	assert_int_equal(s.requests, 0);
	say(&s, "cd");
	assert_int_equal(s.requests, 1);
	assert_int_equal(buf_len(&s.body), 4);
	assert_memory_equal(buf_head(&s.body), "abcd", 4);
	assert_string_equal(s.target, "/a");
	end(&s);
}

static void
continue_is_said_where_it_is_waited_for(void **state)
{
	struct side s;

	(void)state;
	begin(&s);
	say(&s, POST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	assert_string_equal(got(&s), "HTTP/1.1 100 Continue\r\n\r\n");
	say(&s, "ab");
	assert_int_equal(s.requests, 1);
	end(&s);
}

static void
refusal(const char *text, const char *status, bool named)
{
	struct side s;

	begin(&s);
	say(&s, text);
	assert_int_equal(s.requests, 0);
	assert_non_null(strstr(got(&s), status));
	assert_non_null(strstr(got(&s), "Connection: close"));
	assert_int_equal(strstr(got(&s), "(known)") != NULL, named);
	/* It lingers until the client has closed. */
	assert_int_equal(s.closed, 0);
	fd_close(&s.fd);
	settle(&s);
	assert_int_equal(s.closed, 1);
	end(&s);
}

static void
bodies_over_the_limit_are_refused(void **state)
{
	char *chunks;

	(void)state;
	refusal(POST "Content-Length: 1001\r\n\r\n", "HTTP/1.1 413", true);
	chunks = xasprintf(POST "Transfer-Encoding: chunked\r\n\r\n"
				"3e8\r\n%01000d\r\n1\r\nx\r\n0\r\n\r\n",
	    1);
	refusal(chunks, "HTTP/1.1 413", true);
	free(chunks);
}

static void
what_is_not_http_is_refused(void **state)
{
	(void)state;
	refusal("hello\r\n\r\n", "HTTP/1.1 400", false);
	refusal("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400", false);
	refusal("GET / HTTP/1.1\nHost: x\n\n", "HTTP/1.1 400", false);
	refusal(POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "HTTP/1.1 400", false);
	refusal("GET / HTTP/2.0\r\nHost: x\r\n\r\n", "HTTP/1.1 505", false);
	refusal(POST "Expect: cake\r\n\r\n", "HTTP/1.1 417", false);
	refusal(POST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400",
	    true);
}

static void
bodies_without_room_are_refused(void **state)
{
	struct side s;

	(void)state;
	begin(&s);
	s.room = 3;
	say(&s, POST "Content-Length: 4\r\n\r\nabcd");
	assert_non_null(strstr(got(&s), "HTTP/1.1 503"));
	end(&s);
}

static void
heads_are_refused_before_their_bodies(void **state)
{
	struct side s;

	(void)state;
	begin(&s);
	s.refuse = true;
	say(&s, POST "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n");
	assert_non_null(strstr(got(&s), "HTTP/1.1 403"));
	assert_null(strstr(got(&s), "100 Continue"));
	end(&s);
}

static void
answers_to_head_have_no_body(void **state)
{
	struct side s;

	(void)state;
	begin(&s);
	say(&s, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_non_null(strstr(got(&s), "Content-Length: 5"));
	assert_null(strstr(got(&s), "hello"));
	say(&s, GET);
	assert_int_equal(times(got(&s), "hello"), 1);
	end(&s);
}

static void
streams_are_chunked(void **state)
{
	struct side s;

	(void)state;
	begin(&s);
	s.hold = true;
	say(&s, GET);
	conn_stream(s.c, 200, NULL);
	conn_stream_put(s.c, "abc", 3);
	settle(&s);
	assert_non_null(strstr(got(&s), "3\r\nabc\r\n"));
	conn_stream_put(s.c, "de", 2);
	conn_stream_end(s.c);
	settle(&s);
	assert_non_null(strstr(got(&s), "2\r\nde\r\n0\r\n\r\n"));
	say(&s, GET);
	assert_int_equal(s.requests, 2);
	end(&s);
}

static void
streams_of_old_clients_end_with_the_connection(void **state)
{
	struct side s;
	const char *text;

	(void)state;
	begin(&s);
	s.hold = true;
	say(&s, "GET / HTTP/1.0\r\n\r\n");
	conn_stream(s.c, 200, NULL);
	conn_stream_put(s.c, "abc", 3);
	conn_stream_end(s.c);
	settle(&s);
	text = got(&s);
	assert_null(strstr(text, "chunked"));
	assert_true(str_ends(text, "\r\n\r\nabc"));
	assert_int_equal(recv(s.fd, (char[1]){ 0 }, 1, 0), 0);
	end(&s);
}

static void
hanging_up_is_noticed_while_an_answer_is_made(void **state)
{
	struct side s;

	(void)state;
	for (int half = 0; half < 2; half++) {
		begin(&s);
		s.hold = true;
		say(&s, GET);
		assert_int_equal(s.closed, 0);
		if (half)
			assert_int_equal(shutdown(s.fd, SHUT_WR), 0);
		else
			fd_close(&s.fd);
		ev_once(s.ev, 1000);
		assert_int_equal(s.closed, 1);
		end(&s);
	}
}

static void
an_answer_reaches_who_has_said_all(void **state)
{
	struct side s;

	(void)state;
	begin(&s);
	assert_int_equal(send(s.fd, GET, strlen(GET), 0), strlen(GET));
	assert_int_equal(shutdown(s.fd, SHUT_WR), 0);
	settle(&s);
	assert_non_null(strstr(got(&s), "hello"));
	end(&s);
}

static void
who_reads_nothing_is_waited_for(void **state)
{
	static char piece[65536];
	struct side s;
	size_t all = 0;
	char *b = xmalloc(sizeof(piece));
	ssize_t n;

	(void)state;
	begin(&s);
	s.hold = true;
	say(&s, "GET / HTTP/1.0\r\n\r\n");
	memset(piece, 'x', sizeof(piece));
	conn_stream(s.c, 200, NULL);
	for (int i = 0; i < 200; i++) {
		conn_stream_put(s.c, piece, sizeof(piece));
		ev_once(s.ev, 0);
	}
	conn_stream_end(s.c);
	assert_int_equal(s.closed, 0);
	buf_clear(&s.got);
	for (;;) {
		ev_once(s.ev, 0);
		n = recv(s.fd, b, sizeof(piece), 0);
		if (n == 0)
			break;
		if (n > 0)
			all += (size_t)n;
		else
			assert_int_equal(errno, EAGAIN);
	}
	/* A few bytes of its head came before. */
	assert_true(all >= 200 * sizeof(piece));
	free(b);
	end(&s);
}

static void
what_nobody_reads_is_bounded(void **state)
{
	static char piece[1 << 20];
	struct side s;

	(void)state;
	begin(&s);
	s.hold = true;
	say(&s, GET);
	conn_stream(s.c, 200, NULL);
	for (unsigned i = 0; i <= CONN_OUT_MAX / sizeof(piece); i++) {
		if (s.c == NULL)
			break;
		conn_stream_put(s.c, piece, sizeof(piece));
		ev_once(s.ev, 0);
	}
	assert_int_equal(s.closed, 1);
	end(&s);
}

static void
requests_to_come_are_bounded(void **state)
{
	static char ahead[CONN_AHEAD_MAX];
	struct side s;
	size_t sent = 0;

	(void)state;
	begin(&s);
	s.hold = true;
	say(&s, GET);
	memset(ahead, 'x', sizeof(ahead));
	for (int i = 0; i < 1000; i++) {
		ssize_t n = send(s.fd, ahead, sizeof(ahead), MSG_NOSIGNAL);

		ev_once(s.ev, 0);
		sent += n > 0 ? (size_t)n : 0;
	}
	/* The kernel's buffers hold something, too. */
	assert_true(sent < 100 * sizeof(ahead));
	assert_int_equal(s.closed, 0);
	end(&s);
}

static void
a_supervisor_names_the_agent(void **state)
{
	struct side s;

	(void)state;
	begin_as(&s, true);
	say(&s, "AGE");
	say(&s, "NT job:7/x\n" GET);
	assert_string_equal(s.name, "job:7/x");
	assert_int_equal(s.requests, 1);
	/* Once, and first. */
	say(&s, "AGENT other\n");
	assert_string_equal(s.name, "job:7/x");
	assert_non_null(strstr(got(&s), "HTTP/1.1 400"));
	end(&s);
	begin_as(&s, true);
	say(&s, GET);
	assert_int_equal(s.requests, 1);
	assert_string_equal(s.name, "");
	end(&s);
}

static void
nobody_else_names_an_agent(void **state)
{
	(void)state;
	refusal("AGENT job:7/x\n" GET, "HTTP/1.1 400", false);
}

static void
bad_names_are_refused(void **state)
{
	static const char *const bad[] = { "AGENT nobody\n" GET, "AGENT \n" GET,
		"AGENT " A40 A40 A40 A40 "aaaaaaaaaa" };

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		struct side s;

		begin_as(&s, true);
		say(&s, bad[i]);
		assert_non_null(strstr(got(&s), "HTTP/1.1 400"));
		assert_int_equal(s.requests, 0);
		end(&s);
	}
}

static void
targets_lose_their_authority(void **state)
{
	struct side s;

	(void)state;
	begin(&s);
	say(&s, "GET http://x/b?c HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_string_equal(s.target, "/b?c");
	say(&s, "GET http://x HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_string_equal(s.target, "/");
	end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_are_kept),
		cmocka_unit_test(pipelined_requests_are_answered_in_turn),
		cmocka_unit_test(any_chunking_is_read_alike),
		cmocka_unit_test(bodies_come_with_a_length),
		cmocka_unit_test(continue_is_said_where_it_is_waited_for),
		cmocka_unit_test(bodies_over_the_limit_are_refused),
		cmocka_unit_test(what_is_not_http_is_refused),
		cmocka_unit_test(bodies_without_room_are_refused),
		cmocka_unit_test(heads_are_refused_before_their_bodies),
		cmocka_unit_test(answers_to_head_have_no_body),
		cmocka_unit_test(streams_are_chunked),
		cmocka_unit_test(
		    streams_of_old_clients_end_with_the_connection),
		cmocka_unit_test(hanging_up_is_noticed_while_an_answer_is_made),
		cmocka_unit_test(an_answer_reaches_who_has_said_all),
		cmocka_unit_test(who_reads_nothing_is_waited_for),
		cmocka_unit_test(what_nobody_reads_is_bounded),
		cmocka_unit_test(requests_to_come_are_bounded),
		cmocka_unit_test(a_supervisor_names_the_agent),
		cmocka_unit_test(nobody_else_names_an_agent),
		cmocka_unit_test(bad_names_are_refused),
		cmocka_unit_test(targets_lose_their_authority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

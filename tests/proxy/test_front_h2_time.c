/*
 * The front process over HTTP/2: what stands still, and connections that are
 * not used.
 */
#include "tests/proxy/h2client.h"

#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/front.h"
#include "tests/proxy/later.h"

#define POST(p)                                                                \
	":method: POST", ":scheme: http", ":authority: a.example", ":path: " p

static struct ft t;
static struct h2c c;

static int
setup(void **state)
{
	sigset_t chld;

	later_init();
	ft_start(&t);
	/* That it stops and goes on is to interrupt nothing here. */
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	return sigprocmask(SIG_BLOCK, &chld, NULL);
}

static int
teardown(void **state)
{
	ft_stop(&t);
	return 0;
}

static uint32_t
skip_msg(uint16_t type)
{
	struct ft_msg m;

	ft_expect(t.back, type, &m);
	buf_free(&m.body);
	return m.serial;
}

/* All that front has to say for now; it has seen the time. */
static void
see_the_time(void)
{
	int32_t id = h2c_get(&c, "/live");

	ft_rsp(&t, ft_get(&t, "/live"), "ok");
	assert_int_equal(h2c_wait(&c, id)->error, NGHTTP2_NO_ERROR);
}

static uint32_t
upload(const char *const *fields, int32_t *id)
{
	struct req_head h;
	uint32_t serial;

	*id = h2c_request(&c, true, fields);
	serial = ft_request(&t, &h, "POST", "/up");
	req_head_free(&h);
	return serial;
}

/* ---- streams that stand still ------------------------------------------- */

static void
body_that_never_comes_ends_its_stream_alone(void **state)
{
	static const char *const fields[] = { POST("/up"), NULL };
	int32_t stalled, live;
	uint32_t serial, other;

	h2c_open(&c, &t, false);
	serial = upload(fields, &stalled);
	other = upload(fields, &live);
	h2c_data(&c, stalled, "abc", 3, false);
	assert_int_equal(skip_msg(M_REQ_BODY), serial);
	later(FRONT_STALL_MS / 2);
	h2c_data(&c, live, "abc", 3, false);
	assert_int_equal(skip_msg(M_REQ_BODY), other);
	later(FRONT_STALL_MS / 2 - 60000);
	see_the_time();
	assert_false(h2c_rsp(&c, stalled)->closed);
	later(60000);
	h2c_data(&c, live, "def", 3, false);
	assert_int_equal(skip_msg(M_REQ_ABORT), serial);
	assert_int_equal(skip_msg(M_REQ_BODY), other);
	assert_int_equal(h2c_wait(&c, stalled)->error, NGHTTP2_CANCEL);
	see_the_time();
	assert_false(h2c_rsp(&c, live)->closed);
	h2c_data(&c, live, "", 0, true);
	assert_int_equal(skip_msg(M_REQ_END), other);
	ft_rsp(&t, other, "ok");
	assert_int_equal(h2c_wait(&c, live)->error, NGHTTP2_NO_ERROR);
	h2c_close(&c);
}

static void
answer_that_is_not_read_ends_its_stream_alone(void **state)
{
	static uint8_t bytes[32768];
	struct buf b = { 0 };
	uint32_t serial;
	int32_t id, other;

	h2c_open(&c, &t, true);
	id = h2c_get(&c, "/down");
	serial = ft_get(&t, "/down");
	ft_rsp_head(&t, serial, 200, BODY_STREAM, 0);
	for (int i = 0; i < 3; i++) {
		buf_put(&b, bytes, sizeof(bytes));
		ft_send(t.back, M_RSP_BODY, serial, &b, -1);
		buf_free(&b);
	}
	/* All that its window takes; that of the connection opens. */
	h2c_wait_body(&c, id, 65535);
	nghttp2_submit_window_update(c.s, 0, 0, 1 << 20);
	h2c_flush(&c);
	see_the_time();
	later(FRONT_STALL_MS - 60000);
	see_the_time();
	assert_false(h2c_rsp(&c, id)->closed);
	later(60000);
	other = h2c_get(&c, "/other");
	assert_int_equal(skip_msg(M_REQ_ABORT), serial);
	ft_rsp(&t, ft_get(&t, "/other"), "ok");
	h2c_wait(&c, other);
	assert_int_equal(h2c_wait(&c, id)->error, NGHTTP2_CANCEL);
	h2c_close(&c);
}

/* Back has taken all that it wants for now: it is not the agent's turn. */
static void
who_waits_for_the_server_is_not_ended(void **state)
{
	static const char *const fields[] = { POST("/up"), NULL };
	static const char *const expect[] = { POST("/up"),
		"expect: 100-continue", NULL };
	static uint8_t bytes[WIRE_WINDOW];
	int32_t full, silent, asked;
	uint32_t serial[3];
	size_t got = 0;

	h2c_open(&c, &t, false);
	h2c_ready(&c);
	serial[0] = upload(fields, &full);
	h2c_data(&c, full, bytes, sizeof(bytes), false);
	while (got < sizeof(bytes)) {
		struct ft_msg m;

		h2c_poll(&c, 0);
		ft_expect(t.back, M_REQ_BODY, &m);
		got += buf_len(&m.body);
		buf_free(&m.body);
	}
	silent = h2c_get(&c, "/silent");
	serial[1] = ft_get(&t, "/silent");
	serial[2] = upload(expect, &asked);
	for (int i = 0; i < 3; i++) {
		later(FRONT_STALL_MS + 1000);
		see_the_time();
	}
	assert_false(h2c_rsp(&c, full)->closed);
	assert_false(h2c_rsp(&c, silent)->closed);
	assert_false(h2c_rsp(&c, asked)->closed);
	/* From now on it is, again. */
	ft_send(t.back, M_RSP_CONTINUE, serial[2], NULL, -1);
	ft_send_u32(t.back, M_RSP_WINDOW, serial[0], 1000);
	see_the_time();
	assert_int_equal(h2c_rsp(&c, asked)->interim, 100);
	later(FRONT_STALL_MS - 60000);
	see_the_time();
	assert_false(h2c_rsp(&c, full)->closed);
	assert_false(h2c_rsp(&c, asked)->closed);
	ft_rsp(&t, serial[1], "ok");
	h2c_wait(&c, silent);
	h2c_close(&c);
	skip_msg(M_REQ_ABORT);
	skip_msg(M_REQ_ABORT);
}

/* ---- connections that are not used -------------------------------------- */

/* Wake it, by another connection. */
static void
wake(void)
{
	char text[1024];
	int s = ft_connect(&t);

	ft_write(s, "GET /w HTTP/1.1\r\nHost: a.example\r\n\r\n");
	ft_rsp(&t, ft_get(&t, "/w"), "ok");
	ft_read_until(s, "ok", text, sizeof(text));
	close(s);
}

static int32_t
used_once(void)
{
	int32_t id;

	h2c_open(&c, &t, false);
	id = h2c_get(&c, "/a");
	ft_rsp(&t, ft_get(&t, "/a"), "ok");
	h2c_wait(&c, id);
	/* Now it has seen that, too. */
	wake();
	return id;
}

static void
idle_connection_ends_with_goaway(void **state)
{
	int32_t id = used_once();

	later(FRONT_IDLE_MS - 60000);
	wake();
	h2c_poll(&c, 0);
	assert_false(c.goaway);
	later(60000);
	wake();
	h2c_wait_end(&c);
	assert_true(c.goaway);
	assert_int_equal(c.goaway_error, NGHTTP2_NO_ERROR);
	assert_int_equal(c.goaway_last, id);
	h2c_close(&c);
}

/* It may be sent again, whatever its method: nobody has acted on it. */
static void
request_that_crosses_goaway_is_refused(void **state)
{
	struct pollfd pf;
	int32_t id;

	used_once();
	later(FRONT_IDLE_MS);
	wake();
	pf = (struct pollfd){ .fd = c.fd, .events = POLLIN };
	assert_int_equal(poll(&pf, 1, 10000), 1);
	id = h2c_get(&c, "/lost");
	assert_int_equal(h2c_wait(&c, id)->error, NGHTTP2_REFUSED_STREAM);
	h2c_wait_end(&c);
	assert_true(c.goaway_last < id);
	h2c_close(&c);
	/* Nor did back hear of it. */
	used_once();
	h2c_close(&c);
}

static void
stop(void)
{
	int status;

	assert_int_equal(kill(t.pid, SIGSTOP), 0);
	assert_int_equal(waitpid(t.pid, &status, WUNTRACED), t.pid);
	assert_true(WIFSTOPPED(status));
}

/* What has been written lies at the other end: let it go on. */
static void
go_on(int sock)
{
	int unsent = 1;

	while (unsent > 0)
		assert_int_equal(ioctl(sock, SIOCOUTQ, &unsent), 0);
	assert_int_equal(kill(t.pid, SIGCONT), 0);
}

static void
request_in_the_moment_of_the_end_is_answered(void **state)
{
	char text[1024];
	int32_t id;
	int s;

	used_once();
	stop();
	later(FRONT_IDLE_MS + 1000);
	id = h2c_get(&c, "/b");
	go_on(c.fd);
	ft_rsp(&t, ft_get(&t, "/b"), "ok");
	assert_int_equal(h2c_wait(&c, id)->error, NGHTTP2_NO_ERROR);
	h2c_close(&c);
	s = ft_connect(&t);
	ft_write(s, "GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n");
	ft_rsp(&t, ft_get(&t, "/a"), "ok");
	ft_read_until(s, "ok", text, sizeof(text));
	wake();
	stop();
	later(FRONT_IDLE_MS + 1000);
	ft_write(s, "GET /b HTTP/1.1\r\nHost: a.example\r\n\r\n");
	go_on(s);
	ft_rsp(&t, ft_get(&t, "/b"), "ok");
	ft_read_until(s, "ok", text, sizeof(text));
	close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(body_that_never_comes_ends_its_stream_alone),
		cmocka_unit_test(answer_that_is_not_read_ends_its_stream_alone),
		cmocka_unit_test(who_waits_for_the_server_is_not_ended),
		cmocka_unit_test(idle_connection_ends_with_goaway),
		cmocka_unit_test(request_that_crosses_goaway_is_refused),
		cmocka_unit_test(request_in_the_moment_of_the_end_is_answered),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

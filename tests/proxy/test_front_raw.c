/* What front does with connections that are neither TLS nor HTTP. */
#include "tests/proxy/fronttest_net.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"

static char text[4096];

/* The next exchange, which must be one of this protocol; its serial. */
static uint32_t
asked(const char *protocol, const char *host, uint16_t port, bool quiet)
{
	struct req_head h;
	struct ft_msg m;
	struct cur c;

	ft_expect(ftn.back, M_REQ_HEAD, &m);
	cur_init(&c, buf_head(&m.body), buf_len(&m.body));
	assert_int_equal(req_head_get(&c, &h), 0);
	assert_string_equal(h.method, "CONNECT");
	assert_string_equal(h.protocol, protocol);
	assert_string_equal(h.dst, host);
	assert_string_equal(h.target, "");
	assert_int_equal(h.port, port);
	assert_int_equal(h.kind, BODY_STREAM);
	assert_int_equal(h.expect_continue, quiet);
	assert_false(h.tls);
	req_head_free(&h);
	buf_free(&m.body);
	return m.serial;
}

static void
deny(uint32_t serial, bool close)
{
	struct buf b = { 0 };

	buf_put_u16(&b, 403);
	buf_put_u8(&b, close);
	buf_put_str(&b, "{}");
	ft_send(ftn.back, M_RSP_DENY, serial, &b, -1);
	buf_free(&b);
}

static void
expect_body(const void *p, size_t n)
{
	struct ft_msg m;

	ft_expect(ftn.back, M_REQ_BODY, &m);
	assert_int_equal(buf_len(&m.body), n);
	assert_memory_equal(buf_head(&m.body), p, n);
	buf_free(&m.body);
}

static void
expect_empty(uint16_t type)
{
	struct ft_msg m;

	ft_expect(ftn.back, type, &m);
	buf_free(&m.body);
}

static void
assert_reset(int fd)
{
	assert_int_equal(recv(fd, text, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(fd);
}

static int
dial_name(uint16_t port)
{
	char a[INET6_ADDRSTRLEN];

	ftn_resolve("8.8.8.8", false, a);
	return ftn_dial(SOCK_STREAM, a, port);
}

static void
first_bytes_of_another_protocol_are_asked_about(void **state)
{
	static const char *const first[] = { "SSH-2.0-OpenSSH_9.2p1 Debian\r\n",
		"EHLO me\r\n", "*1\r\n$4\r\nPING\r\n", "QUIT\r\n",
		"\x03\x01\x02\x00\x00", "NICK joe and more\r\n" };

	ftn_need();
	for (size_t i = 0; i < nitems(first); i++) {
		int fd = dial_name(4000);
		uint32_t serial;

		assert_true(send(fd, first[i], strlen(first[i]), 0) > 0);
		serial = asked("tcp", "x.example", 4000, false);
		/* Not a byte before back has said yes. */
		assert_false(ft_waiting(ftn.back, 50));
		deny(serial, true);
		assert_reset(fd);
	}
}

static void
what_may_be_http_is_answered_as_http(void **state)
{
	static const char *const first[] = { "GET / HTTP/1.1\nHost: a\n\n",
		"GET /\r\n\r\n", "BREW /pot HTTP/9.9\r\n\r\n",
		"POST\t/ HTTP/1.1\r\n\r\n" };

	ftn_need();
	for (size_t i = 0; i < nitems(first); i++) {
		int fd = dial_name(4000);
		struct ft_msg m;

		ft_write(fd, first[i]);
		assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
		assert_true(str_starts(text, "HTTP/1.1 "));
		ft_expect(ftn.back, M_FRONT_EVENT, &m);
		buf_free(&m.body);
		close(fd);
	}
}

static void
bytes_and_ends_pass_in_both_directions(void **state)
{
	uint32_t serial;
	int fd;

	ftn_need();
	fd = dial_name(4000);
	ft_write(fd, "EHLO me\r\n");
	serial = asked("tcp", "x.example", 4000, false);
	ft_rsp_head(&ftn, serial, 200, BODY_STREAM, 0);
	expect_body("EHLO me\r\n", 9);
	ft_rsp_body(&ftn, serial, "250 fine\r\n");
	ft_read_until(fd, "250 fine\r\n", text, sizeof(text));
	/* The server has said all; the agent has not. */
	ft_rsp_body(&ftn, serial, "221 bye\r\n");
	ft_rsp_end(&ftn, serial);
	ft_read_until(fd, "221 bye\r\n", text, sizeof(text));
	assert_int_equal(recv(fd, text, 1, 0), 0);
	ft_write(fd, "but");
	expect_body("but", 3);
	close(fd);
	expect_empty(M_REQ_END);
	/* And the other way round. */
	fd = dial_name(4000);
	ft_write(fd, "EHLO me\r\n");
	serial = asked("tcp", "x.example", 4000, false);
	ft_rsp_head(&ftn, serial, 200, BODY_STREAM, 0);
	expect_body("EHLO me\r\n", 9);
	shutdown(fd, SHUT_WR);
	expect_empty(M_REQ_END);
	ft_rsp_body(&ftn, serial, "late");
	ft_rsp_end(&ftn, serial);
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	assert_string_equal(text, "late");
	close(fd);
	assert_false(ft_waiting(ftn.back, 50));
}

static void
agent_that_goes_away_is_told(void **state)
{
	static const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	uint32_t serial;
	int fd;

	ftn_need();
	fd = dial_name(4000);
	ft_write(fd, "EHLO me\r\n");
	serial = asked("tcp", "x.example", 4000, false);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	expect_empty(M_REQ_ABORT);
	fd = dial_name(4000);
	ft_write(fd, "EHLO me\r\n");
	serial = asked("tcp", "x.example", 4000, false);
	ft_rsp_head(&ftn, serial, 200, BODY_STREAM, 0);
	expect_body("EHLO me\r\n", 9);
	ft_send_str(ftn.back, M_RSP_ABORT, serial, "broken");
	assert_reset(fd);
}

static void
silent_agent_may_wait_for_a_server_that_speaks_first(void **state)
{
	uint32_t serial;
	int fd;

	ftn_need();
	fd = dial_name(4000);
	serial = asked("tcp", "x.example", 4000, true);
	ft_rsp_head(&ftn, serial, 200, BODY_STREAM, 0);
	ft_rsp_body(&ftn, serial, "220 hello\r\n");
	ft_read_until(fd, "220 hello\r\n", text, sizeof(text));
	ft_write(fd, "GET / HTTP/1.1\r\n\r\n");
	expect_body("GET / HTTP/1.1\r\n\r\n", 18);
	close(fd);
	expect_empty(M_REQ_END);
	ft_rsp_end(&ftn, serial);
}

static void
silent_agent_that_may_not_is_still_let_speak_http(void **state)
{
	struct req_head h;
	uint32_t serial;
	int fd;

	ftn_need();
	fd = dial_name(4000);
	serial = asked("tcp", "x.example", 4000, true);
	deny(serial, false);
	ft_write(fd, "GET /late HTTP/1.1\r\nHost: x.example\r\n\r\n");
	serial = ft_request(&ftn, &h, "GET", "/late");
	req_head_free(&h);
	expect_empty(M_REQ_END);
	ft_rsp(&ftn, serial, "ok");
	ft_read_until(fd, "\r\n\r\nok", text, sizeof(text));
	close(fd);
	/* Said while back was thinking. */
	fd = dial_name(4000);
	serial = asked("tcp", "x.example", 4000, true);
	ft_write(fd, "GET /early HTTP/1.1\r\nHost: x.example\r\n\r\n");
	assert_false(ft_waiting(ftn.back, 50));
	deny(serial, false);
	serial = ft_request(&ftn, &h, "GET", "/early");
	req_head_free(&h);
	expect_empty(M_REQ_END);
	ft_rsp(&ftn, serial, "ok");
	ft_read_until(fd, "\r\n\r\nok", text, sizeof(text));
	close(fd);
}

static void
short_word_may_be_the_begin_of_http_or_all_there_is(void **state)
{
	struct req_head h;
	uint32_t serial;
	int fd;

	ftn_need();
	/* All there is. */
	fd = dial_name(4000);
	ft_write(fd, "PING");
	serial = asked("tcp", "x.example", 4000, true);
	ft_rsp_head(&ftn, serial, 200, BODY_STREAM, 0);
	expect_body("PING", 4);
	close(fd);
	expect_empty(M_REQ_END);
	ft_rsp_end(&ftn, serial);
	/* And its end is here already. */
	fd = dial_name(4000);
	ft_write(fd, "PING");
	shutdown(fd, SHUT_WR);
	serial = asked("tcp", "x.example", 4000, true);
	ft_rsp_head(&ftn, serial, 200, BODY_STREAM, 0);
	expect_body("PING", 4);
	expect_empty(M_REQ_END);
	ft_rsp_body(&ftn, serial, "PONG");
	ft_rsp_end(&ftn, serial);
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	assert_string_equal(text, "PONG");
	close(fd);
	/* The begin. */
	fd = dial_name(4000);
	ft_write(fd, "GE");
	serial = asked("tcp", "x.example", 4000, true);
	deny(serial, false);
	ft_write(fd, "T /slow HTTP/1.1\r\nHost: x.example\r\n\r\n");
	serial = ft_request(&ftn, &h, "GET", "/slow");
	req_head_free(&h);
	expect_empty(M_REQ_END);
	ft_rsp(&ftn, serial, "ok");
	ft_read_until(fd, "\r\n\r\nok", text, sizeof(text));
	close(fd);
}

static void
silence_on_the_ports_of_http_means_nothing(void **state)
{
	int fd;

	ftn_need();
	fd = dial_name(80);
	assert_false(ft_waiting(ftn.back, 400));
	ft_write(fd, "SSH-2.0-x\r\n");
	deny(asked("tcp", "x.example", 80, false), true);
	assert_reset(fd);
}

static void
address_itself_is_asked_about_as_such(void **state)
{
	int fd;

	ftn_need();
	fd = ftn_dial(SOCK_STREAM, "10.9.8.7", 22);
	ft_write(fd, "SSH-2.0-x\r\n");
	deny(asked("tcp", "10.9.8.7", 22, false), true);
	assert_reset(fd);
	fd = ftn_dial(SOCK_STREAM, "2606:2800::1", 22);
	ft_write(fd, "SSH-2.0-x\r\n");
	deny(asked("tcp", "2606:2800::1", 22, false), true);
	assert_reset(fd);
}

#define LOGIN "\0\0\0\x12\0\3\0\0user\0joe\0"

static void
login_of_postgresql_is_told_as_one(void **state)
{
	static const char gss[] = "\0\0\0\x08\x04\xd2\x16\x30";
	static const char login[] = LOGIN;
	static const char cancel[] = "\0\0\0\x10\x04\xd2\x16\x2e"
				     "12345678";
	uint32_t serial;
	int fd;

	ftn_need();
	fd = dial_name(5432);
	assert_int_equal(send(fd, gss, 8, 0), 8);
	assert_int_equal(recv(fd, text, 8, 0), 1);
	assert_int_equal(text[0], 'N');
	assert_int_equal(send(fd, login, sizeof(login), 0), sizeof(login));
	serial = asked("postgres", "x.example", 5432, false);
	ft_rsp_head(&ftn, serial, 200, BODY_STREAM, 0);
	expect_body(login, sizeof(login));
	close(fd);
	expect_empty(M_REQ_END);
	ft_rsp_end(&ftn, serial);
	fd = dial_name(5432);
	assert_int_equal(send(fd, cancel, 16, 0), 16);
	serial = asked("postgres", "x.example", 5432, false);
	deny(serial, true);
	assert_reset(fd);
}

static void
bytes_behind_a_request_for_tls_are_not_taken(void **state)
{
	static const char both[] = "\0\0\0\x08\x04\xd2\x16\x2f" LOGIN;
	int fd;

	ftn_need();
	fd = dial_name(5432);
	assert_int_equal(send(fd, both, sizeof(both), 0), sizeof(both));
	assert_true(recv(fd, text, 8, 0) <= 0);
	close(fd);
	assert_false(ft_waiting(ftn.back, 50));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    first_bytes_of_another_protocol_are_asked_about),
		cmocka_unit_test(what_may_be_http_is_answered_as_http),
		cmocka_unit_test(bytes_and_ends_pass_in_both_directions),
		cmocka_unit_test(agent_that_goes_away_is_told),
		cmocka_unit_test(
		    silent_agent_may_wait_for_a_server_that_speaks_first),
		cmocka_unit_test(
		    silent_agent_that_may_not_is_still_let_speak_http),
		cmocka_unit_test(
		    short_word_may_be_the_begin_of_http_or_all_there_is),
		cmocka_unit_test(silence_on_the_ports_of_http_means_nothing),
		cmocka_unit_test(address_itself_is_asked_about_as_such),
		cmocka_unit_test(login_of_postgresql_is_told_as_one),
		cmocka_unit_test(bytes_behind_a_request_for_tls_are_not_taken),
	};

	return cmocka_run_group_tests(tests, ftn_setup, ftn_teardown);
}

/* Connections that are not HTTP: what is let out, and what of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "tests/proxy/back_world.h"

#define HOST "raw.example"
#define TICKS 400 /* of 10 ms */

static int lfd = -1; /* the server that is connected to */
static uint16_t port;

static int
setup(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);

	lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (lfd < 0 || bind(lfd, (struct sockaddr *)&a, n) < 0 ||
	    listen(lfd, 8) < 0 || getsockname(lfd, (struct sockaddr *)&a, &n))
		return -1;
	port = ntohs(a.sin_port);
	return world_setup(state);
}

static int
teardown(void **state)
{
	close(lfd);
	return world_teardown(state);
}

static void
allow_more(struct world *w, const char *rules)
{
	cleanup_free char *text =
	    xasprintf("profile t { allow net 127.0.0.1:%u; %s }", port, rules);

	world_policy(w, text);
	world_run(w, 30);
}

static int
reset(void **state)
{
	cleanup_free char *rule =
	    xasprintf("allow net " HOST ":%u as raw;", port);

	if (world_reset(state) < 0)
		return -1;
	allow_more(*state, rule);
	return 0;
}

static void
open_to(struct world *w, const char *host, uint16_t to, bool quiet)
{
	static char none[] = "", method[] = "CONNECT", protocol[] = "tcp";
	cleanup_free char *dst = xstrdup(host);
	cleanup_free char *authority = xasprintf("%s:%u", host, to);
	struct req_head h = { .port = to,
		.sni = none,
		.dst = dst,
		.method = method,
		.authority = authority,
		.target = none,
		.protocol = protocol,
		.kind = BODY_STREAM,
		.expect_continue = quiet };

	world_head(w, &h);
}

/* Back's connection, non-blocking; -1 if none comes. */
static int
accepted(struct world *w)
{
	for (int i = 0; i < TICKS; i++) {
		int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			return fd;
		if (w->a.denies + w->a.aborts > 0)
			return -1;
		world_run(w, 10);
	}
	return -1;
}

static int
opened(struct world *w)
{
	int fd;

	open_to(w, HOST, port, false);
	fd = accepted(w);
	assert_true(fd >= 0);
	for (int i = 0; i < TICKS && w->a.heads == 0; i++)
		world_run(w, 10);
	assert_int_equal(w->a.heads, 1);
	assert_int_equal(w->a.status, 200);
	assert_int_equal(w->a.kind, BODY_STREAM);
	return fd;
}

/* The next bytes at the server; 0 at their end, -1 if none come. */
static ssize_t
server_got(struct world *w, int fd, char *p, size_t n)
{
	for (int i = 0; i < TICKS; i++) {
		ssize_t k = recv(fd, p, n, 0);

		if (k >= 0)
			return k;
		if (errno != EAGAIN)
			return -1;
		world_run(w, 10);
	}
	return -1;
}

static void
until_saw(struct world *w, const char *text)
{
	for (int i = 0; i < TICKS && !world_saw(w, text); i++)
		world_run(w, 10);
	assert_true(world_saw(w, text));
}

static void
assert_refused(struct world *w, const char *word)
{
	cleanup_free char *json = xasprintf("{\"error\":\"%s\"", word);

	assert_true(world_finish(w));
	assert_int_equal(w->a.denies, 1);
	assert_true(world_saw(w, json));
	assert_int_equal(
	    accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), -1);
}

static void
bytes_go_both_ways_and_ends_are_passed_on(void **state)
{
	struct world *w = *state;
	char got[64];
	int fd = opened(w);

	world_body(w, "hello\0\xff", 7);
	assert_int_equal(server_got(w, fd, got, sizeof(got)), 7);
	assert_memory_equal(got, "hello\0\xff", 7);
	assert_int_equal(send(fd, "welcome", 7, 0), 7);
	until_saw(w, "welcome");
	/* One side may be silent for ever while the other still speaks. */
	world_end(w);
	assert_int_equal(server_got(w, fd, got, sizeof(got)), 0);
	assert_int_equal(send(fd, "and more", 8, 0), 8);
	until_saw(w, "and more");
	assert_int_equal(w->a.ends, 0);
	close(fd);
	assert_true(world_finish(w));
	assert_int_equal(w->a.ends, 1);
	assert_true(world_logged(w, "NT101 NT201 "));
	assert_true(world_logged(w, HOST));
	assert_true(world_logged(w, "obj.sent"));
}

static void
server_that_ends_first_leaves_the_agent_its_say(void **state)
{
	struct world *w = *state;
	char got[64];
	int fd = opened(w);

	shutdown(fd, SHUT_WR);
	for (int i = 0; i < TICKS && w->a.ends == 0; i++)
		world_run(w, 10);
	assert_int_equal(w->a.ends, 1);
	world_body(w, "still here", 10);
	assert_int_equal(server_got(w, fd, got, sizeof(got)), 10);
	world_end(w);
	assert_int_equal(server_got(w, fd, got, sizeof(got)), 0);
	close(fd);
	world_run(w, 50);
	assert_true(world_logged(w, "NT201 "));
	assert_int_equal(w->a.aborts, 0);
}

static void
connection_that_breaks_is_told_as_broken(void **state)
{
	static const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct world *w = *state;
	int fd = opened(w);

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	assert_true(world_finish(w));
	assert_int_equal(w->a.aborts, 1);
	assert_true(world_logged(w, "NT501 "));
}

static void
slow_reader_stops_the_server(void **state)
{
	static char block[65536];
	struct world *w = *state;
	size_t sent = 0;
	int fd;

	w->grant = false;
	fd = opened(w);
	for (int quiet = 0; quiet < 30;) {
		ssize_t k = send(fd, block, sizeof(block), MSG_NOSIGNAL);

		if (k > 0) {
			sent += (size_t)k;
			quiet = 0;
		} else {
			quiet++;
		}
		world_run(w, 10);
		assert_true(sent < 64u << 20);
	}
	assert_int_equal(buf_len(&w->a.body), WIRE_RSP_WINDOW);
	close(fd);
}

static void
slow_server_stops_the_agent(void **state)
{
	static char block[WIRE_BODY_CHUNK];
	struct world *w = *state;
	size_t sent = 0;
	int fd = opened(w), small = 4096;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	while (sent + sizeof(block) <= WIRE_WINDOW + w->a.window) {
		world_body(w, block, sizeof(block));
		sent += sizeof(block);
		world_run(w, 20);
		assert_true(sent < 64u << 20);
	}
	close(fd);
	assert_true(world_finish(w));
	assert_int_equal(w->bad_peers, 0);
}

static void
only_the_name_and_port_of_a_rule_are_connected_to(void **state)
{
	struct world *w = *state;

	open_to(w, "other.example", port, false);
	assert_refused(w, "policy_denied");
	open_to(w, HOST, (uint16_t)(port + 1), false);
	assert_refused(w, "policy_denied");
	open_to(w, HOST, 443, false);
	assert_refused(w, "policy_denied");
	assert_true(world_logged(w, "NT408 NT408 NT408 "));
	assert_false(world_logged(w, "NT101"));
	/* Nobody has asked for these names. */
	assert_int_equal(w->resolves, 0);
}

static void
private_address_of_an_allowed_name_is_not_connected_to(void **state)
{
	struct world *w = *state;

	memcpy(w->dns_addr[0], "\x7f\0\0\2", 4);
	open_to(w, HOST, port, false);
	assert_refused(w, "address_refused");
	assert_true(world_logged(w, "NT401 "));
}

static void
address_itself_is_connected_to_by_a_rule_with_the_port(void **state)
{
	struct world *w = *state;
	int fd;

	open_to(w, "127.0.0.1", port, false);
	fd = accepted(w);
	assert_true(fd >= 0);
	close(fd);
	open_to(w, "127.0.0.2", port, false);
	assert_refused(w, "policy_denied");
}

static void
silent_connection_where_http_may_come_is_put_off(void **state)
{
	struct world *w = *state;
	cleanup_free char *rule = xasprintf(
	    "allow http GET http://" HOST ":%u/**;", (unsigned int)port + 1);

	open_to(w, HOST, (uint16_t)(port + 1), true);
	assert_refused(w, "policy_denied");
	assert_true(w->a.closes);
	buf_free(&w->codes);
	buf_free(&w->events);
	allow_more(w, rule);
	open_to(w, HOST, (uint16_t)(port + 1), true);
	assert_true(world_finish(w));
	assert_int_equal(w->a.denies, 1);
	assert_false(w->a.closes);
	assert_int_equal(buf_len(&w->events), 0);
}

static void
stub_in_a_stream_ends_it_before_it_has_left(void **state)
{
	struct world *w = *state;
	char got[256];
	ssize_t n, all = 0;
	int fd = opened(w);

	world_body(w, "AUTH " STUB, 5 + strlen(STUB) / 2);
	world_body(w, &STUB[strlen(STUB) / 2], strlen(STUB) - strlen(STUB) / 2);
	assert_true(world_finish(w));
	assert_int_equal(w->a.aborts, 1);
	while (
	    all < (ssize_t)sizeof(got) &&
	    (n = server_got(w, fd, got + all, sizeof(got) - (size_t)all)) > 0)
		all += n;
	assert_true(all < (ssize_t)strlen("AUTH " STUB));
	assert_true(world_logged(w, "SE401 "));
	close(fd);
}

static void
stub_in_base64_is_seen_too(void **state)
{
	/* base64 of "x" and the stub */
	static const char text[] =
	    "eGdocF9QTEFDRUhPTERFUnZhbHVlMDEyMzQ1Njc4OWFiY2RlZmdo";
	struct world *w = *state;
	int fd = opened(w);

	world_body(w, text, strlen(text));
	assert_true(world_finish(w));
	assert_int_equal(w->a.aborts, 1);
	assert_true(world_logged(w, "SE401 "));
	close(fd);
}

static void
person_is_asked_where_the_policy_says_so(void **state)
{
	struct world *w = *state;
	cleanup_free char *rule = xasprintf("ask net " HOST ":%u;", port);
	int fd;

	allow_more(w, rule);
	fd = opened(w);
	assert_int_equal(w->asks, 1);
	assert_true(world_logged(w, "NT102 NT101 "));
	close(fd);
	world_end(w);
	assert_true(world_finish(w));
	w->ask_mode = MODE_NO;
	open_to(w, HOST, port, false);
	assert_refused(w, "ask_denied");
}

static void
nothing_is_opened_without_a_record(void **state)
{
	struct world *w = *state;

	w->audit_mode = MODE_NO;
	open_to(w, HOST, port, false);
	assert_refused(w, "audit_unavailable");
	world_disconnect(w, ROLE_AUDIT);
	open_to(w, HOST, port, false);
	assert_refused(w, "audit_unavailable");
}

static void
policy_that_takes_the_rule_back_ends_connections(void **state)
{
	struct world *w = *state;
	char got[8];
	int fd = opened(w);

	allow_more(w, "");
	assert_true(world_finish(w));
	assert_int_equal(w->a.aborts, 1);
	assert_true(server_got(w, fd, got, sizeof(got)) <= 0);
	close(fd);
}

#define RAW_TEST(f) cmocka_unit_test_setup(f, reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(bytes_go_both_ways_and_ends_are_passed_on),
		RAW_TEST(server_that_ends_first_leaves_the_agent_its_say),
		RAW_TEST(connection_that_breaks_is_told_as_broken),
		RAW_TEST(slow_reader_stops_the_server),
		RAW_TEST(slow_server_stops_the_agent),
		RAW_TEST(only_the_name_and_port_of_a_rule_are_connected_to),
		RAW_TEST(
		    private_address_of_an_allowed_name_is_not_connected_to),
		RAW_TEST(
		    address_itself_is_connected_to_by_a_rule_with_the_port),
		RAW_TEST(silent_connection_where_http_may_come_is_put_off),
		RAW_TEST(stub_in_a_stream_ends_it_before_it_has_left),
		RAW_TEST(stub_in_base64_is_seen_too),
		RAW_TEST(person_is_asked_where_the_policy_says_so),
		RAW_TEST(nothing_is_opened_without_a_record),
		RAW_TEST(policy_that_takes_the_rule_back_ends_connections),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

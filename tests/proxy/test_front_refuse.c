/*
 * The front process: what it refuses, how it limits what flows, DNS, TLS with
 * leaves made on demand, and back breaking the protocol.
 */
#include "tests/proxy/fronttest.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "proxy/mint.h"
#include "proxy/tls.h"

#define CONNS 12288    /* FRONT_CONNS_MAX */
#define EXCHANGES 2048 /* FRONT_EXCHANGES_MAX */
#define GET(t) "GET " t " HTTP/1.1\r\nHost: a.example\r\n\r\n"

static struct ft t;
static char text[65536];

static int
setup(void **state)
{
	tls_preinit();
	ft_start(&t);
	return 0;
}

static int
teardown(void **state)
{
	ft_stop(&t);
	return 0;
}

/* Sends s on a new connection, and expects an answer and a clean end. */
static void
refused(const char *s, const char *status)
{
	int fd = ft_connect(&t);

	ft_write(fd, s);
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	if (!str_starts(text, status))
		fail_msg("\"%s\" instead of \"%s\"", text, status);
	assert_non_null(strstr(text, "Connection: close\r\n"));
	assert_non_null(strstr(text, "\"next_steps\":[\""));
	close(fd);
}

static void
bad_http_is_answered_recorded_and_closed(void **state)
{
	refused("GET / HTTP/1.1\nHost: a\n\n", "HTTP/1.1 400 Bad Request");
	ft_event(&t, FRONT_BAD_HTTP, "bare LF");
	refused("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400");
	ft_event(&t, FRONT_BAD_HTTP, "no Host");
	refused("GET / HTTP/3.0\r\n\r\n", "HTTP/1.1 505");
	ft_event(&t, FRONT_BAD_HTTP, "HTTP/1.1");
	refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
	    "HTTP/1.1 400");
	ft_event(&t, FRONT_BAD_HTTP, "Content-Length with");
}

static void
bad_chunk_aborts_what_back_has_begun(void **state)
{
	struct req_head h;
	struct ft_msg m;
	int fd = ft_connect(&t);

	ft_write(fd, "POST / HTTP/1.1\r\nHost: a\r\n"
		     "Transfer-Encoding: chunked\r\n\r\nzz\r\n");
	ft_request(&t, &h, "POST", "/");
	req_head_free(&h);
	ft_event(&t, FRONT_BAD_HTTP, "chunk size");
	ft_expect(t.back, M_REQ_ABORT, &m);
	buf_free(&m.body);
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	assert_true(str_starts(text, "HTTP/1.1 400"));
	close(fd);
}

static void
other_protocols_are_closed_and_recorded(void **state)
{
	int fd = ft_connect(&t);

	ft_write(fd, "SSH-2.0-OpenSSH_9.2\r\n");
	ft_read_all(fd, text, sizeof(text));
	assert_string_equal(text, "");
	ft_event(&t, FRONT_NOT_HTTP, "SSH-2.0");
	close(fd);
	fd = ft_connect(&t);
	assert_int_equal(send(fd, "\0\0\0\x08\x04\xd2", 6, 0), 6);
	ft_read_all(fd, text, sizeof(text));
	ft_event(&t, FRONT_NOT_HTTP, "\\x00\\x00\\x00\\x08");
	close(fd);
}

static void
tunnels_and_upgrades_are_explained(void **state)
{
	refused("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
	    "HTTP/1.1 405");
	assert_non_null(strstr(text, "Allow: GET"));
	refused("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
		"Upgrade: spdy/3\r\n\r\n",
	    "HTTP/1.1 501");
	assert_false(ft_waiting(t.back, 50));
}

static void
absolute_form_must_agree_with_host(void **state)
{
	int fd;

	refused("GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
	    "HTTP/1.1 400");
	ft_event(&t, FRONT_BAD_HTTP, "authority");
	refused("GET https://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
	    "HTTP/1.1 400");
	ft_event(&t, FRONT_BAD_HTTP, "scheme");
	fd = ft_connect(&t);
	ft_write(
	    fd, "GET http://A.example?q HTTP/1.1\r\nHost: a.example\r\n\r\n");
	ft_rsp(&t, ft_get(&t, "/?q"), "ok");
	ft_read_until(fd, "ok", text, sizeof(text));
	close(fd);
}

static void
absolute_form_on_loopback_names_the_destination(void **state)
{
	static const struct {
		const char *authority, *dst;
		uint16_t port;
	} to[] = { { "A.example", "a.example", 80 },
		{ "a.example:8080", "a.example", 8080 },
		{ "[2606:2800::1]:81", "2606:2800::1", 81 } };
	struct req_head h;
	struct ft_msg m;
	int fd;

	for (size_t i = 0; i < nitems(to); i++) {
		char *s =
		    xasprintf("GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n",
			to[i].authority, to[i].authority);
		fd = ft_connect(&t);
		ft_write(fd, s);
		ft_request(&t, &h, "GET", "/");
		assert_string_equal(h.dst, to[i].dst);
		assert_int_equal(h.port, to[i].port);
		req_head_free(&h);
		ft_expect(t.back, M_REQ_END, &m);
		buf_free(&m.body);
		close(fd);
		ft_expect(t.back, M_REQ_ABORT, &m);
		buf_free(&m.body);
		free(s);
	}
	refused(
	    "GET http://a_b/ HTTP/1.1\r\nHost: a_b\r\n\r\n", "HTTP/1.1 400");
}

static void
upload_stops_at_the_window(void **state)
{
	struct req_head h;
	struct ft_msg m;
	size_t got = 0;
	uint32_t serial;
	int fd = ft_connect(&t);

	ft_write(fd, "PUT /big HTTP/1.1\r\nHost: a\r\n"
		     "Content-Length: 327680\r\n\r\n");
	serial = ft_request(&t, &h, "PUT", "/big");
	req_head_free(&h);
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 5; i++)
		assert_int_equal(send(fd, text, 65536, MSG_NOSIGNAL), 65536);
	while (got < WIRE_WINDOW) {
		ft_expect(t.back, M_REQ_BODY, &m);
		got += buf_len(&m.body);
		buf_free(&m.body);
	}
	assert_int_equal(got, WIRE_WINDOW);
	assert_false(ft_waiting(t.back, 100));
	ft_send_u32(t.back, M_RSP_WINDOW, serial, 1000000);
	while (got < 327680) {
		ft_expect(t.back, M_REQ_BODY, &m);
		got += buf_len(&m.body);
		buf_free(&m.body);
	}
	ft_expect(t.back, M_REQ_END, &m);
	buf_free(&m.body);
	ft_rsp(&t, serial, "ok");
	ft_read_until(fd, "ok", text, sizeof(text));
	close(fd);
}

static void
download_is_granted_as_it_leaves(void **state)
{
	struct ft_msg m;
	struct buf b = { 0 };
	size_t credit = WIRE_RSP_WINDOW, left = 4u << 20, got = 0;
	uint32_t serial;
	int fd = ft_connect(&t);

	ft_write(fd, GET("/big"));
	serial = ft_get(&t, "/big");
	ft_rsp_head(&t, serial, 200, BODY_LENGTH, left);
	ft_read_until(fd, "\r\n\r\n", text, sizeof(text));
	buf_reserve(&b, WIRE_BODY_CHUNK);
	memset(b.data, 'y', WIRE_BODY_CHUNK);
	buf_commit(&b, WIRE_BODY_CHUNK);
	while (left > 0) {
		while (credit >= WIRE_BODY_CHUNK && left > 0) {
			if (b.len > left)
				b.len = left;
			ft_send(t.back, M_RSP_BODY, serial, &b, -1);
			credit -= buf_len(&b);
			left -= buf_len(&b);
		}
		/* Read on until more is granted. */
		while (left > 0 && !ft_waiting(t.back, 0)) {
			struct pollfd pf[2] = { { .fd = fd, .events = POLLIN },
				{ .fd = t.back, .events = POLLIN } };

			assert_true(poll(pf, 2, 5000) > 0);
			if (pf[0].revents != 0) {
				ssize_t n = recv(fd, text, sizeof(text), 0);
				assert_true(n > 0);
				got += (size_t)n;
			}
		}
		if (left > 0) {
			struct cur c;

			ft_expect(t.back, M_REQ_WINDOW, &m);
			cur_init(&c, buf_head(&m.body), buf_len(&m.body));
			credit += cur_u32(&c);
			assert_true(credit <= WIRE_RSP_WINDOW);
			buf_free(&m.body);
		}
	}
	ft_rsp_end(&t, serial);
	while (got < 4u << 20) {
		ssize_t n = recv(fd, text, sizeof(text), 0);
		assert_true(n > 0);
		got += (size_t)n;
	}
	while (ft_waiting(t.back, 50)) {
		ft_expect(t.back, M_REQ_WINDOW, &m);
		buf_free(&m.body);
	}
	buf_free(&b);
	close(fd);
}

static void
back_over_its_credit_is_reported(void **state)
{
	struct ft_msg m;
	struct buf b = { 0 };
	uint32_t serial;
	int fd = ft_connect(&t);

	ft_write(fd, GET("/x"));
	serial = ft_get(&t, "/x");
	ft_rsp_head(&t, serial, 200, BODY_LENGTH, 3);
	ft_rsp_body(&t, serial, "four");
	ft_expect(t.parent, M_BAD_PEER, &m);
	buf_free(&m.body);
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), -1);
	close(fd);
	buf_free(&b);
	ft_new_back(&t);
	/* A serial that was never given out. */
	ft_rsp_end(&t, 999999);
	ft_expect(t.parent, M_BAD_PEER, &m);
	buf_free(&m.body);
	ft_new_back(&t);
}

static void
probe_of_a_port_is_recorded(void **state)
{
	int fd = ft_connect(&t);

	close(fd);
	ft_event(&t, FRONT_NOT_HTTP, "without a byte");
}

static void
connections_beyond_the_limit_displace_idle_ones(void **state)
{
	struct rlimit rl = { CONNS + 64, CONNS + 64 };
	static int fd[CONNS];
	int one;

	if (setrlimit(RLIMIT_NOFILE, &rl) < 0) {
		print_message("no %d descriptors can be had\n", CONNS);
		skip();
	}
	/* A fresh front: no connection of another test is still ending. */
	ft_stop(&t);
	ft_start(&t);
	for (int i = 0; i < CONNS; i++)
		fd[i] = ft_connect(&t);
	/* Nobody is idle: the new one goes. */
	one = ft_connect(&t);
	ft_event(&t, FRONT_LIMIT, "too many connections");
	assert_int_equal(recv(one, text, 1, 0), 0);
	close(one);
	/* One is: that one goes. */
	ft_write(fd[3], GET("/idle"));
	ft_rsp(&t, ft_get(&t, "/idle"), "ok");
	ft_read_until(fd[3], "\r\n\r\nok", text, sizeof(text));
	one = ft_connect(&t);
	assert_int_equal(recv(fd[3], text, 1, 0), 0);
	ft_write(one, GET("/new"));
	ft_rsp(&t, ft_get(&t, "/new"), "ok");
	ft_read_until(one, "\r\n\r\nok", text, sizeof(text));
	close(one);
	for (int i = 0; i < CONNS; i++)
		close(fd[i]);
	/* Each says that it was closed, until there is no token left. */
	while (ft_waiting(t.back, 500))
		ft_event(&t, FRONT_NOT_HTTP, "without a byte");
}

static void
requests_beyond_the_limit_are_503(void **state)
{
	static int fd[EXCHANGES];
	struct rlimit rl = { CONNS + 64, CONNS + 64 };
	struct ft_msg m;
	int one;

	if (setrlimit(RLIMIT_NOFILE, &rl) < 0) {
		print_message("no %d descriptors can be had\n", CONNS);
		skip();
	}
	ft_stop(&t);
	ft_start(&t);
	for (int i = 0; i < EXCHANGES; i++) {
		fd[i] = ft_connect(&t);
		ft_write(fd[i], GET("/held"));
		ft_get(&t, "/held");
	}
	one = ft_connect(&t);
	ft_write(one, GET("/more"));
	ft_event(&t, FRONT_LIMIT, "too many requests");
	assert_int_equal(ft_read_all(one, text, sizeof(text)), 0);
	assert_true(str_starts(text, "HTTP/1.1 503"));
	close(one);
	/* One that ends makes room. */
	close(fd[0]);
	ft_expect(t.back, M_REQ_ABORT, &m);
	buf_free(&m.body);
	one = ft_connect(&t);
	ft_write(one, GET("/room"));
	ft_rsp(&t, ft_get(&t, "/room"), "ok");
	ft_read_until(one, "\r\n\r\nok", text, sizeof(text));
	close(one);
	for (int i = 1; i < EXCHANGES; i++) {
		close(fd[i]);
		ft_expect(t.back, M_REQ_ABORT, &m);
		buf_free(&m.body);
	}
}

static void
dns_answers_from_the_pool(void **state)
{
	static const char query[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00"
				    "\x00\x00\x01"
				    "a\x07"
				    "example\x00\x00\x01\x00\x01";
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(t.dns_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t first[512], again[512];

	/* Connected: an answer from anywhere else would not arrive. */
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(
	    send(fd, query, sizeof(query) - 1, 0), (ssize_t)sizeof(query) - 1);
	assert_true(ft_waiting(fd, 2000));
	assert_int_equal(recv(fd, first, sizeof(first), 0), 43);
	assert_int_equal(first[39], 198);
	assert_int_equal(first[40] & 0xfe, 18);
	assert_int_equal(
	    send(fd, query, sizeof(query) - 1, 0), (ssize_t)sizeof(query) - 1);
	assert_true(ft_waiting(fd, 2000));
	assert_int_equal(recv(fd, again, sizeof(again), 0), 43);
	assert_memory_equal(first, again, 43);
	close(fd);
}

/* Plays keyd: makes the leaf that is asked for, of this CA. */
static void
play_keyd(struct mint *ca)
{
	struct ft_msg m;
	struct cur c;
	struct error err;
	struct buf der = { 0 }, b = { 0 };
	char *name;
	const uint8_t *spki;
	size_t n;

	ft_expect(t.keyd, M_MINT, &m);
	cur_init(&c, buf_head(&m.body), buf_len(&m.body));
	name = cur_str(&c, P_HOST_MAX);
	spki = cur_blob(&c, 1024, &n);
	assert_int_equal(cur_end(&c), 0);
	assert_string_equal(name, "a.example");
	assert_int_equal(mint_leaf(ca, name, spki, n, &der, &err), 0);
	buf_put_u8(&b, 1);
	buf_put_blob(&b, buf_head(&der), buf_len(&der));
	ft_send(t.keyd, M_MINTED, m.serial, &b, -1);
	free(name);
	buf_free(&m.body);
	buf_free(&der);
	buf_free(&b);
}

static enum tls_io
shake(struct tls *s, int fd, struct mint *ca)
{
	enum tls_io io;

	while (
	    (io = tls_handshake(s)) == TLS_WANT_READ || io == TLS_WANT_WRITE) {
		struct pollfd pf[2] = { { .fd = fd, .events = POLLIN },
			{ .fd = t.keyd, .events = POLLIN } };

		assert_true(poll(pf, ca == NULL ? 1 : 2, 5000) > 0);
		if (ca != NULL && pf[1].revents != 0)
			play_keyd(ca);
	}
	return io;
}

static void
tls_is_ended_with_a_leaf_made_once(void **state)
{
	struct error err;
	struct mint *ca = mint_new(&err);
	struct buf roots = { 0 };
	struct tls_client *tc;
	struct req_head h;
	struct ft_msg m;
	uint32_t serial;
	size_t n;

	assert_int_equal(mint_ca_pem(ca, &roots, &err), 0);
	tc = tls_client_new(buf_head(&roots), buf_len(&roots), &err);
	for (int i = 0; i < 2; i++) {
		int fd = ft_connect(&t);
		struct tls *s = tls_connect_new(
		    tc, fd, &(struct tls_target){ .host = "a.example" }, &err);
		enum tls_io io;

		assert_int_equal(fd_nonblock(fd), 0);
		/* The second time nobody is asked. */
		io = shake(s, fd, i == 0 ? ca : NULL);
		if (io != TLS_OK)
			fail_msg("%s", tls_why(s));
		assert_int_equal(
		    tls_write(s, GET("/tls"), strlen(GET("/tls")), &n), TLS_OK);
		serial = ft_request(&t, &h, "GET", "/tls");
		assert_true(h.tls);
		assert_string_equal(h.sni, "a.example");
		req_head_free(&h);
		ft_expect(t.back, M_REQ_END, &m);
		buf_free(&m.body);
		ft_rsp(&t, serial, "secret");
		for (size_t got = text[0] = 0;
		     !str_ends(text, "\r\n\r\nsecret"); got += n) {
			io =
			    tls_read(s, text + got, sizeof(text) - got - 1, &n);
			assert_true(io == TLS_OK || io == TLS_WANT_READ);
			text[got + n] = '\0';
			if (n == 0)
				assert_true(ft_waiting(fd, 2000));
		}
		tls_close(s);
		tls_free(s);
		close(fd);
	}
	tls_client_free(tc);
	mint_free(ca);
	buf_free(&roots);
}

static void
tls_without_keyd_fails_and_recovers(void **state)
{
	struct error err;
	struct mint *ca = mint_new(&err);
	struct buf roots = { 0 };
	struct tls_client *tc;
	struct tls *s;
	int fd;

	assert_int_equal(mint_ca_pem(ca, &roots, &err), 0);
	tc = tls_client_new(buf_head(&roots), buf_len(&roots), &err);
	fd_close(&t.keyd);
	usleep(50000);
	fd = ft_connect(&t);
	assert_int_equal(fd_nonblock(fd), 0);
	s = tls_connect_new(
	    tc, fd, &(struct tls_target){ .host = "b.example" }, &err);
	assert_int_equal(shake(s, fd, NULL), TLS_ERROR);
	ft_event(&t, FRONT_TLS, "certificate");
	tls_free(s);
	close(fd);
	/* Plain HTTP does not need keyd. */
	fd = ft_connect(&t);
	ft_write(fd, GET("/plain"));
	ft_rsp(&t, ft_get(&t, "/plain"), "ok");
	ft_read_until(fd, "ok", text, sizeof(text));
	close(fd);
	ft_new_keyd(&t);
	tls_client_free(tc);
	mint_free(ca);
	buf_free(&roots);
}

static void
list_of_the_revoked_is_asked_of_the_next_keyd(void **state)
{
	struct buf b = { 0 };
	struct ft_msg m;
	int fd = ft_connect(&t), old;

	ft_write(fd, "GET /ca.crl HTTP/1.1\r\nHost: crl.brig.internal\r\n\r\n");
	ft_expect(t.keyd, M_CRL_GET, &m);
	buf_free(&m.body);
	/* Another one takes its place before it has answered. */
	old = t.keyd;
	t.keyd = -1;
	ft_new_keyd(&t);
	ft_expect(t.keyd, M_CRL_GET, &m);
	close(old);
	buf_free(&m.body);
	buf_put_u8(&b, 1);
	buf_put_blob(&b, "the list", 8);
	ft_send(t.keyd, M_CRL, 0, &b, -1);
	buf_free(&b);
	ft_read_until(fd, "\r\n\r\nthe list", text, sizeof(text));
	assert_non_null(strstr(text, "200 OK"));
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_http_is_answered_recorded_and_closed),
		cmocka_unit_test(bad_chunk_aborts_what_back_has_begun),
		cmocka_unit_test(other_protocols_are_closed_and_recorded),
		cmocka_unit_test(tunnels_and_upgrades_are_explained),
		cmocka_unit_test(absolute_form_must_agree_with_host),
		cmocka_unit_test(
		    absolute_form_on_loopback_names_the_destination),
		cmocka_unit_test(upload_stops_at_the_window),
		cmocka_unit_test(download_is_granted_as_it_leaves),
		cmocka_unit_test(back_over_its_credit_is_reported),
		cmocka_unit_test(dns_answers_from_the_pool),
		cmocka_unit_test(probe_of_a_port_is_recorded),
		cmocka_unit_test(tls_is_ended_with_a_leaf_made_once),
		cmocka_unit_test(tls_without_keyd_fails_and_recovers),
		cmocka_unit_test(list_of_the_revoked_is_asked_of_the_next_keyd),
		cmocka_unit_test(
		    connections_beyond_the_limit_displace_idle_ones),
		cmocka_unit_test(requests_beyond_the_limit_are_503),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

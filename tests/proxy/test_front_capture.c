/*
 * front behind the real capture sockets, in a network namespace of the test's
 * own: names become addresses, and connections to them become requests with
 * the name.
 */
#include "tests/proxy/fronttest.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/capture.h"

#define PORT 80

static struct ft t;
static struct capture net;
static const char *skip_why;
static char text[4096];

static int
setup(void **state)
{
	struct error err = { 0 };

	if (capture_make(&net, &err) < 0 || setns(net.ns, CLONE_NEWNET) < 0) {
		skip_why = "no network namespace or no capture here";
		return 0;
	}
	ft_start(&t);
	for (unsigned int i = 0; i < CAPTURE_MAX; i++)
		ft_give(&t, (enum capture_fd)i, net.sock[i]);
	return 0;
}

static int
teardown(void **state)
{
	if (skip_why == NULL)
		ft_stop(&t);
	return 0;
}

static void
need_capture(void)
{
	if (skip_why != NULL) {
		print_message("SKIP %s\n", skip_why);
		skip();
	}
}

static int
dial(int type, const char *addr, uint16_t port)
{
	struct sockaddr_in6 s6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port) };
	struct sockaddr_in s4 = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	struct timeval tv = { .tv_sec = 5 };
	bool v6 = strchr(addr, ':') != NULL;
	int fd = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, addr,
			     v6 ? (void *)&s6.sin6_addr : &s4.sin_addr),
	    1);
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	assert_int_equal(v6 ? connect(fd, (struct sockaddr *)&s6, sizeof(s6))
			    : connect(fd, (struct sockaddr *)&s4, sizeof(s4)),
	    0);
	return fd;
}

/* Ask a server for x.example; the address, as text. */
static void
resolve(const char *server, bool v6, char out[INET6_ADDRSTRLEN])
{
	static const char head[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00"
				   "\x00\x00\x01x\x07"
				   "example";
	uint8_t q[64], a[512];
	size_t n = sizeof(head); /* its NUL ends the name */
	int fd = dial(SOCK_DGRAM, server, 53);
	ssize_t got;

	memcpy(q, head, n);
	q[n++] = 0;
	q[n++] = v6 ? 28 : 1;
	q[n++] = 0;
	q[n++] = 1;
	assert_int_equal(send(fd, q, n, 0), (ssize_t)n);
	/* The socket is connected: only an answer from that very address and
	 * port arrives. */
	got = recv(fd, a, sizeof(a), 0);
	if (got < 0)
		fail_msg("no answer from %s", server);
	assert_int_equal(got, n + 12 + (v6 ? 16 : 4));
	assert_non_null(inet_ntop(v6 ? AF_INET6 : AF_INET,
	    a + got - (v6 ? 16 : 4), out, INET6_ADDRSTRLEN));
	close(fd);
}

static void
any_dns_server_answers_with_synthetic_addresses(void **state)
{
	static const char *const servers[] = { "8.8.8.8", "127.0.0.53",
		"2001:4860:4860::8888", "10.0.0.1" };
	char first[INET6_ADDRSTRLEN], a[INET6_ADDRSTRLEN];

	need_capture();
	resolve(servers[0], false, first);
	assert_true(str_starts(first, "198.1"));
	for (size_t i = 0; i < nitems(servers); i++) {
		resolve(servers[i], false, a);
		assert_string_equal(a, first);
		resolve(servers[i], true, a);
		assert_true(str_starts(a, "fd62:7269:67::"));
	}
}

static void
get(const char *addr, uint16_t port, const char *want_dst)
{
	struct req_head h;
	struct ft_msg m;
	uint32_t serial;
	int fd = dial(SOCK_STREAM, addr, port);

	ft_write(fd, "GET / HTTP/1.1\r\nHost: x.example\r\n\r\n");
	serial = ft_request(&t, &h, "GET", "/");
	assert_string_equal(h.dst, want_dst);
	assert_int_equal(h.port, port);
	req_head_free(&h);
	ft_expect(t.back, M_REQ_END, &m);
	buf_free(&m.body);
	ft_rsp(&t, serial, "ok");
	ft_read_until(fd, "\r\n\r\nok", text, sizeof(text));
	close(fd);
}

static void
connection_to_a_synthetic_address_has_its_name(void **state)
{
	char a[INET6_ADDRSTRLEN];

	need_capture();
	resolve("8.8.8.8", false, a);
	get(a, PORT, "x.example");
	resolve("8.8.8.8", true, a);
	get(a, 8080, "x.example");
	get("93.184.216.34", 5432, "93.184.216.34");
	get("2606:2800::1", 22, "2606:2800::1");
}

static void
address_of_a_former_front_is_learnt_again(void **state)
{
	char a[INET6_ADDRSTRLEN];
	int fd;

	need_capture();
	resolve("8.8.8.8", false, a);
	/* A fresh front on the same sockets knows no name. */
	ft_stop(&t);
	fd_close(&net.link);
	assert_int_equal(setup(state), 0);
	need_capture();
	get(a, PORT, "x.example");
	/* But another name does not get that address. */
	fd = dial(SOCK_STREAM, "198.18.77.77", PORT);
	ft_write(fd, "GET / HTTP/1.1\r\nHost: y.example\r\n\r\n");
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	assert_true(str_starts(text, "HTTP/1.1 421"));
	ft_event(&t, FRONT_NO_NAME, "no name");
	close(fd);
}

static void
other_datagrams_are_dropped_and_recorded(void **state)
{
	int fd;

	need_capture();
	fd = dial(SOCK_DGRAM, "192.0.2.7", 123);
	assert_int_equal(send(fd, "time?", 5, 0), 5);
	ft_event(&t, FRONT_UDP, "5 bytes");
	close(fd);
	fd = dial(SOCK_DGRAM, "2606:2800::1", 443);
	assert_int_equal(send(fd, "quic", 4, 0), 4);
	ft_event(&t, FRONT_UDP, "4 bytes");
	/* A flood is counted, not told one by one. */
	for (int i = 0; i < 1000; i++)
		send(fd, "quic", 4, MSG_DONTWAIT);
	usleep(100000);
	for (int i = 0; i < 50 && ft_waiting(t.back, 0); i++)
		ft_event(&t, FRONT_UDP, "4 bytes");
	assert_false(ft_waiting(t.back, 0));
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    any_dns_server_answers_with_synthetic_addresses),
		cmocka_unit_test(
		    connection_to_a_synthetic_address_has_its_name),
		cmocka_unit_test(address_of_a_former_front_is_learnt_again),
		cmocka_unit_test(other_datagrams_are_dropped_and_recorded),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

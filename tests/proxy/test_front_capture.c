/*
 * front behind the real capture sockets, in a network namespace of the test's
 * own: names become addresses, and connections to them become requests with
 * the name.
 */
#include "tests/proxy/fronttest_net.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"

#define PORT 80

static char text[4096];

static void
any_dns_server_answers_with_synthetic_addresses(void **state)
{
	static const char *const servers[] = { "8.8.8.8", "127.0.0.53",
		"2001:4860:4860::8888", "10.0.0.1" };
	char first[INET6_ADDRSTRLEN], a[INET6_ADDRSTRLEN];

	ftn_need();
	ftn_resolve(servers[0], false, first);
	assert_true(str_starts(first, "198.1"));
	for (size_t i = 0; i < nitems(servers); i++) {
		ftn_resolve(servers[i], false, a);
		assert_string_equal(a, first);
		ftn_resolve(servers[i], true, a);
		assert_true(str_starts(a, "fd62:7269:67::"));
	}
}

static void
get(const char *addr, uint16_t port, const char *want_dst)
{
	struct req_head h;
	struct ft_msg m;
	uint32_t serial;
	int fd = ftn_dial(SOCK_STREAM, addr, port);

	ft_write(fd, "GET / HTTP/1.1\r\nHost: x.example\r\n\r\n");
	serial = ft_request(&ftn, &h, "GET", "/");
	assert_string_equal(h.dst, want_dst);
	assert_int_equal(h.port, port);
	req_head_free(&h);
	ft_expect(ftn.back, M_REQ_END, &m);
	buf_free(&m.body);
	ft_rsp(&ftn, serial, "ok");
	ft_read_until(fd, "\r\n\r\nok", text, sizeof(text));
	close(fd);
}

static void
connection_to_a_synthetic_address_has_its_name(void **state)
{
	char a[INET6_ADDRSTRLEN];

	ftn_need();
	ftn_resolve("8.8.8.8", false, a);
	get(a, PORT, "x.example");
	ftn_resolve("8.8.8.8", true, a);
	get(a, 8080, "x.example");
	get("93.184.216.34", 5432, "93.184.216.34");
	get("2606:2800::1", 22, "2606:2800::1");
}

static void
address_of_a_former_front_is_learnt_again(void **state)
{
	char a[INET6_ADDRSTRLEN];
	int fd;

	ftn_need();
	ftn_resolve("8.8.8.8", false, a);
	/* A fresh front on the same sockets knows no name. */
	ft_stop(&ftn);
	fd_close(&ftn_capture.link);
	assert_int_equal(ftn_setup(state), 0);
	ftn_need();
	get(a, PORT, "x.example");
	/* But another name does not get that address. */
	fd = ftn_dial(SOCK_STREAM, "198.18.77.77", PORT);
	ft_write(fd, "GET / HTTP/1.1\r\nHost: y.example\r\n\r\n");
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	assert_true(str_starts(text, "HTTP/1.1 421"));
	ft_event(&ftn, FRONT_NO_NAME, "no name");
	close(fd);
}

static void
other_datagrams_are_dropped_and_recorded(void **state)
{
	int fd;

	ftn_need();
	fd = ftn_dial(SOCK_DGRAM, "192.0.2.7", 123);
	assert_int_equal(send(fd, "time?", 5, 0), 5);
	ft_event(&ftn, FRONT_UDP, "5 bytes");
	close(fd);
	fd = ftn_dial(SOCK_DGRAM, "2606:2800::1", 443);
	assert_int_equal(send(fd, "quic", 4, 0), 4);
	ft_event(&ftn, FRONT_UDP, "4 bytes");
	/* A flood is counted, not told one by one. */
	for (int i = 0; i < 1000; i++)
		send(fd, "quic", 4, MSG_DONTWAIT);
	usleep(100000);
	for (int i = 0; i < 50 && ft_waiting(ftn.back, 0); i++)
		ft_event(&ftn, FRONT_UDP, "4 bytes");
	assert_false(ft_waiting(ftn.back, 0));
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

	return cmocka_run_group_tests(tests, ftn_setup, ftn_teardown);
}

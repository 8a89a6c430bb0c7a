#include "tests/proxy/fronttest_net.h"

#include <arpa/inet.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"

struct ft ftn;
struct capture ftn_capture;
static const char *skip_why;

int
ftn_setup(void **state)
{
	struct error err = { 0 };

	if (capture_make(&ftn_capture, &err) < 0 ||
	    setns(ftn_capture.ns, CLONE_NEWNET) < 0) {
		skip_why = "no network namespace or no capture here";
		return 0;
	}
	ft_start(&ftn);
	for (unsigned int i = 0; i < CAPTURE_AGENT; i++)
		ft_give(&ftn, (enum capture_fd)i, ftn_capture.sock[i]);
	return 0;
}

int
ftn_teardown(void **state)
{
	if (skip_why == NULL)
		ft_stop(&ftn);
	return 0;
}

void
ftn_need(void)
{
	if (skip_why != NULL) {
		print_message("SKIP %s\n", skip_why);
		skip();
	}
}

int
ftn_dial(int type, const char *addr, uint16_t port)
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

void
ftn_resolve(const char *server, bool v6, char out[INET6_ADDRSTRLEN])
{
	static const char head[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00"
				   "\x00\x00\x01x\x07"
				   "example";
	uint8_t q[64], a[512];
	size_t n = sizeof(head); /* its NUL ends the name */
	int fd = ftn_dial(SOCK_DGRAM, server, 53);
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

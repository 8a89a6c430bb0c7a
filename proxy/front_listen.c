#include "proxy/front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

#define ACCEPTS_PER_ROUND 64
/* With no descriptor left, how long to leave the queue alone. */
#define ACCEPT_PAUSE_MS 100u

/* Address as one family: IPv4 becomes mapped. */
static void
to_mapped(const struct sockaddr_storage *ss, struct in6_addr *a, uint16_t *port)
{
	memset(a, 0, sizeof(*a));
	*port = 0;
	if (ss->ss_family == AF_INET6) {
		struct sockaddr_in6 s6;

		memcpy(&s6, ss, sizeof(s6));
		*a = s6.sin6_addr;
		*port = ntohs(s6.sin6_port);
	} else if (ss->ss_family == AF_INET) {
		struct sockaddr_in s4;

		memcpy(&s4, ss, sizeof(s4));
		a->s6_addr[10] = a->s6_addr[11] = 0xff;
		memcpy(&a->s6_addr[12], &s4.sin_addr, 4);
		*port = ntohs(s4.sin_port);
	}
}

static void
literal(const struct in6_addr *a, char text[INET6_ADDRSTRLEN])
{
	bool v4 = IN6_IS_ADDR_V4MAPPED(a);

	if (inet_ntop(v4 ? AF_INET : AF_INET6,
		v4 ? (const void *)&a->s6_addr[12] : (const void *)a, text,
		INET6_ADDRSTRLEN) == NULL)
		fatal("inet_ntop");
}

static void
accepted(struct front *f, int fd)
{
	static const int one = 1;
	static const char full[] = "too many connections at a time";
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	struct in6_addr a;
	char text[INET6_ADDRSTRLEN];
	const char *name = text;
	uint32_t index = 0;
	uint16_t port;

	/* sk_lookup leaves the address that the agent dialled. */
	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0) {
		close(fd);
		return;
	}
	to_mapped(&ss, &a, &port);
	literal(&a, text);
	if (addr_pool_index(&a, &index))
		name = index == 0 ? text : addr_pool_name(f->pool, index);
	if (f->nconns >= FRONT_CONNS_MAX && !conn_close_idle(f)) {
		front_event(f, FRONT_LIMIT, text, port, full, sizeof(full) - 1);
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	conn_new(f, fd, text, name, index, port);
}

static void
accept_again(void *arg)
{
	struct front *f = arg;

	if (f->ios[CAPTURE_TCP] != NULL)
		ev_io_set(f->ios[CAPTURE_TCP], EV_READ);
}

static void
on_tcp(int lfd, unsigned int events, void *arg)
{
	struct front *f = arg;

	for (int i = 0; i < ACCEPTS_PER_ROUND; i++) {
		int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			accepted(f, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EAGAIN)
			return;
		/* As many as the administrator lets this process have. */
		if (errno == EMFILE && conn_close_idle(f))
			continue;
		log_warn("accept");
		ev_io_set(f->ios[CAPTURE_TCP], 0);
		if (f->accept_timer == NULL)
			f->accept_timer = ev_timer_new(f->ev, accept_again, f);
		ev_timer_set(f->accept_timer, ACCEPT_PAUSE_MS);
		return;
	}
}

/* A client of the SSH agent. */
static void
on_agent(int lfd, unsigned int events, void *arg)
{
	struct front *f = arg;
	int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (f->nconns >= FRONT_CONNS_MAX && !conn_close_idle(f)) {
		close(fd);
		return;
	}
	raw_agent(f, fd);
}

int
front_take_fd(struct front *f, unsigned int which, int fd)
{
	static ev_io_fn *const handler[CAPTURE_MAX] = {
		[CAPTURE_TCP] = on_tcp,
		[CAPTURE_UDP] = front_on_udp,
		[CAPTURE_DNS] = front_on_dns,
		[CAPTURE_AGENT] = on_agent,
	};

	if (fd_nonblock(fd) < 0) {
		close(fd);
		return -1;
	}
	ev_io_free(f->ios[which]);
	fd_close(&f->fds[which]);
	f->fds[which] = fd;
	if (which == CAPTURE_UDP || which == CAPTURE_DNS)
		front_udp_setup(fd);
	f->ios[which] = ev_io_new(f->ev, fd, EV_READ, handler[which], f);
	return 0;
}

void
front_drop_fds(struct front *f)
{
	for (size_t i = 0; i < CAPTURE_MAX; i++) {
		ev_io_free(f->ios[i]);
		f->ios[i] = NULL;
		fd_close(&f->fds[i]);
	}
}

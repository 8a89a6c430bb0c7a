#include "inferd/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "proxy/netaddr.h"
#include "proxy/wire.h"

#define INHERITED_FIRST 3 /* SD_LISTEN_FDS_START */

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage storage;
};

/* "host:port" or "[host]:port": the host, which fits, and the rest. */
static const char *
split(const char *authority, char host[NETADDR_TEXT])
{
	const char *end;
	bool v6 = authority[0] == '[';
	size_t n;

	authority += v6 ? 1 : 0;
	end = authority + strcspn(authority, v6 ? "]" : ":");
	n = (size_t)(end - authority);
	if (n >= NETADDR_TEXT || (v6 && *end != ']'))
		return NULL;
	memcpy(host, authority, n);
	host[n] = '\0';
	return end + (v6 ? 1 : 0);
}

static int
local_address(const char *host, struct netaddr *a)
{
	if (strcasecmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (netaddr_parse(host, a) < 0)
		return -1;
	return netaddr_classify(a) == NETADDR_LOOPBACK ? 0 : -1;
}

bool
sockets_is_local(const char *authority)
{
	char host[NETADDR_TEXT];
	struct netaddr a;

	return wire_is_authority(authority) && split(authority, host) != NULL &&
	       local_address(host, &a) == 0;
}

static socklen_t
to_sockaddr(const struct netaddr *a, uint16_t port, union address *out)
{
	memset(out, 0, sizeof(*out));
	if (a->family == 4) {
		out->in.sin_family = AF_INET;
		out->in.sin_port = htons(port);
		memcpy(&out->in.sin_addr, a->addr, 4);
		return sizeof(out->in);
	}
	out->in6.sin6_family = AF_INET6;
	out->in6.sin6_port = htons(port);
	memcpy(&out->in6.sin6_addr, a->addr, 16);
	return sizeof(out->in6);
}

int
sockets_tcp(const char *where, int backlog, struct error *err)
{
	char host[NETADDR_TEXT];
	const char *rest = split(where, host);
	struct netaddr a;
	union address to;
	uint64_t port;
	socklen_t n;
	cleanup_fd int fd = -1;
	const int on = 1;

	if (rest == NULL || rest[0] != ':' ||
	    str_to_u64(rest + 1, 0, UINT16_MAX, &port) < 0)
		return error_set(
		    err, 0, "%s: not an address and a port", where);
	if (local_address(host, &a) < 0)
		return error_set(err, 0,
		    "%s: not an address of this machine alone (127.0.0.1, "
		    "[::1])",
		    where);
	n = to_sockaddr(&a, (uint16_t)port, &to);
	fd = socket(
	    to.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, errno, "socket");
	/* What a former process of ours left in TIME_WAIT is not in the way. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, &to.sa, n) < 0 || listen(fd, backlog) < 0)
		return error_set(err, errno, "listen on %s", where);
	return steal_fd(&fd);
}

static int
address_of(int fd, union address *a)
{
	socklen_t n = sizeof(*a);

	memset(a, 0, sizeof(*a));
	return getsockname(fd, &a->sa, &n);
}

static bool
to_netaddr(const union address *u, struct netaddr *a)
{
	memset(a, 0, sizeof(*a));
	if (u->sa.sa_family == AF_INET) {
		a->family = 4;
		memcpy(a->addr, &u->in.sin_addr, 4);
		return true;
	}
	if (u->sa.sa_family == AF_INET6) {
		a->family = 6;
		memcpy(a->addr, &u->in6.sin6_addr, 16);
		return true;
	}
	return false;
}

bool
sockets_is_tcp(int fd)
{
	union address u;
	struct netaddr a;

	return address_of(fd, &u) == 0 && to_netaddr(&u, &a);
}

void
sockets_name(int fd, char *out, size_t size)
{
	union address u;
	struct netaddr a;
	char text[NETADDR_TEXT];
	bool v6;

	if (address_of(fd, &u) < 0) {
		snprintf(out, size, "?");
		return;
	}
	if (!to_netaddr(&u, &a)) {
		u.un.sun_path[sizeof(u.un.sun_path) - 1] = '\0';
		snprintf(out, size, "%s", u.un.sun_path);
		return;
	}
	v6 = a.family == 6;
	netaddr_format(&a, text);
	/* Both families keep it in one place. */
	snprintf(out, size, "%s%s%s:%u", v6 ? "[" : "", text, v6 ? "]" : "",
	    ntohs(u.in.sin_port));
}

static int
check_inherited(int fd, struct error *err)
{
	union address u;
	struct netaddr a;
	int type = 0, listening = 0;
	socklen_t n = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) < 0 ||
	    address_of(fd, &u) < 0)
		return error_set(err, errno, "descriptor %d", fd);
	if (type != SOCK_STREAM || listening == 0)
		return error_set(
		    err, 0, "descriptor %d: not a listening socket", fd);
	if (u.sa.sa_family != AF_UNIX &&
	    (!to_netaddr(&u, &a) || netaddr_classify(&a) != NETADDR_LOOPBACK))
		return error_set(err, 0,
		    "descriptor %d listens to more than this machine", fd);
	if (fd_cloexec(fd, true) < 0 || fd_nonblock(fd) < 0)
		return error_set(err, errno, "descriptor %d", fd);
	return 0;
}

int
sockets_inherited(int fds[SOCKETS_MAX], struct error *err)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	uint64_t who, n;

	if (pid == NULL || count == NULL ||
	    str_to_u64(pid, 1, INT32_MAX, &who) < 0 ||
	    who != (uint64_t)getpid())
		return 0;
	if (str_to_u64(count, 0, SOCKETS_MAX, &n) < 0)
		return error_set(err, 0,
		    "LISTEN_FDS: a number up to %u, not %s", SOCKETS_MAX,
		    count);
	for (uint64_t i = 0; i < n; i++) {
		fds[i] = INHERITED_FIRST + (int)i;
		if (check_inherited(fds[i], err) < 0)
			return -1;
	}
	return (int)n;
}

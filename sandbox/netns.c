#include "sandbox/netns.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"

#define LO_INDEX 1 /* always, in every network namespace */

/* See rtnetlink(7); nothing in here needs padding. */
struct link_request {
	struct nlmsghdr nh;
	struct ifinfomsg ifi;
};

struct route_request {
	struct nlmsghdr nh;
	struct rtmsg rt;
	struct rtattr oif;
	uint32_t index;
};

struct requests {
	struct link_request up;
	struct route_request v4, v6;
};

_Static_assert(
    sizeof(struct link_request) % NLMSG_ALIGNTO == 0 &&
	sizeof(struct route_request) % NLMSG_ALIGNTO == 0 &&
	sizeof(struct requests) ==
	    sizeof(struct link_request) + 2 * sizeof(struct route_request),
    "netlink messages follow each other");

static struct link_request
lo_up(uint32_t seq)
{
	return (struct link_request){
		.nh = { .nlmsg_len = sizeof(struct link_request),
		    .nlmsg_type = RTM_NEWLINK,
		    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		    .nlmsg_seq = seq },
		.ifi = { .ifi_family = AF_UNSPEC,
		    .ifi_index = LO_INDEX,
		    .ifi_flags = IFF_UP,
		    .ifi_change = IFF_UP },
	};
}

/* Every address is one of ours. */
static struct route_request
local_route(unsigned char family, uint32_t seq)
{
	return (struct route_request){
		.nh = { .nlmsg_len = sizeof(struct route_request),
		    .nlmsg_type = RTM_NEWROUTE,
		    .nlmsg_flags =
			NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
		    .nlmsg_seq = seq },
		.rt = { .rtm_family = family,
		    .rtm_table = RT_TABLE_LOCAL,
		    .rtm_protocol = RTPROT_BOOT,
		    .rtm_scope = RT_SCOPE_HOST,
		    .rtm_type = RTN_LOCAL },
		.oif = { .rta_len = RTA_LENGTH(sizeof(uint32_t)),
		    .rta_type = RTA_OIF },
		.index = LO_INDEX,
	};
}

static bool
have_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	return close(fd) == 0;
}

/* 0, or -1 with errno. */
static int
take_ack(int fd, uint32_t seq)
{
	struct {
		struct nlmsghdr nh;
		struct nlmsgerr e;
		struct requests again; /* what it is the answer to */
	} m;
	ssize_t n = recv(fd, &m, sizeof(m), 0);

	if (n < 0)
		return -1;
	if ((size_t)n < offsetof(typeof(m), again) ||
	    m.nh.nlmsg_type != NLMSG_ERROR || m.nh.nlmsg_seq != seq) {
		errno = EPROTO;
		return -1;
	}
	errno = -m.e.error;
	return m.e.error == 0 ? 0 : -1;
}

int
netns_setup(struct error *err)
{
	const struct requests rq = { lo_up(1), local_route(AF_INET, 2),
		local_route(AF_INET6, 3) };
	const bool v6 = have_ipv6();
	const size_t size = v6 ? sizeof(rq) : offsetof(struct requests, v6);
	cleanup_fd int fd = -1;
	uint32_t seq;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0 || send(fd, &rq, size, 0) != (ssize_t)size)
		return error_set(err, errno, "netns: netlink");
	/* The answers come in order. */
	for (seq = 1; seq <= (v6 ? 3 : 2); seq++)
		if (take_ack(fd, seq) < 0)
			return error_set(err, errno, "netns: %s",
			    seq == 1   ? "loopback"
			    : seq == 2 ? "IPv4 route"
				       : "IPv6 route");
	return 0;
}

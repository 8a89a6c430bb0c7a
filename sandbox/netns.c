#include "sandbox/netns.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/route.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#define LO_INDEX 1 /* always, in every network namespace */

static int
lo_up(struct nl_sock *sk)
{
	struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC,
		.ifi_index = LO_INDEX,
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP };

	return nl_send_simple(sk, RTM_NEWLINK, NLM_F_ACK, &ifi, sizeof(ifi));
}

static int
local_route(struct nl_sock *sk, int family)
{
	static const unsigned char any[16];
	struct rtnl_route *route = rtnl_route_alloc();
	struct rtnl_nexthop *nh = rtnl_route_nh_alloc();
	struct nl_addr *dst;
	struct nl_msg *msg = NULL;
	int r = -NLE_NOMEM;

	dst = nl_addr_build(family, any, family == AF_INET ? 4 : 16);
	if (route == NULL || nh == NULL || dst == NULL)
		goto out;
	nl_addr_set_prefixlen(dst, 0);
	rtnl_route_set_family(route, (uint8_t)family);
	rtnl_route_set_table(route, RT_TABLE_LOCAL);
	rtnl_route_set_type(route, RTN_LOCAL);
	rtnl_route_set_scope(route, RT_SCOPE_HOST);
	rtnl_route_set_protocol(route, RTPROT_BOOT);
	r = rtnl_route_set_dst(route, dst);
	if (r < 0)
		goto out;
	rtnl_route_nh_set_ifindex(nh, LO_INDEX);
	rtnl_route_add_nexthop(route, nh);
	nh = NULL; /* the route owns it now */
	r = rtnl_route_build_add_request(
	    route, NLM_F_CREATE | NLM_F_EXCL, &msg);
	if (r < 0)
		goto out;
	r = nl_send_auto(sk, msg);
out:
	nlmsg_free(msg);
	nl_addr_put(dst);
	if (nh != NULL)
		rtnl_route_nh_free(nh);
	rtnl_route_put(route);
	return r;
}

static bool
have_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	return close(fd) == 0;
}

int
netns_setup(struct error *err)
{
	struct nl_sock *sk = nl_socket_alloc();
	int r, n = 2;

	if (sk == NULL)
		return error_set(err, ENOMEM, "netns: socket");
	r = nl_connect(sk, NETLINK_ROUTE);
	if (r == 0)
		r = lo_up(sk);
	if (r >= 0)
		r = local_route(sk, AF_INET);
	if (r >= 0 && have_ipv6()) {
		r = local_route(sk, AF_INET6);
		n++;
	}
	/* All requests are on their way: now the answers, in order. */
	while (r >= 0 && n-- > 0)
		r = nl_wait_for_ack(sk);
	nl_socket_free(sk);
	if (r < 0)
		return error_set(err, 0, "netns: %s", nl_geterror(r));
	return 0;
}

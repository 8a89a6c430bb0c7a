#include "proxy/front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/str.h"
#include "proxy/dnswire.h"

#define DATAGRAMS_PER_ROUND 64
#define DNS_PORT 53u
#define ANSWER_MAX 2048u

/* One datagram: who sent it, and where to. */
struct datagram {
	uint8_t data[DNS_QUERY_MAX + 1];
	size_t n;
	struct sockaddr_storage from;
	socklen_t from_len;
	struct in6_addr to; /* IPv4 mapped; all zero if unknown */
	uint16_t port;      /* 0 if unknown */
};

/*
 * sk_lookup hands over datagrams for any address and port: ask for both, and
 * be allowed to answer from an address that no interface has.
 */
void
front_udp_setup(int fd)
{
	static const int one = 1;

	/* A socket of either family refuses the other's: that is fine. */
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	(void)setsockopt(
	    fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_IP, IP_RECVORIGDSTADDR, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
}

static void
map_v4(struct in6_addr *a, const struct in_addr *v4)
{
	memset(a, 0, sizeof(*a));
	a->s6_addr[10] = a->s6_addr[11] = 0xff;
	memcpy(&a->s6_addr[12], v4, sizeof(*v4));
}

static void
read_cmsg(struct datagram *d, struct cmsghdr *cm)
{
	if (cm->cmsg_level == IPPROTO_IPV6 &&
	    cm->cmsg_type == IPV6_ORIGDSTADDR &&
	    cm->cmsg_len >= CMSG_LEN(sizeof(struct sockaddr_in6))) {
		struct sockaddr_in6 s6;

		memcpy(&s6, CMSG_DATA(cm), sizeof(s6));
		d->to = s6.sin6_addr;
		d->port = ntohs(s6.sin6_port);
	} else if (cm->cmsg_level == IPPROTO_IP &&
		   cm->cmsg_type == IP_ORIGDSTADDR &&
		   cm->cmsg_len >= CMSG_LEN(sizeof(struct sockaddr_in))) {
		struct sockaddr_in s4;

		memcpy(&s4, CMSG_DATA(cm), sizeof(s4));
		map_v4(&d->to, &s4.sin_addr);
		d->port = ntohs(s4.sin_port);
	}
}

/* 1 a datagram, 0 none is waiting. One that is too long has n 0. */
static int
receive(int fd, struct datagram *d)
{
	union {
		char buf[CMSG_SPACE(sizeof(struct sockaddr_in6)) * 2 +
			 CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { d->data, sizeof(d->data) };
	struct msghdr mh = {
		.msg_name = &d->from,
		.msg_namelen = sizeof(d->from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n = recvmsg(fd, &mh, 0);

	if (n < 0)
		return 0;
	d->n = mh.msg_flags & MSG_TRUNC ? 0 : (size_t)n;
	d->from_len = mh.msg_namelen;
	memset(&d->to, 0, sizeof(d->to));
	d->port = 0;
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(&mh); cm != NULL;
	     cm = CMSG_NXTHDR(&mh, cm))
		read_cmsg(d, cm);
	return 1;
}

/* Back to the sender, from the address that it had asked. */
static void
reply(int fd, const struct datagram *d, const struct buf *b)
{
	union {
		char buf[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { buf_head(b), buf_len(b) };
	struct sockaddr_storage to = d->from;
	struct msghdr mh = {
		.msg_name = &to,
		.msg_namelen = d->from_len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	struct cmsghdr *cm;

	if (d->port != 0) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = control.buf;
		mh.msg_controllen = sizeof(control.buf);
		cm = CMSG_FIRSTHDR(&mh);
		if (d->from.ss_family == AF_INET6) {
			struct in6_pktinfo pi = { .ipi6_addr = d->to };

			cm->cmsg_level = IPPROTO_IPV6;
			cm->cmsg_type = IPV6_PKTINFO;
			cm->cmsg_len = CMSG_LEN(sizeof(pi));
			memcpy(CMSG_DATA(cm), &pi, sizeof(pi));
			mh.msg_controllen = CMSG_SPACE(sizeof(pi));
		} else {
			struct in_pktinfo pi = { 0 };

			memcpy(&pi.ipi_spec_dst, &d->to.s6_addr[12], 4);
			cm->cmsg_level = IPPROTO_IP;
			cm->cmsg_type = IP_PKTINFO;
			cm->cmsg_len = CMSG_LEN(sizeof(pi));
			memcpy(CMSG_DATA(cm), &pi, sizeof(pi));
			mh.msg_controllen = CMSG_SPACE(sizeof(pi));
		}
	}
	/* A lost datagram is asked for again. */
	if (sendmsg(fd, &mh, MSG_DONTWAIT) < 0 && errno != EAGAIN)
		log_debug("DNS answer: %s", strerror(errno));
}

/* 1.2.3.4 and the like are no names to look up (RFC 1123 section 2.1). */
static bool
is_numeric(const char *name)
{
	const char *last = strrchr(name, '.');

	last = last == NULL ? name : last + 1;
	return last[strspn(last, "0123456789")] == '\0';
}

/*
 * The address to answer with.  *len 0: none of this type.  RFC 6761 gives
 * localhost to the host itself.
 */
static enum dns_rcode
lookup(
    struct front *f, const struct dns_query *q, uint8_t addr[16], size_t *len)
{
	static const char full[] = "too many names for the address pool";
	uint32_t index;
	bool v4 = q->type == DNS_TYPE_A;

	*len = 0;
	if (!v4 && q->type != DNS_TYPE_AAAA)
		return DNS_NOERROR;
	if (q->name[0] == '\0' || is_numeric(q->name))
		return DNS_NXDOMAIN;
	*len = v4 ? 4 : 16;
	if (str_eq(q->name, "localhost") || str_ends(q->name, ".localhost")) {
		memset(addr, 0, 16);
		addr[0] = v4 ? 127 : 0;
		addr[*len - 1] = 1;
		return DNS_NOERROR;
	}
	index = addr_pool_add(f->pool, q->name);
	if (index == 0) {
		*len = 0;
		front_event(
		    f, FRONT_LIMIT, q->name, DNS_PORT, full, sizeof(full) - 1);
		return DNS_SERVFAIL;
	}
	if (v4)
		addr_pool_v4(index, addr);
	else
		addr_pool_v6(index, addr);
	return DNS_NOERROR;
}

static void
answer(struct front *f, int fd, const struct datagram *d)
{
	struct dns_query q;
	enum dns_rcode rcode;
	uint8_t addr[16];
	size_t len = 0;
	cleanup_buf struct buf b = { 0 };

	if (d->n == 0 || dns_parse(d->data, d->n, &q, &rcode) < 0)
		return;
	buf_init(&b, ANSWER_MAX);
	if (rcode == DNS_NOERROR)
		rcode = lookup(f, &q, addr, &len);
	dns_put_answer(
	    &b, &q, rcode, len > 0 ? addr : NULL, len, FRONT_DNS_TTL);
	reply(fd, d, &b);
}

static void
dropped(struct front *f, const struct datagram *d)
{
	char text[64], dst[INET6_ADDRSTRLEN] = "";
	bool v4 = IN6_IS_ADDR_V4MAPPED(&d->to);
	uint32_t index = 0;
	const char *name = NULL;
	int n;

	if (inet_ntop(v4 ? AF_INET : AF_INET6,
		v4 ? (const void *)&d->to.s6_addr[12] : (const void *)&d->to,
		dst, sizeof(dst)) == NULL)
		dst[0] = '\0';
	if (addr_pool_index(&d->to, &index))
		name = addr_pool_name(f->pool, index);
	n = snprintf(text, sizeof(text), "UDP datagram of %zu bytes", d->n);
	front_event(f, FRONT_UDP, name == NULL ? dst : name, d->port, text,
	    n < 0 ? 0 : (size_t)n);
}

void
front_on_udp(int fd, unsigned int events, void *arg)
{
	struct datagram d;

	for (int i = 0; i < DATAGRAMS_PER_ROUND && receive(fd, &d) > 0; i++) {
		if (d.port == DNS_PORT)
			answer(arg, fd, &d);
		else
			dropped(arg, &d);
	}
}

void
front_on_dns(int fd, unsigned int events, void *arg)
{
	struct datagram d;

	for (int i = 0; i < DATAGRAMS_PER_ROUND && receive(fd, &d) > 0; i++)
		answer(arg, fd, &d);
}

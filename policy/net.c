/*
 * Addresses that are not global (RFC 6890 and the IANA special-purpose
 * registries): refused unless a rule names them.  What a name resolves to is
 * under the control of whoever owns the name, so an http rule alone never
 * opens these.
 */
#include "policy/internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum zone {
	ZONE_NEVER,   /* no rule can name it */
	ZONE_EXACT,   /* loopback, link-local, metadata: address and port */
	ZONE_PRIVATE, /* any rule that covers it */
	ZONE_GLOBAL,
};

struct block {
	uint8_t addr[16];
	uint8_t len;
	enum zone zone;
};

/* The first block that holds the address counts. */
static const struct block blocks4[] = {
	{ { 100, 100, 100, 200 }, 32, ZONE_EXACT }, /* metadata service */
	{ { 168, 63, 129, 16 }, 32, ZONE_EXACT },   /* metadata service */
	{ { 192, 0, 0, 192 }, 32, ZONE_EXACT },     /* metadata service */
	{ { 0 }, 8, ZONE_NEVER },
	{ { 10 }, 8, ZONE_PRIVATE },
	{ { 100, 64 }, 10, ZONE_PRIVATE },
	{ { 127 }, 8, ZONE_EXACT },
	{ { 169, 254 }, 16, ZONE_EXACT },
	{ { 172, 16 }, 12, ZONE_PRIVATE },
	{ { 192, 0, 0 }, 24, ZONE_PRIVATE },
	{ { 192, 0, 2 }, 24, ZONE_PRIVATE },
	{ { 192, 88, 99 }, 24, ZONE_NEVER },
	{ { 192, 168 }, 16, ZONE_PRIVATE },
	{ { 198, 18 }, 15, ZONE_PRIVATE },
	{ { 198, 51, 100 }, 24, ZONE_PRIVATE },
	{ { 203, 0, 113 }, 24, ZONE_PRIVATE },
	{ { 224 }, 4, ZONE_NEVER },
	{ { 240 }, 4, ZONE_NEVER },
};

static const struct block blocks6[] = {
	{ { [15] = 1 }, 128, ZONE_EXACT }, /* ::1 */
	{ { 0xfd, 0, 0x0e, 0xc2, [14] = 0x02, 0x54 }, 128,
	    ZONE_EXACT },                   /* metadata service */
	{ { 0xfe, 0x80 }, 10, ZONE_EXACT }, /* link-local */
	{ { 0xfc }, 7, ZONE_PRIVATE },      /* unique local */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, ZONE_PRIVATE },
	{ { 0x3f, 0xff }, 20, ZONE_PRIVATE },
	{ { 0x20, 0x01 }, 23, ZONE_NEVER }, /* Teredo and kin */
	{ { 0x20, 0x02 }, 16, ZONE_NEVER }, /* 6to4 */
	{ { 0x20 }, 3, ZONE_GLOBAL },
	{ { 0 }, 0, ZONE_NEVER },
};

static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

static bool
in_block(const uint8_t *a, const uint8_t *net, unsigned int len)
{
	unsigned int rest = len % 8;

	if (memcmp(a, net, len / 8) != 0)
		return false;
	return rest == 0 || ((a[len / 8] ^ net[len / 8]) >> (8 - rest)) == 0;
}

/* Zone of all the addresses of a range: the block must hold all of it. */
static enum zone
zone_of(uint8_t family, const uint8_t *a, unsigned int len)
{
	const struct block *t = family == 4 ? blocks4 : blocks6;
	size_t n = family == 4 ? nitems(blocks4) : nitems(blocks6), i;

	for (i = 0; i < n; i++)
		if (t[i].len <= len && in_block(a, t[i].addr, t[i].len))
			return t[i].zone;
	return ZONE_GLOBAL;
}

bool
net_pat_match(const struct net_pat *np, const struct net_request *rq)
{
	return np->family == rq->family &&
	       (np->port == 0 || np->port == rq->port) &&
	       in_block(rq->addr, np->addr, np->len);
}

struct net_ask {
	struct net_request rq;
	bool exact; /* only rules of one address and one port count */
};

static bool
net_rule_match(const struct rule *r, const void *arg)
{
	const struct net_ask *a = arg;
	unsigned int full = a->rq.family == 4 ? 32 : 128;
	size_t i, j, e;

	for (i = 0; i < r->pat.nnet; i++) {
		const struct net_pat *np = &r->pat.net[i];

		if (!net_pat_match(np, &a->rq))
			continue;
		if (a->exact && r->effect != EFFECT_DENY &&
		    (np->len != full || np->port == 0))
			continue;
		for (e = 0; e < r->nexcept; e++)
			for (j = 0; j < r->except[e].nnet; j++)
				if (net_pat_match(&r->except[e].net[j], &a->rq))
					return false;
		return true;
	}
	return false;
}

static void
net_normal(const struct net_request *rq, struct decision *d)
{
	char text[INET6_ADDRSTRLEN] = "?", all[INET6_ADDRSTRLEN + 16];

	(void)inet_ntop(
	    rq->family == 4 ? AF_INET : AF_INET6, rq->addr, text, sizeof(text));
	(void)snprintf(all, sizeof(all), rq->family == 4 ? "%s:%u" : "[%s]:%u",
	    text, rq->port);
	decision_show(d, all, NULL, 0);
}

void
net_request_plain(struct net_request *rq, bool *translated)
{
	uint8_t v4[4];

	*translated = false;
	if (rq->family != 6 ||
	    (memcmp(rq->addr, mapped, 12) != 0 &&
		!(*translated = memcmp(rq->addr, nat64, 12) == 0)))
		return;
	memcpy(v4, rq->addr + 12, 4);
	memset(rq->addr, 0, sizeof(rq->addr));
	memcpy(rq->addr, v4, 4);
	rq->family = 4;
}

static enum zone
zone_of_request(const struct net_request *rq)
{
	return zone_of(rq->family, rq->addr, rq->family == 4 ? 32 : 128);
}

bool
net_is_never(const struct net_request *rq, const char **why)
{
	if (rq->family != 4 && rq->family != 6)
		*why = "not an IPv4 or IPv6 address";
	else if (rq->port == 0)
		*why = "port 0 cannot be dialled";
	else if (zone_of_request(rq) == ZONE_NEVER)
		*why = "an address that is not for one host on a network is "
		       "never dialled";
	else
		return false;
	return true;
}

bool
net_is_exact(const struct net_request *rq)
{
	return zone_of_request(rq) == ZONE_EXACT;
}

void
policy_net(const struct policy *p, const struct profile *pr,
    const struct net_request *rq, struct decision *d)
{
	struct net_ask a = { *rq, false };
	struct verdict v;
	enum zone zone;
	bool translated;

	memset(d, 0, sizeof(*d));
	net_request_plain(&a.rq, &translated);
	net_normal(&a.rq, d);
	if (a.rq.family != 4 && a.rq.family != 6) {
		decision_failsafe(d, "address", "not an IPv4 or IPv6 address");
		return;
	}
	if (rq->port == 0) {
		decision_failsafe(d, "address", "port 0 cannot be dialled");
		return;
	}
	zone = zone_of_request(&a.rq);
	a.exact = zone == ZONE_EXACT;
	decide(pr, POLICY_NET, net_rule_match, &a, &v);
	if (v.rule != NULL && v.effect == EFFECT_DENY) {
		decision_fill(pr, POLICY_NET, &v, d);
	} else if (zone == ZONE_GLOBAL) {
		d->effect = EFFECT_ALLOW;
		d->by = BY_DEFAULT;
		(void)strlcpy(d->rule, "global address", sizeof(d->rule));
		(void)strlcpy(d->because,
		    "a global address; http rules have "
		    "judged the name",
		    sizeof(d->because));
	} else if (zone == ZONE_NEVER || translated) {
		decision_failsafe(d, "address",
		    "an address that is not for "
		    "one host on a network is never dialled");
	} else if (v.rule != NULL) {
		decision_fill(pr, POLICY_NET, &v, d);
	} else {
		decision_failsafe(d, "address",
		    zone == ZONE_EXACT
			? "a loopback, link-local or metadata address is "
			  "dialled only if an allow net rule names it with "
			  "its port"
			: "an address that is not global is dialled only if "
			  "an allow net rule names it");
	}
}

/*
 * ADDRESS[/LEN][:PORT], [ADDRESS[/LEN]]:PORT or a bare IPv6 ADDRESS[/LEN].
 * len is 255 and port 0 where absent.
 */
static int
addr_split(const char *s, struct net_pat *np)
{
	char copy[80], *addr = copy, *rest, *len = NULL, *port = NULL;
	struct net_pat zero = { .len = 255 };
	uint64_t v;

	*np = zero;
	if (strlcpy(copy, s, sizeof(copy)) >= sizeof(copy))
		return -1;
	np->family = 4;
	if (copy[0] == '[') {
		np->family = 6;
		addr = copy + 1;
		rest = strchr(copy, ']');
		if (rest == NULL)
			return -1;
		*rest++ = '\0';
		if (*rest == ':')
			port = rest + 1;
		else if (*rest != '\0')
			return -1;
	} else if ((rest = strchr(copy, ':')) != NULL) {
		if (strchr(rest + 1, ':') != NULL) {
			np->family = 6;
		} else {
			*rest = '\0';
			port = rest + 1;
		}
	}
	len = strchr(addr, '/');
	if (len != NULL)
		*len++ = '\0';
	if (inet_pton(np->family == 4 ? AF_INET : AF_INET6, addr, np->addr) !=
	    1)
		return -1;
	if (len != NULL) {
		if (str_to_u64(len, 0, np->family == 4 ? 32 : 128, &v) < 0)
			return -1;
		np->len = (uint8_t)v;
	}
	if (port != NULL) {
		if (str_to_u64(port, 1, UINT16_MAX, &v) < 0)
			return -1;
		np->port = (uint16_t)v;
	}
	return 0;
}

int
net_pat_parse(struct load *ld, const struct pos *pos, const char *s,
    bool widens, struct net_pat *np)
{
	uint8_t full, masked[16];
	unsigned int i;

	if (addr_split(s, np) < 0) {
		if (net_is_name(s))
			return net_name_parse(ld, pos, s, widens, np);
		diag_at(ld, pos,
		    "expected ADDRESS[/LEN][:PORT] with an IPv4 "
		    "address, [IPv6-ADDRESS[/LEN]]:PORT, or NAME:PORT");
		return -1;
	}
	full = np->family == 4 ? 32 : 128;
	if (np->len == 255)
		np->len = full;
	memcpy(masked, np->addr, sizeof(masked));
	for (i = np->len; i < full; i++)
		masked[i / 8] &= (uint8_t) ~(0x80u >> (i % 8));
	if (memcmp(masked, np->addr, sizeof(masked)) != 0) {
		diag_at(ld, pos, "bits are set behind the %u of the prefix",
		    np->len);
		return -1;
	}
	if (!widens)
		return 0;
	if (np->family == 6 && (memcmp(np->addr, mapped, 12) == 0 ||
				   memcmp(np->addr, nat64, 12) == 0)) {
		diag_at(ld, pos, "write the IPv4 address itself");
		return -1;
	}
	switch (zone_of(np->family, np->addr, np->len)) {
	case ZONE_NEVER:
		diag_at(ld, pos, "no connection is ever made to this address");
		return -1;
	case ZONE_EXACT:
		if (np->len == full && np->port != 0)
			return 0;
		diag_at(ld, pos,
		    "loopback, link-local and metadata addresses "
		    "are allowed one by one, each with its port");
		return -1;
	case ZONE_PRIVATE:
		return 0;
	case ZONE_GLOBAL:
		/* One alone: a range could hold what is not global. */
		if (np->len == full && np->port != 0)
			return net_port_check(ld, pos, np->port);
		break;
	}
	diag_at(ld, pos,
	    "not inside one block of private addresses: a global address is "
	    "named alone and with its port, or by http rules");
	return -1;
}

int
net_request_parse(const char *s, struct net_request *rq)
{
	struct net_pat np;

	if (addr_split(s, &np) < 0 || np.len != 255 || np.port == 0)
		return -1;
	memcpy(rq->addr, np.addr, sizeof(rq->addr));
	rq->family = np.family;
	rq->port = np.port;
	return 0;
}

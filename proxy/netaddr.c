#include "proxy/netaddr.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/compat.h"

struct block {
	uint8_t addr[16];
	uint8_t bits;
	enum netaddr_class class;
};

/* First match wins, so exact addresses precede the blocks they sit in. */
static const struct block v4_blocks[] = {
	{ { 169, 254, 169, 254 }, 32, NETADDR_METADATA },
	{ { 169, 254, 170, 2 }, 32, NETADDR_METADATA },   /* ECS */
	{ { 169, 254, 170, 23 }, 32, NETADDR_METADATA },  /* EKS */
	{ { 100, 100, 100, 200 }, 32, NETADDR_METADATA }, /* Alibaba */
	{ { 168, 63, 129, 16 }, 32, NETADDR_METADATA }, /* Azure wire server */
	{ { 192, 0, 0, 192 }, 32, NETADDR_METADATA },   /* Oracle */
	{ { 0 }, 8, NETADDR_UNSPECIFIED },
	{ { 10 }, 8, NETADDR_PRIVATE },
	{ { 100, 64 }, 10, NETADDR_CGNAT },
	{ { 127 }, 8, NETADDR_LOOPBACK },
	{ { 169, 254 }, 16, NETADDR_LINK_LOCAL },
	{ { 172, 16 }, 12, NETADDR_PRIVATE },
	{ { 192, 0, 0 }, 24, NETADDR_RESERVED },
	{ { 192, 0, 2 }, 24, NETADDR_DOCUMENTATION },
	{ { 192, 88, 99 }, 24, NETADDR_RESERVED },
	{ { 192, 168 }, 16, NETADDR_PRIVATE },
	{ { 198, 18 }, 15, NETADDR_BENCHMARK },
	{ { 198, 51, 100 }, 24, NETADDR_DOCUMENTATION },
	{ { 203, 0, 113 }, 24, NETADDR_DOCUMENTATION },
	{ { 224 }, 4, NETADDR_MULTICAST },
	{ { 255, 255, 255, 255 }, 32, NETADDR_BROADCAST },
	{ { 240 }, 4, NETADDR_RESERVED },
};

static const struct block v6_blocks[] = {
	/* fd00:ec2::254 (EC2), fd20:ce::254 (Google) */
	{ { 0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 }, 128,
	    NETADDR_METADATA },
	{ { 0xfd, 0x20, 0, 0xce, [14] = 0x02, [15] = 0x54 }, 128,
	    NETADDR_METADATA },
	{ { 0 }, 128, NETADDR_UNSPECIFIED },
	{ { [15] = 1 }, 128, NETADDR_LOOPBACK },
	{ { 0xfe, 0x80 }, 10, NETADDR_LINK_LOCAL },
	{ { 0xfe, 0xc0 }, 10, NETADDR_PRIVATE },
	{ { 0xfc }, 7, NETADDR_PRIVATE }, { { 0xff }, 8, NETADDR_MULTICAST },
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, NETADDR_DOCUMENTATION },
	{ { 0x3f, 0xff }, 20, NETADDR_DOCUMENTATION },
	{ { 0x20, 0x01, 0, 2 }, 48, NETADDR_BENCHMARK },
	{ { 0x20, 0x01 }, 23, NETADDR_RESERVED }, /* protocol assignments */
};

/* Prefixes after which 4 bytes of IPv4 follow at byte `at`. */
static const struct {
	uint8_t addr[16];
	uint8_t bits;
	uint8_t at;
	uint8_t flip; /* Teredo stores the client's address inverted */
} embedded[] = {
	{ { [10] = 0xff, [11] = 0xff }, 96, 12, 0 }, /* mapped */
	{ { [8] = 0xff, [9] = 0xff }, 96, 12, 0 },   /* translated */
	{ { 0 }, 96, 12, 0 },                        /* compatible */
	{ { 0x20, 0x02 }, 16, 2, 0 },                /* 6to4 */
	{ { 0x00, 0x64, 0xff, 0x9b }, 96, 12, 0 },   /* NAT64 */
	{ { 0x20, 0x01, 0, 0 }, 32, 12, 0xff },      /* Teredo */
};

static bool
in_block(const uint8_t *a, const uint8_t *net, unsigned int bits)
{
	unsigned int bytes = bits / 8, rest = bits % 8;

	if (memcmp(a, net, bytes) != 0)
		return false;
	if (rest == 0)
		return true;
	return ((a[bytes] ^ net[bytes]) >> (8 - rest)) == 0;
}

static enum netaddr_class
find(const struct block *b, size_t n, const uint8_t *a, enum netaddr_class miss)
{
	for (size_t i = 0; i < n; i++)
		if (in_block(a, b[i].addr, b[i].bits))
			return b[i].class;
	return miss;
}

static enum netaddr_class
classify6(struct netaddr *a)
{
	enum netaddr_class c =
	    find(v6_blocks, nitems(v6_blocks), a->addr, NETADDR_GLOBAL);

	if (c == NETADDR_UNSPECIFIED || c == NETADDR_LOOPBACK)
		return c;
	for (size_t i = 0; i < nitems(embedded); i++) {
		uint8_t v4[16] = { 0 };

		if (!in_block(a->addr, embedded[i].addr, embedded[i].bits))
			continue;
		for (size_t j = 0; j < 4; j++)
			v4[j] = a->addr[embedded[i].at + j] ^ embedded[i].flip;
		c = find(v4_blocks, nitems(v4_blocks), v4, NETADDR_GLOBAL);
		if (i == 0) {
			memcpy(a->addr, v4, sizeof(a->addr));
			a->family = 4;
			return c;
		}
		/* Nobody serves a global host through these by accident. */
		return c == NETADDR_GLOBAL ? NETADDR_RESERVED : c;
	}
	if (c != NETADDR_GLOBAL)
		return c;
	/* Only 2000::/3 has been given out (RFC 4291 section 2.4). */
	return (a->addr[0] >> 5) == 1 ? c : NETADDR_RESERVED;
}

enum netaddr_class
netaddr_classify(struct netaddr *a)
{
	if (a->family == 4)
		return find(
		    v4_blocks, nitems(v4_blocks), a->addr, NETADDR_GLOBAL);
	if (a->family == 6)
		return classify6(a);
	return NETADDR_INVALID;
}

const char *
netaddr_class_name(enum netaddr_class c)
{
	switch (c) {
	case NETADDR_INVALID:
		return "invalid";
	case NETADDR_UNSPECIFIED:
		return "unspecified";
	case NETADDR_LOOPBACK:
		return "loopback";
	case NETADDR_METADATA:
		return "cloud metadata";
	case NETADDR_LINK_LOCAL:
		return "link-local";
	case NETADDR_PRIVATE:
		return "private";
	case NETADDR_CGNAT:
		return "carrier NAT";
	case NETADDR_MULTICAST:
		return "multicast";
	case NETADDR_BROADCAST:
		return "broadcast";
	case NETADDR_BENCHMARK:
		return "benchmark";
	case NETADDR_DOCUMENTATION:
		return "documentation";
	case NETADDR_RESERVED:
		return "reserved";
	case NETADDR_GLOBAL:
		return "global";
	}
	return "invalid";
}

int
netaddr_parse(const char *s, struct netaddr *a)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, s, a->addr) == 1) {
		a->family = 4;
		return 0;
	}
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET6, s, a->addr) == 1) {
		a->family = 6;
		return 0;
	}
	memset(a, 0, sizeof(*a));
	return -1;
}

void
netaddr_format(const struct netaddr *a, char out[NETADDR_TEXT])
{
	int af = a->family == 4 ? AF_INET : AF_INET6;

	if (inet_ntop(af, a->addr, out, NETADDR_TEXT) == NULL)
		strlcpy(out, "?", NETADDR_TEXT);
}

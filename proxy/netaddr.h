/*
 * What kind of address this is, so that back dials only global ones unless a
 * policy names another.  Pure.  Blocks follow the IANA special-purpose
 * registries (RFC 6890 and its updates); an IPv4 address embedded in an IPv6
 * one (mapped, compatible, 6to4, NAT64, Teredo) is judged as what it carries.
 */
#ifndef BRIG_PROXY_NETADDR_H
#define BRIG_PROXY_NETADDR_H

#include <stdbool.h>
#include <stdint.h>

struct netaddr {
	uint8_t family;   /* 4 or 6 */
	uint8_t addr[16]; /* network order; 4 or 16 bytes used */
};

enum netaddr_class {
	NETADDR_INVALID,       /* 0: family is neither 4 nor 6 */
	NETADDR_UNSPECIFIED,   /* 0.0.0.0/8, :: */
	NETADDR_LOOPBACK,      /* 127/8, ::1 */
	NETADDR_METADATA,      /* cloud metadata services, exact addresses */
	NETADDR_LINK_LOCAL,    /* 169.254/16, fe80::/10 */
	NETADDR_PRIVATE,       /* RFC 1918, fc00::/7, fec0::/10 */
	NETADDR_CGNAT,         /* 100.64/10 */
	NETADDR_MULTICAST,     /* 224/4, ff00::/8 */
	NETADDR_BROADCAST,     /* 255.255.255.255 */
	NETADDR_BENCHMARK,     /* 198.18/15, 2001:2::/48 */
	NETADDR_DOCUMENTATION, /* 192.0.2/24 and friends, 2001:db8::/32 */
	NETADDR_RESERVED,      /* any other block that is not global */
	NETADDR_GLOBAL,
};

/* Also rewrites *a to plain IPv4 when it is the mapped form ::ffff:a.b.c.d,
 * so that what was judged is what will be dialled. */
enum netaddr_class netaddr_classify(struct netaddr *a);
/* "loopback", "link-local" ...: for reasons shown to people. */
const char *netaddr_class_name(enum netaddr_class c);

/* Literal without brackets, canonical or not; 0, or -1 if it is not one. */
int netaddr_parse(const char *s, struct netaddr *a);
/* Text into out (at least NETADDR_TEXT bytes). */
#define NETADDR_TEXT 46
void netaddr_format(const struct netaddr *a, char out[NETADDR_TEXT]);

#endif

/*
 * DNS messages (RFC 1035), only as much as a server needs that answers one
 * question out of its own knowledge.  Pure.  front is the only user: nothing
 * an agent asks travels any further.
 */
#ifndef BRIG_PROXY_DNSWIRE_H
#define BRIG_PROXY_DNSWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define DNS_QUERY_MAX 1232u   /* longer datagrams are dropped */
#define DNS_QUESTION_MAX 259u /* 255 of name, type, class */

#define DNS_TYPE_A 1u
#define DNS_TYPE_AAAA 28u

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
};

struct dns_query {
	uint16_t id;
	bool rd;   /* recursion desired, echoed */
	bool edns; /* had an OPT record, so the answer has one */
	uint8_t opcode;
	uint16_t type;
	/* The question as sent (letter case included), echoed; 0 if it could
	 * not be read. */
	uint8_t question[DNS_QUESTION_MAX];
	size_t question_len;
	/* Lower case, no trailing dot; "" unless it is a host name. */
	char name[254];
};

/*
 * Read a query of n bytes.  -1: answer nothing (too short or long, or itself
 * an answer).  0: *rcode is DNS_NOERROR, or the error to answer with.
 */
int dns_parse(
    const void *p, size_t n, struct dns_query *q, enum dns_rcode *rcode);

/*
 * Append the answer to q: rcode, and with addr (4 bytes for A, 16 for AAAA)
 * one address record of that many seconds to live.
 */
void dns_put_answer(struct buf *b, const struct dns_query *q,
    enum dns_rcode rcode, const uint8_t *addr, size_t addr_len, uint32_t ttl);

#endif

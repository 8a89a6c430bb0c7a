#include "proxy/dnswire.h"

#include <string.h>

#include "base/str.h"

#define CLASS_IN 1u
#define TYPE_OPT 41u
#define FLAG_QR 0x8000u
#define FLAG_AA 0x0400u
#define FLAG_TC 0x0200u
#define FLAG_RD 0x0100u
#define FLAG_RA 0x0080u
#define LABEL_MAX 63u
#define NAME_MAX_WIRE 255u

/* DNS is big-endian, unlike brig's own messages. */
static uint16_t
get16(struct cur *c)
{
	uint16_t hi = cur_u8(c);

	return (uint16_t)(hi << 8 | cur_u8(c));
}

static void
put16(struct buf *b, unsigned int v)
{
	buf_put_u8(b, (uint8_t)(v >> 8));
	buf_put_u8(b, (uint8_t)v);
}

/*
 * The name of a question, without compression (there is nothing before it to
 * point to).  text gets the dotted form, "" if a label holds a byte that no
 * host name has.  0, or -1 for a malformed name.
 */
static int
get_name(struct cur *c, char text[254])
{
	size_t len = 0, wire = 1;
	bool plain = true;
	uint8_t n;

	while ((n = cur_u8(c)) != 0) {
		const uint8_t *label;

		wire += n + 1u;
		if (n > LABEL_MAX || wire > NAME_MAX_WIRE ||
		    (label = cur_bytes(c, n)) == NULL)
			return -1;
		/* 255 bytes on the wire are 253 of text at most. */
		if (len > 0)
			text[len++] = '.';
		memcpy(text + len, label, n);
		len += n;
		if (memchr(label, '.', n) != NULL ||
		    memchr(label, '\0', n) != NULL)
			plain = false;
	}
	text[len] = '\0';
	str_lower(text);
	if (!plain || !str_is_hostname(text))
		text[0] = '\0';
	return c->failed ? -1 : 0;
}

/* An OPT record with the root as its name (RFC 6891): 0 or -1. */
static int
get_opt(struct cur *c)
{
	uint8_t root = cur_u8(c);
	uint16_t type = get16(c);

	cur_bytes(c, 6); /* payload size, extended flags */
	cur_bytes(c, get16(c));
	return c->failed || root != 0 || type != TYPE_OPT ? -1 : 0;
}

int
dns_parse(const void *p, size_t n, struct dns_query *q, enum dns_rcode *rcode)
{
	struct cur c;
	unsigned int flags, qd, an, ns, ar, class;
	const uint8_t *start;

	memset(q, 0, sizeof(*q));
	if (n > DNS_QUERY_MAX)
		return -1;
	cur_init(&c, p, n);
	q->id = get16(&c);
	flags = get16(&c);
	qd = get16(&c);
	an = get16(&c);
	ns = get16(&c);
	ar = get16(&c);
	if (c.failed || flags & FLAG_QR)
		return -1;
	q->rd = (flags & FLAG_RD) != 0;
	q->opcode = flags >> 11 & 15;
	if (q->opcode != 0) {
		*rcode = DNS_NOTIMP;
		return 0;
	}
	*rcode = DNS_FORMERR;
	if (qd != 1 || an != 0 || ns != 0 || ar > 1 || flags & FLAG_TC)
		return 0;
	start = c.p;
	if (get_name(&c, q->name) < 0)
		goto odd;
	q->type = get16(&c);
	class = get16(&c);
	if (c.failed)
		goto odd;
	q->question_len = (size_t)(c.p - start);
	memcpy(q->question, start, q->question_len);
	if (ar == 1 && get_opt(&c) < 0)
		goto odd;
	if (cur_end(&c) < 0)
		goto odd;
	q->edns = ar == 1;
	*rcode = class == CLASS_IN ? DNS_NOERROR : DNS_REFUSED;
	return 0;
odd:
	q->question_len = 0;
	q->name[0] = '\0';
	return 0;
}

void
dns_put_answer(struct buf *b, const struct dns_query *q, enum dns_rcode rcode,
    const uint8_t *addr, size_t addr_len, uint32_t ttl)
{
	put16(b, q->id);
	put16(b, FLAG_QR | FLAG_AA | FLAG_RA | (q->rd ? FLAG_RD : 0) |
		     (unsigned int)q->opcode << 11 | (unsigned int)rcode);
	put16(b, q->question_len > 0 ? 1 : 0);
	put16(b, addr != NULL ? 1 : 0);
	put16(b, 0);
	put16(b, q->edns ? 1 : 0);
	buf_put(b, q->question, q->question_len);
	if (addr != NULL) {
		put16(b, 0xc00c); /* the name of the question */
		put16(b, q->type);
		put16(b, CLASS_IN);
		put16(b, ttl >> 16);
		put16(b, ttl & 0xffff);
		put16(b, (unsigned int)addr_len);
		buf_put(b, addr, addr_len);
	}
	if (q->edns) {
		buf_put_u8(b, 0);
		put16(b, TYPE_OPT);
		put16(b, DNS_QUERY_MAX);
		put16(b, 0);
		put16(b, 0);
		put16(b, 0);
	}
}

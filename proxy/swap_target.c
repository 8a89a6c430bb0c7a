#include <stdlib.h>
#include <string.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/swap_int.h"

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* One character of a URL at *s, before end; *s moves behind it. */
static int
next_char(const char **s, const char *end, bool query)
{
	const char *p = *s;

	if (*p == '%' && end - p > 2 && hex_value(p[1]) >= 0 &&
	    hex_value(p[2]) >= 0) {
		*s += 3;
		return hex_value(p[1]) * 16 + hex_value(p[2]);
	}
	*s += 1;
	return *p == '+' && query ? ' ' : (uint8_t)*p;
}

/* Do the n bytes at s read as text, once decoded? */
static bool
reads_as(const char *s, size_t n, const char *text, bool query)
{
	const char *end = s + n;

	while (s < end && *text != '\0')
		if (next_char(&s, end, query) != (uint8_t)*text++)
			return false;
	return s == end && *text == '\0';
}

/* How often does the query have the parameter? */
static size_t
count_param(const char *query, const char *name)
{
	size_t count = 0;

	while (*query != '\0') {
		size_t n = strcspn(query, "&"), k = 0;

		while (k < n && query[k] != '=')
			k++;
		count += reads_as(query, k, name, true);
		query += n + (query[n] != '\0');
	}
	return count;
}

static size_t
query_slots(const char *target, const struct binding *b, struct swap_slot *slot,
    size_t max)
{
	const char *query = strchr(target, '?'), *q;

	if (query == NULL || (b->spec.surfaces & SURFACE_QUERY) == 0 ||
	    max == 0 || count_param(query + 1, b->spec.query) != 1)
		return 0;
	for (q = query + 1; *q != '\0';) {
		size_t n = strcspn(q, "&"), k = 0;

		while (k < n && q[k] != '=')
			k++;
		if (k < n && reads_as(q, k, b->spec.query, true) &&
		    reads_as(q + k + 1, n - k - 1, b->stub, true)) {
			slot->kind = SWAP_QUERY;
			slot->cred = b->cred;
			slot->at = (size_t)(q + k + 1 - target);
			slot->len = n - k - 1;
			return 1;
		}
		q += n + (q[n] != '\0');
	}
	return 0;
}

/* Every segment that is the stub, or letters and then the stub. */
static size_t
path_slots(const char *target, const struct binding *b, struct swap_slot *slot,
    size_t max)
{
	size_t end = strcspn(target, "?"), found = 0;

	if ((b->spec.surfaces & SURFACE_PATH) == 0)
		return 0;
	for (size_t at = 0; at < end;) {
		size_t n = 0, skip = 0;

		while (at + n < end && target[at + n] != '/')
			n++;
		while (skip < n && !reads_as(target + at + skip, n - skip,
				       b->stub, false)) {
			char c = (char)(target[at + skip] | 0x20);

			skip = c >= 'a' && c <= 'z' ? skip + 1 : n;
		}
		if (skip < n && found < max) {
			slot[found].kind = SWAP_PATH;
			slot[found].cred = b->cred;
			slot[found].at = at + skip;
			slot[found].len = n - skip;
			found++;
		}
		at += n + 1;
	}
	return found;
}

static int
by_place(const void *a, const void *b)
{
	const struct swap_slot *s = a, *t = b;

	return s->at < t->at ? -1 : s->at > t->at;
}

size_t
target_slots(const char *target, const char *host, uint16_t port,
    const struct bindings *bs, struct swap_slot *slot, size_t max)
{
	size_t n = 0;

	memset(slot, 0, max * sizeof(*slot));
	for (size_t i = 0; i < bs->n && n < max; i++) {
		const struct binding *b = &bs->b[i];

		if (b->stub[0] == '\0' || !binding_is_for(b, host, port))
			continue;
		n += query_slots(target, b, slot + n, max - n);
		n += path_slots(target, b, slot + n, max - n);
	}
	qsort(slot, n, sizeof(*slot), by_place);
	return n;
}

bool
target_holds(const char *target, const struct swap_slot *s, const char *stub)
{
	return s->at + s->len <= strlen(target) &&
	       reads_as(target + s->at, s->len, stub, s->kind == SWAP_QUERY);
}

static bool
is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

char *
target_swap(
    const char *target, const struct swap_slot *s, const void *value, size_t n)
{
	/* RFC 3986 section 3.3: what a segment may hold as it is. */
	const char *plain = s->kind == SWAP_PATH ? "!$&'()*+,;=:@" : "";
	static const char digits[] = "0123456789ABCDEF";
	const uint8_t *v = value;
	struct buf b;
	char *fresh;

	buf_init_wipe(&b, 0);
	buf_put(&b, target, s->at);
	for (size_t i = 0; i < n; i++) {
		if (is_unreserved(v[i]) || strchr(plain, v[i]) != NULL) {
			buf_put_u8(&b, v[i]);
			continue;
		}
		buf_put_u8(&b, '%');
		buf_put_u8(&b, (uint8_t)digits[v[i] >> 4]);
		buf_put_u8(&b, (uint8_t)digits[v[i] & 15]);
	}
	buf_put(
	    &b, target + s->at + s->len, strlen(target + s->at + s->len) + 1);
	fresh = xmemdup(buf_head(&b), buf_len(&b));
	buf_free(&b);
	return fresh;
}

unsigned int
target_strip(char *target, const char *name, const struct swap_plan *p)
{
	char *query = strchr(target, '?'), *q, *to;
	unsigned int gone = 0;

	if (query == NULL)
		return 0;
	for (q = to = query + 1; *q != '\0';) {
		size_t n = strcspn(q, "&"), k = 0;
		bool more = q[n] != '\0', keep = false;

		while (k < n && q[k] != '=')
			k++;
		for (size_t i = 0; i < p->n; i++)
			keep = keep || (p->slot[i].kind == SWAP_QUERY &&
					   p->slot[i].at ==
					       (size_t)(q + k + 1 - target));
		if (!keep && reads_as(q, k, name, true)) {
			gone++;
		} else {
			memmove(to, q, n + more);
			to += n + more;
		}
		q += n + more;
	}
	if (gone > 0) {
		if (to > query + 1 && to[-1] == '&')
			to--;
		else if (to == query + 1)
			to--;
		*to = '\0';
	}
	return gone;
}

/*
 * A stub that was cut up: its parts are in parameters, path segments, cookies
 * or fields, in any order.  A part counts from SPLIT_MIN bytes on, so that
 * this is a net for a program that splits its token, not for one that hides
 * it; the stub is worth nothing to who gets it.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "proxy/scan.h"
#include "proxy/swap_int.h"

#define SPLIT_MIN 4u
#define SPLIT_PARTS_MAX 512u /* the rest is not looked at */

struct parts {
	char *text[SPLIT_PARTS_MAX]; /* in lower case, decoded */
	size_t len[SPLIT_PARTS_MAX];
	size_t n;
	bool candidate; /* one ends as a stub begins */
};

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

static size_t
plain(char *s, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		int c = (uint8_t)s[i];

		if (c == '%' && n - i > 2 && hex_value(s[i + 1]) >= 0 &&
		    hex_value(s[i + 2]) >= 0) {
			c = hex_value(s[i + 1]) * 16 + hex_value(s[i + 2]);
			i += 2;
		}
		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		s[out++] = (char)c;
	}
	return out;
}

static void
add_parts(
    struct parts *ps, const struct bindings *bs, char *text, const char *stops)
{
	while (*text != '\0' && ps->n < SPLIT_PARTS_MAX) {
		size_t n = strcspn(text, stops);
		bool more = text[n] != '\0';
		uint32_t at = 0, match = 0;

		if (n >= SPLIT_MIN) {
			size_t len = plain(text, n);

			for (size_t i = 0; i < len;)
				i += scan_step(bs->folded, &at,
				    (const uint8_t *)text + i, len - i, &match);
			ps->text[ps->n] = text;
			ps->len[ps->n++] = len;
			ps->candidate =
			    ps->candidate ||
			    scan_pending(bs->folded, at) >= SPLIT_MIN;
		}
		text += n + more;
	}
}

/* Can the parts be laid end to end to make the stub? */
static bool
covers(const struct parts *ps, const char *stub, size_t n)
{
	cleanup_free bool *reach = xcalloc(n + 1, sizeof(*reach));
	bool whole = false;

	for (size_t i = 0; i < ps->n; i++) {
		size_t k = ps->len[i] < n ? ps->len[i] : n - 1;

		for (; k >= SPLIT_MIN; k--)
			if (memcmp(ps->text[i] + ps->len[i] - k, stub, k) == 0)
				reach[k] = true;
	}
	for (size_t at = SPLIT_MIN; at < n && !whole; at++)
		for (size_t i = 0; reach[at] && i < ps->n && !whole; i++) {
			size_t left = n - at;
			size_t k = ps->len[i] < left ? ps->len[i] : left;

			if (memcmp(stub + at, ps->text[i], k) != 0)
				continue;
			whole = k == left;
			reach[at + k] = true;
		}
	return whole;
}

/* A field that holds a stub in its right place is no part of another. */
static bool
is_slot(const struct bindings *bs, const struct swap_plan *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++) {
		const char *used = slot_field(bs, &p->slot[i]);

		if (used != NULL && strcasecmp(used, name) == 0)
			return true;
	}
	return false;
}

/* Everything looked at, in one block; *fields is where fields begin. */
static void
gather(const struct req_head *h, const struct bindings *bs,
    const struct swap_plan *p, struct buf *text, size_t *fields)
{
	buf_put(text, h->target, strlen(h->target) + 1);
	*fields = buf_len(text);
	for (size_t i = 0; i < h->fields.n; i++) {
		const struct field *f = &h->fields.f[i];

		if (p->n > 0 && is_slot(bs, p, f->name))
			continue;
		buf_put(text, f->value, strlen(f->value));
		buf_put_u8(text, ' ');
	}
	buf_put_u8(text, 0);
}

/* Cheap: does any stub begin anywhere, as it is? */
static bool
may_begin(const struct bindings *bs, const char *text, size_t n)
{
	char low[4096];

	/* Escapes hide letters; long heads are rare. */
	if (n > sizeof(low) || memchr(text, '%', n) != NULL)
		return true;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		low[i] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
	}
	for (size_t i = 0; i < bs->n; i++) {
		char start[SPLIT_MIN + 1];

		if (strlcpy(start, bs->b[i].stub, sizeof(start)) < SPLIT_MIN)
			continue;
		str_lower(start);
		if (memmem(low, n, start, SPLIT_MIN) != NULL)
			return true;
	}
	return false;
}

const struct binding *
split_find(const struct req_head *h, const struct bindings *bs,
    const struct swap_plan *p)
{
	const struct binding *found = NULL;
	cleanup_buf struct buf text = { 0 };
	struct parts *ps;
	size_t fields;

	if (bs->n == 0 || bs->folded == NULL)
		return NULL;
	gather(h, bs, p, &text, &fields);
	if (!may_begin(bs, (const char *)buf_head(&text), buf_len(&text)))
		return NULL;
	ps = xmalloc(sizeof(*ps));
	ps->n = 0;
	ps->candidate = false;
	/* The block must not move: parts point into it. */
	add_parts(ps, bs, (char *)buf_head(&text), "/?&=;");
	add_parts(ps, bs, (char *)buf_head(&text) + fields, " \t;,=&");
	for (size_t i = 0; ps->candidate && i < bs->n && found == NULL; i++) {
		cleanup_free char *stub = xstrdup(bs->b[i].stub);

		str_lower(stub);
		if (*stub != '\0' && covers(ps, stub, strlen(stub)))
			found = &bs->b[i];
	}
	free(ps);
	return found;
}

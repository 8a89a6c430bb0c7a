#include "proxy/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

struct node {
	uint32_t fail;
	uint32_t child; /* first child, 0 if none */
	uint32_t sibling;
	uint32_t depth;
	uint32_t hit;  /* index + 1 of the key that ends here */
	uint32_t next; /* nearest shorter suffix that is a key */
	uint8_t byte;
};

struct scan {
	struct node *node;
	uint32_t n, cap;
	uint32_t root[256]; /* node 0's children by byte */
	struct scan_hit *hit;
	uint32_t nhit, hit_cap;
	uint32_t keys;
	bool ready;
};

struct scan *
scan_new(void)
{
	struct scan *s = xcalloc(1, sizeof(*s));

	s->cap = 64;
	s->node = xcalloc(s->cap, sizeof(*s->node));
	s->n = 1;
	return s;
}

void
scan_free(struct scan *s)
{
	if (s == NULL)
		return;
	explicit_bzero(s->node, s->cap * sizeof(*s->node));
	free(s->node);
	free(s->hit);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

static uint32_t
child(const struct scan *s, uint32_t at, uint8_t byte)
{
	if (at == 0)
		return s->root[byte];
	for (uint32_t c = s->node[at].child; c != 0; c = s->node[c].sibling)
		if (s->node[c].byte == byte)
			return c;
	return 0;
}

static void
grow(struct scan *s)
{
	struct node *bigger;

	if (s->cap > UINT32_MAX / 4)
		fatalx("scan: too many patterns");
	/* Not realloc: it would leave a copy of the old nodes behind. */
	bigger = xcalloc(s->cap * 2, sizeof(*bigger));
	memcpy(bigger, s->node, s->n * sizeof(*bigger));
	explicit_bzero(s->node, s->cap * sizeof(*s->node));
	free(s->node);
	s->node = bigger;
	s->cap *= 2;
}

static uint32_t
extend(struct scan *s, uint32_t at, uint8_t byte)
{
	uint32_t c = child(s, at, byte);

	if (c != 0)
		return c;
	if (s->n == s->cap)
		grow(s);
	c = s->n++;
	s->node[c].byte = byte;
	s->node[c].depth = s->node[at].depth + 1;
	s->node[c].sibling = s->node[at].child;
	s->node[at].child = c;
	if (at == 0)
		s->root[byte] = c;
	return c;
}

/* Number of a new kind of hit, counted from 1. */
static uint32_t
hit_add(struct scan *s, const struct scan_hit *hit)
{
	if (s->nhit == s->hit_cap) {
		s->hit_cap = s->hit_cap == 0 ? 16 : s->hit_cap * 2;
		s->hit = xreallocarray(s->hit, s->hit_cap, sizeof(*s->hit));
	}
	s->hit[s->nhit] = *hit;
	return ++s->nhit;
}

/* Two forms may be the same bytes: the first stays. */
static void
finish(struct scan *s, uint32_t at, uint32_t hit)
{
	if (s->node[at].hit == 0)
		s->node[at].hit = hit;
}

static void
add_raw(struct scan *s, uint32_t key_no, const uint8_t *key, size_t n)
{
	struct scan_hit hit = {
		.key = key_no, .form = FORM_RAW, .len = (uint32_t)n
	};
	uint32_t at = 0;

	for (size_t i = 0; i < n; i++)
		at = extend(s, at, key[i]);
	finish(s, at, hit_add(s, &hit));
}

static const char b64_std[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char b64_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int
scan_b64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

/* The 6 bits of character i, and in *known which of them come from the key. */
static unsigned int
b64_bits(const uint8_t *key, size_t n, unsigned int shift, size_t i,
    unsigned int *known)
{
	unsigned int v = 0;

	*known = 0;
	for (size_t bit = i * 6; bit < i * 6 + 6; bit++) {
		size_t byte = bit / 8;

		v <<= 1;
		*known <<= 1;
		if (byte < shift || byte - shift >= n)
			continue;
		v |= (key[byte - shift] >> (7 - bit % 8)) & 1u;
		*known |= 1;
	}
	return v;
}

/* Add character i in all its variants below node at. */
static void
b64_walk(struct scan *s, const uint8_t *key, size_t n, const char *alphabet,
    size_t i, size_t last, uint32_t at, uint32_t hit)
{
	for (; i <= last; i++) {
		unsigned int known, v;

		v = b64_bits(key, n, s->hit[hit - 1].shift, i, &known);
		if (known == 63) {
			at = extend(s, at, (uint8_t)alphabet[v]);
			continue;
		}
		for (unsigned int x = 0; x < 64; x++) {
			uint32_t below;

			if ((x & known) != v)
				continue;
			below = extend(s, at, (uint8_t)alphabet[x]);
			b64_walk(s, key, n, alphabet, i + 1, last, below, hit);
		}
		return;
	}
	finish(s, at, hit);
}

static void
add_b64(
    struct scan *s, uint32_t key_no, const uint8_t *key, size_t n, bool exact)
{
	for (unsigned int shift = 0; shift < 3; shift++) {
		struct scan_hit hit = { .key = key_no, .form = FORM_B64 };
		size_t first = shift * 8 / 6;
		size_t last = ((shift + n) * 8 + 5) / 6 - 1;
		unsigned int known;

		if (!exact) {
			b64_bits(key, n, shift, first, &known);
			if (known != 63)
				first++;
			b64_bits(key, n, shift, last, &known);
			if (known != 63)
				last--;
		}
		hit.shift = (uint8_t)shift;
		hit.first = (uint32_t)first;
		hit.len = (uint32_t)(last - first + 1);
		uint32_t no = hit_add(s, &hit);
		b64_walk(s, key, n, b64_std, first, last, 0, no);
		b64_walk(s, key, n, b64_url, first, last, 0, no);
	}
}

static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";

/* How a byte is written by one of the escaping schemes. */
enum escape {
	ESC_PCT_ALL,    /* %XX for every byte */
	ESC_PCT_MIN,    /* RFC 3986: unreserved bytes stay */
	ESC_JSON,       /* \" and \\ only */
	ESC_JSON_SLASH, /* the same and \/ */
	ESC_JSON_HTML,  /* \u0026 for & < > and such, as Go writes it */
	ESC_JSON_ALL,   /* \u00XX for every byte */
	ESC_MAX
};

static bool
is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

static uint32_t
extend_hex(struct scan *s, uint32_t at, const char *prefix, uint8_t c,
    const char *digits)
{
	for (; *prefix != '\0'; prefix++)
		at = extend(s, at, (uint8_t)*prefix);
	at = extend(s, at, (uint8_t)digits[c >> 4]);
	return extend(s, at, (uint8_t)digits[c & 15]);
}

static uint32_t
extend_escaped(
    struct scan *s, uint32_t at, enum escape e, uint8_t c, const char *digits)
{
	bool quoted = c == '"' || c == '\\';

	if (e == ESC_PCT_ALL || (e == ESC_PCT_MIN && !is_unreserved(c)))
		return extend_hex(s, at, "%", c, digits);
	if (e == ESC_JSON_ALL ||
	    (e == ESC_JSON_HTML &&
		(c == '&' || c == '<' || c == '>' || c == '\'' || c == '=')))
		return extend_hex(s, at, "\\u00", c, digits);
	if ((quoted && e != ESC_PCT_MIN) || (c == '/' && e == ESC_JSON_SLASH))
		at = extend(s, at, '\\');
	return extend(s, at, c);
}

static void
add_escaped(struct scan *s, uint32_t key_no, const uint8_t *key, size_t n,
    const char *digits)
{
	for (unsigned int e = 0; e < ESC_MAX; e++) {
		struct scan_hit hit = { .key = key_no, .form = FORM_ESCAPED };
		uint32_t at = 0;

		for (size_t i = 0; i < n; i++)
			at = extend_escaped(s, at, e, key[i], digits);
		hit.len = s->node[at].depth;
		finish(s, at, hit_add(s, &hit));
	}
}

static void
add_hex(
    struct scan *s, uint32_t key_no, const uint8_t *key, size_t n, bool upper)
{
	struct scan_hit hit = { .key = key_no, .form = FORM_HEX };
	uint32_t at = 0;

	for (size_t i = 0; i < n; i++)
		at = extend_hex(
		    s, at, "", key[i], upper ? hex_upper : hex_lower);
	hit.upper = upper;
	hit.len = s->node[at].depth;
	finish(s, at, hit_add(s, &hit));
}

uint32_t
scan_add(struct scan *s, const void *key, size_t n, bool encoded, bool exact)
{
	uint32_t key_no = s->keys++;

	if (s->ready || n == 0 || n > SCAN_KEY_MAX)
		fatalx("scan: key of %zu bytes", n);
	add_raw(s, key_no, key, n);
	if (!encoded || n < SCAN_ENCODED_MIN)
		return key_no;
	add_b64(s, key_no, key, n, exact && n <= SCAN_B64_EXACT_MAX);
	add_hex(s, key_no, key, n, false);
	add_hex(s, key_no, key, n, true);
	add_escaped(s, key_no, key, n, hex_upper);
	add_escaped(s, key_no, key, n, hex_lower);
	return key_no;
}

void
scan_ready(struct scan *s)
{
	uint32_t *queue = xcalloc(s->n, sizeof(*queue));
	uint32_t head = 0, tail = 1;

	while (head < tail) {
		uint32_t at = queue[head++];
		struct node *a = &s->node[at];

		for (uint32_t c = a->child; c != 0; c = s->node[c].sibling) {
			struct node *n = &s->node[c];
			uint32_t f = a->fail, to = 0;

			if (at != 0)
				while (
				    (to = child(s, f, n->byte)) == 0 && f != 0)
					f = s->node[f].fail;
			n->fail = to;
			n->next = s->node[to].hit != 0 ? to : s->node[to].next;
			queue[tail++] = c;
		}
	}
	free(queue);
	s->ready = true;
}

size_t
scan_step(const struct scan *s, uint32_t *state, const uint8_t *p, size_t n,
    uint32_t *match)
{
	uint32_t at = *state;
	size_t i = 0;

	*match = 0;
	while (i < n && *match == 0) {
		uint8_t c = p[i++];
		uint32_t to;

		if (at == 0) {
			/* Most bytes start nothing. */
			while (s->root[c] == 0 && i < n)
				c = p[i++];
		}
		while ((to = child(s, at, c)) == 0 && at != 0)
			at = s->node[at].fail;
		at = to;
		if (s->node[at].hit != 0)
			*match = at;
		else
			*match = s->node[at].next;
		/* Nothing longer ends below a leaf: do not wait there. */
		while (at != 0 && s->node[at].child == 0)
			at = s->node[at].fail;
	}
	*state = at;
	return i;
}

const struct scan_hit *
scan_hit(const struct scan *s, uint32_t match)
{
	return &s->hit[s->node[match].hit - 1];
}

uint32_t
scan_next(const struct scan *s, uint32_t match)
{
	return s->node[match].next;
}

size_t
scan_pending(const struct scan *s, uint32_t state)
{
	return s->node[state].depth;
}

const struct scan_hit *
scan_find(const struct scan *s, const void *p, size_t n)
{
	uint32_t state = 0, match;

	scan_step(s, &state, p, n, &match);
	return match == 0 ? NULL : scan_hit(s, match);
}

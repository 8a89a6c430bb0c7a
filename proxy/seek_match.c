#include "proxy/seek_int.h"

#include <string.h>

#include "base/str.h"

int
seek_b64_value(uint8_t c)
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

unsigned int
seek_b64_bits(const uint8_t *key, size_t n, unsigned int shift, size_t i,
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

/* Hex digits and the x of &#x67; are written in either case. */
static bool
same(uint8_t have, char want)
{
	uint8_t w = (uint8_t)want;

	if (have == w)
		return true;
	return ((w >= 'a' && w <= 'f') || w == 'x') && have == (w & ~0x20u);
}

static enum found
compare(const char *want, const uint8_t *p, size_t n, size_t *len)
{
	size_t i = 0;

	for (; want[i] != '\0'; i++) {
		if (i == n)
			return FOUND_MORE;
		if (!same(p[i], want[i]))
			return FOUND_NOT;
	}
	*len = i;
	return FOUND;
}

/* c as it is, or as a string of JSON has it: the length, 0 if it is not there.
 */
static size_t
line_end(const uint8_t *p, size_t n, uint8_t c, uint8_t letter)
{
	if (n > 0 && p[0] == c)
		return 1;
	return n > 1 && p[0] == '\\' && p[1] == letter ? 2 : 0;
}

size_t
seek_b64_gap(const uint8_t *p, size_t n)
{
	size_t cr = line_end(p, n, '\r', 'r');

	return cr + line_end(p + cr, n - cr, '\n', 'n');
}

/* + and / as JSON and URLs may write them. */
enum found
seek_b64_unit(const uint8_t *p, size_t n, int *value, size_t *len)
{
	static const struct {
		const char *text;
		int value;
	} escaped[] = { { "\\/", 63 }, { "\\u002b", 62 }, { "\\u002f", 63 },
		{ "%2b", 62 }, { "%2f", 63 }, { "%252b", 62 },
		{ "%252f", 63 } };
	enum found best = FOUND_NOT;

	if (n == 0)
		return FOUND_MORE;
	*len = 1;
	*value = seek_b64_value(p[0]);
	if (*value >= 0)
		return FOUND;
	for (size_t i = 0; i < nitems(escaped); i++) {
		enum found r = compare(escaped[i].text, p, n, len);

		if (r == FOUND) {
			*value = escaped[i].value;
			return FOUND;
		}
		if (r == FOUND_MORE)
			best = FOUND_MORE;
	}
	return best;
}

/*
 * The first character is no escape: + and / begin what begins with a byte
 * above 0x7f.
 */
static enum found
match_b64(const struct seek_key *k, unsigned int shift, const uint8_t *p,
    size_t n, size_t *len)
{
	size_t first = shift * 8 / 6, last = ((shift + k->n) * 8 + 5) / 6 - 1;
	size_t at = 0, u;

	for (size_t i = first; i <= last; i++, at += u) {
		unsigned int known, bits;
		enum found r;
		int v;

		if (i > first)
			at += seek_b64_gap(p + at, n - at);
		r = seek_b64_unit(p + at, n - at, &v, &u);
		if (r != FOUND)
			return r;
		bits = seek_b64_bits(k->p, k->n, shift, i, &known);
		if (((unsigned int)v & known) != bits)
			return FOUND_NOT;
	}
	*len = at;
	return FOUND;
}

int
seek_hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

static enum found
match_hex(const struct seek_key *k, const uint8_t *p, size_t n, size_t *len)
{
	for (size_t i = 0; i < 2 * k->n; i++) {
		int want = i % 2 == 0 ? k->p[i / 2] >> 4 : k->p[i / 2] & 15;

		if (i == n)
			return FOUND_MORE;
		if (seek_hex_value(p[i]) != want)
			return FOUND_NOT;
	}
	*len = 2 * k->n;
	return FOUND;
}

static enum found
match_utf16(
    const struct seek_key *k, bool big, const uint8_t *p, size_t n, size_t *len)
{
	for (size_t i = 0; i < 2 * k->n; i++) {
		bool zero = (i % 2 == 0) == big;

		if (i == n)
			return FOUND_MORE;
		if (p[i] != (zero ? 0 : k->p[i / 2]))
			return FOUND_NOT;
	}
	*len = 2 * k->n;
	return FOUND;
}

/* c in that base, with at least so many digits; the new end. */
static char *
digits(char *p, uint8_t c, unsigned int base, unsigned int least)
{
	char text[4];
	unsigned int n = 0;

	do {
		text[n++] = "0123456789abcdef"[c % base];
		c = (uint8_t)(c / base);
	} while (c != 0);
	for (; least > n; least--)
		*p++ = '0';
	while (n > 0)
		*p++ = text[--n];
	return p;
}

/*
 * Add before and c, in a way that fmt names: "c" as it is, "x" two hex digits,
 * "dN" and "hN" at least N digits and a semicolon.
 */
static size_t
put(char out[ESCAPES_MAX][ESCAPE_MAX], size_t n, const char *before,
    const char *fmt, uint8_t c)
{
	char *p = out[n];

	while (*before != '\0')
		*p++ = *before++;
	if (fmt[0] == 'c')
		*p++ = (char)c;
	else if (fmt[0] == 'x')
		p = digits(p, c, 16, 2);
	else
		p = digits(p, c, fmt[0] == 'd' ? 10 : 16,
		    (unsigned int)(fmt[1] - '0'));
	if (fmt[1] != '\0')
		*p++ = ';';
	*p = '\0';
	return n + 1;
}

/* The letter after a backslash, 0 if c has none. */
static uint8_t
letter(uint8_t c)
{
	static const char control[] = "\b\f\n\r\t", name[] = "bfnrt";
	const char *p = c == 0 ? NULL : strchr(control, c);

	return p == NULL ? 0 : (uint8_t)name[p - control];
}

static bool
is_punctuation(uint8_t c)
{
	return c > ' ' && c < 0x7f &&
	       !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
	       !(c >= '0' && c <= '9');
}

static size_t
json(uint8_t c, char out[ESCAPES_MAX][ESCAPE_MAX])
{
	size_t n = put(out, 0, "\\u00", "x", c);

	n = put(out, n, "\\x", "x", c);
	if (letter(c) != 0)
		n = put(out, n, "\\", "c", letter(c));
	else if (is_punctuation(c))
		n = put(out, n, "\\", "c", c);
	return n;
}

static size_t
json2(uint8_t c, char out[ESCAPES_MAX][ESCAPE_MAX])
{
	size_t n = put(out, 0, "\\\\u00", "x", c);

	n = put(out, n, "\\\\x", "x", c);
	if (c == '"' || c == '\\')
		return put(out, n, "\\\\\\", "c", c);
	if (letter(c) != 0)
		n = put(out, n, "\\\\", "c", letter(c));
	else if (is_punctuation(c))
		n = put(out, n, "\\\\", "c", c);
	/* By the outer string alone, as for "&" in Go. */
	return put(out, n, "\\u00", "x", c);
}

static size_t
html(uint8_t c, char out[ESCAPES_MAX][ESCAPE_MAX])
{
	static const struct {
		uint8_t c;
		const char *name;
	} named[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" },
		{ '"', "&quot;" }, { '\'', "&apos;" } };
	size_t n = 0;

	for (size_t i = 0; i < nitems(named); i++)
		if (named[i].c == c)
			strlcpy(out[n++], named[i].name, ESCAPE_MAX);
	n = put(out, n, "&#", "d1", c);
	n = put(out, n, "&#", "d3", c);
	n = put(out, n, "&#", "d4", c);
	n = put(out, n, "&#x", "h1", c);
	n = put(out, n, "&#x", "h4", c);
	return n;
}

size_t
seek_escapes(enum seek_form form, uint8_t c, char out[ESCAPES_MAX][ESCAPE_MAX])
{
	switch (form) {
	case SEEK_PERCENT:
		return put(out, 0, "%", "x", c);
	case SEEK_PERCENT2:
		return put(out, 0, "%25", "x", c);
	case SEEK_JSON:
		return json(c, out);
	case SEEK_JSON2:
		return json2(c, out);
	case SEEK_HTML:
		return html(c, out);
	case SEEK_QUOTED:
		return put(out, 0, "=", "x", c);
	case SEEK_RAW:
	case SEEK_B64:
	case SEEK_HEX:
	case SEEK_UTF16LE:
	case SEEK_UTF16BE:
		break;
	}
	return 0;
}

size_t
seek_soft_break(const uint8_t *p, size_t n)
{
	if (n > 1 && p[0] == '=' && p[1] == '\n')
		return 2;
	if (n > 2 && p[0] == '=' && p[1] == '\r' && p[2] == '\n')
		return 3;
	return 0;
}

static bool
is_intro(enum seek_form form, uint8_t c)
{
	switch (form) {
	case SEEK_PERCENT:
	case SEEK_PERCENT2:
		return c == '%';
	case SEEK_JSON:
	case SEEK_JSON2:
		return c == '\\';
	case SEEK_HTML:
		return c == '&';
	case SEEK_QUOTED:
		return c == '=';
	case SEEK_RAW:
	case SEEK_B64:
	case SEEK_HEX:
	case SEEK_UTF16LE:
	case SEEK_UTF16BE:
		break;
	}
	return false;
}

enum found
seek_unit(
    enum seek_form form, uint8_t c, const uint8_t *p, size_t n, size_t *len)
{
	char want[ESCAPES_MAX][ESCAPE_MAX];
	enum found best = FOUND_NOT;
	size_t skip = 0, k;

	if (form == SEEK_QUOTED) {
		skip = seek_soft_break(p, n);
		if (skip == 0 && n > 0 && p[0] == '=' &&
		    (n == 1 || (n == 2 && p[1] == '\r')))
			return FOUND_MORE;
	}
	if (skip == n)
		return FOUND_MORE;
	if (is_intro(form, p[skip])) {
		k = seek_escapes(form, c, want);
		for (size_t i = 0; i < k; i++) {
			enum found r =
			    compare(want[i], p + skip, n - skip, len);

			if (r == FOUND) {
				*len += skip;
				return FOUND;
			}
			if (r == FOUND_MORE)
				best = FOUND_MORE;
		}
		if (best == FOUND_MORE)
			return best;
	}
	*len = skip + 1;
	return p[skip] == c ? FOUND : FOUND_NOT;
}

static enum found
match_escaped(const struct seek_key *k, enum seek_form form, size_t plain,
    const uint8_t *p, size_t n, size_t *len)
{
	size_t at = plain, u;

	for (size_t i = plain; i < k->n; i++, at += u) {
		enum found r = seek_unit(form, k->p[i], p + at, n - at, &u);

		if (r != FOUND)
			return r;
	}
	*len = at;
	return FOUND;
}

/* What is known of one place so far. */
struct best {
	enum found found;
	bool last; /* nothing follows */
	struct seek_hit *hit;
};

static void
better(struct best *b, uint32_t key, enum seek_form form, unsigned int shift,
    enum found r, size_t len)
{
	if (r == FOUND_MORE && !b->last)
		b->found = FOUND_MORE;
	if (r != FOUND || b->found == FOUND_MORE ||
	    (b->found == FOUND && len <= b->hit->len))
		return;
	b->found = FOUND;
	*b->hit = (struct seek_hit){
		.key = key, .form = form, .shift = (uint8_t)shift, .len = len
	};
}

/* As it is, or from some byte on escaped in one of the ways. */
static void
match_text(struct best *b, uint32_t key, const struct seek_key *k,
    const uint8_t *p, size_t n)
{
	static const enum seek_form forms[] = { SEEK_PERCENT, SEEK_PERCENT2,
		SEEK_JSON, SEEK_JSON2, SEEK_HTML, SEEK_QUOTED };
	size_t plain = 0, most = n < k->n ? n : k->n, len = 0;

	while (plain < most && p[plain] == k->p[plain])
		plain++;
	if (plain == k->n) {
		better(b, key, SEEK_RAW, 0, FOUND, k->n);
		return;
	}
	if (plain == n) {
		better(b, key, SEEK_RAW, 0, FOUND_MORE, 0);
		return;
	}
	if (!k->encoded)
		return;
	for (size_t i = 0; i < nitems(forms); i++) {
		size_t from = 0;
		enum found r;

		/* A byte of the key that looks like an escape may be the
		 * first of one. */
		while (from < plain && !is_intro(forms[i], k->p[from]))
			from++;
		if (!is_intro(forms[i], p[from]))
			continue;
		r = match_escaped(k, forms[i], from, p, n, &len);
		better(b, key, forms[i], 0, r, len);
	}
}

static void
match_key(struct best *b, uint32_t key, const struct seek_key *k,
    const uint8_t *p, size_t n, uint8_t mask)
{
	size_t len = 0;
	enum found r;

	if ((mask & (1u << BUCKET_TEXT | 1u << BUCKET_PERCENT |
			1u << BUCKET_SLASH)) != 0)
		match_text(b, key, k, p, n);
	if (!k->encoded)
		return;
	for (unsigned int i = 0; i < 3; i++)
		if ((mask & 1u << (BUCKET_B64_0 + i)) != 0) {
			r = match_b64(k, i, p, n, &len);
			better(b, key, SEEK_B64, i, r, len);
		}
	if ((mask & 1u << BUCKET_HEX) != 0) {
		r = match_hex(k, p, n, &len);
		better(b, key, SEEK_HEX, 0, r, len);
		r = match_utf16(k, false, p, n, &len);
		better(b, key, SEEK_UTF16LE, 0, r, len);
	}
	if ((mask & 1u << BUCKET_UTF16BE) != 0) {
		r = match_utf16(k, true, p, n, &len);
		better(b, key, SEEK_UTF16BE, 0, r, len);
	}
}

enum found
seek_match(const struct seek *s, const uint8_t *p, size_t n, bool last,
    struct seek_hit *hit)
{
	struct best b = { .found = FOUND_NOT, .last = last, .hit = hit };

	for (size_t w = 0; w < s->filter.words; w++) {
		uint64_t may = filter_look(&s->filter, p, n, w);

		for (size_t i = w * KEYS_A_WORD; may != 0; i++, may >>= 8)
			if ((may & 0xff) != 0)
				match_key(&b, (uint32_t)i, &s->key[i], p, n,
				    (uint8_t)may);
	}
	return b.found;
}

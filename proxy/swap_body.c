#include "proxy/swap_body.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/str.h"
#include "proxy/scan.h"

#define ESCAPE_MAX 6u /* \uXXXX */

enum state {
	S_OUTSIDE, /* json: between strings; form: in a name */
	S_NAME,    /* json: in the name of a member */
	S_VALUE,   /* where a stub is replaced */
	S_REST,    /* form: in a value that holds something else */
	S_BROKEN,  /* json: nothing is replaced any more */
};

struct pair {
	char *stub;
	size_t len;
	const struct secret *value;
};

struct swap_body {
	enum swap_body_type type;
	struct pair pair[SWAP_BODY_CREDS_MAX];
	size_t npairs;
	bool starts[256]; /* first characters of stubs */
	bool ready;
	struct scan *scan;
	uint32_t at; /* state of scan */

	enum state state;
	/* json: is a container an object, and does a member's name come? */
	uint8_t object[SWAP_BODY_DEPTH_MAX / 8];
	size_t depth;
	bool expect_name;
	/* form: stubs that the value so far is the start of */
	uint64_t mask;

	uint8_t escape[ESCAPE_MAX]; /* one that is not complete */
	size_t nescape;
	/* Characters held back as they came, and the length of each. */
	struct buf held;
	struct buf width;
	uint64_t count;
};

/* ---- what to look into --------------------------------------------------- */

/* Charsets in which a byte below 0x80 is always that character. */
static bool
charset_is_plain(const char *params)
{
	static const char *const plain[] = { "utf-8", "utf8", "us-ascii",
		"iso-8859-1", "latin1", "windows-1252" };
	const char *p = params;
	bool known;

	while ((p = strchr(p, ';')) != NULL) {
		size_t n;

		p += 1 + strspn(p + 1, " \t");
		if (strncasecmp(p, "charset=", 8) != 0)
			continue;
		p += 8 + (p[8] == '"');
		n = strcspn(p, "\"; \t");
		known = false;
		for (size_t i = 0; i < nitems(plain); i++)
			if (strlen(plain[i]) == n &&
			    strncasecmp(p, plain[i], n) == 0)
				known = true;
		if (!known)
			return false;
	}
	return true;
}

enum swap_body_type
swap_body_type(const char *content_type)
{
	size_t n;

	if (content_type == NULL || !charset_is_plain(content_type))
		return SWAP_BODY_NONE;
	n = strcspn(content_type, "; \t");
	if ((n == 16 &&
		strncasecmp(content_type, "application/json", n) == 0) ||
	    (n == 20 &&
		strncasecmp(content_type, "application/x-ndjson", n) == 0) ||
	    (n > 5 && strncasecmp(content_type + n - 5, "+json", 5) == 0))
		return SWAP_BODY_JSON;
	if (n == 33 && strncasecmp(content_type,
			   "application/x-www-form-urlencoded", n) == 0)
		return SWAP_BODY_FORM;
	if (n > 5 && strncasecmp(content_type, "text/", 5) == 0)
		return SWAP_BODY_TEXT;
	return SWAP_BODY_NONE;
}

struct swap_body *
swap_body_new(enum swap_body_type type)
{
	struct swap_body *s = xcalloc(1, sizeof(*s));

	s->type = type;
	s->state = type == SWAP_BODY_TEXT ? S_VALUE : S_OUTSIDE;
	s->scan = scan_new();
	buf_init_wipe(&s->held, 0);
	buf_init(&s->width, 0);
	return s;
}

void
swap_body_free(struct swap_body *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->npairs; i++)
		free(s->pair[i].stub);
	scan_free(s->scan);
	buf_free(&s->held);
	buf_free(&s->width);
	free(s);
}

void
swap_body_add(struct swap_body *s, const char *stub, const struct secret *value)
{
	struct pair *p = &s->pair[s->npairs];

	if (s->npairs == SWAP_BODY_CREDS_MAX || stub[0] == '\0')
		fatalx("swap_body: credential %zu", s->npairs);
	p->stub = xstrdup(stub);
	p->len = strlen(stub);
	p->value = value;
	s->starts[(uint8_t)stub[0]] = true;
	scan_add(s->scan, stub, p->len);
	s->npairs++;
}

/* ---- how a character is written ------------------------------------------ */

static bool
is_alnum(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

static bool
is_raw(enum swap_body_type type, uint8_t c)
{
	switch (type) {
	case SWAP_BODY_JSON:
		return c >= 0x20 && c != '"' && c != '\\';
	case SWAP_BODY_FORM:
		return is_alnum(c) || c == '-' || c == '.' || c == '_' ||
		       c == '*' || c == '~';
	case SWAP_BODY_NONE:
	case SWAP_BODY_TEXT:
		return true;
	}
	return true;
}

/* Characters that every writer may leave as they are, and few escape. */
static bool
is_plain(uint8_t c)
{
	return is_alnum(c) || c == '-' || c == '.' || c == '_';
}

bool
swap_body_keeps_length(const struct swap_body *s)
{
	for (size_t i = 0; i < s->npairs; i++) {
		const struct pair *p = &s->pair[i];
		const uint8_t *v = secret_bytes(p->value);

		if (secret_len(p->value) != p->len)
			return false;
		if (s->type == SWAP_BODY_TEXT)
			continue;
		for (size_t k = 0; k < p->len; k++)
			if ((uint8_t)p->stub[k] != v[k] &&
			    !(is_plain((uint8_t)p->stub[k]) && is_plain(v[k])))
				return false;
	}
	return true;
}

static void
put_hex(struct buf *out, const char *prefix, uint8_t c)
{
	static const char digits[] = "0123456789ABCDEF";

	buf_put(out, prefix, strlen(prefix));
	buf_put_u8(out, (uint8_t)digits[c >> 4]);
	buf_put_u8(out, (uint8_t)digits[c & 15]);
}

/* width: bytes that the stub's character took in this place, 0 if it had
 * none there; same: it was this character. */
static void
put_char(struct buf *out, enum swap_body_type type, uint8_t c, size_t width,
    bool same)
{
	bool quoted = c == '"' || c == '\\';

	if (type == SWAP_BODY_JSON && width == 6 && c < 0x80) {
		put_hex(out, "\\u00", c);
	} else if (type == SWAP_BODY_JSON &&
		   (quoted || (c == '/' && width == 2))) {
		buf_put_u8(out, '\\');
		buf_put_u8(out, c);
	} else if (type == SWAP_BODY_JSON && c < 0x20) {
		put_hex(out, "\\u00", c);
	} else if (type == SWAP_BODY_FORM &&
		   (width == 3 ||
		       (!is_raw(type, c) && !(same && width == 1)))) {
		put_hex(out, "%", c);
	} else {
		buf_put_u8(out, c);
	}
}

static void
put_value(struct swap_body *s, const struct pair *p, const uint8_t *width,
    struct buf *out)
{
	const uint8_t *v = secret_bytes(p->value);
	size_t n = secret_len(p->value);

	for (size_t i = 0; i < n; i++)
		put_char(out, s->type, v[i], i < p->len ? width[i] : 0,
		    i < p->len && (uint8_t)p->stub[i] == v[i]);
	s->count++;
}

/* ---- holding back -------------------------------------------------------- */

static void
hold(struct swap_body *s, const uint8_t *raw, size_t n)
{
	buf_put(&s->held, raw, n);
	buf_put_u8(&s->width, (uint8_t)n);
}

/* Let all but the last keep characters go. */
static void
let_go(struct swap_body *s, size_t keep, struct buf *out)
{
	const uint8_t *w = buf_head(&s->width);
	size_t go = buf_len(&s->width) - keep, n = 0;

	if (go == 0)
		return;
	if (keep == 0)
		n = buf_len(&s->held);
	else
		for (size_t i = 0; i < go; i++)
			n += w[i];
	buf_put(out, buf_head(&s->held), n);
	buf_consume(&s->held, n);
	buf_consume(&s->width, go);
}

static void
drop(struct swap_body *s)
{
	buf_consume(&s->held, buf_len(&s->held));
	buf_consume(&s->width, buf_len(&s->width));
}

/* One character of a value: c as it reads, 0 if no stub can hold it. */
static void
found_char(struct swap_body *s, uint8_t c, const uint8_t *raw, size_t n,
    struct buf *out)
{
	uint32_t match;
	const struct pair *p;

	hold(s, raw, n);
	scan_step(s->scan, &s->at, &c, 1, &match);
	if (match == 0) {
		let_go(s, scan_pending(s->scan, s->at), out);
		return;
	}
	p = &s->pair[scan_hit(s->scan, match)->key];
	let_go(s, p->len, out);
	put_value(s, p, buf_head(&s->width), out);
	drop(s);
	s->at = 0;
}

/* ---- text ---------------------------------------------------------------- */

/* How many bytes of p start no stub and end nothing. */
static size_t
dull(const struct swap_body *s, const uint8_t *p, size_t n)
{
	size_t i = 0;

	if (s->type == SWAP_BODY_TEXT)
		while (i < n && !s->starts[p[i]])
			i++;
	else
		while (i < n && !s->starts[p[i]] && p[i] != '"' &&
		       p[i] != '\\' && p[i] >= 0x20)
			i++;
	return i;
}

static size_t
text_step(struct swap_body *s, const uint8_t *p, size_t n, struct buf *out)
{
	size_t skip = s->at == 0 ? dull(s, p, n) : 0;

	if (skip > 0) {
		buf_put(out, p, skip);
		return skip;
	}
	found_char(s, p[0], p, 1, out);
	return 1;
}

/* ---- json ---------------------------------------------------------------- */

static void
json_break(struct swap_body *s, struct buf *out)
{
	let_go(s, 0, out);
	buf_put(out, s->escape, s->nescape);
	s->nescape = 0;
	s->at = 0;
	s->state = S_BROKEN;
}

static bool
json_open(struct swap_body *s, bool object)
{
	uint8_t bit = (uint8_t)(1u << (s->depth % 8));

	if (s->depth == SWAP_BODY_DEPTH_MAX)
		return false;
	if (object)
		s->object[s->depth / 8] |= bit;
	else
		s->object[s->depth / 8] &= (uint8_t)~bit;
	s->depth++;
	s->expect_name = object;
	return true;
}

static bool
json_in_object(const struct swap_body *s)
{
	return s->depth > 0 && (s->object[(s->depth - 1) / 8] &
				   (1u << ((s->depth - 1) % 8))) != 0;
}

/* A byte between strings; false if JSON has no such there. */
static bool
json_outside(struct swap_body *s, uint8_t c)
{
	switch (c) {
	case '{':
	case '[':
		return json_open(s, c == '{');
	case '}':
	case ']':
		if (s->depth == 0 || json_in_object(s) != (c == '}'))
			return false;
		s->depth--;
		s->expect_name = false;
		return true;
	case ',':
		s->expect_name = json_in_object(s);
		return true;
	case ':':
		s->expect_name = false;
		return true;
	case '"':
		s->state = s->expect_name ? S_NAME : S_VALUE;
		return true;
	case ' ':
	case '\t':
	case '\r':
	case '\n':
	case '+':
	case '-':
	case '.':
		return true;
	default:
		return is_alnum(c);
	}
}

static int
hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* What a whole escape reads as; 0 if not a character of a stub. */
static uint8_t
json_escaped(const uint8_t *e)
{
	int v = 0;

	if (e[1] == '"' || e[1] == '\\' || e[1] == '/')
		return e[1];
	if (e[1] != 'u')
		return 0;
	for (size_t i = 2; i < 6; i++)
		v = v * 16 + hex_value(e[i]);
	return v < 0x80 ? (uint8_t)v : 0;
}

static void
json_char(struct swap_body *s, uint8_t c, const uint8_t *raw, size_t n,
    struct buf *out)
{
	if (s->state == S_VALUE)
		found_char(s, c, raw, n, out);
	else
		buf_put(out, raw, n);
}

/* One byte of an escape that has begun. */
static void
json_escape(struct swap_body *s, uint8_t c, struct buf *out)
{
	size_t n = ++s->nescape;

	s->escape[n - 1] = c;
	if (n == 2 ? strchr("\"\\/bfnrtu", c) == NULL || c == 0
		   : n > 2 && hex_value(c) < 0) {
		json_break(s, out);
		return;
	}
	if (n == 1 || (s->escape[1] == 'u' && n < 6))
		return;
	s->nescape = 0;
	json_char(s, json_escaped(s->escape), s->escape, n, out);
}

static size_t
json_step(struct swap_body *s, const uint8_t *p, size_t n, struct buf *out)
{
	uint8_t c = p[0];
	size_t skip;

	if (s->state == S_OUTSIDE) {
		if (!json_outside(s, c))
			s->state = S_BROKEN;
		buf_put_u8(out, c);
		return 1;
	}
	if (s->nescape > 0 || c == '\\') {
		json_escape(s, c, out);
		return 1;
	}
	if (c == '"') {
		let_go(s, 0, out);
		s->at = 0;
		s->state = S_OUTSIDE;
		buf_put_u8(out, c);
		return 1;
	}
	if (c < 0x20) {
		json_break(s, out);
		buf_put_u8(out, c);
		return 1;
	}
	if (s->at == 0 && (skip = dull(s, p, n)) > 0) {
		buf_put(out, p, skip);
		return skip;
	}
	json_char(s, c, p, 1, out);
	return 1;
}

/* ---- form ---------------------------------------------------------------- */

/* A value ends: is it a stub as a whole? */
static void
form_end_value(struct swap_body *s, struct buf *out)
{
	size_t n = buf_len(&s->width);

	buf_put(&s->held, s->escape, s->nescape);
	if (s->nescape > 0)
		s->mask = 0;
	s->nescape = 0;
	for (size_t i = 0; i < s->npairs && n > 0; i++)
		if ((s->mask & (UINT64_C(1) << i)) != 0 &&
		    s->pair[i].len == n) {
			put_value(s, &s->pair[i], buf_head(&s->width), out);
			drop(s);
			return;
		}
	buf_put(out, buf_head(&s->held), buf_len(&s->held));
	drop(s);
}

/* One more character of a value. */
static void
form_char(struct swap_body *s, uint8_t c, const uint8_t *raw, size_t n,
    struct buf *out)
{
	size_t at = buf_len(&s->width);

	hold(s, raw, n);
	for (size_t i = 0; i < s->npairs; i++)
		if (at >= s->pair[i].len || (uint8_t)s->pair[i].stub[at] != c)
			s->mask &= ~(UINT64_C(1) << i);
	if (s->mask == 0) {
		let_go(s, 0, out);
		s->state = S_REST;
	}
}

static void
form_value(struct swap_body *s, uint8_t c, struct buf *out)
{
	size_t n = s->nescape;

	if (n == 0 && c != '%') {
		/* A plus sign reads as a space. */
		form_char(s, c == '+' ? ' ' : c, &c, 1, out);
		return;
	}
	s->escape[n++] = c;
	s->nescape = n;
	if (n > 1 && hex_value(c) < 0) {
		/* Not an escape: whoever reads it decides what it is. */
		s->nescape = 0;
		form_char(s, 0, s->escape, n, out);
	} else if (n == 3) {
		s->nescape = 0;
		form_char(s,
		    (uint8_t)(hex_value(s->escape[1]) * 16 + hex_value(c)),
		    s->escape, n, out);
	}
}

static size_t
form_step(struct swap_body *s, const uint8_t *p, size_t n, struct buf *out)
{
	size_t skip = 0;

	if (s->state == S_VALUE && p[0] != '&') {
		form_value(s, p[0], out);
		return 1;
	}
	if (p[0] == '&') {
		if (s->state == S_VALUE)
			form_end_value(s, out);
		s->state = S_OUTSIDE;
		buf_put_u8(out, '&');
		return 1;
	}
	while (skip < n && p[skip] != '&' &&
	       (s->state == S_REST || p[skip] != '='))
		skip++;
	buf_put(out, p, skip);
	if (skip < n && p[skip] == '=') {
		buf_put_u8(out, '=');
		skip++;
		s->state = S_VALUE;
		s->mask = (UINT64_C(1) << s->npairs) - 1;
	}
	return skip;
}

/* ---- all of them --------------------------------------------------------- */

void
swap_body_feed(struct swap_body *s, const void *data, size_t n, struct buf *out)
{
	const uint8_t *p = data;

	if (!s->ready) {
		scan_ready(s->scan);
		s->ready = true;
	}
	for (size_t used; n > 0; p += used, n -= used) {
		if (s->state == S_BROKEN || s->npairs == 0) {
			buf_put(out, p, n);
			return;
		}
		switch (s->type) {
		case SWAP_BODY_JSON:
			used = json_step(s, p, n, out);
			break;
		case SWAP_BODY_FORM:
			used = form_step(s, p, n, out);
			break;
		default:
			used = text_step(s, p, n, out);
			break;
		}
	}
}

void
swap_body_end(struct swap_body *s, struct buf *out)
{
	if (s->type == SWAP_BODY_FORM && s->state == S_VALUE) {
		form_end_value(s, out);
		return;
	}
	let_go(s, 0, out);
	buf_put(out, s->escape, s->nescape);
	s->nescape = 0;
	s->at = 0;
}

size_t
swap_body_held(const struct swap_body *s)
{
	return buf_len(&s->held) + s->nescape;
}

uint64_t
swap_body_count(const struct swap_body *s)
{
	return s->count;
}

#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"

#define SMALL 1024u /* bytes */

void *
xmalloc(size_t size)
{
	void *p = malloc(size > 0 ? size : 1);

	if (p == NULL)
		fatalx("out of memory (%zu bytes)", size);
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	size_t all;
	void *p;

	/* glibc's malloc() has small pieces at hand, its calloc() looks. */
	if (!__builtin_mul_overflow(n, size, &all) && all <= SMALL) {
		p = xmalloc(all);
		memset(p, 0, all);
		return p;
	}
	p = calloc(n > 0 ? n : 1, size > 0 ? size : 1);
	if (p == NULL)
		fatalx("out of memory (%zu x %zu bytes)", n, size);
	return p;
}

void *
xaligned(size_t align, size_t n)
{
	void *p = aligned_alloc(align, (n + align - 1) / align * align);

	if (p == NULL)
		fatalx("out of memory (%zu bytes)", n);
	return p;
}

void *
xreallocarray(void *p, size_t n, size_t size)
{
	void *q = reallocarray(p, n > 0 ? n : 1, size > 0 ? size : 1);

	if (q == NULL)
		fatalx("out of memory (%zu x %zu bytes)", n, size);
	return q;
}

char *
xstrdup(const char *s)
{
	return xmemdup(s, strlen(s) + 1);
}

char *
xstrndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = xmalloc(len + 1);

	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		fatalx("out of memory (formatting)");
	va_end(ap);
	return s;
}

void *
xmemdup(const void *p, size_t n)
{
	void *q = xmalloc(n);

	if (n > 0)
		memcpy(q, p, n);
	return q;
}

void
str_cleanup_free(void *pp)
{
	void **p = pp;

	free(*p);
	*p = NULL;
}

int
str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (*s == '\0') {
		errno = EINVAL;
		return -1;
	}
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9') {
			errno = EINVAL;
			return -1;
		}
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v)) {
			errno = ERANGE;
			return -1;
		}
	}
	if (v < min || v > max) {
		errno = ERANGE;
		return -1;
	}
	*out = v;
	return 0;
}

bool
str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);

	return n >= k && memcmp(s + n - k, suffix, k) == 0;
}

bool
str_eq(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

void
str_lower(char *s)
{
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

bool
str_is_hostname(const char *s)
{
	size_t label = 0, total = 0;

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (++total > 253)
			return false;
		if (*s == '.') {
			if (label == 0 || s[-1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_alnum(*s) && *s != '-')
			return false;
		if (*s == '-' && label == 0)
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0 && s[-1] != '-';
}

bool
str_is_name(const char *s, size_t max)
{
	size_t n = strlen(s);

	if (n == 0 || n > max)
		return false;
	if (!is_alnum(s[0]) || (s[0] >= '0' && s[0] <= '9'))
		return false;
	for (; *s != '\0'; s++)
		if (!is_alnum(*s) && *s != '.' && *s != '_' && *s != '-')
			return false;
	return true;
}

/*
 * Decode one UTF-8 sequence (RFC 3629: no overlong forms, no surrogates, at
 * most U+10FFFF).  Returns its length, 0 if it is not valid.
 */
static size_t
utf8_decode(const uint8_t *p, size_t n, uint32_t *cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len;
	uint32_t c;

	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		len = 2;
		c = p[0] & 0x1fu;
	} else if ((p[0] & 0xf0) == 0xe0) {
		len = 3;
		c = p[0] & 0x0fu;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		len = 4;
		c = p[0] & 0x07u;
	} else
		return 0;
	if (n < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*cp = c;
	return len;
}

bool
str_is_utf8(const char *s, size_t n)
{
	const uint8_t *p = (const uint8_t *)s;

	for (size_t i = 0; i < n;) {
		uint32_t cp;
		size_t k;

		if (p[i] > 0 && p[i] < 0x80) {
			i++;
			continue;
		}
		k = utf8_decode(p + i, n - i, &cp);
		if (k == 0 || cp == 0)
			return false;
		i += k;
	}
	return true;
}

/* Characters that move the cursor, hide, or reorder what a person reads. */
static bool
is_unprintable(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0xad ||
	       c == 0x061c || c == 0x180e || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
	       c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe0fff);
}

static char *
escape(const char *s, size_t n, bool backslash)
{
	const uint8_t *p = (const uint8_t *)s;
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < n;) {
		uint32_t c;
		size_t k = utf8_decode(p + i, n - i, &c);

		if (k == 0) {
			buf_printf(&b, "\\x%02x", p[i]);
			i++;
			continue;
		}
		if (c == '\n')
			buf_put(&b, "\\n", 2);
		else if (c == '\r')
			buf_put(&b, "\\r", 2);
		else if (c == '\t')
			buf_put(&b, "\\t", 2);
		else if (c == '\\' && backslash)
			buf_put(&b, "\\\\", 2);
		else if (is_unprintable(c) && c < 0x80)
			buf_printf(&b, "\\x%02x", c);
		else if (is_unprintable(c))
			buf_printf(&b, "\\u{%04x}", c);
		else
			buf_put(&b, p + i, k);
		i += k;
	}
	buf_put_u8(&b, 0);
	return (char *)b.data;
}

char *
str_escape(const char *s, size_t n)
{
	return escape(s, n, true);
}

char *
str_escape_again(const char *s, size_t n)
{
	return escape(s, n, false);
}

#include "proxy/codec.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "proxy/codec_int.h"

/* Before each block: its size; keeps the alignment of malloc. */
#define HEADER 16u

void *
codec_alloc(void *memory, size_t n)
{
	struct codec_memory *m = memory;
	uint8_t *p;

	if (n > CODEC_MEMORY_MAX || m->used + n > CODEC_MEMORY_MAX)
		return NULL;
	p = malloc(HEADER + n);
	if (p == NULL)
		return NULL;
	memcpy(p, &n, sizeof(n));
	m->used += n;
	return p + HEADER;
}

/* What the libraries kept there may hold a credential. */
void
codec_free(void *memory, void *p)
{
	struct codec_memory *m = memory;
	uint8_t *block = p;
	size_t n;

	if (p == NULL)
		return;
	block -= HEADER;
	memcpy(&n, block, sizeof(n));
	m->used -= n;
	explicit_bzero(block, HEADER + n);
	free(block);
}

static const char *const names[CODING_MAX] = {
	[CODING_IDENTITY] = "identity",
	[CODING_GZIP] = "gzip",
	[CODING_DEFLATE] = "deflate",
	[CODING_BR] = "br",
	[CODING_ZSTD] = "zstd",
};

const char *
coding_name(enum coding c)
{
	return c < CODING_MAX ? names[c] : "?";
}

/* CODING_MAX when unknown. */
static enum coding
parse(const char *s, size_t n)
{
	/* RFC 9110 section 8.4.1.3 */
	if (n == 6 && strncasecmp(s, "x-gzip", 6) == 0)
		return CODING_GZIP;
	for (unsigned int c = 0; c < CODING_MAX; c++)
		if (strlen(names[c]) == n && strncasecmp(s, names[c], n) == 0)
			return (enum coding)c;
	return CODING_MAX;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* The next member of a comma-separated list without outer white space. */
static bool
next_member(const char **list, const char **s, size_t *n)
{
	const char *p = *list;

	while (is_space(*p) || *p == ',')
		p++;
	if (*p == '\0')
		return false;
	*s = p;
	*n = strcspn(p, ",");
	*list = p + *n;
	while (*n > 0 && is_space((*s)[*n - 1]))
		--*n;
	return true;
}

int
codings_add(struct codings *cs, const char *value)
{
	const char *s;
	size_t n;

	while (next_member(&value, &s, &n)) {
		enum coding c = parse(s, n);

		if (c == CODING_IDENTITY)
			continue;
		if (c == CODING_MAX || cs->n == CODEC_CHAIN_MAX)
			return -1;
		cs->c[cs->n++] = c;
	}
	return 0;
}

/* ";q=0", "; Q=0.000": not wanted (RFC 9110 section 12.4.2). */
static bool
is_refused(const char *s, size_t n)
{
	const char *q = memchr(s, ';', n);
	const char *end = s + n;

	if (q == NULL)
		return false;
	for (q++; q < end && is_space(*q); q++)
		;
	if (end - q < 3 || (*q != 'q' && *q != 'Q') || q[1] != '=')
		return false;
	for (q += 2; q < end; q++)
		if (*q != '0' && *q != '.' && !is_space(*q))
			return false;
	return true;
}

uint32_t
codings_offered(const char *value, struct buf *out)
{
	uint32_t bits = 0;
	const char *s;
	size_t n;

	while (next_member(&value, &s, &n)) {
		const char *semi = memchr(s, ';', n);
		size_t len = semi == NULL ? n : (size_t)(semi - s);
		enum coding c;

		while (len > 0 && is_space(s[len - 1]))
			len--;
		c = parse(s, len);
		if (c == CODING_MAX)
			continue;
		if (buf_len(out) > 0)
			buf_put(out, ", ", 2);
		buf_put(out, s, n);
		if (c != CODING_IDENTITY && !is_refused(s, n))
			bits |= 1u << c;
	}
	return bits;
}

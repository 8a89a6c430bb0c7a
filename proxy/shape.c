#include "proxy/shape.h"

#include <stdlib.h>

#include "base/str.h"
#include "proxy/seek.h"
#include "proxy/stub_prefix.h"

/* Of a beginning that is looked for; fewer bytes are found everywhere. */
#define PREFIX_MIN 3u
/*
 * What one byte of a value takes at most: 4 characters of base64 stand for 3
 * bytes, each may be escaped ("\u002b") behind an escaped line break.
 */
#define UNIT_MAX 14u
#define EDGES_MAX 64u

struct shape {
	struct seek *prefix; /* what vendors have values begin with */
	bool bare;           /* for some that is nothing */
	bool in[256];        /* bytes that a value may be written with */
	size_t reach;
};

static void
allow(struct shape *s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s->in[p[i]] = true;
}

struct shape *
shape_new(void)
{
	/* Base64, escapes of all kinds, line breaks, and UTF-16's zeros. */
	static const uint8_t marks[] = "%\\&#;=+/-_\r\n";
	struct shape *s = xcalloc(1, sizeof(*s));

	s->prefix = seek_new();
	allow(s, marks, sizeof(marks));
	for (unsigned int c = '0'; c <= 'z'; c++)
		if (c <= '9' || c >= 'a' || (c >= 'A' && c <= 'Z'))
			s->in[c] = true;
	return s;
}

void
shape_free(struct shape *s)
{
	if (s == NULL)
		return;
	seek_free(s->prefix);
	free(s);
}

void
shape_add(struct shape *s, const uint8_t *real, const uint8_t *stub, size_t n)
{
	const size_t known = stub_prefix(real, n);
	size_t same = 0, reach = UNIT_MAX * n + EDGES_MAX;

	/* What they have in common by chance behind it is not public. */
	while (same < known && real[same] == stub[same])
		same++;
	if (same >= PREFIX_MIN)
		seek_add_start(s->prefix, real, same);
	else
		s->bare = true;
	allow(s, real, n);
	allow(s, stub, n);
	if (reach > s->reach)
		s->reach = reach;
}

size_t
shape_reach(const struct shape *s)
{
	return s->reach;
}

static bool
is_break(uint8_t c)
{
	return c == '\r' || c == '\n';
}

/*
 * The end of p that is written with nothing else.  An empty line is in no
 * value: events of a stream end with one.
 */
static size_t
last_word(const struct shape *s, const uint8_t *p, size_t n)
{
	size_t from = n;

	while (from > 0 && n - from < s->reach && s->in[p[from - 1]] &&
	       !(p[from - 1] == '\n' && from < n && is_break(p[from])))
		from--;
	while (from < n && is_break(p[from]))
		from++;
	return from;
}

size_t
shape_hold(const struct shape *s, const uint8_t *p, size_t n)
{
	size_t from = last_word(s, p, n), hold;
	struct seek_hit hit;

	if (s->bare || from == n)
		return from;
	return seek_search(s->prefix, p, n, from, false, &hit, &hold) ? hit.at
								      : hold;
}

bool
shape_is_public(const struct shape *s, const uint8_t *p, size_t n)
{
	struct seek_hit hit;
	size_t hold;

	if (seek_search(s->prefix, p, n, 0, false, &hit, &hold))
		return hit.at == 0 && hit.len == n;
	return hold == 0;
}

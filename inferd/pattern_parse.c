#include "inferd/pattern_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/unicode.h"

#define NONE UINT32_MAX

struct parser {
	struct parsed *p;
	const char *text;
	size_t n, i;
	unsigned int depth;
	const char *why;
};

static const struct prange digit[] = { { '0', '9' } };
static const struct prange word[] = { { '0', '9' }, { 'A', 'Z' }, { '_', '_' },
	{ 'a', 'z' } };
static const struct prange space[] = { { '\t', '\r' }, { ' ', ' ' },
	{ 0xa0, 0xa0 }, { 0x1680, 0x1680 }, { 0x2000, 0x200a },
	{ 0x2028, 0x2029 }, { 0x202f, 0x202f }, { 0x205f, 0x205f },
	{ 0x3000, 0x3000 }, { 0xfeff, 0xfeff } };
static const struct prange line_end[] = { { '\n', '\n' }, { '\r', '\r' },
	{ 0x2028, 0x2029 } };
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static uint32_t
bad(struct parser *r, const char *why)
{
	if (r->why == NULL)
		r->why = why;
	return NONE;
}

static uint32_t
tree(struct parser *r, enum ptree_op op, uint32_t a, uint32_t b)
{
	struct parsed *p = r->p;

	if (a == NONE || b == NONE)
		return NONE;
	if (p->ntree == PATTERN_TREE)
		return bad(r, "it is too long");
	if (p->ntree == p->tree_cap) {
		p->tree_cap = p->tree_cap == 0 ? 64 : p->tree_cap * 2;
		p->tree = xreallocarray(p->tree, p->tree_cap, sizeof(*p->tree));
	}
	p->tree[p->ntree] = (struct ptree){ .op = op, .a = a, .b = b };
	return p->ntree++;
}

static void
range_add(struct parser *r, uint32_t lo, uint32_t hi)
{
	struct parsed *p = r->p;

	if (p->nrange == PATTERN_RANGES) {
		bad(r, "it is too long");
		return;
	}
	if (p->nrange == p->range_cap) {
		p->range_cap = p->range_cap == 0 ? 64 : p->range_cap * 2;
		p->range =
		    xreallocarray(p->range, p->range_cap, sizeof(*p->range));
	}
	p->range[p->nrange++] = (struct prange){ lo, hi };
}

static void
class_add(struct parser *r, const struct prange *c, size_t n, bool negate)
{
	uint32_t from = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!negate)
			range_add(r, c[i].lo, c[i].hi);
		else if (c[i].lo > from)
			range_add(r, from, c[i].lo - 1);
		from = c[i].hi + 1;
	}
	if (negate && from <= UNICODE_MAX)
		range_add(r, from, UNICODE_MAX);
}

static int
by_lo(const void *a, const void *b)
{
	const struct prange *x = a, *y = b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* The ranges from `first` on, as a set. */
static uint32_t
set(struct parser *r, uint32_t first, bool negate)
{
	struct parsed *p = r->p;
	uint32_t n = p->nrange - first, i, k = 0;
	struct prange *c = n > 0 ? &p->range[first] : NULL, *all;

	if (r->why != NULL)
		return NONE;
	if (n > 0)
		qsort(c, n, sizeof(*c), by_lo);
	for (i = 0; i < n; i++) {
		if (k > 0 && c[i].lo <= c[k - 1].hi + 1) {
			if (c[i].hi > c[k - 1].hi)
				c[k - 1].hi = c[i].hi;
		} else {
			c[k++] = c[i];
		}
	}
	p->nrange = first + k;
	if (negate) {
		all = xcalloc((size_t)k + 1, sizeof(*all));
		if (k > 0)
			memcpy(all, c, k * sizeof(*all));
		p->nrange = first;
		class_add(r, all, k, true);
		free(all);
	}
	return tree(r, PTREE_SET, first, p->nrange - first);
}

static bool
at(const struct parser *r, char c)
{
	return r->i < r->n && r->text[r->i] == c;
}

static bool
take(struct parser *r, char c)
{
	if (!at(r, c))
		return false;
	r->i++;
	return true;
}

static uint32_t
hex(struct parser *r, unsigned int min, unsigned int max)
{
	uint32_t v = 0, d;
	unsigned int k;
	char c;

	for (k = 0; k < max && r->i < r->n; k++, r->i++) {
		c = r->text[r->i];
		if (c >= '0' && c <= '9')
			d = (uint32_t)(c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			d = (uint32_t)((c | 32) - 'a' + 10);
		else
			break;
		v = v << 4 | d;
	}
	return k < min || v > UNICODE_MAX ? bad(r, "an escape that is none")
					  : v;
}

static uint32_t
unicode_escape(struct parser *r)
{
	uint32_t v, low;

	if (take(r, '{')) {
		v = hex(r, 1, 6);
		return take(r, '}') ? v : bad(r, "an escape that is none");
	}
	v = hex(r, 4, 4);
	if (v >= 0xd800 && v < 0xdc00 && take(r, '\\') && take(r, 'u')) {
		low = hex(r, 4, 4);
		if (low < 0xdc00 || low > 0xdfff)
			return bad(r, "half a surrogate pair");
		v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
	}
	return v;
}

/*
 * Behind a backslash: a character, or NONE with a class added to the ranges
 * or with r->why.
 */
static uint32_t
escape(struct parser *r, bool in_class)
{
	size_t len;
	uint32_t c;

	if (r->i >= r->n)
		return bad(r, "a backslash at the end");
	switch (r->text[r->i++]) {
	case 'd':
	case 'D':
		class_add(r, digit, COUNT(digit), r->text[r->i - 1] == 'D');
		return NONE;
	case 'w':
	case 'W':
		class_add(r, word, COUNT(word), r->text[r->i - 1] == 'W');
		return NONE;
	case 's':
	case 'S':
		class_add(r, space, COUNT(space), r->text[r->i - 1] == 'S');
		return NONE;
	case 't':
		return '\t';
	case 'n':
		return '\n';
	case 'v':
		return '\v';
	case 'f':
		return '\f';
	case 'r':
		return '\r';
	case '0':
		if (r->i < r->n && r->text[r->i] >= '0' && r->text[r->i] <= '9')
			return bad(r, "an octal escape");
		return 0;
	case 'x':
		return hex(r, 2, 2);
	case 'u':
		return unicode_escape(r);
	case 'c':
		if (r->i < r->n && (r->text[r->i] | 32) >= 'a' &&
		    (r->text[r->i] | 32) <= 'z')
			return (uint32_t)r->text[r->i++] & 31;
		return bad(r, "an escape that is none");
	case 'b':
		return in_class ? '\b' : bad(r, "\\b (a border of words)");
	case 'B':
		return bad(r, "\\B (no border of words)");
	case 'p':
	case 'P':
		return bad(r, "\\p (a property of Unicode)");
	case 'k':
		return bad(r, "\\k (a reference back)");
	case '1' ... '9':
		return bad(r, "a reference back");
	default:
		r->i--;
		c = unicode_decode(r->text + r->i, r->n - r->i, &len);
		r->i += len;
		return c;
	}
}

static uint32_t
class_char(struct parser *r, bool *is_char)
{
	uint32_t c, first = r->p->nrange;
	size_t len;

	*is_char = true;
	if (take(r, '\\')) {
		c = escape(r, true);
		*is_char = c != NONE || first == r->p->nrange;
		return c;
	}
	c = unicode_decode(r->text + r->i, r->n - r->i, &len);
	r->i += len;
	return c;
}

/* Behind the opening bracket. */
static uint32_t class(struct parser *r)
{
	uint32_t first = r->p->nrange, lo, hi;
	bool negate = take(r, '^'), is_char;

	while (r->why == NULL && !take(r, ']')) {
		if (r->i >= r->n)
			return bad(r, "a class that does not end");
		lo = class_char(r, &is_char);
		if (!is_char || r->why != NULL)
			continue;
		hi = lo;
		if (at(r, '-') && r->i + 1 < r->n && r->text[r->i + 1] != ']') {
			r->i++;
			hi = class_char(r, &is_char);
			if (r->why != NULL)
				break;
			if (!is_char) { /* [a-\d]: the hyphen is one */
				range_add(r, '-', '-');
				hi = lo;
			}
		}
		if (hi < lo)
			return bad(r, "a range that is none");
		range_add(r, lo, hi);
	}
	return set(r, first, negate);
}

static uint32_t alternatives(struct parser *r);

/* Behind the opening parenthesis. */
static uint32_t
group(struct parser *r)
{
	uint32_t t;

	if (take(r, '?')) {
		if (at(r, '=') || at(r, '!'))
			return bad(r, "(?= (looking ahead)");
		if (take(r, '<')) {
			if (at(r, '=') || at(r, '!'))
				return bad(r, "(?<= (looking behind)");
			while (r->i < r->n && !at(r, '>') && !at(r, ')'))
				r->i++;
			if (!take(r, '>'))
				return bad(r, "a group of unknown kind");
		} else if (!take(r, ':')) {
			return bad(r, "a group of unknown kind");
		}
	}
	if (++r->depth > PATTERN_DEPTH)
		return bad(r, "too many groups within groups");
	t = alternatives(r);
	r->depth--;
	return take(r, ')') ? t : bad(r, "a group that does not end");
}

static uint32_t
atom(struct parser *r)
{
	uint32_t first = r->p->nrange, c;
	size_t len;

	if (take(r, '('))
		return group(r);
	if (take(r, '['))
		return class(r);
	if (take(r, '^'))
		return tree(r, PTREE_BEGIN, 0, 0);
	if (take(r, '$'))
		return tree(r, PTREE_END, 0, 0);
	if (take(r, '.')) {
		class_add(r, line_end, COUNT(line_end), true);
		return set(r, first, false);
	}
	if (at(r, '*') || at(r, '+') || at(r, '?'))
		return bad(r, "a repeat of nothing");
	if (take(r, '\\')) {
		c = escape(r, false);
		if (c == NONE)
			return set(r, first, false);
	} else {
		c = unicode_decode(r->text + r->i, r->n - r->i, &len);
		r->i += len;
	}
	range_add(r, c, c);
	return set(r, first, false);
}

static uint32_t
count(struct parser *r)
{
	uint32_t v = 0;
	size_t from = r->i;

	for (; r->i < r->n && r->text[r->i] >= '0' && r->text[r->i] <= '9';
	     r->i++)
		if (v <= PATTERN_LEN)
			v = v * 10 + (uint32_t)(r->text[r->i] - '0');
	return from == r->i ? NONE : v;
}

/* {m}, {m,} or {m,n}; false, and nothing is taken, if it is none. */
static bool
braces(struct parser *r, uint32_t *min, uint32_t *max)
{
	size_t from = r->i;

	if (!take(r, '{'))
		return false;
	*min = *max = count(r);
	if (take(r, ','))
		*max = count(r); /* NONE is PATTERN_MANY */
	if (*min != NONE && take(r, '}'))
		return true;
	r->i = from;
	return false;
}

static uint32_t
repeated(struct parser *r)
{
	uint32_t t = atom(r), min, max;

	while (t != NONE) {
		if (take(r, '*')) {
			min = 0;
			max = PATTERN_MANY;
		} else if (take(r, '+')) {
			min = 1;
			max = PATTERN_MANY;
		} else if (take(r, '?')) {
			min = 0;
			max = 1;
		} else if (!braces(r, &min, &max)) {
			break;
		}
		take(r, '?'); /* what it takes first makes no difference */
		if (max < min)
			return bad(r, "a repeat that is none");
		t = tree(r, PTREE_REPEAT, t, 0);
		if (t == NONE)
			break;
		r->p->tree[t].min = min;
		r->p->tree[t].max = max;
		if (++r->depth > PATTERN_DEPTH)
			return bad(r, "too many repeats of repeats");
	}
	return t;
}

static uint32_t
sequence(struct parser *r)
{
	uint32_t t = tree(r, PTREE_EMPTY, 0, 0), next;
	unsigned int depth = r->depth;

	while (t != NONE && r->i < r->n && !at(r, '|') && !at(r, ')')) {
		next = repeated(r);
		r->depth = depth;
		t = tree(r, PTREE_CAT, t, next);
	}
	return t;
}

static uint32_t
alternatives(struct parser *r)
{
	uint32_t t = sequence(r);

	while (t != NONE && take(r, '|'))
		t = tree(r, PTREE_ALT, t, sequence(r));
	return t;
}

int
pattern_parse(struct parsed *p, const char *text, size_t n, struct error *err)
{
	struct parser r = { .p = p, .text = text, .n = n };

	memset(p, 0, sizeof(*p));
	p->root = alternatives(&r);
	if (r.why == NULL && r.i < n)
		bad(&r, "a parenthesis that was not opened");
	/* The last of the tree: any character. */
	class_add(&r, NULL, 0, true);
	set(&r, p->nrange - 1, false);
	if (r.why != NULL)
		return error_set(err, 0, "%s", r.why);
	return 0;
}

void
parsed_free(struct parsed *p)
{
	free(p->tree);
	free(p->range);
	memset(p, 0, sizeof(*p));
}

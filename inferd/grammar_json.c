/* What every grammar of JSON has: white space, strings, any value. */
#include "inferd/grammar_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/unicode.h"

#define SPACES 128u /* at the beginning of a line */
#define TABS 32u

/* The bytes of some characters. */
struct seq {
	uint8_t lo[4], hi[4];
	uint32_t n;
	uint32_t to;
};

struct seqs {
	struct seq *s;
	uint32_t n, cap;
};

static uint32_t
encode(uint32_t c, uint8_t out[4])
{
	if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 63));
		out[2] = (uint8_t)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 63));
	out[3] = (uint8_t)(0x80 | (c & 63));
	return 4;
}

/* Characters of one length, cut so that each byte's range is its own. */
static void
split_range(struct seqs *q, uint32_t lo, uint32_t hi, uint32_t to)
{
	uint32_t i, mask, n;
	struct seq *s;

	n = lo < 0x800 ? 2 : lo < 0x10000 ? 3 : 4;
	for (i = 1; i < n; i++) {
		mask = (1u << 6 * i) - 1;
		if ((lo & ~mask) == (hi & ~mask))
			continue;
		if ((lo & mask) != 0) {
			split_range(q, lo, lo | mask, to);
			split_range(q, (lo | mask) + 1, hi, to);
			return;
		}
		if ((hi & mask) != mask) {
			split_range(q, lo, (hi & ~mask) - 1, to);
			split_range(q, hi & ~mask, hi, to);
			return;
		}
	}
	if (q->n == q->cap) {
		q->cap = q->cap == 0 ? 16 : q->cap * 2;
		q->s = xreallocarray(q->s, q->cap, sizeof(*q->s));
	}
	s = &q->s[q->n++];
	s->to = to;
	s->n = encode(lo, s->lo);
	encode(hi, s->hi);
}

/* Adds the edges of byte k of the sequences, which are sorted. */
static uint32_t
seq_edges(struct gbuild *b, const struct seq *s, uint32_t n, uint32_t k,
    struct gedge *out)
{
	struct gedge sub[64];
	uint32_t i, from, nout = 0, nsub;

	for (i = 0; i < n; i = from) {
		for (from = i; from < n && s[from].lo[k] == s[i].lo[k];)
			from++;
		out[nout] = (struct gedge){ s[i].lo[k], s[i].hi[k], s[i].to };
		if (k + 1 < s[i].n) {
			nsub = seq_edges(b, &s[i], from - i, k + 1, sub);
			out[nout].to = gbuild_node(b, GNODE_EDGES, 0, 0);
			gbuild_edges(b, out[nout].to, sub, nsub);
		}
		nout++;
	}
	return nout;
}

/* Characters beyond ASCII; out: room for 64. */
static uint32_t
utf8_edges(
    struct gbuild *b, const struct gchars *c, uint32_t n, struct gedge *out)
{
	static const struct {
		uint32_t lo, hi;
	} parts[] = {
		{ 0x80, 0x7ff },
		{ 0x800, 0xd7ff },
		{ 0xe000, 0xffff },
		{ 0x10000, UNICODE_MAX },
	};
	struct seqs q = { 0 };
	uint32_t i, k, lo, hi;

	for (i = 0; i < n; i++) {
		for (k = 0; c[i].to != 0 && k < 4; k++) {
			lo = c[i].lo > parts[k].lo ? c[i].lo : parts[k].lo;
			hi = c[i].hi < parts[k].hi ? c[i].hi : parts[k].hi;
			if (lo <= hi)
				split_range(&q, lo, hi, c[i].to);
		}
	}
	n = seq_edges(b, q.s, q.n, 0, out);
	free(q.s);
	return n;
}

static uint32_t
hex(struct gbuild *b, uint32_t next)
{
	const struct gedge e[] = {
		{ '0', '9', next },
		{ 'a', 'f', next },
		{ 'A', 'F', next },
	};
	uint32_t node = gbuild_node(b, GNODE_EDGES, 0, 0);

	gbuild_edges(b, node, e, 3);
	return node;
}

/* Four hexadecimal digits that are a character, or half of one and the other
 * half behind it. */
static uint32_t
any_escape(struct gbuild *b, uint32_t next)
{
	uint32_t h1 = hex(b, next), h2 = hex(b, h1), h3 = hex(b, h2);
	uint32_t low = gbuild_node(b, GNODE_EDGES, 0, 0);
	uint32_t d = gbuild_node(b, GNODE_EDGES, 0, 0);
	uint32_t node = gbuild_node(b, GNODE_EDGES, 0, 0), high, second;
	const struct gedge cf[] = { { 'c', 'f', h2 }, { 'C', 'F', h2 } };
	struct gedge e[7];

	gbuild_edges(b, low, cf, 2);
	second = gbuild_node(b, GNODE_EDGES, 0, 0);
	e[0] = (struct gedge){ 'd', 'd', low };
	e[1] = (struct gedge){ 'D', 'D', low };
	gbuild_edges(b, second, e, 2);
	high = hex(b, hex(b, gbuild_text(b, "\\u", 2, second)));
	e[0] = (struct gedge){ '0', '7', h2 };
	e[1] = (struct gedge){ '8', '9', high };
	e[2] = (struct gedge){ 'a', 'b', high };
	e[3] = (struct gedge){ 'A', 'B', high };
	gbuild_edges(b, d, e, 4);
	e[0] = (struct gedge){ '0', '9', h3 };
	e[1] = (struct gedge){ 'a', 'c', h3 };
	e[2] = (struct gedge){ 'A', 'C', h3 };
	e[3] = (struct gedge){ 'd', 'd', d };
	e[4] = (struct gedge){ 'D', 'D', d };
	e[5] = (struct gedge){ 'e', 'f', h3 };
	e[6] = (struct gedge){ 'E', 'F', h3 };
	gbuild_edges(b, node, e, 7);
	return node;
}

static uint32_t
chars_get(const struct gchars *c, uint32_t n, uint32_t chr)
{
	uint32_t i;

	for (i = 0; i < n && c[i].lo <= chr; i++)
		if (chr <= c[i].hi)
			return c[i].to;
	return 0;
}

/* The digits of a control character. */
static uint32_t
control_escape(struct gbuild *b, const struct gchars *c, uint32_t n)
{
	uint32_t half[2], node, i, k, ne;
	struct gedge e[22];

	for (k = 0; k < 2; k++) {
		ne = 0;
		for (i = 0; i < 16; i++) {
			node = chars_get(c, n, k * 16 + i);
			if (node == 0)
				continue;
			e[ne++] =
			    (struct gedge){ (uint8_t) "0123456789abcdef"[i],
				    (uint8_t) "0123456789abcdef"[i], node };
			if (i >= 10)
				e[ne++] =
				    (struct gedge){ (uint8_t) "ABCDEF"[i - 10],
					    (uint8_t) "ABCDEF"[i - 10], node };
		}
		half[k] = ne == 0 ? 0 : gbuild_node(b, GNODE_EDGES, 0, 0);
		gbuild_edges(b, half[k], e, ne);
	}
	if (half[0] == 0 && half[1] == 0)
		return 0;
	e[0] = (struct gedge){ '0', '0', half[0] };
	e[1] = (struct gedge){ '1', '1', half[1] };
	node = gbuild_node(b, GNODE_EDGES, 0, 0);
	gbuild_edges(b, node, e, 2);
	return gbuild_text(b, "00", 2, node);
}

/* Behind a backslash. */
static uint32_t
escapes(struct gbuild *b, const struct gchars *c, uint32_t n)
{
	static const char names[] = "\"\\/bfnrt", chars[] = "\"\\/\b\f\n\r\t";
	struct gedge e[sizeof(names)];
	uint32_t i, ne = 0, to, node;

	for (i = 0; i < sizeof(names) - 1; i++) {
		to = chars_get(c, n, (uint8_t)chars[i]);
		if (to != 0)
			e[ne++] = (struct gedge){ (uint8_t)names[i],
				(uint8_t)names[i], to };
	}
	if (n == 1 && c->lo == 0 && c->hi == UNICODE_MAX)
		to = any_escape(b, c->to);
	else
		to = control_escape(b, c, n);
	if (to != 0)
		e[ne++] = (struct gedge){ 'u', 'u', to };
	if (ne == 0)
		return 0;
	node = gbuild_node(b, GNODE_EDGES, 0, 0);
	gbuild_edges(b, node, e, ne);
	return node;
}

void
gbuild_chars(struct gbuild *b, uint32_t node, const struct gchars *c,
    uint32_t n, uint32_t quote)
{
	static const struct {
		uint8_t lo, hi;
	} plain[] = { { '#', '[' }, { ']', 0x7f }, { ' ', '!' } };
	struct gedge e[3 * 128 + 2 + 64];
	uint32_t i, k, lo, hi, ne = 0;

	for (k = 0; k < 3; k++) {
		for (i = 0; i < n; i++) {
			lo = c[i].lo > plain[k].lo ? c[i].lo : plain[k].lo;
			hi = c[i].hi < plain[k].hi ? c[i].hi : plain[k].hi;
			if (lo <= hi && c[i].to != 0)
				e[ne++] = (struct gedge){ (uint8_t)lo,
					(uint8_t)hi, c[i].to };
		}
	}
	e[ne++] = (struct gedge){ '"', '"', quote };
	e[ne++] = (struct gedge){ '\\', '\\', escapes(b, c, n) };
	ne += utf8_edges(b, c, n, &e[ne]);
	gbuild_edges(b, node, e, ne);
}

/* A space, or a new line and what it begins with; or nothing. */
static void
space_rule(struct gbuild *b)
{
	struct gedge e[2] = { { ' ', ' ', b->end }, { '\n', '\n', 0 } };
	uint32_t spaces = b->end, tabs = b->end, i, node;

	b->g->space_lo = b->g->nnode;
	for (i = 0; i < SPACES; i++)
		spaces =
		    gbuild_split(b, b->end, gbuild_range(b, ' ', ' ', spaces));
	for (i = 0; i < TABS; i++)
		tabs =
		    gbuild_split(b, b->end, gbuild_range(b, '\t', '\t', tabs));
	e[1].to = gbuild_split(b, spaces, tabs);
	node = gbuild_node(b, GNODE_EDGES, 0, 0);
	gbuild_edges(b, node, e, 2);
	b->g->space_hi = b->g->nnode;
	b->space = gbuild_rule(b);
	gbuild_rule_set(b, b->space, gbuild_split(b, b->end, node));
}

static void
string_rules(struct gbuild *b)
{
	struct gchars all = { 0, UNICODE_MAX, 0 };

	all.to = b->g->body = gbuild_node(b, GNODE_EDGES, 0, 0);
	gbuild_chars(b, b->g->body, &all, 1, b->end);
	b->string = gbuild_rule(b);
	gbuild_rule_set(b, b->string, gbuild_range(b, '"', '"', b->g->body));
	all.to = b->end;
	b->g->chr = gbuild_node(b, GNODE_EDGES, 0, 0);
	gbuild_chars(b, b->g->chr, &all, 1, 0);
}

uint32_t
gbuild_number(struct gbuild *b, uint32_t next)
{
	uint32_t tail = next, digits, sign;
	struct gedge e[3];

	digits = gbuild_digits(b, GRAMMAR_EXPONENT, next);
	sign = gbuild_split(b,
	    gbuild_split(b, gbuild_range(b, '-', '-', digits),
		gbuild_range(b, '+', '+', digits)),
	    digits);
	tail = gbuild_split(b, tail,
	    gbuild_split(b, gbuild_range(b, 'e', 'e', sign),
		gbuild_range(b, 'E', 'E', sign)));
	digits = gbuild_digits(b, GRAMMAR_DIGITS, tail);
	tail = gbuild_split(b, tail, gbuild_range(b, '.', '.', digits));
	digits =
	    gbuild_split(b, tail, gbuild_digits(b, GRAMMAR_DIGITS - 1, tail));
	e[0] = (struct gedge){ '0', '0', tail };
	e[1] = (struct gedge){ '1', '9', digits };
	sign = gbuild_node(b, GNODE_EDGES, 0, 0);
	gbuild_edges(b, sign, e, 2);
	e[2] = (struct gedge){ '-', '-', sign };
	sign = gbuild_node(b, GNODE_EDGES, 0, 0);
	gbuild_edges(b, sign, e, 3);
	return sign;
}

/* A list in brackets: first and more lead through one member to more. */
static uint32_t
list(struct gbuild *b, char open, char close, uint32_t rule)
{
	uint32_t end, more = gbuild_node(b, GNODE_SPLIT, 0, 0), member;

	end = gbuild_range(b, (uint8_t)close, (uint8_t)close, b->end);
	member = gbuild_call(b, rule, more);
	if (more == 0 || member == 0)
		return 0;
	b->g->node[more].a = gbuild_range(b, ',', ',', gbuild_space(b, member));
	b->g->node[more].b = gbuild_space(b, end);
	return gbuild_range(b, (uint8_t)open, (uint8_t)open,
	    gbuild_space(b, gbuild_split(b, member, end)));
}

static void
any_rules(struct gbuild *b)
{
	uint32_t member, node;

	b->any = gbuild_rule(b);
	b->any_array = gbuild_rule(b);
	b->any_object = gbuild_rule(b);
	member = gbuild_rule(b);
	gbuild_rule_set(b, member,
	    gbuild_call(
		b, b->string, gbuild_colon(b, gbuild_call(b, b->any, b->end))));
	gbuild_rule_set(b, b->any_array, list(b, '[', ']', b->any));
	gbuild_rule_set(b, b->any_object, list(b, '{', '}', member));
	node = gbuild_split(b, gbuild_call(b, b->any_object, b->end),
	    gbuild_call(b, b->any_array, b->end));
	node = gbuild_split(b, node, gbuild_call(b, b->string, b->end));
	node = gbuild_split(b, node, gbuild_number(b, b->end));
	node = gbuild_split(b, node, gbuild_text(b, "true", 4, b->end));
	node = gbuild_split(b, node, gbuild_text(b, "false", 5, b->end));
	node = gbuild_split(b, node, gbuild_text(b, "null", 4, b->end));
	gbuild_rule_set(b, b->any, node);
}

void
gbuild_init(struct gbuild *b)
{
	memset(b, 0, sizeof(*b));
	b->g = xcalloc(1, sizeof(*b->g));
	gbuild_node(b, GNODE_FAIL, 0, 0);
	b->end = gbuild_node(b, GNODE_END, 0, 0);
	space_rule(b);
	string_rules(b);
	any_rules(b);
}

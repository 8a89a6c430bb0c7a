/*
 * The tokens that may come next, found by following the pieces of the
 * vocabulary in the order of their bytes, so that a beginning that many share
 * is followed once.  Within a string most of a vocabulary is allowed: what
 * every grammar allows there is known beforehand, and of the tokens that close
 * the string only what stands behind the quote is followed.
 */
#include "inferd/grammar_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define MASK_PIECE 1024u /* bytes; longer ones are not allowed */
/* Steps of one mask; beyond it only tokens of one byte are allowed that were
 * not looked at yet.  A count and no time: masks are the same on any machine.
 */
#define MASK_COST (1u << 22)

struct piece {
	const uint8_t *p;
	uint32_t n;
	uint32_t id;
	uint32_t chars; /* of the string before its end */
};

struct trie_node {
	uint8_t byte;
	uint16_t depth;  /* 1: the first byte */
	uint32_t skip;   /* the node behind all that begin like this */
	uint32_t ids, n; /* tokens that end here, in id */
};

struct trie {
	struct trie_node *node;
	uint32_t nnode, cap;
	struct {
		uint32_t id, chars;
	} * id;
	uint32_t nempty; /* the first of id: with nothing in them */
	uint32_t depth;  /* of the longest */
};

struct mask {
	uint32_t vocab;
	struct trie all;
	struct trie close;  /* what stands behind the end of a string */
	uint8_t *inside;    /* tokens that stay within a string */
	uint16_t *chars;    /* of these: how many characters they are */
	uint32_t max_chars; /* of any */
};

static int
by_bytes(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	uint32_t n = x->n < y->n ? x->n : y->n;
	int cmp = n == 0 ? 0 : memcmp(x->p, y->p, n);

	if (cmp == 0)
		cmp = x->n < y->n ? -1 : x->n > y->n;
	return cmp != 0 ? cmp : x->id < y->id ? -1 : x->id > y->id;
}

static void
trie_add(struct trie *t, uint8_t byte, uint32_t depth)
{
	if (t->nnode == t->cap) {
		t->cap = t->cap == 0 ? 1024 : t->cap * 2;
		t->node = xreallocarray(t->node, t->cap, sizeof(*t->node));
	}
	t->node[t->nnode++] =
	    (struct trie_node){ .byte = byte, .depth = (uint16_t)depth };
	if (depth > t->depth)
		t->depth = depth;
}

static void
trie_make(struct trie *t, struct piece *p, uint32_t n)
{
	uint32_t at[MASK_PIECE + 1], depth = 0, i, k, same;

	if (n > 0)
		qsort(p, n, sizeof(*p), by_bytes);
	t->id = xcalloc((size_t)n + 1, sizeof(*t->id));
	for (i = 0; i < n; i++) {
		for (same = 0; same < depth && same < p[i].n &&
			       t->node[at[same]].byte == p[i].p[same];)
			same++;
		for (k = depth; k > same; k--)
			t->node[at[k - 1]].skip = t->nnode;
		for (k = same; k < p[i].n; k++) {
			at[k] = t->nnode;
			trie_add(t, p[i].p[k], k + 1);
		}
		depth = p[i].n;
		t->id[i].id = p[i].id;
		t->id[i].chars = p[i].chars;
		if (depth == 0) {
			t->nempty++;
			continue;
		}
		if (t->node[at[depth - 1]].n++ == 0)
			t->node[at[depth - 1]].ids = i;
	}
	for (k = depth; k > 0; k--)
		t->node[at[k - 1]].skip = t->nnode;
}

/*
 * Where a piece leads from within a string: to where it is still within
 * (true), behind its end (false, *n bytes are taken) or nowhere (false, 0).
 */
static bool
stays(const struct grammar *g, const uint8_t *p, uint32_t *n, uint32_t *chars)
{
	uint32_t pc = g->body, i;

	*chars = 0;
	for (i = 0; i < *n; i++) {
		*chars += pc == g->body && p[i] != '"';
		pc = gnode_next(g, &g->node[pc], p[i]);
		if (pc == 0 || g->node[pc].op == GNODE_END) {
			*n = pc == 0 ? 0 : i + 1;
			return false;
		}
	}
	return true;
}

struct mask *
mask_new(const struct tok *t)
{
	struct mask *m = xcalloc(1, sizeof(*m));
	struct grammar *g = schema_compile("", 0, NULL);
	struct buf text = { 0 };
	struct piece *p, *tail;
	uint32_t *off, i, n = 0, ntail = 0, len, chars;
	struct tok_stream stream;

	m->vocab = tok_count(t);
	m->inside = xcalloc((size_t)m->vocab / 8 + 1, 1);
	m->chars = xcalloc(m->vocab, sizeof(*m->chars));
	off = xcalloc((size_t)m->vocab + 1, sizeof(*off));
	p = xcalloc(m->vocab, sizeof(*p));
	tail = xcalloc(m->vocab, sizeof(*tail));
	for (i = 0; i < m->vocab; i++) {
		off[i] = (uint32_t)buf_len(&text);
		if (tok_is_special(t, (int32_t)i))
			continue;
		tok_stream_init(&stream, t, false);
		tok_stream_push(&stream, (int32_t)i, &text);
		tok_stream_end(&stream, &text);
	}
	off[i] = (uint32_t)buf_len(&text);
	for (i = 0; i < m->vocab; i++) {
		len = off[i + 1] - off[i];
		if (len == 0 || len > MASK_PIECE)
			continue;
		p[n] = (struct piece){ buf_head(&text) + off[i], len, i, 0 };
		if (stays(g, p[n].p, &len, &chars)) {
			m->inside[i / 8] |= (uint8_t)(1u << i % 8);
			m->chars[i] = (uint16_t)chars;
			if (chars > m->max_chars)
				m->max_chars = chars;
		} else if (len > 0) {
			tail[ntail++] = (struct piece){ p[n].p + len,
				p[n].n - len, i, chars };
		}
		n++;
	}
	trie_make(&m->all, p, n);
	trie_make(&m->close, tail, ntail);
	free(tail);
	free(p);
	free(off);
	buf_free(&text);
	grammar_free(g);
	return m;
}

void
mask_free(struct mask *m)
{
	if (m == NULL)
		return;
	free(m->all.node);
	free(m->all.id);
	free(m->close.node);
	free(m->close.id);
	free(m->inside);
	free(m->chars);
	free(m);
}

/* One grammar_mask(). */
struct masking {
	const struct mask *m;
	struct gwork w;
	uint8_t *bits;
	/* Ways by depth, one behind the other. */
	struct gconf *conf;
	uint32_t *from, *frames;
	uint32_t min, max; /* characters before the end of a string */
};

static void
allow(struct masking *k, const struct trie *t, uint32_t from, uint32_t n)
{
	uint32_t i;

	for (i = from; i < from + n; i++)
		if (t->id[i].chars >= k->min && t->id[i].chars <= k->max)
			k->bits[t->id[i].id / 8] |=
			    (uint8_t)(1u << t->id[i].id % 8);
}

/*
 * Allows the tokens of t that can be taken from n ways, which are the first of
 * k->conf.
 */
static void
follow(struct masking *k, const struct trie *t, uint32_t n, bool shallow)
{
	const struct trie_node *node;
	uint32_t i, d, got;

	k->from[0] = 0;
	k->from[1] = n;
	k->frames[0] = k->w.nframe;
	for (i = 0; i < t->nnode;) {
		node = &t->node[i];
		d = node->depth;
		gwork_cut(&k->w, k->frames[d - 1]);
		got = gwork_step(&k->w, &k->conf[k->from[d - 1]],
		    k->from[d] - k->from[d - 1], node->byte,
		    &k->conf[k->from[d]]);
		if (got > 0)
			allow(k, t, node->ids, node->n);
		if (got == 0 || shallow) {
			i = node->skip;
			continue;
		}
		k->from[d + 1] = k->from[d] + got;
		k->frames[d] = k->w.nframe;
		i++;
		if (k->w.cost > MASK_COST)
			break;
	}
	gwork_cut(&k->w, k->frames[0]);
}

/* Tokens that end the string that way c is in, at its closing quote. */
static void
follow_close(struct masking *k, struct gconf c)
{
	uint32_t nframe = k->w.nframe, n;

	n = gwork_step(&k->w, &c, 1, '"', k->conf);
	if (n > 0) {
		allow(k, &k->m->close, 0, k->m->close.nempty);
		follow(k, &k->m->close, n, false);
	}
	gwork_cut(&k->w, nframe);
}

/* Within a string without bounds. */
static void
free_string(struct masking *k, struct gconf c)
{
	uint32_t i;

	for (i = 0; i < (k->m->vocab + 7) / 8; i++)
		k->bits[i] |= k->m->inside[i];
	k->min = 0;
	k->max = GRAMMAR_MANY;
	follow_close(k, c);
}

/* Before a character of a string of so many. */
static void
bounded_string(struct masking *k, struct gconf c)
{
	const struct gframe *f = &k->w.frame[c.stack];
	const struct gnode *node = &k->w.g->node[f->pc];
	const struct mask *m = k->m;
	uint32_t left = node->max - f->count, i;
	bool all;

	if (node->max == GRAMMAR_MANY)
		left = GRAMMAR_MANY;
	all = left >= m->max_chars;
	for (i = 0; all && i < (m->vocab + 7) / 8; i++)
		k->bits[i] |= m->inside[i];
	for (i = 0; !all && i < m->vocab; i++)
		if (m->chars[i] > 0 && m->chars[i] <= left)
			k->bits[i / 8] |= (uint8_t)(1u << i % 8);
	k->min = f->count < node->min ? node->min - f->count : 0;
	k->max = left;
	c.pc = node->b;
	c.stack = f->parent;
	follow_close(k, c);
}

static bool
is_bounded(const struct gwork *w, struct gconf c)
{
	return c.pc == w->g->chr && c.stack != 0 &&
	       w->g->node[w->frame[c.stack].pc].op == GNODE_REPEAT;
}

uint32_t
grammar_mask(const struct mask *m, const struct grammar_state *s, uint8_t *bits)
{
	uint32_t depth =
	    m->all.depth > m->close.depth ? m->all.depth : m->close.depth;
	struct masking *k = xmalloc(sizeof(*k));
	uint32_t i, n = 0, pass, count = 0;

	memset(bits, 0, (m->vocab + 7) / 8);
	k->m = m;
	k->bits = bits;
	k->conf =
	    xmalloc(((size_t)depth + 2) * GRAMMAR_CONFS * sizeof(*k->conf));
	k->from = xcalloc((size_t)depth + 2, sizeof(*k->from));
	k->frames = xcalloc((size_t)depth + 2, sizeof(*k->frames));
	gwork_load(&k->w, s);
	for (i = 0; i < s->nconf; i++) {
		if (s->conf[i].pc == s->g->body)
			free_string(k, s->conf[i]);
		else if (is_bounded(&k->w, s->conf[i]))
			bounded_string(k, s->conf[i]);
	}
	k->min = 0;
	k->max = GRAMMAR_MANY;
	/* Single bytes first: then something is allowed in any case. */
	for (pass = 0; pass < 2; pass++) {
		for (i = 0, n = 0; i < s->nconf; i++)
			if (s->conf[i].pc != s->g->body &&
			    !is_bounded(&k->w, s->conf[i]))
				k->conf[n++] = s->conf[i];
		if (n > 0)
			follow(k, &m->all, n, pass == 0);
	}
	for (i = 0; i < (m->vocab + 7) / 8; i++)
		count += (uint32_t)__builtin_popcount(bits[i]);
	free(k->frames);
	free(k->from);
	free(k->conf);
	free(k);
	return count;
}

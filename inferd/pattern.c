#include "inferd/pattern.h"
#include "inferd/pattern_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/unicode.h"

#define NONE UINT32_MAX
#define SLOTS (2 * PATTERN_STATES)
#define CLASS_WORDS (PATTERN_CLASSES / 64)

enum pnode_op {
	PNODE_SET,
	PNODE_SPLIT,
	PNODE_BEGIN,
	PNODE_END,
	PNODE_MATCH,
};

/* An automaton that may be in many places at once. */
struct pnode {
	enum pnode_op op;
	uint32_t a, b; /* where to; SET: b the set of the tree */
};

/* Places at once, and how many characters it took. */
struct dstate {
	uint64_t *bits; /* [words] */
	uint32_t len;
};

struct maker {
	const struct parsed *p;
	struct pattern *out;
	struct pnode *node;
	uint32_t nnode, node_cap;
	uint32_t match;
	uint32_t *cut; /* where classes of characters begin */
	uint32_t ncut;
	uint64_t (*has)[CLASS_WORDS]; /* of a node of the tree: its classes */
	uint32_t min, max;
	struct dstate *state;
	uint32_t nstate, state_cap, words;
	uint32_t slot[SLOTS]; /* state + 1 */
	uint32_t *todo;       /* [nnode] */
	uint32_t edge_cap;
	uint64_t work;
	const char *why;
};

static uint32_t
node(struct maker *m, enum pnode_op op, uint32_t a, uint32_t b)
{
	if (m->nnode == PATTERN_NODES)
		m->why = "it is too large";
	if (m->why != NULL)
		return NONE;
	if (m->nnode == m->node_cap) {
		m->node_cap = m->node_cap == 0 ? 64 : m->node_cap * 2;
		m->node = xreallocarray(m->node, m->node_cap, sizeof(*m->node));
	}
	m->node[m->nnode] = (struct pnode){ op, a, b };
	return m->nnode++;
}

static uint32_t generate(struct maker *m, uint32_t t, uint32_t next);

static uint32_t
generate_repeat(struct maker *m, const struct ptree *t, uint32_t next)
{
	uint32_t cur = next, before, i;

	if (t->max == PATTERN_MANY) {
		cur = node(m, PNODE_SPLIT, 0, next);
		before = generate(m, t->a, cur);
		if (m->why == NULL)
			m->node[cur].a = before;
	} else {
		for (i = t->min; i < t->max && m->why == NULL; i++) {
			before = cur;
			cur = generate(m, t->a, cur);
			if (cur == before) /* it is empty */
				return next;
			cur = node(m, PNODE_SPLIT, cur, next);
		}
	}
	for (i = 0; i < t->min && m->why == NULL; i++) {
		before = cur;
		cur = generate(m, t->a, cur);
		if (cur == before)
			break;
	}
	return cur;
}

/* The way through t to next.  Lists lean to the left, so they are walked. */
static uint32_t
generate(struct maker *m, uint32_t t, uint32_t next)
{
	const struct ptree *tree = m->p->tree;
	uint32_t rest = NONE, one;

	while (tree[t].op == PTREE_CAT && m->why == NULL) {
		next = generate(m, tree[t].b, next);
		t = tree[t].a;
	}
	switch (tree[t].op) {
	case PTREE_EMPTY:
	case PTREE_CAT:
		break;
	case PTREE_SET:
		return node(m, PNODE_SET, next, t);
	case PTREE_ALT:
		for (; tree[t].op == PTREE_ALT && m->why == NULL;
		     t = tree[t].a) {
			one = generate(m, tree[t].b, next);
			rest = rest == NONE ? one
					    : node(m, PNODE_SPLIT, one, rest);
		}
		one = generate(m, t, next);
		return node(m, PNODE_SPLIT, one, rest);
	case PTREE_REPEAT:
		return generate_repeat(m, &tree[t], next);
	case PTREE_BEGIN:
		return node(m, PNODE_BEGIN, next, 0);
	case PTREE_END:
		return node(m, PNODE_END, next, 0);
	}
	return next;
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Characters that no set tells apart are one class. */
static void
classes(struct maker *m)
{
	const struct parsed *p = m->p;
	const struct ptree *t;
	const struct prange *r;
	uint32_t i, k, c;

	m->cut = xcalloc(2 * (size_t)p->nrange + 1, sizeof(*m->cut));
	m->ncut = 1;
	for (i = 0; i < p->nrange; i++) {
		m->cut[m->ncut++] = p->range[i].lo;
		m->cut[m->ncut++] = p->range[i].hi + 1;
	}
	qsort(m->cut, m->ncut, sizeof(*m->cut), by_value);
	for (i = 1, k = 1; i < m->ncut; i++)
		if (m->cut[i] != m->cut[k - 1] && m->cut[i] <= UNICODE_MAX)
			m->cut[k++] = m->cut[i];
	m->ncut = k;
	if (k > PATTERN_CLASSES) {
		m->why = "it tells too many kinds of characters apart";
		return;
	}
	m->has = xcalloc(p->ntree, sizeof(*m->has));
	for (i = 0; i < p->ntree; i++) {
		t = &p->tree[i];
		r = t->op == PTREE_SET ? &p->range[t->a] : NULL;
		for (c = 0, k = 0; r != NULL && c < m->ncut; c++) {
			while (k < t->b && r[k].hi < m->cut[c])
				k++;
			if (k < t->b && r[k].lo <= m->cut[c])
				m->has[i][c / 64] |= 1ull << c % 64;
		}
	}
}

static bool
bit(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

/*
 * Adds what can be reached from i without a character to bits; places that
 * were passed are in it, too.
 */
static void
reach(struct maker *m, uint64_t *bits, uint32_t i, bool begin, bool end)
{
	uint32_t n = 0, to[2], k;
	const struct pnode *p;

	if (!bit(bits, i))
		m->todo[n++] = i;
	bits[i / 64] |= 1ull << i % 64;
	while (n > 0) {
		p = &m->node[m->todo[--n]];
		m->work++;
		to[0] = to[1] = p->a;
		if (p->op == PNODE_SPLIT)
			to[1] = p->b;
		else if (!(p->op == PNODE_BEGIN && begin) &&
			 !(p->op == PNODE_END && end))
			continue;
		for (k = 0; k < 2; k++) {
			if (!bit(bits, to[k]))
				m->todo[n++] = to[k];
			bits[to[k] / 64] |= 1ull << to[k] % 64;
		}
	}
}

/* The state of these places, which are cleared; NONE: there is none. */
static uint32_t
state(struct maker *m, uint64_t *bits, uint32_t len)
{
	uint64_t hash = len + 1, any = 0;
	uint32_t i, s;

	if (bit(bits, m->match)) { /* whatever follows */
		memset(bits, 0, m->words * sizeof(*bits));
		bits[m->match / 64] |= 1ull << m->match % 64;
	}
	for (i = 0; i < m->nnode; i++)
		if (bit(bits, i) && (m->node[i].op == PNODE_SPLIT ||
					m->node[i].op == PNODE_BEGIN))
			bits[i / 64] &= ~(1ull << i % 64);
	for (i = 0; i < m->words; i++) {
		any |= bits[i];
		hash = (hash ^ bits[i]) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 29;
	}
	m->work += m->nnode;
	if (any == 0)
		return NONE;
	for (i = (uint32_t)hash % SLOTS; m->slot[i] != 0; i = (i + 1) % SLOTS) {
		s = m->slot[i] - 1;
		if (m->state[s].len == len &&
		    memcmp(m->state[s].bits, bits, m->words * sizeof(*bits)) ==
			0) {
			memset(bits, 0, m->words * sizeof(*bits));
			return s;
		}
	}
	if (m->nstate == PATTERN_STATES) {
		m->why = "it is too large";
		return NONE;
	}
	if (m->nstate == m->state_cap) {
		m->state_cap = m->state_cap == 0 ? 32 : m->state_cap * 2;
		m->state =
		    xreallocarray(m->state, m->state_cap, sizeof(*m->state));
	}
	m->slot[i] = m->nstate + 1;
	m->state[m->nstate].bits = xcalloc(m->words, sizeof(*bits));
	memcpy(m->state[m->nstate].bits, bits, m->words * sizeof(*bits));
	memset(bits, 0, m->words * sizeof(*bits));
	m->state[m->nstate].len = len;
	return m->nstate++;
}

static void
edge(struct maker *m, uint32_t c, uint32_t to)
{
	struct pattern *out = m->out;
	struct pattern_state *s = &out->state[out->nstate - 1];
	struct pattern_edge *last;
	uint32_t hi = c + 1 < m->ncut ? m->cut[c + 1] - 1 : UNICODE_MAX;

	last = s->n > 0 ? &out->edge[out->nedge - 1] : NULL;
	if (last != NULL && last->to == to && last->hi + 1 == m->cut[c]) {
		last->hi = hi;
		return;
	}
	if (out->nedge == m->edge_cap) {
		m->edge_cap = m->edge_cap == 0 ? 64 : m->edge_cap * 2;
		out->edge =
		    xreallocarray(out->edge, m->edge_cap, sizeof(*out->edge));
	}
	out->edge[out->nedge++] = (struct pattern_edge){ m->cut[c], hi, to };
	s->n++;
}

/* May a text end in state s? */
static bool
ends(struct maker *m, uint32_t s, uint64_t *bits)
{
	const uint64_t *from = m->state[s].bits;
	bool done;
	uint32_t i;

	if (m->state[s].len < m->min)
		return false;
	for (i = 0; i < m->nnode; i++)
		if (bit(from, i) && m->node[i].op == PNODE_END)
			reach(m, bits, i, false, true);
	done = bit(from, m->match) || bit(bits, m->match);
	memset(bits, 0, m->words * sizeof(*bits));
	return done;
}

static void
follow(struct maker *m, uint32_t s, uint64_t *bits)
{
	uint32_t cap = m->max == PATTERN_MANY ? m->min : m->max;
	uint32_t len = m->state[s].len, c, i, to;
	const uint64_t *from;

	if (len < cap)
		len++;
	else if (m->max != PATTERN_MANY)
		return;
	for (c = 0; c < m->ncut && m->why == NULL; c++) {
		from = m->state[s].bits;
		if (bit(from, m->match))
			bits[m->match / 64] |= 1ull << m->match % 64;
		for (i = 0; i < m->nnode; i++)
			if (bit(from, i) && m->node[i].op == PNODE_SET &&
			    bit(m->has[m->node[i].b], c))
				reach(m, bits, m->node[i].a, false, false);
		m->work += m->nnode / 16;
		to = state(m, bits, len);
		if (to != NONE)
			edge(m, c, to);
		if (m->work > PATTERN_WORK)
			m->why = "it is too large";
	}
}

static void
determine(struct maker *m, uint32_t start)
{
	struct pattern *out = m->out;
	uint64_t *bits;
	uint32_t s, cap = 0;

	m->words = (m->nnode + 63) / 64;
	m->todo = xcalloc(m->nnode, sizeof(*m->todo));
	bits = xcalloc(m->words, sizeof(*bits));
	reach(m, bits, start, true, false);
	state(m, bits, 0);
	for (s = 0; s < m->nstate && m->why == NULL; s++) {
		if (s == cap) {
			cap = cap == 0 ? 32 : cap * 2;
			out->state =
			    xreallocarray(out->state, cap, sizeof(*out->state));
		}
		out->state[s].first = out->nedge;
		out->state[s].n = 0;
		out->nstate++;
		out->state[s].done = ends(m, s, bits);
		follow(m, s, bits);
	}
	free(bits);
}

static void
make(struct maker *m)
{
	uint32_t loop, start, any;

	m->match = node(m, PNODE_MATCH, 0, 0);
	start = generate(m, m->p->root, m->match);
	/* It matches anywhere: any characters may come before it. */
	loop = node(m, PNODE_SPLIT, 0, start);
	any = node(m, PNODE_SET, loop, m->p->ntree - 1);
	if (m->why == NULL)
		m->node[loop].a = any;
	if (m->why == NULL)
		classes(m);
	if (m->why == NULL)
		determine(m, loop);
}

int
pattern_compile(struct pattern *p, const char *text, size_t n, uint32_t min,
    uint32_t max, struct error *err)
{
	struct parsed parsed;
	struct maker *m;
	uint32_t i;
	int rc;

	memset(p, 0, sizeof(*p));
	rc = pattern_parse(&parsed, text, n, err);
	if (rc == 0) {
		m = xcalloc(1, sizeof(*m));
		m->p = &parsed;
		m->out = p;
		m->min = min;
		m->max = max;
		make(m);
		p->work = m->work + m->nnode + parsed.ntree;
		if (m->why != NULL)
			rc = error_set(err, 0, "%s", m->why);
		for (i = 0; i < m->nstate; i++)
			free(m->state[i].bits);
		free(m->state);
		free(m->todo);
		free(m->has);
		free(m->cut);
		free(m->node);
		free(m);
	}
	parsed_free(&parsed);
	return rc;
}

void
pattern_free(struct pattern *p)
{
	free(p->state);
	free(p->edge);
	memset(p, 0, sizeof(*p));
}

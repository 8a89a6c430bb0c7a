#include "inferd/grammar_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

void
gbuild_free(struct gbuild *b)
{
	grammar_free(b->g);
	b->g = NULL;
}

uint32_t
gbuild_node(struct gbuild *b, enum gnode_op op, uint32_t x, uint32_t y)
{
	struct grammar *g = b->g;

	if (g->nnode == GRAMMAR_NODES) {
		b->over = true;
		return 0;
	}
	if (g->nnode == b->node_cap) {
		b->node_cap = b->node_cap == 0 ? 512 : b->node_cap * 2;
		g->node = xreallocarray(g->node, b->node_cap, sizeof(*g->node));
	}
	g->node[g->nnode] = (struct gnode){
		.op = (uint8_t)op, .a = x, .b = y, .need = GRAMMAR_NEVER
	};
	return g->nnode++;
}

uint32_t
gbuild_split(struct gbuild *b, uint32_t x, uint32_t y)
{
	if (x == 0 || y == 0)
		return x + y;
	return gbuild_node(b, GNODE_SPLIT, x, y);
}

void
gbuild_edges(struct gbuild *b, uint32_t node, const struct gedge *e, uint32_t n)
{
	struct grammar *g = b->g;
	uint32_t i;

	if (node == 0)
		return;
	if (n > GRAMMAR_EDGES - g->nedge) {
		b->over = true;
		return;
	}
	while (g->nedge + n > b->edge_cap) {
		b->edge_cap = b->edge_cap == 0 ? 1024 : b->edge_cap * 2;
		g->edge = xreallocarray(g->edge, b->edge_cap, sizeof(*g->edge));
	}
	g->node[node].a = g->nedge;
	for (i = 0; i < n; i++)
		if (e[i].to != 0)
			g->edge[g->nedge++] = e[i];
	g->node[node].b = g->nedge - g->node[node].a;
}

static uint32_t
edges(struct gbuild *b, const struct gedge *e, uint32_t n)
{
	uint32_t node = gbuild_node(b, GNODE_EDGES, 0, 0);

	gbuild_edges(b, node, e, n);
	return node;
}

uint32_t
gbuild_range(struct gbuild *b, uint8_t lo, uint8_t hi, uint32_t next)
{
	const struct gedge e = { lo, hi, next };

	return next == 0 ? 0 : edges(b, &e, 1);
}

uint32_t
gbuild_text(struct gbuild *b, const void *p, size_t n, uint32_t next)
{
	const uint8_t *s = p;

	while (n-- > 0 && next != 0)
		next = gbuild_range(b, s[n], s[n], next);
	return next;
}

uint32_t
gbuild_call(struct gbuild *b, uint32_t rule, uint32_t next)
{
	return next == 0 ? 0 : gbuild_node(b, GNODE_CALL, rule, next);
}

uint32_t
gbuild_repeat(
    struct gbuild *b, uint32_t sub, uint32_t min, uint32_t max, uint32_t next)
{
	uint32_t node;

	if (min > max || next == 0 || (sub == 0 && min > 0))
		return 0;
	if (max == 0 || sub == 0)
		return next;
	node = gbuild_node(b, GNODE_REPEAT, sub, next);
	if (node != 0) {
		b->g->node[node].min = min;
		b->g->node[node].max = max;
	}
	return node;
}

uint32_t
gbuild_rule(struct gbuild *b)
{
	struct grammar *g = b->g;

	if (g->nrule == GRAMMAR_RULES) {
		b->over = true;
		return 0;
	}
	if (g->nrule == b->rule_cap) {
		b->rule_cap = b->rule_cap == 0 ? 64 : b->rule_cap * 2;
		g->rule = xreallocarray(g->rule, b->rule_cap, sizeof(*g->rule));
	}
	g->rule[g->nrule] = 0;
	return g->nrule++;
}

void
gbuild_rule_set(struct gbuild *b, uint32_t rule, uint32_t node)
{
	b->g->rule[rule] = node;
}

uint32_t
gbuild_space(struct gbuild *b, uint32_t next)
{
	return gbuild_call(b, b->space, next);
}

uint32_t
gbuild_colon(struct gbuild *b, uint32_t next)
{
	next = gbuild_split(b, next, gbuild_range(b, ' ', ' ', next));
	return gbuild_range(b, ':', ':', next);
}

uint32_t
gbuild_digits(struct gbuild *b, uint32_t max, uint32_t next)
{
	uint32_t node = next;

	while (max-- > 0)
		node = gbuild_range(b, '0', '9',
		    node == next ? next : gbuild_split(b, next, node));
	return node;
}

/* A call that nothing comes behind is where it leads to. */
static uint32_t
target(const struct grammar *g, uint32_t rule)
{
	const struct gnode *node;
	uint32_t pc = g->rule[rule], k;

	for (k = 0; k < g->nrule; k++) {
		node = &g->node[pc];
		if (node->op != GNODE_CALL || g->node[node->b].op != GNODE_END)
			return pc;
		pc = g->rule[node->a];
	}
	return 0;
}

static uint32_t
need_of(const struct grammar *g, const struct gnode *node)
{
	uint32_t need = GRAMMAR_NEVER, i, sub, next;

	switch ((enum gnode_op)node->op) {
	case GNODE_FAIL:
		break;
	case GNODE_END:
		return 0;
	case GNODE_EDGES:
		for (i = 0; i < node->b; i++) {
			sub = g->node[g->edge[node->a + i].to].need;
			need = sub < need ? sub : need;
		}
		break;
	case GNODE_SPLIT:
		sub = g->node[node->a].need;
		next = g->node[node->b].need;
		return sub < next ? sub : next;
	case GNODE_CALL:
	case GNODE_REPEAT:
		sub = g->node[node->a].need;
		next = g->node[node->b].need;
		if (node->op == GNODE_REPEAT && node->min == 0)
			return next;
		if (sub >= GRAMMAR_DEPTH || next == GRAMMAR_NEVER)
			return GRAMMAR_NEVER;
		if (node->op == GNODE_REPEAT ||
		    g->node[node->b].op != GNODE_END)
			sub++;
		return sub > next ? sub : next;
	}
	return need;
}

/* Who needs whom, the other way round. */
struct users {
	uint32_t *from; /* [nnode + 1]: where in user */
	uint32_t *user;
};

static void
add_user(struct users *u, uint32_t of, uint32_t who)
{
	if (u->user == NULL)
		u->from[of + 1]++;
	else
		u->user[u->from[of]++] = who;
}

static void
all_users(const struct grammar *g, struct users *u)
{
	const struct gnode *node;
	uint32_t i, k;

	for (i = 0; i < g->nnode; i++) {
		node = &g->node[i];
		if (node->op == GNODE_EDGES)
			for (k = 0; k < node->b; k++)
				add_user(u, g->edge[node->a + k].to, i);
		if (node->op >= GNODE_SPLIT) {
			add_user(u, node->a, i);
			add_user(u, node->b, i);
		}
	}
}

/* Needs only fall, each at most GRAMMAR_DEPTH times. */
static void
find_needs(struct grammar *g)
{
	struct users u = { 0 };
	uint32_t *todo, n = 0, i, k, id, need;
	bool *queued;

	u.from = xcalloc((size_t)g->nnode + 2, sizeof(*u.from));
	all_users(g, &u);
	for (i = 0; i < g->nnode; i++)
		u.from[i + 1] += u.from[i];
	u.user = xcalloc((size_t)u.from[g->nnode] + 1, sizeof(*u.user));
	all_users(g, &u); /* moves from[i] to where i + 1 begins */
	todo = xcalloc(g->nnode, sizeof(*todo));
	queued = xcalloc(g->nnode, sizeof(*queued));
	for (i = 0; i < g->nnode; i++) {
		todo[n++] = i;
		queued[i] = true;
	}
	while (n > 0) {
		id = todo[--n];
		queued[id] = false;
		need = need_of(g, &g->node[id]);
		if (need >= g->node[id].need)
			continue;
		g->node[id].need = (uint16_t)need;
		for (i = id == 0 ? 0 : u.from[id - 1]; i < u.from[id]; i++) {
			k = u.user[i];
			if (!queued[k])
				todo[n++] = k;
			queued[k] = true;
		}
	}
	free(queued);
	free(todo);
	free(u.user);
	free(u.from);
}

struct grammar *
gbuild_finish(struct gbuild *b, uint32_t root, bool *nothing)
{
	struct grammar *g = b->g;
	uint32_t i;

	root = gbuild_space(b, gbuild_call(b, root, gbuild_space(b, b->end)));
	*nothing = false;
	if (b->over)
		return NULL;
	g->root = root;
	for (i = 0; i < g->nrule; i++)
		g->rule[i] = target(g, i);
	for (i = 0; i < g->nnode; i++)
		if (g->node[i].op == GNODE_CALL)
			g->node[i].a = g->rule[g->node[i].a];
	find_needs(g);
	if (g->node[g->root].need > GRAMMAR_DEPTH) {
		*nothing = true;
		return NULL;
	}
	b->g = NULL;
	return g;
}

#include "inferd/grammar.h"
#include "inferd/grammar_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

void
gwork_init(struct gwork *w, const struct grammar *g)
{
	w->g = g;
	w->cost = 0;
	w->nframe = 1;
	memset(&w->frame[0], 0, sizeof(w->frame[0]));
}

void
gwork_load(struct gwork *w, const struct grammar_state *s)
{
	w->g = s->g;
	w->cost = 0;
	w->nframe = s->nframe;
	memcpy(w->frame, s->frame, s->nframe * sizeof(*s->frame));
}

void
gwork_cut(struct gwork *w, uint32_t n)
{
	const struct gframe *f;

	while (w->nframe > n) {
		f = &w->frame[--w->nframe];
		w->frame[f->parent].child = f->sibling;
	}
}

/* One frame for one call, so that equal ways are seen to be equal. */
static uint32_t
frame(struct gwork *w, uint32_t parent, uint32_t pc, uint32_t count)
{
	struct gframe *p = &w->frame[parent], *f;
	uint32_t i;

	for (i = p->child; i != 0; i = w->frame[i].sibling)
		if (w->frame[i].pc == pc && w->frame[i].count == count)
			return i;
	if (w->nframe == GRAMMAR_FRAMES)
		return 0;
	f = &w->frame[w->nframe];
	f->pc = pc;
	f->count = count;
	f->parent = (uint16_t)parent;
	f->child = 0;
	f->sibling = p->child;
	f->depth = (uint16_t)(p->depth + 1);
	p->child = (uint16_t)w->nframe;
	return w->nframe++;
}

static void
push(struct gwork *w, uint32_t pc, uint32_t stack)
{
	uint32_t i;

	if (w->frame[stack].depth + w->g->node[pc].need > GRAMMAR_DEPTH)
		return;
	for (i = 0; i < w->nqueue; i++)
		if (w->queue[i].pc == pc && w->queue[i].stack == stack)
			return;
	w->cost += 1 + w->nqueue / 16;
	if (w->nqueue == GRAMMAR_QUEUE)
		return;
	w->todo[w->ntodo++] = (uint16_t)w->nqueue;
	w->queue[w->nqueue++] = (struct gconf){ pc, stack };
}

static void
push_call(
    struct gwork *w, uint32_t to, uint32_t pc, uint32_t stack, uint32_t count)
{
	const struct gnode *node = &w->g->node[to];
	uint32_t f;

	if (w->frame[stack].depth + 1u + node->need > GRAMMAR_DEPTH)
		return;
	f = frame(w, stack, pc, count);
	if (f != 0)
		push(w, to, f);
}

static void
repeat(struct gwork *w, uint32_t pc, uint32_t stack, uint32_t count)
{
	const struct gnode *node = &w->g->node[pc];

	if (count >= node->min)
		push(w, node->b, stack);
	if (count < node->max)
		push_call(w, node->a, pc, stack, count);
}

static void
end(struct gwork *w, struct gconf c)
{
	const struct gframe f = w->frame[c.stack];
	const struct gnode *node = &w->g->node[f.pc];

	if (c.stack == 0) {
		if (w->nout < GRAMMAR_CONFS)
			w->out[w->nout++] = c;
	} else if (node->op == GNODE_CALL) {
		push(w, node->b, f.parent);
	} else if (node->max == GRAMMAR_MANY && f.count >= node->min) {
		repeat(w, f.pc, f.parent, f.count);
	} else {
		repeat(w, f.pc, f.parent, f.count + 1);
	}
}

/*
 * From what is queued to what waits for a byte, or is at the very end.  One
 * way is followed to its end before the next, so that some are when there are
 * too many.
 */
static void
settle(struct gwork *w)
{
	const struct grammar *g = w->g;
	const struct gnode *node;
	struct gconf c;

	while (w->ntodo > 0) {
		c = w->queue[w->todo[--w->ntodo]];
		node = &g->node[c.pc];
		switch ((enum gnode_op)node->op) {
		case GNODE_FAIL:
			break;
		case GNODE_END:
			end(w, c);
			break;
		case GNODE_EDGES:
			if (w->nout < GRAMMAR_CONFS)
				w->out[w->nout++] = c;
			break;
		case GNODE_SPLIT:
			push(w, node->a, c.stack);
			push(w, node->b, c.stack);
			break;
		case GNODE_CALL:
			/* Nothing to come back to: no frame. */
			if (g->node[node->b].op == GNODE_END)
				push(w, node->a, c.stack);
			else
				push_call(w, node->a, c.pc, c.stack, 0);
			break;
		case GNODE_REPEAT:
			repeat(w, c.pc, c.stack, 0);
			break;
		}
	}
}

uint32_t
gnode_next(const struct grammar *g, const struct gnode *node, uint8_t c)
{
	const struct gedge *e;
	uint32_t i;

	if (node->op != GNODE_EDGES)
		return 0;
	for (i = 0; i < node->b; i++) {
		e = &g->edge[node->a + i];
		if (c >= e->lo && c <= e->hi)
			return e->to;
	}
	return 0;
}

uint32_t
gwork_step(struct gwork *w, const struct gconf *in, uint32_t n, uint8_t c,
    struct gconf *out)
{
	const struct grammar *g = w->g;
	uint32_t i, to;

	w->out = out;
	w->nout = 0;
	w->nqueue = 0;
	w->ntodo = 0;
	w->cost += n;
	for (i = 0; i < n; i++) {
		to = gnode_next(g, &g->node[in[i].pc], c);
		if (to == 0)
			continue;
		push(w, to, in[i].stack);
		settle(w);
	}
	return w->nout;
}

/* Keeps of the frames those that are in use. */
static void
gather(struct gwork *w, struct gconf *conf, uint32_t n)
{
	uint16_t to[GRAMMAR_FRAMES];
	bool used[GRAMMAR_FRAMES];
	struct gframe *f;
	uint32_t i, k;

	memset(used, 0, w->nframe);
	used[0] = true;
	for (i = 0; i < n; i++)
		for (k = conf[i].stack; !used[k]; k = w->frame[k].parent)
			used[k] = true;
	w->frame[0].child = 0;
	to[0] = 0;
	/* A parent comes before its children. */
	for (i = 1, k = 1; i < w->nframe; i++) {
		if (!used[i])
			continue;
		to[i] = (uint16_t)k;
		f = &w->frame[k];
		*f = w->frame[i];
		f->parent = to[f->parent];
		f->child = 0;
		f->sibling = w->frame[f->parent].child;
		w->frame[f->parent].child = (uint16_t)k++;
	}
	w->nframe = k;
	for (i = 0; i < n; i++)
		conf[i].stack = to[conf[i].stack];
}

static void
store(struct grammar_state *s, const struct gwork *w, const struct gconf *conf,
    uint32_t n)
{
	s->frame = xreallocarray(s->frame, w->nframe, sizeof(*s->frame));
	s->conf = xreallocarray(s->conf, (size_t)n + 1, sizeof(*s->conf));
	memcpy(s->frame, w->frame, w->nframe * sizeof(*s->frame));
	memcpy(s->conf, conf, n * sizeof(*conf));
	s->nframe = w->nframe;
	s->nconf = n;
}

size_t
grammar_bytes(const struct grammar *g)
{
	return sizeof(*g) + g->nnode * sizeof(*g->node) +
	       g->nedge * sizeof(*g->edge) + g->nrule * sizeof(*g->rule);
}

void
grammar_free(struct grammar *g)
{
	if (g == NULL)
		return;
	free(g->node);
	free(g->edge);
	free(g->rule);
	free(g);
}

struct grammar_state *
grammar_start(const struct grammar *g)
{
	struct grammar_state *s = xcalloc(1, sizeof(*s));
	struct gconf out[GRAMMAR_CONFS];
	struct gwork w;

	s->g = g;
	gwork_init(&w, g);
	w.out = out;
	w.nout = 0;
	w.nqueue = 0;
	w.ntodo = 0;
	push(&w, g->root, 0);
	settle(&w);
	gather(&w, out, w.nout);
	store(s, &w, out, w.nout);
	return s;
}

struct grammar_state *
grammar_copy(const struct grammar_state *s)
{
	struct grammar_state *c = xcalloc(1, sizeof(*c));

	*c = *s;
	c->conf = xcalloc((size_t)s->nconf + 1, sizeof(*s->conf));
	memcpy(c->conf, s->conf, s->nconf * sizeof(*s->conf));
	c->frame = xmalloc(s->nframe * sizeof(*s->frame));
	memcpy(c->frame, s->frame, s->nframe * sizeof(*s->frame));
	return c;
}

void
grammar_state_free(struct grammar_state *s)
{
	if (s == NULL)
		return;
	free(s->conf);
	free(s->frame);
	free(s);
}

bool
grammar_take(struct grammar_state *s, const char *p, size_t n)
{
	struct gconf conf[2][GRAMMAR_CONFS];
	const struct gconf *in = s->conf;
	uint32_t nin = s->nconf;
	struct gwork w;
	size_t i;

	if (n == 0)
		return true;
	gwork_load(&w, s);
	for (i = 0; i < n; i++) {
		nin = gwork_step(&w, in, nin, (uint8_t)p[i], conf[i & 1]);
		if (nin == 0)
			return false;
		gather(&w, conf[i & 1], nin);
		in = conf[i & 1];
	}
	store(s, &w, in, nin);
	return true;
}

bool
grammar_done(const struct grammar_state *s)
{
	uint32_t i;

	for (i = 0; i < s->nconf; i++)
		if (s->g->node[s->conf[i].pc].op == GNODE_END)
			return true;
	return false;
}

bool
grammar_full(const struct grammar_state *s)
{
	const struct gconf *c;
	uint32_t i;

	for (i = 0; i < s->nconf; i++) {
		c = &s->conf[i];
		if (s->g->node[c->pc].op != GNODE_END &&
		    (c->pc < s->g->space_lo || c->pc >= s->g->space_hi))
			return false;
	}
	return grammar_done(s);
}

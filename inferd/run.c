#include "inferd/run.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/block.h"
#include "inferd/kern.h"
#include "inferd/quant.h"
#include "inferd/rope.h"
#include "inferd/steer.h"

static size_t
max(size_t a, size_t b)
{
	return a > b ? a : b;
}

static float *
floats(size_t rows, size_t cols)
{
	return xcalloc(rows * cols, sizeof(float));
}

static void
experts_new(struct run *r)
{
	const struct hparams *hp = &r->net->hp;
	const size_t slots = r->max * hp->experts_used;

	r->scores = floats(r->max, hp->experts);
	r->weight = floats(r->max, hp->experts_used);
	r->chosen = xcalloc(slots, sizeof(*r->chosen));
	r->place = xcalloc(slots, sizeof(*r->place));
	r->slot_row = xcalloc(slots, sizeof(*r->slot_row));
	r->groups = xcalloc(hp->experts, sizeof(*r->groups));
	r->slot_hidden = floats(slots, hp->expert_ff);
	r->slot_out = floats(slots, hp->embd);
	r->slot_acts = acts_new(r->pool, slots, hp->expert_ff);
}

struct run *
run_new(
    const struct net *n, struct pool *pool, enum tensor_type type, size_t most)
{
	const struct hparams *hp = &n->hp;
	const size_t q = (size_t)hp->heads * hp->head_k,
		     o = (size_t)hp->heads * hp->head_v,
		     s = (size_t)hp->delta.heads * hp->delta.value,
		     ff = max(hp->ff, hp->shared_ff);
	struct run *r = xcalloc(1, sizeof(*r));

	r->net = n;
	r->pool = pool;
	r->kv = type;
	r->max = most;
	r->x = floats(most, hp->embd);
	r->norm = floats(most, hp->embd);
	r->out = floats(most, hp->embd);
	r->turn = floats(most, hp->rope_dims);
	r->q = floats(most, q);
	r->k = floats(most, (size_t)hp->kv_heads * hp->head_k);
	r->v = floats(most, (size_t)hp->kv_heads * hp->head_v);
	r->att = floats(most, o);
	if (n->def->scratch != NULL)
		r->scratch = floats(most, n->def->scratch(hp));
	r->acts = acts_new(pool, most, max(max(hp->embd, max(o, s)), ff));
	r->hidden = floats(most, 2 * ff);
	r->shared = floats(most, hp->shared_ff > 0 ? hp->embd : 0);
	if (hp->experts > 0)
		experts_new(r);
	return r;
}

void
run_free(struct run *r)
{
	if (r == NULL)
		return;
	free(r->x);
	free(r->norm);
	free(r->out);
	free(r->turn);
	free(r->q);
	free(r->k);
	free(r->v);
	free(r->att);
	free(r->scratch);
	free(r->hidden);
	free(r->shared);
	free(r->scores);
	free(r->weight);
	free(r->chosen);
	free(r->place);
	free(r->slot_row);
	free(r->groups);
	free(r->slot_hidden);
	free(r->slot_out);
	free(r->gathered[0].p);
	free(r->gathered[1].p);
	acts_free(r->acts);
	acts_free(r->slot_acts);
	free(r);
}

/* The logits of the rows that want them. */
static void
head(struct run *r, float *logits)
{
	const struct net *n = r->net;
	const size_t embd = n->hp.embd;
	struct product p = { &n->output, logits, n->hp.vocab };
	size_t wanted = 0;

	/* They come together at the front; order is kept. */
	for (size_t i = 0; i < r->n; i++)
		if (r->rows[i].want) {
			memmove(&r->x[wanted * embd], &r->x[i * embd],
			    embd * sizeof(float));
			wanted++;
		}
	if (wanted == 0)
		return;
	r->n = wanted;
	block_norm(r, r->x, n->output_norm, r->norm);
	acts_set(r->acts, r->norm, wanted, embd);
	mat_mul(r->pool, r->acts, &p, 1);
}

static void
steer(struct run *r, uint32_t layer)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct steer *s = kv_seq_steered(r->rows[i].seq);

		if (s != NULL)
			steer_apply(s, layer, &r->x[i * r->net->hp.embd]);
	}
}

size_t
run_rows_until(struct run *r, const struct row *rows, size_t n, size_t keep,
    float *logits, const atomic_int *stop)
{
	const struct net *net = r->net;
	const struct matrix *e = &net->embd;

	r->rows = rows;
	r->n = n;
	for (size_t i = 0; i < n; i++) {
		kv_seq_enter(rows[i].seq);
		dequant_row(e->type, e->w + rows[i].token * e->row_bytes,
		    &r->x[i * e->cols], e->cols);
		rope_turn(net, rows[i].pos, &r->turn[i * net->hp.rope_dims]);
	}
	for (uint32_t l = 0; l < net->hp.layers; l++) {
		/* What a row needs of itself stands at its own place. */
		if (stop != NULL && r->n > keep && atomic_load(stop) != 0)
			r->n = n = keep;
		if (n == 0)
			return 0;
		net->def->layer(r, l);
		steer(r, l);
	}
	for (size_t i = 0; i < n; i++)
		kv_seq_leave(rows[i].seq, rows[i].pos + 1);
	head(r, logits);
	return n;
}

void
run_rows(struct run *r, const struct row *rows, size_t n, float *logits)
{
	run_rows_until(r, rows, n, n, logits, NULL);
}

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compat.h"
#include "base/str.h"
#include "inferd/block.h"
#include "inferd/kern.h"
#include "inferd/router.h"

#define CHUNK 32u  /* rows of weights of a piece of gate and up */
#define BATCH 128u /* rows of activations that go through it at a time */

void
block_dense(struct run *r, uint32_t layer)
{
	const struct layer *l = &r->net->layers[layer];
	const size_t ff = r->net->hp.ff;
	float *up = &r->hidden[r->max * ff];
	const struct product in[] = { { &l->gate, r->hidden, ff },
		{ &l->up, up, ff } };
	const struct product out = { &l->down, r->out, r->net->hp.embd };

	acts_set(r->acts, r->norm, r->n, r->net->hp.embd);
	mat_mul(r->pool, r->acts, in, 2);
	kern_glu_join(
	    r->net->def->glu, r->hidden, up, NULL, NULL, r->n * ff, r->hidden);
	acts_set(r->acts, r->hidden, r->n, ff);
	mat_mul(r->pool, r->acts, &out, 1);
}

/* ---- experts ------------------------------------------------------------ */

/* Slots in order of experts, and of rows within one. */
static void
group(struct run *r)
{
	const uint32_t used = r->net->hp.experts_used;
	const size_t slots = r->n * used;
	size_t at = 0;

	r->ngroups = 0;
	for (uint32_t e = 0; e < r->net->hp.experts; e++) {
		const size_t begin = at;

		for (size_t s = 0; s < slots; s++)
			if (r->chosen[s] == e) {
				r->place[s] = at;
				r->slot_row[at++] = s / used;
			}
		if (at > begin)
			r->groups[r->ngroups++] =
			    (struct group){ e, begin, at - begin };
	}
}

struct experts {
	struct run *r;
	const struct layer *l;
	/* Activations in order of slots; those for up may be of another form.
	 */
	const uint8_t *xq, *xq_up;
	size_t stride, stride_up;
	size_t chunk, chunks; /* rows of a piece; pieces of an expert */
};

/* Gates up to the limit, values up to it on both sides; 0: there is none. */
static void
clip(float limit, float *gate, float *up, size_t n)
{
	if (limit == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		gate[i] = fminf(gate[i], limit);
		up[i] = fmaxf(fminf(up[i], limit), -limit);
	}
}

/* The first row of m that the piece after this one needs; NULL: none does. */
static const uint8_t *
after(
    const struct experts *x, const struct matrix *m, size_t piece, size_t chunk)
{
	const struct run *r = x->r;
	const size_t group = ++piece / x->chunks;

	return group == r->ngroups ? NULL
				   : mat_row(m, r->groups[group].expert,
					 piece % x->chunks * chunk);
}

/* A piece of the hidden values of one expert, for all its rows. */
static void
hidden_piece(size_t piece, unsigned thread, void *arg)
{
	const struct experts *x = arg;
	struct run *r = x->r;
	const struct group *g = &r->groups[piece / x->chunks];
	const size_t ff = r->net->hp.expert_ff;
	const size_t r0 = piece % x->chunks * CHUNK;
	const size_t r1 = r0 + CHUNK < ff ? r0 + CHUNK : ff;
	/* to fill them with zeros would be a good part of one row's work */
	float gate[BATCH * CHUNK] attr_uninit;
	float up[BATCH * CHUNK] attr_uninit;

	(void)thread;
	for (size_t i = 0; i < g->n; i += BATCH) {
		const size_t n = g->n - i < BATCH ? g->n - i : BATCH;
		const size_t at = g->first + i;

		mat_rows(&x->l->gate, g->expert, r0, r1, x->xq + at * x->stride,
		    x->stride, n, gate, CHUNK,
		    mat_row(&x->l->up, g->expert, r0));
		mat_rows(&x->l->up, g->expert, r0, r1,
		    x->xq_up + at * x->stride_up, x->stride_up, n, up, CHUNK,
		    after(x, &x->l->gate, piece, CHUNK));
		for (size_t t = 0; t < n; t++) {
			clip(r->net->hp.streams.limit, &gate[t * CHUNK],
			    &up[t * CHUNK], r1 - r0);
			kern_glu_join(r->net->def->glu, &gate[t * CHUNK],
			    &up[t * CHUNK], NULL, NULL, r1 - r0,
			    &r->slot_hidden[(at + t) * ff + r0]);
		}
	}
}

static void
down_piece(size_t piece, unsigned thread, void *arg)
{
	const struct experts *x = arg;
	struct run *r = x->r;
	const struct group *g = &r->groups[piece / x->chunks];
	const size_t embd = r->net->hp.embd;
	const size_t r0 = piece % x->chunks * x->chunk;
	const size_t r1 = r0 + x->chunk < embd ? r0 + x->chunk : embd;

	(void)thread;
	mat_rows(&x->l->down, g->expert, r0, r1, x->xq + g->first * x->stride,
	    x->stride, g->n, &r->slot_out[g->first * embd + r0], embd,
	    after(x, &x->l->down, piece, x->chunk));
}

/* How much of what the expert that all rows have says to one. */
static float
share_of(const struct layer *l, const float *norm, size_t embd)
{
	float share;

	if (l->shared_share == NULL)
		return 1;
	share = kern_dot_f32(l->shared_share, norm, embd);
	router_sigmoid(&share, 1);
	return share;
}

/*
 * What its experts say to one row, in the order in which it chose them, and
 * then what the one says that all rows have.
 */
static void
combine_row(size_t row, unsigned thread, void *arg)
{
	const struct experts *x = arg;
	struct run *r = x->r;
	const size_t embd = r->net->hp.embd;
	const uint32_t used = r->net->hp.experts_used;
	float *out = &r->out[row * embd];

	(void)thread;
	memset(out, 0, embd * sizeof(*out));
	for (uint32_t k = 0; k < used; k++)
		kern_axpy_f32(r->weight[row * used + k],
		    &r->slot_out[r->place[row * used + k] * embd], embd, out);
	if (x->l->shared_down.w != NULL)
		kern_axpy_f32(share_of(x->l, &r->norm[row * embd], embd),
		    &r->shared[row * embd], embd, out);
}

/* The rows' activations in order of slots, each row once for each expert. */
static const uint8_t *
gather(struct run *r, enum tensor_type type, struct gathered *g, size_t *stride)
{
	const size_t used = r->net->hp.experts_used;
	const uint8_t *xq = acts_for(r->acts, type, stride);

	if (g->size < r->n * used * *stride) {
		free(g->p);
		g->size = r->max * used * *stride;
		g->p = xaligned(64, g->size);
	}
	for (size_t s = 0; s < r->n * used; s++)
		memcpy(
		    g->p + s * *stride, xq + r->slot_row[s] * *stride, *stride);
	return g->p;
}

static void
choose(struct run *r, const struct layer *l, size_t i)
{
	const struct hparams *hp = &r->net->hp;
	const size_t used = hp->experts_used;
	float *score = &r->scores[i * hp->experts];
	float *weight = &r->weight[i * used];
	uint32_t *chosen = &r->chosen[i * used];

	if (l->fixed != NULL)
		router_given(hp, &l->fixed[r->rows[i].token * used], score,
		    chosen, weight);
	else
		router_choose(hp, l->router_bias, score, chosen, weight);
}

void
block_experts(struct run *r, uint32_t layer)
{
	const struct hparams *hp = &r->net->hp;
	const struct layer *l = &r->net->layers[layer];
	const size_t ff = hp->shared_ff;
	float *up = &r->hidden[r->max * ff];
	const struct product in[] = { { &l->router, r->scores, hp->experts },
		{ &l->shared_gate, r->hidden, ff }, { &l->shared_up, up, ff } };
	const struct product down = { &l->shared_down, r->shared, hp->embd };
	struct experts x = { .r = r, .l = l };

	acts_set(r->acts, r->norm, r->n, hp->embd);
	mat_mul(r->pool, r->acts, in, ff == 0 ? 1 : 3);
	if (ff != 0) {
		clip(hp->streams.shared_limit, r->hidden, up, r->n * ff);
		kern_glu_join(r->net->def->glu, r->hidden, up, NULL, NULL,
		    r->n * ff, r->hidden);
	}
	for (size_t i = 0; i < r->n; i++)
		choose(r, l, i);
	group(r);

	x.xq = gather(r, l->gate.type, &r->gathered[0], &x.stride);
	x.xq_up = x.xq;
	x.stride_up = x.stride;
	if (act_kind(l->up.type) != act_kind(l->gate.type))
		x.xq_up = gather(r, l->up.type, &r->gathered[1], &x.stride_up);
	x.chunks = (hp->expert_ff + CHUNK - 1) / CHUNK;
	pool_run(r->pool, r->ngroups * x.chunks, hidden_piece, &x);

	acts_set(r->slot_acts, r->slot_hidden, r->n * hp->experts_used,
	    hp->expert_ff);
	x.xq = acts_for(r->slot_acts, l->down.type, &x.stride);
	x.chunk = mat_piece(&l->down);
	x.chunks = (hp->embd + x.chunk - 1) / x.chunk;
	pool_run(r->pool, r->ngroups * x.chunks, down_piece, &x);
	if (ff != 0) {
		acts_set(r->acts, r->hidden, r->n, ff);
		mat_mul(r->pool, r->acts, &down, 1);
	}
	pool_run(r->pool, r->n, combine_row, &x);
}

#include "inferd/block_mla.h"

#include <string.h>

#include "inferd/kern.h"
#include "inferd/net_bind.h"
#include "inferd/rope.h"

/* Values of a row that is kept: those of low rank, then the turned ones. */
static size_t
kept(const struct hparams *hp)
{
	return (size_t)hp->kv_rank + hp->rope_dims;
}

/* Values of a query that are not turned; they come before those that are. */
static size_t
plain(const struct hparams *hp)
{
	return (size_t)hp->head_k - hp->rope_dims;
}

bool
block_mla_kv(const struct hparams *hp, uint32_t i, struct kv_shape *out)
{
	*out = (struct kv_shape){ .heads = 1, .key = (uint32_t)kept(hp) };
	return i < hp->layers;
}

void
block_mla_bind(struct binding *b, const struct net *n, struct layer *l)
{
	const struct hparams *hp = &n->hp;
	const size_t q = (size_t)hp->heads * hp->head_k,
		     o = (size_t)hp->heads * hp->head_v;

	if (hp->q_rank == 0)
		l->q = net_matrix(b, "attn_q", q, hp->embd, 0, true);
	else {
		l->q_low =
		    net_matrix(b, "attn_q_a", hp->q_rank, hp->embd, 0, true);
		l->q_norm =
		    net_vector(b, "attn_q_a_norm", ".weight", hp->q_rank, true);
		l->q = net_matrix(b, "attn_q_b", q, hp->q_rank, 0, true);
	}
	l->kv_low = net_matrix(b, "attn_kv_a_mqa", kept(hp), hp->embd, 0, true);
	l->k_norm =
	    net_vector(b, "attn_kv_a_norm", ".weight", hp->kv_rank, true);
	l->k =
	    net_matrix(b, "attn_k_b", hp->kv_rank, plain(hp), hp->heads, true);
	l->v =
	    net_matrix(b, "attn_v_b", hp->head_v, hp->kv_rank, hp->heads, true);
	l->o = net_matrix(b, "attn_output", hp->embd, o, 0, true);
}

/* What is computed on the way, each [max][...]. */
struct mla {
	struct run *r;
	uint32_t layer;
	float *low;   /* [q_rank] */
	float *row;   /* [kept]: of this position */
	float *plain; /* [heads][plain]: of the queries */
	float *wide;  /* [heads][kept]: queries of rows that are kept */
	float *seen;  /* [heads][kv_rank]: sums of rows that are kept */
};

size_t
block_mla_scratch(const struct hparams *hp)
{
	return hp->q_rank + kept(hp) +
	       hp->heads * (plain(hp) + kept(hp) + hp->kv_rank);
}

static struct mla
mla(struct run *r, uint32_t layer)
{
	const struct hparams *hp = &r->net->hp;
	struct mla m = { .r = r, .layer = layer, .low = r->scratch };

	m.row = m.low + r->max * hp->q_rank;
	m.plain = m.row + r->max * kept(hp);
	m.wide = m.plain + r->max * hp->heads * plain(hp);
	m.seen = m.wide + r->max * hp->heads * kept(hp);
	return m;
}

/* Queries into r->q, and the row that is to be kept. */
static void
project(const struct mla *m)
{
	struct run *r = m->r;
	const struct hparams *hp = &r->net->hp;
	const struct layer *l = &r->net->layers[m->layer];
	const bool low = hp->q_rank != 0;
	const struct product q = { &l->q, r->q,
		(size_t)hp->heads * hp->head_k };
	const struct product in[] = {
		low ? (struct product){ &l->q_low, m->low, hp->q_rank } : q,
		{ &l->kv_low, m->row, kept(hp) },
	};

	acts_set(r->acts, r->norm, r->n, hp->embd);
	mat_mul(r->pool, r->acts, in, 2);
	if (!low)
		return;
	for (size_t i = 0; i < r->n; i++) {
		float *x = &m->low[i * hp->q_rank];

		kern_rms_norm(x, l->q_norm, hp->rms_eps, hp->q_rank, x);
	}
	acts_set(r->acts, m->low, r->n, hp->q_rank);
	mat_mul(r->pool, r->acts, &q, 1);
}

/* One row into its page; the parts of its queries to where each is needed. */
static void
store(size_t i, unsigned thread, void *arg)
{
	const struct mla *m = arg;
	struct run *r = m->r;
	const struct net *n = r->net;
	const struct hparams *hp = &n->hp;
	const struct layer *l = &n->layers[m->layer];
	const struct row *row = &r->rows[i];
	const float *turn = &r->turn[i * hp->rope_dims];
	const struct kv_rows kv =
	    kv_rows(row->seq, m->layer, 0, row->pos / KV_PAGE);
	float *x = &m->row[i * kept(hp)];

	(void)thread;
	kern_rms_norm(x, l->k_norm, hp->rms_eps, hp->kv_rank, x);
	rope_apply(n, turn, &x[hp->kv_rank]);
	kern_store_row(
	    r->kv, x, kept(hp), kv.keys + row->pos % KV_PAGE * kv.key);
	for (size_t h = i * hp->heads; h < (i + 1) * hp->heads; h++) {
		float *q = &r->q[h * hp->head_k], *turned = &q[plain(hp)];

		rope_apply(n, turn, turned);
		memcpy(&m->plain[h * plain(hp)], q, plain(hp) * sizeof(*q));
		memcpy(&m->wide[h * kept(hp) + hp->kv_rank], turned,
		    hp->rope_dims * sizeof(*q));
	}
}

/* y[row][head] = m[head] x[row][head]; stride: floats from head to head. */
static void
each_head(struct run *r, const struct matrix *m, const float *x, float *y,
    size_t stride)
{
	const size_t heads = r->net->hp.heads;

	acts_set(r->acts, x, r->n * heads, m->cols);
	mat_mul_each(r->pool, r->acts, m, r->n, heads, y, stride);
}

void
block_mla(struct run *r, uint32_t layer)
{
	const struct hparams *hp = &r->net->hp;
	const struct layer *l = &r->net->layers[layer];
	struct mla m = mla(r, layer);
	const struct attend see = { .track = layer,
		.heads = hp->heads,
		.kv_heads = 1,
		.key = (uint32_t)kept(hp),
		.value = hp->kv_rank,
		.scale = r->net->attn_scale,
		.q = m.wide,
		.out = m.seen };
	const struct product out = { &l->o, r->out, hp->embd };

	project(&m);
	pool_run(r->pool, r->n, store, &m);
	each_head(r, &l->k, m.plain, m.wide, kept(hp));
	block_attend(r, &see);
	each_head(r, &l->v, m.seen, r->att, hp->head_v);
	acts_set(r->acts, r->att, r->n, (size_t)hp->heads * hp->head_v);
	mat_mul(r->pool, r->acts, &out, 1);
}

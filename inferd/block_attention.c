#include <string.h>

#include "inferd/block.h"
#include "inferd/kern.h"
#include "inferd/rope.h"

struct at {
	struct run *r;
	uint32_t layer;
};

static void
norm_heads(const struct net *n, float *x, const float *w, size_t heads)
{
	const size_t head = n->hp.head_k;

	if (w == NULL)
		return;
	switch (n->def->qk_norm) {
	case QK_NORM_NONE:
		break;
	case QK_NORM_HEAD:
		for (size_t h = 0; h < heads; h++)
			kern_rms_norm(
			    &x[h * head], w, n->hp.rms_eps, head, &x[h * head]);
		break;
	case QK_NORM_FULL:
		kern_rms_norm(x, w, n->hp.rms_eps, heads * head, x);
		break;
	}
}

/* Behind each head's query, in r->scratch, is the gate of what it says. */
static float *
query_and_gate(const struct run *r, size_t row, size_t head)
{
	const struct hparams *hp = &r->net->hp;

	return &r->scratch[(row * hp->heads + head) * 2 * hp->head_k];
}

static void
gate(size_t i, unsigned thread, void *arg)
{
	const struct run *r = arg;
	const struct hparams *hp = &r->net->hp;
	float *out = &r->att[i * hp->heads * hp->head_v];

	(void)thread;
	for (size_t h = 0; h < hp->heads; h++)
		kern_gate(query_and_gate(r, i, h) + hp->head_k, hp->head_v,
		    &out[h * hp->head_v]);
}

/* Queries and keys normed and turned; keys and values into their page. */
static void
store(size_t i, unsigned thread, void *arg)
{
	const struct at *a = arg;
	struct run *r = a->r;
	const struct net *n = r->net;
	const struct hparams *hp = &n->hp;
	const struct layer *l = &n->layers[a->layer];
	const struct row *row = &r->rows[i];
	const float *turn = &r->turn[i * hp->rope_dims];
	const uint32_t page = row->pos / KV_PAGE, at = row->pos % KV_PAGE;
	float *q = &r->q[i * hp->heads * hp->head_k];
	float *k = &r->k[i * hp->kv_heads * hp->head_k];
	const float *v = &r->v[i * hp->kv_heads * hp->head_v];

	(void)thread;
	for (size_t h = 0; n->def->q_gate && h < hp->heads; h++)
		memcpy(&q[h * hp->head_k], query_and_gate(r, i, h),
		    hp->head_k * sizeof(*q));
	norm_heads(n, q, l->q_norm, hp->heads);
	norm_heads(n, k, l->k_norm, hp->kv_heads);
	for (uint32_t h = 0; h < hp->heads; h++)
		rope_apply(n, turn, &q[(size_t)h * hp->head_k]);
	for (uint32_t h = 0; h < hp->kv_heads; h++) {
		const struct kv_rows kv = kv_rows(row->seq, a->layer, h, page);
		const size_t kn = hp->head_k, vn = hp->head_v;

		rope_apply(n, turn, &k[h * kn]);
		kern_store_row(r->kv, &k[h * kn], kn, kv.keys + at * kv.key);
		kern_store_row(
		    r->kv, &v[h * vn], vn, kv.values + at * kv.value);
	}
}

void
block_attention(struct run *r, uint32_t layer)
{
	const struct hparams *hp = &r->net->hp;
	const struct layer *l = &r->net->layers[layer];
	struct at a = { r, layer };
	const struct attend see = { .track = layer,
		.heads = hp->heads,
		.kv_heads = hp->kv_heads,
		.key = hp->head_k,
		.value = hp->head_v,
		.scale = r->net->attn_scale,
		.window = l->window,
		.sinks = l->sinks,
		.q = r->q,
		.out = r->att };
	const bool gated = r->net->def->q_gate;
	const size_t q = (size_t)hp->heads * hp->head_k;
	const struct product in[] = {
		{ &l->q, gated ? r->scratch : r->q, gated ? 2 * q : q },
		{ &l->k, r->k, (size_t)hp->kv_heads * hp->head_k },
		{ &l->v, r->v, (size_t)hp->kv_heads * hp->head_v },
	};
	const struct product out = { &l->o, r->out, hp->embd };

	acts_set(r->acts, r->norm, r->n, hp->embd);
	mat_mul(r->pool, r->acts, in, 3);
	pool_run(r->pool, r->n, store, &a);
	block_attend(r, &see);
	if (gated)
		pool_run(r->pool, r->n, gate, r);
	acts_set(r->acts, r->att, r->n, (size_t)hp->heads * hp->head_v);
	mat_mul(r->pool, r->acts, &out, 1);
}

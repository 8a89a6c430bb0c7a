#include <math.h>
#include <string.h>

#include "base/compat.h"
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
	norm_heads(n, q, l->q_norm, hp->heads);
	norm_heads(n, k, l->k_norm, hp->kv_heads);
	for (uint32_t h = 0; h < hp->heads; h++)
		rope_apply(n, turn, &q[(size_t)h * hp->head_k]);
	for (uint32_t h = 0; h < hp->kv_heads; h++) {
		uint8_t *key = kv_keys(row->seq, a->layer, h, page);
		uint8_t *value = kv_values(row->seq, a->layer, h, page);
		const size_t kn = hp->head_k, vn = hp->head_v;

		rope_apply(n, turn, &k[h * kn]);
		kern_store_row(r->kv, &k[h * kn], kn, key + at * r->key);
		kern_store_row(r->kv, &v[h * vn], vn, value + at * r->value);
	}
}

/* Some positions of one page. */
struct view {
	const uint8_t *keys, *values;
	uint32_t n;
};

struct sum {
	float max, total;
};

/* Queries that go through a page together. */
#define TOGETHER 8u

static void
attend(const struct run *r, const float *q, size_t n, const struct view *w,
    struct sum *sums, float *outs)
{
	const struct hparams *hp = &r->net->hp;
	float ps[TOGETHER][KV_PAGE] attr_uninit;

	kern_dot_group(r->kv, w->keys, r->key, w->n, q, hp->head_k, n,
	    hp->head_k, ps[0], KV_PAGE);
	for (size_t g = 0; g < n; g++) {
		float *p = ps[g], *out = outs + g * hp->head_v, most;
		struct sum *s = &sums[g];

		for (uint32_t j = 0; j < w->n; j++)
			p[j] *= r->net->attn_scale;
		most = fmaxf(kern_max(p, w->n), s->max);
		if (most > s->max) {
			const float shrink = expf(s->max - most);

			s->total *= shrink;
			for (size_t d = 0; d < hp->head_v; d++)
				out[d] *= shrink;
			s->max = most;
		}
		s->total += kern_exp_sum(p, w->n, most);
	}
	kern_axpy_group(r->kv, w->values, r->value, w->n, ps[0], KV_PAGE, n,
	    hp->head_v, outs, hp->head_v);
}

/* Heads [h, h + n) of a row, n up to TOGETHER, that share a head of keys. */
static void
attend_heads(
    const struct at *a, size_t i, uint32_t kv_head, uint32_t h, uint32_t n)
{
	struct run *r = a->r;
	const struct hparams *hp = &r->net->hp;
	const struct layer *l = &r->net->layers[a->layer];
	const struct row *row = &r->rows[i];
	const uint32_t end = row->pos + 1;
	const uint32_t begin =
	    l->window != 0 && end > l->window ? end - l->window : 0;
	const float *q = &r->q[(i * hp->heads + h) * hp->head_k];
	float *out = &r->att[(i * hp->heads + h) * hp->head_v];
	struct sum s[TOGETHER];

	for (uint32_t g = 0; g < n; g++)
		s[g] = l->sinks != NULL ? (struct sum){ l->sinks[h + g], 1 }
					: (struct sum){ -INFINITY, 0 };
	memset(out, 0, (size_t)n * hp->head_v * sizeof(*out));
	for (uint32_t page = begin / KV_PAGE; page * KV_PAGE < end; page++) {
		const uint32_t at = page * KV_PAGE;
		const uint32_t first = begin > at ? begin - at : 0;
		const uint32_t last = end - at < KV_PAGE ? end - at : KV_PAGE;
		const uint8_t *keys =
		    kv_keys(row->seq, a->layer, kv_head, page);
		const uint8_t *values =
		    kv_values(row->seq, a->layer, kv_head, page);
		const struct view w = { keys + first * r->key,
			values + first * r->value, last - first };

		attend(r, q, n, &w, s, out);
	}
	for (uint32_t g = 0; g < n; g++)
		for (size_t d = 0; d < hp->head_v; d++)
			out[g * hp->head_v + d] /= s[g].total;
}

/*
 * All queries of one row that share a head of keys.  Pages are gone through in
 * order with a running maximum and sum (Milakov and Gimelshein, 2018): what
 * comes out does not depend on how the work is split.
 */
static void
attend_group(size_t piece, unsigned thread, void *arg)
{
	const struct at *a = arg;
	const struct hparams *hp = &a->r->net->hp;
	const size_t i = piece / hp->kv_heads;
	const uint32_t kv_head = (uint32_t)(piece % hp->kv_heads);
	const uint32_t group = hp->heads / hp->kv_heads;

	(void)thread;
	for (uint32_t g = 0; g < group; g += TOGETHER)
		attend_heads(a, i, kv_head, kv_head * group + g,
		    group - g < TOGETHER ? group - g : TOGETHER);
}

void
block_attention(struct run *r, uint32_t layer)
{
	const struct hparams *hp = &r->net->hp;
	const struct layer *l = &r->net->layers[layer];
	struct at a = { r, layer };
	const struct product in[] = {
		{ &l->q, r->q, (size_t)hp->heads * hp->head_k },
		{ &l->k, r->k, (size_t)hp->kv_heads * hp->head_k },
		{ &l->v, r->v, (size_t)hp->kv_heads * hp->head_v },
	};
	const struct product out = { &l->o, r->out, hp->embd };

	acts_set(r->acts, r->norm, r->n, hp->embd);
	mat_mul(r->pool, r->acts, in, 3);
	if (r->n == 1)
		store(0, 0, &a);
	else
		pool_run(r->pool, r->n, store, &a);
	pool_run(r->pool, r->n * hp->kv_heads, attend_group, &a);
	acts_set(r->acts, r->att, r->n, (size_t)hp->heads * hp->head_v);
	mat_mul(r->pool, r->acts, &out, 1);
}

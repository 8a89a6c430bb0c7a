#include <math.h>
#include <string.h>

#include "base/compat.h"
#include "inferd/block.h"
#include "inferd/kern.h"

struct work {
	struct run *r;
	const struct attend *a;
	uint32_t group;  /* heads that share one of keys */
	uint32_t pieces; /* of a row, ATTEND_TOGETHER heads each or fewer */
};

void
attend_view(const struct run *r, const struct attend *a, const float *q,
    size_t n, const struct attend_view *w, struct attend_sum *sums, float *outs)
{
	const enum tensor_type type = r->kv;
	float ps[ATTEND_TOGETHER][KV_PAGE] attr_uninit;

	kern_dot_group(
	    type, w->keys, w->key, w->n, q, a->key, n, a->key, ps[0], KV_PAGE);
	for (size_t g = 0; g < n; g++) {
		float *p = ps[g], *out = outs + g * a->value, most;
		struct attend_sum *s = &sums[g];

		for (uint32_t j = 0; j < w->n; j++)
			p[j] *= a->scale;
		most = fmaxf(kern_max(p, w->n), s->max);
		if (most > s->max) {
			const float shrink = expf(s->max - most);

			s->total *= shrink;
			for (size_t d = 0; d < a->value; d++)
				out[d] *= shrink;
			s->max = most;
		}
		s->total += kern_exp_sum(p, w->n, most);
	}
	kern_axpy_group(type, w->values, w->value, w->n, ps[0], KV_PAGE, n,
	    a->value, outs, a->value);
}

void
attend_begin(const struct attend *a, uint32_t h, uint32_t n,
    struct attend_sum *sums, float *outs)
{
	for (uint32_t g = 0; g < n; g++)
		sums[g] = a->sinks != NULL
			      ? (struct attend_sum){ a->sinks[h + g], 1 }
			      : (struct attend_sum){ -INFINITY, 0 };
	memset(outs, 0, (size_t)n * a->value * sizeof(*outs));
}

void
attend_end(const struct attend *a, uint32_t n, const struct attend_sum *sums,
    float *outs)
{
	for (uint32_t g = 0; g < n; g++)
		for (size_t d = 0; d < a->value; d++)
			outs[g * a->value + d] /= sums[g].total;
}

static struct attend_view
view(const struct attend *a, const struct row *row, uint32_t kv_head,
    uint32_t page, uint32_t first, uint32_t last)
{
	const struct kv_rows kv = kv_rows(row->seq, a->track, kv_head, page);
	const bool apart = kv.value != 0;
	const uint8_t *values = apart ? kv.values : kv.keys;
	const size_t value = apart ? kv.value : kv.key;

	return (struct attend_view){ .keys = kv.keys + first * kv.key,
		.values = values + first * value,
		.key = kv.key,
		.value = value,
		.n = last - first };
}

/* Heads [h, h + n) of a row, n up to ATTEND_TOGETHER, that share a head of
 * keys. */
static void
see_all(
    const struct work *x, size_t i, uint32_t kv_head, uint32_t h, uint32_t n)
{
	const struct attend *a = x->a;
	const struct row *row = &x->r->rows[i];
	const uint32_t end = row->pos + 1;
	const uint32_t begin =
	    a->window != 0 && end > a->window ? end - a->window : 0;
	const float *q = &a->q[(i * a->heads + h) * a->key];
	float *out = &a->out[(i * a->heads + h) * a->value];
	struct attend_sum s[ATTEND_TOGETHER];

	attend_begin(a, h, n, s, out);
	for (uint32_t page = begin / KV_PAGE; page * KV_PAGE < end; page++) {
		const uint32_t at = page * KV_PAGE;
		const uint32_t first = begin > at ? begin - at : 0;
		const uint32_t last = end - at < KV_PAGE ? end - at : KV_PAGE;
		const struct attend_view w =
		    view(a, row, kv_head, page, first, last);

		attend_view(x->r, a, q, n, &w, s, out);
	}
	attend_end(a, n, s, out);
}

/*
 * Some queries of one row that share a head of keys.  Pages are gone through
 * in order with a running maximum and sum (Milakov and Gimelshein, 2018): what
 * comes out does not depend on how the work is split.
 */
static void
see_piece(size_t piece, unsigned thread, void *arg)
{
	const struct work *x = arg;
	const size_t i = piece / x->pieces / x->a->kv_heads;
	const uint32_t kv_head = (uint32_t)(piece / x->pieces % x->a->kv_heads);
	const uint32_t g = (uint32_t)(piece % x->pieces) * ATTEND_TOGETHER;

	(void)thread;
	see_all(x, i, kv_head, kv_head * x->group + g,
	    x->group - g < ATTEND_TOGETHER ? x->group - g : ATTEND_TOGETHER);
}

void
block_attend(struct run *r, const struct attend *a)
{
	struct work x = { .r = r, .a = a, .group = a->heads / a->kv_heads };

	x.pieces = (x.group + ATTEND_TOGETHER - 1) / ATTEND_TOGETHER;
	pool_run(r->pool, r->n * a->kv_heads * x.pieces, see_piece, &x);
}

/*
 * Attention over rows of low rank gives what its textbook form gives, in which
 * keys and values of each head are computed for every position.
 */
#include "inferd/block_mla.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compat.h"
#include "base/str.h"
#include "tests/inferd/layer_run.h"

#define POSITIONS 150u /* over two pages */

/* What went into the block of the first layer at each position, and what came
 * out of it. */
static float *went, *came;

static void
layer_seen(struct run *r, uint32_t layer)
{
	const size_t embd = r->net->hp.embd;

	if (layer != 0)
		return;
	block_norm(r, r->x, r->net->layers[0].attn_norm, r->norm);
	block_mla(r, 0);
	for (size_t i = 0; i < r->n; i++) {
		const size_t at = r->rows[i].pos * embd;

		memcpy(&went[at], &r->norm[i * embd], embd * sizeof(float));
		memcpy(&came[at], &r->out[i * embd], embd * sizeof(float));
	}
}

/* ---- the textbook ------------------------------------------------------- */

static double *
doubles(size_t n)
{
	return xcalloc(n, sizeof(double));
}

/* y = W x of one matrix in F32, or of number e of many. */
static void
times(const struct matrix *m, size_t e, const double *x, double *y)
{
	const float *w =
	    (const float *)(const void *)m->w + e * m->rows * m->cols;

	assert_int_equal(m->type, TT_F32);
	for (size_t r = 0; r < m->rows; r++) {
		y[r] = 0;
		for (size_t c = 0; c < m->cols; c++)
			y[r] += (double)w[r * m->cols + c] * x[c];
	}
}

/* y = W' x */
static void
times_transposed(const struct matrix *m, size_t e, const double *x, double *y)
{
	const float *w =
	    (const float *)(const void *)m->w + e * m->rows * m->cols;

	for (size_t c = 0; c < m->cols; c++) {
		y[c] = 0;
		for (size_t r = 0; r < m->rows; r++)
			y[c] += (double)w[r * m->cols + c] * x[r];
	}
}

static void
norm(double *x, const float *w, size_t n, float eps)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += x[i] * x[i];
	for (size_t i = 0; i < n; i++)
		x[i] *= (double)w[i] / sqrt(sum / (double)n + (double)eps);
}

/* Neighbours are a pair. */
static void
turn(const struct net *n, double *x, uint32_t pos)
{
	for (uint32_t i = 0; i < n->hp.rope_dims / 2; i++) {
		const double angle = (double)pos * (double)n->rope_freq[i];
		const double a = x[2 * i], b = x[2 * i + 1];

		x[2 * i] = a * cos(angle) - b * sin(angle);
		x[2 * i + 1] = a * sin(angle) + b * cos(angle);
	}
}

struct book {
	const struct net *n;
	double *q;    /* [positions][heads][head_k] */
	double *k;    /* the same */
	double *v;    /* [positions][heads][head_v] */
	double scale; /* of scores */
};

static void
project(struct book *b, uint32_t pos, const double *x)
{
	const struct hparams *hp = &b->n->hp;
	const struct layer *l = &b->n->layers[0];
	const size_t rope = hp->rope_dims, flat = hp->head_k - rope;
	double *low = doubles(hp->q_rank + 1),
	       *row = doubles(hp->kv_rank + rope);

	if (hp->q_rank == 0)
		times(&l->q, 0, x, &b->q[pos * hp->heads * hp->head_k]);
	else {
		times(&l->q_low, 0, x, low);
		norm(low, l->q_norm, hp->q_rank, hp->rms_eps);
		times(&l->q, 0, low, &b->q[pos * hp->heads * hp->head_k]);
	}
	times(&l->kv_low, 0, x, row);
	norm(row, l->k_norm, hp->kv_rank, hp->rms_eps);
	turn(b->n, &row[hp->kv_rank], pos);
	for (uint32_t h = 0; h < hp->heads; h++) {
		const size_t at = pos * hp->heads + h;
		double *k = &b->k[at * hp->head_k];

		turn(b->n, &b->q[at * hp->head_k + flat], pos);
		times_transposed(&l->k, h, row, k);
		memcpy(&k[flat], &row[hp->kv_rank], rope * sizeof(*k));
		times(&l->v, h, row, &b->v[at * hp->head_v]);
	}
	free(low);
	free(row);
}

/* What one head sees from a position. */
static void
see(const struct book *b, uint32_t pos, uint32_t h, double *out)
{
	const struct hparams *hp = &b->n->hp;
	const double *q = &b->q[(pos * hp->heads + h) * hp->head_k];
	double p[POSITIONS], most = -INFINITY, sum = 0;

	for (uint32_t i = 0; i <= pos; i++) {
		p[i] = 0;
		for (uint32_t d = 0; d < hp->head_k; d++)
			p[i] +=
			    q[d] * b->k[(i * hp->heads + h) * hp->head_k + d];
		p[i] *= b->scale;
		most = fmax(most, p[i]);
	}
	for (uint32_t i = 0; i <= pos; i++)
		sum += p[i] = exp(p[i] - most);
	for (uint32_t d = 0; d < hp->head_v; d++) {
		out[d] = 0;
		for (uint32_t i = 0; i <= pos; i++)
			out[d] += p[i] / sum *
				  b->v[(i * hp->heads + h) * hp->head_v + d];
	}
}

/* Of what `went` into the block at every position: what comes out of it. */
static double *
by_the_book(const struct net *n, double scale)
{
	const struct hparams *hp = &n->hp;
	const size_t keys = (size_t)POSITIONS * hp->heads * hp->head_k,
		     values = (size_t)POSITIONS * hp->heads * hp->head_v;
	struct book b = { n, doubles(keys), doubles(keys), doubles(values),
		scale };
	double *x = doubles(hp->embd), *all = doubles(hp->heads * hp->head_v);
	double *out = doubles((size_t)POSITIONS * hp->embd);

	for (uint32_t i = 0; i < POSITIONS; i++) {
		for (uint32_t d = 0; d < hp->embd; d++)
			x[d] = (double)went[i * hp->embd + d];
		project(&b, i, x);
		for (uint32_t h = 0; h < hp->heads; h++)
			see(&b, i, h, &all[h * hp->head_v]);
		times(&n->layers[0].o, 0, all, &out[i * hp->embd]);
	}
	free(b.q);
	free(b.k);
	free(b.v);
	free(x);
	free(all);
	return out;
}

/* ---- both --------------------------------------------------------------- */

/* The largest difference, by the largest value. */
static double
difference(const struct net *n, enum tensor_type kv, double scale)
{
	const size_t all = (size_t)POSITIONS * n->hp.embd;
	double most = 0, apart = 0, *want;

	went = xcalloc(all, sizeof(*went));
	came = xcalloc(all, sizeof(*came));
	layer_run(n, kv, POSITIONS, layer_seen);
	want = by_the_book(n, scale);
	for (size_t i = 0; i < all; i++) {
		const double d = fabs(want[i] - (double)came[i]);

		most = fmax(most, fabs(want[i]));
		apart = d <= apart ? apart : d;
	}
	free(want);
	free(went);
	free(came);
	return apart / most;
}

static struct net *
net_of(const struct model_table *t)
{
	struct error err = { 0 };
	struct net *n = net_new(t, &err);

	if (n == NULL)
		fail_msg("%s", err.msg);
	return n;
}

static void
absorbed_is_what_the_textbook_says(void **state)
{
	static const uint32_t experts[] = { 8, 4 };

	for (uint64_t seed = 1; seed < 4; seed++)
		for (size_t i = 0; i < nitems(experts); i++) {
			struct model_table *t =
			    tiny_new(ARCH_DEEPSEEK2, TT_F32, experts[i], seed);
			struct net *n = net_of(t);
			const double scale = 1 / sqrt((double)t->hp.head_k);

			assert_int_equal(t->hp.q_rank == 0, experts[i] == 4);
			assert_true(difference(n, TT_F32, scale) < 2e-6);
			assert_true(difference(n, TT_F16, scale) < 2e-3);
			assert_true(difference(n, TT_Q8_0, scale) < 3e-2);
			/* What is compared depends on the scale at all. */
			assert_true(difference(n, TT_F32, scale * 1.01) > 1e-4);
			net_free(n);
			tiny_free(t);
		}
}

/* YaRN makes scores larger instead of cosines and sines. */
static void
a_stretched_context_makes_scores_larger(void **state)
{
	struct model_table *t = tiny_new(ARCH_DEEPSEEK2, TT_F32, 8, 5);
	struct net *n;
	double more;

	t->hp.yarn.on = true;
	t->hp.yarn.factor = 40;
	t->hp.yarn.beta_fast = 32;
	t->hp.yarn.beta_slow = 1;
	t->hp.yarn.ctx_orig = 64;
	t->hp.yarn.log_mul = 0.0707f;
	n = net_of(t);
	more = 0.0707 * log(40) + 1;
	assert_true(difference(n, TT_F32,
			more * more / sqrt((double)t->hp.head_k)) < 2e-6);
	net_free(n);
	tiny_free(t);
}

static void
a_position_keeps_one_row_for_all_heads(void **state)
{
	struct model_table *t = tiny_new(ARCH_DEEPSEEK2, TT_F32, 8, 1);
	struct kv_pool *p = kv_pool_new(&t->hp, TT_F16, SIZE_MAX);

	assert_int_equal(
	    kv_page_bytes(p), (size_t)t->hp.layers * KV_PAGE *
				  (t->hp.kv_rank + t->hp.rope_dims) * 2);
	kv_pool_free(p);
	tiny_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absorbed_is_what_the_textbook_says),
		cmocka_unit_test(a_stretched_context_makes_scores_larger),
		cmocka_unit_test(a_position_keeps_one_row_for_all_heads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Several residual streams are mixed as the formulas say, and attention over
 * squeezed rows sees what it should, in double precision.
 */
#include "inferd/block_streams.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compat.h"
#include "base/str.h"
#include "inferd/block_sparse.h"
#include "tests/inferd/layer_run.h"

#define POSITIONS 150u /* over two pages, and a row of many positions */
#define NEAR 3e-6

static double *
doubles(size_t n)
{
	return xcalloc(n, sizeof(double));
}

/* y = W x of rows [first, first + n) of a matrix in F32. */
static void
times(
    const struct matrix *m, size_t first, size_t n, const double *x, double *y)
{
	const float *w = (const float *)(const void *)m->w;

	assert_int_equal(m->type, TT_F32);
	for (size_t r = 0; r < n; r++) {
		y[r] = 0;
		for (size_t c = 0; c < m->cols; c++)
			y[r] += (double)w[(first + r) * m->cols + c] * x[c];
	}
}

/* w: NULL for no weights. */
static void
norm(double *x, const float *w, size_t n, float eps)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += x[i] * x[i];
	for (size_t i = 0; i < n; i++)
		x[i] *= (w == NULL ? 1 : (double)w[i]) /
			sqrt(sum / (double)n + (double)eps);
}

/* The largest difference so far, by the largest value. */
struct apart {
	double most, apart;
};

static void
compare(struct apart *a, double want, float got)
{
	const double d = fabs(want - (double)got);

	a->most = fmax(a->most, fabs(want));
	a->apart = d <= a->apart ? a->apart : d;
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

/* ---- streams ------------------------------------------------------------ */

static struct apart mixed;

static double
sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

/* Of streams x: shares[n], said[n], matrix[from][to]. */
static void
weights(const struct net *net, const struct mix_weights *w, const double *x,
    double *shares, double *said, double *matrix)
{
	const struct hparams *hp = &net->hp;
	const size_t n = hp->streams.n, all = n * hp->embd;
	const double eps = (double)hp->streams.eps;
	double *flat = doubles(all), m[STREAMS_MAX * (STREAMS_MAX + 2)];

	memcpy(flat, x, all * sizeof(*flat));
	norm(flat, NULL, all, hp->rms_eps);
	times(&w->fn, 0, w->fn.rows, flat, m);
	free(flat);
	for (size_t i = 0; i < n; i++)
		shares[i] = eps + sigmoid(m[i] * (double)w->scale[0] +
					  (double)w->base[i]);
	if (said == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		said[i] = 2 * sigmoid(m[n + i] * (double)w->scale[1] +
				      (double)w->base[n + i]);
	for (size_t i = 0; i < n; i++) {
		double sum = 0;

		for (size_t k = 0; k < n; k++) {
			const size_t at = 2 * n + i * n + k;

			matrix[i * n + k] = exp(
			    m[at] * (double)w->scale[2] + (double)w->base[at]);
			sum += matrix[i * n + k];
		}
		for (size_t k = 0; k < n; k++)
			matrix[i * n + k] = matrix[i * n + k] / sum + eps;
	}
	/* Columns first, then both in turn. */
	for (uint32_t round = 1; round < 2 * hp->streams.rounds; round++)
		for (size_t i = 0; i < n; i++) {
			double sum = eps;

			for (size_t k = 0; k < n; k++)
				sum += round % 2 == 1 ? matrix[k * n + i]
						      : matrix[i * n + k];
			for (size_t k = 0; k < n; k++)
				*(round % 2 == 1 ? &matrix[k * n + i]
						 : &matrix[i * n + k]) /= sum;
		}
}

/* What a block begins with is compared; then x is what is left behind it. */
static void
around(const struct net *net, const struct mix_weights *w, double *x,
    const float *begun, const float *out)
{
	const size_t n = net->hp.streams.n, embd = net->hp.embd;
	double shares[STREAMS_MAX], said[STREAMS_MAX];
	double matrix[STREAMS_MAX * STREAMS_MAX], old[STREAMS_MAX];

	weights(net, w, x, shares, out == NULL ? NULL : said, matrix);
	for (size_t d = 0; d < embd; d++) {
		double sum = 0;

		for (size_t k = 0; k < n; k++) {
			old[k] = x[k * embd + d];
			sum += shares[k] * old[k];
		}
		if (begun != NULL)
			compare(&mixed, sum, begun[d]);
		for (size_t k = 0; out != NULL && k < n; k++) {
			x[k * embd + d] = said[k] * (double)out[d];
			for (size_t from = 0; from < n; from++)
				x[k * embd + d] +=
				    matrix[from * n + k] * old[from];
		}
	}
}

static float *begun, *said_first;

static void
attention_seen(struct run *r, uint32_t layer)
{
	const size_t n = r->n * r->net->hp.embd;

	block_sparse(r, layer);
	memcpy(begun, r->x, n * sizeof(float));
	memcpy(said_first, r->out, n * sizeof(float));
}

static void
layer_mixed(struct run *r, uint32_t layer)
{
	const struct net *net = r->net;
	const size_t embd = net->hp.embd, all = net->hp.streams.n * embd;
	const struct layer *l = &net->layers[layer];
	double *x = doubles(r->n * all);

	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < all; k++)
			x[i * all + k] =
			    (double)(layer == 0 ? r->x[i * embd + k % embd]
						: r->scratch[i * all + k]);
	streams_layer(r, layer, attention_seen);
	for (size_t i = 0; i < r->n; i++) {
		const bool last = layer + 1 == net->hp.layers;

		around(net, &l->mix_attn, &x[i * all], &begun[i * embd],
		    &said_first[i * embd]);
		around(net, &l->mix_ffn, &x[i * all], NULL, &r->out[i * embd]);
		for (size_t k = 0; k < all; k++)
			compare(
			    &mixed, x[i * all + k], r->scratch[i * all + k]);
		if (last)
			around(net, &net->mix_out, &x[i * all], &r->x[i * embd],
			    NULL);
	}
	free(x);
}

static void
streams_are_mixed_as_the_formulas_say(void **state)
{
	for (uint64_t seed = 1; seed < 4; seed++) {
		struct model_table *t =
		    tiny_new(ARCH_DEEPSEEK4, TT_F32, 8, seed);
		struct net *n = net_of(t);

		begun = xcalloc(POSITIONS * n->hp.embd, sizeof(*begun));
		said_first =
		    xcalloc(POSITIONS * n->hp.embd, sizeof(*said_first));
		mixed = (struct apart){ 0 };
		layer_run(n, TT_F32, POSITIONS, layer_mixed);
		assert_true(mixed.most > 0.5);
		assert_true(mixed.apart / mixed.most < NEAR);
		free(begun);
		free(said_first);
		net_free(n);
		tiny_free(t);
	}
}

/* Rows and columns sum to one, however the streams were. */
static void
a_mixture_neither_grows_nor_fades(void **state)
{
	static const float scale[] = { 1, 1, 1 };
	float base[STREAMS_MAX * (STREAMS_MAX + 2)] = { 0 };
	const struct mix_weights w = { .scale = scale, .base = base };
	float x[STREAMS_MAX * (STREAMS_MAX + 2)];

	for (uint32_t n = 1; n <= STREAMS_MAX; n++) {
		const struct streams_shape s = {
			.n = n, .rounds = 50, .eps = 1e-6f
		};

		for (uint32_t i = 0; i < n * (n + 2); i++)
			x[i] = (float)(i * 7 % 11) / 4 - 1;
		streams_weights(&s, &w, x);
		for (uint32_t i = 0; i < n; i++) {
			float row = 0, column = 0;

			assert_true(x[i] > 0 && x[i] < 1.01f);
			assert_true(x[n + i] > 0 && x[n + i] < 2);
			for (uint32_t k = 0; k < n; k++) {
				row += x[2 * n + i * n + k];
				column += x[2 * n + k * n + i];
			}
			assert_true(fabsf(row - 1) < 1e-4f);
			assert_true(fabsf(column - 1) < 1e-4f);
		}
	}
}

/* ---- attention ---------------------------------------------------------- */

/* What went into the block of each layer at each position, and what came out
 * of it: [layers][positions][embd]. */
static float *went, *came;

static void
layer_attends(struct run *r, uint32_t layer)
{
	const size_t embd = r->net->hp.embd;

	block_norm(r, r->x, r->net->layers[layer].attn_norm, r->norm);
	block_sparse(r, layer);
	for (size_t i = 0; i < r->n; i++) {
		const size_t at =
		    (layer * (size_t)POSITIONS + r->rows[i].pos) * embd;

		memcpy(&went[at], &r->norm[i * embd], embd * sizeof(float));
		memcpy(&came[at], &r->out[i * embd], embd * sizeof(float));
	}
}

struct book {
	const struct net *n;
	const struct layer *l;
	uint32_t every;
	double base;          /* of rotation */
	double *x;            /* [positions][embd] */
	double *row;          /* [positions][head] */
	double *squeezed;     /* [rows][head] */
	double *index;        /* [rows][index_key] */
	bool seen[POSITIONS]; /* rows, at the position in question */
};

/* The last values of a head; neighbours are a pair. */
static void
turn(const struct book *b, double *head, size_t n, double pos)
{
	const uint32_t dims = b->n->hp.rope_dims;
	double *x = &head[n - dims];

	for (uint32_t i = 0; i < dims / 2; i++) {
		const double angle =
		    pos * pow(b->base, -2.0 * i / (double)dims);
		const double p = x[2 * i], q = x[2 * i + 1];

		x[2 * i] = p * cos(angle) - q * sin(angle);
		x[2 * i + 1] = p * sin(angle) + q * cos(angle);
	}
}

/* Row number k, of `width` values. */
static void
squeeze(const struct book *b, const struct squeeze_weights *w, uint32_t k,
    size_t width, double *out)
{
	const uint32_t every = b->every, first = k * every;
	const bool over = every == SQUEEZE_FEW;
	const uint32_t from = over && k > 0 ? first - every : first;
	double sum[64] = { 0 }, value, score;

	assert_true(width <= nitems(sum));
	for (size_t d = 0; d < width; d++)
		out[d] = 0;
	for (uint32_t i = from; i < first + every; i++)
		for (size_t d = 0; d < width; d++) {
			const size_t at = over && i >= first ? width + d : d;
			const double *x = &b->x[i * b->n->hp.embd];

			times(&w->value, at, 1, x, &value);
			times(&w->score, at, 1, x, &score);
			score = exp(
			    score +
			    (double)w->place[i % every * w->value.rows + at]);
			sum[d] += score;
			out[d] += score * value;
		}
	for (size_t d = 0; d < width; d++)
		out[d] /= sum[d];
	norm(out, w->norm, width, b->n->hp.rms_eps);
	turn(b, out, width, (double)first);
}

/* Of n rows those that the heads of the position's query make most of. */
static void
choose(struct book *b, uint32_t pos, const double *low, uint32_t n)
{
	const struct streams_shape *s = &b->n->hp.streams;
	const size_t key = s->index_key;
	double score[POSITIONS] = { 0 }, *q = doubles(key), share;

	for (uint32_t h = 0; h < s->index_heads; h++) {
		times(&b->l->index_q, h * key, key, low, q);
		turn(b, q, key, pos);
		times(&b->l->index_share, h, 1, &b->x[pos * b->n->hp.embd],
		    &share);
		for (uint32_t k = 0; k < n; k++) {
			double dot = 0;

			for (size_t d = 0; d < key; d++)
				dot += q[d] * b->index[k * key + d];
			score[k] += fmax(dot, 0) * share;
		}
	}
	for (uint32_t k = 0; k < n; k++) {
		uint32_t better = 0;

		for (uint32_t i = 0; i < n; i++)
			better += score[i] > score[k];
		b->seen[k] = better < s->index_top;
	}
	free(q);
}

/* One head's q over the window and the rows that are seen. */
static void
see(const struct book *b, uint32_t pos, uint32_t h, uint32_t n, const double *q,
    double *out)
{
	const struct hparams *hp = &b->n->hp;
	const size_t head = hp->head_k;
	const uint32_t first = pos + 1 > hp->window ? pos + 1 - hp->window : 0;
	double sum = exp((double)b->l->sinks[h]);

	memset(out, 0, head * sizeof(*out));
	for (uint32_t i = 0; i < n + pos + 1; i++) {
		const double *row =
		    i < n ? &b->squeezed[i * head] : &b->row[(i - n) * head];
		double dot = 0;

		if (i < n ? !b->seen[i] : i - n < first)
			continue;
		for (size_t d = 0; d < head; d++)
			dot += q[d] * row[d];
		dot = exp(dot / sqrt((double)head));
		sum += dot;
		for (size_t d = 0; d < head; d++)
			out[d] += dot * row[d];
	}
	for (size_t d = 0; d < head; d++)
		out[d] /= sum;
	turn(b, out, head, -(double)pos);
}

static void
attend(struct book *b, uint32_t pos, double *out)
{
	const struct hparams *hp = &b->n->hp;
	const struct streams_shape *s = &hp->streams;
	const size_t head = hp->head_k, rank = s->out_rank;
	const uint32_t n = b->every == 0 ? 0 : (pos + 1) / b->every;
	double *low = doubles(hp->q_rank), *q = doubles(head),
	       *all = doubles(hp->heads * head),
	       *said = doubles(s->out_groups * rank);

	times(&b->l->q_low, 0, hp->q_rank, &b->x[pos * hp->embd], low);
	norm(low, b->l->q_norm, hp->q_rank, hp->rms_eps);
	for (uint32_t k = 0; k < n; k++)
		b->seen[k] = true;
	if (b->every == SQUEEZE_FEW)
		choose(b, pos, low, n);
	for (uint32_t h = 0; h < hp->heads; h++) {
		times(&b->l->q, h * head, head, low, q);
		norm(q, NULL, head, hp->rms_eps);
		turn(b, q, head, pos);
		see(b, pos, h, n, q, &all[h * head]);
	}
	for (uint32_t g = 0; g < s->out_groups; g++)
		times(&b->l->o_low, g * rank, rank, &all[g * b->l->o_low.cols],
		    &said[g * rank]);
	times(&b->l->o, 0, hp->embd, said, out);
	free(low);
	free(q);
	free(all);
	free(said);
}

/* How far the block of a layer is from what the formulas say. */
static double
difference(const struct net *n, uint32_t layer)
{
	const struct hparams *hp = &n->hp;
	const size_t embd = hp->embd, head = hp->head_k,
		     key = hp->streams.index_key,
		     at = layer * (size_t)POSITIONS * embd;
	struct book b = { .n = n,
		.l = &n->layers[layer],
		.every = hp->streams.squeeze[layer],
		.x = doubles(POSITIONS * embd),
		.row = doubles(POSITIONS * head),
		.squeezed = doubles(POSITIONS * head),
		.index = doubles(POSITIONS * key) };
	double *out = doubles(embd);
	struct apart a = { 0 };

	b.base =
	    (double)(b.every == 0 ? hp->rope_base : hp->streams.squeeze_base);
	for (size_t i = 0; i < POSITIONS * embd; i++)
		b.x[i] = (double)went[at + i];
	for (uint32_t i = 0; i < POSITIONS; i++) {
		double *row = &b.row[i * head];

		times(&b.l->k, 0, head, &b.x[i * embd], row);
		norm(row, b.l->k_norm, head, hp->rms_eps);
		turn(&b, row, head, i);
	}
	for (uint32_t k = 0; b.every != 0 && k < POSITIONS / b.every; k++) {
		squeeze(&b, &b.l->squeeze, k, head, &b.squeezed[k * head]);
		if (b.every == SQUEEZE_FEW)
			squeeze(&b, &b.l->index, k, key, &b.index[k * key]);
	}
	for (uint32_t i = 0; i < POSITIONS; i++) {
		attend(&b, i, out);
		for (size_t d = 0; d < embd; d++)
			compare(&a, out[d], came[at + i * embd + d]);
	}
	free(b.x);
	free(b.row);
	free(b.squeezed);
	free(b.index);
	free(out);
	return a.apart / a.most;
}

static void
squeezed_rows_are_seen_as_the_formulas_say(void **state)
{
	for (uint64_t seed = 1; seed < 4; seed++) {
		struct model_table *t =
		    tiny_new(ARCH_DEEPSEEK4, TT_F32, 8, seed);
		struct net *n = net_of(t);
		const size_t all = (size_t)n->hp.layers * POSITIONS;
		uint32_t kinds = 0;

		went = xcalloc(all * n->hp.embd, sizeof(*went));
		came = xcalloc(all * n->hp.embd, sizeof(*came));
		layer_run(n, TT_F32, POSITIONS, layer_attends);
		for (uint32_t i = 0; i < n->hp.layers; i++) {
			assert_true(difference(n, i) < NEAR);
			kinds |= 1u << n->hp.streams.squeeze[i] % 5;
		}
		assert_int_equal(kinds, 1 | 1 << 4 | 1 << 3);
		/* More rows than are chosen: it matters which. */
		assert_true(
		    POSITIONS / SQUEEZE_FEW > 2 * n->hp.streams.index_top);
		n->hp.streams.index_top--;
		assert_true(difference(n, 1) > 1e-4);
		free(went);
		free(came);
		net_free(n);
		tiny_free(t);
	}
}

/* ---- the best ----------------------------------------------------------- */

static void
the_best_are_kept_in_order(void **state)
{
	static struct best b;
	uint32_t out[40], random = 1;

	for (uint32_t most = 1; most <= nitems(out); most++) {
		float score[100];
		uint32_t n = 0;

		b.n = 0;
		b.most = most;
		for (uint32_t i = 0; i < nitems(score); i++) {
			random = random * 1664525 + 1013904223;
			/* Many are equal. */
			score[i] = (float)(random >> 28);
			best_add(&b, score[i], i);
		}
		best_end(&b, out);
		assert_int_equal(b.n, most);
		for (uint32_t i = 0; i < nitems(score); i++) {
			uint32_t better = 0;

			for (uint32_t k = 0; k < nitems(score); k++)
				better += score[k] > score[i] ||
					  (score[k] == score[i] && k < i);
			if (better < most)
				assert_int_equal(out[n++], i);
		}
		assert_int_equal(n, most);
	}
}

static void
fixed_experts_are_those_of_the_model(void **state)
{
	struct model_table *t = tiny_new(ARCH_DEEPSEEK4, TT_F32, 8, 1);
	struct error err = { 0 };
	const struct tensor *x =
	    model_table_find(t, "blk.0.ffn_gate_tid2eid.weight");
	struct net *n;
	union {
		const void *in;
		int32_t *out;
	} data;

	assert_non_null(x);
	data.in = x->data;
	for (int32_t bad = -1; bad <= 8; bad += 9) {
		data.out[2 * 3 + 1] = bad;
		assert_null(net_new(t, &err));
		assert_non_null(strstr(err.msg, "ffn_gate_tid2eid"));
	}
	data.out[2 * 3 + 1] = 7;
	n = net_of(t);
	/* Who writes to the file now comes too late. */
	data.out[2 * 3 + 1] = INT32_MAX;
	assert_int_equal(n->layers[0].fixed[2 * 3 + 1], 7);
	net_free(n);
	tiny_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_are_mixed_as_the_formulas_say),
		cmocka_unit_test(a_mixture_neither_grows_nor_fades),
		cmocka_unit_test(squeezed_rows_are_seen_as_the_formulas_say),
		cmocka_unit_test(the_best_are_kept_in_order),
		cmocka_unit_test(fixed_experts_are_those_of_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

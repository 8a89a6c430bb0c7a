/*
 * A layer with a state computes what is written down about it, in whatever
 * batches its rows come.
 */
#include "inferd/block.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compat.h"
#include "base/str.h"
#include "inferd/model_shape.h"
#include "tests/inferd/tiny.h"

#define LAYER 2u
#define SEQS 70u
#define ROWS 160u
#define BUDGET (64u << 20)

/* One sequence as the textbook keeps it. */
struct text {
	struct kv_seq *seq;
	uint32_t pos;
	double *in;    /* [positions][channels] */
	double *state; /* [heads][key][value] */
};

struct world {
	struct model_table *t;
	struct net *net;
	struct pool *pool;
	struct kv_pool *kv;
	struct run *run;
	struct text text[SEQS];
	struct row rows[ROWS];
	uint32_t of[ROWS]; /* whose text a row is */
	uint64_t seed;
};

static float
chance(struct world *w)
{
	w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
	return (float)(w->seed >> 40) * 0x1p-23f - 1;
}

static void
world_new(struct world *w, enum arch arch, bool fused)
{
	struct error err = { 0 };
	const struct hparams *hp;

	memset(w, 0, sizeof(*w));
	w->t = tiny_new(arch, TT_F32, fused ? 4 : 8, 5);
	w->net = net_new(w->t, &err);
	assert_non_null(w->net);
	hp = &w->net->hp;
	assert_true(model_layer_delta(hp, LAYER));
	w->pool = pool_new(2);
	w->kv = kv_pool_new(hp, TT_F32, BUDGET);
	w->run = run_new(w->net, w->pool, TT_F32, ROWS);
	for (uint32_t i = 0; i < SEQS; i++) {
		struct text *x = &w->text[i];

		x->seq = kv_seq_new(w->kv);
		x->in = xcalloc(ROWS * delta_channels(hp), sizeof(*x->in));
		x->state = xcalloc(
		    (size_t)hp->delta.heads * hp->delta.key * hp->delta.value,
		    sizeof(*x->state));
	}
}

static void
world_free(struct world *w)
{
	for (uint32_t i = 0; i < SEQS; i++) {
		kv_seq_free(w->text[i].seq);
		free(w->text[i].in);
		free(w->text[i].state);
	}
	run_free(w->run);
	assert_int_equal(kv_pool_used(w->kv), 0);
	kv_pool_free(w->kv);
	pool_free(w->pool);
	net_free(w->net);
	tiny_free(w->t);
}

/* The next row of a text goes to the batch. */
static void
add(struct world *w, uint32_t text)
{
	struct run *r = w->run;
	struct text *x = &w->text[text];
	const size_t embd = w->net->hp.embd;

	assert_int_equal(kv_seq_reserve(x->seq, x->pos + 1), 0);
	w->rows[r->n] = (struct row){ .seq = x->seq, .pos = x->pos++ };
	w->of[r->n] = text;
	for (size_t i = 0; i < embd; i++)
		r->norm[r->n * embd + i] = chance(w);
	r->n++;
	r->rows = w->rows;
}

/* ---- as it is written down ---------------------------------------------- */

static const float *
tensor(const struct world *w, const char *part)
{
	char name[MODEL_NAME_MAX];
	const struct tensor *t;

	snprintf(name, sizeof(name), "blk.%u.%s", LAYER, part);
	t = model_table_find(w->t, name);
	return t != NULL ? t->data : NULL;
}

/* Row r of a matrix times x. */
static double
product(const float *m, size_t r, const float *x, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)m[r * n + i] * (double)x[i];
	return sum;
}

static double
sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static void
convolved(const struct world *w, const struct text *x, size_t pos, double *out)
{
	const struct delta_shape *d = &w->net->hp.delta;
	const size_t channels = delta_channels(&w->net->hp);
	const float *conv = tensor(w, "ssm_conv1d.weight");

	for (size_t c = 0; c < channels; c++) {
		double sum = 0;

		for (size_t t = 0; t < d->taps; t++) {
			const size_t back = d->taps - 1 - t;

			if (pos >= back)
				sum += (double)conv[c * d->taps + t] *
				       x->in[(pos - back) * channels + c];
		}
		out[c] = sum * sigmoid(sum);
	}
	/* queries, then keys, each head of length 1 */
	for (size_t h = 0; h < 2 * d->key_heads; h++) {
		double *head = out + h * d->key, length = 0;

		for (size_t i = 0; i < d->key; i++)
			length += head[i] * head[i];
		for (size_t i = 0; i < d->key; i++)
			head[i] /= sqrt(length);
	}
}

/* The matrix and its row that make channel c. */
static double
channel(const struct world *w, size_t c, const float *x)
{
	const struct hparams *hp = &w->net->hp;
	const struct delta_shape *d = &hp->delta;
	const float *fused = tensor(w, "ssm_in.weight");
	const size_t group = d->heads / d->key_heads * d->value;
	const size_t stride = 2 * d->key + 2 * group;
	const size_t keys = (size_t)d->key_heads * d->key;
	size_t row = c;

	if (fused == NULL)
		return product(tensor(w, "attn_qkv.weight"), c, x, hp->embd);
	if (c < 2 * keys)
		row =
		    c % keys / d->key * stride + c / keys * d->key + c % d->key;
	else
		row = (c - 2 * keys) / group * stride + 2 * d->key +
		      (c - 2 * keys) % group;
	return product(fused, row, x, hp->embd);
}

static double
gate(const struct world *w, size_t value, const float *x)
{
	const struct hparams *hp = &w->net->hp;
	const struct delta_shape *d = &hp->delta;
	const float *fused = tensor(w, "ssm_in.weight");
	const size_t group = d->heads / d->key_heads * d->value;
	const size_t stride = 2 * d->key + 2 * group;

	if (fused == NULL)
		return product(
		    tensor(w, "attn_gate.weight"), value, x, hp->embd);
	return product(fused,
	    value / group * stride + 2 * d->key + group + value % group, x,
	    hp->embd);
}

static void
rates(const struct world *w, size_t h, const float *x, double *a, double *b)
{
	const struct hparams *hp = &w->net->hp;
	const size_t group = hp->delta.heads / hp->delta.key_heads;

	if (hp->arch == ARCH_QWEN3NEXT) {
		const float *both = tensor(w, "ssm_ba.weight");
		const size_t at = h / group * 2 * group + h % group;

		*b = product(both, at, x, hp->embd);
		*a = product(both, at + group, x, hp->embd);
	} else {
		*b = product(tensor(w, "ssm_beta.weight"), h, x, hp->embd);
		*a = product(tensor(w, "ssm_alpha.weight"), h, x, hp->embd);
	}
	*b = sigmoid(*b);
	*a = log(1 + exp(*a + (double)tensor(w, "ssm_dt.bias")[h]));
	*a = exp(*a * (double)tensor(w, "ssm_a")[h]);
}

/* What head h says, once its state has learned. */
static void
head_says(const struct world *w, struct text *x, size_t h, const double *conv,
    const float *row, double *out)
{
	const struct hparams *hp = &w->net->hp;
	const struct delta_shape *d = &hp->delta;
	const size_t k = hp->arch == ARCH_QWEN3NEXT
			     ? h / (d->heads / d->key_heads)
			     : h % d->key_heads;
	const double *query = conv + k * d->key;
	const double *key = query + (size_t)d->key_heads * d->key;
	const double *value =
	    conv + 2 * (size_t)d->key_heads * d->key + h * d->value;
	double *s = x->state + h * d->key * d->value, decay, beta, squares = 0;

	rates(w, h, row, &decay, &beta);
	for (size_t v = 0; v < d->value; v++) {
		double said = 0;

		for (size_t i = 0; i < d->key; i++) {
			s[i * d->value + v] *= decay;
			said += s[i * d->value + v] * key[i];
		}
		said = beta * (value[v] - said);
		out[v] = 0;
		for (size_t i = 0; i < d->key; i++) {
			s[i * d->value + v] += said * key[i];
			out[v] += s[i * d->value + v] * query[i] /
				  sqrt((double)d->key);
		}
		squares += out[v] * out[v];
	}
	for (size_t v = 0; v < d->value; v++) {
		const double z = gate(w, h * d->value + v, row);

		out[v] *= (double)tensor(w, "ssm_norm.weight")[v] /
			  sqrt(squares / d->value + (double)hp->rms_eps);
		out[v] *= z * sigmoid(z);
	}
}

static void
check_row(struct world *w, size_t i)
{
	const struct hparams *hp = &w->net->hp;
	const struct delta_shape *d = &hp->delta;
	const size_t channels = delta_channels(hp);
	const size_t pos = w->rows[i].pos;
	const float *row = &w->run->norm[i * hp->embd];
	struct text *x = &w->text[w->of[i]];
	double conv[400], said[400];

	assert_true(channels <= nitems(conv));
	for (size_t c = 0; c < channels; c++)
		x->in[pos * channels + c] = channel(w, c, row);
	convolved(w, x, pos, conv);
	for (size_t h = 0; h < d->heads; h++)
		head_says(w, x, h, conv, row, said + h * d->value);
	for (size_t e = 0; e < hp->embd; e++) {
		const size_t n = (size_t)d->heads * d->value;
		double want = 0;

		for (size_t c = 0; c < n; c++)
			want += (double)tensor(w, "ssm_out.weight")[e * n + c] *
				said[c];
		assert_true(
		    fabs(want - (double)w->run->out[i * hp->embd + e]) < 2e-4);
	}
}

/* Compute the batch, compare it, and begin another. */
static void
check(struct world *w)
{
	block_delta(w->run, LAYER);
	for (size_t i = 0; i < w->run->n; i++)
		check_row(w, i);
	w->run->n = 0;
}

static void
check_arch(enum arch arch, bool fused)
{
	struct world w;

	world_new(&w, arch, fused);
	assert_int_equal(tensor(&w, "ssm_in.weight") != NULL, fused);
	for (uint32_t i = 0; i < 40; i++)
		add(&w, 0);
	check(&w);
	/* fewer than the convolution reaches back */
	for (uint32_t n = 1; n < 4; n++) {
		for (uint32_t i = 0; i < n; i++)
			add(&w, 0);
		add(&w, 1);
		check(&w);
	}
	/* among each other, more sequences than one job has */
	for (uint32_t i = 0; i < 2 * SEQS; i++)
		add(&w, i * 3 % SEQS);
	check(&w);
	for (uint32_t i = 0; i < 20; i++)
		add(&w, i * i % 4);
	check(&w);
	world_free(&w);
}

static void
values_that_share_a_key_are_neighbours(void **state)
{
	check_arch(ARCH_QWEN3NEXT, false);
}

static void
values_that_share_a_key_are_apart(void **state)
{
	check_arch(ARCH_QWEN35MOE, false);
}

static void
old_files_have_one_matrix(void **state)
{
	check_arch(ARCH_QWEN3NEXT, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_that_share_a_key_are_neighbours),
		cmocka_unit_test(values_that_share_a_key_are_apart),
		cmocka_unit_test(old_files_have_one_matrix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

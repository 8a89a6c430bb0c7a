/*
 * A layer with a state: queries, keys and values of all heads go through a
 * short convolution over the last positions; then each head of values keeps a
 * matrix, which learns at each position what its key stands for, and is asked
 * with its query.
 *
 * The state of a sequence: the matrices, [heads][key][value], and what came
 * into the convolution, [taps - 1][channels]: position p at p % (taps - 1).
 */
#include <math.h>
#include <string.h>

#include "base/compat.h"
#include "base/str.h"
#include "inferd/block.h"
#include "inferd/delta.h"
#include "inferd/kern.h"
#include "inferd/model_shape.h"
#include "inferd/net_bind.h"

/* Heads of a row that go through the convolution as one piece. */
#define PIECE 8u
/* Sequences whose states are changed in one job. */
#define SEQS 64u

bool
delta_kv(const struct hparams *hp, uint32_t i, struct kv_shape *out)
{
	const struct delta_shape *d = &hp->delta;
	const size_t matrices = (size_t)d->heads * d->key * d->value;
	const size_t window = (d->taps - 1) * delta_channels(hp);

	*out = (struct kv_shape){ 0 };
	if (model_layer_delta(hp, i))
		out->state = (matrices + window) * sizeof(float);
	else {
		out->heads = hp->kv_heads;
		out->key = hp->head_k;
		out->value = hp->head_v;
	}
	return i < hp->layers;
}

/* The taps of each channel stand together in the file. */
static float *
turned(const float *w, size_t channels, size_t taps)
{
	float *out = xcalloc(channels * taps, sizeof(*out));

	for (size_t c = 0; c < channels; c++)
		for (size_t t = 0; t < taps; t++)
			out[t * channels + c] = w[c * taps + t];
	return out;
}

void
delta_bind(struct binding *b, const struct net *n, struct layer *l)
{
	const struct hparams *hp = &n->hp;
	const struct delta_shape *d = &hp->delta;
	const size_t channels = delta_channels(hp);
	const size_t values = (size_t)d->heads * d->value;
	const float *conv;

	if (!model_layer_delta(hp, (uint32_t)b->layer)) {
		net_bind_attention(b, n, l);
		return;
	}
	l->delta.fused =
	    net_matrix(b, "ssm_in", channels + values, hp->embd, 0, false);
	if (l->delta.fused.w == NULL) {
		l->delta.in =
		    net_matrix(b, "attn_qkv", channels, hp->embd, 0, true);
		l->delta.gate =
		    net_matrix(b, "attn_gate", values, hp->embd, 0, true);
	}
	if (n->def->delta_grouped)
		l->delta.rates = net_matrix(
		    b, "ssm_ba", 2 * (size_t)d->heads, hp->embd, 0, true);
	else {
		l->delta.rates =
		    net_matrix(b, "ssm_beta", d->heads, hp->embd, 0, true);
		l->delta.alpha =
		    net_matrix(b, "ssm_alpha", d->heads, hp->embd, 0, true);
	}
	conv = net_vector(b, "ssm_conv1d", ".weight", channels * d->taps, true);
	l->delta.dt = net_vector(b, "ssm_dt", ".bias", d->heads, true);
	l->delta.a = net_vector(b, "ssm_a", "", d->heads, true);
	l->delta.norm = net_vector(b, "ssm_norm", ".weight", d->value, true);
	l->o = net_matrix(b, "ssm_out", hp->embd, values, 0, true);
	if (conv != NULL)
		l->delta.conv = turned(conv, channels, d->taps);
}

/* Where a job finds what; each [max rows][...]. */
struct work {
	struct run *r;
	uint32_t layer;
	const struct layer *l;
	size_t channels, values;
	float *in;          /* [channels]: of queries, keys, values */
	float *conv;        /* [channels]: the same behind the convolution */
	float *said;        /* [values] */
	float *gate;        /* [values] */
	float *rates;       /* [2 heads] */
	size_t begin[SEQS]; /* the first row of each sequence */
	size_t seqs;
};

size_t
delta_scratch(const struct hparams *hp)
{
	const size_t channels = delta_channels(hp);
	const size_t values = (size_t)hp->delta.heads * hp->delta.value;
	const size_t state =
	    2 * channels + 2 * values + 2 * (size_t)hp->delta.heads;
	const size_t attention = 2 * (size_t)hp->heads * hp->head_k;

	return state > attention ? state : attention;
}

static void
work_init(struct work *x, struct run *r, uint32_t layer)
{
	const struct hparams *hp = &r->net->hp;

	x->r = r;
	x->layer = layer;
	x->l = &r->net->layers[layer];
	x->channels = delta_channels(hp);
	x->values = (size_t)hp->delta.heads * hp->delta.value;
	x->in = r->scratch;
	x->conv = x->in + r->max * x->channels;
	x->said = x->conv + r->max * x->channels;
	x->gate = x->said + r->max * x->values;
	x->rates = x->gate + r->max * x->values;
}

/* ---- projections -------------------------------------------------------- */

/*
 * Old files have one matrix: for each head of keys its query, its key, and the
 * values and gates of the heads that share it.  Its product lies where `conv`
 * and `said` will.
 */
static void
sort_row(size_t i, unsigned thread, void *arg)
{
	const struct work *x = arg;
	const struct delta_shape *d = &x->r->net->hp.delta;
	const size_t key = d->key, keys = d->key_heads;
	const size_t group = x->values / keys;
	const float *from = x->conv + i * (x->channels + x->values);
	float *to = x->in + i * x->channels, *gate = x->gate + i * x->values;

	(void)thread;
	for (size_t h = 0; h < keys; h++) {
		memcpy(to + h * key, from, key * sizeof(*to));
		from += key;
		memcpy(to + (keys + h) * key, from, key * sizeof(*to));
		from += key;
		memcpy(
		    to + 2 * keys * key + h * group, from, group * sizeof(*to));
		from += group;
		memcpy(gate + h * group, from, group * sizeof(*gate));
		from += group;
	}
}

static void
project(struct work *x)
{
	struct run *r = x->r;
	const size_t heads = r->net->hp.delta.heads;
	const struct delta_weights *w = &x->l->delta;
	struct product p[4];
	size_t n = 0;

	if (w->fused.w != NULL)
		p[n++] = (struct product){ &w->fused, x->conv,
			x->channels + x->values };
	else {
		p[n++] = (struct product){ &w->in, x->in, x->channels };
		p[n++] = (struct product){ &w->gate, x->gate, x->values };
	}
	p[n++] = (struct product){ &w->rates, x->rates, 2 * heads };
	if (w->alpha.w != NULL)
		p[n++] =
		    (struct product){ &w->alpha, x->rates + heads, 2 * heads };
	acts_set(r->acts, r->norm, r->n, r->net->hp.embd);
	mat_mul(r->pool, r->acts, p, n);
	if (w->fused.w != NULL)
		pool_run(r->pool, r->n, sort_row, x);
}

/* ---- convolution -------------------------------------------------------- */

static float *
matrices_of(const struct work *x, size_t row)
{
	return kv_state(x->r->rows[row].seq, x->layer);
}

/* What came in at a position, as the state keeps it. */
static float *
window_of(const struct work *x, size_t row, uint32_t pos)
{
	const struct delta_shape *d = &x->r->net->hp.delta;

	return matrices_of(x, row) + x->values * d->key +
	       pos % (d->taps - 1) * x->channels;
}

/* What came in at a row's position and the ones before, which are in the batch
 * or in the state; before position 0 that is zero. */
static void
find_taps(const struct work *x, size_t i, const float *taps[])
{
	const struct row *rows = x->r->rows;
	const uint32_t before = x->r->net->hp.delta.taps - 1;
	uint32_t left = before;

	taps[left] = x->in + i * x->channels;
	for (size_t j = i; left > 0 && j-- > 0;)
		if (rows[j].seq == rows[i].seq)
			taps[--left] = x->in + j * x->channels;
	while (left > 0) {
		left--;
		/* `before` more is the same place */
		taps[left] = window_of(x, i, rows[i].pos + left);
	}
}

/* A query or a key becomes of length 1; queries are scaled as well. */
static void
normalise(const struct work *x, float *head, bool query)
{
	const struct hparams *hp = &x->r->net->hp;
	const size_t key = hp->delta.key;
	const float length = sqrtf(kern_dot_f32(head, head, key));
	float by = 1 / fmaxf(length, hp->rms_eps);

	if (query)
		by /= sqrtf((float)key);
	kern_scale(head, key, by);
}

static void
conv_piece(size_t piece, unsigned thread, void *arg)
{
	const struct work *x = arg;
	const struct delta_shape *d = &x->r->net->hp.delta;
	const size_t keys = 2 * (size_t)d->key_heads, heads = keys + d->heads;
	const size_t pieces = (heads + PIECE - 1) / PIECE;
	const size_t i = piece / pieces, first = piece % pieces * PIECE;
	const float *taps[DELTA_TAPS_MAX], *in[DELTA_TAPS_MAX];

	(void)thread;
	find_taps(x, i, taps);
	for (size_t h = first; h < first + PIECE && h < heads; h++) {
		const bool value = h >= keys;
		const size_t at =
		    value ? keys * d->key + (h - keys) * d->value : h * d->key;
		float *out = x->conv + i * x->channels + at;

		for (uint32_t t = 0; t < d->taps; t++)
			in[t] = taps[t] + at;
		kern_conv(in, x->l->delta.conv + at, x->channels, d->taps,
		    value ? d->value : d->key, out);
		if (!value)
			normalise(x, out, h < d->key_heads);
	}
}

/* ---- the states --------------------------------------------------------- */

static double
softplus(double v)
{
	return v > 20 ? v : log1p(exp(v));
}

/* How far a head of values forgets, and how much it learns. */
static void
get_rates(const struct work *x, size_t i, size_t h, struct delta_step *s)
{
	const struct delta_shape *d = &x->r->net->hp.delta;
	const struct delta_weights *w = &x->l->delta;
	const float *rates = x->rates + i * 2 * d->heads;
	double alpha, beta;

	if (w->alpha.w != NULL) {
		beta = (double)rates[h];
		alpha = (double)rates[d->heads + h];
	} else {
		/* for each head of keys those of its heads of values */
		const size_t group = d->heads / d->key_heads;
		const size_t at = h / group * 2 * group + h % group;

		beta = (double)rates[at];
		alpha = (double)rates[at + group];
	}
	alpha = softplus(alpha + (double)w->dt[h]);
	s->decay = (float)exp((double)w->a[h] * alpha);
	s->beta = (float)(1 / (1 + exp(-beta)));
}

static void
step(const struct work *x, size_t i, size_t h)
{
	const struct net *n = x->r->net;
	const struct delta_shape *d = &n->hp.delta;
	const size_t k = n->def->delta_grouped ? h / (d->heads / d->key_heads)
					       : h % d->key_heads;
	const float *conv = x->conv + i * x->channels;
	const float *keys = conv + (size_t)d->key_heads * d->key;
	const float *values = keys + (size_t)d->key_heads * d->key;
	float *out = x->said + i * x->values + h * d->value;
	struct delta_step s = { .q = conv + k * d->key,
		.k = keys + k * d->key,
		.v = values + h * d->value };

	s.kq = kern_dot_f32(s.k, s.q, d->key);
	get_rates(x, i, h, &s);
	kern_delta(matrices_of(x, i) + h * d->key * d->value, d->key, d->value,
	    &s, out);
	kern_rms_norm(out, x->l->delta.norm, n->hp.rms_eps, d->value, out);
	kern_glu_join(GLU_SILU, x->gate + i * x->values + h * d->value, out,
	    NULL, NULL, d->value, out);
}

/* One head of all rows of one sequence, in their order. */
static void
head_piece(size_t piece, unsigned thread, void *arg)
{
	const struct work *x = arg;
	const struct run *r = x->r;
	const struct delta_shape *d = &r->net->hp.delta;
	const size_t begin = x->begin[piece / d->heads];
	const size_t h = piece % d->heads;
	uint32_t left;

	(void)thread;
	for (size_t i = begin; i < r->n; i++)
		if (r->rows[i].seq == r->rows[begin].seq)
			step(x, i, h);
	if (h != 0)
		return;
	/* The convolution is over; what came in last takes its place. */
	left = d->taps - 1;
	for (size_t i = r->n; left > 0 && i-- > begin;)
		if (r->rows[i].seq == r->rows[begin].seq) {
			memcpy(window_of(x, i, r->rows[i].pos),
			    x->in + i * x->channels,
			    x->channels * sizeof(*x->in));
			left--;
		}
}

void
block_delta(struct run *r, uint32_t layer)
{
	const struct hparams *hp = &r->net->hp;
	const struct delta_shape *d = &hp->delta;
	const size_t heads = 2 * (size_t)d->key_heads + d->heads;
	struct product out;
	struct work x;

	work_init(&x, r, layer);
	project(&x);
	pool_run(r->pool, r->n * ((heads + PIECE - 1) / PIECE), conv_piece, &x);
	x.seqs = 0;
	for (size_t i = 0; i < r->n; i++) {
		if (block_row_is_first(r, i))
			x.begin[x.seqs++] = i;
		if (x.seqs == SEQS || (i + 1 == r->n && x.seqs > 0)) {
			pool_run(r->pool, x.seqs * d->heads, head_piece, &x);
			x.seqs = 0;
		}
	}
	out = (struct product){ &x.l->o, r->out, hp->embd };
	acts_set(r->acts, x.said, r->n, x.values);
	mat_mul(r->pool, r->acts, &out, 1);
}

void
delta_layer(struct run *r, uint32_t layer)
{
	block_around(r, layer,
	    model_layer_delta(&r->net->hp, layer) ? block_delta
						  : block_attention);
}

#include "inferd/block_streams.h"

#include <math.h>
#include <string.h>

#include "base/compat.h"
#include "inferd/kern.h"
#include "inferd/router.h"

#define CHUNK 256u /* values of a row that are mixed as one piece */

struct work {
	struct run *r;
	size_t n, embd;
	float *streams; /* [max][n][embd] */
	float *mix;     /* [max][n (n + 2)] */
	const struct mix_weights *w;
};

static size_t
mixture(const struct hparams *hp)
{
	return (size_t)hp->streams.n * (hp->streams.n + 2);
}

size_t
streams_scratch(const struct hparams *hp)
{
	return (size_t)hp->streams.n * hp->embd + mixture(hp);
}

static struct work
work(struct run *r)
{
	const struct hparams *hp = &r->net->hp;
	struct work x = { .r = r,
		.n = hp->streams.n,
		.embd = hp->embd,
		.streams = r->scratch };

	x.mix = x.streams + r->max * x.n * x.embd;
	return x;
}

/* ---- weights ------------------------------------------------------------ */

static void
affine(float *x, size_t n, float scale, const float *base)
{
	for (size_t i = 0; i < n; i++)
		x[i] = x[i] * scale + base[i];
}

/* Each of n rows, or columns, is made to sum to one. */
static void
even_out(float *m, size_t n, size_t along, size_t across, float eps)
{
	for (size_t i = 0; i < n; i++) {
		float sum = 0;

		for (size_t k = 0; k < n; k++)
			sum += m[i * across + k * along];
		for (size_t k = 0; k < n; k++)
			m[i * across + k * along] /= sum + eps;
	}
}

void
streams_weights(
    const struct streams_shape *s, const struct mix_weights *w, float *x)
{
	const size_t n = s->n;
	float *said = x + n, *mixed = x + 2 * n;

	affine(x, n, w->scale[0], w->base);
	affine(said, n, w->scale[1], w->base + n);
	affine(mixed, n * n, w->scale[2], w->base + 2 * n);
	router_sigmoid(x, 2 * n);
	for (size_t i = 0; i < n; i++) {
		x[i] += s->eps;
		said[i] *= 2;
		kern_softmax(&mixed[i * n], n);
	}
	for (size_t i = 0; i < n * n; i++)
		mixed[i] += s->eps;
	/* Sinkhorn and Knopp, 1967. */
	even_out(mixed, n, n, 1, s->eps);
	for (uint32_t i = 1; i < s->rounds; i++) {
		even_out(mixed, n, 1, n, s->eps);
		even_out(mixed, n, n, 1, s->eps);
	}
}

/* Of the head there are the shares alone. */
static void
weigh_row(size_t i, unsigned thread, void *arg)
{
	const struct work *x = arg;
	const struct hparams *hp = &x->r->net->hp;
	const size_t all = x->n * x->embd, rows = x->w->fn.rows;
	const float *streams = &x->streams[i * all];
	float *mix = &x->mix[i * mixture(hp)];
	const float mean = kern_dot_f32(streams, streams, all) / (float)all;

	(void)thread;
	/* The norm of all streams has no weights: products may come first. */
	kern_scale(mix, rows, 1 / sqrtf(mean + hp->rms_eps));
	if (rows > x->n) {
		streams_weights(&hp->streams, x->w, mix);
		return;
	}
	affine(mix, rows, x->w->scale[0], x->w->base);
	router_sigmoid(mix, rows);
	for (size_t k = 0; k < rows; k++)
		mix[k] += hp->streams.eps;
}

/* ---- streams ------------------------------------------------------------ */

static void
begin_row(size_t i, unsigned thread, void *arg)
{
	const struct work *x = arg;

	(void)thread;
	for (size_t k = 0; k < x->n; k++)
		memcpy(&x->streams[(i * x->n + k) * x->embd],
		    &x->r->x[i * x->embd], x->embd * sizeof(float));
}

static void
join_row(size_t i, unsigned thread, void *arg)
{
	const struct work *x = arg;
	const float *mix = &x->mix[i * mixture(&x->r->net->hp)];
	float *out = &x->r->x[i * x->embd];

	(void)thread;
	memset(out, 0, x->embd * sizeof(*out));
	for (size_t k = 0; k < x->n; k++)
		kern_axpy_f32(mix[k], &x->streams[(i * x->n + k) * x->embd],
		    x->embd, out);
}

/* Into r->x what a block begins with. */
static void
join(struct work *x, const struct mix_weights *w)
{
	struct run *r = x->r;
	const struct product p = { &w->fn, x->mix, mixture(&r->net->hp) };

	x->w = w;
	acts_set(r->acts, x->streams, r->n, x->n * x->embd);
	mat_mul(r->pool, r->acts, &p, 1);
	pool_run(r->pool, r->n, weigh_row, x);
	pool_run(r->pool, r->n, join_row, x);
}

/* Some values of all streams of a row, with what the block has said. */
static void
spread_piece(size_t piece, unsigned thread, void *arg)
{
	const struct work *x = arg;
	const size_t chunks = (x->embd + CHUNK - 1) / CHUNK;
	const size_t i = piece / chunks, at = piece % chunks * CHUNK;
	const size_t n = x->embd - at < CHUNK ? x->embd - at : CHUNK;
	const float *said = &x->mix[i * mixture(&x->r->net->hp) + x->n];
	const float *mixed = said + x->n;
	float *streams = &x->streams[i * x->n * x->embd + at];
	float fresh[STREAMS_MAX][CHUNK];

	(void)thread;
	for (size_t to = 0; to < x->n; to++) {
		memset(fresh[to], 0, n * sizeof(float));
		kern_axpy_f32(
		    said[to], &x->r->out[i * x->embd + at], n, fresh[to]);
		for (size_t from = 0; from < x->n; from++)
			kern_axpy_f32(mixed[from * x->n + to],
			    &streams[from * x->embd], n, fresh[to]);
	}
	for (size_t k = 0; k < x->n; k++)
		memcpy(&streams[k * x->embd], fresh[k], n * sizeof(float));
}

static void
spread(struct work *x)
{
	pool_run(x->r->pool, x->r->n * ((x->embd + CHUNK - 1) / CHUNK),
	    spread_piece, x);
}

void
streams_layer(
    struct run *r, uint32_t layer, void (*attention)(struct run *, uint32_t))
{
	const struct net *net = r->net;
	const struct layer *l = &net->layers[layer];
	struct work x = work(r);

	if (layer == 0)
		pool_run(r->pool, r->n, begin_row, &x);
	join(&x, &l->mix_attn);
	block_norm(r, r->x, l->attn_norm, r->norm);
	attention(r, layer);
	spread(&x);
	join(&x, &l->mix_ffn);
	block_norm(r, r->x, l->ffn_norm, r->norm);
	block_experts(r, layer);
	spread(&x);
	if (layer + 1 == net->hp.layers)
		join(&x, &net->mix_out);
}

#include "inferd/block_sparse.h"

#include <math.h>
#include <string.h>

#include "base/compat.h"
#include "inferd/block_squeeze.h"
#include "inferd/block_streams.h"
#include "inferd/kern.h"
#include "inferd/net_bind.h"
#include "inferd/rope.h"

#define HEADS 8u /* of those that choose, at a time */
#define FEW_ROWS (KV_PAGE / SQUEEZE_FEW)

bool
sparse_kv(const struct hparams *hp, uint32_t i, struct kv_shape *out)
{
	const struct streams_shape *s = &hp->streams;
	const uint32_t every = s->squeeze[i % hp->layers];

	*out = (struct kv_shape){ 0 };
	if (i < hp->layers)
		*out = (struct kv_shape){ .heads = 1, .key = hp->head_k };
	else if (i < 2 * hp->layers && every != 0)
		*out = squeeze_shape(every, hp->head_k);
	else if (i >= 2 * hp->layers && every == SQUEEZE_FEW)
		*out = squeeze_shape(every, s->index_key);
	return i < 3 * hp->layers;
}

void
sparse_bind(struct binding *b, const struct net *n, struct layer *l)
{
	const struct hparams *hp = &n->hp;
	const struct streams_shape *s = &hp->streams;
	const size_t heads = (size_t)hp->heads * hp->head_k, embd = hp->embd,
		     mix = (size_t)s->n * (s->n + 2), all = s->n * embd;
	const uint32_t every = s->squeeze[b->layer];

	l->q_low = net_matrix(b, "attn_q_a", hp->q_rank, embd, 0, true);
	l->q_norm = net_vector(b, "attn_q_a_norm", ".weight", hp->q_rank, true);
	l->q = net_matrix(b, "attn_q_b", heads, hp->q_rank, 0, true);
	l->k = net_matrix(b, "attn_kv", hp->head_k, embd, 0, true);
	l->k_norm =
	    net_vector(b, "attn_kv_a_norm", ".weight", hp->head_k, true);
	l->sinks = net_vector(b, "attn_sinks", ".weight", hp->heads, true);
	l->window = hp->window;
	/* One matrix for each group of heads, one behind another. */
	l->o_low =
	    net_matrix(b, "attn_output_a", (size_t)s->out_groups * s->out_rank,
		heads / s->out_groups, 0, true);
	l->o_low.rows = s->out_rank;
	l->o = net_matrix(b, "attn_output_b", embd,
	    (size_t)s->out_groups * s->out_rank, 0, true);
	l->mix_attn.fn = net_matrix(b, "hc_attn_fn", mix, all, 0, true);
	l->mix_attn.base = net_vector(b, "hc_attn_base", ".weight", mix, true);
	l->mix_attn.scale = net_vector(b, "hc_attn_scale", ".weight", 3, true);
	l->mix_ffn.fn = net_matrix(b, "hc_ffn_fn", mix, all, 0, true);
	l->mix_ffn.base = net_vector(b, "hc_ffn_base", ".weight", mix, true);
	l->mix_ffn.scale = net_vector(b, "hc_ffn_scale", ".weight", 3, true);
	if (every == 0)
		return;
	squeeze_bind(
	    b, "attn_compressor", every, hp->head_k, embd, &l->squeeze);
	if (every != SQUEEZE_FEW)
		return;
	squeeze_bind(
	    b, "indexer_compressor", every, s->index_key, embd, &l->index);
	l->index_q = net_matrix(b, "indexer.attn_q_b",
	    (size_t)s->index_heads * s->index_key, hp->q_rank, 0, true);
	l->index_share =
	    net_matrix(b, "indexer.proj", s->index_heads, embd, 0, true);
}

/* Where what is; each [max][...]. */
struct work {
	struct run *r;
	uint32_t layer, every;
	const struct layer *l;
	float *far;    /* [rope_dims]: the rotation of squeezed rows */
	float *low;    /* [q_rank] */
	float *row;    /* [head_k] */
	float *value;  /* [2 head_k] */
	float *score;  /* [2 head_k] */
	float *made;   /* [head_k] */
	float *ivalue; /* [2 index_key] */
	float *iscore; /* [2 index_key] */
	float *imade;  /* [index_key] */
	float *iq;     /* [index_heads][index_key] */
	float *share;  /* [index_heads] */
	float *out;    /* [out_groups][out_rank] */
	/* [index_top]: which rows are seen, if not all */
	uint32_t *chosen;
};

size_t
sparse_scratch(const struct hparams *hp)
{
	const struct streams_shape *s = &hp->streams;

	return hp->rope_dims + hp->q_rank + 6 * (size_t)hp->head_k +
	       5 * (size_t)s->index_key +
	       (size_t)s->index_heads * (s->index_key + 1) +
	       (size_t)s->out_groups * s->out_rank + s->index_top;
}

static float *
take(float **at, const struct run *r, size_t n)
{
	float *p = *at;

	*at += r->max * n;
	return p;
}

static struct work
work(struct run *r, uint32_t layer)
{
	const struct hparams *hp = &r->net->hp;
	const struct streams_shape *s = &hp->streams;
	float *at = r->scratch + r->max * streams_scratch(hp);
	struct work x = { .r = r,
		.layer = layer,
		.every = s->squeeze[layer],
		.l = &r->net->layers[layer] };

	x.far = take(&at, r, hp->rope_dims);
	x.low = take(&at, r, hp->q_rank);
	x.row = take(&at, r, hp->head_k);
	x.value = take(&at, r, 2 * (size_t)hp->head_k);
	x.score = take(&at, r, 2 * (size_t)hp->head_k);
	x.made = take(&at, r, hp->head_k);
	x.ivalue = take(&at, r, 2 * (size_t)s->index_key);
	x.iscore = take(&at, r, 2 * (size_t)s->index_key);
	x.imade = take(&at, r, s->index_key);
	x.iq = take(&at, r, (size_t)s->index_heads * s->index_key);
	x.share = take(&at, r, s->index_heads);
	x.out = take(&at, r, (size_t)s->out_groups * s->out_rank);
	x.chosen = (uint32_t *)(void *)at;
	return x;
}

/* ---- projections -------------------------------------------------------- */

static void
norm_low(size_t i, unsigned thread, void *arg)
{
	const struct work *x = arg;
	const struct hparams *hp = &x->r->net->hp;
	float *low = &x->low[i * hp->q_rank];

	(void)thread;
	kern_rms_norm(low, x->l->q_norm, hp->rms_eps, hp->q_rank, low);
}

static void
project(struct work *x)
{
	struct run *r = x->r;
	const struct hparams *hp = &r->net->hp;
	const struct streams_shape *s = &hp->streams;
	const struct layer *l = x->l;
	const bool few = x->every == SQUEEZE_FEW;
	const size_t values = squeeze_values(x->every, hp->head_k),
		     ivalues = 2 * (size_t)s->index_key;
	const struct product in[] = { { &l->q_low, x->low, hp->q_rank },
		{ &l->k, x->row, hp->head_k },
		{ &l->squeeze.value, x->value, values },
		{ &l->squeeze.score, x->score, values } };
	const struct product index[] = { { &l->index.value, x->ivalue,
					     ivalues },
		{ &l->index.score, x->iscore, ivalues },
		{ &l->index_share, x->share, s->index_heads } };
	const struct product q[] = { { &l->q, r->q,
					 (size_t)hp->heads * hp->head_k },
		{ &l->index_q, x->iq, (size_t)s->index_heads * s->index_key } };

	acts_set(r->acts, r->norm, r->n, hp->embd);
	mat_mul(r->pool, r->acts, in, x->every != 0 ? 4 : 2);
	if (few)
		mat_mul(r->pool, r->acts, index, 3);
	pool_run(x->r->pool, x->r->n, norm_low, x);
	acts_set(r->acts, x->low, r->n, hp->q_rank);
	mat_mul(r->pool, r->acts, q, few ? 2 : 1);
}

static const float *
turn_of(const struct work *x, size_t i)
{
	const size_t at = i * x->r->net->hp.rope_dims;

	return x->every == 0 ? &x->r->turn[at] : &x->far[at];
}

/* Queries normed and turned at their ends; the row into its page. */
static void
store(size_t i, unsigned thread, void *arg)
{
	const struct work *x = arg;
	struct run *r = x->r;
	const struct net *n = r->net;
	const struct hparams *hp = &n->hp;
	const struct streams_shape *s = &hp->streams;
	const struct row *row = &r->rows[i];
	const size_t head = hp->head_k, end = head - hp->rope_dims;
	const float *turn = turn_of(x, i);
	const struct kv_rows kv =
	    kv_rows(row->seq, x->layer, 0, row->pos / KV_PAGE);
	float *kept = &x->row[i * head];

	(void)thread;
	for (size_t h = 0; h < hp->heads; h++) {
		float *q = &r->q[(i * hp->heads + h) * head];

		kern_rms_norm(q, NULL, hp->rms_eps, head, q);
		rope_apply(n, turn, &q[end]);
	}
	kern_rms_norm(kept, x->l->k_norm, hp->rms_eps, head, kept);
	rope_apply(n, turn, &kept[end]);
	kern_store_row(
	    r->kv, kept, head, kv.keys + row->pos % KV_PAGE * kv.key);
	for (size_t h = 0; x->every == SQUEEZE_FEW && h < s->index_heads; h++)
		rope_apply(n, turn,
		    &x->iq[(i * s->index_heads + h) * s->index_key +
			   s->index_key - hp->rope_dims]);
}

/* ---- choice ------------------------------------------------------------- */

/* Rows that are there at a row's position. */
static uint32_t
there(const struct work *x, size_t i)
{
	return (x->r->rows[i].pos + 1) / x->every;
}

static bool
is_worse(const struct best *b, uint32_t i, float score, uint32_t number)
{
	return b->heap[i].score < score ||
	       (b->heap[i].score == score && b->heap[i].number > number);
}

static void
sift_down(struct best *b, float score, uint32_t number)
{
	uint32_t i = 0, k;

	while ((k = 2 * i + 1) < b->n) {
		if (k + 1 < b->n &&
		    is_worse(b, k + 1, b->heap[k].score, b->heap[k].number))
			k++;
		if (!is_worse(b, k, score, number))
			break;
		b->heap[i] = b->heap[k];
		i = k;
	}
	b->heap[i].score = score;
	b->heap[i].number = number;
}

void
best_add(struct best *b, float score, uint32_t number)
{
	uint32_t i = b->n;

	if (b->n == b->most) {
		if (is_worse(b, 0, score, number))
			sift_down(b, score, number);
		return;
	}
	b->n++;
	for (; i > 0; i = (i - 1) / 2) {
		const uint32_t up = (i - 1) / 2;

		if (is_worse(b, up, score, number))
			break;
		b->heap[i] = b->heap[up];
	}
	b->heap[i].score = score;
	b->heap[i].number = number;
}

void
best_end(const struct best *b, uint32_t *out)
{
	for (uint32_t i = 0; i < b->n; i++)
		out[i] = b->heap[i].number;
	for (uint32_t gap = b->n / 2; gap > 0; gap /= 2)
		for (uint32_t i = gap; i < b->n; i++) {
			const uint32_t v = out[i];
			uint32_t k = i;

			for (; k >= gap && out[k - gap] > v; k -= gap)
				out[k] = out[k - gap];
			out[k] = v;
		}
}

/*
 * What the heads say of n rows of a page, each as much as its share says.  The
 * reference of the model also rounds queries and rows to four bits, behind a
 * Hadamard transform: llama.cpp, which turns them alone, does not, nor is it
 * done here (the transform as such changes no product).
 */
static void
judge(const struct work *x, size_t i, const struct kv_rows *kv, uint32_t n,
    float *score)
{
	const struct streams_shape *s = &x->r->net->hp.streams;
	const float *q = &x->iq[i * s->index_heads * s->index_key];
	const float *share = &x->share[i * s->index_heads];
	float y[HEADS][FEW_ROWS];

	memset(score, 0, n * sizeof(*score));
	for (uint32_t h = 0; h < s->index_heads; h += HEADS) {
		const uint32_t heads =
		    s->index_heads - h < HEADS ? s->index_heads - h : HEADS;

		kern_dot_group(x->r->kv, kv->keys, kv->key, n,
		    q + (size_t)h * s->index_key, s->index_key, heads,
		    s->index_key, y[0], FEW_ROWS);
		for (uint32_t g = 0; g < heads; g++)
			for (uint32_t k = 0; k < n; k++)
				score[k] += fmaxf(y[g][k], 0) * share[h + g];
	}
}

static void
choose(size_t i, unsigned thread, void *arg)
{
	const struct work *x = arg;
	const struct hparams *hp = &x->r->net->hp;
	const uint32_t n = there(x, i);
	struct best best attr_uninit;
	float score[FEW_ROWS];

	(void)thread;
	if (n <= hp->streams.index_top)
		return;
	best.n = 0;
	best.most = hp->streams.index_top;
	for (uint32_t at = 0; at < n; at += FEW_ROWS) {
		const struct kv_rows kv = kv_rows(x->r->rows[i].seq,
		    2 * hp->layers + x->layer, 0, at / FEW_ROWS);
		const uint32_t k = n - at < FEW_ROWS ? n - at : FEW_ROWS;

		judge(x, i, &kv, k, score);
		for (uint32_t j = 0; j < k; j++)
			best_add(&best, score[j], at + j);
	}
	best_end(&best, &x->chosen[i * hp->streams.index_top]);
}

/* ---- attention ---------------------------------------------------------- */

struct seen {
	const struct work *x;
	const struct attend *a;
	size_t i;
	uint32_t n; /* heads */
	const float *q;
	float *out;
	struct attend_sum sums[ATTEND_TOGETHER];
};

/* Rows [first, first + n) of a page of a track. */
static void
see(struct seen *s, uint32_t track, uint32_t page, uint32_t first, uint32_t n)
{
	const struct run *r = s->x->r;
	const struct kv_rows kv = kv_rows(r->rows[s->i].seq, track, 0, page);
	const struct attend_view w = { .keys = kv.keys + first * kv.key,
		.values = kv.keys + first * kv.key,
		.key = kv.key,
		.value = kv.key,
		.n = n };

	attend_view(r, s->a, s->q, s->n, &w, s->sums, s->out);
}

static void
see_window(struct seen *s)
{
	const uint32_t end = s->x->r->rows[s->i].pos + 1, window = s->a->window;
	uint32_t at = end > window ? end - window : 0;

	while (at < end) {
		const uint32_t left = KV_PAGE - at % KV_PAGE;
		const uint32_t n = end - at < left ? end - at : left;

		see(s, s->a->track, at / KV_PAGE, at % KV_PAGE, n);
		at += n;
	}
}

/* Rows of a few positions: those that were chosen, neighbours together. */
static void
see_few(struct seen *s, uint32_t track)
{
	const struct work *x = s->x;
	const uint32_t top = x->r->net->hp.streams.index_top;
	const uint32_t *chosen = &x->chosen[s->i * top];
	const uint32_t all = there(x, s->i), n = all < top ? all : top;

	for (uint32_t i = 0; i < n;) {
		const uint32_t row = all > top ? chosen[i] : i;
		const uint32_t left = FEW_ROWS - row % FEW_ROWS;
		uint32_t k = 1;

		while (i + k < n && k < left &&
		       (all > top ? chosen[i + k] : i + k) == row + k)
			k++;
		see(s, track, row / FEW_ROWS, row % FEW_ROWS, k);
		i += k;
	}
}

static void
see_piece(size_t piece, unsigned thread, void *arg)
{
	const struct seen *all = arg;
	const struct work *x = all->x;
	const struct hparams *hp = &x->r->net->hp;
	const uint32_t pieces =
	    (hp->heads + ATTEND_TOGETHER - 1) / ATTEND_TOGETHER;
	const uint32_t h = (uint32_t)(piece % pieces) * ATTEND_TOGETHER;
	const uint32_t track = hp->layers + x->layer;
	const uint32_t pages = SQUEEZE_MANY / KV_PAGE;
	struct seen s = *all;

	(void)thread;
	s.i = piece / pieces;
	s.n = hp->heads - h < ATTEND_TOGETHER ? hp->heads - h : ATTEND_TOGETHER;
	s.q = &x->r->q[(s.i * hp->heads + h) * hp->head_k];
	s.out = &x->r->att[(s.i * hp->heads + h) * hp->head_k];
	attend_begin(s.a, h, s.n, s.sums, s.out);
	see_window(&s);
	if (x->every == SQUEEZE_FEW)
		see_few(&s, track);
	else if (x->every == SQUEEZE_MANY)
		for (uint32_t k = 0; k < there(x, s.i); k++)
			see(&s, track, (k + 1) * pages - 1, 0, 1);
	attend_end(s.a, s.n, s.sums, s.out);
	/* Values are turned as keys are; this is what is left of it. */
	for (uint32_t g = 0; g < s.n; g++)
		rope_undo(x->r->net, turn_of(x, s.i),
		    &s.out[(g + 1) * (size_t)hp->head_k - hp->rope_dims]);
}

static void
attend(struct work *x)
{
	const struct hparams *hp = &x->r->net->hp;
	const struct attend a = { .track = x->layer,
		.heads = hp->heads,
		.kv_heads = 1,
		.key = hp->head_k,
		.value = hp->head_k,
		.scale = x->r->net->attn_scale,
		.window = x->l->window,
		.sinks = x->l->sinks };
	struct seen s = { .x = x, .a = &a };

	pool_run(x->r->pool,
	    x->r->n * ((hp->heads + ATTEND_TOGETHER - 1) / ATTEND_TOGETHER),
	    see_piece, &s);
}

static void
squeeze(struct work *x)
{
	const struct hparams *hp = &x->r->net->hp;
	struct squeeze s = { .r = x->r,
		.w = &x->l->squeeze,
		.track = hp->layers + x->layer,
		.every = x->every,
		.width = hp->head_k,
		.value = x->value,
		.score = x->score,
		.made = x->made };

	if (x->every == 0)
		return;
	block_squeeze(&s);
	if (x->every != SQUEEZE_FEW)
		return;
	s.w = &x->l->index;
	s.track += hp->layers;
	s.width = hp->streams.index_key;
	s.value = x->ivalue;
	s.score = x->iscore;
	s.made = x->imade;
	block_squeeze(&s);
	pool_run(x->r->pool, x->r->n, choose, x);
}

void
block_sparse(struct run *r, uint32_t layer)
{
	const struct net *n = r->net;
	const struct streams_shape *s = &n->hp.streams;
	struct work x = work(r, layer);
	const struct product out = { &x.l->o, r->out, n->hp.embd };

	if (layer == 0)
		for (size_t i = 0; i < r->n; i++)
			rope_turn_by(n, n->squeeze_freq, n->rope_gain,
			    r->rows[i].pos, &x.far[i * n->hp.rope_dims]);
	project(&x);
	pool_run(r->pool, r->n, store, &x);
	squeeze(&x);
	attend(&x);
	acts_set(r->acts, r->att, r->n * s->out_groups, x.l->o_low.cols);
	mat_mul_each(r->pool, r->acts, &x.l->o_low, r->n, s->out_groups, x.out,
	    s->out_rank);
	acts_set(r->acts, x.out, r->n, (size_t)s->out_groups * s->out_rank);
	mat_mul(r->pool, r->acts, &out, 1);
}

#include "inferd/block_squeeze.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/compat.h"
#include "base/str.h"
#include "inferd/kern.h"
#include "inferd/net_bind.h"
#include "inferd/quant.h"
#include "inferd/rope.h"

#define CHUNK 64u /* values that are weighed as one piece */

static bool
overlaps(uint32_t every)
{
	return every == SQUEEZE_FEW;
}

/* Positions that are kept for rows to come. */
static uint32_t
kept(uint32_t every)
{
	return overlaps(every) ? 2 * every : every;
}

size_t
squeeze_values(uint32_t every, size_t width)
{
	return overlaps(every) ? 2 * width : width;
}

struct kv_shape
squeeze_shape(uint32_t every, uint32_t width)
{
	return (struct kv_shape){ .heads = 1,
		.key = width,
		.every = every,
		.state = 2 * squeeze_values(every, width) * kept(every) *
			 sizeof(float) };
}

void
squeeze_bind(struct binding *b, const char *part, uint32_t every, size_t width,
    size_t embd, struct squeeze_weights *out)
{
	const size_t values = squeeze_values(every, width);
	char name[MODEL_NAME_MAX];
	struct matrix place;

	snprintf(name, sizeof(name), "%s_kv", part);
	out->value = net_matrix(b, name, values, embd, 0, true);
	snprintf(name, sizeof(name), "%s_gate", part);
	out->score = net_matrix(b, name, values, embd, 0, true);
	snprintf(name, sizeof(name), "%s_norm", part);
	out->norm = net_vector(b, name, ".weight", width, true);
	snprintf(name, sizeof(name), "%s_ape", part);
	place = net_matrix(b, name, every, values, 0, true);
	if (place.w == NULL)
		return;
	out->place = xcalloc(every * values, sizeof(float));
	for (uint32_t i = 0; i < every; i++)
		dequant_row(place.type, place.w + i * place.row_bytes,
		    &out->place[i * values], values);
}

/* Of a position, its values and then its scores. */
static float *
ring(const struct squeeze *x, const struct row *row, uint32_t pos)
{
	float *state = kv_state(row->seq, x->track);

	return state +
	       pos % kept(x->every) * 2 * squeeze_values(x->every, x->width);
}

/* Of a row the terms: which positions, and which of their values. */
struct terms {
	const float *value[2 * SQUEEZE_MANY], *score[2 * SQUEEZE_MANY];
	size_t n;
};

static void
add_term(struct terms *t, const struct squeeze *x, const struct row *row,
    uint32_t pos, size_t at)
{
	const float *p = ring(x, row, pos);

	t->value[t->n] = p + at;
	t->score[t->n++] = p + squeeze_values(x->every, x->width) + at;
}

static void
weigh(const struct terms *t, size_t n, float *out)
{
	float most[CHUNK], total[CHUNK] = { 0 }, e[CHUNK];

	for (size_t i = 0; i < n; i++) {
		most[i] = t->score[0][i];
		for (size_t k = 1; k < t->n; k++)
			most[i] = fmaxf(most[i], t->score[k][i]);
		out[i] = 0;
	}
	for (size_t k = 0; k < t->n; k++) {
		for (size_t i = 0; i < n; i++)
			e[i] = t->score[k][i] - most[i];
		kern_exp(e, n);
		for (size_t i = 0; i < n; i++) {
			total[i] += e[i];
			out[i] += e[i] * t->value[k][i];
		}
	}
	for (size_t i = 0; i < n; i++)
		out[i] /= total[i];
}

/* Values [at, at + n) of the row that ends with this position. */
static void
make(const struct squeeze *x, size_t i, size_t at, size_t n)
{
	const struct row *row = &x->r->rows[i];
	const uint32_t first = row->pos + 1 - x->every;
	const bool over = overlaps(x->every);
	struct terms t = { .n = 0 };

	if (over && first > 0)
		for (uint32_t k = 0; k < x->every; k++)
			add_term(&t, x, row, first - x->every + k, at);
	for (uint32_t k = 0; k < x->every; k++)
		add_term(&t, x, row, first + k, over ? x->width + at : at);
	weigh(&t, n, &x->made[i * x->width + at]);
}

static void
keep(const struct squeeze *x, size_t i, size_t at, size_t n)
{
	const struct row *row = &x->r->rows[i];
	const size_t values = squeeze_values(x->every, x->width);
	const float *place = &x->w->place[row->pos % x->every * values];
	float *value = ring(x, row, row->pos), *score = value + values;

	for (size_t k = at; k < values; k += x->width) {
		memcpy(&value[k], &x->value[i * values + k], n * sizeof(float));
		for (size_t d = k; d < k + n; d++)
			score[d] = x->score[i * values + d] + place[d];
	}
}

static bool
ends(const struct squeeze *x, size_t i)
{
	return (x->r->rows[i].pos + 1) % x->every == 0;
}

/* Some values, of all rows of one sequence: in order of positions. */
static void
seq_piece(size_t piece, unsigned thread, void *arg)
{
	const struct squeeze *x = arg;
	const struct run *r = x->r;
	const size_t chunks = (x->width + CHUNK - 1) / CHUNK;
	const size_t first = piece / chunks, at = piece % chunks * CHUNK;
	const size_t n = x->width - at < CHUNK ? x->width - at : CHUNK;

	(void)thread;
	if (!block_row_is_first(r, first))
		return;
	for (size_t i = first; i < r->n; i++) {
		if (r->rows[i].seq != r->rows[first].seq)
			continue;
		keep(x, i, at, n);
		if (ends(x, i))
			make(x, i, at, n);
	}
}

/* A row stands where the first of its positions does. */
static void
store(size_t i, unsigned thread, void *arg)
{
	const struct squeeze *x = arg;
	const struct net *n = x->r->net;
	const struct row *row = &x->r->rows[i];
	const uint32_t page = row->pos / KV_PAGE;
	const struct kv_rows kv = kv_rows(row->seq, x->track, 0, page);
	float *made = &x->made[i * x->width];
	float turn[MODEL_HEAD_MAX];

	(void)thread;
	if (!ends(x, i))
		return;
	kern_rms_norm(made, x->w->norm, n->hp.rms_eps, x->width, made);
	rope_turn_by(
	    n, n->squeeze_freq, n->rope_gain, row->pos + 1 - x->every, turn);
	rope_apply(n, turn, &made[x->width - n->hp.rope_dims]);
	kern_store_row(x->r->kv, made, x->width,
	    kv.keys + row->pos % KV_PAGE / x->every * kv.key);
}

void
block_squeeze(struct squeeze *x)
{
	struct run *r = x->r;

	pool_run(
	    r->pool, r->n * ((x->width + CHUNK - 1) / CHUNK), seq_piece, x);
	pool_run(r->pool, r->n, store, x);
}

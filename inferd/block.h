/*
 * The blocks that layers are made of, and what they work on.
 */
#ifndef BRIG_INFERD_BLOCK_H
#define BRIG_INFERD_BLOCK_H

#include "inferd/mat.h"
#include "inferd/net.h"
#include "inferd/run.h"

/* Of one expert that has been chosen: which rows, where in run.slot. */
struct group {
	uint32_t expert;
	size_t first, n;
};

struct run {
	const struct net *net;
	struct pool *pool;
	enum tensor_type kv;
	size_t max;

	const struct row *rows;
	size_t n;

	/* Each [max][...]. */
	float *x;    /* [embd]: the residual stream */
	float *norm; /* [embd]: what a block begins with */
	float *out;  /* [embd]: what it says */
	float *turn; /* [rope_dims] */
	float *q, *k, *v, *att;
	float *scratch;    /* as many as the architecture wants */
	struct acts *acts; /* of norm, att, and the dense layer's hidden */
	float *hidden;     /* of dense blocks [2 x ff or shared_ff] */
	float *shared;     /* what the expert that all rows have says [embd] */

	/* Of experts; a slot is one row at one of its experts. */
	float *scores;    /* [max][experts] */
	float *weight;    /* [max][experts_used] */
	uint32_t *chosen; /* [max][experts_used] */
	size_t *place;    /* [max][experts_used]: its slot, by expert */
	size_t *slot_row; /* [slots]: the row of a slot */
	struct group *groups;
	size_t ngroups;
	float *slot_hidden; /* [slots][expert_ff] */
	float *slot_out;    /* [slots][embd] */
	struct acts *slot_acts;
	struct gathered {
		uint8_t *p;
		size_t size;
	} gathered[2]; /* activations in order of slots */
};

/* Does no row before it belong to the same sequence? */
bool block_row_is_first(const struct run *r, size_t row);
/* y = x / rms(x) * w over each of n rows. */
void block_norm(struct run *r, const float *x, const float *w, float *y);

/* x += attention(x), x += ffn(x): a layer of most architectures; and one with
 * another block in place of attention, which writes to r->out as that does. */
void block_decoder(struct run *r, uint32_t layer);
void block_around(
    struct run *r, uint32_t layer, void (*attention)(struct run *, uint32_t));

/*
 * Heads of queries over what a track keeps of each row's sequence, up to the
 * row's own position, which is there already.  A track without values has them
 * at the front of its keys.
 */
struct attend {
	uint32_t track;
	uint32_t heads, kv_heads; /* of queries; of keys, which they share */
	uint32_t key, value; /* values of a head; value: of what comes out */
	float scale;         /* of products of queries and keys */
	uint32_t window;     /* positions seen, this one too; 0: all */
	const float *sinks;  /* [heads], or NULL */
	const float *q;      /* [rows][heads][key] */
	float *out;          /* [rows][heads][value] */
};
void block_attend(struct run *r, const struct attend *a);

/*
 * The same rows by rows, for who chooses which: begin, any views one after
 * another, end.  n: of heads of queries [h, h + n) of one row, up to
 * ATTEND_TOGETHER, that share keys; q and outs: theirs.
 */
#define ATTEND_TOGETHER 8u
struct attend_view {
	const uint8_t *keys, *values;
	size_t key, value; /* bytes of a row */
	uint32_t n;        /* rows, up to KV_PAGE */
};
struct attend_sum {
	float max, total;
};
void attend_begin(const struct attend *a, uint32_t h, uint32_t n,
    struct attend_sum *sums, float *outs);
void attend_view(const struct run *r, const struct attend *a, const float *q,
    size_t n, const struct attend_view *w, struct attend_sum *sums,
    float *outs);
void attend_end(const struct attend *a, uint32_t n,
    const struct attend_sum *sums, float *outs);

/* What attention says, into r->out. */
void block_attention(struct run *r, uint32_t layer);
/* What a layer with a state says instead. */
void block_delta(struct run *r, uint32_t layer);
/* What the dense feed-forward block says, or the experts, into r->out. */
void block_dense(struct run *r, uint32_t layer);
void block_experts(struct run *r, uint32_t layer);

#endif

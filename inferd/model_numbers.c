#include "inferd/model_shape.h"

#include "base/str.h"

#define ROW_BLOCK 32u /* values that are kept together in 8 bits */

static int
need(uint32_t v, const char *what, const struct hparams *h, struct error *err)
{
	return v > 0 ? 0
		     : error_set(
			   err, 0, "%s without %s", arch_name(h->arch), what);
}

/* Nothing of what the architecture has no blocks for. */
static int
check_traits(const struct hparams *h, struct error *err)
{
	const unsigned has = model_traits(h->arch);
	const struct {
		unsigned trait;
		bool there;
		const char *what;
	} parts[] = {
		{ TRAIT_EXPERTS, h->experts > 0, "experts" },
		{ TRAIT_LEAD, h->dense_layers > 0, "leading dense layers" },
		{ TRAIT_SHARED, h->shared_ff > 0, "a shared expert" },
		{ TRAIT_GROUPS, h->expert_groups > 0, "groups of experts" },
		{ TRAIT_IDLE, h->idle_layers > 0, "layers for guesses" },
		{ TRAIT_LOW_RANK, h->kv_rank > 0,
		    "queries or keys of low rank" },
		{ TRAIT_LOW_RANK | TRAIT_STREAMS, h->q_rank > 0,
		    "queries or keys of low rank" },
		{ TRAIT_DELTA, h->delta.every > 0, "layers with a state" },
		{ TRAIT_STREAMS, h->streams.n > 0, "several streams" },
	};

	for (size_t i = 0; i < nitems(parts); i++)
		if (parts[i].there && (has & parts[i].trait) == 0)
			return error_set(err, 0, "%s with %s",
			    arch_name(h->arch), parts[i].what);
	if (h->experts == 0 || h->gate == model_usual_gate(h->arch) ||
	    ((has & TRAIT_GATE) != 0 && (has & TRAIT_STREAMS) == 0 &&
		h->gate != GATE_SOFTMAX_CHOSEN && h->gate != GATE_ROOT))
		return 0;
	return error_set(
	    err, 0, "%s with another choice of experts", arch_name(h->arch));
}

static int
check_groups(const struct hparams *h, struct error *err)
{
	uint32_t each;

	if (h->expert_groups == 0)
		return h->groups_used == 0
			   ? 0
			   : error_set(err, 0, "%u of no groups of experts",
				 h->groups_used);
	each = h->experts / h->expert_groups;
	if (each * h->expert_groups != h->experts || h->groups_used < 1 ||
	    h->groups_used > h->expert_groups ||
	    h->experts_used > each * h->groups_used)
		return error_set(err, 0,
		    "%u of %u experts out of %u of %u groups", h->experts_used,
		    h->experts, h->groups_used, h->expert_groups);
	return 0;
}

static int
check_experts(const struct hparams *h, struct error *err)
{
	if (h->experts == 0) {
		if ((model_traits(h->arch) & TRAIT_DENSE) == 0)
			return need(0, "experts", h, err);
		if (h->dense_layers != 0 || h->shared_ff != 0 ||
		    h->expert_groups != 0)
			return need(0, "experts", h, err);
		return need(h->ff, "a feed-forward length", h, err);
	}
	if (h->experts_used < 1 || h->experts_used > h->experts)
		return error_set(err, 0, "%u of %u experts are used",
		    h->experts_used, h->experts);
	if (h->dense_layers > h->layers)
		return error_set(err, 0, "%u of %u layers are dense",
		    h->dense_layers, h->layers);
	if (h->dense_layers > 0 &&
	    need(h->ff, "a feed-forward length", h, err) < 0)
		return -1;
	if (check_groups(h, err) < 0)
		return -1;
	return need(h->expert_ff, "a feed-forward length of experts", h, err);
}

/* One row of whole blocks that every head's keys and values are made of. */
static int
check_low_rank(const struct hparams *h, struct error *err)
{
	if ((model_traits(h->arch) & TRAIT_LOW_RANK) == 0)
		return h->yarn.log_mul == 0
			   ? 0
			   : error_set(err, 0, "%s with scores that grow",
				 arch_name(h->arch));
	if (need(h->kv_rank, "a rank of keys and values", h, err) < 0)
		return -1;
	if (h->kv_heads != 1 || h->kv_rank % ROW_BLOCK != 0 ||
	    h->kv_rank + h->rope_dims > MODEL_HEAD_MAX ||
	    h->rope_dims >= h->head_k)
		return error_set(err, 0,
		    "%u KV heads of rank %u with %u of %u values rotated",
		    h->kv_heads, h->kv_rank, h->rope_dims, h->head_k);
	return 0;
}

static int
check_delta(const struct hparams *h, struct error *err)
{
	const struct delta_shape *d = &h->delta;

	if ((model_traits(h->arch) & TRAIT_DELTA) == 0)
		return 0;
	if (need(d->every, "an interval of attention", h, err) < 0 ||
	    need(d->key_heads, "heads of keys that states have", h, err) < 0 ||
	    need(d->heads, "states", h, err) < 0 ||
	    need(d->key, "a key length of states", h, err) < 0 ||
	    need(d->value, "a value length of states", h, err) < 0)
		return -1;
	if (d->every > h->layers)
		return error_set(err, 0, "%s without a layer of attention",
		    arch_name(h->arch));
	if (d->heads % d->key_heads != 0)
		return error_set(err, 0,
		    "%u states share %u heads of keys unevenly", d->heads,
		    d->key_heads);
	if (d->taps < 2 || d->taps > DELTA_TAPS_MAX)
		return error_set(err, 0,
		    "a convolution over %u positions, not 2-%u", d->taps,
		    DELTA_TAPS_MAX);
	if (d->fused && h->arch != ARCH_QWEN3NEXT)
		return error_set(
		    err, 0, "%s as in old files", arch_name(h->arch));
	/* A gate is as long as a query. */
	if (h->head_k != h->head_v)
		return error_set(err, 0, "%s with keys of %u and values of %u",
		    arch_name(h->arch), h->head_k, h->head_v);
	return 0;
}

static int
check_squeeze(const struct hparams *h, struct error *err)
{
	const struct streams_shape *s = &h->streams;
	bool few = false, any = false;

	for (uint32_t i = 0; i < MODEL_LAYERS_MAX; i++) {
		if (s->squeeze[i] != 0 &&
		    (i >= h->layers + h->idle_layers ||
			(s->squeeze[i] != SQUEEZE_FEW &&
			    s->squeeze[i] != SQUEEZE_MANY)))
			return error_set(err, 0,
			    "rows of %u positions in layer %u, not of %u or %u",
			    s->squeeze[i], i, SQUEEZE_FEW, SQUEEZE_MANY);
		few = few || s->squeeze[i] == SQUEEZE_FEW;
		any = any || s->squeeze[i] != 0;
	}
	if (any && !(s->squeeze_base >= 1))
		return error_set(err, 0, "rows turned by the base %g",
		    (double)s->squeeze_base);
	if (!few)
		return 0;
	if (need(s->index_heads, "heads that choose rows", h, err) < 0 ||
	    need(s->index_key, "a key length of those", h, err) < 0 ||
	    need(s->index_top, "a number of chosen rows", h, err) < 0)
		return -1;
	if (s->index_key < h->rope_dims || s->index_top > INDEX_TOP_MAX)
		return error_set(err, 0,
		    "%u rows are chosen by keys of %u, of which %u are rotated",
		    s->index_top, s->index_key, h->rope_dims);
	return 0;
}

static int
check_streams(const struct hparams *h, struct error *err)
{
	const struct streams_shape *s = &h->streams;

	if ((model_traits(h->arch) & TRAIT_STREAMS) == 0)
		return 0;
	if (need(s->n, "streams", h, err) < 0 ||
	    need(s->rounds, "rounds that even a mixture out", h, err) < 0 ||
	    need(s->out_groups, "groups of heads", h, err) < 0 ||
	    need(s->out_rank, "a rank of what they say", h, err) < 0 ||
	    need(h->q_rank, "a rank of queries", h, err) < 0 ||
	    need(h->window, "a window", h, err) < 0 ||
	    need(h->shared_ff, "a shared expert", h, err) < 0)
		return -1;
	if (s->n > STREAMS_MAX || s->rounds > STREAMS_ROUNDS_MAX ||
	    !(s->eps > 0 && s->eps < 1))
		return error_set(err, 0,
		    "%u streams, evened out in %u rounds with %g", s->n,
		    s->rounds, (double)s->eps);
	if (h->kv_heads != 1 || h->head_k != h->head_v ||
	    h->heads % s->out_groups != 0)
		return error_set(err, 0,
		    "%u heads in %u groups, %u KV heads with keys of %u and "
		    "values of %u",
		    h->heads, s->out_groups, h->kv_heads, h->head_k, h->head_v);
	if (s->hash_layers > h->layers)
		return error_set(err, 0, "%u of %u layers have fixed experts",
		    s->hash_layers, h->layers);
	if (!(s->limit >= 0) || !(s->shared_limit >= 0))
		return error_set(err, 0, "a limit of experts below 0");
	return check_squeeze(h, err);
}

int
model_shape_numbers(const struct hparams *h, struct error *err)
{
	if (need(h->layers, "layers", h, err) < 0 ||
	    need(h->embd, "an embedding length", h, err) < 0 ||
	    need(h->heads, "heads", h, err) < 0 ||
	    need(h->kv_heads, "KV heads", h, err) < 0 ||
	    need(h->head_k, "a key length", h, err) < 0 ||
	    need(h->head_v, "a value length", h, err) < 0 ||
	    need(h->vocab, "a vocabulary", h, err) < 0 ||
	    need(h->ctx_train, "a context length", h, err) < 0 ||
	    check_experts(h, err) < 0 || check_traits(h, err) < 0 ||
	    check_low_rank(h, err) < 0 || check_delta(h, err) < 0 ||
	    check_streams(h, err) < 0)
		return -1;
	if (h->layers > MODEL_LAYERS_MAX ||
	    h->idle_layers > MODEL_LAYERS_MAX - h->layers)
		return error_set(
		    err, 0, "more than %u layers", MODEL_LAYERS_MAX);
	if (h->heads % h->kv_heads != 0)
		return error_set(err, 0, "%u heads share %u KV heads unevenly",
		    h->heads, h->kv_heads);
	if (h->rope_dims < 2 || h->rope_dims % 2 != 0 ||
	    h->rope_dims > h->head_k)
		return error_set(err, 0, "%u of %u values of a key are rotated",
		    h->rope_dims, h->head_k);
	if (!(h->rms_eps < 1) || !(h->rope_base >= 1) || !(h->rope_scale > 0) ||
	    !(h->expert_scale > 0) ||
	    !(h->yarn.log_mul >= 0 && h->yarn.log_mul <= 1) ||
	    (h->yarn.on &&
		(!(h->yarn.factor >= 1) || h->yarn.ctx_orig == 0 ||
		    !(h->yarn.beta_fast > 0) || !(h->yarn.beta_slow > 0))))
		return error_set(err, 0,
		    "the model's epsilon, rotation or expert scale is out of "
		    "range");
	return 0;
}

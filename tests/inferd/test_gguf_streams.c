/*
 * Models with several residual streams and squeezed rows: how their files say
 * so, and what of that does not go together.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/inferd/gguf_change.h"

#define KEY "deepseek4."

static const struct hparams plain_hp = { .arch = ARCH_DEEPSEEK4,
	.layers = 3,
	.embd = 16,
	.heads = 4,
	.kv_heads = 1,
	.head_k = 8,
	.head_v = 8,
	.rope_dims = 4,
	.q_rank = 6,
	.experts = 4,
	.experts_used = 2,
	.expert_ff = 8,
	.shared_ff = 8,
	.gate = GATE_ROOT,
	.expert_norm = true,
	.window = 12,
	.vocab = 8,
	.ctx_train = 64,
	.streams = { .n = 4,
	    .rounds = 20,
	    .eps = 1e-6f,
	    .out_groups = 2,
	    .out_rank = 5,
	    .index_heads = 3,
	    .index_key = 10,
	    .index_top = 7,
	    .hash_layers = 2,
	    .squeeze_base = 160000,
	    .limit = 10,
	    .shared_limit = 7,
	    .squeeze = { 0, SQUEEZE_FEW, SQUEEZE_MANY } } };

static void
set(struct pieces *s, const char *name, uint32_t v)
{
	char key[72];

	snprintf(key, sizeof(key), KEY "%s", name);
	gguf_put_u32(pieces_pair_of(s, key), key, v);
}

static void
set_real(struct pieces *s, const char *name, float v)
{
	char key[72];

	snprintf(key, sizeof(key), KEY "%s", name);
	gguf_put_f32(pieces_pair_of(s, key), key, v);
}

/* Instead of what is there: an array of numbers. */
static void
set_array(struct pieces *s, const char *name, enum gguf_type of,
    const uint32_t *v, uint32_t n)
{
	char key[72];
	struct buf *b;

	snprintf(key, sizeof(key), KEY "%s", name);
	b = pieces_pair_of(s, key);
	gguf_put_array(b, key, of, n);
	for (uint32_t i = 0; i < n; i++)
		buf_put_u32(b, v[i]);
}

static void
set_reals(struct pieces *s, const char *name, const float *v, uint32_t n)
{
	uint32_t bits[8];

	memcpy(bits, v, n * sizeof(*v));
	set_array(s, name, GGUF_F32, bits, n);
}

static void
take_pair(struct pieces *s, const char *name)
{
	char key[72];
	struct piece *p, *last;

	snprintf(key, sizeof(key), KEY "%s", name);
	p = pieces_find(s->pair, s->npairs, key);
	last = &s->pair[--s->npairs];
	buf_free(&p->b);
	memmove(p, p + 1, (size_t)(last - p) * sizeof(*p));
	memset(last, 0, sizeof(*last));
}

static void
make_of(struct pieces *s, const struct hparams *h)
{
	const struct streams_shape *x = &h->streams;
	struct buf *b;

	pieces_make_of(s, h);
	pieces_number(s, h, "hyper_connection.count", x->n);
	pieces_number(s, h, "hyper_connection.sinkhorn_iterations", x->rounds);
	pieces_real(s, h, "hyper_connection.epsilon", x->eps);
	pieces_number(s, h, "attention.output_group_count", x->out_groups);
	pieces_number(s, h, "attention.output_lora_rank", x->out_rank);
	pieces_number(s, h, "attention.q_lora_rank", h->q_rank);
	pieces_number(s, h, "attention.sliding_window", h->window);
	pieces_number(s, h, "attention.indexer.head_count", x->index_heads);
	pieces_number(s, h, "attention.indexer.key_length", x->index_key);
	pieces_number(s, h, "attention.indexer.top_k", x->index_top);
	pieces_number(s, h, "hash_layer_count", x->hash_layers);
	pieces_real(s, h, "attention.compress_rope_freq_base", x->squeeze_base);
	pieces_real(s, h, "swiglu_clamp_exp", x->limit);
	pieces_real(s, h, "swiglu_clamp_shexp", x->shared_limit);
	pieces_number(s, h, "rope.dimension_count", h->rope_dims);
	pieces_number(s, h, "expert_shared_count", 1);
	pieces_number(s, h, "expert_gating_func", 4);
	pieces_number(s, h, "nextn_predict_layers", h->idle_layers);
	gguf_put_bool(pieces_pair(s, KEY "expert_weights_norm"),
	    KEY "expert_weights_norm", h->expert_norm);
	b = pieces_pair(s, KEY "attention.compress_ratios");
	gguf_put_array(b, KEY "attention.compress_ratios", GGUF_I32,
	    h->layers + h->idle_layers);
	for (uint32_t i = 0; i < h->layers + h->idle_layers; i++)
		buf_put_u32(b, x->squeeze[i]);
}

static void
make(struct pieces *s)
{
	make_of(s, &plain_hp);
}

static void
make_guessing(struct pieces *s)
{
	struct hparams h = plain_hp;

	h.idle_layers = 1;
	make_of(s, &h);
}

static void
streams_and_squeezed_rows_are_read(void **state)
{
	cleanup_model_table struct model_table *t =
	    pieces_read(pieces_of(make));

	assert_memory_equal(
	    &t->hp.streams, &plain_hp.streams, sizeof(plain_hp.streams));
	assert_int_equal(t->hp.window, 12);
	assert_int_equal(t->hp.q_rank, 6);
	assert_int_equal(t->hp.shared_ff, 8);
	assert_int_equal(t->hp.gate, GATE_ROOT);
	assert_true(t->hp.expert_norm);
	assert_int_equal(
	    model_table_find(t, "blk.1.ffn_gate_tid2eid.weight")->type, TT_I32);
	assert_null(model_table_find(t, "blk.2.ffn_gate_tid2eid.weight"));
	assert_null(model_table_find(t, "blk.1.exp_probs_b.bias"));
	assert_non_null(model_table_find(t, "blk.2.exp_probs_b.bias"));
	assert_null(model_table_find(t, "blk.0.attn_compressor_kv.weight"));
	assert_null(model_table_find(t, "blk.2.indexer.proj.weight"));
}

static void
limits_may_be_said_layer_by_layer(void **state)
{
	static const float same[] = { 3, 3, 3, 9 };
	struct pieces *s = pieces_of(make);
	cleanup_model_table struct model_table *t = NULL, *one = NULL;

	set_reals(s, "swiglu_clamp_exp", same, 4);
	take_pair(s, "swiglu_clamp_shexp");
	t = pieces_read(s);
	assert_true(t->hp.streams.limit == 3);
	assert_true(t->hp.streams.shared_limit == 3);
	s = pieces_of(make);
	take_pair(s, "swiglu_clamp_exp");
	take_pair(s, "swiglu_clamp_shexp");
	one = pieces_read(s);
	assert_true(one->hp.streams.limit == 0);
}

/* What is counted as such may not be in the file. */
static void
layers_for_guesses_are_those_that_are_there(void **state)
{
	struct pieces *s = pieces_of(make_guessing);
	cleanup_model_table struct model_table *with = pieces_read(s),
					       *without = NULL;

	assert_int_equal(with->hp.layers, 3);
	assert_int_equal(with->hp.idle_layers, 1);
	s = pieces_of(make);
	set(s, "nextn_predict_layers", 1);
	without = pieces_read(s);
	assert_int_equal(without->hp.layers, 3);
	assert_int_equal(without->hp.idle_layers, 0);
	assert_int_equal(without->hp.streams.squeeze[2], SQUEEZE_MANY);
}

/* Of another type than it has. */
static void
retype(struct pieces *s, const char *name, uint32_t type)
{
	struct piece *p = pieces_find(s->tensor, s->ntensors, name);
	const uint64_t dims[] = { 2, 8 }, row[] = { 16 };
	const bool table = type != TT_I32;

	buf_clear(&p->b);
	gguf_put_tensor(
	    &p->b, name, type, table ? 2 : 1, table ? dims : row, 0);
}

#define REFUSED(why, change) PIECES_REFUSED(make, why, change)

static void
streams_that_do_not_fit_are_refused(void **state)
{
	static const uint32_t ratios[] = { 0, 4, 64 }, few[] = { 0, 4 };
	static const float other[] = { 3, 3, 4 }, less[] = { -1, -1, -1 };
	static const float nan[] = { NAN, NAN, NAN };

	REFUSED("count is missing", set(s, "hyper_connection.count", 0));
	REFUSED("hyper_connection.count", set(s, "hyper_connection.count", 9));
	REFUSED("output_hc_fn.weight", set(s, "hyper_connection.count", 3));
	REFUSED("sinkhorn_iterations is missing",
	    take_pair(s, "hyper_connection.sinkhorn_iterations"));
	REFUSED("sinkhorn_iterations",
	    set(s, "hyper_connection.sinkhorn_iterations", 1001));
	REFUSED("evened out in", set_real(s, "hyper_connection.epsilon", 0));
	REFUSED("evened out in", set_real(s, "hyper_connection.epsilon", 1));
	REFUSED("output_group_count is missing",
	    set(s, "attention.output_group_count", 0));
	REFUSED(
	    "4 heads in 3 groups", set(s, "attention.output_group_count", 3));
	REFUSED(
	    "attn_output_a.weight", set(s, "attention.output_group_count", 4));
	REFUSED("output_lora_rank", set(s, "attention.output_lora_rank", 0));
	REFUSED(
	    "attn_output_a.weight", set(s, "attention.output_lora_rank", 4));
	REFUSED("q_lora_rank is missing", set(s, "attention.q_lora_rank", 0));
	REFUSED("attn_q_a.weight", set(s, "attention.q_lora_rank", 7));
	REFUSED(
	    "sliding_window is missing", set(s, "attention.sliding_window", 0));
	REFUSED("without heads that choose",
	    set(s, "attention.indexer.head_count", 0));
	REFUSED("indexer.proj", set(s, "attention.indexer.head_count", 2));
	REFUSED("by keys of 3, of which 4",
	    set(s, "attention.indexer.key_length", 3));
	REFUSED("indexer.attn_q_b", set(s, "attention.indexer.key_length", 9));
	REFUSED(
	    "without a number of chosen", set(s, "attention.indexer.top_k", 0));
	REFUSED("top_k", set(s, "attention.indexer.top_k", 4097));
	REFUSED("4 of 3 layers have fixed", set(s, "hash_layer_count", 4));
	REFUSED("blk.1.exp_probs_b.bias", set(s, "hash_layer_count", 1));
	REFUSED("blk.2.ffn_gate_tid2eid.weight", set(s, "hash_layer_count", 3));
	REFUSED(
	    "by the base 0", take_pair(s, "attention.compress_rope_freq_base"));
	REFUSED("compress_ratios is missing",
	    take_pair(s, "attention.compress_ratios"));
	REFUSED("of layer 2",
	    set_array(s, "attention.compress_ratios", GGUF_I32, ratios, 3));
	REFUSED("of layer 2",
	    set_array(s, "attention.compress_ratios", GGUF_U32, few, 2));
	REFUSED("no array of numbers", set(s, "attention.compress_ratios", 4));
	REFUSED("no array of numbers",
	    set_array(s, "attention.compress_ratios", GGUF_F32, few, 2));
	REFUSED(
	    "not the same for all", set_reals(s, "swiglu_clamp_exp", other, 3));
	REFUSED(
	    "not the same for all", set_reals(s, "swiglu_clamp_exp", less, 3));
	REFUSED(
	    "not the same for all", set_reals(s, "swiglu_clamp_shexp", nan, 3));
	REFUSED("is too short", set_reals(s, "swiglu_clamp_exp", other, 2));
	REFUSED("swiglu_clamp_exp",
	    set_array(s, "swiglu_clamp_exp", GGUF_I32, ratios, 3));
	REFUSED("below 0", set_real(s, "swiglu_clamp_exp", -1));
	REFUSED("2 KV heads", set(s, "attention.head_count_kv", 2));
	REFUSED("values of 4", set(s, "attention.value_length", 4));
	REFUSED("another choice of experts", set(s, "expert_gating_func", 2));
	REFUSED("function 5", set(s, "expert_gating_func", 5));
	REFUSED("without a shared expert", set(s, "expert_shared_count", 0));
	REFUSED("leading_dense_block_count",
	    pieces_number(s, &plain_hp, "leading_dense_block_count", 1));
	REFUSED("is of type F32, which no table is",
	    retype(s, "blk.1.ffn_gate_tid2eid.weight", TT_F32));
	REFUSED("is of type I32", retype(s, "blk.1.attn_norm.weight", TT_I32));
	REFUSED("blk.2.hc_ffn_base.weight",
	    pieces_take(s, "blk.2.hc_ffn_base.weight"));
	REFUSED("blk.1.indexer_compressor_ape.weight",
	    pieces_take(s, "blk.1.indexer_compressor_ape.weight"));
}

/* Nor does the engine take them from a parser that says so. */
static void
streams_of_other_architectures_are_refused(void **state)
{
	struct hparams good = plain_hp, h[12];
	struct error err;

	good.rope_base = good.rope_scale = good.expert_scale = 1;
	assert_int_equal(model_shape_numbers(&good, &err), 0);
	for (size_t i = 0; i < nitems(h); i++)
		h[i] = good;
	h[0].streams.n = 0;
	h[1].streams.n = STREAMS_MAX + 1;
	h[2].streams.rounds = 0;
	h[3].streams.out_groups = 3;
	h[4].streams.index_key = 2;
	h[5].streams.index_top = INDEX_TOP_MAX + 1;
	h[6].streams.hash_layers = 4;
	h[7].streams.squeeze[3] = SQUEEZE_FEW;
	h[8].streams.squeeze[1] = 5;
	h[9].gate = GATE_SOFTMAX;
	h[10].streams.squeeze_base = 0;
	h[11].arch = ARCH_GLM4MOE;
	h[11].gate = GATE_SIGMOID;
	h[11].q_rank = 0;
	for (size_t i = 0; i < nitems(h); i++)
		if (model_shape_numbers(&h[i], &err) == 0)
			fail_msg("%zu is taken", i);
	memset(&h[11].streams, 0, sizeof(h[11].streams));
	assert_int_equal(model_shape_numbers(&h[11], &err), 0);
	h[11].gate = GATE_ROOT;
	assert_int_equal(model_shape_numbers(&h[11], &err), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_and_squeezed_rows_are_read),
		cmocka_unit_test(limits_may_be_said_layer_by_layer),
		cmocka_unit_test(layers_for_guesses_are_those_that_are_there),
		cmocka_unit_test(streams_that_do_not_fit_are_refused),
		cmocka_unit_test(streams_of_other_architectures_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

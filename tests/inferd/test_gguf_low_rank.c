/*
 * Models whose heads are made of one row of low rank: how their files say so,
 * and what of that does not go together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/inferd/gguf_change.h"

#define KEY "deepseek2."

static const struct hparams plain_hp = { .arch = ARCH_DEEPSEEK2,
	.layers = 2,
	.embd = 16,
	.ff = 24,
	.heads = 2,
	.kv_heads = 1,
	.head_k = 12,
	.head_v = 8,
	.rope_dims = 4,
	.kv_rank = 32,
	.experts = 4,
	.experts_used = 2,
	.expert_ff = 8,
	.dense_layers = 1,
	.shared_ff = 8,
	.vocab = 8,
	.ctx_train = 64 };

static void
set(struct pieces *s, const char *name, uint32_t v)
{
	char key[72];

	snprintf(key, sizeof(key), KEY "%s", name);
	gguf_put_u32(pieces_pair_of(s, key), key, v);
}

/* As the tensors are for queries of rank q_rank, 0: without. */
static void
make(struct pieces *s, uint32_t q_rank)
{
	struct hparams h = plain_hp;

	h.q_rank = q_rank;
	pieces_make_of(s, &h);
	set(s, "attention.key_length", h.kv_rank + h.rope_dims);
	set(s, "attention.value_length", h.kv_rank);
	pieces_number(s, &h, "attention.key_length_mla", h.head_k);
	pieces_number(s, &h, "attention.value_length_mla", h.head_v);
	pieces_number(s, &h, "attention.kv_lora_rank", h.kv_rank);
	if (q_rank > 0)
		pieces_number(s, &h, "attention.q_lora_rank", q_rank);
	pieces_number(s, &h, "rope.dimension_count", h.rope_dims);
	pieces_number(s, &h, "feed_forward_length", h.ff);
	pieces_number(s, &h, "leading_dense_block_count", h.dense_layers);
	pieces_number(s, &h, "expert_shared_count", 1);
}

static void
make_lite(struct pieces *s)
{
	make(s, 0);
}

static void
make_whole(struct pieces *s)
{
	make(s, 6);
}

static void
stretch(struct pieces *s, float log_mul)
{
	gguf_put_str(pieces_pair(s, KEY "rope.scaling.type"),
	    KEY "rope.scaling.type", "yarn");
	pieces_real(s, &plain_hp, "rope.scaling.factor", 40);
	pieces_number(s, &plain_hp, "rope.scaling.original_context_length", 64);
	pieces_real(s, &plain_hp, "rope.scaling.yarn_log_multiplier", log_mul);
}

/* What old files have, beside what new ones have. */
static void
add_both(struct pieces *s)
{
	const uint64_t dims[] = { 32, 32 };

	pieces_tensor(s, "blk.1.attn_kv_b.weight", TT_F32, 2, dims, s->data);
	s->data += sizeof(float) * 32 * 32;
}

static struct model_table *
read_model(void (*prepare)(struct pieces *), float log_mul)
{
	struct pieces *s = pieces_of(prepare);

	if (log_mul != 0)
		stretch(s, log_mul);
	return pieces_read(s);
}

static void
heads_of_low_rank_are_read(void **state)
{
	cleanup_model_table struct model_table *t = read_model(make_whole, 0);
	cleanup_model_table struct model_table *lite =
	    read_model(make_lite, 0.0707f);

	assert_int_equal(t->hp.q_rank, 6);
	assert_int_equal(t->hp.kv_rank, 32);
	assert_int_equal(t->hp.head_k, 12);
	assert_int_equal(t->hp.head_v, 8);
	assert_int_equal(t->hp.rope_dims, 4);
	assert_int_equal(t->hp.gate, GATE_SOFTMAX);
	assert_false(t->hp.expert_norm);
	assert_false(t->hp.yarn.on);
	assert_non_null(model_table_find(t, "blk.1.attn_q_b.weight"));
	assert_int_equal(lite->hp.q_rank, 0);
	assert_true(lite->hp.yarn.on && lite->hp.yarn.log_mul == 0.0707f);
	assert_non_null(model_table_find(lite, "blk.1.attn_q.weight"));
	assert_null(model_table_find(lite, "blk.1.attn_q_b.weight"));
}

#define REFUSED(why, change) PIECES_REFUSED(make_whole, why, change)
#define LITE_REFUSED(why, change) PIECES_REFUSED(make_lite, why, change)

static void
heads_of_low_rank_that_do_not_fit_are_refused(void **state)
{
	REFUSED("kv_lora_rank is missing", set(s, "attention.kv_lora_rank", 0));
	REFUSED("old file", set(s, "attention.key_length_mla", 0));
	REFUSED("old file", set(s, "attention.value_length_mla", 0));
	REFUSED("36 and 32 values are not of rank 64 with 4",
	    set(s, "attention.kv_lora_rank", 64));
	REFUSED("with 6 rotated", set(s, "rope.dimension_count", 6));
	REFUSED("35 and 32", set(s, "attention.key_length", 35));
	REFUSED("36 and 31", set(s, "attention.value_length", 31));
	REFUSED("2 KV heads of rank 32", set(s, "attention.head_count_kv", 2));
	REFUSED("of rank 16", set(s, "attention.kv_lora_rank", 16);
		set(s, "attention.key_length", 20);
		set(s, "attention.value_length", 16));
	REFUSED("4 of 4 values rotated", set(s, "attention.key_length_mla", 4));
	REFUSED("kv_lora_rank", set(s, "attention.kv_lora_rank", 1025));
	REFUSED("attn_q_a.weight", set(s, "attention.q_lora_rank", 8));
	REFUSED("blk.0.attn_q.weight", set(s, "attention.q_lora_rank", 0));
	REFUSED("attn_q_b.weight", set(s, "attention.key_length_mla", 13));
	REFUSED(
	    "blk.0.attn_k_b.weight", pieces_take(s, "blk.0.attn_k_b.weight"));
	REFUSED("attn_v_b.weight", set(s, "attention.value_length_mla", 7));
	REFUSED("blk.1.attn_kv_a_norm.weight",
	    pieces_take(s, "blk.1.attn_kv_a_norm.weight"));
	LITE_REFUSED("blk.0.attn_q_a.weight",
	    pieces_number(s, &plain_hp, "attention.q_lora_rank", 6));
	LITE_REFUSED("without an attention factor", stretch(s, 0));
	LITE_REFUSED("temperature_scale",
	    pieces_real(s, &plain_hp, "attention.temperature_scale", 1));
}

static void
keys_and_values_in_one_tensor_are_refused(void **state)
{
	LITE_REFUSED("blk.1.attn_kv_b.weight: this old file", add_both(s));
}

/* Nor does the engine take them from a parser that says so. */
static void
ranks_of_other_architectures_are_refused(void **state)
{
	static const struct hparams good = { .arch = ARCH_QWEN3,
		.layers = 2,
		.embd = 16,
		.ff = 8,
		.heads = 2,
		.kv_heads = 1,
		.head_k = 8,
		.head_v = 8,
		.rope_dims = 8,
		.vocab = 8,
		.ctx_train = 64,
		.rope_base = 1,
		.rope_scale = 1,
		.expert_scale = 1 };
	struct hparams h[6] = { good, good, good, good, plain_hp, plain_hp };
	struct error err;

	assert_int_equal(model_shape_numbers(&good, &err), 0);
	h[0].kv_rank = 32;
	h[1].q_rank = 6;
	h[2].yarn.log_mul = 0.1f;
	h[3].arch = ARCH_DEEPSEEK2;
	h[4].rope_base = h[4].rope_scale = h[4].expert_scale = 1;
	assert_int_equal(model_shape_numbers(&h[4], &err), 0);
	h[5] = h[4];
	h[4].kv_rank = MODEL_HEAD_MAX;
	h[5].rope_dims = h[5].head_k;
	for (size_t i = 0; i < nitems(h); i++)
		if (model_shape_numbers(&h[i], &err) == 0)
			fail_msg("%zu is taken", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_of_low_rank_are_read),
		cmocka_unit_test(heads_of_low_rank_that_do_not_fit_are_refused),
		cmocka_unit_test(keys_and_values_in_one_tensor_are_refused),
		cmocka_unit_test(ranks_of_other_architectures_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

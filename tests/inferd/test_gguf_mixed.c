/*
 * Models whose layers are of different kinds: a dense one, one with experts,
 * one that is not computed; and what of that does not go together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/inferd/gguf_change.h"

/* A dense layer, one with experts and a shared one, and one for guesses. */
static const struct hparams mixed_hp = { .arch = ARCH_GLM4MOE,
	.layers = 2,
	.idle_layers = 1,
	.embd = 16,
	.ff = 24,
	.heads = 2,
	.kv_heads = 1,
	.head_k = 8,
	.head_v = 8,
	.experts = 4,
	.experts_used = 2,
	.expert_ff = 8,
	.dense_layers = 1,
	.shared_ff = 16,
	.vocab = 8,
	.ctx_train = 64 };

static void
mixed_make(struct pieces *s)
{
	const struct hparams *h = &mixed_hp;

	pieces_make_of(s, h);
	pieces_number(s, h, "feed_forward_length", h->ff);
	pieces_number(s, h, "leading_dense_block_count", h->dense_layers);
	pieces_number(s, h, "expert_shared_count", 2);
	pieces_number(s, h, "nextn_predict_layers", h->idle_layers);
	pieces_number(s, h, "expert_group_count", 2);
	pieces_number(s, h, "expert_group_used_count", 1);
	pieces_number(s, h, "rope.dimension_count", 4);
	pieces_real(s, h, "expert_weights_scale", 2.5f);
	gguf_put_bool(pieces_pair(s, "glm4moe.expert_weights_norm"),
	    "glm4moe.expert_weights_norm", true);
}

static void
layers_of_different_kinds_are_read(void **state)
{
	cleanup_model_table struct model_table *t = NULL, *less = NULL;
	struct pieces *s = xcalloc(1, sizeof(*s));
	uint64_t active, rest;
	struct error err;

	mixed_make(s);
	t = pieces_run(s, &err);
	if (t == NULL)
		fail_msg("%s", err.msg);
	assert_int_equal(t->hp.layers, 2);
	assert_int_equal(t->hp.idle_layers, 1);
	assert_int_equal(t->hp.dense_layers, 1);
	assert_int_equal(t->hp.ff, 24);
	assert_int_equal(t->hp.shared_ff, 16);
	assert_int_equal(t->hp.expert_groups, 2);
	assert_int_equal(t->hp.groups_used, 1);
	assert_int_equal(t->hp.gate, GATE_SIGMOID);
	assert_int_equal(t->hp.rope_dims, 4);
	assert_true(t->hp.expert_norm && t->hp.expert_scale == 2.5f);
	assert_non_null(model_table_find(t, "blk.0.ffn_up.weight"));
	assert_non_null(model_table_find(t, "blk.1.ffn_up_shexp.weight"));
	assert_non_null(model_table_find(t, "blk.2.nextn.eh_proj.weight"));
	/* What is not computed is not read, and need not be there. */
	pieces_take(s, "blk.2.ffn_up_exps.weight");
	pieces_take(s, "blk.2.nextn.hnorm.weight");
	less = pieces_run(s, &err);
	if (less == NULL)
		fail_msg("%s", err.msg);
	assert_true(model_params(less, &rest) < model_params(t, &active));
	assert_int_equal(rest, active);
	assert_int_equal(model_bytes_per_token(less), model_bytes_per_token(t));
	/* One row of the embedding, two of four experts. */
	assert_int_equal(active, 16 + 16 * 8 + 16 + 2 * (16 + 768 + 16) +
				     3 * 16 * 24 + 4 * 17 + 2 * 3 * 16 * 8 +
				     3 * 16 * 16);
	pieces_free(s);
	free(s);
}

#define REFUSED(why, change) PIECES_REFUSED(mixed_make, why, change)

static void
mixed(struct pieces *s, const char *name, uint32_t v)
{
	char key[72];

	snprintf(key, sizeof(key), "glm4moe.%s", name);
	gguf_put_u32(pieces_pair_of(s, key), key, v);
}

static void
layers_of_different_kinds_that_do_not_fit_are_refused(void **state)
{
	REFUSED("3 of 3 layers", mixed(s, "nextn_predict_layers", 3));
	REFUSED("blk.2.attn_k.weight is none", mixed(s, "block_count", 2);
		mixed(s, "nextn_predict_layers", 0));
	REFUSED("nextn", mixed(s, "nextn_predict_layers", 0));
	REFUSED("nextn_predict_layers is 513",
	    mixed(s, "nextn_predict_layers", MODEL_LAYERS_MAX + 1));
	REFUSED("3 of 2 layers are dense",
	    mixed(s, "leading_dense_block_count", 3));
	REFUSED(
	    "blk.1.ffn_gate.weight", mixed(s, "leading_dense_block_count", 2));
	REFUSED("blk.0.ffn_gate_inp.weight",
	    mixed(s, "leading_dense_block_count", 0));
	REFUSED("without a feed-forward length",
	    mixed(s, "feed_forward_length", 0));
	REFUSED("of shape", mixed(s, "feed_forward_length", 32));
	REFUSED("of shape", mixed(s, "expert_shared_count", 1));
	REFUSED("blk.1.ffn_gate_shexp.weight",
	    pieces_take(s, "blk.1.ffn_gate_shexp.weight"));
	REFUSED(
	    "blk.1.exp_probs_b.bias", pieces_take(s, "blk.1.exp_probs_b.bias"));
	REFUSED("shexp", mixed(s, "expert_shared_count", 0));
	REFUSED("of shape",
	    pieces_u32(s, "glm4moe.expert_shared_feed_forward_length", 8));
	REFUSED("groups", mixed(s, "expert_group_count", 3));
	REFUSED("groups", mixed(s, "expert_group_used_count", 3));
	REFUSED("groups", mixed(s, "expert_group_used_count", 0));
	REFUSED("groups", mixed(s, "expert_group_count", 4));
	REFUSED("function 3", pieces_u32(s, "glm4moe.expert_gating_func", 3));
	REFUSED("function 4", pieces_u32(s, "glm4moe.expert_gating_func", 4));
	REFUSED("without experts", mixed(s, "expert_count", 0));
	REFUSED("expert_weights_norm",
	    gguf_put_u32(pieces_pair_of(s, "glm4moe.expert_weights_norm"),
		"glm4moe.expert_weights_norm", 1));
}

/* Nor does the engine take them from a parser that says so. */
static void
parts_that_an_architecture_has_not_are_refused(void **state)
{
	static const struct hparams good = { .arch = ARCH_QWEN3MOE,
		.layers = 2,
		.embd = 16,
		.heads = 2,
		.kv_heads = 1,
		.head_k = 8,
		.head_v = 8,
		.rope_dims = 8,
		.experts = 4,
		.experts_used = 2,
		.expert_ff = 8,
		.vocab = 8,
		.ctx_train = 64,
		.rope_base = 1,
		.rope_scale = 1,
		.expert_scale = 1 };
	struct hparams h[12];
	struct error err;

	assert_int_equal(model_shape_numbers(&good, &err), 0);
	for (size_t i = 0; i < nitems(h); i++)
		h[i] = good;
	h[0].idle_layers = 1;
	h[1].dense_layers = 1;
	h[1].ff = 8;
	h[2].shared_ff = 8;
	h[3].expert_groups = h[3].groups_used = 2;
	h[4].gate = GATE_SIGMOID;
	h[5].gate = GATE_SOFTMAX_CHOSEN;
	h[6].arch = ARCH_GPT_OSS;
	h[7].arch = ARCH_QWEN3;
	h[8].arch = ARCH_GLM4MOE;
	h[8].gate = GATE_SOFTMAX_CHOSEN;
	h[9].groups_used = 1;
	h[10].arch = ARCH_GLM4MOE;
	h[10].idle_layers = MODEL_LAYERS_MAX - 1;
	h[11] = (struct hparams){ .arch = ARCH_QWEN3,
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
	assert_int_equal(model_shape_numbers(&h[11], &err), 0);
	h[11].shared_ff = 8;
	for (size_t i = 0; i < nitems(h); i++)
		if (model_shape_numbers(&h[i], &err) == 0)
			fail_msg("%zu is taken", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_of_different_kinds_are_read),
		cmocka_unit_test(
		    layers_of_different_kinds_that_do_not_fit_are_refused),
		cmocka_unit_test(
		    parts_that_an_architecture_has_not_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

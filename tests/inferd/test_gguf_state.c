/*
 * Models of which some layers keep a state: how their files say so, and what
 * of that does not go together.
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

/* Two layers with a state, one of attention, and again one and one. */
static const struct hparams next_hp = { .arch = ARCH_QWEN3NEXT,
	.layers = 5,
	.embd = 16,
	.heads = 2,
	.kv_heads = 1,
	.head_k = 8,
	.head_v = 8,
	.rope_dims = 4,
	.experts = 4,
	.experts_used = 2,
	.expert_ff = 8,
	.shared_ff = 12,
	.expert_norm = true,
	.delta = { .every = 3,
	    .taps = 4,
	    .key_heads = 2,
	    .heads = 4,
	    .key = 6,
	    .value = 5 },
	.vocab = 8,
	.ctx_train = 64 };

static const char *
key_of(const struct pieces *s, const char *name, char key[72])
{
	const char *arch = "qwen3next";

	for (size_t i = 0; i < s->npairs; i++)
		if (str_starts(s->pair[i].name, "qwen35moe."))
			arch = "qwen35moe";
	snprintf(key, 72, "%s.%s", arch, name);
	return key;
}

static void
set(struct pieces *s, const char *name, uint32_t v)
{
	char key[72];

	key_of(s, name, key);
	gguf_put_u32(pieces_pair_of(s, key), key, v);
}

static void
take_pair(struct pieces *s, const char *name)
{
	char key[72];
	struct piece *p, *last;

	p = pieces_find(s->pair, s->npairs, key_of(s, name, key));
	last = &s->pair[--s->npairs];
	buf_free(&p->b);
	memmove(p, p + 1, (size_t)(last - p) * sizeof(*p));
	memset(last, 0, sizeof(*last));
}

/* An array of numbers, or of truth values in a byte each. */
static void
put(struct pieces *s, const char *name, enum gguf_type of, const uint32_t *v,
    uint32_t n)
{
	char key[72];
	struct buf *b;

	key_of(s, name, key);
	b = pieces_pair(s, key);
	gguf_put_array(b, key, of, n);
	for (uint32_t i = 0; i < n; i++)
		if (of == GGUF_BOOL)
			buf_put_u8(b, (uint8_t)v[i]);
		else
			buf_put_u32(b, v[i]);
}

static void
make(struct pieces *s, const struct hparams *h)
{
	const struct delta_shape *d = &h->delta;

	pieces_make_of(s, h);
	pieces_number(s, h, "full_attention_interval", d->every);
	pieces_number(s, h, "ssm.conv_kernel", d->taps);
	pieces_number(s, h, "ssm.group_count", d->key_heads);
	pieces_number(s, h, "ssm.time_step_rank", d->heads);
	pieces_number(s, h, "ssm.state_size", d->key);
	pieces_number(s, h, "ssm.inner_size", d->heads * d->value);
	pieces_number(s, h, "rope.dimension_count", h->rope_dims);
	pieces_number(s, h, "expert_shared_feed_forward_length", h->shared_ff);
	if (h->idle_layers > 0)
		pieces_number(s, h, "nextn_predict_layers", h->idle_layers);
}

static void
make_next(struct pieces *s)
{
	make(s, &next_hp);
}

static void
make_old(struct pieces *s)
{
	struct hparams h = next_hp;

	h.delta.fused = true;
	make(s, &h);
}

static void
make_35(struct pieces *s)
{
	struct hparams h = next_hp;

	h.arch = ARCH_QWEN35MOE;
	h.idle_layers = 1;
	make(s, &h);
}

static void
layers_with_a_state_are_read(void **state)
{
	cleanup_model_table struct model_table *t =
	    pieces_read(pieces_of(make_next));

	assert_int_equal(t->hp.layers, 5);
	assert_memory_equal(
	    &t->hp.delta, &next_hp.delta, sizeof(next_hp.delta));
	assert_int_equal(t->hp.shared_ff, 12);
	assert_int_equal(t->hp.rope_dims, 4);
	assert_true(t->hp.expert_norm);
	assert_int_equal(t->hp.gate, GATE_SOFTMAX);
	for (uint32_t i = 0; i < 5; i++) {
		char name[64];

		assert_int_equal(model_layer_delta(&t->hp, i), i != 2);
		snprintf(name, sizeof(name), "blk.%u.ssm_conv1d.weight", i);
		assert_int_equal(model_table_find(t, name) != NULL, i != 2);
		snprintf(name, sizeof(name), "blk.%u.attn_k.weight", i);
		assert_int_equal(model_table_find(t, name) != NULL, i == 2);
	}
	assert_int_equal(delta_channels(&t->hp), 2 * 2 * 6 + 4 * 5);
}

static void
old_files_have_one_matrix_for_two(void **state)
{
	cleanup_model_table struct model_table *t =
	    pieces_read(pieces_of(make_old));

	assert_true(t->hp.delta.fused);
	assert_non_null(model_table_find(t, "blk.4.ssm_in.weight"));
	assert_null(model_table_find(t, "blk.4.attn_qkv.weight"));
}

static void
sections_and_layers_for_guesses_are_read(void **state)
{
	static const uint32_t sections[] = { 11, 12, 10, 1 };
	struct pieces *s = pieces_of(make_35);
	cleanup_model_table struct model_table *t = NULL, *plain = NULL;

	plain = pieces_read(pieces_of(make_35));
	put(s, "rope.dimension_sections", GGUF_I32, sections, 4);
	t = pieces_read(s);
	assert_memory_equal(t->hp.rope_sections, sections, sizeof(sections));
	assert_int_equal(plain->hp.rope_sections[0], 0);
	assert_int_equal(t->hp.layers, 5);
	assert_int_equal(t->hp.idle_layers, 1);
	/* the one for guesses is of attention, though it is the sixth */
	assert_non_null(model_table_find(t, "blk.5.attn_q.weight"));
	assert_non_null(model_table_find(t, "blk.5.nextn.eh_proj.weight"));
	assert_non_null(model_table_find(t, "blk.1.ssm_alpha.weight"));
}

static void
an_interval_is_four_and_may_be_said_layer_by_layer(void **state)
{
	static const uint32_t layers[] = { 1, 1, 0, 1, 1 };
	static const enum gguf_type types[] = { GGUF_BOOL, GGUF_I32, GGUF_U32 };
	struct hparams h = next_hp;
	struct pieces *s = xcalloc(1, sizeof(*s));
	cleanup_model_table struct model_table *t = NULL;

	h.delta.every = 4;
	make(s, &h);
	take_pair(s, "full_attention_interval");
	t = pieces_read(s);
	assert_int_equal(t->hp.delta.every, 4);
	for (size_t i = 0; i < nitems(types); i++) {
		s = pieces_of(make_next);
		put(s, "attention.recurrent_layers", types[i], layers, 5);
		model_table_free(pieces_read(s));
	}
}

/* Some converters write the share of the shared expert as a matrix. */
static void
a_vector_may_be_a_matrix_of_one_row(void **state)
{
	static const uint64_t dims[] = { 16, 1 };
	struct pieces *s = pieces_of(make_next);
	cleanup_model_table struct model_table *t = NULL;
	const struct tensor *share;

	pieces_take(s, "blk.1.ffn_gate_inp_shexp.weight");
	pieces_tensor(
	    s, "blk.1.ffn_gate_inp_shexp.weight", TT_F32, 2, dims, s->data);
	s->data += 16 * sizeof(float);
	t = pieces_read(s);
	share = model_table_find(t, "blk.1.ffn_gate_inp_shexp.weight");
	assert_non_null(share);
	assert_int_equal(share->ndims, 2);
}

#define REFUSED(why, change) PIECES_REFUSED(make_next, why, change)
#define REFUSED_35(why, change) PIECES_REFUSED(make_35, why, change)

static void
states_that_do_not_fit_are_refused(void **state)
{
	static const uint32_t other[] = { 1, 0, 1, 1, 1, 1 };

	REFUSED("ssm.conv_kernel is missing", set(s, "ssm.conv_kernel", 0));
	REFUSED("ssm.conv_kernel", set(s, "ssm.conv_kernel", 9));
	REFUSED("over 1 positions", set(s, "ssm.conv_kernel", 1));
	REFUSED("conv1d", set(s, "ssm.conv_kernel", 3));
	REFUSED("ssm.group_count is missing", take_pair(s, "ssm.group_count"));
	REFUSED("4 states share 3 heads", set(s, "ssm.group_count", 3));
	REFUSED("time_step_rank is miss", set(s, "ssm.time_step_rank", 0));
	REFUSED("20 is not of 3 heads", set(s, "ssm.time_step_rank", 3));
	REFUSED("ssm.time_step_rank", set(s, "ssm.time_step_rank", 1025));
	REFUSED("ssm.state_size", set(s, "ssm.state_size", 1025));
	REFUSED("blk.0.attn_qkv.weight", set(s, "ssm.state_size", 5));
	REFUSED("21 is not of 4 heads", set(s, "ssm.inner_size", 21));
	REFUSED("is not of 4 heads", set(s, "ssm.inner_size", 4100));
	REFUSED("blk.0.attn_qkv.weight", set(s, "ssm.inner_size", 24));
	REFUSED("without an interval", set(s, "full_attention_interval", 0));
	REFUSED("without a layer of att", set(s, "full_attention_interval", 6));
	REFUSED(
	    "full_attention_interval", set(s, "full_attention_interval", 513));
	REFUSED("blk.1.attn_q.weight", set(s, "full_attention_interval", 2));
	REFUSED("those between each 3-th",
	    put(s, "attention.recurrent_layers", GGUF_BOOL, other, 5));
	REFUSED("those between each 3-th",
	    put(s, "attention.recurrent_layers", GGUF_I32, other, 2));
	REFUSED("recurrent_layers is no array",
	    pieces_number(s, &next_hp, "attention.recurrent_layers", 1));
	REFUSED(
	    "keys of 8 and values of 4", set(s, "attention.value_length", 4));
	REFUSED("nextn_predict_layers is 1",
	    pieces_number(s, &next_hp, "nextn_predict_layers", 1));
	REFUSED("blk.3.ssm_a", pieces_take(s, "blk.3.ssm_a"));
	REFUSED("blk.0.ssm_ba.weight", pieces_take(s, "blk.0.ssm_ba.weight"));
	REFUSED("blk.2.ffn_gate_inp_shexp.weight",
	    pieces_take(s, "blk.2.ffn_gate_inp_shexp.weight"));
	/* Each layer as the first is. */
	PIECES_REFUSED(
	    make_old, "attn_qkv.weight", pieces_take(s, "blk.0.ssm_in.weight"));
	REFUSED_35(
	    "blk.4.ssm_alpha.weight", pieces_take(s, "blk.4.ssm_alpha.weight"));
	REFUSED_35("is no array", set(s, "rope.dimension_count", 4);
		   pieces_number(s, &(struct hparams){ .arch = ARCH_QWEN35MOE },
		       "rope.dimension_sections", 4));
	REFUSED_35("is not of four",
	    put(s, "rope.dimension_sections", GGUF_I32, other, 3));
	REFUSED_35("is no array of num",
	    put(s, "rope.dimension_sections", GGUF_BOOL, other, 4));
	REFUSED_35(
	    "is out of range", put(s, "rope.dimension_sections", GGUF_I32,
				   (uint32_t[]){ 1, UINT32_MAX, 1, 0 }, 4));
}

/* Nor does the engine take them from a parser that says so. */
static void
states_of_other_architectures_are_refused(void **state)
{
	struct hparams good = next_hp, h[8];
	struct error err;

	good.rope_base = good.rope_scale = good.expert_scale = 1;
	assert_int_equal(model_shape_numbers(&good, &err), 0);
	for (size_t i = 0; i < nitems(h); i++)
		h[i] = good;
	h[0].delta.every = 0;
	h[1].delta.every = 6;
	h[2].delta.taps = 0;
	h[3].delta.key_heads = 3;
	h[4].delta.value = 0;
	h[5].arch = ARCH_QWEN35MOE;
	h[5].delta.fused = true;
	h[6].arch = ARCH_QWEN3MOE;
	h[6].shared_ff = 0;
	h[7].head_v = 16;
	for (size_t i = 0; i < nitems(h); i++)
		if (model_shape_numbers(&h[i], &err) == 0)
			fail_msg("%zu is taken", i);
	h[6].delta.every = 0;
	assert_int_equal(model_shape_numbers(&h[6], &err), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_with_a_state_are_read),
		cmocka_unit_test(old_files_have_one_matrix_for_two),
		cmocka_unit_test(sections_and_layers_for_guesses_are_read),
		cmocka_unit_test(
		    an_interval_is_four_and_may_be_said_layer_by_layer),
		cmocka_unit_test(a_vector_may_be_a_matrix_of_one_row),
		cmocka_unit_test(states_that_do_not_fit_are_refused),
		cmocka_unit_test(states_of_other_architectures_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

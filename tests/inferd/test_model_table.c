/*
 * The table of a model: what its encoder writes its decoder reads, and any
 * number in it that does not hold is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "inferd/model_table.h"

struct fixture {
	struct model_table t;
	struct tensor tensors[2];
	struct vocab_token tokens[3];
	struct vocab_merge merges[1];
	char name[16], a[16], b[16];
};

static void
make(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	strlcpy(f->name, "small", sizeof(f->name));
	strlcpy(f->a, "a.weight", sizeof(f->a));
	strlcpy(f->b, "b.weight", sizeof(f->b));
	f->tensors[0] = (struct tensor){ .name = f->a,
		.type = TT_Q8_0,
		.ndims = 2,
		.dims = { 64, 3, 1, 1 },
		.offset = 4096,
		.bytes = 204 };
	f->tensors[1] = (struct tensor){ .name = f->b,
		.type = TT_F32,
		.ndims = 1,
		.dims = { 8, 1, 1, 1 },
		.offset = 4320,
		.bytes = 32 };
	f->tokens[0] = (struct vocab_token){ "a", 1, 0, TOKEN_NORMAL };
	f->tokens[1] = (struct vocab_token){ "b", 1, -1, TOKEN_NORMAL };
	f->tokens[2] = (struct vocab_token){ "ab", 2, 1, TOKEN_CONTROL };
	f->merges[0] = (struct vocab_merge){ 0, 1, 2 };
	f->t.hp = (struct hparams){ .arch = ARCH_LLAMA,
		.layers = 2,
		.embd = 64,
		.idle_layers = 1,
		.dense_layers = 3,
		.shared_ff = 96,
		.expert_groups = 8,
		.groups_used = 4,
		.gate = GATE_SIGMOID,
		.q_rank = 768,
		.kv_rank = 512,
		.yarn.log_mul = 0.1f,
		.delta = { .every = 4,
		    .taps = 5,
		    .key_heads = 6,
		    .heads = 12,
		    .key = 7,
		    .value = 9,
		    .fused = true },
		.rope_sections = { 11, 12, 10, 3 },
		.streams = { .n = 4,
		    .rounds = 21,
		    .eps = 1e-5f,
		    .out_groups = 5,
		    .out_rank = 96,
		    .index_heads = 13,
		    .index_key = 80,
		    .index_top = 500,
		    .hash_layers = 1,
		    .squeeze_base = 160000,
		    .limit = 9,
		    .shared_limit = 8,
		    .squeeze = { 0, SQUEEZE_MANY, SQUEEZE_FEW } },
		.rms_eps = 1e-5f,
		.rope_base = 10000,
		.rope_scale = 1 };
	f->t.vocab = (struct vocab_table){ .model = "gpt2",
		.pre = "qwen2",
		.n = 3,
		.tokens = f->tokens,
		.nmerges = 1,
		.merges = f->merges,
		.bos = 2,
		.eos = MODEL_NO_TOKEN,
		.eot = MODEL_NO_TOKEN,
		.pad = MODEL_NO_TOKEN,
		.unk = MODEL_NO_TOKEN,
		.add_bos = true };
	f->t.name = f->name;
	f->t.nfiles = 1;
	f->t.ntensors = 2;
	f->t.tensors = f->tensors;
}

static struct model_table *
pass(const struct model_table *t, struct error *err)
{
	struct model_table *out;
	struct buf b;

	buf_init(&b, 0);
	model_table_encode(t, &b);
	err->msg[0] = '\0';
	out = model_table_decode(buf_head(&b), buf_len(&b), err);
	assert_true(out != NULL || err->msg[0] != '\0');
	buf_free(&b);
	return out;
}

static void
table_survives_its_encoding(void **state)
{
	cleanup_model_table struct model_table *t = NULL;
	const struct tensor *a;
	struct fixture f;
	struct error err;

	make(&f);
	t = pass(&f.t, &err);
	assert_non_null(t);
	assert_int_equal(t->hp.arch, ARCH_LLAMA);
	assert_int_equal(t->hp.embd, 64);
	assert_true(t->hp.rope_base == 10000);
	assert_int_equal(t->hp.idle_layers, 1);
	assert_int_equal(t->hp.dense_layers, 3);
	assert_int_equal(t->hp.shared_ff, 96);
	assert_int_equal(t->hp.expert_groups, 8);
	assert_int_equal(t->hp.groups_used, 4);
	assert_int_equal(t->hp.gate, GATE_SIGMOID);
	assert_int_equal(t->hp.q_rank, 768);
	assert_int_equal(t->hp.kv_rank, 512);
	assert_true(t->hp.yarn.log_mul == 0.1f);
	assert_int_equal(t->hp.delta.every, 4);
	assert_int_equal(t->hp.delta.taps, 5);
	assert_int_equal(t->hp.delta.key_heads, 6);
	assert_int_equal(t->hp.delta.heads, 12);
	assert_int_equal(t->hp.delta.key, 7);
	assert_int_equal(t->hp.delta.value, 9);
	assert_true(t->hp.delta.fused);
	assert_memory_equal(
	    &t->hp.streams, &f.t.hp.streams, sizeof(t->hp.streams));
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
		    t->hp.rope_sections[i], f.t.hp.rope_sections[i]);
	assert_string_equal(t->vocab.pre, "qwen2");
	assert_int_equal(t->vocab.n, 3);
	assert_memory_equal(t->vocab.tokens[2].p, "ab", 2);
	assert_true(t->vocab.tokens[1].score == -1);
	assert_int_equal(t->vocab.merges[0].result, 2);
	assert_int_equal(t->vocab.eos, MODEL_NO_TOKEN);
	assert_true(t->vocab.add_bos && !t->vocab.add_eos);
	a = model_table_find(t, "a.weight");
	assert_non_null(a);
	assert_int_equal(a->type, TT_Q8_0);
	assert_int_equal(a->dims[1], 3);
	assert_int_equal(a->bytes, 204);
	assert_null(model_table_find(t, "c.weight"));
}

#define REFUSES(change)                                                        \
	do {                                                                   \
		struct fixture f;                                              \
		struct error err;                                              \
		make(&f);                                                      \
		change;                                                        \
		assert_null(pass(&f.t, &err));                                 \
	} while (0)

static void
wrong_tensors_are_refused(void **state)
{
	REFUSES(f.tensors[0].type = (enum tensor_type)3);
	REFUSES(f.tensors[0].type = (enum tensor_type)77777);
	REFUSES(f.tensors[0].ndims = 0);
	REFUSES(f.tensors[0].ndims = 5);
	REFUSES(f.tensors[0].dims[0] = 65);
	REFUSES(f.tensors[0].dims[0] = 0);
	REFUSES(f.tensors[0].dims[3] = 2);
	REFUSES(f.tensors[0].dims[1] = 1ull << 62);
	REFUSES(f.tensors[0].bytes++);
	REFUSES(f.tensors[0].offset = 4097);
	REFUSES(f.tensors[0].offset = UINT64_MAX - 31);
	REFUSES(f.tensors[0].offset = 4288); /* into the second */
	REFUSES(f.tensors[0].file = 1);
	REFUSES(f.t.nfiles = 0);
	REFUSES(f.t.nfiles = MODEL_FILES_MAX + 1);
	REFUSES(strlcpy(f.a, "c.weight", sizeof(f.a)));
	REFUSES(strlcpy(f.a, "b.weight", sizeof(f.a)));
	REFUSES(strlcpy(f.a, "a/../b", sizeof(f.a)));
	REFUSES(f.a[0] = '\0');
}

static void
wrong_vocabularies_are_refused(void **state)
{
	REFUSES(f.merges[0].result = 3);
	REFUSES(f.merges[0].left = UINT32_MAX);
	REFUSES(f.tokens[1].type = 0);
	REFUSES(f.tokens[1].type = 7);
	REFUSES(f.tokens[1].score = __builtin_nanf(""));
	REFUSES(f.t.vocab.bos = 3);
	REFUSES(f.t.vocab.bos = -2);
}

static void
wrong_numbers_are_refused(void **state)
{
	REFUSES(f.t.hp.arch = ARCH_MAX);
	REFUSES(f.t.hp.delta.every = MODEL_LAYERS_MAX + 1);
	REFUSES(f.t.hp.delta.taps = DELTA_TAPS_MAX + 1);
	REFUSES(f.t.hp.delta.heads = MODEL_HEADS_MAX + 1);
	REFUSES(f.t.hp.delta.key = MODEL_HEAD_MAX + 1);
	REFUSES(f.t.hp.streams.n = STREAMS_MAX + 1);
	REFUSES(f.t.hp.streams.rounds = STREAMS_ROUNDS_MAX + 1);
	REFUSES(f.t.hp.streams.out_groups = MODEL_HEADS_MAX + 1);
	REFUSES(f.t.hp.streams.out_rank = MODEL_EMBD_MAX + 1);
	REFUSES(f.t.hp.streams.index_heads = MODEL_HEADS_MAX + 1);
	REFUSES(f.t.hp.streams.index_key = MODEL_HEAD_MAX + 1);
	REFUSES(f.t.hp.streams.index_top = INDEX_TOP_MAX + 1);
	REFUSES(f.t.hp.streams.hash_layers = MODEL_LAYERS_MAX + 1);
	REFUSES(f.t.hp.streams.limit = -1);
	REFUSES(f.t.hp.streams.squeeze[MODEL_LAYERS_MAX - 1] = 5);
	REFUSES(f.t.hp.rope_sections[2] = UINT32_MAX);
	REFUSES(f.t.hp.layers = MODEL_LAYERS_MAX + 1);
	REFUSES(f.t.hp.embd = UINT32_MAX);
	REFUSES(f.t.hp.idle_layers = MODEL_LAYERS_MAX + 1);
	REFUSES(f.t.hp.dense_layers = MODEL_LAYERS_MAX + 1);
	REFUSES(f.t.hp.shared_ff = MODEL_FF_MAX + 1);
	REFUSES(f.t.hp.expert_groups = MODEL_EXPERTS_MAX + 1);
	REFUSES(f.t.hp.groups_used = UINT32_MAX);
	REFUSES(f.t.hp.gate = GATE_MAX);
	REFUSES(f.t.hp.q_rank = MODEL_EMBD_MAX + 1);
	REFUSES(f.t.hp.kv_rank = MODEL_HEAD_MAX + 1);
	REFUSES(f.t.hp.yarn.log_mul = -1);
	REFUSES(f.t.hp.rms_eps = -1);
	REFUSES(f.t.hp.rope_base = __builtin_inff());
	REFUSES(f.t.template_sha256[0] = 'z');
	REFUSES(strlcpy(f.t.template_sha256, "abc", 65));
	REFUSES(f.name[0] = (char)0xff);
}

static void
no_prefix_of_a_table_is_one(void **state)
{
	struct fixture f;
	struct error err;
	struct buf b;

	make(&f);
	buf_init(&b, 0);
	model_table_encode(&f.t, &b);
	for (size_t n = 0; n < buf_len(&b); n++)
		assert_null(model_table_decode(buf_head(&b), n, &err));
	buf_put_u8(&b, 0);
	assert_null(model_table_decode(buf_head(&b), buf_len(&b), &err));
	buf_free(&b);
}

static void
tensors_beyond_their_file_are_refused(void **state)
{
	uint64_t size = 4352;
	struct fixture f;
	struct error err;

	make(&f);
	assert_int_equal(model_table_fits(&f.t, &size, 1, &err), 0);
	assert_int_equal(model_table_fits(&f.t, &size, 2, &err), -1);
	size--;
	assert_int_equal(model_table_fits(&f.t, &size, 1, &err), -1);
	size = 4000;
	assert_int_equal(model_table_fits(&f.t, &size, 1, &err), -1);
}

static void
sizes_of_types(void **state)
{
	assert_null(tensor_type_info(3));
	assert_null(tensor_type_info(UINT32_MAX));
	assert_string_equal(tensor_type_name(3), "Q4_1");
	assert_string_equal(tensor_type_name(1000), "unknown");
	assert_int_equal(tensor_type_find("q4_k"), TT_Q4_K);
	assert_int_equal(tensor_type_find("Q4_1"), -1);
	assert_int_equal(tensor_row_bytes(TT_Q4_K, 512), 288);
	assert_int_equal(tensor_row_bytes(TT_Q4_K, 128), 0);
	assert_int_equal(tensor_row_bytes(TT_MXFP4, 64), 34);
	assert_int_equal(tensor_row_bytes(TT_F32, UINT64_MAX / 2), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_survives_its_encoding),
		cmocka_unit_test(wrong_tensors_are_refused),
		cmocka_unit_test(wrong_vocabularies_are_refused),
		cmocka_unit_test(wrong_numbers_are_refused),
		cmocka_unit_test(no_prefix_of_a_table_is_one),
		cmocka_unit_test(tensors_beyond_their_file_are_refused),
		cmocka_unit_test(sizes_of_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

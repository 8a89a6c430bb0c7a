/*
 * The reader of model files: a valid file is read, and each of the ways in
 * which one can be wrong is refused with a reason.  Mutations of every field
 * of a small model; none may be taken for a model that it is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/inferd/gguf_change.h"

#define ENDS_MAX (2 * PIECES_MAX)

static unsigned mutations;

/* The model with this change is refused, with WHY in the reason. */
#define REFUSED(why, change)                                                   \
	do {                                                                   \
		PIECES_REFUSED(pieces_make, why, change);                      \
		mutations++;                                                   \
	} while (0)

static void
valid_model_is_read(void **state)
{
	cleanup_model_table struct model_table *t = NULL;
	struct pieces *s = xcalloc(1, sizeof(*s));
	struct error err;
	uint64_t active;

	pieces_make(s);
	t = pieces_run(s, &err);
	if (t == NULL)
		fail_msg("%s", err.msg);
	assert_int_equal(t->hp.arch, ARCH_QWEN3MOE);
	assert_int_equal(t->hp.layers, 2);
	assert_int_equal(t->hp.rope_dims, 8);
	assert_true(t->hp.rope_base == 1e6f && t->hp.rope_scale == 1);
	assert_true(t->hp.expert_norm && t->hp.expert_scale == 1);
	assert_int_equal(t->vocab.n, 8);
	assert_int_equal(t->vocab.merges[1].left, 4);
	assert_int_equal(t->vocab.merges[1].right, 3);
	assert_int_equal(t->vocab.merges[1].result, 5);
	assert_int_equal(t->vocab.eos, 0);
	assert_int_equal(t->vocab.bos, MODEL_NO_TOKEN);
	assert_int_equal(t->vocab.tokens[0].type, TOKEN_CONTROL);
	assert_int_equal(strlen(t->template_sha256), 64);
	assert_string_equal(t->name, "a small one");
	assert_int_equal(t->ntensors, s->ntensors);
	assert_int_equal(
	    model_table_find(t, "blk.1.ffn_up_exps.weight")->dims[2], 2);
	assert_true(model_params(t, &active) > active);
	assert_true(model_bytes_per_token(t) < s->data);
	pieces_free(s);
	free(s);
}

static void
every_truncation_is_refused(void **state)
{
	struct pieces *s = xcalloc(1, sizeof(*s));
	size_t ends[ENDS_MAX], n = 0;
	struct error err;
	struct buf b;

	pieces_make(s);
	pieces_write(s, &b, ends, &n);
	for (size_t i = 0; i < n; i++)
		for (int d = -1; d <= 1; d++) {
			mutations++;
			assert_null(gguf_run(
			    buf_head(&b), ends[i] + (size_t)d, false, &err));
		}
	for (size_t i = 0; i < 32; i++) {
		mutations++;
		assert_null(gguf_run(buf_head(&b), i, false, &err));
	}
	/* Without the last byte of the data. */
	mutations++;
	assert_null(gguf_run(buf_head(&b), buf_len(&b) - 1, false, &err));
	buf_free(&b);
	pieces_free(s);
	free(s);
}

static void
every_missing_tensor_is_named(void **state)
{
	struct pieces *base = xcalloc(1, sizeof(*base));

	pieces_make(base);
	for (size_t i = 0; i < base->ntensors; i++) {
		char name[72];

		strlcpy(name, base->tensor[i].name, sizeof(name));
		if (strcmp(name, "output.weight") == 0)
			continue;
		REFUSED(name, {
			buf_free(&s->tensor[i].b);
			memmove(&s->tensor[i], &s->tensor[i + 1],
			    (s->ntensors - i - 1) * sizeof(s->tensor[0]));
			s->ntensors--;
			memset(
			    &s->tensor[s->ntensors], 0, sizeof(s->tensor[0]));
		});
		/* Twice is as bad. */
		REFUSED("twice", {
			struct buf *p = &s->tensor[s->ntensors++].b;

			buf_init(p, 0);
			buf_put(p, buf_head(&s->tensor[i].b),
			    buf_len(&s->tensor[i].b));
		});
	}
	pieces_free(base);
	free(base);
}

/* Rewrites tensor NAME with what is given. */
static void
tensor(struct pieces *s, const char *name, uint32_t type, uint32_t ndims,
    uint64_t d0, uint64_t d1, uint64_t offset)
{
	const uint64_t dims[8] = { d0, d1, 1, 1, 1, 1, 1, 1 };
	struct buf *b = &pieces_find(s->tensor, s->ntensors, name)->b;

	buf_clear(b);
	gguf_put_tensor(b, name, type, ndims, dims, offset);
}

static void
wrong_tensors_are_refused(void **state)
{
	static const uint64_t huge[] = { 0, (1ull << 32) + 1, 1ull << 62,
		UINT64_MAX };

	REFUSED("Q4_1", tensor(s, "output.weight", 3, 2, 16, 8, 0));
	REFUSED("IQ3_XXS", tensor(s, "output.weight", 18, 2, 16, 8, 0));
	REFUSED("type unknown (4096)",
	    tensor(s, "output.weight", 4096, 2, 16, 8, 0));
	REFUSED("type unknown (4294967295)",
	    tensor(s, "output.weight", UINT32_MAX, 2, 16, 8, 0));
	REFUSED(
	    "no multiple", tensor(s, "output.weight", TT_Q8_0, 2, 16, 8, 0));
	REFUSED("F32 is needed",
	    tensor(s, "output_norm.weight", TT_F16, 1, 16, 1, 0));
	REFUSED("0 dimensions", tensor(s, "output.weight", 0, 0, 16, 8, 0));
	REFUSED("5 dimensions", tensor(s, "output.weight", 0, 5, 16, 8, 0));
	REFUSED("4294967295 dimensions", {
		tensor(s, "output.weight", 0, 2, 16, 8, 0);
		struct buf *b =
		    &pieces_find(s->tensor, s->ntensors, "output.weight")->b;
		buf_patch_u32(b, 8 + strlen("output.weight"), UINT32_MAX);
	});
	REFUSED("of shape", tensor(s, "output.weight", 0, 2, 16, 7, 0));
	REFUSED("of shape", tensor(s, "output.weight", 0, 1, 16, 1, 0));
	REFUSED("of shape", tensor(s, "output.weight", 0, 3, 16, 8, 0));
	REFUSED("of shape", tensor(s, "output.weight", 0, 2, 8, 16, 0));
	REFUSED("not aligned", tensor(s, "output.weight", 0, 2, 16, 8, 4));
	REFUSED("not aligned", tensor(s, "output.weight", 0, 2, 16, 8, 16));
	REFUSED("overlap", tensor(s, "output.weight", 0, 2, 16, 8, 0));
	REFUSED("overlap", tensor(s, "output.weight", 0, 2, 16, 8, 32));
	REFUSED("end of the file",
	    tensor(s, "output.weight", 0, 2, 16, 8, s->data));
	REFUSED("end of the file",
	    tensor(s, "output.weight", 0, 2, 16, 8, 1ull << 40));
	REFUSED("end of the file",
	    tensor(s, "output.weight", 0, 2, 16, 8, UINT64_MAX - 31));
	for (size_t i = 0; i < nitems(huge); i++) {
		REFUSED("dimension 0",
		    tensor(s, "output.weight", 0, 2, huge[i], 8, 0));
		REFUSED("dimension 1",
		    tensor(s, "output.weight", 0, 2, 16, huge[i], 0));
	}
	REFUSED("too large",
	    tensor(s, "output.weight", 0, 2, 1ull << 32, 1ull << 32, 0));
}

static void
wrong_tensor_names_are_refused(void **state)
{
	static const uint64_t dims[] = { 8 };
	char longest[MODEL_NAME_MAX + 8];

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	REFUSED(
	    "none that qwen3moe has",
	    pieces_tensor(s, "blk.0.attn_sinks.weight", 0, 1, dims, s->data);
	    s->data += 32);
	REFUSED("none that qwen3moe has",
		pieces_tensor(s, "blk.2.attn_norm.weight", 0, 1, dims, s->data);
		s->data += 32);
	REFUSED("none that qwen3moe has",
		pieces_tensor(s, "../../secret", 0, 1, dims, s->data);
		s->data += 32);
	REFUSED("none that qwen3moe has",
		pieces_tensor(s, "blk.x", 0, 1, dims, s->data);
		s->data += 32);
	REFUSED(
	    "none that qwen3moe has", pieces_tensor(s, "", 0, 1, dims, s->data);
	    s->data += 32);
	REFUSED(
	    "convert the model anew",
	    pieces_tensor(s, "blk.0.ffn_gate.1.weight", 0, 1, dims, s->data);
	    s->data += 32);
	REFUSED("a tensor's name of 71 bytes",
		pieces_tensor(s, longest, 0, 1, dims, s->data);
		s->data += 32);
	REFUSED("byte 0", pieces_tensor(s, "a_name", 0, 1, dims, s->data);
		s->data += 32;
		buf_patch_u32(&s->tensor[s->ntensors - 1].b, 8, 0x616e0061));
}

/* Every number of the architecture, with values that it cannot have. */
static void
wrong_numbers_are_refused(void **state)
{
	static const struct {
		const char *key;
		uint32_t v[4];
	} bad[] = {
		{ "qwen3moe.block_count", { 0, 3, 513, UINT32_MAX } },
		{ "qwen3moe.context_length",
		    { 0, (1u << 27) + 1, UINT32_MAX, 0 } },
		{ "qwen3moe.embedding_length", { 0, 15, 65537, UINT32_MAX } },
		{ "qwen3moe.attention.head_count", { 0, 3, 1025, UINT32_MAX } },
		{ "qwen3moe.attention.head_count_kv", { 0, 2, 3, UINT32_MAX } },
		{ "qwen3moe.attention.key_length", { 0, 7, 1025, UINT32_MAX } },
		{ "qwen3moe.attention.value_length",
		    { 0, 9, 1025, UINT32_MAX } },
		{ "qwen3moe.expert_count", { 0, 1, 3, UINT32_MAX } },
		{ "qwen3moe.expert_used_count", { 0, 3, 1025, UINT32_MAX } },
		{ "qwen3moe.expert_feed_forward_length",
		    { 9, 16, (1u << 20) + 1, UINT32_MAX } },
		{ "general.alignment", { 0, 48, 4, 128u << 10 } },
		{ "tokenizer.ggml.eos_token_id",
		    { 8, 9, 1u << 31, UINT32_MAX - 1 } },
	};

	for (size_t i = 0; i < nitems(bad); i++)
		for (size_t k = 0; k < nitems(bad[i].v); k++)
			REFUSED("", gguf_put_u32(pieces_pair_of(s, bad[i].key),
					bad[i].key, bad[i].v[k]));
}

/* Every pair in turn with a value of another kind, or not there. */
static void
wrong_kinds_are_refused(void **state)
{
	struct pieces *base = xcalloc(1, sizeof(*base));

	pieces_make(base);
	for (size_t i = 0; i < base->npairs; i++) {
		const char *key = base->pair[i].name;

		if (strcmp(key, "general.name") == 0 ||
		    strcmp(key, "tokenizer.chat_template") == 0)
			continue;
		if (strcmp(key, "tokenizer.ggml.eos_token_id") != 0) {
			REFUSED("", {
				struct buf *b = pieces_pair_of(s, key);

				gguf_put_array(b, key, GGUF_U64, 1);
				buf_put_u64(b, 1);
			});
			REFUSED("", {
				struct buf *b = pieces_pair_of(s, key);

				gguf_put_array(b, key, GGUF_ARRAY, 0);
			});
		}
		REFUSED("unknown type 13", {
			struct buf *b = pieces_pair_of(s, key);

			gguf_put_u32(b, key, 1);
			buf_patch_u32(b, 8 + strlen(key), 13);
		});
		REFUSED("twice", {
			struct buf *b = pieces_pair(s, key);

			gguf_put_u32(b, key, 1);
		});
		REFUSED("a key of", {
			struct buf *b = pieces_pair_of(s, key);

			gguf_put_u32(b, key, 1);
			buf_patch_u32(b, 0, UINT32_MAX);
		});
	}
	pieces_free(base);
	free(base);
}

static void
reals_that_are_not_finite_are_refused(void **state)
{
	static const char *const keys[] = { "qwen3moe.rope.freq_base",
		"qwen3moe.attention.layer_norm_rms_epsilon" };
	const float bad[] = { __builtin_nanf(""), __builtin_inff(),
		-__builtin_inff(), -1 };

	for (size_t i = 0; i < nitems(keys); i++)
		for (size_t k = 0; k < nitems(bad); k++)
			REFUSED("", gguf_put_f32(pieces_pair_of(s, keys[i]),
					keys[i], bad[k]));
	REFUSED("score of token 3", {
		struct buf *b = pieces_pair_of(s, "tokenizer.ggml.scores");

		gguf_put_array(b, "tokenizer.ggml.scores", GGUF_F32, 8);
		for (int i = 0; i < 8; i++)
			gguf_put_real(b, i == 3 ? bad[0] : 0);
	});
	REFUSED(
	    "range", gguf_put_f32(pieces_pair_of(s, "qwen3moe.rope.freq_base"),
			 "qwen3moe.rope.freq_base", 0));
}

static void
huge_counts_are_refused(void **state)
{
	static const uint64_t counts[] = { 1000, 5000, 1u << 22, 1u << 23,
		1ull << 32, 1ull << 61, UINT64_MAX };
	static const enum gguf_type kinds[] = { GGUF_U8, GGUF_F32, GGUF_U64,
		GGUF_STRING, GGUF_ARRAY, (enum gguf_type)99 };

	for (size_t i = 0; i < nitems(counts); i++) {
		for (size_t k = 0; k < nitems(kinds); k++)
			REFUSED("", gguf_put_array(pieces_pair(s, "some.array"),
					"some.array", kinds[k], counts[i]));
		for (size_t at = 8; at <= 16; at += 8) {
			struct pieces *s = xcalloc(1, sizeof(*s));
			struct error err;
			struct buf b;

			pieces_make(s);
			pieces_write(s, &b, NULL, NULL);
			buf_patch_u32(&b, at, (uint32_t)counts[i]);
			buf_patch_u32(&b, at + 4, (uint32_t)(counts[i] >> 32));
			mutations++;
			assert_null(
			    gguf_run(buf_head(&b), buf_len(&b), false, &err));
			buf_free(&b);
			pieces_free(s);
			free(s);
		}
	}
}

/* [[[...]]], deep levels of one member each. */
static void
nest(struct pieces *s, unsigned deep)
{
	struct buf *b = pieces_pair(s, "some.array");

	gguf_put_array(b, "some.array", GGUF_ARRAY, 1);
	for (unsigned i = 2; i < deep; i++) {
		buf_put_u32(b, GGUF_ARRAY);
		buf_put_u64(b, 1);
	}
	buf_put_u32(b, GGUF_U8);
	buf_put_u64(b, 1);
	buf_put_u8(b, 1);
}

static void
nested_arrays_have_a_limit(void **state)
{
	struct pieces *deepest = xcalloc(1, sizeof(*deepest));
	struct model_table *t;
	struct error err;

	for (unsigned deep = GGUF_NESTING_MAX + 1; deep < 40; deep += 5)
		REFUSED("nested", nest(s, deep));
	REFUSED("nested", nest(s, 10000));
	pieces_make(deepest);
	nest(deepest, GGUF_NESTING_MAX);
	t = pieces_run(deepest, &err);
	if (t == NULL)
		fail_msg("%s", err.msg);
	model_table_free(t);
	pieces_free(deepest);
	free(deepest);
}

static void
strings_have_limits(void **state)
{
	char *big = xmalloc(GGUF_STRING_MAX + 2);

	memset(big, 'y', GGUF_STRING_MAX + 1);
	big[GGUF_STRING_MAX + 1] = '\0';
	REFUSED("a string of 1048577 bytes",
	    gguf_put_str(pieces_pair(s, "some.text"), "some.text", big));
	big[GGUF_KEY_MAX + 1] = '\0';
	REFUSED(
	    "a key of 257 bytes", gguf_put_u32(pieces_pair(s, "x"), big, 1));
	REFUSED("a key is empty", gguf_put_u32(pieces_pair(s, "x"), "", 1));
	REFUSED("byte 32", gguf_put_u32(pieces_pair(s, "x"), "a b", 1));
	REFUSED("byte 10", gguf_put_u32(pieces_pair(s, "x"), "a\n", 1));
	REFUSED("byte 255", gguf_put_u32(pieces_pair(s, "x"), "\xff", 1));
	REFUSED("too long",
	    gguf_put_str(pieces_pair_of(s, "tokenizer.ggml.pre"),
		"tokenizer.ggml.pre", "a-very-long-name-of-a-pre-tokeniser"));
	free(big);
}

static void
wrong_vocabularies_are_refused(void **state)
{
	REFUSED(
	    "'bert'", gguf_put_str(pieces_pair_of(s, "tokenizer.ggml.model"),
			  "tokenizer.ggml.model", "bert"));
	REFUSED("merge 0 ('a z')", {
		struct buf *b = pieces_pair_of(s, "tokenizer.ggml.merges");

		gguf_put_array(b, "tokenizer.ggml.merges", GGUF_STRING, 1);
		gguf_put_text(b, "a z", 3);
	});
	REFUSED("merge 0 ('b a')", {
		struct buf *b = pieces_pair_of(s, "tokenizer.ggml.merges");

		gguf_put_array(b, "tokenizer.ggml.merges", GGUF_STRING, 1);
		gguf_put_text(b, "b a", 3);
	});
	REFUSED("merge 0", {
		struct buf *b = pieces_pair_of(s, "tokenizer.ggml.merges");

		gguf_put_array(b, "tokenizer.ggml.merges", GGUF_STRING, 1);
		gguf_put_text(b, "", 0);
	});
	REFUSED("no merges", {
		struct buf *b = pieces_pair_of(s, "tokenizer.ggml.merges");

		gguf_put_array(b, "tokenizer.ggml.merge", GGUF_STRING, 0);
	});
	REFUSED("7 types", {
		struct buf *b = pieces_pair_of(s, "tokenizer.ggml.token_type");

		gguf_put_array(b, "tokenizer.ggml.token_type", GGUF_I32, 7);
		for (int i = 0; i < 7; i++)
			buf_put_u32(b, 1);
	});
	REFUSED("unknown type 7", {
		struct buf *b = pieces_pair_of(s, "tokenizer.ggml.token_type");

		gguf_put_array(b, "tokenizer.ggml.token_type", GGUF_I32, 8);
		for (int i = 0; i < 8; i++)
			buf_put_u32(b, 7);
	});
	REFUSED("of shape", {
		struct buf *b = pieces_pair_of(s, "tokenizer.ggml.model");

		/* Without a tokeniser the size still must be the tensors'. */
		gguf_put_str(b, "tokenizer.ggml.model", "none");
		b = pieces_pair_of(s, "tokenizer.ggml.tokens");
		gguf_put_array(b, "tokenizer.ggml.tokens", GGUF_STRING, 1);
		gguf_put_text(b, "a", 1);
	});
	REFUSED("token 0 has 1025 bytes", {
		struct buf *b = pieces_pair_of(s, "tokenizer.ggml.tokens");
		char *text = xcalloc(1, MODEL_TOKEN_MAX + 1);

		gguf_put_array(b, "tokenizer.ggml.tokens", GGUF_STRING, 1);
		gguf_put_text(b, text, MODEL_TOKEN_MAX + 1);
		free(text);
	});
}

static void
what_is_not_computed_here_is_refused(void **state)
{
	REFUSED("architecture 'mamba'",
	    gguf_put_str(pieces_pair_of(s, "general.architecture"),
		"general.architecture", "mamba"));
	REFUSED("architecture ''",
	    gguf_put_str(pieces_pair_of(s, "general.architecture"),
		"general.architecture", ""));
	REFUSED("expert_shared_count is 1",
	    pieces_u32(s, "qwen3moe.expert_shared_count", 1));
	REFUSED("leading_dense_block_count is 3",
	    pieces_u32(s, "qwen3moe.leading_dense_block_count", 3));
	REFUSED("function 2", pieces_u32(s, "qwen3moe.expert_gating_func", 2));
	REFUSED("'longrope'",
	    gguf_put_str(pieces_pair(s, "qwen3moe.rope.scaling.type"),
		"qwen3moe.rope.scaling.type", "longrope"));
	REFUSED("original_context_length",
	    gguf_put_str(pieces_pair(s, "qwen3moe.rope.scaling.type"),
		"qwen3moe.rope.scaling.type", "yarn"));
	REFUSED("by layer", {
		struct buf *b =
		    pieces_pair_of(s, "qwen3moe.attention.head_count_kv");

		gguf_put_array(
		    b, "qwen3moe.attention.head_count_kv", GGUF_U32, 2);
		buf_put_u32(b, 1);
		buf_put_u32(b, 1);
	});
	REFUSED("-00001-of-00003.gguf", pieces_u32(s, "split.count", 3));
	REFUSED("file 2 of 1", {
		pieces_u32(s, "split.count", 1);
		pieces_u32(s, "split.no", 1);
	});
	REFUSED(
	    "tensors in all files", pieces_u32(s, "split.tensors.count", 7));
}

static void
other_formats_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint32_t v;
		const char *why;
	} heads[] = {
		{ 0, 0x46475547, "no GGUF file" },
		{ 0, 0, "no GGUF file" },
		{ 4, 0, "version 0" },
		{ 4, 1, "version 1" },
		{ 4, 2, "version 2" },
		{ 4, 4, "version 4" },
		{ 4, 0x03000000, "big-endian" },
	};

	for (size_t i = 0; i < nitems(heads); i++) {
		struct pieces *s = xcalloc(1, sizeof(*s));
		struct error err;
		struct buf b;

		pieces_make(s);
		pieces_write(s, &b, NULL, NULL);
		buf_patch_u32(&b, heads[i].at, heads[i].v);
		mutations++;
		assert_null(gguf_run(buf_head(&b), buf_len(&b), false, &err));
		assert_non_null(strstr(err.msg, heads[i].why));
		buf_free(&b);
		pieces_free(s);
		free(s);
	}
}

/*
 * Any byte of the head replaced: what is still taken has a table that holds
 * (gguf_run() checked it), and every tensor can be read to its end.
 */
static void
any_byte_may_change(void **state)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct pieces *s = xcalloc(1, sizeof(*s));
	size_t ends[ENDS_MAX], n = 0, taken = 0;
	struct buf b;

	pieces_make(s);
	pieces_write(s, &b, ends, &n);
	for (size_t i = 0; i < ends[n - 1]; i++)
		for (size_t k = 0; k < nitems(values); k++) {
			uint8_t *p = buf_head(&b), was = p[i];
			struct model_table *t;
			struct error err;

			if (was == values[k])
				continue;
			p[i] = values[k];
			err.msg[0] = '\0';
			mutations++;
			t = gguf_run(p, buf_len(&b), false, &err);
			p[i] = was;
			assert_true(t != NULL || err.msg[0] != '\0');
			taken += t != NULL;
			for (size_t j = 0; t != NULL && j < t->ntensors; j++)
				assert_true(t->tensors[j].offset +
						t->tensors[j].bytes <=
					    buf_len(&b));
			model_table_free(t);
		}
	/* Names, scores and such may be anything. */
	assert_true(taken > 0);
	buf_free(&b);
	pieces_free(s);
	free(s);
}

static void
there_were_three_hundred_mutations(void **state)
{
	print_message("# %u mutations\n", mutations);
	assert_true(mutations >= 300);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_model_is_read),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(every_missing_tensor_is_named),
		cmocka_unit_test(wrong_tensors_are_refused),
		cmocka_unit_test(wrong_tensor_names_are_refused),
		cmocka_unit_test(wrong_numbers_are_refused),
		cmocka_unit_test(wrong_kinds_are_refused),
		cmocka_unit_test(reals_that_are_not_finite_are_refused),
		cmocka_unit_test(huge_counts_are_refused),
		cmocka_unit_test(nested_arrays_have_a_limit),
		cmocka_unit_test(strings_have_limits),
		cmocka_unit_test(wrong_vocabularies_are_refused),
		cmocka_unit_test(what_is_not_computed_here_is_refused),
		cmocka_unit_test(other_formats_are_refused),
		cmocka_unit_test(any_byte_may_change),
		cmocka_unit_test(there_were_three_hundred_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

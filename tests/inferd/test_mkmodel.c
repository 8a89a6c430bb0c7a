/*
 * Models of random weights: their values lie as far apart as they should, and
 * their vocabularies make tokens of text and text of tokens.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "inferd/mkmodel.h"
#include "inferd/model_load.h"
#include "inferd/quant.h"
#include "inferd/tok.h"

static char dir[] = "/tmp/brig-mkmodel-XXXXXX";

static struct model *
make(const struct mkmodel *k)
{
	cleanup_free char *path = xasprintf("%s/m.gguf", dir);
	const struct model_opts opts = { .scan = true };
	struct model *m;
	struct error err;

	if (mkmodel_write(k, path, &err) < 0 ||
	    (m = model_open(path, &opts, &err)) == NULL) {
		fail_msg("%s", err.msg);
		return NULL;
	}
	unlink(path);
	return m;
}

static double
deviation(const struct tensor *t)
{
	size_t n = t->dims[0] * t->dims[1] * t->dims[2];
	cleanup_free float *x = xcalloc(n, sizeof(*x));
	size_t row = tensor_row_bytes(t->type, t->dims[0]);
	double sum = 0;

	for (size_t i = 0; i < n / t->dims[0]; i++)
		dequant_row(t->type, (const uint8_t *)t->data + i * row,
		    &x[i * t->dims[0]], t->dims[0]);
	for (size_t i = 0; i < n; i++)
		sum += (double)x[i] * (double)x[i];
	return sqrt(sum / (double)n);
}

static void
weights_are_spread_as_they_should(void **state)
{
	for (uint32_t type = 0; type < TT_MAX; type++) {
		cleanup_model struct model *m = NULL;
		struct mkmodel k;
		double d;

		if (tensor_type_info(type) == NULL || type == TT_I32)
			continue;
		mkmodel_init(&k);
		k.hp.layers = 1;
		for (size_t i = CLASS_EMBD; i < MKMODEL_CLASSES; i++)
			k.type[i] = (enum tensor_type)type;
		m = make(&k);
		d = deviation(model_tensor(m, "blk.0.attn_q.weight"));
		if (fabs(d * 16 - 1) > 0.1)
			fail_msg("%s: %f", tensor_type_name(type), d * 16);
		d = deviation(model_tensor(m, "blk.0.ffn_up_exps.weight"));
		assert_true(fabs(d * 16 - 1) <= 0.1);
		d = deviation(model_tensor(m, "token_embd.weight"));
		assert_true(fabs(d - 1) <= 0.1);
	}
}

static void
text_survives(enum mkmodel_vocab kind, uint32_t n, size_t most)
{
	static const char text[] = "the sound of it\n, caf\xc3\xa9 42 for that";
	cleanup_tok_ids struct tok_ids ids = { 0 };
	cleanup_model struct model *m = NULL;
	cleanup_buf struct buf out = { 0 };
	struct tok_stream stream;
	struct mkmodel k;
	struct error err;
	struct tok *t;

	mkmodel_init(&k);
	k.hp.layers = 1;
	k.hp.vocab = n;
	k.vocab = kind;
	m = make(&k);
	t = tok_new(&model_table(m)->vocab, &err);
	if (t == NULL)
		fail_msg("%s", err.msg);
	assert_int_equal(tok_encode(t, text, strlen(text), false, &ids), 0);
	assert_true(ids.n > 0 && ids.n <= most);
	buf_init(&out, 0);
	tok_stream_init(&stream, t, true);
	for (size_t i = 0; i < ids.n; i++)
		tok_stream_push(&stream, ids.id[i], &out);
	tok_stream_end(&stream, &out);
	assert_int_equal(buf_len(&out), strlen(text));
	assert_memory_equal(buf_head(&out), text, strlen(text));
	tok_free(t);
}

static void
vocabularies_make_tokens_and_text(void **state)
{
	text_survives(MKMODEL_BPE, MKMODEL_BPE_MIN, 100);
	text_survives(MKMODEL_BPE, 2048, 22);
	text_survives(MKMODEL_BPE, 30000, 20);
	text_survives(MKMODEL_SPM, 2048, 30);
}

static int
begin(void **state)
{
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
end(void **state)
{
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_are_spread_as_they_should),
		cmocka_unit_test(vocabularies_make_tokens_and_text),
	};

	return cmocka_run_group_tests(tests, begin, end);
}

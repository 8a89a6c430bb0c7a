/*
 * Models whose logits another engine has computed: llama.cpp's, in
 * shared/models beside the project.  Where they are not, nothing is claimed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "base/compat.h"
#include "base/str.h"
#include "inferd/model_load.h"
#include "inferd/quant.h"
#include "tests/inferd/reference.h"

#define KLD_MEDIAN 0.019 /* what llama.cpp reaches on such a model */

static char *
path_of(const char *name, const char *suffix)
{
	const char *dir = getenv("BRIG_MODELS");
	const char *src = getenv("BRIG_SRCDIR");

	if (dir != NULL)
		return xasprintf("%s/%s%s", dir, name, suffix);
	return xasprintf(
	    "%s/../shared/models/%s%s", src == NULL ? "." : src, name, suffix);
}

static bool
is_there(const char *name)
{
	char *path = path_of(name, ".gguf");
	bool there = access(path, R_OK) == 0;

	free(path);
	return there;
}

static void
read_logits(const char *name, struct logits *l)
{
	char *path = path_of(name, ".logits");

	logits_read(path, l);
	free(path);
}

static struct model *
open_model(const char *name)
{
	struct error err = { 0 };
	char *path = path_of(name, ".gguf");
	struct model *m = model_open(path, NULL, &err);

	if (m == NULL)
		fail_msg("%s", err.msg);
	free(path);
	return m;
}

/* Every logit within `within` of the largest, and the same token on top. */
static void
equals(const char *name, enum tensor_type kv, double within)
{
	struct error err = { 0 };
	struct model *m;
	struct net *net;
	struct logits l;
	struct likeness like;
	float *got;

	if (!is_there(name)) {
		print_message("%s is not here\n", name);
		skip();
	}
	m = open_model(name);
	net = net_new(model_table(m), &err);
	assert_non_null(net);
	read_logits(name, &l);
	got = logits_of(net, &l, kv);
	like = logits_compare(l.value, got, l.n, l.vocab);
	assert_true(like.difference <= within);
	assert_int_equal(like.same, l.n);
	free(got);
	logits_free(&l);
	net_free(net);
	model_close(m);
}

static void
qwen3moe_equals(void **state)
{
	equals("arch/qwen3moe", TT_F32, 1e-5);
	equals("arch/qwen3moe", TT_F16, 1e-3);
}

static void
llama_with_experts_equals(void **state)
{
	equals("arch/llama", TT_F32, 1e-5);
	equals("arch/llama", TT_F16, 1e-3);
}

static void
olmoe_equals(void **state)
{
	equals("arch/olmoe", TT_F32, 1e-5);
	equals("arch/olmoe", TT_F16, 1e-3);
}

static void
gpt_oss_equals(void **state)
{
	equals("arch/gpt-oss", TT_F32, 1e-5);
	equals("arch/gpt-oss", TT_F16, 1e-3);
}

static void
trained_weights_equal(void **state)
{
	equals("real/stories260K-moe8", TT_F32, 1e-5);
	equals("real/stories260K-moe8", TT_F16, 1e-3);
}

/* ---- quantised weights, beside the floats that they stand for ----------- */

static struct model_table *
floats_of(const struct model_table *t)
{
	struct model_table *f = xmemdup(t, sizeof(*t));

	f->tensors = xcalloc(t->ntensors, sizeof(*t->tensors));
	for (size_t i = 0; i < t->ntensors; i++) {
		const struct tensor *x = &t->tensors[i];
		const size_t cols = x->dims[0];
		const size_t rows = x->dims[1] * x->dims[2];
		float *data = xcalloc(rows * cols, sizeof(*data));

		for (size_t r = 0; r < rows; r++)
			dequant_row(x->type,
			    (const uint8_t *)x->data +
				r * tensor_row_bytes(x->type, cols),
			    &data[r * cols], cols);
		f->tensors[i] = *x;
		f->tensors[i].type = TT_F32;
		f->tensors[i].data = data;
	}
	return f;
}

static void
free_floats(struct model_table *f)
{
	for (size_t i = 0; i < f->ntensors; i++) {
		union {
			const void *in;
			void *out;
		} data = { f->tensors[i].data };

		free(data.out);
	}
	free(f->tensors);
	free(f);
}

static double
median_divergence(const char *name)
{
	struct error err = { 0 };
	struct model *m = open_model(name);
	struct model_table *f = floats_of(model_table(m));
	struct net *net = net_new(model_table(m), &err),
		   *plain = net_new(f, &err);
	struct likeness like;
	struct logits l;
	float *got, *want;

	assert_true(net != NULL && plain != NULL);
	read_logits(name, &l);
	got = logits_of(net, &l, TT_F32);
	want = logits_of(plain, &l, TT_F32);
	like = logits_compare(want, got, l.n, l.vocab);
	print_message("%s: median KLD %.5f, same top token %d of %d\n", name,
	    like.median, like.same, l.n);
	free(got);
	free(want);
	logits_free(&l);
	net_free(net);
	net_free(plain);
	free_floats(f);
	model_close(m);
	return like.median;
}

static void
quantised_weights_lose_no_more_than_elsewhere(void **state)
{
	static const char *const names[] = { "quant/qwen3moe-Q4_K",
		"quant/qwen3moe-Q6_K", "quant/qwen3moe-Q8_0",
		"real/stories260K-moe8-q8" };

	if (!is_there(names[0])) {
		print_message("%s is not here\n", names[0]);
		skip();
	}
	for (size_t i = 0; i < nitems(names); i++)
		assert_true(median_divergence(names[i]) <= KLD_MEDIAN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qwen3moe_equals),
		cmocka_unit_test(llama_with_experts_equals),
		cmocka_unit_test(olmoe_equals),
		cmocka_unit_test(gpt_oss_equals),
		cmocka_unit_test(trained_weights_equal),
		cmocka_unit_test(quantised_weights_lose_no_more_than_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

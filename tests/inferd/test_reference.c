/*
 * Models whose logits another engine has computed: llama.cpp's, in
 * shared/models beside the project.  Where they are not, nothing is claimed.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/compat.h"
#include "base/fdutil.h"
#include "base/str.h"
#include "inferd/model_load.h"
#include "inferd/quant.h"
#include "inferd/run.h"

#define FILE_MAX (64u << 20)
#define KLD_MEDIAN 0.019 /* what llama.cpp reaches on such a model */

struct logits {
	int32_t n, vocab;
	int32_t *token;
	float *value; /* [n][vocab] */
};

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

/* "LOGITS1", n, vocab, n tokens, n x vocab logits; little-endian. */
static void
read_logits(const char *name, struct logits *l)
{
	char *path = path_of(name, ".logits");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf b;
	const uint8_t *p;

	assert_true(fd >= 0);
	buf_init(&b, 0);
	assert_int_equal(fd_read_all(fd, &b, FILE_MAX), 0);
	p = buf_head(&b);
	if (p == NULL || buf_len(&b) < 16 || memcmp(p, "LOGITS1", 8) != 0)
		fail_msg("%s: not logits", path);
	memcpy(&l->n, p + 8, 4);
	memcpy(&l->vocab, p + 12, 4);
	l->token = xmemdup(p + 16, (size_t)l->n * 4);
	l->value = xmemdup(
	    p + 16 + (size_t)l->n * 4, (size_t)l->n * (size_t)l->vocab * 4);
	buf_free(&b);
	close(fd);
	free(path);
}

static void
free_logits(struct logits *l)
{
	free(l->token);
	free(l->value);
}

static float *
compute(const struct net *net, const struct logits *l, enum tensor_type kv)
{
	struct pool *pool = pool_new(2);
	struct kv_pool *pages = kv_pool_new(&net->hp, kv, SIZE_MAX);
	struct kv_seq *s = kv_seq_new(pages);
	struct run *run = run_new(net, pool, kv, (size_t)l->n);
	struct row *rows = xcalloc((size_t)l->n, sizeof(*rows));
	float *out = xcalloc((size_t)l->n * (size_t)l->vocab, sizeof(*out));

	assert_int_equal(net->hp.vocab, (uint32_t)l->vocab);
	assert_int_equal(kv_seq_reserve(s, (uint32_t)l->n), 0);
	for (int32_t i = 0; i < l->n; i++)
		rows[i] =
		    (struct row){ s, (uint32_t)i, (uint32_t)l->token[i], true };
	run_rows(run, rows, (size_t)l->n, out);
	free(rows);
	run_free(run);
	kv_seq_free(s);
	kv_pool_free(pages);
	pool_free(pool);
	return out;
}

static int32_t
top(const float *x, int32_t n)
{
	int32_t best = 0;

	for (int32_t i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	return best;
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
	double most = 0;
	float *got;

	if (!is_there(name)) {
		print_message("%s is not here\n", name);
		skip();
	}
	m = open_model(name);
	net = net_new(model_table(m), &err);
	assert_non_null(net);
	read_logits(name, &l);
	got = compute(net, &l, kv);
	for (int32_t i = 0; i < l.n * l.vocab; i++)
		most = fmax(most, fabs((double)l.value[i]));
	for (int32_t i = 0; i < l.n * l.vocab; i++)
		assert_true(
		    fabs((double)got[i] - (double)l.value[i]) <= within * most);
	for (int32_t i = 0; i < l.n; i++)
		assert_int_equal(top(&got[i * l.vocab], l.vocab),
		    top(&l.value[i * l.vocab], l.vocab));
	free(got);
	free_logits(&l);
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
log_sum(const float *x, int32_t n, float most)
{
	double sum = 0;

	for (int32_t i = 0; i < n; i++)
		sum += exp((double)x[i] - (double)most);
	return log(sum) + (double)most;
}

/* Kullback-Leibler divergence of b's distribution from a's. */
static double
divergence(const float *a, const float *b, int32_t n)
{
	const double la = log_sum(a, n, a[top(a, n)]);
	const double lb = log_sum(b, n, b[top(b, n)]);
	double sum = 0;

	for (int32_t i = 0; i < n; i++) {
		const double p = (double)a[i] - la, q = (double)b[i] - lb;

		sum += exp(p) * (p - q);
	}
	return sum;
}

static int
ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct quality {
	double median;
	int32_t same, n;
};

static struct quality
quality(const char *name)
{
	struct error err = { 0 };
	struct model *m = open_model(name);
	struct model_table *f = floats_of(model_table(m));
	struct net *net = net_new(model_table(m), &err),
		   *plain = net_new(f, &err);
	struct quality q = { 0 };
	struct logits l;
	float *got, *want;
	double *kld;

	assert_true(net != NULL && plain != NULL);
	read_logits(name, &l);
	got = compute(net, &l, TT_F32);
	want = compute(plain, &l, TT_F32);
	kld = xcalloc((size_t)l.n, sizeof(*kld));
	q.n = l.n;
	for (int32_t i = 0; i < l.n; i++) {
		const float *w = &want[i * l.vocab], *g = &got[i * l.vocab];

		kld[i] = divergence(w, g, l.vocab);
		q.same += top(w, l.vocab) == top(g, l.vocab);
	}
	qsort(kld, (size_t)l.n, sizeof(*kld), ascending);
	q.median = kld[l.n / 2];
	print_message("%s: median KLD %.5f, same top token %d of %d\n", name,
	    q.median, q.same, q.n);
	free(kld);
	free(got);
	free(want);
	free_logits(&l);
	net_free(net);
	net_free(plain);
	free_floats(f);
	model_close(m);
	return q;
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
		assert_true(quality(names[i]).median <= KLD_MEDIAN);
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

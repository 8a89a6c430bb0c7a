/*
 * Steering: what it does to a row, that it does so to no other, and what is
 * refused.
 */
#include "inferd/steer.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "inferd/gguf_write.h"
#include "inferd/run.h"
#include "tests/inferd/tiny.h"

#define BUDGET (64u << 20)
#define POSITIONS 40u

struct file {
	const char *arch;
	const char *name; /* of the second tensor */
	uint32_t type;
	uint64_t n; /* numbers */
	float value;
};

/* direction.1 along the first axes, the second tensor as it says. */
static void
make(struct buf *b, const struct file *f)
{
	cleanup_buf struct buf data = { 0 };
	uint64_t i;

	gguf_put_head(b, 2, 1);
	gguf_put_str(b, "general.architecture", f->arch);
	gguf_put_tensor(b, "direction.1", 0, 1, &f->n, 0);
	for (i = 0; i < f->n; i++)
		gguf_put_real(&data, i % 3 == 0 ? 0.5f : -0.25f);
	gguf_put_padding(&data, 32);
	gguf_put_tensor(b, f->name, f->type, 1, &f->n, buf_len(&data));
	for (i = 0; i < f->n; i++)
		gguf_put_real(&data, f->value);
	gguf_put_padding(&data, 32);
	gguf_put_padding(b, 32);
	buf_put(b, buf_head(&data), buf_len(&data));
}

static int
add(struct steers *s, const struct file *f, float strength, bool project,
    struct error *err)
{
	cleanup_buf struct buf b = { 0 };

	make(&b, f);
	return steers_add_bytes(s, "terse", "x.gguf", buf_head(&b), buf_len(&b),
	    strength, project, err);
}

static void
a_direction_is_added_or_taken_out(void **state)
{
	const struct hparams hp = { .layers = 3, .embd = 8 };
	const struct file f = { "controlvector", "direction.2", 0, 8, 2 };
	struct steers *s = steers_new(&hp);
	struct error err = { 0 };
	float h[8], was[8], dot = 0, left = 0;
	int i;

	(void)state;
	assert_null(steers_find(NULL, "terse"));
	assert_null(steers_find(s, "terse"));
	assert_int_equal(add(s, &f, 0.5f, false, &err), 0);
	for (i = 0; i < 8; i++)
		h[i] = was[i] = (float)i;
	steer_apply(steers_find(s, "terse"), 0, h);
	assert_memory_equal(h, was, sizeof(h));
	steer_apply(steers_find(s, "terse"), 2, h);
	for (i = 0; i < 8; i++)
		assert_true(h[i] == was[i] + 1);
	steers_free(s);

	s = steers_new(&hp);
	assert_int_equal(add(s, &f, 1, true, &err), 0);
	for (i = 0; i < 8; i++) {
		h[i] = was[i];
		dot += was[i] * (i % 3 == 0 ? 0.5f : -0.25f);
	}
	assert_true(fabsf(dot) > 0.1f);
	steer_apply(steers_find(s, "terse"), 1, h);
	for (i = 0; i < 8; i++)
		left += h[i] * (i % 3 == 0 ? 0.5f : -0.25f);
	assert_true(fabsf(left) < 1e-5f);
	steers_free(s);
}

static void
several_streams_are_not_steered(void **state)
{
	const struct hparams hp = { .layers = 3, .embd = 8, .streams.n = 4 };
	const struct file f = { "controlvector", "direction.2", 0, 8, 2 };
	struct steers *s = steers_new(&hp);
	struct error err = { 0 };

	(void)state;
	assert_int_equal(add(s, &f, 0.5f, false, &err), -1);
	assert_non_null(strstr(err.msg, "several residual streams"));
	steers_free(s);
}

static void
what_is_no_direction_is_refused(void **state)
{
	static const struct {
		struct file f;
		const char *why;
	} cases[] = {
		{ { "llama", "direction.2", 0, 8, 1 },
		    "not a file of control" },
		{ { "controlvector", "direction.3", 0, 8, 1 }, "direction.3" },
		{ { "controlvector", "direction.1", 0, 8, 1 }, "direction.1" },
		{ { "controlvector", "direction.-1", 0, 8, 1 },
		    "no direction" },
		{ { "controlvector", "token_embd", 0, 8, 1 }, "token_embd" },
		{ { "controlvector", "direction.2", 0, 9, 1 },
		    "not 8 numbers" },
		{ { "controlvector", "direction.2", 1, 8, 1 }, "F32" },
		{ { "controlvector", "direction.2", 0, 8, NAN }, "a number" },
		{ { "controlvector", "direction.2", 0, 8, INFINITY },
		    "a number" },
	};
	static const char *const specs[] = { "terse", "=x", "a b=x", "t=/",
		"t=/nothing/here", "t=", "" };
	const struct hparams hp = { .layers = 3, .embd = 8 };
	const struct file good = { "controlvector", "direction.2", 0, 8, 1 };
	const struct file zero = { "controlvector", "direction.2", 0, 8, 0 };
	struct steers *s = steers_new(&hp);
	cleanup_buf struct buf b = { 0 };
	struct error err;
	size_t i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(add(s, &cases[i].f, 1, false, &err), -1);
		if (strstr(err.msg, cases[i].why) == NULL)
			fail_msg("%zu: %s", i, err.msg);
	}
	/* Nothing long cannot be made one long. */
	assert_int_equal(add(s, &zero, 1, true, &err), -1);
	for (i = 0; i < nitems(specs); i++) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(steers_add(s, specs[i], &err), -1);
		assert_true(err.msg[0] != '\0');
	}
	make(&b, &good);
	for (i = 0; i < buf_len(&b); i++) {
		struct steers *one = steers_new(&hp);

		if (steers_add_bytes(
			one, "c", "x", buf_head(&b), i, 1, false, &err) == 0)
			fail_msg("cut at %zu of %zu", i, buf_len(&b));
		steers_free(one);
	}
	assert_null(steers_find(s, "terse"));
	steers_free(s);
}

static void
a_file_is_named_with_its_strength(void **state)
{
	char path[] = "/tmp/steer:XXXXXX";
	const struct hparams hp = { .layers = 3, .embd = 8 };
	const struct file f = { "controlvector", "direction.2", 0, 8, 1 };
	static const struct {
		const char *more;
		float h;
	} cases[] = { { "", 1 }, { ":0.5", 0.5f }, { ":-2", -2 },
		/* Of eight ones: all of the direction goes. */
		{ ":project", -1 }, { ":0.5:project", -0.5f } };
	cleanup_buf struct buf b = { 0 };
	struct error err = { 0 };
	int fd = mkstemp(path);
	size_t i, k;

	(void)state;
	make(&b, &f);
	assert_true(fd >= 0);
	assert_int_equal(
	    write(fd, buf_head(&b), buf_len(&b)), (ssize_t)buf_len(&b));
	close(fd);
	for (i = 0; i < nitems(cases); i++) {
		cleanup_free char *spec =
		    xasprintf("quiet=%s%s", path, cases[i].more);
		struct steers *s = steers_new(&hp);
		float h[8];

		if (steers_add(s, spec, &err) < 0)
			fail_msg("%s", err.msg);
		for (k = 0; k < 8; k++)
			h[k] = 1;
		steer_apply(steers_find(s, "quiet"), 2, h);
		for (k = 0; k < 8; k++)
			assert_true(fabsf(h[k] - 1 - cases[i].h) < 1e-5f);
		steers_free(s);
	}
	unlink(path);
}

struct world {
	struct net *net;
	struct run *run;
	struct kv_pool *kv;
	float *logits;
};

/* Two texts, side by side in one batch or not; logits of the last rows. */
static void
go(struct world *w, const struct steer *first, const struct steer *second,
    bool together, float *a, float *b)
{
	const size_t bytes = w->net->hp.vocab * sizeof(float);
	struct kv_seq *s = kv_seq_new(w->kv), *t = kv_seq_new(w->kv);
	struct row rows[2 * POSITIONS];
	uint32_t i, n = 0;

	assert_int_equal(kv_seq_reserve(s, POSITIONS), 0);
	assert_int_equal(kv_seq_reserve(t, POSITIONS), 0);
	kv_seq_steer(s, first);
	kv_seq_steer(t, second);
	for (i = 0; i < POSITIONS; i++)
		rows[n++] = (struct row){ .seq = s,
			.pos = i,
			.token = (i * 37 + 5) % TINY_VOCAB,
			.want = i + 1 == POSITIONS };
	if (!together) {
		run_rows(w->run, rows, n, a);
		n = 0;
	}
	for (i = 0; i < POSITIONS; i++)
		rows[n++] = (struct row){ .seq = t,
			.pos = i,
			.token = (i * 41 + 3) % TINY_VOCAB,
			.want = i + 1 == POSITIONS };
	if (!together) {
		run_rows(w->run, rows, n, b);
	} else {
		run_rows(w->run, rows, n, w->logits);
		memcpy(a, w->logits, bytes);
		memcpy(b, w->logits + w->net->hp.vocab, bytes);
	}
	kv_seq_free(s);
	kv_seq_free(t);
}

static void
steered_rows_are_the_same_in_any_company(void **state)
{
	const size_t bytes = TINY_VOCAB * sizeof(float);
	struct model_table *t = tiny_new(ARCH_QWEN3MOE, TT_Q8_0, 8, 5);
	float plain[2][TINY_VOCAB], have[2][TINY_VOCAB], two[2][TINY_VOCAB];
	struct error err = { 0 };
	struct world w;
	struct steers *s;
	const struct steer *c;
	unsigned threads;

	(void)state;
	w.net = net_new(t, &err);
	assert_non_null(w.net);
	s = steers_new(&w.net->hp);
	const struct file f = { "controlvector", "direction.2", 0,
		w.net->hp.embd, 0.125f };
	assert_int_equal(add(s, &f, 1, false, &err), 0);
	assert_int_equal(add(s, &f, 0.75f, true, &err), 0);
	c = steers_find(s, "terse");
	w.logits = xcalloc(2 * TINY_VOCAB, sizeof(*w.logits));
	for (threads = 1; threads <= 2; threads++) {
		struct pool *pool = pool_new(threads);

		w.kv = kv_pool_new(&w.net->hp, TT_F16, BUDGET);
		w.run = run_new(w.net, pool, TT_F16, 2 * POSITIONS);
		go(&w, NULL, NULL, false, plain[0], plain[1]);
		go(&w, c, NULL, false, have[0], have[1]);
		assert_memory_not_equal(have[0], plain[0], bytes);
		assert_memory_equal(have[1], plain[1], bytes);
		if (threads > 1)
			assert_memory_equal(have[0], two[0], bytes);
		go(&w, c, NULL, true, two[0], two[1]);
		assert_memory_equal(two, have, sizeof(two));
		go(&w, c, c, true, two[0], two[1]);
		assert_memory_equal(two[0], have[0], bytes);
		assert_memory_not_equal(two[1], plain[1], bytes);
		run_free(w.run);
		kv_pool_free(w.kv);
		pool_free(pool);
	}
	free(w.logits);
	steers_free(s);
	net_free(w.net);
	tiny_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_direction_is_added_or_taken_out),
		cmocka_unit_test(several_streams_are_not_steered),
		cmocka_unit_test(what_is_no_direction_is_refused),
		cmocka_unit_test(a_file_is_named_with_its_strength),
		cmocka_unit_test(steered_rows_are_the_same_in_any_company),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What a model with a state says when it goes on from what was kept of a
 * prompt, in memory or on disk, is to the last bit what it says to the whole.
 */
#include "inferd/prefix.h"

#include "inferd/run.h"
#include "tests/inferd/kvdisk_world.h"
#include "tests/inferd/tiny.h"

#define ANNA 1u
#define LONG 300u
#define KEPT 256u
#define PLENTY (64u << 20)

struct engine {
	struct model_table *t;
	struct net *net;
	struct pool *pool;
	struct kv_pool *kv;
	struct run *run;
	struct prefix_cache *c;
};

static void
engine_start(
    struct engine *e, struct world *w, enum arch arch, enum tensor_type type)
{
	struct error err = { 0 };

	e->t = tiny_new(arch, TT_Q8_0, 8, 3);
	e->net = net_new(e->t, &err);
	assert_non_null(e->net);
	e->pool = pool_new(2);
	e->kv = kv_pool_new(&e->net->hp, type, PLENTY);
	e->run = run_new(e->net, e->pool, type, LONG);
	w->o.page_bytes = kv_page_bytes(e->kv);
	w->o.state_bytes = kv_state_bytes(e->kv);
	w->o.budget = PLENTY;
	w->o.model = arch_name(arch);
	open_disk(w);
	e->c = prefix_new(e->kv, PLENTY, w->d);
	prefix_name(e->c, ANNA, "anna");
}

static void
engine_stop(struct engine *e)
{
	prefix_free(e->c);
	run_free(e->run);
	assert_int_equal(kv_pool_used(e->kv), 0);
	kv_pool_free(e->kv);
	pool_free(e->pool);
	net_free(e->net);
	tiny_free(e->t);
}

static int32_t
token(uint32_t pos)
{
	return (int32_t)((pos * 37 + pos / 7 * 11) % TINY_VOCAB);
}

/* Positions [from, to) of the prompt, by so many; their logits. */
static void
compute(struct engine *e, struct kv_seq *s, uint32_t from, uint32_t to,
    uint32_t step, float *logits)
{
	struct row rows[LONG];

	assert_int_equal(kv_seq_reserve(s, to), 0);
	while (from < to) {
		uint32_t n = 0;

		for (; n < step && from < to; n++, from++)
			rows[n] = (struct row){ s, from, (uint32_t)token(from),
				true };
		run_rows(e->run, rows, n, logits);
		logits += n * TINY_VOCAB;
	}
}

static bool
goes_on(struct engine *e, const int32_t *ids, const float *want, bool from_disk)
{
	const size_t rest = (LONG - KEPT) * TINY_VOCAB;
	float *got = xcalloc(rest, sizeof(*got));
	struct prefix_hit hit;
	struct kv_seq *s = prefix_find(e->c, ANNA, ids, LONG, &hit);
	bool same;

	assert_int_equal(hit.n, KEPT);
	assert_int_equal(hit.from_disk, from_disk);
	compute(e, s, KEPT, LONG, 7, got);
	same = memcmp(got, want + KEPT * TINY_VOCAB, rest * sizeof(*got)) == 0;
	kv_seq_free(s);
	free(got);
	return same;
}

static void
check_arch(struct world *w, enum arch arch, enum tensor_type type)
{
	float *want = xcalloc(LONG * TINY_VOCAB, sizeof(*want));
	float *got = xcalloc(LONG * TINY_VOCAB, sizeof(*got));
	int32_t ids[LONG];
	struct engine e;
	struct kv_seq *s;

	for (uint32_t i = 0; i < LONG; i++)
		ids[i] = token(i);
	engine_start(&e, w, arch, type);
	s = kv_seq_new(e.kv);
	compute(&e, s, 0, LONG, LONG, want);
	kv_seq_free(s);
	s = kv_seq_new(e.kv);
	compute(&e, s, 0, KEPT, 50, got);
	assert_int_equal(kv_seq_mark(s), 0);
	prefix_keep(e.c, ANNA, ids, KEPT, s);
	compute(&e, s, KEPT, LONG, 50, got + KEPT * TINY_VOCAB);
	assert_memory_equal(got, want, LONG * TINY_VOCAB * sizeof(*got));
	kv_seq_free(s);
	assert_true(goes_on(&e, ids, want, false));
	assert_true(goes_on(&e, ids, want, false));
	engine_stop(&e);
	engine_start(&e, w, arch, type);
	assert_true(goes_on(&e, ids, want, true));
	assert_true(goes_on(&e, ids, want, false));
	engine_stop(&e);
	free(want);
	free(got);
}

static void
a_kept_beginning_gives_what_the_whole_gives(void **state)
{
	check_arch(*state, ARCH_QWEN3NEXT, TT_F16);
	check_arch(*state, ARCH_QWEN35MOE, TT_Q8_0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_kept_beginning_gives_what_the_whole_gives, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * A model with a state goes on only from where its state was kept, with that
 * very state: from memory, and from disk after a restart.
 */
#include "inferd/prefix.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inferd/kvdisk.h"
#include "tests/inferd/kvdisk_world.h"

#define ANNA 1u
#define BERT 2u
#define LONG 1000u
#define PLENTY (16u << 20)
#define STATE 512u

/* A track of keys, and one whose state is a sum over all tokens so far. */
static const struct kv_shape shapes[] = {
	{ .heads = 1, .key = 32, .value = 32 },
	{ .state = STATE },
};

struct engine {
	struct kv_pool *kv;
	struct kvdisk *d;
	struct prefix_cache *c;
	size_t page;
};

/* budget: bytes for what is remembered. */
static void
engine_start(struct engine *e, struct world *w, size_t budget, bool disk)
{
	struct error err = { 0 };

	kvdisk_close(w->d);
	w->d = NULL;
	e->kv = kv_pool_of(shapes, nitems(shapes), TT_F16, PLENTY);
	e->page = kv_page_bytes(e->kv);
	e->d = NULL;
	assert_int_equal(kv_state_bytes(e->kv), STATE);
	w->o.page_bytes = e->page;
	w->o.state_bytes = STATE;
	w->o.budget = PLENTY;
	if (disk) {
		e->d = kvdisk_open(&w->o, &err);
		assert_non_null(e->d);
	}
	e->c = prefix_new(e->kv, budget, e->d);
	prefix_name(e->c, ANNA, "anna");
	prefix_name(e->c, BERT, "bert");
}

static void
engine_stop(struct engine *e)
{
	prefix_free(e->c);
	assert_int_equal(kv_pool_used(e->kv), 0);
	kv_pool_free(e->kv);
	kvdisk_close(e->d);
}

static void
text(int32_t ids[LONG], uint32_t which)
{
	for (uint32_t i = 0; i < LONG; i++)
		ids[i] = (int32_t)((i * 31 + which * 7 + i / 9) % 997);
}

static uint32_t
step(uint32_t sum, int32_t id)
{
	return (sum ^ (uint32_t)id) * 16777619u + 1;
}

static uint32_t
sum_of(const int32_t *ids, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum = step(sum, ids[i]);
	return sum;
}

/* What a layer would do with ids[n], the state being that of n tokens. */
static void
compute(struct kv_seq *s, const int32_t *ids, uint32_t n)
{
	uint32_t *sum = kv_state(s, 1), stands;

	assert_true(kv_seq_stands(s, &stands));
	assert_int_equal(stands, n);
	kv_seq_enter(s);
	for (size_t i = 0; i < STATE / sizeof(*sum); i++)
		sum[i] = step(sum[i], ids[n]);
	kv_rows(s, 0, 0, n / KV_PAGE).keys[n % KV_PAGE] = (uint8_t)(ids[n] + 1);
	kv_seq_leave(s, n + 1);
}

/* All that s has of the first n is what computing it would have left. */
static void
verify(const struct kv_seq *s, const int32_t *ids, uint32_t n)
{
	const uint32_t *sum = kv_state(s, 1);
	uint32_t stands;

	assert_true(kv_seq_stands(s, &stands));
	assert_int_equal(stands, n);
	for (size_t i = 0; i < STATE / sizeof(*sum); i++)
		assert_int_equal(sum[i], sum_of(ids, n));
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(
		    kv_rows(s, 0, 0, i / KV_PAGE).keys[i % KV_PAGE],
		    (uint8_t)(ids[i] + 1));
}

/* A prompt of n tokens, marked behind `at` of them (0: nowhere); what of it was
 * known. */
static struct prefix_hit
ask(struct engine *e, uint32_t space, const int32_t *ids, uint32_t n,
    uint32_t at)
{
	struct prefix_hit hit;
	struct kv_seq *s = prefix_find(e->c, space, ids, n, &hit);

	assert_int_equal(kv_seq_reserve(s, n), 0);
	verify(s, ids, hit.n);
	for (uint32_t i = hit.n; i < n; i++) {
		compute(s, ids, i);
		if (i + 1 == at) {
			assert_int_equal(kv_seq_mark(s), 0);
			prefix_keep(e->c, space, ids, i + 1, s);
		}
	}
	prefix_keep(e->c, space, ids, n, s);
	kv_seq_free(s);
	return hit;
}

static uint32_t
known(struct engine *e, uint32_t space, const int32_t *ids, uint32_t n)
{
	struct prefix_hit hit;
	struct kv_seq *s = prefix_find(e->c, space, ids, n, &hit);

	assert_int_equal(kv_seq_reserve(s, n), 0);
	verify(s, ids, hit.n);
	kv_seq_free(s);
	return hit.n;
}

static void
it_goes_on_where_a_state_was_kept_and_nowhere_else(void **state)
{
	struct engine e;
	int32_t one[LONG], two[LONG];

	engine_start(&e, *state, PLENTY, false);
	text(one, 1);
	text(two, 1);
	/* Without a mark there is nothing. */
	assert_int_equal(ask(&e, ANNA, one, 300, 0).n, 0);
	assert_int_equal(prefix_bytes(e.c, ANNA), 0);
	assert_int_equal(ask(&e, ANNA, one, 300, 256).n, 0);
	assert_int_equal(prefix_bytes(e.c, ANNA), 4 * e.page + STATE);
	assert_int_equal(known(&e, ANNA, one, LONG), 256);
	assert_int_equal(known(&e, ANNA, one, 257), 256);
	/* One row is to be computed, and from 192 on nobody can go. */
	assert_int_equal(known(&e, ANNA, one, 256), 0);
	assert_int_equal(known(&e, BERT, one, LONG), 0);
	assert_int_equal(ask(&e, ANNA, one, 700, 640).n, 256);
	assert_int_equal(known(&e, ANNA, one, 640), 256);
	assert_int_equal(known(&e, ANNA, one, 641), 640);
	/* Another way from the middle. */
	two[400] ^= 1;
	assert_int_equal(ask(&e, ANNA, two, 600, 576).n, 256);
	assert_int_equal(known(&e, ANNA, two, LONG), 576);
	assert_int_equal(known(&e, ANNA, one, LONG), 640);
	/* In the middle of what is there. */
	assert_int_equal(prefix_bytes(e.c, ANNA), 13 * e.page + 3 * STATE);
	two[200] ^= 1;
	assert_int_equal(ask(&e, ANNA, two, 256, 128).n, 0);
	assert_int_equal(prefix_bytes(e.c, ANNA), 13 * e.page + 4 * STATE);
	assert_int_equal(known(&e, ANNA, two, LONG), 128);
	engine_stop(&e);
}

static void
what_is_public_is_for_all_to_go_on_from(void **state)
{
	struct engine e;
	struct prefix_hit hit;
	int32_t ids[LONG], other[LONG];

	engine_start(&e, *state, PLENTY, false);
	text(ids, 1);
	text(other, 1);
	other[250] ^= 1;
	ask(&e, PREFIX_PUBLIC, ids, 200, 192);
	hit = ask(&e, ANNA, ids, 500, 448);
	assert_int_equal(hit.n, 192);
	assert_true(hit.public);
	/* Its pages cost her nothing. */
	assert_int_equal(prefix_bytes(e.c, ANNA), 4 * e.page + STATE);
	assert_int_equal(known(&e, ANNA, ids, LONG), 448);
	assert_int_equal(known(&e, BERT, ids, LONG), 192);
	assert_int_equal(known(&e, BERT, other, LONG), 192);
	engine_stop(&e);
}

static void
states_count_and_the_oldest_go(void **state)
{
	struct engine e;
	int32_t ids[LONG];
	size_t most;

	engine_start(&e, *state, PLENTY, false);
	most = 10 * e.page + 3 * STATE;
	engine_stop(&e);
	engine_start(&e, *state, most, false);
	for (uint32_t i = 0; i < 20; i++) {
		text(ids, i);
		ask(&e, ANNA, ids, 200, 192);
		assert_true(prefix_bytes(e.c, ANNA) <= most);
		assert_true(kv_pool_used(e.kv) <= most);
		assert_int_equal(known(&e, ANNA, ids, LONG), 192);
	}
	text(ids, 0);
	assert_int_equal(known(&e, ANNA, ids, LONG), 0);
	/* One that is too long is not kept in part. */
	text(ids, 30);
	ask(&e, ANNA, ids, LONG, 960);
	assert_int_equal(known(&e, ANNA, ids, LONG), 0);
	prefix_trim(e.c, ANNA, 0);
	assert_int_equal(kv_pool_used(e.kv), 0);
	engine_stop(&e);
}

static void
a_restart_goes_on_from_disk(void **state)
{
	struct world *w = *state;
	struct engine e;
	struct prefix_hit hit;
	int32_t one[LONG], two[LONG], all[LONG];

	text(one, 1);
	text(two, 1);
	two[400] ^= 1;
	text(all, 9);
	engine_start(&e, w, PLENTY, true);
	ask(&e, ANNA, one, 700, 320);
	ask(&e, ANNA, one, 700, 640);
	ask(&e, PREFIX_PUBLIC, all, 200, 128);
	engine_stop(&e);
	assert_int_equal(files(w), 10 + 2 + 2 + 1);

	engine_start(&e, w, PLENTY, true);
	assert_int_equal(known(&e, ANNA, two, LONG), 320);
	hit = ask(&e, ANNA, one, LONG, 960);
	assert_int_equal(hit.n, 640);
	assert_true(hit.from_disk);
	assert_int_equal(known(&e, BERT, one, LONG), 0);
	hit = ask(&e, BERT, all, 300, 256);
	assert_int_equal(hit.n, 128);
	assert_true(hit.from_disk);
	engine_stop(&e);

	/* What has no room in memory goes to disk, too. */
	engine_start(&e, w, 3 * e.page, true);
	assert_int_equal(known(&e, ANNA, one, LONG), 960);
	text(two, 5);
	ask(&e, ANNA, two, LONG, 960);
	engine_stop(&e);
	engine_start(&e, w, PLENTY, true);
	assert_int_equal(known(&e, ANNA, two, LONG), 960);
	engine_stop(&e);
}

/* The sizes of pages and states differ: spoil all files of one size. */
static size_t
spoil(struct world *w, size_t n)
{
	size_t spoilt = 0;

	files(w);
	for (size_t i = 0; i < npaths; i++) {
		struct stat st;
		int fd = open(paths[i], O_RDWR);

		assert_true(fd >= 0 && fstat(fd, &st) == 0);
		if ((size_t)st.st_size == 12 + TOKENS * 4 + n + 16) {
			assert_int_equal(pwrite(fd, "spoilt", 6, 400), 6);
			spoilt++;
		}
		close(fd);
	}
	return spoilt;
}

static void
a_state_that_is_not_right_was_never_there(void **state)
{
	struct world *w = *state;
	struct engine e;
	int32_t ids[LONG];

	text(ids, 1);
	engine_start(&e, w, PLENTY, true);
	ask(&e, ANNA, ids, 700, 640);
	engine_stop(&e);
	assert_int_equal(spoil(w, STATE), 1);
	engine_start(&e, w, PLENTY, true);
	assert_int_equal(known(&e, ANNA, ids, LONG), 0);
	assert_int_equal(files(w), 10);
	/* It is computed and written anew; the pages are still good. */
	assert_int_equal(ask(&e, ANNA, ids, 700, 640).n, 0);
	engine_stop(&e);
	assert_int_equal(files(w), 11);
	engine_start(&e, w, PLENTY, true);
	assert_int_equal(known(&e, ANNA, ids, LONG), 640);
	engine_stop(&e);
	/* And without its pages a state is of no use. */
	assert_int_equal(spoil(w, e.page), 10);
	engine_start(&e, w, PLENTY, true);
	assert_int_equal(known(&e, ANNA, ids, LONG), 0);
	engine_stop(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    it_goes_on_where_a_state_was_kept_and_nowhere_else, start,
		    end),
		cmocka_unit_test_setup_teardown(
		    what_is_public_is_for_all_to_go_on_from, start, end),
		cmocka_unit_test_setup_teardown(
		    states_count_and_the_oldest_go, start, end),
		cmocka_unit_test_setup_teardown(
		    a_restart_goes_on_from_disk, start, end),
		cmocka_unit_test_setup_teardown(
		    a_state_that_is_not_right_was_never_there, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

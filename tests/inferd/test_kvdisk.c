/*
 * What is on disk comes back to the agent that it is of, whole, or not at all.
 */
#include "inferd/kvdisk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "inferd/kvdisk_int.h"
#include "inferd/prefix.h"
#include "tests/inferd/kvdisk_world.h"
#include "tests/inferd/tiny.h"

static void
pages_come_back_after_a_restart(void **state)
{
	struct world *w = *state;
	struct kvdisk_space *s = space(w, "anna");

	save(w, s, 0, PAGES);
	save(w, s, 0, PAGES);
	assert_int_equal(files(w), PAGES);
	for (uint32_t p = 0; p < PAGES; p++)
		assert_true(has(w, s, p));
	open_disk(w);
	assert_int_equal(kvdisk_bytes(w->d), PAGES * FILE_BYTES);
	s = space(w, "anna");
	for (uint32_t p = 0; p < PAGES; p++)
		assert_true(has(w, s, p));
	assert_int_equal(files(w), PAGES);
}

static void
a_name_stands_for_all_tokens_before(void **state)
{
	struct world *w = *state;
	struct kvdisk_space *s = space(w, "anna");

	save(w, s, 0, 3);
	w->ids[0][5]++;
	s = space(w, "anna");
	for (uint32_t p = 0; p < PAGES; p++)
		assert_false(has(w, s, p));
}

static void
another_agent_and_the_public_have_nothing_of_it(void **state)
{
	struct world *w = *state;
	struct kvdisk_space *s = space(w, "anna");

	save(w, s, 0, PAGES);
	for (uint32_t i = 0; i < 4; i++) {
		const char *const names[] = { "ann", "p", "", NULL };

		s = space(w, names[i]);
		assert_true(kvdisk_is_empty(s));
		for (uint32_t p = 0; p < PAGES; p++)
			assert_false(has(w, s, p));
	}
	assert_int_equal(files(w), PAGES);
}

static void
another_model_type_or_key_finds_nothing(void **state)
{
	struct world *w = *state;
	const struct kvdisk_opts o = w->o;
	char key[96];
	int fd;

	save(w, space(w, "anna"), 0, PAGES);
	w->o.model = "0124";
	open_disk(w);
	assert_false(has(w, space(w, "anna"), 0));
	w->o = o;
	w->o.type = "Q8_0";
	open_disk(w);
	assert_false(has(w, space(w, "anna"), 0));
	w->o = o;
	snprintf(key, sizeof(key), "%s/other", w->dir);
	fd = open(key, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(fd_write_all(fd, "a key of 16 bytes", 16), 0);
	close(fd);
	w->o.key_file = key;
	open_disk(w);
	assert_false(has(w, space(w, "anna"), 0));
	/* They take none away from each other. */
	w->o = o;
	open_disk(w);
	assert_true(has(w, space(w, "anna"), 0));
}

static void
write_at(const char *path, off_t at, const void *p, size_t n)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, n, at), n);
	close(fd);
}

static void
flip(const char *path, off_t at)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t c;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	close(fd);
	c ^= 0x10;
	write_at(path, at, &c, 1);
}

static void
damage(const char *path, uint32_t how)
{
	static const off_t places[] = { 0, 11, 12, 200, 300, FILE_BYTES / 2,
		FILE_BYTES - 17, FILE_BYTES - 16, FILE_BYTES - 1 };

	if (how < nitems(places)) {
		flip(path, places[how]);
		return;
	}
	switch (how - nitems(places)) {
	case 0:
		assert_int_equal(truncate(path, FILE_BYTES - 1), 0);
		break;
	case 1:
		assert_int_equal(truncate(path, FILE_BYTES + 1), 0);
		break;
	case 2:
		assert_int_equal(truncate(path, 0), 0);
		break;
	case 3:
		unlink(path);
		break;
	case 4:
		unlink(path);
		assert_int_equal(symlink("/etc/passwd", path), 0);
		break;
	case 5:
		unlink(path);
		assert_int_equal(mkfifo(path, 0600), 0);
		break;
	default:
		assert_int_equal(truncate(path, 0), 0);
		assert_int_equal(truncate(path, FILE_BYTES), 0);
	}
}

#define DAMAGES 16u

static void
a_damaged_file_is_a_miss_and_goes(void **state)
{
	struct world *w = *state;
	struct kvdisk_space *s = space(w, "anna");

	for (uint32_t how = 0; how < 2 * DAMAGES; how++) {
		struct stat st;

		save(w, s, 0, 1);
		assert_int_equal(files(w), 1);
		assert_true(has(w, s, 0));
		damage(paths[0], how / 2);
		if (how % 2 == 1) {
			/* Found when it is there at the start. */
			open_disk(w);
			s = space(w, "anna");
		}
		assert_false(has(w, s, 0));
		assert_int_equal(lstat(paths[0], &st), -1);
		assert_int_equal(kvdisk_bytes(w->d), 0);
	}
}

static void
copy(const char *from, const char *to)
{
	cleanup_fd int in = open(from, O_RDONLY | O_CLOEXEC),
		       out = open(
			   to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cleanup_buf struct buf b = { 0 };

	buf_init(&b, 0);
	assert_int_equal(fd_read_all(in, &b, 1 << 20), 0);
	assert_int_equal(fd_write_all(out, buf_head(&b), buf_len(&b)), 0);
}

static void
a_file_at_the_place_of_another_is_a_miss(void **state)
{
	struct world *w = *state;
	struct kvdisk_space *a = space(w, "anna"), *b;
	cleanup_free char *one = NULL, *other = NULL;

	save(w, a, 0, 1);
	files(w);
	one = xstrdup(paths[0]);
	b = space(w, "bert");
	save(w, b, 0, 1);
	assert_int_equal(files(w), 2);
	other = xstrdup(paths[strcmp(paths[0], one) == 0 ? 1 : 0]);
	assert_true(has(w, b, 0));
	copy(one, other);
	assert_false(has(w, b, 0));
	/* A page of its own in the place of its next one. */
	a = space(w, "anna");
	save(w, a, 1, 2);
	assert_int_equal(files(w), 2);
	copy(one, paths[strcmp(paths[0], one) == 0 ? 1 : 0]);
	assert_false(has(w, a, 1));
	assert_true(has(w, a, 0));
}

static int
look_for_canary(
    const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	cleanup_fd int fd = -1;
	cleanup_buf struct buf b = { 0 };

	buf_init(&b, 0);
	assert_null(strstr(path + ftw->base, "anna"));
	if (type != FTW_F)
		return 0;
	assert_int_equal(st->st_mode & 077, 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fd_read_all(fd, &b, 1 << 20), 0);
	assert_null(memmem(buf_head(&b), buf_len(&b), "canary", 6));
	assert_null(memmem(buf_head(&b), buf_len(&b), "anna", 4));
	assert_null(memmem(buf_head(&b), buf_len(&b), "\1\0\0\0\2\0\0\0", 8));
	return 0;
}

static void
neither_files_nor_names_tell_anything(void **state)
{
	struct world *w = *state;
	struct kvdisk_space *s = space(w, "anna");

	save(w, s, 0, PAGES);
	assert_int_equal(nftw(w->dir, look_for_canary, 8, FTW_PHYS), 0);
	assert_int_equal(files(w), PAGES);
	kvdisk_forget(s);
	assert_int_equal(files(w), 0);
}

static void
what_is_forgotten_cannot_be_brought_back(void **state)
{
	struct world *w = *state;
	const struct kvdisk_opts o = w->o;
	cleanup_free char *kept = xasprintf("%s/kept", w->dir);
	cleanup_free char *path = NULL;
	struct kvdisk_space *s = space(w, "anna");
	uint8_t old[KVSEAL_NAME_SIZE];

	save(w, s, 0, 1);
	files(w);
	path = xstrdup(paths[0]);
	copy(path, kept);
	memcpy(old, w->name[0], sizeof(old));
	/* That of another model goes, too, that of another agent does not. */
	save(w, space(w, "bert"), 0, 1);
	w->o.model = "other";
	open_disk(w);
	assert_int_equal(files(w), 2);
	assert_int_equal(kvdisk_forget(space(w, "anna")), 0);
	assert_int_equal(files(w), 1);
	w->o = o;
	open_disk(w);
	assert_true(has(w, space(w, "bert"), 0));
	s = space(w, "anna");
	save(w, s, 1, 2);
	copy(kept, path);
	open_disk(w);
	s = space(w, "anna");
	assert_int_not_equal(memcmp(old, w->name[0], sizeof(old)), 0);
	assert_false(has(w, s, 0));
	assert_true(has(w, s, 1));
	assert_int_equal(kvdisk_load(s, old, w->ids[0], w->page[0]), -1);
	assert_int_equal(access(path, F_OK), -1);
}

static void
the_oldest_of_who_has_the_most_makes_room(void **state)
{
	struct world *w = *state;
	struct kvdisk_space *s = space(w, "bert");

	w->o.budget = 6 * FILE_BYTES;
	open_disk(w);
	s = space(w, "bert");
	save(w, s, 0, 2);
	s = space(w, "anna");
	save(w, s, 0, 4);
	assert_true(has(w, s, 0));
	save(w, s, 4, 5);
	assert_int_equal(kvdisk_bytes(w->d), 6 * FILE_BYTES);
	assert_true(has(w, s, 0));
	assert_false(has(w, s, 1));
	/* The order outlives a restart. */
	assert_true(has(w, s, 2));
	open_disk(w);
	s = space(w, "anna");
	save(w, s, 5, 6);
	assert_false(has(w, s, 3));
	for (uint32_t p = 0; p < PAGES; p++)
		assert_int_equal(has(w, s, p), p != 1 && p != 3);
	s = space(w, "bert");
	assert_true(has(w, s, 0) && has(w, s, 1));
	/* What is of no model that runs goes before. */
	w->o.model = "other";
	w->o.budget = 4 * FILE_BYTES;
	open_disk(w);
	assert_int_equal(kvdisk_bytes(w->d), 4 * FILE_BYTES);
	s = space(w, "bert");
	save(w, s, 0, 4);
	assert_int_equal(kvdisk_bytes(w->d), 4 * FILE_BYTES);
	for (uint32_t p = 0; p < 4; p++)
		assert_true(has(w, s, p));
	assert_int_equal(files(w), 4);
	/* A budget below one page: nothing. */
	w->o.budget = FILE_BYTES - 1;
	open_disk(w);
	s = space(w, "bert");
	assert_int_equal(files(w), 0);
	assert_int_equal(kvdisk_save(s, w->name[0], w->ids[0], w->page[0]), -1);
}

static void
a_full_disk_costs_nothing_but_room(void **state)
{
	struct world *w = *state;
	struct kvdisk_space *s = space(w, "anna");
	struct rlimit old, small = { 1000, 1000 };

	save(w, s, 0, 3);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(kvdisk_save(s, w->name[3], w->ids[3], w->page[3]), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(files(w), 3);
	assert_true(has(w, s, 0));
	/* From now on one comes for one. */
	save(w, s, 4, 5);
	assert_int_equal(files(w), 3);
	assert_true(has(w, s, 4));
	assert_false(has(w, s, 1));
	/* After a while it is seen whether there is room again. */
	w->d->retry_ms = 1;
	save(w, s, 1, 2);
	assert_int_equal(files(w), 4);
	assert_int_equal(w->d->retry_ms, 0);
	save(w, s, 3, 4);
	assert_int_equal(files(w), 5);
}

/* No descriptor that is not there already. */
static void
no_files(bool on)
{
	static struct rlimit old;
	struct rlimit none;

	if (on)
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, on ? &none : &old), 0);
}

static void
want_of_descriptors_costs_no_page(void **state)
{
	struct world *w = *state;
	struct kvdisk_space *s;
	uint8_t page[PAGE];

	w->o.budget = 3 * FILE_BYTES;
	open_disk(w);
	s = space(w, "anna");
	save(w, s, 0, 3);
	no_files(true);
	assert_int_equal(kvdisk_load(s, w->name[0], w->ids[0], page), -1);
	assert_int_equal(kvdisk_save(s, w->name[3], w->ids[3], w->page[3]), -1);
	no_files(false);
	assert_int_equal(files(w), 3);
	assert_true(has(w, s, 0) && has(w, s, 1) && has(w, s, 2));
	/* For a while nothing is tried, and nothing goes for it. */
	assert_int_equal(kvdisk_save(s, w->name[3], w->ids[3], w->page[3]), -1);
	assert_int_equal(files(w), 3);
	w->d->retry_ms = 1;
	save(w, s, 3, 4);
	assert_true(has(w, s, 3));
	assert_int_equal(files(w), 3);
}

static void
who_leaves_has_its_pages_but_no_keys_in_memory(void **state)
{
	struct world *w = *state;
	struct kvdisk_space *s = space(w, "anna");

	save(w, s, 0, 2);
	kvdisk_leave(s);
	assert_null(s->seal);
	s = space(w, "anna");
	assert_true(has(w, s, 0) && has(w, s, 1));
	/* Of who has nothing there is nothing. */
	s = space(w, "bert");
	assert_int_equal(w->d->nspaces, 2);
	kvdisk_leave(s);
	assert_int_equal(w->d->nspaces, 1);
	s = space(w, "bert");
	save(w, s, 0, 1);
	assert_true(has(w, s, 0));
}

static void
a_folder_that_was_taken_away_is_made_anew(void **state)
{
	struct world *w = *state;
	struct kvdisk_space *s = space(w, "anna");
	char path[256];

	save(w, s, 0, 1);
	snprintf(path, sizeof(path), "%s/%s", w->dir, s->dir);
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	assert_int_equal(access(path, F_OK), -1);
	save(w, s, 1, 2);
	open_disk(w);
	s = space(w, "anna");
	assert_true(has(w, s, 1));
	assert_false(has(w, s, 0));
}

static void
refused(struct world *w, const char *why)
{
	struct error err = { 0 };

	kvdisk_close(w->d);
	w->d = kvdisk_open(&w->o, &err);
	assert_null(w->d);
	if (strstr(err.msg, why) == NULL)
		fail_msg("%s", err.msg);
}

static void
a_directory_or_key_that_others_can_touch_is_refused(void **state)
{
	struct world *w = *state;
	cleanup_free char *key = xasprintf("%s/key", w->dir);
	struct kvdisk *d = w->d;
	struct error err = { 0 };

	assert_null(kvdisk_open(&w->o, &err));
	assert_non_null(strstr(err.msg, "used by another process"));
	w->d = d;
	chmod(key, 0640);
	refused(w, "chmod 600");
	chmod(key, 0600);
	assert_int_equal(truncate(key, 15), 0);
	refused(w, "16 to 4096 bytes");
	unlink(key);
	chmod(w->dir, 0770);
	refused(w, "chmod");
	chmod(w->dir, 0755);
	open_disk(w);
	w->o.dir = "/proc/version";
	refused(w, "/proc/version");
}

static void
what_lies_about_is_not_followed(void **state)
{
	struct world *w = *state;
	struct kvdisk_space *s = space(w, "anna");
	cleanup_free char *real = NULL, *away = NULL;
	char *slash;

	save(w, s, 0, 1);
	files(w);
	real = xstrdup(paths[0]);
	slash = strrchr(real, '/');
	*slash = '\0';
	away = xasprintf("%s/away", w->dir);
	/* The agent's folder is a link now. */
	assert_int_equal(rename(real, away), 0);
	assert_int_equal(symlink("away", real), 0);
	open_disk(w);
	s = space(w, "anna");
	assert_false(has(w, s, 0));
	assert_int_equal(kvdisk_save(s, w->name[0], w->ids[0], w->page[0]), -1);
	assert_int_equal(kvdisk_forget(s), 0);
	assert_int_equal(files(w), 1);
}

/* The whole way: prompts of two agents, a restart between. */
struct engine {
	struct model_table *t;
	struct kv_pool *kv;
	struct kvdisk *d;
	struct prefix_cache *c;
	size_t page;
};

#define PROMPT 1000u
#define ANNA 1u
#define BERT 2u

static void
engine_start(struct engine *e, struct world *w, size_t pages)
{
	struct error err = { 0 };

	kvdisk_close(w->d);
	w->d = NULL;
	e->kv = kv_pool_new(&e->t->hp, TT_F16, 64u << 20);
	e->page = kv_page_bytes(e->kv);
	w->o.page_bytes = e->page;
	w->o.budget = 200 * e->page;
	e->d = kvdisk_open(&w->o, &err);
	assert_non_null(e->d);
	e->c = prefix_new(e->kv, pages * e->page, e->d);
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
prompt(int32_t ids[PROMPT], uint32_t which)
{
	for (uint32_t i = 0; i < PROMPT; i++)
		ids[i] = (int32_t)((i * 31 + which) % TINY_VOCAB);
}

static uint8_t
mark(uint32_t which, uint32_t page, size_t at)
{
	return (uint8_t)(which * 101 + page * 13 + at);
}

static void
fill(struct engine *e, uint32_t space, uint32_t which, uint32_t n)
{
	struct kv_seq *s = kv_seq_new(e->kv);
	int32_t ids[PROMPT];

	prompt(ids, which);
	assert_int_equal(kv_seq_reserve(s, n), 0);
	for (uint32_t p = 0; p < n / KV_PAGE; p++) {
		uint8_t *data = kv_rows(s, 0, 0, p).keys;

		for (size_t i = 0; i < e->page; i++)
			data[i] = mark(which, p, i);
	}
	prefix_keep(e->c, space, ids, n, s);
	kv_seq_free(s);
}

static uint32_t
find(struct engine *e, uint32_t space, uint32_t which, struct prefix_hit *hit)
{
	struct kv_seq *s;
	int32_t ids[PROMPT];
	uint32_t n, more;

	prompt(ids, which);
	s = prefix_find(e->c, space, ids, PROMPT, hit);
	n = hit->n;
	assert_int_equal(kv_seq_reserve(s, PROMPT), 0);
	while ((more = prefix_more(e->c, space, ids, PROMPT, s, n)) > n)
		n = more;
	for (uint32_t p = 0; p < n / KV_PAGE; p++) {
		const uint8_t *data = kv_rows(s, 0, 0, p).keys;

		for (size_t i = 0; i < e->page; i++)
			if (data[i] != mark(which, p, i))
				fail_msg("page %u", p);
	}
	kv_seq_free(s);
	return n;
}

static void
prompts_are_found_after_a_restart_by_who_asked_them(void **state)
{
	struct world *w = *state;
	struct engine e = { .t = tiny_new(ARCH_QWEN3, TT_F32, 0, 1) };
	struct prefix_work before, after;
	struct prefix_hit hit;

	engine_start(&e, w, 100);
	fill(&e, ANNA, 1, PROMPT);
	fill(&e, PREFIX_PUBLIC, 2, 300);
	fill(&e, ANNA, 2, 200);
	fill(&e, BERT, 3, 500);
	engine_stop(&e);
	engine_start(&e, w, 100);
	assert_int_equal(files(w), 15 + 4 + 3 + 7);
	assert_int_equal(find(&e, ANNA, 1, &hit), 15 * KV_PAGE);
	assert_true(hit.from_disk);
	assert_false(hit.public);
	/* Another's prompt is nothing: not found, no more work than one that
	 * nobody has ever asked. */
	prefix_work(e.c, &before);
	assert_int_equal(find(&e, BERT, 1, &hit), 0);
	prefix_work(e.c, &after);
	assert_int_equal(after.loads, before.loads);
	assert_int_equal(after.pages, before.pages);
	after.files -= before.files;
	prefix_work(e.c, &before);
	assert_int_equal(find(&e, BERT, 7, &hit), 0);
	before.files += after.files;
	prefix_work(e.c, &after);
	assert_int_equal(before.files, after.files);
	/* What is public is for both. */
	assert_int_equal(find(&e, BERT, 2, &hit), 4 * KV_PAGE);
	assert_true(hit.from_disk);
	assert_int_equal(prefix_bytes(e.c, PREFIX_PUBLIC), 4 * e.page);
	assert_int_equal(prefix_bytes(e.c, BERT), 0);
	/* And now in memory. */
	assert_int_equal(find(&e, ANNA, 1, &hit), 15 * KV_PAGE);
	assert_false(hit.from_disk);
	prefix_forget(e.c, ANNA);
	assert_int_equal(find(&e, ANNA, 1, &hit), 0);
	engine_stop(&e);
	engine_start(&e, w, 100);
	assert_int_equal(find(&e, ANNA, 1, &hit), 0);
	assert_int_equal(find(&e, BERT, 3, &hit), 7 * KV_PAGE);
	engine_stop(&e);
	tiny_free(e.t);
}

static void
pages_that_make_room_go_to_disk(void **state)
{
	struct world *w = *state;
	struct engine e = { .t = tiny_new(ARCH_QWEN3, TT_F32, 0, 1) };
	struct prefix_hit hit;

	engine_start(&e, w, 20);
	for (uint32_t i = 1; i < 6; i++)
		fill(&e, i % 2 == 0 ? ANNA : BERT, i, PROMPT);
	assert_in_range(kv_pool_used(e.kv), 0, 20 * e.page);
	for (uint32_t i = 1; i < 6; i++)
		assert_int_equal(
		    find(&e, i % 2 == 0 ? ANNA : BERT, i, &hit), 15 * KV_PAGE);
	/* When there is time, before room has to be made. */
	prefix_forget(e.c, ANNA);
	while (prefix_idle(e.c))
		;
	files(w);
	prefix_shrink(e.c, SIZE_MAX);
	assert_int_equal(files(w), 45);
	engine_stop(&e);
	tiny_free(e.t);
}

#define with_world(f) cmocka_unit_test_setup_teardown(f, start, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		with_world(pages_come_back_after_a_restart),
		with_world(a_name_stands_for_all_tokens_before),
		with_world(another_agent_and_the_public_have_nothing_of_it),
		with_world(another_model_type_or_key_finds_nothing),
		with_world(a_damaged_file_is_a_miss_and_goes),
		with_world(a_file_at_the_place_of_another_is_a_miss),
		with_world(neither_files_nor_names_tell_anything),
		with_world(what_is_forgotten_cannot_be_brought_back),
		with_world(the_oldest_of_who_has_the_most_makes_room),
		with_world(a_full_disk_costs_nothing_but_room),
		with_world(want_of_descriptors_costs_no_page),
		with_world(who_leaves_has_its_pages_but_no_keys_in_memory),
		with_world(a_folder_that_was_taken_away_is_made_anew),
		with_world(a_directory_or_key_that_others_can_touch_is_refused),
		with_world(what_lies_about_is_not_followed),
		with_world(prompts_are_found_after_a_restart_by_who_asked_them),
		with_world(pages_that_make_room_go_to_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * A cache directory with a few pages to put in, and what of them is there.
 */
#ifndef BRIG_TESTS_INFERD_KVDISK_WORLD_H
#define BRIG_TESTS_INFERD_KVDISK_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/compat.h"
#include "base/str.h"
#include "inferd/kvdisk.h"

#define TOKENS 64u
#define PAGE 5000u
#define FILE_BYTES (12 + TOKENS * 4 + PAGE + 16)
#define PAGES 6u
#define CANARY "the canary of somebody who trusts us"

struct world {
	char dir[64];
	struct kvdisk *d;
	struct kvdisk_opts o;
	int32_t ids[PAGES][TOKENS];
	uint8_t page[PAGES][PAGE];
	uint8_t name[PAGES][KVSEAL_NAME_SIZE];
};

static inline void
open_disk(struct world *w)
{
	struct error err = { 0 };

	kvdisk_close(w->d);
	w->d = kvdisk_open(&w->o, &err);
	if (w->d == NULL)
		fail_msg("%s", err.msg);
}

static inline int
start(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	snprintf(w->dir, sizeof(w->dir), "/tmp/test_kvdisk.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->o = (struct kvdisk_opts){ .dir = w->dir,
		.model = "0123",
		.type = "F16",
		.page_tokens = TOKENS,
		.page_bytes = PAGE,
		.budget = 100 * FILE_BYTES };
	for (uint32_t p = 0; p < PAGES; p++) {
		for (uint32_t i = 0; i < TOKENS; i++)
			w->ids[p][i] = (int32_t)(p * TOKENS + i);
		for (uint32_t i = 0; i < PAGE; i++)
			w->page[p][i] = (uint8_t)(p + i * 7);
		memcpy(&w->page[p][100], CANARY, sizeof(CANARY));
	}
	open_disk(w);
	*state = w;
	return 0;
}

static inline int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static inline int
end(void **state)
{
	struct world *w = *state;

	kvdisk_close(w->d);
	nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(w);
	return 0;
}

/* The agent's, with the names of its pages. */
static inline struct kvdisk_space *
space(struct world *w, const char *agent)
{
	struct kvdisk_space *s = kvdisk_space(w->d, agent);

	assert_non_null(s);
	for (uint32_t p = 0; p < PAGES; p++)
		kvdisk_name(
		    s, p == 0 ? NULL : w->name[p - 1], w->ids[p], w->name[p]);
	return s;
}

static inline void
save(struct world *w, struct kvdisk_space *s, uint32_t from, uint32_t to)
{
	for (uint32_t p = from; p < to; p++)
		assert_int_equal(
		    kvdisk_save(s, w->name[p], w->ids[p], w->page[p]), 0);
}

static inline bool
has(struct world *w, struct kvdisk_space *s, uint32_t p)
{
	uint8_t page[PAGE];

	if (!kvdisk_has(s, w->name[p]))
		return false;
	if (kvdisk_load(s, w->name[p], w->ids[p], page) < 0) {
		/* It has gone, and is not asked for again. */
		assert_false(kvdisk_has(s, w->name[p]));
		return false;
	}
	assert_memory_equal(page, w->page[p], PAGE);
	return true;
}

/* Paths of all sealed files; how many. */
static char *paths[64];
static size_t npaths;

static inline int
take_path(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *name = path + ftw->base;

	if (type == FTW_F && strlen(name) == 32 && npaths < nitems(paths))
		paths[npaths++] = xstrdup(path);
	return 0;
}

static inline size_t
files(const struct world *w)
{
	while (npaths > 0)
		free(paths[--npaths]);
	nftw(w->dir, take_path, 8, FTW_PHYS);
	return npaths;
}

#endif

/*
 * A net whose layers are another function, over a text in two goes, so that the
 * second looks back at the first.  Behind cmocka.
 */
#ifndef BRIG_TESTS_INFERD_LAYER_RUN_H
#define BRIG_TESTS_INFERD_LAYER_RUN_H

#include "inferd/run.h"
#include "tests/inferd/tiny.h"

#define LAYER_RUN_FIRST 70u /* rows of the first go; `rows` is more */

static inline void
layer_run(const struct net *net, enum tensor_type kv, uint32_t rows,
    void (*layer)(struct run *, uint32_t))
{
	struct arch_def def = *net->def;
	struct net copy = *net;
	struct pool *pool = pool_new(2);
	struct kv_pool *pages = kv_pool_new(&net->hp, kv, SIZE_MAX);
	struct kv_seq *s = kv_seq_new(pages);
	struct row *row = xcalloc(rows, sizeof(*row));
	struct run *run;

	def.layer = layer;
	copy.def = &def;
	run = run_new(&copy, pool, kv, rows);
	assert_int_equal(kv_seq_reserve(s, rows), 0);
	for (uint32_t i = 0; i < rows; i++)
		row[i] = (struct row){ s, i, (i * 37 + 5) % TINY_VOCAB, false };
	run_rows(run, row, LAYER_RUN_FIRST, NULL);
	run_rows(run, &row[LAYER_RUN_FIRST], rows - LAYER_RUN_FIRST, NULL);
	run_free(run);
	kv_seq_free(s);
	kv_pool_free(pages);
	pool_free(pool);
	free(row);
}

#endif

#include "tests/inferd/engine_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"

static void
path_of(const struct world *w, char *path, size_t size)
{
	snprintf(path, size, "%s/m.gguf", w->dir);
}

struct model *
world_other(const struct world *w, const struct mkmodel *k)
{
	struct error err = { 0 };
	struct model *m;
	char path[128];

	snprintf(path, sizeof(path), "%s/other.gguf", w->dir);
	assert_int_equal(mkmodel_write(k, path, &err), 0);
	m = model_open(path, NULL, &err);
	assert_non_null(m);
	unlink(path);
	return m;
}

void
world_new(struct world *w)
{
	struct error err = { 0 };
	struct vocab_table v;
	struct mkmodel k;
	char path[128];

	strlcpy(w->dir, "/tmp/brig-engine-XXXXXX", sizeof(w->dir));
	assert_non_null(mkdtemp(w->dir));
	path_of(w, path, sizeof(path));
	mkmodel_init(&k);
	k.hp.layers = 3;
	assert_int_equal(mkmodel_write(&k, path, &err), 0);
	w->model = model_open(path, NULL, &err);
	assert_non_null(w->model);
	/* Nothing ends a turn before its time: what such a model says is
	 * chance. */
	v = model_table(w->model)->vocab;
	v.eos = v.eot = -1;
	w->tok = tok_new(&v, &err);
	assert_non_null(w->tok);
}

void
world_free(struct world *w)
{
	char path[128];

	path_of(w, path, sizeof(path));
	tok_free(w->tok);
	model_close(w->model);
	unlink(path);
	rmdir(w->dir);
}

int32_t *
world_prompt(const struct world *w, uint32_t text, uint32_t n)
{
	/* Tokens of bytes, no control tokens. */
	const uint32_t vocab = 250;
	int32_t *ids = xcalloc(n, sizeof(*ids));

	for (uint32_t i = 0; i < n; i++)
		ids[i] = (int32_t)((i * 37 + i / 7 * 11 + text * 53) % vocab);
	return ids;
}

struct gen_params
world_params(uint32_t max_tokens, uint64_t seed)
{
	return (struct gen_params){ .family = CHAT_PLAIN,
		.sample = { .temperature = 0.8f, .top_p = 1, .seed = seed },
		.max_tokens = max_tokens };
}

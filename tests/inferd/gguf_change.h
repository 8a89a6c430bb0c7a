/*
 * A small valid model that is changed and read: for tests of what is refused.
 * Behind cmocka.
 */
#ifndef BRIG_TESTS_INFERD_GGUF_CHANGE_H
#define BRIG_TESTS_INFERD_GGUF_CHANGE_H

#include "tests/inferd/gguf_run.h"

static inline struct model_table *
pieces_run(const struct pieces *s, struct error *err)
{
	struct model_table *t;
	struct buf b;

	pieces_write(s, &b, NULL, NULL);
	err->msg[0] = '\0';
	t = gguf_run(buf_head(&b), buf_len(&b), false, err);
	buf_free(&b);
	return t;
}

/* As make() writes it; pieces_read() frees it. */
static inline struct pieces *
pieces_of(void (*make)(struct pieces *))
{
	struct pieces *s = xcalloc(1, sizeof(*s));

	make(s);
	return s;
}

/* What is to be good. */
static inline struct model_table *
pieces_read(struct pieces *s)
{
	struct model_table *t;
	struct error err;

	t = pieces_run(s, &err);
	if (t == NULL)
		fail_msg("%s", err.msg);
	pieces_free(s);
	free(s);
	return t;
}

/* Of those, the one of that name. */
static inline struct piece *
pieces_find(struct piece *p, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(p[i].name, name) == 0)
			return &p[i];
	fail_msg("no piece %s", name);
	return NULL;
}

/* Of that key, without its value. */
static inline struct buf *
pieces_pair_of(struct pieces *s, const char *key)
{
	struct buf *b = &pieces_find(s->pair, s->npairs, key)->b;

	buf_clear(b);
	return b;
}

/* That tensor is not there. */
static inline void
pieces_take(struct pieces *s, const char *name)
{
	struct piece *p = pieces_find(s->tensor, s->ntensors, name);
	struct piece *last = &s->tensor[--s->ntensors];

	buf_free(&p->b);
	memmove(p, p + 1, (size_t)(last - p) * sizeof(*p));
	memset(last, 0, sizeof(*last));
}

/* The model of make(s) with this change of s is refused, with WHY in the
 * reason. */
#define PIECES_REFUSED(make, why, change)                                      \
	do {                                                                   \
		struct pieces *s = xcalloc(1, sizeof(*s));                     \
		struct model_table *t_;                                        \
		struct error err_;                                             \
		make(s);                                                       \
		change;                                                        \
		t_ = pieces_run(s, &err_);                                     \
		if (t_ != NULL || strstr(err_.msg, why) == NULL)               \
			fail_msg("line %d: %s", __LINE__,                      \
			    t_ == NULL ? err_.msg : "taken");                  \
		pieces_free(s);                                                \
		free(s);                                                       \
	} while (0)

#endif

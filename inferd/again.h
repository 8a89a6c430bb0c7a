/*
 * inferd --replay: completions of a record computed again.
 */
#ifndef BRIG_INFERD_AGAIN_H
#define BRIG_INFERD_AGAIN_H

#include <stdbool.h>

#include "base/error.h"
#include "inferd/net.h"
#include "inferd/steer.h"
#include "inferd/tok.h"

/* What it is computed with. */
struct again {
	const struct net *net;
	const struct tok *tok;
	const char *model;           /* model_id() */
	const struct steers *steers; /* or NULL */
	unsigned threads;
	uint32_t slice; /* rows at once; 0: 128 */
};

enum again_result {
	AGAIN_SAME,    /* every token */
	AGAIN_OTHER,   /* *at: the first that is not */
	AGAIN_NO_TEXT, /* the line has hashes alone */
	AGAIN_CANNOT,  /* err: another model, not a line of a record */
};

/* One line of a record, n bytes. */
enum again_result again_line(const struct again *a, const char *line, size_t n,
    size_t *at, struct error *err);

/* All of it for the model of b, which is loaded.  The exit status. */
struct backend_opts;
int again(const struct backend_opts *b, const char *path, const char *id);

/*
 * The lines of a file, all or that with this id: its chain is checked, and
 * what has text is computed again and said on stdout.  The exit status: 0 if
 * all was the same.
 */
int again_print(const struct again *a, const char *path, const char *id);

#endif

/*
 * What a stage process shows, on its way to a person: reads the frames of
 * daemon/stage_wire.h, which hold bytes of a job, and prints them.
 */
#ifndef BRIG_CLI_STAGE_H
#define BRIG_CLI_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "base/buf.h"

enum stage_show {
	SHOW_PATCH,
	SHOW_STAT,
	SHOW_NAMES,
	SHOW_JSON,
	SHOW_QUIET, /* messages only */
};

struct stage_view {
	enum stage_show show;
	bool safe; /* onto a terminal: no escape sequences of a job */
	bool colour;
	bool progress; /* on stderr, which is a terminal */
	bool nul;      /* names end in NUL */
	FILE *to;

	struct buf in;
	json_t *list; /* SHOW_JSON */
	size_t entries, refused;
	uint64_t added, deleted;
	bool shown; /* a progress line stands */
};

/* Takes n bytes of the stream, any number: 0, or -1 when they are not
 * frames. */
int stage_view_put(struct stage_view *v, const void *p, size_t n);
/* At its end: 0, or -1 when it ends within a frame. */
int stage_view_end(struct stage_view *v);

#endif

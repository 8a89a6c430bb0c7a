/*
 * What the stage process writes to the client's pipe: frames of a u8 type, a
 * u32 length and a body, integers little-endian, strings as in base/buf.h.
 * The bytes come from files of a job: whoever reads them trusts nothing.
 */
#ifndef BRIG_STAGE_WIRE_H
#define BRIG_STAGE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define STAGE_FRAME_HEADER 5u
#define STAGE_FRAME_MAX (32u << 20)
#define STAGE_PATH_MAX 4096u
#define STAGE_WHY_MAX 512u
#define STAGE_DEPTH_MAX 200u /* directory levels */

enum stage_op_code {       /* of M_STAGE_START */
	STAGE_OP_SCAN = 1, /* at the end of a job: is there anything? */
	STAGE_OP_DIFF,
	STAGE_OP_APPLY,
	STAGE_OP_DISCARD,
	STAGE_OP_MAX
};

#define STAGE_F_PATCH 1u           /* diff: with the text */
#define STAGE_F_DRY_RUN 2u         /* apply: check and say only */
#define STAGE_F_FORCE_PROTECTED 4u /* apply: protected paths too */
#define STAGE_F_ALL 7u
#define STAGE_PATHS_MAX 512u

enum stage_kind {
	STAGE_ADD = 1,
	STAGE_MODIFY,
	STAGE_DELETE,
	STAGE_TYPE, /* another type of file in its place */
	STAGE_MODE, /* mode only */
	STAGE_RENAME,
	STAGE_KIND_MAX
};

enum stage_frame {
	FRAME_ENTRY = 1, /* struct stage_entry */
	FRAME_HEAD,      /* header lines of a patch */
	FRAME_HUNKS,     /* its hunks */
	FRAME_PROGRESS,  /* str what, u64 done, u64 total */
	FRAME_SAY,       /* str */
	FRAME_MAX
};

struct stage_entry {
	enum stage_kind kind;
	char path[STAGE_PATH_MAX + 1];
	char from[STAGE_PATH_MAX + 1]; /* renamed, else "" */
	uint32_t mode, old_mode;       /* with type bits, 0: none */
	uint64_t size;
	uint32_t added, deleted; /* lines */
	uint8_t similar;
	bool binary, refused;
	char why[STAGE_WHY_MAX + 1]; /* refused */
};

/* Relative, no empty, "." or ".." segment, sane length and depth. */
bool stage_path_ok(const char *path);

void stage_entry_put(struct buf *b, const struct stage_entry *e);
/* 0 or -1 (with nothing of use in *e). */
int stage_entry_get(const void *p, size_t n, struct stage_entry *e);
const char *stage_kind_name(enum stage_kind k);

#endif

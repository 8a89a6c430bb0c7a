/*
 * What brigd keeps of a job with a staged workspace, below the job's
 * directory in state-dir:
 *
 *	staged/record   who, where, when (struct stage_record); root's
 *	staged/tree/    upper, work: the layers; the submitter's
 *	staged/image    instead of tree where the size is limited: an ext4 of
 *	                its own with the same two; root's
 *	staged/journal/ of brig apply; the submitter's
 *
 * Made by the shim while it builds the jail, read by the stage process.
 */
#ifndef BRIG_SANDBOX_STAGEDIR_H
#define BRIG_SANDBOX_STAGEDIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fdutil.h"
#include "sandbox/jail.h"

#define STAGE_DIR "staged"
#define STAGE_RECORD_MAX 8192u

struct stage_record {
	uid_t uid; /* submitter */
	gid_t gid;
	uint64_t dev, ino; /* of the workspace */
	int64_t born_s;    /* its birth time, 0 if the file system has none */
	uint32_t born_ns;
	int64_t start_s; /* the workspace is as it was then, by the clock of
			  * file systems */
	uint32_t start_ns;
	uint64_t boot_ns; /* the same moment since boot_id booted */
	char boot_id[BOOT_ID_SIZE];
	bool image;
	char workspace[P_PATH_MAX + 1];
};

/* Bytes of a record file; decoding checks everything. 0 or -1. */
void stage_record_put(struct buf *b, const struct stage_record *r);
int stage_record_get(const void *p, size_t n, struct stage_record *r);

/* The time now in *r: start_*, boot_ns, and boot_id unless it is there.  0 or
 * -1. */
int stage_record_clock(struct stage_record *r, struct error *err);

/*
 * Make c->stage_fd/staged for the workspace dir.  A detached mount with ids
 * mapped that has the empty directories upper and work, or -1 with nothing
 * left.  Returns when a change of the workspace has a later time than the
 * record (one tick of the clock, 4 ms at most).
 */
int stagedir_make(const struct jail_config *c, int dir, struct error *err);

/* Undo it, for a jail that was not built. */
void stagedir_drop(int job_dir);

/*
 * The directory with upper and work again, ids not mapped: descriptor or -1.
 * staged is a descriptor of "staged".  Waits up to some seconds for the jail
 * that had it to let go.
 */
int stagedir_open(int staged, const struct stage_record *r, struct error *err);

#endif

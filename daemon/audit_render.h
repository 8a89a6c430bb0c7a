/*
 * One audit event (base/audit_event.h) as one line of the audit log.  Run by
 * the audit process only; pure but for memory.  Key order is fixed:
 *
 * v seq ts boot mono code type sev from job [who obj pol dec ask] [cut]
 * prev hash
 *
 * Text of the event is data of an agent: str_escape() makes it printable
 * ASCII and harmless UTF-8 first, JSON quoting comes on top, so no field can
 * leave its string, let alone its line.  A key that comes again in one event
 * is written as key_2, key_3.
 */
#ifndef BRIG_AUDIT_RENDER_H
#define BRIG_AUDIT_RENDER_H

#include <stdint.h>
#include <time.h>

#include "base/audit_event.h"
#include "base/buf.h"
#include "base/proto.h"
#include "daemon/audit_verify.h"

struct audit_meta { /* what the writer knows and the sender cannot say */
	uint64_t seq;
	struct timespec ts;   /* CLOCK_REALTIME */
	struct timespec mono; /* CLOCK_MONOTONIC */
	const char *boot;     /* boot id of the kernel */
	enum role from;
	uint32_t job; /* 0: null in the record */
};

/*
 * Append the line, newline included, to out and store its hash; prev is the
 * hash of the record before.  0, or -1 when the event is malformed (fault of
 * its sender) and out is as before.  A record over AUDIT_RECORD_MAX is made
 * shorter text by text, and says so in `cut`.
 */
int audit_render(const struct audit_meta *m, const void *event, size_t n,
    const uint8_t prev[AUDIT_HASH_SIZE], struct buf *out,
    uint8_t hash[AUDIT_HASH_SIZE]);

#endif

/*
 * The body of M_AUDIT: one event, as typed fields.  The sender never writes
 * JSON; the audit process renders it with a fixed key order and escapes every
 * string, and takes job and sender from the channel, not from the event.
 *
 * Body: str code, str type, u8 severity (1 info .. 5 critical), u8 barrier,
 * u32 n, n * field; field: u8 kind, str key, value.  A key is
 * "section.name" with section one of who obj pol dec ask, name [a-z_]+.
 */
#ifndef BRIG_AUDIT_EVENT_H
#define BRIG_AUDIT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum audit_kind {
	AUDIT_STR,  /* str, untrusted bytes allowed */
	AUDIT_U64,  /* u64 */
	AUDIT_BOOL, /* u8 */
	AUDIT_LIST, /* u32 n, n * str */
};

#define AUDIT_FIELDS_MAX 64u
/* Longer text is cut by the builder, which appends "[cut N]", N bytes lost. */
#define AUDIT_STR_MAX 2048u
#define AUDIT_LIST_MAX 128u

struct audit_ev {
	struct buf body;
	size_t count_at;
	uint32_t count;
	bool barrier;
};

/*
 * code is stable for ever (two letters of the family and three digits, see
 * the list in brigd(8)); type is "exec.decide" and the like.  A barrier
 * event is acknowledged only when it is on disk.
 */
void audit_ev_init(struct audit_ev *e, const char *code, const char *type,
    unsigned int severity, bool barrier);
void audit_ev_str(struct audit_ev *e, const char *key, const char *value);
void audit_ev_bytes(
    struct audit_ev *e, const char *key, const void *p, size_t n);
void audit_ev_u64(struct audit_ev *e, const char *key, uint64_t value);
void audit_ev_bool(struct audit_ev *e, const char *key, bool value);
void audit_ev_list(
    struct audit_ev *e, const char *key, const char *const *items, size_t n);
void audit_ev_free(struct audit_ev *e);

struct audit_field {
	enum audit_kind kind;
	char key[32];
	const uint8_t *s; /* AUDIT_STR, borrowed */
	size_t len;
	uint64_t u;      /* AUDIT_U64, AUDIT_BOOL */
	struct cur list; /* AUDIT_LIST: count strings, each u32+bytes */
	uint32_t count;
};

struct audit_head {
	char code[16];
	char type[32];
	unsigned int severity;
	bool barrier;
	uint32_t fields;
};

/* Decode; 0 or -1.  Call audit_ev_field() fields times, then cur_end(). */
int audit_ev_decode(struct cur *c, struct audit_head *h);
int audit_ev_field(struct cur *c, struct audit_field *f);

#endif

/*
 * Verifier of the audit log: bytes in, verdict out.  Pure, streaming, the same
 * verdict for any chunking, no allocation.  Run by the audit process on the
 * file it is about to continue, and by `brig audit verify` on anything.
 *
 * The log is JSON lines.  A record ends in
 *	,"prev":"sha256:HEX","hash":"sha256:HEX"}
 * where hash is SHA-256(0x00 || prev as 32 bytes || the line without its hash
 * member) and prev is the hash of the record before, 32 zero bytes for the
 * first one; seq counts from 1 without a gap.
 *
 * The chain shows any edit, removal, reordering and insertion before its last
 * record.  That whole records were cut off its end, or that somebody computed
 * the whole chain anew, shows only against a hash kept elsewhere
 * (audit_verify_expect()).
 */
#ifndef BRIG_AUDIT_VERIFY_H
#define BRIG_AUDIT_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUDIT_RECORD_MAX 16384u /* bytes of a line, newline not counted */
#define AUDIT_HASH_SIZE 32u
#define AUDIT_HASH_TEXT 71u /* "sha256:" and 64 hex digits */

enum audit_result {
	AUDIT_TAMPERED,   /* 0: fails closed */
	AUDIT_INCOMPLETE, /* torn last line, no start, or expected head
			   * not reached */
	AUDIT_OK,
};

struct audit_verdict {
	enum audit_result result;
	uint64_t records;   /* good ones */
	uint64_t bytes;     /* they take: offset just behind the last */
	uint64_t first_seq; /* of the first good record, 0 if none */
	uint64_t last_seq;  /* of the last good record, 0 if none */
	uint8_t head[AUDIT_HASH_SIZE]; /* hash of the last good record */
	bool closed;                   /* the last record is audit.close */
	uint64_t torn;                 /* bytes of an incomplete last line */
	uint64_t bad_record;           /* AUDIT_TAMPERED: line number from 1, */
	uint64_t bad_offset;           /* where that line begins, */
	char why[128]; /* and a reason; also for AUDIT_INCOMPLETE */
};

struct audit_verify {
	struct audit_verdict v;
	bool bad;      /* a verdict of tampering is final */
	bool headless; /* the file does not begin with seq 1 */
	bool expecting;
	bool seen_expected;
	uint8_t expected[AUDIT_HASH_SIZE];
	size_t len; /* bytes in line */
	char line[AUDIT_RECORD_MAX + 1];
};

void audit_verify_init(struct audit_verify *av);
/* The log must hold a record with this hash: a head noted down earlier. */
void audit_verify_expect(
    struct audit_verify *av, const uint8_t hash[AUDIT_HASH_SIZE]);
void audit_verify_bytes(struct audit_verify *av, const void *p, size_t n);
/* End of the log: the verdict, borrowed from av. */
const struct audit_verdict *audit_verify_end(struct audit_verify *av);

/* ---- the hash, shared with the writer ----------------------------------- */

/*
 * Hash of a record: text is the line up to and without `,"hash":...`, the
 * closing brace is added here.
 */
typedef void audit_hash_fn(const uint8_t prev[AUDIT_HASH_SIZE],
    const void *text, size_t n, uint8_t out[AUDIT_HASH_SIZE]);
audit_hash_fn audit_hash;
/*
 * The same hash made by fn from now on.  libmd's, which is what the brig
 * command has, takes five times as long as one made of instructions for it.
 */
void audit_hash_with(audit_hash_fn *fn);
/* By libcrypto, which brigd has loaded anyhow; the first call sets it up. */
audit_hash_fn audit_hash_crypto;
/* What every hash begins with, before prev, text and a brace: it marks a leaf
 * (RFC 6962 section 2.1), so that a tree over the records can be added without
 * two meanings for one hash. */
#define AUDIT_HASH_LEAF 0x00
/* "sha256:" and lower-case hex; out holds AUDIT_HASH_TEXT + 1. */
void audit_hash_text(const uint8_t hash[AUDIT_HASH_SIZE], char *out);
/* The reverse, exactly n == AUDIT_HASH_TEXT bytes; 0 or -1. */
int audit_hash_parse(const char *s, size_t n, uint8_t hash[AUDIT_HASH_SIZE]);

#endif

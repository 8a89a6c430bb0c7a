/*
 * Private to vault*.c: the records of the vault, and what they make.
 */
#ifndef BRIG_PROXY_VAULT_INT_H
#define BRIG_PROXY_VAULT_INT_H

#include "base/buf.h"
#include "proxy/vault.h"
#include "proxy/vault_log.h"

/* First byte of a record.  Numbers are for ever. */
enum vault_kind {
	REC_CA = 1,   /* blob key, blob cert */
	REC_STUB_KEY, /* blob */
	REC_OLD_PUT,  /* credential with one host: read, no longer written */
	REC_REVOKE,   /* u32 id, u64 changed */
	REC_REMOVE,   /* u32 id */
	REC_PUT,      /* credential, vault_put_credential() */
	REC_CAPTURED, /* u32 parent, u32 job, nonce, credential */
	REC_FORGET,   /* u32 job: all that it captured */
	REC_NEXT_ID,  /* u32: lower ones have been used */
	REC_CA_NEXT,  /* blob key, blob cert */
	REC_ROTATE,   /* blob key, blob cert: the next one after it */
};

struct vault {
	struct vault_log *log;
	struct vault_log *next; /* takes its place, or not: vault_switched() */
	bool next_failed;       /* nothing is written until it is decided */
	bool stale;             /* the file has values that are gone */
	void (*changed)(void *arg);
	void *arg;
	struct secret *stub_key;
	struct ca_pair {
		struct secret *key; /* NULL: none yet */
		uint8_t *cert;
		size_t n;
	} ca[VAULT_CAS];
	struct credential *c;
	size_t n;
	uint32_t next_id;
};

/*
 * A record holds a secret: it is built in memory that does not move while it
 * grows, and wiped.
 */
void vault_record(struct buf *b, enum vault_kind kind);
void vault_record_free(struct buf *b);
void vault_put_credential(struct buf *b, const struct credential *c);

#endif

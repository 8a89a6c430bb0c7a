/*
 * AWS Signature Version 4: what a request's signature says, and making it
 * anew with another key.  Pure; run by back, which gets the key of one day,
 * region and service from keyd, and never the secret that it is made from.
 *
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 *
 * The job's SDK has signed with its stub, which is verified: what was signed
 * with somebody else's key is not meant for this account.  The new signature
 * covers the same fields as far as they are sent, always the host, and the
 * request as it goes out.
 */
#ifndef BRIG_PROXY_SIGN_SIGV4_H
#define BRIG_PROXY_SIGN_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/secret.h"
#include "proxy/sign_hash.h"
#include "proxy/wire.h"

#define SIGV4_KEY_SIZE SIGN_SHA256_SIZE
#define SIGV4_KEY_ID_MAX 128u
#define SIGV4_FIELDS_MAX 64u /* signed ones */

enum sigv4_where {
	SIGV4_NONE,   /* 0: the request has no such signature */
	SIGV4_HEADER, /* Authorization */
	SIGV4_QUERY,  /* X-Amz-Signature: presigned */
};

/* What is signed in the place of the body. */
enum sigv4_payload {
	SIGV4_BODY,    /* the hash of the body, which nobody has said yet */
	SIGV4_STATED,  /* what x-amz-content-sha256 says */
	SIGV4_CHUNKS,  /* the same, and each chunk is signed */
	SIGV4_TRAILER, /* the same, and the trailer is signed, too */
};

struct sigv4 {
	enum sigv4_where where;
	enum sigv4_payload payload;
	char key_id[SIGV4_KEY_ID_MAX + 1];
	char date[9]; /* of the scope: YYYYMMDD */
	char region[33];
	char service[33];
	char time[17];     /* YYYYMMDDTHHMMSSZ */
	char fields[1024]; /* signed, as sent: "host;x-amz-date" */
	char signature[SIGN_HEX_SIZE];
};

/*
 * Read a request's signature.  0 (where is SIGV4_NONE if there is none), or -1
 * and err when it is not one that can be made anew.
 */
int sigv4_read(const struct req_head *h, struct sigv4 *s, struct error *err);

/*
 * What the signature that h came with is made of: into text the canonical
 * request, in which the hash of the body is missing if it is SIGV4_BODY.
 * authority is the host as the client named it.  -1 and err when a field is
 * covered that never gets here.
 */
int sigv4_covered(const struct req_head *h, const char *authority,
    const struct sigv4 *s, struct buf *text, struct error *err);
/* Is it made of that with this key?  body_hash as for sigv4_sign(). */
bool sigv4_is_by(const struct sigv4 *s, const uint8_t key[SIGV4_KEY_SIZE],
    const struct buf *text, const char *body_hash);

/*
 * Sign h, which will be sent to hostport as it is now, putting the signature
 * (also in signature) and, unless it is "", key_id in the place of what is
 * there.  X-Amz-Security-Token goes: it belongs to another key.  body_hash is
 * for SIGV4_BODY, else it may be NULL.  0, or -1 and err; h is then to be
 * thrown away.
 */
int sigv4_sign(struct req_head *h, const char *hostport, const struct sigv4 *s,
    const uint8_t key[SIGV4_KEY_SIZE], const char *key_id,
    const char *body_hash, char signature[SIGN_HEX_SIZE], struct error *err);

/* Run by keyd: the key of one day, region and service. */
void sigv4_key(const struct secret *secret, const char *date,
    const char *region, const char *service, uint8_t key[SIGV4_KEY_SIZE]);

/* "20130524", letters digits and hyphens, so that a key is for one scope. */
bool sigv4_is_date(const char *s);
bool sigv4_is_word(const char *s);

#endif

/*
 * Signatures of requests by a shared key (HMAC, RFC 2104), as webhooks and
 * some APIs want them: what is signed is made of the request by a template,
 * and the signature stands in a field.  Pure; run by back.
 *
 * The job has signed with its stub.  The signature is replaced where it
 * stands: behind the prefix, up to a comma or the end, so that
 * "t=1700000000,v1=..." keeps its time.  The time that is signed is the
 * value of the field that the credential names; if that is the field of the
 * signature itself, what is behind "t=" in it.
 */
#ifndef BRIG_PROXY_SIGN_MAC_H
#define BRIG_PROXY_SIGN_MAC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/secret.h"
#include "proxy/credspec.h"
#include "proxy/wire.h"

/* Does the template take in the body? */
bool sign_mac_needs_body(const struct cred_hmac *spec);
/* Does the request have the field of the signature? */
bool sign_mac_is_signed(const struct cred_hmac *spec, const struct req_head *h);
/*
 * Does the signature of h, whose body is the n bytes at body, come from key?
 * No also where there is none, or not once.
 */
bool sign_mac_is_by(const struct req_head *h, const struct cred_hmac *spec,
    const struct secret *key, const void *body, size_t n);
/*
 * Put the signature with key into h, whose body is the n bytes at body.  0, or
 * -1 and err when the field or the time is not there or not once.
 */
int sign_mac(struct req_head *h, const struct cred_hmac *spec,
    const struct secret *key, const void *body, size_t n, struct error *err);

#endif

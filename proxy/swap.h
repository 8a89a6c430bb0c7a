/*
 * Where a stub stands in a request, whether it may stand there, and putting
 * the real value in its place.  Pure; run by back only, after it has found
 * that SNI, authority and the name behind the dialled address agree.
 *
 * A stub is swapped in exactly one place: the value of the field its
 * credential declares, or user or password of Basic authentication
 * (RFC 7617), on a request to the host and port it is bound to, over TLS.
 * Anywhere else in a head it is a leak, and the request is refused.
 */
#ifndef BRIG_PROXY_SWAP_H
#define BRIG_PROXY_SWAP_H

#include "base/error.h"
#include "base/secret.h"
#include "proxy/binding.h"
#include "proxy/wire.h"

enum swap_verdict {
	SWAP_LEAK,      /* 0: a stub where it must not be */
	SWAP_REVOKED,   /* right place, but no longer valid */
	SWAP_PLAINTEXT, /* right place, but not over TLS */
	SWAP_NONE,      /* no stub in the head */
	SWAP_HEADER,    /* in the declared field */
	SWAP_BASIC,     /* in Basic authentication */
};

struct swap_plan {
	enum swap_verdict verdict;
	uint32_t cred;     /* not meaningful for SWAP_NONE */
	char name[64 + 1]; /* of the credential, "" for SWAP_NONE */
	size_t field;      /* SWAP_HEADER, SWAP_BASIC: index */
	char reason[512];  /* for people; holds no stub */
};

/* host is normalised; port is the dialled one. */
void swap_judge(const struct req_head *h, const char *host, uint16_t port,
    const struct bindings *bs, struct swap_plan *p);

/*
 * On a host with a live credential: remove what the caller brought to
 * authenticate itself, in all fields known to carry that, except the one that
 * holds the stub.  An agent must not use an allowed API with somebody else's
 * key.  Returns how many fields went.
 */
unsigned int swap_strip(struct req_head *h, const char *host, uint16_t port,
    const struct bindings *bs);

/*
 * Judge again and put value in the stub's place; Basic is written anew in
 * its canonical form.  -1 if the plan no longer says cred, or the value does
 * not fit a field (it holds a control byte).  It may be of another length
 * than its stub.
 */
int swap_apply(struct req_head *h, const char *host, uint16_t port,
    const struct bindings *bs, uint32_t cred, const struct secret *value,
    struct error *err);

#endif

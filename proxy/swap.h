/*
 * Where a stub stands in a request, whether it may stand there, and putting
 * the real value in its place.  Pure; run by back only, after it has found
 * that SNI, authority and the name behind the dialled address agree.
 *
 * A stub is swapped where its credential declares, on a request to a host and
 * port it is bound to, over TLS: in the value of a field, as user or password
 * of Basic authentication (RFC 7617), as the whole value of a query parameter,
 * or as a segment of the path, alone or behind letters ("/botTOKEN/").
 * Anywhere else in a head it is a leak, and the request is refused.  Bodies
 * are proxy/swap_body.h.
 *
 * A credential with "inject" is put in though the agent sent nothing.
 */
#ifndef BRIG_PROXY_SWAP_H
#define BRIG_PROXY_SWAP_H

#include "base/error.h"
#include "base/secret.h"
#include "proxy/binding.h"
#include "proxy/wire.h"

/* Credentials in one head, each in one place; beyond it is a leak. */
#define SWAP_SLOTS_MAX 8u

enum swap_verdict {
	SWAP_LEAK,      /* 0: a stub where it must not be */
	SWAP_REVOKED,   /* right place, but no longer valid */
	SWAP_PLAINTEXT, /* right place, but not over TLS */
	SWAP_NONE,      /* no stub in the head, nothing to put in */
	SWAP_HEADER,    /* in the declared field */
	SWAP_BASIC,     /* in Basic authentication */
	SWAP_QUERY,     /* value of the declared parameter */
	SWAP_PATH,      /* in the path */
	SWAP_INJECT,    /* nowhere: a field is added */
};

/* One stub in its right place. */
struct swap_slot {
	enum swap_verdict kind;
	uint32_t cred;
	size_t at, len; /* SWAP_QUERY, SWAP_PATH: bytes of the target */
};

struct swap_plan {
	enum swap_verdict verdict; /* with slots: the kind of the first */
	uint32_t cred;             /* of the first, or that leaks */
	char name[64 + 1];         /* of it, "" for SWAP_NONE */
	char reason[512];          /* for people; holds no stub */
	struct swap_slot slot[SWAP_SLOTS_MAX];
	size_t n;
};

/* A released credential. */
struct swap_value {
	uint32_t cred;
	const struct secret *value;
};

/* host is normalised; port is the dialled one. */
void swap_judge(const struct req_head *h, const char *host, uint16_t port,
    const struct bindings *bs, struct swap_plan *p);
/* May the request go on, as far as stubs are concerned? */
bool swap_is_fine(const struct swap_plan *p);

/*
 * On a host with a live credential: remove what the caller brought to
 * authenticate itself, in all fields and query parameters known to carry that
 * and in the declared ones, except what holds a stub.  An agent must not use an
 * allowed API with somebody else's key.  p is the plan of h, and is so
 * afterwards.  Returns how much went.
 */
unsigned int swap_strip(struct req_head *h, const char *host, uint16_t port,
    const struct bindings *bs, struct swap_plan *p);

/* Likewise from trailers, where no stub is right. */
unsigned int swap_strip_trailers(struct fields *fs, const char *host,
    uint16_t port, const struct bindings *bs);

/*
 * Put the values in, as p says, which is the plan of h and bs; other fields
 * may have come and gone since.  Basic is written anew in its canonical form,
 * as are query and path.  -1 if a stub is not where it was, a value is not
 * there or does not fit (it holds a control byte); h is then to be thrown
 * away.  A value may be of another length than its stub.
 */
int swap_apply(struct req_head *h, const struct bindings *bs,
    const struct swap_plan *p, const struct swap_value *v, size_t n,
    struct error *err);

#endif

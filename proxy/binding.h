/*
 * Which credentials this job has, as keyd tells back: never a real value, only
 * stubs and where each belongs.  Replaced whole by every M_BINDINGS.
 */
#ifndef BRIG_PROXY_BINDING_H
#define BRIG_PROXY_BINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "proxy/credspec.h"

#define BINDING_STUB_MIN 8u /* shorter ones would be found by chance */

struct scan;
struct seek;

struct binding {
	uint32_t cred; /* keyd's number */
	char *name;
	struct cred_spec spec;
	bool revoked;
	char *stub; /* "" if its kind has none */
};

struct bindings {
	struct binding *b;
	size_t n;
	struct seek *seek;   /* stubs in every form; key = index in b */
	struct scan *folded; /* stubs in lower case */
};

/*
 * Decode the body of M_BINDINGS and index it.  0, or -1 when a field is not
 * what it should be; bs is then empty.
 */
int bindings_get(struct cur *c, struct bindings *bs);
void bindings_free(struct bindings *bs);

const struct binding *bindings_cred(const struct bindings *bs, uint32_t cred);
/* Is it bound to that host (normalised) and port, among others? */
bool binding_is_for(const struct binding *b, const char *host, uint16_t port);

/*
 * The first stub found in n bytes of a request's head: as it is, in any case,
 * percent-decoded once or twice, in base64, hex or escaped.  NULL if none.
 */
const struct binding *bindings_find(
    const struct bindings *bs, const char *s, size_t n);

/*
 * The next piece of a body: the stub in it, in any form of proxy/seek.h.  What
 * may be the start of one is kept in tail, empty at first.
 */
const struct binding *bindings_seek(
    const struct bindings *bs, struct buf *tail, const uint8_t *p, size_t n);

/*
 * Lenient base64 as the laxest server might read it: either alphabet, other
 * bytes skipped.  Returns bytes written to out (at least n * 3 / 4 + 3).
 */
size_t binding_b64_lax(const char *s, size_t n, uint8_t *out);

#endif

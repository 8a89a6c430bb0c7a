/*
 * The login of a PostgreSQL connection, which back speaks on both sides.
 */
#ifndef BRIG_PROXY_BACK_PG_H
#define BRIG_PROXY_BACK_PG_H

#include "proxy/back_raw.h"

/*
 * For a connection that is up.  NULL where bytes are passed on from the start:
 * no credential is bound there, and the agent has not asked for TLS.
 */
struct pg *pg_new(struct raw *r);
void pg_free(struct pg *pg);
/*
 * Go on as far as possible; pg is freed and r->pg NULL when the login is over.
 * False: the exchange has ended.
 */
bool pg_work(struct pg *pg);
/* ErrorResponse with the reason of a denial. */
void pg_put_denial(struct buf *b, const struct denial *d);

#endif

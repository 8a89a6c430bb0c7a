/*
 * One completion that an agent has asked for, from its bytes to the last byte
 * of the answer.  It lives until the engine has done with it, whether or not
 * its connection is still there.
 */
#ifndef BRIG_INFERD_REQUEST_H
#define BRIG_INFERD_REQUEST_H

#include "inferd/server_int.h"

/*
 * Begin, and answer now or later: what cannot be done is answered with the
 * reason.
 */
void request_begin(
    struct caller *k, enum api_kind kind, const struct conn_request *r);
/* Nobody waits for it any more. */
void request_leave(struct request *q);
void request_cancel_all(struct server *s);

#endif

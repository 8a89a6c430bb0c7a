/*
 * A WebSocket on its way through back, from the moment the origin has accepted
 * it.  On a host with a credential its messages are read and written anew in
 * both directions: stubs in text become values where the credential says so,
 * values turn back into stubs.  On another host the agent's messages are only
 * read, so that a stub in them is on record.
 */
#ifndef BRIG_PROXY_BACK_WS_H
#define BRIG_PROXY_BACK_WS_H

#include "proxy/back.h"

/* -1 with err when the origin speaks an extension that cannot be read. */
int xch_ws_open(
    struct exchange *x, const struct rsp_head *h, struct error *err);
void xch_ws_free(struct exchange *x);
/* Leave of the agent's offer what can be read. */
void xch_ws_offer(struct fields *fs);

/* Towards the origin: move bytes of x->req on; it may end the exchange. */
size_t xch_ws_fill(struct exchange *x);
struct buf *xch_ws_data(struct exchange *x);
uint64_t xch_ws_swapped(const struct exchange *x);

/* Towards front; only with a scrubber.  False: the exchange is gone. */
bool xch_ws_step(struct exchange *x, const uint8_t *p, size_t n, size_t *used);

#endif

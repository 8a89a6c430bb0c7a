/*
 * The JSON with which the proxy explains a refusal to the agent.
 */
#ifndef BRIG_PROXY_REFUSE_H
#define BRIG_PROXY_REFUSE_H

#include "base/buf.h"

/*
 * Append s as a JSON string with its quotes (RFC 8259 section 7).  Bytes that
 * are not UTF-8 are shown as str_escape() shows them.
 */
void json_put_str(struct buf *b, const char *s);

/* Append {"error":..,"reason":..,"next_steps":..} and a newline. */
void refuse_body(struct buf *b, const char *error, const char *reason,
    const char *next_steps);

#endif

/*
 * How front says no to a gRPC call: in trailers that come without a message
 * ("PROTOCOL-HTTP2", Trailers-Only), since a client of gRPC shows its caller
 * neither the body nor the words of another answer.  Pure.
 */
#ifndef BRIG_PROXY_FRONT_GRPC_H
#define BRIG_PROXY_FRONT_GRPC_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/wire.h"

/* Is that the content type of a call? */
bool grpc_is_call(const struct fields *request);
/*
 * The fields of an answer with status 200: the code of gRPC for this status of
 * HTTP, and text, n bytes of one line, percent-encoded; cut if it is long.
 */
void grpc_refusal(
    struct fields *fs, unsigned int status, const char *text, size_t n);

#endif

/*
 * The frames of a WebSocket in one direction (RFC 6455 section 5), read from a
 * stream in pieces of any size, their messages rewritten, and written anew.
 * Pure; back owns two for each WebSocket that it looks into.
 *
 * A frame of up to WS_KEEP_MAX bytes goes out as one, a larger one in parts.
 * Messages compressed by permessage-deflate (RFC 7692) are decompressed, and
 * go on as they are then, which that extension leaves to every sender.
 */
#ifndef BRIG_PROXY_WS_H
#define BRIG_PROXY_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "proxy/codec.h"

#define WS_KEEP_MAX 65536u
#define WS_CONTROL_MAX 125u /* RFC 6455 section 5.5 */

/* RFC 6455 section 7.4.1 */
#define WS_CLOSE_PROTOCOL 1002u
#define WS_CLOSE_DATA 1007u
#define WS_CLOSE_POLICY 1008u

struct ws_ops {
	/* More of a message, to be appended to out as it shall go on; with
	 * last there is no more. */
	void (*data)(void *arg, bool text, const uint8_t *p, size_t n,
	    bool last, struct buf *out);
	/* What a ping, pong or close carries; may be changed in place. */
	void (*control)(void *arg, bool pong, uint8_t *p, size_t n);
};

struct ws;

/*
 * masked: what comes and goes is masked, as everything that clients send.
 * deflate: the extension was agreed on.
 */
struct ws *ws_new(bool masked, bool deflate, struct codec_memory *m,
    const struct ws_ops *ops, void *arg);
void ws_free(struct ws *w); /* wipes; NULL is fine */
/*
 * Read from p[0..n): *used bytes were taken, frames appended to out, until
 * there are max bytes or somewhat more.  0, or -1 with err and in *code the
 * reason to close with: then nothing more can be read.
 */
int ws_feed(struct ws *w, const uint8_t *p, size_t n, size_t *used,
    struct buf *out, size_t max, unsigned int *code, struct error *err);
/* There may be more without further input. */
bool ws_more(const struct ws *w);

/* A close frame with a reason of up to WS_CONTROL_MAX - 2 bytes. */
void ws_put_close(
    struct buf *out, bool masked, unsigned int code, const char *why);

/*
 * Keep of an offer in Sec-WebSocket-Extensions what this file can read,
 * appended to out without a NUL.
 */
void ws_offer_cut(const char *value, struct buf *out);
/* What was agreed on: *deflate, or -1 when there is something else. */
int ws_agreed(const char *value, bool *deflate);

#endif

/*
 * Turns real values in a response back into their stubs, in place and with
 * equal length, in a stream given in chunks of any size.  Only bytes that may
 * be the start of a value are held back, so that an event stream is not
 * delayed; which those are tells nothing about values (proxy/shape.h).  back
 * owns one per credentialed exchange.
 *
 * Values are found as they are and in the forms of proxy/seek.h.  Every byte
 * of every one is overwritten, also where they overlap.  A value that meets
 * itself ("aaaa" in "aaaaaa") is replaced from the left.  One that is cut into
 * parts with other bytes between them, such as over two events of a stream or
 * two messages of gRPC, is not a value any more and is not found.
 */
#ifndef BRIG_PROXY_SCRUB_H
#define BRIG_PROXY_SCRUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct scrub;

struct scrub *scrub_new(void);
void scrub_free(struct scrub *s); /* wipes; NULL is fine */
/*
 * Look for real, put stub; both n bytes, 1..SEEK_KEY_MAX, copied.  In a stream
 * that has begun it is looked for in what has not been let go.
 */
void scrub_add(struct scrub *s, const void *real, const void *stub, size_t n);
size_t scrub_keys(const struct scrub *s);
/* Is that pair number i? */
bool scrub_has(const struct scrub *s, size_t i, const void *real,
    const void *stub, size_t n);
/* Another stream is to be searched for the same. */
void scrub_again(struct scrub *s);
/* No room for another pair. */
bool scrub_is_full(const struct scrub *s);
/* Append to out what is certain; at most n + what was held back. */
void scrub_feed(struct scrub *s, const void *p, size_t n, struct buf *out);
/*
 * How many bytes at p go out as they are, with none of p held back.  They are
 * done with; those after them are for scrub_feed().  Where it stops tells
 * nothing if p has at least scrub_reach() bytes.
 */
size_t scrub_pass(struct scrub *s, const void *p, size_t n);
/* No more bytes than these are held back. */
size_t scrub_reach(const struct scrub *s);
/* More bytes follow at once: append those held back that start no value. */
void scrub_settle(struct scrub *s, struct buf *out);
/* The stream ended: append what is still held back. */
void scrub_end(struct scrub *s, struct buf *out);
/*
 * The stream pauses: append what is held back and has not been let go yet, but
 * for more than SCRUB_QUIET_MAX bytes that do start a value, with more than its
 * public beginning.  A peer that waits for an answer to its last byte is not
 * kept waiting by one that may start a value.  Should a value indeed begin with
 * them, the rest of it is replaced all the same, and equally long.
 */
#define SCRUB_QUIET_MAX 4u
void scrub_quiet(struct scrub *s, struct buf *out);
/*
 * How often a pause stood behind the start of a value that then went on as
 * something else.  That start has been kept from the reader, who thereby knows
 * that it is one: it does not happen by chance.
 */
unsigned int scrub_doubts(const struct scrub *s);
/* Bytes held back at the moment. */
size_t scrub_held(const struct scrub *s);
/* A whole text on its own (a field value), in place; not in mid-stream. */
void scrub_text(struct scrub *s, char *text, size_t n);
/* How often a value was replaced. */
uint64_t scrub_count(const struct scrub *s);

#endif

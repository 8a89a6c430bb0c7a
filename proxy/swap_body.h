/*
 * Puts real values in the place of stubs in a request's body, in a stream
 * given in chunks of any size.  Pure; back owns one per exchange with a host
 * that has a credential for bodies of that type.
 *
 * A stub counts only where the type of the body gives it a place:
 *	json	inside a string that is a value (RFC 8259), not a member's
 *		name; escapes are read, and the value is escaped as needed
 *	form	the whole value of a parameter (WHATWG URL, section 5.1)
 *	text	anywhere, byte for byte
 * After the first byte that JSON does not allow nothing more is replaced: what
 * a lenient reader makes of the rest is not known.
 *
 * Each character of a value is written the way the stub's character in that
 * position was, so that stub and value of the same shape have the same length
 * in every spelling: see swap_body_keeps_length().
 */
#ifndef BRIG_PROXY_SWAP_BODY_H
#define BRIG_PROXY_SWAP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/secret.h"

/* Credentials of one body; as many as one exchange has. */
#define SWAP_BODY_CREDS_MAX 48u
/* Containers open at once in JSON; deeper, nothing is replaced. */
#define SWAP_BODY_DEPTH_MAX 512u

enum swap_body_type {
	SWAP_BODY_NONE, /* 0: not looked into */
	SWAP_BODY_JSON,
	SWAP_BODY_FORM,
	SWAP_BODY_TEXT,
};

struct swap_body;

/*
 * What a Content-Type (NULL: absent) says.  Only encodings that leave ASCII
 * as it is are looked into.
 */
enum swap_body_type swap_body_type(const char *content_type);

/* type is not SWAP_BODY_NONE. */
struct swap_body *swap_body_new(enum swap_body_type type);
void swap_body_free(struct swap_body *s); /* wipes; NULL is fine */
/*
 * Look for stub (visible ASCII, copied), put value, which stays the caller's
 * and must outlive s.  All of them come before the first swap_body_feed().
 */
void swap_body_add(
    struct swap_body *s, const char *stub, const struct secret *value);
/* Will what comes out be as long as what went in, whatever that is? */
bool swap_body_keeps_length(const struct swap_body *s);
/* Append to out (buf_init_wipe()) what is certain. */
void swap_body_feed(
    struct swap_body *s, const void *p, size_t n, struct buf *out);
/* The body ended: append what is still held back. */
void swap_body_end(struct swap_body *s, struct buf *out);
/*
 * Bytes held back at the moment: at most six times the longest stub, and the
 * start of one escape.
 */
size_t swap_body_held(const struct swap_body *s);
/* How often a stub was replaced. */
uint64_t swap_body_count(const struct swap_body *s);

#endif

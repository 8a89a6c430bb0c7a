/*
 * Finds any of a few byte strings, as they are and as they may be written
 * down, in a stream given in pieces of any size.  Used by back for stubs in
 * requests and, through proxy/scrub.h, for real values in responses.  Pure; it
 * holds what it looks for and is wiped.
 *
 * Nearly every byte starts nothing: a filter over the first four bytes of all
 * forms (Hyperscan's "Teddy", NSDI 2019, where the processor has AVX2 or
 * AVX-512) passes over those, and what is left is compared byte by byte.
 * Making one costs little, as there is one for each exchange.
 */
#ifndef BRIG_PROXY_SEEK_H
#define BRIG_PROXY_SEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define SEEK_KEYS_MAX 288u
#define SEEK_KEY_MAX 16384u
/* Shorter keys are looked for as they are only: their encodings are so short
 * that they would be found by chance. */
#define SEEK_ENCODED_MIN 6u

enum seek_form {
	SEEK_RAW,
	/* Some bytes are escaped, the others as they are. */
	SEEK_PERCENT,  /* %XX */
	SEEK_PERCENT2, /* %25XX: encoded twice */
	SEEK_JSON,     /* \u00XX, \xXX, \n, \ before any punctuation */
	SEEK_JSON2,    /* JSON in a string of JSON: \\u00XX, \\\" */
	SEEK_HTML,     /* &#103; &#x67; &amp; */
	SEEK_QUOTED,   /* quoted-printable: =XX, lines broken by = */
	/* All bytes are. */
	/* At one of three offsets, either alphabet, lines or not; + and / may
	 * be escaped as in JSON or in a URL. */
	SEEK_B64,
	SEEK_HEX, /* either case */
	SEEK_UTF16LE,
	SEEK_UTF16BE,
};

/* How a key was found. */
struct seek_hit {
	uint32_t key; /* as returned by seek_add() */
	enum seek_form form;
	uint8_t shift; /* SEEK_B64: bytes before the key, mod 3 */
	size_t at;     /* its first byte */
	size_t len;    /* bytes in the stream */
};

struct seek;

struct seek *seek_new(void);
void seek_free(struct seek *s); /* wipes; NULL is fine */
/*
 * Add a key of 1..SEEK_KEY_MAX bytes: as it is, and if encoded is true also in
 * the other forms.  Returns the number of the key, counted from 0.
 */
uint32_t seek_add(struct seek *s, const void *key, size_t n, bool encoded);
/* What longer keys begin with: in all forms, however short. */
void seek_add_start(struct seek *s, const void *key, size_t n);

bool seek_is_key(const struct seek *s, uint32_t i, const void *key, size_t n);

/*
 * The first key that starts at from or later in p[0..n), the longest if more
 * start there.  Without one, *hold is the first byte at which a key may start
 * that goes on beyond p[n], n if there is none; with last nothing follows
 * p[n].  The answer depends on the bytes, not on how they come: keep those
 * from *hold on and search again when more have come.
 */
bool seek_search(const struct seek *s, const uint8_t *p, size_t n, size_t from,
    bool last, struct seek_hit *hit, size_t *hold);
/* In one piece of bytes. */
bool seek_find(
    const struct seek *s, const void *p, size_t n, struct seek_hit *hit);

/*
 * The next piece of a stream: is there a key?  What may be the start of one is
 * kept in tail, empty at first; hit->at counts from nothing useful.
 */
bool seek_stream(const struct seek *s, struct buf *tail, const uint8_t *p,
    size_t n, struct seek_hit *hit);

/* Value of a base64 character in either alphabet, -1 if it is none. */
int seek_b64_value(uint8_t c);
int seek_hex_value(uint8_t c); /* likewise of a hex digit */

/*
 * Write with, as long as the key, over a key found, in the form in which it
 * was found: hit->len bytes, which src holds, to dst.
 */
void seek_rewrite(const struct seek *s, uint8_t *dst, const uint8_t *src,
    const struct seek_hit *hit, const uint8_t *with);

#endif

/* Between proxy/seek*.c: the keys, the filter, and the units of each form. */
#ifndef BRIG_PROXY_SEEK_INT_H
#define BRIG_PROXY_SEEK_INT_H

#include "proxy/seek.h"

#define FILTER_BYTES 4u

/* Groups of forms that share a bit of the filter. */
enum bucket {
	BUCKET_TEXT,    /* begins with the key's first byte */
	BUCKET_PERCENT, /* begins with an escape: % or = */
	BUCKET_SLASH,   /* \ or & */
	BUCKET_B64_0,
	BUCKET_B64_1,
	BUCKET_B64_2,
	BUCKET_HEX, /* and UTF-16LE; with UTF-16BE it would take zeros */
	BUCKET_UTF16BE,
};

#define KEYS_A_WORD 8u /* of a word, each key has a byte, each bucket a bit */

/*
 * Word w of at for byte i and value c: those keys and buckets of which some
 * form may have c as its byte i.  The tables by half bytes say the same of the
 * buckets of all keys together, and yes to some more.
 */
struct filter {
	uint8_t low[FILTER_BYTES][16];
	uint8_t high[FILTER_BYTES][16];
	uint64_t *at;
	size_t words;
};

struct seek_key {
	uint8_t *p;
	size_t n;
	bool encoded;
};

struct seek {
	struct filter filter;
	struct seek_key *key;
	uint32_t n;
};

/* seek_filter.c */
void filter_add(struct filter *f, uint32_t key, const struct seek_key *k);
void filter_free(struct filter *f);
/* What may start at p, of which n bytes are there: word w. */
uint64_t filter_look(
    const struct filter *f, const uint8_t *p, size_t n, size_t w);
/*
 * The first place at from or later with FILTER_BYTES bytes where something may
 * start; without one, the first that has not so many bytes.
 */
size_t filter_skip(
    const struct filter *f, const uint8_t *p, size_t n, size_t from);
/* For tests: look at no more places at a time, whatever the processor can. */
void filter_lanes(size_t max);

/* seek_match.c */
enum found {
	FOUND_NOT,
	FOUND_MORE, /* bytes are missing */
	FOUND,
};

/* What starts at p; the longest into hit.  Never FOUND_MORE with last. */
enum found seek_match(const struct seek *s, const uint8_t *p, size_t n,
    bool last, struct seek_hit *hit);

/* The 6 bits of base64 character i, and in *known which come from the key. */
unsigned int seek_b64_bits(const uint8_t *key, size_t n, unsigned int shift,
    size_t i, unsigned int *known);
/* A line break between characters of base64 that starts at p: how many bytes.
 */
size_t seek_b64_gap(const uint8_t *p, size_t n);
/* One character of base64 at p, which may be escaped: its value and length. */
enum found seek_b64_unit(const uint8_t *p, size_t n, int *value, size_t *len);

/* "=" at the end of a line of quoted-printable (RFC 2045 section 6.7). */
size_t seek_soft_break(const uint8_t *p, size_t n);

#define ESCAPES_MAX 12u
#define ESCAPE_MAX 12u /* bytes and a NUL */

/* The ways to write c escaped; returns how many. */
size_t seek_escapes(
    enum seek_form form, uint8_t c, char out[ESCAPES_MAX][ESCAPE_MAX]);
/*
 * One byte of a key, c, as form writes it, at p: FOUND with its length, which
 * may include a line break before it.
 */
enum found seek_unit(
    enum seek_form form, uint8_t c, const uint8_t *p, size_t n, size_t *len);

#endif

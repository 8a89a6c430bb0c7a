/*
 * Finds any of a few byte strings in a stream given in chunks of any size, a
 * byte at a time if need be (Aho and Corasick, CACM 18(6), 1975, with sparse
 * nodes: memory grows with the patterns, not with the alphabet).  Used by back
 * where what is searched has been decoded; proxy/seek.h finds strings as they
 * may be written down.  Pure; it holds what it looks for and is wiped.
 */
#ifndef BRIG_PROXY_SCAN_H
#define BRIG_PROXY_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_KEY_MAX 16384u

/* What was found. */
struct scan_hit {
	uint32_t key; /* as returned by scan_add() */
	uint32_t len; /* bytes in the stream */
};

struct scan;

struct scan *scan_new(void);
void scan_free(struct scan *s); /* wipes; NULL is fine */
/* Add a key of 1..SCAN_KEY_MAX bytes; its number, counted from 0. */
uint32_t scan_add(struct scan *s, const void *key, size_t n);
/* After the last scan_add(), before the first scan_step(). */
void scan_ready(struct scan *s);

/*
 * Advance over up to n bytes; *state starts at 0.  Stops after the first byte
 * at which a key ends and returns how many bytes were used; *match is then
 * the longest key that ends there, else 0.
 */
size_t scan_step(const struct scan *s, uint32_t *state, const uint8_t *p,
    size_t n, uint32_t *match);
const struct scan_hit *scan_hit(const struct scan *s, uint32_t match);
/* The next shorter key that ends at the same byte, 0 if none. */
uint32_t scan_next(const struct scan *s, uint32_t match);
/* How many of the last bytes may be the start of a key that is not complete. */
size_t scan_pending(const struct scan *s, uint32_t state);

/* First hit in one piece of bytes; NULL if none. */
const struct scan_hit *scan_find(const struct scan *s, const void *p, size_t n);

#endif

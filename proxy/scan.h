/*
 * Finds any of a few byte strings, in several encodings at once, in a stream
 * given in chunks of any size (Aho and Corasick, CACM 18(6), 1975, with sparse
 * nodes: memory grows with the patterns, not with the alphabet).  Used by back
 * for stubs in requests and, through proxy/scrub.h, for real values in
 * responses.  Pure; the automaton holds what it looks for and is wiped.
 */
#ifndef BRIG_PROXY_SCAN_H
#define BRIG_PROXY_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_KEYS_MAX 256u
#define SCAN_KEY_MAX 16384u
/* Shorter keys are looked for as they are only: their encodings are so short
 * that they would be found by chance. */
#define SCAN_ENCODED_MIN 6u
/* Up to this length base64 is matched with the characters that it shares with
 * its neighbours; beyond, only those that it fills alone. */
#define SCAN_B64_EXACT_MAX 256u

enum scan_form {
	FORM_RAW,
	FORM_B64, /* at one of three offsets, either alphabet */
	FORM_HEX,
	FORM_ESCAPED, /* every byte is itself, %XX, \c or \u00XX */
};

/* How a key was found. */
struct scan_hit {
	uint32_t key; /* as returned by scan_add() */
	enum scan_form form;
	uint8_t shift;  /* FORM_B64: bytes before the key, mod 3 */
	bool upper;     /* FORM_HEX: digits are A-F */
	uint32_t first; /* FORM_B64: index of the first character */
	uint32_t len;   /* bytes in the stream */
};

struct scan;

struct scan *scan_new(void);
void scan_free(struct scan *s); /* wipes; NULL is fine */
/*
 * Add a key of 1..SCAN_KEY_MAX bytes: as it is, and if encoded is true also in
 * the other forms; exact asks for base64 with the shared characters.  Returns
 * the number of the key, counted from 0.
 */
uint32_t scan_add(
    struct scan *s, const void *key, size_t n, bool encoded, bool exact);
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

/* Value of a base64 character in either alphabet, -1 if it is none. */
int scan_b64_value(uint8_t c);

#endif

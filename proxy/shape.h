/*
 * Where a stream is held back because a value may begin there is something
 * that the reader of the stream sees: in the sizes of chunks and frames, and
 * in when they come.  If it were held where a value does begin, an agent that
 * has a server repeat guesses could find out a value character by character.
 * So it is held where a value may begin for all that an agent knows: its stub
 * has the length of the value, and the same public beginning ("ghp_").  What
 * value and stub have in common beyond that, one in ten to one in 26 has, is
 * chance, and whether they do is not told either.
 *
 * Pure; used by proxy/scrub.c alone.
 */
#ifndef BRIG_PROXY_SHAPE_H
#define BRIG_PROXY_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shape;

struct shape *shape_new(void);
void shape_free(struct shape *s); /* NULL is fine */
/* A value and its stub, both n bytes. */
void shape_add(
    struct shape *s, const uint8_t *real, const uint8_t *stub, size_t n);
/*
 * The first byte of p[0..n) from which on p may be the start of a value, in any
 * form of proxy/seek.h, that goes on beyond p[n]; n if there is none.  Never
 * behind the byte that seek_search() would hold, and never more than
 * shape_reach() bytes before the end.
 */
size_t shape_hold(const struct shape *s, const uint8_t *p, size_t n);
size_t shape_reach(const struct shape *s);
/* Is p[0..n), n > 0, no more than a value's public beginning, or part of it? */
bool shape_is_public(const struct shape *s, const uint8_t *p, size_t n);

#endif

/*
 * Regular expressions of JSON schemas (ECMA-262 without look-around, back
 * references and Unicode properties), as automata over characters in which
 * each character leads to one state.  Pure, bounded.
 */
#ifndef BRIG_INFERD_PATTERN_H
#define BRIG_INFERD_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define PATTERN_NODES 4096u  /* once repeats have been written out */
#define PATTERN_STATES 4096u /* of the automaton */
#define PATTERN_CLASSES 256u /* kinds of characters it tells apart */
#define PATTERN_DEPTH 32u    /* groups within groups */
#define PATTERN_LEN 65535u   /* characters that a length can bound */
#define PATTERN_WORK (1u << 23)
#define PATTERN_MANY UINT32_MAX

struct pattern_edge {
	uint32_t lo, hi; /* characters */
	uint32_t to;     /* state */
};

struct pattern_state {
	bool done; /* the text may end here */
	uint32_t first, n;
};

struct pattern {
	struct pattern_state *state; /* [0]: the beginning */
	struct pattern_edge *edge;   /* of a state by characters, disjoint */
	uint32_t nstate, nedge;
	uint64_t work; /* what it cost, at most a little above PATTERN_WORK */
};

/*
 * What n bytes of UTF-8 match somewhere in a text of min to max characters
 * (PATTERN_MANY: no end).  0, or -1 with err, naming what is not supported;
 * p is to be freed in either case.
 */
int pattern_compile(struct pattern *p, const char *text, size_t n, uint32_t min,
    uint32_t max, struct error *err);
void pattern_free(struct pattern *p); /* safe on a zeroed one */

#endif

/*
 * Shared by the files of patterns; nobody else includes it.
 */
#ifndef BRIG_INFERD_PATTERN_INT_H
#define BRIG_INFERD_PATTERN_INT_H

#include "inferd/pattern.h"

#define PATTERN_TREE 8192u
#define PATTERN_RANGES 16384u

enum ptree_op {
	PTREE_EMPTY,
	PTREE_SET,    /* a: the first range, b: how many */
	PTREE_CAT,    /* a, then b */
	PTREE_ALT,    /* a or b */
	PTREE_REPEAT, /* a */
	PTREE_BEGIN,
	PTREE_END,
};

struct ptree {
	enum ptree_op op;
	uint32_t a, b;
	uint32_t min, max;
};

struct prange {
	uint32_t lo, hi;
};

/* A pattern as it was written. */
struct parsed {
	struct ptree *tree;
	struct prange *range; /* of a set: sorted, disjoint */
	uint32_t ntree, tree_cap, nrange, range_cap;
	uint32_t root; /* the last one stands for any character */
};

int pattern_parse(
    struct parsed *p, const char *text, size_t n, struct error *err);
void parsed_free(struct parsed *p);

#endif

/*
 * How an architecture finds its tensors when a net is made.  What is missing,
 * or not of the shape that is asked for, is said in the binding's error, and
 * there is no net.
 */
#ifndef BRIG_INFERD_NET_BIND_H
#define BRIG_INFERD_NET_BIND_H

#include "inferd/net.h"

struct binding {
	const struct model_table *t;
	struct error *err;
	int layer; /* whose tensors are meant; -1: outside of the layers */
	bool failed;
};

/* Tensor PART.SUFFIX of n floats; they stand in F32 in every file, being few.
 * NULL: it is not there. */
const float *net_vector(struct binding *b, const char *part, const char *suffix,
    size_t n, bool needed);
/* PART.weight with its bias and scale; experts: how many of them, 0 for a
 * plain one.  Without w if it is not there. */
struct matrix net_matrix(struct binding *b, const char *part, size_t rows,
    size_t cols, size_t experts, bool needed);

/* A copy of PART.weight with rows of numbers below `below`: whoever writes to a
 * mapped file changes none of them after they were checked.  The caller's to
 * free; NULL: it is not there, or has no data. */
int32_t *net_table(struct binding *b, const char *part, size_t rows,
    size_t cols, uint32_t below);

/* Attention by heads of queries that share those of keys and values. */
void net_bind_attention(
    struct binding *b, const struct net *n, struct layer *l);

#endif

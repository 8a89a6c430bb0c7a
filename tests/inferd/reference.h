/*
 * Logits that another engine has computed, and those of ours beside them.
 * Behind cmocka and not: what cannot be read ends the program.
 */
#ifndef BRIG_TEST_REFERENCE_H
#define BRIG_TEST_REFERENCE_H

#include <stdint.h>

#include "inferd/net.h"

struct logits {
	int32_t n, vocab;
	int32_t *token;
	float *value; /* [n][vocab] */
};

/* "LOGITS1", n, vocab, n tokens, n x vocab logits; little-endian. */
void logits_read(const char *path, struct logits *l);
void logits_free(struct logits *l);
/* What net says to the tokens of l, [n][vocab]; the caller frees it. */
float *logits_of(
    const struct net *net, const struct logits *l, enum tensor_type kv);

/* Of two with the same shape, each [n][vocab]. */
struct likeness {
	double difference; /* of one logit at most, by the largest of a */
	double median;     /* Kullback-Leibler divergence of b from a */
	int32_t same;      /* positions with the same token on top */
};
struct likeness logits_compare(
    const float *a, const float *b, int32_t n, int32_t vocab);

#endif

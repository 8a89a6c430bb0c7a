/*
 * How much of a prompt its agent has sent before: a guess at what is still in
 * memory, for whoever cannot look there.  Page by page, by hashes with a key
 * that nobody knows, so that no agent can make one that is another's; it may be
 * wrong, and costs a fixed amount of memory.
 */
#ifndef BRIG_INFERD_ASKED_H
#define BRIG_INFERD_ASKED_H

#include <stdint.h>

struct asked;

struct asked *asked_new(void);
void asked_free(struct asked *a); /* NULL is fine */
/* Tokens of the beginning of ids that this space has seen. */
uint32_t asked_find(
    const struct asked *a, uint32_t space, const int32_t *ids, uint32_t n);
void asked_add(struct asked *a, uint32_t space, const int32_t *ids, uint32_t n);

#endif

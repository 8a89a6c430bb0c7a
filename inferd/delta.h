/*
 * Gated DeltaNet (Yang, Kautz and Hatamizadeh, 2024): layers that keep a state
 * instead of keys and values, and attention with a gate every few layers.
 * What architectures of that kind say in their arch_def.
 */
#ifndef BRIG_INFERD_DELTA_H
#define BRIG_INFERD_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inferd/net.h"

struct kv_shape;

/* arch_def.kv, bind, scratch and layer. */
bool delta_kv(const struct hparams *hp, uint32_t i, struct kv_shape *out);
void delta_bind(struct binding *b, const struct net *n, struct layer *l);
size_t delta_scratch(const struct hparams *hp);
void delta_layer(struct run *r, uint32_t layer);

#endif

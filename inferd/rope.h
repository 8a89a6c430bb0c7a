/*
 * Rotary positions (Su et al., RoFormer, 2021), with YaRN's stretching of the
 * context (Peng et al., 2023).  Pure.
 */
#ifndef BRIG_INFERD_ROPE_H
#define BRIG_INFERD_ROPE_H

#include <stddef.h>
#include <stdint.h>

#include "inferd/model_table.h"
#include "inferd/net.h"

/*
 * Radians per position of each pair: freq[rope_dims / 2].  factors: of the
 * file, by which frequencies are divided, or NULL.  *gain: what cosine and
 * sine are multiplied by.
 */
void rope_frequencies(
    const struct hparams *hp, const float *factors, float *freq, float *gain);

/*
 * Of a model with several streams: layers that see a window alone, and those
 * that see squeezed rows, which turn by another base and are stretched.
 * Cosines and sines of both are as they are, whatever the stretching.
 */
void rope_streams(const struct hparams *hp, float *near, float *far);

/* What scores are multiplied by where *gain is left at 1. */
float rope_grows(const struct hparams *hp);

/* Cosines, then sines, of one position: turn[rope_dims]. */
void rope_turn(const struct net *n, uint32_t pos, float *turn);

/* The same by these frequencies. */
void rope_turn_by(const struct net *n, const float *freq, float gain,
    uint32_t pos, float *turn);

/* Turn the first rope_dims values of one head in place. */
void rope_apply(const struct net *n, const float *turn, float *head);
/* And turn them back. */
void rope_undo(const struct net *n, const float *turn, float *head);

#endif

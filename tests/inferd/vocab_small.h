/*
 * Vocabularies for tests, made here: every byte, a few merges of each, control
 * tokens and markup.
 */
#ifndef BRIG_TESTS_VOCAB_SMALL_H
#define BRIG_TESTS_VOCAB_SMALL_H

#include "inferd/model_table.h"

#define SMALL_TOKENS 320u
#define SMALL_TEXT 32u

struct vocab_small {
	struct vocab_table v;
	struct vocab_token tokens[SMALL_TOKENS];
	struct vocab_merge merges[SMALL_TOKENS];
	char text[SMALL_TOKENS][SMALL_TEXT];
};

/* Ends with the control tokens <|im_start|> <|im_end|>, the markup <think>
 * and the user-defined run of four spaces. */
void vocab_small_bpe(struct vocab_small *s, const char *pre);
void vocab_small_spm(struct vocab_small *s);

#endif

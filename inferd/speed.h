/*
 * inferd --bench: how fast a model is computed here.
 */
#ifndef BRIG_INFERD_SPEED_H
#define BRIG_INFERD_SPEED_H

#include <stdbool.h>

#include "inferd/model_load.h"

struct speed {
	unsigned prompt, tokens; /* 0: without that measurement */
	unsigned passes;         /* each median is of so many */
};

#define SPEED_PROMPT_MAX 4096u
#define SPEED_TOKENS_MAX 4096u
#define SPEED_PASSES_MAX 100u
#define SPEED_DEFAULT ((struct speed){ 512, 64, 5 })

/* "PROMPT,TOKENS,PASSES": 0, or -1 if that is not what text is. */
int speed_parse(const char *text, struct speed *s);

/*
 * Print tokens per second of a prompt and of tokens one by one, the time the
 * model took to open, and memory; as text, or as JSON objects, one a line, with
 * the samples.  The exit status.
 */
int speed_print(const char *path, const struct model_opts *opts,
    const struct speed *s, unsigned threads, bool json);

#endif

/*
 * What inferd is told on its command line.
 */
#ifndef BRIG_INFERD_OPTIONS_H
#define BRIG_INFERD_OPTIONS_H

#include <stdbool.h>

#include "inferd/serve.h"
#include "inferd/speed.h"

enum mode {
	MODE_NONE,
	MODE_CHECK,
	MODE_BENCH,
	MODE_PERPLEXITY,
	MODE_TOKENIZE,
	MODE_REPLAY,
	MODE_CHAT,
	MODE_SERVE
};

struct options {
	enum mode mode;
	const char *text; /* file, of MODE_PERPLEXITY and MODE_REPLAY */
	const char *id;   /* of MODE_REPLAY; NULL: all */
	struct speed speed;
	bool json;
	const char *serving; /* an option that is for MODE_SERVE alone */
	/* The model and how to open it, of all modes. */
	struct serve_opts serve;
};

/* Ends the process on --help, --version and what is not understood. */
void options_read(struct options *o, int argc, char **argv);

#endif

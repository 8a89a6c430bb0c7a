/*
 * A model ready to answer: opened, with its vocabulary, its template and an
 * engine.  For the server and for talking to it in a terminal.
 */
#ifndef BRIG_INFERD_BACKEND_H
#define BRIG_INFERD_BACKEND_H

#include "base/error.h"
#include "base/ev.h"
#include "inferd/engine.h"
#include "inferd/model_load.h"
#include "inferd/steer.h"
#include "inferd/template.h"
#include "inferd/tok.h"
#include "inferd/warm.h"

struct backend_opts {
	const char *model; /* path */
	const char *draft; /* path of a smaller one that guesses, or NULL */
	struct model_opts open;
	struct engine_opts engine; /* kv_budget 0: a part of memory */
	enum chat_family family;   /* CHAT_NONE: as the model says */
	const char *steer[STEER_CLASSES_MAX]; /* as steers_add() takes them */
	size_t nsteer;
};

struct backend {
	struct model *model, *draft;
	struct warm *warm;
	struct tok *tok;
	enum chat_family family;
	struct steers *steers;
	struct engine *engine;
};

/*
 * Progress is shown on standard error if that is a terminal.  -1 with err;
 * backend_close() in any case.
 */
int backend_open(struct backend *b, const struct backend_opts *o, struct ev *ev,
    struct error *err);
/* Delivers the ends of all completions. */
void backend_close(struct backend *b);

/* A bar on standard error: done of all; nothing unless it is a terminal. */
void backend_bar(const char *what, uint64_t done, uint64_t all);
void backend_bar_end(void);

#endif

/*
 * What surrounds a trace under test: the judge of this program, and the
 * process that it traces.
 */
#ifndef BRIG_TESTS_TRACE_WORLD_H
#define BRIG_TESTS_TRACE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/ev.h"
#include "sandbox/trace.h"
#include "tests/jail/bound.h"

#define LIMIT_MS (1000 * bound(120))

/* Attach to who asks, or to everything all along. */
extern bool listening;
int attach_to_who_asks(void **state);
int attach_all_along(void **state);

/* A case, both ways. */
#define BOTH(f)                                                                \
	{ #f ", listening", f, attach_to_who_asks, NULL, NULL },               \
	{                                                                      \
#f ", all along", f, attach_all_along, NULL, NULL              \
	}

struct world {
	struct ev *ev;
	struct trace *t;
	int proc_fd;
	pid_t pid;
	int status;
	bool done;
	unsigned int execs, denied, unreadable, gone;
	pid_t pending;
	bool ask;  /* date is held instead of denied */
	dev_t dev; /* identity of date */
	ino_t ino;
	const char *deny_arg; /* deny execs with this argument */
	int listener;
	bool last_nameless;
	char last_execfn[256];
	char last_path[256];
	size_t last_argv0_len;
};

void world_new(struct world *w);
void world_free(struct world *w);
/*
 * Start argv (or fn) as a tracee with standard output and error going to a
 * file; the descriptor of that file.
 */
int start(struct world *w, char *const *argv, void (*fn)(void));
void spin(struct world *w, const bool *until);
/* All that was written so far; caller frees. */
char *output(int fd);
/* To the end; what it wrote. */
char *run(struct world *w, char *const *argv, void (*fn)(void));
char *shell(struct world *w, const char *script);
/* As run(), without any tracing. */
char *run_plain(void (*fn)(void));

#endif

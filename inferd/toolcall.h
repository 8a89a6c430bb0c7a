/*
 * What a model says, taken apart as it is sampled: thoughts, words and calls
 * of tools, by the family's format.  Usual malformations are repaired; what is
 * no call is text, and nothing that a model can say is an error.  Pure, any
 * chunking.
 */
#ifndef BRIG_INFERD_TOOLCALL_H
#define BRIG_INFERD_TOOLCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inferd/json_mend.h"
#include "inferd/template.h"

#define TOOLCALL_NAME_MAX 128u
/* A call whose name has not come within this is text. */
#define TOOLCALL_HOLD_MAX 65536u

enum toolcall_event {
	TOOLCALL_TEXT,
	TOOLCALL_THINKING,
	TOOLCALL_BEGIN, /* the bytes are its name */
	TOOLCALL_ARGS,  /* more of its arguments, which are a JSON object */
	TOOLCALL_END,   /* no bytes */
};

/* Bytes are borrowed until it returns. */
typedef void toolcall_fn(
    enum toolcall_event event, const char *p, size_t n, void *arg);

struct toolcall;

/*
 * tools (borrowed until toolcall_free()) say which parameters are strings;
 * thinking: the prompt ends within the model's thoughts.
 */
struct toolcall *toolcall_new(enum chat_family family, bool thinking,
    const struct chat_tool *tools, size_t ntools, toolcall_fn *fn, void *arg);
void toolcall_free(struct toolcall *t); /* NULL is fine */
/* What looks like a call is text; before the first push. */
void toolcall_no_calls(struct toolcall *t);
/* Without markup that opens a call there is none; before the first push. */
void toolcall_no_bare(struct toolcall *t);
/* special: the bytes are the name of a control or markup token, which ends
 * even a string that it stands in, and is text nowhere. */
void toolcall_push(struct toolcall *t, const char *p, size_t n, bool special);
/* The model has ended its turn: a call that it left open is closed. */
void toolcall_end(struct toolcall *t);
/* It was stopped: a call that goes on has no end, and one that was about to
 * begin is not told. */
void toolcall_stop(struct toolcall *t);
/* Calls so far. */
unsigned int toolcall_count(const struct toolcall *t);

/* What a model is about to say more of. */
enum toolcall_place {
	TOOLCALL_IN_TEXT,
	TOOLCALL_IN_THINKING,
	TOOLCALL_IN_HEADER, /* Harmony's: in which channel it goes on */
	TOOLCALL_IN_SYNTAX, /* markup of a call, and its name */
	TOOLCALL_IN_ARGS,   /* names of arguments and what is between them */
	TOOLCALL_IN_VALUE,  /* an argument */
};

enum toolcall_place toolcall_place(const struct toolcall *t);
/* Of TOOLCALL_IN_HEADER: what it has said of it, borrowed. */
struct chat_text toolcall_header(const struct toolcall *t);

#endif

/*
 * What one completion is asked for and what it says: the words between the
 * server, the engine and the protocols.
 */
#ifndef BRIG_INFERD_GEN_H
#define BRIG_INFERD_GEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inferd/sample.h"
#include "inferd/template.h"

struct grammar;

enum tool_choice {
	TOOLS_NONE,
	TOOLS_AUTO,
	TOOLS_REQUIRED, /* one call at least */
	TOOLS_NAMED,    /* this one */
};

/*
 * Everything is borrowed, and stays as it is until the completion has ended.
 */
struct gen_params {
	enum chat_family family;
	bool chat; /* thoughts and calls are taken apart; else all is text */
	bool thinking; /* the prompt ends within the model's thoughts */
	struct sample_params sample;
	uint32_t max_tokens;   /* at least 1; sampled ones, thoughts too */
	uint32_t thinking_max; /* tokens of thought; 0: no limit of its own */
	const struct chat_text *stop; /* texts that end it, not to be said */
	size_t nstop;
	const struct chat_tool *tools;
	size_t ntools;
	enum tool_choice tool_choice;
	struct chat_text tool_name; /* of TOOLS_NAMED */
	bool one_call;              /* no parallel calls */
	/* What the text outside of thoughts and calls must match; or NULL. */
	const struct grammar *grammar;
	/* Of each tool, what its arguments must match; NULL: any object. */
	const struct grammar *const *tool_grammar; /* [ntools], or NULL */
	uint32_t loop_max; /* identical calls of a session; 0: no limit */
};

enum gen_finish {
	GEN_GOING,
	GEN_STOP,      /* the model ended its turn */
	GEN_STOP_TEXT, /* one of the stop texts */
	GEN_LENGTH,    /* max_tokens, or the context is full */
	GEN_CALLS,     /* ended its turn with calls */
	GEN_BUDGET,    /* the agent's budget ran out */
	GEN_LOOP,      /* the same call again, which is not told */
	GEN_CANCELLED,
	GEN_DEADLINE,
};

/* Something else than the model ended it, wherever it was. */
static inline bool
gen_is_cut(enum gen_finish f)
{
	return f == GEN_LENGTH || f == GEN_BUDGET || f == GEN_DEADLINE ||
	       f == GEN_CANCELLED;
}

enum gen_event_type {
	GEN_PROGRESS, /* waiting or reading the prompt */
	GEN_TEXT,
	GEN_THINKING,
	GEN_CALL_BEGIN, /* name, and id */
	GEN_CALL_ARGS,  /* more of its arguments */
	/* It is whole.  One that was cut off has no such end, and is not to be
	 * made: "rm -r /a" may be the beginning of "rm -r /a/b". */
	GEN_CALL_END,
	GEN_END, /* finish and usage; the last one */
};

struct gen_usage {
	uint32_t prompt;                         /* tokens, cached ones too */
	uint32_t cached;                         /* of them */
	uint32_t sampled;                        /* thoughts too */
	uint32_t thinking;                       /* of them */
	uint32_t drafted;                        /* guessed ahead */
	uint32_t accepted;                       /* of them */
	uint32_t model_drafted, model_accepted;  /* by the second model */
	uint64_t queue_us, prompt_us, sample_us; /* wall time in each state */
};

/* Bytes are whole UTF-8 characters, borrowed until the callback returns. */
struct gen_event {
	enum gen_event_type type;
	const char *p; /* GEN_END: all that was sampled, control tokens too */
	size_t n;
	const char *call_id;    /* GEN_CALL_BEGIN: "call_" and 24 characters */
	enum gen_finish finish; /* GEN_END */
	struct gen_usage usage; /* GEN_END */
	const char *stop; /* GEN_END: the text of GEN_STOP_TEXT, or NULL */
	/* GEN_END: the same as tokens, without the one that ended the turn. */
	const int32_t *tokens;
	size_t ntokens;
	uint32_t queue_position; /* GEN_PROGRESS: 0: being worked on */
	uint32_t done, all;      /* GEN_PROGRESS: prompt tokens */
	uint32_t eta_ms;         /* GEN_PROGRESS: until the first token */
};

typedef void gen_fn(const struct gen_event *e, void *arg);

#endif

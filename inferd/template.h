/*
 * Chat templates, hard-coded by family: a conversation becomes the text that
 * the model was trained on, as segments that know where they come from.  A
 * template inside a model file is never executed; its hash says which family
 * it is.  Pure.
 *
 * Only what the template itself says, and what the model itself has said, may
 * become control tokens.
 */
#ifndef BRIG_INFERD_TEMPLATE_H
#define BRIG_INFERD_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "inferd/model_table.h"
#include "inferd/tok.h"

enum chat_family {
	CHAT_NONE,
	CHAT_CHATML,     /* Qwen 2.5, Hermes */
	CHAT_QWEN3,      /* ChatML with thinking, calls as JSON */
	CHAT_QWEN35,     /* the same with calls as tags */
	CHAT_QWEN_CODER, /* calls and tools as tags, no thinking */
	CHAT_HARMONY,    /* gpt-oss */
	CHAT_MISTRAL,    /* with tools */
	CHAT_MIXTRAL,    /* without */
	CHAT_LLAMA3,
	CHAT_GLM45,     /* and 4.6 */
	CHAT_GLM47,     /* without newlines, thoughts begun */
	CHAT_DEEPSEEK2, /* without tools */
	CHAT_DEEPSEEK31,
	CHAT_PLAIN, /* no markup: models that were not trained to chat */
	CHAT_FAMILIES
};

/* "qwen3" and so on, as an option names it. */
const char *template_name(enum chat_family family);
enum chat_family template_find(const char *name); /* CHAT_NONE: none */
/*
 * The family for a model: by architecture where that is enough, else by the
 * hash of the template in its file.  CHAT_NONE with err, which names the
 * option that chooses one: a template that is not known.
 */
enum chat_family template_choose(
    enum arch arch, const char *template_sha256, struct error *err);

enum chat_role {
	CHAT_SYSTEM,
	CHAT_USER,
	CHAT_ASSISTANT,
	CHAT_TOOL, /* the result of a call */
};

/* Text of n bytes, not ended by NUL; p may be NULL if n is 0. */
struct chat_text {
	const char *p;
	size_t n;
};

struct chat_call {
	struct chat_text id, name;
	struct chat_text args; /* a JSON object; if not, it is text */
};

struct chat_message {
	enum chat_role role;
	struct chat_text text;
	struct chat_text thinking; /* of an assistant */
	/*
	 * Of an assistant: what the model sampled in this turn, kept by us.
	 * Used as it is instead of text, thinking and calls.
	 */
	struct chat_text sampled;
	const int32_t *ids; /* the tokens that it was, or NULL */
	size_t nids;
	const struct chat_call *calls;
	size_t ncalls;
	struct chat_text call_id; /* of a tool: what it answers */
};

struct chat_tool {
	struct chat_text name, description;
	struct chat_text schema; /* of its parameters, JSON; or empty */
};

struct chat {
	const struct chat_message *messages;
	size_t nmessages;
	const struct chat_tool *tools;
	size_t ntools;
	bool no_thinking;
	const char *effort; /* "low" "medium" "high"; NULL: medium */
	const char *date;   /* today, "2026-11-21" */
};

enum prompt_origin {
	PROMPT_TEMPLATE,
	PROMPT_SAMPLED, /* by the model, in an earlier turn */
	PROMPT_SYSTEM,
	PROMPT_USER,
	PROMPT_ASSISTANT, /* what a client says that a model said */
	PROMPT_TOOL,      /* names, schemas and results of tools */
};

struct prompt_segment {
	enum prompt_origin origin;
	size_t from, n; /* within the text */
};

struct prompt {
	struct buf text;
	struct prompt_segment *segment;
	size_t nsegments, cap;
	bool thinking; /* it ends within the model's thoughts */
};

void prompt_free(struct prompt *p); /* safe on a zeroed one */
#define cleanup_prompt attr_cleanup(prompt_free)

/*
 * Writes the conversation, up to where the model goes on.  -1 with err: a
 * history that the family cannot say; p is to be freed nevertheless.
 */
int template_render(enum chat_family family, const struct chat *chat,
    struct prompt *p, struct error *err);

/* Appends the ids of a prompt.  -1: too long. */
int prompt_encode(
    const struct prompt *p, const struct tok *t, struct tok_ids *out);

/*
 * The same, but what the model has sampled stays the tokens that it was: chat
 * is what p was rendered from.  Text can be cut into tokens in more than one
 * way, and what has been computed is good for one of them.
 */
int prompt_encode_chat(const struct prompt *p, const struct chat *chat,
    const struct tok *t, struct tok_ids *out);

/*
 * What ends a turn in this family, one after the other; NULL behind the last.
 * Names of control tokens, but for CHAT_PLAIN: text.
 */
const char *template_stop(enum chat_family family, unsigned int i);

#endif

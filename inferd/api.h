/*
 * The protocols that agents speak, read and written: OpenAI's chat
 * completions, completions and responses, Anthropic's messages.  Pure: bytes
 * to a request, events to bytes.
 *
 * Reading: fields that are not known are ignored, null is as if the field were
 * not there, of fields with one name the last counts.  What a known field may
 * not hold, and a history that makes no sense, is 400 with what is wrong.
 * Half a surrogate pair, which a client leaves that cuts a text anywhere, is
 * read as U+FFFD.  Tools that a provider runs on its own side (web_search and
 * the like) cannot be offered to a model here and are left out; to demand one
 * by tool_choice is 400.
 *
 * Writing: how a completion ends is told as
 *
 *	                 chat, completions   responses     messages
 *	GEN_STOP         stop                completed     end_turn
 *	GEN_STOP_TEXT    stop                completed     stop_sequence
 *	GEN_CALLS        tool_calls          completed     tool_use
 *	GEN_LENGTH       length              incomplete    max_tokens
 *	GEN_BUDGET       length              incomplete    max_tokens
 *	GEN_DEADLINE     length              incomplete    max_tokens
 *	GEN_CANCELLED    length              incomplete    max_tokens
 *	GEN_LOOP         stop                completed     end_turn
 *
 * so that a client knows what was cut off, and that a loop ends the turn.
 * Clients make every call that they are told, however the turn ends: one that
 * was cut off is left out, or breaks off in a stream.  A request of messages
 * that wants no thoughts is told none.
 */
#ifndef BRIG_INFERD_API_H
#define BRIG_INFERD_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "inferd/gen.h"
#include "inferd/stoptext.h"

#define API_BODY_MAX (32u << 20)
#define API_FIELDS_MAX 4096u    /* of the request itself */
#define API_MESSAGES_MAX 16384u /* and calls in them */
#define API_TOOLS_MAX 1024u
#define API_NAME_MAX 128u                /* bytes of the name of a tool */
#define API_STOPS_MAX (STOPTEXT_MAX - 1) /* one more ends some turns */
#define API_STOP_BYTES_MAX 4096u

/*
 * A type of errors that OpenAI's clients know by its code; Anthropic's know it
 * by a message that begins "prompt is too long: N tokens > M maximum".
 */
#define API_CONTEXT_LENGTH "context_length_exceeded"
/*
 * Anthropic's clients may ask that the server holds the conversation; they send
 * all of it themselves when they are told by these that it does not.
 */
#define API_NO_THREADS "thread_unsupported_request"
#define API_NO_THREAD "thread_not_found"

enum api_kind {
	API_CHAT,
	API_COMPLETIONS,
	API_RESPONSES,
	API_MESSAGES,
	API_COUNT_TOKENS, /* of messages */
	API_OTHER         /* errors of other paths: OpenAI's shape */
};

struct api_error {
	int status;       /* of HTTP: 400, 404, 413, 429, 503 */
	const char *type; /* static; NULL: what goes with the status */
	char param[64];   /* what is wrong, "" if nothing in particular */
	char message[256];
};

/* What a client calls a tool of chat.tools, and how it calls it. */
struct api_tool {
	struct chat_text name;
	struct chat_text space; /* of names, that it belongs to; empty: none */
	/* It takes any text: the member "input" of its arguments; strict. */
	bool custom;
	bool strict; /* its arguments match its schema */
};

/* Everything points into memory of its own. */
struct api_request {
	enum api_kind kind;
	char *model; /* as asked for; "" */
	bool stream;
	bool stream_usage; /* chat completions: a last chunk with the usage */
	struct chat chat;  /* all but API_COMPLETIONS; date is not set */
	const struct api_tool *tool; /* [chat.ntools] */
	struct chat_text prompt;     /* API_COMPLETIONS */
	bool echo;
	bool flex; /* nobody waits for it: those that are waited for go first */
	/* What was not said is what gen_params begins with: sample -1 where not
	 * given; max_tokens 0. */
	float temperature, top_p, min_p;
	int64_t top_k, seed;
	uint32_t max_tokens;  /* of a negative one, too: 0 */
	int64_t thinking_max; /* -1: not said; 0: no thinking */
	struct chat_text *stop;
	size_t nstop;
	enum tool_choice tool_choice;
	struct chat_text tool_name;
	bool one_call;
	bool strict_tools;       /* one at least is strict */
	bool json_object;        /* the answer is a JSON object */
	struct chat_text schema; /* that the answer matches; empty: none */
	void *mem;
};

/* Body of n bytes; it need not stay.  -1 with err.  out is to be freed in any
 * case. */
int api_read(enum api_kind kind, const char *body, size_t n,
    struct api_request *out, struct api_error *err);
void api_request_free(struct api_request *r); /* safe on a zeroed one */
void api_fail(struct api_error *err, int status, const char *type,
    const char *param, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The body of an error in the protocol's shape. */
void api_error_body(
    enum api_kind kind, const struct api_error *err, struct buf *out);
/* GET /v1/models; both protocols' fields. */
void api_models_body(
    const char *model, uint32_t context, int64_t created, struct buf *out);
/* GET /v1/models/ID: that one alone. */
void api_model_body(
    const char *model, uint32_t context, int64_t created, struct buf *out);
void api_count_body(uint32_t tokens, struct buf *out);

/* One answer being written. */
struct api_reply;
/* r stays.  id: 24 letters and digits that nobody can guess; model: ours. */
struct api_reply *api_reply_new(const struct api_request *r, const char *id,
    const char *model, int64_t created);
void api_reply_free(struct api_reply *a);
/*
 * Takes an event in and appends bytes of the body: events of a stream as they
 * come, or everything at GEN_END.  GEN_PROGRESS becomes a comment with the
 * figures and an event that says nothing ("ping" and the like), since some
 * clients wait for the next event and do not count comments.
 */
void api_reply_event(
    struct api_reply *a, const struct gen_event *e, struct buf *out);
/* Appends what ends a stream that goes on no more, instead of GEN_END. */
void api_reply_fail(
    struct api_reply *a, const struct api_error *err, struct buf *out);

#endif

/*
 * The protocols that agents speak, read and written: OpenAI's chat
 * completions, completions and responses, Anthropic's messages.  Pure: bytes
 * to a request, events to bytes.
 */
#ifndef BRIG_INFERD_API_H
#define BRIG_INFERD_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "inferd/gen.h"

#define API_BODY_MAX (32u << 20)

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
	const char *type; /* "invalid_request_error" and so on */
	char param[64];   /* what is wrong, "" if nothing in particular */
	char message[256];
};

/* Everything points into memory of its own. */
struct api_request {
	enum api_kind kind;
	char *model; /* as asked for; "" */
	bool stream;
	bool stream_usage; /* chat completions: a last chunk with the usage */
	struct chat chat;  /* all but API_COMPLETIONS */
	struct chat_text prompt; /* API_COMPLETIONS */
	bool echo;
	/* What was not said is what gen_params begins with: sample -1 where not
	 * given; max_tokens 0. */
	float temperature, top_p, min_p;
	int64_t top_k, seed;
	uint32_t max_tokens;
	int64_t thinking_max; /* -1: not said; 0: no thinking */
	struct chat_text *stop;
	size_t nstop;
	enum tool_choice tool_choice;
	struct chat_text tool_name;
	bool one_call;
	bool strict_tools; /* one at least: its arguments match its schema */
	bool json_object;  /* the answer is a JSON object */
	struct chat_text schema; /* that the answer matches; empty: none */
	void *mem;
};

/* -1 with err.  out is to be freed in any case. */
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
void api_count_body(uint32_t tokens, struct buf *out);

/* One answer being written. */
struct api_reply;
/* r stays.  id: 24 characters that nobody can guess; model: ours. */
struct api_reply *api_reply_new(const struct api_request *r, const char *id,
    const char *model, int64_t created);
void api_reply_free(struct api_reply *a);
/*
 * Takes an event in and appends bytes of the body: events of a stream as they
 * come, or everything at GEN_END.  GEN_PROGRESS becomes what the protocol's
 * clients ignore (a comment, or "ping").
 */
void api_reply_event(
    struct api_reply *a, const struct gen_event *e, struct buf *out);

#endif

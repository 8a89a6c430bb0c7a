/*
 * Calls of language models over HTTP: which requests to a declared host are
 * calls, which model they want and how much output they may take, and what
 * their responses say they used.  Pure; run by back.
 *
 * Shapes: the APIs of OpenAI (chat completions, responses, embeddings; many
 * servers copy them), Anthropic (messages) and Google Gemini.
 */
#ifndef BRIG_PROXY_MODEL_H
#define BRIG_PROXY_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/proto.h"
#include "policy/policy.h"
#include "proxy/json_read.h"

#define MODEL_HOSTS_MAX 128u /* as many as brigd.conf may have */
/* Of a request that calls a model; beyond it, 413. */
#define MODEL_BODY_MAX (16u * 1024 * 1024)

enum model_shape {
	MODEL_NONE,
	MODEL_OPENAI,
	MODEL_ANTHROPIC,
	MODEL_GEMINI,
	MODEL_SHAPES
};

const char *model_shape_name(enum model_shape s);       /* "openai" ... */
enum model_shape model_shape_by_name(const char *name); /* MODEL_NONE if no */

struct model_host {
	char host[P_HOST_MAX + 1]; /* normalised */
	uint16_t port;
	enum model_shape shape;
	char provider[P_NAME_MAX + 1]; /* as policy calls it */
};

/*
 * "HOST[:PORT] SHAPE[:PROVIDER]", as in brigd.conf; PROVIDER is SHAPE if not
 * given, the port 443.  0, or -1 and err.
 */
int model_host_parse(const char *text, struct model_host *h, struct error *err);
/* Hosts that need no line: api.openai.com, api.anthropic.com and
 * generativelanguage.googleapis.com. */
extern const struct model_host model_hosts_known[3];

/*
 * Does a request to a model host call a model?  All do whose method is not
 * GET, HEAD, OPTIONS or DELETE: what is not known to be harmless is not.
 */
bool model_is_call(const char *method);

struct model_call {
	char model[MODEL_NAME_MAX + 1];
	uint64_t max_output; /* tokens, 0: the request sets no limit */
};

/*
 * Read a whole request.  -1 and err (for the agent) when it names no model, or
 * in a way that servers might read differently: not JSON, a member twice or in
 * another case.
 */
int model_call_read(enum model_shape s, const char *target, const void *body,
    size_t n, struct model_call *c, struct error *err);

/* Tokens, as the provider counts them. */
struct model_usage {
	bool known;          /* the response said something */
	uint64_t input;      /* all of the prompt, cached parts included */
	uint64_t cached;     /* of it, read from a cache */
	uint64_t cache_made; /* of it, written to one */
	uint64_t output;
};

/* Reads the body of one response, JSON or server-sent events, as it passes. */
struct model_reader;

/* type: the Content-Type of the response, NULL if it has none. */
struct model_reader *model_reader_new(enum model_shape s, const char *type);
void model_reader_free(struct model_reader *r); /* NULL is fine */
void model_reader_feed(struct model_reader *r, const void *p, size_t n);
void model_reader_usage(struct model_reader *r, struct model_usage *u);

/* Append an error of the kind that the provider's own clients understand;
 * ours (proxy/deny.h) goes into it as "brig": what deny_body() wrote. */
void model_error(struct buf *b, enum model_shape s, unsigned int status,
    const char *reason, const void *ours, size_t n);

#endif

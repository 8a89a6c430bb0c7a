/* What a response says that it used. */
#include "proxy/model.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

/* A field of server-sent events that is looked at: "data:" and a blank. */
#define FIELD_MAX 6u

enum form {
	FORM_OTHER, /* audio, images: nothing to read */
	FORM_JSON,
	FORM_EVENTS,
};

enum count {
	C_INPUT,
	C_CACHED,      /* part of input */
	C_MORE_CACHED, /* beside input */
	C_MADE,        /* beside input */
	C_OUTPUT,
	C_MORE_OUTPUT, /* beside output */
	C_COUNTS
};

struct model_reader {
	enum model_shape shape;
	enum form form;
	struct json_read json;
	bool json_bad; /* until the next event */
	char field[FIELD_MAX];
	size_t nfield;
	bool skip;      /* the rest of this line */
	bool data;      /* it is data */
	bool line_open; /* something of it is there */
	bool after_cr;
	uint64_t n[C_COUNTS];
	bool known;
};

struct place {
	enum model_shape shape;
	const char *path;
	enum count count;
};

static const struct place places[] = {
	/* Chat completions, embeddings. */
	{ MODEL_OPENAI, ".usage.prompt_tokens", C_INPUT },
	{ MODEL_OPENAI, ".usage.completion_tokens", C_OUTPUT },
	{ MODEL_OPENAI, ".usage.prompt_tokens_details.cached_tokens",
	    C_CACHED },
	/* Responses; in a stream inside ".response". */
	{ MODEL_OPENAI, ".usage.input_tokens", C_INPUT },
	{ MODEL_OPENAI, ".usage.output_tokens", C_OUTPUT },
	{ MODEL_OPENAI, ".usage.input_tokens_details.cached_tokens", C_CACHED },
	{ MODEL_OPENAI, ".response.usage.input_tokens", C_INPUT },
	{ MODEL_OPENAI, ".response.usage.output_tokens", C_OUTPUT },
	{ MODEL_OPENAI, ".response.usage.input_tokens_details.cached_tokens",
	    C_CACHED },
	/* Messages; in a stream first inside ".message", later at the top. */
	{ MODEL_ANTHROPIC, ".usage.input_tokens", C_INPUT },
	{ MODEL_ANTHROPIC, ".usage.output_tokens", C_OUTPUT },
	{ MODEL_ANTHROPIC, ".usage.cache_read_input_tokens", C_MORE_CACHED },
	{ MODEL_ANTHROPIC, ".usage.cache_creation_input_tokens", C_MADE },
	{ MODEL_ANTHROPIC, ".message.usage.input_tokens", C_INPUT },
	{ MODEL_ANTHROPIC, ".message.usage.output_tokens", C_OUTPUT },
	{ MODEL_ANTHROPIC, ".message.usage.cache_read_input_tokens",
	    C_MORE_CACHED },
	{ MODEL_ANTHROPIC, ".message.usage.cache_creation_input_tokens",
	    C_MADE },
	/* An object, an event, or an element of a streamed array. */
	{ MODEL_GEMINI, ".usageMetadata.promptTokenCount", C_INPUT },
	{ MODEL_GEMINI, ".usageMetadata.cachedContentTokenCount", C_CACHED },
	{ MODEL_GEMINI, ".usageMetadata.candidatesTokenCount", C_OUTPUT },
	{ MODEL_GEMINI, ".usageMetadata.thoughtsTokenCount", C_MORE_OUTPUT },
	{ MODEL_GEMINI, "[].usageMetadata.promptTokenCount", C_INPUT },
	{ MODEL_GEMINI, "[].usageMetadata.cachedContentTokenCount", C_CACHED },
	{ MODEL_GEMINI, "[].usageMetadata.candidatesTokenCount", C_OUTPUT },
	{ MODEL_GEMINI, "[].usageMetadata.thoughtsTokenCount", C_MORE_OUTPUT },
};

static bool
on_value(const struct json_value *v, void *arg)
{
	struct model_reader *r = arg;
	uint64_t n;

	if (v->kind != JSON_NUMBER || v->path == NULL ||
	    str_to_u64(v->text, 0, INT64_MAX / C_COUNTS, &n) < 0)
		return true;
	for (size_t i = 0; i < nitems(places); i++)
		if (places[i].shape == r->shape &&
		    str_eq(places[i].path, v->path)) {
			/* Counts of a stream grow: the last is the largest. */
			if (n > r->n[places[i].count])
				r->n[places[i].count] = n;
			r->known = true;
		}
	return true;
}

static bool
is_type(const char *type, const char *want)
{
	size_t n = strlen(want);

	return strncasecmp(type, want, n) == 0 &&
	       (type[n] == '\0' || type[n] == ';' || type[n] == ' ');
}

struct model_reader *
model_reader_new(enum model_shape s, const char *type)
{
	struct model_reader *r = xcalloc(1, sizeof(*r));

	r->shape = s;
	if (type != NULL && is_type(type, "text/event-stream"))
		r->form = FORM_EVENTS;
	else if (type != NULL && is_type(type, "application/json"))
		r->form = FORM_JSON;
	json_read_init(&r->json, on_value, r);
	return r;
}

void
model_reader_free(struct model_reader *r)
{
	free(r);
}

static void
feed_json(struct model_reader *r, const void *p, size_t n)
{
	if (!r->json_bad && json_read(&r->json, p, n) < 0)
		r->json_bad = true;
}

/* ---- server-sent events (HTML Living Standard, section 9.2) ------------- */

static void
line_ends(struct model_reader *r)
{
	if (!r->line_open) {
		/* A blank line: the event is complete. */
		json_read_init(&r->json, on_value, r);
		r->json_bad = false;
	} else if (r->data) {
		feed_json(r, "\n", 1);
	}
	r->nfield = 0;
	r->skip = r->data = r->line_open = false;
}

/* Until it is clear what field the line is. */
static void
field_byte(struct model_reader *r, uint8_t c)
{
	static const char want[FIELD_MAX] = "data:";

	r->field[r->nfield++] = (char)c;
	if (c != (uint8_t)want[r->nfield - 1])
		r->skip = true;
	else if (c == ':')
		r->data = true;
}

static void
feed_events(struct model_reader *r, const uint8_t *p, size_t n)
{
	for (size_t i = 0, k; i < n; i += k) {
		k = 1;
		if (p[i] == '\n' && r->after_cr) {
			r->after_cr = false;
			continue;
		}
		r->after_cr = p[i] == '\r';
		if (p[i] == '\n' || p[i] == '\r') {
			line_ends(r);
			continue;
		}
		r->line_open = true;
		if (!r->data && !r->skip) {
			field_byte(r, p[i]);
			continue;
		}
		while (i + k < n && p[i + k] != '\n' && p[i + k] != '\r')
			k++;
		if (r->data)
			feed_json(r, p + i, k);
	}
}

void
model_reader_feed(struct model_reader *r, const void *p, size_t n)
{
	switch (r->form) {
	case FORM_OTHER:
		return;
	case FORM_JSON:
		feed_json(r, p, n);
		return;
	case FORM_EVENTS:
		feed_events(r, p, n);
		return;
	}
}

void
model_reader_usage(struct model_reader *r, struct model_usage *u)
{
	u->known = r->known;
	u->cached = r->n[C_CACHED] + r->n[C_MORE_CACHED];
	u->cache_made = r->n[C_MADE];
	u->input = r->n[C_INPUT] + r->n[C_MORE_CACHED] + r->n[C_MADE];
	u->output = r->n[C_OUTPUT] + r->n[C_MORE_OUTPUT];
}

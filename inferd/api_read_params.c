/*
 * What all protocols have, and name alike or nearly so: how to sample, how
 * much to think, what the answer must look like.
 */
#include "inferd/api_int.h"

#include <math.h>
#include <string.h>

#include "base/str.h"

#define TEMPERATURE_MAX 100.0
#define SEED_DIGITS_MAX 20u

static int
read_float(
    struct reader *r, const char *name, double min, double max, float *out)
{
	double v;
	int rc = api_get_number(r, 0, name, min, max, &v);

	if (rc == 1)
		*out = (float)v;
	return rc;
}

static int
read_sampling(struct reader *r)
{
	struct api_request *q = r->out;
	double v;
	int rc;

	if (read_float(r, "temperature", 0, TEMPERATURE_MAX, &q->temperature) <
		0 ||
	    read_float(r, "top_p", 0, 1, &q->top_p) < 0 ||
	    read_float(r, "min_p", 0, 1, &q->min_p) < 0)
		return -1;
	/* -1: all, as some servers have it. */
	if ((rc = api_get_number(r, 0, "top_k", -1, UINT32_MAX, &v)) < 0)
		return -1;
	if (rc == 1)
		q->top_k = v < 0 ? 0 : (int64_t)v;
	return 0;
}

static int
read_seed(struct reader *r)
{
	char text[SEED_DIGITS_MAX + 1];
	struct chat_text raw;
	uint64_t v;
	uint32_t node;
	int rc = api_get_node(r, 0, "seed", JSON_NUM, &node);

	if (rc != 1)
		return rc;
	raw = api_raw(r, node);
	/* A negative one asks for any. */
	if (raw.p[0] == '-')
		return 0;
	if (raw.n > SEED_DIGITS_MAX)
		return api_bad(r, "seed", "seed has too many digits");
	memcpy(text, raw.p, raw.n);
	text[raw.n] = '\0';
	if (str_to_u64(text, 0, UINT64_MAX, &v) < 0)
		return api_bad(r, "seed", "seed must be an integer of 64 bits");
	r->out->seed = (int64_t)(v & INT64_MAX);
	return 0;
}

/* Far more than a model here can say is usual, and no mistake. */
static int
read_max_tokens(struct reader *r)
{
	static const char *const names[] = { "max_completion_tokens",
		"max_output_tokens", "max_tokens" };
	double v = 0;
	size_t i;
	int rc = 0;

	for (i = 0; i < nitems(names) && rc == 0; i++)
		if ((rc = api_get_number(
			 r, 0, names[i], -HUGE_VAL, HUGE_VAL, &v)) < 0)
			return -1;
	if (rc == 0 || v < 0)
		return 0;
	r->out->max_tokens = v < 1                    ? 1
			     : v > (double)UINT32_MAX ? UINT32_MAX
						      : (uint32_t)v;
	return 0;
}

static int
add_stop(struct reader *r, const char *name, uint32_t node)
{
	struct chat_text t;

	if (r->t.node[node].type != JSON_STR)
		return api_bad(r, name, "%s must be a string or strings", name);
	t = api_text(r, node);
	if (t.n > API_STOP_BYTES_MAX)
		return api_bad(r, name, "%s is longer than %u bytes", name,
		    API_STOP_BYTES_MAX);
	/* An empty one would end everything at once. */
	if (t.n > 0)
		r->out->stop[r->out->nstop++] = t;
	return 0;
}

static int
read_stops(struct reader *r, const char *name)
{
	uint32_t node = api_field(r, 0, name), i, n;

	if (node == 0)
		return 0;
	n = r->t.node[node].type == JSON_ARRAY ? json_tree_count(&r->t, node)
					       : 1;
	if (n > API_STOPS_MAX)
		return api_bad(
		    r, name, "%s has more than %u texts", name, API_STOPS_MAX);
	r->out->stop = api_take(r, (n + 1) * sizeof(*r->out->stop));
	if (r->t.node[node].type != JSON_ARRAY)
		return add_stop(r, name, node);
	for (i = json_tree_first(&r->t, node); i != 0; i = r->t.node[i].next)
		if (add_stop(r, name, i) < 0)
			return -1;
	return 0;
}

/* -- How much to think -- */

/* Words that are not known say nothing: new ones come up. */
static int
read_effort(struct reader *r, uint32_t object, const char *name, int *think)
{
	static const struct {
		const char *word, *effort;
	} words[] = {
		{ "minimal", "low" },
		{ "low", "low" },
		{ "medium", "medium" },
		{ "high", "high" },
		{ "xhigh", "high" },
		{ "max", "high" },
	};
	uint32_t node;
	size_t i;
	int rc = api_get_node(r, object, name, JSON_STR, &node);

	if (rc != 1)
		return rc;
	if (json_tree_is(&r->t, node, "none"))
		*think = 0;
	for (i = 0; i < nitems(words); i++)
		if (json_tree_is(&r->t, node, words[i].word)) {
			r->out->chat.effort = words[i].effort;
			/* Anthropic's is of all that is said. */
			if (r->out->kind != API_MESSAGES &&
			    r->out->kind != API_COUNT_TOKENS)
				*think = 1;
		}
	return 0;
}

static int
read_enabled(struct reader *r, uint32_t object, const char *name, int *think)
{
	bool on = false;
	int rc = api_get_bool(r, object, name, &on);

	if (rc == 1)
		*think = on;
	return rc;
}

static int
read_budget(struct reader *r, uint32_t object, const char *name)
{
	double v;
	int rc = api_get_number(r, object, name, -1, 1e15, &v);

	if (rc == 1 && v >= 0)
		r->out->thinking_max = (int64_t)v;
	return rc;
}

/* `thinking` of Anthropic's, which others took over. */
static int
read_thinking_object(struct reader *r, int *think)
{
	cleanup_free char *shown = NULL;
	uint32_t node, type;
	size_t at;

	if (api_get_node(r, 0, "thinking", JSON_OBJECT, &node) < 0)
		return -1;
	if (node == 0)
		return 0;
	at = api_enter(r, "thinking");
	if (api_get_node(r, node, "type", JSON_STR, &type) < 0)
		return -1;
	if (type != 0 && json_tree_is(&r->t, type, "disabled")) {
		*think = 0;
	} else if (type != 0 && json_tree_is(&r->t, type, "adaptive")) {
		*think = 1;
	} else if (type != 0 && json_tree_is(&r->t, type, "enabled")) {
		*think = 1;
		if (read_budget(r, node, "budget_tokens") < 0)
			return -1;
	} else {
		shown = type == 0 ? xstrdup("") : api_show(r, type);
		return api_bad(r, "type",
		    "'%s' is none of enabled, disabled, adaptive", shown);
	}
	api_leave(r, at);
	return 0;
}

static int
read_thinking(struct reader *r)
{
	struct api_request *q = r->out;
	bool messages = q->kind == API_MESSAGES || q->kind == API_COUNT_TOKENS;
	uint32_t node;
	int think = messages ? 0 : -1;
	size_t at;

	if (read_effort(r, 0, "reasoning_effort", &think) < 0)
		return -1;
	if (api_get_node(r, 0, "reasoning", JSON_OBJECT, &node) < 0)
		return -1;
	if (node != 0) {
		at = api_enter(r, "reasoning");
		if (read_effort(r, node, "effort", &think) < 0 ||
		    read_enabled(r, node, "enabled", &think) < 0 ||
		    read_budget(r, node, "max_tokens") < 0)
			return -1;
		api_leave(r, at);
	}
	if (api_get_node(r, 0, "output_config", JSON_OBJECT, &node) < 0)
		return -1;
	if (node != 0) {
		at = api_enter(r, "output_config");
		if (read_effort(r, node, "effort", &think) < 0)
			return -1;
		api_leave(r, at);
	}
	if (read_thinking_object(r, &think) < 0)
		return -1;
	if (api_get_node(r, 0, "chat_template_kwargs", JSON_OBJECT, &node) < 0)
		return -1;
	if (node != 0) {
		at = api_enter(r, "chat_template_kwargs");
		if (read_effort(r, node, "reasoning_effort", &think) < 0 ||
		    read_enabled(r, node, "thinking", &think) < 0 ||
		    read_enabled(r, node, "enable_thinking", &think) < 0)
			return -1;
		api_leave(r, at);
	}
	if (read_enabled(r, 0, "enable_thinking", &think) < 0)
		return -1;
	if (think == 0 || q->thinking_max == 0) {
		q->thinking_max = 0;
		q->chat.no_thinking = true;
	}
	return 0;
}

/* -- What the answer must look like -- */

int
api_get_schema(struct reader *r, uint32_t object, const char *name)
{
	uint32_t node;

	if (api_get_node(r, object, name, JSON_OBJECT, &node) < 0)
		return -1;
	if (node == 0)
		return api_bad(r, name, "there is no schema");
	r->out->schema = api_raw(r, node);
	return 0;
}

/* An object with a type; where is the schema?  Chat completions have it one
 * level below. */
static int
read_format(struct reader *r, uint32_t object, const char *name)
{
	cleanup_free char *shown = NULL;
	uint32_t node, type, inner;
	size_t at, in;

	if (api_get_node(r, object, name, JSON_OBJECT, &node) < 0)
		return -1;
	if (node == 0)
		return 0;
	at = api_enter(r, name);
	if (api_get_node(r, node, "type", JSON_STR, &type) < 0)
		return -1;
	if (type == 0)
		return api_bad(r, "type", "there is no type");
	if (json_tree_is(&r->t, type, "json_object")) {
		r->out->json_object = true;
		if (api_field(r, node, "schema") != 0 &&
		    api_get_schema(r, node, "schema") < 0)
			return -1;
	} else if (json_tree_is(&r->t, type, "json_schema")) {
		if (api_get_node(r, node, "json_schema", JSON_OBJECT, &inner) <
		    0)
			return -1;
		in = inner == 0 ? r->nat : api_enter(r, "json_schema");
		if (api_get_schema(r, inner == 0 ? node : inner, "schema") < 0)
			return -1;
		api_leave(r, in);
	} else if (!json_tree_is(&r->t, type, "text")) {
		shown = api_show(r, type);
		return api_bad(r, "type",
		    "'%s' is none of text, json_object, json_schema", shown);
	}
	api_leave(r, at);
	return 0;
}

static int
read_formats(struct reader *r)
{
	static const char *const within[] = { "text", "output_config" };
	uint32_t node;
	size_t i, at;

	if (read_format(r, 0, "response_format") < 0 ||
	    read_format(r, 0, "output_format") < 0)
		return -1;
	for (i = 0; i < nitems(within); i++) {
		if (api_get_node(r, 0, within[i], JSON_OBJECT, &node) < 0)
			return -1;
		if (node == 0)
			continue;
		at = api_enter(r, within[i]);
		if (read_format(r, node, "format") < 0)
			return -1;
		api_leave(r, at);
	}
	return 0;
}

/* Other tiers than that are sold by others: they mean nothing here. */
static void
read_tier(struct reader *r)
{
	const uint32_t node = api_field(r, 0, "service_tier");

	r->out->flex = node != 0 && json_tree_is(&r->t, node, "flex");
}

int
api_read_params(struct reader *r)
{
	struct api_request *q = r->out;
	struct chat_text model = { NULL, 0 };
	uint32_t node;
	size_t at;
	double n;
	char *p;

	if (api_get_text(r, 0, "model", &model) < 0 ||
	    api_get_bool(r, 0, "stream", &q->stream) < 0)
		return -1;
	p = api_take(r, model.n + 1);
	if (model.n > 0)
		memcpy(p, model.p, model.n);
	p[model.n] = '\0';
	q->model = p;
	if (api_get_node(r, 0, "stream_options", JSON_OBJECT, &node) < 0)
		return -1;
	if (node != 0) {
		at = api_enter(r, "stream_options");
		if (api_get_bool(r, node, "include_usage", &q->stream_usage) <
		    0)
			return -1;
		api_leave(r, at);
	}
	if (api_get_number(r, 0, "n", 1, 1, &n) < 0 ||
	    api_get_number(r, 0, "best_of", 1, 1, &n) < 0)
		return -1;
	read_tier(r);
	if (read_sampling(r) < 0 || read_seed(r) < 0 ||
	    read_max_tokens(r) < 0 ||
	    read_stops(r, q->kind == API_MESSAGES || q->kind == API_COUNT_TOKENS
			      ? "stop_sequences"
			      : "stop") < 0)
		return -1;
	return q->kind == API_COMPLETIONS
		   ? 0
		   : (read_thinking(r) < 0 || read_formats(r) < 0 ? -1 : 0);
}

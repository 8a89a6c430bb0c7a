#include "inferd/api.h"
#include "inferd/api_int.h"

#include <stdlib.h>
#include <string.h>

/* `prompt` of completions: one text. */
static int
read_prompt(struct reader *r)
{
	uint32_t node = api_field(r, 0, "prompt");
	struct chat_text suffix = { NULL, 0 };

	if (node != 0 && r->t.node[node].type == JSON_ARRAY &&
	    json_tree_count(&r->t, node) == 1)
		node = json_tree_first(&r->t, node);
	if (node == 0)
		return api_bad(r, "prompt", "there is no prompt");
	if (r->t.node[node].type != JSON_STR)
		return api_bad(r, "prompt",
		    "prompt must be one string; tokens and several prompts "
		    "are not supported");
	r->out->prompt = api_text(r, node);
	if (api_get_text(r, 0, "suffix", &suffix) < 0 ||
	    api_get_bool(r, 0, "echo", &r->out->echo) < 0)
		return -1;
	if (suffix.n > 0)
		return api_bad(r, "suffix", "suffix is not supported");
	return 0;
}

static int
read_kind(struct reader *r)
{
	switch (r->out->kind) {
	case API_CHAT:
		return api_read_chat(r);
	case API_COMPLETIONS:
		return read_prompt(r);
	case API_RESPONSES:
		return api_read_responses(r);
	case API_MESSAGES:
	case API_COUNT_TOKENS:
		return api_read_messages(r);
	case API_OTHER:
		break;
	}
	return api_bad(r, "", "nothing is read here");
}

/* A client that cuts its text anywhere leaves halves of surrogate pairs, and
 * sends them again in each turn. */
static void
mend_surrogates(char *p, size_t n)
{
	size_t i = 0;

	while (i + 6 <= n) {
		bool high, low;

		if (p[i] != '\\') {
			const char *next = memchr(p + i, '\\', n - i);

			if (next == NULL)
				return;
			i = (size_t)(next - p);
			continue;
		}
		if (p[i + 1] != 'u' || (p[i + 2] | 32) != 'd') {
			i += 2;
			continue;
		}
		high = strchr("89abAB", p[i + 3]) != NULL && p[i + 3] != '\0';
		low = strchr("cdefCDEF", p[i + 3]) != NULL && p[i + 3] != '\0';
		if (high && i + 12 <= n && p[i + 6] == '\\' &&
		    p[i + 7] == 'u' && (p[i + 8] | 32) == 'd' &&
		    p[i + 9] != '\0' && strchr("cdefCDEF", p[i + 9]) != NULL)
			i += 6;
		else if (high || low)
			memcpy(p + i, "\\ufffd", 6);
		i += 6;
	}
}

/* What the reader holds goes into the request. */
static void
hand_over(struct reader *r)
{
	struct chat *c = &r->out->chat;
	struct chat_message *m;
	struct chat_tool *t;
	struct api_tool *o;
	size_t i;

	m = api_take(r, (r->nmessages + 1) * sizeof(*m));
	t = api_take(r, (r->ntools + 1) * sizeof(*t));
	o = api_take(r, (r->ntools + 1) * sizeof(*o));
	for (i = 0; i < r->nmessages; i++)
		m[i] = r->message[i];
	for (i = 0; i < r->ntools; i++) {
		t[i] = r->tool[i];
		o[i] = r->origin[i];
		r->out->strict_tools |= o[i].strict;
	}
	c->messages = m;
	c->nmessages = r->nmessages;
	c->tools = t;
	c->ntools = r->ntools;
	r->out->tool = o;
}

int
api_read(enum api_kind kind, const char *body, size_t n,
    struct api_request *out, struct api_error *err)
{
	struct reader r = { .out = out, .err = err };
	struct error why;
	char *copy;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	memset(err, 0, sizeof(*err));
	out->kind = kind;
	out->temperature = out->top_p = out->min_p = -1;
	out->top_k = out->seed = out->thinking_max = -1;
	out->tool_choice = TOOLS_AUTO;
	if (n > API_BODY_MAX) {
		api_fail(err, 413, NULL, "",
		    "the request is longer than %u bytes", API_BODY_MAX);
		return -1;
	}
	copy = api_take(&r, n + 1);
	if (n > 0)
		memcpy(copy, body, n);
	mend_surrogates(copy, n);
	if (json_tree_read(&r.t, copy, n, &why) < 0)
		api_bad(&r, "", "the request is not valid %s", why.msg);
	else if (r.t.node[0].type != JSON_OBJECT)
		api_bad(&r, "", "the request is not a JSON object");
	/* Each is compared with each that is known. */
	else if (json_tree_count(&r.t, 0) > API_FIELDS_MAX)
		api_bad(&r, "", "the request has more than %u fields",
		    API_FIELDS_MAX);
	else if (api_read_params(&r) == 0 && read_kind(&r) == 0)
		rc = 0;
	if (rc == 0)
		hand_over(&r);
	json_tree_free(&r.t);
	history_free(&r);
	free(r.message);
	free(r.tool);
	free(r.origin);
	free(r.call);
	buf_free(&r.text.all);
	buf_free(&r.thinking.all);
	return rc;
}

#include "inferd/api.h"
#include "inferd/api_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

/* How many bytes of p are a whole character of UTF-8; 0: none. */
static size_t
character(const char *p, size_t n)
{
	uint8_t c = (uint8_t)p[0];
	size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	if (c == 0)
		return 1;
	return len <= n && str_is_utf8(p, len) ? len : 0;
}

void
api_quote(struct buf *out, const char *p, size_t n)
{
	cleanup_buf struct buf b = { 0 };
	size_t i = 0, k;

	if (n == 0 || str_is_utf8(p, n)) {
		json_quote(out, p, n);
		return;
	}
	while (i < n) {
		if ((k = character(p + i, n - i)) == 0) {
			buf_put(&b, "\xef\xbf\xbd", 3);
			i++;
			continue;
		}
		buf_put(&b, p + i, k);
		i += k;
	}
	json_quote(out, (const char *)buf_head(&b), buf_len(&b));
}

void
api_quote_buf(struct buf *out, const struct buf *b)
{
	api_quote(out, (const char *)buf_head(b), buf_len(b));
}

static void
quote_str(struct buf *out, const char *s)
{
	api_quote(out, s, strlen(s));
}

void
sse_begin(struct buf *out, const char *event)
{
	if (event != NULL)
		buf_printf(out, "event: %s\n", event);
	buf_printf(out, "data: ");
}

void
sse_end(struct buf *out)
{
	buf_put(out, "\n\n", 2);
}

void
sse_progress(struct buf *out, const struct gen_event *e)
{
	if (e->queue_position > 0)
		buf_printf(
		    out, ": %" PRIu32 " before this one", e->queue_position);
	else
		buf_printf(out, ": %" PRIu32 " of %" PRIu32 " tokens read",
		    e->done, e->all);
	if (e->eta_ms > 0)
		buf_printf(out, ", first token in %" PRIu32 ".%01u s",
		    e->eta_ms / 1000, (unsigned int)(e->eta_ms % 1000 / 100));
	buf_put_u8(out, '\n');
}

bool
reply_custom(const struct api_reply *a)
{
	return a->tool != NULL && a->tool->custom;
}

void
reply_name(const struct api_reply *a, struct buf *out)
{
	if (a->tool != NULL)
		api_quote(out, a->tool->name.p, a->tool->name.n);
	else
		api_quote_buf(out, &a->name);
}

void
custom_input(const struct api_reply *a, struct buf *out)
{
	cleanup_json_tree struct json_tree t = { 0 };
	uint32_t input;

	if (json_tree_read(&t, (const char *)buf_head(&a->args),
		buf_len(&a->args), NULL) < 0)
		return;
	input = json_tree_get(&t, 0, "input");
	if (input != 0 && t.node[input].type == JSON_STR)
		json_tree_str(&t, input, out);
}

static const struct api_tool *
find_tool(const struct api_request *r, const char *name, size_t n)
{
	size_t i;

	for (i = 0; i < r->chat.ntools; i++)
		if (r->chat.tools[i].name.n == n && n > 0 &&
		    memcmp(r->chat.tools[i].name.p, name, n) == 0)
			return &r->tool[i];
	return NULL;
}

struct api_reply *
api_reply_new(const struct api_request *r, const char *id, const char *model,
    int64_t created)
{
	struct api_reply *a = xcalloc(1, sizeof(*a));

	a->r = r;
	a->id = xstrdup(id);
	a->model = xstrdup(model);
	a->created = created;
	return a;
}

void
api_reply_free(struct api_reply *a)
{
	if (a == NULL)
		return;
	free(a->id);
	free(a->model);
	buf_free(&a->call_id);
	buf_free(&a->name);
	buf_free(&a->args);
	buf_free(&a->text);
	buf_free(&a->thinking);
	buf_free(&a->items);
	free(a);
}

void
api_reply_event(struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	if (e->type == GEN_CALL_BEGIN) {
		buf_clear(&a->call_id);
		buf_clear(&a->name);
		buf_clear(&a->args);
		buf_put(&a->name, e->p, e->n);
		if (e->call_id != NULL)
			buf_put(&a->call_id, e->call_id, strlen(e->call_id));
		a->tool = find_tool(a->r, e->p, e->n);
	}
	if (e->type == GEN_CALL_ARGS)
		buf_put(&a->args, e->p, e->n);
	switch (a->r->kind) {
	case API_CHAT:
		chat_event(a, e, out);
		break;
	case API_COMPLETIONS:
		completions_event(a, e, out);
		break;
	case API_RESPONSES:
		responses_event(a, e, out);
		break;
	case API_MESSAGES:
		messages_event(a, e, out);
		break;
	case API_COUNT_TOKENS:
	case API_OTHER:
		break;
	}
}

/* -- Bodies that are no answers of a model -- */

static const char *
type_of(enum api_kind kind, int status)
{
	bool messages = kind == API_MESSAGES || kind == API_COUNT_TOKENS;

	switch (status) {
	case 401:
		return "authentication_error";
	case 403:
		return "permission_error";
	case 404:
		return "not_found_error";
	case 413:
		return messages ? "request_too_large" : "invalid_request_error";
	case 429:
		return "rate_limit_error";
	case 503:
		return messages ? "overloaded_error" : "server_error";
	default:
		break;
	}
	if (status < 500)
		return "invalid_request_error";
	return messages ? "api_error" : "server_error";
}

/* Codes that Anthropic's clients act upon. */
static void
put_details(const struct api_error *err, struct buf *out)
{
	bool none = str_eq(err->type, API_NO_THREADS);

	if (none || str_eq(err->type, API_NO_THREAD))
		buf_printf(out, ",\"details\":{\"error_code\":\"%s\"%s}",
		    err->type, none ? ",\"unsupported\":[\"thread\"]" : "");
}

void
api_error_body(enum api_kind kind, const struct api_error *err, struct buf *out)
{
	bool context = str_eq(err->type, API_CONTEXT_LENGTH);
	const char *type = err->type == NULL || context
			       ? type_of(kind, err->status)
			       : err->type;
	cleanup_free char *message = NULL;
	bool named;

	if (kind == API_MESSAGES || kind == API_COUNT_TOKENS) {
		/* A message that clients know is not to be changed. */
		named = err->param[0] != '\0' && !context;
		message = xasprintf("%s%s%s", named ? err->param : "",
		    named ? ": " : "", err->message);
		buf_printf(out, "{\"type\":\"error\",\"error\":{\"type\":");
		quote_str(out, type_of(kind, err->status));
		buf_printf(out, ",\"message\":");
		quote_str(out, message);
		put_details(err, out);
		buf_printf(out, "}}");
		return;
	}
	buf_printf(out, "{\"error\":{\"message\":");
	quote_str(out, err->message);
	buf_printf(out, ",\"type\":");
	quote_str(out, type);
	buf_printf(out, ",\"param\":");
	if (err->param[0] != '\0')
		quote_str(out, err->param);
	else
		buf_printf(out, "null");
	buf_printf(out, ",\"code\":%s}}",
	    context ? "\"" API_CONTEXT_LENGTH "\"" : "null");
}

/* Clients take it for what it is wherever it comes, and look for no more. */
void
api_reply_fail(
    struct api_reply *a, const struct api_error *err, struct buf *out)
{
	if (a->r->kind == API_RESPONSES) {
		responses_fail(a, err, out);
		return;
	}
	sse_begin(out, a->r->kind == API_MESSAGES ? "error" : NULL);
	api_error_body(a->r->kind, err, out);
	sse_end(out);
}

void
api_model_body(
    const char *model, uint32_t context, int64_t created, struct buf *out)
{
	char when[32] = "1970-01-01T00:00:00Z";
	time_t t = (time_t)created;
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_printf(out, "{\"id\":");
	quote_str(out, model);
	buf_printf(out,
	    ",\"object\":\"model\",\"type\":\"model\",\"created\":%" PRId64
	    ",\"created_at\":\"%s\",\"owned_by\":\"inferd\","
	    "\"display_name\":",
	    created, when);
	quote_str(out, model);
	/* As others name it whose clients look. */
	buf_printf(out,
	    ",\"max_model_len\":%" PRIu32 ",\"context_length\":%" PRIu32
	    ",\"max_input_tokens\":%" PRIu32 "}",
	    context, context, context);
}

void
api_models_body(
    const char *model, uint32_t context, int64_t created, struct buf *out)
{
	buf_printf(out, "{\"object\":\"list\",\"data\":[");
	api_model_body(model, context, created, out);
	buf_printf(out, "],\"first_id\":");
	quote_str(out, model);
	buf_printf(out, ",\"last_id\":");
	quote_str(out, model);
	buf_printf(out, ",\"has_more\":false,\"models\":[]}");
}

void
api_count_body(uint32_t tokens, struct buf *out)
{
	buf_printf(out, "{\"input_tokens\":%" PRIu32 "}", tokens);
}

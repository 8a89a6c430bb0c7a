/*
 * Answers of OpenAI's chat completions and completions.
 */
#include "inferd/api_int.h"

#include <inttypes.h>
#include <string.h>

static const char *
reason(const struct api_reply *a, enum gen_finish f)
{
	if (gen_is_cut(f))
		return "length";
	/* Calls are to be made however the turn ended, but for a loop. */
	return f != GEN_LOOP && a->calls > 0 ? "tool_calls" : "stop";
}

static void
put_usage(struct buf *out, const struct gen_usage *u)
{
	buf_printf(out,
	    "{\"prompt_tokens\":%" PRIu32 ",\"completion_tokens\":%" PRIu32
	    ",\"total_tokens\":%" PRIu64
	    ",\"prompt_tokens_details\":{\"cached_tokens\":%" PRIu32
	    "},\"completion_tokens_details\":{\"reasoning_tokens\":%" PRIu32
	    "}}",
	    u->prompt, u->sampled, (uint64_t)u->prompt + u->sampled, u->cached,
	    u->thinking);
}

static void
put_head(const struct api_reply *a, const char *object, struct buf *out)
{
	buf_printf(
	    out, "{\"id\":\"%s-", a->r->kind == API_CHAT ? "chatcmpl" : "cmpl");
	/* The id is quoted with what stands before it. */
	buf_printf(out,
	    "%s\",\"object\":\"%s\",\"created\":%" PRId64 ",\"model\":", a->id,
	    object, a->created);
	api_quote(out, a->model, strlen(a->model));
}

static void
chunk_begin(const struct api_reply *a, struct buf *out)
{
	sse_begin(out, NULL);
	put_head(a, "chat.completion.chunk", out);
	buf_printf(out, ",\"choices\":[{\"index\":0,\"delta\":{");
}

static void
chunk_end(const char *why, struct buf *out)
{
	buf_printf(out, "},\"finish_reason\":%s%s%s}]}",
	    why == NULL ? "" : "\"", why == NULL ? "null" : why,
	    why == NULL ? "" : "\"");
	sse_end(out);
}

static void
stream_begin(struct api_reply *a, struct buf *out)
{
	if (a->begun)
		return;
	a->begun = true;
	chunk_begin(a, out);
	buf_printf(out, "\"role\":\"assistant\",\"content\":\"\"");
	chunk_end(NULL, out);
}

static void
stream_text(const struct api_reply *a, const char *field,
    const struct gen_event *e, struct buf *out)
{
	chunk_begin(a, out);
	buf_printf(out, "\"%s\":", field);
	api_quote(out, e->p, e->n);
	chunk_end(NULL, out);
}

static void
stream_call_begin(const struct api_reply *a, struct buf *out)
{
	bool custom = reply_custom(a);

	chunk_begin(a, out);
	buf_printf(out,
	    "\"tool_calls\":[{\"index\":%" PRIu32 ",\"id\":", a->calls - 1);
	api_quote_buf(out, &a->call_id);
	buf_printf(out, ",\"type\":\"%s\",\"%s\":{\"name\":",
	    custom ? "custom" : "function", custom ? "custom" : "function");
	reply_name(a, out);
	buf_printf(out, ",\"%s\":\"\"}}]", custom ? "input" : "arguments");
	chunk_end(NULL, out);
}

static void
stream_call_args(
    const struct api_reply *a, const char *p, size_t n, struct buf *out)
{
	bool custom = reply_custom(a);

	chunk_begin(a, out);
	buf_printf(out,
	    "\"tool_calls\":[{\"index\":%" PRIu32 ",\"%s\":{\"%s\":",
	    a->calls - 1, custom ? "custom" : "function",
	    custom ? "input" : "arguments");
	api_quote(out, p, n);
	buf_printf(out, "}}]");
	chunk_end(NULL, out);
}

static void
stream_usage(
    const struct api_reply *a, const struct gen_usage *u, struct buf *out)
{
	sse_begin(out, NULL);
	put_head(a,
	    a->r->kind == API_CHAT ? "chat.completion.chunk"
				   : "text_completion",
	    out);
	buf_printf(out, ",\"choices\":[],\"usage\":");
	put_usage(out, u);
	buf_put_u8(out, '}');
	sse_end(out);
}

static void
stream_done(
    const struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	if (a->r->stream_usage)
		stream_usage(a, &e->usage, out);
	buf_printf(out, "data: [DONE]\n\n");
}

static void
stream(struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	cleanup_buf struct buf input = { 0 };

	stream_begin(a, out);
	switch (e->type) {
	case GEN_PROGRESS:
		sse_progress(out, e);
		chunk_begin(a, out);
		chunk_end(NULL, out);
		break;
	case GEN_TEXT:
		stream_text(a, "content", e, out);
		break;
	case GEN_THINKING:
		stream_text(a, "reasoning_content", e, out);
		break;
	case GEN_CALL_BEGIN:
		a->calls++;
		stream_call_begin(a, out);
		break;
	case GEN_CALL_ARGS:
		if (!reply_custom(a))
			stream_call_args(a, e->p, e->n, out);
		break;
	case GEN_CALL_END:
		if (!reply_custom(a))
			break;
		custom_input(a, &input);
		stream_call_args(
		    a, (const char *)buf_head(&input), buf_len(&input), out);
		break;
	case GEN_END:
		chunk_begin(a, out);
		chunk_end(reason(a, e->finish), out);
		stream_done(a, e, out);
		break;
	}
}

/* The call that has ended, as a member of tool_calls. */
static void
put_call(struct api_reply *a, struct buf *out)
{
	cleanup_buf struct buf input = { 0 };
	bool custom = reply_custom(a);

	buf_printf(out, "%s{\"id\":", buf_len(out) > 0 ? "," : "");
	api_quote_buf(out, &a->call_id);
	buf_printf(out, ",\"type\":\"%s\",\"%s\":{\"name\":",
	    custom ? "custom" : "function", custom ? "custom" : "function");
	reply_name(a, out);
	buf_printf(out, ",\"%s\":", custom ? "input" : "arguments");
	if (custom)
		custom_input(a, &input);
	api_quote_buf(out, custom ? &input : &a->args);
	buf_printf(out, "}}");
}

static void
whole(struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	put_head(a, "chat.completion", out);
	buf_printf(out, ",\"choices\":[{\"index\":0,\"message\":{\"role\":"
			"\"assistant\",\"content\":");
	if (buf_len(&a->text) == 0 && buf_len(&a->items) > 0)
		buf_printf(out, "null");
	else
		api_quote_buf(out, &a->text);
	buf_printf(out, ",\"refusal\":null");
	if (buf_len(&a->thinking) > 0) {
		buf_printf(out, ",\"reasoning_content\":");
		api_quote_buf(out, &a->thinking);
	}
	if (buf_len(&a->items) > 0) {
		buf_printf(out, ",\"tool_calls\":[");
		buf_put(out, buf_head(&a->items), buf_len(&a->items));
		buf_put_u8(out, ']');
	}
	buf_printf(out,
	    "},\"logprobs\":null,\"finish_reason\":\"%s\"}],\"usage\":",
	    reason(a, e->finish));
	put_usage(out, &e->usage);
	buf_put_u8(out, '}');
}

void
chat_event(struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	if (a->r->stream) {
		stream(a, e, out);
		return;
	}
	switch (e->type) {
	case GEN_PROGRESS:
	case GEN_CALL_ARGS:
		break;
	case GEN_TEXT:
		buf_put(&a->text, e->p, e->n);
		break;
	case GEN_THINKING:
		buf_put(&a->thinking, e->p, e->n);
		break;
	case GEN_CALL_BEGIN:
		a->calls++;
		break;
	case GEN_CALL_END:
		put_call(a, &a->items);
		break;
	case GEN_END:
		whole(a, e, out);
		break;
	}
}

/* -- Completions: text alone -- */

static void
put_completion(const struct api_reply *a, const char *p, size_t n,
    const char *why, struct buf *out)
{
	put_head(a, "text_completion", out);
	buf_printf(out, ",\"choices\":[{\"index\":0,\"text\":");
	api_quote(out, p, n);
	buf_printf(out, ",\"logprobs\":null,\"finish_reason\":%s%s%s}]",
	    why == NULL ? "" : "\"", why == NULL ? "null" : why,
	    why == NULL ? "" : "\"");
}

static void
completion_chunk(const struct api_reply *a, const char *p, size_t n,
    const char *why, struct buf *out)
{
	sse_begin(out, NULL);
	put_completion(a, p, n, why, out);
	buf_put_u8(out, '}');
	sse_end(out);
}

static void
completion_text(struct api_reply *a, const char *p, size_t n, struct buf *out)
{
	if (a->r->stream)
		completion_chunk(a, p, n, NULL, out);
	else
		buf_put(&a->text, p, n);
}

void
completions_event(
    struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	if (!a->begun && a->r->echo)
		completion_text(a, a->r->prompt.p, a->r->prompt.n, out);
	a->begun = true;
	switch (e->type) {
	case GEN_PROGRESS:
		if (!a->r->stream)
			break;
		sse_progress(out, e);
		completion_chunk(a, "", 0, NULL, out);
		break;
	case GEN_TEXT:
		completion_text(a, e->p, e->n, out);
		break;
	case GEN_THINKING:
	case GEN_CALL_BEGIN:
	case GEN_CALL_ARGS:
	case GEN_CALL_END:
		break;
	case GEN_END:
		if (a->r->stream) {
			completion_chunk(a, "", 0, reason(a, e->finish), out);
			stream_done(a, e, out);
			break;
		}
		put_completion(a, (const char *)buf_head(&a->text),
		    buf_len(&a->text), reason(a, e->finish), out);
		buf_printf(out, ",\"usage\":");
		put_usage(out, &e->usage);
		buf_put_u8(out, '}');
		break;
	}
}

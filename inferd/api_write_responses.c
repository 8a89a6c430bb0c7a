/*
 * Answers of OpenAI's responses: items, each of which is told as it begins,
 * grows and ends, and again in the whole answer.
 */
#include "inferd/api_int.h"

#include <inttypes.h>
#include <string.h>

static void
event_begin(struct api_reply *a, const char *type, struct buf *out)
{
	sse_begin(out, type);
	buf_printf(out, "{\"type\":\"%s\",\"sequence_number\":%" PRIu32, type,
	    a->sequence++);
}

static void
event_end(struct buf *out)
{
	buf_put_u8(out, '}');
	sse_end(out);
}

static void
put_id(const struct api_reply *a, struct buf *out)
{
	static const char *const prefix[] = { [PART_NONE] = "it",
		[PART_TEXT] = "msg",
		[PART_THINKING] = "rs",
		[PART_CALL] = "fc" };

	buf_printf(
	    out, "\"%s_%s%" PRIu32 "\"", prefix[a->part], a->id, a->index);
}

/* Which item an event is of. */
static void
put_place(const struct api_reply *a, struct buf *out)
{
	buf_printf(out, ",\"item_id\":");
	put_id(a, out);
	buf_printf(out, ",\"output_index\":%" PRIu32, a->index);
	if (a->part != PART_CALL)
		buf_printf(out, ",\"content_index\":0");
}

/* The part of a message or of thoughts. */
static void
put_part(const struct api_reply *a, bool done, struct buf *out)
{
	static const struct buf nothing = { 0 };

	buf_printf(out, "{\"type\":\"%s\",\"text\":",
	    a->part == PART_TEXT ? "output_text" : "reasoning_text");
	api_quote_buf(out, done ? &a->text : &nothing);
	if (a->part == PART_TEXT)
		buf_printf(out, ",\"annotations\":[],\"logprobs\":[]");
	buf_put_u8(out, '}');
}

static void
put_call(const struct api_reply *a, bool done, struct buf *out)
{
	static const struct buf nothing = { 0 };
	cleanup_buf struct buf input = { 0 };
	bool custom = reply_custom(a);

	if (custom && done)
		custom_input(a, &input);
	buf_printf(out, "\"%s\",\"call_id\":",
	    custom ? "custom_tool_call" : "function_call");
	api_quote_buf(out, &a->call_id);
	buf_printf(out, ",\"name\":");
	reply_name(a, out);
	if (a->tool != NULL && a->tool->space.n > 0) {
		buf_printf(out, ",\"namespace\":");
		api_quote(out, a->tool->space.p, a->tool->space.n);
	}
	buf_printf(out, ",\"%s\":", custom ? "input" : "arguments");
	api_quote_buf(out, !done ? &nothing : custom ? &input : &a->args);
}

static void
put_item(
    const struct api_reply *a, bool done, const char *status, struct buf *out)
{
	buf_printf(out, "{\"id\":");
	put_id(a, out);
	buf_printf(out, ",\"status\":\"%s\",\"type\":", status);
	switch (a->part) {
	case PART_NONE:
	case PART_TEXT:
		buf_printf(
		    out, "\"message\",\"role\":\"assistant\",\"content\":[");
		break;
	case PART_THINKING:
		buf_printf(out, "\"reasoning\",\"summary\":[],\"content\":[");
		break;
	case PART_CALL:
		put_call(a, done, out);
		break;
	}
	if (a->part != PART_CALL) {
		if (done)
			put_part(a, true, out);
		buf_put_u8(out, ']');
	}
	buf_put_u8(out, '}');
}

static void
put_usage(struct buf *out, const struct gen_usage *u)
{
	buf_printf(out,
	    "{\"input_tokens\":%" PRIu32
	    ",\"input_tokens_details\":{\"cached_tokens\":%" PRIu32
	    "},\"output_tokens\":%" PRIu32
	    ",\"output_tokens_details\":{\"reasoning_tokens\":%" PRIu32
	    "},\"total_tokens\":%" PRIu64 "}",
	    u->prompt, u->cached, u->sampled, u->thinking,
	    (uint64_t)u->prompt + u->sampled);
}

static void
put_number(struct buf *out, const char *name, float v)
{
	if (v < 0)
		buf_printf(out, ",\"%s\":null", name);
	else
		buf_printf(out, ",\"%s\":%g", name, (double)v);
}

/* What was asked for, as far as clients look at it. */
static void
put_request(const struct api_request *r, struct buf *out)
{
	buf_printf(out,
	    ",\"instructions\":null,\"metadata\":{},"
	    "\"parallel_tool_calls\":%s,\"previous_response_id\":null,"
	    "\"reasoning\":{\"effort\":%s%s%s,\"summary\":null},"
	    "\"store\":false,\"tools\":[],\"tool_choice\":\"%s\","
	    "\"text\":{\"format\":{\"type\":\"text\"}},"
	    "\"truncation\":\"disabled\",\"user\":null",
	    r->one_call ? "false" : "true", r->chat.effort == NULL ? "" : "\"",
	    r->chat.effort == NULL ? "null" : r->chat.effort,
	    r->chat.effort == NULL ? "" : "\"",
	    r->tool_choice == TOOLS_NONE   ? "none"
	    : r->tool_choice == TOOLS_AUTO ? "auto"
					   : "required");
	put_number(out, "temperature", r->temperature);
	put_number(out, "top_p", r->top_p);
	if (r->max_tokens > 0)
		buf_printf(
		    out, ",\"max_output_tokens\":%" PRIu32, r->max_tokens);
	else
		buf_printf(out, ",\"max_output_tokens\":null");
}

static const char *
code(const struct api_error *err)
{
	return err->status == 429 ? "rate_limit_exceeded" : "server_error";
}

/* Both e and err are NULL until the end. */
static void
put_response(const struct api_reply *a, const struct gen_event *e,
    const struct api_error *err, struct buf *out)
{
	bool cut = e != NULL && gen_is_cut(e->finish);

	buf_printf(out,
	    "{\"id\":\"resp_%s\",\"object\":\"response\",\"created_at\":"
	    "%" PRId64 ",\"status\":\"%s\",\"background\":false,\"error\":",
	    a->id, a->created,
	    err != NULL ? "failed"
	    : e == NULL ? "in_progress"
	    : cut       ? "incomplete"
			: "completed");
	if (err == NULL) {
		buf_printf(out, "null");
	} else {
		buf_printf(out, "{\"code\":\"%s\",\"message\":", code(err));
		api_quote(out, err->message, strlen(err->message));
		buf_put_u8(out, '}');
	}
	buf_printf(out, ",\"incomplete_details\":%s,\"model\":",
	    cut ? "{\"reason\":\"max_output_tokens\"}" : "null");
	api_quote(out, a->model, strlen(a->model));
	put_request(a->r, out);
	buf_printf(out, ",\"output\":[");
	buf_put(out, buf_head(&a->items), buf_len(&a->items));
	buf_printf(out, "],\"usage\":");
	if (e == NULL)
		buf_printf(out, "null");
	else
		put_usage(out, &e->usage);
	buf_put_u8(out, '}');
}

static void
tell_response(struct api_reply *a, const char *type, const struct gen_event *e,
    struct buf *out)
{
	event_begin(a, type, out);
	buf_printf(out, ",\"response\":");
	put_response(a, e, NULL, out);
	event_end(out);
}

void
responses_fail(
    struct api_reply *a, const struct api_error *err, struct buf *out)
{
	event_begin(a, "error", out);
	buf_printf(
	    out, ",\"code\":\"%s\",\"param\":null,\"message\":", code(err));
	api_quote(out, err->message, strlen(err->message));
	event_end(out);
	event_begin(a, "response.failed", out);
	buf_printf(out, ",\"response\":");
	put_response(a, NULL, err, out);
	event_end(out);
}

static void
tell_item(struct api_reply *a, const char *type, bool done, const char *status,
    struct buf *out)
{
	event_begin(a, type, out);
	buf_printf(out, ",\"output_index\":%" PRIu32 ",\"item\":", a->index);
	put_item(a, done, status, out);
	event_end(out);
}

static void
tell_part(struct api_reply *a, const char *type, bool done, struct buf *out)
{
	event_begin(a, type, out);
	put_place(a, out);
	buf_printf(out, ",\"part\":");
	put_part(a, done, out);
	event_end(out);
}

static void
tell_bytes(struct api_reply *a, const char *type, const char *field,
    const char *p, size_t n, struct buf *out)
{
	event_begin(a, type, out);
	put_place(a, out);
	buf_printf(out, ",\"%s\":", field);
	api_quote(out, p, n);
	if (a->part == PART_TEXT)
		buf_printf(out, ",\"logprobs\":[]");
	event_end(out);
}

static void
tell_call_done(struct api_reply *a, struct buf *out)
{
	cleanup_buf struct buf input = { 0 };
	const char *p;

	if (!reply_custom(a)) {
		event_begin(a, "response.function_call_arguments.done", out);
		put_place(a, out);
		buf_printf(out, ",\"name\":");
		reply_name(a, out);
		buf_printf(out, ",\"arguments\":");
		api_quote_buf(out, &a->args);
		event_end(out);
		return;
	}
	custom_input(a, &input);
	p = (const char *)buf_head(&input);
	tell_bytes(a, "response.custom_tool_call_input.delta", "delta", p,
	    buf_len(&input), out);
	tell_bytes(a, "response.custom_tool_call_input.done", "input", p,
	    buf_len(&input), out);
}

static void
part_end(struct api_reply *a, bool cut, struct buf *out)
{
	const char *status = cut ? "incomplete" : "completed";

	/* A call that was cut off is never done, or clients would make it. */
	if (a->part == PART_CALL && cut)
		a->part = PART_NONE;
	if (a->part == PART_NONE)
		return;
	if (a->r->stream) {
		if (a->part == PART_CALL) {
			tell_call_done(a, out);
		} else {
			tell_bytes(a,
			    a->part == PART_TEXT
				? "response.output_text.done"
				: "response.reasoning_text.done",
			    "text", (const char *)buf_head(&a->text),
			    buf_len(&a->text), out);
			tell_part(a, "response.content_part.done", true, out);
		}
		tell_item(a, "response.output_item.done", true, status, out);
	}
	if (buf_len(&a->items) > 0)
		buf_put_u8(&a->items, ',');
	put_item(a, true, status, &a->items);
	buf_clear(&a->text);
	a->part = PART_NONE;
}

static void
part_begin(struct api_reply *a, enum part part, struct buf *out)
{
	if (a->part == part && part != PART_CALL)
		return;
	part_end(a, false, out);
	a->part = part;
	a->index = a->parts++;
	if (!a->r->stream)
		return;
	tell_item(a, "response.output_item.added", false, "in_progress", out);
	if (part != PART_CALL)
		tell_part(a, "response.content_part.added", false, out);
}

static void
part_text(struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	buf_put(&a->text, e->p, e->n);
	if (a->r->stream)
		tell_bytes(a,
		    a->part == PART_TEXT ? "response.output_text.delta"
					 : "response.reasoning_text.delta",
		    "delta", e->p, e->n, out);
}

void
responses_event(struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	bool stream = a->r->stream;

	if (!a->begun && stream) {
		tell_response(a, "response.created", NULL, out);
		tell_response(a, "response.in_progress", NULL, out);
	}
	a->begun = true;
	switch (e->type) {
	case GEN_PROGRESS:
		if (!stream)
			break;
		sse_progress(out, e);
		tell_response(a, "response.in_progress", NULL, out);
		break;
	case GEN_TEXT:
		part_begin(a, PART_TEXT, out);
		part_text(a, e, out);
		break;
	case GEN_THINKING:
		part_begin(a, PART_THINKING, out);
		part_text(a, e, out);
		break;
	case GEN_CALL_BEGIN:
		part_begin(a, PART_CALL, out);
		break;
	case GEN_CALL_ARGS:
		if (stream && !reply_custom(a))
			tell_bytes(a, "response.function_call_arguments.delta",
			    "delta", e->p, e->n, out);
		break;
	case GEN_CALL_END:
		part_end(a, false, out);
		break;
	case GEN_END:
		part_end(a, gen_is_cut(e->finish), out);
		if (stream)
			tell_response(a,
			    gen_is_cut(e->finish) ? "response.incomplete"
						  : "response.completed",
			    e, out);
		else
			put_response(a, e, NULL, out);
		break;
	}
}

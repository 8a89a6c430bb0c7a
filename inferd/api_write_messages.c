/*
 * Answers of Anthropic's messages.
 */
#include "inferd/api_int.h"

#include <inttypes.h>
#include <string.h>

static const char *
reason(const struct api_reply *a, const struct gen_event *e)
{
	if (gen_is_cut(e->finish))
		return "max_tokens";
	if (e->finish == GEN_LOOP)
		return "end_turn";
	if (a->calls > 0)
		return "tool_use";
	return e->finish == GEN_STOP_TEXT ? "stop_sequence" : "end_turn";
}

static void
put_stop(const struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	const char *why = reason(a, e);

	buf_printf(out, "\"stop_reason\":\"%s\",\"stop_sequence\":", why);
	if (strcmp(why, "stop_sequence") == 0 && e->stop != NULL)
		api_quote(out, e->stop, strlen(e->stop));
	else
		buf_printf(out, "null");
}

static void
put_usage(struct buf *out, const struct gen_usage *u)
{
	uint32_t cached = u->cached < u->prompt ? u->cached : u->prompt;

	buf_printf(out,
	    "{\"input_tokens\":%" PRIu32 ",\"cache_creation_input_tokens\":0"
	    ",\"cache_read_input_tokens\":%" PRIu32
	    ",\"output_tokens\":%" PRIu32 "}",
	    u->prompt - cached, cached, u->sampled);
}

static void
put_head(const struct api_reply *a, struct buf *out)
{
	buf_printf(out,
	    "{\"id\":\"msg_%s\",\"type\":\"message\",\"role\":\"assistant\","
	    "\"model\":",
	    a->id);
	api_quote(out, a->model, strlen(a->model));
	buf_printf(out, ",\"content\":[");
}

/* An event of a block, up to what it says. */
static void
block_event(const struct api_reply *a, const char *name, struct buf *out)
{
	sse_begin(out, name);
	buf_printf(out, "{\"type\":\"%s\",\"index\":%" PRIu32, name, a->index);
}

static void
delta(const struct api_reply *a, const char *type, const char *field,
    const char *p, size_t n, struct buf *out)
{
	block_event(a, "content_block_delta", out);
	buf_printf(out, ",\"delta\":{\"type\":\"%s\",\"%s\":", type, field);
	api_quote(out, p, n);
	buf_printf(out, "}}");
	sse_end(out);
}

static void
stream_begin(struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	struct gen_usage u = { .prompt = e->all };

	if (a->begun)
		return;
	a->begun = true;
	sse_begin(out, "message_start");
	buf_printf(out, "{\"type\":\"message_start\",\"message\":");
	put_head(a, out);
	buf_printf(out, "],\"stop_reason\":null,\"stop_sequence\":null,"
			"\"usage\":");
	put_usage(out, &u);
	buf_printf(out, "}}");
	sse_end(out);
}

/* A block of thoughts has a signature; clients take one without it for text
 * of the assistant when they send it again. */
static void
stream_part_end(struct api_reply *a, struct buf *out)
{
	if (a->part == PART_NONE)
		return;
	if (a->part == PART_THINKING)
		delta(a, "signature_delta", "signature", a->id, strlen(a->id),
		    out);
	block_event(a, "content_block_stop", out);
	buf_put_u8(out, '}');
	sse_end(out);
	a->part = PART_NONE;
}

static void
stream_part(struct api_reply *a, enum part part, struct buf *out)
{
	if (a->part == part && part != PART_CALL)
		return;
	stream_part_end(a, out);
	a->part = part;
	a->index = a->parts++;
	block_event(a, "content_block_start", out);
	buf_printf(out, ",\"content_block\":{\"type\":");
	if (part == PART_TEXT) {
		buf_printf(out, "\"text\",\"text\":\"\"");
	} else if (part == PART_THINKING) {
		buf_printf(out, "\"thinking\",\"thinking\":\"\","
				"\"signature\":\"\"");
	} else {
		buf_printf(out, "\"tool_use\",\"id\":");
		api_quote_buf(out, &a->call_id);
		buf_printf(out, ",\"name\":");
		reply_name(a, out);
		buf_printf(out, ",\"input\":{}");
	}
	buf_printf(out, "}}");
	sse_end(out);
}

static void
stream_end(struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	stream_part_end(a, out);
	sse_begin(out, "message_delta");
	buf_printf(out, "{\"type\":\"message_delta\",\"delta\":{");
	put_stop(a, e, out);
	buf_printf(out, "},\"usage\":");
	put_usage(out, &e->usage);
	buf_put_u8(out, '}');
	sse_end(out);
	sse_begin(out, "message_stop");
	buf_printf(out, "{\"type\":\"message_stop\"}");
	sse_end(out);
}

static void
ping(struct buf *out)
{
	sse_begin(out, "ping");
	buf_printf(out, "{\"type\":\"ping\"}");
	sse_end(out);
}

static void
stream(struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	stream_begin(a, e, out);
	switch (e->type) {
	case GEN_PROGRESS:
		sse_progress(out, e);
		ping(out);
		break;
	case GEN_TEXT:
		stream_part(a, PART_TEXT, out);
		delta(a, "text_delta", "text", e->p, e->n, out);
		break;
	case GEN_THINKING:
		/* Some models cannot do without. */
		if (a->r->chat.no_thinking) {
			ping(out);
			break;
		}
		stream_part(a, PART_THINKING, out);
		delta(a, "thinking_delta", "thinking", e->p, e->n, out);
		break;
	case GEN_CALL_BEGIN:
		a->calls++;
		stream_part(a, PART_CALL, out);
		break;
	case GEN_CALL_ARGS:
		delta(a, "input_json_delta", "partial_json", e->p, e->n, out);
		break;
	case GEN_CALL_END:
		stream_part_end(a, out);
		break;
	case GEN_END:
		stream_end(a, e, out);
		break;
	}
}

/* -- All at once -- */

static void
whole_part_end(struct api_reply *a)
{
	struct buf *out = &a->items;

	if (a->part == PART_NONE)
		return;
	if (buf_len(out) > 0)
		buf_put_u8(out, ',');
	if (a->part == PART_TEXT) {
		buf_printf(out, "{\"type\":\"text\",\"text\":");
		api_quote_buf(out, &a->text);
	} else if (a->part == PART_THINKING) {
		buf_printf(out, "{\"type\":\"thinking\",\"thinking\":");
		api_quote_buf(out, &a->text);
		buf_printf(out, ",\"signature\":");
		api_quote(out, a->id, strlen(a->id));
	} else {
		cleanup_json_tree struct json_tree t = { 0 };

		buf_printf(out, "{\"type\":\"tool_use\",\"id\":");
		api_quote_buf(out, &a->call_id);
		buf_printf(out, ",\"name\":");
		reply_name(a, out);
		buf_printf(out, ",\"input\":");
		/* It stands there as it is: better nothing than no JSON. */
		if (json_tree_read(&t, (const char *)buf_head(&a->args),
			buf_len(&a->args), NULL) == 0 &&
		    t.node[0].type == JSON_OBJECT)
			buf_put(out, buf_head(&a->args), buf_len(&a->args));
		else
			buf_printf(out, "{}");
	}
	buf_put_u8(out, '}');
	buf_clear(&a->text);
	a->part = PART_NONE;
}

static void
whole_text(struct api_reply *a, enum part part, const struct gen_event *e)
{
	if (a->part != part)
		whole_part_end(a);
	a->part = part;
	buf_put(&a->text, e->p, e->n);
}

static void
whole(struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	switch (e->type) {
	case GEN_PROGRESS:
	case GEN_CALL_ARGS:
		break;
	case GEN_TEXT:
		whole_text(a, PART_TEXT, e);
		break;
	case GEN_THINKING:
		if (!a->r->chat.no_thinking)
			whole_text(a, PART_THINKING, e);
		break;
	case GEN_CALL_BEGIN:
		whole_part_end(a);
		a->calls++;
		break;
	case GEN_CALL_END:
		a->part = PART_CALL;
		whole_part_end(a);
		break;
	case GEN_END:
		whole_part_end(a);
		put_head(a, out);
		buf_put(out, buf_head(&a->items), buf_len(&a->items));
		buf_printf(out, "],");
		put_stop(a, e, out);
		buf_printf(out, ",\"usage\":");
		put_usage(out, &e->usage);
		buf_put_u8(out, '}');
		break;
	}
}

void
messages_event(struct api_reply *a, const struct gen_event *e, struct buf *out)
{
	if (a->r->stream)
		stream(a, e, out);
	else
		whole(a, e, out);
}

/*
 * Calls that a model writes as a JSON object.  What it writes is mended first,
 * so that only valid JSON is looked at and told.
 */
#include "inferd/toolcall_int.h"

#include <string.h>

#include "base/str.h"

void
call_json_free(struct call_json *j)
{
	buf_free(&j->out);
	buf_free(&j->raw);
	buf_free(&j->name);
	buf_free(&j->member);
	buf_free(&j->value);
	buf_free(&j->args);
}

void
call_json_begin(struct toolcall *t)
{
	struct call_json *j = &t->json;

	call_json_free(j);
	memset(j, 0, sizeof(*j));
	json_mend_init(&j->mend, &j->out);
	t->mode = MODE_JSON;
}

static bool
is(const struct buf *b, const char *s)
{
	return buf_len(b) == strlen(s) &&
	       memcmp(buf_head(b), s, buf_len(b)) == 0;
}

static bool
is_name(const struct buf *b)
{
	return is(b, "name") || is(b, "tool_name") || is(b, "function_name");
}

static bool
is_args(const struct buf *b)
{
	return is(b, "arguments") || is(b, "parameters") || is(b, "args") ||
	       is(b, "input");
}

/* The value of a string, without its quotes. */
static void
unquote(const struct buf *value, struct buf *out)
{
	cleanup_json_tree struct json_tree tree = { 0 };

	if (json_tree_read(&tree, (const char *)buf_head(value), buf_len(value),
		NULL) == 0 &&
	    tree.node[0].type == JSON_STR)
		json_tree_str(&tree, 0, out);
}

static bool
is_tool(const struct toolcall *t, const struct buf *name)
{
	size_t i;

	for (i = 0; i < t->ntools; i++)
		if (t->tools[i].name.n == buf_len(name) &&
		    memcmp(t->tools[i].name.p, buf_head(name), buf_len(name)) ==
			0)
			return true;
	return false;
}

/* Once it is sure to be a call. */
static void
begin(struct toolcall *t)
{
	struct call_json *j = &t->json;

	j->begun = true;
	toolcall_say(t, TOOLCALL_BEGIN, (const char *)buf_head(&j->name),
	    buf_len(&j->name));
	buf_clear(&j->raw);
}

/* Arguments must be an object; others become one. */
static void
tell_args(struct toolcall *t, const struct buf *text)
{
	cleanup_buf struct buf b = { 0 }, inner = { 0 };
	struct json_mend m;

	if (first_of(text) == '"') {
		unquote(text, &inner);
		text = &inner;
	}
	json_mend_init(&m, &b);
	json_mend_push(&m, (const char *)buf_head(text), buf_len(text));
	json_mend_end(&m);
	if (first_of(&b) == '{')
		toolcall_say(
		    t, TOOLCALL_ARGS, (const char *)buf_head(&b), buf_len(&b));
	else
		toolcall_say(t, TOOLCALL_ARGS, "{}", 2);
}

static void
member_begin(struct toolcall *t)
{
	struct call_json *j = &t->json;
	cleanup_buf struct buf key = { 0 };

	unquote(&j->member, &key);
	buf_clear(&j->member);
	buf_put(&j->member, buf_head(&key), buf_len(&key));
	buf_clear(&j->value);
}

static void
member_end(struct toolcall *t)
{
	struct call_json *j = &t->json;

	if (is_name(&j->member) && buf_len(&j->name) == 0) {
		unquote(&j->value, &j->name);
		if (buf_len(&j->name) > TOOLCALL_NAME_MAX ||
		    (t->bare && !is_tool(t, &j->name)))
			buf_clear(&j->name);
	} else if (is_args(&j->member) && !j->streaming &&
		   buf_len(&j->args) == 0) {
		buf_put(&j->args, buf_head(&j->value), buf_len(&j->value));
	}
	if (j->streaming && is_args(&j->member))
		buf_put_u8(&j->args, 1); /* told already */
	j->streaming = false;
	buf_clear(&j->member);
	buf_clear(&j->value);
}

/* A byte of a member's value. */
static void
value_byte(struct toolcall *t, char c)
{
	struct call_json *j = &t->json;

	if (j->streaming) {
		toolcall_say(t, TOOLCALL_ARGS, &c, 1);
		return;
	}
	if (buf_len(&j->value) == 0 && c == '{' && is_args(&j->member) &&
	    buf_len(&j->name) > 0 && buf_len(&j->args) == 0) {
		if (!j->begun)
			begin(t);
		j->streaming = true;
		toolcall_say(t, TOOLCALL_ARGS, &c, 1);
		return;
	}
	buf_put_u8(&j->value, (uint8_t)c);
}

/* A byte of the valid JSON. */
static void
look(struct toolcall *t, char c)
{
	struct call_json *j = &t->json;
	bool was = j->string;

	if (j->string) {
		if (j->escape)
			j->escape = false;
		else if (c == '\\')
			j->escape = true;
		else if (c == '"')
			j->string = false;
	} else if (c == '"') {
		j->string = true;
	}
	if (!was && !j->string && (c == '}' || c == ']')) {
		if (j->depth == 1) {
			if (!j->key)
				member_end(t);
			j->depth = 0;
			return;
		}
		j->depth--;
	} else if (!was && (c == '{' || c == '[')) {
		if (j->depth++ == 0) {
			j->key = true;
			return;
		}
	} else if (!was && !j->string && j->depth == 1 && c == ':' && j->key) {
		j->key = false;
		member_begin(t);
		return;
	} else if (!was && !j->string && j->depth == 1 && c == ',') {
		if (!j->key)
			member_end(t);
		j->key = true;
		return;
	}
	if (j->depth == 0)
		return;
	if (j->key)
		buf_put_u8(&j->member, (uint8_t)c);
	else
		value_byte(t, c);
}

static void
look_all(struct toolcall *t)
{
	struct call_json *j = &t->json;
	size_t i;

	for (i = 0; i < buf_len(&j->out); i++)
		look(t, (char)buf_head(&j->out)[i]);
	buf_clear(&j->out);
}

void
call_json_push(struct toolcall *t, const char *p, size_t n)
{
	struct call_json *j = &t->json;

	if (!j->begun)
		buf_put(&j->raw, p, n);
	json_mend_push(&j->mend, p, n);
	look_all(t);
}

bool
call_json_end(struct toolcall *t)
{
	struct call_json *j = &t->json;

	json_mend_end(&j->mend);
	look_all(t);
	if (buf_len(&j->name) == 0 ||
	    (t->bare && !j->begun && buf_len(&j->args) == 0))
		return false;
	if (!j->begun)
		begin(t);
	if (buf_len(&j->args) == 0)
		toolcall_say(t, TOOLCALL_ARGS, "{}", 2);
	else if (first_of(&j->args) != 1)
		tell_args(t, &j->args);
	toolcall_say(t, TOOLCALL_END, NULL, 0);
	return true;
}

void
call_args_begin(struct toolcall *t)
{
	call_json_begin(t);
	t->json.begun = true;
	t->mode = MODE_ARGS;
}

void
call_args_push(struct toolcall *t, const char *p, size_t n)
{
	struct call_json *j = &t->json;

	json_mend_push(&j->mend, p, n);
	/* Only an object is told as it comes. */
	if (buf_len(&j->args) == 0 && buf_len(&j->out) > 0)
		buf_put_u8(&j->args, (uint8_t)first_of(&j->out));
	if (first_of(&j->args) == '{' && buf_len(&j->out) > 0) {
		toolcall_say(t, TOOLCALL_ARGS, (const char *)buf_head(&j->out),
		    buf_len(&j->out));
		buf_clear(&j->out);
	}
}

void
call_args_end(struct toolcall *t)
{
	struct call_json *j = &t->json;
	bool streamed = first_of(&j->args) == '{';

	json_mend_end(&j->mend);
	if (streamed && buf_len(&j->out) > 0)
		toolcall_say(t, TOOLCALL_ARGS, (const char *)buf_head(&j->out),
		    buf_len(&j->out));
	else if (!streamed)
		tell_args(t, &j->out);
	buf_clear(&j->out);
	toolcall_say(t, TOOLCALL_END, NULL, 0);
}

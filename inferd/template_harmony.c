/*
 * Harmony, the format of gpt-oss: messages in channels, tools as TypeScript.
 */
#include "inferd/template_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static void type_of(const struct json_tree *t, uint32_t id, struct buf *out);

static bool
type_is(const struct json_tree *t, uint32_t id, const char *name)
{
	uint32_t type = json_tree_get(t, id, "type");

	return type != 0 && json_tree_is(t, type, name);
}

static bool
truthy(const struct json_tree *t, uint32_t object, const char *name)
{
	uint32_t id = json_tree_get(t, object, name);

	return id != 0 && t->node[id].type != JSON_FALSE &&
	       t->node[id].type != JSON_NULL;
}

/* The names that an object requires, in order. */
struct names {
	struct buf text;
	struct chat_text *name;
	size_t n;
};

static int
by_text(const void *pa, const void *pb)
{
	const struct chat_text *a = pa, *b = pb;
	const size_t n = a->n < b->n ? a->n : b->n;
	const int order = n == 0 ? 0 : memcmp(a->p, b->p, n);

	return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
}

static void
names_read(struct names *all, const struct json_tree *t, uint32_t object)
{
	const uint32_t list = json_tree_get(t, object, "required");
	size_t at = 0;
	uint32_t i;

	memset(all, 0, sizeof(*all));
	if (list == 0)
		return;
	all->name = xcalloc(json_tree_count(t, list) + 1, sizeof(*all->name));
	for (i = json_tree_first(t, list); i != 0; i = t->node[i].next) {
		if (t->node[i].type != JSON_STR)
			continue;
		json_tree_str(t, i, &all->text);
		all->name[all->n++].n = buf_len(&all->text) - at;
		at = buf_len(&all->text);
	}
	at = 0;
	for (i = 0; i < all->n; i++) {
		all->name[i].p = (const char *)buf_head(&all->text) + at;
		at += all->name[i].n;
	}
	qsort(all->name, all->n, sizeof(*all->name), by_text);
}

static void
names_free(struct names *all)
{
	buf_free(&all->text);
	free(all->name);
}
#define cleanup_names attr_cleanup(names_free)

static bool
required(const struct names *all, const struct json_tree *t, uint32_t prop)
{
	cleanup_buf struct buf name = { 0 };
	struct chat_text key;

	if (all->n == 0)
		return false;
	json_tree_key(t, prop, &name);
	key =
	    (struct chat_text){ (const char *)buf_head(&name), buf_len(&name) };
	return bsearch(&key, all->name, all->n, sizeof(key), by_text) != NULL;
}

/* The strings of a list with words between. */
static void
join(const struct json_tree *t, uint32_t list, const char *between,
    struct buf *out)
{
	uint32_t i;

	for (i = json_tree_first(t, list); i != 0; i = t->node[i].next) {
		if (i != json_tree_first(t, list))
			buf_put(out, between, strlen(between));
		if (t->node[i].type == JSON_STR)
			json_tree_str(t, i, out);
		else
			json_tree_dump(t, i, out);
	}
}

static void
array_of(const struct json_tree *t, uint32_t id, struct buf *out)
{
	uint32_t items = json_tree_get(t, id, "items");
	cleanup_buf struct buf inner = { 0 };

	if (items == 0) {
		buf_printf(out, "any[]");
	} else if (type_is(t, items, "string") || type_is(t, items, "number") ||
		   type_is(t, items, "integer") ||
		   type_is(t, items, "boolean")) {
		buf_printf(out, "%s[]",
		    type_is(t, items, "string")    ? "string"
		    : type_is(t, items, "boolean") ? "boolean"
						   : "number");
	} else {
		type_of(t, items, &inner);
		if (buf_len(&inner) > 50)
			buf_printf(out, "any[]");
		else {
			buf_put(out, buf_head(&inner), buf_len(&inner));
			buf_printf(out, "[]");
		}
	}
	if (truthy(t, id, "nullable"))
		buf_printf(out, " | null");
}

static void
object_of(const struct json_tree *t, uint32_t id, struct buf *out)
{
	uint32_t props = json_tree_get(t, id, "properties"), i;
	cleanup_names struct names all = { 0 };

	if (props == 0 || json_tree_first(t, props) == 0) {
		buf_printf(out, "object");
		return;
	}
	names_read(&all, t, id);
	buf_printf(out, "{\n");
	for (i = json_tree_first(t, props); i != 0; i = t->node[i].next) {
		json_tree_key(t, i, out);
		/* Odd, but what the model has seen. */
		buf_printf(
		    out, "%s: \n%*s", required(&all, t, i) ? "" : "?", 16, "");
		type_of(t, i, out);
		if (t->node[i].next != 0)
			buf_printf(out, ", ");
	}
	buf_printf(out, "}");
}

static void
one_of(const struct json_tree *t, uint32_t list, struct buf *out)
{
	bool object = false;
	uint32_t i, field;

	for (i = json_tree_first(t, list); i != 0; i = t->node[i].next)
		object |= type_is(t, i, "object");
	if (object && json_tree_count(t, list) > 1) {
		buf_printf(out, "any");
		return;
	}
	for (i = json_tree_first(t, list); i != 0; i = t->node[i].next) {
		type_of(t, i, out);
		if ((field = json_tree_get(t, i, "description")) != 0) {
			buf_printf(out, "// ");
			json_tree_str(t, field, out);
		}
		if ((field = json_tree_get(t, i, "default")) != 0) {
			buf_printf(out, "%*s// default: ", 20, "");
			json_tree_dump(t, field, out);
		}
		if (t->node[i].next != 0)
			buf_printf(out, " | \n");
	}
}

static void
type_of(const struct json_tree *t, uint32_t id, struct buf *out)
{
	uint32_t type = json_tree_get(t, id, "type");
	uint32_t one = json_tree_get(t, id, "oneOf");
	uint32_t list = json_tree_get(t, id, "enum");

	if (type_is(t, id, "array")) {
		array_of(t, id, out);
	} else if (type != 0 && t->node[type].type == JSON_ARRAY &&
		   json_tree_first(t, type) != 0) {
		join(t, type, " | ", out);
	} else if (one != 0 && json_tree_first(t, one) != 0) {
		one_of(t, one, out);
	} else if (type_is(t, id, "string")) {
		if (list != 0 && json_tree_first(t, list) != 0) {
			buf_put_u8(out, '"');
			join(t, list, "\" | \"", out);
			buf_put_u8(out, '"');
		} else {
			buf_printf(out, "string%s",
			    truthy(t, id, "nullable") ? " | null" : "");
		}
	} else if (type_is(t, id, "number") || type_is(t, id, "integer")) {
		buf_printf(out, "number");
	} else if (type_is(t, id, "boolean")) {
		buf_printf(out, "boolean");
	} else if (type_is(t, id, "object")) {
		object_of(t, id, out);
	} else {
		buf_printf(out, "any");
	}
}

static void
parameter(const struct json_tree *t, const struct names *all, uint32_t id,
    struct buf *out)
{
	uint32_t field;

	if ((field = json_tree_get(t, id, "description")) != 0 &&
	    t->node[field].n > 0) {
		buf_printf(out, "// ");
		json_tree_str(t, field, out);
		buf_printf(out, "\n");
	}
	json_tree_key(t, id, out);
	buf_printf(out, "%s: ", required(all, t, id) ? "" : "?");
	type_of(t, id, out);
	if ((field = json_tree_get(t, id, "default")) != 0) {
		buf_printf(out, "%s// default: ",
		    json_tree_get(t, id, "enum") == 0 &&
			    json_tree_get(t, id, "oneOf") != 0
			? ""
			: ", ");
		if (t->node[field].type == JSON_STR &&
		    (json_tree_get(t, id, "enum") != 0 ||
			json_tree_get(t, id, "oneOf") != 0))
			json_tree_str(t, field, out);
		else
			json_tree_dump(t, field, out);
	}
	buf_printf(out, ",\n");
}

static void
tool_type(const struct chat_tool *tool, struct prompt *p)
{
	cleanup_json_tree struct json_tree t = { 0 };
	cleanup_names struct names all = { 0 };
	cleanup_buf struct buf b = { 0 };
	uint32_t props = 0, i;

	if (json_tree_read(&t, tool->schema.p, tool->schema.n, NULL) == 0)
		props = json_tree_get(&t, 0, "properties");
	prompt_say(p, "// ");
	prompt_text(p, PROMPT_TOOL, tool->description);
	prompt_say(p, "\ntype ");
	prompt_text(p, PROMPT_TOOL, tool->name);
	if (props == 0 || json_tree_first(&t, props) == 0) {
		prompt_say(p, " = () => any;\n\n");
		return;
	}
	prompt_say(p, " = (_: {\n");
	names_read(&all, &t, 0);
	for (i = json_tree_first(&t, props); i != 0; i = t.node[i].next)
		parameter(&t, &all, i, &b);
	prompt_buf(p, PROMPT_TOOL, &b);
	prompt_say(p, "}) => any;\n\n");
}

static void
begin(const struct chat *c, struct chat_text system, struct prompt *p)
{
	size_t i;

	prompt_say(p,
	    "<|start|>system<|message|>You are ChatGPT, a large language "
	    "model trained by OpenAI.\nKnowledge cutoff: 2024-06\n"
	    "Current date: ");
	prompt_say(p, c->date == NULL ? "2025-01-01" : c->date);
	prompt_say(p, "\n\nReasoning: ");
	/* There is no less. */
	prompt_say(p, c->no_thinking      ? "low"
		      : c->effort == NULL ? "medium"
					  : c->effort);
	prompt_say(p,
	    "\n\n# Valid channels: analysis, commentary, final. Channel must "
	    "be included for every message.");
	if (c->ntools > 0)
		prompt_say(p,
		    "\nCalls to these tools must go to the commentary "
		    "channel: 'functions'.");
	prompt_say(p, "<|end|>");
	if (system.n == 0 && c->ntools == 0)
		return;
	prompt_say(p, "<|start|>developer<|message|>");
	if (system.n > 0) {
		prompt_say(p, "# Instructions\n\n");
		prompt_text(p, PROMPT_SYSTEM, system);
		prompt_say(p, "\n\n");
	}
	if (c->ntools > 0) {
		prompt_say(
		    p, "# Tools\n\n## functions\n\nnamespace functions {\n\n");
		for (i = 0; i < c->ntools; i++)
			tool_type(&c->tools[i], p);
		prompt_say(p, "} // namespace functions");
	}
	prompt_say(p, "<|end|>");
}

/* What is asked of a conversation for each of its messages. */
struct past {
	size_t query;  /* messages behind it belong to the turn going on */
	size_t answer; /* the last one without calls, or nmessages */
	struct placed_call *call; /* by their ids, of one id in order */
	size_t ncalls;
};

struct placed_call {
	struct chat_text id;
	size_t message;
	const struct chat_call *call;
};

static int
by_id(const void *pa, const void *pb)
{
	const struct placed_call *a = pa, *b = pb;
	const int order = by_text(&a->id, &b->id);

	if (order != 0)
		return order;
	if (a->message != b->message)
		return a->message < b->message ? -1 : 1;
	return (a->call > b->call) - (a->call < b->call);
}

static void
past_read(struct past *past, const struct chat *c)
{
	size_t i, k;

	*past = (struct past){ .query = last_query(c), .answer = c->nmessages };
	for (i = 0; i < c->nmessages; i++) {
		past->ncalls += c->messages[i].ncalls;
		if (c->messages[i].role == CHAT_ASSISTANT &&
		    c->messages[i].ncalls == 0)
			past->answer = i;
	}
	past->call = xcalloc(past->ncalls + 1, sizeof(*past->call));
	past->ncalls = 0;
	for (i = 0; i < c->nmessages; i++)
		for (k = 0; k < c->messages[i].ncalls; k++)
			past->call[past->ncalls++] =
			    (struct placed_call){ c->messages[i].calls[k].id, i,
				    &c->messages[i].calls[k] };
	qsort(past->call, past->ncalls, sizeof(*past->call), by_id);
}

static void
past_free(struct past *past)
{
	free(past->call);
}
#define cleanup_past attr_cleanup(past_free)

/* The last call with this id before a message. */
static const struct chat_call *
call_with(const struct past *past, struct chat_text id, size_t before)
{
	size_t lo = 0, hi = past->ncalls;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;
		const int order = by_text(&past->call[mid].id, &id);

		if (order < 0 ||
		    (order == 0 && past->call[mid].message < before))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 && text_same(past->call[lo - 1].id, id)
		   ? past->call[lo - 1].call
		   : NULL;
}

static void
assistant(
    const struct chat *c, const struct past *past, size_t i, struct prompt *p)
{
	const struct chat_message *m = &c->messages[i];
	/* An answer without calls follows: then the thoughts are dropped. */
	bool later = past->answer < c->nmessages && past->answer > i;
	size_t k;

	if (m->sampled.n > 0 && i > past->query) {
		prompt_say(p, "<|start|>assistant");
		prompt_text(p, PROMPT_SAMPLED, m->sampled);
		prompt_say(p, m->ncalls > 0 ? "<|call|>" : "<|end|>");
		return;
	}
	if (m->ncalls == 0) {
		prompt_say(p, "<|start|>assistant<|channel|>final<|message|>");
		prompt_text(p, PROMPT_ASSISTANT, m->text);
		prompt_say(p, "<|end|>");
		return;
	}
	if (m->thinking.n > 0 && !later) {
		prompt_say(
		    p, "<|start|>assistant<|channel|>analysis<|message|>");
		prompt_text(p, PROMPT_ASSISTANT, m->thinking);
		prompt_say(p, "<|end|>");
	}
	/* Words before a call are its preamble. */
	if (m->text.n > 0 && !later) {
		prompt_say(p,
		    m->thinking.n > 0
			? "<|start|>assistant<|channel|>commentary<|message|>"
			: "<|start|>assistant<|channel|>analysis<|message|>");
		prompt_text(p, PROMPT_ASSISTANT, m->text);
		prompt_say(p, "<|end|>");
	}
	for (k = 0; k < m->ncalls; k++) {
		cleanup_buf struct buf args = { 0 };

		dump_json(m->calls[k].args, &args);
		prompt_say(p, "<|start|>assistant to=functions.");
		prompt_text(p, PROMPT_ASSISTANT, m->calls[k].name);
		prompt_say(p, "<|channel|>commentary json<|message|>");
		prompt_buf(p, PROMPT_ASSISTANT, &args);
		prompt_say(p, "<|call|>");
	}
}

int
render_harmony(const struct chat *c, struct prompt *p, struct error *err)
{
	bool has = c->nmessages > 0 && c->messages[0].role == CHAT_SYSTEM;
	const struct chat_call *call, *last = NULL;
	cleanup_past struct past past = { 0 };
	size_t i;

	if (c->nmessages == 0)
		return error_set(err, 0, "the conversation has no message");
	past_read(&past, c);
	begin(c, has ? c->messages[0].text : (struct chat_text){ NULL, 0 }, p);
	for (i = has ? 1 : 0; i < c->nmessages; i++) {
		const struct chat_message *m = &c->messages[i];
		cleanup_buf struct buf b = { 0 };

		switch (m->role) {
		case CHAT_SYSTEM:
			prompt_say(p, "<|start|>developer<|message|>");
			prompt_text(p, PROMPT_SYSTEM, m->text);
			prompt_say(p, "<|end|>");
			break;
		case CHAT_USER:
			prompt_say(p, "<|start|>user<|message|>");
			prompt_text(p, PROMPT_USER, m->text);
			prompt_say(p, "<|end|>");
			break;
		case CHAT_ASSISTANT:
			assistant(c, &past, i, p);
			if (m->ncalls > 0)
				last = &m->calls[m->ncalls - 1];
			break;
		case CHAT_TOOL:
			call = m->call_id.n > 0
				   ? call_with(&past, m->call_id, i)
				   : NULL;
			/* Of no call by its id it is the last one's. */
			if (call == NULL)
				call = last;
			if (call == NULL)
				return error_set(err, 0,
				    "message %zu is the result of a call "
				    "that is not there",
				    i);
			prompt_say(p, "<|start|>functions.");
			prompt_text(p, PROMPT_ASSISTANT, call->name);
			prompt_say(
			    p, " to=assistant<|channel|>commentary<|message|>");
			dump_string(m->text, &b);
			prompt_buf(p, PROMPT_TOOL, &b);
			prompt_say(p, "<|end|>");
			break;
		}
	}
	prompt_say(p, "<|start|>assistant");
	return 0;
}

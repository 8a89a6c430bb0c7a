/*
 * ChatML and what Qwen made of it: calls of tools as JSON or as tags, with
 * and without thoughts.
 */
#include "inferd/template_int.h"

#include <string.h>

static const char json_tools[] =
    "# Tools\n\nYou may call one or more functions to assist with the user "
    "query.\n\nYou are provided with function signatures within "
    "<tools></tools> XML tags:\n<tools>";
static const char json_how[] =
    "\n</tools>\n\nFor each function call, return a json object with function "
    "name and arguments within <tool_call></tool_call> XML tags:\n"
    "<tool_call>\n{\"name\": <function-name>, \"arguments\": "
    "<args-json-object>}\n</tool_call><|im_end|>\n";
static const char tag_tools[] =
    "# Tools\n\nYou have access to the following functions:\n\n<tools>";
static const char tag_how[] =
    "\n</tools>\n\nIf you choose to call a function ONLY reply in the "
    "following format with NO suffix:\n\n<tool_call>\n"
    "<function=example_function_name>\n<parameter=example_parameter_1>\n"
    "value_1\n</parameter>\n<parameter=example_parameter_2>\nThis is the "
    "value for the second parameter\nthat can span\nmultiple lines\n"
    "</parameter>\n</function>\n</tool_call>\n\n<IMPORTANT>\nReminder:\n"
    "- Function calls MUST follow the specified format: an inner "
    "<function=...></function> block must be nested within "
    "<tool_call></tool_call> XML tags\n"
    "- Required parameters MUST be specified\n"
    "- You may provide optional reasoning for your function call in natural "
    "language BEFORE the function call, but NOT after\n"
    "- If there is no function call available, answer the question like "
    "normal with your current knowledge and do not tell the user about "
    "function calls\n</IMPORTANT>";
static const char coder_system[] =
    "You are Qwen, a helpful AI assistant that can interact with a computer "
    "to solve tasks.";
static const char coder_tools[] =
    "\n\n# Tools\n\nYou have access to the following tools:\n\n<tools>";
static const char coder_how[] =
    "\n</tools>\n\nIf you choose to call a tool ONLY reply in the following "
    "format with NO suffix:\n\n<tool_call>\n<function=example_function_name>\n"
    "<parameter=example_parameter_1>\nvalue_1\n</parameter>\n"
    "<parameter=example_parameter_2>\nvalue_2\n</parameter>\n</function>\n"
    "</tool_call>\n\n<IMPORTANT>\nReminder:\n- Function calls MUST follow the "
    "specified format: the tool calling block MUST begin with an opening "
    "<tool_call> tag and end with a closing </tool_call> tag.\n"
    "- Required parameters MUST be specified\n"
    "- You may provide optional reasoning for your function call in natural "
    "language BEFORE the function call, but NOT after\n"
    "- If there is no function call available, answer the question like "
    "normal with your current knowledge and do not tell the user about "
    "function calls\n</IMPORTANT>";

static void
list_tools(const struct chat *c, struct prompt *p)
{
	size_t i;

	for (i = 0; i < c->ntools; i++) {
		cleanup_buf struct buf b = { 0 };

		dump_tool(&c->tools[i], &b);
		prompt_say(p, "\n");
		prompt_buf(p, PROMPT_TOOL, &b);
	}
}

/* A value as a tag holds it: text as it is, words as Python writes them. */
static void
tag_value(const struct json_tree *t, uint32_t id, struct buf *out)
{
	switch (t->node[id].type) {
	case JSON_STR:
		json_tree_str(t, id, out);
		return;
	case JSON_TRUE:
		buf_put(out, "True", 4);
		return;
	case JSON_FALSE:
		buf_put(out, "False", 5);
		return;
	case JSON_NULL:
		buf_put(out, "None", 4);
		return;
	case JSON_NUM:
	case JSON_ARRAY:
	case JSON_OBJECT:
		json_tree_dump(t, id, out);
		return;
	}
}

static struct chat_text
trimmed(const struct buf *b)
{
	return text_trim(
	    (struct chat_text){ (const char *)buf_head(b), buf_len(b) });
}

/* The members of an object but for some, each as a tag. */
static void
extra_tags(const struct json_tree *t, uint32_t object, const char *const *but,
    struct prompt *p)
{
	uint32_t i;
	size_t k;

	for (i = json_tree_first(t, object); i != 0; i = t->node[i].next) {
		cleanup_buf struct buf key = { 0 }, value = { 0 };

		json_tree_key(t, i, &key);
		for (k = 0; but[k] != NULL; k++)
			if (text_is((struct chat_text){ (char *)buf_head(&key),
					buf_len(&key) },
				but[k]))
				break;
		if (but[k] != NULL)
			continue;
		tag_value(t, i, &value);
		prompt_say(p, "\n<");
		prompt_buf(p, PROMPT_TOOL, &key);
		prompt_say(p, ">");
		prompt_buf(p, PROMPT_TOOL, &value);
		prompt_say(p, "</");
		prompt_buf(p, PROMPT_TOOL, &key);
		prompt_say(p, ">");
	}
}

static void
coder_parameter(const struct json_tree *t, uint32_t id, struct prompt *p)
{
	static const char *const but[] = { "name", "type", "description",
		NULL };
	cleanup_buf struct buf name = { 0 }, type = { 0 }, text = { 0 };
	uint32_t field;

	json_tree_key(t, id, &name);
	prompt_say(p, "\n<parameter>\n<name>");
	prompt_buf(p, PROMPT_TOOL, &name);
	prompt_say(p, "</name>");
	if ((field = json_tree_get(t, id, "type")) != 0) {
		tag_value(t, field, &type);
		prompt_say(p, "\n<type>");
		prompt_buf(p, PROMPT_TOOL, &type);
		prompt_say(p, "</type>");
	}
	if ((field = json_tree_get(t, id, "description")) != 0) {
		tag_value(t, field, &text);
		prompt_say(p, "\n<description>");
		prompt_text(p, PROMPT_TOOL, trimmed(&text));
		prompt_say(p, "</description>");
	}
	if (t->node[id].type == JSON_OBJECT)
		extra_tags(t, id, but, p);
	prompt_say(p, "\n</parameter>");
}

static void
coder_tool(const struct chat_tool *tool, struct prompt *p)
{
	static const char *const but[] = { "type", "properties", NULL };
	cleanup_json_tree struct json_tree t = { 0 };
	uint32_t props, i;

	prompt_say(p, "\n<function>\n<name>");
	prompt_text(p, PROMPT_TOOL, tool->name);
	prompt_say(p, "</name>");
	if (tool->description.n > 0) {
		prompt_say(p, "\n<description>");
		prompt_text(p, PROMPT_TOOL, text_trim(tool->description));
		prompt_say(p, "</description>");
	}
	prompt_say(p, "\n<parameters>");
	if (json_tree_read(&t, tool->schema.p, tool->schema.n, NULL) == 0) {
		props = json_tree_get(&t, 0, "properties");
		if (props != 0 && t.node[props].type == JSON_OBJECT)
			for (i = json_tree_first(&t, props); i != 0;
			     i = t.node[i].next)
				coder_parameter(&t, i, p);
		if (t.node[0].type == JSON_OBJECT)
			extra_tags(&t, 0, but, p);
	}
	prompt_say(p, "\n</parameters>\n</function>");
}

static void
begin_coder(const struct chat *c, struct chat_text system, bool has_system,
    struct prompt *p)
{
	size_t i;

	if (!has_system && c->ntools == 0)
		return;
	prompt_say(p, "<|im_start|>system\n");
	if (has_system)
		prompt_text(p, PROMPT_SYSTEM, system);
	else
		prompt_say(p, coder_system);
	if (c->ntools > 0) {
		prompt_say(p, coder_tools);
		for (i = 0; i < c->ntools; i++)
			coder_tool(&c->tools[i], p);
		prompt_say(p, coder_how);
	}
	prompt_say(p, "<|im_end|>\n");
}

static void
begin(enum chat_family family, const struct chat *c, struct prompt *p)
{
	bool has = c->nmessages > 0 && c->messages[0].role == CHAT_SYSTEM;
	struct chat_text system =
	    has ? c->messages[0].text : (struct chat_text){ NULL, 0 };

	if (family == CHAT_QWEN_CODER) {
		begin_coder(c, system, has, p);
		return;
	}
	if (family == CHAT_QWEN35)
		system = text_trim(system);
	if (has || c->ntools > 0)
		prompt_say(p, "<|im_start|>system\n");
	if (c->ntools == 0) {
		if (has) {
			prompt_text(p, PROMPT_SYSTEM, system);
			prompt_say(p, "<|im_end|>\n");
		}
		return;
	}
	if (family == CHAT_QWEN35) {
		prompt_say(p, tag_tools);
		list_tools(c, p);
		prompt_say(p, tag_how);
		if (system.n > 0) {
			prompt_say(p, "\n\n");
			prompt_text(p, PROMPT_SYSTEM, system);
		}
		prompt_say(p, "<|im_end|>\n");
		return;
	}
	if (has) {
		prompt_text(p, PROMPT_SYSTEM, system);
		prompt_say(p, "\n\n");
	}
	prompt_say(p, json_tools);
	list_tools(c, p);
	prompt_say(p, json_how);
}

static void
json_call(const struct chat_call *call, struct prompt *p)
{
	cleanup_buf struct buf args = { 0 };

	dump_json(call->args, &args);
	prompt_say(p, "<tool_call>\n{\"name\": \"");
	prompt_text(p, PROMPT_ASSISTANT, call->name);
	prompt_say(p, "\", \"arguments\": ");
	prompt_buf(p, PROMPT_ASSISTANT, &args);
	prompt_say(p, "}\n</tool_call>");
}

static void
tag_call(const struct chat_call *call, struct prompt *p)
{
	cleanup_json_tree struct json_tree t = { 0 };
	uint32_t i;

	prompt_say(p, "<tool_call>\n<function=");
	prompt_text(p, PROMPT_ASSISTANT, call->name);
	prompt_say(p, ">\n");
	if (json_tree_read(&t, call->args.p, call->args.n, NULL) == 0 &&
	    t.node[0].type == JSON_OBJECT)
		for (i = json_tree_first(&t, 0); i != 0; i = t.node[i].next) {
			cleanup_buf struct buf key = { 0 }, value = { 0 };

			json_tree_key(&t, i, &key);
			tag_value(&t, i, &value);
			prompt_say(p, "<parameter=");
			prompt_buf(p, PROMPT_ASSISTANT, &key);
			prompt_say(p, ">\n");
			prompt_buf(p, PROMPT_ASSISTANT, &value);
			prompt_say(p, "\n</parameter>\n");
		}
	prompt_say(p, "</function>\n</tool_call>");
}

static void
calls(enum chat_family family, const struct chat_message *m,
    struct chat_text words, struct prompt *p)
{
	bool any = text_trim(words).n > 0;
	size_t i;

	for (i = 0; i < m->ncalls; i++) {
		if (family == CHAT_QWEN35) {
			if (i > 0 || any)
				prompt_say(p, i > 0 ? "\n" : "\n\n");
			tag_call(&m->calls[i], p);
		} else if (family == CHAT_QWEN_CODER) {
			prompt_say(p, "\n");
			tag_call(&m->calls[i], p);
		} else {
			if (i > 0 || words.n > 0)
				prompt_say(p, "\n");
			json_call(&m->calls[i], p);
		}
	}
}

/* Where a family's assistant begins to speak or think. */
static void
open_turn(enum chat_family family, const struct chat *c, struct prompt *p)
{
	prompt_say(p, "<|im_start|>assistant\n");
	if (family != CHAT_QWEN3 && family != CHAT_QWEN35)
		return;
	if (c->no_thinking)
		prompt_say(p, "<think>\n\n</think>\n\n");
	else if (family == CHAT_QWEN35)
		prompt_say(p, "<think>\n");
}

static void
sampled(enum chat_family family, const struct chat *c,
    const struct chat_message *m, bool current, struct prompt *p)
{
	if (current)
		open_turn(family, c, p);
	else
		prompt_say(p, "<|im_start|>assistant\n");
	prompt_text(p, PROMPT_SAMPLED, m->sampled);
	prompt_say(p, "<|im_end|>\n");
}

/* query: messages behind it belong to the turn that is going on. */
static void
assistant(enum chat_family family, const struct chat *c, size_t i, size_t query,
    struct prompt *p)
{
	const struct chat_message *m = &c->messages[i];
	bool thinks = family == CHAT_QWEN3 || family == CHAT_QWEN35;
	bool current = thinks && i > query;
	struct chat_text thinking = { NULL, 0 }, words = m->text;

	/* Thoughts of earlier turns are left out. */
	if (m->sampled.n > 0 &&
	    (!thinks || current ||
		memmem(m->sampled.p, m->sampled.n, "</think>", 8) == NULL)) {
		sampled(family, c, m, current, p);
		return;
	}
	if (thinks)
		split_thinking(m, &thinking, &words);
	if (family == CHAT_QWEN35)
		words = text_trim(words);
	if (family == CHAT_QWEN_CODER && m->ncalls > 0) {
		prompt_say(p, "<|im_start|>assistant");
		words = text_trim(words);
		if (words.n > 0) {
			prompt_say(p, "\n");
			prompt_text(p, PROMPT_ASSISTANT, words);
			prompt_say(p, "\n");
		}
	} else {
		prompt_say(p, "<|im_start|>assistant\n");
		if (current && (family == CHAT_QWEN35 || thinking.n > 0 ||
				   i + 1 == c->nmessages)) {
			prompt_say(p, "<think>\n");
			prompt_text(p, PROMPT_ASSISTANT,
			    family == CHAT_QWEN35
				? text_trim(thinking)
				: text_trim_newlines(thinking));
			prompt_say(p, "\n</think>\n\n");
			while (words.n > 0 && words.p[0] == '\n') {
				words.p++;
				words.n--;
			}
		}
		prompt_text(p, PROMPT_ASSISTANT, words);
	}
	calls(family, m, words, p);
	prompt_say(p, "<|im_end|>\n");
}

static void
tool_result(
    enum chat_family family, const struct chat *c, size_t i, struct prompt *p)
{
	bool coder = family == CHAT_QWEN_CODER;
	struct chat_text text = c->messages[i].text;

	if (i == 0 || c->messages[i - 1].role != CHAT_TOOL)
		prompt_say(
		    p, coder ? "<|im_start|>user\n" : "<|im_start|>user");
	prompt_say(p, coder ? "<tool_response>\n" : "\n<tool_response>\n");
	prompt_text(
	    p, PROMPT_TOOL, family == CHAT_QWEN35 ? text_trim(text) : text);
	prompt_say(p, coder ? "\n</tool_response>\n" : "\n</tool_response>");
	if (i + 1 == c->nmessages || c->messages[i + 1].role != CHAT_TOOL)
		prompt_say(p, "<|im_end|>\n");
}

int
render_chatml(enum chat_family family, const struct chat *c, struct prompt *p,
    struct error *err)
{
	const size_t query = last_query(c);
	size_t i;

	if (c->nmessages == 0)
		return error_set(err, 0, "the conversation has no message");
	begin(family, c, p);
	for (i = 0; i < c->nmessages; i++) {
		const struct chat_message *m = &c->messages[i];

		switch (m->role) {
		case CHAT_SYSTEM:
			if (i == 0)
				break;
			prompt_say(p, "<|im_start|>system\n");
			prompt_text(p, PROMPT_SYSTEM, m->text);
			prompt_say(p, "<|im_end|>\n");
			break;
		case CHAT_USER:
			prompt_say(p, "<|im_start|>user\n");
			prompt_text(p, PROMPT_USER,
			    family == CHAT_QWEN35 ? text_trim(m->text)
						  : m->text);
			prompt_say(p, "<|im_end|>\n");
			break;
		case CHAT_ASSISTANT:
			assistant(family, c, i, query, p);
			break;
		case CHAT_TOOL:
			tool_result(family, c, i, p);
			break;
		}
	}
	open_turn(family, c, p);
	p->thinking = family == CHAT_QWEN35 && !c->no_thinking;
	return 0;
}

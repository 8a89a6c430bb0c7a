/*
 * Mistral's instructions, with and without tools, Llama 3's headers, and no
 * markup at all.
 */
#include "inferd/template_int.h"

#include <errno.h>
#include <string.h>

#define CALL_ID 9 /* letters and digits, no more and no fewer */

static struct chat_text
system_of(const struct chat *c)
{
	return c->nmessages > 0 && c->messages[0].role == CHAT_SYSTEM
		   ? c->messages[0].text
		   : (struct chat_text){ NULL, 0 };
}

static size_t
last_user(const struct chat *c)
{
	size_t i;

	for (i = c->nmessages; i-- > 0;)
		if (c->messages[i].role == CHAT_USER)
			return i;
	return c->nmessages;
}

static bool
is_call_id(struct chat_text id)
{
	size_t i;

	for (i = 0; i < id.n; i++) {
		char c = id.p[i];

		if ((c < '0' || c > '9') && (c < 'a' || c > 'z') &&
		    (c < 'A' || c > 'Z'))
			return false;
	}
	return id.n == CALL_ID;
}

/* Ids of another form get one of theirs, always the same. */
static void
call_id(struct chat_text id, struct prompt *p)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
	uint64_t h = 0xcbf29ce484222325ull;
	char own[CALL_ID];
	size_t i;

	if (is_call_id(id)) {
		prompt_text(p, PROMPT_ASSISTANT, id);
		return;
	}
	for (i = 0; i < id.n; i++)
		h = (h ^ (uint8_t)id.p[i]) * 0x100000001b3ull;
	for (i = 0; i < CALL_ID; i++)
		own[i] = letters[h >> (5 * i + 3) & 31];
	prompt_put(p, PROMPT_ASSISTANT, own, CALL_ID);
}

static void
mistral_tools(const struct chat *c, struct prompt *p)
{
	size_t i;

	prompt_say(p, "[AVAILABLE_TOOLS][");
	for (i = 0; i < c->ntools; i++) {
		cleanup_buf struct buf b = { 0 };

		dump_tool(&c->tools[i], &b);
		if (i > 0)
			prompt_say(p, ", ");
		prompt_buf(p, PROMPT_TOOL, &b);
	}
	prompt_say(p, "][/AVAILABLE_TOOLS]");
}

static void
mistral_calls(const struct chat_message *m, struct prompt *p)
{
	size_t i;

	prompt_say(p, "[TOOL_CALLS][");
	for (i = 0; i < m->ncalls; i++) {
		cleanup_buf struct buf name = { 0 }, args = { 0 };

		dump_string(m->calls[i].name, &name);
		dump_json(m->calls[i].args, &args);
		prompt_say(p, i > 0 ? ", {\"name\": " : "{\"name\": ");
		prompt_buf(p, PROMPT_ASSISTANT, &name);
		prompt_say(p, ", \"arguments\": ");
		prompt_buf(p, PROMPT_ASSISTANT, &args);
		prompt_say(p, ", \"id\": \"");
		call_id(m->calls[i].id, p);
		prompt_say(p, "\"}");
	}
	prompt_say(p, "]</s>");
}

static void
mistral_result(const struct chat_message *m, struct prompt *p)
{
	cleanup_buf struct buf b = { 0 };

	dump_json(m->text, &b);
	prompt_say(p, "[TOOL_RESULTS]{\"content\": ");
	prompt_buf(p, PROMPT_TOOL, &b);
	prompt_say(p, ", \"call_id\": \"");
	call_id(m->call_id, p);
	prompt_say(p, "\"}[/TOOL_RESULTS]");
}

int
render_mistral(const struct chat *c, struct prompt *p, struct error *err)
{
	struct chat_text system = system_of(c);
	size_t i, last = last_user(c);

	if (last == c->nmessages)
		return error_set(err, 0, "the conversation has no user");
	prompt_say(p, "<s>");
	for (i = 0; i < c->nmessages; i++) {
		const struct chat_message *m = &c->messages[i];

		switch (m->role) {
		case CHAT_SYSTEM:
			if (i > 0)
				return error_set(err, 0,
				    "message %zu: the system's is the first",
				    i);
			break;
		case CHAT_USER:
			if (i == last && c->ntools > 0)
				mistral_tools(c, p);
			prompt_say(p, "[INST]");
			if (i == last && system.n > 0) {
				prompt_text(p, PROMPT_SYSTEM, system);
				prompt_say(p, "\n\n");
			}
			prompt_text(p, PROMPT_USER, m->text);
			prompt_say(p, "[/INST]");
			break;
		case CHAT_ASSISTANT:
			if (m->sampled.n > 0) {
				prompt_text(p, PROMPT_SAMPLED, m->sampled);
				prompt_say(p, "</s>");
			} else if (m->ncalls > 0) {
				mistral_calls(m, p);
			} else {
				prompt_text(p, PROMPT_ASSISTANT, m->text);
				prompt_say(p, "</s>");
			}
			break;
		case CHAT_TOOL:
			mistral_result(m, p);
			break;
		}
	}
	return 0;
}

/*
 * The space that begins each turn is left to the tokenizer, which puts one
 * behind every control token.
 */
int
render_mixtral(const struct chat *c, struct prompt *p, struct error *err)
{
	struct chat_text system = system_of(c);
	bool first = true;
	size_t i;

	if (c->ntools > 0)
		return error_set(
		    err, 0, "this model's template has no place for tools");
	if (last_user(c) == c->nmessages)
		return error_set(err, 0, "the conversation has no user");
	prompt_say(p, "<s>");
	for (i = 0; i < c->nmessages; i++) {
		const struct chat_message *m = &c->messages[i];

		switch (m->role) {
		case CHAT_SYSTEM:
			if (i > 0)
				return error_set(err, 0,
				    "message %zu: the system's is the first",
				    i);
			break;
		case CHAT_USER:
			prompt_say(p, "[INST] ");
			if (first && system.n > 0) {
				prompt_text(p, PROMPT_SYSTEM, system);
				prompt_say(p, "\n\n");
			}
			first = false;
			prompt_text(p, PROMPT_USER, m->text);
			prompt_say(p, " [/INST]");
			break;
		case CHAT_ASSISTANT:
			if (m->sampled.n > 0) {
				prompt_text(p, PROMPT_SAMPLED, m->sampled);
			} else {
				prompt_say(p, " ");
				prompt_text(p, PROMPT_ASSISTANT, m->text);
			}
			prompt_say(p, "</s>");
			break;
		case CHAT_TOOL:
			return error_set(err, 0,
			    "message %zu: this model's template has no place "
			    "for results of tools",
			    i);
		}
	}
	return 0;
}

static void
header(struct prompt *p, const char *role)
{
	prompt_say(p, "<|start_header_id|>");
	prompt_say(p, role);
	prompt_say(p, "<|end_header_id|>\n\n");
}

/* As json.dumps(indent=4) writes it. */
static void
dump_indented(const struct json_tree *t, uint32_t id, int level, struct buf *b)
{
	const struct json_node *node = &t->node[id];
	bool object = node->type == JSON_OBJECT;
	uint32_t i;

	if ((!object && node->type != JSON_ARRAY) || node->child == 0) {
		json_tree_dump(t, id, b);
		return;
	}
	buf_put_u8(b, object ? '{' : '[');
	for (i = node->child; i != 0; i = t->node[i].next) {
		buf_printf(b, "%s\n%*s", i == node->child ? "" : ",",
		    4 * (level + 1), "");
		if (object)
			buf_printf(b, "\"%.*s\": ", (int)t->node[i].nkey,
			    t->text + t->node[i].key);
		dump_indented(t, i, level + 1, b);
	}
	buf_printf(b, "\n%*s%c", 4 * level, "", object ? '}' : ']');
}

/* Indents can make a small schema a text that no context holds: as much of one
 * is written as a prompt may be long. */
static int
llama3_tools(const struct chat *c, struct prompt *p, struct error *err)
{
	size_t i;

	prompt_say(p,
	    "Given the following functions, please respond with a JSON for a "
	    "function call with its proper arguments that best answers the "
	    "given prompt.\n\nRespond in the format {\"name\": function name, "
	    "\"parameters\": dictionary of argument name and its value}.Do not "
	    "use variables.\n\n");
	for (i = 0; i < c->ntools; i++) {
		cleanup_json_tree struct json_tree t = { 0 };
		cleanup_buf struct buf line = { 0 }, b = { 0 };

		if (buf_len(&p->text) >= TOK_TEXT_MAX)
			return error_set(err, EMSGSIZE, "the tools");
		buf_init(&b, TOK_TEXT_MAX - buf_len(&p->text));
		dump_tool(&c->tools[i], &line);
		if (json_tree_read(&t, (const char *)buf_head(&line),
			buf_len(&line), NULL) == 0)
			dump_indented(&t, 0, 0, &b);
		if (buf_failed(&b))
			return error_set(err, EMSGSIZE, "the tools");
		prompt_buf(p, PROMPT_TOOL, &b);
		prompt_say(p, "\n\n");
	}
	return 0;
}

static void
llama3_assistant(const struct chat_message *m, struct prompt *p)
{
	size_t i;

	header(p, "assistant");
	if (m->sampled.n > 0)
		prompt_text(p, PROMPT_SAMPLED, m->sampled);
	else if (m->ncalls == 0)
		prompt_text(p, PROMPT_ASSISTANT, text_trim(m->text));
	for (i = 0; m->sampled.n == 0 && i < m->ncalls; i++) {
		cleanup_buf struct buf args = { 0 };

		dump_json(m->calls[i].args, &args);
		prompt_say(p, i > 0 ? "; {\"name\": \"" : "{\"name\": \"");
		prompt_text(p, PROMPT_ASSISTANT, m->calls[i].name);
		prompt_say(p, "\", \"parameters\": ");
		prompt_buf(p, PROMPT_ASSISTANT, &args);
		prompt_say(p, "}");
	}
	prompt_say(p, "<|eot_id|>");
}

static int
llama3_message(const struct chat *c, size_t i, bool with_tools,
    struct prompt *p, struct error *err)
{
	const struct chat_message *m = &c->messages[i];

	switch (m->role) {
	case CHAT_SYSTEM:
		header(p, "system");
		prompt_text(p, PROMPT_SYSTEM, text_trim(m->text));
		break;
	case CHAT_USER:
		header(p, "user");
		if (with_tools && llama3_tools(c, p, err) < 0)
			return -1;
		prompt_text(p, PROMPT_USER, text_trim(m->text));
		break;
	case CHAT_ASSISTANT:
		llama3_assistant(m, p);
		return 0;
	case CHAT_TOOL: {
		cleanup_buf struct buf b = { 0 };

		header(p, "ipython");
		dump_string(m->text, &b);
		prompt_buf(p, PROMPT_TOOL, &b);
		break;
	}
	}
	prompt_say(p, "<|eot_id|>");
	return 0;
}

int
render_llama3(const struct chat *c, struct prompt *p, struct error *err)
{
	struct chat_text system = system_of(c);
	bool has = c->nmessages > 0 && c->messages[0].role == CHAT_SYSTEM;
	bool tools = c->ntools > 0;
	size_t i;

	if (c->nmessages == 0 || (tools && last_user(c) == c->nmessages))
		return error_set(err, 0, "the conversation has no user");
	prompt_say(p, "<|begin_of_text|>");
	header(p, "system");
	if (tools)
		prompt_say(p, "Environment: ipython\n");
	/* A date of today would change the prefix every day. */
	prompt_say(p, "Cutting Knowledge Date: December 2023\n"
		      "Today Date: 26 Jul 2024\n\n");
	prompt_text(p, PROMPT_SYSTEM, text_trim(system));
	prompt_say(p, "<|eot_id|>");
	for (i = has ? 1 : 0; i < c->nmessages; i++) {
		if (llama3_message(c, i, tools, p, err) < 0)
			return -1;
		if (c->messages[i].role == CHAT_USER)
			tools = false;
	}
	header(p, "assistant");
	return 0;
}

int
render_plain(const struct chat *c, struct prompt *p, struct error *err)
{
	static const char *const who[] = { [CHAT_SYSTEM] = "",
		[CHAT_USER] = "User: ",
		[CHAT_ASSISTANT] = "Assistant: ",
		[CHAT_TOOL] = "Result: " };
	static const enum prompt_origin origin[] = {
		[CHAT_SYSTEM] = PROMPT_SYSTEM,
		[CHAT_USER] = PROMPT_USER,
		[CHAT_ASSISTANT] = PROMPT_ASSISTANT,
		[CHAT_TOOL] = PROMPT_TOOL,
	};
	size_t i;

	if (c->ntools > 0)
		return error_set(err, 0,
		    "this model was not trained to call tools (no template)");
	for (i = 0; i < c->nmessages; i++) {
		prompt_say(p, who[c->messages[i].role]);
		prompt_text(
		    p, origin[c->messages[i].role], c->messages[i].text);
		prompt_say(p, "\n");
	}
	prompt_say(p, "Assistant:");
	return 0;
}

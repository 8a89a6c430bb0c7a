/*
 * GLM-4.5 and 4.6, and GLM-4.7, which leaves the newlines out and begins in
 * the model's thoughts.
 */
#include "inferd/template_int.h"

#include <string.h>

static const char tools_head[] =
    "<|system|>\n# Tools\n\nYou may call one or more functions to assist with "
    "the user query.\n\nYou are provided with function signatures within "
    "<tools></tools> XML tags:\n<tools>\n";
static const char tools_how[] =
    "</tools>\n\nFor each function call, output the function name and "
    "arguments within the following XML format:\n";
static const char how_apart[] =
    "<tool_call>{function-name}\n<arg_key>{arg-key-1}</arg_key>\n"
    "<arg_value>{arg-value-1}</arg_value>\n<arg_key>{arg-key-2}</arg_key>\n"
    "<arg_value>{arg-value-2}</arg_value>\n...\n</tool_call>";
static const char how_close[] =
    "<tool_call>{function-name}<arg_key>{arg-key-1}</arg_key>"
    "<arg_value>{arg-value-1}</arg_value><arg_key>{arg-key-2}</arg_key>"
    "<arg_value>{arg-value-2}</arg_value>...</tool_call>";
static const char no_thoughts[] = "/nothink";

struct glm {
	const struct chat *c;
	struct prompt *p;
	bool apart;   /* with newlines: before 4.7 */
	size_t after; /* messages from here on are behind the last user's */
};

/* The template's words, and a newline where the family has them. */
static void
say(const struct glm *g, const char *before, const char *words)
{
	if (g->apart)
		prompt_say(g->p, before);
	prompt_say(g->p, words);
}

static void
say_behind(const struct glm *g, const char *words)
{
	prompt_say(g->p, words);
	if (g->apart)
		prompt_say(g->p, "\n");
}

static void
list_tools(const struct glm *g)
{
	prompt_say(g->p, tools_head);
	for (size_t i = 0; i < g->c->ntools; i++) {
		cleanup_buf struct buf b = { 0 };

		dump_tool(&g->c->tools[i], &b);
		prompt_buf(g->p, PROMPT_TOOL, &b);
		prompt_say(g->p, "\n");
	}
	prompt_say(g->p, tools_how);
	prompt_say(g->p, g->apart ? how_apart : how_close);
}

static void
user(const struct glm *g, struct chat_text text)
{
	const size_t n = strlen(no_thoughts);

	say_behind(g, "<|user|>");
	prompt_text(g->p, PROMPT_USER, text);
	if (g->apart && g->c->no_thinking &&
	    (text.n < n || memcmp(text.p + text.n - n, no_thoughts, n) != 0))
		prompt_say(g->p, no_thoughts);
}

/* Texts as they are, all else as JSON. */
static void
value(const struct json_tree *t, uint32_t id, struct buf *out)
{
	if (t->node[id].type == JSON_STR)
		json_tree_str(t, id, out);
	else
		json_tree_dump(t, id, out);
}

static void
call(const struct glm *g, const struct chat_call *call)
{
	cleanup_json_tree struct json_tree t = { 0 };

	say(g, "\n", "<tool_call>");
	prompt_text(g->p, PROMPT_ASSISTANT, call->name);
	if (g->apart)
		prompt_say(g->p, "\n");
	if (json_tree_read(&t, call->args.p, call->args.n, NULL) == 0 &&
	    t.node[0].type == JSON_OBJECT)
		for (uint32_t i = json_tree_first(&t, 0); i != 0;
		     i = t.node[i].next) {
			cleanup_buf struct buf k = { 0 }, v = { 0 };

			json_tree_key(&t, i, &k);
			value(&t, i, &v);
			prompt_say(g->p, "<arg_key>");
			prompt_buf(g->p, PROMPT_ASSISTANT, &k);
			say_behind(g, "</arg_key>");
			prompt_say(g->p, "<arg_value>");
			prompt_buf(g->p, PROMPT_ASSISTANT, &v);
			say_behind(g, "</arg_value>");
		}
	prompt_say(g->p, "</tool_call>");
}

/* A turn that is to have no thoughts, or none any more. */
static void
open_without(const struct glm *g)
{
	prompt_say(g->p, "<|assistant|>");
	prompt_say(g->p, g->apart ? "\n<think></think>" : "</think>");
}

/* Where the model goes on. */
static void
open_turn(const struct glm *g)
{
	if (g->c->no_thinking)
		open_without(g);
	else
		prompt_say(
		    g->p, g->apart ? "<|assistant|>" : "<|assistant|><think>");
}

static void
assistant(const struct glm *g, size_t i)
{
	const struct chat_message *m = &g->c->messages[i];
	const bool current = i >= g->after;
	struct chat_text thinking, words;

	/* Thoughts of earlier turns are left out. */
	if (m->sampled.n > 0 && (current || memmem(m->sampled.p, m->sampled.n,
						"</think>", 8) == NULL)) {
		if (current)
			open_turn(g);
		else
			open_without(g);
		prompt_text(g->p, PROMPT_SAMPLED, m->sampled);
		return;
	}
	split_thinking(m, &thinking, &words);
	thinking = text_trim(thinking);
	words = text_trim(words);
	if (current && thinking.n > 0) {
		prompt_say(g->p, "<|assistant|>");
		say(g, "\n", "<think>");
		prompt_text(g->p, PROMPT_ASSISTANT, thinking);
		prompt_say(g->p, "</think>");
	} else
		open_without(g);
	if (g->apart && words.n > 0)
		prompt_say(g->p, "\n");
	prompt_text(g->p, PROMPT_ASSISTANT, words);
	for (size_t k = 0; k < m->ncalls; k++)
		call(g, &m->calls[k]);
}

static void
result(const struct glm *g, size_t i)
{
	if (i == 0 || g->c->messages[i - 1].role != CHAT_TOOL)
		prompt_say(g->p, "<|observation|>");
	say(g, "\n", "<tool_response>");
	if (g->apart)
		prompt_say(g->p, "\n");
	prompt_text(g->p, PROMPT_TOOL, g->c->messages[i].text);
	say(g, "\n", "</tool_response>");
}

int
render_glm(enum chat_family family, const struct chat *c, struct prompt *p,
    struct error *err)
{
	struct glm g = { c, p, family == CHAT_GLM45, 0 };

	if (c->nmessages == 0)
		return error_set(err, 0, "the conversation has no message");
	for (size_t i = 0; i < c->nmessages; i++)
		if (c->messages[i].role == CHAT_USER)
			g.after = i + 1;
	prompt_say(p, "[gMASK]<sop>");
	if (c->ntools > 0)
		list_tools(&g);
	for (size_t i = 0; i < c->nmessages; i++) {
		const struct chat_message *m = &c->messages[i];

		switch (m->role) {
		case CHAT_SYSTEM:
			say_behind(&g, "<|system|>");
			prompt_text(p, PROMPT_SYSTEM, m->text);
			break;
		case CHAT_USER:
			user(&g, m->text);
			break;
		case CHAT_ASSISTANT:
			assistant(&g, i);
			break;
		case CHAT_TOOL:
			result(&g, i);
			break;
		}
	}
	open_turn(&g);
	p->thinking = !g.apart && !c->no_thinking;
	return 0;
}

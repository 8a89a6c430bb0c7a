/*
 * DeepSeek V2, which has no tools, and V3.1, which thinks or calls tools, not
 * both.
 */
#include "inferd/deepseek_marks.h"
#include "inferd/template_int.h"

#include <string.h>

static const char tools_head[] =
    "\n\n## Tools\nYou have access to the following tools:\n";
static const char tools_how[] =
    "\nIMPORTANT: ALWAYS adhere to this exact format for tool "
    "use:\n" DEEPSEEK_CALLS DEEPSEEK_CALL "tool_call_name" DEEPSEEK_ARGS
    "tool_call_arguments" DEEPSEEK_CALL_END
    "{{additional_tool_calls}}" DEEPSEEK_CALLS_END "\n\nWhere:\n\n"
    "- `tool_call_name` must be an exact match to one of the available "
    "tools\n- `tool_call_arguments` must be valid JSON that strictly follows "
    "the tool's Parameters Schema\n- For multiple tool calls, chain them "
    "directly without separators or spaces\n";

/* All of the system's texts come first. */
static void
system_texts(const struct chat *c, struct prompt *p)
{
	bool first = true;

	for (size_t i = 0; i < c->nmessages; i++) {
		if (c->messages[i].role != CHAT_SYSTEM)
			continue;
		if (!first)
			prompt_say(p, "\n\n");
		first = false;
		prompt_text(p, PROMPT_SYSTEM, c->messages[i].text);
	}
}

static void
list_tools(const struct chat *c, struct prompt *p)
{
	prompt_say(p, tools_head);
	for (size_t i = 0; i < c->ntools; i++) {
		const struct chat_tool *t = &c->tools[i];
		cleanup_buf struct buf b = { 0 };

		prompt_say(p, "\n### ");
		prompt_text(p, PROMPT_TOOL, t->name);
		prompt_say(p, "\nDescription: ");
		prompt_text(p, PROMPT_TOOL, t->description);
		prompt_say(p, "\n\nParameters: ");
		dump_json(
		    t->schema.n > 0 ? t->schema : (struct chat_text){ "{}", 2 },
		    &b);
		prompt_buf(p, PROMPT_TOOL, &b);
		prompt_say(p, "\n");
	}
	prompt_say(p, tools_how);
}

static void
put_calls(const struct chat_message *m, struct prompt *p)
{
	prompt_say(p, DEEPSEEK_CALLS);
	for (size_t i = 0; i < m->ncalls; i++) {
		cleanup_buf struct buf args = { 0 };

		dump_json(m->calls[i].args, &args);
		prompt_say(p, DEEPSEEK_CALL);
		prompt_text(p, PROMPT_ASSISTANT, m->calls[i].name);
		prompt_say(p, DEEPSEEK_ARGS);
		prompt_buf(p, PROMPT_ASSISTANT, &args);
		prompt_say(p, DEEPSEEK_CALL_END);
	}
	prompt_say(p, DEEPSEEK_CALLS_END);
}

/* Thoughts are left out of every turn that is over. */
static void
assistant(const struct chat_message *m, bool behind_user, struct prompt *p)
{
	struct chat_text thinking, words;

	if (behind_user)
		prompt_say(p, DEEPSEEK_ASSISTANT "</think>");
	if (m->sampled.n > 0 &&
	    memmem(m->sampled.p, m->sampled.n, "</think>", 8) == NULL)
		prompt_text(p, PROMPT_SAMPLED, m->sampled);
	else {
		split_thinking(m, &thinking, &words);
		prompt_text(p, PROMPT_ASSISTANT, words);
		if (m->ncalls > 0)
			put_calls(m, p);
	}
	prompt_say(p, DEEPSEEK_END);
}

int
render_deepseek31(const struct chat *c, struct prompt *p, struct error *err)
{
	bool behind_user = false;

	if (c->nmessages == 0)
		return error_set(err, 0, "the conversation has no message");
	prompt_say(p, DEEPSEEK_BEGIN);
	system_texts(c, p);
	if (c->ntools > 0)
		list_tools(c, p);
	for (size_t i = 0; i < c->nmessages; i++) {
		const struct chat_message *m = &c->messages[i];

		switch (m->role) {
		case CHAT_SYSTEM:
			continue;
		case CHAT_USER:
			prompt_say(p, DEEPSEEK_USER);
			prompt_text(p, PROMPT_USER, m->text);
			break;
		case CHAT_ASSISTANT:
			assistant(m, behind_user, p);
			break;
		case CHAT_TOOL:
			prompt_say(p, DEEPSEEK_RESULT);
			prompt_text(p, PROMPT_TOOL, m->text);
			prompt_say(p, DEEPSEEK_RESULT_END);
			break;
		}
		behind_user = m->role == CHAT_USER;
	}
	/* Behind results it goes on as it is. */
	if (!behind_user)
		return 0;
	p->thinking = !c->no_thinking && c->ntools == 0;
	prompt_say(p, p->thinking ? DEEPSEEK_ASSISTANT "<think>"
				  : DEEPSEEK_ASSISTANT "</think>");
	return 0;
}

int
render_deepseek2(const struct chat *c, struct prompt *p, struct error *err)
{
	if (c->ntools > 0)
		return error_set(
		    err, 0, "this model's template has no place for tools");
	if (c->nmessages == 0)
		return error_set(err, 0, "the conversation has no message");
	prompt_say(p, DEEPSEEK_BEGIN);
	for (size_t i = 0; i < c->nmessages; i++) {
		const struct chat_message *m = &c->messages[i];

		switch (m->role) {
		case CHAT_SYSTEM:
			prompt_text(p, PROMPT_SYSTEM, m->text);
			prompt_say(p, "\n\n");
			break;
		case CHAT_USER:
			prompt_say(p, "User: ");
			prompt_text(p, PROMPT_USER, m->text);
			prompt_say(p, "\n\n");
			break;
		case CHAT_ASSISTANT:
			/* The space was the model's to say. */
			prompt_say(p, "Assistant:");
			if (m->sampled.n > 0)
				prompt_text(p, PROMPT_SAMPLED, m->sampled);
			else {
				prompt_say(p, " ");
				prompt_text(p, PROMPT_ASSISTANT, m->text);
			}
			prompt_say(p, DEEPSEEK_END);
			break;
		case CHAT_TOOL:
			return error_set(err, 0,
			    "message %zu: this model's template has no place "
			    "for results of tools",
			    i);
		}
	}
	prompt_say(p, "Assistant:");
	return 0;
}

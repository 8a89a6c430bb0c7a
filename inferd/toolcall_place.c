/*
 * Where a model stands in what it says.
 */
#include "inferd/toolcall_int.h"

#include <string.h>

#include "base/str.h"

/* The names that models give to the arguments of a call. */
static bool
in_arguments(const struct call_json *j)
{
	static const char *const names[] = { "arguments", "parameters", "args",
		"input" };
	size_t i;

	if (j->key || j->depth == 0)
		return false;
	for (i = 0; i < nitems(names); i++)
		if (buf_len(&j->member) == strlen(names[i]) &&
		    memcmp(buf_head(&j->member), names[i], strlen(names[i])) ==
			0)
			return true;
	return false;
}

/* What comes next of arguments that are JSON. */
static enum toolcall_place
place_json(const struct json_mend *m)
{
	bool object = m->depth > 0 && m->stack[m->depth - 1] == '{';

	switch (m->state) {
	case MEND_VALUE:
		return TOOLCALL_IN_VALUE;
	case MEND_NEXT:
		return object ? TOOLCALL_IN_ARGS : TOOLCALL_IN_VALUE;
	case MEND_STRING:
	case MEND_ESCAPE:
	case MEND_HEX:
	case MEND_WORD:
		return m->key ? TOOLCALL_IN_ARGS : TOOLCALL_IN_VALUE;
	case MEND_COLON:
	case MEND_QUOTE:
	case MEND_DONE:
		break;
	}
	return TOOLCALL_IN_ARGS;
}

enum toolcall_place
toolcall_place(const struct toolcall *t)
{
	static const char tag[] = "<function=";

	switch (t->mode) {
	case MODE_TEXT:
		if (!t->no_bare && buf_len(&t->in) >= strlen(tag) &&
		    memcmp(buf_head(&t->in), tag, strlen(tag)) == 0)
			return TOOLCALL_IN_SYNTAX;
		return TOOLCALL_IN_TEXT;
	case MODE_THINK:
		return TOOLCALL_IN_THINKING;
	case MODE_HEADER:
		if (!t->no_calls && buf_len(&t->fname) > 0 &&
		    memmem(buf_head(&t->fname), buf_len(&t->fname), "to=", 3) !=
			NULL)
			return TOOLCALL_IN_SYNTAX;
		return TOOLCALL_IN_HEADER;
	case MODE_JSON:
		/* Without a tag it may yet be the answer. */
		if (t->bare && !t->json.begun)
			return TOOLCALL_IN_TEXT;
		if (in_arguments(&t->json))
			return place_json(&t->json.mend);
		return TOOLCALL_IN_SYNTAX;
	case MODE_ARGS:
		return place_json(&t->json.mend);
	case MODE_PARAM:
		return TOOLCALL_IN_VALUE;
	case MODE_KEY:
		return TOOLCALL_IN_ARGS;
	case MODE_OPEN:
	case MODE_TAGS:
	case MODE_NAME:
	case MODE_MISTRAL:
		break;
	}
	return TOOLCALL_IN_SYNTAX;
}

struct chat_text
toolcall_header(const struct toolcall *t)
{
	if (t->mode != MODE_HEADER)
		return (struct chat_text){ NULL, 0 };
	return (struct chat_text){ (const char *)buf_head(&t->fname),
		buf_len(&t->fname) };
}

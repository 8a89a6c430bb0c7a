/*
 * Words that a completion says whatever the logits say: calls that have to be,
 * names of tools, ends of thoughts.
 */
#include "inferd/completion_int.h"

#include <string.h>

#include "base/str.h"
#include "inferd/deepseek_marks.h"

/* Text that it says next.  name: a client's word, never markup. */
static void
put_words(struct completion *c, const char *before, struct chat_text name,
    char end, const char *behind)
{
	const struct tok_span spans[] = {
		{ before, strlen(before), true },
		{ name.p, name.n, false },
		{ &end, end == '\0' ? 0 : 1, false },
		{ behind, strlen(behind), true },
	};

	/* Behind another token no space is put first. */
	c->at = c->forced.n = 0;
	if (c->tokens.n > 0) {
		tok_ids_push(&c->forced, c->tokens.id[c->tokens.n - 1]);
		c->at = 1;
	}
	(void)tok_encode_spans(c->t, spans, nitems(spans), &c->forced);
}

void
completion_say(struct completion *c, const char *markup)
{
	put_words(c, markup, (struct chat_text){ NULL, 0 }, '\0', "");
}

static bool
ends_with(const struct completion *c, const char *s)
{
	size_t n = strlen(s);

	return buf_len(&c->bytes) >= n &&
	       memcmp(buf_head(&c->bytes) + buf_len(&c->bytes) - n, s, n) == 0;
}

/* A name that is typed + more bytes + what stands behind, or begins so. */
static bool
name_fits(const struct completion *c, const struct chat_tool *tool,
    const void *p, size_t n)
{
	size_t typed = buf_len(&c->typed), left;

	if (tool->name.n < typed ||
	    (typed > 0 &&
		memcmp(tool->name.p, buf_head(&c->typed), typed) != 0))
		return false;
	left = tool->name.n - typed;
	if (n > left + 1 ||
	    memcmp(tool->name.p + typed, p, n < left ? n : left) != 0)
		return false;
	return n <= left || ((const char *)p)[left] == c->guide->name_end;
}

/* Is it the token that ends the name, where that is one of its own? */
static bool
ends_name(const struct completion *c, uint32_t token)
{
	size_t n;
	const char *p = tok_piece(c->t, (int32_t)token, &n);

	if (c->guide->name_end != '\0' || p == NULL ||
	    n != strlen(c->guide->args) || memcmp(p, c->guide->args, n) != 0)
		return false;
	for (size_t i = 0; i < c->p->ntools; i++)
		if (c->p->tools[i].name.n == buf_len(&c->typed) &&
		    name_fits(c, &c->p->tools[i], "", 0))
			return true;
	return false;
}

static bool
name_allows(const struct completion *c, uint32_t token)
{
	cleanup_buf struct buf b = { 0 };
	size_t i;

	if (tok_is_special(c->t, (int32_t)token))
		return ends_name(c, token);
	completion_piece(c, token, &b);
	if (buf_len(&b) == 0)
		return false;
	for (i = 0; i < c->p->ntools; i++)
		if (name_fits(c, &c->p->tools[i], buf_head(&b), buf_len(&b)))
			return true;
	return false;
}

/* The only tool whose name begins as it was typed, NULL: there are more. */
static const struct chat_tool *
only_tool(const struct completion *c)
{
	const struct chat_tool *only = NULL;
	size_t i;

	for (i = 0; i < c->p->ntools; i++) {
		if (!name_fits(c, &c->p->tools[i], "", 0))
			continue;
		if (only != NULL)
			return NULL;
		only = &c->p->tools[i];
	}
	return only;
}

/* Arguments of this tool come next; they may have to match. */
static void
args_begin(
    struct completion *c, const struct guide_call *g, struct chat_text name)
{
	size_t i;

	c->guide = NULL;
	grammar_state_free(c->args_are);
	c->args_are = NULL;
	if (c->p->tool_grammar == NULL)
		return;
	for (i = 0; i < c->p->ntools; i++)
		if (c->p->tools[i].name.n == name.n &&
		    memcmp(c->p->tools[i].name.p, name.p, name.n) == 0)
			break;
	if (i == c->p->ntools || c->p->tool_grammar[i] == NULL)
		return;
	c->args_are = grammar_start(c->p->tool_grammar[i]);
	c->strict = g;
}

uint32_t
completion_draw_name(struct completion *c, const struct sample_params *s,
    const float *logits, uint32_t drawn)
{
	if (!name_allows(c, drawn))
		drawn = completion_draw_among(c, s, logits, name_allows, drawn);
	if (!tok_is_special(c->t, (int32_t)drawn))
		completion_piece(c, drawn, &c->typed);
	return drawn;
}

/* As far as there is no choice. */
void
completion_name_on(struct completion *c)
{
	const struct guide_call *g = c->guide;
	const struct chat_tool *tool;
	struct chat_text rest = { (const char *)buf_head(&c->typed),
		buf_len(&c->typed) };

	if (rest.n > 0 && rest.p[rest.n - 1] == g->name_end) {
		rest.n--;
		args_begin(c, g, rest);
		completion_say(c, g->args);
		return;
	}
	if (c->tokens.n > 0 &&
	    ends_name(c, (uint32_t)c->tokens.id[c->tokens.n - 1])) {
		args_begin(c, g, rest);
		return;
	}
	tool = only_tool(c);
	if (tool == NULL)
		return;
	rest = tool->name;
	rest.p += buf_len(&c->typed);
	rest.n -= buf_len(&c->typed);
	put_words(c, "", rest, g->name_end, g->args);
	args_begin(c, g, tool->name);
}

/* Begins the call that has to be. */
static void
begin_call(struct completion *c, const struct guide_call *g)
{
	const struct gen_params *p = c->p;
	const char *space = "";
	cleanup_free char *open = NULL;

	c->begun = true;
	if (p->family != CHAT_HARMONY && buf_len(&c->bytes) > 0 &&
	    !ends_with(c, "\n"))
		space = "\n\n";
	open = xasprintf("%s%s", space, g->open);
	buf_clear(&c->typed);
	if (p->tool_choice == TOOLS_NAMED || p->ntools == 1) {
		const struct chat_text name = p->tool_choice == TOOLS_NAMED
						  ? p->tool_name
						  : p->tools[0].name;

		put_words(c, open, name, g->name_end, g->args);
		args_begin(c, g, name);
		return;
	}
	completion_say(c, open);
	c->guide = g;
}

/* Calls are written as JSON where a schema asks for it. */
static bool
as_json(const struct completion *c)
{
	return c->p->tool_grammar != NULL;
}

static bool
may_call(const struct completion *c)
{
	return c->said != NULL && !c->no_calls &&
	       guide_call(c->p->family, as_json(c)) != NULL;
}

static bool
must_call(const struct completion *c)
{
	return may_call(c) && !c->begun && c->calls == 0 &&
	       c->p->tool_choice >= TOOLS_REQUIRED;
}

/* Llama 3 has no markup of calls: an object is one. */
static bool
is_bare_call(const struct completion *c, uint32_t token)
{
	cleanup_buf struct buf b = { 0 };
	const char *p;

	if (!may_call(c) || !as_json(c) || c->p->family != CHAT_LLAMA3 ||
	    buf_len(&c->bytes) > 0 || c->begun)
		return false;
	completion_piece(c, token, &b);
	p = (const char *)buf_head(&b);
	return p != NULL && buf_len(&b) > 0 && *p == '{';
}

void
completion_call_began(struct completion *c)
{
	static const char functions[] = "functions.";
	struct chat_text h = toolcall_header(c->said);
	const char *to, *open;
	size_t n;

	if (!may_call(c) || !as_json(c))
		return;
	buf_clear(&c->typed);
	if (c->p->family != CHAT_HARMONY) {
		if (ends_with(c, "[TOOL_CALLS]"))
			c->guide = guide_call(CHAT_MISTRAL, true);
		else if (ends_with(c, "<tool_call>"))
			c->guide = guide_call(CHAT_QWEN3, true);
		else if (ends_with(c, DEEPSEEK_CALLS) ||
			 ends_with(c, DEEPSEEK_CALL))
			c->guide = guide_call(CHAT_DEEPSEEK31, true);
		/* What opens it is there. */
		open = c->guide == NULL || ends_with(c, DEEPSEEK_CALL)
			   ? NULL
			   : strpbrk(c->guide->open, ">]");
		if (open != NULL)
			completion_say(c, open + 1);
		return;
	}
	to = h.n == 0 ? NULL : memmem(h.p, h.n, "to=", 3);
	if (to == NULL)
		return;
	to += 3;
	n = h.n - (size_t)(to - h.p);
	c->guide = guide_header(
	    (struct chat_text){ "<|channel|>",
		memmem(h.p, h.n, "<|channel|>", 11) == NULL ? 0 : 11 },
	    false);
	if (n <= strlen(functions) && memcmp(to, functions, n) == 0)
		completion_say(c, functions + n);
	else if (n > strlen(functions) &&
		 memcmp(to, functions, strlen(functions)) == 0)
		buf_put(
		    &c->typed, to + strlen(functions), n - strlen(functions));
	else
		c->guide = NULL;
}

/* May a header of Harmony go on like this when a call has to be? */
static bool
header_thinks(
    const struct completion *c, struct chat_text header, uint32_t token)
{
	static const char analysis[] = "analysis";
	cleanup_buf struct buf b = { 0 };
	size_t n;

	if (c->thinking > 0)
		return false;
	completion_piece(c, token, &b);
	n = buf_len(&b);
	if (guide_header(header, false) ==
	    guide_header((struct chat_text){ NULL, 0 }, false))
		return n == 11 && memcmp(buf_head(&b), "<|channel|>", 11) == 0;
	if (n > strlen(analysis))
		n = strlen(analysis);
	return n > 0 && memcmp(buf_head(&b), analysis, n) == 0;
}

/* Is an answer still owed, so that the turn cannot end? */
static bool
owes_text(const struct completion *c)
{
	return c->text_is != NULL && !grammar_done(c->text_is) && c->calls == 0;
}

/* Instead of the end of a turn within thoughts. */
static bool
go_on(struct completion *c, enum toolcall_place place)
{
	if (place != TOOLCALL_IN_THINKING)
		return false;
	completion_say(c, guide_think_end(c->p->family, false));
	c->closed++;
	return true;
}

bool
completion_call_here(
    struct completion *c, enum toolcall_place place, uint32_t token)
{
	const struct guide_call *g = guide_call(c->p->family, as_json(c));
	struct chat_text header;
	bool must = must_call(c);

	if (c->said == NULL)
		return false;
	if ((must || owes_text(c)) && completion_is_end(c, token) &&
	    (!must || place == TOOLCALL_IN_THINKING) && go_on(c, place))
		return true;
	if (g == NULL)
		return false;
	if (place == TOOLCALL_IN_TEXT && is_bare_call(c, token)) {
		begin_call(c, g);
		return true;
	}
	if (!must)
		return false;
	header = toolcall_header(c->said);
	switch (place) {
	case TOOLCALL_IN_TEXT:
		if ((int32_t)token == c->think && c->thinking == 0)
			return false;
		break;
	case TOOLCALL_IN_HEADER:
		g = guide_header(header, buf_len(&c->bytes) > 0);
		if (g == NULL || header_thinks(c, header, token))
			return false;
		break;
	case TOOLCALL_IN_THINKING:
	case TOOLCALL_IN_SYNTAX:
	case TOOLCALL_IN_ARGS:
	case TOOLCALL_IN_VALUE:
		return false;
	}
	begin_call(c, g);
	return true;
}

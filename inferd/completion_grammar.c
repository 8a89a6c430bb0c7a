/*
 * Text and arguments that have to match a schema: the drawn token is tried
 * first, and only where it does not fit is it looked up which ones do.
 */
#include "inferd/completion_int.h"

#include <string.h>

#include "base/str.h"

/* Would Harmony's header begin like one of these? */
static bool
header_allows(const struct completion *c, uint32_t token)
{
	static const char role[] = "<|start|>assistant";
	static const char *const wanted[] = { "<|channel|>analysis<|message|>",
		"<|channel|>final<|message|>",
		"<|channel|>commentary to=", " to=" };
	struct chat_text h = toolcall_header(c->said);
	cleanup_buf struct buf b = { 0 };
	size_t i, n, m = c->no_calls ? 2 : nitems(wanted);
	const char *p;

	buf_put(&b, h.p, h.n);
	completion_piece(c, token, &b);
	p = (const char *)buf_head(&b);
	n = buf_len(&b);
	if (p == NULL || n == h.n ||
	    (!tok_is_special(c->t, (int32_t)token) &&
		memchr(p + h.n, '<', n - h.n) != NULL))
		return false;
	/* The prompt says who begins. */
	if (h.n == 0 && buf_len(&c->bytes) > 0 && *p != '<')
		return false;
	if (strncmp(p, role, n < strlen(role) ? n : strlen(role)) == 0) {
		if (n <= strlen(role))
			return true;
		p += strlen(role);
		n -= strlen(role);
	}
	for (i = 0; i < m; i++)
		if (n <= strlen(wanted[i]) && memcmp(p, wanted[i], n) == 0)
			return true;
	return false;
}

static bool
is_strict_header(const struct completion *c, enum toolcall_place place)
{
	return place == TOOLCALL_IN_HEADER &&
	       (c->text_is != NULL || c->p->tool_grammar != NULL);
}

bool
completion_is_strict(const struct completion *c, enum toolcall_place place)
{
	return c->args_are != NULL || is_strict_header(c, place) ||
	       (c->text_is != NULL && place == TOOLCALL_IN_TEXT);
}

/* What may stand instead of text: thoughts and calls before it, or the end. */
static bool
may_leave_text(const struct completion *c, uint32_t token)
{
	size_t i;

	if (c->args_are != NULL)
		return false;
	if (completion_is_end(c, token))
		return grammar_done(c->text_is) || c->calls > 0;
	if (c->text_begun || c->said == NULL)
		return false;
	if ((int32_t)token == c->think)
		return c->calls == 0 && c->thinking == 0;
	for (i = 0; i < c->nopener && !c->no_calls; i++)
		if (c->opener[i] == (int32_t)token)
			return true;
	return false;
}

static bool
take(struct completion *c, struct grammar_state *g, uint32_t token)
{
	cleanup_buf struct buf b = { 0 };

	if (tok_is_special(c->t, (int32_t)token))
		return c->args_are == NULL && may_leave_text(c, token);
	completion_piece(c, token, &b);
	if (buf_len(&b) == 0 ||
	    !grammar_take(g, (const char *)buf_head(&b), buf_len(&b)))
		return false;
	if (c->args_are == NULL)
		c->text_begun = true;
	return true;
}

uint32_t
completion_draw_strict(struct completion *c, const struct sample_params *s,
    const float *logits, enum toolcall_place place, uint32_t drawn)
{
	struct grammar_state *g =
	    c->args_are != NULL ? c->args_are : c->text_is;
	uint32_t n = tok_count(c->t), any, i;

	if (c->args_are == NULL && is_strict_header(c, place))
		return header_allows(c, drawn)
			   ? drawn
			   : completion_draw_among(
				 c, s, logits, header_allows, drawn);
	if (!completion_is_strict(c, place) || take(c, g, drawn))
		return drawn;
	if (c->masks == NULL)
		c->masks = c->own_masks = mask_new(c->t);
	if (c->mask == NULL)
		c->mask = xcalloc((n + 7) / 8, 1);
	any = grammar_mask(c->masks, g, c->mask);
	for (i = 0; i < n && c->args_are == NULL; i++)
		if (tok_is_special(c->t, (int32_t)i) && may_leave_text(c, i)) {
			c->mask[i / 8] |= (uint8_t)(1u << i % 8);
			any++;
		}
	if (any > 0)
		drawn =
		    sampler_draw(c->sampler, s, logits, c->mask, c->sampled);
	/* A vocabulary that lacks a byte. */
	if (any == 0 || !take(c, g, drawn))
		c->dead = true;
	return drawn;
}

bool
completion_strict_over(struct completion *c)
{
	if (c->args_are != NULL && grammar_full(c->args_are)) {
		grammar_state_free(c->args_are);
		c->args_are = NULL;
		completion_say(c, c->strict->close);
	}
	return c->text_is != NULL && c->text_begun &&
	       grammar_full(c->text_is) && c->args_are == NULL && c->calls == 0;
}

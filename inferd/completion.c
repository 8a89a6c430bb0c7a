#include "inferd/completion.h"
#include "inferd/completion_int.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "inferd/deepseek_marks.h"
#include "inferd/unicode.h"

#define CALL_ID_CHARS 24

static void
tell(struct completion *c, enum gen_event_type type, const void *p, size_t n)
{
	const struct gen_event e = { .type = type, .p = p, .n = n };

	if (!c->muted && n > 0)
		c->fn(&e, c->arg);
}

/* Text outside of thoughts and calls: stop texts are not said. */
static void
text(struct completion *c, const char *p, size_t n)
{
	cleanup_buf struct buf out = { 0 };
	size_t which;
	bool found;

	if (c->muted)
		return;
	found = stoptext_push(c->stop, p, n, &out, &which);
	tell(c, GEN_TEXT, buf_head(&out), buf_len(&out));
	if (!found)
		return;
	c->muted = true;
	if (which == c->turn_end) {
		c->want = GEN_STOP;
		return;
	}
	c->want = GEN_STOP_TEXT;
	c->stop_text = xstrndup(c->p->stop[which].p, c->p->stop[which].n);
}

static void
text_over(struct completion *c)
{
	cleanup_buf struct buf out = { 0 };

	stoptext_flush(c->stop, &out);
	tell(c, GEN_TEXT, buf_head(&out), buf_len(&out));
}

/* Of call number n: as hard to guess as the 16 bytes of the completion. */
static void
call_id(const struct completion *c, uint32_t n, char id[5 + CALL_ID_CHARS + 1])
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
	const uint8_t number[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16),
		(uint8_t)(n >> 8), (uint8_t)n };
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int len;
	size_t i;

	if (HMAC(EVP_sha256(), c->ids, sizeof(c->ids), number, sizeof(number),
		digest, &len) == NULL ||
	    len < CALL_ID_CHARS)
		fatalx("cannot make the id of a call");
	memcpy(id, "call_", 5);
	for (i = 0; i < CALL_ID_CHARS; i++)
		id[5 + i] = letters[digest[i] & 31];
	id[5 + CALL_ID_CHARS] = '\0';
}

static void
tell_call(struct completion *c, const void *name, size_t n)
{
	char id[5 + CALL_ID_CHARS + 1];
	const struct gen_event e = {
		.type = GEN_CALL_BEGIN, .p = name, .n = n, .call_id = id
	};

	call_id(c, c->calls - 1, id);
	c->fn(&e, c->arg);
}

/* It is another call than those before: what was held back of it. */
static void
let_go(struct completion *c)
{
	if (!c->held)
		return;
	c->held = false;
	tell_call(c, buf_head(&c->name), buf_len(&c->name));
	tell(c, GEN_CALL_ARGS, buf_head(&c->args), buf_len(&c->args));
}

/* Clients make every call that they are told of: one that would end the turn
 * as a loop is not told before it is known to be none. */
static void
call_begin(struct completion *c, const char *name, size_t n)
{
	text_over(c);
	c->calls++;
	c->held = call_loop_begin(c->loop, name, n, c->p->loop_max);
	if (!c->held) {
		tell_call(c, name, n);
		return;
	}
	buf_clear(&c->name);
	buf_put(&c->name, name, n);
	buf_clear(&c->args);
}

static void
call_args(struct completion *c, const char *p, size_t n)
{
	bool may_loop = call_loop_args(c->loop, p, n);

	if (!c->held) {
		tell(c, GEN_CALL_ARGS, p, n);
		return;
	}
	buf_put(&c->args, p, n);
	if (!may_loop)
		let_go(c);
}

static void
call_end(struct completion *c)
{
	const struct gen_event e = { .type = GEN_CALL_END };
	unsigned int alike = call_loop_end(c->loop);

	if (c->p->loop_max > 0 && alike >= c->p->loop_max) {
		c->want = GEN_LOOP;
		c->muted = true;
		return;
	}
	let_go(c);
	c->fn(&e, c->arg);
	if (c->p->one_call && c->want == GEN_GOING) {
		c->want = GEN_CALLS;
		c->muted = true;
	}
}

static void
hear(enum toolcall_event event, const char *p, size_t n, void *arg)
{
	struct completion *c = arg;

	switch (event) {
	case TOOLCALL_TEXT:
		text(c, p, n);
		break;
	case TOOLCALL_THINKING:
		text_over(c);
		tell(c, GEN_THINKING, p, n);
		break;
	case TOOLCALL_BEGIN:
		if (!c->muted)
			call_begin(c, p, n);
		break;
	case TOOLCALL_ARGS:
		if (!c->muted)
			call_args(c, p, n);
		break;
	case TOOLCALL_END:
		if (!c->muted)
			call_end(c);
		break;
	}
}

static void
find_tokens(struct completion *c)
{
	static const char *const openers[OPENERS_MAX] = { "<tool_call>",
		"[TOOL_CALLS]", "<|python_tag|>", DEEPSEEK_CALLS };
	const char *name;
	unsigned int i;
	int32_t id;

	for (i = 0; (name = template_stop(c->p->family, i)) != NULL; i++) {
		id = tok_find_special(c->t, name);
		if (id >= 0 && c->nend < ENDS_MAX)
			c->end[c->nend++] = id;
	}
	for (i = 0; i < OPENERS_MAX && openers[i] != NULL; i++) {
		id = tok_find_special(c->t, openers[i]);
		if (id >= 0)
			c->opener[c->nopener++] = id;
	}
	c->think = tok_find_special(c->t, "<think>");
}

bool
completion_is_end(const struct completion *c, uint32_t token)
{
	size_t i;

	for (i = 0; i < c->nend; i++)
		if (c->end[i] == (int32_t)token)
			return true;
	return c->p->family != CHAT_HARMONY && tok_is_end(c->t, (int32_t)token);
}

struct completion *
completion_new(const struct tok *t, const struct gen_params *p,
    const uint8_t ids[16], struct call_loop *loop, gen_fn *fn, void *arg)
{
	struct completion *c = xcalloc(1, sizeof(*c));
	cleanup_free struct chat_text *stop =
	    xcalloc(p->nstop + 1, sizeof(*stop));
	size_t n = p->nstop < STOPTEXT_MAX - 1 ? p->nstop : STOPTEXT_MAX - 1;

	c->t = t;
	c->p = p;
	memcpy(c->ids, ids, sizeof(c->ids));
	c->loop = loop != NULL ? loop : &c->own_loop;
	c->fn = fn;
	c->arg = arg;
	c->sampler = sampler_new(tok_count(t));
	c->turn_end = SIZE_MAX;
	c->no_calls = p->tool_choice == TOOLS_NONE || p->ntools == 0;
	find_tokens(c);
	if (n > 0)
		memcpy(stop, p->stop, n * sizeof(*stop));
	if (p->chat && p->family == CHAT_PLAIN) {
		c->turn_end = n;
		stop[n].p = template_stop(p->family, 0);
		stop[n].n = strlen(stop[n].p);
		n++;
	}
	c->stop = stoptext_new(stop, n);
	if (p->chat) {
		c->said = toolcall_new(
		    p->family, p->thinking, p->tools, p->ntools, hear, c);
		if (c->no_calls)
			toolcall_no_calls(c->said);
		if (p->grammar != NULL ||
		    (p->tool_grammar != NULL && p->family != CHAT_LLAMA3))
			toolcall_no_bare(c->said);
	}
	if (p->grammar != NULL)
		c->text_is = grammar_start(p->grammar);
	tok_stream_init(&c->text, t, false);
	return c;
}

void
completion_free(struct completion *c)
{
	if (c == NULL)
		return;
	sampler_free(c->sampler);
	toolcall_free(c->said);
	stoptext_free(c->stop);
	tok_ids_free(&c->forced);
	tok_ids_free(&c->tokens);
	buf_free(&c->typed);
	buf_free(&c->name);
	buf_free(&c->args);
	buf_free(&c->bytes);
	grammar_state_free(c->text_is);
	grammar_state_free(c->args_are);
	mask_free(c->own_masks);
	free(c->mask);
	free(c->stop_text);
	free(c);
}

void
completion_piece(const struct completion *c, uint32_t token, struct buf *out)
{
	struct tok_stream s;

	tok_stream_init(&s, c->t, false);
	tok_stream_push(&s, (int32_t)token, out);
	tok_stream_end(&s, out);
}

/* What the stream has made whole, or holds to the end. */
static void
pass_on(struct completion *c, struct buf *b)
{
	cleanup_buf struct buf clean = { 0 };

	if (buf_len(b) == 0)
		return;
	if (c->said != NULL) {
		toolcall_push(
		    c->said, (const char *)buf_head(b), buf_len(b), false);
		return;
	}
	unicode_clean((const char *)buf_head(b), buf_len(b), &clean);
	text(c, (const char *)buf_head(&clean), buf_len(&clean));
}

static void
say(struct completion *c, uint32_t token)
{
	cleanup_buf struct buf b = { 0 };
	const char *name;
	size_t n;

	tok_ids_push(&c->tokens, (int32_t)token);
	if (!tok_is_special(c->t, (int32_t)token)) {
		completion_piece(c, token, &c->bytes);
		tok_stream_push(&c->text, (int32_t)token, &b);
		pass_on(c, &b);
		return;
	}
	name = tok_piece(c->t, (int32_t)token, &n);
	buf_put(&c->bytes, name, n);
	tok_stream_end(&c->text, &b);
	pass_on(c, &b);
	if (c->said != NULL && n > 0)
		toolcall_push(c->said, name, n, true);
}

static void
finish(struct completion *c, enum gen_finish why)
{
	cleanup_buf struct buf b = { 0 };

	/* What is still held may be a stop text or a call. */
	c->want = GEN_GOING;
	if (!c->muted) {
		tok_stream_end(&c->text, &b);
		pass_on(c, &b);
		if (c->said != NULL && gen_is_cut(why))
			toolcall_stop(c->said);
		else if (c->said != NULL)
			toolcall_end(c->said);
		text_over(c);
	}
	if (why == GEN_STOP && c->want != GEN_GOING)
		why = c->want;
	if (why == GEN_STOP && c->calls > 0)
		why = GEN_CALLS;
	c->state = why;
}

uint32_t
completion_draw_among(struct completion *c, const struct sample_params *s,
    const float *logits,
    bool (*allows)(const struct completion *c, uint32_t token), uint32_t drawn)
{
	uint32_t i, n = tok_count(c->t), any = 0;

	if (c->mask == NULL)
		c->mask = xcalloc((n + 7) / 8, 1);
	memset(c->mask, 0, (n + 7) / 8);
	for (i = 0; i < n; i++)
		if (allows(c, i)) {
			c->mask[i / 8] |= (uint8_t)(1u << i % 8);
			any++;
		}
	return any == 0
		   ? drawn
		   : sampler_draw(c->sampler, s, logits, c->mask, c->sampled);
}

static bool
opens_no_call(const struct completion *c, uint32_t token)
{
	size_t i;

	for (i = 0; i < c->nopener; i++)
		if (c->opener[i] == (int32_t)token)
			return false;
	return true;
}

static uint32_t
draw(struct completion *c, const float *logits)
{
	struct sample_params s = c->p->sample;
	enum toolcall_place place =
	    c->said != NULL ? toolcall_place(c->said) : TOOLCALL_IN_TEXT;
	uint32_t token;

	if (place == TOOLCALL_IN_SYNTAX || place == TOOLCALL_IN_ARGS)
		s.temperature = 0;
	token = sampler_draw(c->sampler, &s, logits, NULL, c->sampled);
	if (c->guide != NULL)
		return completion_draw_name(c, &s, logits, token);
	if (c->args_are == NULL && completion_call_here(c, place, token))
		return (uint32_t)c->forced.id[c->at++];
	if (c->said != NULL && c->no_calls && !opens_no_call(c, token))
		token =
		    completion_draw_among(c, &s, logits, opens_no_call, token);
	return completion_draw_strict(c, &s, logits, place, token);
}

/* What follows from the token that was taken in.  was: where it stood. */
static void
look_ahead(struct completion *c, enum toolcall_place was)
{
	const struct gen_params *p = c->p;
	enum toolcall_place place;

	if (completion_is_forced(c))
		return;
	if (c->guide != NULL) {
		completion_name_on(c);
		return;
	}
	if (completion_strict_over(c)) {
		finish(c, GEN_STOP);
		return;
	}
	if (c->said == NULL || completion_is_forced(c))
		return;
	place = toolcall_place(c->said);
	if (place == TOOLCALL_IN_SYNTAX && was != place)
		completion_call_began(c);
	if (p->thinking_max > 0 && c->thinking >= p->thinking_max &&
	    place == TOOLCALL_IN_THINKING) {
		completion_say(c, guide_think_end(p->family, c->closed > 0));
		c->closed++;
	}
}

uint32_t
completion_next(struct completion *c, const float *logits)
{
	enum toolcall_place place =
	    c->said != NULL ? toolcall_place(c->said) : TOOLCALL_IN_TEXT;
	uint32_t token;

	token = completion_is_forced(c) ? (uint32_t)c->forced.id[c->at++]
					: draw(c, logits);
	c->sampled++;
	if (c->said != NULL && toolcall_place(c->said) == TOOLCALL_IN_THINKING)
		c->thinking++;
	if (c->dead || completion_is_end(c, token)) {
		finish(c, GEN_STOP);
		return token;
	}
	say(c, token);
	if (c->want == GEN_CALLS && !completion_is_forced(c)) {
		/* The one call is whole; its markup may not be. */
		completion_say(c,
		    guide_rest(c->p->family,
			(struct chat_text){ (const char *)buf_head(&c->bytes),
			    buf_len(&c->bytes) }));
	}
	if (c->want != GEN_GOING &&
	    !(c->want == GEN_CALLS && completion_is_forced(c)))
		finish(c, c->want);
	else if (c->sampled >= c->p->max_tokens)
		finish(c, c->want != GEN_GOING ? c->want : GEN_LENGTH);
	else
		look_ahead(c, place);
	return token;
}

void
completion_mask(struct completion *c, const struct mask *m)
{
	c->masks = m;
}

size_t
completion_forced(const struct completion *c, const int32_t **ids)
{
	*ids = completion_is_forced(c) ? c->forced.id + c->at : NULL;
	return c->forced.n - c->at;
}

enum gen_finish
completion_state(const struct completion *c)
{
	return c->state;
}

void
completion_stop(struct completion *c, enum gen_finish why)
{
	if (c->state == GEN_GOING)
		finish(c, why);
}

uint32_t
completion_sampled(const struct completion *c)
{
	return c->sampled;
}

uint32_t
completion_thinking(const struct completion *c)
{
	return c->thinking;
}

const char *
completion_stop_text(const struct completion *c)
{
	return c->stop_text;
}

const struct buf *
completion_bytes(const struct completion *c)
{
	return &c->bytes;
}

const struct tok_ids *
completion_tokens(const struct completion *c)
{
	return &c->tokens;
}

#include "inferd/completion.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "inferd/guide.h"
#include "inferd/sample.h"
#include "inferd/stoptext.h"
#include "inferd/toolcall.h"
#include "inferd/unicode.h"

#define CALL_ID_CHARS 24
#define ENDS_MAX 4u
#define OPENERS_MAX 4u

struct completion {
	const struct tok *t;
	const struct gen_params *p;
	gen_fn *fn;
	void *arg;
	uint8_t ids[16];
	struct call_loop *loop, own_loop;
	struct sampler *sampler;
	struct toolcall *said;  /* of a chat */
	struct tok_stream text; /* of the others */
	struct stoptext *stop;
	size_t turn_end; /* which stop text ends the turn, SIZE_MAX: none */
	int32_t end[ENDS_MAX];
	size_t nend;
	int32_t opener[OPENERS_MAX]; /* of calls */
	size_t nopener;
	int32_t think; /* opens thoughts, or -1 */
	bool no_calls;

	struct tok_ids forced; /* from .at on: what it says next */
	size_t at;
	unsigned int closed; /* how often thoughts were ended for it */

	/* A call whose beginning is ours: its name is being drawn. */
	const struct guide_call *guide;
	struct buf typed;
	bool begun; /* the call that had to be */
	uint8_t *mask;

	struct buf name, args; /* of the call that is going on */
	uint32_t calls;

	struct buf bytes;
	struct tok_ids tokens;
	uint32_t sampled, thinking;
	enum gen_finish state;
	enum gen_finish want; /* what ends it when this token is taken in */
	bool muted;           /* nothing is said any more */
	char *stop_text;
};

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
call_begin(struct completion *c, const char *name, size_t n)
{
	char id[5 + CALL_ID_CHARS + 1];
	struct gen_event e = { .type = GEN_CALL_BEGIN, .p = name, .n = n };

	text_over(c);
	call_id(c, c->calls++, id);
	e.call_id = id;
	if (!c->muted)
		c->fn(&e, c->arg);
	buf_clear(&c->name);
	buf_put(&c->name, name, n);
	buf_clear(&c->args);
}

static void
call_end(struct completion *c)
{
	const struct gen_event e = { .type = GEN_CALL_END };
	unsigned int alike;

	if (!c->muted)
		c->fn(&e, c->arg);
	alike = call_loop_add(c->loop, (const char *)buf_head(&c->name),
	    buf_len(&c->name), (const char *)buf_head(&c->args),
	    buf_len(&c->args));
	if (c->p->loop_max > 0 && alike >= c->p->loop_max) {
		c->want = GEN_LOOP;
		c->muted = true;
	} else if (c->p->one_call && c->want == GEN_GOING) {
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
		buf_put(&c->args, p, n);
		tell(c, GEN_CALL_ARGS, p, n);
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
		"[TOOL_CALLS]", "<|python_tag|>" };
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

/* Does this token end the turn?  Harmony's files name the end of a message. */
static bool
is_end(const struct completion *c, uint32_t token)
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
	}
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
	free(c->mask);
	free(c->stop_text);
	free(c);
}

/* The bytes of one token; SentencePiece's mark is a space. */
static void
bytes_of(const struct completion *c, uint32_t token, struct buf *out)
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
		bytes_of(c, token, &c->bytes);
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
		if (c->said != NULL)
			toolcall_end(c->said);
		text_over(c);
	}
	if (why == GEN_STOP && c->want != GEN_GOING)
		why = c->want;
	if (why == GEN_STOP && c->calls > 0)
		why = GEN_CALLS;
	c->state = why;
}

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

static void
put_markup(struct completion *c, const char *words)
{
	put_words(c, words, (struct chat_text){ NULL, 0 }, '\0', "");
}

static bool
is_forced(const struct completion *c)
{
	return c->at < c->forced.n;
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

static bool
name_allows(const struct completion *c, uint32_t token)
{
	cleanup_buf struct buf b = { 0 };
	size_t i;

	if (tok_is_special(c->t, (int32_t)token))
		return false;
	bytes_of(c, token, &b);
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

/* Goes on with the name as far as there is no choice. */
static void
name_on(struct completion *c)
{
	const struct guide_call *g = c->guide;
	const struct chat_tool *tool;
	struct chat_text rest;

	if (buf_len(&c->typed) > 0 &&
	    buf_head(&c->typed)[buf_len(&c->typed) - 1] ==
		(uint8_t)g->name_end) {
		c->guide = NULL;
		put_markup(c, g->args);
		return;
	}
	tool = only_tool(c);
	if (tool == NULL)
		return;
	rest = tool->name;
	rest.p += buf_len(&c->typed);
	rest.n -= buf_len(&c->typed);
	c->guide = NULL;
	put_words(c, "", rest, g->name_end, g->args);
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
	if (p->tool_choice == TOOLS_NAMED || p->ntools == 1) {
		put_words(c, open,
		    p->tool_choice == TOOLS_NAMED ? p->tool_name
						  : p->tools[0].name,
		    g->name_end, g->args);
		return;
	}
	put_markup(c, open);
	c->guide = g;
	buf_clear(&c->typed);
}

static bool
must_call(const struct completion *c)
{
	return c->said != NULL && !c->no_calls && !c->begun && c->calls == 0 &&
	       c->p->tool_choice >= TOOLS_REQUIRED &&
	       guide_call(c->p->family, false) != NULL;
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
	bytes_of(c, token, &b);
	n = buf_len(&b);
	if (guide_header(header, false) ==
	    guide_header((struct chat_text){ NULL, 0 }, false))
		return n == 11 && memcmp(buf_head(&b), "<|channel|>", 11) == 0;
	if (n > strlen(analysis))
		n = strlen(analysis);
	return n > 0 && memcmp(buf_head(&b), analysis, n) == 0;
}

/*
 * Where a call has to be: does it begin here, instead of this token?
 */
static bool
call_here(struct completion *c, enum toolcall_place place, uint32_t token)
{
	const struct guide_call *g = guide_call(c->p->family, false);
	struct chat_text header = toolcall_header(c->said);

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
		if (!is_end(c, token))
			return false;
		put_markup(c, guide_think_end(c->p->family, false));
		c->closed++;
		return true;
	case TOOLCALL_IN_SYNTAX:
	case TOOLCALL_IN_ARGS:
	case TOOLCALL_IN_VALUE:
		return false;
	}
	begin_call(c, g);
	return true;
}

/* Draws again among the tokens that `allows`. */
static uint32_t
draw_among(struct completion *c, const struct sample_params *s,
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
	if (c->guide != NULL) {
		if (!name_allows(c, token))
			token = draw_among(c, &s, logits, name_allows, token);
		bytes_of(c, token, &c->typed);
		return token;
	}
	if (must_call(c) && call_here(c, place, token))
		return (uint32_t)c->forced.id[c->at++];
	if (c->said != NULL && c->no_calls && !opens_no_call(c, token))
		token = draw_among(c, &s, logits, opens_no_call, token);
	return token;
}

/* What follows from the token that was taken in. */
static void
look_ahead(struct completion *c)
{
	const struct gen_params *p = c->p;

	if (c->said == NULL || is_forced(c))
		return;
	if (c->guide != NULL) {
		name_on(c);
		return;
	}
	if (p->thinking_max > 0 && c->thinking >= p->thinking_max &&
	    toolcall_place(c->said) == TOOLCALL_IN_THINKING) {
		put_markup(c, guide_think_end(p->family, c->closed > 0));
		c->closed++;
	}
}

uint32_t
completion_next(struct completion *c, const float *logits)
{
	uint32_t token;

	token =
	    is_forced(c) ? (uint32_t)c->forced.id[c->at++] : draw(c, logits);
	c->sampled++;
	if (c->said != NULL && toolcall_place(c->said) == TOOLCALL_IN_THINKING)
		c->thinking++;
	if (is_end(c, token)) {
		finish(c, GEN_STOP);
		return token;
	}
	say(c, token);
	if (c->want == GEN_CALLS && !is_forced(c)) {
		/* The one call is whole; its markup may not be. */
		put_markup(c,
		    guide_rest(c->p->family,
			(struct chat_text){ (const char *)buf_head(&c->bytes),
			    buf_len(&c->bytes) }));
	}
	if (c->want != GEN_GOING && !(c->want == GEN_CALLS && is_forced(c)))
		finish(c, c->want);
	else if (c->sampled >= c->p->max_tokens)
		finish(c, c->want != GEN_GOING ? c->want : GEN_LENGTH);
	else
		look_ahead(c);
	return token;
}

size_t
completion_forced(const struct completion *c, const int32_t **ids)
{
	*ids = is_forced(c) ? c->forced.id + c->at : NULL;
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

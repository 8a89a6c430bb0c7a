/*
 * A completion out of logits that are made here: one token each time is the
 * likeliest by far.  Included behind cmocka's headers.
 */
#ifndef BRIG_TESTS_COMPLETION_RIG_H
#define BRIG_TESTS_COMPLETION_RIG_H

#include "base/str.h"
#include "inferd/completion.h"
#include "inferd/deepseek_marks.h"
#include "inferd/toolcall.h"
#include "inferd/unicode.h"
#include "inferd/grammar.h"
#include "tests/inferd/vocab_small.h"

#define T(s)                                                                   \
	{                                                                      \
		(s), sizeof(s) - 1                                             \
	}
#define STEPS 4000u

static const struct chat_tool tools[] = {
	{ T("read"), T(""),
	    T("{\"properties\":{\"path\":{\"type\":"
	      "\"string\"}}}") },
	{ T("read_all"), T(""), T("{}") },
	{ T("write"), T(""), T("{}") },
};

static const char *const finish_names[] = { "going", "stop", "stop-text",
	"length", "calls", "budget", "loop", "cancelled", "deadline" };

struct rig {
	struct vocab_small vocab;
	struct tok *tok;
	struct gen_params p;
	struct buf heard;
	struct buf json; /* texts and arguments alone */
	enum gen_event_type last;
	char id[64];
	unsigned int ncalls, ends;
	unsigned int pieces; /* of arguments */
	struct gen_usage usage;
	struct call_loop *loop;
	uint8_t ids[16];
	char *bytes;
	const char *stop;
	float heat; /* of the second likeliest */
};

static void
hear(const struct gen_event *e, void *arg)
{
	static const char *const begins[] = {
		[GEN_TEXT] = "T:",
		[GEN_THINKING] = "?:",
		[GEN_CALL_BEGIN] = "(",
		[GEN_CALL_ARGS] = " ",
		[GEN_CALL_END] = ")",
		[GEN_END] = "|",
	};
	cleanup_buf struct buf clean = { 0 };
	struct rig *r = arg;

	assert_int_equal(r->ends, 0);
	if (buf_len(&r->heard) == 0 || e->type != r->last)
		buf_printf(&r->heard, "%s", begins[e->type]);
	r->last = e->type;
	if (e->n > 0) {
		buf_put(&r->heard, e->p, e->n);
		if (e->type == GEN_TEXT || e->type == GEN_CALL_ARGS)
			buf_put(&r->json, e->p, e->n);
		unicode_clean(e->p, e->n, &clean);
		assert_int_equal(buf_len(&clean), e->n);
		assert_memory_equal(buf_head(&clean), e->p, e->n);
	}
	r->pieces += e->type == GEN_CALL_ARGS;
	if (e->type == GEN_CALL_BEGIN) {
		assert_int_equal(strlen(e->call_id), 29);
		assert_true(str_starts(e->call_id, "call_"));
		assert_string_not_equal(e->call_id, r->id);
		strlcpy(r->id, e->call_id, sizeof(r->id));
		r->ncalls++;
	}
	if (e->type == GEN_END) {
		r->ends++;
		r->usage = e->usage;
		buf_printf(&r->heard, "%s", finish_names[e->finish]);
		if (e->stop != NULL)
			buf_printf(&r->heard, "=%s", e->stop);
	}
}

static void
rig_open(struct rig *r, const char *family)
{
	static const char *const more[] = { "</think>", "<tool_call>",
		"</tool_call>", "<|endoftext|>", "<|start|>", "<|end|>",
		"<|message|>", "<|channel|>", "<|return|>", "<|call|>",
		"[TOOL_CALLS]", "</s>", "<|eot_id|>", "<|user|>", "<|odd|>",
		DEEPSEEK_END, DEEPSEEK_CALLS, DEEPSEEK_CALLS_END, DEEPSEEK_CALL,
		DEEPSEEK_CALL_END, DEEPSEEK_ARGS };
	static const char *const words[] = { "ab", "abc", "\",", "}}", "read",
		"name\"", "St", "op", "aSt", "opb" };
	struct error err = { 0 };
	size_t i;

	memset(r, 0, sizeof(*r));
	vocab_small_bpe(&r->vocab, "qwen2");
	for (i = 0; i < nitems(more) + nitems(words); i++) {
		uint32_t id = r->vocab.v.n++;
		bool word = i >= nitems(more);

		strlcpy(r->vocab.text[id],
		    word ? words[i - nitems(more)] : more[i], SMALL_TEXT);
		r->vocab.tokens[id] = (struct vocab_token){ r->vocab.text[id],
			(uint32_t)strlen(r->vocab.text[id]), 0,
			word ? TOKEN_NORMAL : TOKEN_CONTROL };
	}
	r->tok = tok_new(&r->vocab.v, &err);
	assert_non_null(r->tok);
	r->p.family = template_find(family);
	r->p.chat = true;
	r->p.max_tokens = STEPS;
	r->p.tools = tools;
	r->p.ntools = nitems(tools);
	r->p.tool_choice = TOOLS_AUTO;
	memset(r->ids, 7, sizeof(r->ids));
}

static void
rig_close(struct rig *r)
{
	tok_free(r->tok);
	buf_free(&r->heard);
	buf_free(&r->json);
	free(r->bytes);
}

/* The token that the model wants, ids of bytes are the bytes. */
static uint32_t
token(const struct rig *r, const char *name)
{
	uint32_t i;

	for (i = 0; i < r->vocab.v.n; i++)
		if (strcmp(r->vocab.text[i], name) == 0)
			return i;
	fail_msg("no token %s", name);
	return 0;
}

static void
want(const struct rig *r, float *logits, int32_t id)
{
	size_t i;

	for (i = 0; i < r->vocab.v.n; i++)
		logits[i] = 0;
	logits['~'] = r->heat;
	logits[id] = 50;
}

static void
end(struct rig *r, const struct completion *c)
{
	struct gen_event e = { .type = GEN_END,
		.finish = completion_state(c),
		.stop = completion_stop_text(c) };

	e.usage.sampled = completion_sampled(c);
	e.usage.thinking = completion_thinking(c);
	hear(&e, r);
}

/*
 * The model says these tokens and then ends its turn; it says a token again
 * until it is let.
 */
static const char *
play_ids(struct rig *r, const struct tok_ids *ids)
{
	struct completion *c =
	    completion_new(r->tok, &r->p, r->ids, r->loop, hear, r);
	static float logits[SMALL_TOKENS];
	const int32_t *forced;
	size_t at = 0, k, n, steps = 0;

	buf_clear(&r->heard);
	r->id[0] = '\0';
	r->ends = r->ncalls = r->pieces = 0;
	while (completion_state(c) == GEN_GOING && steps++ < STEPS) {
		int32_t next =
		    at < ids->n ? ids->id[at] : (int32_t)token(r, "<|im_end|>");

		if (r->p.family == CHAT_HARMONY && at >= ids->n)
			next = (int32_t)token(r, "<|return|>");
		if (r->p.family == CHAT_MISTRAL && at >= ids->n)
			next = (int32_t)token(r, "</s>");
		if (r->p.family == CHAT_LLAMA3 && at >= ids->n)
			next = (int32_t)token(r, "<|eot_id|>");
		if ((r->p.family == CHAT_GLM45 || r->p.family == CHAT_GLM47) &&
		    at >= ids->n)
			next = (int32_t)token(r, "<|user|>");
		if (r->p.family == CHAT_DEEPSEEK31 && at >= ids->n)
			next = (int32_t)token(r, DEEPSEEK_END);
		n = completion_forced(c, &forced);
		k = n > 0 ? (uint32_t)forced[0] : 0;
		want(r, logits, next);
		if (n > 0)
			assert_int_equal(completion_next(c, logits), k);
		else if (completion_next(c, logits) == (uint32_t)next)
			at++;
	}
	end(r, c);
	free(r->bytes);
	r->bytes = xstrndup((const char *)buf_head(completion_bytes(c)),
	    buf_len(completion_bytes(c)));
	completion_free(c);
	buf_put_u8(&r->heard, 0);
	return (const char *)buf_head(&r->heard);
}

/* Byte by byte, but for control tokens. */
static const char *
play(struct rig *r, const char *text)
{
	struct tok_ids ids = { 0 };
	size_t i, k, best;
	const char *have;

	for (i = 0; text[i] != '\0'; i += best == 0 ? 1 : best) {
		uint32_t id = (uint8_t)text[i];

		for (k = 267, best = 0; k < r->vocab.v.n; k++) {
			size_t n = strlen(r->vocab.text[k]);

			if (r->vocab.tokens[k].type != TOKEN_NORMAL && n > 4 &&
			    n > best &&
			    strncmp(text + i, r->vocab.text[k], n) == 0) {
				id = (uint32_t)k;
				best = n;
			}
		}
		tok_ids_push(&ids, (int32_t)id);
	}
	have = play_ids(r, &ids);
	tok_ids_free(&ids);
	return have;
}

/* What a model says in a family, what is heard of it, and the bytes that it
 * is said to have said; NULL: any. */
struct said {
	const char *family, *model, *heard, *bytes;
};

static void
assert_said(struct rig *r, const struct said *s)
{
	if (strcmp(play(r, s->model), s->heard) != 0)
		fail_msg("%s: %s by %s", s->family, (char *)buf_head(&r->heard),
		    r->bytes);
	if (s->bytes != NULL)
		assert_string_equal(r->bytes, s->bytes);
}

#endif

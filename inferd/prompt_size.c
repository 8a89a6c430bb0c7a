#include "inferd/prompt_size.h"

#define PIECE (64u * 1024)
/* More than there would be without the cut, of one piece. */
#define CUT 4u

struct size {
	const struct tok *t;
	uint32_t most;
	uint64_t bytes, seen, tokens;
};

static void
look(struct size *s, const char *p, size_t n)
{
	for (size_t take; n > 0 && s->tokens <= s->most; p += take, n -= take) {
		cleanup_tok_ids struct tok_ids ids = { 0 };

		take = n < PIECE ? n : PIECE;
		/* Where a control token is taken for one that is none, there
		 * are fewer. */
		if (tok_encode(s->t, p, take, true, &ids) < 0)
			return;
		s->tokens += ids.n > CUT ? ids.n - CUT : 0;
		s->seen += take;
	}
}

static uint32_t
estimate(const struct size *s)
{
	double all;

	if (s->tokens <= s->most)
		return 0;
	all = (double)s->tokens / (double)s->seen * (double)s->bytes;
	return all < UINT32_MAX ? (uint32_t)all : UINT32_MAX;
}

uint32_t
prompt_exceeds(const struct tok *t, struct chat_text text, uint32_t most)
{
	struct size s = { .t = t, .most = most, .bytes = text.n };

	if (s.bytes > PROMPT_LONG)
		look(&s, text.p, text.n);
	return estimate(&s);
}

uint32_t
prompt_exceeds_chat(const struct tok *t, const struct prompt *p, uint32_t most)
{
	struct size s = { .t = t, .most = most };
	const char *text = (const char *)buf_head(&p->text);
	size_t from = 0;

	for (size_t i = 0; i < p->nsegments; i++)
		if (p->segment[i].origin != PROMPT_SAMPLED)
			s.bytes += p->segment[i].n;
	if (s.bytes <= PROMPT_LONG)
		return 0;
	/* What stands together, at once. */
	for (size_t i = 0; i < p->nsegments; i++) {
		const struct prompt_segment *g = &p->segment[i];

		if (g->origin != PROMPT_SAMPLED)
			continue;
		look(&s, text + from, g->from - from);
		from = g->from + g->n;
	}
	look(&s, text + from, buf_len(&p->text) - from);
	return estimate(&s);
}

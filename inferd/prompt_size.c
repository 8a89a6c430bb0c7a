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
weigh(struct size *s, struct chat_text text)
{
	s->bytes += text.n;
}

static void
look(struct size *s, struct chat_text text)
{
	for (size_t at = 0; at < text.n && s->tokens <= s->most; at += PIECE) {
		cleanup_tok_ids struct tok_ids ids = { 0 };
		size_t n = text.n - at < PIECE ? text.n - at : PIECE;

		if (tok_encode(s->t, text.p + at, n, false, &ids) < 0)
			return;
		s->tokens += ids.n > CUT ? ids.n - CUT : 0;
		s->seen += n;
	}
}

/* All that becomes part of a prompt whatever the template. */
static void
each_text(const struct api_request *r,
    void (*fn)(struct size *s, struct chat_text text), struct size *s)
{
	fn(s, r->prompt);
	for (size_t i = 0; i < r->chat.ntools; i++) {
		fn(s, r->chat.tools[i].description);
		fn(s, r->chat.tools[i].schema);
	}
	for (size_t i = 0; i < r->chat.nmessages; i++) {
		const struct chat_message *m = &r->chat.messages[i];

		fn(s, m->text);
		for (size_t j = 0; j < m->ncalls; j++)
			fn(s, m->calls[j].args);
	}
}

uint32_t
prompt_exceeds(const struct tok *t, const struct api_request *r, uint32_t most)
{
	struct size s = { .t = t, .most = most };
	double all;

	each_text(r, weigh, &s);
	if (s.bytes <= PROMPT_LONG)
		return 0;
	each_text(r, look, &s);
	if (s.tokens <= most)
		return 0;
	all = (double)s.tokens / (double)s.seen * (double)s.bytes;
	return all < UINT32_MAX ? (uint32_t)all : UINT32_MAX;
}

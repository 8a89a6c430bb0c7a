/*
 * Tokenizers: any bytes come back from their ids, text that is not the
 * template's makes no control token, and a pre-tokeniser's pieces are the
 * text.  The first byte chooses the vocabulary, the second where the text is
 * cut into spans.
 */
#include <stdlib.h>
#include <string.h>

#include "inferd/tok.h"
#include "tests/inferd/vocab_small.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const kinds[] = { "gpt-2", "llama-bpe", "glm4", "qwen2",
	"qwen35", "gpt-4o", "kimi-k2", "deepseek-v3", "deepseek-llm", NULL };

static const struct tok *
vocabulary(unsigned int which)
{
	static struct tok *all[nitems(kinds)];
	struct vocab_small s;
	struct error err;

	if (all[which] != NULL)
		return all[which];
	if (kinds[which] == NULL)
		vocab_small_spm(&s);
	else
		vocab_small_bpe(&s, kinds[which]);
	all[which] = tok_new(&s.v, &err);
	if (all[which] == NULL)
		abort();
	return all[which];
}

static void
check(const struct tok *t, const char *p, size_t n, size_t cut, bool special)
{
	const struct tok_span spans[] = { { p, cut, special },
		{ p + cut, n - cut, false } };
	cleanup_tok_ids struct tok_ids ids = { 0 };
	cleanup_buf struct buf b = { 0 };
	struct tok_stream s;
	size_t i;

	if (tok_encode_spans(t, spans, 2, &ids) < 0)
		abort();
	tok_stream_init(&s, t, true);
	for (i = 0; i < ids.n; i++) {
		size_t len;
		const char *piece = tok_piece(t, ids.id[i], &len);

		if (piece == NULL)
			abort();
		if (!special && tok_is_special(t, ids.id[i]) &&
		    !(len == 4 && memcmp(piece, "    ", 4) == 0))
			abort();
		tok_stream_push(&s, ids.id[i], &b);
	}
	tok_stream_end(&s, &b);
	/* SentencePiece: what is behind a control token begins anew. */
	if (special || memmem(p, n, "    ", 4) != NULL ||
	    memmem(p, n, "\xe2\x96\x81", 3) != NULL)
		return;
	if (buf_len(&b) != n || (n > 0 && memcmp(buf_head(&b), p, n) != 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tok *t;
	size_t n;

	if (size < 2)
		return 0;
	t = vocabulary(data[0] % nitems(kinds));
	n = size - 2;
	check(t, (const char *)data + 2, n, data[1] < n ? data[1] : n, false);
	check(t, (const char *)data + 2, n, data[1] < n ? data[1] : n, true);
	return 0;
}

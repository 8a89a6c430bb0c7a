#include "tests/inferd/vocab_small.h"

#include <stdio.h>
#include <string.h>

#include "inferd/unicode.h"

static uint32_t
add(struct vocab_small *s, const char *text, uint8_t type, float score)
{
	uint32_t id = s->v.n++;

	strlcpy(s->text[id], text, SMALL_TEXT);
	s->tokens[id] = (struct vocab_token){ s->text[id],
		(uint32_t)strlen(text), score, type };
	return id;
}

static void
begin(struct vocab_small *s, const char *model, const char *pre)
{
	memset(s, 0, sizeof(*s));
	strlcpy(s->v.model, model, sizeof(s->v.model));
	strlcpy(s->v.pre, pre, sizeof(s->v.pre));
	s->v.tokens = s->tokens;
	s->v.merges = s->merges;
	s->v.bos = s->v.eos = s->v.eot = s->v.pad = s->v.unk = MODEL_NO_TOKEN;
}

static void
merge(struct vocab_small *s, uint32_t left, uint32_t right)
{
	char text[2 * SMALL_TEXT];

	snprintf(text, sizeof(text), "%s%s", s->text[left], s->text[right]);
	s->merges[s->v.nmerges] = (struct vocab_merge){ left, right, s->v.n };
	s->v.nmerges++;
	add(s, text, TOKEN_NORMAL, 0);
}

static void
specials(struct vocab_small *s)
{
	add(s, "<|im_start|>", TOKEN_CONTROL, 0);
	add(s, "<|im_end|>", TOKEN_CONTROL, 0);
	add(s, "<think>", TOKEN_USER_DEFINED, 0);
	add(s, "    ", TOKEN_USER_DEFINED, 0);
}

void
vocab_small_bpe(struct vocab_small *s, const char *pre)
{
	uint32_t b, other = 256;
	char utf8[8] = "";

	begin(s, "gpt2", pre);
	for (b = 0; b < 256; b++) {
		bool plain =
		    (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;

		memset(utf8, 0, sizeof(utf8));
		unicode_encode(plain ? b : other++, utf8);
		add(s, utf8, TOKEN_NORMAL, 0);
	}
	merge(s, 't', 'h');   /* 256 th */
	merge(s, 256, 'e');   /* 257 the */
	merge(s, ' ', 257);   /* 258 " the" */
	merge(s, 'a', 'a');   /* 259 aa */
	merge(s, 259, 259);   /* 260 aaaa */
	merge(s, 260, 260);   /* 261 aaaaaaaa */
	merge(s, 0xe4, 0xbd); /* 262 two thirds of U+4F60 */
	merge(s, 262, 0xa0);  /* 263 */
	merge(s, '\n', '\n'); /* 264 */
	merge(s, '<', '|');   /* 265 */
	merge(s, 'i', 'm');   /* 266 */
	specials(s);
	/* A file that would let text make the end of a turn. */
	s->merges[s->v.nmerges++] =
	    (struct vocab_merge){ '|', '>', s->v.n - 3 };
}

void
vocab_small_spm(struct vocab_small *s)
{
	char name[8];
	unsigned int b;
	uint32_t c;

	begin(s, "llama", "default");
	s->v.add_space_prefix = true;
	s->v.unk = (int32_t)add(s, "<unk>", TOKEN_UNKNOWN, 0);
	add(s, "<s>", TOKEN_CONTROL, 0);
	add(s, "</s>", TOKEN_CONTROL, 0);
	for (b = 0; b < 256; b++) {
		snprintf(name, sizeof(name), "<0x%02X>", b);
		add(s, name, TOKEN_BYTE, 0);
	}
	add(s, "\xe2\x96\x81", TOKEN_NORMAL, -1);
	add(s, "\xe2\x96\x81the", TOKEN_NORMAL, -2);
	add(s, "th", TOKEN_NORMAL, -3);
	add(s, "he", TOKEN_NORMAL, -2.5f);
	add(s, "s>", TOKEN_NORMAL, -5);
	for (c = 'a'; c <= 'z'; c++) {
		char one[2] = { (char)c, '\0' };

		add(s, one, TOKEN_NORMAL, -100);
	}
	specials(s);
}

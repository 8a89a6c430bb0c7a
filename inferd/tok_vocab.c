/*
 * From the vocabulary of a file to tables that encode.  The file is not
 * trusted: what would let text make a control token, or come back as other
 * bytes, is refused or left out.
 */
#include "inferd/tok_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/unicode.h"

#define SPACE_MARK "\xe2\x96\x81" /* U+2581 stands for a space */

/*
 * Byte-level vocabularies write each byte as a printable character: itself,
 * or U+0100 and up in order.
 */
static void
byte_letters(int16_t byte_of[324])
{
	int16_t b, other = 256;

	memset(byte_of, 0xff, 324 * sizeof(*byte_of));
	for (b = 0; b < 256; b++) {
		if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174)
			byte_of[b] = b;
		else
			byte_of[other++] = b;
	}
}

/* Appends the bytes that a token's letters stand for; false: not letters. */
static bool
from_letters(
    const int16_t byte_of[324], const struct vocab_token *v, struct buf *out)
{
	size_t i, len, before = out->len;
	uint32_t cp;

	for (i = 0; i < v->len; i += len) {
		cp = unicode_decode(v->p + i, v->len - i, &len);
		if (cp >= 324 || byte_of[cp] < 0) {
			out->len = before;
			return false;
		}
		buf_put_u8(out, (uint8_t)byte_of[cp]);
	}
	return true;
}

/*
 * Markup that a vocabulary lists among the user-defined tokens: <think>,
 * <tool_call>, [INST].  Like control tokens it is the template's to say.
 */
bool
tok_is_markup(const char *p, size_t n)
{
	return n >= 3 && ((p[0] == '<' && p[n - 1] == '>') ||
			     (p[0] == '[' && p[n - 1] == ']'));
}

/*
 * What stands for no text must not come from any: the tokens that the file
 * names for a purpose, and <|...|>, where it lists them as ordinary ones.
 */
static uint8_t
type_of(const struct vocab_table *v, uint32_t id)
{
	const struct vocab_token *t = &v->tokens[id];
	const int32_t named[] = { v->bos, v->eos, v->eot, v->pad, v->unk };
	size_t i;

	if ((t->type != TOKEN_NORMAL && t->type != TOKEN_USER_DEFINED) ||
	    !tok_is_markup(t->p, t->len))
		return t->type;
	if (t->len > 4 && memcmp(t->p, "<|", 2) == 0 &&
	    memcmp(t->p + t->len - 2, "|>", 2) == 0)
		return TOKEN_CONTROL;
	for (i = 0; i < nitems(named); i++)
		if (named[i] == (int32_t)id)
			return TOKEN_CONTROL;
	return t->type;
}

/* Can characters of a text become this token? */
static bool
from_text(const struct tok *t, uint32_t id)
{
	return t->type[id] == TOKEN_NORMAL ||
	       (t->type[id] == TOKEN_USER_DEFINED &&
		   !tok_is_markup(t->text + t->off[id], tok_len(t, id)));
}

static void
tables(struct tok *t)
{
	uint32_t id;
	size_t n;

	tok_map_init(&t->map, t->n);
	t->special.id = xcalloc(t->n, sizeof(uint32_t));
	t->plain.id = xcalloc(t->n, sizeof(uint32_t));
	for (id = 0; id < t->n; id++) {
		n = tok_len(t, id);
		if (n == 0)
			continue;
		if (t->type[id] == TOKEN_CONTROL ||
		    t->type[id] == TOKEN_USER_DEFINED)
			t->special.id[t->special.n++] = id;
		if (t->type[id] == TOKEN_USER_DEFINED &&
		    !tok_is_markup(t->text + t->off[id], n))
			t->plain.id[t->plain.n++] = id;
		if (t->type[id] != TOKEN_NORMAL)
			continue;
		tok_map_add(t, &t->map, id);
		if (n > t->longest)
			t->longest = (uint32_t)n;
	}
	tok_sorted_make(t, &t->special);
	tok_sorted_make(t, &t->plain);
}

/* Takes the bytes of all tokens from b. */
static void
take_text(struct tok *t, struct buf *b)
{
	t->text =
	    buf_len(b) == 0 ? xcalloc(1, 1) : xmemdup(buf_head(b), buf_len(b));
}

/*
 * Every byte needs a token, or one that stands for what is unknown.  Byte-level
 * vocabularies may lack what UTF-8 never holds.
 */
static int
bytes_known(const struct tok *t, int32_t unk, struct error *err)
{
	int b;

	for (b = 0; b < 256; b++) {
		if (t->byte_id[b] >= 0 || unk >= 0)
			continue;
		if (!t->spm && (b == 0xc0 || b == 0xc1 || b > 0xf4))
			continue;
		return error_set(err, 0, "vocabulary: no token for byte 0x%02x",
		    (unsigned int)b);
	}
	return 0;
}

static void
bytes_unknown(struct tok *t, int32_t unk)
{
	int b;

	for (b = 0; b < 256; b++)
		if (t->byte_id[b] < 0)
			t->byte_id[b] = unk;
}

static int
add_merge(struct tok *t, const struct vocab_merge *m, uint32_t rank,
    struct error *err)
{
	uint64_t pair = (uint64_t)m->left << 32 | m->right;
	size_t nl, nr;
	uint32_t i;

	if (m->left >= t->n || m->right >= t->n || m->result >= t->n)
		return error_set(err, 0,
		    "vocabulary: merge %u names token %u "
		    "of %u",
		    rank, m->result, t->n);
	nl = tok_len(t, m->left);
	nr = tok_len(t, m->right);
	if (!from_text(t, m->left) || !from_text(t, m->right) ||
	    !from_text(t, m->result))
		return 0;
	if (nl == 0 || nr == 0 || tok_len(t, m->result) != nl + nr ||
	    memcmp(t->text + t->off[m->result], t->text + t->off[m->left],
		nl) != 0 ||
	    memcmp(t->text + t->off[m->result] + nl, t->text + t->off[m->right],
		nr) != 0)
		return error_set(err, 0,
		    "vocabulary: merge %u does not make its token", rank);
	i = (uint32_t)((pair * 0x9e3779b97f4a7c15ull) >> 32);
	for (i &= t->merge_mask; t->merges[i].pair != UINT64_MAX;
	     i = (i + 1) & t->merge_mask)
		if (t->merges[i].pair == pair)
			return 0; /* the first rank counts */
	t->merges[i] = (struct tok_merge){ pair, rank, m->result };
	return 0;
}

static int
merges(struct tok *t, const struct vocab_table *v, struct error *err)
{
	uint32_t size = 64, i;

	while (size < v->nmerges + v->nmerges / 2)
		size *= 2;
	t->merges = xreallocarray(NULL, size, sizeof(*t->merges));
	t->merge_mask = size - 1;
	for (i = 0; i < size; i++)
		t->merges[i].pair = UINT64_MAX;
	for (i = 0; i < v->nmerges; i++)
		if (add_merge(t, &v->merges[i], i, err) < 0)
			return -1;
	return 0;
}

int
tok_vocab_bpe(struct tok *t, const struct vocab_table *v, struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	int16_t byte_of[324];
	uint32_t id;

	byte_letters(byte_of);
	for (id = 0; id < t->n; id++) {
		const struct vocab_token *vt = &v->tokens[id];

		t->off[id] = (uint32_t)b.len;
		t->type[id] = type_of(v, id);
		if (t->type[id] == TOKEN_NORMAL &&
		    !from_letters(byte_of, vt, &b))
			t->type[id] = TOKEN_UNUSED;
		if (t->type[id] != TOKEN_NORMAL)
			buf_put(&b, vt->p, vt->len);
		else if (b.len == t->off[id] + 1 &&
			 t->byte_id[b.data[b.len - 1]] < 0)
			t->byte_id[b.data[b.len - 1]] = (int32_t)id;
	}
	t->off[id] = (uint32_t)b.len;
	take_text(t, &b);
	tables(t);
	if (bytes_known(t, v->unk, err) < 0 || merges(t, v, err) < 0)
		return -1;
	bytes_unknown(t, v->unk);
	return 0;
}

/* "<0x0A>": the byte, or -1. */
static int
byte_name(const struct vocab_token *v)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *hi, *lo;

	if (v->len != 6 || memcmp(v->p, "<0x", 3) != 0 || v->p[5] != '>' ||
	    v->p[3] == '\0' || v->p[4] == '\0')
		return -1;
	hi = strchr(digits, v->p[3]);
	lo = strchr(digits, v->p[4]);
	if (hi == NULL || lo == NULL)
		return -1;
	return (int)((hi - digits) * 16 + (lo - digits));
}

/* Does a space stand behind another character? */
static bool
later_space(const char *p, size_t n)
{
	bool other = false;
	size_t i;

	for (i = 0; i < n; i++) {
		if (n - i >= 3 && memcmp(p + i, SPACE_MARK, 3) == 0) {
			if (other)
				return true;
			i += 2;
		} else {
			other = true;
		}
	}
	return false;
}

int
tok_vocab_spm(struct tok *t, const struct vocab_table *v, struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	uint32_t id;
	int byte;

	t->score = xcalloc(t->n, sizeof(*t->score));
	t->split_spaces = true;
	for (id = 0; id < t->n; id++) {
		const struct vocab_token *vt = &v->tokens[id];

		t->off[id] = (uint32_t)b.len;
		t->type[id] = type_of(v, id);
		t->score[id] = vt->score;
		if (!isfinite(vt->score))
			return error_set(
			    err, 0, "vocabulary: token %u has no score", id);
		byte = vt->type == TOKEN_BYTE ? byte_name(vt) : -1;
		if (byte >= 0) {
			buf_put_u8(&b, (uint8_t)byte);
			if (t->byte_id[byte] < 0)
				t->byte_id[byte] = (int32_t)id;
			continue;
		}
		buf_put(&b, vt->p, vt->len);
		if (t->type[id] == TOKEN_NORMAL && later_space(vt->p, vt->len))
			t->split_spaces = false;
	}
	t->off[id] = (uint32_t)b.len;
	take_text(t, &b);
	tables(t);
	if (bytes_known(t, v->unk, err) < 0)
		return -1;
	bytes_unknown(t, v->unk);
	return 0;
}

#include "inferd/tok.h"
#include "inferd/tok_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/unicode.h"

#define SPACE_MARK "\xe2\x96\x81" /* U+2581 stands for a space */

void
tok_ids_free(struct tok_ids *ids)
{
	free(ids->id);
	memset(ids, 0, sizeof(*ids));
}

void
tok_ids_push(struct tok_ids *ids, int32_t id)
{
	if (ids->n == ids->cap) {
		ids->cap = ids->cap == 0 ? 64 : ids->cap * 2;
		ids->id = xreallocarray(ids->id, ids->cap, sizeof(*ids->id));
	}
	ids->id[ids->n++] = id;
}

struct tok *
tok_new(const struct vocab_table *v, struct error *err)
{
	struct tok *t;
	uint64_t bytes = 0;
	uint32_t i;
	int rc;

	if (!str_eq(v->model, "gpt2") && !str_eq(v->model, "llama")) {
		error_set(err, 0,
		    "vocabulary: tokenizer \"%s\" is not supported (gpt2 and "
		    "llama are)",
		    v->model);
		return NULL;
	}
	for (i = 0; i < v->n; i++)
		bytes += v->tokens[i].len;
	if (v->n == 0 || bytes > UINT32_MAX || v->unk >= (int64_t)v->n) {
		error_set(err, 0, "vocabulary: no tokens, or too many");
		return NULL;
	}
	t = xcalloc(1, sizeof(*t));
	t->spm = str_eq(v->model, "llama");
	if (!t->spm) {
		t->pre = tok_pre_find(v->pre);
		if (t->pre == TOK_PRE_NONE) {
			error_set(err, 0,
			    "vocabulary: pre-tokenizer \"%s\" is not "
			    "supported",
			    v->pre);
			tok_free(t);
			return NULL;
		}
	}
	t->whole_words = t->pre == TOK_PRE_LLAMA_BPE;
	t->space_prefix = v->add_space_prefix;
	t->n = v->n;
	t->eos = v->eos;
	t->eot = v->eot;
	t->off = xcalloc((size_t)v->n + 1, sizeof(*t->off));
	t->type = xcalloc(v->n, 1);
	memset(t->byte_id, 0xff, sizeof(t->byte_id));
	rc = t->spm ? tok_vocab_spm(t, v, err) : tok_vocab_bpe(t, v, err);
	if (rc < 0) {
		tok_free(t);
		return NULL;
	}
	return t;
}

void
tok_free(struct tok *t)
{
	if (t == NULL)
		return;
	free(t->text);
	free(t->off);
	free(t->type);
	free(t->score);
	free(t->map.slot);
	free(t->special.id);
	free(t->plain.id);
	free(t->merges);
	free(t);
}

uint32_t
tok_count(const struct tok *t)
{
	return t->n;
}

/* Found in a text before all others. */
static bool
is_set_apart(const struct tok *t, int32_t id)
{
	return id >= 0 && (uint32_t)id < t->n && t->type[id] != TOKEN_NORMAL &&
	       t->type[id] != TOKEN_BYTE;
}

bool
tok_is_special(const struct tok *t, int32_t id)
{
	return is_set_apart(t, id) && !(t->type[id] == TOKEN_USER_DEFINED &&
					  !tok_is_markup(t->text + t->off[id],
					      tok_len(t, (uint32_t)id)));
}

bool
tok_is_end(const struct tok *t, int32_t id)
{
	return id >= 0 && (id == t->eos || id == t->eot);
}

int32_t
tok_find_special(const struct tok *t, const char *name)
{
	size_t n = strlen(name);
	uint32_t id = tok_sorted_longest(t, &t->special, name, n);

	return id != TOK_NONE && tok_len(t, id) == n ? (int32_t)id : -1;
}

/* One tok_encode_spans(). */
struct encode {
	const struct tok *t;
	struct tok_work w;
	struct tok_ids *out;
	struct buf spaced; /* SentencePiece: text with its spaces marked */
};

/* A long word in parts, cut between characters. */
static void
word(const char *p, size_t n, void *arg)
{
	struct encode *e = arg;
	size_t take;

	for (; n > 0; p += take, n -= take) {
		take = n;
		if (take > TOK_WORD_MAX) {
			take = TOK_WORD_MAX;
			take -= unicode_tail(p, take);
		}
		if (e->t->spm)
			tok_word_spm(e->t, &e->w, p, take, e->out);
		else
			tok_word_bpe(e->t, &e->w, p, take, e->out);
	}
}

static bool
is_mark(const char *p, size_t n)
{
	return n >= 3 && memcmp(p, SPACE_MARK, 3) == 0;
}

static void
encode_spm(struct encode *e, const char *p, size_t n)
{
	const struct tok_ids *out = e->out;
	struct buf *b = &e->spaced;
	const char *s;
	size_t i, from = 0;

	buf_clear(b);
	if (e->t->space_prefix &&
	    (out->n == 0 || is_set_apart(e->t, out->id[out->n - 1])))
		buf_put(b, SPACE_MARK, 3);
	for (i = 0; i < n; i++) {
		if (p[i] == ' ')
			buf_put(b, SPACE_MARK, 3);
		else
			buf_put_u8(b, (uint8_t)p[i]);
	}
	s = (const char *)buf_head(b);
	n = buf_len(b);
	/* No token reaches over the beginning of a run of spaces. */
	for (i = 1; e->t->split_spaces && i < n; i++) {
		if (!is_mark(s + i, n - i) || (i >= 3 && is_mark(s + i - 3, 3)))
			continue;
		word(s + from, i - from, e);
		from = i;
	}
	word(s + from, n - from, e);
}

/* Text without special tokens. */
static void
encode_text(struct encode *e, const char *p, size_t n)
{
	if (n == 0)
		return;
	if (e->t->spm)
		encode_spm(e, p, n);
	else
		tok_pre_split(e->t->pre, p, n, word, e);
}

/* The text of all spans is one; special tokens cut it. */
static void
encode_joined(
    struct encode *e, const char *p, size_t n, const struct tok_span *spans)
{
	const struct tok *t = e->t;
	size_t from = 0, i = 0, end = spans->n;
	uint32_t id;

	while (i < n) {
		while (i >= end)
			end += (++spans)->n;
		id = TOK_NONE;
		if (spans->special)
			id = tok_sorted_longest(t, &t->special, p + i, end - i);
		if (id == TOK_NONE && t->plain.n > 0)
			id = tok_sorted_longest(t, &t->plain, p + i, n - i);
		if (id == TOK_NONE) {
			i++;
			continue;
		}
		encode_text(e, p + from, i - from);
		tok_ids_push(e->out, (int32_t)id);
		i += tok_len(t, id);
		from = i;
	}
	encode_text(e, p + from, n - from);
}

int
tok_encode_spans(const struct tok *t, const struct tok_span *spans,
    size_t nspans, struct tok_ids *out)
{
	struct encode e = { .t = t, .out = out };
	cleanup_buf struct buf joined = { 0 };
	size_t i, n = 0;

	for (i = 0; i < nspans; i++) {
		if (spans[i].n > TOK_TEXT_MAX - n)
			return -1;
		n += spans[i].n;
	}
	if (n == 0)
		return 0;
	if (nspans > 1)
		for (i = 0; i < nspans; i++)
			buf_put(&joined, spans[i].p, spans[i].n);
	encode_joined(&e,
	    nspans > 1 ? (const char *)buf_head(&joined) : spans[0].p, n,
	    spans);
	tok_work_free(&e.w);
	buf_free(&e.spaced);
	return 0;
}

int
tok_encode(const struct tok *t, const char *text, size_t n, bool special,
    struct tok_ids *out)
{
	const struct tok_span span = { text, n, special };

	return tok_encode_spans(t, &span, 1, out);
}

const char *
tok_piece(const struct tok *t, int32_t id, size_t *len)
{
	if (id < 0 || (uint32_t)id >= t->n) {
		*len = 0;
		return NULL;
	}
	*len = tok_len(t, (uint32_t)id);
	return t->text + t->off[id];
}

void
tok_stream_init(struct tok_stream *s, const struct tok *t, bool start)
{
	memset(s, 0, sizeof(*s));
	s->t = t;
	s->strip = start && t->spm && t->space_prefix;
}

void
tok_stream_push(struct tok_stream *s, int32_t id, struct buf *out)
{
	size_t n, i, tail, before = buf_len(out);
	const char *p = tok_piece(s->t, id, &n);

	if (n == 0)
		return;
	buf_put(out, s->held, s->nheld);
	for (i = 0; i < n; i++) {
		if (s->t->spm && is_mark(p + i, n - i)) {
			if (!s->strip || i > 0)
				buf_put_u8(out, ' ');
			i += 2;
		} else {
			buf_put_u8(out, (uint8_t)p[i]);
		}
	}
	s->strip = false;
	n = buf_len(out) - before;
	if (n == 0)
		return;
	tail = unicode_tail(buf_head(out) + before, n);
	memcpy(s->held, buf_head(out) + buf_len(out) - tail, tail);
	s->nheld = tail;
	out->len -= tail;
}

void
tok_stream_end(struct tok_stream *s, struct buf *out)
{
	buf_put(out, s->held, s->nheld);
	s->nheld = 0;
}

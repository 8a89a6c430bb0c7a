/*
 * Text to token ids and back, by the vocabulary of a model: byte-level BPE
 * behind a pre-tokeniser, or SentencePiece.  Pure; a struct tok is not changed
 * after tok_new(), so any thread may use it.
 *
 * A control token comes only from text that is marked as the template's: the
 * same characters in a user's or a tool's text are tokenised as characters.
 */
#ifndef BRIG_INFERD_TOK_H
#define BRIG_INFERD_TOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "inferd/model_table.h"

#define TOK_TEXT_MAX (64u << 20) /* bytes of one tok_encode() */
/* What stands together longer than this is taken apart first, so that memory
 * and time stay bounded. */
#define TOK_WORD_MAX 65536u

struct tok;

struct tok_ids {
	int32_t *id;
	size_t n, cap;
};

void tok_ids_free(struct tok_ids *ids); /* safe on a zeroed one */
#define cleanup_tok_ids attr_cleanup(tok_ids_free)
void tok_ids_push(struct tok_ids *ids, int32_t id);

/* One piece of a prompt. */
struct tok_span {
	const char *p;
	size_t n;
	bool special; /* the template's: control tokens are recognised */
};

/*
 * Copies what it needs of v.  NULL with err: not a kind of vocabulary or
 * pre-tokeniser that is known (named), or one that contradicts itself.
 */
struct tok *tok_new(const struct vocab_table *v, struct error *err);
void tok_free(struct tok *t); /* NULL is fine */

/*
 * Appends the ids of n bytes, which need not be UTF-8.  No beginning or end
 * token is added.  -1: longer than TOK_TEXT_MAX; nothing is appended.
 */
int tok_encode(const struct tok *t, const char *text, size_t n, bool special,
    struct tok_ids *out);
/*
 * The same for the spans as one text: what they join to is tokenised as if it
 * had been written in one go, but a control token lies within one span.
 */
int tok_encode_spans(const struct tok *t, const struct tok_span *spans,
    size_t nspans, struct tok_ids *out);

uint32_t tok_count(const struct tok *t);
/*
 * The bytes that a token stands for, borrowed; a control token's are its
 * name.  NULL: no such id.
 */
const char *tok_piece(const struct tok *t, int32_t id, size_t *len);
/* Control tokens and those that stand for markup: no text of a model. */
bool tok_is_special(const struct tok *t, int32_t id);
/* Ends a text or a turn, as the file says. */
bool tok_is_end(const struct tok *t, int32_t id);
/* The id of a control or markup token by its name, -1 if there is none. */
int32_t tok_find_special(const struct tok *t, const char *name);

/*
 * Text as it is streamed: bytes of ids that arrive one by one, cut only
 * between characters.
 */
struct tok_stream {
	const struct tok *t;
	char held[4]; /* the beginning of a character */
	size_t nheld;
	bool strip; /* the space that SentencePiece puts first is to come */
};

/* start: the text begins here, not after other text. */
void tok_stream_init(struct tok_stream *s, const struct tok *t, bool start);
/* Appends what is whole characters; other bytes wait for the next. */
void tok_stream_push(struct tok_stream *s, int32_t id, struct buf *out);
/* What still waits, as it is: the text ends within a character. */
void tok_stream_end(struct tok_stream *s, struct buf *out);

#endif

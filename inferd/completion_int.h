/*
 * Shared by the files of completions; nobody else includes it.
 */
#ifndef BRIG_INFERD_COMPLETION_INT_H
#define BRIG_INFERD_COMPLETION_INT_H

#include "inferd/call_loop.h"
#include "inferd/completion.h"
#include "inferd/grammar.h"
#include "inferd/guide.h"
#include "inferd/sample.h"
#include "inferd/stoptext.h"
#include "inferd/toolcall.h"

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

	/* What has to match a schema: the text, and arguments of this call. */
	struct grammar_state *text_is, *args_are;
	bool text_begun, dead;
	const struct guide_call *strict; /* of these arguments */
	const struct mask *masks;
	struct mask *own_masks;

	/* The call that goes on may be the same over again: not told yet. */
	bool held;
	struct buf name, args; /* of it, then */
	uint32_t calls;

	struct buf bytes;
	struct tok_ids tokens;
	uint32_t sampled, thinking;
	enum gen_finish state;
	enum gen_finish want; /* what ends it when this token is taken in */
	bool muted;           /* nothing is said any more */
	char *stop_text;
};

/* The bytes of one token; SentencePiece's mark is a space. */
void completion_piece(
    const struct completion *c, uint32_t token, struct buf *out);
/* Does this token end the turn?  Harmony's files name the end of a message. */
bool completion_is_end(const struct completion *c, uint32_t token);
/* Draws again among the tokens that `allows`; the drawn one if there are
 * none. */
uint32_t completion_draw_among(struct completion *c,
    const struct sample_params *s, const float *logits,
    bool (*allows)(const struct completion *c, uint32_t token), uint32_t drawn);

/* completion_force.c: words that it says whatever the logits say. */
static inline bool
completion_is_forced(const struct completion *c)
{
	return c->at < c->forced.n;
}

void completion_say(struct completion *c, const char *markup);
/* Does a call that has to be begin here, instead of this token? */
bool completion_call_here(
    struct completion *c, enum toolcall_place place, uint32_t token);
/* The name of a call that we began: a token of it, and what follows. */
uint32_t completion_draw_name(struct completion *c,
    const struct sample_params *s, const float *logits, uint32_t drawn);
void completion_name_on(struct completion *c);
/* A call that the model began, whose arguments have to match a schema. */
void completion_call_began(struct completion *c);

/* completion_grammar.c */
/* The token that is drawn where text or arguments have to match. */
uint32_t completion_draw_strict(struct completion *c,
    const struct sample_params *s, const float *logits,
    enum toolcall_place place, uint32_t drawn);
/* Is this under a schema now? */
bool completion_is_strict(
    const struct completion *c, enum toolcall_place place);
/* After a token: arguments that are whole are ended.  True: the text is. */
bool completion_strict_over(struct completion *c);

#endif

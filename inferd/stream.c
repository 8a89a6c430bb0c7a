#include "inferd/stream.h"

#include <stdlib.h>
#include <time.h>

#include "base/str.h"
#include "inferd/grammar.h"

/* Between two words on how far it is. */
#define TELL_US 250000u

struct stream *
stream_new(struct gen *g, struct post *p)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	s->gen = g;
	s->post = p;
	s->n = s->cap = g->n;
	s->ids = xcalloc(g->n, sizeof(*s->ids));
	for (uint32_t i = 0; i < g->n; i++)
		s->ids[i] = (uint32_t)g->prompt[i];
	free(steal_ptr(&g->prompt));
	s->usage.prompt = g->n;
	return s;
}

void
stream_free(struct stream *s)
{
	completion_free(s->c);
	draft_free(s->draft);
	guess_free(s->guess);
	free(s->ids);
	free(s);
}

bool
stream_decodes(const struct stream *s)
{
	return s->kv != NULL && !s->job.hungry;
}

bool
stream_may_tell(const struct stream *s, uint64_t now_us)
{
	return s->c == NULL &&
	       (s->told_us == 0 || now_us - s->told_us >= TELL_US);
}

void
stream_tell(
    struct stream *s, uint32_t position, uint32_t eta_ms, uint64_t now_us)
{
	const struct gen_event e = { .type = GEN_PROGRESS,
		.queue_position = position,
		.done = s->at,
		.all = s->usage.prompt,
		.eta_ms = eta_ms };

	s->told_us = now_us;
	post_event(s->post, s->gen, &e);
}

static void
say(const struct gen_event *e, void *arg)
{
	struct stream *s = arg;

	post_event(s->post, s->gen, e);
}

static uint64_t
thread_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

bool
stream_draw(struct stream *s, const struct tok *t, struct mask **mask,
    const float *logits, uint64_t now_us)
{
	const struct gen_params *p = &s->gen->params;
	uint64_t us;

	if (s->c == NULL) {
		s->c = completion_new(
		    t, &s->gen->params, s->gen->ids, s->gen->loop, say, s);
		if (*mask == NULL &&
		    (p->grammar != NULL || p->tool_grammar != NULL))
			*mask = mask_new(t);
		completion_mask(s->c, *mask);
		s->first_us = now_us;
	}
	if (s->n == s->cap) {
		s->cap += s->cap / 2 + 64;
		s->ids = xreallocarray(s->ids, s->cap, sizeof(*s->ids));
	}
	us = thread_us();
	s->ids[s->n++] = completion_next(s->c, logits);
	s->draw_us += thread_us() - us;
	return completion_state(s->c) == GEN_GOING;
}

static void
end_usage(struct stream *s, uint64_t now_us)
{
	struct gen_usage *u = &s->usage;
	const uint64_t began = s->began_us != 0 ? s->began_us : now_us,
		       first = s->first_us != 0 ? s->first_us : now_us;

	u->queue_us = began - s->gen->came_us;
	u->prompt_us = first - began;
	u->sample_us = now_us - first;
	if (s->c != NULL) {
		u->sampled = completion_sampled(s->c);
		u->thinking = completion_thinking(s->c);
	}
}

void
stream_end(struct stream *s, enum gen_finish why, uint64_t now_us)
{
	struct gen_event e = { .type = GEN_END, .finish = why };
	const struct buf *bytes;

	if (s->c != NULL) {
		if (completion_state(s->c) == GEN_GOING)
			completion_stop(s->c, why);
		e.finish = completion_state(s->c);
		e.stop = completion_stop_text(s->c);
		bytes = completion_bytes(s->c);
		e.p = (const char *)buf_head(bytes);
		e.n = buf_len(bytes);
		e.tokens = completion_tokens(s->c)->id;
		e.ntokens = completion_tokens(s->c)->n;
	}
	end_usage(s, now_us);
	e.usage = s->usage;
	post_event(s->post, s->gen, &e);
	s->gen = NULL;
}

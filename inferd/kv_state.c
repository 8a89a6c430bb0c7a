#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/kv_int.h"

#define ALIGN 64u

struct kv_state {
	unsigned refs;
	uint8_t *data;
};

size_t
kv_state_bytes(const struct kv_pool *p)
{
	return p->state;
}

struct kv_state *
kv_state_new(struct kv_pool *p)
{
	struct kv_state *state;

	if (p->budget - p->used < p->state)
		return NULL;
	p->used += p->state;
	state = xcalloc(1, sizeof(*state));
	state->refs = 1;
	state->data = xaligned(ALIGN, p->state);
	return state;
}

struct kv_state *
kv_state_hold(struct kv_state *state)
{
	state->refs++;
	return state;
}

/* Nobody is to read what it was, wherever the memory goes. */
void
kv_state_drop(struct kv_pool *p, struct kv_state *state)
{
	if (state == NULL || --state->refs > 0)
		return;
	p->used -= p->state;
	explicit_bzero(state->data, p->state);
	free(state->data);
	free(state);
}

void *
kv_state_data(struct kv_state *state)
{
	return state->data;
}

static struct kv_state *
copy(struct kv_pool *p, const struct kv_state *from)
{
	struct kv_state *to = kv_state_new(p);

	if (to != NULL)
		memcpy(to->data, from->data, p->state);
	return to;
}

int
kv_seq_have_state(struct kv_seq *s)
{
	if (s->pool->state == 0 || s->state != NULL)
		return 0;
	s->state = kv_state_new(s->pool);
	if (s->state == NULL)
		return -1;
	memset(s->state->data, 0, s->pool->state);
	return 0;
}

int
kv_seq_copy_state(struct kv_seq *s, const struct kv_seq *from, uint32_t n)
{
	if (s->pool->state == 0 || n == 0)
		return 0;
	if (from->stands != n || kv_seq_have_state(s) < 0)
		return -1;
	memcpy(s->state->data, from->state->data, s->pool->state);
	s->stands = n;
	return 0;
}

void
kv_seq_drop_states(struct kv_seq *s)
{
	kv_state_drop(s->pool, s->state);
	kv_state_drop(s->pool, s->mark);
	s->state = s->mark = NULL;
	s->stands = 0;
}

void *
kv_state(const struct kv_seq *s, uint32_t track)
{
	return s->state->data + s->pool->track[track].state;
}

void
kv_seq_enter(struct kv_seq *s)
{
	s->stands = KV_NOWHERE;
}

void
kv_seq_leave(struct kv_seq *s, uint32_t n)
{
	s->stands = n;
}

bool
kv_seq_stands(const struct kv_seq *s, uint32_t *n)
{
	*n = s->stands;
	return s->stands != KV_NOWHERE;
}

int
kv_seq_mark(struct kv_seq *s)
{
	struct kv_state *mark;

	if (s->state == NULL || s->stands == KV_NOWHERE || s->stands == 0 ||
	    s->stands % KV_PAGE != 0)
		return -1;
	if (s->mark != NULL && s->marked == s->stands)
		return 0;
	mark = copy(s->pool, s->state);
	if (mark == NULL)
		return -1;
	kv_state_drop(s->pool, s->mark);
	s->mark = mark;
	s->marked = s->stands;
	return 0;
}

struct kv_state *
kv_seq_marked(const struct kv_seq *s, uint32_t *n)
{
	*n = s->mark != NULL ? s->marked : 0;
	return s->mark;
}

int
kv_seq_resume(struct kv_seq *s, struct kv_state *state, uint32_t n)
{
	if (kv_seq_have_state(s) < 0)
		return -1;
	memcpy(s->state->data, state->data, s->pool->state);
	s->stands = n;
	kv_state_hold(state);
	kv_state_drop(s->pool, s->mark);
	s->mark = state;
	s->marked = n;
	return 0;
}

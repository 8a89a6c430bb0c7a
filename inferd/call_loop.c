#include "inferd/call_loop.h"

#include <string.h>

#define FIRST_MARK 8u

/* FNV-1a; 256 is no byte. */
static uint64_t
mix(uint64_t h, unsigned int c)
{
	return (h ^ c) * 0x100000001b3ull;
}

/* Never 0. */
static uint64_t
hash_of(struct chat_text t)
{
	uint64_t h = 0xcbf29ce484222325ull;
	size_t i;

	for (i = 0; i < t.n; i++)
		h = mix(h, (uint8_t)t.p[i]);
	return h != 0 ? h : 1;
}

static bool
is_same_again(const struct call_seen *a, const struct call_seen *b)
{
	return a->hash == b->hash &&
	       (a->result == b->result || a->result == 0 || b->result == 0);
}

/*
 * The last calls from the last new one on, in order; how many.  The oldest of
 * all makes room for the one that comes.
 */
static unsigned int
since_new(const struct call_loop *l, const struct call_seen **out)
{
	const struct call_seen *seen[CALL_LOOP_LAST];
	unsigned int n = l->n < CALL_LOOP_LAST ? l->n : CALL_LOOP_LAST - 1;
	unsigned int i, k;

	for (i = 0; i < n; i++)
		seen[i] = &l->last[(l->n - n + i) % CALL_LOOP_LAST];
	for (i = n; i-- > 0;) {
		for (k = 0; k < i && !is_same_again(seen[k], seen[i]); k++)
			;
		if (k == i)
			break;
	}
	i = n > 0 ? i : 0;
	for (k = i; k < n; k++)
		out[k - i] = seen[k];
	return n - i;
}

static unsigned int
count(const struct call_seen *const *seen, unsigned int n, uint64_t hash)
{
	unsigned int i, alike = 0;

	for (i = 0; i < n; i++)
		alike += seen[i]->hash == hash;
	return alike;
}

bool
call_loop_begin(
    struct call_loop *l, const char *name, size_t n, unsigned int max)
{
	const struct call_seen *seen[CALL_LOOP_LAST];
	uint64_t h = 0xcbf29ce484222325ull;
	unsigned int i, last = since_new(l, seen);
	size_t k;

	for (k = 0; k < n; k++)
		h = mix(h, (uint8_t)name[k]);
	memset(&l->now, 0, sizeof(l->now));
	l->now.name = l->now.hash = mix(h, 0x100);
	l->max = max;
	l->like = 0;
	l->in_string = l->escaped = false;
	for (i = 0; max > 1 && i < last; i++)
		if (seen[i]->name == l->now.name &&
		    count(seen, last, seen[i]->hash) >= max - 1)
			l->like |= 1u << (seen[i] - l->last);
	return max == 1 || l->like != 0;
}

/* Space outside of strings says nothing; clients write calls anew. */
static bool
counts(struct call_loop *l, char c)
{
	if (!l->in_string) {
		l->in_string = c == '"';
		return c != ' ' && c != '\n' && c != '\t' && c != '\r';
	}
	if (l->escaped)
		l->escaped = false;
	else if (c == '\\')
		l->escaped = true;
	else if (c == '"')
		l->in_string = false;
	return true;
}

static void
compare(struct call_loop *l, unsigned int mark)
{
	const struct call_seen *now = &l->now, *was;
	unsigned int i;

	for (i = 0; i < CALL_LOOP_LAST; i++) {
		was = &l->last[i];
		if ((l->like & 1u << i) != 0 &&
		    (was->n < now->n || was->mark[mark] != now->mark[mark]))
			l->like &= ~(1u << i);
	}
}

/* A call that is longer than all it was like is another. */
static void
outgrow(struct call_loop *l)
{
	unsigned int i;

	for (i = 0; i < CALL_LOOP_LAST; i++)
		if (l->last[i].n < l->now.n)
			l->like &= ~(1u << i);
}

bool
call_loop_args(struct call_loop *l, const char *p, size_t n)
{
	struct call_seen *now = &l->now;
	unsigned int mark = 0;
	size_t i;

	while (mark < CALL_LOOP_MARKS && now->n >= (uint64_t)FIRST_MARK << mark)
		mark++;
	for (i = 0; i < n; i++) {
		if (!counts(l, p[i]))
			continue;
		now->hash = mix(now->hash, (uint8_t)p[i]);
		now->n++;
		if (mark == CALL_LOOP_MARKS || now->n != (uint64_t)FIRST_MARK
							     << mark)
			continue;
		now->mark[mark] = now->hash;
		compare(l, mark++);
	}
	outgrow(l);
	return l->max == 1 || l->like != 0;
}

unsigned int
call_loop_end(struct call_loop *l)
{
	const struct call_seen *seen[CALL_LOOP_LAST];
	unsigned int last = since_new(l, seen);
	unsigned int alike = count(seen, last, l->now.hash) + 1;

	l->last[l->n % CALL_LOOP_LAST] = l->now;
	l->n++;
	/* Only whether there are as many matters, and which is the oldest. */
	if (l->n == 2 * CALL_LOOP_LAST)
		l->n = CALL_LOOP_LAST;
	return alike;
}

unsigned int
call_loop_add(struct call_loop *l, const struct chat_call *call)
{
	(void)call_loop_begin(l, call->name.p, call->name.n, 0);
	(void)call_loop_args(l, call->args.p, call->args.n);
	l->now.id = hash_of(call->id);
	return call_loop_end(l);
}

void
call_loop_result(
    struct call_loop *l, struct chat_text id, struct chat_text text)
{
	const uint64_t hash = hash_of(id);
	unsigned int i, n = l->n < CALL_LOOP_LAST ? l->n : CALL_LOOP_LAST;

	for (i = 1; i <= n; i++) {
		struct call_seen *c = &l->last[(l->n - i) % CALL_LOOP_LAST];

		if (c->id != hash)
			continue;
		c->result = hash_of(text);
		return;
	}
}

#include "inferd/call_loop.h"

#include <string.h>

#define FIRST_MARK 8u

/* FNV-1a; 256 is no byte. */
static uint64_t
mix(uint64_t h, unsigned int c)
{
	return (h ^ c) * 0x100000001b3ull;
}

/* How many of the last calls are this one; the oldest makes room for it. */
static unsigned int
count(const struct call_loop *l, uint64_t hash)
{
	unsigned int i, n = 0;

	for (i = 0; i < CALL_LOOP_LAST && i < l->n; i++)
		n += i != l->n % CALL_LOOP_LAST && l->last[i].hash == hash;
	return n;
}

bool
call_loop_begin(
    struct call_loop *l, const char *name, size_t n, unsigned int max)
{
	uint64_t h = 0xcbf29ce484222325ull;
	unsigned int i;
	size_t k;

	for (k = 0; k < n; k++)
		h = mix(h, (uint8_t)name[k]);
	memset(&l->now, 0, sizeof(l->now));
	l->now.name = l->now.hash = mix(h, 0x100);
	l->max = max;
	l->like = 0;
	l->in_string = l->escaped = false;
	for (i = 0; max > 1 && i < CALL_LOOP_LAST && i < l->n; i++)
		if (i != l->n % CALL_LOOP_LAST &&
		    l->last[i].name == l->now.name &&
		    count(l, l->last[i].hash) >= max - 1)
			l->like |= 1u << i;
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
	unsigned int alike = count(l, l->now.hash) + 1;

	l->last[l->n % CALL_LOOP_LAST] = l->now;
	l->n++;
	/* Only whether there are as many matters, and which is the oldest. */
	if (l->n == 2 * CALL_LOOP_LAST)
		l->n = CALL_LOOP_LAST;
	return alike;
}

unsigned int
call_loop_add(struct call_loop *l, const char *name, size_t nname,
    const char *args, size_t nargs)
{
	(void)call_loop_begin(l, name, nname, 0);
	(void)call_loop_args(l, args, nargs);
	return call_loop_end(l);
}

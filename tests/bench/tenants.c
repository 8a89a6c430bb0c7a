/*
 * make bench-tenants: does the time until the first word tell an agent what
 * another has asked?  Guesses that are right and guesses that are wrong, in
 * turn, TRIES of each, and how likely it is that both come from one
 * distribution (Mann and Whitney's U; z beyond 3.29 in one of 1000 runs).  As a
 * control the same for the agent whose prompts they are: there it must show.
 *
 * Prints JSON lines; 1 if it does not hold.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/str.h"
#include "tests/inferd/tenants.h"

#define TRIES 200u
#define PROMPT 70u
#define Z_MAX 3.29

struct sample {
	double us;
	int right;
};

static int
by_time(const void *a, const void *b)
{
	const double x = ((const struct sample *)a)->us,
		     y = ((const struct sample *)b)->us;

	return (x > y) - (x < y);
}

/* z of the ranks of the right guesses. */
static double
z_of(struct sample *s, size_t n)
{
	const double half = (double)n / 2;
	double ranks = 0;

	qsort(s, n, sizeof(*s), by_time);
	for (size_t i = 0, j; i < n; i = j) {
		for (j = i; j < n && !(s[j].us > s[i].us); j++)
			;
		for (size_t k = i; k < j; k++)
			if (s[k].right)
				ranks += (double)(i + j + 1) / 2;
	}
	return (ranks - half * ((double)n + 1) / 2) /
	       sqrt(half * half * ((double)n + 1) / 12);
}

static double
median(const struct sample *s, size_t n, int right)
{
	size_t seen = 0;

	for (size_t i = 0; i < n; i++)
		if (s[i].right == right && ++seen == n / 4)
			return s[i].us;
	return 0;
}

static double
first_us(struct tenants *t, const char *agent, uint32_t text)
{
	cleanup_free int32_t *ids = world_prompt(&t->world, text, PROMPT);
	struct answer a;

	ids[1] = (int32_t)(text / 250); /* there are more of them so */
	tenants_ask(t, agent, ids, PROMPT, 0, &a);
	return (double)a.first_us;
}

/* Whoever guesses is new each time, so that what it has asked itself does not
 * count; `owner` is who has asked the right ones. */
static double
measure(struct tenants *t, const char *name, bool owner)
{
	static struct sample s[2 * TRIES];
	char agent[16];
	double z;

	for (uint32_t i = 0; i < 2 * TRIES; i++) {
		/* Now the one first, now the other. */
		const bool right = (i % 2 == 0) == (i / 2 % 2 == 0);
		const uint32_t text = 1 + i / 2 % 5;

		if (i % 2 == 0)
			(void)first_us(t, "anna", text);
		snprintf(agent, sizeof(agent), "%s%u", name, i);
		s[i] = (struct sample){ .right = right,
			.us = first_us(t, owner ? "anna" : agent,
			    right ? text : 1000 + i + (owner ? 5000 : 0)) };
	}
	z = z_of(s, nitems(s));
	printf("{\"name\":\"%s\",\"unit\":\"us\",\"right\":%.0f,\"wrong\":%.0f,"
	       "\"z\":%.2f}\n",
	    name, median(s, nitems(s), 1), median(s, nitems(s), 0), z);
	return z;
}

int
main(void)
{
	struct tenants t;
	double other, own;

	log_set_level(LOG_LEVEL_WARN);
	tenants_new(&t);
	other = measure(&t, "other", false);
	own = measure(&t, "own", true);
	tenants_free(&t);
	return fabs(other) < Z_MAX && own < -Z_MAX ? 0 : 1;
}

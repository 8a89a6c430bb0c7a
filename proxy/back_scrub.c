/*
 * What looks for the values of an exchange in its response.  Making it takes
 * longer than all that a short response needs of it, so it is kept for a
 * moment: the next exchange, once keyd has released the very same values for
 * it, takes it as it is.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/back.h"

static const char guessed[] =
    "responses to this job have brought the start of a credential's value "
    "again and again, as they do for one who guesses it";
static const char no_more[] =
    "tell the user: no credential is used for this job any more";

/* Shorter ones would be found everywhere. */
#define PASSWORD_MIN 8u

/*
 * May the value be in a response?  Not if it signs and never leaves keyd, and
 * not if back shows it to nobody; a proxy is shown its own with each request
 * that goes through it in the clear, and may repeat it.
 */
static bool
comes_back(const struct exchange *x, const struct binding *b)
{
	if (b == NULL)
		return false;
	if (b->spec.kind == CRED_PROXY)
		return x->via && !x->head.tls;
	return cred_has_stub(b->spec.kind) && b->spec.kind != CRED_SIGV4;
}

static const struct binding *
binding_of(const struct exchange *x, size_t i)
{
	return bindings_cred(&x->back->bindings, x->cred[i].cred);
}

bool
xch_may_come_back(const struct exchange *x)
{
	for (size_t i = 0; i < x->ncreds; i++)
		if (comes_back(x, binding_of(x, i)))
			return true;
	return false;
}

/*
 * Scrubbing keeps lengths: after a rotation the placeholder may be shorter or
 * longer than the value, and is then repeated or cut.  A credential that no
 * job has a placeholder of becomes asterisks.
 */
static char *
fill(const struct secret *v, const char *stub)
{
	size_t n = secret_len(v), len = strlen(stub);
	char *p = xmalloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = stub[i % len];
	return p;
}

/* Give each value to s, or ask whether s has it; false if one is missing. */
static bool
each_value(const struct exchange *x, struct scrub *s, bool add)
{
	size_t k = 0;

	for (size_t i = 0; i < x->ncreds; i++) {
		const struct binding *b = binding_of(x, i);
		const struct secret *v = x->cred[i].value;

		if (!comes_back(x, b) ||
		    (b->stub[0] == '\0' && secret_len(v) < PASSWORD_MIN))
			continue;
		cleanup_free char *stub =
		    fill(v, b->stub[0] == '\0' ? "*" : b->stub);
		if (add)
			scrub_add(s, secret_bytes(v), stub, secret_len(v));
		else if (!scrub_has(s, k, secret_bytes(v), stub, secret_len(v)))
			return false;
		k++;
	}
	return scrub_keys(s) == k;
}

static struct scrub *
take_spare(const struct exchange *x)
{
	struct scrub_spare *sp = &x->back->spare;

	for (size_t i = sp->n; i-- > 0;)
		if (each_value(x, sp->scrub[i], false)) {
			struct scrub *s = sp->scrub[i];

			sp->scrub[i] = sp->scrub[--sp->n];
			return s;
		}
	return NULL;
}

bool
xch_scrub_prepare(struct exchange *x)
{
	for (size_t i = 0; i < x->ncreds; i++) {
		const struct binding *b = binding_of(x, i);

		if (b == NULL || b->revoked)
			return false;
	}
	if (!xch_may_come_back(x))
		return true;
	x->scrub = take_spare(x);
	if (x->scrub == NULL) {
		x->scrub = scrub_new();
		(void)each_value(x, x->scrub, true);
	}
	x->scrub_keys = scrub_keys(x->scrub);
	return true;
}

void
xch_scrub_free(struct exchange *x)
{
	struct scrub_spare *sp = &x->back->spare;
	struct scrub *s = x->scrub;

	x->scrub = NULL;
	/* Nor one that was given a captured token, or is of a capture. */
	if (s == NULL || x->scrub_keys == 0 || scrub_keys(s) != x->scrub_keys ||
	    sp->n == nitems(sp->scrub)) {
		scrub_free(s);
		return;
	}
	scrub_again(s);
	if (sp->n == 0)
		ev_timer_set(sp->timer, BACK_SPARE_MS);
	sp->scrub[sp->n++] = s;
}

bool
xch_scrub_trusts(struct exchange *x)
{
	unsigned int doubts = x->scrub == NULL ? 0 : scrub_doubts(x->scrub);

	if (doubts <= x->doubts)
		return true;
	x->back->doubts += doubts - x->doubts;
	x->doubts = doubts;
	record_guess(x, guessed, x->back->doubts >= BACK_DOUBTS_MAX);
	if (x->back->doubts < BACK_DOUBTS_MAX)
		return true;
	xch_fail(x, 403, "credential_guessed", guessed, no_more);
	return false;
}

bool
xch_scrub_admits(struct exchange *x)
{
	if (x->back->doubts < BACK_DOUBTS_MAX)
		return true;
	xch_refuse(x, 403, "credential_guessed", guessed, no_more);
	return false;
}

void
spare_drop(struct back *b)
{
	struct scrub_spare *sp = &b->spare;

	while (sp->n > 0)
		scrub_free(sp->scrub[--sp->n]);
}

static void
on_timer(void *arg)
{
	spare_drop(arg);
}

void
spare_init(struct back *b)
{
	b->spare.timer = ev_timer_new(b->ev, on_timer, b);
}

void
spare_end(struct back *b)
{
	spare_drop(b);
	ev_timer_free(b->spare.timer);
}

/*
 * Embedded tests: they run at every load, through the functions that enforce,
 * and one that fails is a mistake at its place.
 */
#include "policy/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* The argument list of expect exec. */
static int
parse_argv(struct lex *lx, struct expect *e)
{
	struct pool *pl = &lx->ld->p->pool;

	if (lx->tok.kind != TOK_LIST) {
		diag_expected(lx->ld, &lx->tok,
		    "an argument list such as [\"git\", \"status\"]", NULL, 0);
		return -1;
	}
	do {
		lex_next(lx);
		if (lx->tok.kind != TOK_STRING) {
			diag_expected(
			    lx->ld, &lx->tok, "a quoted argument", NULL, 0);
			return -1;
		}
		if (strlen(lx->tok.s) != lx->tok.len) {
			diag_at(
			    lx->ld, &lx->tok.pos, "no argument can hold a NUL");
			return -1;
		}
		if (e->narg >= EXPECT_ARGS_MAX) {
			diag_at(lx->ld, &lx->tok.pos, "more than %u arguments",
			    EXPECT_ARGS_MAX);
			return -1;
		}
		e->arg = pool_grow(pl, e->arg, e->narg, sizeof(*e->arg));
		e->arg[e->narg++] = lx->tok.s;
		lex_next(lx);
	} while (lx->tok.kind == TOK_COMMA);
	if (lx->tok.kind != TOK_LIST_END) {
		diag_expected(lx->ld, &lx->tok, "\",\" or \"]\"", NULL, 0);
		return -1;
	}
	lex_next(lx);
	return 0;
}

static int
parse_one(struct lex *lx, struct expect *e, const char *what, bool word)
{
	struct pool *pl = &lx->ld->p->pool;

	if (lx->tok.kind != TOK_STRING && !(word && lx->tok.kind == TOK_WORD)) {
		diag_expected(lx->ld, &lx->tok, what, NULL, 0);
		return -1;
	}
	e->arg = pool_grow(pl, e->arg, e->narg, sizeof(*e->arg));
	e->arg[e->narg++] = lx->tok.s;
	e->nul = e->nul || strlen(lx->tok.s) != lx->tok.len;
	lex_next(lx);
	return 0;
}

static int
parse_request(struct lex *lx, struct expect *e)
{
	switch (e->cls) {
	case POLICY_EXEC:
		return parse_argv(lx, e);
	case POLICY_READ:
	case POLICY_WRITE:
		return parse_one(lx, e, "a quoted path", false);
	case POLICY_HTTP:
		if (parse_one(lx, e, "a method", true) < 0)
			return -1;
		return parse_one(lx, e, "a quoted URL", false);
	case POLICY_NET:
		return parse_one(lx, e, "ADDRESS:PORT", true);
	case POLICY_MODEL:
		if (parse_one(lx, e, "PROVIDER/MODEL", true) < 0)
			return -1;
		if (!tok_is(&lx->tok, "max-output"))
			return 0;
		lex_next(lx);
		return parse_tokens(lx, &e->max_output);
	case POLICY_CLASSES:
		break;
	}
	return -1;
}

static void
parse_expect(struct lex *lx, struct test *t)
{
	struct load *ld = lx->ld;
	struct pool *pl = &ld->p->pool;
	struct expect e;
	int v, c;

	memset(&e, 0, sizeof(e));
	e.pos = lx->tok.pos;
	if (!tok_is(&lx->tok, "expect")) {
		diag_expected(ld, &lx->tok, "expect or \"}\"",
		    (const char *const[]){ "expect" }, 1);
		lex_next(lx);
		parse_sync(lx);
		return;
	}
	lex_next(lx);
	v = parse_effect(lx);
	c = v < 0 ? -1 : parse_class(lx);
	if (c < 0) {
		parse_sync(lx);
		return;
	}
	e.effect = (enum effect)v;
	e.cls = (enum policy_class)c;
	if (parse_request(lx, &e) < 0) {
		parse_sync(lx);
		return;
	}
	if (!parse_end(lx))
		return;
	if (++ld->p->nexpect > EXPECTS_MAX) {
		if (ld->p->nexpect == EXPECTS_MAX + 1)
			diag_at(ld, &e.pos, "more than %u expect lines",
			    EXPECTS_MAX);
		return;
	}
	t->expect = pool_grow(pl, t->expect, t->nexpect, sizeof(*t->expect));
	t->expect[t->nexpect++] = e;
}

void
parse_test(struct lex *lx, struct profile *in)
{
	struct load *ld = lx->ld;
	struct policy *p = ld->p;
	struct test *t;

	if (lx->tok.kind != TOK_STRING) {
		diag_expected(ld, &lx->tok,
		    in == p->base ? "the quoted name of a profile"
				  : "a quoted name for the test",
		    NULL, 0);
		parse_sync(lx);
		return;
	}
	t = pool_alloc(&p->pool, sizeof(*t));
	t->name = lx->tok.s;
	t->pos = lx->tok.pos;
	t->in = in == p->base ? NULL : in;
	lex_next(lx);
	if (lx->tok.kind != TOK_OPEN) {
		diag_expected(ld, &lx->tok, "\"{\" and white space", NULL, 0);
		parse_sync(lx);
		return;
	}
	lex_next(lx);
	while (lx->tok.kind != TOK_CLOSE && lx->tok.kind != TOK_EOF &&
	       ld->ds->n < POLICY_ERRORS_MAX)
		parse_expect(lx, t);
	if (lx->tok.kind != TOK_CLOSE) {
		diag_at(ld, &t->pos, "the block of this test is not closed");
		return;
	}
	lex_next(lx);
	if (t->nexpect == 0 && ld->ds->n == 0)
		diag_at(ld, &t->pos, "the test expects nothing");
	p->test = pool_grow(&p->pool, p->test, p->ntest, sizeof(*p->test));
	p->test[p->ntest++] = t;
}

/* The only profile that the file of t defines, or NULL. */
static const struct profile *
only_profile(const struct policy *p, const struct test *t)
{
	const struct profile *pr = NULL;
	size_t i;

	for (i = 0; i < p->nprofile; i++) {
		if (p->profile[i]->pos.src != t->pos.src)
			continue;
		if (pr != NULL)
			return NULL;
		pr = p->profile[i];
	}
	return pr;
}

/* "coding" or "coding: pushes are asked about"; any name will do where there
 * is no doubt. */
static const struct profile *
test_profile(struct load *ld, const struct test *t)
{
	const struct profile *pr;
	cleanup_free char *name = xstrndup(t->name, strcspn(t->name, ":"));

	if (t->in != NULL)
		return t->in;
	pr = policy_profile(ld->p, name);
	if (pr == NULL)
		pr = only_profile(ld->p, t);
	if (pr == NULL)
		diag_at(ld, &t->pos,
		    "a test is named after the profile it "
		    "tests, and there is no profile \"%.64s\"",
		    name);
	return pr;
}

static void
run_expect(struct load *ld, const struct profile *pr, const struct expect *e)
{
	const struct policy *p = ld->p;
	struct decision d;

	memset(&d, 0, sizeof(d));
	switch (e->cls) {
	case POLICY_EXEC:
		policy_explain_exec(p, pr, e->arg, e->narg, &d);
		break;
	case POLICY_READ:
	case POLICY_WRITE:
		policy_path(p, pr, e->cls, e->arg[0], &d);
		break;
	case POLICY_HTTP:
		policy_explain_http(p, pr, e->arg[0], e->arg[1], &d);
		break;
	case POLICY_NET:
		policy_explain_net(p, pr, e->arg[0], &d);
		break;
	case POLICY_MODEL:
		policy_explain_model(p, pr, e->arg[0], e->max_output, &d);
		break;
	case POLICY_CLASSES:
		break;
	}
	/* What a C string cannot hold, no parser of ours lets through. */
	if (e->nul)
		decision_failsafe(&d, "NUL", "a NUL byte in the request");
	if (d.effect != e->effect)
		diag_at(ld, &e->pos,
		    "test failed: expected %s, got %s (%s: "
		    "%.120s)",
		    effect_name(e->effect), effect_name(d.effect), d.rule,
		    d.because);
}

void
run_tests(struct load *ld)
{
	const struct profile *pr;
	const struct test *t;
	size_t i, k;

	for (i = 0; i < ld->p->ntest; i++) {
		t = ld->p->test[i];
		pr = test_profile(ld, t);
		for (k = 0; pr != NULL && k < t->nexpect; k++)
			run_expect(ld, pr, &t->expect[k]);
	}
}

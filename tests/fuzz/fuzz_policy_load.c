/*
 * The grammar: any bytes load or are refused with a place inside the text,
 * and what loads gives the same answers again.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
rule(const char *place, enum effect e, enum policy_class c, const char *text,
    const char *by, void *arg)
{
	if (place[0] == '\0' || by[0] == '\0')
		abort();
}

static void
check(const struct policy_diags *ds, size_t size)
{
	struct buf b;
	size_t i;

	if (ds->n == 0 || ds->n > POLICY_ERRORS_MAX)
		abort();
	for (i = 0; i < ds->n; i++)
		if (ds->d[i].line < 1 || ds->d[i].col < 1 ||
		    ds->d[i].line > size + 1 || ds->d[i].col > size + 1 ||
		    ds->d[i].text[0] == '\0' ||
		    ds->d[i].caret > strlen(ds->d[i].source))
			abort();
	buf_init(&b, 0);
	policy_diags_print(ds, &b);
	buf_free(&b);
}

static void
ask(const struct policy *p, const struct profile *pr)
{
	static const char *const argv[] = { "git", "-C", "x", "push", "-f" };
	struct decision a, b;

	policy_explain_exec(p, pr, argv, 5, &a);
	policy_explain_exec(p, pr, argv, 5, &b);
	if (memcmp(&a, &b, sizeof(a)) != 0)
		abort();
	policy_explain_http(p, pr, "GET", "https://a.example.org/x", &a);
	policy_path(p, pr, POLICY_READ, "workspace/x/.env", &a);
	policy_explain_net(p, pr, "127.0.0.1:80", &a);
	/* Whatever the text says. */
	policy_explain_net(p, pr, "0.0.0.0:80", &a);
	if (a.effect != EFFECT_DENY)
		abort();
	policy_explain_exec(
	    p, pr, (const char *const[]){ "/lib/ld.so" }, 1, &a);
	if (a.effect != EFFECT_DENY)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_source s[] = { { "fuzz", data, size, true },
		{ "self", data, size, false } };
	struct policy_diags ds;
	struct policy *p = policy_load(s, 2, &ds);
	size_t i;

	if (p == NULL) {
		check(&ds, size);
		policy_diags_free(&ds);
	} else {
		for (i = 0; i < policy_profiles(p); i++) {
			profile_rules(policy_profile_at(p, i), rule, NULL);
			ask(p, policy_profile_at(p, i));
		}
		policy_free(p);
	}
	p = policy_bundle_load(data, size, &ds);
	policy_diags_free(&ds);
	policy_free(p);
	return 0;
}

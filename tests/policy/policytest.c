#include "tests/policy/policytest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

struct decision last;

struct policy *
must_load(const char *text)
{
	struct policy_source s = { "t.policy", text, strlen(text), true };
	struct policy_diags ds;
	struct policy *p = policy_load(&s, 1, &ds);
	struct buf b;

	if (p == NULL) {
		buf_init(&b, 0);
		policy_diags_print(&ds, &b);
		fwrite(buf_head(&b), 1, buf_len(&b), stderr);
		buf_free(&b);
		policy_diags_free(&ds);
		fail();
	}
	policy_diags_free(&ds);
	return p;
}

const char *
first_mistake(const char *text)
{
	static char out[400];
	struct policy_source s = { "t.policy", text, strlen(text), true };
	struct policy_diags ds;
	struct policy *p = policy_load(&s, 1, &ds);

	assert_null(p);
	assert_true(ds.n > 0);
	snprintf(out, sizeof(out), "%u:%u: %s", ds.d[0].line, ds.d[0].col,
	    ds.d[0].text);
	policy_diags_free(&ds);
	return out;
}

static const struct profile *
profile_p(const struct policy *p)
{
	const struct profile *pr = policy_profile(p, "p");

	assert_non_null(pr);
	return pr;
}

enum effect
on_exec(const struct policy *p, ...)
{
	const char *argv[32];
	size_t n = 0;
	va_list ap;

	va_start(ap, p);
	while (n < 31 && (argv[n] = va_arg(ap, const char *)) != NULL)
		n++;
	va_end(ap);
	policy_explain_exec(p, profile_p(p), argv, n, &last);
	return last.effect;
}

enum effect
on_http(const struct policy *p, const char *method, const char *url)
{
	policy_explain_http(p, profile_p(p), method, url, &last);
	return last.effect;
}

enum effect
on_path(const struct policy *p, enum policy_class c, const char *path)
{
	policy_path(p, profile_p(p), c, path, &last);
	return last.effect;
}

enum effect
on_net(const struct policy *p, const char *addr)
{
	policy_explain_net(p, profile_p(p), addr, &last);
	return last.effect;
}

char *
slurp(const char *path, size_t *len)
{
	const char *dir = getenv("BRIG_SRCDIR");
	char *full = xasprintf("%s/%s", dir != NULL ? dir : ".", path);
	FILE *f = fopen(full, "rbe");
	char *out = xmalloc(POLICY_FILE_MAX + 1);

	assert_non_null(f);
	*len = fread(out, 1, POLICY_FILE_MAX, f);
	out[*len] = '\0';
	fclose(f);
	free(full);
	return out;
}

/*
 * Arguments of an exec against patterns.
 *
 * Programs differ in how they read flags, so a match that makes the answer
 * stricter is generous (bundles, abbreviations, attached values) and one that
 * makes it laxer is exact.
 */
#include "policy/internal.h"

#include <string.h>

#include "base/str.h"

/* Programs none of whose short flags takes the next argument as its value. */
static const char *const no_values[] = { "rm", "rmdir", "cat" };

static bool
has_word(const struct reading *rd, const char *word)
{
	size_t i;

	for (i = 0; i < rd->nwords; i++)
		if (strcmp(rd->words[i], word) == 0)
			return true;
	return false;
}

/*
 * Whether argument i, "--", ends the flags.  Right behind a flag it may be
 * that flag's value (`curl -H -- -d @file`).
 */
static bool
ends_flags(const struct reading *rd, size_t i, bool generous)
{
	size_t k;

	if (!generous || i == 0 || rd->args[i - 1][0] != '-')
		return true;
	for (k = 0; k < nitems(no_values); k++)
		if (has_word(rd, no_values[k]))
			return true;
	return false;
}

static bool
long_match(const char *pat, const char *arg, bool generous)
{
	size_t plen = strcspn(pat, "*="), alen = strcspn(arg, "=");

	if (glob_match(pat, arg))
		return true;
	if (pat[plen] == '\0' && alen == plen && strncmp(pat, arg, plen) == 0)
		return true;
	/* getopt_long(3) and git take any unambiguous beginning. */
	return generous && alen > 2 && alen < plen &&
	       strncmp(pat, arg, alen) == 0;
}

static bool
short_match(const char *pat, const char *arg, bool generous)
{
	if (glob_match(pat, arg))
		return true;
	/* -X and -X*: also as a later letter of a bundle. */
	if (!generous || pat[1] == '*' || pat[1] == '\0')
		return false;
	if (pat[2] != '\0' && strcmp(pat + 2, "*") != 0)
		return false;
	return strchr(arg + 1, pat[1]) != NULL;
}

bool
args_have(const struct reading *rd, const char *pat, bool generous)
{
	bool flag = pat[0] == '-' && pat[1] != '\0', flags = true;
	bool is_long = flag && pat[1] == '-';
	const char *a;
	size_t i;

	for (i = 0; i < rd->nargs; i++) {
		a = rd->args[i];
		if (!flag) {
			if (glob_match(pat, a))
				return true;
			continue;
		}
		if (!flags)
			return false;
		if (strcmp(a, "--") == 0) {
			flags = !ends_flags(rd, i, generous);
			continue;
		}
		if (a[0] != '-' || a[1] == '\0' || (a[1] == '-') != is_long)
			continue;
		if (is_long ? long_match(pat, a, generous)
			    : short_match(pat, a, generous))
			return true;
	}
	return false;
}

bool
cond_holds(const struct rule *r, const struct reading *rd)
{
	const struct cond *c;
	bool generous, have;
	size_t i, k;

	for (i = 0; i < r->ncond; i++) {
		c = &r->cond[i];
		generous = c->with == (r->effect != EFFECT_ALLOW);
		have = false;
		for (k = 0; k < c->npat && !have; k++)
			have = args_have(rd, c->pat[k], generous);
		if (have != c->with)
			return false;
	}
	return true;
}

static bool
arg_match(const struct arg_pat *a, const char *arg)
{
	size_t i;

	for (i = 0; i < a->nalt; i++)
		if (a->literal ? strcmp(a->alt[i], arg) == 0
			       : glob_match(a->alt[i], arg))
			return true;
	return false;
}

/* Depth: tokens of the pattern; breadth: PATTERN_OPTIONAL_MAX of them. */
static bool
args_match(const struct arg_pat *a, size_t na, bool rest,
    const char *const *args, size_t n)
{
	if (na == 0)
		return rest || n == 0;
	if (n > 0 && arg_match(a, args[0]) &&
	    args_match(a + 1, na - 1, rest, args + 1, n - 1))
		return true;
	return a->optional && args_match(a + 1, na - 1, rest, args, n);
}

bool
exec_pat_match(const struct pattern *pt, const struct reading *rd)
{
	const struct prog_pat *pp;
	bool is = false;
	size_t i;

	for (i = 0; i < pt->nprog && !is; i++) {
		pp = &pt->prog[i];
		if (pp->word != NULL)
			is = has_word(rd, pp->word);
		else
			is = rd->path != NULL &&
			     path_pat_match(&pp->path, rd->path);
	}
	return is &&
	       args_match(pt->arg, pt->narg, pt->rest, rd->args, rd->nargs);
}

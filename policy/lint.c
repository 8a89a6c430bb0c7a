/*
 * What a policy says that its author probably does not mean: rules that are
 * allowed, and that hold less than they look like.  Warnings, not mistakes.
 */
#include "policy/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* Programs that do by themselves what they are told to in a language. */
static const char *const interpreters[] = { "python", "perl", "ruby", "node",
	"nodejs", "php", "lua", "tclsh", "awk", "gawk", "mawk", "vim", "vi",
	"emacs", "deno", "bun", "java", "gdb", "guile", "irb", "ed" };
static const char *const shells[] = { "sh", "bash", "dash", "zsh", "ksh",
	"fish", "ash" };

struct lint {
	void (*fn)(const char *where, const char *text, void *arg);
	void *arg;
	size_t nseen;
	const struct rule *seen[256];
};

static bool
is_one_of(const char *word, const char *const *list, size_t n)
{
	size_t i, len;

	for (i = 0; i < n; i++) {
		len = strlen(list[i]);
		/* python3, python3.11, lua5.4 */
		if (strncmp(word, list[i], len) == 0 &&
		    word[len + strspn(word + len, "0123456789.")] == '\0')
			return true;
	}
	return false;
}

static bool
is_interpreter(const char *word)
{
	return is_one_of(word, interpreters, nitems(interpreters));
}

static bool
is_shell(const char *word)
{
	return is_one_of(word, shells, nitems(shells));
}

static void attr_printf(3, 4)
    warn_at(struct lint *li, const struct pos *pos, const char *fmt, ...)
{
	char where[96], text[256];
	va_list ap;

	(void)snprintf(
	    where, sizeof(where), "%s:%u", pos->src->name, pos->line);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	li->fn(where, text, li->arg);
}

/* Has an earlier profile said it already?  A rule is inherited as it is. */
static bool
seen(struct lint *li, const struct rule *r)
{
	size_t i;

	for (i = 0; i < li->nseen; i++)
		if (li->seen[i] == r)
			return true;
	if (li->nseen < nitems(li->seen))
		li->seen[li->nseen++] = r;
	return false;
}

/* An allow rule for the program with any arguments. */
static bool
runs_freely(const struct profile *pr, const char *word)
{
	const struct rule *r;
	size_t i, k;

	if (profile_default(pr, POLICY_EXEC) == EFFECT_ALLOW)
		return true;
	for (i = 0; i < pr->nrules; i++) {
		r = pr->rules[i];
		if (r->cls != POLICY_EXEC || r->effect != EFFECT_ALLOW ||
		    !r->pat.rest || r->pat.narg > 0)
			continue;
		for (k = 0; k < r->pat.nprog; k++)
			if (r->pat.prog[k].word != NULL &&
			    strcmp(r->pat.prog[k].word, word) == 0)
				return true;
	}
	return false;
}

/* Is there anything else that the program could do in its stead? */
static bool
denies_programs(const struct profile *pr)
{
	size_t i;

	for (i = 0; i < pr->nrules; i++)
		if (pr->rules[i]->cls == POLICY_EXEC &&
		    pr->rules[i]->effect != EFFECT_ALLOW)
			return true;
	return false;
}

static const char *
allow_word(const struct profile *pr, const struct rule *r, const char *word,
    const char **say)
{
	size_t i;

	if (!r->pat.rest || r->pat.narg > 0 || r->ncond > 0 || r->nexcept > 0)
		return NULL;
	for (i = 0; i < nitems(multicall_words); i++)
		if (strcmp(word, multicall_words[i]) == 0) {
			*say = "is every program in it: name those that are "
			       "meant, as busybox {ls,cat} ...";
			return word;
		}
	*say = "means every subcommand, those of aliases and configuration "
	       "too: name those that are meant";
	if (strcmp(word, "git") == 0)
		return word;
	*say = "does by itself what rules deny other programs; only files, "
	       "hosts and credentials hold it";
	/* Saying why is saying that it is known. */
	return is_interpreter(word) && r->because[0] == '\0' &&
		       denies_programs(pr)
		   ? word
		   : NULL;
}

static bool
is_writable_place(const struct path_pat *pp)
{
	return str_starts(pp->written, "workspace") ||
	       str_starts(pp->written, "scratch") ||
	       str_starts(pp->written, "home");
}

static void
lint_refusal(struct lint *li, const struct profile *pr, const struct rule *r)
{
	const struct prog_pat *pp;
	size_t i;

	if (!r->pat.rest && profile_default(pr, POLICY_EXEC) == EFFECT_ALLOW) {
		warn_at(li, &r->pos,
		    "holds for exactly these arguments, and none more: "
		    "end it in ... if it means any");
		return;
	}
	for (i = 0; i < r->pat.nprog; i++) {
		pp = &r->pat.prog[i];
		if (pp->word == NULL && is_writable_place(&pp->path) &&
		    !str_ends(pp->path.written, "/**")) {
			warn_at(li, &r->pos,
			    "%s can be copied to another name by who may "
			    "write there; refuse the folder, or the write",
			    pp->path.written);
			return;
		}
		if (pp->word != NULL &&
		    (r->pat.narg > 0 || r->ncond > 0 || !r->pat.rest) &&
		    (is_interpreter(pp->word) || is_shell(pp->word)) &&
		    runs_freely(pr, pp->word)) {
			warn_at(li, &r->pos,
			    "%s is allowed otherwise, and takes the same "
			    "commands in other spellings, from a file or "
			    "from its input",
			    pp->word);
			return;
		}
	}
}

static void
lint_rule(struct lint *li, const struct profile *pr, const struct rule *r)
{
	const char *say, *word = NULL;
	size_t i;

	if (r->effect != EFFECT_ALLOW) {
		lint_refusal(li, pr, r);
		return;
	}
	for (i = 0; i < r->pat.nprog && word == NULL; i++)
		if (r->pat.prog[i].word != NULL)
			word = allow_word(pr, r, r->pat.prog[i].word, &say);
	if (word != NULL)
		warn_at(li, &r->pos, "%s ... %s", word, say);
}

void
policy_lint(const struct policy *p,
    void (*fn)(const char *where, const char *text, void *arg), void *arg)
{
	struct lint li = { .fn = fn, .arg = arg };
	const struct profile *pr;
	bool any, denies;
	size_t i, k;

	for (i = 0; i < p->nprofile; i++) {
		pr = p->profile[i];
		any = denies = false;
		for (k = 0; k < pr->nrules; k++) {
			if (pr->rules[k]->cls != POLICY_EXEC)
				continue;
			any = true;
			denies |= pr->rules[k]->effect == EFFECT_DENY;
			if (!seen(&li, pr->rules[k]))
				lint_rule(&li, pr, pr->rules[k]);
		}
		if (denies && profile_default(pr, POLICY_EXEC) == EFFECT_ALLOW)
			warn_at(&li, &pr->pos,
			    "profile %s allows by default: a copy of a denied "
			    "program, under another name, may run",
			    pr->name);
		if (any && !pr->set.trace)
			warn_at(&li, &pr->pos,
			    "profile %s has exec rules, and sandbox trace "
			    "off: nobody enforces them",
			    pr->name);
	}
}

/*
 * Alternatives and wildcards of one word.
 */
#include "policy/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct expansion {
	struct load *ld;
	const char **out;
	size_t n;
};

/* The brace that closes the one at s[0]; the lexer has seen that it is there,
 * but not for quoted or cut words: NULL then. */
static const char *
closing(const char *s)
{
	unsigned int depth = 0;

	for (; *s != '\0'; s++) {
		if (*s == '{')
			depth++;
		else if (*s == '}' && --depth == 0)
			return s;
	}
	return NULL;
}

/* Put every alternative of s into ex; -1 when there are too many. */
static int
expand(struct expansion *ex, const char *s)
{
	struct pool *pl = &ex->ld->p->pool;
	const char *open, *close, *from, *p;
	unsigned int depth = 0;

	open = strchr(s, '{');
	close = open == NULL ? NULL : closing(open);
	if (close == NULL) {
		if (ex->n >= EXPAND_WORD_MAX ||
		    ex->ld->expanded >= EXPAND_TOTAL_MAX)
			return -1;
		ex->out = pool_grow(pl, ex->out, ex->n, sizeof(*ex->out));
		ex->out[ex->n++] = pool_strdup(pl, s);
		ex->ld->expanded++;
		return 0;
	}
	for (from = p = open + 1; p <= close; p++) {
		if (*p == '{')
			depth++;
		else if (*p == '}' && p != close)
			depth--;
		if (p != close && (*p != ',' || depth > 0))
			continue;
		cleanup_free char *one = xasprintf("%.*s%.*s%s",
		    (int)(open - s), s, (int)(p - from), from, close + 1);
		if (expand(ex, one) < 0)
			return -1;
		from = p + 1;
	}
	return 0;
}

int
expand_word(struct load *ld, const struct tok *t, const char ***out, size_t *n)
{
	struct expansion ex = { ld, NULL, 0 };
	unsigned int braces = 0;
	const char *p;

	*out = NULL;
	*n = 0;
	for (p = t->s; (p = strchr(p, '{')) != NULL; p++) {
		braces++;
		if (p[1] == '}') {
			diag_at(ld, &t->pos, "\"{}\" holds no alternative");
			return -1;
		}
	}
	if (braces > EXPAND_BRACES_MAX) {
		diag_at(ld, &t->pos, "more than %u braces in one word",
		    EXPAND_BRACES_MAX);
		return -1;
	}
	if (expand(&ex, t->s) < 0) {
		diag_at(ld, &t->pos,
		    "too many alternatives (at most %u in a word, %u in all)",
		    EXPAND_WORD_MAX, EXPAND_TOTAL_MAX);
		return -1;
	}
	*out = ex.out;
	*n = ex.n;
	return 0;
}

/*
 * Only the last star has to be retried: moving an earlier one cannot help
 * what the later one, which takes anything, could not repair.
 */
bool
glob_match(const char *pat, const char *s)
{
	const char *star = NULL, *retry = NULL;

	while (*s != '\0') {
		if (*pat == '*') {
			star = ++pat;
			retry = s;
		} else if (*pat == *s) {
			pat++;
			s++;
		} else if (star != NULL) {
			pat = star;
			s = ++retry;
		} else {
			return false;
		}
	}
	while (*pat == '*')
		pat++;
	return *pat == '\0';
}

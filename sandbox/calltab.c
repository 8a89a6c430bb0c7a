#include "sandbox/calltab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compat.h"
#include "base/str.h"

#define WORDS_MAX 10u /* of a line; the reason follows */
#define ERRNO_MAX 133
#define SPAN_MAX 64u
#define ALL_BITS 0xffffffffu

/* Splits at blanks, in place; how many words. */
static size_t
split(char *line, char *word[WORDS_MAX])
{
	size_t n = 0;
	char *p = line;

	while (n < WORDS_MAX) {
		p += strspn(p, " \t\n");
		if (*p == '\0')
			break;
		word[n++] = p;
		p += strcspn(p, " \t\n");
		if (*p != '\0')
			*p++ = '\0';
	}
	return n;
}

static int
parse_answer(const char *s)
{
	const char *name;
	int e;

	if (str_eq(s, "allow"))
		return CALL_ALLOW;
	if (str_eq(s, "args"))
		return CALL_ARGS;
	for (e = 1; e <= ERRNO_MAX; e++) {
		name = strerrorname_np(e);
		if (name != NULL && str_eq(name, s))
			return e;
	}
	return -2;
}

/* Decimal, 0x hexadecimal or 0 octal; *s moves behind it. */
static int
parse_number(const char **s, uint32_t *n)
{
	unsigned long long v;
	char *end;

	if (**s < '0' || **s > '9')
		return -1;
	errno = 0;
	v = strtoull(*s, &end, 0);
	if (errno != 0 || v > ALL_BITS)
		return -1;
	*n = (uint32_t)v;
	*s = end;
	return 0;
}

/* N=V, N=V..W, N&M=V, N!=V.  The last value of the span in *last. */
static int
parse_cmp(const char *s, struct call_cmp *c, uint32_t *last)
{
	c->mask = ALL_BITS;
	c->op = CALL_EQ;
	if (parse_number(&s, &c->arg) < 0 || c->arg >= CALL_ARGS_MAX)
		return -1;
	if (*s == '&') {
		s++;
		if (parse_number(&s, &c->mask) < 0)
			return -1;
	} else if (*s == '!') {
		c->op = CALL_NE;
		s++;
	}
	if (*s++ != '=')
		return -1;
	if (parse_number(&s, &c->value) < 0)
		return -1;
	*last = c->value;
	if (s[0] == '.' && s[1] == '.' && c->op == CALL_EQ) {
		s += 2;
		if (parse_number(&s, last) < 0 || *last < c->value ||
		    *last - c->value > SPAN_MAX)
			return -1;
	}
	return *s == '\0' && (c->value & ~c->mask) == 0 ? 0 : -1;
}

static int
parse_answers(char *const *word, size_t n, int answer[CALL_COLUMNS])
{
	size_t i;

	if (n < CALL_COLUMNS)
		return -1;
	for (i = 0; i < CALL_COLUMNS; i++)
		if ((answer[i] = parse_answer(word[i])) < CALL_ARGS)
			return -1;
	return 0;
}

static void
add_rule(struct call *c, const struct call_rule *r)
{
	c->rules = xreallocarray(c->rules, c->nrules + 1, sizeof(*r));
	c->rules[c->nrules++] = *r;
}

/* "| CONDITION... ANSWER ANSWER ANSWER why" of the call before. */
static int
parse_rule(struct call *c, char *const *word, size_t n)
{
	struct call_rule r = { 0 };
	uint32_t last = 0, span = 0;
	size_t i;

	if (c == NULL)
		return -1;
	if (n > 1 && str_eq(word[1], "else"))
		return parse_answers(word + 2, n - 2, c->otherwise);
	for (i = 1; i < n && word[i][0] >= '0' && word[i][0] <= '9'; i++) {
		if (r.ncmp == CALL_CMP_MAX ||
		    parse_cmp(word[i], &r.cmp[r.ncmp], &last) < 0)
			return -1;
		if (last != r.cmp[r.ncmp].value) {
			/* Only where it stands alone. */
			if (r.ncmp != 0)
				return -1;
			span = last - r.cmp[0].value;
		}
		r.ncmp++;
	}
	if (r.ncmp == 0 || (span != 0 && r.ncmp != 1) ||
	    parse_answers(word + i, n - i, r.answer) < 0)
		return -1;
	for (;; r.cmp[0].value++) {
		add_rule(c, &r);
		if (span-- == 0)
			return 0;
	}
}

static int
parse_nr(const char *s, int *nr)
{
	uint64_t n;

	*nr = -1;
	if (str_eq(s, "-"))
		return 0;
	if (str_to_u64(s, 0, 4095, &n) < 0)
		return -1;
	*nr = (int)n;
	return 0;
}

static int
parse_call(struct calltab *t, char *const *word, size_t n)
{
	struct call c = { 0 };
	size_t i;

	if (n < 3 + CALL_COLUMNS ||
	    strlcpy(c.name, word[0], sizeof(c.name)) >= sizeof(c.name) ||
	    parse_nr(word[1], &c.nr[0]) < 0 ||
	    parse_nr(word[2], &c.nr[1]) < 0 ||
	    parse_answers(word + 3, n - 3, c.answer) < 0)
		return -1;
	for (i = 0; i < CALL_COLUMNS; i++)
		c.otherwise[i] = CALL_ARGS; /* until there is an else */
	for (i = 0; i < t->ncalls; i++)
		if (str_eq(t->calls[i].name, c.name) ||
		    (c.nr[0] >= 0 && t->calls[i].nr[0] == c.nr[0]) ||
		    (c.nr[1] >= 0 && t->calls[i].nr[1] == c.nr[1]))
			return -1;
	t->calls = xreallocarray(t->calls, t->ncalls + 1, sizeof(c));
	t->calls[t->ncalls++] = c;
	return 0;
}

/* What a filter made of two programs can say: see mkfilter. */
static int
check_calls(const struct calltab *t, struct error *err)
{
	size_t i, j;

	for (i = 0; i < t->ncalls; i++)
		for (j = 0; j < CALL_COLUMNS; j++) {
			const struct call *c = &t->calls[i];

			if (c->answer[j] == CALL_ARGS &&
			    c->otherwise[j] != CALL_ALLOW &&
			    c->otherwise[j] != ENOSYS)
				return error_set(err, 0,
				    "%s: else must be allow or ENOSYS",
				    c->name);
		}
	return 0;
}

int
calltab_read(struct calltab *t, const char *path, struct error *err)
{
	FILE *f = fopen(path, "re");
	char *word[WORDS_MAX], line[512];
	size_t n, at = 0;
	int r = 0;

	*t = (struct calltab){ 0 };
	if (f == NULL)
		return error_set(err, errno, "open %s", path);
	while (r == 0 && fgets(line, sizeof(line), f) != NULL) {
		at++;
		if (line[0] == '#' || (n = split(line, word)) == 0)
			continue;
		if (str_eq(word[0], "|"))
			r = parse_rule(
			    t->ncalls == 0 ? NULL : &t->calls[t->ncalls - 1],
			    word, n);
		else
			r = parse_call(t, word, n);
	}
	(void)fclose(f);
	if (r < 0)
		(void)error_set(err, 0, "%s:%zu: bad line", path, at);
	else
		r = check_calls(t, err);
	if (r < 0)
		calltab_free(t);
	return r;
}

void
calltab_free(struct calltab *t)
{
	size_t i;

	for (i = 0; i < t->ncalls; i++)
		free(t->calls[i].rules);
	free(t->calls);
	*t = (struct calltab){ 0 };
}

int
call_nr(const struct call *c)
{
#if defined(__x86_64__)
	return c->nr[0];
#elif defined(__aarch64__)
	return c->nr[1];
#else
#error "the table of system calls has no column for this machine"
#endif
}

static bool
matches(const struct call_rule *r, const uint64_t args[CALL_ARGS_MAX])
{
	unsigned int i;

	for (i = 0; i < r->ncmp; i++) {
		const struct call_cmp *c = &r->cmp[i];
		const uint64_t v = args[c->arg];
		bool hit = false;

		switch (c->op) {
		case CALL_EQ:
			hit = ((uint32_t)v & c->mask) == c->value;
			break;
		case CALL_NE:
			hit = v != c->value;
			break;
		}
		if (!hit)
			return false;
	}
	return true;
}

int
call_answer(const struct call *c, enum call_column col,
    const uint64_t args[CALL_ARGS_MAX])
{
	int answer = c->otherwise[col];
	size_t i;

	if (c->answer[col] != CALL_ARGS)
		return c->answer[col];
	/* A refusal counts before any permission. */
	for (i = 0; i < c->nrules; i++) {
		if (!matches(&c->rules[i], args))
			continue;
		if (c->rules[i].answer[col] > 0 &&
		    c->rules[i].answer[col] != ENOSYS)
			return c->rules[i].answer[col];
		if (c->rules[i].answer[col] == CALL_ALLOW)
			answer = CALL_ALLOW;
	}
	return answer;
}

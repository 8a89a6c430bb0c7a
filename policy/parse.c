/*
 * Statements.  Recursive descent; a mistake is reported, the rest of the
 * statement skipped, and reading goes on, so that one run shows them all.
 */
#include "policy/internal.h"

#include <string.h>

#include "base/str.h"

static const char *const statements[] = { "allow", "ask", "default", "deny",
	"include", "limit", "profile", "program", "sandbox", "test" };
static const char *const later[] = { "budget", "mode", "mcp", "set" };

const char *const effect_words[3] = { "deny", "ask", "allow" };
const char *const class_words[POLICY_CLASSES] = { "exec", "read", "write",
	"http", "net", "model" };
const char *const later_classes[1] = { "mcp" };

static int
find(const char *const *words, size_t n, const char *s)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(words[i], s) == 0)
			return (int)i;
	return -1;
}

bool
tok_is(const struct tok *t, const char *word)
{
	return t->kind == TOK_WORD && strcmp(t->s, word) == 0;
}

int
parse_choice(
    struct lex *lx, const char *what, const char *const *words, size_t n)
{
	int i = -1;

	if (lx->tok.kind == TOK_WORD)
		i = find(words, n, lx->tok.s);
	if (i < 0) {
		diag_expected(lx->ld, &lx->tok, what, words, n);
		return -1;
	}
	lex_next(lx);
	return i;
}

int
parse_effect(struct lex *lx)
{
	return parse_choice(lx, "an effect (allow, ask or deny)", effect_words,
	    nitems(effect_words));
}

int
parse_class(struct lex *lx)
{
	if (lx->tok.kind == TOK_WORD &&
	    find(later_classes, nitems(later_classes), lx->tok.s) >= 0) {
		diag_at(lx->ld, &lx->tok.pos,
		    "class %s is not supported by this version", lx->tok.s);
		return -1;
	}
	return parse_choice(lx,
	    "a class (exec, read, write, http, net or model)", class_words,
	    nitems(class_words));
}

/*
 * A missing ";" shows at the next line, whose first word begins a statement:
 * that one is not lost.  Blocks inside what is skipped go with it.
 */
void
parse_sync(struct lex *lx)
{
	unsigned int depth = 0;
	struct tok *t = &lx->tok;

	for (;; lex_next(lx)) {
		switch (t->kind) {
		case TOK_EOF:
			return;
		case TOK_OPEN:
			depth++;
			break;
		case TOK_CLOSE:
			if (depth == 0)
				return;
			if (--depth == 0) {
				lex_next(lx);
				return;
			}
			break;
		case TOK_SEMI:
			if (depth == 0) {
				lex_next(lx);
				return;
			}
			break;
		case TOK_WORD:
			if (depth == 0 && t->fresh &&
			    (find(statements, nitems(statements), t->s) >= 0 ||
				strcmp(t->s, "expect") == 0))
				return;
			break;
		case TOK_STRING:
		case TOK_COMMA:
		case TOK_LIST:
		case TOK_LIST_END:
			break;
		}
	}
}

bool
parse_end(struct lex *lx)
{
	if (lx->tok.kind == TOK_SEMI) {
		lex_next(lx);
		return true;
	}
	diag_expected(lx->ld, &lx->tok, "\";\"", NULL, 0);
	parse_sync(lx);
	return false;
}

static void
parse_include(struct lex *lx, struct profile *in)
{
	struct load *ld = lx->ld;
	struct pos pos = lx->tok.pos;
	const char *name = lx->tok.s;
	struct source *s = NULL;
	size_t i;

	if (lx->tok.kind != TOK_STRING) {
		diag_expected(
		    ld, &lx->tok, "the quoted name of a file", NULL, 0);
		parse_sync(lx);
		return;
	}
	for (i = 0; i < ld->nsrc; i++)
		if (strcmp(ld->src[i].name, name) == 0)
			s = &ld->src[i];
	lex_next(lx);
	if (!parse_end(lx))
		return;
	if (s == NULL)
		diag_at(ld, &pos, "no file of that name beside this one");
	else if (s->active)
		diag_at(ld, &pos, "the file would include itself");
	else if (ld->depth >= POLICY_INCLUDE_DEPTH_MAX)
		diag_at(ld, &pos, "includes nested deeper than %u",
		    POLICY_INCLUDE_DEPTH_MAX);
	else if (++ld->includes > INCLUDES_MAX)
		diag_at(ld, &pos, "more than %u includes", INCLUDES_MAX);
	else if (in != ld->p->base || !s->parsed) {
		ld->depth++;
		parse_source(ld, s, in, in == ld->p->base ? 0 : 1);
		ld->depth--;
	}
}

static void
parse_program(struct lex *lx, struct profile *in)
{
	struct load *ld = lx->ld;
	struct policy *p = ld->p;
	struct program *pg;
	char norm[POLICY_PATH_MAX + 1];
	size_t n = 0;

	if (lx->tok.kind != TOK_WORD || !str_is_name(lx->tok.s, NAME_MAX_)) {
		diag_expected(ld, &lx->tok, "the name of a program", NULL, 0);
		parse_sync(lx);
		return;
	}
	if (in != p->base)
		diag_at(ld, &lx->tok.pos,
		    "programs are the same for all profiles: write this "
		    "outside the block");
	if (policy_program(p, lx->tok.s) != NULL)
		diag_at(
		    ld, &lx->tok.pos, "program %s is defined twice", lx->tok.s);
	if (p->nprogram >= PROGRAMS_MAX) {
		diag_at(
		    ld, &lx->tok.pos, "more than %u programs", PROGRAMS_MAX);
		parse_sync(lx);
		return;
	}
	pg = pool_alloc(&p->pool, sizeof(*pg));
	pg->word = lx->tok.s;
	pg->pos = lx->tok.pos;
	lex_next(lx);
	if (!tok_is(&lx->tok, "=")) {
		diag_expected(
		    ld, &lx->tok, "\"=\" with white space around it", NULL, 0);
		parse_sync(lx);
		return;
	}
	do {
		lex_next(lx);
		if (lx->tok.kind != TOK_WORD || lx->tok.s[0] != '/' ||
		    strpbrk(lx->tok.s, "*{}") != NULL ||
		    jail_path(lx->tok.s, norm, sizeof(norm)) < 0) {
			diag_expected(ld, &lx->tok,
			    "the absolute path of a program", NULL, 0);
			parse_sync(lx);
			return;
		}
		pg->path = pool_grow(&p->pool, pg->path, n, sizeof(*pg->path));
		pg->path[n++] = lx->tok.s;
		lex_next(lx);
	} while (lx->tok.kind == TOK_COMMA);
	pg->path = pool_grow(&p->pool, pg->path, n, sizeof(*pg->path));
	pg->path[n] = NULL;
	if (!parse_end(lx))
		return;
	p->program =
	    pool_grow(&p->pool, p->program, p->nprogram, sizeof(*p->program));
	p->program[p->nprogram++] = pg;
}

static void parse_body(struct lex *lx, struct profile *in, unsigned int depth);

static struct profile *
add_profile(struct lex *lx)
{
	struct load *ld = lx->ld;
	struct policy *p = ld->p;
	struct profile *pr;
	size_t i;

	if (lx->tok.kind != TOK_WORD || !str_is_name(lx->tok.s, NAME_MAX_)) {
		diag_expected(ld, &lx->tok, "the name of a profile", NULL, 0);
		return NULL;
	}
	for (i = 0; i < p->nprofile; i++)
		if (strcmp(p->profile[i]->name, lx->tok.s) == 0)
			diag_at(ld, &lx->tok.pos,
			    "profile %s is defined twice; the other is at "
			    "%s:%u",
			    lx->tok.s, p->profile[i]->pos.src->name,
			    p->profile[i]->pos.line);
	if (p->nprofile >= PROFILES_MAX) {
		diag_at(
		    ld, &lx->tok.pos, "more than %u profiles", PROFILES_MAX);
		return NULL;
	}
	pr = pool_alloc(&p->pool, sizeof(*pr));
	pr->name = lx->tok.s;
	pr->pos = lx->tok.pos;
	p->profile =
	    pool_grow(&p->pool, p->profile, p->nprofile, sizeof(*p->profile));
	p->profile[p->nprofile++] = pr;
	lex_next(lx);
	if (tok_is(&lx->tok, "extends")) {
		lex_next(lx);
		if (lx->tok.kind != TOK_WORD) {
			diag_expected(
			    ld, &lx->tok, "the name of a profile", NULL, 0);
			return NULL;
		}
		pr->extends = lx->tok.s;
		pr->extends_pos = lx->tok.pos;
		lex_next(lx);
	}
	return pr;
}

static void
parse_profile(struct lex *lx, struct profile *in, unsigned int depth)
{
	struct load *ld = lx->ld;
	struct profile *pr;

	if (in != ld->p->base)
		diag_at(ld, &lx->tok.pos,
		    "a profile cannot be defined inside another");
	pr = add_profile(lx);
	if (pr == NULL) {
		parse_sync(lx);
		return;
	}
	if (lx->tok.kind != TOK_OPEN) {
		diag_expected(ld, &lx->tok,
		    pr->extends != NULL
			? "\"{\" and white space"
			: "\"extends\" or \"{\" and white space",
		    NULL, 0);
		parse_sync(lx);
		return;
	}
	if (depth >= POLICY_DEPTH_MAX) {
		diag_at(ld, &lx->tok.pos, "blocks nested deeper than %u",
		    POLICY_DEPTH_MAX);
		parse_sync(lx);
		return;
	}
	lex_next(lx);
	parse_body(lx, pr, depth + 1);
	if (lx->tok.kind != TOK_CLOSE)
		diag_at(ld, &pr->pos, "the block of profile %s is not closed",
		    pr->name);
	else
		lex_next(lx);
}

static void
parse_stmt(struct lex *lx, struct profile *in, unsigned int depth)
{
	struct tok t = lx->tok;
	int which = -1;

	lx->ld->torn = false;
	if (t.kind == TOK_WORD) {
		which = find(statements, nitems(statements), t.s);
		if (which < 0 && find(later, nitems(later), t.s) >= 0) {
			diag_at(lx->ld, &t.pos,
			    "%s is not supported by this version", t.s);
			lex_next(lx);
			parse_sync(lx);
			return;
		}
	}
	if (which < 0) {
		diag_expected(
		    lx->ld, &t, "a statement", statements, nitems(statements));
		lex_next(lx);
		if (t.kind != TOK_SEMI)
			parse_sync(lx);
		return;
	}
	if (strcmp(t.s, "allow") == 0 || strcmp(t.s, "deny") == 0) {
		parse_rule(lx, in);
		return;
	}
	lex_next(lx);
	if (strcmp(t.s, "ask") == 0 && lx->tok.kind == TOK_WORD &&
	    (find(class_words, nitems(class_words), lx->tok.s) >= 0 ||
		find(later_classes, nitems(later_classes), lx->tok.s) >= 0)) {
		parse_rule_of(lx, in, EFFECT_ASK, t.pos);
		return;
	}
	if (strcmp(t.s, "include") == 0)
		parse_include(lx, in);
	else if (strcmp(t.s, "program") == 0)
		parse_program(lx, in);
	else if (strcmp(t.s, "profile") == 0)
		parse_profile(lx, in, depth);
	else if (strcmp(t.s, "test") == 0)
		parse_test(lx, in);
	else
		parse_setting(lx, in, t.s);
}

static void
parse_body(struct lex *lx, struct profile *in, unsigned int depth)
{
	while (lx->tok.kind != TOK_EOF && lx->tok.kind != TOK_CLOSE &&
	       lx->ld->ds->n < POLICY_ERRORS_MAX)
		parse_stmt(lx, in, depth);
}

void
parse_source(
    struct load *ld, struct source *s, struct profile *in, unsigned int depth)
{
	struct lex lx;

	s->active = true;
	if (!s->checked)
		lex_check(ld, s);
	s->checked = true;
	if (in == ld->p->base)
		s->parsed = true;
	lex_start(&lx, ld, s);
	for (;;) {
		parse_body(&lx, in, depth);
		if (lx.tok.kind != TOK_CLOSE || ld->ds->n >= POLICY_ERRORS_MAX)
			break;
		diag_at(ld, &lx.tok.pos, "\"}\" closes nothing");
		lex_next(&lx);
	}
	s->active = false;
}

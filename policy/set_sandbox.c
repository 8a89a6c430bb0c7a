/*
 * The statement sandbox: how the jail is built.
 */
#include "policy/internal.h"

#include <stdint.h>
#include <string.h>

#include "base/str.h"

static const char *const yesno[] = { "no", "yes" };

/* A word out of two; the second is true. */
static int
parse_flag(struct lex *lx, const char *what, const char *const words[2],
    struct profile *in, enum setting s, const struct pos *pos, bool *out)
{
	int v = parse_choice(lx, what, words, 2);

	if (v < 0 || !setting_once(lx, in, s, pos))
		return -1;
	*out = v == 1;
	return 0;
}

static int
parse_workspace(struct lex *lx, struct profile *in, const struct pos *pos)
{
	static const char *const words[] = { "exec", "direct", "staged" };
	int i =
	    parse_choice(lx, "exec, direct or staged", words, nitems(words));

	if (i < 0)
		return -1;
	if (i == 0)
		return parse_flag(lx, "yes or no", yesno, in,
		    SET_WORKSPACE_EXEC, pos, &in->set.workspace_exec);
	if (!setting_once(lx, in, SET_WORKSPACE_MODE, pos))
		return -1;
	in->set.workspace_staged = i == 2;
	return 0;
}

static int
parse_seccomp(struct lex *lx, struct profile *in, const struct pos *pos)
{
	static const char *const words[] = { "default", "strict", "nested" };
	int i =
	    parse_choice(lx, "default, strict or nested", words, nitems(words));

	if (i < 0 || !setting_once(lx, in, SET_SECCOMP, pos))
		return -1;
	in->set.seccomp = (enum seccomp_level)i;
	return 0;
}

/* An absolute path without patterns, in the normal form; NULL on error. */
static const char *
parse_abs_path(struct lex *lx, const char *what)
{
	char norm[POLICY_PATH_MAX + 1];

	if (lx->tok.kind != TOK_WORD || lx->tok.s[0] != '/' ||
	    strpbrk(lx->tok.s, "*{}") != NULL ||
	    jail_path(lx->tok.s, norm, sizeof(norm)) < 0) {
		diag_expected(lx->ld, &lx->tok, what, NULL, 0);
		return NULL;
	}
	lex_next(lx);
	return pool_strdup(&lx->ld->p->pool, norm);
}

static int
parse_home(struct lex *lx, struct profile *in, const struct pos *pos)
{
	static const char *const words[] = { "fresh", "keep" };
	int i = parse_choice(lx, "fresh or keep NAME", words, nitems(words));

	if (i < 0 || !setting_once(lx, in, SET_HOME, pos))
		return -1;
	in->set.home_keep = NULL;
	if (i == 0)
		return 0;
	if (lx->tok.kind != TOK_WORD || !str_is_name(lx->tok.s, NAME_MAX_)) {
		diag_expected(lx->ld, &lx->tok, "the name of a home", NULL, 0);
		return -1;
	}
	in->set.home_keep = pool_strdup(&lx->ld->p->pool, lx->tok.s);
	lex_next(lx);
	return 0;
}

static int
parse_root(struct lex *lx, struct profile *in, const struct pos *pos)
{
	const char *path =
	    parse_abs_path(lx, "the absolute path of a folder or image");

	if (path == NULL || !setting_once(lx, in, SET_ROOT, pos))
		return -1;
	in->set.root = path;
	return 0;
}

/* Every statement adds to the list; a profile's own replaces an inherited. */
static const char *const *
grown(struct lex *lx, const char *const *list, size_t *n, const char *last)
{
	const char **v = pool_alloc(&lx->ld->p->pool, (*n + 1) * sizeof(*v));

	for (size_t i = 0; i < *n; i++)
		v[i] = list[i];
	v[(*n)++] = last;
	return v;
}

static int
parse_tree(struct lex *lx, struct profile *in)
{
	struct profile_settings *s = &in->set;
	struct pos pos = lx->tok.pos;
	const char *path = parse_abs_path(lx, "the absolute path of a folder");

	if (path == NULL)
		return -1;
	if (s->ntrees >= POLICY_TREES_MAX) {
		diag_at(lx->ld, &pos, "more than %u trees", POLICY_TREES_MAX);
		return -1;
	}
	in->has[SET_TREES] = true;
	s->trees = grown(lx, s->trees, &s->ntrees, path);
	return 0;
}

static int
parse_variable(struct lex *lx, struct profile *in)
{
	struct profile_settings *s = &in->set;
	struct pos pos = lx->tok.pos;
	bool deny;

	if (lx->tok.kind != TOK_WORD || strpbrk(lx->tok.s, "=*{}") != NULL ||
	    !policy_env_risky(lx->tok.s, &deny)) {
		diag_expected(lx->ld, &lx->tok,
		    "the name of a variable that executions are asked about "
		    "or refused for, such as LD_LIBRARY_PATH",
		    NULL, 0);
		return -1;
	}
	if (s->nvariables >= POLICY_VARIABLES_MAX) {
		diag_at(lx->ld, &pos, "more than %u variables",
		    POLICY_VARIABLES_MAX);
		return -1;
	}
	in->has[SET_VARIABLES] = true;
	s->variables = grown(lx, s->variables, &s->nvariables,
	    pool_strdup(&lx->ld->p->pool, lx->tok.s));
	lex_next(lx);
	return 0;
}

int
parse_sandbox(struct lex *lx, struct profile *in)
{
	static const char *const words[] = { "workspace", "memfd-exec", "tmp",
		"trace", "protect", "seccomp", "home", "root", "tree",
		"variable" };
	static const char *const execs[] = { "noexec", "exec" };
	static const char *const onoff[] = { "off", "on" };
	struct pos pos = lx->tok.pos;

	switch (parse_choice(lx,
	    "workspace, memfd-exec, tmp, trace, protect, seccomp, home, "
	    "root, tree or variable",
	    words, nitems(words))) {
	case 0:
		return parse_workspace(lx, in, &pos);
	case 1:
		return parse_flag(lx, "yes or no", yesno, in, SET_MEMFD, &pos,
		    &in->set.memfd_exec);
	case 2:
		return parse_flag(lx, "exec or noexec", execs, in, SET_TMP,
		    &pos, &in->set.tmp_exec);
	case 3:
		return parse_flag(lx, "on or off", onoff, in, SET_TRACE, &pos,
		    &in->set.trace);
	case 4:
		return parse_flag(lx, "yes or no", yesno, in, SET_PROTECT, &pos,
		    &in->set.protect);
	case 5:
		return parse_seccomp(lx, in, &pos);
	case 6:
		return parse_home(lx, in, &pos);
	case 7:
		return parse_root(lx, in, &pos);
	case 8:
		return parse_tree(lx, in);
	case 9:
		return parse_variable(lx, in);
	}
	return -1;
}

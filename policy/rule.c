/*
 * Rules: effect, class, pattern, and what narrows or names them.
 */
#include "policy/internal.h"

#include <string.h>

#include "base/str.h"

static const char *const clauses[] = { "except", "with", "without", "as",
	"because", "max-output" };

bool
can_ask(enum policy_class c)
{
	return c == POLICY_EXEC || c == POLICY_HTTP || c == POLICY_MODEL;
}

int
parse_tokens(struct lex *lx, uint64_t *n)
{
	if (lx->tok.kind != TOK_WORD ||
	    str_to_u64(lx->tok.s, 1, UINT32_MAX, n) < 0) {
		diag_expected(lx->ld, &lx->tok, "a number of tokens", NULL, 0);
		return -1;
	}
	lex_next(lx);
	return 0;
}

static bool
is_clause(const struct tok *t)
{
	size_t i;

	for (i = 0; i < nitems(clauses); i++)
		if (tok_is(t, clauses[i]))
			return true;
	return false;
}

/* A word of a pattern; false at what ends one. */
static bool
in_pattern(const struct tok *t)
{
	return (t->kind == TOK_WORD && !is_clause(t) && !tok_is(t, "when")) ||
	       t->kind == TOK_STRING;
}

/* A line that begins like a rule: the one before lacks its ";". */
static bool
begins_rule(const struct tok *t)
{
	return t->fresh && (tok_is(t, "allow") || tok_is(t, "deny") ||
			       tok_is(t, "ask") || tok_is(t, "default"));
}

/* A string where only a test may say \xNN. */
static int
plain_string(struct lex *lx, const char *what, size_t max)
{
	const struct tok *t = &lx->tok;

	if (t->kind != TOK_STRING) {
		diag_expected(lx->ld, t, what, NULL, 0);
		return -1;
	}
	if (t->hex) {
		diag_at(lx->ld, &t->pos, "\\xNN is for the strings of tests");
		return -1;
	}
	if (t->len > max) {
		diag_at(lx->ld, &t->pos, "longer than %zu bytes", max);
		return -1;
	}
	return 0;
}

/* ---- exec --------------------------------------------------------------- */

static int
parse_programs(struct lex *lx, struct pattern *pt)
{
	struct load *ld = lx->ld;
	struct pool *pl = &ld->p->pool;
	const char **alt;
	struct prog_pat *pp;
	size_t n, i;

	if (lx->tok.kind != TOK_WORD) {
		diag_expected(
		    ld, &lx->tok, "a program or a path pattern", NULL, 0);
		return -1;
	}
	if (expand_word(ld, &lx->tok, &alt, &n) < 0)
		return -1;
	pt->prog = pool_alloc(pl, n * sizeof(*pt->prog));
	for (i = 0; i < n; i++) {
		pp = &pt->prog[pt->nprog++];
		if (strchr(alt[i], '/') != NULL) {
			if (path_pat_parse(
				ld, &lx->tok.pos, alt[i], &pp->path) < 0)
				return -1;
			continue;
		}
		if (alt[i][0] == '\0' || strlen(alt[i]) > NAME_MAX_ ||
		    strpbrk(alt[i], "*=[]\"") != NULL) {
			diag_at(ld, &lx->tok.pos,
			    "expected a program, found "
			    "\"%.64s\": each one is named in full, wildcards "
			    "are for paths",
			    alt[i]);
			return -1;
		}
		pp->word = alt[i];
	}
	lex_next(lx);
	return 0;
}

static int
parse_arg(struct lex *lx, struct pattern *pt, size_t *optional)
{
	struct load *ld = lx->ld;
	struct pool *pl = &ld->p->pool;
	struct arg_pat *a;
	const char **alt;
	size_t n, i;

	if (pt->narg >= PATTERN_ARGS_MAX) {
		diag_at(
		    ld, &lx->tok.pos, "more than %u tokens", PATTERN_ARGS_MAX);
		return -1;
	}
	pt->arg = pool_grow(pl, pt->arg, pt->narg, sizeof(*pt->arg));
	a = &pt->arg[pt->narg++];
	memset(a, 0, sizeof(*a));
	if (lx->tok.kind == TOK_STRING) {
		if (plain_string(lx, "a string", POLICY_TOKEN_MAX) < 0)
			return -1;
		a->literal = true;
		a->alt = pool_alloc(pl, sizeof(*a->alt));
		a->alt[a->nalt++] = lx->tok.s;
		lex_next(lx);
		return 0;
	}
	if (strstr(lx->tok.s, "...") != NULL) {
		diag_at(ld, &lx->tok.pos,
		    "\"...\" is a token of its own, at "
		    "the end; quote it to mean three dots");
		return -1;
	}
	if (expand_word(ld, &lx->tok, &alt, &n) < 0)
		return -1;
	a->alt = pool_alloc(pl, n * sizeof(*a->alt));
	for (i = 0; i < n; i++) {
		if (alt[i][0] != '\0')
			a->alt[a->nalt++] = alt[i];
		else
			a->optional = true;
	}
	if (a->optional && ++*optional > PATTERN_OPTIONAL_MAX) {
		diag_at(ld, &lx->tok.pos, "more than %u optional tokens",
		    PATTERN_OPTIONAL_MAX);
		return -1;
	}
	lex_next(lx);
	return 0;
}

static int
parse_exec(struct lex *lx, struct pattern *pt)
{
	size_t optional = 0;

	if (parse_programs(lx, pt) < 0)
		return -1;
	while (in_pattern(&lx->tok)) {
		if (pt->rest && tok_is(&lx->tok, "mode"))
			break;
		if (begins_rule(&lx->tok) || pt->rest) {
			diag_expected(lx->ld, &lx->tok,
			    pt->rest ? "\";\" or a clause behind \"...\""
				     : "\";\" on the line before",
			    NULL, 0);
			return -1;
		}
		if (tok_is(&lx->tok, "...")) {
			pt->rest = true;
			lex_next(lx);
		} else if (parse_arg(lx, pt, &optional) < 0) {
			return -1;
		}
	}
	return 0;
}

/* ---- the other classes -------------------------------------------------- */

static int
parse_paths(struct lex *lx, struct pattern *pt)
{
	const char **alt;
	size_t n, i;

	if (lx->tok.kind != TOK_WORD) {
		diag_expected(lx->ld, &lx->tok, "a path pattern", NULL, 0);
		return -1;
	}
	if (expand_word(lx->ld, &lx->tok, &alt, &n) < 0)
		return -1;
	pt->path = pool_alloc(&lx->ld->p->pool, n * sizeof(*pt->path));
	for (i = 0; i < n; i++)
		if (path_pat_parse(lx->ld, &lx->tok.pos, alt[i],
			&pt->path[pt->npath++]) < 0)
			return -1;
	lex_next(lx);
	return 0;
}

static int
parse_methods(struct lex *lx, struct pattern *pt)
{
	size_t i, len;

	if (lx->tok.kind != TOK_WORD) {
		diag_expected(lx->ld, &lx->tok,
		    "methods such as {GET,HEAD}, "
		    "or * for all",
		    NULL, 0);
		return -1;
	}
	if (!tok_is(&lx->tok, "*")) {
		if (expand_word(lx->ld, &lx->tok, &pt->method, &pt->nmethod) <
		    0)
			return -1;
		for (i = 0; i < pt->nmethod; i++) {
			len = strlen(pt->method[i]);
			if (len > 0 &&
			    strspn(pt->method[i],
				"ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == len)
				continue;
			diag_expected(lx->ld, &lx->tok,
			    "methods in capital "
			    "letters such as {GET,HEAD}, or * for all",
			    NULL, 0);
			return -1;
		}
	}
	lex_next(lx);
	return 0;
}

static int
parse_http(struct lex *lx, struct pattern *pt, bool except)
{
	const char **alt;
	size_t n, i;

	/* The methods of a rule hold for its exceptions. */
	if (!except || lx->tok.kind != TOK_WORD ||
	    strstr(lx->tok.s, "://") == NULL)
		if (parse_methods(lx, pt) < 0)
			return -1;
	if (lx->tok.kind != TOK_WORD) {
		diag_expected(lx->ld, &lx->tok,
		    "a pattern such as https://example.org/**", NULL, 0);
		return -1;
	}
	if (expand_word(lx->ld, &lx->tok, &alt, &n) < 0)
		return -1;
	pt->url = pool_alloc(&lx->ld->p->pool, n * sizeof(*pt->url));
	for (i = 0; i < n; i++)
		if (url_pat_parse(lx->ld, &lx->tok.pos, alt[i], pt->widens,
			&pt->url[pt->nurl++]) < 0)
			return -1;
	lex_next(lx);
	return 0;
}

static int
parse_net(struct lex *lx, struct pattern *pt)
{
	const char **alt;
	size_t n, i;

	if (lx->tok.kind != TOK_WORD) {
		diag_expected(lx->ld, &lx->tok, "an address", NULL, 0);
		return -1;
	}
	if (expand_word(lx->ld, &lx->tok, &alt, &n) < 0)
		return -1;
	pt->net = pool_alloc(&lx->ld->p->pool, n * sizeof(*pt->net));
	for (i = 0; i < n; i++)
		if (net_pat_parse(lx->ld, &lx->tok.pos, alt[i], pt->widens,
			&pt->net[pt->nnet++]) < 0)
			return -1;
	lex_next(lx);
	return 0;
}

static int
parse_models(struct lex *lx, struct pattern *pt)
{
	const char **alt;
	size_t n, i;

	if (lx->tok.kind != TOK_WORD) {
		diag_expected(lx->ld, &lx->tok,
		    "PROVIDER/MODEL such as anthropic/claude-*", NULL, 0);
		return -1;
	}
	if (expand_word(lx->ld, &lx->tok, &alt, &n) < 0)
		return -1;
	pt->model = pool_alloc(&lx->ld->p->pool, n * sizeof(*pt->model));
	for (i = 0; i < n; i++)
		if (model_pat_parse(lx->ld, &lx->tok.pos, alt[i],
			&pt->model[pt->nmodel++]) < 0)
			return -1;
	lex_next(lx);
	return 0;
}

static int
parse_pattern(struct lex *lx, struct rule *r, struct pattern *pt, bool except)
{
	memset(pt, 0, sizeof(*pt));
	/* An exception of a deny lets through, as an allow does. */
	pt->widens =
	    except ? r->effect != EFFECT_ALLOW : r->effect != EFFECT_DENY;
	switch (r->cls) {
	case POLICY_EXEC:
		return parse_exec(lx, pt);
	case POLICY_READ:
	case POLICY_WRITE:
		return parse_paths(lx, pt);
	case POLICY_HTTP:
		return parse_http(lx, pt, except);
	case POLICY_NET:
		return parse_net(lx, pt);
	case POLICY_MODEL:
		return parse_models(lx, pt);
	case POLICY_CLASSES:
		break;
	}
	return -1;
}

/* ---- clauses ------------------------------------------------------------ */

static int
parse_except(struct lex *lx, struct rule *r)
{
	struct pool *pl = &lx->ld->p->pool;

	if (r->cls == POLICY_READ || r->cls == POLICY_WRITE) {
		diag_at(lx->ld, &lx->tok.pos,
		    "the kernel cannot make "
		    "exceptions for files: write a %s rule of its own",
		    r->effect == EFFECT_DENY ? "narrower deny" : "deny");
		return -1;
	}
	if (r->nexcept >= EXCEPTS_MAX) {
		diag_at(lx->ld, &lx->tok.pos, "more than %u exceptions",
		    EXCEPTS_MAX);
		return -1;
	}
	lex_next(lx);
	r->except = pool_grow(pl, r->except, r->nexcept, sizeof(*r->except));
	return parse_pattern(lx, r, &r->except[r->nexcept++], true);
}

static int
parse_cond(struct lex *lx, struct rule *r)
{
	struct load *ld = lx->ld;
	struct pool *pl = &ld->p->pool;
	struct cond *c;
	const char **alt;
	size_t n, i;

	if (r->cls != POLICY_EXEC) {
		diag_at(ld, &lx->tok.pos, "only exec rules have arguments");
		return -1;
	}
	if (r->ncond >= EXCEPTS_MAX) {
		diag_at(
		    ld, &lx->tok.pos, "more than %u conditions", EXCEPTS_MAX);
		return -1;
	}
	r->cond = pool_grow(pl, r->cond, r->ncond, sizeof(*r->cond));
	c = &r->cond[r->ncond++];
	memset(c, 0, sizeof(*c));
	c->with = tok_is(&lx->tok, "with");
	lex_next(lx);
	if (!tok_is(&lx->tok, "arg")) {
		diag_expected(ld, &lx->tok, "\"arg\"", NULL, 0);
		return -1;
	}
	do {
		lex_next(lx);
		if (!in_pattern(&lx->tok)) {
			diag_expected(ld, &lx->tok,
			    "arguments such as {-f,--force}", NULL, 0);
			return -1;
		}
		if (expand_word(ld, &lx->tok, &alt, &n) < 0)
			return -1;
		for (i = 0; i < n; i++) {
			if (alt[i][0] == '\0') {
				diag_at(ld, &lx->tok.pos,
				    "an empty argument in the list");
				return -1;
			}
			c->pat =
			    pool_grow(pl, c->pat, c->npat, sizeof(*c->pat));
			c->pat[c->npat++] = alt[i];
		}
		lex_next(lx);
	} while (lx->tok.kind == TOK_COMMA);
	return 0;
}

static int
parse_max_output(struct lex *lx, struct rule *r)
{
	struct load *ld = lx->ld;
	const char *why = NULL;

	if (r->cls != POLICY_MODEL)
		why = "only model rules have an output";
	else if (r->effect == EFFECT_DENY)
		why = "a limit is for what is allowed or asked about";
	else if (r->max_output != 0)
		why = "the rule has two limits";
	if (why != NULL) {
		diag_at(ld, &lx->tok.pos, "%s", why);
		return -1;
	}
	lex_next(lx);
	return parse_tokens(lx, &r->max_output);
}

static int
parse_clause(struct lex *lx, struct rule *r)
{
	struct load *ld = lx->ld;
	struct pos pos = lx->tok.pos;

	if (tok_is(&lx->tok, "except"))
		return parse_except(lx, r);
	if (tok_is(&lx->tok, "with") || tok_is(&lx->tok, "without"))
		return parse_cond(lx, r);
	if (tok_is(&lx->tok, "max-output"))
		return parse_max_output(lx, r);
	if (tok_is(&lx->tok, "as")) {
		lex_next(lx);
		if (r->name[0] != '\0') {
			diag_at(ld, &pos, "the rule has two names");
			return -1;
		}
		if (lx->tok.kind != TOK_WORD ||
		    !str_is_name(lx->tok.s, NAME_MAX_)) {
			diag_expected(
			    ld, &lx->tok, "a name for the rule", NULL, 0);
			return -1;
		}
		r->name = lx->tok.s;
	} else {
		lex_next(lx);
		if (r->because[0] != '\0') {
			diag_at(ld, &pos, "the rule has two reasons");
			return -1;
		}
		if (plain_string(lx, "a quoted reason", BECAUSE_MAX) < 0)
			return -1;
		r->because = lx->tok.s;
	}
	lex_next(lx);
	return 0;
}

/* The rule as written, white space collapsed: for lists and refusals. */
static const char *
rule_text(struct lex *lx, const struct pos *from, size_t to)
{
	char out[RULE_TEXT_MAX];
	const char *s = from->src->text;
	size_t i, n = 0;
	bool space;

	for (i = from->off; i < to && n + 1 < sizeof(out); i++) {
		space = s[i] == ' ' || s[i] == '\t' || s[i] == '\n';
		if (space && n > 0 && out[n - 1] == ' ')
			continue;
		out[n++] = space ? ' ' : s[i];
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	return pool_strndup(&lx->ld->p->pool, out, n);
}

static bool
has_address(const struct pattern *pt)
{
	size_t i;

	for (i = 0; i < pt->nnet; i++)
		if (pt->net[i].host == NULL)
			return true;
	return false;
}

static int
parse_rule_rest(struct lex *lx, struct rule *r)
{
	struct load *ld = lx->ld;
	struct pos at = lx->tok.pos;
	int c = parse_class(lx);

	if (c < 0)
		return -1;
	r->cls = (enum policy_class)c;
	if (r->effect == EFFECT_ASK && c != POLICY_NET && !can_ask(r->cls)) {
		diag_at(ld, &at, "ask %s is not supported by this version",
		    class_words[c]);
		return -1;
	}
	if (parse_pattern(lx, r, &r->pat, false) < 0)
		return -1;
	if (r->effect == EFFECT_ASK && has_address(&r->pat)) {
		diag_at(ld, &at,
		    "only connections to a NAME:PORT can be asked "
		    "about, not addresses");
		return -1;
	}
	while (is_clause(&lx->tok))
		if (parse_clause(lx, r) < 0)
			return -1;
	if (tok_is(&lx->tok, "when") || tok_is(&lx->tok, "mode") ||
	    tok_is(&lx->tok, "raw-path")) {
		diag_at(ld, &lx->tok.pos, "%s is not supported by this version",
		    lx->tok.s);
		return -1;
	}
	if (lx->tok.kind != TOK_SEMI) {
		diag_expected(ld, &lx->tok,
		    "\";\" or a clause (except, with, "
		    "without, max-output, as, because)",
		    clauses, nitems(clauses));
		return -1;
	}
	return 0;
}

void
parse_rule_of(struct lex *lx, struct profile *in, enum effect e, struct pos pos)
{
	struct load *ld = lx->ld;
	struct pool *pl = &ld->p->pool;
	struct rule *r = pool_alloc(pl, sizeof(*r));

	r->effect = e;
	r->pos = pos;
	r->name = r->because = "";
	if (++ld->rules > RULES_MAX) {
		if (ld->rules == RULES_MAX + 1)
			diag_at(ld, &pos, "more than %u rules", RULES_MAX);
		parse_sync(lx);
		return;
	}
	if (parse_rule_rest(lx, r) < 0) {
		parse_sync(lx);
		return;
	}
	r->text = rule_text(lx, &pos, lx->tok.pos.off);
	lex_next(lx);
	in->local = pool_grow(pl, in->local, in->nlocal, sizeof(*in->local));
	in->local[in->nlocal++] = r;
}

void
parse_rule(struct lex *lx, struct profile *in)
{
	struct pos pos = lx->tok.pos;
	int e = parse_effect(lx);

	if (e < 0)
		parse_sync(lx);
	else
		parse_rule_of(lx, in, (enum effect)e, pos);
}

/*
 * The statements default, sandbox, ask and limit.
 */
#include "policy/internal.h"

#include <stdint.h>
#include <string.h>

#include "base/str.h"

/* Remember that s is set; false, with an error, if it was already. */
static bool
once(struct lex *lx, struct profile *in, enum setting s, const struct pos *pos)
{
	if (in->has[s]) {
		diag_at(lx->ld, pos, "set twice in the same place");
		return false;
	}
	in->has[s] = true;
	return true;
}

/*
 * Digits and a unit letter out of units, worth scale[] each; no letter is
 * worth 1 if bare is allowed.
 */
static int
parse_quantity(struct lex *lx, const char *what, const char *units,
    const uint64_t *scale, bool bare, uint64_t max, uint64_t *out)
{
	const struct tok *t = &lx->tok;
	char digits[24];
	size_t n = t->kind == TOK_WORD ? strspn(t->s, "0123456789") : 0;
	const char *unit = NULL;
	uint64_t v = 0, k = 1;

	if (n > 0 && t->s[n] != '\0' && t->s[n + 1] == '\0') {
		unit = strchr(units, t->s[n]);
		if (unit != NULL)
			k = scale[unit - units];
	}
	if (n == 0 || n >= sizeof(digits) ||
	    (unit == NULL && (t->s[n] != '\0' || !bare))) {
		diag_expected(lx->ld, t, what, NULL, 0);
		return -1;
	}
	memcpy(digits, t->s, n);
	digits[n] = '\0';
	if (str_to_u64(digits, 1, max / k, &v) < 0) {
		diag_at(lx->ld, &t->pos, "out of range: 1 to %llu%s",
		    (unsigned long long)(max / k), unit != NULL ? unit : "");
		return -1;
	}
	*out = v * k;
	lex_next(lx);
	return 0;
}

static int
parse_duration(struct lex *lx, uint32_t *out)
{
	static const uint64_t scale[] = { 1, 60, 3600, 86400 };
	uint64_t v;

	if (parse_quantity(lx, "a duration such as 90s, 30m, 4h or 2d", "smhd",
		scale, false, UINT32_MAX, &v) < 0)
		return -1;
	*out = (uint32_t)v;
	return 0;
}

static int
parse_size(struct lex *lx, uint64_t *out)
{
	static const uint64_t scale[] = { 1ull << 10, 1ull << 20, 1ull << 30,
		1ull << 40 };

	return parse_quantity(lx, "a size such as 64M or 2G", "KMGT", scale,
	    true, INT64_MAX, out);
}

static int
parse_count(struct lex *lx, uint32_t *out)
{
	static const uint64_t scale[] = { 0 };
	uint64_t v;

	if (parse_quantity(lx, "a number", "", scale, true, UINT32_MAX, &v) < 0)
		return -1;
	*out = (uint32_t)v;
	return 0;
}

static int
parse_default(struct lex *lx, struct profile *in)
{
	struct pos pos = lx->tok.pos, at;
	int c = parse_class(lx), e;

	if (c < 0)
		return -1;
	at = lx->tok.pos;
	e = parse_effect(lx);
	if (e < 0)
		return -1;
	if (in->has_default[c]) {
		diag_at(lx->ld, &pos, "set twice in the same place");
		return -1;
	}
	if (e == EFFECT_ASK && c != POLICY_EXEC && c != POLICY_HTTP) {
		diag_at(lx->ld, &at,
		    "default %s ask is not supported by this version",
		    class_words[c]);
		return -1;
	}
	if (e == EFFECT_ALLOW && c == POLICY_NET) {
		diag_at(lx->ld, &at,
		    "addresses that are not global are "
		    "allowed one by one, with allow net");
		return -1;
	}
	in->has_default[c] = true;
	in->defaults[c] = (enum effect)e;
	return 0;
}

static int
parse_workspace(struct lex *lx, struct profile *in, const struct pos *pos)
{
	static const char *const words[] = { "exec", "direct", "staged" };
	static const char *const yesno[] = { "no", "yes" };
	struct pos at = lx->tok.pos;
	int i =
	    parse_choice(lx, "exec, direct or staged", words, nitems(words));
	int y;

	if (i < 0)
		return -1;
	if (i == 2) {
		diag_at(lx->ld, &at,
		    "sandbox workspace staged is not supported by this "
		    "version");
		return -1;
	}
	if (i == 1)
		return once(lx, in, SET_WORKSPACE_MODE, pos) ? 0 : -1;
	y = parse_choice(lx, "yes or no", yesno, nitems(yesno));
	if (y < 0 || !once(lx, in, SET_WORKSPACE_EXEC, pos))
		return -1;
	in->set.workspace_exec = y == 1;
	return 0;
}

static int
parse_sandbox(struct lex *lx, struct profile *in)
{
	static const char *const words[] = { "workspace", "memfd-exec", "tmp",
		"trace" };
	static const char *const yesno[] = { "no", "yes" };
	static const char *const execs[] = { "noexec", "exec" };
	static const char *const onoff[] = { "off", "on" };
	struct pos pos = lx->tok.pos;
	int v;

	switch (parse_choice(
	    lx, "workspace, memfd-exec, tmp or trace", words, nitems(words))) {
	case 0:
		return parse_workspace(lx, in, &pos);
	case 1:
		v = parse_choice(lx, "yes or no", yesno, nitems(yesno));
		if (v < 0 || !once(lx, in, SET_MEMFD, &pos))
			return -1;
		in->set.memfd_exec = v == 1;
		return 0;
	case 2:
		v = parse_choice(lx, "exec or noexec", execs, nitems(execs));
		if (v < 0 || !once(lx, in, SET_TMP, &pos))
			return -1;
		in->set.tmp_exec = v == 1;
		return 0;
	case 3:
		v = parse_choice(lx, "on or off", onoff, nitems(onoff));
		if (v < 0 || !once(lx, in, SET_TRACE, &pos))
			return -1;
		in->set.trace = v == 1;
		return 0;
	}
	return -1;
}

static int
take(struct lex *lx, const char *word)
{
	cleanup_free char *what = xasprintf("\"%s\"", word);

	if (!tok_is(&lx->tok, word)) {
		diag_expected(lx->ld, &lx->tok, what, NULL, 0);
		return -1;
	}
	lex_next(lx);
	return 0;
}

static int
parse_ask(struct lex *lx, struct profile *in)
{
	static const char *const words[] = { "timeout", "unattended", "exec",
		"http", "read", "write", "net" };
	static const char *const later[] = { "hold", "approvers" };
	struct pos pos = lx->tok.pos;
	size_t i;

	for (i = 0; i < nitems(later); i++) {
		if (!tok_is(&lx->tok, later[i]))
			continue;
		diag_at(lx->ld, &pos,
		    "ask %s is not supported by this "
		    "version",
		    later[i]);
		return -1;
	}
	if (tok_is(&lx->tok, "unattended")) {
		lex_next(lx);
		if (take(lx, "deny") < 0 || !once(lx, in, SET_UNATTENDED, &pos))
			return -1;
		in->set.ask_unattended_deny = true;
		return 0;
	}
	if (tok_is(&lx->tok, "timeout")) {
		lex_next(lx);
		if (parse_duration(lx, &in->set.ask_timeout_s) < 0 ||
		    take(lx, "then") < 0 || take(lx, "deny") < 0)
			return -1;
		return once(lx, in, SET_ASK_TIMEOUT, &pos) ? 0 : -1;
	}
	diag_expected(lx->ld, &lx->tok,
	    "a class (exec or http), timeout or unattended", words,
	    nitems(words));
	return -1;
}

static int
parse_limit(struct lex *lx, struct profile *in)
{
	static const char *const words[] = { "wall", "procs", "memory", "files",
		"output" };
	static const char *const later[] = { "exec", "asks", "http" };
	struct profile_settings *s = &in->set;
	struct pos pos = lx->tok.pos;
	size_t i;

	for (i = 0; i < nitems(later); i++) {
		if (!tok_is(&lx->tok, later[i]))
			continue;
		diag_at(lx->ld, &pos,
		    "limit %s is not supported by this "
		    "version",
		    later[i]);
		return -1;
	}
	switch (parse_choice(
	    lx, "wall, procs, memory, files or output", words, nitems(words))) {
	case 0:
		return parse_duration(lx, &s->wall_s) < 0 ||
			       !once(lx, in, SET_WALL, &pos)
			   ? -1
			   : 0;
	case 1:
		return parse_count(lx, &s->procs) < 0 ||
			       !once(lx, in, SET_PROCS, &pos)
			   ? -1
			   : 0;
	case 2:
		return parse_size(lx, &s->memory) < 0 ||
			       !once(lx, in, SET_MEMORY, &pos)
			   ? -1
			   : 0;
	case 3:
		return parse_count(lx, &s->files) < 0 ||
			       !once(lx, in, SET_FILES, &pos)
			   ? -1
			   : 0;
	case 4:
		return parse_size(lx, &s->output) < 0 ||
			       !once(lx, in, SET_OUTPUT, &pos)
			   ? -1
			   : 0;
	}
	return -1;
}

void
parse_setting(struct lex *lx, struct profile *in, const char *what)
{
	int r;

	if (strcmp(what, "default") == 0)
		r = parse_default(lx, in);
	else if (strcmp(what, "sandbox") == 0)
		r = parse_sandbox(lx, in);
	else if (strcmp(what, "limit") == 0)
		r = parse_limit(lx, in);
	else
		r = parse_ask(lx, in);
	if (r < 0)
		parse_sync(lx);
	else
		(void)parse_end(lx);
}

/*
 * The statements default, ask and limit.
 */
#include "policy/internal.h"

#include <stdint.h>
#include <string.h>

#include "base/str.h"

bool
setting_once(
    struct lex *lx, struct profile *in, enum setting s, const struct pos *pos)
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
	if (e == EFFECT_ASK && !can_ask((enum policy_class)c)) {
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
		if (take(lx, "deny") < 0 ||
		    !setting_once(lx, in, SET_UNATTENDED, &pos))
			return -1;
		in->set.ask_unattended_deny = true;
		return 0;
	}
	if (tok_is(&lx->tok, "timeout")) {
		lex_next(lx);
		if (parse_duration(lx, &in->set.ask_timeout_s) < 0 ||
		    take(lx, "then") < 0 || take(lx, "deny") < 0)
			return -1;
		return setting_once(lx, in, SET_ASK_TIMEOUT, &pos) ? 0 : -1;
	}
	diag_expected(lx->ld, &lx->tok,
	    "a class (exec or http), timeout or unattended", words,
	    nitems(words));
	return -1;
}

/* "150%": of one processor. */
static int
parse_percent(struct lex *lx, uint32_t *out)
{
	static const uint64_t scale[] = { 1 };
	uint64_t v;

	if (parse_quantity(lx, "a share of one processor such as 50% or 200%",
		"%", scale, false, CPU_PERCENT_MAX, &v) < 0)
		return -1;
	*out = (uint32_t)v;
	return 0;
}

static int
parse_weight(struct lex *lx, uint32_t *out)
{
	struct pos pos = lx->tok.pos;

	if (parse_count(lx, out) < 0)
		return -1;
	if (*out <= CPU_WEIGHT_MAX)
		return 0;
	diag_at(lx->ld, &pos, "out of range: 1 to %u", CPU_WEIGHT_MAX);
	return -1;
}

static int
parse_limit(struct lex *lx, struct profile *in)
{
	static const char *const words[] = { "wall", "procs", "memory", "files",
		"output", "swap", "cpu", "cpu-weight", "io", "disk", "inodes" };
	static const enum setting settings[] = { SET_WALL, SET_PROCS,
		SET_MEMORY, SET_FILES, SET_OUTPUT, SET_SWAP, SET_CPU,
		SET_CPU_WEIGHT, SET_IO, SET_DISK, SET_INODES };
	static const char *const later[] = { "exec", "asks", "http" };
	struct profile_settings *s = &in->set;
	struct pos pos = lx->tok.pos;
	size_t i;
	int r = -1, w;

	for (i = 0; i < nitems(later); i++) {
		if (!tok_is(&lx->tok, later[i]))
			continue;
		diag_at(lx->ld, &pos,
		    "limit %s is not supported by this "
		    "version",
		    later[i]);
		return -1;
	}
	w = parse_choice(lx,
	    "wall, procs, memory, files, output, swap, cpu, cpu-weight, io, "
	    "disk or inodes",
	    words, nitems(words));
	if (w < 0)
		return -1;
	switch (settings[w]) {
	case SET_WALL:
		r = parse_duration(lx, &s->wall_s);
		break;
	case SET_PROCS:
		r = parse_count(lx, &s->procs);
		break;
	case SET_MEMORY:
		r = parse_size(lx, &s->memory);
		break;
	case SET_FILES:
		r = parse_count(lx, &s->files);
		break;
	case SET_OUTPUT:
		r = parse_size(lx, &s->output);
		break;
	case SET_SWAP:
		r = parse_size(lx, &s->swap);
		break;
	case SET_CPU:
		r = parse_percent(lx, &s->cpu_percent);
		break;
	case SET_CPU_WEIGHT:
		r = parse_weight(lx, &s->cpu_weight);
		break;
	case SET_IO:
		r = parse_size(lx, &s->io);
		break;
	case SET_DISK:
		r = parse_size(lx, &s->disk);
		break;
	case SET_INODES:
		r = parse_count(lx, &s->inodes);
		break;
	default:
		break;
	}
	if (r < 0)
		return -1;
	return setting_once(lx, in, settings[w], &pos) ? 0 : -1;
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

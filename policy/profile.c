/*
 * Profiles: what they inherit, and what others may ask of them.
 */
#include "policy/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define ASK_TIMEOUT_S 300u
#define OUTPUT_BYTES (64ull << 20)

/* The last is where git runs a second copy of itself from. */
static const char *const secure_dirs[] = { "/usr/local/bin", "/usr/bin", "/bin",
	"/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/git-core" };

const struct program *
policy_program(const struct policy *p, const char *word)
{
	size_t i;

	for (i = 0; i < p->nprogram; i++)
		if (strcmp(p->program[i]->word, word) == 0)
			return p->program[i];
	return NULL;
}

void
profile_base_init(struct profile *base)
{
	base->name = "";
	base->set.workspace_exec = true;
	base->set.tmp_exec = true;
	base->set.trace = true;
	base->set.protect = true;
	base->set.ask_timeout_s = ASK_TIMEOUT_S;
	base->set.output = OUTPUT_BYTES;
}

static void
inherit_setting(struct profile_settings *to,
    const struct profile_settings *from, enum setting s)
{
	switch (s) {
	case SET_WORKSPACE_EXEC:
		to->workspace_exec = from->workspace_exec;
		break;
	case SET_WORKSPACE_MODE:
		to->workspace_staged = from->workspace_staged;
		break;
	case SET_MEMFD:
		to->memfd_exec = from->memfd_exec;
		break;
	case SET_TMP:
		to->tmp_exec = from->tmp_exec;
		break;
	case SET_TRACE:
		to->trace = from->trace;
		break;
	case SET_UNATTENDED:
		to->ask_unattended_deny = from->ask_unattended_deny;
		break;
	case SET_ASK_TIMEOUT:
		to->ask_timeout_s = from->ask_timeout_s;
		break;
	case SET_WALL:
		to->wall_s = from->wall_s;
		break;
	case SET_PROCS:
		to->procs = from->procs;
		break;
	case SET_MEMORY:
		to->memory = from->memory;
		break;
	case SET_FILES:
		to->files = from->files;
		break;
	case SET_OUTPUT:
		to->output = from->output;
		break;
	case SET_SWAP:
		to->swap = from->swap;
		break;
	case SET_CPU:
		to->cpu_percent = from->cpu_percent;
		break;
	case SET_CPU_WEIGHT:
		to->cpu_weight = from->cpu_weight;
		break;
	case SET_IO:
		to->io = from->io;
		break;
	case SET_DISK:
		to->disk = from->disk;
		break;
	case SET_INODES:
		to->inodes = from->inodes;
		break;
	case SET_PROTECT:
		to->protect = from->protect;
		break;
	case SET_SECCOMP:
		to->seccomp = from->seccomp;
		break;
	case SET_HOME:
		to->home_keep = from->home_keep;
		break;
	case SET_ROOT:
		to->root = from->root;
		break;
	case SET_TREES:
		to->trees = from->trees;
		to->ntrees = from->ntrees;
		break;
	case SET_VARIABLES:
		to->variables = from->variables;
		to->nvariables = from->nvariables;
		break;
	case SET_MAX:
		break;
	}
}

static const struct program *
program_for(struct policy *p, const char *word)
{
	const struct program *known = policy_program(p, word);
	struct program *pg;
	char path[POLICY_PATH_MAX + 1];
	size_t i;

	if (known != NULL)
		return known;
	pg = pool_alloc(&p->pool, sizeof(*pg));
	pg->word = word;
	pg->path =
	    pool_alloc(&p->pool, (nitems(secure_dirs) + 1) * sizeof(*pg->path));
	for (i = 0; i < nitems(secure_dirs); i++) {
		(void)snprintf(
		    path, sizeof(path), "%s/%s", secure_dirs[i], word);
		pg->path[i] = pool_strdup(&p->pool, path);
	}
	return pg;
}

static int
word_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct words {
	const char **w;
	size_t n, cap;
};

static void
words_add(struct words *ws, const char *w)
{
	if (ws->n == ws->cap) {
		ws->cap = ws->cap == 0 ? 64 : 2 * ws->cap;
		ws->w = xreallocarray(ws->w, ws->cap, sizeof(*ws->w));
	}
	ws->w[ws->n++] = w;
}

static void
words_add_pattern(struct words *ws, const struct pattern *pt)
{
	size_t i;

	for (i = 0; i < pt->nprog; i++)
		if (pt->prog[i].word != NULL)
			words_add(ws, pt->prog[i].word);
}

static void
collect_programs(struct load *ld, struct profile *pr)
{
	struct pool *pl = &ld->p->pool;
	struct words ws = { NULL, 0, 0 };
	const struct rule *r;
	size_t i, k;

	/* Always listed: a rule for rm has to see busybox rm. */
	for (i = 0; i < nitems(multicall_words); i++)
		words_add(&ws, multicall_words[i]);
	for (i = 0; i < pr->nrules; i++) {
		r = pr->rules[i];
		words_add_pattern(&ws, &r->pat);
		for (k = 0; k < r->nexcept; k++)
			words_add_pattern(&ws, &r->except[k]);
	}
	qsort(ws.w, ws.n, sizeof(*ws.w), word_cmp);
	for (i = 0; i < ws.n; i++) {
		if (i > 0 && strcmp(ws.w[i], ws.w[i - 1]) == 0)
			continue;
		pr->program = pool_grow(
		    pl, pr->program, pr->nprogram, sizeof(*pr->program));
		pr->program[pr->nprogram++] = program_for(ld->p, ws.w[i]);
	}
	free(ws.w);
}

static void
flatten(struct load *ld, struct profile *pr)
{
	struct profile *base = ld->p->base, *from;
	size_t inherited, i;

	if (pr->flat)
		return;
	pr->flat = true;
	if (pr->parent != NULL)
		flatten(ld, pr->parent);
	from = pr->parent != NULL ? pr->parent : base;
	inherited = from == base ? base->nlocal : from->nrules;
	pr->nrules = inherited + pr->nlocal;
	pr->rules =
	    pool_alloc(&ld->p->pool, (pr->nrules + 1) * sizeof(*pr->rules));
	for (i = 0; i < inherited; i++)
		pr->rules[i] = from == base ? base->local[i] : from->rules[i];
	for (i = 0; i < pr->nlocal; i++)
		pr->rules[inherited + i] = pr->local[i];
	for (i = 0; i < POLICY_CLASSES; i++)
		if (!pr->has_default[i])
			pr->defaults[i] = from->defaults[i];
	for (i = 0; i < SET_MAX; i++)
		if (!pr->has[i])
			inherit_setting(&pr->set, &from->set, (enum setting)i);
	collect_programs(ld, pr);
}

/* Each becomes a mount or a Landlock rule: say so now, not when a job starts.
 */
static void
check_path_rules(struct load *ld, const struct profile *pr)
{
	size_t i, n = 0;

	for (i = 0; i < pr->nrules; i++)
		n += pr->rules[i]->pat.npath;
	if (n > PATH_RULES_MAX)
		diag_at(ld, &pr->pos,
		    "profile %s has %zu patterns of read and write rules, "
		    "alternatives counted singly; at most %u",
		    pr->name, n, PATH_RULES_MAX);
}

/* Find the parent; an error if there is none or the chain is a ring. */
static void
connect(struct load *ld, struct profile *pr)
{
	struct policy *p = ld->p;
	const char *names[PROFILES_MAX], *near;
	size_t i;

	for (i = 0; i < p->nprofile; i++) {
		names[i] = p->profile[i]->name;
		if (strcmp(names[i], pr->extends) == 0)
			pr->parent = p->profile[i];
	}
	if (pr->parent != NULL)
		return;
	near = suggest(pr->extends, names, p->nprofile);
	diag_at(ld, &pr->extends_pos, "no profile \"%.64s\"%s%s%s", pr->extends,
	    near != NULL ? " (did you mean \"" : "", near != NULL ? near : "",
	    near != NULL ? "\"?)" : "");
}

void
profiles_finish(struct load *ld)
{
	struct policy *p = ld->p;
	const struct profile *up;
	size_t i, steps;

	for (i = 0; i < p->nprofile; i++)
		if (p->profile[i]->extends != NULL)
			connect(ld, p->profile[i]);
	for (i = 0; i < p->nprofile; i++) {
		steps = 0;
		for (up = p->profile[i]->parent; up != NULL; up = up->parent)
			if (up == p->profile[i] || ++steps > p->nprofile)
				break;
		if (up == p->profile[i])
			diag_at(ld, &p->profile[i]->extends_pos,
			    "profile %s would extend itself",
			    p->profile[i]->name);
	}
	if (ld->ds->n > 0)
		return;
	for (i = 0; i < p->nprofile; i++)
		flatten(ld, p->profile[i]);
	for (i = 0; i < p->nprofile; i++)
		check_path_rules(ld, p->profile[i]);
}

/* ---- questions ------------------------------------------------------------
 */

const struct profile *
policy_profile(const struct policy *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->nprofile; i++)
		if (strcmp(p->profile[i]->name, name) == 0)
			return p->profile[i];
	return NULL;
}

size_t
policy_profiles(const struct policy *p)
{
	return p->nprofile;
}

const struct profile *
policy_profile_at(const struct policy *p, size_t i)
{
	return i < p->nprofile ? p->profile[i] : NULL;
}

const char *
profile_name(const struct profile *pr)
{
	return pr->name;
}

enum effect
profile_default(const struct profile *pr, enum policy_class c)
{
	return c < POLICY_CLASSES ? pr->defaults[c] : EFFECT_DENY;
}

const struct profile_settings *
profile_settings(const struct profile *pr)
{
	return &pr->set;
}

size_t
profile_programs(const struct profile *pr)
{
	return pr->nprogram;
}

const char *
profile_program_word(const struct profile *pr, size_t i)
{
	return i < pr->nprogram ? pr->program[i]->word : NULL;
}

const char *const *
profile_program_paths(const struct profile *pr, size_t i)
{
	return i < pr->nprogram ? pr->program[i]->path : NULL;
}

void
profile_path_rules(const struct profile *pr,
    void (*fn)(
	enum effect e, enum policy_class c, const char *pattern, void *arg),
    void *arg)
{
	const struct rule *r;
	size_t i, k;

	for (i = 0; i < pr->nrules; i++) {
		r = pr->rules[i];
		if (r->cls != POLICY_READ && r->cls != POLICY_WRITE)
			continue;
		for (k = 0; k < r->pat.npath; k++)
			fn(r->effect, r->cls, r->pat.path[k].written, arg);
	}
}

/* A deny with wildcards, but for a last `**`, is turned into mounts over what
 * there is when the jail is built. */
static bool
holds_at_start(const struct rule *r)
{
	size_t i, n;

	if (r->effect != EFFECT_DENY)
		return false;
	for (i = 0; i < r->pat.npath; i++) {
		const char *p = r->pat.path[i].written;

		n = strlen(p);
		if (n > 3 && strcmp(p + n - 3, "/**") == 0)
			n -= 3;
		if (memchr(p, '*', n) != NULL)
			return true;
	}
	return false;
}

static const char *
enforcer(const struct profile *pr, const struct rule *r)
{
	switch (r->cls) {
	case POLICY_EXEC:
		return pr->set.trace ? "exec-stop" : "nobody: trace is off";
	case POLICY_READ:
	case POLICY_WRITE:
		return holds_at_start(r) ? "kernel, for what exists at the "
					   "start"
					 : "kernel";
	case POLICY_HTTP:
	case POLICY_NET:
	case POLICY_MODEL:
		return "proxy";
	case POLICY_CLASSES:
		break;
	}
	return "nobody";
}

void
profile_rules(const struct profile *pr,
    void (*fn)(const char *rule, enum effect e, enum policy_class c,
	const char *text, const char *enforced_by, void *arg),
    void *arg)
{
	const struct rule *r;
	char place[96];
	size_t i;

	for (i = 0; i < pr->nrules; i++) {
		r = pr->rules[i];
		(void)snprintf(place, sizeof(place), "%s:%u", r->pos.src->name,
		    r->pos.line);
		fn(place, r->effect, r->cls, r->text, enforcer(pr, r), arg);
	}
}

/*
 * Class exec: which programs an execution is, and with which arguments.  The
 * caller says by identity what file runs; argv[0] is believed only where the
 * program itself goes by it.
 */
#include "policy/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

const char *const multicall_words[3] = { "busybox", "toybox", "coreutils" };

/* ---- environment ------------------------------------------------------- */

static const struct {
	const char *name;
	bool prefix;
} risky[] = {
	{ "PAGER", false },
	{ "GIT_", true },
	{ "LESSOPEN", false },
	{ "LESSCLOSE", false },
	{ "BASH_ENV", false },
	{ "BASH_FUNC_", true },
	{ "ENV", false },
	{ "NODE_OPTIONS", false },
	{ "PYTHON", true },
	{ "PERL5", true },
	{ "PERLLIB", false },
	{ "RUBY", true },
	{ "OPENSSL_CONF", false },
	{ "OPENSSL_ENGINES", false },
	{ "OPENSSL_MODULES", false },
	{ "JAVA_TOOL_OPTIONS", false },
	{ "JDK_JAVA_OPTIONS", false },
	{ "_JAVA_OPTIONS", false },
	{ "LUA_INIT", true },
	{ "GCONV_PATH", false },
	{ "LD_", true },
};

/*
 * Variables of those families that hold data only, or say no more than an
 * option the normaliser skips anyway (--git-dir).  git sets several of them
 * for the programs it runs itself.
 */
static const char *const harmless[] = { "GIT_ADVICE",
	"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_AUTHOR_DATE",
	"GIT_AUTHOR_EMAIL", "GIT_AUTHOR_NAME", "GIT_COMMITTER_DATE",
	"GIT_COMMITTER_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMON_DIR",
	"GIT_CURL_VERBOSE", "GIT_DEFAULT_HASH", "GIT_DIR", "GIT_FLUSH",
	"GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE",
	"GIT_INTERNAL_TOPLEVEL_PREFIX", "GIT_MERGE_AUTOEDIT",
	"GIT_OBJECT_DIRECTORY", "GIT_OPTIONAL_LOCKS", "GIT_PREFIX",
	"GIT_PROTOCOL", "GIT_QUARANTINE_PATH", "GIT_REFLOG_ACTION",
	"GIT_SSL_CAINFO", "GIT_TERMINAL_PROMPT", "GIT_TOKEN", "GIT_WORK_TREE",
	"PYTHONDONTWRITEBYTECODE", "PYTHONFAULTHANDLER", "PYTHONHASHSEED",
	"PYTHONIOENCODING", "PYTHONNOUSERSITE", "PYTHONOPTIMIZE",
	"PYTHONSAFEPATH", "PYTHONUNBUFFERED", "PYTHONUTF8" };

/* Is the name, n bytes of var, this one? */
static bool
is_named(const char *var, size_t n, const char *name)
{
	/* Nearly all differ there, and there are many of both. */
	return var[0] == name[0] && strlen(name) == n &&
	       memcmp(var, name, n) == 0;
}

bool
policy_env_risky(const char *var, bool *deny)
{
	const size_t n = strcspn(var, "=");
	bool found = false;
	size_t i;

	/* glibc loads code from there into whatever program it is. */
	*deny = str_starts(var, "LD_") || is_named(var, n, "GCONV_PATH");
	for (i = 0; !found && i < nitems(risky); i++)
		found = risky[i].prefix ? var[0] == risky[i].name[0] &&
					      str_starts(var, risky[i].name)
					: is_named(var, n, risky[i].name);
	for (i = 0; found && i < nitems(harmless); i++)
		if (is_named(var, n, harmless[i]))
			return false;
	return found;
}

bool
profile_lets_variable(const struct profile *pr, const char *var)
{
	const size_t n = strcspn(var, "=");

	for (size_t i = 0; i < pr->set.nvariables; i++)
		if (is_named(var, n, pr->set.variables[i]))
			return true;
	return false;
}

/* ---- readings ---------------------------------------------------------- */

struct exec_ctx {
	struct reading rd[2]; /* as the file, and as the applet it becomes */
	size_t nrd;
	const char *applet;
	const char **buf;    /* arguments, where they had to be changed */
	const char *altered; /* why an allow is doubtful, or NULL */
};

static const char *
base_name(const char *s)
{
	const char *slash = strrchr(s, '/');

	return slash == NULL ? s : slash + 1;
}

static bool
has_word(const char *const *words, size_t n, const char *word)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(words[i], word) == 0)
			return true;
	return false;
}

#define GIT_ALTERED                                                            \
	"git options before the subcommand can make it run something else"
#define TOYBOX_ALTERED                                                         \
	"toybox runs its own commands without executing them: rules do not "   \
	"see what this one runs"

/* git's own options, before the subcommand (git(1)). */
static const struct {
	const char *name;
	bool value;   /* takes the next argument, or =VALUE */
	bool altered; /* can make git run something else */
	bool stop;    /* stands for a subcommand */
} git_options[] = {
	{ "-C", true, false, false },
	{ "--git-dir", true, false, false },
	{ "--work-tree", true, false, false },
	{ "--namespace", true, false, false },
	{ "--attr-source", true, false, false },
	{ "--super-prefix", true, false, false },
	{ "-c", true, true, false },
	{ "--config-env", true, true, false },
	{ "--exec-path", false, true, false },
	{ "-p", false, false, false },
	{ "--paginate", false, false, false },
	{ "-P", false, false, false },
	{ "--no-pager", false, false, false },
	{ "--bare", false, false, false },
	{ "--no-replace-objects", false, false, false },
	{ "--no-lazy-fetch", false, false, false },
	{ "--no-optional-locks", false, false, false },
	{ "--no-advice", false, false, false },
	{ "--literal-pathspecs", false, false, false },
	{ "--glob-pathspecs", false, false, false },
	{ "--noglob-pathspecs", false, false, false },
	{ "--icase-pathspecs", false, false, false },
	{ "--version", false, false, true },
	{ "-v", false, false, true },
	{ "--help", false, false, true },
	{ "-h", false, false, true },
	{ "--html-path", false, false, true },
	{ "--man-path", false, false, true },
	{ "--info-path", false, false, true },
	{ "--list-cmds", false, false, true },
};

/* How many arguments the subcommand is away. */
static size_t
git_skip(struct exec_ctx *cx, const char *const *args, size_t n)
{
	size_t i, k, len;
	bool known, joined;

	for (i = 0; i < n && args[i][0] == '-'; i++) {
		known = false;
		for (k = 0; k < nitems(git_options) && !known; k++) {
			len = strlen(git_options[k].name);
			if (strncmp(args[i], git_options[k].name, len) != 0)
				continue;
			joined = args[i][1] == '-' && args[i][len] == '=';
			if (args[i][len] != '\0' && !joined)
				continue;
			known = true;
			if (git_options[k].stop)
				return i;
			if (git_options[k].altered)
				cx->altered = GIT_ALTERED;
			if (git_options[k].value && !joined)
				i++;
		}
		/* An option of a newer git: what it does is not known. */
		if (!known)
			cx->altered = GIT_ALTERED;
	}
	return i < n ? i : n;
}

static void
read_git(struct exec_ctx *cx, const char *argv0)
{
	struct reading *rd = &cx->rd[0];
	const char *name = base_name(argv0);
	size_t skip;

	/* As git-push the program is `git push`, whatever the file's name. */
	if (str_starts(name, "git-") && name[4] != '\0') {
		cx->buf = xcalloc(rd->nargs + 1, sizeof(*cx->buf));
		cx->buf[0] = name + 4;
		if (rd->nargs > 0)
			memcpy(cx->buf + 1, rd->args,
			    rd->nargs * sizeof(*cx->buf));
		rd->args = cx->buf;
		rd->nargs++;
		return;
	}
	skip = git_skip(cx, rd->args, rd->nargs);
	rd->args += skip;
	rd->nargs -= skip;
}

static bool
is_multicall(const char *name)
{
	size_t i;

	/* busybox.static, coreutils-9: they test the beginning, too. */
	for (i = 0; i < nitems(multicall_words); i++)
		if (str_starts(name, multicall_words[i]))
			return true;
	return false;
}

/*
 * Commands of toybox that run another one.  If that is of toybox too it runs
 * in the same process, or in one forked from it: no execution to be judged.
 * (busybox does so only where it was built to.)
 */
static const char *const toybox_runners[] = { "bash", "chroot", "chrt", "env",
	"find", "flock", "inotifyd", "ionice", "logpath", "man", "nc", "netcat",
	"nice", "nohup", "nsenter", "oneit", "script", "setsid", "sh", "su",
	"sudo", "switch_root", "tar", "taskset", "tcpsvd", "time", "timeout",
	"toysh", "uclampset", "unshare", "vi", "watch", "xargs" };

/* Add the reading as the applet that argv selects. */
static void
read_applet(struct exec_ctx *cx, const char *argv0)
{
	struct reading *rd = &cx->rd[0], *ap = &cx->rd[1];
	const char *name = base_name(argv0);

	*ap = *rd;
	if (name[0] == '-') /* a login shell */
		name++;
	while (is_multicall(name)) {
		if (ap->nargs == 0)
			return;
		name = ap->args[0];
		if (str_starts(name, "--coreutils-prog="))
			name += strlen("--coreutils-prog=");
		else if (str_starts(name, "--coreutils-prog-shebang="))
			name += strlen("--coreutils-prog-shebang=");
		name = base_name(name);
		ap->args++;
		ap->nargs--;
	}
	cx->applet = name;
	if (strcmp(rd->words[0], "toybox") == 0 &&
	    has_word(toybox_runners, nitems(toybox_runners), name))
		cx->altered = TOYBOX_ALTERED;
	ap->words = &cx->applet;
	ap->nwords = 1;
	cx->nrd = 2;
}

static void
ctx_init(struct exec_ctx *cx, const char *path, const char *const *words,
    size_t nwords, const char *argv0, const char *const *args, size_t nargs)
{
	size_t i;

	memset(cx, 0, sizeof(*cx));
	cx->rd[0] = (struct reading){ words, nwords, path, args, nargs };
	cx->nrd = 1;
	if (has_word(words, nwords, "git"))
		read_git(cx, argv0);
	for (i = 0; i < nitems(multicall_words); i++) {
		if (!has_word(words, nwords, multicall_words[i]))
			continue;
		/* Every applet has the identity of the one file: the words
		 * say nothing but that it is this file. */
		cx->rd[0].words = &multicall_words[i];
		cx->rd[0].nwords = 1;
		read_applet(cx, argv0);
		break;
	}
}

static bool
exec_rule_match(const struct rule *r, const void *arg)
{
	const struct exec_ctx *cx = arg;
	size_t i, e;

	for (i = 0; i < cx->nrd; i++) {
		const struct reading *rd = &cx->rd[i];

		if (!exec_pat_match(&r->pat, rd) || !cond_holds(r, rd))
			continue;
		for (e = 0; e < r->nexcept; e++)
			if (exec_pat_match(&r->except[e], rd))
				break;
		if (e == r->nexcept)
			return true;
	}
	return false;
}

/* ---- what no file can lift ---------------------------------------------- */

/* The dynamic loaders of glibc and musl run any file given to them. */
static bool
is_loader(const char *name)
{
	return (str_starts(name, "ld") && strstr(name, ".so") != NULL) ||
	       str_starts(name, "libc.so") || str_starts(name, "libc.musl-");
}

static bool
refused_file(const struct profile *pr, const char *path, bool in_workspace,
    struct decision *d)
{
	char norm[POLICY_PATH_MAX + 1];

	if (path == NULL || path[0] != '/' ||
	    jail_path(path, norm, sizeof(norm)) < 0)
		decision_failsafe(d, "path",
		    "what was executed has no "
		    "unambiguous path");
	else if (is_loader(base_name(path)))
		decision_failsafe(d, "ld.so",
		    "the dynamic loader as a "
		    "program runs any file past the rules");
	else if (!pr->set.tmp_exec && (path_below(path, JAIL_SCRATCH) ||
					  path_below(path, JAIL_HOME)))
		decision_failsafe(d, "sandbox tmp noexec",
		    "nothing below the scratch and home directories may be "
		    "executed");
	else if (!pr->set.workspace_exec &&
		 (path_below(path, JAIL_WORKSPACE) ||
		     (in_workspace && !path_below(path, JAIL_SCRATCH))))
		decision_failsafe(d, "sandbox workspace exec no",
		    "nothing "
		    "below the workspace may be executed");
	else
		return false;
	return true;
}

static bool
refused_exec(
    const struct profile *pr, const struct exec_request *rq, struct decision *d)
{
	bool deny = false;
	size_t i;

	if (rq->argc == 0) {
		decision_failsafe(d, "argv", "an empty argument list");
		return true;
	}
	for (i = 0; i < rq->nwords; i++)
		if (is_loader(rq->words[i]))
			deny = true;
	if (deny) {
		decision_failsafe(d, "ld.so",
		    "the dynamic loader as a "
		    "program runs any file past the rules");
		return true;
	}
	for (i = 0; i < rq->nrisky; i++) {
		(void)policy_env_risky(rq->risky_env[i], &deny);
		if (!deny || profile_lets_variable(pr, rq->risky_env[i]))
			continue;
		decision_failsafe(d,
		    str_starts(rq->risky_env[i], "LD_") ? "LD_*"
							: rq->risky_env[i],
		    "variables of the dynamic "
		    "loader put foreign code into any program");
		return true;
	}
	if (rq->memfd && !pr->set.memfd_exec) {
		decision_failsafe(d, "memfd",
		    "a program without a file; see "
		    "sandbox memfd-exec");
		return true;
	}
	if (!rq->memfd && refused_file(pr, rq->path, rq->in_workspace, d))
		return true;
	return rq->script != NULL && refused_file(pr, rq->script, false, d);
}

/* ---- the decision ------------------------------------------------------- */

/* Where a job can write, a file's name says nothing about its contents. */
static bool
is_writable(const char *path)
{
	return path_below(path, JAIL_WORKSPACE) ||
	       path_below(path, JAIL_SCRATCH) || path_below(path, JAIL_HOME);
}

/* Arguments of a #! script: INTERPRETER [ARG] SCRIPT ARGUMENTS... */
static size_t
script_args(const struct exec_request *rq)
{
	const char *name = base_name(rq->script);
	size_t i;

	for (i = 1; i < rq->argc && i <= 2; i++)
		if (strcmp(base_name(rq->argv[i]), name) == 0)
			return i + 1;
	i = rq->argc > 1 && rq->argv[1][0] == '-' ? 3 : 2;
	return i < rq->argc ? i : rq->argc;
}

/*
 * The script as a program of its own.  False if there is nothing to say: a
 * script of the system that no rule names is its interpreter's business.
 */
static bool
judge_script(const struct profile *pr, const struct exec_request *rq,
    struct verdict *v, const char **altered)
{
	struct exec_ctx cx;
	size_t from = script_args(rq);

	ctx_init(&cx, rq->script, rq->script_words, rq->nscript_words,
	    rq->script, rq->argv + from, rq->argc - from);
	decide(pr, POLICY_EXEC, exec_rule_match, &cx, v);
	if (*altered == NULL)
		*altered = cx.altered;
	free(cx.buf);
	return v->rule != NULL || is_writable(rq->script);
}

static void
exec_normal(const struct exec_request *rq, const struct exec_ctx *cx,
    struct decision *d)
{
	const struct reading *rd = &cx->rd[cx->nrd - 1];
	const char *head = rq->path != NULL ? rq->path : "(memfd)";

	decision_show(
	    d, rd->nwords > 0 ? rd->words[0] : head, rd->args, rd->nargs);
}

/* An allow that the environment or git's options may have bent is a
 * question. */
static void
doubt(const struct profile *pr, const struct exec_request *rq,
    const char *altered, struct decision *d)
{
	bool deny;
	size_t i;

	if (d->effect != EFFECT_ALLOW)
		return;
	for (i = 0; i < rq->nrisky; i++) {
		/* Where anything may run, what else it makes run may, too. */
		if (d->by != BY_RULE ||
		    !policy_env_risky(rq->risky_env[i], &deny) ||
		    profile_lets_variable(pr, rq->risky_env[i]))
			continue;
		d->effect = EFFECT_ASK;
		(void)snprintf(d->because, sizeof(d->because),
		    "allowed, but the variable %.64s can make it run "
		    "something else",
		    rq->risky_env[i]);
		return;
	}
	if (altered != NULL) {
		d->effect = EFFECT_ASK;
		(void)snprintf(
		    d->because, sizeof(d->because), "allowed, but %s", altered);
	}
}

void
policy_exec(const struct policy *p, const struct profile *pr,
    const struct exec_request *rq, struct decision *d)
{
	struct exec_ctx cx;
	struct verdict v, sv;
	const char *altered;

	memset(d, 0, sizeof(*d));
	/* Whatever its name, rules about a program hold for its file. */
	ctx_init(&cx, rq->memfd || rq->elsewhere ? NULL : rq->path, rq->words,
	    rq->nwords, rq->argc > 0 ? rq->argv[0] : "",
	    rq->argc > 0 ? rq->argv + 1 : rq->argv,
	    rq->argc > 0 ? rq->argc - 1 : 0);
	altered = cx.altered;
	exec_normal(rq, &cx, d);
	if (!refused_exec(pr, rq, d)) {
		decide(pr, POLICY_EXEC, exec_rule_match, &cx, &v);
		if (rq->script != NULL && judge_script(pr, rq, &sv, &altered) &&
		    (sv.effect < v.effect ||
			(sv.effect == v.effect && v.rule == NULL)))
			v = sv;
		decision_fill(pr, POLICY_EXEC, &v, d);
		doubt(pr, rq, altered, d);
	}
	free(cx.buf);
}

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sha2.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/proto.h"
#include "base/str.h"
#include "daemon/shim_judge.h"
#include "sandbox/jail.h"

#define ASK_LINES_MAX 64u
#define ASK_LINE_MAX 700u  /* bytes shown of one argument, escaped */
#define SCRIPT_ARG_MAX 10u /* depth of #! interpreters is at most 5 */

/* ---- which file is which program --------------------------------------- */

void
identities_load(struct identities *ids, const struct profile *pr)
{
	size_t cap = 0;

	identities_free(ids);
	for (size_t i = 0; i < profile_programs(pr); i++) {
		const char *const *path = profile_program_paths(pr, i);

		for (; *path != NULL; path++) {
			struct stat sb;

			if (stat(*path, &sb) != 0 || !S_ISREG(sb.st_mode))
				continue;
			if (ids->n == cap) {
				cap = cap * 2 + 16;
				ids->v =
				    xreallocarray(ids->v, cap, sizeof(*ids->v));
			}
			ids->v[ids->n++] = (struct identity){ sb.st_dev,
				sb.st_ino, profile_program_word(pr, i) };
		}
	}
}

void
identities_free(struct identities *ids)
{
	free(ids->v);
	ids->v = NULL;
	ids->n = 0;
}

static size_t
words_of(const struct identities *ids, dev_t dev, ino_t ino, const char **words)
{
	size_t n = 0;

	for (size_t i = 0; i < ids->n && n < EXEC_WORDS_MAX; i++) {
		const struct identity *id = &ids->v[i];
		bool known = false;

		if (id->dev != dev || id->ino != ino)
			continue;
		for (size_t k = 0; k < n; k++)
			known |= words[k] == id->word;
		if (!known)
			words[n++] = id->word;
	}
	return n;
}

/* ---- scripts ----------------------------------------------------------- */

/* The name an O_PATH descriptor has in the jail; NULL if there is none. */
static char *
path_of(int proc_fd, int fd)
{
	char link[48], path[P_PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "self/fd/%d", fd);
	n = readlinkat(proc_fd, link, path, sizeof(path));
	if (n <= 0 || (size_t)n == sizeof(path) || path[0] != '/')
		return NULL;
	return xstrndup(path, (size_t)n);
}

/*
 * For a #! script the kernel puts the name given to execve(2) among the first
 * arguments of the interpreter.  Where it does not there was no script; where
 * it does but names the executable itself, neither (`cp cp x`).
 */
static void
find_script(struct exec_facts *f, const struct identities *ids, int proc_fd)
{
	const struct trace_exec *x = f->x;
	char cwd[48];
	struct stat sb;
	bool named = false;

	for (size_t i = 1; i < x->argc && i <= SCRIPT_ARG_MAX; i++)
		named |= str_eq(x->argv[i], x->execfn);
	if (!named || x->execfn[0] == '\0')
		return;
	snprintf(cwd, sizeof(cwd), "%d/cwd", (int)x->pid);
	cleanup_fd int dir =
	    openat(proc_fd, cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = openat(dir, x->execfn, O_PATH | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &sb) == 0) {
		if (sb.st_dev == x->dev && sb.st_ino == x->ino)
			return;
		f->rq.nscript_words =
		    words_of(ids, sb.st_dev, sb.st_ino, f->script_words);
		f->rq.script_words = f->script_words;
		f->script = path_of(proc_fd, fd);
	}
	/*
	 * Gone already, or a name that means something else to us
	 * (/proc/self/fd/3): not a path, so that nothing allows it.  The
	 * interpreter would open that name, whatever it is by then.
	 */
	if (f->script == NULL)
		f->script = xasprintf("(unknown) %s", x->execfn);
	f->rq.script = f->script;
}

/* ---- environment ------------------------------------------------------- */

static bool
in_baseline(char *const *env, const char *var)
{
	for (size_t i = 0; env != NULL && env[i] != NULL; i++)
		if (strcmp(env[i], var) == 0)
			return true;
	return false;
}

/* What git says to the programs it starts, when nobody has changed it. */
static bool
is_git_own(const char *var)
{
	return strcmp(var, "GIT_EXEC_PATH=/usr/lib/git-core") == 0 ||
	       strcmp(var, "GIT_EXEC_PATH=/usr/libexec/git-core") == 0;
}

static void
find_risky(struct exec_facts *f, char *const *env, const struct profile *pr)
{
	for (size_t i = 0; i < f->x->envc; i++) {
		const char *var = f->x->envp[i];
		size_t k = f->rq.nrisky;
		char *name;
		bool deny;

		if (!policy_env_risky(var, &deny) || in_baseline(env, var) ||
		    is_git_own(var) || profile_lets_variable(pr, var) ||
		    (k == EXEC_RISKY_MAX && !deny))
			continue;
		name = xstrndup(var, strcspn(var, "="));
		/* A refused one counts however many come before it. */
		if (k == EXEC_RISKY_MAX) {
			k = 0;
			free(f->names[k]);
		} else
			f->rq.nrisky++;
		f->names[k] = name;
		f->risky[k] = name;
		f->values[k] = var;
	}
}

static bool
below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return path != NULL && strncmp(path, dir, n) == 0 &&
	       (path[n] == '/' || path[n] == '\0');
}

/*
 * A job in a mount namespace of its own can have any file at any path.  What
 * the path means in the jail's is what the rules are about.
 */
static bool
is_at(const struct trace_exec *x)
{
	struct stat sb;

	return fstatat(AT_FDCWD, x->path, &sb, AT_SYMLINK_NOFOLLOW) == 0 &&
	       sb.st_dev == x->dev && sb.st_ino == x->ino;
}

void
exec_facts_init(struct exec_facts *f, const struct trace_exec *x,
    const struct identities *ids, char *const *env, const struct profile *pr,
    int proc_fd)
{
	memset(f, 0, sizeof(*f));
	f->x = x;
	f->rq.path = x->path;
	f->rq.memfd = x->path == NULL;
	f->rq.elsewhere = x->path != NULL && !is_at(x);
	f->rq.nwords = words_of(ids, x->dev, x->ino, f->words);
	f->rq.words = f->words;
	f->rq.argv = x->argv;
	f->rq.argc = x->argc;
	f->rq.in_workspace =
	    below(x->path, JAIL_WORKSPACE) || below(x->path, "/tmp");
	find_script(f, ids, proc_fd);
	find_risky(f, env, pr);
	f->rq.risky_env = f->risky;
}

void
exec_facts_free(struct exec_facts *f)
{
	for (size_t i = 0; i < f->rq.nrisky; i++)
		free(f->names[i]);
	free(f->script);
}

/* ---- for people -------------------------------------------------------- */

static void
hash(SHA2_CTX *ctx, const char *s)
{
	SHA256Update(ctx, (const uint8_t *)s, strlen(s) + 1);
}

static void
hash_end(SHA2_CTX *ctx, char out[EXEC_DIGEST_SIZE])
{
	uint8_t md[SHA256_DIGEST_LENGTH];

	_Static_assert(EXEC_DIGEST_SIZE > 2 * sizeof(md), "EXEC_DIGEST_SIZE");
	SHA256Final(md, ctx);
	for (size_t i = 0; i < sizeof(md); i++)
		snprintf(&out[2 * i], 3, "%02x", md[i]);
}

void
exec_facts_digest(const struct exec_facts *f, char out[EXEC_DIGEST_SIZE])
{
	SHA2_CTX ctx;
	char id[64];

	SHA256Init(&ctx);
	/* Counts first, so that no two lists run together. */
	snprintf(id, sizeof(id), "exec %zu %zu %llu %llu", f->x->argc,
	    f->rq.nrisky, (unsigned long long)f->x->dev,
	    (unsigned long long)f->x->ino);
	hash(&ctx, id);
	hash(&ctx, f->x->exe);
	hash(&ctx, f->x->cwd);
	hash(&ctx, f->script == NULL ? "" : f->script);
	hash(&ctx, f->sum.hex);
	for (size_t i = 0; i < f->x->argc; i++)
		hash(&ctx, f->x->argv[i]);
	for (size_t i = 0; i < f->rq.nrisky; i++)
		hash(&ctx, f->values[i]);
	hash_end(&ctx, out);
}

int
script_sum_get(struct script_sum *sum, const struct trace_exec *x, int proc_fd)
{
	static const struct script_sum none;
	char name[48];
	struct stat sb;
	struct buf b;
	SHA2_CTX ctx;

	*sum = none;
	snprintf(name, sizeof(name), "%d/cwd", (int)x->pid);
	cleanup_fd int dir =
	    openat(proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* A pipe in its place must not hold us up. */
	cleanup_fd int fd = openat(
	    dir, x->execfn, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &sb) != 0 || !S_ISREG(sb.st_mode) ||
	    sb.st_size > (off_t)SCRIPT_SUM_MAX)
		return -1;
	buf_init(&b, SCRIPT_SUM_MAX + 1);
	if (fd_pread_all(fd, &b, SCRIPT_SUM_MAX) < 0) {
		buf_free(&b);
		return -1;
	}
	SHA256Init(&ctx);
	SHA256Update(&ctx, buf_head(&b), buf_len(&b));
	hash_end(&ctx, sum->hex);
	buf_free(&b);
	sum->dev = sb.st_dev;
	sum->ino = sb.st_ino;
	sum->changed = sb.st_ctim;
	return 0;
}

bool
script_sum_same(const struct script_sum *a, const struct script_sum *b)
{
	return a->dev == b->dev && a->ino == b->ino &&
	       a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec &&
	       str_eq(a->hex, b->hex);
}

/* "label: text", escaped, and cut where it says so. */
static void
put_escaped(struct buf *b, uint32_t *count, const char *label, const char *text,
    char *(*escape)(const char *s, size_t n))
{
	cleanup_free char *safe = NULL, *line = NULL;
	size_t n = strlen(text);

	if (*count >= ASK_LINES_MAX)
		return;
	safe =
	    escape(text, n < ASK_LINE_MAX / 8 * 7 ? n : ASK_LINE_MAX / 8 * 7);
	if (n >= ASK_LINE_MAX / 8 * 7)
		line = xasprintf("%s: %.*s [cut, %zu bytes in all]", label,
		    (int)ASK_LINE_MAX, safe, n);
	else
		line = xasprintf("%s: %.*s", label, (int)ASK_LINE_MAX, safe);
	buf_put_str(b, line);
	(*count)++;
}

static void
put_line(struct buf *b, uint32_t *count, const char *label, const char *text)
{
	put_escaped(b, count, label, text, str_escape);
}

void
exec_facts_ask(const struct exec_facts *f, const struct decision *d,
    uint32_t timeout_s, struct buf *b)
{
	char digest[EXEC_DIGEST_SIZE], label[32];
	uint32_t count = 0;
	size_t count_at, shown;

	exec_facts_digest(f, digest);
	buf_put_u8(b, POLICY_EXEC);
	buf_put_str(b, d->rule);
	buf_put_str(b, d->name);
	buf_put_str(b, d->because);
	buf_put_str(b, digest);
	buf_put_u32(b, timeout_s);
	count_at = b->len;
	buf_put_u32(b, 0);
	put_escaped(b, &count, "run", d->normal, str_escape_again);
	put_line(b, &count, "file", f->x->exe);
	if (f->script != NULL)
		put_line(b, &count, "script", f->script);
	if (f->sum.hex[0] != '\0')
		put_line(b, &count, "script sha256", f->sum.hex);
	put_line(b, &count, "directory", f->x->cwd);
	for (size_t i = 0; i < f->rq.nrisky && i < 8; i++)
		put_line(b, &count, "environment", f->values[i]);
	for (shown = 0; shown < f->x->argc && count < ASK_LINES_MAX - 1;
	     shown++) {
		snprintf(label, sizeof(label), "argv[%zu]", shown);
		put_line(b, &count, label, f->x->argv[shown]);
	}
	if (shown < f->x->argc) {
		snprintf(label, sizeof(label), "%zu more", f->x->argc - shown);
		put_line(b, &count, "arguments not shown", label);
	}
	buf_patch_u32(b, count_at, count);
}

void
exec_facts_audit(
    const struct exec_facts *f, const struct decision *d, struct audit_ev *e)
{
	audit_ev_list(e, "obj.argv", f->x->argv, f->x->argc);
	audit_ev_str(e, "obj.exe", f->x->exe);
	audit_ev_u64(e, "obj.ino", f->x->ino);
	audit_ev_str(e, "obj.cwd", f->x->cwd);
	if (f->script != NULL)
		audit_ev_str(e, "obj.script", f->script);
	if (f->rq.nrisky > 0)
		audit_ev_list(e, "obj.env", f->risky, f->rq.nrisky);
	audit_ev_str(e, "pol.rule", d->rule);
	audit_ev_str(e, "pol.name", d->name);
}

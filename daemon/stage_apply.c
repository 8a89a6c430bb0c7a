/*
 * brig apply: every new file is written under a temporary name in the
 * directory where it belongs, a new directory with all its contents; then all
 * of it is synced, and then the renames come.
 */
#include "daemon/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/sys.h"

#define CHUNK 65536u
#define X_OVERLAY "user.overlay."

struct prep {
	struct stage *s;
	struct stage_journal *j;
	uint64_t tag;
	/* The directory that is being filled: changes below top->path. */
	const struct stage_change *top;
	struct stage_op *top_op;
	/* Descriptor of the directory last used, by its path. */
	char *up_path, *to_path;
	int up, to;
};

static int
failed(struct error *err, int code, const char *path, const char *what)
{
	cleanup_free char *shown = str_escape(path, strlen(path));

	return error_set(err, code, "%.150s: %s", shown, what);
}

static struct stage_op *
add_op(struct prep *p, enum stage_op_kind kind, uint32_t change)
{
	struct stage_journal *j = p->j;
	const struct stage_change *c = &p->s->v[change];
	struct stage_op *op;

	if (j->nops == j->cap) {
		j->cap = j->cap * 2 + 64;
		j->ops = xreallocarray(j->ops, j->cap, sizeof(*j->ops));
	}
	op = &j->ops[j->nops];
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->path = xstrdup(c->path);
	op->tmp = kind == OP_CHMOD ? xstrdup("")
				   : xasprintf(".brig-stage-%016llx-%zu",
					 (unsigned long long)p->tag, j->nops);
	op->old_ino = c->base.st_ino;
	op->old_mode = c->base.st_mode & 07777;
	op->mode = c->now.st_mode & 07777;
	op->change = change;
	j->nops++;
	return op;
}

/* ---- the plan ---------------------------------------------------------- */

static bool
inside(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

static bool
lands(const struct stage_change *c)
{
	return c->selected || c->needed;
}

/*
 * One operation for each file, for each new directory with all that is in it,
 * and for each directory that goes.
 */
static void
plan(struct prep *p)
{
	struct stage *s = p->s;
	const char *top = NULL;

	for (uint32_t i = 0; i < s->n; i++) {
		struct stage_change *c = &s->v[i];

		if (!lands(c))
			continue;
		stage_paths_add(&p->j->landed, c->path);
		if (top != NULL && inside(c->path, top))
			continue;
		top = NULL;
		if (c->now.st_mode == 0) {
			/* Chosen parts of a directory go one by one. */
			if (S_ISDIR(c->base.st_mode) || !c->covered ||
			    c->selected)
				add_op(p, OP_AWAY, i);
			if (S_ISDIR(c->base.st_mode))
				top = c->path;
			continue;
		}
		if (c->kind == STAGE_MODE && S_ISDIR(c->now.st_mode))
			continue;
		add_op(p, c->base.st_mode == 0 ? OP_NEW : OP_SWAP, i);
		if (S_ISDIR(c->now.st_mode) || S_ISDIR(c->base.st_mode))
			top = c->path;
	}
	/* Last, since a directory may become one that nothing goes into. */
	for (uint32_t i = 0; i < s->n; i++)
		if (lands(&s->v[i]) && s->v[i].kind == STAGE_MODE &&
		    S_ISDIR(s->v[i].now.st_mode))
			add_op(p, OP_CHMOD, i);
}

static int
refusals(struct stage *s, struct error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct stage_change *c = &s->v[i];
		cleanup_free char *shown = NULL;

		if (c->needed && !c->selected && c->kind == STAGE_TYPE)
			stage_refuse(c, "is another type of file now: name it "
					"to apply it with all that is in it");
		if (!lands(c) || c->refuse == NULL)
			continue;
		shown = str_escape(c->path, strlen(c->path));
		stage_say(s, "%s: %s", shown, c->refuse);
		n++;
	}
	return n == 0 ? 0
		      : error_set(err, 0,
			    "%zu of the staged changes cannot be "
			    "applied, so none was",
			    n);
}

/* ---- files ------------------------------------------------------------- */

/* Bytes at..end, which are no hole; 0 or -1. */
static int
copy_part(int from, int to, off_t at, off_t end, char *chunk, bool *by_kernel)
{
	off_t out = at;
	ssize_t n;

	while (*by_kernel && at < end) {
		n = copy_file_range(from, &at, to, &out, (size_t)(end - at), 0);
		if (n == 0)
			return 0;
		/* Across file systems it may not; then never. */
		if (n < 0)
			*by_kernel = false;
	}
	while (at < end) {
		n = pread(from, chunk,
		    end - at < (off_t)CHUNK ? (size_t)(end - at) : CHUNK, at);
		if (n <= 0)
			return (int)n;
		for (ssize_t done = 0, w; done < n; done += w)
			if ((w = pwrite(to, chunk + done, (size_t)(n - done),
				 at + done)) < 0)
				return -1;
		at += n;
	}
	return 0;
}

static bool no_clone;

static int
copy_bytes(int from, int to, off_t size)
{
	cleanup_free char *chunk = NULL;
	bool by_kernel = true;
	off_t at = 0, end;

	if (size == 0)
		return 0;
	/* One that cannot share blocks is not asked again. */
	if (!no_clone && ioctl(to, FICLONE, from) == 0)
		return 0;
	no_clone = no_clone || errno == EOPNOTSUPP || errno == EXDEV;
	chunk = xmalloc(CHUNK);
	/* Small files: two calls, and no search for a better way. */
	if (size <= (off_t)CHUNK) {
		by_kernel = false;
		return copy_part(from, to, 0, size, chunk, &by_kernel);
	}
	/* A hole stays one: a job makes one of any size for nothing. */
	if (ftruncate(to, size) < 0)
		return -1;
	while (at < size) {
		at = lseek(from, at, SEEK_DATA);
		if (at < 0)
			return errno == ENXIO ? 0 : -1;
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0)
			return -1;
		if (copy_part(from, to, at, end < size ? end : size, chunk,
			&by_kernel) < 0)
			return -1;
		at = end;
	}
	return 0;
}

/* Those of the user; of the others only what the workspace had, too. */
static int
copy_xattrs(int from, int to, struct error *err, const char *path)
{
	cleanup_free char *list = NULL;
	ssize_t n = flistxattr(from, NULL, 0);

	if (n <= 0)
		return 0;
	list = xcalloc(1, (size_t)n + 1);
	n = flistxattr(from, list, (size_t)n);
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(list + i) + 1) {
		const char *name = list + i;
		char v[CHUNK / 4];
		ssize_t len;

		if (str_starts(name, X_OVERLAY) ||
		    str_starts(name, "security."))
			continue;
		len = fgetxattr(from, name, v, sizeof(v));
		if (len < 0 || fsetxattr(to, name, v, (size_t)len, 0) < 0)
			return failed(err, errno, path,
			    "an extended attribute cannot be kept");
	}
	return 0;
}

static int
write_file(int up, const char *from, int dir, const char *name,
    const struct stage_change *c, struct error *err)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
		c->now.st_mtim };
	cleanup_fd int in = -1, out = -1;
	struct stat st;

	in = sys_openat2(up, from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
	    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (in < 0 || fstat(in, &st) < 0 || !S_ISREG(st.st_mode))
		return failed(err, errno, c->path, "read the staged file");
	out = openat(dir, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return failed(err, errno, c->path, "create in the workspace");
	if (copy_bytes(in, out, st.st_size) < 0)
		return failed(err, errno, c->path, "write in the workspace");
	if (!c->plain && copy_xattrs(in, out, err, c->path) < 0)
		return -1;
	if (fchmod(out, c->now.st_mode & 01777) < 0 || futimens(out, times) < 0)
		return failed(err, errno, c->path, "set mode and time");
	return 0;
}

static int
write_link(int up, const char *from, int dir, const char *name,
    const struct stage_change *c, struct error *err)
{
	char target[STAGE_PATH_MAX + 1];
	ssize_t n = readlinkat(up, from, target, sizeof(target));

	if (n < 0 || (size_t)n >= sizeof(target))
		return failed(err, ENAMETOOLONG, c->path, "read the link");
	target[n] = '\0';
	/* Where it points to is its reader's affair: nothing here follows. */
	if (symlinkat(target, dir, name) < 0)
		return failed(err, errno, c->path, "create in the workspace");
	return 0;
}

static int
write_one(int up, const char *from, int dir, const char *name,
    const struct stage_change *c, struct error *err)
{
	if (S_ISDIR(c->now.st_mode))
		return mkdirat(dir, name, 0700) < 0
			   ? failed(
				 err, errno, c->path, "create in the workspace")
			   : 0;
	if (S_ISLNK(c->now.st_mode))
		return write_link(up, from, dir, name, c, err);
	return write_file(up, from, dir, name, c, err);
}

/* ---- directories ------------------------------------------------------- */

/* Keep the last directory open: changes come directory by directory. */
static int
cached(int root, const char *path, char **last, int *fd, const char **name,
    struct error *err)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path);

	if (*fd >= 0 && strlen(*last) == n && strncmp(*last, path, n) == 0) {
		*name = slash == NULL ? path : slash + 1;
		return 0;
	}
	fd_close(fd);
	free(*last);
	*last = xstrndup(path, n);
	*fd = stage_open_parent(root, path, name, err);
	return *fd < 0 ? -1 : 0;
}

/* Where change c is written while top is being filled. */
static char *
tmp_path(const struct prep *p, const struct stage_change *c)
{
	const char *top = p->top->path, *slash = strrchr(top, '/');
	size_t dir = slash == NULL ? 0 : (size_t)(slash - top) + 1;

	return xasprintf(
	    "%.*s%s%s", (int)dir, top, p->top_op->tmp, c->path + strlen(top));
}

/* The submitter has no other group here, and only root could set it. */
static void
say_group(struct stage *s, const struct stage_change *c, const struct stat *st)
{
	cleanup_free char *shown = NULL;

	if (c->base.st_mode == 0 || c->base.st_gid == st->st_gid)
		return;
	shown = str_escape(c->path, strlen(c->path));
	stage_say(s, "%s: its group was %u and will be %u", shown,
	    (unsigned int)c->base.st_gid, (unsigned int)st->st_gid);
}

static int
prepare_one(struct prep *p, const struct stage_change *c, struct stage_op *op,
    struct error *err)
{
	cleanup_free char *to = NULL;
	const char *from, *name;

	if (cached(p->s->upper, c->path, &p->up_path, &p->up, &from, err) < 0)
		return -1;
	to = op == NULL ? tmp_path(p, c) : xstrdup(c->path);
	if (cached(p->s->workspace, to, &p->to_path, &p->to, &name, err) < 0)
		return -1;
	if (write_one(p->up, from, p->to, op == NULL ? name : op->tmp, c, err) <
	    0)
		return -1;
	if (op != NULL) {
		struct stat st;

		if (fstatat(p->to, op->tmp, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return failed(err, errno, c->path, "stat");
		op->new_ino = st.st_ino;
		say_group(p->s, c, &st);
	}
	return 0;
}

/* Modes of new directories last, deepest first: 0500 cannot be filled. */
static int
seal_dirs(struct prep *p, uint32_t first, uint32_t end, struct error *err)
{
	for (uint32_t i = end; i > first; i--) {
		const struct stage_change *c = &p->s->v[i - 1];
		cleanup_fd int dir = -1, fd = -1;
		cleanup_free char *to = NULL;
		const char *name;
		struct stat st;

		if (!S_ISDIR(c->now.st_mode) || !lands(c))
			continue;
		to = tmp_path(p, c);
		dir = stage_open_parent(p->s->workspace, to, &name, err);
		if (dir < 0)
			return -1;
		fd = stage_open_dir(dir, name);
		if (fd < 0 || fstat(fd, &st) < 0 ||
		    fchmod(fd,
			(st.st_mode & 06000) | (c->now.st_mode & 01777)) < 0)
			return failed(err, errno, c->path, "set mode");
	}
	return 0;
}

static int
prepare_ops(struct prep *p, struct error *err)
{
	struct stage *s = p->s;
	size_t next = 0;
	uint32_t i = 0;

	while (next < p->j->nops) {
		struct stage_op *op = &p->j->ops[next++];
		const struct stage_change *c = &s->v[op->change];
		uint32_t first = op->change;

		i = op->change;
		s->done = i;
		stage_progress(s, "writing");
		if (op->kind == OP_AWAY || op->kind == OP_CHMOD)
			continue;
		if (prepare_one(p, c, op, err) < 0)
			return -1;
		if (!S_ISDIR(c->now.st_mode))
			continue;
		p->top = c;
		p->top_op = op;
		for (i++; i < s->n && inside(s->v[i].path, c->path); i++) {
			if (s->v[i].now.st_mode == 0 || !lands(&s->v[i]))
				continue;
			s->done = i;
			stage_progress(s, "writing");
			if (prepare_one(p, &s->v[i], NULL, err) < 0)
				return -1;
		}
		if (seal_dirs(p, first, i, err) < 0)
			return -1;
	}
	return 0;
}

int
stage_prepare(struct stage *s, struct stage_journal *j, struct error *err)
{
	struct prep p = { .s = s, .j = j, .up = -1, .to = -1 };
	int r = -1;

	memset(j, 0, sizeof(*j));
	if (refusals(s, err) < 0)
		return -1;
	if (getrandom(&p.tag, sizeof(p.tag), 0) != (ssize_t)sizeof(p.tag))
		return error_set(err, errno, "getrandom");
	s->total = s->n;
	plan(&p);
	if (journal_write(s->journal, JOURNAL_PLAN, j, err) == 0)
		r = prepare_ops(&p, err);
	/* One flush for all of it: before the record that promises it. */
	if (r == 0 && syncfs(s->workspace) < 0)
		r = error_set(err, errno, "sync the workspace");
	fd_close(&p.up);
	fd_close(&p.to);
	free(p.up_path);
	free(p.to_path);
	if (r < 0)
		stage_rollback(s, j);
	return r;
}

void
stage_rollback(struct stage *s, struct stage_journal *j)
{
	stage_clean(s, j);
}

/* In the order in which they were done, backwards. */
static void
take_back(struct stage *s, struct stage_journal *j)
{
	struct error err = { 0 };

	(void)renameat(s->journal, JOURNAL_COMMIT, s->journal, JOURNAL_ABORT);
	(void)fsync(s->journal);
	for (size_t i = j->nops; i > 0; i--) {
		struct stage_op *op = &j->ops[i - 1];

		if (op->done && stage_op_undo(s, op, &err) < 0)
			stage_say(s, "not taken back: %s", err.msg);
	}
	stage_rollback(s, j);
}

int
stage_commit(struct stage *s, struct stage_journal *j, struct error *err)
{
	if (journal_write(s->journal, JOURNAL_COMMIT, j, err) < 0) {
		stage_rollback(s, j);
		return -1;
	}
	for (size_t i = 0; i < j->nops; i++)
		if (stage_op_do(s, &j->ops[i], err) < 0) {
			take_back(s, j);
			return -1;
		}
	/* Durable, noted, and only then is what was displaced let go. */
	(void)syncfs(s->workspace);
	if (journal_add_applied(s->journal, &j->landed, err) < 0)
		stage_say(s, "%s", err->msg);
	stage_clean(s, j);
	return 0;
}

/*
 * The journal of brig apply.  "plan" names temporary files before any is made,
 * "commit" (the same with inode numbers) appears in one rename when all of
 * them are on disk: before it a crash is undone, after it the work is
 * finished; "abort" takes its place when a commit has to be taken back.
 */
#include "daemon/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"

#define MAGIC 0x4a475242u /* "BRGJ" */
#define FORMAT 1u
#define OP_MIN 33u /* encoded bytes of an empty one */
#define OPS_MAX 1000000u
#define TMP_PREFIX ".brig-stage-"

static uint64_t
checksum(const uint8_t *p, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a: a torn write */

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

void
journal_put(struct buf *b, const struct stage_journal *j)
{
	cleanup_buf struct buf body = { 0 };

	buf_init(&body, JOURNAL_MAX);
	buf_put_u32(&body, (uint32_t)j->nops);
	for (size_t i = 0; i < j->nops; i++) {
		const struct stage_op *op = &j->ops[i];

		buf_put_u8(&body, (uint8_t)op->kind);
		buf_put_str(&body, op->path);
		buf_put_str(&body, op->tmp);
		buf_put_u64(&body, op->new_ino);
		buf_put_u64(&body, op->old_ino);
		buf_put_u32(&body, op->mode);
		buf_put_u32(&body, op->old_mode);
	}
	buf_put_u32(&body, (uint32_t)j->landed.n);
	for (size_t i = 0; i < j->landed.n; i++)
		buf_put_str(&body, j->landed.v[i]);
	buf_put_u32(b, MAGIC);
	buf_put_u32(b, FORMAT);
	buf_put_u64(b, checksum(buf_head(&body), buf_len(&body)));
	buf_put(b, buf_head(&body), buf_len(&body));
}

static bool
tmp_ok(const struct stage_op *op)
{
	if (op->kind == OP_CHMOD)
		return op->tmp[0] == '\0';
	return str_starts(op->tmp, TMP_PREFIX) &&
	       strchr(op->tmp, '/') == NULL && stage_path_ok(op->tmp);
}

static int
get_op(struct cur *c, struct stage_op *op)
{
	op->kind = (enum stage_op_kind)cur_u8(c);
	op->path = cur_str(c, STAGE_PATH_MAX);
	op->tmp = cur_str(c, 255);
	op->new_ino = cur_u64(c);
	op->old_ino = cur_u64(c);
	op->mode = cur_u32(c);
	op->old_mode = cur_u32(c);
	return c->failed || op->kind < OP_NEW || op->kind > OP_CHMOD ||
		       !stage_path_ok(op->path) || !tmp_ok(op)
		   ? -1
		   : 0;
}

int
journal_get(const void *p, size_t n, struct stage_journal *j)
{
	struct cur c;
	uint64_t sum;
	uint32_t count;

	memset(j, 0, sizeof(*j));
	cur_init(&c, p, n);
	if (cur_u32(&c) != MAGIC || cur_u32(&c) != FORMAT)
		return -1;
	sum = cur_u64(&c);
	if (c.failed || sum != checksum(c.p, c.left))
		return -1;
	count = cur_count(&c, OPS_MAX, OP_MIN);
	j->ops = xcalloc((size_t)count + 1, sizeof(*j->ops));
	for (uint32_t i = 0; i < count; i++) {
		j->nops = j->cap = i + 1;
		if (get_op(&c, &j->ops[i]) < 0)
			goto bad;
	}
	count = cur_count(&c, OPS_MAX, 4);
	for (uint32_t i = 0; i < count; i++) {
		cleanup_free char *s = cur_str(&c, STAGE_PATH_MAX);

		if (s == NULL || !stage_path_ok(s))
			goto bad;
		stage_paths_add(&j->landed, s);
	}
	if (cur_end(&c) == 0)
		return 0;
bad:
	journal_free(j);
	return -1;
}

void
journal_free(struct stage_journal *j)
{
	for (size_t i = 0; i < j->nops; i++) {
		free(j->ops[i].path);
		free(j->ops[i].tmp);
	}
	free(j->ops);
	stage_paths_free(&j->landed);
	memset(j, 0, sizeof(*j));
}

int
journal_write(
    int dir, const char *name, const struct stage_journal *j, struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	cleanup_fd int fd = -1;

	buf_init(&b, JOURNAL_MAX);
	journal_put(&b, j);
	if (buf_failed(&b))
		return error_set(err, E2BIG, "journal");
	fd = openat(dir, "new",
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_all(fd, buf_head(&b), buf_len(&b)) < 0 ||
	    fsync(fd) < 0 || renameat(dir, "new", dir, name) < 0 ||
	    fsync(dir) < 0)
		return error_set(err, errno, "write the journal");
	return 0;
}

int
journal_read(
    int dir, const char *name, struct stage_journal *j, struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	cleanup_fd int fd = -1;

	memset(j, 0, sizeof(*j));
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fd_read_all(fd, &b, JOURNAL_MAX) < 0)
		return error_set(err, errno, "read the journal");
	if (journal_get(buf_head(&b), buf_len(&b), j) < 0)
		return error_set(err, 0, "the journal is damaged");
	return 1;
}

int
journal_applied(int dir, struct stage_paths *p, struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	cleanup_fd int fd = -1;
	struct cur c;

	fd = openat(dir, "applied", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fd_read_all(fd, &b, JOURNAL_MAX) < 0)
		return error_set(err, errno, "read what was applied");
	cur_init(&c, buf_head(&b), buf_len(&b));
	/* A torn tail belongs to a commit that is about to be finished. */
	while (c.left > 0) {
		cleanup_free char *s = cur_str(&c, STAGE_PATH_MAX);

		if (s == NULL)
			break;
		stage_paths_add(p, s);
	}
	stage_paths_sort(p);
	return 0;
}

int
journal_add_applied(int dir, const struct stage_paths *p, struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	struct stage_paths old = { 0 };
	cleanup_fd int fd = -1;
	int r = -1;

	if (journal_applied(dir, &old, err) < 0)
		return -1;
	buf_init(&b, JOURNAL_MAX);
	for (size_t i = 0; i < old.n; i++)
		buf_put_str(&b, old.v[i]);
	for (size_t i = 0; i < p->n; i++)
		if (!stage_paths_has(&old, p->v[i]))
			buf_put_str(&b, p->v[i]);
	stage_paths_free(&old);
	fd = openat(dir, "new",
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && !buf_failed(&b) &&
	    fd_write_all(fd, buf_head(&b), buf_len(&b)) == 0 &&
	    fsync(fd) == 0 && renameat(dir, "new", dir, "applied") == 0)
		r = fsync(dir);
	return r == 0 ? 0 : error_set(err, errno, "write what was applied");
}

void
journal_clear(int dir, bool but_plan)
{
	(void)unlinkat(dir, JOURNAL_COMMIT, 0);
	(void)unlinkat(dir, JOURNAL_ABORT, 0);
	(void)fsync(dir);
	if (but_plan)
		return;
	(void)unlinkat(dir, JOURNAL_PLAN, 0);
	(void)fsync(dir);
}

bool
journal_pending(int dir)
{
	static const char *const names[] = { JOURNAL_PLAN, JOURNAL_COMMIT,
		JOURNAL_ABORT };
	struct stat st;

	for (size_t i = 0; i < nitems(names); i++)
		if (fstatat(dir, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return false;
}

/*
 * Changes as frames: one entry each and, for a patch, the text that git-apply
 * reads (gitformat-diff).  Bytes of files and names go out as they are; the
 * client makes them safe for a terminal.
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
#include "sandbox/sys.h"

int
stage_read_side(const struct stage *s, const struct stage_change *c, bool base,
    struct buf *b)
{
	const mode_t mode = base ? c->base.st_mode : c->now.st_mode;
	cleanup_fd int dir = -1, fd = -1;
	const char *name;

	if (mode == 0 || S_ISDIR(mode))
		return 0;
	dir = stage_open_parent(
	    base ? s->workspace : s->upper, c->path, &name, NULL);
	if (dir < 0)
		return -1;
	if (S_ISLNK(mode)) {
		char target[STAGE_PATH_MAX];
		ssize_t n = readlinkat(dir, name, target, sizeof(target));

		if (n < 0)
			return -1;
		buf_put(b, target, (size_t)n);
		return 0;
	}
	if (!S_ISREG(mode))
		return -1;
	fd = sys_openat2(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
	    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	return fd < 0 ? -1 : fd_read_all(fd, b, STAGE_TEXT_MAX);
}

/* A name as git writes it: in quotes when it holds what is not plain. */
static void
put_name(struct buf *b, const char *prefix, const char *path)
{
	bool plain = true;

	for (const uint8_t *p = (const uint8_t *)path; *p != '\0'; p++)
		if (*p < 0x20 || *p >= 0x7f || *p == '"' || *p == '\\')
			plain = false;
	if (plain) {
		buf_printf(b, "%s%s", prefix, path);
		return;
	}
	buf_printf(b, "\"%s", prefix);
	for (const uint8_t *p = (const uint8_t *)path; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			buf_printf(b, "\\%c", *p);
		else if (*p < 0x20 || *p >= 0x7f)
			buf_printf(b, "\\%03o", *p);
		else
			buf_put_u8(b, *p);
	}
	buf_put_u8(b, '"');
}

static unsigned int
git_mode(mode_t m)
{
	if (S_ISLNK(m))
		return 0120000;
	return m & S_IXUSR ? 0100755 : 0100644;
}

struct text {
	struct buf a, b, hunks;
	uint32_t added, deleted;
	bool binary;
};

static void
text_free(struct text *t)
{
	buf_free(&t->a);
	buf_free(&t->b);
	buf_free(&t->hunks);
}

static void
text_make(struct text *t, bool readable)
{
	memset(&t->hunks, 0, sizeof(t->hunks));
	buf_init(&t->hunks, STAGE_FRAME_MAX);
	t->binary = !readable ||
		    (buf_len(&t->a) > 0 &&
			lines_binary(buf_head(&t->a), buf_len(&t->a))) ||
		    (buf_len(&t->b) > 0 &&
			lines_binary(buf_head(&t->b), buf_len(&t->b)));
	if (!t->binary)
		lines_diff(buf_head(&t->a), buf_len(&t->a), buf_head(&t->b),
		    buf_len(&t->b), &t->hunks, &t->added, &t->deleted);
	if (buf_failed(&t->hunks))
		t->binary = true;
}

/* From one side of a change to one side of another (the same, but for a
 * rename). */
static void
head(struct stage *s, const struct text *t, const char *from, const char *to,
    mode_t old, mode_t now, unsigned int similar)
{
	cleanup_buf struct buf h = { 0 };
	const bool renamed = !str_eq(from, to);

	buf_printf(&h, "diff --git ");
	put_name(&h, "a/", from);
	buf_put_u8(&h, ' ');
	put_name(&h, "b/", to);
	buf_put_u8(&h, '\n');
	if (old == 0)
		buf_printf(&h, "new file mode %06o\n", git_mode(now));
	else if (now == 0)
		buf_printf(&h, "deleted file mode %06o\n", git_mode(old));
	else if (git_mode(old) != git_mode(now))
		buf_printf(&h, "old mode %06o\nnew mode %06o\n", git_mode(old),
		    git_mode(now));
	if (renamed) {
		buf_printf(&h, "similarity index %u%%\nrename from ", similar);
		put_name(&h, "", from);
		buf_printf(&h, "\nrename to ");
		put_name(&h, "", to);
		buf_put_u8(&h, '\n');
	}
	if (t->binary || buf_len(&t->hunks) > 0) {
		buf_printf(&h, t->binary ? "Binary files " : "--- ");
		if (old == 0)
			buf_printf(&h, "/dev/null");
		else
			put_name(&h, "a/", from);
		buf_printf(&h, t->binary ? " and " : "\n+++ ");
		if (now == 0)
			buf_printf(&h, "/dev/null");
		else
			put_name(&h, "b/", to);
		buf_printf(&h, t->binary ? " differ\n" : "\n");
	}
	stage_put(s, FRAME_HEAD, &h);
	if (!t->binary && buf_len(&t->hunks) > 0)
		stage_put(s, FRAME_HUNKS, &t->hunks);
}

static void
entry(struct stage *s, const struct stage_change *c,
    const struct stage_change *from, const struct text *t)
{
	struct stage_entry e = { .kind = from != NULL ? STAGE_RENAME : c->kind,
		.mode = c->now.st_mode,
		.old_mode = from != NULL ? from->base.st_mode : c->base.st_mode,
		.size = (uint64_t)(c->now.st_mode != 0 ? c->now.st_size : 0),
		.added = t->added,
		.deleted = t->deleted,
		.similar = c->similar,
		.binary = t->binary,
		.refused = c->refuse != NULL ||
			   (from != NULL && from->refuse != NULL) };
	cleanup_buf struct buf b = { 0 };

	(void)strlcpy(e.path, c->path, sizeof(e.path));
	if (from != NULL)
		(void)strlcpy(e.from, from->path, sizeof(e.from));
	if (e.refused)
		(void)strlcpy(e.why,
		    c->refuse != NULL ? c->refuse : from->refuse,
		    sizeof(e.why));
	stage_entry_put(&b, &e);
	stage_put(s, FRAME_ENTRY, &b);
}

static void
one(struct stage *s, const struct stage_change *c, bool patch)
{
	const struct stage_change *from =
	    c->from == STAGE_NONE ? NULL : &s->v[c->from];
	const bool dir = S_ISDIR(c->now.st_mode) || S_ISDIR(c->base.st_mode);
	struct text t = { .binary = false };
	bool readable = true;

	if (c->content && !dir) {
		readable = stage_read_side(
			       s, from != NULL ? from : c, true, &t.a) == 0 &&
			   stage_read_side(s, c, false, &t.b) == 0;
		text_make(&t, readable);
	}
	entry(s, c, from, &t);
	if (patch && !dir && c->kind == STAGE_TYPE) {
		/* git has no word for it: one goes, another comes. */
		struct text gone = { .binary = false }, come = gone;

		buf_put(&gone.a, buf_head(&t.a), buf_len(&t.a));
		buf_put(&come.b, buf_head(&t.b), buf_len(&t.b));
		text_make(&gone, readable);
		text_make(&come, readable);
		head(s, &gone, c->path, c->path, c->base.st_mode, 0, 0);
		head(s, &come, c->path, c->path, 0, c->now.st_mode, 0);
		text_free(&gone);
		text_free(&come);
	} else if (patch && !S_ISDIR(c->now.st_mode) &&
		   (!dir || c->now.st_mode != 0)) {
		if (dir) {
			/* In the place of a directory, whose files go with
			 * changes of their own. */
			(void)stage_read_side(s, c, false, &t.b);
			text_make(&t, true);
		}
		if (c->kind != STAGE_MODE ||
		    git_mode(c->base.st_mode) != git_mode(c->now.st_mode))
			head(s, &t, from != NULL ? from->path : c->path,
			    c->path,
			    from != NULL ? from->base.st_mode
			    : dir        ? 0
					 : c->base.st_mode,
			    c->now.st_mode, c->similar);
	} else if (patch && S_ISDIR(c->now.st_mode) && c->base.st_mode != 0 &&
		   !S_ISDIR(c->base.st_mode)) {
		(void)stage_read_side(s, c, true, &t.a);
		text_make(&t, true);
		head(s, &t, c->path, c->path, c->base.st_mode, 0, 0);
	}
	text_free(&t);
}

void
stage_report(struct stage *s, bool patch)
{
	s->total = s->n;
	for (size_t i = 0; i < s->n && !s->out_dead; i++) {
		const struct stage_change *c = &s->v[i];

		s->done = i;
		/* A deleted file whose other half says so. */
		if (!c->selected || (c->now.st_mode == 0 && c->similar != 0))
			continue;
		one(s, c, patch);
	}
}

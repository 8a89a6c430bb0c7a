/*
 * Single steps of an apply, and what a crash left of them.  Each step is one
 * rename within one directory.  What a rename displaces is kept under the
 * temporary name until everything is done, so that every step can be taken
 * back, and is looked at after the rename: so a change of the workspace in the
 * last moment is seen, whenever it came.
 */
#include "daemon/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"

#define CLEAN_TRIES 20
#define CLEAN_NAP_MS 5

static uint64_t
inode_of(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_ino;
}

static int
failed(struct error *err, int code, const struct stage_op *op, const char *why)
{
	cleanup_free char *shown = str_escape(op->path, strlen(op->path));

	return error_set(err, code, "%.150s: %s", shown, why);
}

static int
set_mode(int dir, const char *name, uint32_t mode)
{
	cleanup_fd int fd = stage_open_dir(dir, name);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	return fchmod(fd, (st.st_mode & 06000) | (mode & 01777));
}

/* What lies under the temporary name is what was looked at before. */
static int
check_displaced(
    struct stage *s, int dir, const struct stage_op *op, struct error *err)
{
	const struct stage_change *c;
	struct stat st;

	if (op->change == STAGE_NONE)
		return inode_of(dir, op->tmp) == op->old_ino
			   ? 0
			   : failed(err, 0, op, "changed in the workspace");
	c = &s->v[op->change];
	if (fstatat(dir, op->tmp, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_ino != c->base.st_ino || st.st_mode != c->base.st_mode ||
	    (!S_ISDIR(st.st_mode) &&
		(st.st_size != c->base.st_size ||
		    st.st_mtim.tv_sec != c->base.st_mtim.tv_sec ||
		    st.st_mtim.tv_nsec != c->base.st_mtim.tv_nsec)))
		return failed(
		    err, 0, op, "changed in the workspace at the last moment");
	if (S_ISDIR(st.st_mode) &&
	    stage_verify_tree(s, dir, op->tmp, false, NULL) < 0)
		return failed(err, 0, op,
		    "something in it changed in the workspace at the last "
		    "moment");
	return 0;
}

static int
rename_step(int dir, const struct stage_op *op, bool undo, struct error *err)
{
	const char *slash = strrchr(op->path, '/');
	const char *name = slash == NULL ? op->path : slash + 1;
	int r = -1;

	switch (op->kind) {
	case OP_NEW:
		r = undo ? renameat2(dir, name, dir, op->tmp, RENAME_NOREPLACE)
			 : renameat2(dir, op->tmp, dir, name, RENAME_NOREPLACE);
		if (r < 0 && errno == EEXIST)
			return failed(err, 0, op,
			    "appeared in the workspace at the last moment");
		break;
	case OP_SWAP:
		r = renameat2(dir, op->tmp, dir, name, RENAME_EXCHANGE);
		if (r < 0 && (errno == EINVAL || errno == ENOSYS))
			return failed(err, errno, op,
			    "the file system cannot exchange two names");
		break;
	case OP_AWAY:
		r = undo ? renameat2(dir, op->tmp, dir, name, RENAME_NOREPLACE)
			 : renameat2(dir, name, dir, op->tmp, RENAME_NOREPLACE);
		break;
	case OP_CHMOD:
		r = set_mode(dir, name, undo ? op->old_mode : op->mode);
		break;
	}
	return r < 0 ? failed(err, errno, op, "rename in the workspace") : 0;
}

int
stage_op_do(struct stage *s, struct stage_op *op, struct error *err)
{
	cleanup_fd int dir = -1;
	const char *name;

	dir = stage_open_parent(s->workspace, op->path, &name, err);
	if (dir < 0)
		return -1;
	/* The temporary one must be ours: the directory may be another. */
	if ((op->kind == OP_NEW || op->kind == OP_SWAP) &&
	    inode_of(dir, op->tmp) != op->new_ino)
		return failed(
		    err, 0, op, "its directory was exchanged meanwhile");
	if (op->kind != OP_NEW && inode_of(dir, name) != op->old_ino)
		return failed(
		    err, 0, op, "was exchanged in the workspace meanwhile");
	if (rename_step(dir, op, false, err) < 0)
		return -1;
	op->done = true;
	if (op->kind == OP_SWAP || op->kind == OP_AWAY)
		return check_displaced(s, dir, op, err);
	return 0;
}

int
stage_op_undo(struct stage *s, struct stage_op *op, struct error *err)
{
	cleanup_fd int dir = -1;
	const char *name;

	op->keep = op->kind == OP_SWAP || op->kind == OP_AWAY;
	dir = stage_open_parent(s->workspace, op->path, &name, err);
	if (dir < 0)
		return -1;
	/* Somebody else's by now: that stays. */
	if ((op->kind == OP_NEW || op->kind == OP_SWAP) &&
	    inode_of(dir, name) != op->new_ino)
		return failed(err, 0, op, "cannot be taken back");
	if (rename_step(dir, op, true, err) < 0)
		return -1;
	op->done = op->keep = false;
	return 0;
}

static int
clean(struct stage *s, const struct stage_op *op)
{
	const struct timespec nap = { .tv_nsec = CLEAN_NAP_MS * 1000000L };
	cleanup_fd int dir = -1;
	struct error err = { 0 };
	const char *name;

	/* Somebody may play with the directories on the way. */
	for (int i = 0; i < CLEAN_TRIES; i++) {
		dir = stage_open_parent(s->workspace, op->path, &name, &err);
		if (dir >= 0)
			break;
		(void)nanosleep(&nap, NULL);
	}
	return dir < 0 ? -1 : stage_remove_tree(dir, op->tmp);
}

void
stage_clean(struct stage *s, const struct stage_journal *j)
{
	bool left = false, kept = false;

	for (size_t i = 0; i < j->nops; i++) {
		const struct stage_op *op = &j->ops[i];
		cleanup_free char *shown = NULL;

		if (op->kind == OP_CHMOD)
			continue;
		if (!op->keep && clean(s, op) == 0)
			continue;
		shown = str_escape(op->path, strlen(op->path));
		stage_say(s, "%s: %s %s is left", shown,
		    op->keep ? "what was there before," : "its temporary name",
		    op->tmp);
		kept |= op->keep;
		left |= !op->keep;
	}
	/* By the plan the next one would remove what is kept. */
	journal_clear(s->journal, left && !kept);
}

/* ---- after a crash ----------------------------------------------------- */

/* Had this step been taken? */
static bool
was_done(struct stage *s, const struct stage_op *op)
{
	cleanup_fd int dir = -1;
	const char *name;

	dir = stage_open_parent(s->workspace, op->path, &name, NULL);
	if (dir < 0)
		return false;
	switch (op->kind) {
	case OP_NEW:
	case OP_SWAP:
		return inode_of(dir, name) == op->new_ino;
	case OP_AWAY:
		return inode_of(dir, op->tmp) == op->old_ino;
	case OP_CHMOD:
		break;
	}
	return false;
}

static void
not_landed(struct stage_paths *p, const char *path)
{
	const size_t len = strlen(path);
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (str_starts(p->v[i], path) &&
		    (p->v[i][len] == '\0' || p->v[i][len] == '/'))
			free(p->v[i]);
		else
			p->v[n++] = p->v[i];
	}
	p->n = n;
}

static void
forward(struct stage *s, struct stage_journal *j)
{
	struct error err = { 0 };

	for (size_t i = 0; i < j->nops; i++) {
		struct stage_op *op = &j->ops[i];

		op->change = STAGE_NONE;
		if (was_done(s, op) || stage_op_do(s, op, &err) == 0)
			continue;
		stage_say(s, "not finished after a crash: %s", err.msg);
		if (op->done)
			(void)stage_op_undo(s, op, &err);
		/* It is still staged, to be applied again. */
		not_landed(&j->landed, op->path);
	}
	(void)syncfs(s->workspace);
}

static void
backward(struct stage *s, struct stage_journal *j)
{
	struct error err = { 0 };

	for (size_t i = j->nops; i > 0; i--) {
		struct stage_op *op = &j->ops[i - 1];

		op->change = STAGE_NONE;
		if ((op->kind == OP_CHMOD || was_done(s, op)) &&
		    stage_op_undo(s, op, &err) < 0)
			stage_say(
			    s, "not taken back after a crash: %s", err.msg);
	}
}

/* 1 and *j, 0: no such record, -1. */
static int
take(struct stage *s, const char *name, struct stage_journal *j,
    struct error *err)
{
	int r = journal_read(s->journal, name, j, err);

	if (r == 1)
		stage_say(s, "an apply was interrupted: it is %s",
		    str_eq(name, JOURNAL_COMMIT) ? "finished" : "taken back");
	return r;
}

int
stage_recover(struct stage *s, struct error *err)
{
	struct stage_journal j = { 0 };
	int r;

	if ((r = take(s, JOURNAL_COMMIT, &j, err)) == 1) {
		forward(s, &j);
		if (journal_add_applied(s->journal, &j.landed, err) < 0) {
			journal_free(&j);
			return -1;
		}
	} else if (r == 0 && (r = take(s, JOURNAL_ABORT, &j, err)) == 1) {
		backward(s, &j);
	} else if (r == 0) {
		r = take(s, JOURNAL_PLAN, &j, err);
	}
	if (r < 0)
		return -1;
	if (r == 1)
		stage_clean(s, &j);
	journal_free(&j);
	return 0;
}

/*
 * The vault's file: made and opened for keyd, which has no file system, and
 * replaced by one that keyd has written anew.
 *
 * The new file gets the vault's name in one step.  Until keyd is told of that,
 * it writes every change to both, so that a crash at any point leaves a whole
 * vault under the name.
 */
#include "daemon/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

static char *
vault_path(const struct parent *pa, const char *suffix)
{
	return xasprintf("%s/vault%s", pa->conf.state_dir, suffix);
}

int
parent_check_file(int fd, const char *path, uid_t uid, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat %s", path);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != uid)
		return error_set(err, 0,
		    "%s: not a regular file of uid %u with one link", path,
		    uid);
	return 0;
}

/* With O_EXCL in flags it must not be there yet. */
static int
open_file(
    const struct parent *pa, const char *path, int flags, struct error *err)
{
	const struct conf_user *u = &pa->conf.user[ROLE_KEYD];
	cleanup_fd int fd = -1;
	struct stat st;

	fd =
	    open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "open %s", path);
	/* The directory is root's, so a new file is, too. */
	if (st.st_uid == 0 && fchown(fd, u->uid, u->gid) < 0)
		return error_set(err, errno, "chown %s", path);
	if (parent_check_file(fd, path, u->uid, err) < 0)
		return -1;
	if (fchmod(fd, 0600) < 0)
		return error_set(err, errno, "chmod %s", path);
	return steal_fd(&fd);
}

int
vault_file_open(struct parent *pa, struct error *err)
{
	cleanup_free char *path = vault_path(pa, "");
	cleanup_free char *fresh = vault_path(pa, ".new");

	/* Of a brigd that ended while it was being written. */
	if (unlink(fresh) < 0 && errno != ENOENT)
		return error_set(err, errno, "remove %s", fresh);
	pa->vault_fd = open_file(pa, path, 0, err);
	return pa->vault_fd < 0 ? -1 : 0;
}

void
vault_file_forget(struct parent *pa)
{
	cleanup_free char *fresh = vault_path(pa, ".new");

	if (pa->fresh_fd < 0)
		return;
	fd_close(&pa->fresh_fd);
	if (unlink(fresh) < 0)
		log_warn("remove %s", fresh);
}

static void
tell_renamed(struct proc *p, bool ok)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, ok);
	chan_send(p->chan, M_VAULT_RENAMED, 0, 0, &b, -1);
	buf_free(&b);
}

int
on_vault_stale(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	struct parent *pa = p->pa;
	cleanup_free char *fresh = vault_path(pa, ".new");
	struct error err;

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	vault_file_forget(pa);
	pa->fresh_fd = open_file(pa, fresh, O_EXCL, &err);
	if (pa->fresh_fd < 0) {
		log_warnx("writing the vault anew: %s", err.msg);
		tell_renamed(p, false);
		return 0;
	}
	send_keyd_file(p, KEYD_KEY, pa->key_fd);
	send_keyd_file(p, KEYD_FRESH, pa->fresh_fd);
	return 0;
}

/* The folder's entry must be on disk before the old file is written no more. */
static int
take_place(struct parent *pa, struct error *err)
{
	cleanup_free char *path = vault_path(pa, "");
	cleanup_free char *fresh = vault_path(pa, ".new");
	cleanup_fd int dir =
	    open(pa->conf.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return error_set(err, errno, "open %s", pa->conf.state_dir);
	if (parent_check_file(
		pa->fresh_fd, fresh, pa->conf.user[ROLE_KEYD].uid, err) < 0)
		return -1;
	if (fsync(pa->fresh_fd) < 0)
		return error_set(err, errno, "sync %s", fresh);
	if (rename(fresh, path) < 0)
		return error_set(err, errno, "rename %s", fresh);
	fd_close(&pa->vault_fd);
	pa->vault_fd = steal_fd(&pa->fresh_fd);
	/* From here on there is no way back: the name is the new file's. */
	if (fsync(dir) < 0)
		log_warn("sync %s", pa->conf.state_dir);
	return 0;
}

int
on_vault_written(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	struct parent *pa = p->pa;
	bool ok = cur_bool(&m->body);
	struct error err;

	(void)c;
	if (cur_end(&m->body) < 0 || pa->fresh_fd < 0)
		return -1;
	if (ok && take_place(pa, &err) < 0) {
		log_warnx("writing the vault anew: %s", err.msg);
		ok = false;
	}
	vault_file_forget(pa);
	tell_renamed(p, ok);
	return 0;
}

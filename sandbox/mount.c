#include "sandbox/mount.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/fdutil.h"

int
mnt_new(const char *type, const struct mnt_opt *opts, size_t n, uint64_t attr,
    struct error *err)
{
	cleanup_fd int fs = -1;
	size_t i;
	int fd;

	fs = fsopen(type, FSOPEN_CLOEXEC);
	if (fs < 0)
		return error_set(err, errno, "tree: fsopen %s", type);
	for (i = 0; i < n; i++)
		if (fsconfig(fs,
			opts[i].value == NULL ? FSCONFIG_SET_FLAG
					      : FSCONFIG_SET_STRING,
			opts[i].key, opts[i].value, 0) < 0)
			return error_set(err, errno, "tree: %s %s=%s", type,
			    opts[i].key,
			    opts[i].value == NULL ? "" : opts[i].value);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_set(err, errno, "tree: create %s", type);
	fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)attr);
	if (fd < 0)
		return error_set(err, errno, "tree: fsmount %s", type);
	return fd;
}

int
mnt_clone(int dir, const char *path, bool recursive, uint64_t attr, int *fd,
    struct error *err)
{
	struct mount_attr a = { .attr_set = attr };
	const unsigned int deep = recursive ? AT_RECURSIVE : 0;
	cleanup_fd int at = -1;
	cleanup_fd int t = -1;

	at = sys_openat2(dir, *path == '\0' ? "." : path, O_PATH,
	    RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (at < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (at < 0)
		return error_set(err, errno, "tree: open /%s", path);
	t = open_tree(
	    at, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | deep);
	if (t < 0)
		return error_set(err, errno, "tree: open /%s", path);
	if (mount_setattr(t, "", AT_EMPTY_PATH | deep, &a, sizeof(a)) < 0)
		return error_set(err, errno, "tree: read-only /%s", path);
	*fd = steal_fd(&t);
	return 1;
}

int
mnt_attach(int mnt, int dir, const char *path, struct error *err)
{
	cleanup_fd int at = -1;

	/* An absolute link in there would lead to the host. */
	at = sys_openat2(
	    dir, path, O_PATH, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (at < 0 ||
	    move_mount(mnt, "", at, "",
		MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_set(err, errno, "tree: attach %s", path);
	return 0;
}

int
mnt_mkdir(int dir, const char *path, mode_t mode, struct error *err)
{
	if (mkdirat(dir, path, mode) < 0 && errno != EEXIST)
		return error_set(err, errno, "tree: mkdir %s", path);
	return 0;
}

int
mnt_mkdirs(int dir, const char *path, struct error *err)
{
	const char *name = path;
	cleanup_fd int at = -1;
	char part[NAME_MAX + 1];
	size_t len;
	int next;

	at = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	for (; at >= 0 && *name != '\0';
	     name += len + strspn(name + len, "/")) {
		len = strcspn(name, "/");
		if (len >= sizeof(part))
			return error_set(
			    err, ENAMETOOLONG, "tree: mkdir %s", path);
		memcpy(part, name, len);
		part[len] = '\0';
		if (mnt_mkdir(at, part, 0755, err) < 0)
			return -1;
		next = sys_openat2(at, part, O_PATH | O_DIRECTORY,
		    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		if (next < 0)
			return error_set(err, errno, "tree: mkdir %s", path);
		fd_close(&at);
		at = next;
	}
	return at < 0 ? error_set(err, errno, "tree: mkdir %s", path) : 0;
}

static int
create(int dir, const char *path, struct error *err)
{
	int fd;

	fd = openat(dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return error_set(err, errno, "tree: create %s", path);
	return fd;
}

int
mnt_text(int dir, const char *path, const char *text, struct error *err)
{
	cleanup_fd int fd = create(dir, path, err);

	if (fd < 0)
		return -1;
	if (fd_write_all(fd, text, strlen(text)) < 0)
		return error_set(err, errno, "tree: write %s", path);
	return 0;
}

int
mnt_copy(int from, int dir, const char *path, size_t size, struct error *err)
{
	cleanup_fd int fd = create(dir, path, err);
	off_t off = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while ((size_t)off < size) {
		n = sendfile(fd, from, &off, size - (size_t)off);
		if (n <= 0)
			return error_set(
			    err, n < 0 ? errno : EIO, "tree: fill %s", path);
	}
	return 0;
}

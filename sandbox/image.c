#include "sandbox/image.h"

#include <errno.h>
#include <limits.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/image_unpack.h"
#include "sandbox/loop.h"
#include "sandbox/mount.h"

#define SQUASHFS_MAGIC "hsqs"

static int
check_owner(int fd, const char *path, const char *part, struct stat *st,
    struct error *err)
{
	if (fstat(fd, st) < 0)
		return error_set(err, errno, "sandbox root %s: %s", path, part);
	/* In a sticky folder nobody else can exchange what is root's. */
	if (st->st_uid != 0 ||
	    ((st->st_mode & 022) != 0 &&
		(!S_ISDIR(st->st_mode) || (st->st_mode & S_ISVTX) == 0)))
		return error_set(err, EPERM,
		    "sandbox root %s: others than root can write %s", path,
		    part);
	return 0;
}

/* Every folder on the way, and the end of it. */
static int
open_checked(const char *path, struct stat *st, struct error *err)
{
	const char *name = path + strspn(path, "/");
	cleanup_fd int at = -1;
	char part[NAME_MAX + 1];
	size_t len;
	int next;

	if (path[0] != '/')
		return error_set(err, EINVAL, "sandbox root %s", path);
	at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0 || check_owner(at, path, "/", st, err) < 0)
		return -1;
	for (; *name != '\0'; name += len + strspn(name + len, "/")) {
		len = strcspn(name, "/");
		(void)snprintf(part, sizeof(part), "%.*s", (int)len, name);
		next = sys_openat2(
		    at, part, O_PATH, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		if (next < 0)
			return error_set(
			    err, errno, "sandbox root %s: %s", path, part);
		fd_close(&at);
		at = next;
		if (check_owner(at, path, part, st, err) < 0)
			return -1;
	}
	return steal_fd(&at);
}

/* The O_PATH descriptor again, to be read. */
static int
reopen(int at, int flags)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", at);
	return open(path, flags | O_CLOEXEC);
}

static int
open_squashfs(int file, struct error *err)
{
	char name[LOOP_PATH_SIZE];
	const struct mnt_opt opts[] = { { "ro", NULL }, { "source", name } };
	cleanup_fd int loop = -1;

	/* Closing it lets go of the device, unless it is mounted by then. */
	loop = loop_attach(file, true, name, err);
	if (loop < 0)
		return -1;
	return mnt_new("squashfs", opts, nitems(opts), MNT_READ_ONLY, err);
}

static int
open_folder(int at, struct error *err)
{
	int fd = -1;

	return mnt_clone(at, "", false, MNT_READ_ONLY, &fd, err) < 0 ? -1 : fd;
}

static int
digest(int file, char hex[IMAGE_HASH_SIZE], struct error *err)
{
	unsigned char *chunk = xmalloc(1 << 20), sum[SHA256_DIGEST_LENGTH];
	SHA2_CTX ctx;
	ssize_t n;
	off_t at = 0;
	size_t i;

	_Static_assert(IMAGE_HASH_SIZE > 2 * sizeof(sum), "IMAGE_HASH_SIZE");
	SHA256Init(&ctx);
	while ((n = pread(file, chunk, 1 << 20, at)) > 0) {
		SHA256Update(&ctx, chunk, (size_t)n);
		at += n;
	}
	SHA256Final(sum, &ctx);
	free(chunk);
	if (n < 0)
		return error_set(err, errno, "cannot be read");
	for (i = 0; i < sizeof(sum); i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	return 0;
}

static int
open_archive(const struct image_conf *c, int file, const struct stat *st,
    int *hold, struct error *err)
{
	char hex[IMAGE_HASH_SIZE], key[IMAGE_KEY_SIZE];
	cleanup_fd int roots = -1;
	cleanup_fd int dir = -1;
	int mnt;

	roots = image_roots(c->state, err);
	if (roots < 0)
		return -1;
	/* While the file is the same, so is its hash. */
	(void)snprintf(key, sizeof(key), IMAGE_KEY "%llx-%llx-%llx-%llx.%lx",
	    (unsigned long long)st->st_dev, (unsigned long long)st->st_ino,
	    (unsigned long long)st->st_size,
	    (unsigned long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
	if (image_known(roots, key, hex) == 0) {
		if (digest(file, hex, err) < 0)
			return -1;
		image_remember(roots, key, hex);
	}
	dir = image_unpacked(c, roots, hex, file, err);
	mnt = dir < 0 ? -1 : open_folder(dir, err);
	if (mnt >= 0)
		*hold = steal_fd(&dir);
	return mnt;
}

static int
open_any(const struct image_conf *c, int at, const struct stat *st, int *hold,
    struct error *err)
{
	cleanup_fd int file = -1;
	char magic[4];

	if (S_ISDIR(st->st_mode))
		return open_folder(at, err);
	if (!S_ISREG(st->st_mode))
		return error_set(err, EINVAL, "neither folder nor file");
	file = reopen(at, O_RDONLY);
	if (file < 0 || pread(file, magic, sizeof(magic), 0) < 0)
		return error_set(err, errno, "open");
	if (memcmp(magic, SQUASHFS_MAGIC, sizeof(magic)) == 0)
		return open_squashfs(file, err);
	return open_archive(c, file, st, hold, err);
}

/* A jail needs something to run. */
static int
check_content(int mnt, struct error *err)
{
	struct stat st;

	if (fstatat(mnt, "usr", &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	    fstatat(mnt, "bin", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return error_set(err, 0, "it holds neither /usr nor /bin");
}

int
image_open(const struct image_conf *c, int *hold, struct error *err)
{
	cleanup_fd int lock = -1;
	cleanup_fd int at = -1;
	cleanup_fd int mnt = -1;
	struct stat st;

	at = open_checked(c->path, &st, err);
	if (at < 0)
		return -1;
	mnt = open_any(c, at, &st, &lock, err);
	if (mnt < 0 || check_content(mnt, err) < 0)
		return error_prefix(err, "sandbox root %s", c->path);
	*hold = steal_fd(&lock);
	return steal_fd(&mnt);
}

bool
image_is_archive(const char *path)
{
	char magic[4] = "";
	cleanup_fd int fd = -1;
	struct stat st;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       pread(fd, magic, sizeof(magic), 0) >= 0 &&
	       memcmp(magic, SQUASHFS_MAGIC, sizeof(magic)) != 0;
}

/*
 * Where the jail's programs come from: the host's /usr or an image, and more
 * folders of the host.  Runs in pid 1, in a copy of the host's mounts.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/mount.h"
#include "sandbox/tree.h"

#define IMAGE ".image" /* below "/", root's, until its folders are in place */
/* tree_root() has put the new root here. */
#define IMAGE_HERE "/proc/" IMAGE
#define ENTRIES_MAX 256u

static const char *const usr_links[] = { "bin", "sbin", "lib", "lib32", "lib64",
	"libx32" };

/* What the jail makes itself, or what no program of an image needs. */
static const char *const own[] = { "boot", "dev", "etc", "home", "lost+found",
	"media", "mnt", "proc", "root", "run", "srv", "sys", "tmp", "var",
	&JAIL_WORKSPACE[1] };

bool
tree_is_software(const char *name)
{
	size_t i;

	for (i = 0; i < nitems(own); i++)
		if (str_eq(name, own[i]))
			return false;
	return name[0] != '.';
}

static int
place(int src, const char *from, int root, const char *to, bool recursive,
    struct error *err)
{
	cleanup_fd int fd = -1;
	int r = mnt_clone(src, from, recursive, MNT_READ_ONLY, &fd, err);

	if (r <= 0)
		return r;
	if (mnt_mkdirs(root, to, err) < 0 || mnt_attach(fd, root, to, err) < 0)
		return -1;
	return 1;
}

int
tree_links(int root, struct error *err)
{
	char path[32], target[64];
	cleanup_fd int host = -1;
	size_t i;
	ssize_t n;

	host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (host < 0)
		return error_set(err, errno, "tree: open /");
	for (i = 0; i < nitems(usr_links); i++) {
		(void)snprintf(path, sizeof(path), "/%s", usr_links[i]);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0) {
			if (errno == EINVAL && place(host, usr_links[i], root,
						   usr_links[i], true, err) < 0)
				return -1;
			continue;
		}
		target[n] = '\0';
		if (symlinkat(target, root, usr_links[i]) < 0)
			return error_set(err, errno, "tree: link %s", path);
	}
	return 0;
}

static int
image_entry(int src, int root, const char *name, struct error *err)
{
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fstatat(src, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "image: /%s", name);
	if (S_ISDIR(st.st_mode))
		return place(src, name, root, name, false, err);
	if (!S_ISLNK(st.st_mode))
		return 0;
	n = readlinkat(src, name, target, sizeof(target) - 1);
	if (n < 0)
		return error_set(err, errno, "image: /%s", name);
	target[n] = '\0';
	if (symlinkat(target, root, name) < 0)
		return error_set(err, errno, "image: link /%s", name);
	return 0;
}

int
tree_image(int root, int mnt, struct error *err)
{
	unsigned int left = ENTRIES_MAX;
	cleanup_fd int src = -1;
	struct dirent *e;
	int fd, r = 0;
	DIR *d;

	/* Parts of a mount can be cloned once it is attached somewhere. */
	if (mnt_mkdir(root, IMAGE, 0700, err) < 0 ||
	    mnt_attach(mnt, root, IMAGE, err) < 0)
		return -1;
	src = openat(root, IMAGE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = openat(root, IMAGE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (src < 0 || d == NULL) {
		(void)error_set(err, errno, "image: read");
		fd_close(&fd);
		return -1;
	}
	while (r >= 0 && (e = readdir(d)) != NULL) {
		if (!tree_is_software(e->d_name))
			continue;
		if (left-- == 0)
			r = error_set(err, E2BIG,
			    "image: its root holds more "
			    "than %u entries",
			    ENTRIES_MAX);
		else
			r = image_entry(src, root, e->d_name, err);
	}
	(void)closedir(d);
	return r < 0 ? -1 : steal_fd(&src);
}

int
tree_image_done(int root, struct error *err)
{
	if (umount2(IMAGE_HERE, MNT_DETACH) < 0 ||
	    unlinkat(root, IMAGE, AT_REMOVEDIR) < 0)
		return error_set(err, errno, "image: detach");
	return 0;
}

static bool
is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

/* A tree may neither hide nor lie in what the jail makes itself. */
static bool
in_the_way(const char *path)
{
	static const char *const taken[] = { "dev", "home", &JAIL_HOME[1],
		"proc", "run", "sys", "tmp", "var/run", "var/tmp",
		&JAIL_WORKSPACE[1] };
	size_t i;

	if (*path == '\0' || str_eq(path, "etc") || str_eq(path, "var"))
		return true;
	for (i = 0; i < nitems(taken); i++)
		if (is_below(taken[i], path) ||
		    (!str_eq(taken[i], "home") && is_below(path, taken[i])))
			return true;
	return false;
}

int
tree_more(int root, const struct jail_config *c, struct error *err)
{
	cleanup_fd int host = -1;
	struct stat st;
	size_t i;
	int r;

	if (c->ntrees == 0)
		return 0;
	host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (host < 0)
		return error_set(err, errno, "tree: open /");
	for (i = 0; i < c->ntrees; i++) {
		const char *path = c->trees[i] + strspn(c->trees[i], "/");
		cleanup_fd int fd = -1;

		if (c->trees[i][0] != '/' || in_the_way(path))
			return error_set(err, 0,
			    "sandbox tree %s: the jail has a folder of its own "
			    "there",
			    c->trees[i]);
		fd = sys_openat2(host, path, O_PATH | O_DIRECTORY,
		    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		if (fd < 0 || fstat(fd, &st) < 0)
			return error_set(err, errno,
			    "sandbox tree %s: not a folder that is reached "
			    "without symbolic links",
			    c->trees[i]);
		r = place(fd, "", root, path, true, err);
		if (r < 0)
			return -1;
	}
	return 0;
}

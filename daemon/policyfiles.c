#include "daemon/policyfiles.h"

#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "policy/policy.h"

struct file {
	char *name;
	dev_t dev;
	ino_t ino;
	struct buf text;
	bool root;
};

struct files {
	struct file *f;
	size_t n;
	bool check_owner;
};

/* Who can write it decides what every job may do. */
static int
check_owner(const char *path, const struct stat *st, struct error *err)
{
	if (st->st_uid != 0)
		return error_set(err, 0,
		    "%s belongs to uid %lu; policy "
		    "belongs to root",
		    path, (unsigned long)st->st_uid);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return error_set(err, 0,
		    "%s is writable by others than root "
		    "(mode %04o)",
		    path, (unsigned int)st->st_mode & 07777u);
	return 0;
}

static void
files_free(struct files *fs)
{
	size_t i;

	for (i = 0; i < fs->n; i++) {
		free(fs->f[i].name);
		buf_free(&fs->f[i].text);
	}
	free(fs->f);
}

/* Read one file; a second sight of it can only make it a root. */
static int
add_file(struct files *fs, int dir, const char *path, const char *name,
    bool root, struct error *err)
{
	cleanup_fd int fd = -1;
	struct stat st;
	struct file *f;
	size_t i;

	fd = openat(dir, name,
	    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY |
		(fs->check_owner ? O_NOFOLLOW : 0));
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, 0, "%s is not a regular file", path);
	if (fs->check_owner && check_owner(path, &st, err) < 0)
		return -1;
	for (i = 0; i < fs->n; i++) {
		if (fs->f[i].dev != st.st_dev || fs->f[i].ino != st.st_ino)
			continue;
		fs->f[i].root = fs->f[i].root || root;
		return 0;
	}
	if (fs->n >= POLICYFILES_MAX)
		return error_set(err, 0, "%s: more than %u policy files", path,
		    POLICYFILES_MAX);
	fs->f = xreallocarray(fs->f, fs->n + 1, sizeof(*fs->f));
	f = &fs->f[fs->n];
	memset(f, 0, sizeof(*f));
	buf_init(&f->text, 0);
	if (fd_read_all(fd, &f->text, POLICY_FILE_MAX) < 0) {
		(void)error_set(err, errno, "read %s", path);
		buf_free(&f->text);
		return -1;
	}
	f->name = xstrdup(name);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->root = root;
	fs->n++;
	return 0;
}

static int
is_source(const struct dirent *de)
{
	return de->d_name[0] != '.' && (str_ends(de->d_name, ".policy") ||
					   str_ends(de->d_name, ".inc"));
}

/* All sources of a folder; roots only if it was asked for itself. */
static int
add_folder(
    struct files *fs, int dir, const char *path, bool roots, struct error *err)
{
	struct dirent **list = NULL;
	int n, i, r = 0, found = 0;

	n = scandirat(dir, ".", &list, is_source, alphasort);
	if (n < 0)
		return error_set(err, errno, "read folder %s", path);
	for (i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		cleanup_free char *full = xasprintf("%s/%s", path, name);
		bool root = roots && str_ends(name, ".policy");

		found += root;
		/* Without the owner check, what merely lies beside a file may
		 * be unreadable until the file includes it. */
		if (r == 0 &&
		    add_file(fs, dir, full, name, root,
			roots || fs->check_owner ? err : NULL) < 0 &&
		    (roots || fs->check_owner))
			r = -1;
		free(list[i]);
	}
	free(list);
	if (r == 0 && roots && found == 0)
		r = error_set(err, 0, "%s holds no *.policy file", path);
	return r;
}

static int
add_path(struct files *fs, const char *path, struct error *err)
{
	cleanup_free char *copy = xstrdup(path);
	cleanup_free char *last = xstrdup(path);
	cleanup_fd int fd = -1;
	const char *folder = path;
	struct stat st;
	bool whole;

	if (stat(path, &st) < 0)
		return error_set(err, errno, "%s", path);
	whole = S_ISDIR(st.st_mode);
	if (!whole)
		folder = dirname(copy);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "%s", path);
	if (fs->check_owner && check_owner(folder, &st, err) < 0)
		return -1;
	if (whole)
		return add_folder(fs, fd, path, true, err);
	if (add_file(fs, fd, path, basename(last), true, err) < 0)
		return -1;
	return add_folder(fs, fd, folder, false, err);
}

int
policyfiles_load(const char *const *paths, size_t n, bool check_owner,
    struct buf *bundle, struct error *err)
{
	struct files fs = { .check_owner = check_owner };
	struct policy_source *srcs;
	size_t i;
	int r = 0;

	for (i = 0; i < n && r == 0; i++)
		r = add_path(&fs, paths[i], err);
	if (r == 0 && fs.n == 0)
		r = error_set(err, 0, "no policy files given");
	if (r == 0) {
		srcs = xcalloc(fs.n, sizeof(*srcs));
		for (i = 0; i < fs.n; i++)
			srcs[i] = (struct policy_source){ fs.f[i].name,
				buf_head(&fs.f[i].text), buf_len(&fs.f[i].text),
				fs.f[i].root };
		if (policy_bundle_write(bundle, srcs, fs.n) < 0)
			r = error_set(err, 0,
			    "policy files of more than %u "
			    "bytes together",
			    POLICY_BUNDLE_MAX);
		free(srcs);
	}
	files_free(&fs);
	return r;
}

#include "sandbox/rules.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/landlock.h"
#include "sandbox/mount.h"
#include "sandbox/pathwalk.h"
#include "sandbox/place.h"
#include "sandbox/protect.h"
#include "sandbox/tree.h"

#define LINKS_MAX 8u /* in a row */
static const struct {
	const char *name, *path;
} anchors[] = { { "workspace", &JAIL_WORKSPACE[1] }, { "scratch", "tmp" },
	{ "home", &JAIL_HOME[1] } };

/* Never bound from the host, whatever a rule says. */
static const char *const own_dirs[] = { "proc", "sys", "dev", "run", "tmp",
	"usr", &JAIL_HOME[1], &JAIL_WORKSPACE[1], "bin", "sbin", "lib", "lib32",
	"lib64", "libx32", "var/run", "var/tmp" };

struct rules {
	const struct jail_config *c;
	int root;
	size_t places;      /* mounts made for rules */
	unsigned int links; /* symbolic links on the way to this one */
	int ruleset;
	unsigned int abi;
	unsigned int access;
};

/* Path below "/" of the jail, without leading slash, into out.  0 or -1. */
static int
resolve(const char *pattern, char *out, size_t size, struct error *err)
{
	size_t i, len;
	int n;

	if (pattern[0] == '/') {
		n = snprintf(out, size, "%s", pattern + 1);
		goto done;
	}
	n = -1;
	for (i = 0; i < nitems(anchors); i++) {
		len = strlen(anchors[i].name);
		if (strncmp(pattern, anchors[i].name, len) == 0 &&
		    (pattern[len] == '/' || pattern[len] == '\0'))
			n = snprintf(
			    out, size, "%s%s", anchors[i].path, pattern + len);
	}
done:
	if (n <= 0 || (size_t)n >= size)
		return error_set(err, EINVAL, "path rule: %s", pattern);
	return 0;
}

static bool
is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

static int
count_place(struct rules *rs, const char *path, struct error *err)
{
	if (rs->places++ >= JAIL_MASKS_MAX)
		return error_set(err, 0,
		    "path rule: more than %u files match "
		    "deny rules, at %s",
		    JAIL_MASKS_MAX, path);
	return 0;
}

/* Mount tree over the very file that the walk has found. */
static int
cover(int tree, int fd, const char *path, struct error *err)
{
	if (move_mount(tree, "", fd, "",
		MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_set(err, errno, "path rule: cover %s", path);
	return 0;
}

static int
self_bind(int fd, const char *path, uint64_t attr, struct error *err)
{
	struct mount_attr a = { .attr_set = attr };
	cleanup_fd int tree = -1;

	/* With what other rules have covered below. */
	tree = open_tree(fd, "",
	    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (tree < 0)
		return error_set(err, errno, "path rule: open_tree %s", path);
	if (attr != 0 && mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE,
			     &a, sizeof(a)) < 0)
		return error_set(err, errno, "path rule: read-only %s", path);
	return cover(tree, fd, path, err);
}

/* Covered by a mount already: another would hide what lies inside it. */
static bool
is_mount_root(int fd)
{
	struct statx sx;

	return statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx) == 0 &&
	       (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static bool
is_read_only(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_flags & ST_RDONLY);
}

static int follow(struct rules *rs, int fd, const char *path,
    const struct stat *st, struct error *err);

static int
make_read_only(void *arg, int fd, const char *path, const struct stat *st,
    struct error *err)
{
	if (is_mount_root(fd) && is_read_only(fd))
		return 0;
	if (count_place(arg, path, err) < 0)
		return -1;
	if (self_bind(fd, path, MOUNT_ATTR_RDONLY, err) < 0)
		return -1;
	return S_ISLNK(st->st_mode) ? follow(arg, fd, path, st, err) : 0;
}

/*
 * A mount point cannot be renamed, but the directories above it can, and a
 * fresh directory in their place would not be protected (`mv .git x; mkdir
 * .git`): make each a mount point too.
 */
static int
pin_parents(struct rules *rs, const char *path, struct error *err)
{
	char part[PATH_MAX];
	struct stat st;
	size_t base = 0, i;

	for (i = 0; i < nitems(anchors) && base == 0; i++)
		if (is_below(path, anchors[i].path))
			base = strlen(anchors[i].path);
	if (base == 0)
		return 0;
	for (i = base + 1; i < strlen(path) && i < sizeof(part); i++) {
		cleanup_fd int fd = -1;

		if (path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		fd = sys_openat2(
		    rs->root, part, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH);
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
			return 0; /* nothing to protect */
		if (fd < 0)
			return error_set(err, errno, "path rule: %s", part);
		if (is_mount_root(fd))
			continue;
		/* A link, or git's file that says where .git is: it cannot be
		 * exchanged or written any more, and nothing is below it. */
		if (fstat(fd, &st) < 0)
			return error_set(err, errno, "path rule: %s", part);
		if (count_place(rs, part, err) < 0 ||
		    self_bind(fd, part,
			S_ISDIR(st.st_mode) ? 0 : MOUNT_ATTR_RDONLY, err) < 0)
			return -1;
		if (!S_ISDIR(st.st_mode))
			return 0;
	}
	return 0;
}

static int
hide(void *arg, int fd, const char *path, const struct stat *st,
    struct error *err)
{
	struct mount_attr a = { .attr_set =
				    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
				    MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
	struct rules *rs = arg;
	cleanup_fd int tree = -1;

	if (count_place(rs, path, err) < 0)
		return -1;
	tree = open_tree(rs->root,
	    S_ISDIR(st->st_mode) ? TREE_EMPTY_DIR : TREE_EMPTY_FILE,
	    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 ||
	    mount_setattr(tree, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0)
		return error_set(err, errno, "path rule: mask %s", path);
	return cover(tree, fd, path, err);
}

/* Directories and, for a file, an empty file to mount on, below root. */
static int
make_place(int root, const char *path, bool dir, struct error *err)
{
	const char *name = strrchr(path, '/');
	cleanup_fd int at = -1;
	char parent[PATH_MAX];

	if (dir)
		return mnt_mkdirs(root, path, err);
	(void)snprintf(parent, sizeof(parent), "%.*s",
	    name == NULL ? 0 : (int)(name - path), path);
	if (mnt_mkdirs(root, parent, err) < 0)
		return -1;
	at = parent[0] == '\0' ? fcntl(root, F_DUPFD_CLOEXEC, 0)
			       : sys_openat2(root, parent, O_PATH | O_DIRECTORY,
				     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (at < 0 ||
	    mknodat(at, name == NULL ? path : name + 1, S_IFREG | 0444, 0) < 0)
		return error_set(err, errno, "path rule: create %s", path);
	return 0;
}

/* A file of the host that an allow rule names and the tree lacks. */
static int
bring_in(void *arg, int fd, const char *path, const struct stat *st,
    struct error *err)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_RDONLY |
					    MOUNT_ATTR_NOSUID |
					    MOUNT_ATTR_NODEV };
	struct rules *rs = arg;
	cleanup_fd int tree = -1;
	struct stat have;
	size_t i;

	for (i = 0; i < nitems(own_dirs); i++)
		if (is_below(path, own_dirs[i]) || is_below(own_dirs[i], path))
			return 0;
	if (path[0] == '\0' ||
	    fstatat(rs->root, path, &have, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (count_place(rs, path, err) < 0 ||
	    make_place(rs->root, path, S_ISDIR(st->st_mode), err) < 0)
		return -1;
	tree = open_tree(
	    fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0 ||
	    mount_setattr(tree, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0)
		return error_set(err, errno, "path rule: bind /%s", path);
	return mnt_attach(tree, rs->root, path, err);
}

static int
pin_found(void *arg, int fd, const char *path, const struct stat *st,
    struct error *err)
{
	return pin_parents(arg, path, err);
}

static int
deny_one(struct rules *rs, struct pathwalk *w, const struct jail_rule *r,
    bool pin, struct error *err)
{
	struct pathwalk pins = {
		.found = pin_found, .arg = rs, .budget = JAIL_WALK_MAX
	};
	char path[PATH_MAX];

	if (resolve(r->pattern, path, sizeof(path), err) < 0)
		return -1;
	/* A deny of everything beside allow rules: what the class default says
	 * already; a mount over everything would leave nothing to run. */
	if (pathwalk_literal(path) == 0)
		return 0;
	/* The folder itself cannot be exchanged for another either. */
	if (str_ends(path, "/**") && pathwalk_literal(path) == strlen(path) - 3)
		path[strlen(path) - 3] = '\0';
	if (strchr(path, '*') == NULL && pin_parents(rs, path, err) < 0)
		return -1;
	/* First: a bind of a directory would hide what was covered in it. */
	if (strchr(path, '*') != NULL && pin &&
	    pathwalk(&pins, rs->root, path, err) < 0)
		return -1;
	return pathwalk(w, rs->root, path, err);
}

/*
 * What a protected symbolic link points to inside the workspace is protected
 * like a path of its own.
 */
static int
follow(struct rules *rs, int fd, const char *path, const struct stat *st,
    struct error *err)
{
	struct pathwalk w = { .found = make_read_only,
		.arg = rs,
		.links = true,
		.budget = JAIL_WALK_MAX };
	char target[PATH_MAX], to[PATH_MAX], *part, *save = NULL, *slash;
	int r;
	ssize_t n;

	n = readlinkat(fd, "", target, sizeof(target) - 1);
	if (n < 0)
		return error_set(err, errno, "path rule: link %s", path);
	target[n] = '\0';
	/* To its folder, or to "/". */
	(void)snprintf(to, sizeof(to), "%s", path);
	slash = target[0] == '/' ? to : strrchr(to, '/');
	if (slash != NULL)
		*slash = '\0';
	for (part = strtok_r(target, "/", &save); part != NULL;
	     part = strtok_r(NULL, "/", &save)) {
		size_t len = strlen(to);

		if (str_eq(part, "."))
			continue;
		if (str_eq(part, "..")) {
			slash = strrchr(to, '/');
			*(slash == NULL ? to : slash) = '\0';
			continue;
		}
		if ((size_t)snprintf(to + len, sizeof(to) - len, "%s%s",
			len > 0 ? "/" : "", part) >= sizeof(to) - len)
			return 0;
	}
	/* Its name is taken as it is. */
	if (!is_below(to, &JAIL_WORKSPACE[1]) ||
	    str_eq(to, &JAIL_WORKSPACE[1]) || strchr(to, '*') != NULL)
		return 0;
	if (rs->links == LINKS_MAX)
		return 0;
	rs->links++;
	r = pin_parents(rs, to, err);
	if (r == 0)
		r = pathwalk(&w, rs->root, to, err);
	rs->links--;
	return r;
}

/* The place of a repository that the job is not to make. */
static int
deny_new_repository(struct rules *rs, struct error *err)
{
	static const char path[] = JAIL_WORKSPACE "/.git";
	cleanup_fd int fd = -1;
	struct stat st;

	fd = sys_openat2(
	    rs->root, &path[1], O_PATH | O_NOFOLLOW, RESOLVE_BENEATH);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "path rule: %s", path);
	if (!S_ISDIR(st.st_mode) || !place_is(&st))
		return 0;
	return make_read_only(rs, fd, &path[1], &st, err);
}

bool
rules_need_host(const struct jail_config *c)
{
	size_t i, k;

	for (i = 0; i < c->nrules; i++) {
		const struct jail_rule *r = &c->rules[i];

		if (!r->allow || r->write || r->pattern[0] != '/')
			continue;
		/* As bring_in() has it. */
		for (k = 0; k < nitems(own_dirs); k++)
			if (is_below(r->pattern + 1, own_dirs[k]))
				break;
		if (k == nitems(own_dirs))
			return true;
	}
	return false;
}

int
rules_mount(int root, const struct jail_config *c, struct error *err)
{
	struct rules rs = { .c = c, .root = root };
	struct pathwalk w = { .arg = &rs, .budget = JAIL_WALK_MAX };
	cleanup_fd int host = -1;
	int pass;
	size_t i;

	if (protect_all(c) == 0)
		return 0;
	host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (host < 0)
		return error_set(err, errno, "path rule: open /");
	w.found = bring_in;
	for (i = 0; i < c->nrules; i++)
		if (c->rules[i].allow && !c->rules[i].write &&
		    c->rules[i].pattern[0] == '/' &&
		    strlen(c->rules[i].pattern) > 1 &&
		    pathwalk(&w, host, c->rules[i].pattern + 1, err) < 0)
			return -1;
	if (c->protect && deny_new_repository(&rs, err) < 0)
		return -1;
	/* Reads last: a bind of a directory, made later, would uncover what
	 * was masked inside it. */
	for (pass = 0; pass < 2; pass++) {
		w.found = pass == 0 ? make_read_only : hide;
		w.links = pass == 0;
		for (i = 0; i < protect_all(c); i++) {
			const struct jail_rule *r = protect_at(c, i);

			if (!r->allow && r->write == (pass == 0) &&
			    deny_one(&rs, &w, r, i >= c->nrules, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int
grant_fixed(int ruleset, unsigned int abi, const struct jail_config *c,
    struct error *err)
{
	const unsigned int x = c->tmp_exec ? LL_EXEC : 0;
	const unsigned int wx = c->workspace_exec ? LL_EXEC : 0;
	const struct {
		const char *path;
		unsigned int access;
	} fixed[] = {
		/* Covers /bin, /lib ... where they are links, as usual. */
		{ "/usr", LL_READ | LL_EXEC },
		{ "/bin", LL_READ | LL_EXEC },
		{ "/sbin", LL_READ | LL_EXEC },
		{ "/lib", LL_READ | LL_EXEC },
		{ "/lib64", LL_READ | LL_EXEC },
		{ "/etc", LL_READ },
		{ "/dev", LL_READ | LL_DEVICE },
		{ "/dev/shm", LL_READ | LL_WRITE },
		{ "/proc", LL_READ },
		{ "/run", LL_READ },
		{ "/tmp", LL_READ | LL_WRITE | x },
		{ JAIL_HOME, LL_READ | LL_WRITE | x },
		{ JAIL_WORKSPACE, wx | (c->read_default ? LL_READ : 0) |
				      (c->write_default ? LL_WRITE : 0) },
		/* Nothing is masked by Landlock then: `ls /` may work. */
		{ "/", c->read_default ? LL_READ : 0 },
	};
	size_t i;

	for (i = 0; i < nitems(fixed); i++)
		if (landlock_grant(ruleset, abi, AT_FDCWD, fixed[i].path,
			fixed[i].access, err) < 0)
			return -1;
	return 0;
}

/* What an image brings, and the other folders of the host. */
static int
grant_software(int ruleset, unsigned int abi, const struct jail_config *c,
    struct error *err)
{
	const unsigned int rx = LL_READ | LL_EXEC;
	struct dirent *e;
	int fd, r = 0;
	size_t i;
	DIR *d;

	for (i = 0; i < c->ntrees; i++)
		if (landlock_grant(
			ruleset, abi, AT_FDCWD, c->trees[i], rx, err) < 0)
			return -1;
	if (c->image_fd < 0)
		return 0;
	fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (d == NULL) {
		(void)error_set(err, errno, "path rule: open /");
		fd_close(&fd);
		return -1;
	}
	while (r == 0 && (e = readdir(d)) != NULL)
		if (tree_is_software(e->d_name))
			r = landlock_grant(
			    ruleset, abi, fd, e->d_name, rx, err);
	(void)closedir(d);
	return r;
}

static int
grant_found(void *arg, int fd, const char *path, const struct stat *st,
    struct error *err)
{
	struct rules *rs = arg;

	return landlock_grant_fd(rs->ruleset, rs->abi, fd, rs->access, err);
}

/*
 * Leave to write below workspace/build must work in a tree without build: as
 * the job, make the directories that the pattern spells out.
 */
static void
make_allowed_dirs(const char *path)
{
	size_t i, n = pathwalk_literal(path);
	char part[PATH_MAX];

	if (!str_ends(path, "/**") || n != strlen(path) - 3)
		return;
	for (i = strlen(&JAIL_WORKSPACE[1]) + 1; i <= n; i++) {
		cleanup_fd int dir = -1;
		char *name;

		if (i < n && path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		name = strrchr(part, '/');
		*name++ = '\0';
		dir = sys_openat2(
		    AT_FDCWD, part, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
		if (dir < 0 ||
		    (mkdirat(dir, name, 0755) < 0 && errno != EEXIST))
			return;
	}
}

static int
grant_rules(struct rules *rs, int root, struct error *err)
{
	struct pathwalk w = {
		.found = grant_found, .arg = rs, .budget = JAIL_WALK_MAX
	};
	const struct jail_config *c = rs->c;
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < c->nrules; i++) {
		const struct jail_rule *r = &c->rules[i];

		if (!r->allow ||
		    (r->write ? c->write_default : c->read_default))
			continue;
		if (resolve(r->pattern, path, sizeof(path), err) < 0)
			return -1;
		if (r->write && is_below(path, &JAIL_WORKSPACE[1]))
			make_allowed_dirs(path);
		rs->access = r->write ? LL_WRITE : LL_READ;
		/* What was brought in from the host may be run, too. */
		if (!r->write && r->pattern[0] == '/')
			rs->access |= LL_EXEC;
		if (pathwalk(&w, root, path, err) < 0)
			return -1;
	}
	return 0;
}

int
rules_landlock(const struct jail_config *c, unsigned int abi, struct error *err)
{
	struct rules rs = { .c = c, .abi = abi };
	cleanup_fd int ruleset = -1;
	cleanup_fd int root = -1;

	ruleset = landlock_new(abi, c->filter == FILTER_NESTED, err);
	if (ruleset < 0)
		return -1;
	if (c->filter == FILTER_NESTED)
		return steal_fd(&ruleset);
	if (grant_fixed(ruleset, abi, c, err) < 0 ||
	    grant_software(ruleset, abi, c, err) < 0)
		return -1;
	if (c->nrules == 0)
		return steal_fd(&ruleset);
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_set(err, errno, "path rule: open /");
	rs.ruleset = ruleset;
	if (grant_rules(&rs, root, err) < 0)
		return -1;
	return steal_fd(&ruleset);
}

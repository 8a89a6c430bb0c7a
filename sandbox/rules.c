#include "sandbox/rules.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/landlock.h"
#include "sandbox/pathwalk.h"
#include "sandbox/sys.h"

#define MASK_DIR ".brig" /* below "/", mode 0700, root's */
#define MASK_FILE MASK_DIR "/file"
#define MASK_EMPTY MASK_DIR "/dir"

static const struct {
	const char *name, *path;
} anchors[] = { { "workspace", &JAIL_WORKSPACE[1] }, { "scratch", "tmp" },
	{ "home", &JAIL_HOME[1] } };

/* Never bound from the host, whatever a rule says. */
static const char *const own_dirs[] = { "proc", "sys", "dev", "run", "tmp",
	"usr", &JAIL_HOME[1], &JAIL_WORKSPACE[1], "bin", "sbin", "lib", "lib32",
	"lib64", "libx32" };

struct rules {
	const struct jail_config *c;
	int root;
	size_t places; /* mounts made for rules */
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

	tree = open_tree(
	    fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0)
		return error_set(err, errno, "path rule: open_tree %s", path);
	if (attr != 0 &&
	    mount_setattr(tree, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0)
		return error_set(err, errno, "path rule: read-only %s", path);
	return cover(tree, fd, path, err);
}

static int
make_read_only(void *arg, int fd, const char *path, const struct stat *st,
    struct error *err)
{
	if (count_place(arg, path, err) < 0)
		return -1;
	return self_bind(fd, path, MOUNT_ATTR_RDONLY, err);
}

/* Covered by a mount already: another would hide what lies inside it. */
static bool
is_mount_root(int fd)
{
	struct statx sx;

	return statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx) == 0 &&
	       (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/*
 * A mount point cannot be renamed, but the directories above it can, and a
 * fresh directory in their place would not be protected (`mv .git x; mkdir
 * .git`): make each a mount point too.
 */
static int
pin_parents(struct rules *rs, const char *path, struct error *err)
{
	size_t base = strlen(&JAIL_WORKSPACE[1]), i;
	char part[PATH_MAX];

	if (!is_below(path, &JAIL_WORKSPACE[1]))
		return 0;
	for (i = base + 1; i < strlen(path) && i < sizeof(part); i++) {
		cleanup_fd int fd = -1;

		if (path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		fd = sys_openat2(rs->root, part, O_PATH | O_DIRECTORY,
		    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		if (fd < 0)
			return 0; /* no such file: nothing to protect */
		if (is_mount_root(fd))
			continue;
		if (count_place(rs, part, err) < 0 ||
		    self_bind(fd, part, 0, err) < 0)
			return -1;
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
	tree =
	    open_tree(rs->root, S_ISDIR(st->st_mode) ? MASK_EMPTY : MASK_FILE,
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
	char part[PATH_MAX];
	size_t i, n = strlen(path);

	for (i = 1; i <= n && i < sizeof(part); i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (i == n && !dir) {
			if (mknodat(root, part, S_IFREG | 0444, 0) < 0)
				return error_set(
				    err, errno, "path rule: create %s", part);
		} else if (mkdirat(root, part, 0755) < 0 && errno != EEXIST) {
			return error_set(
			    err, errno, "path rule: mkdir %s", part);
		}
	}
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
	if (move_mount(tree, "", rs->root, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set(err, errno, "path rule: bind /%s", path);
	return 0;
}

/*
 * What a deny of writes names and a directory of the workspace lacks could be
 * made by the job (.git/hooks): make it, empty, for the rule to cover.  Not in
 * the workspace's own root, where it would be in people's way.
 */
static int
fill_gap(struct rules *rs, const char *path, bool dir, struct error *err)
{
	const char *name = strrchr(path, '/');
	char parent[PATH_MAX];
	cleanup_fd int fd = -1;
	int r;

	if (!is_below(path, &JAIL_WORKSPACE[1]) || name == NULL ||
	    (size_t)(name - path) <= strlen(&JAIL_WORKSPACE[1]))
		return 0;
	memcpy(parent, path, (size_t)(name - path));
	parent[name - path] = '\0';
	fd = sys_openat2(rs->root, parent, O_PATH | O_DIRECTORY,
	    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return 0;
	/* As the job, to whom the workspace belongs in here. */
	(void)setfsgid(rs->c->host_gid);
	(void)setfsuid(rs->c->host_uid);
	r = dir ? mkdirat(fd, name + 1, 0755)
		: mknodat(fd, name + 1, S_IFREG | 0644, 0);
	if (r < 0 && errno != EEXIST && errno != EACCES && errno != EROFS)
		(void)error_set(err, errno, "path rule: create %s", path);
	else
		r = 0;
	(void)setfsuid(0);
	(void)setfsgid(0);
	return r;
}

static int
make_masks(int root, struct error *err)
{
	if (mkdirat(root, MASK_DIR, 0700) < 0 ||
	    mkdirat(root, MASK_EMPTY, 0) < 0 ||
	    mknodat(root, MASK_FILE, S_IFREG, 0) < 0)
		return error_set(err, errno, "path rule: masks");
	return 0;
}

static int
deny_one(struct rules *rs, struct pathwalk *w, const struct jail_rule *r,
    struct error *err)
{
	char path[PATH_MAX];

	if (resolve(r->pattern, path, sizeof(path), err) < 0)
		return -1;
	/* A deny of everything beside allow rules: what the class default says
	 * already; a mount over everything would leave nothing to run. */
	if (pathwalk_literal(path) == 0)
		return 0;
	if (r->write && strchr(path, '*') == NULL &&
	    (fill_gap(rs, path, false, err) < 0 ||
		pin_parents(rs, path, err) < 0))
		return -1;
	if (r->write && str_ends(path, "/**") &&
	    pathwalk_literal(path) == strlen(path) - 3) {
		path[strlen(path) - 3] = '\0';
		if (fill_gap(rs, path, true, err) < 0 ||
		    pin_parents(rs, path, err) < 0)
			return -1;
	}
	return pathwalk(w, rs->root, path, err);
}

int
rules_mount(int root, const struct jail_config *c, struct error *err)
{
	struct rules rs = { .c = c, .root = root };
	struct pathwalk w = { .arg = &rs, .budget = JAIL_WALK_MAX };
	cleanup_fd int host = -1;
	int pass;
	size_t i;

	if (c->nrules == 0)
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
	if (make_masks(root, err) < 0)
		return -1;
	/* Reads last: a bind of a directory, made later, would uncover what
	 * was masked inside it. */
	for (pass = 0; pass < 2; pass++) {
		w.found = pass == 0 ? make_read_only : hide;
		for (i = 0; i < c->nrules; i++)
			if (!c->rules[i].allow &&
			    c->rules[i].write == (pass == 0) &&
			    deny_one(&rs, &w, &c->rules[i], err) < 0)
				return -1;
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
	if (grant_fixed(ruleset, abi, c, err) < 0)
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

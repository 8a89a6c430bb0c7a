#include "sandbox/tree.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fdutil.h"
#include "sandbox/mount.h"
#include "sandbox/place.h"
#include "sandbox/workspace.h"

#define TMP_SIZE (1024ull * 1024 * 1024)
#define TMP_INODES 1000000u
#define PTS_MAX "256" /* terminals are a pool that the whole host shares */

/* A tmpfs that belongs to the job. */
static int
new_scratch(const char *mode, uint64_t attr, const struct jail_config *c,
    struct error *err)
{
	char size[32], inodes[16], uid[16], gid[16];
	const struct mnt_opt opts[] = { { "size", size },
		{ "nr_inodes", inodes }, { "mode", mode }, { "uid", uid },
		{ "gid", gid } };

	(void)snprintf(size, sizeof(size), "%llu",
	    c->tmp_size != 0 ? (unsigned long long)c->tmp_size : TMP_SIZE);
	(void)snprintf(inodes, sizeof(inodes), "%u",
	    c->tmp_inodes != 0 ? c->tmp_inodes : TMP_INODES);
	(void)snprintf(uid, sizeof(uid), "%u", c->host_uid);
	(void)snprintf(gid, sizeof(gid), "%u", c->host_gid);
	return mnt_new("tmpfs", opts, nitems(opts), MNT_COMMON | attr, err);
}

static int
new_dev(struct error *err)
{
	static const struct {
		const char *name;
		unsigned int minor;
	} nodes[] = { { "null", 3 }, { "zero", 5 }, { "full", 7 },
		{ "random", 8 }, { "urandom", 9 } };
	static const struct {
		const char *name, *target;
	} links[] = { { "fd", "/proc/self/fd" }, { "stdin", "/proc/self/fd/0" },
		{ "stdout", "/proc/self/fd/1" },
		{ "stderr", "/proc/self/fd/2" }, { "ptmx", "pts/ptmx" } };
	static const struct mnt_opt dev[] = { { "mode", "0755" },
		{ "nr_inodes", "32" }, { "size", "4096" } };
	cleanup_fd int fd = -1;
	size_t i;

	fd = mnt_new("tmpfs", dev, nitems(dev),
	    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
	if (fd < 0 || mnt_mkdir(fd, "pts", 0755, err) < 0 ||
	    mnt_mkdir(fd, "shm", 0755, err) < 0)
		return -1;
	for (i = 0; i < nitems(nodes); i++)
		if (mknodat(fd, nodes[i].name, S_IFCHR | 0666,
			makedev(1, nodes[i].minor)) < 0)
			return error_set(
			    err, errno, "tree: /dev/%s", nodes[i].name);
	if (mknodat(fd, "tty", S_IFCHR | 0666, makedev(5, 0)) < 0)
		return error_set(err, errno, "tree: /dev/tty");
	for (i = 0; i < nitems(links); i++)
		if (symlinkat(links[i].target, fd, links[i].name) < 0)
			return error_set(
			    err, errno, "tree: /dev/%s", links[i].name);
	return steal_fd(&fd);
}

static int
new_pts(const struct jail_config *c, struct error *err)
{
	char uid[16], gid[16];
	const struct mnt_opt opts[] = { { "mode", "0620" },
		{ "ptmxmode", "0666" }, { "max", PTS_MAX }, { "uid", uid },
		{ "gid", gid } };

	(void)snprintf(uid, sizeof(uid), "%u", c->host_uid);
	(void)snprintf(gid, sizeof(gid), "%u", c->host_gid);
	return mnt_new("devpts", opts, nitems(opts),
	    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
}

/* 2: memfd_create(2) makes no executable memory, and nothing in this pid
 * namespace can lower it.  Kernels before 6.3 have no such switch. */
static int
set_memfd_noexec(int proc, struct error *err)
{
	cleanup_fd int fd = -1;

	fd = openat(proc, "sys/vm/memfd_noexec", O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || write(fd, "2", 1) != 1)
		return error_set(err, errno, "tree: vm.memfd_noexec");
	return 0;
}

/* One thing below root out of sight; it need not exist. */
static int
hide(int root, const char *path, struct error *err)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	cleanup_fd int at = -1;
	cleanup_fd int tree = -1;
	struct stat st;

	at = sys_openat2(
	    root, path, O_PATH, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (at < 0 && errno == ENOENT)
		return 0;
	if (at < 0 || fstat(at, &st) < 0)
		return error_set(err, errno, "tree: open /%s", path);
	tree = open_tree(root,
	    S_ISDIR(st.st_mode) ? TREE_EMPTY_DIR : TREE_EMPTY_FILE,
	    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 ||
	    mount_setattr(tree, "", AT_EMPTY_PATH, &ro, sizeof(ro)) < 0 ||
	    move_mount(tree, "", at, "",
		MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_set(err, errno, "tree: hide /%s", path);
	return 0;
}

/*
 * Of the host and not of the job.  What is left (cpuinfo, meminfo, stat, sys,
 * uptime, version ...) is what ps, free, nproc, node and the JVM read.
 */
static const char *const proc_hidden[] = { "proc/acpi", "proc/bus",
	"proc/cmdline", "proc/config.gz", "proc/driver", "proc/fs",
	"proc/interrupts", "proc/irq", "proc/kallsyms", "proc/kcore",
	"proc/key-users", "proc/keys", "proc/locks", "proc/modules",
	"proc/scsi", "proc/sched_debug", "proc/sysrq-trigger",
	"proc/timer_list" };

/*
 * Read-only as a mount, so that /proc/PID/mem cannot be written whatever
 * Landlock says; processes of other users, ours that are not dumpable
 * included, cannot be seen.
 */
static int
build_proc(int root, const struct jail_config *c, struct error *err)
{
	static const struct mnt_opt opts[] = { { "hidepid", "invisible" } };
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	cleanup_fd int fd = -1;
	size_t i;

	fd = mnt_new(
	    "proc", opts, nitems(opts), MNT_COMMON | MOUNT_ATTR_NOEXEC, err);
	if (fd < 0)
		return -1;
	if (!c->memfd_exec && set_memfd_noexec(fd, err) < 0)
		return -1;
	/* A job that makes user namespaces writes their id maps here, and the
	 * kernel lets it mount no proc that is more writable than this one. */
	if (c->filter != FILTER_NESTED &&
	    mount_setattr(fd, "", AT_EMPTY_PATH, &ro, sizeof(ro)) < 0)
		return error_set(err, errno, "tree: read-only /proc");
	if (mnt_mkdir(root, "proc", 0555, err) < 0)
		return -1;
	if (mnt_attach(fd, root, "proc", err) < 0)
		return -1;
	/* Nor one that hides less. */
	if (c->filter == FILTER_NESTED)
		return 0;
	for (i = 0; i < nitems(proc_hidden); i++)
		if (hide(root, proc_hidden[i], err) < 0)
			return -1;
	return 0;
}

/* The host's /usr or an image, and the root that /etc is copied from. */
static int
software(const struct jail_config *c, int *mnt, int *src, struct error *err)
{
	int r;

	if (c->image_fd >= 0) {
		*mnt = fcntl(c->image_fd, F_DUPFD_CLOEXEC, 0);
		*src = fcntl(c->image_fd, F_DUPFD_CLOEXEC, 0);
		return *mnt < 0 || *src < 0
			   ? error_set(err, errno, "image: dup")
			   : 0;
	}
	*src = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*src < 0)
		return error_set(err, errno, "tree: open /");
	r = mnt_clone(*src, "usr", true, MNT_READ_ONLY, mnt, err);
	return r == 0 ? error_set(err, ENOENT, "tree: /usr") : r;
}

static int
new_home(const struct jail_config *c, uint64_t attr, struct error *err)
{
	struct jail_config owner = *c;
	struct places pl;
	struct stat st;

	if (c->home_fd < 0)
		return new_scratch("0700", attr, c, err);
	/* The submitter may be in another group by now; what is of an id that
	 * is not mapped could not be written. */
	if (fstat(c->home_fd, &st) < 0)
		return error_set(err, errno, "tree: the home");
	owner.owner_uid = st.st_uid;
	owner.owner_gid = st.st_gid;
	/* A fresh one cannot hold what a rule keeps from being written. */
	if (places_make(c->home_fd, PLACES_HOME, &owner, &pl, err) < 0)
		return -1;
	places_keep(&pl);
	if (workspace_map(c->home_fd, "the home", &owner, attr, err) < 0)
		return -1;
	return fcntl(c->home_fd, F_DUPFD_CLOEXEC, 0);
}

int
tree_shared(const struct jail_config *c, int fd[TREE_PARTS], struct error *err)
{
	const mode_t mask = umask(0);
	cleanup_fd int src = -1;
	int r;

	r = software(c, &fd[TREE_USR], &src, err);
	if (r >= 0)
		r = (fd[TREE_ETC] = tree_etc(c, src, err)) < 0 ||
			    (fd[TREE_DEV] = new_dev(err)) < 0
			? -1
			: 0;
	(void)umask(mask);
	return r;
}

int
tree_own(const struct jail_config *c, int fd[TREE_PARTS], struct error *err)
{
	const uint64_t noexec = c->tmp_exec ? 0 : MOUNT_ATTR_NOEXEC;
	const uint64_t ws_noexec = c->workspace_exec ? 0 : MOUNT_ATTR_NOEXEC;

	if ((fd[TREE_PTS] = new_pts(c, err)) < 0 ||
	    (fd[TREE_SHM] = new_scratch("1777", MOUNT_ATTR_NOEXEC, c, err)) <
		0 ||
	    (fd[TREE_TMP] = new_scratch("1777", noexec, c, err)) < 0 ||
	    (fd[TREE_HOME] = new_home(c, noexec, err)) < 0)
		return -1;
	if (fd[TREE_WORKSPACE] < 0)
		fd[TREE_WORKSPACE] = new_scratch("0755", ws_noexec, c, err);
	return fd[TREE_WORKSPACE] < 0 ? -1 : 0;
}

int
tree_root(const struct jail_config *c, struct error *err)
{
	static const struct mnt_opt opts[] = { { "mode", "0755" },
		{ "size", "1m" }, { "nr_inodes", "4096" } };
	static const char *const dirs[] = { "usr", "etc", "dev", "proc", "tmp",
		"home", &JAIL_HOME[1], "run", "var", &JAIL_WORKSPACE[1] };
	struct mount_attr priv = { .propagation = MS_PRIVATE };
	cleanup_fd int root = -1;
	size_t i;

	if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &priv, sizeof(priv)) < 0)
		return error_set(err, errno, "tree: private mounts");
	root = mnt_new("tmpfs", opts, nitems(opts), MNT_COMMON, err);
	if (root < 0)
		return -1;
	for (i = 0; i < nitems(dirs); i++)
		if (mnt_mkdir(root, dirs[i], 0755, err) < 0)
			return -1;
	if (symlinkat("/tmp", root, "var/tmp") < 0 ||
	    symlinkat("/run", root, "var/run") < 0)
		return error_set(err, errno, "tree: /var");
	if (mkdirat(root, TREE_HIDE, 0700) < 0 ||
	    mkdirat(root, TREE_EMPTY_DIR, 0555) < 0 ||
	    mknodat(root, TREE_EMPTY_FILE, S_IFREG | 0444, 0) < 0)
		return error_set(err, errno, "tree: masks");
	if (c->image_fd < 0 && tree_links(root, err) < 0)
		return -1;
	/* Any directory that every host has; what is below is not used. */
	if (move_mount(root, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) <
	    0)
		return error_set(err, errno, "tree: attach");
	return steal_fd(&root);
}

int
tree_attach(int root, const int fd[TREE_PARTS], const struct jail_config *c,
    struct error *err)
{
	static const char *const where[TREE_PARTS] = {
		[TREE_USR] = "usr",
		[TREE_ETC] = "etc",
		[TREE_DEV] = "dev",
		[TREE_PTS] = "dev/pts",
		[TREE_SHM] = "dev/shm",
		[TREE_TMP] = "tmp",
		[TREE_HOME] = &JAIL_HOME[1],
		[TREE_WORKSPACE] = &JAIL_WORKSPACE[1],
	};
	const bool image = c->image_fd >= 0;
	const bool host = fd[TREE_USR] >= 0;
	cleanup_fd int src = -1;
	size_t i;

	if (host && image)
		src = tree_image(root, fd[TREE_USR], err);
	else if (host &&
		 (src = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		(void)error_set(err, errno, "tree: open /");
	if (host && src < 0)
		return -1;
	for (i = 0; i < TREE_PARTS; i++)
		if (fd[i] >= 0 && (i != TREE_USR || !image) &&
		    mnt_attach(fd[i], root, where[i], err) < 0)
			return -1;
	if (!host)
		return 0;
	if (tree_etc_dirs(src, fd[TREE_ETC], err) < 0 ||
	    (image && tree_image_done(root, err) < 0))
		return -1;
	return tree_more(root, c, err);
}

int
tree_finish(int root, const struct jail_config *c, struct error *err)
{
	cleanup_fd int etc = -1;

	etc = openat(root, "etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (etc < 0)
		return error_set(err, errno, "tree: /etc");
	if (tree_etc_names(
		etc, c->hostname != NULL ? c->hostname : "brig", err) < 0)
		return -1;
	return build_proc(root, c, err);
}

int
tree_seal(int root, struct error *err)
{
	static const char *const read_only[] = { ".", "etc", "dev" };
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	size_t i;

	for (i = 0; i < nitems(read_only); i++)
		if (mount_setattr(root, read_only[i], 0, &ro, sizeof(ro)) < 0)
			return error_set(
			    err, errno, "tree: read-only %s", read_only[i]);
	return 0;
}

int
tree_enter(int root, struct error *err)
{
	/* The old root lands on top of the new one; detach it. */
	if (fchdir(root) < 0 || sys_pivot_root(".", ".") < 0)
		return error_set(err, errno, "tree: pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return error_set(err, errno, "tree: umount the host");
	if (chdir("/") < 0)
		return error_set(err, errno, "tree: chdir");
	return 0;
}

int
tree_terminal(
    const struct jail_config *c, int *master, int *slave, struct error *err)
{
	struct winsize ws = { .ws_row = c->rows, .ws_col = c->cols };
	cleanup_fd int m = -1;
	int s;

	m = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (m < 0 || unlockpt(m) < 0)
		return error_set(err, errno, "tree: terminal");
	s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s < 0)
		return error_set(err, errno, "tree: terminal");
	if (c->rows != 0 && ioctl(m, TIOCSWINSZ, &ws) < 0) {
		(void)error_set(err, errno, "tree: window size");
		fd_close(&s);
		return -1;
	}
	*master = steal_fd(&m);
	*slave = s;
	return 0;
}

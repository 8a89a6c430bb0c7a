#include "sandbox/tree.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fdutil.h"
#include "sandbox/sys.h"

#define TMP_SIZE (1024ull * 1024 * 1024)
#define TMP_INODES 1000000u
#define PTS_MAX "256" /* terminals are a pool that the whole host shares */
#define COPY_MAX (1024 * 1024) /* larger files of /etc are left out */
#define CA_IN_ETC (&JAIL_CA_FILE[sizeof("/etc/") - 1])
#define CA_MAX (16 * 1024 * 1024)

#define COMMON (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

/* What programs need of the host's /etc and what holds no secret: never
 * npmrc, pip.conf, gitconfig, wgetrc and the like, where tokens live. */
static const char *const etc_files[] = { "bash.bashrc", "debian_version",
	"gai.conf", "inputrc", "ld.so.cache", "ld.so.conf", "locale.alias",
	"localtime", "magic", "mime.types", "networks", "os-release", "profile",
	"protocols", "rpc", "services", "shells", "ssl/openssl.cnf",
	"timezone" };
static const char *const etc_dirs[] = { "alternatives", "fonts",
	"java-11-openjdk", "java-17-openjdk", "java-21-openjdk" };

static const char *const usr_links[] = { "bin", "sbin", "lib", "lib32", "lib64",
	"libx32" };

struct fs_opt {
	const char *key, *value;
};

/* A file system of our own, not attached yet: its root, or -1. */
static int
fs_new(const char *type, const struct fs_opt *opts, size_t n, uint64_t attr,
    struct error *err)
{
	cleanup_fd int fs = -1;
	size_t i;
	int fd;

	fs = fsopen(type, FSOPEN_CLOEXEC);
	if (fs < 0)
		return error_set(err, errno, "tree: fsopen %s", type);
	for (i = 0; i < n; i++)
		if (fsconfig(fs, FSCONFIG_SET_STRING, opts[i].key,
			opts[i].value, 0) < 0)
			return error_set(err, errno, "tree: %s %s=%s", type,
			    opts[i].key, opts[i].value);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_set(err, errno, "tree: create %s", type);
	fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)attr);
	if (fd < 0)
		return error_set(err, errno, "tree: fsmount %s", type);
	return fd;
}

static int
attach(int mnt, int dir, const char *path, struct error *err)
{
	if (move_mount(mnt, "", dir, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set(err, errno, "tree: attach %s", path);
	return 0;
}

static int
mkdir_at(int root, const char *path, mode_t mode, struct error *err)
{
	if (mkdirat(root, path, mode) < 0 && errno != EEXIST)
		return error_set(err, errno, "tree: mkdir %s", path);
	return 0;
}

/* A tmpfs that belongs to the job. */
static int
new_scratch(const char *mode, uint64_t attr, const struct jail_config *c,
    struct error *err)
{
	char size[32], inodes[16], uid[16], gid[16];
	const struct fs_opt opts[] = { { "size", size },
		{ "nr_inodes", inodes }, { "mode", mode }, { "uid", uid },
		{ "gid", gid } };

	(void)snprintf(size, sizeof(size), "%llu",
	    c->tmp_size != 0 ? (unsigned long long)c->tmp_size : TMP_SIZE);
	(void)snprintf(inodes, sizeof(inodes), "%u",
	    c->tmp_inodes != 0 ? c->tmp_inodes : TMP_INODES);
	(void)snprintf(uid, sizeof(uid), "%u", c->host_uid);
	(void)snprintf(gid, sizeof(gid), "%u", c->host_gid);
	return fs_new("tmpfs", opts, nitems(opts), COMMON | attr, err);
}

/* A read-only copy of a host tree: 1 and *fd, 0 where there is none. */
static int
clone_host(const char *from, int *fd, struct error *err)
{
	struct mount_attr a = { .attr_set = COMMON | MOUNT_ATTR_RDONLY };
	int t;

	t = open_tree(
	    AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (t < 0 && errno == ENOENT)
		return 0;
	if (t < 0)
		return error_set(err, errno, "tree: open %s", from);
	*fd = t;
	if (mount_setattr(t, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a)) <
	    0) {
		(void)error_set(err, errno, "tree: read-only %s", from);
		fd_close(fd);
		return -1;
	}
	return 1;
}

/* Read-only bind of a host directory, if it exists. */
static int
add_bind(int root, const char *from, const char *to, struct error *err)
{
	cleanup_fd int fd = -1;
	int r = clone_host(from, &fd, err);

	if (r <= 0)
		return r;
	if (mkdir_at(root, to, 0755, err) < 0)
		return -1;
	return attach(fd, root, to, err);
}

static int
copy_fd(int from, int root, const char *to, size_t size, struct error *err)
{
	cleanup_fd int fd = -1;
	off_t off = 0;
	ssize_t n;

	fd = openat(root, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return error_set(err, errno, "tree: create %s", to);
	while ((size_t)off < size) {
		n = sendfile(fd, from, &off, size - (size_t)off);
		if (n <= 0)
			return error_set(
			    err, n < 0 ? errno : EIO, "tree: fill %s", to);
	}
	return 0;
}

static int
add_text(int root, const char *to, const char *text, struct error *err)
{
	cleanup_fd int fd = -1;

	fd = openat(root, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0 || fd_write_all(fd, text, strlen(text)) < 0)
		return error_set(err, errno, "tree: write %s", to);
	return 0;
}

/* One entry of the host's /etc: links and small files are copied, which is
 * cheaper than a mount. */
static int
copy_etc(int etc, const char *name, struct error *err)
{
	char path[64], target[PATH_MAX];
	cleanup_fd int fd = -1;
	struct stat st;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/etc/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ELOOP) {
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			return error_set(err, errno, "tree: %s", path);
		target[n] = '\0';
		if (symlinkat(target, etc, name) < 0)
			return error_set(err, errno, "tree: link %s", path);
		return 0;
	}
	if (fd < 0)
		return errno == ENOENT
			   ? 0
			   : error_set(err, errno, "tree: open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > COPY_MAX)
		return 0;
	return copy_fd(fd, etc, name, (size_t)st.st_size, err);
}

static int
add_ca(int etc, int given, struct error *err)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (given < 0) {
		fd = open(JAIL_CA_FILE, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return errno == ENOENT
				   ? 0
				   : error_set(err, errno, "tree: open %s",
					 JAIL_CA_FILE);
		given = fd;
	}
	if (fstat(given, &st) < 0)
		return error_set(err, errno, "tree: CA bundle");
	if (!S_ISREG(st.st_mode) || st.st_size > CA_MAX)
		return error_set(err, EFBIG, "tree: CA bundle");
	return copy_fd(given, etc, CA_IN_ETC, (size_t)st.st_size, err);
}

static int
new_etc(const struct jail_config *c, struct error *err)
{
	static const struct fs_opt opts[] = { { "mode", "0755" },
		{ "size", "32m" }, { "nr_inodes", "1024" } };
	const char *host = c->hostname != NULL ? c->hostname : "brig";
	cleanup_fd int etc = -1;
	char hosts[512], name[80];
	size_t i;

	etc = fs_new(
	    "tmpfs", opts, nitems(opts), COMMON | MOUNT_ATTR_NOEXEC, err);
	if (etc < 0 || mkdir_at(etc, "ssl", 0755, err) < 0 ||
	    mkdir_at(etc, "ssl/certs", 0755, err) < 0)
		return -1;
	(void)snprintf(name, sizeof(name), "%s\n", host);
	(void)snprintf(hosts, sizeof(hosts),
	    "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
	    "127.0.1.1 %s\n",
	    host);
	if (add_text(etc, "passwd",
		"root:x:0:0:root:/:/usr/sbin/nologin\n"
		"agent:x:1000:1000:agent:" JAIL_HOME ":/bin/sh\n"
		"nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
		err) < 0 ||
	    add_text(etc, "group",
		"root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n", err) < 0 ||
	    add_text(etc, "nsswitch.conf",
		"passwd: files\ngroup: files\nhosts: files dns\n"
		"services: files\nprotocols: files\n",
		err) < 0 ||
	    add_text(etc, "resolv.conf", "nameserver 127.0.0.53\n", err) < 0 ||
	    add_text(etc, "hosts", hosts, err) < 0 ||
	    add_text(etc, "hostname", name, err) < 0)
		return -1;
	for (i = 0; i < nitems(etc_files); i++)
		if (copy_etc(etc, etc_files[i], err) < 0)
			return -1;
	if (add_ca(etc, c->ca_fd, err) < 0)
		return -1;
	return steal_fd(&etc);
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
	static const struct fs_opt dev[] = { { "mode", "0755" },
		{ "nr_inodes", "32" }, { "size", "4096" } };
	cleanup_fd int fd = -1;
	size_t i;

	fd = fs_new("tmpfs", dev, nitems(dev),
	    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
	if (fd < 0 || mkdir_at(fd, "pts", 0755, err) < 0 ||
	    mkdir_at(fd, "shm", 0755, err) < 0)
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
	const struct fs_opt opts[] = { { "mode", "0620" },
		{ "ptmxmode", "0666" }, { "max", PTS_MAX }, { "uid", uid },
		{ "gid", gid } };

	(void)snprintf(uid, sizeof(uid), "%u", c->host_uid);
	(void)snprintf(gid, sizeof(gid), "%u", c->host_gid);
	return fs_new("devpts", opts, nitems(opts),
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

/*
 * Read-only as a mount, so that /proc/PID/mem cannot be written whatever
 * Landlock says; processes of other users, ours that are not dumpable
 * included, cannot be seen.
 */
static int
build_proc(int root, const struct jail_config *c, struct error *err)
{
	static const struct fs_opt opts[] = { { "hidepid", "invisible" } };
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	cleanup_fd int fd = -1;

	fd =
	    fs_new("proc", opts, nitems(opts), COMMON | MOUNT_ATTR_NOEXEC, err);
	if (fd < 0)
		return -1;
	if (!c->memfd_exec && set_memfd_noexec(fd, err) < 0)
		return -1;
	/* A job that makes user namespaces writes their id maps here, and the
	 * kernel lets it mount no proc that is more writable than this one. */
	if (c->filter != FILTER_NESTED &&
	    mount_setattr(fd, "", AT_EMPTY_PATH, &ro, sizeof(ro)) < 0)
		return error_set(err, errno, "tree: read-only /proc");
	if (mkdir_at(root, "proc", 0555, err) < 0)
		return -1;
	return attach(fd, root, "proc", err);
}

/* /bin, /lib ...: links on a merged-/usr host, else directories. */
static int
build_links(int root, struct error *err)
{
	char path[32], target[64];
	size_t i;
	ssize_t n;

	for (i = 0; i < nitems(usr_links); i++) {
		(void)snprintf(path, sizeof(path), "/%s", usr_links[i]);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0) {
			if (errno == EINVAL &&
			    add_bind(root, path, usr_links[i], err) < 0)
				return -1;
			continue;
		}
		target[n] = '\0';
		if (symlinkat(target, root, usr_links[i]) < 0)
			return error_set(err, errno, "tree: link %s", path);
	}
	return 0;
}

int
tree_parts(const struct jail_config *c, int fd[TREE_PARTS], struct error *err)
{
	const uint64_t noexec = c->tmp_exec ? 0 : MOUNT_ATTR_NOEXEC;
	const uint64_t ws_noexec = c->workspace_exec ? 0 : MOUNT_ATTR_NOEXEC;
	const mode_t mask = umask(0);
	int r;

	r = clone_host("/usr", &fd[TREE_USR], err);
	if (r == 0)
		r = error_set(err, ENOENT, "tree: /usr");
	if (r < 0)
		goto out;
	r = -1;
	if ((fd[TREE_ETC] = new_etc(c, err)) < 0 ||
	    (fd[TREE_DEV] = new_dev(err)) < 0 ||
	    (fd[TREE_PTS] = new_pts(c, err)) < 0 ||
	    (fd[TREE_SHM] = new_scratch("1777", MOUNT_ATTR_NOEXEC, c, err)) <
		0 ||
	    (fd[TREE_TMP] = new_scratch("1777", noexec, c, err)) < 0 ||
	    (fd[TREE_HOME] = new_scratch("0700", noexec, c, err)) < 0)
		goto out;
	if (fd[TREE_WORKSPACE] < 0)
		fd[TREE_WORKSPACE] = new_scratch("0755", ws_noexec, c, err);
	r = fd[TREE_WORKSPACE] < 0 ? -1 : 0;
out:
	(void)umask(mask);
	return r;
}

int
tree_root(struct error *err)
{
	static const struct fs_opt opts[] = { { "mode", "0755" },
		{ "size", "1m" }, { "nr_inodes", "4096" } };
	static const char *const dirs[] = { "usr", "etc", "dev", "proc", "tmp",
		"home", &JAIL_HOME[1], "run", "var", &JAIL_WORKSPACE[1] };
	struct mount_attr priv = { .propagation = MS_PRIVATE };
	cleanup_fd int root = -1;
	size_t i;

	if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &priv, sizeof(priv)) < 0)
		return error_set(err, errno, "tree: private mounts");
	root = fs_new("tmpfs", opts, nitems(opts), COMMON, err);
	if (root < 0)
		return -1;
	for (i = 0; i < nitems(dirs); i++)
		if (mkdir_at(root, dirs[i], 0755, err) < 0)
			return -1;
	if (symlinkat("/tmp", root, "var/tmp") < 0 ||
	    symlinkat("/run", root, "var/run") < 0)
		return error_set(err, errno, "tree: /var");
	if (build_links(root, err) < 0)
		return -1;
	/* Any directory that every host has; what is below is not used. */
	if (attach(root, AT_FDCWD, "/proc", err) < 0)
		return -1;
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
	char from[64];
	size_t i;

	for (i = 0; i < TREE_PARTS; i++)
		if (attach(fd[i], root, where[i], err) < 0)
			return -1;
	for (i = 0; i < nitems(etc_dirs); i++) {
		(void)snprintf(from, sizeof(from), "/etc/%s", etc_dirs[i]);
		if (add_bind(fd[TREE_ETC], from, etc_dirs[i], err) < 0)
			return -1;
	}
	return build_proc(root, c, err);
}

int
tree_enter(int root, struct error *err)
{
	static const char *const read_only[] = { ".", "etc", "dev" };
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	size_t i;

	for (i = 0; i < nitems(read_only); i++)
		if (mount_setattr(root, read_only[i], 0, &ro, sizeof(ro)) < 0)
			return error_set(
			    err, errno, "tree: read-only %s", read_only[i]);
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

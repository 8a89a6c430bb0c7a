/*
 * The jail's /etc: made up where it describes the jail, copied where programs
 * need the host's (or the image's), and without anything else.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fdutil.h"
#include "sandbox/mount.h"
#include "sandbox/tree.h"

#define COPY_MAX (1024 * 1024) /* larger files of /etc are left out */
#define CA_IN_ETC (&JAIL_CA_FILE[sizeof("/etc/") - 1])
#define TRUST_IN_ETC (&JAIL_TRUST_FILE[sizeof("/etc/") - 1])
#define CA_MAX (16 * 1024 * 1024)

/* What programs need of the host's /etc and what holds no secret: never
 * npmrc, pip.conf, gitconfig, wgetrc and the like, where tokens live. */
static const char *const etc_files[] = { "bash.bashrc", "debian_version",
	"gai.conf", "inputrc", "ld.so.cache", "ld.so.conf", "locale.alias",
	"localtime", "magic", "mime.types", "networks", "os-release", "profile",
	"protocols", "rpc", "services", "shells", "ssl/openssl.cnf",
	"timezone" };
static const char *const etc_dirs[] = { "alternatives", "fonts",
	"java-11-openjdk", "java-17-openjdk", "java-21-openjdk" };

/* One entry of the source's /etc: links and small files are copied, which is
 * cheaper than a mount. */
static int
copy_etc(int src, int etc, const char *name, struct error *err)
{
	char path[64], target[PATH_MAX];
	cleanup_fd int fd = -1;
	struct stat st;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "etc/%s", name);
	fd = sys_openat2(src, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
	    RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (fd < 0 && errno == ELOOP) {
		fd = sys_openat2(src, path, O_PATH | O_NOFOLLOW,
		    RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
		n = fd < 0 ? -1
			   : readlinkat(fd, "", target, sizeof(target) - 1);
		if (n < 0)
			return error_set(err, errno, "tree: /%s", path);
		target[n] = '\0';
		if (symlinkat(target, etc, name) < 0)
			return error_set(err, errno, "tree: link /%s", path);
		return 0;
	}
	/* ENXIO: a socket. */
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENXIO))
		return 0;
	if (fd < 0)
		return error_set(err, errno, "tree: open /%s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > COPY_MAX)
		return 0;
	return mnt_copy(fd, etc, name, (size_t)st.st_size, err);
}

/* A bundle of certificates: fd, or the host's own of that path if there is. */
static int
add_bundle(
    int etc, const char *name, int given, const char *path, struct error *err)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (given < 0) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return errno == ENOENT ? 0
					       : error_set(err, errno,
						     "tree: open %s", path);
		given = fd;
	}
	if (fstat(given, &st) < 0)
		return error_set(err, errno, "tree: %s", name);
	if (!S_ISREG(st.st_mode) || st.st_size > CA_MAX)
		return error_set(err, EFBIG, "tree: %s", name);
	return mnt_copy(given, etc, name, (size_t)st.st_size, err);
}

static int
add_own(int etc, struct error *err)
{
	if (mnt_text(etc, "passwd",
		"root:x:0:0:root:/:/usr/sbin/nologin\n"
		"agent:x:1000:1000:agent:" JAIL_HOME ":/bin/sh\n"
		"nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
		err) < 0 ||
	    mnt_text(etc, "group",
		"root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n", err) < 0 ||
	    mnt_text(etc, "nsswitch.conf",
		"passwd: files\ngroup: files\nhosts: files dns\n"
		"services: files\nprotocols: files\n",
		err) < 0 ||
	    mnt_text(etc, "resolv.conf", "nameserver 127.0.0.53\n", err) < 0)
		return -1;
	return 0;
}

int
tree_etc_names(int etc, const char *host, struct error *err)
{
	char hosts[512], name[80];

	(void)snprintf(name, sizeof(name), "%s\n", host);
	(void)snprintf(hosts, sizeof(hosts),
	    "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
	    "127.0.1.1 %s\n",
	    host);
	if (mnt_text(etc, "hosts", hosts, err) < 0 ||
	    mnt_text(etc, "hostname", name, err) < 0)
		return -1;
	return 0;
}

int
tree_etc(const struct jail_config *c, int src, struct error *err)
{
	static const struct mnt_opt opts[] = { { "mode", "0755" },
		{ "size", "32m" }, { "nr_inodes", "1024" } };
	cleanup_fd int etc = -1;
	size_t i;

	etc = mnt_new(
	    "tmpfs", opts, nitems(opts), MNT_COMMON | MOUNT_ATTR_NOEXEC, err);
	if (etc < 0 || mnt_mkdirs(etc, "ssl/certs/java", err) < 0)
		return -1;
	if (add_own(etc, err) < 0)
		return -1;
	for (i = 0; i < nitems(etc_files); i++)
		if (copy_etc(src, etc, etc_files[i], err) < 0)
			return -1;
	if (add_bundle(etc, CA_IN_ETC, c->ca_fd, JAIL_CA_FILE, err) < 0 ||
	    add_bundle(etc, TRUST_IN_ETC, c->trust_fd, JAIL_TRUST_FILE, err) <
		0)
		return -1;
	return steal_fd(&etc);
}

int
tree_etc_dirs(int src, int etc, struct error *err)
{
	char from[64];
	size_t i;
	int r;

	for (i = 0; i < nitems(etc_dirs); i++) {
		cleanup_fd int fd = -1;

		(void)snprintf(from, sizeof(from), "etc/%s", etc_dirs[i]);
		r = mnt_clone(src, from, true, MNT_READ_ONLY, &fd, err);
		if (r == 0)
			continue;
		if (r < 0 || mnt_mkdir(etc, etc_dirs[i], 0755, err) < 0 ||
		    mnt_attach(fd, etc, etc_dirs[i], err) < 0)
			return -1;
	}
	return 0;
}

int
tree_etc_stamp(uint64_t *stamp, struct error *err)
{
	cleanup_fd int etc = -1;
	struct stat st;
	size_t i;

	etc = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (etc < 0)
		return error_set(err, errno, "tree: open /etc");
	*stamp = 14695981039346656037u; /* FNV-1a, a word at a time */
	for (i = 0; i < nitems(etc_files); i++) {
		uint64_t w[3] = { 0 };

		if (fstatat(etc, etc_files[i], &st, AT_SYMLINK_NOFOLLOW) == 0) {
			w[0] = st.st_ino;
			w[1] = (uint64_t)st.st_ctim.tv_sec;
			w[2] = (uint64_t)st.st_ctim.tv_nsec;
		}
		for (size_t k = 0; k < nitems(w); k++)
			*stamp = (*stamp ^ w[k]) * 1099511628211u;
	}
	return 0;
}

#include "sandbox/self_landlock.h"

#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <unistd.h>

#include "base/compat.h"
#include "base/fdutil.h"
#include "base/log.h"

/* Newer than the oldest supported kernel headers. */
#define LL_FS_REFER (UINT64_C(1) << 13)
#define LL_FS_TRUNCATE (UINT64_C(1) << 14)
#define LL_FS_IOCTL_DEV (UINT64_C(1) << 15)
#define LL_NET_BIND_TCP (UINT64_C(1) << 0)
#define LL_NET_CONNECT_TCP (UINT64_C(1) << 1)
#define LL_SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0)
#define LL_SCOPE_SIGNAL (UINT64_C(1) << 1)
#define LL_RULE_NET_PORT 2

struct ll_ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

struct ll_port {
	uint64_t access;
	uint64_t port;
};

#define DNS_PORT 53

/* What a name lookup by libc reads; a missing one is no fault. */
static const char *const dns_paths[] = {
	"/etc",
	"/lib",
	"/lib64",
	"/usr/lib",
	"/run/systemd/resolve",
	"/run/resolvconf",
	"/run/NetworkManager",
};

static void
allow_path(int ruleset, const char *path)
{
	struct landlock_path_beneath_attr a = {
		.allowed_access =
		    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	};
	cleanup_fd int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return;
	a.parent_fd = fd;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
		&a, 0) != 0)
		fatal("landlock rule for %s", path);
}

/* Everything this kernel can restrict, none of it allowed: a ruleset and its
 * ABI, or -1 where there is no Landlock. */
static int
ruleset_new(const char *role, long *abi_out)
{
	struct ll_ruleset rs = { .fs = (UINT64_C(1) << 13) - 1 };
	size_t size = sizeof(rs.fs);
	long abi;
	int fd;

	abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	*abi_out = abi;
	if (abi < 1) {
		log_info(
		    "Landlock is not available: role=%s goes without", role);
		return -1;
	}
	if (abi >= 2)
		rs.fs |= LL_FS_REFER;
	if (abi >= 3)
		rs.fs |= LL_FS_TRUNCATE;
	if (abi >= 4) {
		rs.net = LL_NET_BIND_TCP | LL_NET_CONNECT_TCP;
		size = sizeof(rs.fs) + sizeof(rs.net);
	}
	if (abi >= 5)
		rs.fs |= LL_FS_IOCTL_DEV;
	if (abi >= 6) {
		rs.scoped = LL_SCOPE_ABSTRACT_UNIX | LL_SCOPE_SIGNAL;
		size = sizeof(rs);
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &rs, size, 0);
	if (fd < 0)
		fatal("landlock ruleset");
	return fd;
}

void
self_landlock_dns(void)
{
	struct ll_port port = { LL_NET_CONNECT_TCP, DNS_PORT };
	long abi;
	cleanup_fd int fd = ruleset_new("dns", &abi);

	if (fd < 0)
		return;
	for (size_t i = 0; i < nitems(dns_paths); i++)
		allow_path(fd, dns_paths[i]);
	if (abi >= 4 &&
	    syscall(SYS_landlock_add_rule, fd, LL_RULE_NET_PORT, &port, 0) != 0)
		fatal("landlock rule for port %d", DNS_PORT);
	if (syscall(SYS_landlock_restrict_self, fd, 0) != 0)
		fatal("landlock");
}

void
self_landlock_dirs(const int *dirs, size_t n)
{
	struct landlock_path_beneath_attr a = {
		.allowed_access =
		    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
		    LANDLOCK_ACCESS_FS_WRITE_FILE |
		    LANDLOCK_ACCESS_FS_REMOVE_FILE |
		    LANDLOCK_ACCESS_FS_REMOVE_DIR |
		    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
		    LANDLOCK_ACCESS_FS_MAKE_SYM,
	};
	long abi;
	cleanup_fd int fd = ruleset_new("stage", &abi);

	if (fd < 0)
		return;
	if (abi >= 2)
		a.allowed_access |= LL_FS_REFER;
	if (abi >= 3)
		a.allowed_access |= LL_FS_TRUNCATE;
	for (size_t i = 0; i < n; i++) {
		a.parent_fd = dirs[i];
		if (dirs[i] >= 0 && syscall(SYS_landlock_add_rule, fd,
					LANDLOCK_RULE_PATH_BENEATH, &a, 0) != 0)
			fatal("landlock rule");
	}
	if (syscall(SYS_landlock_restrict_self, fd, 0) != 0)
		fatal("landlock");
}

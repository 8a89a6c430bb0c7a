#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fdutil.h"

/* Newer than Debian 12's headers. */
#define FS_TRUNCATE (1ULL << 14)        /* ABI 3 */
#define FS_IOCTL_DEV (1ULL << 15)       /* ABI 5 */
#define SCOPE_ABSTRACT_UNIX (1ULL << 0) /* ABI 6 */
#define SCOPE_SIGNAL (1ULL << 1)

#define LOG_SUBDOMAINS_OFF (1U << 2) /* ABI 7 */

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* Device nodes may be made nowhere. */
#define FS_WRITE                                                               \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |       \
	    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |     \
	    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |       \
	    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM |       \
	    LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)
#define FS_DEVICE                                                              \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |          \
	    LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
/* Rights that make sense on something that is not a directory. */
#define FS_FILE                                                                \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |          \
	    LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

/* struct landlock_ruleset_attr of ABI 6. */
struct ruleset_attr {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

static const struct right {
	unsigned int abi; /* the first that has it */
	bool scope;
	uint64_t bit;
	const char *name;
} rights[] = {
	{ 1, false, LANDLOCK_ACCESS_FS_EXECUTE, "execute" },
	{ 1, false, LANDLOCK_ACCESS_FS_WRITE_FILE, "write_file" },
	{ 1, false, LANDLOCK_ACCESS_FS_READ_FILE, "read_file" },
	{ 1, false, LANDLOCK_ACCESS_FS_READ_DIR, "read_dir" },
	{ 1, false, LANDLOCK_ACCESS_FS_REMOVE_DIR, "remove_dir" },
	{ 1, false, LANDLOCK_ACCESS_FS_REMOVE_FILE, "remove_file" },
	{ 1, false, LANDLOCK_ACCESS_FS_MAKE_CHAR, "make_char" },
	{ 1, false, LANDLOCK_ACCESS_FS_MAKE_DIR, "make_dir" },
	{ 1, false, LANDLOCK_ACCESS_FS_MAKE_REG, "make_reg" },
	{ 1, false, LANDLOCK_ACCESS_FS_MAKE_SOCK, "make_sock" },
	{ 1, false, LANDLOCK_ACCESS_FS_MAKE_FIFO, "make_fifo" },
	{ 1, false, LANDLOCK_ACCESS_FS_MAKE_BLOCK, "make_block" },
	{ 1, false, LANDLOCK_ACCESS_FS_MAKE_SYM, "make_sym" },
	{ 2, false, LANDLOCK_ACCESS_FS_REFER, "refer" },
	{ 3, false, FS_TRUNCATE, "truncate" },
	{ 5, false, FS_IOCTL_DEV, "ioctl_dev" },
	{ 6, true, SCOPE_ABSTRACT_UNIX, "abstract_unix_socket" },
	{ 6, true, SCOPE_SIGNAL, "signal" },
};

static uint64_t
handled(unsigned int abi, bool scope)
{
	uint64_t r = 0;
	size_t i;

	for (i = 0; i < nitems(rights); i++)
		if (rights[i].abi <= abi && rights[i].scope == scope)
			r |= rights[i].bit;
	return r;
}

void
landlock_describe(unsigned int abi, bool without_files, char *out, size_t size)
{
	size_t i;

	out[0] = '\0';
	for (i = 0; i < nitems(rights); i++) {
		if (rights[i].abi > abi || (without_files && !rights[i].scope))
			continue;
		if (out[0] != '\0')
			(void)strlcat(out, ", ", size);
		(void)strlcat(out, rights[i].name, size);
	}
}

bool
landlock_applies(unsigned int abi, bool without_files)
{
	return handled(abi, true) != 0 ||
	       (!without_files && handled(abi, false) != 0);
}

unsigned int
landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (unsigned int)abi;
}

int
landlock_new(unsigned int abi, bool without_files, struct error *err)
{
	struct ruleset_attr a = { .scoped = handled(abi, true) };
	size_t size = offsetof(struct ruleset_attr, net);
	long fd;

	if (!without_files)
		a.fs = handled(abi, false);
	if (a.scoped != 0)
		size = sizeof(a);
	fd = syscall(SYS_landlock_create_ruleset, &a, size, 0);
	if (fd < 0)
		return error_set(err, errno, "landlock: create");
	return (int)fd;
}

int
landlock_grant_fd(int ruleset, unsigned int abi, int fd, unsigned int access,
    struct error *err)
{
	struct landlock_path_beneath_attr rule = { .parent_fd = fd };
	uint64_t want = 0;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "landlock: stat");
	if (access & LL_READ)
		want |= FS_READ;
	if (access & LL_WRITE)
		want |= FS_WRITE;
	if (access & LL_EXEC)
		want |= LANDLOCK_ACCESS_FS_EXECUTE;
	if (access & LL_DEVICE)
		want |= FS_DEVICE;
	want &= handled(abi, false);
	if (!S_ISDIR(st.st_mode))
		want &= FS_FILE;
	if (want == 0)
		return 0;
	rule.allowed_access = want;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
		&rule, 0) < 0)
		return error_set(err, errno, "landlock: add rule");
	return 0;
}

int
landlock_grant(int ruleset, unsigned int abi, int dir, const char *path,
    unsigned int access, struct error *err)
{
	cleanup_fd int fd = -1;

	fd = openat(dir, path, O_PATH | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return error_set(err, errno, "landlock: open %s", path);
	return landlock_grant_fd(ruleset, abi, fd, access, err);
}

int
landlock_enforce(int ruleset, unsigned int abi, struct error *err)
{
	const unsigned int flags = abi >= 7 ? LOG_SUBDOMAINS_OFF : 0;

	if (syscall(SYS_landlock_restrict_self, ruleset, flags) < 0)
		return error_set(err, errno, "landlock: restrict");
	return 0;
}

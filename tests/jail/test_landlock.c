/*
 * Each right of the jail's Landlock rulesets: refused from the ABI that has it
 * on, let through below it, as a kernel of that ABI would.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compat.h"
#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/landlock.h"

#define ABI_TESTED 7u
#define FAILED 250 /* the child could not be set up */

static const char abstract[] = "brig-test-landlock";

/* An attempt: 0, or the errno.  Made in a directory of its own. */
static int
outcome(long r)
{
	return r < 0 ? errno : 0;
}

static int
try_open(const char *path, int flags)
{
	return outcome(open(path, flags | O_CLOEXEC));
}

static int
try_execute(void)
{
	char *argv[] = { xstrdup("true"), NULL };

	(void)execv("prog", argv);
	return errno;
}

static int
try_write_file(void)
{
	return try_open("file", O_WRONLY);
}

static int
try_read_file(void)
{
	return try_open("file", O_RDONLY);
}

static int
try_read_dir(void)
{
	return try_open("dir", O_RDONLY | O_DIRECTORY);
}

static int
try_remove_dir(void)
{
	return outcome(rmdir("dir"));
}

static int
try_remove_file(void)
{
	return outcome(unlink("file"));
}

static int
try_make_char(void)
{
	return outcome(mknod("n", S_IFCHR | 0600, makedev(1, 3)));
}

static int
try_make_block(void)
{
	return outcome(mknod("n", S_IFBLK | 0600, makedev(7, 0)));
}

static int
try_make_dir(void)
{
	return outcome(mkdir("n", 0700));
}

static int
try_make_reg(void)
{
	return outcome(mknod("n", S_IFREG | 0600, 0));
}

static int
try_make_fifo(void)
{
	return outcome(mknod("n", S_IFIFO | 0600, 0));
}

static int
try_make_sock(void)
{
	return outcome(mknod("n", S_IFSOCK | 0600, 0));
}

static int
try_make_sym(void)
{
	return outcome(symlink("file", "n"));
}

static int
try_refer(void)
{
	return outcome(rename("file", "dir/file"));
}

static int
try_truncate(void)
{
	return outcome(truncate("file", 0));
}

static int
try_ioctl_dev(void)
{
	unsigned int n;
	int fd = open("/dev/ptmx", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? errno : outcome(ioctl(fd, TIOCGPTN, &n));
}

static int
try_abstract(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(un.sun_path + 1, abstract, sizeof(abstract));
	return outcome(connect(fd, (struct sockaddr *)&un, sizeof(un)));
}

static int
try_signal(void)
{
	return outcome(kill(getppid(), 0));
}

static const struct {
	const char *name;
	unsigned int abi; /* refused from this on */
	int (*attempt)(void);
} rights[] = {
	{ "execute", 1, try_execute },
	{ "write_file", 1, try_write_file },
	{ "read_file", 1, try_read_file },
	{ "read_dir", 1, try_read_dir },
	{ "remove_dir", 1, try_remove_dir },
	{ "remove_file", 1, try_remove_file },
	{ "make_char", 1, try_make_char },
	{ "make_dir", 1, try_make_dir },
	{ "make_reg", 1, try_make_reg },
	{ "make_sock", 1, try_make_sock },
	{ "make_fifo", 1, try_make_fifo },
	{ "make_block", 1, try_make_block },
	{ "make_sym", 1, try_make_sym },
	/* The first ABI refuses it without naming it. */
	{ "refer", 1, try_refer },
	{ "truncate", 3, try_truncate },
	{ "ioctl_dev", 5, try_ioctl_dev },
	{ "abstract_unix_socket", 6, try_abstract },
	{ "signal", 6, try_signal },
};

static void
copy(const char *from, const char *to)
{
	cleanup_fd int in = open(from, O_RDONLY | O_CLOEXEC);
	cleanup_fd int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	char b[65536];
	ssize_t n;

	while ((n = read(in, b, sizeof(b))) > 0)
		if (fd_write_all(out, b, (size_t)n) < 0)
			_exit(FAILED);
}

/* abi 0: no ruleset, the control.  reads: below "/" may be read. */
static void
enforce(unsigned int abi, bool without_files, bool reads)
{
	struct error err = { 0 };
	int rs;

	if (abi == 0)
		return;
	rs = landlock_new(abi, without_files, &err);
	if (rs < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    (!without_files && landlock_grant(rs, abi, AT_FDCWD,
				   reads ? "/" : "/dev", LL_READ, &err) < 0) ||
	    landlock_enforce(rs, abi, &err) < 0)
		_exit(FAILED);
}

static int
result(pid_t pid)
{
	int st;

	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_true(WIFEXITED(st));
	assert_int_not_equal(WEXITSTATUS(st), FAILED);
	return WEXITSTATUS(st);
}

/* The attempt in a child, in a fresh directory, under a ruleset. */
static int
attempt(int (*fn)(void), unsigned int abi, bool without_files, bool reads)
{
	char dir[] = "/tmp/brig-landlock.XXXXXX";
	static const char *const made[] = { "file", "prog", "n", "dir/file" };
	int r, top;
	pid_t pid;
	size_t i;

	assert_non_null(mkdtemp(dir));
	if ((pid = fork()) == 0) {
		if (chdir(dir) < 0 || mkdir("dir", 0700) < 0 ||
		    mknod("file", S_IFREG | 0600, 0) < 0)
			_exit(FAILED);
		copy("/bin/true", "prog");
		enforce(abi, without_files, reads);
		_exit(fn());
	}
	r = result(pid);
	top = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; i < nitems(made); i++)
		if (unlinkat(top, made[i], 0) < 0 && errno == EISDIR)
			(void)unlinkat(top, made[i], AT_REMOVEDIR);
	(void)unlinkat(top, "dir", AT_REMOVEDIR);
	(void)close(top);
	assert_int_equal(rmdir(dir), 0);
	return r;
}

static unsigned int
abis(void)
{
	unsigned int abi = landlock_abi();

	if (abi == 0 || geteuid() != 0) {
		print_message("needs root and Landlock\n");
		skip();
	}
	return abi < ABI_TESTED ? abi : ABI_TESTED;
}

static void
each_right_holds_from_its_abi_on(void **state)
{
	const unsigned int max = abis();

	for (size_t i = 0; i < nitems(rights); i++)
		for (unsigned int abi = 0; abi <= max; abi++) {
			const bool refused = abi != 0 && abi >= rights[i].abi;
			int r = attempt(rights[i].attempt, abi, false, false);

			if (refused != (r != 0) ||
			    (refused && r != EACCES && r != EPERM &&
				r != EXDEV))
				fail_msg("%s under ABI %u: %s", rights[i].name,
				    abi, strerror(r));
		}
}

static void
what_holds_is_what_is_described(void **state)
{
	char all[512], text[512];

	for (unsigned int abi = 0; abi <= ABI_TESTED; abi++) {
		all[0] = '\0';
		for (size_t i = 0; i < nitems(rights); i++) {
			/* Named by the second ABI. */
			unsigned int from =
			    str_eq(rights[i].name, "refer") ? 2 : rights[i].abi;

			if (from > abi)
				continue;
			if (all[0] != '\0')
				(void)strlcat(all, ", ", sizeof(all));
			(void)strlcat(all, rights[i].name, sizeof(all));
		}
		landlock_describe(abi, false, text, sizeof(text));
		assert_string_equal(text, all);
		landlock_describe(abi, true, text, sizeof(text));
		assert_string_equal(
		    text, abi >= 6 ? "abstract_unix_socket, signal" : "");
		assert_int_equal(landlock_applies(abi, true), abi >= 6);
		assert_int_equal(landlock_applies(abi, false), abi >= 1);
	}
}

static int
try_write_own_memory(void)
{
	return try_open("/proc/self/mem", O_RDWR);
}

static int
try_write_own_name(void)
{
	return try_open("/proc/self/comm", O_WRONLY);
}

static int
try_write_setting(void)
{
	return try_open("/proc/sys/kernel/hostname", O_WRONLY);
}

static int
try_read_setting(void)
{
	return try_open("/proc/sys/kernel/hostname", O_RDONLY);
}

/* The mount of a jail says so, too; here nothing but Landlock does. */
static void
proc_is_read_only(void **state)
{
	static int (*const writes[])(void) = { try_write_own_memory,
		try_write_own_name, try_write_setting };
	const unsigned int max = abis();

	for (size_t i = 0; i < nitems(writes); i++) {
		assert_int_equal(attempt(writes[i], 0, false, true), 0);
		for (unsigned int abi = 1; abi <= max; abi++)
			assert_int_equal(
			    attempt(writes[i], abi, false, true), EACCES);
	}
	assert_int_equal(attempt(try_read_setting, max, false, true), 0);
}

static int
try_mount(void)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return errno;
	return outcome(mount("none", "dir", "tmpfs", 0, NULL));
}

/* Why a nested jail goes without the rights on files. */
static void
file_rights_forbid_mounts_and_scopes_do_not(void **state)
{
	const unsigned int max = abis();

	assert_int_equal(attempt(try_mount, 0, false, false), 0);
	assert_int_equal(attempt(try_mount, max, false, false), EPERM);
	if (max < 6) {
		print_message("no scopes before ABI 6\n");
		skip();
	}
	assert_int_equal(attempt(try_mount, max, true, false), 0);
	assert_int_equal(attempt(try_write_file, max, true, false), 0);
	assert_int_equal(attempt(try_signal, max, true, false), EPERM);
	assert_int_equal(attempt(try_abstract, max, true, false), EPERM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_right_holds_from_its_abi_on),
		cmocka_unit_test(what_holds_is_what_is_described),
		cmocka_unit_test(proc_is_read_only),
		cmocka_unit_test(file_rights_forbid_mounts_and_scopes_do_not),
	};
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(un.sun_path + 1, abstract, sizeof(abstract));
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ||
	    listen(fd, 64) < 0)
		return 99;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

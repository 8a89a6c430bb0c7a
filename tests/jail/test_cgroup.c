/*
 * Control groups: where they are on hosts of each kind, and, as root, what a
 * group of a job holds, ends and freezes here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/cgroup.h"

#define MB (1024ull * 1024)

static const char unified_mounts[] =
    "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
    "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 "
    "rw,nsdelegate\n";
static const char hybrid_mounts[] =
    "30 22 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup "
    "rw,cpu,cpuacct\n"
    "31 22 0:27 / /sys/fs/cgroup/memory rw shared:9 master:1 - cgroup c "
    "rw,memory\n"
    "32 22 0:28 / /sys/fs/cgroup/a\\040b rw - cgroup2 none rw\n"
    "33 22 0:29 / /sys/fs/cgroup/freezer rw - cgroup c rw,freezer\n";

static void
v2_controllers_are_at_our_own_group(void **state)
{
	struct cgroup_host h;
	char text[128];

	(void)state;
	cgroup_host_parse(
	    &h, unified_mounts, "0::/system.slice/brigd.service\n", NULL);
	cgroup_host_controllers(&h, "cpuset cpu memory pids\n");
	assert_string_equal(h.at[CGROUP_MEMORY].dir,
	    "/sys/fs/cgroup/system.slice/brigd.service");
	assert_int_equal(h.at[CGROUP_FREEZER].version, 2);
	cgroup_host_text(&h, text, sizeof(text));
	assert_string_equal(text, "memory v2, pids v2, cpu v2, freezer v2");
}

static void
hybrid_hosts_are_taken_controller_by_controller(void **state)
{
	struct cgroup_host h;

	(void)state;
	cgroup_host_parse(&h, hybrid_mounts,
	    "4:memory:/a/b\n1:cpu,cpuacct:/\n0::/x\n3:freezer:/\n", NULL);
	cgroup_host_controllers(&h, "hugetlb\n");
	assert_string_equal(
	    h.at[CGROUP_MEMORY].dir, "/sys/fs/cgroup/memory/a/b");
	assert_int_equal(h.at[CGROUP_MEMORY].version, 1);
	assert_string_equal(h.at[CGROUP_CPU].dir, "/sys/fs/cgroup/cpu,cpuacct");
	assert_string_equal(h.at[CGROUP_FREEZER].dir, "/sys/fs/cgroup/a b/x");
	assert_int_equal(h.at[CGROUP_PIDS].version, 0);
	assert_int_equal(h.at[CGROUP_IO].version, 0);
}

static void
a_named_parent_takes_the_place_of_our_own(void **state)
{
	struct cgroup_host h;

	(void)state;
	cgroup_host_parse(&h, unified_mounts, "0::/user.slice\n", "/jobs");
	assert_string_equal(h.unified.dir, "/sys/fs/cgroup/jobs");
}

static void
groups_outside_of_the_mount_are_not_ours(void **state)
{
	static const char mounts[] =
	    "30 22 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 c rw\n";
	struct cgroup_host h;

	(void)state;
	cgroup_host_parse(&h, mounts, "0::/docker/1/x\n", NULL);
	assert_string_equal(h.unified.dir, "/sys/fs/cgroup/x");
	cgroup_host_parse(&h, mounts, "0::/docker/12\n", NULL);
	assert_int_equal(h.unified.version, 0);
	cgroup_host_parse(&h, unified_mounts, "0::/../other\n", NULL);
	assert_int_equal(h.unified.version, 0);
	cgroup_host_parse(
	    &h, "garbage\n- - -\n\n1 2 3 4 5 6 -\n", "::\nx\n", "");
	assert_int_equal(h.unified.version, 0);
}

static void
counts_are_read_by_their_whole_key(void **state)
{
	(void)state;
	assert_int_equal(cgroup_count("oom 3\noom_kill 2\n", "oom"), 3);
	assert_int_equal(cgroup_count("oom 3\noom_kill 2\n", "oom_kill"), 2);
	assert_int_equal(cgroup_count("oom_kill_disable 1\n", "oom_kill"), 0);
	assert_int_equal(cgroup_count("", "max"), 0);
}

static void
a_missing_controller_is_named(void **state)
{
	struct cgroup_limits l = { .procs = 3 };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(cgroups_check(NULL, &l, &err), -1);
	assert_non_null(strstr(err.msg, "limit procs"));
	assert_non_null(strstr(err.msg, "\"pids\""));
	assert_non_null(strstr(err.msg, "brigd.conf"));
	l.procs = 0;
	assert_int_equal(cgroups_check(NULL, &l, &err), 0);
}

/* ---- on this host ------------------------------------------------------ */

static struct cgroups *here;
static char name[32];

/* Where a host is not to have the groups of tests below the caller's. */
static const char *
parent(void)
{
	return getenv("BRIG_CGROUP_PARENT");
}

static int
setup(void **state)
{
	struct cgroup_host h;
	struct error err = { 0 };

	(void)state;
	if (geteuid() != 0 || cgroup_host_read(&h, parent(), &err) < 0 ||
	    cgroup_host_writable(&h, &err) < 0) {
		print_message("cgroups of this host are not tried: %s\n",
		    geteuid() != 0 ? "needs root" : err.msg);
		return 0;
	}
	(void)snprintf(name, sizeof(name), "brig-test-%d", (int)getpid());
	here = cgroups_open(&h, name, &err);
	if (here == NULL)
		print_message("%s\n", err.msg);
	return here == NULL ? -1 : 0;
}

static void
is_gone(const char *dir, void *arg)
{
	(void)arg;
	assert_int_equal(access(dir, F_OK), -1);
}

static char *dirs[CGROUP_CTLS];
static size_t ndirs;

static void
note(const char *dir, void *arg)
{
	(void)arg;
	assert_int_equal(access(dir, F_OK), 0);
	dirs[ndirs++] = xstrdup(dir);
}

static int
teardown(void **state)
{
	(void)state;
	if (here == NULL)
		return 0;
	cgroups_each(here, note, NULL);
	cgroups_close(here);
	for (size_t i = 0; i < ndirs; i++) {
		is_gone(dirs[i], NULL);
		free(dirs[i]);
	}
	return 0;
}

/* A group that holds exactly these limits, or skip. */
static struct cgroup *
group(const struct cgroup_limits *l)
{
	struct error err = { 0 };
	struct cgroup *g;

	if (here == NULL || cgroups_check(here, l, &err) < 0) {
		print_message("skip: %s\n", err.msg);
		skip();
	}
	g = cgroup_new(here, "j-1", l, &err);
	if (g == NULL)
		fail_msg("%s", err.msg);
	return g;
}

static void
leaves(int signo)
{
	(void)signo;
	_exit(5);
}

/* It is in the group, and has its handler, when this returns. */
static pid_t
start(const struct cgroup *g, void (*fn)(void))
{
	int v2, v1[CGROUP_ENTRY_MAX], n, i, ready[2];
	char proc[128];
	pid_t pid;

	n = cgroup_entry(g, &v2, v1, CGROUP_ENTRY_MAX, NULL);
	assert_true(n >= 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (i = 0; i < n; i++)
			if (write(v1[i], "0", 1) != 1)
				_exit(99);
		(void)snprintf(
		    proc, sizeof(proc), "/proc/self/fd/%d/cgroup.procs", v2);
		i = open(proc, O_WRONLY);
		if (v2 >= 0 && write(i, "0", 1) != 1)
			_exit(98);
		(void)signal(SIGUSR1, leaves);
		if (write(ready[1], "", 1) != 1)
			_exit(97);
		fn();
		_exit(0);
	}
	fd_close(&ready[1]);
	(void)!read(ready[0], proc, 1);
	fd_close(&ready[0]);
	fd_close(&v2);
	for (i = 0; i < n; i++)
		fd_close(&v1[i]);
	return pid;
}

static void
gone(struct cgroup *g)
{
	for (int i = 0; i < 500; i++) {
		if (cgroup_remove(g))
			return;
		(void)usleep(10000);
	}
	fail_msg("the group does not go");
}

static void
sleeps(void)
{
	(void)pause();
}

/* A signal without a handler would end it even while it is frozen. */
static void
handles(void)
{
	for (;;)
		(void)pause();
}

static void
hogs(void)
{
	char *p = mmap(NULL, 64 * MB, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p != MAP_FAILED)
		memset(p, 1, 64 * MB);
}

static void
forks(void)
{
	int ok = 0;

	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)pause();
			_exit(0);
		}
		ok += pid > 0;
	}
	_exit(ok);
}

static void
memory_is_held_and_its_kill_counted(void **state)
{
	struct cgroup *g = group(&(struct cgroup_limits){ .memory = 16 * MB });
	cleanup_fd int fd = cgroup_oom_open(g);
	cleanup_fd int in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int st, wd[2], event;
	struct pollfd p[2] = { 0 };
	pid_t pid;

	(void)state;
	cgroup_watch(g, in, wd, &event);
	assert_int_equal(cgroup_oom_read(fd), 0);
	pid = start(g, hogs);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_true(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
	assert_int_equal(cgroup_oom_read(fd), 1);
	p[0] = (struct pollfd){ .fd = in, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = event, .events = POLLIN };
	assert_true(poll(p, 2, 2000) > 0);
	gone(g);
	fd_close(&event);
	/* The control: the same without the limit. */
	g = group(&(struct cgroup_limits){ 0 });
	pid = start(g, hogs);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_true(WIFEXITED(st) && WEXITSTATUS(st) == 0);
	gone(g);
}

static void
forks_are_held_and_kill_takes_them_all(void **state)
{
	struct cgroup *g = group(&(struct cgroup_limits){ .procs = 7 });
	int st;
	pid_t pid;

	(void)state;
	pid = start(g, forks);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	/* 8 with the one for pid 1 of a jail, which is the forker here. */
	assert_int_equal(WEXITSTATUS(st), 7);
	assert_true(cgroup_pids_refused(g) > 0);
	assert_false(cgroup_remove(g));
	cgroup_kill(g);
	gone(g);
}

static void
frozen_processes_stand_still_and_can_be_killed(void **state)
{
	struct cgroup *g = group(&(struct cgroup_limits){ 0 });
	struct error err = { 0 };
	int st;
	pid_t pid;

	(void)state;
	pid = start(g, handles);
	if (cgroup_freeze(g, true, &err) < 0)
		fail_msg("%s", err.msg);
	(void)usleep(200000);
	assert_int_equal(kill(pid, SIGUSR1), 0);
	(void)usleep(100000);
	assert_int_equal(waitpid(pid, &st, WNOHANG), 0);
	assert_int_equal(cgroup_freeze(g, false, &err), 0);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(WEXITSTATUS(st), 5);
	pid = start(g, sleeps);
	assert_int_equal(cgroup_freeze(g, true, &err), 0);
	(void)usleep(50000);
	cgroup_kill(g);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(WTERMSIG(st), SIGKILL);
	gone(g);
}

static void
cpu_limits_are_taken(void **state)
{
	(void)state;
	gone(group(
	    &(struct cgroup_limits){ .cpu_percent = 1, .cpu_weight = 1 }));
	gone(group(&(struct cgroup_limits){
	    .cpu_percent = 100000, .cpu_weight = 10000 }));
}

static void
io_limits_need_a_disk(void **state)
{
	const struct cgroup_limits l = { .io = MB };
	struct error err = { 0 };

	(void)state;
	if (here == NULL)
		skip();
	assert_int_equal(cgroups_check(here, &l, &err), -1);
	assert_non_null(strstr(err.msg, "limit io cannot be held"));
}

static void
io_limits_are_taken(void **state)
{
	struct cgroup_limits l = { .io = MB };
	cleanup_fd int fd = open("/", O_PATH | O_CLOEXEC);

	(void)state;
	if (cgroup_device(fd, &l.io_dev[0]) != 1) {
		print_message("skip: / is on no disk\n");
		skip();
	}
	gone(group(&l));
}

static void
what_an_earlier_life_left_is_swept(void **state)
{
	struct cgroup *g = group(&(struct cgroup_limits){ .procs = 5 });
	struct cgroup_host h;
	struct cgroups *again;
	int st;
	pid_t pid = start(g, sleeps);

	(void)state;
	assert_int_equal(cgroup_host_read(&h, parent(), NULL), 0);
	again = cgroups_open(&h, name, NULL);
	assert_non_null(again);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(WTERMSIG(st), SIGKILL);
	assert_true(cgroup_remove(g));
	/* Both have the same folders: the second to close makes them anew. */
	cgroups_close(here);
	cgroups_close(again);
	here = cgroups_open(&h, name, NULL);
	assert_non_null(here);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v2_controllers_are_at_our_own_group),
		cmocka_unit_test(
		    hybrid_hosts_are_taken_controller_by_controller),
		cmocka_unit_test(a_named_parent_takes_the_place_of_our_own),
		cmocka_unit_test(groups_outside_of_the_mount_are_not_ours),
		cmocka_unit_test(counts_are_read_by_their_whole_key),
		cmocka_unit_test(a_missing_controller_is_named),
		cmocka_unit_test(memory_is_held_and_its_kill_counted),
		cmocka_unit_test(forks_are_held_and_kill_takes_them_all),
		cmocka_unit_test(
		    frozen_processes_stand_still_and_can_be_killed),
		cmocka_unit_test(cpu_limits_are_taken),
		cmocka_unit_test(io_limits_need_a_disk),
		cmocka_unit_test(io_limits_are_taken),
		cmocka_unit_test(what_an_earlier_life_left_is_swept),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

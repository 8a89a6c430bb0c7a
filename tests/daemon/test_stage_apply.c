/*
 * brig apply on trees made by hand: all or nothing, whatever the moment of a
 * crash or the workspace's owner does meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "daemon/stage.h"

#define CRASH_STATUS 77

/* ---- dying at the n-th step -------------------------------------------- */

static long steps_left; /* 0: never */

static void
step(void)
{
	if (steps_left > 0 && --steps_left == 0)
		_exit(CRASH_STATUS);
}

/* The program's own take the place of libc's: every step that changes the
 * disk may be the last. */
int
renameat2(int od, const char *o, int nd, const char *n, unsigned int flags)
{
	step();
	return (int)syscall(SYS_renameat2, od, o, nd, n, flags);
}

int
renameat(int od, const char *o, int nd, const char *n)
{
	return renameat2(od, o, nd, n, 0);
}

int
unlinkat(int d, const char *n, int flags)
{
	step();
	return (int)syscall(SYS_unlinkat, d, n, flags);
}

int
mkdirat(int d, const char *n, mode_t m)
{
	step();
	return (int)syscall(SYS_mkdirat, d, n, m);
}

int
symlinkat(const char *t, int d, const char *n)
{
	step();
	return (int)syscall(SYS_symlinkat, t, d, n);
}

int
fsync(int fd)
{
	step();
	return (int)syscall(SYS_fsync, fd);
}

int
fchmod(int fd, mode_t m)
{
	step();
	return (int)syscall(SYS_fchmod, fd, m);
}

/* ---- two trees --------------------------------------------------------- */

struct world {
	char dir[64];
	char ws[80], up[80];
};

static void attr_printf(2, 3) sh(const struct world *w, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	pid_t pid;
	int status;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pid = fork();
	if (pid == 0) {
		if (chdir(w->dir) == 0)
			execl("/bin/sh", "sh", "-ec", text, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* What both trees hold: a change of every kind. */
static const char trees[] =
    "rm -rf ws up journal; mkdir -p ws/dir/sub ws/gone/deep ws/op ws/t up"
    " journal; cd ws; echo one >one; echo two >two; echo in >dir/in;"
    " echo s >dir/sub/s; echo g >gone/g; echo d >gone/deep/d; echo o >op/old;"
    " echo k >op/keep; ln -s one link; echo m >mode; chmod 644 mode;"
    " echo f >t/f; echo x >file2dir; cd ../up;"
    " echo ONE >one; mknod two c 0 0; mkdir -p dir/sub new/deep/er;"
    " echo IN >dir/in; mknod gone c 0 0; mkdir op; echo n >op/new;"
    " echo k >op/keep; setfattr -n user.overlay.opaque -v y op;"
    " ln -s two link; echo m >mode; chmod 755 mode; echo 1 >new/1;"
    " echo 2 >new/deep/2; chmod 500 new/deep/er; ln -s ../one new/l;"
    " echo now >t; mkdir file2dir; echo y >file2dir/y;"
    " chmod 700 dir/sub";

static void
build(struct world *w)
{
	(void)strlcpy(w->dir, "/var/tmp/brig-apply-XXXXXX", sizeof(w->dir));
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->ws, sizeof(w->ws), "%s/ws", w->dir);
	(void)snprintf(w->up, sizeof(w->up), "%s/up", w->dir);
	sh(w, "%s", trees);
	sh(w, "sleep 0.05");
}

static void
rebuild(struct world *w)
{
	sh(w, "chmod -R u+rwx ws up; %s", trees);
	sh(w, "sleep 0.02");
}

static void
clear(struct world *w)
{
	sh(w, "chmod -R u+rwx . ; rm -rf '%s'", w->dir);
}

/* Names, types, modes, contents of a tree, in one string to free. */
static char *
picture(const struct world *w, const char *dir)
{
	char cmd[400];
	cleanup_buf struct buf b = { 0 };
	int p[2], status;
	pid_t pid;

	(void)snprintf(cmd, sizeof(cmd),
	    "cd %s/%s && find . -printf '%%p %%y %%m %%l\\n' | sort; "
	    "find . -type f | sort | xargs md5sum",
	    w->dir, dir);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(p[1], 1);
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	assert_int_equal(fd_read_all(p[0], &b, 1 << 20), 0);
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	buf_put_u8(&b, 0);
	return xstrdup((char *)buf_head(&b));
}

static int
open_dir(const struct world *w, const char *name)
{
	char path[160];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void
stage_begin(struct stage *s, const struct world *w)
{
	memset(s, 0, sizeof(*s));
	s->out = s->tree = -1;
	s->upper = open_dir(w, "up");
	s->workspace = open_dir(w, "ws");
	s->journal = open_dir(w, "journal");
	assert_int_equal(stage_record_clock(&s->rec, NULL), 0);
	s->now = s->rec;
	/* As stagedir_make(): files are stamped with the last tick. */
	(void)usleep(10000);
}

static void
stage_finish(struct stage *s)
{
	fd_close(&s->upper);
	fd_close(&s->workspace);
	fd_close(&s->journal);
	fd_close(&s->out);
	stage_scan_free(s);
	stage_paths_free(&s->wanted);
	stage_paths_free(&s->applied);
}

/* The whole of an apply, as the process does it: 0 or -1. */
static int
apply(struct stage *s, struct error *err)
{
	struct stage_journal j = { 0 };
	int r;

	stage_scan_free(s);
	stage_paths_free(&s->applied);
	if (stage_recover(s, err) < 0 ||
	    journal_applied(s->journal, &s->applied, err) < 0 ||
	    stage_scan(s, err) < 0 || stage_prepare(s, &j, err) < 0)
		r = -1;
	else
		r = stage_commit(s, &j, err);
	journal_free(&j);
	return r;
}

/* What the workspace looks like when everything has landed. */
static const char landed[] =
    "rm -rf want; cp -a ws want; cd want; echo ONE >one; rm -r two gone;"
    " echo IN >dir/in; rm op/old; echo n >op/new; ln -sfn two link;"
    " chmod 755 mode; cp -a ../up/new .; rm -r t; echo now >t; rm file2dir;"
    " mkdir file2dir; echo y >file2dir/y; chmod 700 dir/sub";

static void
everything_lands(void **state)
{
	struct world w;
	struct stage s;
	struct error err = { 0 };

	(void)state;
	build(&w);
	sh(&w, "%s", landed);
	stage_begin(&s, &w);
	if (apply(&s, &err) < 0)
		fail_msg("%s", err.msg);
	cleanup_free char *got = picture(&w, "ws");
	cleanup_free char *want = picture(&w, "want");
	assert_string_equal(got, want);
	/* And then nothing is left to do. */
	stage_paths_free(&s.applied);
	assert_int_equal(journal_applied(s.journal, &s.applied, &err), 0);
	stage_scan_free(&s);
	assert_int_equal(stage_scan(&s, &err), 0);
	assert_int_equal(s.n, 0);
	assert_false(journal_pending(s.journal));
	stage_finish(&s);
	clear(&w);
}

static void
a_crash_at_any_step_leaves_all_or_nothing(void **state)
{
	unsigned int undone = 0, finished = 0;
	struct world w;
	bool crashed = true;

	(void)state;
	build(&w);
	sh(&w, "%s", landed);
	cleanup_free char *before = picture(&w, "ws");
	cleanup_free char *after = picture(&w, "want");
	for (long n = 1; crashed; n++) {
		struct error err = { 0 };
		struct stage s;
		int status;
		pid_t pid;

		rebuild(&w);
		stage_begin(&s, &w);
		pid = fork();
		if (pid == 0) {
			steps_left = n;
			_exit(apply(&s, &err) < 0 ? 1 : 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		crashed = WEXITSTATUS(status) == CRASH_STATUS;
		if (!crashed)
			assert_int_equal(WEXITSTATUS(status), 0);
		if (stage_recover(&s, &err) < 0)
			fail_msg("step %ld: %s", n, err.msg);
		cleanup_free char *now = picture(&w, "ws");
		if (strcmp(now, before) == 0)
			undone++;
		else if (strcmp(now, after) == 0)
			finished++;
		else
			fail_msg("step %ld left:\n%s", n, now);
		/* Once more, to the end. */
		if (apply(&s, &err) < 0)
			fail_msg("step %ld, again: %s", n, err.msg);
		cleanup_free char *last = picture(&w, "ws");
		assert_string_equal(last, after);
		stage_finish(&s);
		assert_true(n < 2000);
	}
	/* Both sides of the commit record were met. */
	assert_true(undone > 10);
	assert_true(finished > 10);
	clear(&w);
}

static void
a_crash_of_the_recovery_itself_is_recovered_from(void **state)
{
	struct world w;

	(void)state;
	build(&w);
	sh(&w, "%s", landed);
	cleanup_free char *before = picture(&w, "ws");
	cleanup_free char *after = picture(&w, "want");
	for (long n = 5; n < 75; n += 7)
		for (long k = 1; k < 40; k += 5) {
			struct error err = { 0 };
			struct stage s;
			int status;
			pid_t pid;

			rebuild(&w);
			stage_begin(&s, &w);
			if ((pid = fork()) == 0) {
				steps_left = n;
				_exit(apply(&s, &err) < 0);
			}
			assert_int_equal(waitpid(pid, &status, 0), pid);
			if ((pid = fork()) == 0) {
				steps_left = k;
				_exit(stage_recover(&s, &err) < 0);
			}
			assert_int_equal(waitpid(pid, &status, 0), pid);
			if (stage_recover(&s, &err) < 0)
				fail_msg("%ld/%ld: %s", n, k, err.msg);
			cleanup_free char *now = picture(&w, "ws");
			if (strcmp(now, before) != 0 && strcmp(now, after) != 0)
				fail_msg("%ld/%ld left:\n%s", n, k, now);
			stage_finish(&s);
		}
	clear(&w);
}

/* ---- refused ----------------------------------------------------------- */

/* One thing done to the trees after the job's start: what must be said. */
static const struct {
	const char *name, *change, *says;
} refusals[] = {
	{ "changed", "echo mine >>ws/one", "changed in the workspace" },
	{ "replaced", "rm ws/one; echo mine >ws/one", "changed in the" },
	{ "appeared", "echo mine >ws/new", "changed in the workspace" },
	{ "in_deleted", "echo mine >ws/gone/deep/more", "changed in the" },
	{ "in_opaque", "echo mine >ws/op/more", "changed in the workspace" },
	{ "touched", "touch ws/two", "changed in the workspace" },
	{ "mode", "chmod 600 ws/mode", "changed in the workspace" },
	{ "in_replaced", "echo mine >ws/t/more", "changed in the workspace" },
	{ "fifo", "mkfifo up/fifo", "is a fifo" },
	{ "device", "mknod up/null c 1 3", "is a device" },
	{ "setuid", "echo x >up/su; chmod 4755 up/su", "is setuid" },
	{ "setgid", "echo x >up/su; chmod 2755 up/su", "is setgid" },
	{ "deep_setuid", "echo x >up/new/deep/su; chmod 4755 up/new/deep/su",
	    "is setuid" },
	{ "capability",
	    "cp /bin/true up/cap; setcap cap_net_raw+ep up/cap ||"
	    " setfattr -n trusted.x -v y up/cap",
	    "has the extended attribute" },
	{ "hook", "mkdir -p up/.git/hooks; echo x >up/.git/hooks/pre-commit",
	    "is protected" },
	{ "agent_files", "mkdir -p up/new/.CLAUDE; echo x >up/new/.CLAUDE/s",
	    "is protected" },
	{ "worktree_file", "echo gitdir: new/repo >up/.git", "is protected" },
	{ "repository_below", "mkdir -p up/new/.git; echo x >up/new/.git/HEAD",
	    "is protected" },
	{ "link_to_repository", "ln -s new/deep up/.git", "is protected" },
	{ "other_worktree",
	    "mkdir -p ws/.git/worktrees/w up/.git/worktrees/w;"
	    " echo x >up/.git/worktrees/w/commondir",
	    "is protected" },
	{ "link_in_repository",
	    "mkdir -p ws/.git up/.git; ln -s ../new up/.git/worktrees",
	    "is protected" },
	{ "bare_repository",
	    "mkdir -p up/new/r/objects up/new/r/refs; echo x >up/new/r/HEAD;"
	    " echo x >up/new/r/config",
	    "git would take its directory" },
	{ "made_bare", "mkdir ws/dir/objects ws/dir/refs; echo x >up/dir/HEAD",
	    "git would take its directory" },
	{ "hook_of_bare",
	    "mkdir -p ws/b/objects ws/b/refs ws/b/hooks up/b/hooks;"
	    " echo x >ws/b/HEAD; echo x >up/b/hooks/update",
	    "git would take its directory" },
	{ "linked_out", "echo x >up/hl; ln up/hl outside", "has 2 names" },
};

static void
refuses_and_says_which(void **state)
{
	struct world w;

	(void)state;
	build(&w);
	for (size_t i = 0; i < nitems(refusals); i++) {
		struct error err = { 0 };
		struct stage s;
		bool said = false;

		rebuild(&w);
		sh(&w, "rm -f outside");
		stage_begin(&s, &w);
		sh(&w, "sleep 0.02; %s", refusals[i].change);
		cleanup_free char *before = picture(&w, "ws");
		if (apply(&s, &err) == 0)
			fail_msg("%s: applied", refusals[i].name);
		for (size_t k = 0; k < s.n; k++)
			said |= s.v[k].refuse != NULL &&
				strstr(s.v[k].refuse, refusals[i].says) != NULL;
		if (!said)
			fail_msg(
			    "%s: not said (%s)", refusals[i].name, err.msg);
		cleanup_free char *now = picture(&w, "ws");
		assert_string_equal(now, before);
		stage_finish(&s);
	}
	clear(&w);
}

static void
what_belongs_to_another_user_is_not_exchanged(void **state)
{
	struct error err = { 0 };
	struct world w;
	struct stage s;

	(void)state;
	build(&w);
	sh(&w, "chown 1234 ws/one; chgrp 4321 ws/mode; sleep 0.02");
	stage_begin(&s, &w);
	assert_int_equal(apply(&s, &err), -1);
	for (size_t i = 0; i < s.n; i++)
		if (s.v[i].refuse != NULL) {
			assert_string_equal(s.v[i].path, "one");
			assert_string_equal(s.v[i].refuse,
			    "belongs to uid 1234 in the workspace");
		}
	/* Another group is said, and is no reason. */
	stage_paths_add(&s.wanted, "mode");
	assert_int_equal(apply(&s, &err), 0);
	stage_finish(&s);
	clear(&w);
}

static void
a_clock_that_was_set_back_is_noticed(void **state)
{
	struct error err = { 0 };
	struct world w;
	struct stage s;

	(void)state;
	build(&w);
	stage_begin(&s, &w);
	s.rec.start_s += 3600;
	assert_int_equal(apply(&s, &err), -1);
	s.rec.start_s -= 3600;
	/* Back and then on a little: real time has gone less than it was. */
	s.rec.boot_ns -= UINT64_C(3600) * 1000000000;
	assert_int_equal(apply(&s, &err), -1);
	s.rec.boot_ns += UINT64_C(3600) * 1000000000;
	assert_int_equal(apply(&s, &err), 0);
	stage_finish(&s);
	clear(&w);
}

static void
a_link_in_the_way_is_not_followed(void **state)
{
	struct error err = { 0 };
	struct world w;
	struct stage s;

	(void)state;
	build(&w);
	/* The job made a link out and something "below" it cannot be: but the
	 * owner put one where a directory was. */
	stage_begin(&s, &w);
	sh(&w, "mkdir out; mv ws/dir real; ln -s ../out ws/dir");
	assert_int_equal(apply(&s, &err), -1);
	sh(&w, "test -z \"$(ls -A out)\"");
	stage_finish(&s);
	rebuild(&w);
	/* A staged link lands as a link, whatever is behind it. */
	sh(&w, "echo precious >canary; rm up/link; ln -s %s/canary up/link",
	    w.dir);
	stage_begin(&s, &w);
	if (apply(&s, &err) < 0)
		fail_msg("%s", err.msg);
	sh(&w, "test \"$(cat canary)\" = precious; test -L ws/link");
	stage_finish(&s);
	clear(&w);
}

static void
a_hole_of_any_size_stays_one(void **state)
{
	struct error err = { 0 };
	struct stat st;
	struct world w;
	struct stage s;
	int dir;

	(void)state;
	build(&w);
	sh(&w, "truncate -s 1T up/huge; printf end >>up/huge;"
	       " printf start | dd of=up/huge conv=notrunc status=none");
	stage_begin(&s, &w);
	if (apply(&s, &err) < 0)
		fail_msg("%s", err.msg);
	dir = open_dir(&w, "ws");
	assert_int_equal(fstatat(dir, "huge", &st, 0), 0);
	close(dir);
	assert_true(st.st_size == (off_t)(UINT64_C(1) << 40) + 3);
	assert_true(st.st_blocks < 1000);
	sh(&w, "test \"$(head -c 5 ws/huge)\" = start;"
	       " test \"$(tail -c 3 ws/huge)\" = end");
	stage_finish(&s);
	clear(&w);
}

static void
parts_land_one_after_the_other(void **state)
{
	static const char *const parts[] = { "new/deep/2", "op/new", "gone/g",
		"dir", "two" };
	struct error err = { 0 };
	struct world w;
	struct stage s;

	(void)state;
	build(&w);
	sh(&w, "%s", landed);
	stage_begin(&s, &w);
	for (size_t i = 0; i < nitems(parts); i++) {
		stage_paths_add(&s.wanted, parts[i]);
		if (apply(&s, &err) < 0)
			fail_msg("%s: %s", parts[i], err.msg);
		stage_paths_free(&s.wanted);
	}
	sh(&w, "cd ws; test -e new/deep/2; test ! -e new/1; test ! -e two;"
	       " test ! -e gone/g; test -e gone/deep/d; test -e op/old");
	if (apply(&s, &err) < 0) {
		for (size_t i = 0; i < s.n; i++)
			if (s.v[i].refuse != NULL)
				print_error(
				    "%s %s\n", s.v[i].path, s.v[i].refuse);
		fail_msg("rest: %s", err.msg);
	}
	cleanup_free char *got = picture(&w, "ws");
	cleanup_free char *want = picture(&w, "want");
	assert_string_equal(got, want);
	stage_finish(&s);
	clear(&w);
}

/* ---- races ------------------------------------------------------------- */

struct swapper {
	int ws;
	atomic_bool stop;
	atomic_ulong swaps;
};

static void *
swap_dir(void *arg)
{
	struct swapper *sw = arg;

	while (!sw->stop) {
		if (syscall(SYS_renameat2, sw->ws, "dir", sw->ws, "trap",
			RENAME_EXCHANGE) == 0)
			sw->swaps++;
	}
	return NULL;
}

static void
a_directory_swapped_for_a_link_never_leads_out(void **state)
{
	struct world w;
	unsigned int naive = 0;

	(void)state;
	build(&w);
	for (int i = 0; i < 60; i++) {
		struct error err = { 0 };
		struct swapper sw = { .ws = -1 };
		pthread_t th;
		struct stage s;

		rebuild(&w);
		sh(&w, "mkdir -p out/sub; ln -s ../out ws/trap;"
		       " rm -f out/naive; for i in 1 2 3 4 5 6 7 8 9; do"
		       " echo $i >up/dir/f$i; done");
		stage_begin(&s, &w);
		sw.ws = s.workspace;
		assert_int_equal(pthread_create(&th, NULL, swap_dir, &sw), 0);
		while (sw.swaps == 0)
			(void)usleep(100);
		if (i < 50) {
			(void)apply(&s, &err);
		} else {
			/* Control: a plain path does get out. */
			for (int k = 0; k < 2000; k++) {
				int fd = openat(s.workspace, "dir/naive",
				    O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

				fd_close(&fd);
			}
		}
		sw.stop = true;
		assert_int_equal(pthread_join(th, NULL), 0);
		if (i < 50)
			sh(&w, "test \"$(find out | wc -l)\" = 2");
		else {
			char path[160];

			(void)snprintf(
			    path, sizeof(path), "%s/out/naive", w.dir);
			naive += access(path, F_OK) == 0;
		}
		stage_finish(&s);
	}
	assert_true(naive > 0);
	clear(&w);
}

static void *
scribble(void *arg)
{
	struct swapper *sw = arg;

	while (!sw->stop) {
		int fd = openat(sw->ws, "dir/in",
		    O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0 && write(fd, "mine\n", 5) == 5)
			sw->swaps++;
		fd_close(&fd);
		fd = openat(sw->ws, "dir/in.new",
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (fd >= 0 && write(fd, "mine\n", 5) == 5)
			(void)syscall(SYS_renameat2, sw->ws, "dir/in.new",
			    sw->ws, "dir/in", 0);
		fd_close(&fd);
	}
	return NULL;
}

/* The owner's own bytes are never lost without a word. */
static void
what_the_owner_writes_meanwhile_is_refused_not_lost(void **state)
{
	struct world w;

	(void)state;
	build(&w);
	for (int i = 0; i < 30; i++) {
		struct error err = { 0 };
		struct swapper sw = { .ws = -1 };
		struct stage s;
		pthread_t th;

		rebuild(&w);
		stage_begin(&s, &w);
		sw.ws = s.workspace;
		assert_int_equal(pthread_create(&th, NULL, scribble, &sw), 0);
		while (sw.swaps == 0)
			(void)usleep(100);
		/* It was changed before: whatever comes, not applied. */
		assert_int_equal(apply(&s, &err), -1);
		sw.stop = true;
		assert_int_equal(pthread_join(th, NULL), 0);
		sh(&w, "grep -q mine ws/dir/in; grep -q one ws/one;"
		       " test -e ws/two; test -z \"$(find ws -name"
		       " '.brig-stage-*')\"");
		stage_finish(&s);
	}
	clear(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_lands),
		cmocka_unit_test(a_crash_at_any_step_leaves_all_or_nothing),
		cmocka_unit_test(
		    a_crash_of_the_recovery_itself_is_recovered_from),
		cmocka_unit_test(refuses_and_says_which),
		cmocka_unit_test(what_belongs_to_another_user_is_not_exchanged),
		cmocka_unit_test(a_clock_that_was_set_back_is_noticed),
		cmocka_unit_test(a_link_in_the_way_is_not_followed),
		cmocka_unit_test(a_hole_of_any_size_stays_one),
		cmocka_unit_test(parts_land_one_after_the_other),
		cmocka_unit_test(
		    a_directory_swapped_for_a_link_never_leads_out),
		cmocka_unit_test(
		    what_the_owner_writes_meanwhile_is_refused_not_lost),
	};

	if (geteuid() != 0) {
		puts("1..0 # SKIP needs root for whiteouts");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

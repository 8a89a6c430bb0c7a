/*
 * brig-shim with this program as its parent, control, audit and client: a job
 * in a real jail, from start to end.
 */
#include "tests/jail/shim_world.h"

#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

/* ---- cases ------------------------------------------------------------- */

static void
a_job_runs_in_its_jail_and_its_output_arrives(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL,
	    "echo out $A_TOKEN $PLAIN $(hostname); echo err >&2; pwd; exit 3",
	    true);
	until_exit(&w);
	expect_text(&w.out, "out stub-value 1 jail\n/workspace\n");
	expect_text(&w.err, "err\n");
	expect_exit(&w, EXIT_CODE, 3);
	/* All but the agent socket, which a job without a key lacks. */
	assert_int_equal(w.captures, CAPTURE_MAX - 1);
	assert_string_equal(w.running, "enforced");
	assert_true(w.init > 1);
	/* sh and hostname */
	assert_int_equal(w.n101, 2);
	world_end(&w);
}

static void
a_denied_exec_explains_itself_and_is_recorded(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL, "env date -u; echo $?", true);
	until_exit(&w);
	expect_text(&w.out, "126\n");
	expect_in(&w.err, "brig: denied by policy (t.policy:5): no clocks\n");
	assert_int_equal(w.n401, 1);
	expect_text(&w.argv, "date -u ");
	assert_string_equal(w.by, "rule");
	world_end(&w);
}

static void
an_ask_waits_and_an_approval_lets_it_run(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL, "echo before; id -u; echo after", true);
	while (w.ask == 0)
		step(&w);
	for (int i = 0; i < 5; i++)
		step(&w);
	expect_text(&w.out, "before\n");
	expect_in(&w.notices, "ask A-17 is pending: id -u");
	expect_in(&w.ask_lines, "argv[0]: id\nargv[1]: -u\n");
	assert_true(str_starts(w.ask_rule, "t.policy:"));
	assert_string_equal(w.ask_name, "who");
	expect_in(&w.ask_lines, "directory: /workspace\n");
	answer(&w, true);
	until_exit(&w);
	expect_text(&w.out, "before\n1000\nafter\n");
	assert_int_equal(w.n102, 1);
	assert_string_equal(w.by, "human");
	world_end(&w);
}

static void
a_refused_ask_says_who_and_why(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL, "id -u; echo $?", true);
	while (w.ask == 0)
		step(&w);
	answer(&w, false);
	until_exit(&w);
	expect_text(&w.out, "126\n");
	expect_in(&w.err, "ask A-17: not today");
	assert_int_equal(w.n401, 1);
	world_end(&w);
}

static void
an_open_ask_is_asked_again_of_a_restarted_control(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL, "id -u", true);
	while (w.ask == 0)
		step(&w);
	chan_free(w.control);
	w.control = NULL;
	w.ask = 0;
	for (int i = 0; i < 5; i++)
		step(&w);
	put_peer(&w, ROLE_CONTROL, &w.control, to_control, nitems(to_control));
	while (w.ask == 0)
		step(&w);
	answer(&w, true);
	until_exit(&w);
	expect_text(&w.out, "1000\n");
	world_end(&w);
}

static void
without_control_an_ask_is_denied(void **state)
{
	struct world w;

	world_init(&w);
	w.want_control = false;
	launch_sh(&w, NULL, "id -u; echo $?", true);
	until_exit(&w);
	expect_text(&w.out, "126\n");
	expect_in(&w.err, "nobody can be asked");
	world_end(&w);
}

static void
without_audit_nothing_runs(void **state)
{
	struct world w;

	world_init(&w);
	w.want_audit = false;
	launch_sh(&w, NULL, "echo ran", true);
	until_exit(&w);
	expect_text(&w.out, "");
	expect_in(&w.err, "the audit log is not available");
	expect_exit(&w, EXIT_CODE, 126);
	world_end(&w);
}

static void
an_approval_that_is_not_on_disk_runs_nothing(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL, "id -u; echo $?", true);
	while (w.ask == 0)
		step(&w);
	w.ack = false;
	answer(&w, true);
	for (int i = 0; i < 10; i++)
		step(&w);
	expect_text(&w.out, "");
	/* Audit dies before it confirms. */
	chan_free(w.audit);
	w.audit = NULL;
	until_exit(&w);
	expect_in(&w.err, "the audit log is not available");
	expect_text(&w.out, "126\n");
	world_end(&w);
}

static void
an_unattended_ask_is_denied_if_the_profile_says_so(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, "short", "id -u; exit $?", false);
	until_exit(&w);
	expect_exit(&w, EXIT_CODE, 126);
	assert_int_equal(w.ask, 0);
	world_end(&w);
}

static void
a_loop_of_execs_is_counted_and_nothing_is_left_out(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL,
	    "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done; "
	    "env true 1; env true 2; date; date",
	    true);
	until_exit(&w);
	/* sh, 300, and env and true twice. */
	assert_int_equal(w.n101 + w.repeats, 305);
	assert_true(w.n101 < 100);
	assert_int_equal(w.merged, 0);
	/* Refusals are told one by one. */
	assert_int_equal(w.n401, 2);
	world_end(&w);
}

static void
input_and_its_end_reach_the_job(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL, "tr a-z A-Z; echo end", true);
	type_in(&w, ATTACH_STDIN, "hello\n", 6);
	type_in(&w, ATTACH_STDIN_EOF, NULL, 0);
	until_exit(&w);
	expect_text(&w.out, "HELLO\nend\n");
	world_end(&w);
}

static void
signals_of_the_client_reach_the_job(void **state)
{
	uint8_t sig = SIGTERM;
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL,
	    "trap 'echo got; exit 9' TERM; echo up; "
	    "while :; do sleep 0.05; done",
	    true);
	while (buf_len(&w.out) == 0)
		step(&w);
	type_in(&w, ATTACH_SIGNAL, &sig, 1);
	until_exit(&w);
	expect_in(&w.out, "got\n");
	expect_exit(&w, EXIT_CODE, 9);
	world_end(&w);
}

static void
a_terminal_is_one_with_the_clients_size(void **state)
{
	uint8_t ws[4] = { 50, 0, 120, 0 };
	struct world w;

	world_init(&w);
	w.tty = true;
	launch_sh(&w, NULL,
	    "test -t 0 && test -t 2 && stty size && echo $TERM "
	    "&& read x && stty size",
	    true);
	while (buf_len(&w.out) < 8)
		step(&w);
	type_in(&w, ATTACH_WINSIZE, ws, sizeof(ws));
	type_in(&w, ATTACH_STDIN, "x\n", 2);
	until_exit(&w);
	expect_in(&w.out, "33 77\r\n");
	expect_in(&w.out, "vt100\r\n");
	expect_in(&w.out, "50 120\r\n");
	expect_exit(&w, EXIT_CODE, 0);
	world_end(&w);
}

static void
interrupt_character_works_on_the_terminal(void **state)
{
	struct world w;

	world_init(&w);
	w.tty = true;
	launch_sh(&w, NULL, "echo up; sleep 30", true);
	while (buf_len(&w.out) == 0)
		step(&w);
	type_in(&w, ATTACH_STDIN, "\x03", 1);
	until_exit(&w);
	assert_true((w.kind == EXIT_SIGNAL && w.code == SIGINT) ||
		    (w.kind == EXIT_CODE && w.code == 130));
	world_end(&w);
}

static void
when_the_client_goes_the_job_gets_sighup(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL,
	    "trap 'exit 5' HUP; echo up; "
	    "while :; do sleep 0.05; done",
	    true);
	while (buf_len(&w.out) == 0)
		step(&w);
	assert_true(w.attended);
	close(w.client);
	w.client = -1;
	until_exit(&w);
	expect_exit(&w, EXIT_CODE, 5);
	assert_false(w.attended);
	world_end(&w);
}

static void
a_bad_frame_ends_only_the_attachment(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL, "trap '' HUP; echo up; sleep 0.5; exit 4", true);
	while (buf_len(&w.out) == 0)
		step(&w);
	type_in(&w, ATTACH_STDOUT, "x", 1);
	while (!w.exited)
		step(&w);
	close(w.client);
	w.client = -1;
	expect_exit(&w, EXIT_CODE, 4);
	world_end(&w);
}

static void
kill_ends_the_whole_tree(void **state)
{
	uint8_t sig = SIGKILL;
	struct world w;
	struct buf b;

	world_init(&w);
	launch_sh(&w, NULL, "(setsid sleep 60 &); echo up; sleep 60", true);
	while (buf_len(&w.out) == 0)
		step(&w);
	buf_init(&b, 0);
	buf_put_u8(&b, sig);
	chan_send(w.parent, M_SHIM_KILL, JOB, 0, &b, -1);
	buf_free(&b);
	until_exit(&w);
	expect_exit(&w, EXIT_SIGNAL, SIGKILL);
	assert_int_equal(kill(w.init, 0), -1);
	world_end(&w);
}

static void
the_wall_limit_ends_the_job(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, "short", "sleep 60", true);
	until_exit(&w);
	expect_exit(&w, EXIT_SIGNAL, SIGKILL);
	assert_non_null(strstr(w.detail, "limit wall"));
	world_end(&w);
}

static void
the_log_keeps_the_output_up_to_its_limit(void **state)
{
	struct world w;
	struct buf b;

	world_init(&w);
	launch_sh(&w, NULL, "seq 1 5000", false);
	until_exit(&w);
	expect_exit(&w, EXIT_CODE, 0);
	buf_init(&b, 0);
	assert_int_equal(fd_pread_all(w.log, &b, 1 << 20), 0);
	assert_true(buf_len(&b) > 2000 && buf_len(&b) < 2200);
	expect_in(&b, "1\n2\n3\n");
	expect_in(&b, "[brig: output limit reached");
	while (w.cuts < 2)
		step(&w);
	assert_int_equal(w.cuts, 2);
	buf_free(&b);
	world_end(&w);
}

static void
much_output_to_a_slow_client_is_complete(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL, "head -c 3000000 /dev/zero", true);
	/* Not read at first. */
	for (int i = 0; i < 20; i++)
		ev_once(w.ev, 20);
	until_exit(&w);
	while (!w.attach_exit)
		step(&w);
	assert_int_equal(buf_len(&w.out), 3000000);
	world_end(&w);
}

static void
a_missing_program_is_127(void **state)
{
	char name[] = "no-such-program";
	char *argv[] = { name, NULL };
	struct world w;

	world_init(&w);
	launch(&w, NULL, argv, true);
	until_exit(&w);
	expect_exit(&w, EXIT_BRIG, 127);
	assert_non_null(strstr(w.detail, "no-such-program"));
	world_end(&w);
}

static void
an_unknown_profile_is_125(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, "nobody", "true", true);
	until_exit(&w);
	expect_exit(&w, EXIT_BRIG, 125);
	assert_non_null(strstr(w.detail, "nobody"));
	world_end(&w);
}

/* Run script under the profile "files"; its output must be want. */
static void
files_case(const char *script, const char *want)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, "files", script, true);
	until_exit(&w);
	print_message("%s\n", script);
	expect_text(&w.out, want);
	world_end(&w);
}

static void
a_script_is_judged_by_its_own_name(void **state)
{
	files_case("printf '#!/bin/sh\necho ran\n' >bad; chmod +x bad; "
		   "./bad; echo $?",
	    "126\n");
	files_case("printf '#!/bin/sh\necho ran\n' >bad; chmod +x bad; "
		   "ln -s bad good; cd /tmp; ../workspace/good; echo $?",
	    "126\n");
	files_case("printf '#!/bin/sh\necho ran\n' >ok; chmod +x ok; "
		   "./ok; echo $?",
	    "ran\n0\n");
	/* In a directory that is the job's alone. */
	files_case("printf '#!/bin/sh\necho ran\n' >bad; chmod +x bad; "
		   "mkdir -m 700 /tmp/d; ln -s /workspace/bad /tmp/d/good; "
		   "/tmp/d/good; echo $?; cd /tmp/d; ./good; echo $?",
	    "126\n126\n");
	files_case("cd; printf '#!/bin/sh\necho ran\n' >ok; chmod +x ok; "
		   "chmod 700 .; ./ok; ~/ok; echo $?",
	    "ran\nran\n0\n");
	/* By names that mean another file to everybody else. */
	files_case("printf '#!/bin/sh\necho ran\n' >bad; chmod +x bad; "
		   "/proc/self/cwd/bad; echo $?; exec 3<bad; "
		   "/proc/self/fd/3; echo $?; /dev/fd/3; echo $?",
	    "126\n126\n126\n");
	/* A script whose interpreter is a denied program. */
	files_case("printf '#!/usr/bin/env sh\necho ran\n' >ok; chmod +x ok; "
		   "./ok; echo $?",
	    "126\n");
}

static void
other_ways_to_a_denied_program_are_denied(void **state)
{
	files_case("cp /usr/bin/true bad; ./bad; echo $?", "126\n");
	files_case("ln -s /usr/bin/env x; ./x true; echo $?", "126\n");
	files_case("sh -c 'exec -a true env true'; bash -c 'exec -a true env "
		   "true'; echo $?",
	    "126\n");
	files_case("l=$(ls /lib64/ld-linux-x* /lib/ld-linux-a* 2>/dev/null | "
		   "head -1); $l /usr/bin/env echo ran; echo $?",
	    "126\n");
	/* A file that may be run but not read. */
	files_case("cp /usr/bin/env x; chmod 111 x; ./x true; echo $?", "0\n");
	files_case(
	    "cp /usr/bin/true bad; chmod 111 bad; ./bad; echo $?", "126\n");
	files_case("LD_PRELOAD=./x.so /bin/true; echo $?", "126\n");
	files_case("python3 -c 'import os; f = os.memfd_create(\"x\", 0); "
		   "os.write(f, open(\"/usr/bin/true\", \"rb\").read()); "
		   "os.execv(f\"/proc/self/fd/{f}\", [\"true\"])' "
		   "2>/dev/null && echo ran",
	    "");
}

static void
a_changed_pager_turns_an_allow_into_an_ask(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL, "PAGER='sh -c evil' /bin/true; echo $?", true);
	while (w.n102 == 0 && !w.exited)
		step(&w);
	assert_int_equal(w.n102, 1);
	expect_text(&w.argv, "/bin/true ");
	type_in(&w, ATTACH_SIGNAL, "\x0f", 1);
	until_exit(&w);
	world_end(&w);
}

static void
standard_streams_can_be_opened_again(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL,
	    "echo a >/dev/stdout; echo b >/proc/self/fd/2; "
	    "cat /dev/stdin",
	    true);
	type_in(&w, ATTACH_STDIN, "c\n", 2);
	type_in(&w, ATTACH_STDIN_EOF, NULL, 0);
	until_exit(&w);
	expect_text(&w.out, "a\nc\n");
	expect_text(&w.err, "b\n");
	world_end(&w);
}

static void
the_job_has_no_descriptor_of_the_shim(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL, "echo /proc/self/fd/*; echo /proc/$$/fd/*", true);
	until_exit(&w);
	cleanup_free char *s = text_of(&w.out);

	for (const char *p = s; (p = strstr(p, "/fd/")) != NULL; p += 4)
		assert_true(p[4] >= '0' && p[4] <= '3' &&
			    (p[5] == ' ' || p[5] == '\n'));
	world_end(&w);
}

static void
no_child_escapes_the_tracer(void **state)
{
	struct world w;

	world_init(&w);
	/* clone(CLONE_UNTRACED | SIGCHLD), then ptrace(PTRACE_TRACEME) */
	launch_sh(&w, NULL,
	    "python3 -c 'import ctypes, platform\n"
	    "l = ctypes.CDLL(None)\n"
	    "arm = platform.machine() == \"aarch64\"\n"
	    "r = l.syscall(220 if arm else 56, 0x00800011, 0, 0, 0, 0)\n"
	    "if r == 0: l._exit(0)\n"
	    "print(r, l.ptrace(0, 0, 0, 0))'",
	    true);
	until_exit(&w);
	expect_text(&w.out, "-1 -1\n");
	world_end(&w);
}

static void
untraced_profiles_say_advisory(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, "untraced", "date >/dev/null; echo $?", true);
	until_exit(&w);
	expect_text(&w.out, "0\n");
	assert_true(str_starts(w.running, "advisory"));
	assert_int_equal(w.n101, 0);
	world_end(&w);
}

static void
a_new_policy_applies_to_a_running_job(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL, "uname -s; echo; read x; uname -s; echo $?", true);
	while (buf_len(&w.out) < 7)
		step(&w);
	put_policy(&w, "profile t { default exec allow; default read allow; "
		       "deny exec uname ... because \"new\"; }\n");
	/* Same channel order is not given: let the shim take it first. */
	for (int i = 0; i < 5; i++)
		step(&w);
	type_in(&w, ATTACH_STDIN, "\n", 1);
	until_exit(&w);
	expect_text(&w.out, "Linux\n\n126\n");
	expect_in(&w.err, "denied by policy (t.policy:1): new");
	world_end(&w);
}

/* Install text as a program of this name, the way a package manager does. */
static void
install(const char *path, const char *from)
{
	cleanup_free char *tmp = xasprintf("%s.new", path);
	int fd = open(from, O_RDONLY | O_CLOEXEC);
	struct buf b;

	assert_true(fd >= 0);
	buf_init(&b, 0);
	assert_int_equal(fd_read_all(fd, &b, 64 * 1024 * 1024), 0);
	close(fd);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, buf_head(&b), buf_len(&b)), 0);
	buf_free(&b);
	close(fd);
	assert_int_equal(rename(tmp, path), 0);
}

static void
an_upgraded_program_is_still_that_program(void **state)
{
	static const char path[] = "/usr/local/bin/brig-test-tool";
	uint64_t until;
	struct world w;

	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(
	    mount("none", "/usr/local/bin", "tmpfs", 0, "mode=755"), 0);
	install(path, "/usr/bin/true");
	world_init(&w);
	launch_sh(&w, NULL,
	    "t=brig-test-tool; $t; echo $?; read x; $t; echo $?; read x; $t; "
	    "echo $?",
	    true);
	/* Control: without a rule it runs. */
	while (buf_len(&w.out) < 2)
		step(&w);
	put_policy(&w, "profile t { default exec allow; default read allow; "
		       "deny exec brig-test-tool ...; }\n");
	for (int i = 0; i < 5; i++)
		step(&w);
	type_in(&w, ATTACH_STDIN, "\n", 1);
	while (buf_len(&w.out) < 6)
		step(&w);
	expect_text(&w.out, "0\n126\n");
	install(path, "/usr/bin/true");
	for (until = ev_now_ms() + 1100; ev_now_ms() < until;)
		step(&w);
	type_in(&w, ATTACH_STDIN, "\n", 1);
	until_exit(&w);
	expect_text(&w.out, "0\n126\n126\n");
	world_end(&w);
	assert_int_equal(umount2("/usr/local/bin", MNT_DETACH), 0);
}

static void
a_crash_is_not_piped_to_the_hosts_handler(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL,
	    "awk '/core file/ { print $5, $6 }' /proc/self/limits", true);
	until_exit(&w);
	/* Not 0: see core(5). */
	expect_text(&w.out, "1 1\n");
	world_end(&w);
}

static void
look_at_status(pid_t pid, const char *line)
{
	cleanup_free char *path = xasprintf("/proc/%d/status", (int)pid);
	struct buf b;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	buf_init(&b, 0);
	assert_true(fd >= 0);
	assert_int_equal(fd_read_all(fd, &b, 65536), 0);
	close(fd);
	expect_in(&b, line);
	buf_free(&b);
}

static void
the_shim_itself_is_confined_while_the_job_runs(void **state)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, NULL, "echo up; read x", true);
	while (buf_len(&w.out) == 0)
		step(&w);
	look_at_status(w.pid, "CapEff:\t0000000000000000\n");
	look_at_status(w.pid, "CapBnd:\t0000000000000000\n");
	look_at_status(w.pid, "NoNewPrivs:\t1\n");
#ifndef BRIG_SANITIZE
	look_at_status(w.pid, "Seccomp:\t2\n");
#endif
	type_in(&w, ATTACH_STDIN, "\n", 1);
	until_exit(&w);
	world_end(&w);
}

static void
the_job_dies_with_its_shim(void **state)
{
	struct world w;
	int st;

	world_init(&w);
	launch_sh(&w, NULL, "echo up; sleep 60", true);
	while (buf_len(&w.out) == 0)
		step(&w);
	kill(w.pid, SIGKILL);
	assert_int_equal(waitpid(w.pid, &st, 0), w.pid);
	for (int i = 0; i < 100 && kill(w.init, 0) == 0; i++)
		usleep(20000);
	assert_int_equal(kill(w.init, 0), -1);
	w.pid = fork();
	if (w.pid == 0)
		_exit(0);
	world_end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_runs_in_its_jail_and_its_output_arrives),
		cmocka_unit_test(a_denied_exec_explains_itself_and_is_recorded),
		cmocka_unit_test(an_ask_waits_and_an_approval_lets_it_run),
		cmocka_unit_test(a_refused_ask_says_who_and_why),
		cmocka_unit_test(
		    an_open_ask_is_asked_again_of_a_restarted_control),
		cmocka_unit_test(without_control_an_ask_is_denied),
		cmocka_unit_test(without_audit_nothing_runs),
		cmocka_unit_test(an_approval_that_is_not_on_disk_runs_nothing),
		cmocka_unit_test(
		    an_unattended_ask_is_denied_if_the_profile_says_so),
		cmocka_unit_test(
		    a_loop_of_execs_is_counted_and_nothing_is_left_out),
		cmocka_unit_test(input_and_its_end_reach_the_job),
		cmocka_unit_test(signals_of_the_client_reach_the_job),
		cmocka_unit_test(a_terminal_is_one_with_the_clients_size),
		cmocka_unit_test(interrupt_character_works_on_the_terminal),
		cmocka_unit_test(when_the_client_goes_the_job_gets_sighup),
		cmocka_unit_test(a_bad_frame_ends_only_the_attachment),
		cmocka_unit_test(kill_ends_the_whole_tree),
		cmocka_unit_test(the_wall_limit_ends_the_job),
		cmocka_unit_test(the_log_keeps_the_output_up_to_its_limit),
		cmocka_unit_test(much_output_to_a_slow_client_is_complete),
		cmocka_unit_test(a_missing_program_is_127),
		cmocka_unit_test(an_unknown_profile_is_125),
		cmocka_unit_test(no_child_escapes_the_tracer),
		cmocka_unit_test(a_script_is_judged_by_its_own_name),
		cmocka_unit_test(other_ways_to_a_denied_program_are_denied),
		cmocka_unit_test(a_changed_pager_turns_an_allow_into_an_ask),
		cmocka_unit_test(standard_streams_can_be_opened_again),
		cmocka_unit_test(the_job_has_no_descriptor_of_the_shim),
		cmocka_unit_test(untraced_profiles_say_advisory),
		cmocka_unit_test(a_new_policy_applies_to_a_running_job),
		cmocka_unit_test(an_upgraded_program_is_still_that_program),
		cmocka_unit_test(a_crash_is_not_piped_to_the_hosts_handler),
		cmocka_unit_test(
		    the_shim_itself_is_confined_while_the_job_runs),
		cmocka_unit_test(the_job_dies_with_its_shim),
	};

	log_init("test", LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The audit process, driven over socketpairs as the parent and its peers
 * would, also through kill -9, a torn line, a forged record and a full disk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/audit_event.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/proto.h"
#include "base/str.h"
#include "daemon/audit_verify.h"
#include "daemon/roles.h"

#define WAIT_MS 10000

static struct audit_verify av;

struct ack {
	unsigned int n;
	bool ok;
	uint64_t seq;
	uint32_t serial;
	char why[256];
	bool ended;
	bool room;
};

struct proc {
	struct ev *ev;
	struct chan *parent;
	pid_t pid;
	struct ack acks; /* of the parent's own channel */
	bool ready;
};

static char path[64];

static int
setup(void **state)
{
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/brig-audit-XXXXXX");
	fd = mkstemp(path);
	close(fd);
	return fd < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static int
on_ack(struct chan *c, struct msg *m, void *ctx)
{
	struct ack *a = ctx;

	(void)c;
	a->n++;
	a->serial = m->serial;
	a->ok = cur_bool(&m->body);
	a->seq = cur_u64(&m->body);
	cur_str_into(&m->body, a->why, sizeof(a->why));
	return cur_end(&m->body);
}

static int
on_room(struct chan *c, struct msg *m, void *ctx)
{
	struct ack *a = ctx;

	(void)c;
	a->room = cur_bool(&m->body);
	return cur_end(&m->body);
}

static int
on_ready(struct chan *c, struct msg *m, void *ctx)
{
	struct ack *a = ctx;

	(void)c;
	((struct proc *)((char *)a - offsetof(struct proc, acks)))->ready =
	    true;
	return cur_end(&m->body);
}

static int
on_bad_peer(struct chan *c, struct msg *m, void *ctx)
{
	(void)c;
	(void)m;
	(void)ctx;
	return 0;
}

static const struct msg_rule rules[] = {
	{ M_AUDIT_ACK, MSG_ALLOWED, on_ack },
	{ M_AUDIT_ROOM, MSG_ALLOWED, on_room },
	{ M_READY, MSG_ALLOWED, on_ready },
	{ M_BAD_PEER, MSG_ALLOWED, on_bad_peer },
};

static void
on_end(struct chan *c, enum chan_end how, const char *why, void *ctx)
{
	struct ack *a = ctx;

	(void)c;
	(void)how;
	(void)why;
	a->ended = true;
}

static void
start(struct proc *p)
{
	int sv[2], fd;

	memset(p, 0, sizeof(*p));
	assert_int_equal(fd_socketpair(sv), 0);
	fflush(NULL);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		int keep = fcntl(sv[1], F_DUPFD, 10);

		dup2(keep, PARENT_FD);
		fd_close_from(PARENT_FD + 1);
		fd = open("/dev/null", O_WRONLY);
		if (getenv("BRIG_TEST_VERBOSE") == NULL)
			dup2(fd, STDERR_FILENO);
		close(fd);
		signal(SIGXFSZ, SIG_IGN);
		log_init("audit", LOG_LEVEL_INFO);
		audit_preinit();
		audit_main();
		exit(0);
	}
	close(sv[1]);
	p->ev = ev_new();
	p->parent = chan_new(
	    p->ev, sv[0], "audit", rules, nitems(rules), on_end, &p->acks);
	fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	chan_send(p->parent, M_AUDIT_FILE, 0, 0, NULL, fd);
}

static void
start_ready(struct proc *p)
{
	start(p);
	assert_int_equal(chan_wait(p->parent, M_READY, WAIT_MS), 0);
}

static int
reap(struct proc *p)
{
	int status;

	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	chan_free(p->parent);
	ev_once(p->ev, 0);
	ev_free(p->ev);
	return status;
}

static void
stop(struct proc *p)
{
	chan_send(p->parent, M_STOP, 0, 0, NULL, -1);
	assert_int_equal(chan_flush(p->parent, WAIT_MS), 0);
	assert_int_equal(reap(p), 0);
}

static struct chan *
peer_up(struct proc *p, enum role role, uint32_t job, struct ack *a)
{
	struct buf b;
	int sv[2];

	memset(a, 0, sizeof(*a));
	assert_int_equal(fd_socketpair(sv), 0);
	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)role);
	buf_put_u32(&b, job);
	chan_send(p->parent, M_PEER, job, 0, &b, sv[1]);
	assert_int_equal(chan_flush(p->parent, WAIT_MS), 0);
	buf_free(&b);
	return chan_new(p->ev, sv[0], "audit", rules, nitems(rules), on_end, a);
}

static void
send_event(struct chan *c, uint32_t job, uint32_t serial, bool barrier,
    const char *text)
{
	struct audit_ev e;

	audit_ev_init(&e, "HT101", "http.decide", 2, barrier);
	audit_ev_str(&e, "obj.text", text);
	chan_send(c, M_AUDIT, job, serial, &e.body, -1);
	audit_ev_free(&e);
}

/* The log as a string, and its verdict in av. */
static char *
read_log(void)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf b;

	assert_true(fd >= 0);
	buf_init(&b, 0);
	assert_int_equal(fd_read_all(fd, &b, 64 << 20), 0);
	audit_verify_init(&av);
	audit_verify_bytes(&av, buf_head(&b), buf_len(&b));
	audit_verify_end(&av);
	buf_put_u8(&b, 0);
	return (char *)b.data;
}

static void
log_begins_with_open_and_ends_with_close(void **state)
{
	cleanup_free char *s = NULL;
	struct proc p;

	(void)state;
	start_ready(&p);
	stop(&p);
	s = read_log();
	assert_int_equal(av.v.result, AUDIT_OK);
	assert_int_equal(av.v.records, 2);
	assert_true(av.v.closed);
	assert_non_null(strstr(s, "\"type\":\"audit.open\",\"sev\":1,"
				  "\"from\":\"audit\",\"job\":null,"));
	assert_null(strstr(s, "\"boot\":\"unknown\""));
	/* Begun again, it goes on. */
	start_ready(&p);
	kill(p.pid, SIGTERM);
	assert_int_equal(reap(&p), 0);
	free(s);
	s = read_log();
	assert_int_equal(av.v.result, AUDIT_OK);
	assert_int_equal(av.v.records, 4);
	assert_true(av.v.closed);
}

static void
role_and_job_come_from_the_channel(void **state)
{
	cleanup_free char *s = NULL;
	struct chan *back, *control;
	struct ack a, b;
	struct proc p;

	(void)state;
	start_ready(&p);
	back = peer_up(&p, ROLE_BACK, 17, &a);
	control = peer_up(&p, ROLE_CONTROL, 0, &b);
	send_event(back, 99, 5, true, "one");
	assert_int_equal(chan_wait(back, M_AUDIT_ACK, WAIT_MS), 0);
	assert_true(a.ok);
	assert_int_equal(a.serial, 5);
	assert_int_equal(a.seq, 2);
	/* control speaks of the job it names. */
	send_event(control, 23, 6, false, "two");
	assert_int_equal(chan_wait(control, M_AUDIT_ACK, WAIT_MS), 0);
	assert_int_equal(b.seq, 3);
	chan_free(back);
	chan_free(control);
	stop(&p);
	s = read_log();
	assert_int_equal(av.v.result, AUDIT_OK);
	assert_non_null(strstr(s, "\"from\":\"back\",\"job\":\"j-17\","
				  "\"obj\":{\"text\":\"one\"}"));
	assert_non_null(strstr(s, "\"from\":\"control\",\"job\":\"j-23\""));
	assert_null(strstr(s, "j-99"));
}

static void
acknowledged_records_survive_kill_9(void **state)
{
	cleanup_free char *s = NULL;
	struct chan *back;
	struct proc p;
	struct ack a;

	(void)state;
	start_ready(&p);
	back = peer_up(&p, ROLE_BACK, 1, &a);
	for (uint32_t i = 1; i <= 200; i++)
		send_event(back, 1, i, i % 2 == 0, "x");
	while (a.n < 100)
		assert_int_equal(chan_wait(back, M_AUDIT_ACK, WAIT_MS), 0);
	kill(p.pid, SIGKILL);
	chan_free(back);
	reap(&p);
	s = read_log();
	assert_int_not_equal(av.v.result, AUDIT_TAMPERED);
	assert_true(av.v.last_seq >= a.seq);
	assert_false(av.v.closed);
	start_ready(&p);
	stop(&p);
	free(s);
	s = read_log();
	assert_int_equal(av.v.result, AUDIT_OK);
	assert_non_null(strstr(s, "\"clean\":false"));
}

static void
torn_line_is_cut_off_and_said_so(void **state)
{
	static const char torn[] = "{\"v\":1,\"seq\":3,\"ts\":\"2026";
	cleanup_free char *s = NULL;
	struct proc p;
	int fd;

	(void)state;
	start_ready(&p);
	stop(&p);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(fd_write_all(fd, torn, sizeof(torn) - 1), 0);
	close(fd);
	s = read_log();
	assert_int_equal(av.v.result, AUDIT_INCOMPLETE);
	start_ready(&p);
	stop(&p);
	free(s);
	s = read_log();
	assert_int_equal(av.v.result, AUDIT_OK);
	assert_non_null(strstr(s, "\"type\":\"audit.recover\""));
	assert_non_null(strstr(s, "\"dropped\":25"));
}

static void
forged_log_is_not_continued(void **state)
{
	cleanup_free char *before = NULL, *after = NULL;
	struct proc p;
	int fd, status;

	(void)state;
	start_ready(&p);
	stop(&p);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "3", 1, 40), 1);
	close(fd);
	before = read_log();
	assert_int_equal(av.v.result, AUDIT_TAMPERED);
	start(&p);
	assert_int_equal(chan_wait(p.parent, M_READY, WAIT_MS), -1);
	status = reap(&p);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	after = read_log();
	assert_string_equal(before, after);
}

static void
full_disk_refuses_and_leaves_whole_records(void **state)
{
	char text[1001];
	cleanup_free char *s = NULL;
	struct rlimit rl, unlimited;
	struct chan *back;
	struct proc p;
	struct ack a;

	(void)state;
	memset(text, 'x', 1000);
	text[1000] = '\0';
	start_ready(&p);
	back = peer_up(&p, ROLE_BACK, 1, &a);
	assert_int_equal(chan_wait(back, M_AUDIT_ROOM, WAIT_MS), 0);
	assert_true(a.room);
	assert_int_equal(prlimit(p.pid, RLIMIT_FSIZE, NULL, &unlimited), 0);
	rl = unlimited;
	rl.rlim_cur = 20000;
	assert_int_equal(prlimit(p.pid, RLIMIT_FSIZE, &rl, NULL), 0);
	for (uint32_t i = 1; i <= 30; i++) {
		send_event(back, 1, i, true, text);
		assert_int_equal(chan_wait(back, M_AUDIT_ACK, WAIT_MS), 0);
		if (!a.ok)
			break;
	}
	assert_false(a.ok);
	assert_non_null(strstr(a.why, "audit log: write: "));
	assert_int_equal(chan_wait(back, M_AUDIT_ROOM, WAIT_MS), 0);
	assert_false(a.room);
	s = read_log();
	assert_int_equal(av.v.result, AUDIT_OK);
	/* Two that nobody waits for are lost as well, and one that waits. */
	send_event(back, 1, 0, false, text);
	send_event(back, 1, 0, false, text);
	send_event(back, 1, 77, false, text);
	assert_int_equal(chan_wait(back, M_AUDIT_ACK, WAIT_MS), 0);
	assert_false(a.ok);
	assert_int_equal(prlimit(p.pid, RLIMIT_FSIZE, &unlimited, NULL), 0);
	send_event(back, 1, 99, true, "again");
	assert_int_equal(chan_wait(back, M_AUDIT_ACK, WAIT_MS), 0);
	assert_true(a.ok);
	assert_int_equal(chan_wait(back, M_AUDIT_ROOM, WAIT_MS), 0);
	assert_true(a.room);
	chan_free(back);
	stop(&p);
	free(s);
	s = read_log();
	assert_int_equal(av.v.result, AUDIT_OK);
	assert_non_null(strstr(s,
	    "\"type\":\"audit.gap\",\"sev\":4,"
	    "\"from\":\"audit\",\"job\":null,\"obj\":{\"events\":4}"));
}

static void
malformed_event_ends_only_its_sender(void **state)
{
	cleanup_free char *s = NULL;
	struct chan *back, *shim;
	struct ack a, b;
	struct proc p;

	(void)state;
	start_ready(&p);
	back = peer_up(&p, ROLE_BACK, 1, &a);
	shim = peer_up(&p, ROLE_SHIM, 1, &b);
	chan_send_bytes(back, M_AUDIT, 1, 1, "junk", 4);
	assert_int_equal(chan_wait(back, M_AUDIT_ACK, WAIT_MS), -1);
	assert_true(a.ended);
	send_event(shim, 1, 2, true, "fine");
	assert_int_equal(chan_wait(shim, M_AUDIT_ACK, WAIT_MS), 0);
	assert_true(b.ok);
	chan_free(back);
	chan_free(shim);
	stop(&p);
	s = read_log();
	assert_int_equal(av.v.result, AUDIT_OK);
	assert_int_equal(av.v.records, 3);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(log_begins_with_open_and_ends_with_close),
		CASE(role_and_job_come_from_the_channel),
		CASE(acknowledged_records_survive_kill_9),
		CASE(torn_line_is_cut_off_and_said_so),
		CASE(forged_log_is_not_continued),
		CASE(full_disk_refuses_and_leaves_whole_records),
		CASE(malformed_event_ends_only_its_sender),
	};

	signal(SIGPIPE, SIG_IGN);
	log_init("test_audit_main", LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

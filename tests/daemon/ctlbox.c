#include "tests/daemon/ctlbox.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/audit_event.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/control.h"
#include "policy/policy.h"

#define WAIT_MS 3000
#define LINE_MAX_BYTES (32u * 1024 * 1024)

static const char policy_text[] =
    "profile default {\n\tdefault exec allow;\n}\n"
    "profile coding {\n\tdefault exec ask;\n}\n";

/* ---- played parent ----------------------------------------------------- */

static int
on_ready(struct chan *c, struct msg *m, void *ctx)
{
	struct box *b = ctx;

	(void)c;
	b->ready = true;
	return cur_end(&m->body);
}

static int
on_job_fd(struct chan *c, struct msg *m, void *ctx)
{
	(void)c;
	(void)ctx;
	cur_u8(&m->body);
	return cur_end(&m->body);
}

static int
on_job_start(struct chan *c, struct msg *m, void *ctx)
{
	struct box *b = ctx;

	(void)c;
	b->started = m->job;
	b->starts++;
	return cur_end(&m->body);
}

static int
on_job_kill(struct chan *c, struct msg *m, void *ctx)
{
	struct box *b = ctx;

	(void)c;
	b->kill_signal = cur_u8(&m->body);
	return cur_end(&m->body);
}

static int
on_stage_start(struct chan *c, struct msg *m, void *ctx)
{
	struct box *b = ctx;

	(void)c;
	b->stagings++;
	m->body.left = 0;
	return 0;
}

static int
on_status_get(struct chan *c, struct msg *m, void *ctx)
{
	struct buf body;

	(void)ctx;
	buf_init(&body, 0);
	buf_put_u32(&body, 0);
	chan_send(c, M_STATUS, 0, m->serial, &body, -1);
	buf_free(&body);
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

static const struct msg_rule parent_table[] = {
	{ M_READY, MSG_ALLOWED, on_ready },
	{ M_BAD_PEER, MSG_ALLOWED, on_bad_peer },
	{ M_JOB_FD, MSG_ALLOWED | MSG_FD, on_job_fd },
	{ M_JOB_START, MSG_ALLOWED | MSG_FD, on_job_start },
	{ M_JOB_KILL, MSG_ALLOWED, on_job_kill },
	{ M_STAGE_START, MSG_ALLOWED, on_stage_start },
	{ M_STATUS_GET, MSG_ALLOWED, on_status_get },
};

/* ---- played audit ------------------------------------------------------ */

static int
on_audit(struct chan *c, struct msg *m, void *ctx)
{
	struct box *b = ctx;
	struct audit_head h;
	struct buf body;

	if (audit_ev_decode(&m->body, &h) < 0)
		return -1;
	if (b->ncodes < BOX_EVENTS_MAX)
		strlcpy(b->codes[b->ncodes++], h.code, sizeof(b->codes[0]));
	if (m->serial == 0 || b->audit_silent)
		return 0;
	buf_init(&body, 0);
	buf_put_u8(&body, !b->audit_refuses);
	buf_put_u64(&body, b->ncodes);
	buf_put_str(&body, b->audit_refuses ? "disk full" : "");
	chan_send(c, M_AUDIT_ACK, 0, m->serial, &body, -1);
	buf_free(&body);
	return 0;
}

static const struct msg_rule audit_table[] = {
	{ M_AUDIT, MSG_ALLOWED, on_audit },
};

/* ---- played keyd ------------------------------------------------------- */

static int
on_secret_add(struct chan *c, struct msg *m, void *ctx)
{
	struct buf body;

	(void)ctx;
	buf_init(&body, 0);
	buf_put_u8(&body, 1);
	buf_put_str(&body, "");
	buf_put_str(&body, "sha256:0123");
	chan_send(c, M_SECRET_DONE, 0, m->serial, &body, -1);
	buf_free(&body);
	return 0;
}

static const struct msg_rule keyd_table[] = {
	{ M_SECRET_ADD, MSG_ALLOWED | MSG_FD, on_secret_add },
};

/* ---- played shim ------------------------------------------------------- */

static int
on_ask_opened(struct chan *c, struct msg *m, void *ctx)
{
	struct box *b = ctx;

	(void)c;
	cur_str_into(&m->body, b->ask_id, sizeof(b->ask_id));
	b->opened++;
	return cur_end(&m->body);
}

static int
on_ask_answer(struct chan *c, struct msg *m, void *ctx)
{
	struct box *b = ctx;
	char id[32], by[64];

	(void)c;
	b->allowed = cur_bool(&m->body);
	cur_str_into(&m->body, id, sizeof(id));
	cur_str_into(&m->body, by, sizeof(by));
	cur_str_into(&m->body, b->answer_text, sizeof(b->answer_text));
	b->codes_at_answer = b->ncodes;
	b->answered++;
	return cur_end(&m->body);
}

static const struct msg_rule shim_table[] = {
	{ M_ASK_OPENED, MSG_ALLOWED, on_ask_opened },
	{ M_ASK_ANSWER, MSG_ALLOWED, on_ask_answer },
};

static void
on_end(struct chan *c, enum chan_end how, const char *why, void *ctx)
{
	struct box *b = ctx;
	struct chan **all[] = { &b->parent, &b->audit, &b->keyd, &b->shim };

	(void)how;
	(void)why;
	for (size_t i = 0; i < nitems(all); i++)
		if (*all[i] == c)
			*all[i] = NULL;
	chan_free(c);
}

static struct chan *
play(struct box *b, enum role role, uint32_t job, const struct msg_rule *rules,
    size_t n)
{
	struct buf body;
	int fds[2];

	if (fd_socketpair(fds) < 0)
		fatal("socketpair");
	buf_init(&body, 0);
	buf_put_u8(&body, (uint8_t)role);
	buf_put_u32(&body, job);
	chan_send(b->parent, M_PEER, job, 0, &body, fds[1]);
	buf_free(&body);
	return chan_new(b->ev, fds[0], role_name(role), rules, n, on_end, b);
}

/* ---- start ------------------------------------------------------------- */

static void
send_config(struct box *b)
{
	static const char *const pairs[][2] = {
		{ "version", "test" },
		{ "job-uids", "1879100000 100" },
		{ "default-profile", "default" },
		{ "ask-timeout", "300" },
		{ "max-jobs", "3" },
		{ "max-jobs-per-user", "3" },
		{ "admin-gid", "1879000001" },
		{ "log-level", "warn" },
	};
	struct buf body;

	buf_init(&body, 0);
	buf_put_u32(&body, nitems(pairs));
	for (size_t i = 0; i < nitems(pairs); i++) {
		buf_put_str(&body, pairs[i][0]);
		buf_put_str(&body, pairs[i][1]);
	}
	chan_send(b->parent, M_CONFIG, 0, 0, &body, -1);
	buf_free(&body);
}

static void
send_policy(struct box *b)
{
	const struct policy_source src = { "test.policy", policy_text,
		sizeof(policy_text) - 1, true };
	struct buf bundle, body;

	buf_init(&bundle, 0);
	buf_init(&body, 0);
	if (policy_bundle_write(&bundle, &src, 1) < 0)
		fatalx("policy bundle");
	buf_put_u32(&body, 1);
	chan_send(b->parent, M_POLICY, 0, 0, &body,
	    fd_memfd("policy", buf_head(&bundle), buf_len(&bundle)));
	buf_free(&bundle);
	buf_free(&body);
}

static int
make_listener(struct box *b)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/sock", b->dir);
	unlink(sa.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    chmod(sa.sun_path, 0666) < 0 || listen(fd, 16) < 0)
		fatal("listener");
	return fd;
}

static void __attribute__((noreturn)) child(const struct box *b, int fd)
{
	char db[96];

	if (fd != PARENT_FD && dup2(fd, PARENT_FD) < 0)
		_exit(1);
	fd_close_from(PARENT_FD + 1);
	snprintf(db, sizeof(db), "%s/jobs.db", b->dir);
	control_run(db);
	_exit(0);
}

int
box_start(struct box *b, bool again)
{

	int fds[2];

	if (!again) {
		memset(b, 0, sizeof(*b));
		snprintf(b->dir, sizeof(b->dir), "/tmp/brig-ctl-XXXXXX");
		if (mkdtemp(b->dir) == NULL || chmod(b->dir, 0755) < 0)
			return -1;
		b->ev = ev_new();
	}
	b->ready = false;
	if (fd_socketpair(fds) < 0)
		return -1;
	b->pid = fork();
	if (b->pid < 0)
		return -1;
	if (b->pid == 0)
		child(b, fds[1]);
	close(fds[1]);
	b->parent = chan_new(b->ev, fds[0], "control", parent_table,
	    nitems(parent_table), on_end, b);
	send_config(b);
	b->listen_fd = make_listener(b);
	chan_send(b->parent, M_LISTEN, 0, 0, NULL, b->listen_fd);
	send_policy(b);
	b->audit = play(b, ROLE_AUDIT, 0, audit_table, nitems(audit_table));
	b->keyd = play(b, ROLE_KEYD, 0, keyd_table, nitems(keyd_table));
	b->shim = play(b, ROLE_SHIM, BOX_JOB, shim_table, nitems(shim_table));
	if (!again)
		box_sync(b);
	for (int i = 0; i < WAIT_MS / 10 && !b->ready && !again; i++)
		ev_once(b->ev, 10);

	return b->ready || again ? 0 : -1;
}

void
box_stop(struct box *b)
{
	chan_free(b->parent);
	chan_free(b->audit);
	chan_free(b->keyd);
	chan_free(b->shim);
	b->parent = b->audit = b->keyd = b->shim = NULL;
	kill(b->pid, SIGKILL);
	waitpid(b->pid, NULL, 0);
}

void
box_free(struct box *b)
{
	static const char *const names[] = { "sock", "jobs.db", "jobs.db-wal",
		"jobs.db-journal" };
	char path[96];

	box_stop(b);
	/* Channels are released at the end of a round. */
	ev_once(b->ev, 0);
	ev_free(b->ev);
	for (size_t i = 0; i < nitems(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", b->dir, names[i]);
		unlink(path);
	}
	rmdir(b->dir);
}

void
box_spin(struct box *b, int ms)
{
	uint64_t end = ev_now_ms() + (uint64_t)ms;

	while (ev_now_ms() < end)
		ev_once(b->ev, 5);
}

bool
box_until(struct box *b, const unsigned int *flag, unsigned int want)
{
	uint64_t end = ev_now_ms() + WAIT_MS;

	while (*flag < want && ev_now_ms() < end)
		ev_once(b->ev, 5);
	return *flag >= want;
}

/* ---- clients ----------------------------------------------------------- */

int
box_connect(struct box *b, uid_t uid)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/sock", b->dir);
	/* SO_PEERCRED shows the ids of the moment of connect(2). */
	if (uid != 0 && (setegid(uid) < 0 || seteuid(uid) < 0))
		fatal("seteuid");
	rc = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	if (uid != 0 && (seteuid(0) < 0 || setegid(0) < 0))
		fatal("seteuid back");
	if (rc < 0 || fd_nonblock(fd) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

void
box_send(int fd, const void *p, size_t n, const int *fds, size_t nfds)
{
	const char *s = p;

	while (n > 0) {
		ssize_t k = fd_sendmsg(fd, s, n, fds, nfds);

		if (k < 0 && errno == EAGAIN) {
			usleep(1000);
			continue;
		}
		if (k < 0)
			return;
		nfds = 0;
		s += k;
		n -= (size_t)k;
	}
}

json_t *
box_reply(struct box *b, int fd)
{
	uint64_t end = ev_now_ms() + WAIT_MS;
	struct buf in;
	json_t *reply = NULL;

	buf_init(&in, LINE_MAX_BYTES);
	while (reply == NULL && ev_now_ms() < end) {
		char ch;
		ssize_t n = recv(fd, &ch, 1, 0);

		if (n == 1 && ch != '\n') {
			buf_put_u8(&in, (uint8_t)ch);
			continue;
		}
		if (n == 1)
			reply = json_loadb(
			    (const char *)buf_head(&in), buf_len(&in), 0, NULL);
		else if (n == 0 || errno != EAGAIN)
			break;
		else
			ev_once(b->ev, 5);
	}
	buf_free(&in);
	return reply;
}

json_t *
box_call(struct box *b, int fd, const char *line)
{
	box_send(fd, line, strlen(line), NULL, 0);
	box_send(fd, "\n", 1, NULL, 0);
	return box_reply(b, fd);
}

const char *
box_error(json_t *reply)
{
	static char code[64];
	const char *s = json_string_value(
	    json_object_get(json_object_get(reply, "error"), "code"));

	strlcpy(code,
	    reply == NULL ? "(closed)"
	    : s == NULL   ? ""
			  : s,
	    sizeof(code));
	json_decref(reply);
	return code;
}

bool
box_closed(struct box *b, int fd)
{
	uint64_t end = ev_now_ms() + WAIT_MS;
	char ch;

	while (ev_now_ms() < end) {
		ssize_t n = recv(fd, &ch, 1, 0);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
		ev_once(b->ev, 5);
	}
	return false;
}

/* ---- what the played ones say ------------------------------------------ */

void
box_ask(struct box *b, uint32_t serial, uint32_t timeout)
{
	static const char digest[] = "0123456789abcdef0123456789abcdef"
				     "0123456789abcdef0123456789abcdef";
	struct buf body;

	buf_init(&body, 0);
	buf_put_u8(&body, POLICY_EXEC);
	buf_put_str(&body, "test.policy:5");
	buf_put_str(&body, "");
	buf_put_str(&body, "because");
	buf_put_str(&body, digest);
	buf_put_u32(&body, timeout);
	buf_put_u32(&body, 1);
	buf_put_str(&body, "git push");
	chan_send(b->shim, M_ASK, BOX_JOB, serial, &body, -1);
	buf_free(&body);
}

void
box_ask_cancel(struct box *b, uint32_t serial)
{
	chan_send(b->shim, M_ASK_CANCEL, BOX_JOB, serial, NULL, -1);
}

void
box_audit_ack(struct box *b, uint32_t serial)
{
	struct buf body;

	buf_init(&body, 0);
	buf_put_u8(&body, 1);
	buf_put_u64(&body, b->ncodes);
	buf_put_str(&body, "");
	chan_send(b->audit, M_AUDIT_ACK, 0, serial, &body, -1);
	buf_free(&body);
}

void
box_job_state(struct box *b, uint32_t job, enum job_state state)
{
	struct buf body;

	buf_init(&body, 0);
	buf_put_u8(&body, (uint8_t)state);
	buf_put_u32(&body, 1879100007);
	buf_put_u32(&body, 4242);
	buf_put_u8(&body, EXIT_CODE);
	buf_put_u32(&body, 3);
	buf_put_str(&body, "enforced");
	chan_send(b->parent, M_JOB_STATE, job, 0, &body, -1);
	buf_free(&body);
}

void
box_sync(struct box *b)
{
	chan_send(b->parent, M_JOBS_SYNC, 0, 0, NULL, -1);
}

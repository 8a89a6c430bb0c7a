#include "tests/jail/shim_world.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attach.h"
#include "base/audit_event.h"
#include "base/buf.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/proto.h"
#include "base/str.h"
#include "daemon/jobspec.h"
#include "policy/policy.h"
#include "sandbox/self.h"

static const char policy_text[] =
    "profile t {\n"
    "	default exec allow;\n"
    "	default read allow;\n"
    "	default write allow;\n"
    "	deny exec date ... because \"no clocks\";\n"
    "	ask exec id ... as who;\n"
    "	ask timeout 30s then deny;\n"
    "	limit output 2000;\n"
    "	allow exec true ...;\n"
    "}\n"
    "profile files {\n"
    "	default exec allow;\n"
    "	default read allow;\n"
    "	default write allow;\n"
    "	deny exec workspace/bad ... as mine;\n"
    "	deny exec env ... because \"no env\";\n"
    "	ask exec git push ... as who;\n"
    "	ask exec workspace/asked ... as script;\n"
    "}\n"
    "profile untraced {\n"
    "	default exec deny;\n"
    "	default read allow;\n"
    "	sandbox trace off;\n"
    "}\n"
    "profile short {\n"
    "	default exec allow;\n"
    "	default read allow;\n"
    "	ask exec id ... as who;\n"
    "	ask timeout 1s then deny;\n"
    "	ask unattended deny;\n"
    "	limit wall 1s;\n"
    "}\n";

static int
on_capture(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;

	assert_true(cur_u8(&m->body) < CAPTURE_MAX);
	w->captures++;
	return cur_end(&m->body);
}

static int
on_state(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;

	assert_int_equal(cur_u8(&m->body), JOB_RUNNING);
	w->init = (pid_t)cur_u32(&m->body);
	cur_str_into(&m->body, w->running, sizeof(w->running));
	return cur_end(&m->body);
}

static int
on_exit_msg(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;

	w->kind = cur_u8(&m->body);
	w->code = cur_u32(&m->body);
	cur_str_into(&m->body, w->detail, sizeof(w->detail));
	w->exited = true;
	return cur_end(&m->body);
}

static int
on_ready(struct chan *c, struct msg *m, void *ctx)
{
	return cur_end(&m->body);
}

static int
on_bad_peer(struct chan *c, struct msg *m, void *ctx)
{
	fail_msg("the shim complains about a peer");
	return -1;
}

static int
on_ask(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;
	char text[256];
	uint32_t n;
	struct buf b;

	assert_int_equal(cur_u8(&m->body), POLICY_EXEC);
	cur_str_into(&m->body, w->ask_rule, sizeof(w->ask_rule));
	cur_str_into(&m->body, w->ask_name, sizeof(w->ask_name));
	cur_str_into(&m->body, text, sizeof(text));
	cur_str_into(&m->body, text, sizeof(text));
	assert_int_equal(strlen(text), 64);
	cur_u32(&m->body);
	n = cur_count(&m->body, 64, 4);
	while (n-- > 0) {
		cleanup_free char *line = cur_str(&m->body, P_TEXT_MAX);

		assert_non_null(line);
		buf_printf(&w->ask_lines, "%s\n", line);
	}
	w->ask = m->serial;
	buf_init(&b, 0);
	buf_put_str(&b, "A-17");
	chan_send(c, M_ASK_OPENED, m->job, m->serial, &b, -1);
	buf_free(&b);
	return cur_end(&m->body);
}

static int
on_ask_cancel(struct chan *c, struct msg *m, void *ctx)
{
	((struct world *)ctx)->ask_cancelled = true;
	return cur_end(&m->body);
}

static void
count_repeats(struct world *w, struct msg *m, const struct audit_head *h)
{
	bool merged = false;

	for (uint32_t i = 0; i < h->fields; i++) {
		struct audit_field f;

		assert_int_equal(audit_ev_field(&m->body, &f), 0);
		merged |= str_eq(f.key, "dec.merged");
		if (!str_eq(f.key, "dec.count"))
			continue;
		w->repeats += f.u;
		if (merged)
			w->merged += f.u;
	}
}

static int
on_audit(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;
	struct audit_head h;
	struct audit_field f;
	struct buf b;

	if (audit_ev_decode(&m->body, &h) < 0)
		fail_msg("bad audit event");
	w->n101 += str_eq(h.code, "EX101");
	w->n102 += str_eq(h.code, "EX102");
	w->n401 += str_eq(h.code, "EX401");
	if (str_eq(h.code, "EX104")) {
		assert_string_equal(h.type, "exec.repeat");
		count_repeats(w, m, &h);
		return 0;
	}
	if (str_eq(h.code, "JB303") || str_eq(h.code, "JB304")) {
		assert_string_equal(
		    h.type, w->cuts == 0 ? "job.output" : "job.dropped");
		w->cuts++;
		return 0;
	}
	assert_string_equal(h.type, "exec.decide");
	buf_clear(&w->argv);
	for (uint32_t i = 0; i < h.fields; i++) {
		assert_int_equal(audit_ev_field(&m->body, &f), 0);
		if (str_eq(f.key, "dec.by"))
			snprintf(w->by, sizeof(w->by), "%.*s", (int)f.len,
			    (const char *)f.s);
		if (!str_eq(f.key, "obj.argv"))
			continue;
		for (uint32_t k = 0; k < f.count; k++) {
			cleanup_free char *s = cur_str(&f.list, 4096);

			buf_printf(&w->argv, "%s ", s);
		}
	}
	if (m->serial != 0 && w->ack) {
		buf_init(&b, 0);
		buf_put_u8(&b, 1);
		buf_put_u64(&b, 1);
		buf_put_str(&b, "");
		chan_send(c, M_AUDIT_ACK, m->job, m->serial, &b, -1);
		buf_free(&b);
	}
	return cur_end(&m->body);
}

static const struct msg_rule from_shim[] = {
	{ M_READY, MSG_ALLOWED, on_ready },
	{ M_CAPTURE, MSG_ALLOWED | MSG_FD, on_capture },
	{ M_SHIM_STATE, MSG_ALLOWED, on_state },
	{ M_SHIM_EXIT, MSG_ALLOWED | MSG_ONCE, on_exit_msg },
	{ M_BAD_PEER, MSG_ALLOWED, on_bad_peer },
};

static int
on_attended(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;

	(void)c;
	w->attended = cur_bool(&m->body);
	return cur_end(&m->body);
}

const struct msg_rule to_control[3] = {
	{ M_ASK, MSG_ALLOWED, on_ask },
	{ M_ASK_CANCEL, MSG_ALLOWED, on_ask_cancel },
	{ M_ATTENDED, MSG_ALLOWED, on_attended },
};

static const struct msg_rule to_audit[] = {
	{ M_AUDIT, MSG_ALLOWED, on_audit },
};

static void
on_end(struct chan *c, enum chan_end how, const char *why, void *ctx)
{
	if (how == CHAN_FAULT)
		fail_msg("%s: %s", chan_peer(c), why);
}

/* ---- running one ------------------------------------------------------- */

void
world_init(struct world *w)
{
	if (geteuid() != 0) {
		print_message("SKIP: needs root\n");
		skip();
	}
	memset(w, 0, sizeof(*w));
	w->ev = ev_new();
	w->want_audit = w->want_control = w->ack = true;
	w->client = -1;
	w->log = memfd_create("log", MFD_CLOEXEC);
	w->deadline = ev_now_ms() + LIMIT_MS;
	/* Reserve, so that an empty one is not NULL. */
	buf_put(&w->out, "", 0);
	buf_put(&w->err, "", 0);
}

void
put_peer(struct world *w, enum role role, struct chan **c,
    const struct msg_rule *rules, size_t n)
{
	struct buf b;
	int p[2];

	assert_int_equal(fd_socketpair(p), 0);
	*c = chan_new(w->ev, p[0], role_name(role), rules, n, on_end, w);
	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)role);
	buf_put_u32(&b, 0);
	chan_send(w->parent, M_PEER, 0, 0, &b, p[1]);
	buf_free(&b);
}

static void
put_fd(struct world *w, uint16_t type, uint8_t which, int fd)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, which);
	chan_send(w->parent, type, JOB, 0, &b, fd);
	buf_free(&b);
}

static void
start_shim(struct world *w)
{
	static const struct self_conf parent = { ROLE_PARENT, 0, 0, NULL };
	const char *dir = getenv("BRIG_BUILDDIR");
	cleanup_free char *path =
	    xasprintf("%s/brig-shim", dir == NULL ? "." : dir);
	int p[2];

	assert_int_equal(fd_socketpair(p), 0);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		dup2(p[1], PARENT_FD);
		fd_close_from(PARENT_FD + 1);
		/* As brigd starts it, with all that is inherited. */
		self_confine(&parent);
		execl(path, "brig-shim", (char *)NULL);
		_exit(99);
	}
	close(p[1]);
	w->parent = chan_new(
	    w->ev, p[0], "shim", from_shim, nitems(from_shim), on_end, w);
}

void
put_policy(struct world *w, const char *text)
{
	struct policy_source src = { "t.policy", text, strlen(text), true };
	struct buf b;
	int fd;

	buf_init(&b, 0);
	assert_int_equal(policy_bundle_write(&b, &src, 1), 0);
	fd = fd_memfd("policy", buf_head(&b), buf_len(&b));
	buf_clear(&b);
	buf_put_u32(&b, 1);
	chan_send(w->parent, M_POLICY, 0, 0, &b, fd);
	buf_free(&b);
}

/* Start the job; attach: with a client. */
void
launch(struct world *w, const char *profile, char **argv, bool attach)
{
	char t[] = "t", host[] = "jail", empty[] = "", term[] = "vt100";
	char stub[] = "A_TOKEN=stub-value", plain[] = "PLAIN=1";
	char *envp[] = { plain, NULL }, *stubs[] = { stub, NULL };
	struct shim_spec s = {
		.host_uid = JOB_UID, .hostname = host, .stub_env = stubs
	};
	cleanup_free char *pr = xstrdup(profile == NULL ? t : profile);
	struct buf b;
	int p[2];

	start_shim(w);
	put_policy(w, policy_text);
	if (w->want_control)
		put_peer(w, ROLE_CONTROL, &w->control, to_control,
		    nitems(to_control));
	if (w->want_audit)
		put_peer(w, ROLE_AUDIT, &w->audit, to_audit, nitems(to_audit));
	if (attach) {
		assert_int_equal(fd_socketpair(p), 0);
		w->client = p[0];
		put_fd(w, M_SHIM_FD, JOB_FD_ATTACH, p[1]);
	}
	put_fd(w, M_SHIM_FD, JOB_FD_LOG, dup(w->log));
	s.job.job = JOB;
	s.job.profile = pr;
	s.job.argv = argv;
	s.job.env = envp;
	s.job.workspace = empty;
	s.job.tty = w->tty;
	s.job.rows = 33;
	s.job.cols = 77;
	s.job.term = term;
	buf_init(&b, 0);
	assert_int_equal(shim_spec_put(&b, &s), 0);
	chan_send(w->parent, M_SHIM_START, JOB, 0, NULL,
	    fd_memfd("spec", buf_head(&b), buf_len(&b)));
	buf_free(&b);
}

void
launch_sh(struct world *w, const char *profile, const char *script, bool attach)
{
	char sh[] = "sh", c[] = "-c";
	cleanup_free char *s = xstrdup(script);
	char *argv[] = { sh, c, s, NULL };

	launch(w, profile, argv, attach);
}

static void
take_frames(struct world *w)
{
	enum attach_type type;
	const uint8_t *p;
	struct cur c;
	size_t n;

	while (attach_peek(&w->in, &type, &p, &n) == 1) {
		switch (type) {
		case ATTACH_STDOUT:
			buf_put(&w->out, p, n);
			break;
		case ATTACH_STDERR:
			buf_put(&w->err, p, n);
			break;
		case ATTACH_NOTICE:
			buf_put(&w->notices, p, n);
			break;
		case ATTACH_EXIT:
			cur_init(&c, p, n);
			w->attach_kind = cur_u8(&c);
			w->attach_code = cur_u32(&c);
			w->attach_exit = true;
			break;
		default:
			fail_msg("frame %d", (int)type);
		}
		buf_consume(&w->in, ATTACH_HEADER + n);
	}
}

void
step(struct world *w)
{
	char b[8192];
	ssize_t n;

	assert_true(ev_now_ms() < w->deadline);
	ev_once(w->ev, 20);
	while (w->client >= 0 &&
	       (n = recv(w->client, b, sizeof(b), MSG_DONTWAIT)) > 0)
		buf_put(&w->in, b, (size_t)n);
	take_frames(w);
}

void
until_exit(struct world *w)
{
	while (!w->exited)
		step(w);
	step(w);
}

void
type_in(struct world *w, enum attach_type type, const void *p, size_t n)
{
	struct buf b;

	buf_init(&b, 0);
	attach_put(&b, type, p, n);
	assert_int_equal(
	    send(w->client, buf_head(&b), buf_len(&b), 0), buf_len(&b));
	buf_free(&b);
}

char *
text_of(const struct buf *b)
{
	return xstrndup(
	    buf_len(b) == 0 ? "" : (const char *)buf_head(b), buf_len(b));
}

void
expect_text(const struct buf *b, const char *want)
{
	cleanup_free char *s = text_of(b);

	assert_string_equal(s, want);
}

void
expect_in(const struct buf *b, const char *want)
{
	cleanup_free char *s = text_of(b);

	if (strstr(s, want) == NULL)
		print_message("not in: %s\n", s);
	assert_non_null(strstr(s, want));
}

void
expect_exit(struct world *w, enum exit_kind kind, uint32_t code)
{
	if (w->kind != kind || w->code != code)
		print_message("exit %u %u: %s\n", w->kind, w->code, w->detail);
	assert_int_equal(w->kind, kind);
	assert_int_equal(w->code, code);
	if (w->client >= 0) {
		assert_true(w->attach_exit);
		assert_int_equal(w->attach_kind, kind);
		assert_int_equal(w->attach_code, code);
	}
}

void
world_end(struct world *w)
{
	int st;

	chan_free(w->parent);
	chan_free(w->control);
	chan_free(w->audit);
	ev_once(w->ev, 0);
	assert_int_equal(waitpid(w->pid, &st, 0), w->pid);
	assert_true(WIFEXITED(st));
	assert_int_equal(WEXITSTATUS(st), 0);
	if (w->client >= 0)
		close(w->client);
	close(w->log);
	buf_free(&w->in);
	buf_free(&w->out);
	buf_free(&w->err);
	buf_free(&w->notices);
	buf_free(&w->argv);
	buf_free(&w->ask_lines);
	ev_free(w->ev);
}

void
answer(struct world *w, bool allow)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, allow);
	buf_put_str(&b, "A-17");
	buf_put_str(&b, "carol");
	buf_put_str(&b, allow ? "" : "not today");
	chan_send(w->control, M_ASK_ANSWER, JOB, w->ask, &b, -1);
	buf_free(&b);
}

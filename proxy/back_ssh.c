/*
 * The SSH agent of a job: keyd has the keys, back passes on what it is to list
 * and to sign, one question of a connection at a time, and remembers which
 * host the client says its session is with.  keyd believes none of it.
 */
#include "proxy/back_ssh.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/proto.h"
#include "base/str.h"
#include "proxy/sshwire.h"

struct ssh {
	struct buf bind; /* body of the one session-bind, as it came */
	bool spoiled;    /* a second one: of a hop behind the first host */
	uint32_t wait;   /* serial of the question that keyd has, or 0 */
};

struct ssh *
ssh_new(void)
{
	return xcalloc(1, sizeof(struct ssh));
}

void
ssh_free(struct ssh *s)
{
	if (s == NULL)
		return;
	buf_free(&s->bind);
	free(s);
}

static void
reply(struct raw *r, uint8_t type, const struct buf *body)
{
	cleanup_buf struct buf b = { 0 };

	ssh_put_frame(&b, type, body == NULL ? NULL : buf_head(body),
	    body == NULL ? 0 : buf_len(body));
	raw_send(r, buf_head(&b), buf_len(&b));
}

static void
ask_keyd(struct raw *r, uint16_t type, const struct buf *body)
{
	struct back *b = r->x->back;
	struct chan *c = back_chan(b, ROLE_KEYD);

	if (c == NULL) {
		reply(r, SSH_AGENT_FAILURE, NULL);
		return;
	}
	r->ssh->wait = back_serial(b);
	ev_timer_set(r->idle, BACK_STEP_MS);
	chan_send(c, type, b->job, r->ssh->wait, body, -1);
}

static void
on_extension(struct raw *r, const struct ssh_str *body)
{
	struct ssh *s = r->ssh;
	struct ssh_bind bind;

	if (ssh_bind_parse(body, &bind) < 0) {
		reply(r, SSH_AGENT_FAILURE, NULL);
		return;
	}
	if (buf_len(&s->bind) > 0 || bind.forwarding) {
		s->spoiled = true;
		reply(r, SSH_AGENT_FAILURE, NULL);
		return;
	}
	buf_put(&s->bind, body->p, body->n);
	reply(r, SSH_AGENT_SUCCESS, NULL);
}

static void
on_sign(struct raw *r, const struct ssh_str *body)
{
	cleanup_buf struct buf b = { 0 };
	struct ssh_sign sign;

	if (r->ssh->spoiled || ssh_sign_parse(body, &sign) < 0) {
		reply(r, SSH_AGENT_FAILURE, NULL);
		return;
	}
	buf_put_blob(&b, body->p, body->n);
	buf_put_blob(&b, buf_head(&r->ssh->bind), buf_len(&r->ssh->bind));
	ask_keyd(r, M_SSH_SIGN, &b);
}

static void
on_frame(struct raw *r, const struct ssh_frame *f)
{
	switch (f->type) {
	case SSH_AGENTC_REQUEST_IDENTITIES:
		ask_keyd(r, M_SSH_KEYS, NULL);
		return;
	case SSH_AGENTC_SIGN_REQUEST:
		on_sign(r, &f->body);
		return;
	case SSH_AGENTC_EXTENSION:
		on_extension(r, &f->body);
		return;
	default:
		/* Adding, removing and locking keys is not a job's matter. */
		reply(r, SSH_AGENT_FAILURE, NULL);
		return;
	}
}

bool
ssh_work(struct raw *r)
{
	struct exchange *x = r->x;
	struct ssh_frame f;

	while (r->ssh->wait == 0) {
		switch (
		    ssh_frame_parse(buf_head(&x->req), buf_len(&x->req), &f)) {
		case SSH_FRAME:
			on_frame(r, &f);
			raw_took(r, f.used);
			continue;
		case SSH_BAD:
			raw_fail(r, "a malformed message to the agent");
			return false;
		case SSH_MORE:
			break;
		}
		if (!x->req_ended)
			return true;
		raw_end(r, NULL);
		return false;
	}
	return true;
}

void
ssh_timed_out(struct raw *r)
{
	if (r->ssh->wait == 0)
		return;
	r->ssh->wait = 0;
	reply(r, SSH_AGENT_FAILURE, NULL);
	raw_schedule(r);
}

/* ---- answers of keyd ------------------------------------------------------
 */

static struct raw *
waiting(struct back *b, uint32_t serial)
{
	for (struct exchange *x = b->list; x != NULL; x = x->next)
		if (x->raw != NULL && x->raw->ssh != NULL && serial != 0 &&
		    x->raw->ssh->wait == serial)
			return x->raw;
	return NULL;
}

static void
answered(struct raw *r, uint8_t type, const struct buf *body)
{
	r->ssh->wait = 0;
	ev_timer_clear(r->idle);
	reply(r, type, body);
	raw_schedule(r);
}

int
back_on_ssh_keys(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct raw *r = waiting(b, m->serial);
	uint32_t n = cur_count(&m->body, P_SECRETS_MAX, 8);
	cleanup_buf struct buf out = { 0 };

	(void)c;
	buf_put_be32(&out, n);
	for (uint32_t i = 0; i < n; i++) {
		size_t len;
		const uint8_t *key = cur_blob(&m->body, SSH_FRAME_MAX, &len);
		cleanup_free char *name = cur_str(&m->body, P_NAME_MAX);

		if (m->body.failed)
			return -1;
		ssh_put(&out, key, len);
		ssh_put(&out, name, strlen(name));
	}
	if (cur_end(&m->body) < 0)
		return -1;
	if (r != NULL)
		answered(r, SSH_AGENT_IDENTITIES_ANSWER, &out);
	return 0;
}

int
back_on_ssh_signed(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct raw *r = waiting(b, m->serial);
	bool ok = cur_bool(&m->body);
	size_t n;
	const uint8_t *sig = cur_blob(&m->body, SSH_FRAME_MAX, &n);
	cleanup_free char *why = cur_str(&m->body, P_TEXT_MAX);
	cleanup_buf struct buf out = { 0 };

	(void)c;
	if (cur_end(&m->body) < 0 || ok != (n > 0))
		return -1;
	if (r == NULL)
		return 0;
	if (!ok)
		log_info("the agent has not signed: %s", why);
	ssh_put(&out, sig, n);
	answered(r, ok ? SSH_AGENT_SIGN_RESPONSE : SSH_AGENT_FAILURE,
	    ok ? &out : NULL);
	return 0;
}

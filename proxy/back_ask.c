#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

#include "base/str.h"
#include "proxy/back.h"
#include "proxy/back_model.h"
#include "proxy/back_raw.h"

#define COPIES_MAX 16 /* fields that name something else, shown */

/* The question is about the model that a request calls. */
static bool
is_model(const struct exchange *x)
{
	return x->model != NULL && x->model->asking;
}

/*
 * SHA-256 over all that was judged, so that what a person allowed can be told
 * apart from anything else: the head, for a model the body as well.  Stubs
 * only: nothing secret.
 */
static void
request_digest(const struct exchange *x, char hex[SHA256_DIGEST_LENGTH * 2 + 1])
{
	cleanup_buf struct buf b = { 0 };
	uint8_t md[SHA256_DIGEST_LENGTH];

	if (req_head_put(&b, &x->head) < 0)
		buf_clear(&b);
	if (is_model(x))
		buf_put(&b, buf_head(&x->req), buf_len(&x->req));
	SHA256(buf_head(&b), buf_len(&b), md);
	for (size_t i = 0; i < sizeof(md); i++)
		snprintf(hex + i * 2, 3, "%02x", md[i]);
}

/* A line for the approver; control takes P_TEXT_MAX, the digest covers all. */
static void
put_line(struct buf *b, char *line)
{
	if (strlen(line) > P_TEXT_MAX)
		strlcpy(line + P_TEXT_MAX - 3, "...", 4);
	buf_put_str(b, line);
}

/*
 * The fields that name what is copied or moved, and to where, with what they
 * say; returns how many lines.
 */
static uint32_t
put_copies(struct buf *b, const struct exchange *x)
{
	const struct fields *fs = &x->head.fields;
	uint32_t n = 0;

	for (size_t i = 0; i < fs->n; i++) {
		cleanup_free char *line = NULL;

		if (!xch_is_copy_field(x, fs->f[i].name))
			continue;
		if (n++ == COPIES_MAX) {
			buf_put_str(b, "and more such fields");
			break;
		}
		line = xasprintf("%s: %s", fs->f[i].name, fs->f[i].value);
		put_line(b, line);
	}
	return n;
}

/* What the approver sees. */
static void
put_lines(struct buf *b, const struct exchange *x)
{
	const struct req_head *h = &x->head;
	cleanup_buf struct buf names = { 0 }, copies = { 0 };
	size_t at = 0;
	cleanup_free char *other = xch_override(x, &at);
	cleanup_free char *what = xasprintf("%s%s%s%s %s://%s%s", h->method,
	    other == NULL ? "" : " (", other == NULL ? "" : other,
	    other == NULL ? "" : " asked for beside it)",
	    h->tls ? "https" : "http", x->hostport, h->target);
	cleanup_free char *body = NULL;
	const char *type = fields_get(&h->fields, "content-type", NULL);
	const uint32_t ncopies = put_copies(&copies, x);

	buf_printf(&names, "header fields:");
	for (size_t i = 0; i < h->fields.n; i++)
		buf_printf(&names, " %s", h->fields.f[i].name);
	buf_put_u8(&names, 0);
	switch (h->kind) {
	case BODY_NONE:
		body = xstrdup("no body");
		break;
	case BODY_LENGTH:
		body = xasprintf("body: %" PRIu64 " bytes, %s", h->length,
		    type == NULL ? "no type given" : type);
		break;
	case BODY_STREAM:
		body = xasprintf("body: of unknown length, %s",
		    type == NULL ? "no type given" : type);
		break;
	}
	buf_put_u32(b, 3u + ncopies + (x->plan.name[0] != '\0') + is_model(x));
	if (is_model(x))
		xmodel_line(b, x);
	put_line(b, what);
	buf_put(b, buf_head(&copies), buf_len(&copies));
	put_line(b, (char *)buf_head(&names));
	put_line(b, body);
	if (x->plan.name[0] != '\0') {
		cleanup_free char *cred =
		    xasprintf("with credential: %s", x->plan.name);
		buf_put_str(b, cred);
	}
}

void
xch_ask(struct exchange *x)
{
	struct back *b = x->back;
	struct chan *c = back_chan(b, ROLE_CONTROL);
	cleanup_buf struct buf body = { 0 };
	char digest[SHA256_DIGEST_LENGTH * 2 + 1];
	uint32_t timeout = profile_settings(b->profile)->ask_timeout_s;
	const struct decision *d = is_model(x) ? &x->model->dec : &x->dec;

	if (c == NULL) {
		xch_refuse(x, 503, "ask_unavailable",
		    "a person must allow this request, and nobody can be "
		    "asked at the moment",
		    "try again in a minute");
		return;
	}
	x->by = "rule";
	if (!is_model(x))
		(void)record_decision(x, "HT102", "ask", d->because, 0);
	request_digest(x, digest);
	buf_put_u8(&body, is_model(x)      ? POLICY_MODEL
			  : x->raw != NULL ? POLICY_NET
					   : POLICY_HTTP);
	buf_put_str(&body, d->rule);
	buf_put_str(&body, d->name);
	buf_put_str(&body, d->because);
	buf_put_str(&body, digest);
	buf_put_u32(&body, timeout);
	if (x->raw != NULL)
		raw_put_lines(&body, x);
	else
		put_lines(&body, x);
	xch_wait(x, X_ASK, (uint64_t)timeout * 1000 + BACK_ASK_SLACK_MS);
	chan_send(c, M_ASK, b->job, x->wait, &body, -1);
}

void
xch_ask_cancel(struct exchange *x)
{
	struct chan *c = back_chan(x->back, ROLE_CONTROL);

	if (c != NULL)
		chan_send(c, M_ASK_CANCEL, x->back->job, x->wait, NULL, -1);
	x->wait = 0;
}

static int
on_opened(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct exchange *x = back_waiting(b, X_ASK, m->serial);
	char id[P_NAME_MAX + 1];

	(void)c;
	cur_str_into(&m->body, id, sizeof(id));
	if (cur_end(&m->body) < 0)
		return -1;
	if (x != NULL)
		strlcpy(x->ask_id, id, sizeof(x->ask_id));
	return 0;
}

static void
ask_denied(struct exchange *x, const char *by, const char *message)
{
	cleanup_free char *reason = NULL;
	bool is_timeout = strcmp(by, "timeout") == 0;
	struct denial d = { .status = 403,
		.error = is_timeout ? "ask_timeout" : "ask_denied",
		.rule = is_model(x) ? x->model->dec.rule : x->dec.rule,
		.ask_id = x->ask_id };

	/* Control's own refusals are signed "brig". */
	x->by = is_timeout                ? "timeout"
		: strcmp(by, "brig") == 0 ? "failsafe"
					  : "human";
	if (message[0] != '\0')
		reason = xstrdup(message);
	else if (is_timeout)
		reason = xstrdup("nobody answered in time");
	else
		reason = xasprintf("%s did not allow this request", by);
	d.reason = reason;
	d.next_steps[0] = "do not repeat the request unchanged";
	d.next_steps[1] = "do without it, or explain to the user why it is "
			  "needed";
	(void)record_decision(x, "HT401", "deny", reason, 0);
	xch_deny(x, &d);
}

static int
on_answer(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct exchange *x = back_waiting(b, X_ASK, m->serial);
	bool allow = cur_bool(&m->body);
	char id[P_NAME_MAX + 1], by[P_NAME_MAX + 1];
	cleanup_free char *message = NULL;

	(void)c;
	cur_str_into(&m->body, id, sizeof(id));
	cur_str_into(&m->body, by, sizeof(by));
	message = cur_str(&m->body, P_TEXT_MAX);
	if (cur_end(&m->body) < 0)
		return -1;
	/* The action may be gone while the answer was on its way. */
	if (x == NULL)
		return 0;
	strlcpy(x->ask_id, id, sizeof(x->ask_id));
	strlcpy(x->ask_by, by, sizeof(x->ask_by));
	ev_timer_clear(x->timer);
	x->wait = 0;
	if (!allow) {
		ask_denied(x, by, message);
		return 0;
	}
	xch_answered(x);
	return 0;
}

const struct msg_rule back_from_control[] = {
	{ M_ASK_OPENED, MSG_ALLOWED, on_opened },
	{ M_ASK_ANSWER, MSG_ALLOWED, on_answer },
};
const size_t back_nfrom_control = nitems(back_from_control);

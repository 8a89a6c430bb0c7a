#include <string.h>
#include <strings.h>

#include "base/proto.h"
#include "proxy/back.h"

/* Compressed or cut, so that the scrubber would not see a value in it. */
static bool
is_unreadable(
    const struct exchange *x, unsigned int status, const struct fields *fs)
{
	if (strcmp(x->head.method, "HEAD") == 0 || status == 204 ||
	    status == 304)
		return false;
	if (status == 206)
		return true;
	for (size_t i = 0; i < fs->n; i++)
		if (strcasecmp(fs->f[i].name, "content-encoding") == 0 &&
		    strcasecmp(fs->f[i].value, "identity") != 0 &&
		    fs->f[i].value[0] != '\0')
			return true;
	return false;
}

static void
scrub_fields(struct exchange *x, struct fields *fs)
{
	for (size_t i = 0; x->scrub != NULL && i < fs->n; i++) {
		scrub_text(x->scrub, fs->f[i].name, strlen(fs->f[i].name));
		scrub_text(x->scrub, fs->f[i].value, strlen(fs->f[i].value));
	}
}

void
xch_rsp_head(struct exchange *x, struct rsp_head *h)
{
	cleanup_buf struct buf body = { 0 };

	x->status = h->status;
	/* It was asked for plain and whole; a value could hide in this. */
	if (x->scrub != NULL && is_unreadable(x, h->status, &h->fields)) {
		xch_fail(x, 502, "response_encoded",
		    "the server compressed or cut its response although it "
		    "was asked not to, so it cannot be searched for "
		    "credentials",
		    "ask for another resource");
		return;
	}
	/* Offers another protocol, which the jail cannot speak. */
	fields_remove(&h->fields, "Alt-Svc");
	scrub_fields(x, &h->fields);
	if (x->scrub != NULL)
		scrub_text(x->scrub, h->reason, strlen(h->reason));
	if (rsp_head_put(&body, h) < 0) {
		xch_fail(x, 502, "upstream_broken",
		    "the head of the server's response is too large",
		    "ask for another resource");
		return;
	}
	x->rsp_started = true;
	xch_tell(x, M_RSP_HEAD, &body);
}

static void
send_body(struct exchange *x, const uint8_t *p, size_t n)
{
	struct back *b = x->back;

	x->rsp_bytes += n;
	x->rsp_credit -= n;
	for (size_t k; n > 0; p += k, n -= k) {
		k = n < WIRE_BODY_CHUNK ? n : WIRE_BODY_CHUNK;
		if (b->front != NULL)
			chan_send_bytes(
			    b->front->chan, M_RSP_BODY, b->job, x->id, p, k);
	}
}

static bool
front_is_full(const struct back *b)
{
	return b->front != NULL && chan_queued(b->front->chan) > MSG_QUEUE_HIGH;
}

size_t
xch_rsp_data(struct exchange *x, const uint8_t *p, size_t n)
{
	struct buf out;
	uint64_t room = x->rsp_credit;

	/* What the scrubber holds back needs room as well when it comes. */
	if (x->scrub != NULL) {
		size_t held = scrub_held(x->scrub);

		room = room > held ? room - held : 0;
	}
	if (front_is_full(x->back))
		room = 0;
	if (n > room) {
		n = (size_t)room;
		x->blocked = true;
	}
	if (n == 0)
		return 0;
	if (x->scrub == NULL) {
		send_body(x, p, n);
		return n;
	}
	buf_init(&out, 0);
	scrub_feed(x->scrub, p, n, &out);
	send_body(x, buf_head(&out), buf_len(&out));
	buf_free(&out);
	return n;
}

void
xch_rsp_done(struct exchange *x, struct fields *trailers)
{
	cleanup_buf struct buf body = { 0 };

	if (x->scrub != NULL) {
		cleanup_buf struct buf rest = { 0 };

		scrub_end(x->scrub, &rest);
		send_body(x, buf_head(&rest), buf_len(&rest));
	}
	scrub_fields(x, trailers);
	if (trailers_put(&body, trailers) < 0) {
		xch_fail(x, 502, "upstream_broken",
		    "the trailers are too large", "ask for another resource");
		return;
	}
	record_outcome(x, NULL);
	xch_tell(x, M_RSP_END, &body);
	xch_end(x, x->end_sent);
}

void
xch_pull(struct exchange *x)
{
	if (!x->blocked || x->up == NULL || front_is_full(x->back))
		return;
	x->blocked = false;
	upstream_resume(x->up);
}

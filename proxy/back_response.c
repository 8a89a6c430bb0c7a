#include <string.h>
#include <strings.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"
#include "proxy/back_model.h"
#include "proxy/back_raw.h"
#include "proxy/back_ws.h"
#include "proxy/charset.h"

/* Plain bytes that are taken up at a time. */
#define STEP 32768u
/* Fewer are not worth a message of their own. */
#define PASS_MIN 1024u

/* No body follows such a head (RFC 9112 section 6.3). */
static bool
is_bodyless(const struct exchange *x, unsigned int status)
{
	return strcmp(x->head.method, "HEAD") == 0 || status == 204 ||
	       status == 304;
}

static void
scrub_fields(struct exchange *x, struct fields *fs)
{
	for (size_t i = 0; x->scrub != NULL && i < fs->n; i++) {
		scrub_text(x->scrub, fs->f[i].name, strlen(fs->f[i].name));
		scrub_text(x->scrub, fs->f[i].value, strlen(fs->f[i].value));
	}
}

/*
 * How the body is coded.  -1 with err when it cannot be searched: the coding
 * is unknown, messages inside it are compressed, or its text is in a charset
 * in which a value looks like something else.
 */
static int
read_codings(struct scrub *s, const struct fields *fs, struct codings *cs,
    struct error *err)
{
	memset(cs, 0, sizeof(*cs));
	for (size_t i = 0; i < fs->n; i++) {
		const struct field *f = &fs->f[i];
		cleanup_free char *said = NULL;
		bool bad = false;

		if (strcasecmp(f->name, "content-encoding") == 0)
			bad = codings_add(cs, f->value) < 0;
		else if (strcasecmp(f->name, "grpc-encoding") == 0 ||
			 strcasecmp(f->name, "connect-content-encoding") == 0)
			bad = strcasecmp(f->value, "identity") != 0;
		else if (strcasecmp(f->name, "content-type") == 0)
			bad = !charset_is_readable(f->value);
		if (!bad)
			continue;
		/* Whole: a part of a value would not be found. */
		said = xstrdup(f->value);
		scrub_text(s, said, strlen(said));
		return error_set(err, 0,
		    "the server's response has the %s \"%.40s\", so it "
		    "cannot be searched for credentials",
		    f->name, said);
	}
	return 0;
}

/*
 * The bytes of the body change: what was said about them, and the entity tag
 * as a claim about bytes (RFC 9110 section 8.8.1), is true no longer.
 */
static void
edit_fields(struct rsp_head *h, enum coding to)
{
	static const char *const gone[] = { "Content-Encoding", "Content-MD5",
		"Content-Digest", "Repr-Digest", "Digest" };
	const char *tag = fields_get(&h->fields, "ETag", NULL);

	for (size_t i = 0; i < nitems(gone); i++)
		fields_remove(&h->fields, gone[i]);
	if (tag != NULL && tag[0] == '"') {
		cleanup_free char *weak = xasprintf("W/%s", tag);

		fields_set(&h->fields, "ETag", weak);
	}
	if (to != CODING_IDENTITY)
		fields_set(&h->fields, "Content-Encoding", coding_name(to));
	if (h->kind == BODY_LENGTH) {
		h->kind = BODY_STREAM;
		h->length = 0;
	}
}

/*
 * Have a coded body decoded and, when the agent asked for that coding, encoded
 * again.  -1 with err when its bytes could not be searched.
 */
static int
prepare_codings(struct exchange *x, struct rsp_head *h, struct error *err)
{
	struct codec_memory *m = &x->back->codecs;
	enum coding to = CODING_IDENTITY;
	struct codings cs;
	bool body = !is_bodyless(x, h->status);

	if (body && h->status == 206)
		return error_set(err, 0,
		    "the server sent a part of its response although it was "
		    "asked for the whole, so it cannot be searched for "
		    "credentials");
	if (read_codings(x->scrub, &h->fields, &cs, err) < 0)
		return body ? -1 : 0;
	if (cs.n == 0)
		return 0;
	if (cs.n == 1 && (x->accepts & 1u << cs.c[0]) != 0)
		to = cs.c[0];
	if (body) {
		x->decoder = decoder_new(&cs, m);
		if (to != CODING_IDENTITY)
			x->encoder = encoder_new(to, m);
		if (x->encoder == NULL)
			to = CODING_IDENTITY;
	}
	edit_fields(h, to);
	return 0;
}

static void
send_head(struct exchange *x, struct rsp_head *h)
{
	cleanup_buf struct buf body = { 0 };

	xmodel_rsp_head(x, h);
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
	if (x->status == 101)
		xch_push(x);
}

void
xch_rsp_head(struct exchange *x, struct rsp_head *h)
{
	bool hold = capture_is_due(x, h->status);
	struct error err = { 0 };
	int rc;

	if (early_hold(x, h))
		return;
	x->status = h->status;
	if (xch_via_refused(x))
		return;
	if (hold && x->scrub == NULL)
		x->scrub = scrub_new();
	if (h->status == 101)
		rc = xch_ws_open(x, h, &err);
	else
		rc = x->scrub == NULL ? 0 : prepare_codings(x, h, &err);
	if (rc < 0) {
		xch_fail(x, 502, "response_encoded", err.msg,
		    "ask for another resource");
		return;
	}
	if (hold)
		capture_hold(x, h);
	else
		send_head(x, h);
}

static void
send_piece(
    struct exchange *x, const uint8_t *p, size_t n, const uint8_t *q, size_t m)
{
	struct back *b = x->back;

	x->rsp_bytes += n + m;
	x->rsp_credit -= n + m;
	if (b->front != NULL)
		chan_send_two(
		    b->front->chan, M_RSP_BODY, b->job, x->id, p, n, q, m);
}

static void
send_body(struct exchange *x, const uint8_t *p, size_t n)
{
	for (size_t k; n > 0; p += k, n -= k) {
		k = n < WIRE_BODY_CHUNK ? n : WIRE_BODY_CHUNK;
		send_piece(x, p, k, NULL, 0);
	}
}

static bool
front_is_full(const struct back *b)
{
	return b->front != NULL && chan_queued(b->front->chan) > MSG_QUEUE_HIGH;
}

/* False when front must take up what is ready before there may be more. */
static bool
send_ready(struct exchange *x)
{
	size_t n = buf_len(&x->ready);

	if (n > x->rsp_credit)
		n = (size_t)x->rsp_credit;
	if (front_is_full(x->back))
		n = 0;
	send_body(x, buf_head(&x->ready), n);
	buf_consume(&x->ready, n);
	if (buf_len(&x->ready) == 0 && x->rsp_credit > 0 &&
	    !front_is_full(x->back)) {
		buf_clear(&x->ready);
		return true;
	}
	x->blocked = true;
	return false;
}

/* Plain bytes, all values replaced, onto what is ready. */
static int
encode(struct exchange *x, struct buf *clean, struct error *err)
{
	if (x->encoder != NULL)
		return encoder_step(x->encoder, buf_head(clean), buf_len(clean),
		    &x->ready, err);
	buf_put(&x->ready, buf_head(clean), buf_len(clean));
	return 0;
}

static int
scrub_step(struct exchange *x, const uint8_t *p, size_t n, struct error *err)
{
	cleanup_buf struct buf clean = { 0 };

	if (x->held != NULL)
		return capture_body(x, p, n, err);
	xmodel_rsp_data(x, p, n);
	if (x->encoder == NULL) {
		scrub_feed(x->scrub, p, n, &x->ready);
		return 0;
	}
	scrub_feed(x->scrub, p, n, &clean);
	return encode(x, &clean, err);
}

/* Take some of p[0..n); a decoder may have more even without. */
static int
step(struct exchange *x, const uint8_t *p, size_t n, size_t *used,
    struct error *err)
{
	struct buf plain;
	int rc;

	if (x->decoder == NULL) {
		*used = n < STEP ? n : STEP;
		return scrub_step(x, p, *used, err);
	}
	buf_init(&plain, 0);
	rc = decoder_step(x->decoder, p, n, used, &plain, STEP, err);
	x->decoder_full = buf_len(&plain) == STEP;
	if (rc == 0)
		rc = scrub_step(x, buf_head(&plain), buf_len(&plain), err);
	explicit_bzero(plain.data, plain.cap);
	buf_free(&plain);
	return rc;
}

/* All that can be sent of p[0..n); -1 when the exchange is gone. */
static int
take(struct exchange *x, const uint8_t *p, size_t n, size_t *used)
{
	struct error err = { 0 };
	size_t k;

	*used = 0;
	/* What is held needs no room at front. */
	while ((x->held != NULL || send_ready(x)) &&
	       (*used < n || x->decoder_full)) {
		if (x->ws != NULL) {
			if (!xch_ws_step(x, p + *used, n - *used, &k))
				return -1;
		} else if (step(x, p + *used, n - *used, &k, &err) < 0) {
			xch_fail(x, 502, "response_encoded", err.msg,
			    "ask for another resource");
			return -1;
		}
		*used += k;
	}
	return 0;
}

/*
 * Most pieces of most bodies hold no value: what begins p[0..n) goes on from
 * where it is, behind what the last piece has left.  The number of bytes that
 * were taken.
 */
static size_t
pass(struct exchange *x, const uint8_t *p, size_t n)
{
	size_t held = scrub_held(x->scrub), room = WIRE_BODY_CHUNK;
	size_t least = PASS_MIN + scrub_reach(x->scrub), first = 0, k = 0;

	if (x->rsp_credit < room)
		room = (size_t)x->rsp_credit;
	if (x->held != NULL || x->ws != NULL || x->decoder != NULL ||
	    x->encoder != NULL || buf_len(&x->ready) > 0 ||
	    front_is_full(x->back) || n < least || room < least + held)
		return 0;
	if (n > room - held)
		n = room - held;
	scrub_settle(x->scrub, &x->ready);
	while (scrub_held(x->scrub) > 0 && n - first >= least) {
		xmodel_rsp_data(x, p + first, PASS_MIN);
		scrub_feed(x->scrub, p + first, PASS_MIN, &x->ready);
		scrub_settle(x->scrub, &x->ready);
		first += PASS_MIN;
	}
	if (scrub_held(x->scrub) == 0)
		k = scrub_pass(x->scrub, p + first, n - first);
	xmodel_rsp_data(x, p + first, k);
	if (buf_len(&x->ready) + k > 0)
		send_piece(
		    x, buf_head(&x->ready), buf_len(&x->ready), p + first, k);
	buf_clear(&x->ready);
	return first + k;
}

size_t
xch_rsp_data(struct exchange *x, const uint8_t *p, size_t n)
{
	uint64_t room = front_is_full(x->back) ? 0 : x->rsp_credit;
	size_t used, passed;

	if (x->early != NULL)
		return 0;
	if (x->scrub != NULL) {
		if (!xch_scrub_trusts(x))
			return n;
		passed = pass(x, p, n);
		if (take(x, p + passed, n - passed, &used) < 0)
			return n;
		if (scrub_held(x->scrub) > 0)
			ev_timer_set(x->timer, BACK_QUIET_MS);
		return passed + used;
	}
	if (n > room) {
		n = (size_t)room;
		x->blocked = true;
	}
	xmodel_rsp_data(x, p, n);
	send_body(x, p, n);
	return n;
}

void
xch_rsp_quiet(struct exchange *x)
{
	cleanup_buf struct buf clean = { 0 };
	struct error err = { 0 };

	/* Between two frames of a WebSocket no byte may stand. */
	if (x->scrub == NULL || x->held != NULL || x->ws != NULL || x->blocked)
		return;
	scrub_quiet(x->scrub, &clean);
	if (buf_len(&clean) == 0)
		return;
	if (encode(x, &clean, &err) < 0)
		xch_fail(x, 502, "response_encoded", err.msg,
		    "ask for another resource");
	else
		(void)send_ready(x);
}

/* After the last byte: what the scrubber held back, and the coding's end. */
static int
finish(struct exchange *x, struct error *err)
{
	cleanup_buf struct buf rest = { 0 };

	/* Of a message without an end nothing more may be sent. */
	if (x->ws != NULL)
		return 0;
	if (x->decoder != NULL && decoder_end(x->decoder, err) < 0)
		return -1;
	scrub_end(x->scrub, &rest);
	if (encode(x, &rest, err) < 0)
		return -1;
	return x->encoder == NULL ? 0 : encoder_end(x->encoder, &x->ready, err);
}

/* The origin has sent all; go on as front takes it. */
static void
drain(struct exchange *x)
{
	cleanup_buf struct buf body = { 0 };
	struct error err = { 0 };
	size_t used;

	if (x->scrub != NULL) {
		if (take(x, NULL, 0, &used) < 0 || x->decoder_full)
			return;
		if (!x->rsp_finished && finish(x, &err) < 0) {
			xch_fail(x, 502, "response_encoded", err.msg,
			    "ask for another resource");
			return;
		}
		x->rsp_finished = true;
		(void)send_ready(x);
		if (buf_len(&x->ready) > 0)
			return;
	}
	(void)trailers_put(&body, &x->rsp_trailers);
	xch_tell(x, M_RSP_END, &body);
	/* Nobody else's answer can go with it: what is left to do here is done
	 * while front goes on. */
	if (x->back->n == 1 && x->back->front != NULL)
		(void)chan_flush(x->back->front->chan, 0);
	if (!x->rsp_half)
		record_outcome(x, NULL);
	x->rsp_ended = true;
	if (!x->rsp_half)
		xch_end(x, false);
}

/* The connection is free although front has not taken all. */
static void
let_go(struct exchange *x)
{
	upstream_release(x->up, x->end_sent);
	x->up = NULL;
}

void
xch_rsp_other_half(struct exchange *x)
{
	x->rsp_half = false;
	let_go(x);
	x->state = X_DRAIN;
	if (!x->rsp_ended)
		return;
	record_outcome(x, NULL);
	xch_end(x, false);
}

static void
start_drain(struct exchange *x, struct fields *trailers)
{
	cleanup_buf struct buf body = { 0 };

	scrub_fields(x, trailers);
	if (trailers_put(&body, trailers) < 0) {
		xch_fail(x, 502, "upstream_broken",
		    "the trailers are too large", "ask for another resource");
		return;
	}
	x->rsp_trailers = *trailers;
	memset(trailers, 0, sizeof(*trailers));
	if (!x->rsp_half)
		x->state = X_DRAIN;
	drain(x);
}

/* All of it is plain already; a decoder would only confirm that. */
static int
end_decoding(struct exchange *x, struct error *err)
{
	int rc = x->decoder == NULL ? 0 : decoder_end(x->decoder, err);

	decoder_free(x->decoder);
	x->decoder = NULL;
	x->decoder_full = false;
	return rc;
}

void
xch_rsp_done(struct exchange *x, struct fields *trailers)
{
	struct error err = { 0 };

	if (early_hold_end(x, trailers) || !xch_scrub_trusts(x))
		return;
	if (x->held != NULL && end_decoding(x, &err) < 0) {
		xch_fail(x, 502, "response_encoded", err.msg,
		    "ask for another resource");
		return;
	}
	/* The other half of a WebSocket goes on. */
	x->rsp_half = x->status == 101 && !x->end_sent;
	if (!x->rsp_half)
		let_go(x);
	if (x->held != NULL)
		capture_end(x, trailers);
	else
		start_drain(x, trailers);
}

void
xch_rsp_whole(struct exchange *x, struct rsp_head *head, const uint8_t *p,
    size_t n, struct fields *trailers)
{
	struct error err = { 0 };

	send_head(x, head);
	if (x->state == X_GONE)
		return;
	if (scrub_step(x, p, n, &err) < 0) {
		xch_fail(x, 502, "response_encoded", err.msg,
		    "ask for another resource");
		return;
	}
	start_drain(x, trailers);
}

void
xch_pull(struct exchange *x)
{
	if (x->raw != NULL)
		raw_schedule(x->raw);
	if (!x->blocked || front_is_full(x->back))
		return;
	x->blocked = false;
	if (x->state == X_DRAIN || (x->rsp_half && !x->rsp_ended)) {
		drain(x);
		return;
	}
	if (x->up == NULL)
		return;
	if (x->scrub != NULL) {
		size_t used;

		if (take(x, NULL, 0, &used) < 0 || x->blocked)
			return;
	}
	upstream_resume(x->up);
}

#include "proxy/front_h2.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

/* A token for each frame, of which those that are of use give theirs back. */
static void
rate_refund(struct rate *r, unsigned int n, unsigned int burst)
{
	r->tokens = burst - r->tokens < n ? burst : r->tokens + n;
}

static struct h2_stream *
find(nghttp2_session *s, int32_t id)
{
	return nghttp2_session_get_stream_user_data(s, id);
}

/* ---- streams that stand still ------------------------------------------ */

/* Is it the agent's turn?  *since is the earliest time from which it was. */
static bool
waits_for_agent(const struct h2_stream *st, uint64_t *since)
{
	const struct exchange *ex = &st->ex;
	const struct h2 *h = ex->c->h2;
	bool asked = ex->expect && !ex->rsp_head;

	*since = st->moved;
	/* It owes the body or its end; an answer may wait for a person. */
	if (st->answered || (ex->serial != 0 && !ex->req_done && !ex->tunnel &&
				ex->tx_credit > 0 && !asked))
		return true;
	if (buf_len(&st->out) == 0)
		return false;
	if (nghttp2_session_get_stream_remote_window_size(h->s, st->id) <= 0)
		return true;
	/* What there was may have gone to streams that come before it. */
	if (h->sent > *since)
		*since = h->sent;
	return nghttp2_session_get_remote_window_size(h->s) <= 0;
}

/* Earlier than it is set to is not needed: moved only grows. */
static void
arm_stall(struct conn *c, uint64_t ms)
{
	if (!c->h2->stall_set)
		ev_timer_set(c->h2->stall, ms);
	c->h2->stall_set = true;
}

static void
on_stall(void *arg)
{
	struct conn *c = arg;
	uint64_t now = ev_now_ms(), first = now + FRONT_STALL_MS, since;

	c->h2->stall_set = false;
	if (c->h2->streams == NULL)
		return;
	for (struct h2_stream *st = c->h2->streams; st != NULL; st = st->next) {
		if (waits_for_agent(st, &since) &&
		    now - since >= FRONT_STALL_MS) {
			h2_stream_stalled(st);
			st->moved = now;
		} else if (since + FRONT_STALL_MS > now &&
			   since + FRONT_STALL_MS < first) {
			first = since + FRONT_STALL_MS;
		}
	}
	arm_stall(c, first - now);
}

/* ---- what nghttp2 calls ------------------------------------------------ */

static int
too_much(struct conn *c, const char *what)
{
	c->h2->calm = what;
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int
on_begin_frame(nghttp2_session *s, const nghttp2_frame_hd *hd, void *arg)
{
	struct conn *c = arg;

	if (!rate_take(&c->h2->chores, FRONT_H2_CHORE_BURST, FRONT_H2_CHORE_MS))
		return too_much(c, "too many HTTP/2 frames without content");
	return 0;
}

static int
on_begin_headers(nghttp2_session *s, const nghttp2_frame *frame, void *arg)
{
	struct conn *c = arg;
	struct h2_stream *st;

	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	st = h2_stream_new(c, frame->hd.stream_id);
	arm_stall(c, FRONT_STALL_MS);
	nghttp2_session_set_stream_user_data(s, st->id, st);
	return 0;
}

static int
on_header(nghttp2_session *s, const nghttp2_frame *frame, nghttp2_rcbuf *name,
    nghttp2_rcbuf *value, uint8_t flags, void *arg)
{
	struct h2_stream *st = find(s, frame->hd.stream_id);
	nghttp2_vec n = nghttp2_rcbuf_get_buf(name);
	nghttp2_vec v = nghttp2_rcbuf_get_buf(value);

	if (st != NULL)
		h2_stream_field(st, (const char *)n.base, n.len,
		    (const char *)v.base, v.len);
	return 0;
}

static int
on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *arg)
{
	struct conn *c = arg;
	struct h2_stream *st = find(s, frame->hd.stream_id);
	bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	if (frame->hd.type == NGHTTP2_SETTINGS)
		c->h2->greeted = true;
	if (st == NULL)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS) {
		rate_refund(&c->h2->chores, FRONT_H2_CHORES_PER_REQUEST,
		    FRONT_H2_CHORE_BURST);
		if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
			h2_stream_head(st, end);
		else
			h2_stream_trailers(st);
	} else if (frame->hd.type == NGHTTP2_DATA && end) {
		h2_stream_end(st);
	}
	return 0;
}

/*
 * The rest of a request that has been answered.  A reset at once would be
 * right (RFC 9113 section 8.1), but curl 7.88 drops the answer when one comes
 * while it sends: it gets some time to see that it can stop.
 */
static int
drop_unwanted(struct h2_stream *st, size_t n)
{
	nghttp2_session *s = st->ex.c->h2->s;

	st->unwanted += n;
	if (st->unwanted > FRONT_LINGER_MAX)
		nghttp2_submit_rst_stream(
		    s, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR);
	else if (nghttp2_session_consume_stream(s, st->id, n) < 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int
on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p,
    size_t n, void *arg)
{
	struct conn *c = arg;
	struct h2_stream *st = find(s, id);

	if (n > 0)
		rate_refund(&c->h2->chores, 1, FRONT_H2_CHORE_BURST);
	/* Back's credit bounds each stream, its channel all of them. */
	if (nghttp2_session_consume_connection(s, n) < 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (st != NULL && st->answered)
		return drop_unwanted(st, n);
	if (st != NULL)
		h2_stream_data(st, p, n);
	return 0;
}

static int
on_close(nghttp2_session *s, int32_t id, uint32_t code, void *arg)
{
	struct conn *c = arg;
	struct h2_stream *st = find(s, id);
	bool early;

	if (st == NULL)
		return 0;
	early = !st->ended;
	nghttp2_session_set_stream_user_data(s, id, NULL);
	h2_stream_free(c, st);
	if (early &&
	    !rate_take(&c->h2->resets, FRONT_H2_RESET_BURST, FRONT_H2_RESET_MS))
		return too_much(c, "too many HTTP/2 streams reset");
	return 0;
}

static int
on_invalid(nghttp2_session *s, const nghttp2_frame *frame, int error, void *arg)
{
	conn_event(arg, FRONT_BAD_HTTP, nghttp2_strerror(error));
	return 0;
}

static int
on_sent(nghttp2_session *s, const nghttp2_frame *frame, void *arg)
{
	struct conn *c = arg;
	int32_t id = frame->hd.stream_id;
	struct h2_stream *st = find(s, id);

	if (frame->hd.type == NGHTTP2_DATA)
		rate_refund(&c->h2->chores, FRONT_H2_CHORES_PER_DATA,
		    FRONT_H2_CHORE_BURST);
	if (frame->hd.type == NGHTTP2_GOAWAY &&
	    frame->goaway.error_code != NGHTTP2_NO_ERROR &&
	    c->h2->calm == NULL) {
		cleanup_free char *text = xasprintf("HTTP/2 ended with %s",
		    nghttp2_http2_strerror(frame->goaway.error_code));

		conn_event(c, FRONT_BAD_HTTP, text);
	}
	if (st != NULL && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
	    (frame->hd.type == NGHTTP2_DATA ||
		frame->hd.type == NGHTTP2_HEADERS) &&
	    !st->ex.tunnel)
		st->answered = true;
	return 0;
}

/* A DATA frame goes from the stream's buffer into the connection's. */
static int
send_data(nghttp2_session *s, nghttp2_frame *frame, const uint8_t *head,
    size_t n, nghttp2_data_source *source, void *arg)
{
	struct conn *c = arg;
	struct h2_stream *st = find(s, frame->hd.stream_id);

	if (st == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (buf_len(&c->out) >= FRONT_H2_OUT_HIGH)
		return NGHTTP2_ERR_WOULDBLOCK;
	buf_put(&c->out, head, 9);
	buf_put(&c->out, buf_head(&st->out), n);
	buf_consume(&st->out, n);
	c->waiting -= n;
	st->moved = c->h2->sent = ev_now_ms();
	st->ex.rx_taken += n;
	exchange_grant(&st->ex);
	return 0;
}

/* Of frames that mean nothing here, so that they are counted: dropped. */
static int
on_unknown(nghttp2_session *s, const nghttp2_frame_hd *hd, const uint8_t *p,
    size_t n, void *arg)
{
	return 0;
}

static int
unpack_unknown(
    nghttp2_session *s, void **payload, const nghttp2_frame_hd *hd, void *arg)
{
	return NGHTTP2_ERR_CANCEL;
}

static nghttp2_session_callbacks *
callbacks(void)
{
	static nghttp2_session_callbacks *cb;

	if (cb != NULL)
		return cb;
	if (nghttp2_session_callbacks_new(&cb) != 0)
		fatalx("out of memory");
	nghttp2_session_callbacks_set_on_begin_frame_callback(
	    cb, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(
	    cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
	    cb, on_invalid);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
	nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
	nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(
	    cb, on_unknown);
	nghttp2_session_callbacks_set_unpack_extension_callback(
	    cb, unpack_unknown);
	return cb;
}

/* ---- the session ------------------------------------------------------- */

static nghttp2_option *
options(void)
{
	static nghttp2_option *o;

	if (o != NULL)
		return o;
	if (nghttp2_option_new(&o) != 0)
		fatalx("out of memory");
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_continuations(o, FRONT_H2_CONTINUATIONS_MAX);
	nghttp2_option_set_max_settings(o, FRONT_H2_SETTINGS_MAX);
	nghttp2_option_set_max_outbound_ack(o, 2 * FRONT_H2_CHORE_BURST);
	nghttp2_option_set_stream_reset_rate_limit(
	    o, FRONT_H2_RESET_BURST, 1000 / FRONT_H2_RESET_MS);
	for (unsigned int type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX;
	     type++)
		nghttp2_option_set_user_recv_extension_type(o, (uint8_t)type);
	return o;
}

void
h2_start(struct conn *c)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
		    FRONT_H2_STREAMS_MAX },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WIRE_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, FRONT_H2_HEAD_MAX },
		{ NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
	};

	c->h2 = xcalloc(1, sizeof(*c->h2));
	c->h2->stall = ev_timer_new(c->f->ev, on_stall, c);
	if (nghttp2_session_server_new2(&c->h2->s, callbacks(), c, options()) !=
		0 ||
	    nghttp2_submit_settings(
		c->h2->s, NGHTTP2_FLAG_NONE, settings, nitems(settings)) != 0 ||
	    nghttp2_session_set_local_window_size(
		c->h2->s, NGHTTP2_FLAG_NONE, 0, (int32_t)FRONT_H2_WINDOW) != 0)
		fatalx("out of memory");
	conn_opened(c, &front_h2);
}

static void
drop_streams(struct conn *c, const char *why)
{
	struct h2_stream *next;

	for (struct h2_stream *st = c->h2->streams; st != NULL; st = next) {
		next = st->next;
		exchange_abort(&st->ex, why);
		nghttp2_session_set_stream_user_data(c->h2->s, st->id, NULL);
		h2_stream_free(c, st);
	}
}

/* Say GOAWAY and close. */
static void
leave(struct conn *c, uint32_t code, const char *why)
{
	c->owes = true;
	nghttp2_session_terminate_session(c->h2->s, code);
	drop_streams(c, why);
	conn_finish(c);
}

static bool
h2_wants_input(const struct conn *c)
{
	/* Who does not read what he asked for may not ask for more. */
	if (buf_len(&c->out) >= FRONT_H2_OUT_MAX)
		return false;
	if (!front_congested(c->f))
		return true;
	for (struct h2_stream *st = c->h2->streams; st != NULL; st = st->next)
		if (st->ex.serial != 0 && !st->ex.req_done)
			return false;
	return true;
}

static bool
h2_advance(struct conn *c)
{
	struct h2 *h = c->h2;
	ssize_t n =
	    nghttp2_session_mem_recv(h->s, buf_head(&c->in), buf_len(&c->in));

	buf_clear(&c->in);
	if (h->calm != NULL) {
		conn_event(c, FRONT_LIMIT, h->calm);
		leave(c, NGHTTP2_ENHANCE_YOUR_CALM, h->calm);
		return false;
	}
	if (n < 0) {
		conn_event(c, FRONT_BAD_HTTP, nghttp2_strerror((int)n));
		leave(c, NGHTTP2_PROTOCOL_ERROR, "HTTP/2 error");
		return false;
	}
	conn_schedule(c);
	return h2_wants_input(c);
}

static void
h2_eof(struct conn *c)
{
	conn_close(c);
}

static bool
h2_fill(struct conn *c)
{
	struct h2 *h = c->h2;
	const uint8_t *p;
	ssize_t n;

	while (buf_len(&c->out) < FRONT_H2_OUT_HIGH &&
	       (n = nghttp2_session_mem_send(h->s, &p)) != 0) {
		if (n < 0) {
			/* Nothing more can be said. */
			drop_streams(c, nghttp2_strerror((int)n));
			conn_finish(c);
			break;
		}
		buf_put(&c->out, p, (size_t)n);
	}
	if (h->calm != NULL && !c->closing) {
		conn_event(c, FRONT_LIMIT, h->calm);
		leave(c, NGHTTP2_ENHANCE_YOUR_CALM, h->calm);
	}
	if (!c->closing && nghttp2_session_want_read(h->s) == 0 &&
	    nghttp2_session_want_write(h->s) == 0) {
		c->owes = true;
		drop_streams(c, "the HTTP/2 connection ended");
		conn_finish(c);
	}
	return buf_len(&c->out) > 0;
}

static void
h2_wrote(struct conn *c)
{
}

static enum conn_timer
h2_timer(const struct conn *c)
{
	if (c->h2->streams == NULL)
		return c->h2->greeted ? TIMER_IDLE : TIMER_HEAD;
	for (struct h2_stream *st = c->h2->streams; st != NULL; st = st->next)
		if (!st->head_done)
			return TIMER_HEAD;
	/* Each stream has a time of its own. */
	return TIMER_NONE;
}

static bool
h2_expired(struct conn *c)
{
	leave(c, NGHTTP2_NO_ERROR, "the agent was silent");
	return true;
}

static void
h2_goodbye(struct conn *c)
{
	leave(c, NGHTTP2_NO_ERROR, "front ends");
}

static void
h2_end(struct conn *c)
{
	drop_streams(c, "the agent's connection is gone");
	nghttp2_session_del(c->h2->s);
	ev_timer_free(c->h2->stall);
	free(c->h2);
	c->h2 = NULL;
}

const struct front_proto front_h2 = {
	.advance = h2_advance,
	.wants_input = h2_wants_input,
	.eof = h2_eof,
	.fill = h2_fill,
	.wrote = h2_wrote,
	.timer = h2_timer,
	.expired = h2_expired,
	.end = h2_end,
	.goodbye = h2_goodbye,
	.on_continue = h2_on_continue,
	.on_head = h2_on_head,
	.on_body = h2_on_body,
	.on_end = h2_on_end,
	.on_deny = h2_on_deny,
	.on_fail = h2_on_fail,
	.on_credit = h2_on_credit,
};

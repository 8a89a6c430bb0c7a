#include "proxy/back_ws.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/swap_body.h"
#include "proxy/ws.h"

#define FILL_MAX 16384u /* bytes of frames at a time */
#define EXTENSIONS "Sec-WebSocket-Extensions"

struct xch_ws {
	struct ws *up;   /* what the agent says; NULL: no longer read */
	struct ws *down; /* what the origin says; NULL: passed on as it is */
	struct swap_body *swap; /* NULL: nothing is put in */
	struct buf out;         /* towards the origin; wiped */
};

/* ---- messages of the agent ---------------------------------------------- */

static void
look_for_stubs(struct exchange *x, struct buf *tail, const uint8_t *p, size_t n)
{
	const struct binding *b;

	if (x->body_stub)
		return;
	b = bindings_seek(&x->back->bindings, tail, p, n);
	if (b == NULL)
		return;
	x->body_stub = true;
	record_leak(x, b->name,
	    "the placeholder stands in a message of the WebSocket, where it is "
	    "not replaced",
	    true);
}

static void
up_data(void *arg, bool text, const uint8_t *p, size_t n, bool last,
    struct buf *out)
{
	struct exchange *x = arg;
	struct swap_body *swap = text ? x->ws->swap : NULL;
	size_t was = buf_len(out);

	if (swap != NULL && n > 0)
		swap_body_feed(swap, p, n, out);
	else
		buf_put(out, p, n);
	if (swap != NULL && last)
		swap_body_end(swap, out);
	look_for_stubs(
	    x, &x->stub_tail, buf_head(out) + was, buf_len(out) - was);
	if (last)
		buf_clear(&x->stub_tail);
}

static void
up_control(void *arg, bool pong, uint8_t *p, size_t n)
{
	cleanup_buf struct buf tail = { 0 };

	/* It says what the origin's ping said when it came here. */
	if (!pong)
		look_for_stubs(arg, &tail, p, n);
}

static const struct ws_ops up_ops = { up_data, up_control };

/* ---- messages of the origin --------------------------------------------- */

static void
down_data(void *arg, bool text, const uint8_t *p, size_t n, bool last,
    struct buf *out)
{
	struct exchange *x = arg;

	(void)text;
	scrub_feed(x->scrub, p, n, out);
	if (last)
		scrub_end(x->scrub, out);
}

static void
down_control(void *arg, bool pong, uint8_t *p, size_t n)
{
	(void)pong;
	scrub_text(((struct exchange *)arg)->scrub, (char *)p, n);
}

static const struct ws_ops down_ops = { down_data, down_control };

/* ---- from handshake to end ---------------------------------------------- */

void
xch_ws_offer(struct fields *fs)
{
	cleanup_buf struct buf offer = { 0 };

	for (size_t i = 0; i < fs->n; i++)
		if (strcasecmp(fs->f[i].name, EXTENSIONS) == 0)
			ws_offer_cut(fs->f[i].value, &offer);
	fields_remove(fs, EXTENSIONS);
	if (buf_len(&offer) == 0)
		return;
	buf_put_u8(&offer, 0);
	fields_set(fs, EXTENSIONS, (const char *)buf_head(&offer));
}

/* Of credentials whose stubs may stand in text messages. */
static void
add_swap(struct exchange *x)
{
	size_t n = 0;

	for (size_t i = 0; i < x->ncreds && n < SWAP_BODY_CREDS_MAX; i++) {
		const struct binding *b =
		    bindings_cred(&x->back->bindings, x->cred[i].cred);

		if (b == NULL || b->revoked || x->cred[i].value == NULL ||
		    (b->spec.surfaces & SURFACE_WS_TEXT) == 0)
			continue;
		if (x->ws->swap == NULL)
			x->ws->swap = swap_body_new(SWAP_BODY_TEXT);
		swap_body_add(x->ws->swap, b->stub, x->cred[i].value);
		n++;
	}
}

int
xch_ws_open(struct exchange *x, const struct rsp_head *h, struct error *err)
{
	struct codec_memory *m = &x->back->codecs;
	bool deflate = false, known = true;

	if (x->scrub == NULL && x->back->bindings.seek == NULL)
		return 0;
	for (size_t i = 0; i < h->fields.n; i++)
		if (strcasecmp(h->fields.f[i].name, EXTENSIONS) == 0 &&
		    ws_agreed(h->fields.f[i].value, &deflate) < 0)
			known = false;
	if (!known && x->scrub != NULL)
		return error_set(err, 0,
		    "the server wants an extension of WebSocket that brig "
		    "does not know, so its messages cannot be searched for "
		    "credentials");
	if (!known)
		return 0;
	x->ws = xcalloc(1, sizeof(*x->ws));
	buf_init_wipe(&x->ws->out, 0);
	x->ws->up = ws_new(true, deflate, m, &up_ops, x);
	if (x->scrub == NULL)
		return 0;
	x->ws->down = ws_new(false, deflate, m, &down_ops, x);
	add_swap(x);
	return 0;
}

void
xch_ws_free(struct exchange *x)
{
	if (x->ws == NULL)
		return;
	ws_free(x->ws->up);
	ws_free(x->ws->down);
	swap_body_free(x->ws->swap);
	buf_free(&x->ws->out);
	free(x->ws);
	x->ws = NULL;
}

struct buf *
xch_ws_data(struct exchange *x)
{
	return &x->ws->out;
}

uint64_t
xch_ws_swapped(const struct exchange *x)
{
	return x->ws->swap == NULL ? 0 : swap_body_count(x->ws->swap);
}

/* Tell the agent in its own words, if it is not in the middle of a frame. */
static void
give_up(struct exchange *x, unsigned int code, const char *why)
{
	cleanup_buf struct buf close = { 0 }, end = { 0 };
	static const struct fields none;
	struct back *b = x->back;

	ws_put_close(&close, false, code, why);
	if (x->rsp_ended || buf_len(&x->ready) > 0 ||
	    x->rsp_credit < buf_len(&close) || b->front == NULL) {
		xch_abort(x, why);
		return;
	}
	chan_send_bytes(b->front->chan, M_RSP_BODY, b->job, x->id,
	    buf_head(&close), buf_len(&close));
	record_outcome(x, why);
	(void)trailers_put(&end, &none);
	xch_tell(x, M_RSP_END, &end);
	xch_end(x, false);
}

/* Read without changing anything; what cannot be read is not our matter. */
static void
inspect(struct exchange *x, const uint8_t *p, size_t n)
{
	while (x->ws->up != NULL && (n > 0 || ws_more(x->ws->up))) {
		cleanup_buf struct buf seen = { .wipe = true };
		struct error err = { 0 };
		unsigned int code;
		size_t used;

		if (ws_feed(x->ws->up, p, n, &used, &seen, FILL_MAX, &code,
			&err) < 0) {
			ws_free(x->ws->up);
			x->ws->up = NULL;
			return;
		}
		p += used;
		n -= used;
	}
}

size_t
xch_ws_fill(struct exchange *x)
{
	struct xch_ws *s = x->ws;
	struct error err = { 0 };
	size_t took = 0, used = 0;
	unsigned int code;

	while (buf_len(&s->out) < FILL_MAX &&
	       (buf_len(&x->req) > 0 || (s->up != NULL && ws_more(s->up)))) {
		size_t n = buf_len(&x->req);

		if (s->down == NULL) {
			used = n < FILL_MAX ? n : FILL_MAX;
			inspect(x, buf_head(&x->req), used);
			buf_put(&s->out, buf_head(&x->req), used);
			if (n == 0)
				break;
		} else if (ws_feed(s->up, buf_head(&x->req), n, &used, &s->out,
			       FILL_MAX, &code, &err) < 0) {
			give_up(x, code, err.msg);
			return 0;
		}
		buf_consume(&x->req, used);
		took += used;
	}
	return took;
}

bool
xch_ws_step(struct exchange *x, const uint8_t *p, size_t n, size_t *used)
{
	struct error err = { 0 };
	unsigned int code;

	if (ws_feed(x->ws->down, p, n, used, &x->ready, FILL_MAX, &code, &err) <
	    0) {
		give_up(x, code, err.msg);
		return false;
	}
	x->decoder_full = ws_more(x->ws->down);
	return true;
}

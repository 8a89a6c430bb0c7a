/*
 * Run a stream of frames through proxy/ws.h, a value on its way being scrubbed,
 * and read what comes out with a second, strict and simple reader.  The log
 * has each message and control frame; any chunking must give the same.
 */
#ifndef BRIG_TESTS_WS_RUN_H
#define BRIG_TESTS_WS_RUN_H

#include <stdlib.h>
#include <string.h>

#include "proxy/scrub.h"
#include "proxy/ws.h"

struct ws_run {
	struct scrub *scrub;
	struct buf out;  /* frames */
	struct buf log;  /* what they say */
	size_t frames;   /* in out */
	size_t messages; /* complete ones */
	unsigned int code;
	struct error err;
	bool cut; /* there was more than ws_run_max */
};

static size_t ws_run_max = SIZE_MAX; /* bytes that come out, about */

static void
ws_run_data(void *arg, bool text, const uint8_t *p, size_t n, bool last,
    struct buf *out)
{
	struct ws_run *r = arg;

	(void)text;
	scrub_feed(r->scrub, p, n, out);
	if (last)
		scrub_end(r->scrub, out);
}

static void
ws_run_control(void *arg, bool pong, uint8_t *p, size_t n)
{
	(void)pong;
	scrub_text(((struct ws_run *)arg)->scrub, (char *)p, n);
}

/* One frame of what went out. */
static void
ws_run_frame(struct ws_run *r, const uint8_t **p, const uint8_t *end,
    bool masked, struct buf *message, uint8_t *kind)
{
	const uint8_t *q = *p, *key = NULL;
	uint64_t n;

	if (end - q < 2 || (q[0] & 0x70) != 0 || (q[1] >= 128) != masked)
		abort();
	uint8_t op = q[0] & 15;
	bool fin = q[0] >= 128;
	n = q[1] & 127;
	q += 2;
	if (n == 126) {
		n = (uint64_t)q[0] << 8 | q[1];
		q += 2;
		if (n < 126)
			abort();
	} else if (n == 127) {
		for (n = 0; q < *p + 10; q++)
			n = n << 8 | *q;
		if (n < 65536)
			abort();
	}
	if (masked) {
		key = q;
		q += 4;
	}
	if (q > end || n > (uint64_t)(end - q))
		abort();
	struct buf *to = op >= 8 ? &r->log : message;
	if (op >= 8)
		buf_printf(&r->log, "\nC%u %u ", op, (unsigned int)n);
	else if ((op == 0) != (*kind != 0))
		abort();
	else if (op != 0)
		*kind = op;
	for (size_t i = 0; i < n; i++)
		buf_put_u8(to, masked ? q[i] ^ key[i & 3] : q[i]);
	if (op < 8 && fin) {
		buf_printf(&r->log, "\nM%u %zu ", *kind, buf_len(message));
		buf_put(&r->log, buf_head(message), buf_len(message));
		buf_clear(message);
		*kind = 0;
		r->messages++;
	}
	r->frames++;
	*p = q + n;
}

static void
ws_run_read(struct ws_run *r, bool masked)
{
	const uint8_t *p = buf_head(&r->out), *end;
	cleanup_buf struct buf message = { 0 };
	uint8_t kind = 0;

	end = p + buf_len(&r->out);
	while (p < end)
		ws_run_frame(r, &p, end, masked, &message, &kind);
}

/* chunk 0: all at once.  Free with ws_run_free(). */
static void
ws_run(struct ws_run *r, bool masked, bool deflate, const char *real,
    const char *stub, const uint8_t *p, size_t n, size_t chunk, size_t max)
{
	static const struct ws_ops ops = { ws_run_data, ws_run_control };
	struct codec_memory m = { 0 };
	struct ws *w = ws_new(masked, deflate, &m, &ops, r);
	int rc = 0;

	memset(r, 0, sizeof(*r));
	r->scrub = scrub_new();
	scrub_add(r->scrub, real, stub, strlen(real));
	for (size_t at = 0; rc == 0 && (at < n || ws_more(w));) {
		size_t k = chunk == 0 || chunk > n - at ? n - at : chunk;
		size_t was = buf_len(&r->out), used;

		rc = ws_feed(
		    w, p + at, k, &used, &r->out, max, &r->code, &r->err);
		if (used > k ||
		    buf_len(&r->out) - was > max + WS_KEEP_MAX + 32768)
			abort();
		/* It takes all, or there is something to show for it. */
		if (rc == 0 && used < k && buf_len(&r->out) == was)
			abort();
		at += used;
		if (buf_len(&r->out) > ws_run_max) {
			r->cut = true;
			break;
		}
	}
	if ((rc < 0) != (r->code != 0) || (rc < 0) != (r->err.msg[0] != '\0'))
		abort();
	ws_free(w);
	if (m.used != 0)
		abort();
	ws_run_read(r, masked);
}

static void
ws_run_free(struct ws_run *r)
{
	scrub_free(r->scrub);
	buf_free(&r->out);
	buf_free(&r->log);
}

#endif

#include "proxy/ws.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

#define STEP 16384u /* bytes of a payload at a time */

#define FIN 0x80u
#define RSV1 0x40u
#define RSV 0x70u
#define MASKED 0x80u

enum opcode {
	OP_CONTINUATION = 0,
	OP_TEXT = 1,
	OP_BINARY = 2,
	OP_CLOSE = 8,
	OP_PING = 9,
	OP_PONG = 10,
};

struct ws {
	bool masked, deflate;
	struct codec_memory *memory;
	const struct ws_ops *ops;
	void *arg;

	uint8_t head[14];
	size_t nhead;
	bool in_frame;
	bool fin;
	uint8_t op;    /* of the frame */
	uint64_t left; /* bytes of its payload */
	uint8_t key[4];
	size_t at; /* in the payload, mod 4 */

	uint8_t message; /* OP_TEXT, OP_BINARY, or 0 between messages */
	bool compressed;
	bool begun;  /* its first frame is out */
	bool tail;   /* the end of its compressed data was added */
	bool more;   /* the decoder may have more */
	bool paused; /* at max */
	bool closed; /* what follows a close frame is nothing */
	struct decoder *decoder;
	struct buf in;      /* unmasked, not yet decoded */
	struct buf payload; /* of the frame to go out */
};

struct ws *
ws_new(bool masked, bool deflate, struct codec_memory *m,
    const struct ws_ops *ops, void *arg)
{
	struct ws *w = xcalloc(1, sizeof(*w));

	w->masked = masked;
	w->deflate = deflate;
	w->memory = m;
	w->ops = ops;
	w->arg = arg;
	buf_init_wipe(&w->in, 0);
	buf_init_wipe(&w->payload, 0);
	return w;
}

void
ws_free(struct ws *w)
{
	if (w == NULL)
		return;
	decoder_free(w->decoder);
	buf_free(&w->in);
	buf_free(&w->payload);
	free(w);
}

bool
ws_more(const struct ws *w)
{
	return w->paused;
}

/* ---- writing ------------------------------------------------------------ */

static void
put_frame(struct buf *out, bool masked, bool fin, uint8_t op, const uint8_t *p,
    size_t n)
{
	uint8_t mask = masked ? MASKED : 0;
	uint8_t key[4] = { 0 }, *dst;

	buf_put_u8(out, (uint8_t)((fin ? FIN : 0) | op));
	if (n < 126) {
		buf_put_u8(out, (uint8_t)(mask | n));
	} else if (n < 65536) {
		buf_put_u8(out, mask | 126);
		buf_put_u8(out, (uint8_t)(n >> 8));
		buf_put_u8(out, (uint8_t)n);
	} else {
		buf_put_u8(out, mask | 127);
		for (int shift = 56; shift >= 0; shift -= 8)
			buf_put_u8(out, (uint8_t)((uint64_t)n >> shift));
	}
	if (masked) {
		arc4random_buf(key, sizeof(key));
		buf_put(out, key, sizeof(key));
	}
	if (n == 0)
		return;
	dst = buf_reserve(out, n);
	for (size_t i = 0; i < n; i++)
		dst[i] = p[i] ^ key[i & 3];
	buf_commit(out, n);
}

void
ws_put_close(struct buf *out, bool masked, unsigned int code, const char *why)
{
	uint8_t p[WS_CONTROL_MAX] = { (uint8_t)(code >> 8), (uint8_t)code };
	size_t n = strlen(why);

	n = n < sizeof(p) - 2 ? n : sizeof(p) - 2;
	memcpy(p + 2, why, n);
	put_frame(out, masked, true, OP_CLOSE, p, n + 2);
}

/* What is ready of the message, as one frame. */
static void
emit(struct ws *w, bool fin, struct buf *out)
{
	if (buf_len(&w->payload) == 0 && !fin)
		return;
	put_frame(out, w->masked, fin, w->begun ? OP_CONTINUATION : w->message,
	    buf_head(&w->payload), buf_len(&w->payload));
	w->begun = true;
	buf_clear(&w->payload);
}

/* ---- reading ------------------------------------------------------------ */

static int
broken(
    unsigned int *code, unsigned int why, struct error *err, const char *what)
{
	*code = why;
	return error_set(err, 0, "the WebSocket is broken: %s", what);
}

/* Of the whole head; 2 is the least that tells. */
static size_t
head_size(const struct ws *w)
{
	size_t n = 2;

	if (w->nhead < 2)
		return n;
	if ((w->head[1] & 127) == 126)
		n += 2;
	else if ((w->head[1] & 127) == 127)
		n += 8;
	return n + ((w->head[1] & MASKED) != 0 ? 4 : 0);
}

/* Lengths are in the fewest bytes (RFC 6455 section 5.2). */
static int
read_length(struct ws *w, unsigned int *code, struct error *err)
{
	unsigned int n = w->head[1] & 127;
	size_t bytes = n == 126 ? 2 : n == 127 ? 8 : 0;

	w->left = bytes == 0 ? n : 0;
	for (size_t i = 0; i < bytes; i++)
		w->left = w->left << 8 | w->head[2 + i];
	if ((bytes == 2 && w->left < 126) || (bytes == 8 && w->left < 65536) ||
	    w->left >> 63 != 0)
		return broken(code, WS_CLOSE_PROTOCOL, err, "bad length");
	if (w->masked)
		memcpy(w->key, w->head + 2 + bytes, sizeof(w->key));
	return 0;
}

static int
begin_message(struct ws *w, unsigned int *code, struct error *err)
{
	if (w->op == OP_CONTINUATION) {
		if (w->message == 0)
			return broken(code, WS_CLOSE_PROTOCOL, err,
			    "a continuation of nothing");
		if ((w->head[0] & RSV1) != 0)
			return broken(code, WS_CLOSE_PROTOCOL, err,
			    "reserved bits are set");
		return 0;
	}
	if (w->message != 0)
		return broken(code, WS_CLOSE_PROTOCOL, err,
		    "a message begins inside another");
	w->message = w->op;
	w->compressed = (w->head[0] & RSV1) != 0;
	w->begun = w->tail = false;
	if (w->compressed && w->decoder == NULL)
		w->decoder = decoder_new_bare(w->memory);
	return 0;
}

static int
begin_frame(struct ws *w, unsigned int *code, struct error *err)
{
	uint8_t rsv = w->head[0] & RSV;

	w->fin = (w->head[0] & FIN) != 0;
	w->op = w->head[0] & 15;
	w->at = 0;
	if (((w->head[1] & MASKED) != 0) != w->masked)
		return broken(code, WS_CLOSE_PROTOCOL, err,
		    w->masked ? "a client's frame is not masked"
			      : "a server's frame is masked");
	if (read_length(w, code, err) < 0)
		return -1;
	if ((rsv & ~RSV1) != 0 || (rsv != 0 && !w->deflate))
		return broken(
		    code, WS_CLOSE_PROTOCOL, err, "reserved bits are set");
	switch (w->op) {
	case OP_CONTINUATION:
	case OP_TEXT:
	case OP_BINARY:
		return begin_message(w, code, err);
	case OP_CLOSE:
	case OP_PING:
	case OP_PONG:
		break;
	default:
		return broken(
		    code, WS_CLOSE_PROTOCOL, err, "unknown kind of frame");
	}
	if (!w->fin || rsv != 0 || w->left > WS_CONTROL_MAX ||
	    (w->op == OP_CLOSE && w->left == 1))
		return broken(
		    code, WS_CLOSE_PROTOCOL, err, "malformed control frame");
	return 0;
}

static int
read_head(struct ws *w, const uint8_t *p, size_t n, size_t *used,
    unsigned int *code, struct error *err)
{
	while (*used < n && w->nhead < head_size(w))
		w->head[w->nhead++] = p[(*used)++];
	if (w->nhead < head_size(w))
		return 0;
	w->nhead = 0;
	w->in_frame = true;
	return begin_frame(w, code, err);
}

static void
read_payload(struct ws *w, const uint8_t *p, size_t n, size_t *used)
{
	size_t k = n - *used < STEP ? n - *used : STEP;
	uint8_t *dst;

	if (k > w->left)
		k = (size_t)w->left;
	if (k == 0)
		return;
	dst = buf_reserve(&w->in, k);
	p += *used;
	for (size_t i = 0; i < k; i++)
		dst[i] = w->masked ? p[i] ^ w->key[(w->at + i) & 3] : p[i];
	buf_commit(&w->in, k);
	w->at = (w->at + k) & 3;
	w->left -= k;
	*used += k;
}

static void
end_control(struct ws *w, struct buf *out)
{
	size_t n = buf_len(&w->in), keep = w->op == OP_CLOSE ? 2 : 0;

	if (n > keep)
		w->ops->control(w->arg, w->op == OP_PONG,
		    buf_head(&w->in) + keep, n - keep);
	put_frame(out, w->masked, true, w->op, buf_head(&w->in), n);
	buf_clear(&w->in);
	w->in_frame = false;
	w->closed |= w->op == OP_CLOSE;
}

/* Plain bytes of the message onwards. */
static void
pass(struct ws *w, const uint8_t *p, size_t n, struct buf *out)
{
	w->ops->data(w->arg, w->message == OP_TEXT, p, n, false, &w->payload);
	if (buf_len(&w->payload) >= WS_KEEP_MAX)
		emit(w, false, out);
}

static int
inflate_some(
    struct ws *w, struct buf *out, unsigned int *code, struct error *err)
{
	cleanup_buf struct buf plain = { .wipe = true };
	size_t used;

	if (decoder_step(w->decoder, buf_head(&w->in), buf_len(&w->in), &used,
		&plain, STEP, err) < 0) {
		*code = WS_CLOSE_DATA;
		return -1;
	}
	buf_consume(&w->in, used);
	w->more = buf_len(&plain) == STEP;
	pass(w, buf_head(&plain), buf_len(&plain), out);
	return 0;
}

static void
end_frame(struct ws *w, struct buf *out)
{
	if (w->fin)
		w->ops->data(
		    w->arg, w->message == OP_TEXT, NULL, 0, true, &w->payload);
	emit(w, w->fin, out);
	w->in_frame = false;
	if (w->fin)
		w->message = 0;
}

/* Do something with what has been read; false when there is nothing to do. */
static bool
work(struct ws *w, struct buf *out, unsigned int *code, struct error *err,
    int *rc)
{
	*rc = 0;
	if (!w->in_frame || (w->op >= OP_CLOSE && w->left > 0))
		return false;
	if (w->op >= OP_CLOSE) {
		end_control(w, out);
		return true;
	}
	if (w->compressed && (buf_len(&w->in) > 0 || w->more)) {
		*rc = inflate_some(w, out, code, err);
		return true;
	}
	if (buf_len(&w->in) > 0) {
		pass(w, buf_head(&w->in), buf_len(&w->in), out);
		buf_clear(&w->in);
		return true;
	}
	if (w->left > 0)
		return false;
	/* RFC 7692 section 7.2.2: what the sender left out. */
	if (w->compressed && w->fin && !w->tail) {
		buf_put(&w->in, "\0\0\xff\xff", 4);
		w->tail = true;
		return true;
	}
	end_frame(w, out);
	return true;
}

int
ws_feed(struct ws *w, const uint8_t *p, size_t n, size_t *used, struct buf *out,
    size_t max, unsigned int *code, struct error *err)
{
	size_t start = buf_len(out);
	int rc = 0;

	*used = 0;
	w->paused = false;
	while (rc == 0) {
		if (buf_len(out) - start >= max) {
			w->paused = true;
			return 0;
		}
		if (work(w, out, code, err, &rc))
			continue;
		if (w->closed)
			*used = n;
		if (*used == n)
			return 0;
		if (!w->in_frame)
			rc = read_head(w, p, n, used, code, err);
		else
			read_payload(w, p, n, used);
	}
	return -1;
}

/* ---- the extension ------------------------------------------------------ */

#define DEFLATE "permessage-deflate"

/* The next element of the list, without what parameters it has in *name. */
static bool
next_extension(const char **list, const char **s, size_t *n, size_t *name)
{
	bool quoted = false;
	const char *p = *list;

	p += strspn(p, " \t,");
	if (*p == '\0')
		return false;
	*s = p;
	for (; *p != '\0' && (quoted || *p != ','); p++)
		if (*p == '"')
			quoted = !quoted;
	*n = (size_t)(p - *s);
	*list = p;
	while (*n > 0 && ((*s)[*n - 1] == ' ' || (*s)[*n - 1] == '\t'))
		--*n;
	*name = strcspn(*s, "; \t,");
	if (*name > *n)
		*name = *n;
	return true;
}

static bool
is_deflate(const char *s, size_t n)
{
	return n == strlen(DEFLATE) && strncasecmp(s, DEFLATE, n) == 0;
}

void
ws_offer_cut(const char *value, struct buf *out)
{
	const char *s;
	size_t n, name;

	while (next_extension(&value, &s, &n, &name)) {
		if (!is_deflate(s, name))
			continue;
		if (buf_len(out) > 0)
			buf_put(out, ", ", 2);
		buf_put(out, s, n);
	}
}

int
ws_agreed(const char *value, bool *deflate)
{
	const char *s;
	size_t n, name;

	while (next_extension(&value, &s, &n, &name)) {
		if (!is_deflate(s, name) || *deflate)
			return -1;
		*deflate = true;
	}
	return 0;
}

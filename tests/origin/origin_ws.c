/* A WebSocket that says each frame it hears, unmasked (RFC 6455). */
#include "tests/origin/origin.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static int
handshake(struct conn *c, const struct request *r)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	const char *key = origin_field(r, "Sec-WebSocket-Key");
	unsigned char sum[20], text[29];
	char both[64], head[256];
	int n;

	if (strlen(key) != 24)
		return -1;
	snprintf(both, sizeof(both), "%.24s%s", key, guid);
	EVP_Digest(both, strlen(both), sum, NULL, EVP_sha1(), NULL);
	EVP_EncodeBlock(text, sum, sizeof(sum));
	n = snprintf(head, sizeof(head),
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
	    (char *)text);
	return origin_write(c, head, (size_t)n);
}

/* At least n bytes, n > 0; NULL at the end. */
static uint8_t *
need(struct conn *c, size_t n)
{
	while (buf_len(&c->in) < n)
		if (origin_read(c) < 0)
			return NULL;
	return buf_head(&c->in);
}

static void
record(const struct conn *c, uint8_t op, const uint8_t *p, size_t n)
{
	struct request r = { .method = "FRAME" };
	char head[32];

	snprintf(head, sizeof(head), "frame %u\r\n", op);
	snprintf(r.target, sizeof(r.target), "%u", op);
	r.head = head;
	r.body_bytes = n;
	for (; r.kept < n && r.kept < ORIGIN_BODY_KEEP; r.kept++)
		r.body[r.kept] = p[r.kept] == 0 ? '?' : (char)p[r.kept];
	origin_record(c, &r);
}

/* One frame and its echo; false at the end. */
static bool
frame(struct conn *c)
{
	cleanup_buf struct buf out = { 0 };
	uint64_t n;
	size_t head = 6;
	uint8_t *p, op;

	if ((p = need(c, 2)) == NULL)
		return false;
	n = p[1] & 127;
	head += n == 126 ? 2 : n == 127 ? 8 : 0;
	if ((p[1] & 128) == 0 || (p = need(c, head)) == NULL)
		return false;
	if (head > 6)
		n = 0;
	for (size_t i = 2; i < head - 4; i++)
		n = n << 8 | p[i];
	if (n > 1u << 24 || (p = need(c, head + (size_t)n)) == NULL)
		return false;
	op = p[0] & 15;
	for (size_t i = 0; i < n; i++)
		p[head + i] ^= p[head - 4 + i % 4];
	record(c, op, p + head, (size_t)n);
	buf_put_u8(&out, p[0]);
	buf_put_u8(&out, p[1] & 127);
	buf_put(&out, p + 2, head - 6);
	buf_put(&out, p + head, (size_t)n);
	buf_consume(&c->in, head + (size_t)n);
	return origin_write(c, buf_head(&out), buf_len(&out)) == 0 && op != 8;
}

int
origin_websocket(struct conn *c, const struct request *r)
{
	if (handshake(c, r) < 0)
		return -1;
	while (frame(c))
		continue;
	return -1;
}

/* Answers in content codings, each event flushed as a live server would. */
#include "tests/origin/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "proxy/codec.h"

#define ETAG "\"the-bytes\""

/* One chunk of the body; an empty one would be its end. */
static int
put(struct conn *c, const struct buf *b)
{
	cleanup_buf struct buf out = { 0 };

	if (buf_len(b) == 0)
		return 0;
	buf_printf(&out, "%zx\r\n", buf_len(b));
	buf_put(&out, buf_head(b), buf_len(b));
	buf_put(&out, "\r\n", 2);
	return origin_write(c, buf_head(&out), buf_len(&out));
}

static int
encode(struct encoder **e, size_t n, const struct buf *in, struct buf *out)
{
	struct buf now = { 0 };
	struct error err = { 0 };

	buf_put(&now, buf_head(in), buf_len(in));
	for (size_t i = 0; i < n; i++) {
		struct buf next = { 0 };
		int rc = encoder_step(
		    e[i], buf_head(&now), buf_len(&now), &next, &err);

		buf_free(&now);
		now = next;
		if (rc < 0)
			break;
	}
	buf_put(out, buf_head(&now), buf_len(&now));
	buf_free(&now);
	return err.msg[0] == '\0' ? 0 : -1;
}

static int
finish(struct encoder **e, size_t n, struct buf *out)
{
	struct error err = { 0 };

	for (size_t i = 0; i < n; i++) {
		cleanup_buf struct buf tail = { 0 };

		if (encoder_end(e[i], &tail, &err) < 0 ||
		    encode(e + i + 1, n - i - 1, &tail, out) < 0)
			return -1;
	}
	return 0;
}

static int
events(struct conn *c, const struct request *r, struct encoder **e, size_t n,
    unsigned long count, unsigned long ms)
{
	cleanup_buf struct buf end = { 0 };

	for (unsigned long i = 0; i < count; i++) {
		cleanup_buf struct buf plain = { 0 }, coded = { 0 };

		buf_printf(&plain, "data: %lu %s\n\n", i,
		    origin_field(r, "Authorization"));
		if (encode(e, n, &plain, &coded) < 0 || put(c, &coded) < 0)
			return -1;
		if (ms > 0)
			usleep((useconds_t)ms * 1000);
	}
	if (finish(e, n, &end) < 0 || put(c, &end) < 0)
		return -1;
	return origin_write(c, "0\r\n\r\n", 5);
}

int
origin_coded(struct conn *c, const struct request *r)
{
	static struct codec_memory memory[64]; /* one thread, one cell */
	struct codec_memory *m = &memory[c->number % nitems(memory)];
	struct encoder *e[CODEC_CHAIN_MAX] = { NULL };
	struct codings cs = { 0 };
	unsigned long n = 1, ms = 0;
	char list[64] = "", head[256];
	int k, rc = 0;

	if (sscanf(r->target, "/coded/%63[^/]/%lu/%lu", list, &n, &ms) < 1 ||
	    codings_add(&cs, list) < 0)
		return -1;
	for (size_t i = 0; i < cs.n; i++)
		e[i] = encoder_new(cs.c[i], m);
	k = snprintf(head, sizeof(head),
	    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	    "Content-Encoding: %s\r\nETag: " ETAG "\r\nContent-MD5: x\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n",
	    list);
	if (origin_write(c, head, (size_t)k) < 0)
		rc = -1;
	if (rc == 0 && strcmp(r->method, "HEAD") != 0)
		rc = events(c, r, e, cs.n, n, ms);
	for (size_t i = 0; i < cs.n; i++)
		encoder_free(e[i]);
	return rc;
}

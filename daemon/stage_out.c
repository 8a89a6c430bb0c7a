/* Frames to the client's pipe, and the record of a change in them. */
#include "daemon/stage.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define PIECE 4096u /* PIPE_BUF: what poll(2) promises room for */
#define WAIT_MS 60000
#define PROGRESS_EVERY 256u

static int
put_bytes(struct stage *s, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n > 0) {
		struct pollfd pf = { .fd = s->out, .events = POLLOUT };
		size_t want = n < PIECE ? n : PIECE;
		ssize_t w;

		/* A client that does not read must not hold the job. */
		if (poll(&pf, 1, WAIT_MS) <= 0)
			return -1;
		w = write(s->out, b, want);
		if (w < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (w <= 0)
			return -1;
		b += w;
		n -= (size_t)w;
	}
	return 0;
}

void
stage_put(struct stage *s, enum stage_frame type, const struct buf *body)
{
	cleanup_buf struct buf h = { 0 };

	if (s->out < 0 || s->out_dead)
		return;
	buf_put_u8(&h, (uint8_t)type);
	buf_put_u32(&h, (uint32_t)buf_len(body));
	if (buf_failed(body) || buf_len(body) > STAGE_FRAME_MAX ||
	    put_bytes(s, buf_head(&h), buf_len(&h)) < 0 ||
	    put_bytes(s, buf_head(body), buf_len(body)) < 0)
		s->out_dead = true;
}

void
stage_progress(struct stage *s, const char *what)
{
	cleanup_buf struct buf b = { 0 };

	if (s->out < 0 || s->done++ % PROGRESS_EVERY != 0)
		return;
	buf_put_str(&b, what);
	buf_put_u64(&b, s->total == 0 ? s->n : s->done);
	buf_put_u64(&b, s->total);
	stage_put(s, FRAME_PROGRESS, &b);
}

void
stage_say(struct stage *s, const char *fmt, ...)
{
	char text[STAGE_PATH_MAX + STAGE_WHY_MAX];
	cleanup_buf struct buf b = { 0 };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_put_str(&b, text);
	stage_put(s, FRAME_SAY, &b);
}

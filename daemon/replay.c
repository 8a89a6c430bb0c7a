#include "daemon/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define READ_SIZE 65536u

void
replay_init(
    struct replay *r, int log_fd, int timing_fd, double speed, uint64_t idle_us)
{
	*r = (struct replay){ .log_fd = log_fd,
		.timing_fd = timing_fd,
		.speed = speed,
		.idle_us = idle_us };
	buf_init(&r->lines, 0);
	r->chunk = xmalloc(REPLAY_CHUNK);
}

void
replay_free(struct replay *r)
{
	buf_free(&r->lines);
	free(r->chunk);
	r->chunk = NULL;
}

/* One line into t: 1, 0 at the end of the times, -1 with err. */
static int
next_line(struct replay *r, struct timing *t, struct error *err)
{
	const uint8_t *nl = NULL;
	ssize_t n;

	while (!r->no_times) {
		if (buf_len(&r->lines) > 0)
			nl = memchr(
			    buf_head(&r->lines), '\n', buf_len(&r->lines));
		if (nl != NULL) {
			size_t len = (size_t)(nl - buf_head(&r->lines));
			int rc = timing_parse(
			    (const char *)buf_head(&r->lines), len, t);

			buf_consume(&r->lines, len + 1);
			if (rc == 0)
				return 1;
		}
		/* Whatever is damaged, the output itself is still there. */
		if (nl != NULL || buf_len(&r->lines) > TIMING_LINE_MAX)
			break;
		n = pread(r->timing_fd, buf_reserve(&r->lines, READ_SIZE),
		    READ_SIZE, (off_t)r->timing_at);
		if (n < 0)
			return error_set(err, errno, "read the times");
		if (n == 0)
			break;
		r->timing_at += (uint64_t)n;
		buf_commit(&r->lines, (size_t)n);
	}
	r->no_times = true;
	return 0;
}

/* Bytes of the current entry, or of the rest: 1, 0 at the end, -1. */
static int
next_bytes(
    struct replay *r, uint64_t max, struct replay_event *e, struct error *err)
{
	size_t want = max < REPLAY_CHUNK ? (size_t)max : REPLAY_CHUNK;
	ssize_t n = pread(r->log_fd, r->chunk, want, (off_t)r->log_at);

	if (n < 0)
		return error_set(err, errno, "read the log");
	r->log_at += (uint64_t)n;
	e->kind = REPLAY_OUTPUT;
	e->bytes = r->chunk;
	e->n = (size_t)n;
	return n > 0;
}

static void
pass(struct replay *r, uint64_t us)
{
	if (r->idle_us != 0 && us > r->idle_us)
		us = r->idle_us;
	r->us += (double)us / r->speed;
}

int
replay_next(struct replay *r, struct replay_event *e, struct error *err)
{
	struct timing t;
	int rc;

	*e = (struct replay_event){ 0 };
	for (;;) {
		if (r->left == 0) {
			rc = next_line(r, &t, err);
			if (rc < 0)
				return -1;
			if (rc == 1)
				pass(r, t.us);
			r->left = rc == 0                   ? UINT64_MAX
				  : t.kind == TIMING_OUTPUT ? t.bytes
							    : 0;
		} else {
			t.kind = TIMING_OUTPUT;
		}
		e->us = (uint64_t)r->us;
		if (r->left > 0) {
			rc = next_bytes(r, r->left, e, err);
			if (rc < 0)
				return -1;
			if (rc == 1) {
				if (r->left != UINT64_MAX)
					r->left -= e->n;
				return 0;
			}
			/* The log is shorter than its times say. */
			*e = (struct replay_event){ .us = e->us };
			return 0;
		}
		if (t.kind != TIMING_SIZE)
			continue;
		/* The first size is in two lines. */
		if (t.rows != 0)
			r->rows = t.rows;
		if (t.cols != 0)
			r->cols = t.cols;
		if (r->rows == 0 || r->cols == 0)
			continue;
		e->kind = REPLAY_SIZE;
		e->rows = r->rows;
		e->cols = r->cols;
		return 0;
	}
}

/* How long a character with this first byte is; 0 if it begins none. */
static size_t
utf8_length(uint8_t b)
{
	if (b < 0x80)
		return 1;
	if (b >= 0xc2 && b <= 0xdf)
		return 2;
	if (b >= 0xe0 && b <= 0xef)
		return 3;
	return b >= 0xf0 && b <= 0xf4 ? 4 : 0;
}

void
replay_utf8(
    struct buf *carry, const uint8_t *p, size_t n, bool end, struct buf *out)
{
	static const char replacement[] = "\xef\xbf\xbd";
	const char *s;
	size_t len;

	buf_put(carry, p, n);
	while (
	    (s = (const char *)buf_head(carry)) != NULL && buf_len(carry) > 0) {
		len = utf8_length((uint8_t)s[0]);
		if (len > buf_len(carry) && !end)
			return;
		if (len == 1 || (len != 0 && len <= buf_len(carry) &&
				    str_is_utf8(s, len))) {
			buf_put(out, s, len);
			buf_consume(carry, len);
		} else {
			buf_put(out, replacement, sizeof(replacement) - 1);
			buf_consume(carry, 1);
		}
	}
}

#include "daemon/shim_log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/ev.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/timing.h"

/*
 * Output within so short a time is one entry, which bounds the times of a
 * program that writes byte by byte.
 */
#define CHUNK_MS 10u
#define TIMES_MAX (1024u * 1024 * 1024) /* of a log without limit */
#define CHUNK_BYTES (1024u * 1024)

static void
put_times(struct outlog *l, const struct buf *b)
{
	if (l->timing_fd < 0)
		return;
	/* The same limit again: a job cannot make this file the larger one. */
	if (l->timed + buf_len(b) > (l->limit != 0 ? l->limit : TIMES_MAX)) {
		fd_close(&l->timing_fd);
		return;
	}
	if (fd_write_all(l->timing_fd, buf_head(b), buf_len(b)) != 0) {
		log_warn("times of the output log");
		fd_close(&l->timing_fd);
		return;
	}
	l->timed += buf_len(b);
}

static void
put_entry(struct outlog *l, struct timing *t, uint64_t now)
{
	cleanup_buf struct buf b = { 0 };

	t->us = (now - l->last_ms) * 1000;
	l->last_ms = now;
	timing_put(&b, t);
	put_times(l, &b);
}

static void
put_chunk(struct outlog *l)
{
	struct timing t = { .kind = TIMING_OUTPUT, .bytes = l->chunk };

	if (l->chunk == 0)
		return;
	l->chunk = 0;
	put_entry(l, &t, l->chunk_ms);
}

void
outlog_init(struct outlog *l, int fd, int timing_fd, uint64_t limit,
    uint16_t rows, uint16_t cols)
{
	cleanup_buf struct buf b = { 0 };

	*l = (struct outlog){ .fd = fd,
		.timing_fd = timing_fd,
		.limit = limit,
		.last_ms = ev_now_ms() };
	if (timing_fd < 0)
		return;
	timing_put_header(&b, (int64_t)time(NULL), rows, cols);
	put_times(l, &b);
}

/* From here on nothing is kept. */
static void
stop(struct outlog *l, const char *why)
{
	cleanup_free char *mark =
	    xasprintf("\n[brig: %s, the rest is not kept]\n", why);

	l->full = true;
	strlcpy(l->why, why, sizeof(l->why));
	put_chunk(l);
	/* On a full disk there is no room for it either. */
	if (fd_write_all(l->fd, mark, strlen(mark)) != 0)
		log_warn("output log");
	fd_close(&l->fd);
	fd_close(&l->timing_fd);
}

void
outlog_put(struct outlog *l, const void *p, size_t n)
{
	uint64_t now;
	size_t k = n;

	if (l->fd < 0) {
		l->dropped += n;
		return;
	}
	if (l->limit != 0 && k > l->limit - l->kept)
		k = (size_t)(l->limit - l->kept);
	l->dropped += n - k;
	if (k > 0 && fd_write_all(l->fd, p, k) != 0) {
		int e = errno;

		log_warn("output log");
		l->dropped += k;
		stop(l, e == ENOSPC ? "no space left for output"
				    : "output cannot be written");
		return;
	}
	l->kept += k;
	now = ev_now_ms();
	if (l->chunk > 0 &&
	    (now - l->chunk_ms >= CHUNK_MS || l->chunk + k > CHUNK_BYTES))
		put_chunk(l);
	if (l->chunk == 0)
		l->chunk_ms = now;
	l->chunk += k;
	if (k < n)
		stop(l, "output limit reached");
}

void
outlog_size(struct outlog *l, uint16_t rows, uint16_t cols)
{
	struct timing t = { .kind = TIMING_SIZE, .rows = rows, .cols = cols };

	put_chunk(l);
	put_entry(l, &t, ev_now_ms());
}

void
outlog_end(struct outlog *l)
{
	put_chunk(l);
	fd_close(&l->fd);
	fd_close(&l->timing_fd);
}

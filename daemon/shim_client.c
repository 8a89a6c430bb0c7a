#include "daemon/shim_client.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdutil.h"
#include "base/str.h"

#define WATCH_HIGH (64u * 1024) /* queued for one that reads the ring */
#define NOTICES_HIGH (256u * 1024)
#define BYE_MS 2000

struct sclient *
sclient_new(struct ev *ev, int fd, ev_io_fn *on_io, ev_fn *on_late, void *owner)
{
	struct sclient *c = xcalloc(1, sizeof(*c));

	c->fd = fd;
	c->owner = owner;
	buf_init(&c->rx, 0);
	buf_init(&c->tx, 0);
	c->io = ev_io_new(ev, fd, 0, on_io, c);
	c->patience = ev_timer_new(ev, on_late, c);
	return c;
}

void
sclient_close(struct sclient *c)
{
	if (c->fd < 0)
		return;
	ev_io_free(c->io);
	c->io = NULL;
	ev_timer_clear(c->patience);
	fd_close(&c->fd);
	buf_free(&c->rx);
	buf_free(&c->tx);
}

void
sclient_free(struct sclient *c)
{
	sclient_close(c);
	ev_timer_free(c->patience);
	free(c);
}

const char *
sclient_read(struct sclient *c)
{
	uint8_t *p = buf_reserve(&c->rx, ATTACH_MAX);
	ssize_t n = recv(c->fd, p, ATTACH_MAX, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return NULL;
	if (n < 0)
		return strerror(errno);
	if (n == 0)
		return "closed";
	buf_commit(&c->rx, (size_t)n);
	return NULL;
}

const char *
sclient_flush(struct sclient *c)
{
	while (c->fd >= 0 && buf_len(&c->tx) > 0) {
		ssize_t n = send(c->fd, buf_head(&c->tx), buf_len(&c->tx),
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return NULL;
		if (n < 0)
			return strerror(errno);
		buf_consume(&c->tx, (size_t)n);
	}
	return NULL;
}

void
sclient_put(struct sclient *c, enum attach_type type, const void *p, size_t n)
{
	if (c->fd >= 0 && !c->leaving &&
	    (c->first || buf_len(&c->tx) < NOTICES_HIGH))
		attach_put(&c->tx, type, p, n < ATTACH_MAX ? n : ATTACH_MAX);
}

void
sclient_bye(struct sclient *c, const char *why)
{
	if (c->fd < 0 || c->leaving)
		return;
	attach_put(&c->tx, ATTACH_BYE, why, strlen(why));
	c->leaving = true;
	ev_timer_set(c->patience, BYE_MS);
}

bool
sclient_at_end(const struct sclient *c, const struct ring *ring)
{
	return c->at == ring->head;
}

void
sclient_pump(struct sclient *c, const struct ring *ring)
{
	uint8_t p[ATTACH_MAX], type;
	size_t n;

	if (c->fd < 0 || c->leaving)
		return;
	if (c->at < ring->tail) {
		sclient_bye(c, "the job prints faster than you read: attach "
			       "again, or see brig logs");
		return;
	}
	while (c->first || buf_len(&c->tx) < WATCH_HIGH) {
		if (!c->live_told && c->at >= c->live) {
			c->live_told = true;
			attach_put(&c->tx, ATTACH_LIVE, NULL, 0);
		}
		n = ring_get(ring, c->at, &type, p, sizeof(p));
		if (n == 0)
			return;
		/* The end of the replay is the end of a frame. */
		if (!c->live_told && n > c->live - c->at)
			n = (size_t)(c->live - c->at);
		attach_put(&c->tx, (enum attach_type)type, p, n);
		c->at += n;
	}
}

/*
 * Any bytes from an origin that was taken for one of HTTP/2: no overrun, no
 * leak, every exchange ends at most once, heads and trailers are such as front
 * may see, and what is held for a slow user is bounded.  The first byte says
 * how the rest is cut, what the user does and when.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "proxy/upstream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXCHANGES 3

struct use {
	struct upstream *u;
	struct req_head head;
	unsigned int heads, ends;
	size_t take;
	bool drop;
};

static struct ev *ev;
static int far = -1;

/* ---- a dial that always works ------------------------------------------ */

struct dial {
	const struct dial_ops *ops;
	void *arg;
	bool over;
};

static void
on_dial(void *arg)
{
	struct dial *dl = arg;
	int fds[2];

	if (!dl->over) {
		if (socketpair(AF_UNIX,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
			abort();
		fd_close(&far);
		far = fds[1];
		dl->ops->done(dl->arg, fds[0], NULL, true);
	}
	free(dl);
}

struct dial *
dial_start(struct dialer *d, const struct dial_opts *o,
    const struct dial_ops *ops, void *arg)
{
	struct dial *dl = xcalloc(1, sizeof(*dl));

	(void)d;
	(void)o;
	dl->ops = ops;
	dl->arg = arg;
	ev_defer(ev, on_dial, dl);
	return dl;
}

void
dial_cancel(struct dial *dl)
{
	if (dl != NULL)
		dl->over = true;
}

void
dial_proxy_auth(const struct dial_proxy *p, struct buf *b)
{
	(void)p;
	(void)b;
}

/* ---- the user ---------------------------------------------------------- */

static void
over(struct use *s)
{
	if (++s->ends > 1)
		abort();
}

static void
drop(struct use *s)
{
	upstream_release(s->u, false);
	s->u = NULL;
	over(s);
}

static void
on_ready(void *arg)
{
	struct use *s = arg;
	struct fields none = { 0 };

	upstream_head(s->u, &s->head, "a.example");
	upstream_body(s->u, "body", 4);
	if (s->head.kind == BODY_LENGTH)
		upstream_end(s->u, &none);
}

static void
on_writable(void *arg)
{
	(void)arg;
}

static void
on_head(void *arg, struct rsp_head *h)
{
	struct use *s = arg;
	cleanup_buf struct buf b = { 0 };
	struct rsp_head back;
	struct cur c;

	if (++s->heads > 1 || s->ends > 0)
		abort();
	if (rsp_head_put(&b, h) == 0) {
		cur_init(&c, buf_head(&b), buf_len(&b));
		if (rsp_head_get(&c, &back) < 0)
			abort();
		rsp_head_free(&back);
	}
	if (s->drop)
		drop(s);
}

static size_t
on_data(void *arg, const uint8_t *p, size_t n)
{
	struct use *s = arg;
	static volatile uint8_t sum;

	if (s->heads != 1 || s->ends > 0)
		abort();
	if (n > s->take)
		n = s->take;
	s->take -= n;
	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + p[i]);
	return n;
}

static void
on_done(void *arg, struct fields *t)
{
	struct use *s = arg;
	cleanup_buf struct buf b = { 0 };

	if (s->heads != 1 || trailers_put(&b, t) < 0)
		abort();
	drop(s);
}

static void
on_again(void *arg)
{
	(void)arg;
	abort();
}

static void
on_failed(void *arg, enum upstream_fail how, const char *why)
{
	struct use *s = arg;

	(void)how;
	if (why[0] == '\0')
		abort();
	s->u = NULL;
	over(s);
}

static const struct upstream_ops ops = { on_ready, on_writable, on_head,
	on_data, on_done, on_again, on_failed };

static void
start(struct use *s, struct upstream_pool *p, size_t i)
{
	static const struct upstream_want want = {
		.tls = true, .host = "a.example", .port = 443
	};
	static const struct netaddr addr = { .family = 4 };

	s->head.method = (char *)(uintptr_t)(i == 1 ? "HEAD" : "POST");
	s->head.target = (char *)(uintptr_t) "/x";
	s->head.protocol = (char *)(uintptr_t) "";
	s->head.kind = i == 0 ? BODY_STREAM : i == 1 ? BODY_NONE : BODY_LENGTH;
	s->head.length = i == 2 ? 4 : 0;
	s->u = upstream_reuse(p, &want, &ops, s);
	if (s->u == NULL)
		s->u = upstream_dial(p, &want, &addr, 1, &ops, s);
}

/* What we say is of no interest, but has to go. */
static void
drain(void)
{
	uint8_t bytes[65536];

	while (recv(far, bytes, sizeof(bytes), 0) > 0)
		continue;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct use s[EXCHANGES] = { 0 };
	struct upstream_pool *p;
	size_t cut;

	if (size == 0)
		return 0;
	ev = ev_new();
	p = upstream_pool_new(ev);
	cut = (data[0] & 3u) == 0 ? size : (data[0] & 3u) * 5;
	for (size_t i = 0; i < EXCHANGES; i++) {
		s[i].take = (data[0] & 4u) != 0 && i == 0 ? 3 : SIZE_MAX;
		s[i].drop = (data[0] & 8u) != 0 && i == 2;
		start(&s[i], p, i);
	}
	data++;
	size--;
	ev_once(ev, 0);
	ev_once(ev, 0);
	while (size > 0) {
		size_t n = cut < size ? cut : size;
		ssize_t k = send(far, data, n, MSG_NOSIGNAL);

		if (k <= 0)
			break;
		data += k;
		size -= (size_t)k;
		ev_once(ev, 0);
		ev_once(ev, 0);
		drain();
	}
	for (size_t i = 0; i < EXCHANGES; i++) {
		s[i].take = SIZE_MAX;
		if (s[i].u != NULL)
			upstream_resume(s[i].u);
	}
	fd_close(&far);
	for (int i = 0; i < 4; i++)
		ev_once(ev, 0);
	/* The connection is gone: so is whatever it carried. */
	for (size_t i = 0; i < EXCHANGES; i++)
		if (s[i].ends != 1)
			abort();
	upstream_pool_free(p);
	ev_once(ev, 0);
	ev_free(ev);
	return 0;
}

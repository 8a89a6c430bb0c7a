#include "inferd/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "proxy/http1.h"

#define READ_SIZE (64u * 1024)
#define NAME_WORD "AGENT "

enum state {
	CONN_FIRST, /* perhaps a line that names an agent */
	CONN_HEAD,
	CONN_BODY,
	CONN_ANSWER, /* the owner's turn */
	CONN_FLUSH,  /* the answer is whole */
	CONN_LINGER, /* all is said; it may still be reading, or sending */
	CONN_DEAD,
};

struct conn {
	struct ev *ev;
	struct ev_io *io;
	struct ev_timer *timer;
	int fd;
	const struct conn_ops *ops;
	void *arg;
	size_t body_max;
	enum state state;
	bool may_name;
	bool keep;      /* another request may follow */
	bool eof;       /* nothing comes any more */
	bool started;   /* the first byte of a request is here */
	bool streaming; /* the answer's head is said */
	bool later;     /* its request has not been looked at */
	bool scheduled; /* to write at the end of the round */
	bool stalled;   /* the timer waits for it to read */
	struct http_parser req;
	struct buf in, body, out;
};

static void work(struct conn *c);

/* ---- its end ------------------------------------------------------------ */

static void
bury(void *arg)
{
	struct conn *c = arg;

	http_parser_free(&c->req);
	buf_free(&c->in);
	buf_free(&c->body);
	buf_free(&c->out);
	free(c);
}

static void flush_later(void *arg);

void
conn_close(struct conn *c)
{
	if (c == NULL || c->state == CONN_DEAD)
		return;
	c->state = CONN_DEAD;
	ev_io_free(c->io);
	ev_timer_free(c->timer);
	ev_undefer(c->ev, flush_later, c);
	fd_close(&c->fd);
	c->ops->closed(c, c->arg);
	/* Who called may still be at work on it. */
	ev_defer(c->ev, bury, c);
}

bool
conn_busy(const struct conn *c)
{
	return c->state == CONN_ANSWER;
}

/* ---- what is watched, and for how long ----------------------------------- */

static void
watch(struct conn *c)
{
	unsigned int events = 0;

	if (!c->eof && (c->state < CONN_ANSWER || c->state == CONN_LINGER ||
			   buf_len(&c->in) < CONN_AHEAD_MAX))
		events |= EV_READ;
	if (buf_len(&c->out) > 0)
		events |= EV_WRITE;
	ev_io_set(c->io, events);
	if (c->state != CONN_ANSWER && c->state != CONN_FLUSH)
		return;
	if (buf_len(&c->out) == 0)
		ev_timer_clear(c->timer);
	else if (!c->stalled)
		ev_timer_set(c->timer, CONN_STALL_MS);
	c->stalled = buf_len(&c->out) > 0;
}

static void
enter(struct conn *c, enum state state)
{
	c->state = state;
	c->stalled = false;
	switch (state) {
	case CONN_FIRST:
	case CONN_HEAD:
		c->started = buf_len(&c->in) > 0;
		ev_timer_set(
		    c->timer, c->started ? CONN_HEAD_MS : CONN_IDLE_MS);
		break;
	case CONN_BODY:
		ev_timer_set(c->timer, CONN_BODY_MS);
		break;
	case CONN_ANSWER:
	case CONN_FLUSH:
		ev_timer_clear(c->timer);
		break;
	case CONN_LINGER:
		ev_timer_set(c->timer, CONN_LINGER_MS);
		break;
	case CONN_DEAD:
		break;
	}
}

/* ---- writing ------------------------------------------------------------ */

static void
flush(struct conn *c)
{
	while (buf_len(&c->out) > 0) {
		ssize_t n = send(
		    c->fd, buf_head(&c->out), buf_len(&c->out), MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			conn_close(c);
			return;
		}
		buf_consume(&c->out, (size_t)n);
		c->stalled = false;
	}
	/* A long answer's memory is not kept for short ones. */
	if (c->out.cap > READ_SIZE)
		buf_free(&c->out);
}

static void
flush_later(void *arg)
{
	struct conn *c = arg;

	c->scheduled = false;
	flush(c);
	work(c);
}

/* What one round says goes out in one piece. */
static void
schedule(struct conn *c)
{
	if (buf_failed(&c->out)) {
		conn_close(c);
		return;
	}
	if (!c->scheduled)
		ev_defer(c->ev, flush_later, c);
	c->scheduled = true;
}

static bool
is_head(const struct conn *c)
{
	return c->req.method != NULL && strcmp(c->req.method, "HEAD") == 0;
}

static void
put_head(struct conn *c, unsigned status, const struct fields *fs,
    enum body_kind kind, size_t n)
{
	unsigned flags = c->keep ? 0 : HTTP_RSP_CLOSE;

	if (c->req.minor == 0)
		flags |= HTTP_RSP_1_0;
	if (kind == BODY_STREAM && c->req.minor == 0) {
		flags |= HTTP_RSP_UNTIL_CLOSE;
		c->keep = false;
	}
	http_put_response(&c->out, status, "", fs, kind, n, flags);
}

void
conn_reply(struct conn *c, unsigned status, const struct fields *fs,
    const void *body, size_t n)
{
	if (c->state != CONN_ANSWER || c->streaming)
		return;
	put_head(c, status, fs, BODY_LENGTH, n);
	if (!is_head(c))
		buf_put(&c->out, body, n);
	enter(c, CONN_FLUSH);
	schedule(c);
}

void
conn_stream(struct conn *c, unsigned status, const struct fields *fs)
{
	if (c->state != CONN_ANSWER || c->streaming)
		return;
	c->streaming = true;
	put_head(c, status, fs, BODY_STREAM, 0);
	schedule(c);
}

void
conn_stream_put(struct conn *c, const void *p, size_t n)
{
	if (c->state != CONN_ANSWER || !c->streaming || n == 0 || is_head(c))
		return;
	if (c->req.minor == 0)
		buf_put(&c->out, p, n);
	else
		http_put_chunk(&c->out, p, n);
	schedule(c);
}

void
conn_stream_end(struct conn *c)
{
	if (c->state != CONN_ANSWER || !c->streaming)
		return;
	if (c->req.minor > 0 && !is_head(c))
		http_put_last_chunk(&c->out, NULL);
	enter(c, CONN_FLUSH);
	schedule(c);
}

void
conn_finish(struct conn *c)
{
	c->keep = false;
	if (c->state < CONN_ANSWER)
		conn_close(c);
}

/* ---- reading ------------------------------------------------------------ */

/* The target in origin-form (RFC 9112 section 3.2.2 asks servers to take the
 * absolute one, too). */
static const char *
origin_form(const char *target)
{
	if (target[0] == '/' || target[0] == '*')
		return target;
	target = strstr(target, "://");
	if (target != NULL)
		target = strchr(target + 3, '/');
	return target == NULL ? "/" : target;
}

static struct conn_request
request_of(const struct conn *c)
{
	return (struct conn_request){ .method = c->req.method,
		.target = origin_form(c->req.raw_target),
		.fields = &c->req.fields,
		.body = (const char *)buf_head(&c->body),
		.n = buf_len(&c->body) };
}

/* Say what is wrong, and no more after that: where the next request would
 * begin is not known. */
static void
refuse(struct conn *c, unsigned status, const char *why, bool head)
{
	struct conn_request r = { 0 };
	struct fields fs = { 0 };
	cleanup_buf struct buf b = { 0 };

	buf_init(&b, 0);
	if (head)
		r = request_of(c);
	c->ops->error(c, head ? &r : NULL, status, why, &b, c->arg);
	if (c->state == CONN_DEAD)
		return;
	c->keep = false;
	if (c->req.method == NULL)
		c->req.minor = 1;
	fields_set(&fs, "Content-Type", "application/json");
	if (status == 503)
		fields_set(&fs, "Retry-After", "1");
	enter(c, CONN_ANSWER);
	conn_reply(c, status, &fs, buf_head(&b), buf_len(&b));
	fields_free(&fs);
}

/* Is there a line that names an agent?  True: look at what is next. */
static bool
first_line(struct conn *c)
{
	const size_t word = sizeof(NAME_WORD) - 1;
	const char *p = (const char *)buf_head(&c->in), *lf;
	size_t have = buf_len(&c->in), n = have < word ? have : word;
	char name[CONN_NAME_MAX + 1];

	if (have == 0)
		return false;
	if (memcmp(p, NAME_WORD, n) != 0) {
		c->state = CONN_HEAD;
		return true;
	}
	if (!c->may_name && n == word) {
		refuse(c, 400, "only the supervisor names agents", false);
		return true;
	}
	lf = memchr(p, '\n', have);
	if (lf == NULL && have <= word + CONN_NAME_MAX)
		return false;
	n = lf == NULL ? 0 : (size_t)(lf - p) - word;
	if (n == 0 || n > CONN_NAME_MAX || memchr(p, '\0', have) != NULL) {
		refuse(c, 400, "malformed name of an agent", false);
		return true;
	}
	memcpy(name, p + word, n);
	name[n] = '\0';
	buf_consume(&c->in, word + n + 1);
	if (c->ops->name(c, name, c->arg) < 0) {
		refuse(c, 400, "not a name of an agent", false);
		return true;
	}
	if (c->state != CONN_DEAD)
		enter(c, CONN_HEAD);
	return true;
}

static void
head_done(struct conn *c)
{
	struct conn_request r = request_of(c);
	const char *why = "";
	unsigned status = c->ops->head(c, &r, &why, c->arg);

	if (c->state == CONN_DEAD)
		return;
	if (status == 0 && c->req.kind == BODY_LENGTH &&
	    c->req.length > c->body_max) {
		status = 413;
		why = "the body is larger than what is taken";
	}
	if (status != 0) {
		refuse(c, status, why, true);
		return;
	}
	if (c->req.expect_continue)
		http_put_response(
		    &c->out, 100, "", NULL, BODY_NONE, 0, HTTP_RSP_NO_BODY);
	enter(c, CONN_BODY);
	schedule(c);
}

static void
body_part(struct conn *c, const uint8_t *p, size_t n)
{
	if (n > c->body_max - buf_len(&c->body)) {
		refuse(c, 413, "the body is larger than what is taken", true);
	} else if (!c->ops->room(c, n, c->arg)) {
		refuse(c, 503, "too many bytes of requests are waiting", true);
	} else {
		buf_put(&c->body, p, n);
		http_parser_took(&c->req, &c->in, n);
	}
}

void
conn_later(struct conn *c)
{
	c->later = true;
}

void
conn_request(struct conn *c)
{
	struct conn_request r = request_of(c);

	c->later = false;
	c->ops->request(c, &r, c->arg);
	if (!c->later)
		buf_free(&c->body);
}

static void
request_done(struct conn *c)
{
	c->keep = c->keep && c->req.keep_alive;
	c->streaming = false;
	enter(c, CONN_ANSWER);
	conn_request(c);
}

static bool
parse(struct conn *c)
{
	const uint8_t *data;
	size_t n;

	switch (http_parse(&c->req, &c->in, &data, &n)) {
	case HTTP_MORE:
		if (c->eof)
			conn_close(c);
		return false;
	case HTTP_BAD:
		refuse(c, c->req.bad_status, c->req.why, c->state == CONN_BODY);
		return true;
	case HTTP_HEAD:
		head_done(c);
		return true;
	case HTTP_DATA:
		body_part(c, data, n);
		return true;
	case HTTP_DONE:
		request_done(c);
		return true;
	}
	return false;
}

/* The answer has been read: on to the next request, or no more. */
static bool
next(struct conn *c)
{
	if (buf_len(&c->out) > 0 || c->scheduled)
		return false;
	if (c->keep) {
		http_parser_reset(&c->req);
		if (buf_len(&c->in) == 0)
			buf_free(&c->in);
		enter(c, CONN_HEAD);
		return true;
	}
	if (c->eof) {
		conn_close(c);
		return false;
	}
	/* To close while bytes of it are not read would take the answer back.
	 */
	(void)shutdown(c->fd, SHUT_WR);
	buf_clear(&c->in);
	enter(c, CONN_LINGER);
	return false;
}

static void
work(struct conn *c)
{
	bool more = true;

	while (more) {
		switch (c->state) {
		case CONN_FIRST:
			more = first_line(c);
			if (!more && c->eof)
				conn_close(c);
			break;
		case CONN_HEAD:
		case CONN_BODY:
			more = parse(c);
			break;
		case CONN_FLUSH:
			more = next(c);
			break;
		case CONN_ANSWER:
		case CONN_LINGER:
			more = false;
			break;
		case CONN_DEAD:
			return;
		}
	}
	if (c->state != CONN_DEAD)
		watch(c);
}

static void
take_in(struct conn *c)
{
	uint8_t waste[4096], *p = waste;
	size_t room = sizeof(waste);
	ssize_t n;

	if (c->state != CONN_LINGER) {
		room = READ_SIZE;
		p = buf_reserve(&c->in, room);
	}
	n = recv(c->fd, p, room, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		c->eof = true;
		if (n < 0 || c->state == CONN_ANSWER || c->state == CONN_LINGER)
			conn_close(c);
		return;
	}
	if (c->state == CONN_LINGER)
		return;
	buf_commit(&c->in, (size_t)n);
	if (!c->started && c->state <= CONN_HEAD) {
		c->started = true;
		ev_timer_set(c->timer, CONN_HEAD_MS);
	}
}

static void
on_io(int fd, unsigned int events, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	if (events & EV_HANGUP) {
		conn_close(c);
		return;
	}
	if (events & EV_READ)
		take_in(c);
	if ((events & EV_WRITE) && c->state != CONN_DEAD)
		flush(c);
	work(c);
}

static void
on_timer(void *arg)
{
	struct conn *c = arg;

	if (c->state == CONN_BODY)
		refuse(c, 408, "the body took too long", true);
	else if (c->state <= CONN_HEAD && c->started)
		refuse(c, 408, "the head took too long", false);
	else
		conn_close(c);
	work(c);
}

struct conn *
conn_new(struct ev *ev, int fd, bool may_name, size_t body_max,
    const struct conn_ops *ops, void *arg)
{
	struct conn *c = xcalloc(1, sizeof(*c));

	c->ev = ev;
	c->fd = fd;
	c->ops = ops;
	c->arg = arg;
	c->body_max = body_max;
	c->may_name = may_name;
	c->keep = true;
	http_parser_init(&c->req, false);
	buf_init(&c->in, 0);
	buf_init(&c->body, 0);
	buf_init(&c->out, CONN_OUT_MAX);
	c->io = ev_io_new(ev, fd, EV_READ, on_io, c);
	c->timer = ev_timer_new(ev, on_timer, c);
	enter(c, CONN_FIRST);
	return c;
}

#include "tests/proxy/h2client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"

#define FIELDS_MAX 200
#define WAIT_MS 5000

/* A body that is given by h2c_data(). */
struct body {
	struct buf b;
	bool end;
};

struct h2c_rsp *
h2c_rsp(struct h2c *c, int32_t id)
{
	assert_true(id > 0 && (id - 1) / 2 < H2C_STREAMS);
	return &c->rsp[(id - 1) / 2];
}

static int
on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name,
    size_t nlen, const uint8_t *value, size_t vlen, uint8_t flags, void *arg)
{
	struct h2c_rsp *r = h2c_rsp(arg, f->hd.stream_id);
	char line[2048];
	bool first = f->headers.cat == NGHTTP2_HCAT_RESPONSE ||
		     (r->interim != 0 && r->status == 0);

	if (first && nlen == 7 && memcmp(name, ":status", 7) == 0) {
		int status = (int)strtol((const char *)value, NULL, 10);

		if (status < 200)
			r->interim = status;
		else
			r->status = status;
		return 0;
	}
	snprintf(line, sizeof(line), "%.*s: %.*s\n", (int)nlen,
	    (const char *)name, (int)vlen, (const char *)value);
	if (first)
		strlcat(r->head, line, sizeof(r->head));
	else
		strlcat(r->trailers, line, sizeof(r->trailers));
	return 0;
}

static int
on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p,
    size_t n, void *arg)
{
	buf_put(&h2c_rsp(arg, id)->body, p, n);
	return 0;
}

static int
on_close(nghttp2_session *s, int32_t id, uint32_t error, void *arg)
{
	struct body *b = nghttp2_session_get_stream_user_data(s, id);

	h2c_rsp(arg, id)->closed = true;
	h2c_rsp(arg, id)->error = error;
	if (b != NULL) {
		buf_free(&b->b);
		free(b);
	}
	return 0;
}

static int
on_frame(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
	struct h2c *c = arg;

	if (f->hd.type == NGHTTP2_SETTINGS)
		c->greeted = true;
	if (f->hd.type == NGHTTP2_GOAWAY) {
		c->goaway = true;
		c->goaway_error = f->goaway.error_code;
		c->goaway_last = f->goaway.last_stream_id;
	}
	return 0;
}

static ssize_t
read_body(nghttp2_session *s, int32_t id, uint8_t *to, size_t max,
    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct body *b = source->ptr;
	size_t n = buf_len(&b->b);

	if (n == 0 && !b->end)
		return NGHTTP2_ERR_DEFERRED;
	if (n > max)
		n = max;
	if (n > 0)
		memcpy(to, buf_head(&b->b), n);
	buf_consume(&b->b, n);
	if (b->end && buf_len(&b->b) == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

void
h2c_open(struct h2c *c, struct ft *t, bool no_windows)
{
	nghttp2_session_callbacks *cb;
	nghttp2_option *o;
	static const nghttp2_settings_entry none[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 }
	};

	memset(c, 0, sizeof(*c));
	c->fd = ft_connect(t);
	c->no_windows = no_windows;
	assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	assert_int_equal(nghttp2_option_new(&o), 0);
	nghttp2_option_set_no_auto_window_update(o, no_windows);
	/* What is wrong is told by the server. */
	nghttp2_option_set_no_http_messaging(o, 1);
	assert_int_equal(nghttp2_session_client_new2(&c->s, cb, c, o), 0);
	nghttp2_option_del(o);
	nghttp2_session_callbacks_del(cb);
	assert_int_equal(nghttp2_submit_settings(c->s, 0, none, 1), 0);
	h2c_flush(c);
}

void
h2c_close(struct h2c *c)
{
	for (int32_t id = 1; id < 2 * H2C_STREAMS; id += 2) {
		struct body *b = nghttp2_session_get_stream_user_data(c->s, id);

		if (b != NULL)
			buf_free(&b->b);
		free(b);
		buf_free(&h2c_rsp(c, id)->body);
	}
	nghttp2_session_del(c->s);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void
write_all(struct h2c *c, const uint8_t *p, size_t n)
{
	struct cur cur;

	cur_init(&cur, p, n);
	while (cur.left > 0) {
		size_t k =
		    c->piece > 0 && c->piece < cur.left ? c->piece : cur.left;
		ssize_t put = send(c->fd, cur.p, k, MSG_NOSIGNAL);

		if (put < 0 && (errno == EPIPE || errno == ECONNRESET))
			return;
		assert_true(put > 0);
		cur_bytes(&cur, (size_t)put);
	}
}

void
h2c_flush(struct h2c *c)
{
	const uint8_t *p;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(c->s, &p)) > 0)
		write_all(c, p, (size_t)n);
	assert_int_equal(n, 0);
}

int32_t
h2c_request(struct h2c *c, bool body, const char *const *fields)
{
	nghttp2_nv nva[FIELDS_MAX];
	char *copy[FIELDS_MAX];
	nghttp2_data_provider data = { .read_callback = read_body };
	size_t n = 0;
	int32_t id;

	for (; fields[n] != NULL; n++) {
		size_t name;

		assert_true(n < FIELDS_MAX);
		copy[n] = xstrdup(fields[n]);
		name = 1 + strcspn(copy[n] + 1, ":");
		nva[n] = (nghttp2_nv){ .name = (uint8_t *)copy[n],
			.namelen = name,
			.value = (uint8_t *)copy[n] + name + 2,
			.valuelen = strlen(copy[n] + name + 2) };
	}
	if (body)
		data.source.ptr = xcalloc(1, sizeof(struct body));
	id = nghttp2_submit_request(
	    c->s, NULL, nva, n, body ? &data : NULL, data.source.ptr);
	assert_true(id > 0);
	while (n > 0)
		free(copy[--n]);
	h2c_flush(c);
	return id;
}

int32_t
h2c_get(struct h2c *c, const char *path)
{
	char *p = xasprintf(":path: %s", path);
	const char *const fields[] = { ":method: GET", ":scheme: http",
		":authority: a.example", p, NULL };
	int32_t id = h2c_request(c, false, fields);

	free(p);
	return id;
}

void
h2c_data(struct h2c *c, int32_t id, const void *p, size_t n, bool end)
{
	struct body *b = nghttp2_session_get_stream_user_data(c->s, id);

	buf_put(&b->b, p, n);
	b->end = end;
	nghttp2_session_resume_data(c->s, id);
	h2c_flush(c);
}

/* One read; false when nothing came within ms or ever will. */
static bool
read_once(struct h2c *c, int ms)
{
	struct pollfd pf = { .fd = c->fd, .events = POLLIN };
	static uint8_t in[65536];
	ssize_t n;

	if (c->eof || poll(&pf, 1, ms) <= 0)
		return false;
	n = recv(c->fd, in, c->piece > 0 ? c->piece : sizeof(in), 0);
	if (n <= 0) {
		c->eof = true;
		return false;
	}
	n = nghttp2_session_mem_recv(c->s, in, (size_t)n);
	if (n < 0)
		fail_msg("client: %s", nghttp2_strerror((int)n));
	h2c_flush(c);
	return true;
}

struct h2c_rsp *
h2c_wait(struct h2c *c, int32_t id)
{
	struct h2c_rsp *r = h2c_rsp(c, id);

	while (!r->closed && read_once(c, WAIT_MS))
		;
	if (!r->closed)
		fail_msg("stream %d: %s", id,
		    c->eof ? "the connection ended" : "no end");
	return r;
}

void
h2c_wait_end(struct h2c *c)
{
	while (read_once(c, WAIT_MS))
		;
	if (!c->eof)
		fail_msg("the connection stays open");
}

void
h2c_ready(struct h2c *c)
{
	while (!c->greeted && read_once(c, WAIT_MS))
		;
	assert_true(c->greeted);
}

void
h2c_wait_body(struct h2c *c, int32_t id, size_t n)
{
	struct h2c_rsp *r = h2c_rsp(c, id);

	while (buf_len(&r->body) < n && read_once(c, WAIT_MS))
		;
	assert_int_equal(buf_len(&r->body), n);
}

void
h2c_poll(struct h2c *c, int ms)
{
	while (read_once(c, ms))
		;
}

void
h2c_frame(struct buf *b, unsigned int type, unsigned int flags, uint32_t stream,
    const void *p, size_t n)
{
	const uint8_t head[9] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8),
		(uint8_t)n, (uint8_t)type, (uint8_t)flags,
		(uint8_t)(stream >> 24), (uint8_t)(stream >> 16),
		(uint8_t)(stream >> 8), (uint8_t)stream };

	buf_put(b, head, sizeof(head));
	buf_put(b, p, n);
}

static void
put_string(struct buf *b, const char *s)
{
	assert_true(strlen(s) < 127);
	buf_put_u8(b, (uint8_t)strlen(s));
	buf_put(b, s, strlen(s));
}

void
h2c_literal(struct buf *b, const char *name, const char *value)
{
	buf_put_u8(b, 0); /* without indexing, new name (RFC 7541 s. 6.2.2) */
	put_string(b, name);
	put_string(b, value);
}

/* CONNECT through an upstream proxy (RFC 9110 section 9.3.6). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/evp.h>

#include "base/str.h"
#include "proxy/dial_int.h"

#define PEEK_SIZE 4096u

static void
put_basic(struct buf *b, const struct secret *auth)
{
	size_t n = secret_len(auth), size = 4 * ((n + 2) / 3);
	uint8_t *p;

	buf_put(b, "Basic ", 6);
	/* EVP_EncodeBlock() writes a NUL as well. */
	p = buf_reserve(b, size + 1);
	EVP_EncodeBlock(p, secret_bytes(auth), (int)n);
	buf_commit(b, size);
}

void
dial_proxy_auth(const struct dial_proxy *p, struct buf *b)
{
	if (p->auth == NULL)
		return;
	/* In one piece, so that wiping it leaves no copy. */
	(void)buf_reserve(b, 16 + 2 * secret_len(p->auth));
	put_basic(b, p->auth);
}

enum connect_result
dial_connect_answer(struct http_parser *p, struct buf *in, const uint8_t *bytes,
    size_t n, size_t *used, char *why, size_t size)
{
	const uint8_t *data;
	size_t len;

	buf_put(in, bytes, n);
	*used = n;
	switch (http_parse(p, in, &data, &len)) {
	case HTTP_MORE:
		return CONNECT_MORE;
	case HTTP_HEAD:
		break;
	case HTTP_BAD:
		snprintf(why, size, "it does not answer with HTTP: %s", p->why);
		return CONNECT_BAD;
	case HTTP_DATA:
	case HTTP_DONE:
		snprintf(why, size, "it does not answer with HTTP");
		return CONNECT_BAD;
	}
	*used = n - buf_len(in);
	if (p->status / 100 == 2)
		return CONNECT_OPEN;
	if (p->status == 407)
		snprintf(why, size,
		    "it answered 407: its credential is missing or wrong");
	else
		snprintf(why, size, "it answered %u %s", p->status,
		    http_reason(p->status));
	return CONNECT_BAD;
}

static void
fail(struct dial *dl, const char *why)
{
	char text[512];

	snprintf(text, sizeof(text), "the upstream proxy %s port %u: %s",
	    dl->proxy_host, dl->proxy_port, why);
	dial_fail(dl, UPSTREAM_PROXY, text);
}

void
dial_connect_start(struct dial *dl)
{
	const char *open = strchr(dl->host, ':') != NULL ? "[" : "";
	const char *close = open[0] != '\0' ? "]" : "";
	size_t auth = dl->proxy_auth == NULL ? 0 : secret_len(dl->proxy_auth);

	(void)buf_reserve(&dl->out, 1024 + 2 * auth);
	buf_printf(&dl->out,
	    "CONNECT %s%s%s:%u HTTP/1.1\r\n"
	    "Host: %s%s%s:%u\r\n",
	    open, dl->host, close, dl->port, open, dl->host, close, dl->port);
	if (auth > 0) {
		buf_printf(&dl->out, "Proxy-Authorization: ");
		put_basic(&dl->out, dl->proxy_auth);
		buf_printf(&dl->out, "\r\n");
	}
	buf_printf(&dl->out, "\r\n");
	http_parser_for(&dl->parser, "CONNECT");
	dial_step(dl, DIAL_CONNECT, DIAL_PROXY_MS);
	dial_watch(dl, EV_WRITE);
}

/* False when it failed. */
static bool
write_out(struct dial *dl)
{
	while (buf_len(&dl->out) > 0) {
		ssize_t n = send(dl->fd, buf_head(&dl->out), buf_len(&dl->out),
		    MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0) {
			fail(dl, strerror(errno));
			return false;
		}
		buf_consume(&dl->out, (size_t)n);
	}
	explicit_bzero(dl->out.data, dl->out.cap);
	dial_watch(dl, EV_READ);
	return true;
}

/* n bytes are there: they have been seen. */
static bool
take(struct dial *dl, uint8_t *p, size_t n)
{
	return n == 0 || recv(dl->fd, p, n, 0) == (ssize_t)n;
}

/*
 * What comes behind the answer belongs to the tunnel, so the answer is looked
 * at and only then taken out of the socket.
 */
static void
read_answer(struct dial *dl)
{
	uint8_t bytes[PEEK_SIZE];
	char why[256] = "";
	size_t used;
	ssize_t n;

	for (;;) {
		enum connect_result r;

		n = recv(dl->fd, bytes, sizeof(bytes), MSG_PEEK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			fail(dl, n < 0 ? strerror(errno)
				       : "it closed the connection without an "
					 "answer");
			return;
		}
		r = dial_connect_answer(&dl->parser, &dl->in, bytes, (size_t)n,
		    &used, why, sizeof(why));
		if (r != CONNECT_BAD && !take(dl, bytes, used)) {
			fail(dl, strerror(errno));
			return;
		}
		if (r == CONNECT_BAD) {
			fail(dl, why);
			return;
		}
		if (r == CONNECT_OPEN) {
			dial_through(dl);
			return;
		}
	}
}

void
dial_connect_io(struct dial *dl)
{
	if (buf_len(&dl->out) > 0 && !write_out(dl))
		return;
	if (buf_len(&dl->out) == 0)
		read_answer(dl);
}

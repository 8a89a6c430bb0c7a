#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/str.h"
#include "proxy/upstream_int.h"
#include "proxy/ws_key.h"

#define HEAD_SLACK 1024u /* request line, framing, what printing needs */
#define CHUNK_SLACK 64u
#define KEY_BYTES 16u
#define KEY_TEXT (WS_KEY_LEN + 1)

/* ---- request ----------------------------------------------------------- */

static size_t
fields_size(const struct fields *fs)
{
	size_t size = 0;

	for (size_t i = 0; i < fs->n; i++)
		size += strlen(fs->f[i].name) + strlen(fs->f[i].value) + 4;
	return size;
}

/* A fresh key, and its answer. */
static void
make_key(char key[KEY_TEXT], char accept[WS_ACCEPT_SIZE])
{
	unsigned char raw[KEY_BYTES];

	if (RAND_bytes(raw, sizeof(raw)) != 1)
		fatalx("no random bytes");
	EVP_EncodeBlock((unsigned char *)key, raw, sizeof(raw));
	ws_accept(key, accept);
}

/* Through a proxy without a tunnel: the whole URL, and who we are there. */
static void
put_line(struct buf *b, const struct upstream *u, const struct req_head *h,
    const char *hostport)
{
	bool whole = u->proxy != NULL && !u->conn->tunnel;

	buf_printf(b, "%s %s%s%s HTTP/1.1\r\nHost: %s\r\n", h->method,
	    whole ? "http://" : "", whole ? hostport : "", h->target, hostport);
	if (whole && u->proxy->auth != NULL) {
		buf_printf(b, "Proxy-Authorization: ");
		dial_proxy_auth(u->proxy, b);
		buf_printf(b, "\r\n");
	}
}

static size_t
proxy_size(const struct upstream *u)
{
	return u->proxy == NULL || u->proxy->auth == NULL
		   ? 0
		   : 2 * secret_len(u->proxy->auth);
}

void
uc1_head(struct upstream *u, const struct req_head *h, const char *hostport)
{
	struct upstream_conn *c = u->conn;
	struct buf *b = &c->out;
	char key[KEY_TEXT];

	http_parser_for(&c->parser, h->method);
	up_reserve(b, HEAD_SLACK + strlen(h->target) + 2 * strlen(hostport) +
			  fields_size(&h->fields) + proxy_size(u));
	put_line(b, u, h, hostport);
	http_put_fields(b, &h->fields);
	u->upgrade = strcmp(h->protocol, WIRE_WEBSOCKET) == 0;
	if (u->upgrade) {
		make_key(key, u->accept);
		buf_printf(b,
		    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
		    "Sec-WebSocket-Key: %s\r\n",
		    key);
	} else {
		http_put_framing(b, h->kind, h->length);
	}
	buf_put(b, "\r\n", 2);
	uc_pump_soon(c);
}

void
uc1_body(struct upstream *u, const void *p, size_t n)
{
	struct upstream_conn *c = u->conn;

	up_reserve(&c->out, n + CHUNK_SLACK);
	if (u->kind == BODY_STREAM && !u->upgrade)
		http_put_chunk(&c->out, p, n);
	else
		buf_put(&c->out, p, n);
	uc_pump_soon(c);
}

void
uc1_end(struct upstream *u, const struct fields *trailers)
{
	struct upstream_conn *c = u->conn;

	if (u->kind == BODY_STREAM && !u->upgrade) {
		up_reserve(&c->out, CHUNK_SLACK + fields_size(trailers));
		http_put_last_chunk(&c->out, trailers);
	}
	uc_pump_soon(c);
}

/* ---- response ---------------------------------------------------------- */

/* The only 101 that is taken (RFC 6455 section 4.1); NULL when it is right. */
static const char *
check_upgrade(const struct upstream *u, const struct fields *fs)
{
	size_t n;
	const char *v = fields_get(fs, "Upgrade", &n);

	if (!u->upgrade)
		return "the server switched protocols unasked";
	if (n != 1 || strcasecmp(v, WIRE_WEBSOCKET) != 0)
		return "the server switched to another protocol";
	v = fields_get(fs, "Connection", &n);
	if (n != 1 || !wire_list_has(v, "Upgrade"))
		return "the server's WebSocket handshake is malformed";
	v = fields_get(fs, "Sec-WebSocket-Accept", &n);
	if (n != 1 || strcmp(v, u->accept) != 0)
		return "the server's WebSocket handshake is not an answer to "
		       "ours";
	return NULL;
}

static void
give_head(struct upstream_conn *c, struct upstream *u)
{
	struct http_parser *p = &c->parser;
	struct rsp_head h = { .status = (uint16_t)p->status,
		.reason = p->reason,
		.fields = p->fields,
		.kind = u->raw ? BODY_STREAM : p->kind,
		.length = p->length };

	p->reason = NULL;
	memset(&p->fields, 0, sizeof(p->fields));
	fields_strip_hop(&h.fields);
	u->headed = true;
	u->ops->head(u->arg, &h);
	rsp_head_free(&h);
}

/* An interim answer, or the switch; false when c is no more. */
static bool
interim(struct upstream_conn *c, struct upstream *u)
{
	const char *why;

	if (c->parser.status != 101)
		return true;
	why = check_upgrade(u, &c->parser.fields);
	if (why != NULL) {
		uc_fail(c, UPSTREAM_BROKEN, why);
		return false;
	}
	u->raw = true;
	up_alive(u);
	give_head(c, u);
	return c->state == UC_OPEN && c->users == u;
}

static bool
give_raw(struct upstream_conn *c)
{
	struct upstream *u = c->users;

	while (!u->blocked && buf_len(&c->in) > 0) {
		size_t n = buf_len(&c->in), used;

		used = u->ops->data(u->arg, buf_head(&c->in), n);
		if (c->state != UC_OPEN || c->users != u)
			return false;
		buf_consume(&c->in, used);
		u->blocked = used < n;
	}
	if (buf_len(&c->in) == 0)
		up_wipe(&c->in);
	return !u->blocked;
}

/* One step of what the parser found; false when no more can be used. */
static bool
step(struct upstream_conn *c, struct upstream *u, enum http_result r,
    const uint8_t *data, size_t n)
{
	size_t used;

	switch (r) {
	case HTTP_BAD:
		uc_fail(c, UPSTREAM_BROKEN, c->parser.why);
		return false;
	case HTTP_MORE:
		return false;
	case HTTP_HEAD:
		if (c->parser.status / 100 == 1)
			return interim(c, u);
		give_head(c, u);
		break;
	case HTTP_DATA:
		used = u->ops->data(u->arg, data, n);
		if (c->state != UC_OPEN || c->users != u)
			return false;
		http_parser_took(&c->parser, &c->in, used);
		u->blocked = used < n;
		break;
	case HTTP_DONE:
		if (c->parser.status / 100 == 1) {
			if (!up_interim(u)) {
				uc_fail(c, UPSTREAM_BROKEN, u->why);
				return false;
			}
			http_parser_reset(&c->parser);
			break;
		}
		up_done(u, &c->parser.trailers);
		return false;
	}
	return c->state == UC_OPEN && c->users == u && !u->blocked;
}

bool
uc1_parse(struct upstream_conn *c)
{
	struct upstream *u = c->users;
	const uint8_t *data;
	enum http_result r = HTTP_DATA;
	size_t n;

	if (c->state != UC_OPEN || u == NULL || u->blocked || u->complete)
		return false;
	do {
		if (u->raw)
			return give_raw(c);
		r = http_parse(&c->parser, &c->in, &data, &n);
	} while (step(c, u, r, data, n));
	return r == HTTP_MORE;
}

void
uc1_eof(struct upstream_conn *c, bool clean)
{
	struct upstream *u = c->users;
	struct fields none = { 0 };

	if (u == NULL) {
		uc_destroy(c);
		return;
	}
	if (clean && u->raw) {
		up_done(u, &none);
		return;
	}
	/* A TLS session cut off without close_notify may be truncated. */
	if (clean && !u->raw && http_parse_eof(&c->parser) == HTTP_DONE) {
		up_done(u, &c->parser.trailers);
		return;
	}
	uc_fail(c, UPSTREAM_BROKEN,
	    u->got_bytes ? "the server closed in the middle of its response"
			 : "the server closed without a response");
}

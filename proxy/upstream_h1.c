#include <string.h>

#include "proxy/upstream_int.h"

#define HEAD_SLACK 1024u /* request line, framing, what printing needs */
#define CHUNK_SLACK 64u

void
upstream_head(
    struct upstream *u, const struct req_head *h, const char *hostport)
{
	size_t size = HEAD_SLACK + strlen(h->target) + strlen(hostport);

	if (u->state != UP_READY)
		return;
	for (size_t i = 0; i < h->fields.n; i++)
		size += strlen(h->fields.f[i].name) +
			strlen(h->fields.f[i].value) + 4;
	http_parser_for(&u->parser, h->method);
	u->kind = h->kind;
	upstream_reserve(u, size);
	http_put_request(&u->out, h->method, h->target, hostport, &h->fields,
	    h->kind, h->length);
	upstream_wrote(u);
}

void
upstream_body(struct upstream *u, const void *p, size_t n)
{
	if (u->state != UP_READY || n == 0)
		return;
	upstream_reserve(u, n + CHUNK_SLACK);
	if (u->kind == BODY_STREAM)
		http_put_chunk(&u->out, p, n);
	else
		buf_put(&u->out, p, n);
	upstream_wrote(u);
}

void
upstream_end(struct upstream *u, const struct fields *trailers)
{
	size_t size = CHUNK_SLACK;

	if (u->state != UP_READY || u->kind != BODY_STREAM)
		return;
	for (size_t i = 0; i < trailers->n; i++)
		size += strlen(trailers->f[i].name) +
			strlen(trailers->f[i].value) + 4;
	upstream_reserve(u, size);
	http_put_last_chunk(&u->out, trailers);
	upstream_wrote(u);
}

static void
give_head(struct upstream *u)
{
	struct http_parser *p = &u->parser;
	struct rsp_head h = { .status = (uint16_t)p->status,
		.reason = p->reason,
		.fields = p->fields,
		.kind = p->kind,
		.length = p->length };

	p->reason = NULL;
	memset(&p->fields, 0, sizeof(p->fields));
	fields_strip_hop(&h.fields);
	u->ops->head(u->arg, &h);
	rsp_head_free(&h);
}

static void
on_done(struct upstream *u)
{
	u->complete = true;
	fields_strip_hop(&u->parser.trailers);
	u->ops->done(u->arg, &u->parser.trailers);
	/* The user always releases; if not, nothing more is to be had. */
	if (u->state == UP_READY)
		upstream_release(u, false);
}

/* An interim answer ended: wait for the final one. */
static bool
skip_interim(struct upstream *u)
{
	if (u->parser.status == 101 || ++u->interim > UPSTREAM_INTERIM_MAX) {
		upstream_fail(u, UPSTREAM_BROKEN,
		    u->parser.status == 101
			? "the server switched protocols unasked"
			: "too many interim responses");
		return false;
	}
	http_parser_reset(&u->parser);
	return true;
}

bool
h1_parse(struct upstream *u)
{
	const uint8_t *data;
	size_t n, used;

	while (u->state == UP_READY && !u->blocked) {
		switch (http_parse(&u->parser, &u->in, &data, &n)) {
		case HTTP_BAD:
			upstream_fail(u, UPSTREAM_BROKEN, u->parser.why);
			return false;
		case HTTP_MORE:
			return true;
		case HTTP_HEAD:
			if (u->parser.status / 100 != 1)
				give_head(u);
			break;
		case HTTP_DATA:
			used = u->ops->data(u->arg, data, n);
			if (u->state != UP_READY)
				return false;
			http_parser_took(&u->parser, &u->in, used);
			if (used < n)
				u->blocked = true;
			break;
		case HTTP_DONE:
			if (u->parser.status / 100 == 1) {
				if (!skip_interim(u))
					return false;
				break;
			}
			on_done(u);
			return false;
		}
	}
	return u->state == UP_READY;
}

void
h1_eof(struct upstream *u, bool clean)
{
	/* A TLS session cut off without close_notify may be truncated. */
	if (clean && http_parse_eof(&u->parser) == HTTP_DONE) {
		on_done(u);
		return;
	}
	upstream_fail(u, UPSTREAM_BROKEN,
	    u->got_bytes ? "the server closed in the middle of its response"
			 : "the server closed without a response");
}

#include "proxy/http1.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

/* Empty lines that a client may send before a request (RFC 9112 s. 2.2). */
#define LEADING_LINES_MAX 2u

enum state {
	ST_START,
	ST_FIELDS,
	ST_BODY, /* left bytes of a known length */
	ST_UNTIL_CLOSE,
	ST_CHUNK_SIZE,
	ST_CHUNK_DATA,
	ST_CHUNK_END, /* the CRLF after a chunk's data */
	ST_TRAILERS,
	ST_DONE,
	ST_BAD,
};

static const char too_large[] = "header section is too large";

static enum http_result
bad(struct http_parser *p, unsigned int status, const char *why)
{
	p->state = ST_BAD;
	p->bad_status = status;
	p->why = why;
	return HTTP_BAD;
}

/* How many bytes at s are of a token. */
static size_t
token_span(const char *s, size_t n)
{
	static const char punct[] = "!#$%&'*+-.^_`|~";
	size_t i;

	for (i = 0; i < n; i++) {
		char c = s[i];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9'))
			continue;
		if (c == '\0' || strchr(punct, c) == NULL)
			break;
	}
	return i;
}

bool
http_is_token(const char *s, size_t n)
{
	return n > 0 && token_span(s, n) == n;
}

void
http_parser_init(struct http_parser *p, bool response)
{
	memset(p, 0, sizeof(*p));
	p->response = response;
	p->state = ST_START;
}

void
http_parser_free(struct http_parser *p)
{
	free(p->method);
	if (p->raw_target != NULL)
		explicit_bzero(p->raw_target, strlen(p->raw_target));
	free(p->raw_target);
	free(p->reason);
	fields_free(&p->fields);
	fields_free(&p->trailers);
	http_parser_init(p, p->response);
}

void
http_parser_reset(struct http_parser *p)
{
	bool for_head = p->for_head && p->status / 100 == 1;

	http_parser_free(p);
	p->for_head = for_head;
}

void
http_parser_for(struct http_parser *p, const char *method)
{
	p->for_head = strcmp(method, "HEAD") == 0;
}

/*
 * Find the next line of at most max bytes, its CRLF included.  HTTP_DATA:
 * *s, *n is the line without CRLF, and *whole what to consume.  The verdict
 * on a line falls only when it is whole or too long, so that it cannot depend
 * on how the bytes were cut.
 */
static enum http_result
line(struct http_parser *p, struct buf *b, size_t max, unsigned int status,
    const char *why, const char **s, size_t *n, size_t *whole)
{
	const char *head = (const char *)buf_head(b);
	size_t have = buf_len(b), from = p->scanned;
	const char *lf = NULL;

	if (have > from)
		lf = memchr(head + from, '\n', have - from);
	if (lf == NULL) {
		p->scanned = have;
		return have >= max ? bad(p, status, why) : HTTP_MORE;
	}
	p->scanned = 0;
	*whole = (size_t)(lf - head) + 1;
	if (*whole > max)
		return bad(p, status, why);
	*s = head;
	*n = *whole - 1;
	if (*n == 0 || head[*n - 1] != '\r')
		return bad(p, 400, "line ends in a bare LF");
	(*n)--;
	if (memchr(head, '\r', *n) != NULL)
		return bad(p, 400, "bare CR in a line");
	if (memchr(head, '\0', *n) != NULL)
		return bad(p, 400, "NUL in a line");
	return HTTP_DATA;
}

/* "HTTP/1.0" or "HTTP/1.1" exactly: 0 or -1 after bad(). */
static int
version(struct http_parser *p, const char *s, size_t n)
{
	if (n != 8 || memcmp(s, "HTTP/", 5) != 0 || s[6] != '.' || s[5] < '0' ||
	    s[5] > '9' || s[7] < '0' || s[7] > '9') {
		bad(p, 400, "malformed HTTP version");
		return -1;
	}
	if (s[5] != '1' || s[7] > '1') {
		bad(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
		return -1;
	}
	p->minor = (unsigned int)(s[7] - '0');
	return 0;
}

/* The form of the target must suit the method (RFC 9112 section 3.2). */
static bool
target_form_ok(const char *method, const char *t)
{
	if (strcmp(method, "CONNECT") == 0)
		return wire_is_authority(t);
	if (strcmp(t, "*") == 0)
		return strcmp(method, "OPTIONS") == 0;
	return t[0] == '/' || strncasecmp(t, "http://", 7) == 0 ||
	       strncasecmp(t, "https://", 8) == 0;
}

static enum http_result
request_line(struct http_parser *p, const char *s, size_t n)
{
	const char *sp1 = memchr(s, ' ', n), *sp2, *t;
	size_t mlen, tlen;

	if (sp1 == NULL)
		return bad(p, 400, "malformed request line");
	mlen = (size_t)(sp1 - s);
	t = sp1 + 1;
	sp2 = memchr(t, ' ', n - mlen - 1);
	if (sp2 == NULL)
		return bad(p, 400, "malformed request line");
	tlen = (size_t)(sp2 - t);
	if (!http_is_token(s, mlen))
		return bad(p, 400, "malformed method");
	if (mlen > WIRE_METHOD_MAX)
		return bad(p, 501, "method is too long");
	if (version(p, sp2 + 1, n - mlen - tlen - 2) < 0)
		return HTTP_BAD;
	for (size_t i = 0; i < tlen; i++)
		if (t[i] <= 0x20 || t[i] >= 0x7f || t[i] == '#')
			return bad(p, 400,
			    "request target has a character "
			    "that must be percent-encoded");
	p->method = xstrndup(s, mlen);
	p->raw_target = xstrndup(t, tlen);
	if (tlen == 0 || !target_form_ok(p->method, p->raw_target))
		return bad(p, 400, "request target does not suit the method");
	return HTTP_MORE;
}

static enum http_result
status_line(struct http_parser *p, const char *s, size_t n)
{
	unsigned int status = 0;

	if (n < 12 || s[8] != ' ' || (n > 12 && s[12] != ' '))
		return bad(p, 400, "malformed status line");
	if (version(p, s, 8) < 0)
		return HTTP_BAD;
	for (size_t i = 9; i < 12; i++) {
		if (s[i] < '0' || s[i] > '9')
			return bad(p, 400, "malformed status code");
		status = status * 10 + (unsigned int)(s[i] - '0');
	}
	if (status < 100)
		return bad(p, 400, "malformed status code");
	p->status = status;
	/* The phrase carries nothing; one that is odd is left out. */
	if (n > 13 && n - 13 <= WIRE_REASON_MAX &&
	    wire_is_value(s + 13, n - 13))
		p->reason = xstrndup(s + 13, n - 13);
	else
		p->reason = xstrdup("");
	return HTTP_MORE;
}

static enum http_result
field_line(struct http_parser *p, struct fields *fs, const char *s, size_t n)
{
	const char *colon;
	size_t nlen;

	if (s[0] == ' ' || s[0] == '\t')
		return bad(p, 400, "folded or indented header field");
	colon = memchr(s, ':', n);
	if (colon == NULL)
		return bad(p, 400, "header field without a colon");
	nlen = (size_t)(colon - s);
	if (!http_is_token(s, nlen))
		return bad(p, 400, "malformed header field name");
	s = colon + 1;
	n -= nlen + 1;
	while (n > 0 && (s[0] == ' ' || s[0] == '\t')) {
		s++;
		n--;
	}
	while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	if (!wire_is_value(s, n))
		return bad(p, 400, "control character in a header field");
	if (nlen > WIRE_NAME_MAX || n > WIRE_VALUE_MAX ||
	    fs->n >= WIRE_FIELDS_MAX)
		return bad(p, 431, too_large);
	fields_add(fs, colon - nlen, nlen, s, n);
	return HTTP_MORE;
}

static bool
connection_has(const struct http_parser *p, const char *token)
{
	for (size_t i = 0; i < p->fields.n; i++)
		if (strcasecmp(p->fields.f[i].name, "Connection") == 0 &&
		    wire_list_has(p->fields.f[i].value, token))
			return true;
	return false;
}

/* Host: exactly one in HTTP/1.1 (RFC 9112 section 3.2). */
static int
check_host(struct http_parser *p)
{
	size_t count;
	const char *host = fields_get(&p->fields, "Host", &count);

	if (count > 1) {
		bad(p, 400, "more than one Host field");
		return -1;
	}
	if (host == NULL && p->minor >= 1) {
		bad(p, 400, "no Host field");
		return -1;
	}
	if (host != NULL && !wire_is_authority(host)) {
		bad(p, 400, "malformed Host field");
		return -1;
	}
	return 0;
}

/*
 * Content-Length and Transfer-Encoding (RFC 9112 section 6): at most one of
 * them, once, in the only spelling every implementation reads alike.
 */
static int
check_framing(struct http_parser *p)
{
	size_t ncl, nte;
	const char *cl = fields_get(&p->fields, "Content-Length", &ncl);
	const char *te = fields_get(&p->fields, "Transfer-Encoding", &nte);

	if (ncl > 0 && nte > 0) {
		bad(p, 400, "Content-Length with Transfer-Encoding");
		return -1;
	}
	if (ncl > 1) {
		bad(p, 400, "more than one Content-Length");
		return -1;
	}
	if (nte > 1) {
		bad(p, 400, "more than one Transfer-Encoding");
		return -1;
	}
	if (te != NULL) {
		if (p->minor == 0) {
			bad(p, 400, "Transfer-Encoding in HTTP/1.0");
			return -1;
		}
		if (strcasecmp(te, "chunked") != 0) {
			bad(p, 501, "transfer coding other than chunked");
			return -1;
		}
		p->chunked = true;
		p->kind = BODY_STREAM;
	}
	if (cl != NULL) {
		if (*cl == '\0' || cl[strspn(cl, "0123456789")] != '\0') {
			bad(p, 400, "malformed Content-Length");
			return -1;
		}
		if (strlen(cl) > 19 ||
		    str_to_u64(cl, 0, INT64_MAX, &p->length) < 0) {
			bad(p, 413, "Content-Length is too large");
			return -1;
		}
		p->kind = BODY_LENGTH;
	}
	return 0;
}

static enum http_result
request_head_done(struct http_parser *p)
{
	const char *expect = fields_get(&p->fields, "Expect", NULL);

	if (check_host(p) < 0 || check_framing(p) < 0)
		return HTTP_BAD;
	if (expect != NULL && p->minor >= 1) {
		if (strcasecmp(expect, "100-continue") != 0)
			return bad(p, 417, "unknown expectation");
		p->expect_continue = p->kind != BODY_NONE;
	}
	p->state = p->chunked               ? ST_CHUNK_SIZE
		   : p->kind == BODY_LENGTH ? ST_BODY
					    : ST_DONE;
	return HTTP_HEAD;
}

static enum http_result
response_head_done(struct http_parser *p)
{
	bool none = p->for_head || p->status / 100 == 1 || p->status == 204 ||
		    p->status == 304;

	if (check_framing(p) < 0)
		return HTTP_BAD;
	if (p->status / 100 == 1 || p->status == 204) {
		/* A length here is forbidden, and read differently. */
		if (p->chunked || (p->kind == BODY_LENGTH && p->length != 0))
			return bad(p, 400, "body with a status that has none");
		p->kind = BODY_NONE;
	}
	if (none) {
		p->state = ST_DONE;
	} else if (p->chunked) {
		p->state = ST_CHUNK_SIZE;
	} else if (p->kind == BODY_LENGTH) {
		p->state = ST_BODY;
	} else {
		p->kind = BODY_STREAM;
		p->until_close = true;
		p->keep_alive = false;
		p->state = ST_UNTIL_CLOSE;
	}
	return HTTP_HEAD;
}

static enum http_result
head_done(struct http_parser *p)
{
	enum http_result r;

	p->keep_alive = !connection_has(p, "close") &&
			(p->minor >= 1 || connection_has(p, "keep-alive"));
	r = p->response ? response_head_done(p) : request_head_done(p);
	p->left = p->length;
	if (p->state == ST_BODY && p->left == 0)
		p->state = ST_DONE;
	return r;
}

static enum http_result
start(struct http_parser *p, struct buf *b)
{
	const char *s;
	size_t n, whole;
	enum http_result r;

	r = line(p, b, HTTP_LINE_MAX, p->response ? 400 : 414,
	    p->response ? "status line is too long"
			: "request line is too long",
	    &s, &n, &whole);
	if (r != HTTP_DATA)
		return r;
	p->head_bytes += whole;
	if (n == 0) {
		if (p->response || p->head_bytes > 2 * LEADING_LINES_MAX)
			return bad(p, 400, "empty line before the message");
	} else {
		r = p->response ? status_line(p, s, n) : request_line(p, s, n);
		if (r == HTTP_BAD)
			return r;
		p->state = ST_FIELDS;
	}
	buf_consume(b, whole);
	return HTTP_MORE;
}

static enum http_result
field_section(
    struct http_parser *p, struct buf *b, struct fields *fs, size_t max)
{
	const char *s;
	size_t n, whole, room = max - p->head_bytes;
	enum http_result r;

	r = line(p, b, room < HTTP_LINE_MAX ? room : HTTP_LINE_MAX, 431,
	    too_large, &s, &n, &whole);
	if (r != HTTP_DATA)
		return r;
	p->head_bytes += whole;
	if (n > 0 && field_line(p, fs, s, n) == HTTP_BAD)
		return HTTP_BAD;
	buf_consume(b, whole);
	return n > 0 ? HTTP_MORE : HTTP_DONE;
}

static enum http_result
trailers_done(struct http_parser *p)
{
	for (size_t i = 0; i < p->trailers.n; i++)
		if (!wire_is_trailer(p->trailers.f[i].name))
			return bad(p, 400, "forbidden trailer field");
	p->state = ST_DONE;
	return HTTP_DONE;
}

/* The length of the quoted-string at s (RFC 9110 section 5.6.4); 0: none. */
static size_t
quoted_span(const char *s, size_t n)
{
	if (n == 0 || s[0] != '"')
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (s[i] == '"')
			return i + 1;
		if (s[i] == '\\')
			i++;
		if (i < n && ((unsigned char)s[i] < 0x20 || s[i] == 0x7f) &&
		    s[i] != '\t')
			return 0;
	}
	return 0;
}

/*
 * chunk-ext (RFC 9112 section 7.1.1) without the blanks that only "bad"
 * senders put in.  It is dropped, but a parser that stumbles over an odd one
 * may look for the end of the line elsewhere.
 */
static bool
chunk_ext_ok(const char *s, size_t n)
{
	while (n > 0) {
		size_t len = s[0] == ';' ? token_span(s + 1, n - 1) : 0;

		if (len == 0)
			return false;
		s += len + 1;
		n -= len + 1;
		if (n == 0 || s[0] != '=')
			continue;
		len = token_span(s + 1, n - 1);
		if (len == 0)
			len = quoted_span(s + 1, n - 1);
		if (len == 0)
			return false;
		s += len + 1;
		n -= len + 1;
	}
	return true;
}

/* chunk-size [ chunk-ext ] (RFC 9112 section 7.1). */
static enum http_result
chunk_size(struct http_parser *p, struct buf *b)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	const char *s;
	size_t n, whole, i;
	uint64_t size = 0;
	enum http_result r;

	r = line(p, b, HTTP_CHUNK_LINE_MAX, 400, "chunk line is too long", &s,
	    &n, &whole);
	if (r != HTTP_DATA)
		return r;
	for (i = 0; i < n && memchr(hex, s[i], sizeof(hex) - 1) != NULL; i++) {
		unsigned int d = s[i] <= '9'
				     ? (unsigned int)(s[i] - '0')
				     : (unsigned int)(s[i] | 32) - 'a' + 10;
		if (size > (INT64_MAX >> 4))
			return bad(p, 413, "chunk is too large");
		size = size << 4 | d;
	}
	if (i == 0 || (i < n && s[i] != ';'))
		return bad(p, 400, "malformed chunk size");
	if (!chunk_ext_ok(s + i, n - i))
		return bad(p, 400, "malformed chunk extension");
	buf_consume(b, whole);
	p->left = size;
	if (size > 0) {
		p->state = ST_CHUNK_DATA;
	} else {
		p->state = ST_TRAILERS;
		p->head_bytes = 0;
	}
	return HTTP_MORE;
}

static enum http_result
chunk_end(struct http_parser *p, struct buf *b)
{
	const uint8_t *d = buf_head(b);

	if ((buf_len(b) > 0 && d[0] != '\r') ||
	    (buf_len(b) > 1 && d[1] != '\n'))
		return bad(p, 400, "chunk is longer than its size");
	if (buf_len(b) < 2)
		return HTTP_MORE;
	buf_consume(b, 2);
	p->state = ST_CHUNK_SIZE;
	return HTTP_MORE;
}

static enum http_result
body(struct http_parser *p, struct buf *b, const uint8_t **data, size_t *n)
{
	size_t have = buf_len(b);

	if (have == 0)
		return HTTP_MORE;
	if (have > WIRE_PIECE)
		have = WIRE_PIECE;
	if (p->state != ST_UNTIL_CLOSE && have > p->left)
		have = (size_t)p->left;
	*data = buf_head(b);
	*n = have;
	return HTTP_DATA;
}

enum http_result
http_parse(
    struct http_parser *p, struct buf *b, const uint8_t **data, size_t *n)
{
	enum http_result r;

	*data = NULL;
	*n = 0;
	for (;;) {
		int before = p->state;
		size_t left = buf_len(b);

		switch ((enum state)p->state) {
		case ST_START:
			r = start(p, b);
			break;
		case ST_FIELDS:
			r = field_section(p, b, &p->fields, HTTP_HEAD_MAX);
			if (r == HTTP_DONE)
				return head_done(p);
			break;
		case ST_BODY:
		case ST_UNTIL_CLOSE:
		case ST_CHUNK_DATA:
			return body(p, b, data, n);
		case ST_CHUNK_SIZE:
			r = chunk_size(p, b);
			break;
		case ST_CHUNK_END:
			r = chunk_end(p, b);
			break;
		case ST_TRAILERS:
			r = field_section(
			    p, b, &p->trailers, HTTP_TRAILERS_MAX);
			if (r == HTTP_DONE)
				return trailers_done(p);
			break;
		case ST_DONE:
			return HTTP_DONE;
		case ST_BAD:
		default:
			return HTTP_BAD;
		}
		/* HTTP_MORE after progress: there may be another line. */
		if (r != HTTP_MORE ||
		    (p->state == before && buf_len(b) == left))
			return r;
	}
}

void
http_parser_took(struct http_parser *p, struct buf *b, size_t n)
{
	buf_consume(b, n);
	if (p->state == ST_UNTIL_CLOSE)
		return;
	p->left -= n;
	if (p->left > 0)
		return;
	p->state = p->state == ST_CHUNK_DATA ? ST_CHUNK_END : ST_DONE;
}

enum http_result
http_parse_eof(struct http_parser *p)
{
	if (p->state == ST_UNTIL_CLOSE)
		p->state = ST_DONE;
	if (p->state == ST_DONE)
		return HTTP_DONE;
	if (p->state == ST_BAD)
		return HTTP_BAD;
	return bad(p, 400, "connection ended inside a message");
}

/*
 * HTTP/1.1 messages (RFC 9112), parsed strictly and purely: no sockets, no
 * clock, the same result for any chunking.  What two implementations could
 * read differently is refused: bare LF or CR, folded fields, white space
 * before the colon, Content-Length with Transfer-Encoding, two lengths, codings
 * other than a single "chunked", NUL and other controls, chunk extensions
 * that are malformed or over a limit.
 *
 * A parser is fed from the head of a buf; it consumes what it has used.
 */
#ifndef BRIG_PROXY_HTTP1_H
#define BRIG_PROXY_HTTP1_H

#include "proxy/wire.h"

#define HTTP_HEAD_MAX 32768u     /* request or status line + fields */
#define HTTP_LINE_MAX 16384u     /* one line */
#define HTTP_CHUNK_LINE_MAX 256u /* chunk size and extension */
#define HTTP_TRAILERS_MAX 8192u

enum http_result {
	HTTP_BAD,  /* p->why says what; 0, so a lost value fails */
	HTTP_MORE, /* needs more bytes */
	HTTP_HEAD, /* head complete: p->req or p->rsp is filled */
	HTTP_DATA, /* *data, *n: body bytes, consume by http_took */
	HTTP_DONE, /* message complete; p->trailers filled */
};

struct http_parser {
	bool response;
	int state;
	const char *why;         /* static text */
	unsigned int bad_status; /* 400 413 414 417 431 501 505 to answer */

	/* Request line / status line. */
	char *method;
	char *raw_target; /* as sent: origin, absolute, authority or * */
	unsigned int status;
	char *reason;
	unsigned int minor;   /* HTTP/1.minor */
	struct fields fields; /* all of them, framing ones included */

	enum body_kind kind; /* how the body is framed */
	bool chunked;
	bool until_close; /* response body ends with the connection */
	uint64_t length;  /* BODY_LENGTH */
	uint64_t left;    /* of the body or the current chunk */
	bool keep_alive;  /* the connection may carry another message */
	bool expect_continue;
	struct fields trailers;
	size_t head_bytes; /* used by limits */
	size_t scanned;    /* bytes of the open line known to hold no LF */
	bool for_head;     /* what http_parser_for() said */
};

void http_parser_init(struct http_parser *p, bool response);
/*
 * For the next message on the same connection.  What http_parser_for() said
 * outlives only an interim (1xx) response.
 */
void http_parser_reset(struct http_parser *p);
void http_parser_free(struct http_parser *p);
/*
 * For a response: what the request was, since answers to HEAD, 1xx, 204 and
 * 304 have no body (RFC 9112 section 6.3): HTTP_HEAD is followed by HTTP_DONE
 * and kind and length only repeat what the fields said.  Before the head is
 * parsed.  CONNECT is never sent upstream.
 */
void http_parser_for(struct http_parser *p, const char *method);
/*
 * Advance over b.  HTTP_DATA gives borrowed bytes at the head of b (never
 * more than WIRE_BODY_CHUNK); after using them call http_parser_took().
 */
enum http_result http_parse(
    struct http_parser *p, struct buf *b, const uint8_t **data, size_t *n);
void http_parser_took(struct http_parser *p, struct buf *b, size_t n);
/* The connection ended: HTTP_DONE if that completes the message. */
enum http_result http_parse_eof(struct http_parser *p);

/* Is s a token (RFC 9110 section 5.6.2)? */
bool http_is_token(const char *s, size_t n);

/*
 * Writers: append to b exactly what is given plus framing.  fs holds no
 * hop-by-hop field (fields_strip_hop()).
 */
void http_put_fields(struct buf *b, const struct fields *fs);
/* Content-Length or Transfer-Encoding, or nothing. */
void http_put_framing(struct buf *b, enum body_kind kind, uint64_t length);

#define HTTP_RSP_CLOSE 1u       /* the connection ends after this message */
#define HTTP_RSP_UNTIL_CLOSE 2u /* BODY_STREAM without chunks, for 1.0 */
#define HTTP_RSP_1_0 4u         /* client speaks 1.0: name keep-alive */
#define HTTP_RSP_NO_BODY 8u     /* to HEAD: BODY_NONE is no length known */
/*
 * reason "" takes the usual phrase.  204 and 304 get no framing but a known
 * length; BODY_NONE of any other status is Content-Length: 0.
 */
void http_put_response(struct buf *b, unsigned int status, const char *reason,
    const struct fields *fs, enum body_kind kind, uint64_t length,
    unsigned int flags);
/* The usual phrase of a status code, "" if it has none. */
const char *http_reason(unsigned int status);
void http_put_chunk(struct buf *b, const void *p, size_t n); /* n > 0 */
void http_put_last_chunk(struct buf *b, const struct fields *trailers);

#endif

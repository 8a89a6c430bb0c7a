#include "proxy/http1.h"

void
http_put_fields(struct buf *b, const struct fields *fs)
{
	if (fs == NULL)
		return;
	for (size_t i = 0; i < fs->n; i++) {
		buf_put_text(b, fs->f[i].name);
		buf_put(b, ": ", 2);
		buf_put_text(b, fs->f[i].value);
		buf_put(b, "\r\n", 2);
	}
}

void
http_put_framing(struct buf *b, enum body_kind kind, uint64_t length)
{
	switch (kind) {
	case BODY_NONE:
		break;
	case BODY_LENGTH:
		buf_put_text(b, "Content-Length: ");
		buf_put_dec(b, length, 0);
		buf_put(b, "\r\n", 2);
		break;
	case BODY_STREAM:
		buf_put_text(b, "Transfer-Encoding: chunked\r\n");
		break;
	}
}

void
http_put_response(struct buf *b, unsigned int status, const char *reason,
    const struct fields *fs, enum body_kind kind, uint64_t length,
    unsigned int flags)
{
	if (reason[0] == '\0')
		reason = http_reason(status);
	buf_put_text(b, "HTTP/1.1 ");
	buf_put_dec(b, status, 0);
	buf_put_u8(b, ' ');
	buf_put_text(b, reason);
	buf_put(b, "\r\n", 2);
	http_put_fields(b, fs);
	if (status / 100 == 1 || status == 204 || status == 304) {
		if (status == 304 && kind == BODY_LENGTH)
			http_put_framing(b, kind, length);
	} else if (kind == BODY_NONE) {
		if ((flags & HTTP_RSP_NO_BODY) == 0)
			http_put_framing(b, BODY_LENGTH, 0);
	} else if (kind != BODY_STREAM || (flags & HTTP_RSP_UNTIL_CLOSE) == 0) {
		http_put_framing(b, kind, length);
	}
	if (flags & (HTTP_RSP_CLOSE | HTTP_RSP_UNTIL_CLOSE))
		buf_put_text(b, "Connection: close\r\n");
	else if (flags & HTTP_RSP_1_0)
		buf_put_text(b, "Connection: keep-alive\r\n");
	buf_put(b, "\r\n", 2);
}

void
http_put_chunk(struct buf *b, const void *p, size_t n)
{
	buf_printf(b, "%zx\r\n", n);
	buf_put(b, p, n);
	buf_put(b, "\r\n", 2);
}

void
http_put_last_chunk(struct buf *b, const struct fields *trailers)
{
	buf_put(b, "0\r\n", 3);
	http_put_fields(b, trailers);
	buf_put(b, "\r\n", 2);
}

const char *
http_reason(unsigned int status)
{
	static const struct {
		unsigned int status;
		const char *reason;
	} table[] = { { 100, "Continue" }, { 101, "Switching Protocols" },
		{ 200, "OK" }, { 201, "Created" }, { 202, "Accepted" },
		{ 204, "No Content" }, { 206, "Partial Content" },
		{ 301, "Moved Permanently" }, { 302, "Found" },
		{ 303, "See Other" }, { 304, "Not Modified" },
		{ 307, "Temporary Redirect" }, { 308, "Permanent Redirect" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 408, "Request Timeout" },
		{ 413, "Content Too Large" }, { 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" }, { 421, "Misdirected Request" },
		{ 426, "Upgrade Required" }, { 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 502, "Bad Gateway" }, { 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" } };

	for (size_t i = 0; i < nitems(table); i++)
		if (table[i].status == status)
			return table[i].reason;
	return "";
}

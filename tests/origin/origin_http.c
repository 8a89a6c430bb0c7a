/*
 * The requests of the test origin.  It is lenient on purpose: what reaches it
 * is what is being tested.
 */
#include "tests/origin/origin.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/str.h"

/* Value of a field in the raw head, trimmed, or "" (static per thread). */
const char *
origin_field(const struct request *r, const char *name)
{
	static _Thread_local char value[8192];
	size_t n = strlen(name);

	for (const char *p = strchr(r->head, '\n'); p != NULL;
	     p = strchr(p, '\n')) {
		p++;
		if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
			size_t len;

			p += n + 1;
			p += strspn(p, " \t");
			len = strcspn(p, "\r\n");
			snprintf(value, sizeof(value), "%.*s", (int)len, p);
			return value;
		}
	}
	return "";
}

static void
keep(struct request *r, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		r->fnv = (r->fnv ^ p[i]) * 16777619u;
	r->body_bytes += n;
	if (n > ORIGIN_BODY_KEEP - r->kept)
		n = ORIGIN_BODY_KEEP - r->kept;
	for (size_t i = 0; i < n; i++)
		r->body[r->kept++] = p[i] == 0 ? '?' : (char)p[i];
	r->body[r->kept] = '\0';
}

static int
take(struct conn *c, struct request *r, size_t n)
{
	while (n > 0) {
		size_t k = buf_len(&c->in);

		if (k == 0) {
			if (origin_read(c) < 0)
				return -1;
			continue;
		}
		k = k < n ? k : n;
		keep(r, buf_head(&c->in), k);
		buf_consume(&c->in, k);
		n -= k;
	}
	return 0;
}

static int
line(struct conn *c, char *out, size_t size)
{
	for (;;) {
		uint8_t *p = buf_head(&c->in), *e;

		e = buf_len(&c->in) == 0 ? NULL
					 : memchr(p, '\n', buf_len(&c->in));
		if (e != NULL) {
			snprintf(out, size, "%.*s", (int)(e - p), (char *)p);
			buf_consume(&c->in, (size_t)(e - p) + 1);
			return 0;
		}
		if (origin_read(c) < 0)
			return -1;
	}
}

static int
read_body(struct conn *c, struct request *r)
{
	uint64_t n;
	char l[256];

	if (strcasestr(origin_field(r, "Transfer-Encoding"), "chunked") !=
	    NULL) {
		for (;;) {
			if (line(c, l, sizeof(l)) < 0)
				return -1;
			n = strtoull(l, NULL, 16);
			if (n > 0 && take(c, r, n) < 0)
				return -1;
			if (line(c, l, sizeof(l)) < 0)
				return -1;
			if (n == 0)
				return 0; /* no trailers expected */
		}
	}
	if (str_to_u64(origin_field(r, "Content-Length"), 1, UINT64_MAX, &n) ==
	    0)
		return take(c, r, n);
	return 0;
}

static int
read_request(struct conn *c, struct request *r)
{
	uint8_t *p, *e;

	memset(r, 0, sizeof(*r));
	r->fnv = 2166136261u;
	for (;;) {
		p = buf_head(&c->in);
		e = buf_len(&c->in) < 4
			? NULL
			: memmem(p, buf_len(&c->in), "\r\n\r\n", 4);
		if (e != NULL)
			break;
		if (buf_len(&c->in) > 262144 || origin_read(c) < 0)
			return -1;
	}
	r->head = xstrndup((char *)p, (size_t)(e - p) + 2);
	buf_consume(&c->in, (size_t)(e - p) + 4);
	if (sscanf(r->head, "%15s %4095s", r->method, r->target) != 2)
		return -1;
	if (strcasestr(origin_field(r, "Expect"), "100-continue") != NULL)
		(void)origin_write(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	return read_body(c, r);
}

static int attr_printf(5, 6) reply(struct conn *c, const struct request *r,
    unsigned int status, const char *extra, const char *fmt, ...)
{
	char *body = NULL;
	struct buf b;
	va_list ap;
	int n, rc;

	va_start(ap, fmt);
	n = vasprintf(&body, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -1;
	buf_init(&b, 0);
	buf_printf(&b, "HTTP/1.1 %u Test\r\nContent-Length: %d\r\n%s\r\n",
	    status, n, extra);
	if (strcmp(r->method, "HEAD") != 0)
		buf_put(&b, body, (size_t)n);
	rc = origin_write(c, b.data, b.len);
	buf_free(&b);
	free(body);
	return rc;
}

static int
send_bytes(struct conn *c, const struct request *r, uint64_t n)
{
	static const uint8_t zeros[65536];
	char head[128];
	int k = snprintf(head, sizeof(head),
	    "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
	    (unsigned long long)n);

	if (origin_write(c, head, (size_t)k) < 0)
		return -1;
	if (strcmp(r->method, "HEAD") == 0)
		return 0;
	while (n > 0) {
		size_t want = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);

		if (origin_write(c, zeros, want) < 0)
			return -1;
		n -= want;
	}
	return 0;
}

/* All in one go, as far as the socket takes it. */
static int
send_often(
    struct conn *c, const struct request *r, unsigned long n, unsigned long m)
{
	const char *auth = origin_field(r, "Authorization");
	cleanup_buf struct buf body = { 0 }, all = { 0 };
	size_t skip = str_starts(auth, "Bearer ") ? 7 : 0;

	for (unsigned long i = 0; i < n; i++) {
		for (unsigned long j = 0; j < m; j++)
			buf_put_u8(&body, (uint8_t)('0' + (i + j) % 70));
		buf_put(&body, auth + skip, strlen(auth + skip));
	}
	buf_printf(&all, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
	    buf_len(&body));
	buf_put(&all, buf_head(&body), buf_len(&body));
	return origin_write(c, buf_head(&all), buf_len(&all));
}

static int
chunk(struct conn *c, const char *text)
{
	char b[8300];
	int n = snprintf(b, sizeof(b), "%zx\r\n%s\r\n", strlen(text), text);

	return origin_write(c, b, (size_t)n);
}

static int
send_chunks(struct conn *c, unsigned long n, unsigned long ms, bool sse)
{
	char text[64];
	const char *head =
	    sse ? "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n"
		: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

	if (origin_write(c, head, strlen(head)) < 0)
		return -1;
	for (unsigned long i = 0; i < n; i++) {
		snprintf(text, sizeof(text),
		    sse ? "data: event %lu\n\n" : "chunk%04lu\n", i);
		if (chunk(c, text) < 0)
			return -1;
		if (ms > 0)
			usleep((useconds_t)ms * 1000);
	}
	return origin_write(c, "0\r\n\r\n", 5);
}

/* The credential back in every form an echoing API might use. */
static int
send_leak(struct conn *c, const struct request *r)
{
	char value[8192], head[9000];
	const char *p;
	char one[2] = { 0 };
	struct buf hex, pct;
	int n, rc = -1;

	snprintf(value, sizeof(value), "%s", origin_field(r, "Authorization"));
	p = strrchr(value, ' ') == NULL ? value : strrchr(value, ' ') + 1;
	n = snprintf(head, sizeof(head),
	    "HTTP/1.1 200 OK\r\n%s: %s\r\nTransfer-Encoding: chunked"
	    "\r\n\r\n",
	    str_starts(r->target, "/leak-coding") ? "Content-Encoding"
						  : "X-Echo",
	    value);
	if (origin_write(c, head, (size_t)n) < 0)
		return -1;
	buf_init(&hex, 0);
	buf_init(&pct, 0);
	for (const char *q = p; *q != '\0'; q++) {
		buf_printf(&hex, "%02x", (unsigned char)*q);
		buf_printf(&pct, "%%%02X", (unsigned char)*q);
	}
	buf_put_u8(&hex, 0);
	buf_put_u8(&pct, 0);
	if (chunk(c, "raw=") < 0 || chunk(c, p) < 0 || chunk(c, "\nsplit=") < 0)
		goto out;
	for (const char *q = p; *q != '\0'; q++) {
		one[0] = *q;
		if (chunk(c, one) < 0)
			goto out;
	}
	if (chunk(c, "\nhex=") < 0 || chunk(c, (char *)hex.data) < 0 ||
	    chunk(c, "\npercent=") < 0 || chunk(c, (char *)pct.data) < 0 ||
	    chunk(c, "\n") < 0)
		goto out;
	rc = origin_write(c, "0\r\n\r\n", 5);
out:
	buf_free(&hex);
	buf_free(&pct);
	return rc;
}

static int
answer(struct conn *c, const struct request *r)
{
	unsigned long a = 0, b = 0;
	const char *t = r->target;
	char extra[4200];

	if (str_starts(t, "/echo"))
		return reply(c, r, 200, "Content-Type: text/plain\r\n",
		    "%s\r\n%s", r->head, r->body);
	if (str_starts(t, "/leak"))
		return send_leak(c, r);
	if (sscanf(t, "/bytes/%lu", &a) == 1)
		return send_bytes(c, r, a);
	if (sscanf(t, "/chunked/%lu", &a) == 1)
		return send_chunks(c, a, 0, false);
	if (sscanf(t, "/often/%lu/%lu", &a, &b) == 2)
		return send_often(c, r, a, b);
	if (sscanf(t, "/sse/%lu/%lu", &a, &b) == 2)
		return send_chunks(c, a, b, true);
	if (sscanf(t, "/status/%lu", &a) == 1) {
		if (a == 204 || a == 304) {
			int n = snprintf(extra, sizeof(extra),
			    "HTTP/1.1 %lu Test\r\n\r\n", a);

			return origin_write(c, extra, (size_t)n);
		}
		return reply(c, r, (unsigned int)a, "", "status %lu\n", a);
	}
	if (str_starts(t, "/redirect?")) {
		snprintf(extra, sizeof(extra), "Location: %s\r\n", t + 10);
		return reply(c, r, 302, extra, "moved\n");
	}
	if (str_starts(t, "/upload"))
		return reply(c, r, 200, "", "{\"bytes\":%zu,\"fnv\":%u}\n",
		    r->body_bytes, r->fnv);
	if (sscanf(t, "/token/%lu", &a) == 1 && a < 1024 * 1024) {
		cleanup_free char *token = xmalloc(a + 1);

		memset(token, 'a', a);
		token[a] = '\0';
		return reply(c, r, 200, "Content-Type: application/json\r\n",
		    "{\"access_token\":\"%s\"}", token);
	}
	if (str_starts(t, "/reply"))
		return reply(c, r, 200,
		    "Content-Type: application/json\r\nX-Token: kept\r\n", "%s",
		    r->body);
	if (str_starts(t, "/coded/"))
		return origin_coded(c, r);
	if (str_starts(t, "/gzip"))
		return reply(
		    c, r, 200, "Content-Encoding: gzip\r\n", "not really\n");
	if (str_starts(t, "/close")) {
		const char *s = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
				"until the end\n";

		(void)origin_write(c, s, strlen(s));
		return -1;
	}
	if (str_starts(t, "/ws"))
		return origin_websocket(c, r);
	if (str_starts(t, "/hang")) {
		while (origin_read(c) == 0)
			continue;
		return -1;
	}
	return reply(c, r, 200, "Content-Type: text/plain\r\n", "ok\n");
}

int
origin_serve_one(struct conn *c)
{
	struct request r;
	int rc = -1;

	if (read_request(c, &r) == 0) {
		origin_record(c, &r);
		rc = answer(c, &r);
		if (strcasestr(origin_field(&r, "Connection"), "close") != NULL)
			rc = -1;
	}
	free(r.head);
	return rc;
}

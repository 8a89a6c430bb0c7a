/*
 * Runs an HTTP/1.1 parser over bytes cut into pieces and writes down all it
 * said, so that two ways of cutting can be compared.  For tests and fuzzing.
 */
#ifndef BRIG_TESTS_HTTP1_RUN_H
#define BRIG_TESTS_HTTP1_RUN_H

#include <inttypes.h>
#include <string.h>

#include "proxy/http1.h"

static inline void
run_fields(struct buf *log, const struct fields *fs)
{
	for (size_t i = 0; i < fs->n; i++)
		buf_printf(log, "[%s|%s]", fs->f[i].name, fs->f[i].value);
}

/* What the parser says about b, appended to log; false once it is over. */
static inline bool
run_step(struct http_parser *p, struct buf *b, struct buf *log)
{
	const uint8_t *data;
	size_t n;

	for (;;) {
		switch (http_parse(p, b, &data, &n)) {
		case HTTP_MORE:
			return true;
		case HTTP_BAD:
			buf_printf(log, "BAD %u %s", p->bad_status, p->why);
			return false;
		case HTTP_HEAD:
			buf_printf(log,
			    "HEAD %s %s %u 1.%u kind=%d len=%" PRIu64
			    " keep=%d expect=%d ",
			    p->method == NULL ? "-" : p->method,
			    p->raw_target == NULL ? "-" : p->raw_target,
			    p->status, p->minor, (int)p->kind, p->length,
			    p->keep_alive, p->expect_continue);
			run_fields(log, &p->fields);
			buf_printf(log, " BODY ");
			break;
		case HTTP_DATA:
			buf_put(log, data, n);
			http_parser_took(p, b, n);
			break;
		case HTTP_DONE:
			buf_printf(log, " DONE ");
			run_fields(log, &p->trailers);
			/* Interim responses and pipelined requests go on. */
			if (p->response && p->status / 100 != 1)
				return false;
			http_parser_reset(p);
			break;
		}
	}
}

/*
 * Feed n bytes, first those up to cut, then step at a time (0: all).  The log
 * ends with what an end of the connection would mean.
 */
static inline void
run_http1(struct buf *log, bool response, const char *method, const void *bytes,
    size_t n, size_t cut, size_t step)
{
	struct http_parser p;
	struct buf b = { 0 };
	struct cur c;
	size_t take = cut > n ? n : cut;
	bool more = true;

	http_parser_init(&p, response);
	if (method != NULL)
		http_parser_for(&p, method);
	cur_init(&c, bytes, n);
	do {
		buf_put(&b, cur_bytes(&c, take), take);
		more = run_step(&p, &b, log);
		take = step == 0 || step > c.left ? c.left : step;
	} while (more && c.left > 0);
	if (more && p.state != 0)
		buf_printf(log, " EOF %d", (int)http_parse_eof(&p));
	http_parser_free(&p);
	buf_free(&b);
}

#endif

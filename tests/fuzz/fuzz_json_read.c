/*
 * The JSON reader on any bytes: the first says how to cut the rest.  Any
 * chunking tells the same values, and what is told of a string without escapes
 * is what stands at its place.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "proxy/json_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
	const uint8_t *in;
	struct buf out;
};

static bool
tell(const struct json_value *v, void *arg)
{
	struct told *t = arg;

	if (v->from > v->to || v->n > JSON_TEXT_MAX || v->text[v->n] != '\0' ||
	    (v->path != NULL && strlen(v->path) > JSON_PATH_MAX))
		abort();
	if (!v->cut && v->n == v->to - v->from &&
	    memchr(t->in + v->from, '\\', v->n) == NULL &&
	    memcmp(t->in + v->from, v->text, v->n) != 0)
		abort();
	buf_put_u8(&t->out, v->kind);
	buf_put_str(&t->out, v->path);
	buf_put_blob(&t->out, v->text, v->n);
	buf_put_u64(&t->out, v->from);
	buf_put_u64(&t->out, v->to);
	return true;
}

static int
read_in(const uint8_t *p, size_t n, size_t chunk, struct told *t)
{
	struct json_read r;

	t->in = p;
	buf_init(&t->out, 0);
	json_read_init(&r, tell, t);
	for (size_t at = 0; at < n; at += chunk)
		(void)json_read(&r, p + at, n - at < chunk ? n - at : chunk);
	return json_read_end(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct told whole, cut;
	int a, b;

	if (size < 2)
		return 0;
	a = read_in(data + 1, size - 1, size, &whole);
	b = read_in(data + 1, size - 1, (size_t)data[0] + 1, &cut);
	if (a != b || buf_len(&whole.out) != buf_len(&cut.out) ||
	    (buf_len(&cut.out) > 0 &&
		memcmp(buf_head(&whole.out), buf_head(&cut.out),
		    buf_len(&cut.out)) != 0))
		abort();
	buf_free(&whole.out);
	buf_free(&cut.out);
	return 0;
}

/*
 * Strings that json_read() accepts: decoding stays within their length, and
 * what is decoded and encoded again is read as the same string.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/json_read.h"
#include "proxy/json_string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
	const uint8_t *whole;
	char *again; /* what was decoded before, to compare with */
	size_t n;
	unsigned int strings;
};

static bool
on_value(const struct json_value *v, void *arg)
{
	struct text *t = arg;
	size_t n = (size_t)(v->to - v->from);
	char *out;

	if (v->kind != JSON_STRING)
		return true;
	out = xmalloc(n + 1);
	n = json_string_decode((const char *)t->whole + v->from, n, out);
	if (n > (size_t)(v->to - v->from))
		abort();
	if (!v->cut && (n != v->n || memcmp(out, v->text, n) != 0))
		abort();
	if (t->again != NULL && (n != t->n || memcmp(out, t->again, n) != 0))
		abort();
	free(t->again);
	t->again = out;
	t->n = n;
	t->strings++;
	return true;
}

static int
read_all(const void *p, size_t n, struct text *t)
{
	struct json_read *r = xmalloc(sizeof(*r));
	int rc;

	t->whole = p;
	json_read_init(r, on_value, t);
	rc = json_read(r, p, n);
	if (rc == 0)
		rc = json_read_end(r);
	free(r);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_buf struct buf b = { 0 };
	struct text t = { 0 };

	/* One string on its own. */
	if (size < 2 || data[0] != '"' || read_all(data, size, &t) < 0) {
		free(t.again);
		return 0;
	}
	buf_put_u8(&b, '"');
	json_string_encode(&b, t.again, t.n);
	buf_put_u8(&b, '"');
	if (read_all(buf_head(&b), buf_len(&b), &t) < 0 || t.strings != 2)
		abort();
	free(t.again);
	return 0;
}

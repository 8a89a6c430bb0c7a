/*
 * Schemas and documents: what can be taken is the same in one piece and byte
 * by byte, can always go on until it is full, and what is whole is JSON.  The
 * schema ends at the first NUL; the rest is a document, then choices.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "inferd/grammar.h"
#include "inferd/json_tree.h"

#define STEPS 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_whole(const struct grammar_state *s, const char *p, size_t n)
{
	struct json_tree t;

	if (!grammar_done(s))
		return;
	if (json_tree_read(&t, p, n, NULL) < 0)
		abort();
	json_tree_free(&t);
}

static void
take(const struct grammar *g, const char *p, size_t n)
{
	struct grammar_state *a = grammar_start(g), *b = grammar_start(g);
	bool one = grammar_take(a, p, n), many = true;
	size_t i;

	for (i = 0; many && i < n; i++)
		many = grammar_take(b, p + i, 1);
	if (one != many)
		abort();
	if (one)
		check_whole(a, p, n);
	if (one && grammar_done(a) != grammar_done(b))
		abort();
	grammar_state_free(a);
	grammar_state_free(b);
}

static void
walk(const struct grammar *g, const uint8_t *p, size_t n)
{
	struct grammar_state *s = grammar_start(g);
	struct buf text = { 0 };
	unsigned int i, k;
	char c;

	for (i = 0; i < STEPS; i++) {
		/* A choice of many bytes; the first that fits. */
		for (k = 0; k < 256; k++) {
			c = (char)((n == 0 ? i * 7 : p[i % n]) + k * 3);
			if (grammar_take(s, &c, 1))
				break;
		}
		if (k == 256)
			break;
		buf_put_u8(&text, (uint8_t)c);
		check_whole(s, (char *)buf_head(&text), buf_len(&text));
	}
	if (i < STEPS && !grammar_full(s))
		abort();
	grammar_state_free(s);
	buf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = memchr(data, 0, size);
	size_t n = nul == NULL ? size : (size_t)(nul - data);
	struct error err = { 0 };
	struct grammar *g;

	if (n == 0)
		return 0;
	g = schema_compile((const char *)data, n, &err);
	if (g == NULL) {
		if (err.msg[0] == '\0')
			abort();
		return 0;
	}
	if (n < size) {
		take(g, (const char *)data + n + 1, size - n - 1);
		walk(g, data + n + 1, size - n - 1);
	} else {
		walk(g, NULL, 0);
	}
	grammar_free(g);
	return 0;
}

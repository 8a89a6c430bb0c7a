/*
 * Answers of models: any bytes in any chunks give the same events, a call's
 * arguments are a JSON object, and calls are told whole unless the model was
 * stopped within one.  The first byte chooses the family, and whether it was.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/json_tree.h"
#include "inferd/toolcall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char schema[] =
    "{\"properties\":{\"s\":{\"type\":\"string\"},\"n\":{\"type\":"
    "\"integer\"},\"o\":{\"type\":\"object\"}}}";
static const struct chat_tool tools[] = {
	{ { "f", 1 }, { NULL, 0 }, { schema, sizeof(schema) - 1 } },
};

struct heard {
	struct buf all, args;
	bool in_call;
	enum toolcall_event last;
};

static void
hear(enum toolcall_event event, const char *p, size_t n, void *arg)
{
	struct heard *h = arg;
	struct json_tree t;

	if (!h->in_call && (event == TOOLCALL_ARGS || event == TOOLCALL_END))
		abort();
	if (h->in_call && event != TOOLCALL_ARGS && event != TOOLCALL_END)
		abort();
	if (event == TOOLCALL_BEGIN) {
		h->in_call = true;
		buf_clear(&h->args);
		if (n == 0 || n > TOOLCALL_NAME_MAX)
			abort();
	}
	if (event == TOOLCALL_ARGS)
		buf_put(&h->args, p, n);
	if (event == TOOLCALL_END) {
		h->in_call = false;
		if (json_tree_read(&t, (const char *)buf_head(&h->args),
			buf_len(&h->args), NULL) < 0 ||
		    t.node[0].type != JSON_OBJECT)
			abort();
		json_tree_free(&t);
	}
	if (event != h->last || buf_len(&h->all) == 0)
		buf_printf(&h->all, "\n%d:", (int)event);
	h->last = event;
	buf_put(&h->all, p, n);
}

static void
feed(struct heard *h, const uint8_t *p, size_t n, size_t chunk)
{
	struct toolcall *t =
	    toolcall_new((enum chat_family)(p[0] % (CHAT_FAMILIES - 1) + 1),
		p[0] & 128, tools, 1, hear, h);
	size_t i, k;

	for (i = 1; i < n; i += k) {
		k = n - i < chunk ? n - i : chunk;
		toolcall_push(t, (const char *)p + i, k, false);
	}
	if (p[0] & 64)
		toolcall_stop(t);
	else
		toolcall_end(t);
	if (h->in_call && (p[0] & 64) == 0)
		abort();
	h->in_call = false;
	toolcall_free(t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heard a = { 0 }, b = { 0 };

	if (size < 1)
		return 0;
	feed(&a, data, size, size);
	feed(&b, data, size, 1);
	if (buf_len(&a.all) != buf_len(&b.all) ||
	    (buf_len(&a.all) > 0 && memcmp(buf_head(&a.all), buf_head(&b.all),
					buf_len(&a.all)) != 0))
		abort();
	buf_free(&a.all);
	buf_free(&b.all);
	buf_free(&a.args);
	buf_free(&b.args);
	return 0;
}

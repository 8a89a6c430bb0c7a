/*
 * Requests to and responses of models on any bytes: the first chooses the
 * shape and the type, the second how to cut the rest.  Any chunking of a
 * response gives the same counts, and a request that is taken names a model.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_in(enum model_shape s, const char *type, const uint8_t *p, size_t n,
    size_t chunk, struct model_usage *u)
{
	struct model_reader *r = model_reader_new(s, type);

	for (size_t at = 0; at < n; at += chunk)
		model_reader_feed(r, p + at, n - at < chunk ? n - at : chunk);
	model_reader_usage(r, u);
	model_reader_free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = { "application/json",
		"text/event-stream" };
	enum model_shape s;
	struct model_usage a, b;
	struct model_call c;
	struct error err = { 0 };

	if (size < 3)
		return 0;
	s = MODEL_OPENAI + data[0] % 3;
	read_in(s, types[data[0] >> 7], data + 2, size - 2, size, &a);
	read_in(s, types[data[0] >> 7], data + 2, size - 2, (size_t)data[1] + 1,
	    &b);
	if (a.known != b.known || a.input != b.input || a.output != b.output ||
	    a.cached != b.cached || a.cache_made != b.cache_made)
		abort();
	if (model_call_read(
		s, "/v1/models/x:y", data + 2, size - 2, &c, &err) == 0 &&
	    (c.model[0] == '\0' || strlen(c.model) > MODEL_NAME_MAX))
		abort();
	return 0;
}

/*
 * Bodies that may ask for another method: the first byte says the type, the
 * second how to cut the rest.  Any chunking says the same, nothing is said to
 * be held but a value, and the query is read to its end.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/override.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The method, "" for none; NULL when that is unclear. */
static char *
ask(const char *type, const uint8_t *p, size_t n, size_t chunk)
{
	struct override *o = override_new(type);
	enum override_says s = OVERRIDE_GO;
	bool told = false;
	char *out = NULL;

	for (size_t at = 0; at < n && s != OVERRIDE_UNCLEAR; at += chunk) {
		s = override_feed(o, p + at, n - at < chunk ? n - at : chunk);
		told = told || s == OVERRIDE_METHOD;
	}
	if (s != OVERRIDE_UNCLEAR)
		s = override_end(o);
	told = told || s == OVERRIDE_METHOD;
	if (s == OVERRIDE_HOLD ||
	    (s != OVERRIDE_UNCLEAR && told != (override_method(o) != NULL)))
		abort();
	if (s != OVERRIDE_UNCLEAR)
		out = xstrdup(told ? override_method(o) : "");
	if (told && strlen(override_method(o)) > OVERRIDE_METHOD_MAX)
		abort();
	override_free(o);
	return out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = {
		"application/x-www-form-urlencoded",
		"multipart/form-data; boundary=b", "application/json"
	};
	cleanup_free char *whole = NULL, *cut = NULL, *target = NULL;
	size_t at = 0, last = 0;
	const char *type;
	char *m;

	if (size < 3)
		return 0;
	type = types[data[0] % nitems(types)];
	whole = ask(type, data + 2, size - 2, size);
	cut = ask(type, data + 2, size - 2, (size_t)data[1] + 1);
	if ((whole == NULL) != (cut == NULL) ||
	    (whole != NULL && strcmp(whole, cut) != 0))
		abort();
	target = xstrndup((const char *)data + 2, size - 2);
	while ((m = override_query(target, &at)) != NULL) {
		if (at <= last || at > strlen(target) ||
		    strlen(m) > OVERRIDE_METHOD_MAX + 1)
			abort();
		last = at;
		free(m);
	}
	return 0;
}

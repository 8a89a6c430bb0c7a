/*
 * What an object store is to copy from: the first byte says the field, up to
 * the first two line ends stand the request's host and target, behind them the
 * value.  Either there is a reason why not, or a URL that could be asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "base/compat.h"
#include "base/str.h"
#include "proxy/copysource.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const fields[] = { "x-amz-copy-source",
		"x_ms_rename_source", "X-Copy-From", "x-cos-copy-source",
		"X-Copy-From-Account", "x-goog-copy-source" };
	static struct copysource_url here, out;
	cleanup_free char *text = NULL;
	char *rest, *host, *target;
	const char *field;

	if (size < 1)
		return 0;
	field = fields[data[0] % nitems(fields)];
	if (copysource_of(field) == COPYSOURCE_NONE)
		abort();
	rest = text = xstrndup((const char *)data + 1, size - 1);
	host = strsep(&rest, "\n");
	target = strsep(&rest, "\n");
	if (rest == NULL)
		return 0;
	here = (struct copysource_url){ .scheme = "https", .port = 8443 };
	strlcpy(here.host, host, sizeof(here.host));
	strlcpy(here.target, target, sizeof(here.target));
	memset(&out, 'x', sizeof(out));
	if (copysource_read(field, rest, &here, &out) != NULL)
		return 0;
	if (memchr(out.host, '\0', sizeof(out.host)) == NULL ||
	    memchr(out.target, '\0', sizeof(out.target)) == NULL ||
	    (strcmp(out.scheme, "https") != 0 &&
		strcmp(out.scheme, "http") != 0) ||
	    out.port == 0)
		abort();
	/* What Swift stands behind is the request's own path. */
	if (out.target[0] != '/' && strcmp(field, "X-Copy-From") != 0)
		abort();
	return 0;
}

/*
 * The codec and the text forms of a credential's description on any bytes.
 * What is read and sound is the same when it is written and read again, and
 * its text makes it again.  The first byte chooses.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/credspec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
same(const struct cred_spec *a, const struct cred_spec *b)
{
	cleanup_buf struct buf x = { 0 }, y = { 0 };

	cred_spec_put(&x, a);
	cred_spec_put(&y, b);
	if (buf_len(&x) != buf_len(&y) ||
	    memcmp(buf_head(&x), buf_head(&y), buf_len(&x)) != 0)
		abort();
}

static void
bytes(const uint8_t *data, size_t size)
{
	cleanup_buf struct buf b = { 0 };
	struct cred_spec s, again;
	struct error err;
	struct cur c;

	cur_init(&c, data, size);
	if (cred_spec_get(&c, &s) < 0)
		return;
	cred_spec_put(&b, &s);
	cur_init(&c, buf_head(&b), buf_len(&b));
	if (cred_spec_get(&c, &again) < 0 || cur_end(&c) < 0)
		abort();
	same(&s, &again);
	if (cred_spec_check(&s, &err) == 0 &&
	    !cred_spec_for(&s, s.hosts[0].host, s.hosts[0].port))
		abort();
}

static void
text(char *s)
{
	struct cred_spec a = { 0 }, b = { 0 };
	struct error err;
	char *rest = strchr(s, '\n');

	if (rest != NULL)
		*rest++ = '\0';
	else
		rest = s;
	if (cred_host_parse(&a, s, &err) == 0) {
		char out[CRED_HOST_TEXT];

		cred_spec_defaults(&a, false);
		cred_host_format(&a.hosts[0], out);
		if (cred_host_parse(&b, out, &err) < 0 ||
		    !cred_spec_for(&b, a.hosts[0].host, a.hosts[0].port))
			abort();
	}
	cred_surface_parse(&a, s, &err);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	if (cred_capture_parse(&a, s, &err) == 0) {
		cleanup_free char *form = cred_capture_format(&a);

		if (cred_capture_parse(&b, form, &err) < 0)
			abort();
		same(&a, &b);
		/* Its own path is always the token endpoint. */
		if (strpbrk(a.capture.path, "?#") == NULL &&
		    !cred_captures(&a, a.capture.path))
			abort();
		cred_captures(&a, rest);
	}
	memset(&a, 0, sizeof(a));
	cred_hmac_parse(&a, s, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1) {
		bytes(data + 1, size - 1);
	} else {
		cleanup_free char *s =
		    xstrndup((const char *)data + 1, size - 1);

		text(s);
	}
	return 0;
}

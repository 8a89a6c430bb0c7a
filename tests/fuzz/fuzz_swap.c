/*
 * Judging and swapping on any head: lines of the input become method, target,
 * authority and fields.  Whatever is swapped holds the real value once at
 * most, and a head whose verdict is not a swap never gets it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/swap.h"

#define STUB "stub_ABCDEFGH"
#define REAL "real_12345678"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
make_bindings(struct bindings *bs)
{
	struct cred_spec s = { .surfaces = SURFACE_HEADER | SURFACE_BASIC |
					   SURFACE_QUERY | SURFACE_PATH,
		.query = "key",
		.nhosts = 1,
		.hosts = { { "a.example", 443 } },
		.header = "Authorization" };
	cleanup_buf struct buf b = { 0 };
	struct cur c;

	buf_put_u32(&b, 1);
	buf_put_u32(&b, 1);
	buf_put_str(&b, "one");
	cred_spec_put(&b, &s);
	buf_put_u8(&b, 0);
	buf_put_str(&b, STUB);
	cur_init(&c, buf_head(&b), buf_len(&b));
	if (bindings_get(&c, bs) < 0)
		abort();
}

static char *
line(const char **s)
{
	size_t n = strcspn(*s, "\n");
	char *out = xstrndup(*s, n);

	*s += n + ((*s)[n] != '\0');
	return out;
}

static void
make_head(const char *s, struct req_head *h)
{
	memset(h, 0, sizeof(*h));
	h->tls = true;
	h->sni = xstrdup("a.example");
	h->dst = xstrdup("a.example");
	h->method = line(&s);
	h->target = line(&s);
	h->authority = line(&s);
	while (*s != '\0' && h->fields.n < WIRE_FIELDS_MAX) {
		cleanup_free char *l = line(&s);
		char *colon = strchr(l, ':');

		if (colon != NULL)
			fields_add(&h->fields, l, (size_t)(colon - l),
			    colon + 1, strlen(colon + 1));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = xstrndup((const char *)data, size);
	struct secret *value = secret_new(REAL, strlen(REAL));
	struct error err = { 0 };
	struct swap_value v = { 1, value };
	struct swap_plan p;
	struct bindings bs;
	struct req_head h;
	int rc;

	if (value == NULL)
		abort();
	make_bindings(&bs);
	make_head(text, &h);
	swap_judge(&h, "a.example", 443, &bs, &p);
	swap_strip(&h, "a.example", 443, &bs, &p);
	rc = swap_apply(&h, &bs, &p, &v, 1, &err);
	if (rc == 0 && !swap_is_fine(&p))
		abort();
	if (rc == 0 && strstr(h.target, STUB) != NULL)
		abort();
	for (size_t i = 0; rc == 0 && i < h.fields.n; i++)
		if (strstr(h.fields.f[i].value, STUB) != NULL)
			abort();
	req_head_free(&h);
	bindings_free(&bs);
	secret_free(value);
	return 0;
}

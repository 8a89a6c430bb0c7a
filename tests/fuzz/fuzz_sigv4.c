/*
 * Any head with an AWS signature, and any body in signed chunks: lines of the
 * input are target and fields, what is behind the first empty line is the
 * body.  What is signed holds no old signature and is told to be signed with
 * that key; chunks keep their length and do not depend on how they arrive.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/sign_chunks.h"
#include "proxy/sign_sigv4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *
line(const char **s)
{
	size_t n = strcspn(*s, "\n");
	char *out = xstrndup(*s, n);

	*s += n + ((*s)[n] != '\0');
	return out;
}

static void
make_head(const char **s, struct req_head *h)
{
	memset(h, 0, sizeof(*h));
	h->tls = true;
	h->sni = xstrdup("");
	h->dst = xstrdup("");
	h->protocol = xstrdup("");
	h->authority = xstrdup("");
	h->method = xstrdup("PUT");
	h->target = line(s);
	while (**s != '\0' && **s != '\n' && h->fields.n < WIRE_FIELDS_MAX) {
		cleanup_free char *l = line(s);
		char *colon = strchr(l, ':');

		if (colon != NULL)
			fields_add(&h->fields, l, (size_t)(colon - l),
			    colon + 1, strlen(colon + 1));
	}
	*s += **s == '\n';
}

static int
chunks(const struct sigv4 *s, const char *body, size_t step, struct buf *out)
{
	uint8_t key[SIGV4_KEY_SIZE] = { 1 };
	char seed[SIGN_HEX_SIZE] = "";
	struct sign_chunks *c = sign_chunks_new(s, key, seed);
	size_t n = strlen(body);
	struct error err;
	int rc = 0;

	for (size_t at = 0, k; at < n && rc == 0; at += k) {
		k = n - at < step ? n - at : step;
		rc = sign_chunks_feed(c, body + at, k, out, &err);
	}
	if (rc == 0)
		rc = sign_chunks_end(c, out, &err);
	sign_chunks_free(c);
	return rc;
}

static void
check_chunks(const struct sigv4 *s, const char *body)
{
	cleanup_buf struct buf whole = { 0 }, parts = { 0 };
	int rc = chunks(s, body, strlen(body) + 1, &whole);

	if (chunks(s, body, 3, &parts) != rc)
		abort();
	if (rc == 0 && (buf_len(&whole) != strlen(body) ||
			   buf_len(&parts) != strlen(body) ||
			   memcmp(buf_head(&whole), buf_head(&parts),
			       buf_len(&whole)) != 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = xstrndup((const char *)data, size);
	const char *at = text;
	char signature[SIGN_HEX_SIZE];
	uint8_t key[SIGV4_KEY_SIZE] = { 2 };
	struct error err = { 0 };
	struct req_head h;
	struct sigv4 s;

	make_head(&at, &h);
	if (sigv4_read(&h, &s, &err) == 0 && s.where != SIGV4_NONE &&
	    sigv4_sign(&h, "a.example", &s, key, "KEYID", "hash", signature,
		&err) == 0) {
		cleanup_buf struct buf covered = { 0 };
		struct sigv4 again;

		if (sigv4_read(&h, &again, &err) < 0 ||
		    again.where != s.where ||
		    strcmp(again.key_id, "KEYID") != 0 ||
		    strcmp(again.region, s.region) != 0 ||
		    strcmp(again.signature, signature) != 0 ||
		    sigv4_covered(&h, "a.example", &again, &covered, &err) <
			0 ||
		    !sigv4_is_by(&again, key, &covered, "hash"))
			abort();
		key[0]++;
		if (sigv4_is_by(&again, key, &covered, "hash"))
			abort();
	}
	s.payload = size % 2 == 0 ? SIGV4_CHUNKS : SIGV4_TRAILER;
	check_chunks(&s, at);
	req_head_free(&h);
	return 0;
}

#include "proxy/binding.h"

#include <stdlib.h>
#include <string.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/scan.h"
#include "proxy/seek.h"

_Static_assert(P_BINDINGS_MAX <= SEEK_KEYS_MAX, "all stubs are looked for");

/* Smallest encoding of one row. */
#define ROW_MIN 32u

static bool
is_visible(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < 0x21 || *s > 0x7e)
			return false;
	return true;
}

static bool
is_sound(const struct bindings *bs, const struct binding *b)
{
	bool stub = cred_has_stub(b->spec.kind);
	struct error err;

	if (b->name == NULL || b->stub == NULL ||
	    !str_is_name(b->name, P_NAME_MAX) ||
	    cred_spec_check(&b->spec, &err) < 0)
		return false;
	if (stub ? strlen(b->stub) < BINDING_STUB_MIN || !is_visible(b->stub)
		 : b->stub[0] != '\0')
		return false;
	for (size_t i = 0; i < bs->n; i++) {
		if (bs->b[i].cred == b->cred ||
		    (stub && strcmp(bs->b[i].stub, b->stub) == 0))
			return false;
	}
	return true;
}

static void
row_free(struct binding *b)
{
	free(b->name);
	free(b->stub);
}

/* Rows without a stub go last, so that a key's number is that of its row. */
static void
stubs_first(struct bindings *bs)
{
	struct binding *b = xcalloc(bs->n, sizeof(*b));
	size_t at = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < bs->n; i++) {
			if ((bs->b[i].stub[0] == '\0') == (pass == 1))
				b[at++] = bs->b[i];
		}
	}
	free(bs->b);
	bs->b = b;
}

static void
index_stubs(struct bindings *bs)
{
	if (bs->n == 0)
		return;
	stubs_first(bs);
	bs->seek = seek_new();
	bs->folded = scan_new();
	for (size_t i = 0; i < bs->n; i++) {
		cleanup_free char *low = xstrdup(bs->b[i].stub);

		if (*low == '\0')
			break;
		str_lower(low);
		seek_add(bs->seek, bs->b[i].stub, strlen(low), true);
		scan_add(bs->folded, low, strlen(low));
	}
	scan_ready(bs->folded);
}

int
bindings_get(struct cur *c, struct bindings *bs)
{
	uint32_t n = cur_count(c, P_BINDINGS_MAX, ROW_MIN);
	bool bad;

	memset(bs, 0, sizeof(*bs));
	bs->b = xcalloc(n == 0 ? 1 : n, sizeof(*bs->b));
	for (uint32_t i = 0; i < n; i++) {
		struct binding *b = &bs->b[bs->n];

		b->cred = cur_u32(c);
		b->name = cur_str(c, P_NAME_MAX);
		bad = cred_spec_get(c, &b->spec) < 0;
		b->revoked = cur_bool(c);
		b->stub = cur_str(c, P_STUB_MAX);
		if (bad || !is_sound(bs, b)) {
			row_free(b);
			bindings_free(bs);
			return -1;
		}
		bs->n++;
	}
	if (cur_end(c) < 0) {
		bindings_free(bs);
		return -1;
	}
	index_stubs(bs);
	return 0;
}

void
bindings_free(struct bindings *bs)
{
	for (size_t i = 0; i < bs->n; i++)
		row_free(&bs->b[i]);
	free(bs->b);
	seek_free(bs->seek);
	scan_free(bs->folded);
	memset(bs, 0, sizeof(*bs));
}

const struct binding *
bindings_cred(const struct bindings *bs, uint32_t cred)
{
	for (size_t i = 0; i < bs->n; i++)
		if (bs->b[i].cred == cred)
			return &bs->b[i];
	return NULL;
}

bool
binding_is_for(const struct binding *b, const char *host, uint16_t port)
{
	return cred_spec_for(&b->spec, host, port);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* In place; returns the new length. */
static size_t
percent_decode(char *s, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '%' && n - i > 2 && hex_value(s[i + 1]) >= 0 &&
		    hex_value(s[i + 2]) >= 0) {
			s[out++] = (char)(hex_value(s[i + 1]) * 16 +
					  hex_value(s[i + 2]));
			i += 2;
		} else {
			s[out++] = s[i];
		}
	}
	return out;
}

size_t
binding_b64_lax(const char *s, size_t n, uint8_t *out)
{
	uint32_t acc = 0;
	unsigned int bits = 0;
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		int v = seek_b64_value((uint8_t)s[i]);

		if (v < 0)
			continue;
		acc = (acc << 6) | (uint32_t)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[k++] = (uint8_t)(acc >> bits);
		}
	}
	return k;
}

#define SMALL 512u /* bytes that need no memory of their own */

static const struct binding *
find_once(const struct bindings *bs, char *s, size_t n)
{
	const struct scan_hit *hit;
	struct seek_hit found;

	if (seek_find(bs->seek, s, n, &found))
		return &bs->b[found.key];
	for (size_t i = 0; i < n; i++)
		if (s[i] >= 'A' && s[i] <= 'Z')
			s[i] = (char)(s[i] + ('a' - 'A'));
	hit = scan_find(bs->folded, s, n);
	return hit == NULL ? NULL : &bs->b[hit->key];
}

const struct binding *
bindings_find(const struct bindings *bs, const char *s, size_t n)
{
	char small[2 * SMALL] attr_uninit;
	cleanup_free char *large = NULL;
	char *work = small, *plain;
	const struct binding *b;

	if (bs->n == 0 || n == 0)
		return NULL;
	if (n > SMALL)
		work = large = xmalloc(2 * n);
	plain = work + n;
	memcpy(plain, s, n);
	/* As sent, then decoded once and twice. */
	for (int i = 0; i < 3; i++) {
		size_t was = n;

		memcpy(work, plain, n);
		if ((b = find_once(bs, work, n)) != NULL)
			return b;
		if (memchr(plain, '%', n) == NULL)
			break;
		n = percent_decode(plain, n);
		if (n == was)
			break;
	}
	return NULL;
}

const struct binding *
bindings_seek(
    const struct bindings *bs, struct buf *tail, const uint8_t *p, size_t n)
{
	struct seek_hit hit;

	if (bs->seek == NULL || n == 0 ||
	    !seek_stream(bs->seek, tail, p, n, &hit))
		return NULL;
	return &bs->b[hit.key];
}

#include "proxy/binding.h"

#include <stdlib.h>
#include <string.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/http1.h"
#include "proxy/netaddr.h"
#include "proxy/scan.h"

/* Smallest encoding of one row: two u32, u16, two u8, six empty strings. */
#define ROW_MIN 32u

static bool
is_visible(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < 0x21 || *s > 0x7e)
			return false;
	return true;
}

/* As keyd keeps it: lower case, an address in its shortest form. */
static bool
is_normal_host(const char *s)
{
	char text[NETADDR_TEXT];
	struct netaddr a;

	if (netaddr_parse(s, &a) == 0) {
		netaddr_format(&a, text);
		return strcmp(text, s) == 0;
	}
	for (const char *p = s; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			return false;
	return str_is_hostname(s);
}

static bool
is_sound(const struct bindings *bs, const struct binding *b)
{
	if (b->name == NULL || b->host == NULL || b->header == NULL ||
	    b->user == NULL || b->stub == NULL)
		return false;
	if (!is_normal_host(b->host) || !str_is_name(b->name, P_NAME_MAX) ||
	    b->port == 0)
		return false;
	if ((b->surfaces & ~(SURFACE_HEADER | SURFACE_BASIC)) != 0)
		return false;
	if ((b->surfaces & SURFACE_HEADER) != 0 &&
	    !http_is_token(b->header, strlen(b->header)))
		return false;
	if (strchr(b->user, ':') != NULL || !is_visible(b->user))
		return false;
	if (strlen(b->stub) < BINDING_STUB_MIN || !is_visible(b->stub))
		return false;
	for (size_t i = 0; i < bs->n; i++)
		if (bs->b[i].cred == b->cred ||
		    strcmp(bs->b[i].stub, b->stub) == 0)
			return false;
	return true;
}

static void
row_free(struct binding *b)
{
	free(b->name);
	free(b->host);
	free(b->header);
	free(b->user);
	free(b->stub);
}

static void
index_stubs(struct bindings *bs)
{
	if (bs->n == 0)
		return;
	bs->scan = scan_new();
	bs->folded = scan_new();
	for (size_t i = 0; i < bs->n; i++) {
		cleanup_free char *low = xstrdup(bs->b[i].stub);

		str_lower(low);
		scan_add(bs->scan, bs->b[i].stub, strlen(low), true, false);
		scan_add(bs->folded, low, strlen(low), false, false);
	}
	scan_ready(bs->scan);
	scan_ready(bs->folded);
}

int
bindings_get(struct cur *c, struct bindings *bs)
{
	uint32_t n = cur_count(c, P_SECRETS_MAX, ROW_MIN);

	memset(bs, 0, sizeof(*bs));
	bs->b = xcalloc(n == 0 ? 1 : n, sizeof(*bs->b));
	for (uint32_t i = 0; i < n; i++) {
		struct binding *b = &bs->b[bs->n];

		b->cred = cur_u32(c);
		b->name = cur_str(c, P_NAME_MAX);
		b->host = cur_str(c, P_HOST_MAX);
		b->port = cur_u16(c);
		b->surfaces = cur_u8(c);
		b->header = cur_str(c, P_NAME_MAX);
		b->user = cur_str(c, P_TEXT_MAX);
		b->revoked = cur_bool(c);
		b->stub = cur_str(c, P_STUB_MAX);
		if (!is_sound(bs, b)) {
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
	scan_free(bs->scan);
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
	return b->port == port && strcmp(b->host, host) == 0;
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
		int v = scan_b64_value((uint8_t)s[i]);

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

static const struct binding *
find_once(const struct bindings *bs, char *s, size_t n)
{
	const struct scan_hit *hit = scan_find(bs->scan, s, n);

	if (hit != NULL)
		return &bs->b[hit->key];
	for (size_t i = 0; i < n; i++)
		if (s[i] >= 'A' && s[i] <= 'Z')
			s[i] = (char)(s[i] + ('a' - 'A'));
	hit = scan_find(bs->folded, s, n);
	return hit == NULL ? NULL : &bs->b[hit->key];
}

const struct binding *
bindings_find(const struct bindings *bs, const char *s, size_t n)
{
	if (bs->n == 0 || n == 0)
		return NULL;

	cleanup_free char *work = xmalloc(n);
	cleanup_free char *plain = xmemdup(s, n);
	const struct binding *b;

	/* As sent, then decoded once and twice. */
	for (int i = 0; i < 3; i++) {
		size_t was = n;

		memcpy(work, plain, n);
		if ((b = find_once(bs, work, n)) != NULL)
			return b;
		n = percent_decode(plain, n);
		if (n == was)
			break;
	}
	return NULL;
}

#include "proxy/sign_mac.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "proxy/sign_hash.h"

bool
sign_mac_needs_body(const struct cred_hmac *spec)
{
	return strstr(spec->signed_, "{body}") != NULL;
}

bool
sign_mac_is_signed(const struct cred_hmac *spec, const struct req_head *h)
{
	return fields_get(&h->fields, spec->header, NULL) != NULL;
}

/* An element "name..." of a list; *n is the length behind the name. */
static const char *
element(const char *list, const char *name, size_t *n)
{
	size_t len = strlen(name);

	while (*list != '\0') {
		list += strspn(list, ", \t");
		if (strncmp(list, name, len) == 0) {
			*n = strcspn(list + len, ",");
			return list + len;
		}
		list += strcspn(list, ",");
	}
	return NULL;
}

/* The time that is signed; NULL if it is not there.  The caller frees. */
static char *
timestamp(const struct cred_hmac *spec, const struct req_head *h)
{
	size_t count, n;
	const char *v = fields_get(&h->fields, spec->timestamp_header, &count);

	if (v == NULL || count != 1)
		return NULL;
	if (strcasecmp(spec->timestamp_header, spec->header) != 0)
		return xstrdup(v);
	v = element(v, "t=", &n);
	return v == NULL ? NULL : xstrndup(v, n);
}

static int
put_signed(struct buf *b, const struct cred_hmac *spec,
    const struct req_head *h, const void *body, size_t n, struct error *err)
{
	for (const char *s = spec->signed_; *s != '\0';) {
		if (str_starts(s, "{body}")) {
			buf_put(b, body, n);
		} else if (str_starts(s, "{method}")) {
			buf_put(b, h->method, strlen(h->method));
		} else if (str_starts(s, "{path}")) {
			buf_put(b, h->target, strlen(h->target));
		} else if (str_starts(s, "{timestamp}")) {
			cleanup_free char *t = timestamp(spec, h);

			if (t == NULL)
				return error_set(err, 0,
				    "the time that the signature covers is "
				    "not in the request once");
			buf_put(b, t, strlen(t));
		} else {
			buf_put_u8(b, (uint8_t)*s++);
			continue;
		}
		s += strcspn(s, "}") + 1;
	}
	return 0;
}

static void
put_encoded(
    struct buf *b, const struct cred_hmac *spec, const uint8_t *mac, size_t n)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz0123456789+/";
	char hex[2 * SIGN_MAC_MAX + 1];

	if (strcmp(spec->encoding, "base64") != 0) {
		sign_hex(mac, n, hex);
		buf_put(b, hex, 2 * n);
		return;
	}
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)mac[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)mac[i + 1] << 8;
		if (i + 2 < n)
			v |= mac[i + 2];
		buf_put_u8(b, (uint8_t)set[v >> 18]);
		buf_put_u8(b, (uint8_t)set[(v >> 12) & 63]);
		buf_put_u8(
		    b, i + 1 < n ? (uint8_t)set[(v >> 6) & 63] : (uint8_t)'=');
		buf_put_u8(b, i + 2 < n ? (uint8_t)set[v & 63] : (uint8_t)'=');
	}
}

static const char *
digest_name(const char *algorithm)
{
	if (strcmp(algorithm, "sha1") == 0)
		return "SHA1";
	return strcmp(algorithm, "sha512") == 0 ? "SHA512" : "SHA256";
}

/* Where the signature stands in the value, and the right one. */
struct made {
	const char *value, *at;
	size_t old;
	struct buf mac;
};

static int
make(const struct req_head *h, const struct cred_hmac *spec,
    const struct secret *key, const void *body, size_t n, struct made *m,
    struct error *err)
{
	cleanup_buf struct buf text = { 0 };
	uint8_t mac[SIGN_MAC_MAX];
	size_t count, len;

	m->value = fields_get(&h->fields, spec->header, &count);
	if (m->value == NULL || count != 1)
		return error_set(err, 0,
		    "the field \"%s\" with the signature is not there once",
		    spec->header);
	if ((m->at = element(m->value, spec->prefix, &m->old)) == NULL)
		return error_set(err, 0,
		    "the field \"%s\" holds no signature behind \"%s\"",
		    spec->header, spec->prefix);
	if (put_signed(&text, spec, h, body, n, err) < 0)
		return -1;
	len = sign_hmac(digest_name(spec->algorithm), secret_bytes(key),
	    secret_len(key), buf_head(&text), buf_len(&text), mac);
	put_encoded(&m->mac, spec, mac, len);
	return 0;
}

/* In a time that does not tell how many of the characters are right. */
static bool
is_same(const char *a, const char *b, size_t n, bool any_case)
{
	unsigned int differ = 0;

	for (size_t i = 0; i < n; i++)
		differ |= any_case ? (unsigned int)(tolower((uint8_t)a[i]) ^
						    tolower((uint8_t)b[i]))
				   : (unsigned int)(a[i] ^ b[i]);
	return differ == 0;
}

bool
sign_mac_is_by(const struct req_head *h, const struct cred_hmac *spec,
    const struct secret *key, const void *body, size_t n)
{
	struct made m = { .mac = { 0 } };
	struct error err;
	bool same = false;

	if (make(h, spec, key, body, n, &m, &err) == 0) {
		const char *mac = (const char *)buf_head(&m.mac);

		while (m.old > 0 && strchr(" \t", m.at[m.old - 1]) != NULL)
			m.old--;
		/* Digits of base 16 have two cases, those of 64 have none. */
		same = m.old == buf_len(&m.mac) &&
		       is_same(m.at, mac, m.old,
			   strcmp(spec->encoding, "base64") != 0);
	}
	buf_free(&m.mac);
	return same;
}

int
sign_mac(struct req_head *h, const struct cred_hmac *spec,
    const struct secret *key, const void *body, size_t n, struct error *err)
{
	cleanup_buf struct buf value = { 0 };
	struct made m = { .mac = { 0 } };

	if (make(h, spec, key, body, n, &m, err) < 0)
		return -1;
	buf_put(&value, m.value, (size_t)(m.at - m.value));
	buf_put(&value, buf_head(&m.mac), buf_len(&m.mac));
	buf_put(&value, m.at + m.old, strlen(m.at + m.old) + 1);
	buf_free(&m.mac);
	fields_set(&h->fields, spec->header, (const char *)buf_head(&value));
	return 0;
}

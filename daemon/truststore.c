#include "daemon/truststore.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "proxy/seek.h"

/* Tags of DER (X.690). */
#define OCTET_STRING 0x04
#define BMP_STRING 0x1e
#define SEQUENCE 0x30
#define SET 0x31
#define EXPLICIT_0 0xa0

static const char begin_mark[] = "-----BEGIN CERTIFICATE-----";
static const char end_mark[] = "-----END CERTIFICATE-----";

/* Object identifiers, whole. */
static const uint8_t oid_data[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
	0x0d, 0x01, 0x07, 0x01 };
static const uint8_t oid_cert_bag[] = { 0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86,
	0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03 };
static const uint8_t oid_x509[] = { 0x06, 0x0a, 0x2a, 0x86, 0x48, 0x86, 0xf7,
	0x0d, 0x01, 0x09, 0x16, 0x01 };
static const uint8_t oid_friendly_name[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
	0xf7, 0x0d, 0x01, 0x09, 0x14 };
/* Java's own attribute "trusted for", with anyExtendedKeyUsage: without it a
 * certificate is there but trusted for nothing. */
static const uint8_t trusted_for_all[] = { 0x30, 0x16, 0x06, 0x0c, 0x60, 0x86,
	0x48, 0x01, 0x86, 0xf9, 0x66, 0xad, 0xca, 0x7b, 0x01, 0x01, 0x31, 0x06,
	0x06, 0x04, 0x55, 0x1d, 0x25, 0x00 };
static const uint8_t version_3[] = { 0x02, 0x01, 0x03 };

/* Lengths are the shortest there are, most significant byte first. */
static void
put_header(struct buf *b, uint8_t tag, size_t n)
{
	unsigned int bytes = n < 0x80 ? 0 : 1;

	while (bytes > 0 && n >> (8 * bytes) != 0)
		bytes++;
	buf_put_u8(b, tag);
	buf_put_u8(b, (uint8_t)(bytes == 0 ? n : 0x80 | bytes));
	while (bytes-- > 0)
		buf_put_u8(b, (uint8_t)(n >> (8 * bytes)));
}

/* What b holds becomes the content of an element of its own. */
static void
wrap(struct buf *b, uint8_t tag)
{
	struct buf whole;

	buf_init(&whole, 0);
	put_header(&whole, tag, buf_len(b));
	buf_put(&whole, buf_head(b), buf_len(b));
	buf_free(b);
	*b = whole;
}

/* As wrap(), with an identifier before what b holds, both in a SEQUENCE. */
static void
identify(struct buf *b, const uint8_t *oid, size_t n)
{
	struct buf whole;

	buf_init(&whole, 0);
	buf_put(&whole, oid, n);
	buf_put(&whole, buf_head(b), buf_len(b));
	buf_free(b);
	*b = whole;
	wrap(b, SEQUENCE);
}

/* ContentInfo of type data (RFC 7292 section 4). */
static void
as_content(struct buf *b)
{
	wrap(b, OCTET_STRING);
	wrap(b, EXPLICIT_0);
	identify(b, oid_data, sizeof(oid_data));
}

/* Each entry of a store needs a name of its own. */
static void
put_name(struct buf *b, unsigned int number)
{
	cleanup_buf struct buf name = { 0 };
	char text[16];

	snprintf(text, sizeof(text), "ca-%u", number);
	for (const char *p = text; *p != '\0'; p++) {
		buf_put_u8(&name, 0);
		buf_put_u8(&name, (uint8_t)*p);
	}
	wrap(&name, BMP_STRING);
	wrap(&name, SET);
	identify(&name, oid_friendly_name, sizeof(oid_friendly_name));
	buf_put(b, buf_head(&name), buf_len(&name));
}

static void
put_cert(struct buf *b, const struct buf *der, unsigned int number)
{
	cleanup_buf struct buf bag = { 0 }, attrs = { 0 }, whole = { 0 };

	buf_put(&bag, buf_head(der), buf_len(der));
	wrap(&bag, OCTET_STRING);
	wrap(&bag, EXPLICIT_0);
	identify(&bag, oid_x509, sizeof(oid_x509));
	wrap(&bag, EXPLICIT_0);
	put_name(&attrs, number);
	buf_put(&attrs, trusted_for_all, sizeof(trusted_for_all));
	wrap(&attrs, SET);
	buf_put(&whole, buf_head(&bag), buf_len(&bag));
	buf_put(&whole, buf_head(&attrs), buf_len(&attrs));
	identify(&whole, oid_cert_bag, sizeof(oid_cert_bag));
	buf_put(b, buf_head(&whole), buf_len(&whole));
}

/* Append what n bytes of base64 stand for.  0 or -1. */
static int
decode(struct buf *der, const char *s, size_t n)
{
	unsigned int bits = 0, have = 0;
	bool padded = false;
	int v;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\n' || s[i] == '\r' || s[i] == ' ' || s[i] == '\t')
			continue;
		if (s[i] == '=') {
			padded = true;
			continue;
		}
		v = seek_b64_value((uint8_t)s[i]);
		if (v < 0 || padded)
			return -1;
		bits = (bits << 6 | (unsigned int)v) & 0xffffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			buf_put_u8(der, (uint8_t)(bits >> have));
		}
	}
	return buf_len(der) > 0 ? 0 : -1;
}

int
pem_certs_next(struct pem_certs *w, struct buf *der, struct error *err)
{
	const char *end = w->at + w->left, *at, *stop;

	at = memmem(w->at, w->left, begin_mark, strlen(begin_mark));
	if (at == NULL)
		return 0;
	at += strlen(begin_mark);
	w->number++;
	stop = memmem(at, (size_t)(end - at), end_mark, strlen(end_mark));
	if (stop == NULL)
		return error_set(
		    err, 0, "certificate %u is cut off", w->number);
	if ((size_t)(stop - at) > 2 * TRUSTSTORE_CERT_MAX)
		return error_set(
		    err, 0, "certificate %u is too long", w->number);
	buf_clear(der);
	if (decode(der, at, (size_t)(stop - at)) < 0)
		return error_set(
		    err, 0, "certificate %u is not base64", w->number);
	w->at = stop;
	w->left = (size_t)(end - stop);
	return 1;
}

int
truststore_put(struct buf *out, const void *pem, size_t n, struct error *err)
{
	struct pem_certs w = { .at = pem, .left = n };
	cleanup_buf struct buf bags = { 0 }, der = { 0 };
	int more;

	while ((more = pem_certs_next(&w, &der, err)) > 0) {
		if (w.number > TRUSTSTORE_CERTS_MAX)
			return error_set(err, 0, "more than %u certificates",
			    TRUSTSTORE_CERTS_MAX);
		put_cert(&bags, &der, w.number);
	}
	if (more < 0)
		return -1;
	wrap(&bags, SEQUENCE); /* SafeContents */
	as_content(&bags);
	wrap(&bags, SEQUENCE); /* AuthenticatedSafe */
	as_content(&bags);
	identify(&bags, version_3, sizeof(version_3)); /* PFX */
	buf_put(out, buf_head(&bags), buf_len(&bags));
	return 0;
}

#include "proxy/stub.h"

#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/str.h"
#include "proxy/prf.h"
#include "proxy/stub_prefix.h"

/*
 * Markers in a shape.  They are control characters, which no value holds, so
 * that a kept letter is never taken for a class.
 */
enum {
	CLASS_UPPER = 1,
	CLASS_LOWER,
	CLASS_DIGIT,
	CLASS_HEX_UPPER, /* letters of a value that is all hexadecimal */
	CLASS_HEX_LOWER,
	CLASS_END
};

static const char *const alphabets[CLASS_END] = {
	[CLASS_UPPER] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
	[CLASS_LOWER] = "abcdefghijklmnopqrstuvwxyz",
	[CLASS_DIGIT] = "0123456789",
	[CLASS_HEX_UPPER] = "ABCDEF",
	[CLASS_HEX_LOWER] = "abcdef",
};

static bool
is_between(uint8_t ch, char from, char to)
{
	return ch >= (uint8_t)from && ch <= (uint8_t)to;
}

/* All letters from a to f: a hexadecimal token must stay one. */
static bool
is_hex(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (is_between(p[i], 'g', 'z') || is_between(p[i], 'G', 'Z'))
			return false;
	}
	return true;
}

static char
class_of(uint8_t ch, bool hex)
{
	if (is_between(ch, 'A', 'Z'))
		return hex ? CLASS_HEX_UPPER : CLASS_UPPER;
	if (is_between(ch, 'a', 'z'))
		return hex ? CLASS_HEX_LOWER : CLASS_LOWER;
	if (is_between(ch, '0', '9'))
		return CLASS_DIGIT;
	return (char)ch;
}

/* A value goes into a header: what could split one is refused here. */
static int
check_bytes(const uint8_t *p, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n' || p[i] == '\r')
			return error_set(
			    err, 0, "the value has more than one line");
		if (p[i] == ' ')
			return error_set(err, 0, "the value holds a space");
		if (p[i] < ' ' || p[i] == 0x7f)
			return error_set(
			    err, 0, "the value holds a control character");
		if (p[i] > 0x7f)
			return error_set(
			    err, 0, "the value holds bytes that are not ASCII");
	}
	return 0;
}

char *
stub_shape(const struct secret *value, struct error *err)
{
	const uint8_t *p = secret_bytes(value);
	size_t n = secret_len(value), kept, replaced = 0;
	bool hex;
	char *shape;

	if (n < STUB_MIN) {
		error_set(
		    err, 0, "the value is shorter than %u bytes", STUB_MIN);
		return NULL;
	}
	if (check_bytes(p, n, err) < 0)
		return NULL;
	kept = stub_prefix(p, n);
	hex = is_hex(p + kept, n - kept);
	shape = xmalloc(n + 1);
	memcpy(shape, p, kept);
	for (size_t i = kept; i < n; i++) {
		shape[i] = class_of(p[i], hex);
		replaced += shape[i] < CLASS_END;
	}
	shape[n] = '\0';
	if (replaced < STUB_FREE_MIN) {
		free(shape);
		error_set(err, 0,
		    "the value has fewer than %u letters and digits to "
		    "replace",
		    STUB_FREE_MIN);
		return NULL;
	}
	return shape;
}

int
stub_shape_check(const char *s)
{
	size_t replaced = 0, n = strlen(s);

	for (size_t i = 0; i < n; i++) {
		if (s[i] > 0 && s[i] < CLASS_END)
			replaced++;
		else if (s[i] <= ' ' || s[i] == 0x7f)
			return -1;
	}
	return n >= STUB_MIN && replaced >= STUB_FREE_MIN ? 0 : -1;
}

/* Bytes of the PRF, one block after another. */
struct stream {
	const struct secret *key;
	const uint8_t *nonce;
	uint32_t what[4]; /* job, credential, attempt, block; little-endian */
	uint8_t block[PRF_SIZE];
	size_t used;
};

static uint8_t
stream_next(struct stream *s)
{
	static const char label[] = "brig stub 1";

	if (s->used == PRF_SIZE) {
		const struct iovec parts[] = {
			{ (void *)(uintptr_t)label, sizeof(label) },
			{ (void *)(uintptr_t)s->nonce, STUB_NONCE_SIZE },
			{ s->what, sizeof(s->what) },
		};

		prf(s->key, parts, nitems(parts), s->block);
		s->what[3] = htole32(le32toh(s->what[3]) + 1);
		s->used = 0;
	}
	return s->block[s->used++];
}

static char
pick(struct stream *s, const char *alphabet)
{
	unsigned int n = (unsigned int)strlen(alphabet);
	unsigned int fair = 256 - 256 % n;
	unsigned int b;

	/* No modulo bias. */
	do {
		b = stream_next(s);
	} while (b >= fair);
	return alphabet[b % n];
}

char *
stub_make(const struct secret *key, const uint8_t *nonce, uint32_t job,
    uint32_t cred, uint32_t attempt, const char *shape)
{
	struct stream s = {
		.key = key,
		.nonce = nonce,
		.what = { htole32(job), htole32(cred), htole32(attempt), 0 },
		.used = PRF_SIZE,
	};
	char *stub = xstrdup(shape);

	for (char *p = stub; *p != '\0'; p++) {
		if (*p > 0 && *p < CLASS_END)
			*p = pick(&s, alphabets[(unsigned char)*p]);
	}
	OPENSSL_cleanse(&s, sizeof(s));
	return stub;
}

void
stub_fingerprint(const struct secret *key, const struct secret *value,
    char out[STUB_FINGERPRINT_SIZE])
{
	static const char label[] = "fingerprint";
	const struct iovec parts[] = {
		{ (void *)(uintptr_t)label, sizeof(label) - 1 },
		{ (void *)(uintptr_t)secret_bytes(value), secret_len(value) },
	};
	uint8_t mac[PRF_SIZE];

	prf(key, parts, nitems(parts), mac);
	for (size_t i = 0; i < (STUB_FINGERPRINT_SIZE - 1) / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", mac[i]);
}

#include "proxy/sign_chunks.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

#define MARK ";chunk-signature="
#define TRAILER_MARK "x-amz-trailer-signature:"

enum state {
	C_LINE, /* size and signature */
	C_DATA, /* the chunk, then CR LF */
	C_TAIL, /* after the chunk of size 0 */
};

struct sign_chunks {
	uint8_t key[SIGV4_KEY_SIZE];
	char *prefix; /* time and scope, as they are signed */
	char last[SIGN_HEX_SIZE];
	bool trailer;
	enum state state;
	struct buf line; /* up to and with its end */
	struct buf data;
	size_t size; /* of the chunk */
};

struct sign_chunks *
sign_chunks_new(const struct sigv4 *s, const uint8_t key[SIGV4_KEY_SIZE],
    const char seed[SIGN_HEX_SIZE])
{
	struct sign_chunks *c = xcalloc(1, sizeof(*c));

	memcpy(c->key, key, sizeof(c->key));
	c->prefix = xasprintf("%s\n%s/%s/%s/aws4_request", s->time, s->date,
	    s->region, s->service);
	memcpy(c->last, seed, sizeof(c->last));
	c->trailer = s->payload == SIGV4_TRAILER;
	buf_init(&c->line, 0);
	buf_init(&c->data, 0);
	return c;
}

void
sign_chunks_free(struct sign_chunks *c)
{
	if (c == NULL)
		return;
	free(c->prefix);
	buf_free(&c->line);
	buf_free(&c->data);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

size_t
sign_chunks_held(const struct sign_chunks *c)
{
	return buf_len(&c->line) + buf_len(&c->data);
}

/* The next signature of the chain, into c->last. */
static void
sign_next(struct sign_chunks *c, const char *what, const void *p, size_t n)
{
	cleanup_buf struct buf text = { 0 };
	char hash[SIGN_HEX_SIZE];
	uint8_t mac[SIGN_MAC_MAX];

	buf_printf(
	    &text, "AWS4-HMAC-SHA256-%s\n%s\n%s\n", what, c->prefix, c->last);
	if (strcmp(what, "PAYLOAD") == 0) {
		sign_sha256_hex("", 0, hash);
		buf_printf(&text, "%s\n", hash);
	}
	sign_sha256_hex(p, n, hash);
	buf_printf(&text, "%s", hash);
	sign_hmac("SHA256", c->key, sizeof(c->key), buf_head(&text),
	    buf_len(&text), mac);
	sign_hex(mac, SIGN_SHA256_SIZE, c->last);
}

static bool
is_signature(const char *s)
{
	return strspn(s, "0123456789abcdefABCDEF") == 64;
}

/* "10000;chunk-signature=64 digits" CR LF, held in c->line. */
static int
read_line(struct sign_chunks *c, struct error *err)
{
	size_t n = buf_len(&c->line);
	const char *line = (const char *)buf_head(&c->line);
	cleanup_free char *text = xstrndup(line, n);
	size_t digits = strspn(text, "0123456789abcdefABCDEF");

	if (digits == 0 || digits > 8 || n != digits + strlen(MARK) + 64 + 2 ||
	    strncmp(text + digits, MARK, strlen(MARK)) != 0 ||
	    !is_signature(text + digits + strlen(MARK)) ||
	    strcmp(text + n - 2, "\r\n") != 0)
		return error_set(
		    err, 0, "a chunk of the upload has no signature");
	c->size = strtoul(text, NULL, 16);
	if (c->size > SIGN_CHUNK_MAX)
		return error_set(err, 0,
		    "a signed chunk of the upload is longer than %u bytes",
		    SIGN_CHUNK_MAX);
	return 0;
}

/* The chunk is whole: out with it. */
static void
put_chunk(struct sign_chunks *c, struct buf *out)
{
	size_t n = buf_len(&c->line);

	sign_next(c, "PAYLOAD", buf_head(&c->data), c->size);
	buf_put(out, buf_head(&c->line), n - 64 - 2);
	buf_printf(out, "%s\r\n", c->last);
	buf_put(out, buf_head(&c->data), buf_len(&c->data));
	buf_clear(&c->line);
	buf_clear(&c->data);
}

static int
line_byte(
    struct sign_chunks *c, uint8_t byte, struct buf *out, struct error *err)
{
	buf_put_u8(&c->line, byte);
	if (buf_len(&c->line) > SIGN_CHUNK_LINE_MAX)
		return error_set(
		    err, 0, "a chunk of the upload has no signature");
	if (byte != '\n')
		return 0;
	if (read_line(c, err) < 0)
		return -1;
	c->state = c->size > 0 ? C_DATA : C_TAIL;
	if (c->size == 0)
		put_chunk(c, out);
	return 0;
}

/* Returns bytes used, or -1. */
static ssize_t
data_bytes(struct sign_chunks *c, const uint8_t *p, size_t n, struct buf *out,
    struct error *err)
{
	size_t left = c->size + 2 - buf_len(&c->data);

	if (n > left)
		n = left;
	buf_put(&c->data, p, n);
	if (n < left)
		return (ssize_t)n;
	if (memcmp(buf_head(&c->data) + c->size, "\r\n", 2) != 0)
		return error_set(
		    err, 0, "a chunk of the upload is not as long as it says");
	put_chunk(c, out);
	c->state = C_LINE;
	return (ssize_t)n;
}

int
sign_chunks_feed(struct sign_chunks *c, const void *data, size_t n,
    struct buf *out, struct error *err)
{
	const uint8_t *p = data;
	ssize_t used;

	for (; n > 0; p += used, n -= (size_t)used) {
		used = 1;
		switch (c->state) {
		case C_LINE:
			if (line_byte(c, *p, out, err) < 0)
				return -1;
			break;
		case C_DATA:
			if ((used = data_bytes(c, p, n, out, err)) < 0)
				return -1;
			break;
		case C_TAIL:
			buf_put(&c->data, p, n);
			if (buf_len(&c->data) > SIGN_TRAILER_MAX)
				return error_set(err, 0,
				    "the trailer of the upload is longer than "
				    "%u bytes",
				    SIGN_TRAILER_MAX);
			return 0;
		}
	}
	return 0;
}

/*
 * What is signed of a trailer: "name:value\n" of each of its fields, in the
 * order they have.  at: where the digits of the old signature begin.
 */
static int
read_trailer(const char *text, size_t n, struct buf *fields, size_t *at)
{
	for (size_t i = 0; i < n;) {
		size_t len = strcspn(text + i, "\r\n"), name;

		if (strncasecmp(text + i, TRAILER_MARK, strlen(TRAILER_MARK)) ==
		    0) {
			*at = i + strlen(TRAILER_MARK);
			return len == strlen(TRAILER_MARK) + 64 &&
				       is_signature(text + *at)
				   ? 0
				   : -1;
		}
		if (len > 0) {
			cleanup_free char *low = xstrndup(text + i, len);

			if ((name = strcspn(low, ":")) == len)
				return -1;
			for (size_t k = 0; k < name; k++)
				if (low[k] >= 'A' && low[k] <= 'Z')
					low[k] = (char)(low[k] + 32);
			buf_put(fields, low, name + 1);
			for (name++; low[name] == ' '; name++)
				continue;
			while (len > name && low[len - 1] == ' ')
				len--;
			buf_put(fields, low + name, len - name);
			buf_put_u8(fields, '\n');
			len = strcspn(text + i, "\r\n");
		}
		i += len;
		i += i < n;
	}
	return -1;
}

int
sign_chunks_end(struct sign_chunks *c, struct buf *out, struct error *err)
{
	cleanup_buf struct buf fields = { 0 };
	cleanup_free char *text = NULL;
	size_t at = 0, n = buf_len(&c->data);

	if (c->state != C_TAIL)
		return error_set(
		    err, 0, "the upload ended within its signed chunks");
	text = n == 0 ? xstrdup("")
		      : xstrndup((const char *)buf_head(&c->data), n);
	if (strlen(text) != n || (!c->trailer && strspn(text, "\r\n") != n) ||
	    (c->trailer && read_trailer(text, n, &fields, &at) < 0))
		return error_set(
		    err, 0, "the upload's trailer is not signed as it says");
	if (!c->trailer) {
		buf_put(out, text, n);
		return 0;
	}
	sign_next(c, "TRAILER", buf_head(&fields), buf_len(&fields));
	buf_put(out, text, at);
	buf_put(out, c->last, 64);
	buf_put(out, text + at + 64, n - at - 64);
	return 0;
}

#include "proxy/pgwire.h"

#include <string.h>

#include "base/str.h"

#define CODE_SSL 80877103u
#define CODE_GSS 80877104u
#define CODE_CANCEL 80877102u
#define VERSION_3_0 0x00030000u
#define REQUEST_LEN 8u
#define CANCEL_LEN_MIN 16u
#define CANCEL_LEN_MAX 268u /* keys of protocol 3.2 */
#define LOGIN_LEN_MIN 9u

/* ---- the first packet --------------------------------------------------- */

static enum pg_start
kind_of(uint32_t len, uint32_t code)
{
	if (code == CODE_SSL && len == REQUEST_LEN)
		return PG_START_SSL;
	if (code == CODE_GSS && len == REQUEST_LEN)
		return PG_START_GSS;
	if (code == CODE_CANCEL && len >= CANCEL_LEN_MIN &&
	    len <= CANCEL_LEN_MAX)
		return PG_START_CANCEL;
	if (code >> 16 == VERSION_3_0 >> 16 && len >= LOGIN_LEN_MIN)
		return PG_START_LOGIN;
	return PG_START_BAD;
}

enum pg_start
pg_start_parse(const uint8_t *p, size_t n, size_t *used)
{
	struct cur c;
	uint32_t len, code;
	enum pg_start kind;

	if ((n > 0 && p[0] != 0) || (n > 1 && p[1] != 0) ||
	    (n > 2 && p[2] > PG_START_MAX >> 8))
		return PG_START_BAD;
	if (n < REQUEST_LEN)
		return PG_START_MORE;
	cur_init(&c, p, n);
	len = cur_be32(&c);
	code = cur_be32(&c);
	kind = len > PG_START_MAX ? PG_START_BAD : kind_of(len, code);
	if (kind == PG_START_BAD)
		return kind;
	*used = len;
	return n < len ? PG_START_MORE : kind;
}

/* A string that ends in NUL within the cursor; NULL if there is none. */
static const char *
get_cstr(struct cur *c)
{
	const uint8_t *end = c->left == 0 ? NULL : memchr(c->p, 0, c->left);

	if (end == NULL) {
		c->failed = true;
		return NULL;
	}
	return (const char *)cur_bytes(c, (size_t)(end - c->p) + 1);
}

static void
put_cstr(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s) + 1);
}

int
pg_login_parse(const uint8_t *p, size_t n, struct pg_login *l)
{
	struct cur c;
	uint32_t len, code;
	bool named = false;

	memset(l, 0, sizeof(*l));
	cur_init(&c, p, n);
	len = cur_be32(&c);
	code = cur_be32(&c);
	if (c.failed || len != n || kind_of(len, code) != PG_START_LOGIN)
		return -1;
	l->newer = code != VERSION_3_0;
	buf_put_be32(&l->packet, 0);
	buf_put_be32(&l->packet, VERSION_3_0);
	for (;;) {
		const char *name = get_cstr(&c), *value;

		if (name == NULL)
			goto bad;
		if (name[0] == '\0')
			break;
		value = get_cstr(&c);
		if (value == NULL)
			goto bad;
		if (strncmp(name, "_pq_.", 5) == 0) {
			l->newer = true;
			l->noptions++;
			put_cstr(&l->options, name);
			continue;
		}
		if (strcmp(name, "user") == 0) {
			/* The server takes the last one: let there be one. */
			if (named || value[0] == '\0' ||
			    strlcpy(l->user, value, sizeof(l->user)) >=
				sizeof(l->user))
				goto bad;
			named = true;
		}
		put_cstr(&l->packet, name);
		put_cstr(&l->packet, value);
	}
	if (!named || c.left > 0)
		goto bad;
	buf_put_u8(&l->packet, 0);
	buf_patch_u32(
	    &l->packet, 0, __builtin_bswap32((uint32_t)buf_len(&l->packet)));
	return 0;
bad:
	pg_login_free(l);
	return -1;
}

void
pg_login_free(struct pg_login *l)
{
	buf_free(&l->options);
	buf_free(&l->packet);
}

/* ---- messages ----------------------------------------------------------- */

enum pg_got
pg_message_parse(const uint8_t *p, size_t n, struct pg_message *m)
{
	struct cur c;
	uint32_t len;

	cur_init(&c, p, n);
	m->type = cur_u8(&c);
	len = cur_be32(&c);
	if (c.failed)
		return PG_MORE;
	/* The length holds itself, not the type. */
	if (len < 4 || len > PG_MESSAGE_MAX)
		return PG_BAD;
	if (n - 1 < len)
		return PG_MORE;
	m->n = len - 4;
	m->body = cur_bytes(&c, m->n);
	m->used = len + 1;
	return PG_MESSAGE;
}

void
pg_put(struct buf *b, uint8_t type, const void *body, size_t n)
{
	buf_put_u8(b, type);
	buf_put_be32(b, (uint32_t)n + 4);
	buf_put(b, body, n);
}

void
pg_put_ssl(struct buf *b)
{
	buf_put_be32(b, REQUEST_LEN);
	buf_put_be32(b, CODE_SSL);
}

void
pg_put_negotiate(struct buf *b, const struct pg_login *l)
{
	cleanup_buf struct buf body = { 0 };

	buf_put_be32(&body, VERSION_3_0);
	buf_put_be32(&body, l->noptions);
	buf_put(&body, buf_head(&l->options), buf_len(&l->options));
	pg_put(b, 'v', buf_head(&body), buf_len(&body));
}

static void
put_field(struct buf *b, uint8_t code, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	buf_put_u8(b, code);
	put_cstr(b, text);
}

void
pg_put_error(
    struct buf *b, const char *sqlstate, const char *text, const char *hint)
{
	cleanup_buf struct buf body = { 0 };
	cleanup_free char *message = xasprintf("brig: %s", text);

	put_field(&body, 'S', "FATAL");
	put_field(&body, 'V', "FATAL");
	put_field(&body, 'C', sqlstate);
	put_field(&body, 'M', message);
	put_field(&body, 'H', hint);
	buf_put_u8(&body, 0);
	pg_put(b, 'E', buf_head(&body), buf_len(&body));
}

/* ---- authentication ----------------------------------------------------- */

int
pg_auth_parse(const struct pg_message *m, enum pg_auth *a, const uint8_t **data,
    size_t *n)
{
	struct cur c;
	uint32_t code;

	cur_init(&c, m->body, m->n);
	code = cur_be32(&c);
	if (m->type != 'R' || c.failed)
		return -1;
	*data = c.p;
	*n = c.left;
	*a = PG_AUTH_OTHER;
	switch (code) {
	case PG_AUTH_OK:
		*a = PG_AUTH_OK;
		return c.left == 0 ? 0 : -1;
	case PG_AUTH_CLEARTEXT:
		*a = PG_AUTH_CLEARTEXT;
		return c.left == 0 ? 0 : -1;
	case PG_AUTH_MD5:
		*a = PG_AUTH_MD5;
		return c.left == 4 ? 0 : -1;
	case PG_AUTH_SASL:
		*a = PG_AUTH_SASL;
		break;
	case PG_AUTH_SASL_CONTINUE:
		*a = PG_AUTH_SASL_CONTINUE;
		break;
	case PG_AUTH_SASL_FINAL:
		*a = PG_AUTH_SASL_FINAL;
		break;
	}
	return 0;
}

void
pg_put_auth(struct buf *b, enum pg_auth a, const void *data, size_t n)
{
	cleanup_buf struct buf body = { 0 };

	buf_put_be32(&body, (uint32_t)a);
	buf_put(&body, data, n);
	pg_put(b, 'R', buf_head(&body), buf_len(&body));
}

bool
pg_sasl_has(const uint8_t *list, size_t n, const char *mechanism)
{
	const char *s;
	struct cur c;

	cur_init(&c, list, n);
	while ((s = get_cstr(&c)) != NULL && s[0] != '\0')
		if (strcmp(s, mechanism) == 0)
			return true;
	return false;
}

void
pg_put_sasl_first(
    struct buf *b, const char *mechanism, const void *data, size_t n)
{
	cleanup_buf struct buf body = { 0 };

	put_cstr(&body, mechanism);
	buf_put_be32(&body, (uint32_t)n);
	buf_put(&body, data, n);
	pg_put(b, 'p', buf_head(&body), buf_len(&body));
}

int
pg_sasl_first_parse(const struct pg_message *m, const char *mechanism,
    const uint8_t **data, size_t *n)
{
	struct cur c;
	const char *s;
	uint32_t len;

	cur_init(&c, m->body, m->n);
	s = get_cstr(&c);
	if (m->type != 'p' || s == NULL || strcmp(s, mechanism) != 0)
		return -1;
	len = cur_be32(&c);
	if (c.failed || len != c.left)
		return -1;
	*data = c.p;
	*n = len;
	return 0;
}

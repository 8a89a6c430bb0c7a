#include "proxy/sign_sigv4.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "proxy/sign_url.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define STREAMING "STREAMING-" ALGORITHM "-PAYLOAD"

/* ---- reading ------------------------------------------------------------- */

bool
sigv4_is_date(const char *s)
{
	return strlen(s) == 8 && strspn(s, "0123456789") == 8;
}

bool
sigv4_is_word(const char *s)
{
	return *s != '\0' && strlen(s) <= 32 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(s);
}

/* "YYYYMMDDTHHMMSSZ" */
static bool
is_time(const char *s)
{
	return strlen(s) == 16 && strspn(s, "0123456789") == 8 && s[8] == 'T' &&
	       strspn(s + 9, "0123456789") == 6 && s[15] == 'Z';
}

/* The next part of a path up to the slash; false if it does not fit. */
static bool
part(const char **s, char *out, size_t size)
{
	size_t n = strcspn(*s, "/");

	if ((*s)[n] != '/' || n == 0 || n >= size)
		return false;
	memcpy(out, *s, n);
	out[n] = '\0';
	*s += n + 1;
	return true;
}

/* KEY/20130524/us-east-1/s3/aws4_request; a key id has no slash. */
static int
read_scope(const char *text, struct sigv4 *s, struct error *err)
{
	if (!part(&text, s->key_id, sizeof(s->key_id)) ||
	    !part(&text, s->date, sizeof(s->date)) ||
	    !part(&text, s->region, sizeof(s->region)) ||
	    !part(&text, s->service, sizeof(s->service)) ||
	    strcmp(text, "aws4_request") != 0 || !sigv4_is_date(s->date) ||
	    !sigv4_is_word(s->region) || !sigv4_is_word(s->service))
		return error_set(err, 0,
		    "the credential scope of the AWS signature is malformed");
	return 0;
}

static int
read_signature(const char *text, struct sigv4 *s, struct error *err)
{
	if (strlen(text) != SIGN_HEX_SIZE - 1 ||
	    strspn(text, "0123456789abcdef") != SIGN_HEX_SIZE - 1)
		return error_set(err, 0, "the AWS signature is malformed");
	memcpy(s->signature, text, SIGN_HEX_SIZE);
	return 0;
}

static int
read_payload(const struct req_head *h, struct sigv4 *s, struct error *err)
{
	size_t count;
	const char *v = fields_get(&h->fields, "x-amz-content-sha256", &count);

	if (count > 1)
		return error_set(
		    err, 0, "there is more than one X-Amz-Content-Sha256");
	if (v == NULL) {
		s->payload =
		    s->where == SIGV4_QUERY && str_starts(s->service, "s3")
			? SIGV4_STATED
			: SIGV4_BODY;
		return 0;
	}
	s->payload = SIGV4_STATED;
	if (strcmp(v, STREAMING) == 0)
		s->payload = SIGV4_CHUNKS;
	else if (strcmp(v, STREAMING "-TRAILER") == 0)
		s->payload = SIGV4_TRAILER;
	else if (strlen(v) != 64 && strcmp(v, "UNSIGNED-PAYLOAD") != 0 &&
		 strcmp(v, "STREAMING-UNSIGNED-PAYLOAD-TRAILER") != 0)
		return error_set(err, 0,
		    "X-Amz-Content-Sha256 names a way of signing that is not "
		    "known");
	return 0;
}

/* The host must be signed, or the signature would be good anywhere. */
static int
check(const struct req_head *h, struct sigv4 *s, const char *time,
    const char *fields, struct error *err)
{
	bool host = false;

	if (time == NULL || !is_time(time) || strncmp(time, s->date, 8) != 0)
		return error_set(err, 0,
		    "X-Amz-Date is missing or not of the day of the "
		    "signature's scope");
	if (strlcpy(s->time, time, sizeof(s->time)) >= sizeof(s->time) ||
	    strlcpy(s->fields, fields, sizeof(s->fields)) >= sizeof(s->fields))
		return error_set(
		    err, 0, "the AWS signature covers too many fields");
	for (const char *p = fields; *p != '\0'; p += *p == ';') {
		size_t n = strcspn(p, ";");

		host = host || (n == 4 && strncasecmp(p, "host", 4) == 0);
		p += n;
	}
	if (!host)
		return error_set(
		    err, 0, "the AWS signature does not cover the host");
	return read_payload(h, s, err);
}

/* The value of "Name=" in the list behind the algorithm; "" if not there. */
static char *
auth_part(const char *list, const char *name)
{
	size_t len = strlen(name);

	while (*list != '\0') {
		list += strspn(list, ", \t");
		if (strncmp(list, name, len) == 0 && list[len] == '=')
			return xstrndup(
			    list + len + 1, strcspn(list + len + 1, ", \t"));
		list += strcspn(list, ",");
	}
	return xstrdup("");
}

static int
read_header(const struct req_head *h, const char *value, struct sigv4 *s,
    struct error *err)
{
	const char *list = value + strlen(ALGORITHM);
	cleanup_free char *scope = auth_part(list, "Credential");
	cleanup_free char *fields = auth_part(list, "SignedHeaders");
	cleanup_free char *signature = auth_part(list, "Signature");
	size_t count;
	const char *time = fields_get(&h->fields, "x-amz-date", &count);

	s->where = SIGV4_HEADER;
	if (read_scope(scope, s, err) < 0 ||
	    read_signature(signature, s, err) < 0)
		return -1;
	return check(h, s, count == 1 ? time : NULL, fields, err);
}

static int
read_query(const struct req_head *h, struct params *ps, struct sigv4 *s,
    struct error *err)
{
	const struct param *scope = params_get(ps, "X-Amz-Credential");
	const struct param *fields = params_get(ps, "X-Amz-SignedHeaders");
	const struct param *time = params_get(ps, "X-Amz-Date");
	const struct param *signature = params_get(ps, "X-Amz-Signature");

	s->where = SIGV4_QUERY;
	if (scope == NULL || fields == NULL)
		return error_set(
		    err, 0, "the presigned AWS URL is not complete");

	cleanup_free char *a = url_decoded(scope->value);
	cleanup_free char *b = url_decoded(fields->value);
	if (read_scope(a, s, err) < 0 ||
	    read_signature(signature->value, s, err) < 0)
		return -1;
	return check(h, s, time == NULL ? NULL : time->value, b, err);
}

int
sigv4_read(const struct req_head *h, struct sigv4 *s, struct error *err)
{
	size_t count;
	const char *auth = fields_get(&h->fields, "authorization", &count);
	bool in_header = auth != NULL && str_starts(auth, "AWS4-");
	const struct param *p;
	struct params ps;
	int rc = 0;

	memset(s, 0, sizeof(*s));
	if (params_read(h->target, &ps, err) < 0)
		return -1;
	p = params_get(&ps, "X-Amz-Signature");
	if ((in_header && count > 1) || (in_header && p != NULL))
		rc = error_set(err, 0, "there is more than one AWS signature");
	else if (in_header && !str_starts(auth, ALGORITHM " "))
		rc = error_set(
		    err, 0, "the AWS signature's algorithm is not " ALGORITHM);
	else if (in_header)
		rc = read_header(h, auth, s, err);
	else if (p != NULL &&
		 ((p = params_get(&ps, "X-Amz-Algorithm")) == NULL ||
		     strcmp(p->value, ALGORITHM) != 0))
		rc = error_set(
		    err, 0, "the AWS signature's algorithm is not " ALGORITHM);
	else if (p != NULL)
		rc = read_query(h, &ps, s, err);
	params_free(&ps);
	return rc;
}

/* ---- the canonical request ----------------------------------------------- */

static bool
is_s3(const struct sigv4 *s)
{
	return str_starts(s->service, "s3");
}

static void
put_path(struct buf *b, const struct req_head *h, const struct sigv4 *s)
{
	size_t n = strcspn(h->target, "?");

	if (is_s3(s))
		url_put_recoded(b, h->target, n, '/', false);
	else
		url_put_normal_path(b, h->target, n);
	buf_put_u8(b, '\n');
}

static void
put_query(struct buf *b, const struct params *ps)
{
	bool first = true;

	for (size_t i = 0; i < ps->n; i++) {
		const struct param *p = &ps->p[i];

		if (strcasecmp(p->name, "X-Amz-Signature") == 0)
			continue;
		buf_printf(b, "%s%s=%s", first ? "" : "&", p->name, p->value);
		first = false;
	}
	buf_put_u8(b, '\n');
}

/* Outer white space goes, inner becomes one space. */
static void
put_folded(struct buf *b, const char *v)
{
	size_t n = strlen(v);
	bool space = false;

	while (n > 0 && (v[n - 1] == ' ' || v[n - 1] == '\t'))
		n--;
	for (size_t i = strspn(v, " \t"); i < n; i++) {
		bool is = v[i] == ' ' || v[i] == '\t';

		if (!is)
			buf_put_u8(b, (uint8_t)v[i]);
		else if (!space)
			buf_put_u8(b, ' ');
		space = is;
	}
}

/* One signed field, "name:value\n"; false if it is not sent. */
static bool
put_field(struct buf *b, const struct req_head *h, const char *hostport,
    const char *name)
{
	size_t start = b->len, count = 0;

	buf_printf(b, "%s:", name);
	if (strcmp(name, "host") == 0) {
		buf_printf(b, "%s\n", hostport);
		return true;
	}
	if (strcmp(name, "content-length") == 0 && h->kind == BODY_LENGTH) {
		buf_printf(b, "%llu\n", (unsigned long long)h->length);
		return true;
	}
	for (size_t i = 0; i < h->fields.n; i++) {
		if (strcasecmp(h->fields.f[i].name, name) != 0)
			continue;
		if (count++ > 0)
			buf_put_u8(b, ',');
		put_folded(b, h->fields.f[i].value);
	}
	if (count == 0) {
		b->len = start;
		return false;
	}
	buf_put_u8(b, '\n');
	return true;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A field that is signed and has ended with this connection, or NULL. */
static const char *
put_back(const struct req_head *h, const char *name)
{
	if (strcmp(name, "expect") == 0 && h->expect_continue)
		return "100-continue";
	if (strcmp(name, "transfer-encoding") == 0 && h->kind == BODY_STREAM)
		return "chunked";
	return NULL;
}

/*
 * The fields, sorted, and in names those of them that are sent; or all must be
 * here, as they came.
 */
static int
put_fields(struct buf *b, const struct req_head *h, const char *hostport,
    const struct sigv4 *s, bool all, struct buf *names, struct error *err)
{
	cleanup_free char *text = xstrdup(s->fields);
	char *name[SIGV4_FIELDS_MAX], *rest = text, *p;
	size_t n = 0;

	str_lower(text);
	while ((p = strsep(&rest, ";")) != NULL) {
		if (n == nitems(name))
			return error_set(
			    err, 0, "the AWS signature covers too many fields");
		name[n++] = p;
	}
	qsort(name, n, sizeof(*name), by_name);
	for (size_t i = 0; i < n; i++) {
		const char *was = all ? put_back(h, name[i]) : NULL;

		if (i > 0 && strcmp(name[i], name[i - 1]) == 0)
			continue;
		if (was != NULL)
			buf_printf(b, "%s:%s\n", name[i], was);
		else if (!put_field(b, h, hostport, name[i])) {
			if (all)
				return error_set(err, 0,
				    "the AWS signature covers the field "
				    "\"%.64s\", which is not there or ends "
				    "with the connection",
				    name[i]);
			continue;
		}
		buf_printf(
		    names, "%s%s", buf_len(names) > 0 ? ";" : "", name[i]);
	}
	buf_put_u8(b, '\n');
	return 0;
}

/* ---- signing ------------------------------------------------------------- */

void
sigv4_key(const struct secret *secret, const char *date, const char *region,
    const char *service, uint8_t key[SIGV4_KEY_SIZE])
{
	const char *const words[] = { date, region, service, "aws4_request" };
	size_t n = secret_len(secret);
	uint8_t out[SIGN_MAC_MAX];
	struct buf start;

	buf_init_wipe(&start, 0);
	buf_put(&start, "AWS4", 4);
	buf_put(&start, secret_bytes(secret), n);
	sign_hmac("SHA256", buf_head(&start), buf_len(&start), words[0],
	    strlen(words[0]), out);
	buf_free(&start);
	for (size_t i = 1; i < nitems(words); i++) {
		memcpy(key, out, SIGV4_KEY_SIZE);
		sign_hmac("SHA256", key, SIGV4_KEY_SIZE, words[i],
		    strlen(words[i]), out);
	}
	memcpy(key, out, SIGV4_KEY_SIZE);
	explicit_bzero(out, sizeof(out));
}

/* "KEY/date/region/service/aws4_request" */
static char *
scope_text(const struct sigv4 *s, const char *key_id)
{
	return xasprintf("%s/%s/%s/%s/aws4_request",
	    key_id[0] != '\0' ? key_id : s->key_id, s->date, s->region,
	    s->service);
}

static void
put_separator(struct buf *b)
{
	bool first = memchr(buf_head(b), '?', buf_len(b)) == NULL;

	buf_put_u8(b, first ? '?' : '&');
}

static void
put_param(struct buf *b, const char *name, const char *value)
{
	put_separator(b);
	buf_printf(b, "%s=", name);
	for (; *value != '\0'; value++)
		url_put(b, (uint8_t)*value);
}

/* The target anew: with what is signed, but without a signature. */
static char *
make_target(const char *target, const struct params *ps, const char *scope,
    const char *names)
{
	static const char *const ours[] = { "X-Amz-Credential",
		"X-Amz-SignedHeaders", "X-Amz-Signature",
		"X-Amz-Security-Token" };
	cleanup_buf struct buf b = { 0 };

	buf_put(&b, target, strcspn(target, "?"));
	for (size_t i = 0; i < ps->n; i++) {
		const struct param *p = &ps->p[i];
		bool skip = false;

		for (size_t k = 0; k < nitems(ours); k++)
			skip = skip || strcasecmp(p->name, ours[k]) == 0;
		if (skip)
			continue;
		put_separator(&b);
		buf_put(&b, p->raw, p->len);
	}
	put_param(&b, ours[0], scope);
	put_param(&b, ours[1], names);
	return xstrndup((const char *)buf_head(&b), buf_len(&b));
}

/* The canonical request of h but for the hash of its body. */
static void
put_request(struct buf *b, const struct req_head *h, const struct params *ps,
    const struct sigv4 *s, const struct buf *fields, const char *names)
{
	buf_printf(b, "%s\n", h->method);
	put_path(b, h, s);
	put_query(b, ps);
	buf_put(b, buf_head(fields), buf_len(fields));
	buf_printf(b, "%s\n", names);
}

/* What the request says of its body; NULL for SIGV4_BODY: nothing. */
static const char *
stated_hash(
    const struct req_head *h, const struct params *ps, const struct sigv4 *s)
{
	const struct param *p = params_get(ps, "X-Amz-Content-Sha256");
	const char *stated =
	    fields_get(&h->fields, "x-amz-content-sha256", NULL);

	if (s->payload == SIGV4_BODY)
		return NULL;
	if (stated == NULL)
		stated = p != NULL ? p->value : "UNSIGNED-PAYLOAD";
	return stated;
}

/* The signature of a canonical request. */
static void
sign_text(const struct sigv4 *s, const uint8_t key[SIGV4_KEY_SIZE],
    const struct buf *request, char out[SIGN_HEX_SIZE])
{
	cleanup_buf struct buf text = { 0 };
	uint8_t mac[SIGN_MAC_MAX];

	sign_sha256_hex(buf_head(request), buf_len(request), out);
	buf_printf(&text, "%s\n%s\n%s/%s/%s/aws4_request\n%s", ALGORITHM,
	    s->time, s->date, s->region, s->service, out);
	sign_hmac("SHA256", key, SIGV4_KEY_SIZE, buf_head(&text),
	    buf_len(&text), mac);
	sign_hex(mac, SIGN_SHA256_SIZE, out);
}

int
sigv4_covered(const struct req_head *h, const char *authority,
    const struct sigv4 *s, struct buf *text, struct error *err)
{
	cleanup_buf struct buf fields = { 0 }, list = { 0 };
	cleanup_free char *names = NULL;
	const char *stated;
	struct params ps;

	if (put_fields(&fields, h, authority, s, true, &list, err) < 0 ||
	    params_read(h->target, &ps, err) < 0)
		return -1;
	names = xstrndup((const char *)buf_head(&list), buf_len(&list));
	params_sort(&ps);
	put_request(text, h, &ps, s, &fields, names);
	stated = stated_hash(h, &ps, s);
	if (stated != NULL)
		buf_printf(text, "%s", stated);
	params_free(&ps);
	return 0;
}

bool
sigv4_is_by(const struct sigv4 *s, const uint8_t key[SIGV4_KEY_SIZE],
    const struct buf *text, const char *body_hash)
{
	cleanup_buf struct buf whole = { 0 };
	char signature[SIGN_HEX_SIZE];

	buf_put(&whole, buf_head(text), buf_len(text));
	if (s->payload == SIGV4_BODY)
		buf_printf(&whole, "%s", body_hash);
	sign_text(s, key, &whole, signature);
	return CRYPTO_memcmp(signature, s->signature, sizeof(signature)) == 0;
}

int
sigv4_sign(struct req_head *h, const char *hostport, const struct sigv4 *s,
    const uint8_t key[SIGV4_KEY_SIZE], const char *key_id,
    const char *body_hash, char signature[SIGN_HEX_SIZE], struct error *err)
{
	cleanup_buf struct buf fields = { 0 }, list = { 0 }, text = { 0 };
	cleanup_free char *scope = scope_text(s, key_id);
	cleanup_free char *names = NULL, *fresh = NULL;
	const char *stated;
	struct params ps;

	fields_remove(&h->fields, "X-Amz-Security-Token");
	if (put_fields(&fields, h, hostport, s, false, &list, err) < 0)
		return -1;
	names = xstrndup((const char *)buf_head(&list), buf_len(&list));
	if (params_read(h->target, &ps, err) < 0)
		return -1;
	if (s->where == SIGV4_QUERY) {
		fresh = make_target(h->target, &ps, scope, names);
		params_free(&ps);
		if (params_read(fresh, &ps, err) < 0)
			return -1;
	}
	params_sort(&ps);
	put_request(&text, h, &ps, s, &fields, names);
	stated = s->payload == SIGV4_BODY ? body_hash : stated_hash(h, &ps, s);
	if (stated != NULL)
		buf_printf(&text, "%s", stated);
	params_free(&ps);
	if (stated == NULL)
		return error_set(err, 0, "the hash of the body is missing");
	sign_text(s, key, &text, signature);
	if (s->where == SIGV4_QUERY) {
		buf_clear(&text);
		buf_printf(&text, "%s", fresh);
		put_param(&text, "X-Amz-Signature", signature);
		free(h->target);
		h->target =
		    xstrndup((const char *)buf_head(&text), buf_len(&text));
		return 0;
	}

	cleanup_free char *auth = xasprintf(ALGORITHM
	    " Credential=%s, SignedHeaders=%s, Signature=%s",
	    scope, names, signature);
	fields_set(&h->fields, "Authorization", auth);
	return 0;
}

#include "proxy/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/http1.h"

#define FIELD_MIN_BYTES 8u /* two empty strings */

void
fields_add(struct fields *fs, const char *name, size_t nlen, const char *value,
    size_t vlen)
{
	if (fs->n == fs->cap) {
		fs->cap = fs->cap == 0 ? 8 : fs->cap * 2;
		fs->f = xreallocarray(fs->f, fs->cap, sizeof(*fs->f));
	}
	fs->f[fs->n].name = xstrndup(name, nlen);
	fs->f[fs->n].value = xstrndup(value, vlen);
	fs->f[fs->n].secret = false;
	fs->n++;
}

const char *
fields_get(const struct fields *fs, const char *name, size_t *count)
{
	const char *first = NULL;
	size_t found = 0;

	for (size_t i = 0; i < fs->n; i++) {
		if (strcasecmp(fs->f[i].name, name) != 0)
			continue;
		if (found++ == 0)
			first = fs->f[i].value;
	}
	if (count != NULL)
		*count = found;
	return first;
}

static void
field_free(struct field *f)
{
	free(f->name);
	if (f->value != NULL)
		explicit_bzero(f->value, strlen(f->value));
	free(f->value);
}

void
fields_remove(struct fields *fs, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < fs->n; i++) {
		if (strcasecmp(fs->f[i].name, name) == 0)
			field_free(&fs->f[i]);
		else
			fs->f[kept++] = fs->f[i];
	}
	fs->n = kept;
}

void
fields_set(struct fields *fs, const char *name, const char *value)
{
	/* Copied first: value may point into the field that goes away. */
	cleanup_free char *copy = xstrdup(value);

	fields_remove(fs, name);
	fields_add(fs, name, strlen(name), copy, strlen(copy));
	explicit_bzero(copy, strlen(copy));
}

void
fields_free(struct fields *fs)
{
	for (size_t i = 0; i < fs->n; i++)
		field_free(&fs->f[i]);
	free(fs->f);
	memset(fs, 0, sizeof(*fs));
}

bool
wire_is_hop(const char *name)
{
	/* Each field of each message comes by here, and few begin alike. */
	switch (name[0] | 0x20) {
	case 'c':
		return strcasecmp(name, "Connection") == 0 ||
		       strcasecmp(name, "Content-Length") == 0;
	case 'h':
		return strcasecmp(name, "HTTP2-Settings") == 0;
	case 'k':
		return strcasecmp(name, "Keep-Alive") == 0;
	case 'p':
		return strncasecmp(name, "Proxy-", 6) == 0;
	case 't':
		return strcasecmp(name, "TE") == 0 ||
		       strcasecmp(name, "Trailer") == 0 ||
		       strcasecmp(name, "Transfer-Encoding") == 0;
	case 'u':
		return strcasecmp(name, "Upgrade") == 0;
	}
	return false;
}

bool
wire_is_leg(const char *name)
{
	return strncasecmp(name, "Sec-WebSocket-", 14) == 0 &&
	       (strcasecmp(name + 14, "Key") == 0 ||
		   strcasecmp(name + 14, "Accept") == 0);
}

bool
wire_is_trailer(const char *name)
{
	return !wire_is_hop(name) && strcasecmp(name, "Host") != 0 &&
	       strcasecmp(name, "Authorization") != 0 &&
	       strcasecmp(name, "Set-Cookie") != 0;
}

static char
plain_char(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c + ('a' - 'A'));
	return c == '_' ? '-' : c;
}

bool
wire_is_name(const char *field, const char *name)
{
	while (*field != '\0' && plain_char(*field) == plain_char(*name)) {
		field++;
		name++;
	}
	return *field == *name;
}

bool
wire_list_has(const char *list, const char *token)
{
	size_t n = strlen(token);

	while (*list != '\0') {
		list += strspn(list, " \t,");
		size_t len = strcspn(list, " \t,");
		if (len == n && strncasecmp(list, token, n) == 0)
			return true;
		list += len;
	}
	return false;
}

/* Connection names it: that field ends at one hop, too. */
static bool
is_named(const struct fields *fs, const char *name)
{
	for (size_t i = 0; i < fs->n; i++)
		if (strcasecmp(fs->f[i].name, "Connection") == 0 &&
		    wire_list_has(fs->f[i].value, name))
			return true;
	return false;
}

void
fields_strip_hop(struct fields *fs)
{
	struct fields hop = { 0 };
	size_t kept = 0;

	for (size_t i = 0; i < fs->n; i++)
		if (wire_is_hop(fs->f[i].name))
			hop.n++;
	if (hop.n == 0)
		return;
	/* What is said of the others stays to be read until they are done. */
	hop.cap = hop.n;
	hop.f = xcalloc(hop.cap, sizeof(*hop.f));
	hop.n = 0;
	for (size_t i = 0; i < fs->n; i++) {
		if (wire_is_hop(fs->f[i].name))
			hop.f[hop.n++] = fs->f[i];
		else
			fs->f[kept++] = fs->f[i];
	}
	fs->n = kept;
	kept = 0;
	for (size_t i = 0; i < fs->n; i++) {
		if (is_named(&hop, fs->f[i].name))
			field_free(&fs->f[i]);
		else
			fs->f[kept++] = fs->f[i];
	}
	fs->n = kept;
	fields_free(&hop);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool
wire_is_value(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return n == 0 || !(is_blank(s[0]) || is_blank(s[n - 1]));
}

/* Printable ASCII without blanks: what a request target is made of. */
static bool
is_visible(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= 0x20 || *s >= 0x7f)
			return false;
	return true;
}

bool
wire_is_target(const char *s)
{
	if (strcmp(s, "*") == 0)
		return true;
	return s[0] == '/' && is_visible(s) && strchr(s, '#') == NULL;
}

bool
wire_is_authority(const char *s)
{
	static const char reg[] = "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t n;
	uint64_t port;

	if (strlen(s) > WIRE_AUTHORITY_MAX)
		return false;
	if (*s == '[') {
		char literal[INET6_ADDRSTRLEN];
		struct in6_addr a;

		n = strcspn(++s, "]");
		if (s[n] != ']' || n >= sizeof(literal))
			return false;
		memcpy(literal, s, n);
		literal[n] = '\0';
		if (inet_pton(AF_INET6, literal, &a) != 1)
			return false;
		s += n + 1;
	} else {
		n = strspn(s, reg);
		if (n == 0)
			return false;
		s += n;
	}
	if (*s == '\0')
		return true;
	return *s == ':' && strlen(s) <= 6 &&
	       str_to_u64(s + 1, 0, UINT16_MAX, &port) == 0;
}

bool
wire_is_host(const char *s)
{
	unsigned char a[sizeof(struct in6_addr)];

	return str_is_hostname(s) || inet_pton(AF_INET, s, a) == 1 ||
	       inet_pton(AF_INET6, s, a) == 1;
}

/* Fields that the message says in another way, or that end at one hop. */
static bool
never_travels(const char *name)
{
	return wire_is_hop(name) || wire_is_leg(name) ||
	       strcasecmp(name, "Host") == 0;
}

/* Left out here too: an upstream may well send such a field. */
static void
fields_put(struct buf *b, const struct fields *fs)
{
	size_t count_at = b->len;
	uint32_t n = 0;

	buf_put_u32(b, 0);
	for (size_t i = 0; i < fs->n; i++) {
		if (never_travels(fs->f[i].name))
			continue;
		buf_put_str(b, fs->f[i].name);
		buf_put_str(b, fs->f[i].value);
		n++;
	}
	if (!buf_failed(b))
		buf_patch_u32(b, count_at, n);
}

static int
fields_get_wire(struct cur *c, struct fields *fs)
{
	uint32_t n = cur_count(c, WIRE_FIELDS_MAX, FIELD_MIN_BYTES);

	for (uint32_t i = 0; i < n; i++) {
		size_t nlen, vlen;
		const char *name, *value;

		name = (const char *)cur_blob(c, WIRE_NAME_MAX, &nlen);
		value = (const char *)cur_blob(c, WIRE_VALUE_MAX, &vlen);
		if (c->failed || !http_is_token(name, nlen) ||
		    !wire_is_value(value, vlen))
			return -1;
		fields_add(fs, name, nlen, value, vlen);
		if (never_travels(fs->f[fs->n - 1].name))
			return -1;
	}
	return c->failed ? -1 : 0;
}

/* What was appended since start fits a head, and every list is in bounds. */
static int
put_check(const struct buf *b, size_t start, const struct fields *fs)
{
	if (buf_failed(b) || b->len - start > WIRE_HEAD_MAX ||
	    fs->n > WIRE_FIELDS_MAX)
		return -1;
	for (size_t i = 0; i < fs->n; i++)
		if (strlen(fs->f[i].name) > WIRE_NAME_MAX ||
		    strlen(fs->f[i].value) > WIRE_VALUE_MAX)
			return -1;
	return 0;
}

/*
 * Scrubbing may have put a character into a field that has no place there.
 * The reader would take that for a fault of this process.
 */
static bool
is_sound(const struct fields *fs)
{
	for (size_t i = 0; i < fs->n; i++) {
		const struct field *f = &fs->f[i];

		if (!http_is_token(f->name, strlen(f->name)) ||
		    !wire_is_value(f->value, strlen(f->value)))
			return false;
	}
	return true;
}

static int
kind_get(struct cur *c, enum body_kind *kind, uint64_t *length)
{
	uint8_t k = cur_u8(c);

	*length = cur_u64(c);
	switch (k) {
	case BODY_LENGTH:
		*kind = BODY_LENGTH;
		return 0;
	case BODY_NONE:
	case BODY_STREAM:
		*kind = k == BODY_NONE ? BODY_NONE : BODY_STREAM;
		return *length == 0 ? 0 : -1;
	}
	return -1;
}

int
req_head_put(struct buf *b, const struct req_head *h)
{
	size_t start = b->len;

	buf_put_u8(b, h->tls ? 1 : 0);
	buf_put_str(b, h->sni);
	buf_put_str(b, h->dst);
	buf_put_u16(b, h->port);
	buf_put_str(b, h->method);
	buf_put_str(b, h->authority);
	buf_put_str(b, h->target);
	buf_put_str(b, h->protocol);
	buf_put_u8(b, (uint8_t)h->kind);
	buf_put_u64(b, h->kind == BODY_LENGTH ? h->length : 0);
	buf_put_u8(b, h->expect_continue ? 1 : 0);
	fields_put(b, &h->fields);
	return put_check(b, start, &h->fields);
}

/* "", or a token in lower case; a WebSocket starts as GET with a stream. */
static bool
is_protocol(const struct req_head *h)
{
	const char *p = h->protocol;

	for (; *p != '\0'; p++)
		if ((*p < 'a' || *p > 'z') && (*p < '0' || *p > '9') &&
		    *p != '-')
			return false;
	return strcmp(h->protocol, WIRE_WEBSOCKET) != 0 ||
	       (strcmp(h->method, "GET") == 0 && h->kind == BODY_STREAM);
}

/* No target only where there is no HTTP. */
static bool
target_suits(const struct req_head *h)
{
	if (h->target[0] == '\0')
		return h->protocol[0] != '\0' &&
		       strcmp(h->method, "CONNECT") == 0;
	return wire_is_target(h->target);
}

int
req_head_get(struct cur *c, struct req_head *h)
{
	memset(h, 0, sizeof(*h));
	h->tls = cur_bool(c);
	h->sni = cur_str(c, P_HOST_MAX);
	h->dst = cur_str(c, P_HOST_MAX);
	h->port = cur_u16(c);
	h->method = cur_str(c, WIRE_METHOD_MAX);
	h->authority = cur_str(c, WIRE_AUTHORITY_MAX);
	h->target = cur_str(c, P_URL_MAX);
	h->protocol = cur_str(c, WIRE_PROTOCOL_MAX);
	if (kind_get(c, &h->kind, &h->length) < 0)
		goto bad;
	h->expect_continue = cur_bool(c);
	if (c->failed || fields_get_wire(c, &h->fields) < 0 || cur_end(c) < 0)
		goto bad;
	if ((h->sni[0] != '\0' && !str_is_hostname(h->sni)) ||
	    !wire_is_host(h->dst) ||
	    !http_is_token(h->method, strlen(h->method)) ||
	    (h->authority[0] != '\0' && !wire_is_authority(h->authority)) ||
	    !is_protocol(h) || !target_suits(h))
		goto bad;
	return 0;
bad:
	req_head_free(h);
	return -1;
}

int
rsp_head_put(struct buf *b, const struct rsp_head *h)
{
	size_t start = b->len;

	buf_put_u16(b, h->status);
	buf_put_str(b, h->reason);
	buf_put_u8(b, (uint8_t)h->kind);
	buf_put_u64(b, h->kind == BODY_LENGTH ? h->length : 0);
	fields_put(b, &h->fields);
	return is_sound(&h->fields) ? put_check(b, start, &h->fields) : -1;
}

int
rsp_head_get(struct cur *c, struct rsp_head *h)
{
	memset(h, 0, sizeof(*h));
	h->status = cur_u16(c);
	h->reason = cur_str(c, WIRE_REASON_MAX);
	if (kind_get(c, &h->kind, &h->length) < 0)
		goto bad;
	if (c->failed || fields_get_wire(c, &h->fields) < 0 || cur_end(c) < 0)
		goto bad;
	/* Interim responses have messages of their own. */
	if (h->status == 101 ? h->kind != BODY_STREAM : h->status < 200)
		goto bad;
	if (h->status > 999 || !wire_is_value(h->reason, strlen(h->reason)))
		goto bad;
	return 0;
bad:
	rsp_head_free(h);
	return -1;
}

void
req_head_free(struct req_head *h)
{
	free(h->sni);
	free(h->dst);
	free(h->method);
	free(h->authority);
	free(h->target);
	free(h->protocol);
	fields_free(&h->fields);
	memset(h, 0, sizeof(*h));
}

void
rsp_head_free(struct rsp_head *h)
{
	free(h->reason);
	fields_free(&h->fields);
	memset(h, 0, sizeof(*h));
}

int
trailers_put(struct buf *b, const struct fields *fs)
{
	size_t start = b->len;

	fields_put(b, fs);
	return is_sound(fs) ? put_check(b, start, fs) : -1;
}

int
trailers_get(struct cur *c, struct fields *fs)
{
	memset(fs, 0, sizeof(*fs));
	if (fields_get_wire(c, fs) < 0 || cur_end(c) < 0) {
		fields_free(fs);
		return -1;
	}
	return 0;
}

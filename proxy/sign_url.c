#include "proxy/sign_url.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

/* More are cut off: the signature is then wrong, and refused by AWS. */
#define SEGMENTS_MAX 1024u

void
params_free(struct params *ps)
{
	for (size_t i = 0; i < ps->n; i++) {
		free(ps->p[i].name);
		free(ps->p[i].value);
	}
	ps->n = 0;
}

static bool
is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

void
url_put(struct buf *b, uint8_t c)
{
	static const char digits[] = "0123456789ABCDEF";

	if (is_unreserved((char)c)) {
		buf_put_u8(b, c);
		return;
	}
	buf_put_u8(b, '%');
	buf_put_u8(b, (uint8_t)digits[c >> 4]);
	buf_put_u8(b, (uint8_t)digits[c & 15]);
}

void
url_put_recoded(struct buf *b, const char *s, size_t n, char keep, bool query)
{
	for (size_t i = 0; i < n; i++) {
		int c = (uint8_t)s[i];

		if (c == '%' && n - i > 2 && hex_value(s[i + 1]) >= 0 &&
		    hex_value(s[i + 2]) >= 0) {
			c = hex_value(s[i + 1]) * 16 + hex_value(s[i + 2]);
			i += 2;
		} else if (c == '+' && query) {
			c = ' ';
		}
		if (keep != 0 && c == keep)
			buf_put_u8(b, (uint8_t)c);
		else
			url_put(b, (uint8_t)c);
	}
}

static char *
recoded(const char *s, size_t n)
{
	cleanup_buf struct buf b = { 0 };

	url_put_recoded(&b, s, n, 0, true);
	return xstrndup((const char *)buf_head(&b), buf_len(&b));
}

char *
url_decoded(const char *s)
{
	char *out = xstrdup(s), *to = out;

	for (; *s != '\0'; s++) {
		if (*s == '%' && hex_value(s[1]) >= 0 && hex_value(s[2]) >= 0) {
			*to++ = (char)(hex_value(s[1]) * 16 + hex_value(s[2]));
			s += 2;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
	return out;
}

int
params_read(const char *target, struct params *ps, struct error *err)
{
	const char *q = strchr(target, '?');

	ps->n = 0;
	for (q = q == NULL ? "" : q + 1; *q != '\0'; q += *q == '&') {
		size_t n = strcspn(q, "&"), name = 0;
		struct param *p = &ps->p[ps->n];

		if (ps->n == SIGN_PARAMS_MAX) {
			params_free(ps);
			return error_set(
			    err, 0, "the query has too many parameters");
		}
		if (n == 0)
			continue;
		while (name < n && q[name] != '=')
			name++;
		p->raw = q;
		p->len = n;
		p->name = recoded(q, name);
		p->value = name < n ? recoded(q + name + 1, n - name - 1)
				    : xstrdup("");
		ps->n++;
		q += n;
	}
	return 0;
}

static int
compare(const void *a, const void *b)
{
	const struct param *p = a, *q = b;
	int d = strcmp(p->name, q->name);

	return d != 0 ? d : strcmp(p->value, q->value);
}

void
params_sort(struct params *ps)
{
	qsort(ps->p, ps->n, sizeof(ps->p[0]), compare);
}

const struct param *
params_get(const struct params *ps, const char *name)
{
	const struct param *found = NULL;

	for (size_t i = 0; i < ps->n; i++) {
		if (strcasecmp(ps->p[i].name, name) != 0)
			continue;
		if (found != NULL)
			return NULL;
		found = &ps->p[i];
	}
	return found;
}

void
url_put_normal_path(struct buf *b, const char *path, size_t n)
{
	const char *seg[SEGMENTS_MAX];
	size_t len[SEGMENTS_MAX], count = 0, at = 0;
	bool slash = n > 0 && path[n - 1] == '/';

	while (at < n) {
		size_t k = 0;

		while (at + k < n && path[at + k] != '/')
			k++;
		if (k == 2 && path[at] == '.' && path[at + 1] == '.') {
			count -= count > 0;
			slash = slash || at + k == n;
		} else if (k == 1 && path[at] == '.') {
			slash = slash || at + k == n;
		} else if (k > 0 && count < nitems(seg)) {
			seg[count] = path + at;
			len[count++] = k;
		}
		at += k + 1;
	}
	for (size_t i = 0; i < count; i++) {
		buf_put_u8(b, '/');
		for (size_t k = 0; k < len[i]; k++)
			url_put(b, (uint8_t)seg[i][k]);
	}
	if (count == 0 || slash)
		buf_put_u8(b, '/');
}

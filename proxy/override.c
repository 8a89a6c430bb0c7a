#include "proxy/override.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "proxy/json_read.h"
#include "proxy/seek.h"

/* Percent-encoded, each byte may be three. */
#define TEXT_MAX (3 * OVERRIDE_METHOD_MAX)

enum type {
	FORM,
	MULTIPART,
	JSON
};

enum state {
	NAME,  /* of a parameter, at the start of a form */
	VALUE, /* of one that counts */
	SKIP,  /* to the end of a parameter or a line */
	LINE,  /* the start of a line of a part's content */
	HEAD,  /* a line of the head of a part */
};

struct override {
	enum type type;
	enum state state;
	char text[OVERRIDE_LINE_MAX + 1]; /* what is being read */
	size_t n;
	bool ours;    /* the head is that of such a part */
	bool unclear; /* for good */
	unsigned int found;
	char *method;
	struct json_read json;
	bool json_over;
};

/* ---- names and values ---------------------------------------------------- */

/* n bytes percent-decoded, a plus as a blank; the length, at most size. */
static size_t
decode(const char *s, size_t n, char *out, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < n && len < size; i++) {
		int hi = -1, lo = -1;

		if (s[i] == '%' && i + 2 < n) {
			hi = seek_hex_value((uint8_t)s[i + 1]);
			lo = seek_hex_value((uint8_t)s[i + 2]);
		}
		if (hi >= 0 && lo >= 0) {
			out[len++] = (char)(hi << 4 | lo);
			i += 2;
		} else {
			out[len++] = s[i] == '+' ? ' ' : s[i];
		}
	}
	return len;
}

/* PHP has dots and blanks become underscores, and drops leading blanks. */
static bool
is_ours(const char *s, size_t n)
{
	static const char *const names[] = { "_method", "_http_method",
		"_httpmethod", "x_http_method_override", "x_method_override",
		"x_http_method" };
	char plain[32];

	while (n > 0 && *s == ' ') {
		s++;
		n--;
	}
	if (n >= sizeof(plain))
		return false;
	for (size_t i = 0; i < n; i++)
		plain[i] = strchr(".- [", s[i]) != NULL ? '_' : s[i];
	plain[n] = '\0';
	for (size_t i = 0; i < nitems(names); i++)
		if (strcasecmp(plain, names[i]) == 0)
			return true;
	return false;
}

char *
override_upper(const char *s, size_t n)
{
	char *out = xstrndup(s, n);

	for (char *p = out; *p != '\0'; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	return out;
}

char *
override_query(const char *target, size_t *at)
{
	char name[TEXT_MAX], value[OVERRIDE_METHOD_MAX + 1];

	if (*at == 0)
		*at = strcspn(target, "?");
	while (target[*at] != '\0' && target[*at] != '#') {
		const char *p = target + *at + 1;
		size_t n = strcspn(p, "&;#"), eq = 0;

		while (eq < n && p[eq] != '=')
			eq++;
		*at += 1 + n;
		if (eq == n ||
		    !is_ours(name, decode(p, eq, name, sizeof(name))))
			continue;
		n = decode(p + eq + 1, n - eq - 1, value, sizeof(value));
		if (n > 0)
			return override_upper(value, n);
	}
	return NULL;
}

/* A value is whole. */
static void
take(struct override *o, const char *s, size_t n)
{
	char value[OVERRIDE_METHOD_MAX + 1];

	if (o->type == FORM)
		n = decode(s, n, value, sizeof(value));
	else if (n < sizeof(value))
		memcpy(value, s, n);
	if (n == 0)
		return;
	if (n >= sizeof(value) || o->method != NULL) {
		o->unclear = true;
		return;
	}
	o->method = override_upper(value, n);
	o->found++;
}

/* ---- forms --------------------------------------------------------------- */

static void
form_byte(struct override *o, char c)
{
	bool end = c == '&' || c == ';';
	char name[TEXT_MAX];

	if (o->state == NAME && c == '=') {
		o->state =
		    is_ours(name, decode(o->text, o->n, name, sizeof(name)))
			? VALUE
			: SKIP;
		o->n = 0;
	} else if (end) {
		if (o->state == VALUE)
			take(o, o->text, o->n);
		o->state = NAME;
		o->n = 0;
	} else if (o->state != SKIP && o->n < TEXT_MAX) {
		o->text[o->n++] = c;
	} else if (o->state == NAME) {
		o->state = SKIP;
	} else if (o->state == VALUE) {
		o->unclear = true;
	}
}

/* ---- multipart/form-data (RFC 7578) -------------------------------------- */

/*
 * The value of a parameter "name" or "name*" in a line of a head, into out.
 * Its length, or -1 if there is none.
 */
static ssize_t
name_param(const char *line, char *out, size_t size)
{
	const char *p = line;
	size_t n = 0;

	while ((p = strcasestr(p, "name")) != NULL) {
		bool first = p == line || strchr("; \t", p[-1]) != NULL;
		const char *tick;
		bool coded;

		p += 4;
		coded = *p == '*';
		p += coded;
		p += strspn(p, " \t");
		if (!first || *p != '=')
			continue;
		p++;
		p += strspn(p, " \t");
		if (*p != '"') {
			n = strcspn(p, "; \t");
			/* RFC 8187: charset'language'value. */
			if (coded && (tick = memrchr(p, '\'', n)) != NULL) {
				n -= (size_t)(tick + 1 - p);
				p = tick + 1;
			}
			return (ssize_t)decode(p, n, out, size);
		}
		for (p++; *p != '\0' && *p != '"' && n < size; p++) {
			if (*p == '\\' && p[1] != '\0')
				p++;
			out[n++] = *p;
		}
		return (ssize_t)decode(out, n, out, size);
	}
	return -1;
}

static void
head_line(struct override *o)
{
	char name[TEXT_MAX];
	ssize_t n;

	if (o->n > 0 && o->text[o->n - 1] == '\r')
		o->n--;
	o->text[o->n] = '\0';
	if (o->n == 0) {
		o->state = o->ours ? VALUE : LINE;
		o->ours = false;
		return;
	}
	n = name_param(o->text, name, sizeof(name));
	if (n >= 0 && is_ours(name, (size_t)n))
		o->ours = true;
	o->n = 0;
}

/*
 * Any line that begins as a delimiter does may be one: what a part is called
 * is all that counts.
 */
static void
part_byte(struct override *o, char c)
{
	switch (o->state) {
	case LINE:
		if (c == '-' && ++o->n == 2) {
			o->state = SKIP;
			o->ours = true;
		} else if (c == '\n') {
			o->n = 0;
		} else if (c != '-') {
			o->state = SKIP;
		}
		return;
	case SKIP:
		if (c != '\n')
			return;
		o->state = o->ours ? HEAD : LINE;
		o->ours = false;
		o->n = 0;
		return;
	case HEAD:
		if (c == '\n')
			head_line(o);
		else if (o->n < OVERRIDE_LINE_MAX)
			o->text[o->n++] = c;
		else
			o->unclear = true;
		return;
	case VALUE:
		if (c == '\r' || c == '\n') {
			take(o, o->text, o->n);
			o->state = c == '\n' ? LINE : SKIP;
			o->n = 0;
		} else if (o->n < TEXT_MAX) {
			o->text[o->n++] = c;
		} else {
			o->unclear = true;
		}
		return;
	case NAME:
		return;
	}
}

/* ---- JSON ---------------------------------------------------------------- */

static bool
on_value(const struct json_value *v, void *arg)
{
	struct override *o = arg;

	if (v->kind == JSON_STRING && v->path != NULL && v->path[0] == '.' &&
	    strpbrk(v->path + 1, ".[") == NULL &&
	    is_ours(v->path + 1, strlen(v->path + 1)))
		take(o, v->text, v->n);
	return true;
}

/* ---- all ----------------------------------------------------------------- */

struct override *
override_new(const char *content_type)
{
	struct override *o;
	enum type type;
	size_t n;

	if (content_type == NULL)
		return NULL;
	content_type += strspn(content_type, " \t");
	n = strcspn(content_type, "; \t,");
	if (n == 33 && strncasecmp(content_type,
			   "application/x-www-form-urlencoded", n) == 0)
		type = FORM;
	else if (n == 19 &&
		 strncasecmp(content_type, "multipart/form-data", n) == 0)
		type = MULTIPART;
	else if ((n == 16 &&
		     strncasecmp(content_type, "application/json", n) == 0) ||
		 (n > 5 && strncasecmp(content_type + n - 5, "+json", 5) == 0))
		type = JSON;
	else
		return NULL;
	o = xcalloc(1, sizeof(*o));
	o->type = type;
	o->state = type == MULTIPART ? LINE : NAME;
	json_read_init(&o->json, on_value, o);
	return o;
}

void
override_free(struct override *o)
{
	if (o == NULL)
		return;
	free(o->method);
	free(o);
}

static enum override_says
says(struct override *o, unsigned int before)
{
	if (o->unclear)
		return OVERRIDE_UNCLEAR;
	if (o->state == VALUE)
		return OVERRIDE_HOLD;
	return o->found > before ? OVERRIDE_METHOD : OVERRIDE_GO;
}

enum override_says
override_feed(struct override *o, const void *data, size_t n)
{
	unsigned int before = o->state == VALUE ? 0 : o->found;
	const char *p = data;

	if (o->type == JSON) {
		/* What is no JSON, or more than one text, nobody takes for
		 * parameters. */
		if (!o->json_over && json_read(&o->json, p, n) < 0)
			o->json_over = true;
		return says(o, before);
	}
	for (size_t i = 0; i < n && !o->unclear; i++) {
		const char *end;

		/* Most of what is uploaded. */
		if (o->state == SKIP) {
			end =
			    memchr(p + i, o->type == FORM ? '&' : '\n', n - i);
			if (o->type == FORM) {
				const char *semi = memchr(p + i, ';',
				    end == NULL ? n - i
						: (size_t)(end - p) - i);

				end = semi != NULL ? semi : end;
			}
			if (end == NULL)
				break;
			i = (size_t)(end - p);
		}
		if (o->type == FORM)
			form_byte(o, p[i]);
		else
			part_byte(o, p[i]);
	}
	return says(o, before);
}

enum override_says
override_end(struct override *o)
{
	unsigned int before = o->state == VALUE ? 0 : o->found;

	if (o->state == VALUE) {
		take(o, o->text, o->n);
		o->state = SKIP;
	}
	return says(o, before);
}

const char *
override_method(const struct override *o)
{
	return o->method;
}

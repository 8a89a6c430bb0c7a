/*
 * Fields of a request that is being read, and what it keeps of them.
 */
#include "inferd/api.h"
#include "inferd/api_int.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/json_string.h"

#define SHOW_MAX 40u
#define PLACE_MAX 56u
#define NUMBER_MAX 64u /* bytes */
#define BLOCK_MIN 65536u

/* What a request points into. */
struct block {
	struct block *next;
	size_t used, size;
	max_align_t bytes[];
};

void *
api_take(struct reader *r, size_t n)
{
	struct block *b = r->out->mem;
	size_t size;
	uint8_t *p;

	n = (n + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
	if (b == NULL || b->size - b->used < n) {
		size = n > BLOCK_MIN ? n : BLOCK_MIN;
		b = xmalloc(sizeof(*b) + size);
		b->next = r->out->mem;
		b->size = size;
		b->used = 0;
		r->out->mem = b;
	}
	p = (uint8_t *)b->bytes + b->used;
	b->used += n;
	return p;
}

void
api_request_free(struct api_request *r)
{
	struct block *b = r->mem, *next;

	for (; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	memset(r, 0, sizeof(*r));
}

static void __attribute__((format(printf, 5, 0)))
fail(struct api_error *err, int status, const char *type, const char *param,
    const char *fmt, va_list ap)
{
	err->status = status;
	err->type = type;
	strlcpy(err->param, param, sizeof(err->param));
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
}

void
api_fail(struct api_error *err, int status, const char *type, const char *param,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(err, status, type, param, fmt, ap);
	va_end(ap);
}

/* Only written out where something is wrong: it is entered for each part. */
static void
put_place(const struct reader *r, char *out, size_t size)
{
	size_t i, n = 0;

	*out = '\0';
	for (i = 0; i < r->nat && i < API_PLACES_MAX; i++, n = strlen(out)) {
		snprintf(
		    out + n, size - n, "%s%s", i > 0 ? "." : "", r->at[i].name);
		n = strlen(out);
		if (r->at[i].i != API_NO_INDEX)
			snprintf(out + n, size - n, "[%zu]", r->at[i].i);
	}
}

int
api_bad(struct reader *r, const char *field, const char *fmt, ...)
{
	char place[PLACE_MAX], param[sizeof(r->err->param)];
	va_list ap;

	put_place(r, place, sizeof(place));
	snprintf(param, sizeof(param), "%s%s%s", place,
	    r->nat > 0 && *field != '\0' ? "." : "", field);
	va_start(ap, fmt);
	fail(r->err, 400, NULL, param, fmt, ap);
	va_end(ap);
	return -1;
}

size_t
api_enter(struct reader *r, const char *name)
{
	return api_enter_at(r, name, API_NO_INDEX);
}

size_t
api_enter_at(struct reader *r, const char *name, size_t i)
{
	if (r->nat < API_PLACES_MAX) {
		r->at[r->nat].name = name;
		r->at[r->nat].i = i;
	}
	return r->nat++;
}

void
api_leave(struct reader *r, size_t at)
{
	r->nat = at;
}

uint32_t
api_field(const struct reader *r, uint32_t object, const char *name)
{
	uint32_t node = json_tree_get(&r->t, object, name);

	return r->t.node[node].type == JSON_NULL ? 0 : node;
}

bool
api_type_is(const struct reader *r, uint32_t node, const char *name)
{
	uint32_t type = api_field(r, node, "type");

	return type != 0 && json_tree_is(&r->t, type, name);
}

struct chat_text
api_raw(const struct reader *r, uint32_t node)
{
	return (struct chat_text){ r->t.text + r->t.node[node].from,
		r->t.node[node].n };
}

struct chat_text
api_text(struct reader *r, uint32_t node)
{
	struct chat_text t = api_raw(r, node);
	char *p;

	if (t.n == 0 || memchr(t.p, '\\', t.n) == NULL)
		return t;
	p = api_take(r, t.n);
	return (struct chat_text){ p, json_string_decode(t.p, t.n, p) };
}

char *
api_show(struct reader *r, uint32_t node)
{
	struct chat_text t = r->t.node[node].type == JSON_STR
				 ? api_text(r, node)
				 : api_raw(r, node);

	if (t.n > SHOW_MAX) {
		t.n = SHOW_MAX;
		while (t.n > 0 && ((uint8_t)t.p[t.n] & 0xc0) == 0x80)
			t.n--;
	}
	return str_escape(t.n == 0 ? "" : t.p, t.n);
}

int
api_get_node(struct reader *r, uint32_t object, const char *name,
    enum json_type type, uint32_t *out)
{
	static const char *const words[] = {
		[JSON_NULL] = "null",
		[JSON_FALSE] = "false",
		[JSON_TRUE] = "true",
		[JSON_NUM] = "a number",
		[JSON_STR] = "a string",
		[JSON_ARRAY] = "an array",
		[JSON_OBJECT] = "an object",
	};

	*out = api_field(r, object, name);
	if (*out == 0)
		return 0;
	if (r->t.node[*out].type != type)
		return api_bad(r, name, "%s must be %s", name, words[type]);
	return 1;
}

int
api_get_text(
    struct reader *r, uint32_t object, const char *name, struct chat_text *out)
{
	uint32_t node;
	int rc = api_get_node(r, object, name, JSON_STR, &node);

	if (rc == 1)
		*out = api_text(r, node);
	return rc;
}

int
api_get_bool(struct reader *r, uint32_t object, const char *name, bool *out)
{
	uint32_t node = api_field(r, object, name);

	if (node == 0)
		return 0;
	if (r->t.node[node].type != JSON_TRUE &&
	    r->t.node[node].type != JSON_FALSE)
		return api_bad(r, name, "%s must be true or false", name);
	*out = r->t.node[node].type == JSON_TRUE;
	return 1;
}

int
api_get_number(struct reader *r, uint32_t object, const char *name, double min,
    double max, double *out)
{
	char text[NUMBER_MAX + 1];
	struct chat_text raw;
	uint32_t node;
	double v;
	int rc = api_get_node(r, object, name, JSON_NUM, &node);

	if (rc != 1)
		return rc;
	raw = api_raw(r, node);
	if (raw.n > NUMBER_MAX)
		return api_bad(r, name, "%s has too many digits", name);
	memcpy(text, raw.p, raw.n);
	text[raw.n] = '\0';
	v = strtod(text, NULL);
	if (min >= max && (v < min || v > max))
		return api_bad(r, name, "%s must be %g", name, min);
	if (!isfinite(v) || v < min || v > max)
		return api_bad(
		    r, name, "%s must be between %g and %g", name, min, max);
	*out = v;
	return 1;
}

/* -- Text out of pieces -- */

void
join_add(struct join *j, struct chat_text t, const char *between)
{
	if (t.n == 0)
		return;
	if (j->n++ == 0) {
		j->one = t;
		return;
	}
	if (j->n == 2)
		buf_put(&j->all, j->one.p, j->one.n);
	buf_put(&j->all, between, strlen(between));
	buf_put(&j->all, t.p, t.n);
}

struct chat_text
join_end(struct reader *r, struct join *j)
{
	struct chat_text t = j->one;
	char *p;

	if (j->n > 1) {
		t.n = buf_len(&j->all);
		p = api_take(r, t.n + 1);
		memcpy(p, buf_head(&j->all), t.n);
		t.p = p;
	}
	buf_free(&j->all);
	memset(j, 0, sizeof(*j));
	return t;
}

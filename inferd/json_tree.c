#include "inferd/json_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/json_string.h"

#define EQUALS_MAX 256u /* bytes decoded without allocation */

struct reader {
	struct json_tree *t;
	const char *p;
	size_t n, i;
	unsigned int depth;
	const char *why;
};

static int
bad(struct reader *r, const char *why)
{
	if (r->why == NULL)
		r->why = why;
	return -1;
}

static void
skip_space(struct reader *r)
{
	while (r->i < r->n && (r->p[r->i] == ' ' || r->p[r->i] == '\t' ||
				  r->p[r->i] == '\n' || r->p[r->i] == '\r'))
		r->i++;
}

static bool
take(struct reader *r, char c)
{
	if (r->i >= r->n || r->p[r->i] != c)
		return false;
	r->i++;
	return true;
}

static unsigned int
hex4(const struct reader *r, size_t at)
{
	unsigned int v = 0, d;
	size_t k;
	char c;

	if (at + 4 > r->n)
		return UINT32_MAX;
	for (k = 0; k < 4; k++) {
		c = r->p[at + k];
		if (c >= '0' && c <= '9')
			d = (unsigned int)(c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			d = (unsigned int)((c | 32) - 'a' + 10);
		else
			return UINT32_MAX;
		v = v << 4 | d;
	}
	return v;
}

static int
escape(struct reader *r)
{
	unsigned int u;
	char c;

	if (r->i >= r->n)
		return bad(r, "a string that does not end");
	c = r->p[r->i++];
	if (c != 'u')
		return c != '\0' && strchr("\"\\/bfnrt", c) != NULL
			   ? 0
			   : bad(r, "an escape that is none");
	u = hex4(r, r->i);
	if (u == UINT32_MAX || (u >= 0xdc00 && u < 0xe000))
		return bad(r, "an escape that is none");
	r->i += 4;
	if (u < 0xd800 || u >= 0xe000)
		return 0;
	if (!take(r, '\\') || !take(r, 'u'))
		return bad(r, "half a surrogate pair");
	u = hex4(r, r->i);
	if (u == UINT32_MAX || u < 0xdc00 || u >= 0xe000)
		return bad(r, "half a surrogate pair");
	r->i += 4;
	return 0;
}

/* Behind the opening quote; *from and *n are what is between the two. */
static int
string(struct reader *r, uint32_t *from, uint32_t *n)
{
	*from = (uint32_t)r->i;
	while (r->i < r->n) {
		char c = r->p[r->i++];

		if (c == '"') {
			*n = (uint32_t)(r->i - 1 - *from);
			return 0;
		}
		if ((uint8_t)c < 0x20)
			return bad(r, "a control character in a string");
		if (c == '\\' && escape(r) < 0)
			return -1;
	}
	return bad(r, "a string that does not end");
}

static size_t
digits(struct reader *r)
{
	size_t from = r->i;

	while (r->i < r->n && r->p[r->i] >= '0' && r->p[r->i] <= '9')
		r->i++;
	return r->i - from;
}

static int
number(struct reader *r)
{
	size_t from;

	take(r, '-');
	from = r->i;
	if (digits(r) == 0 || (r->p[from] == '0' && r->i - from > 1))
		return bad(r, "a number that is none");
	if (take(r, '.') && digits(r) == 0)
		return bad(r, "a number that is none");
	if (take(r, 'e') || take(r, 'E')) {
		if (!take(r, '+'))
			take(r, '-');
		if (digits(r) == 0)
			return bad(r, "a number that is none");
	}
	return 0;
}

static int
word(struct reader *r, const char *w)
{
	size_t n = strlen(w);

	if (r->n - r->i < n || memcmp(r->p + r->i, w, n) != 0)
		return bad(r, "a word that is no value");
	r->i += n;
	return 0;
}

static uint32_t
node_add(struct reader *r)
{
	struct json_tree *t = r->t;

	if (t->n == JSON_TREE_NODES) {
		bad(r, "too many values");
		return 0;
	}
	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 32 : t->cap * 2;
		t->node = xreallocarray(t->node, t->cap, sizeof(*t->node));
	}
	memset(&t->node[t->n], 0, sizeof(*t->node));
	return t->n++;
}

static int value(struct reader *r, uint32_t id);

/* Behind the opening bracket of an array or object. */
static int
members(struct reader *r, uint32_t id, bool object)
{
	uint32_t last = 0, child, key = 0, nkey = 0;
	char close = object ? '}' : ']';

	if (++r->depth > JSON_TREE_DEPTH)
		return bad(r, "too many levels");
	skip_space(r);
	if (take(r, close)) {
		r->depth--;
		return 0;
	}
	for (;;) {
		skip_space(r);
		if (object) {
			if (!take(r, '"'))
				return bad(r, "a member without a name");
			if (string(r, &key, &nkey) < 0)
				return -1;
			skip_space(r);
			if (!take(r, ':'))
				return bad(r, "a member without a value");
		}
		child = node_add(r);
		if (child == 0)
			return -1;
		r->t->node[child].key = key;
		r->t->node[child].nkey = nkey;
		if (last == 0)
			r->t->node[id].child = child;
		else
			r->t->node[last].next = child;
		last = child;
		if (value(r, child) < 0)
			return -1;
		skip_space(r);
		if (take(r, ','))
			continue;
		if (!take(r, close))
			return bad(r, "a list that does not end");
		r->depth--;
		return 0;
	}
}

static int
value(struct reader *r, uint32_t id)
{
	enum json_type type;
	uint32_t from, n = 0;
	bool str = false;
	int rc;

	skip_space(r);
	from = (uint32_t)r->i;
	switch (r->i < r->n ? r->p[r->i] : '\0') {
	case '{':
	case '[':
		type = r->p[r->i++] == '{' ? JSON_OBJECT : JSON_ARRAY;
		rc = members(r, id, type == JSON_OBJECT);
		break;
	case '"':
		type = JSON_STR;
		str = true;
		r->i++;
		rc = string(r, &from, &n);
		break;
	case 't':
		type = JSON_TRUE;
		rc = word(r, "true");
		break;
	case 'f':
		type = JSON_FALSE;
		rc = word(r, "false");
		break;
	case 'n':
		type = JSON_NULL;
		rc = word(r, "null");
		break;
	default:
		type = JSON_NUM;
		rc = number(r);
		break;
	}
	r->t->node[id].type = type;
	r->t->node[id].from = from;
	r->t->node[id].n = str ? n : (uint32_t)r->i - from;
	return rc;
}

int
json_tree_read(
    struct json_tree *t, const char *text, size_t n, struct error *err)
{
	struct reader r = { .t = t, .p = text, .n = n };

	memset(t, 0, sizeof(*t));
	t->text = text;
	if (n >= UINT32_MAX)
		return error_set(err, 0, "JSON: too long");
	node_add(&r);
	if (value(&r, 0) == 0) {
		skip_space(&r);
		if (r.i < n)
			bad(&r, "something behind the value");
	}
	if (r.why == NULL && !str_is_utf8(text, n))
		bad(&r, "bytes that are not UTF-8");
	if (r.why == NULL)
		return 0;
	json_tree_free(t);
	return error_set(err, 0, "JSON: %s at byte %zu", r.why, r.i);
}

void
json_tree_free(struct json_tree *t)
{
	free(t->node);
	memset(t, 0, sizeof(*t));
}

static void
decode(const struct json_tree *t, uint32_t from, uint32_t n, struct buf *out)
{
	uint8_t *p = buf_reserve(out, (size_t)n + 1);

	if (p != NULL)
		buf_commit(
		    out, json_string_decode(t->text + from, n, (char *)p));
}

static bool
equals(const struct json_tree *t, uint32_t from, uint32_t n, const char *s)
{
	char text[EQUALS_MAX] attr_uninit;
	size_t want = strlen(s);

	/* An escape makes one byte of six at most, and never more of them. */
	if (n < want || n / 6 > want)
		return false;
	if (want > 0 && t->text[from] != '\\' && t->text[from] != s[0])
		return false;
	if (memchr(t->text + from, '\\', n) == NULL)
		return n == want && memcmp(t->text + from, s, n) == 0;
	if (n > sizeof(text)) {
		cleanup_buf struct buf b = { 0 };

		decode(t, from, n, &b);
		return want == buf_len(&b) &&
		       memcmp(buf_head(&b), s, want) == 0;
	}
	return json_string_decode(t->text + from, n, text) == want &&
	       memcmp(text, s, want) == 0;
}

uint32_t
json_tree_first(const struct json_tree *t, uint32_t node)
{
	return t->node[node].child;
}

uint32_t
json_tree_get(const struct json_tree *t, uint32_t object, const char *name)
{
	uint32_t i, found = 0;

	if (t->node[object].type != JSON_OBJECT)
		return 0;
	/* Of members with one name the last counts. */
	for (i = t->node[object].child; i != 0; i = t->node[i].next)
		if (equals(t, t->node[i].key, t->node[i].nkey, name))
			found = i;
	return found;
}

uint32_t
json_tree_count(const struct json_tree *t, uint32_t node)
{
	uint32_t i, n = 0;

	for (i = t->node[node].child; i != 0; i = t->node[i].next)
		n++;
	return n;
}

bool
json_tree_is(const struct json_tree *t, uint32_t node, const char *s)
{
	return t->node[node].type == JSON_STR &&
	       equals(t, t->node[node].from, t->node[node].n, s);
}

void
json_tree_str(const struct json_tree *t, uint32_t node, struct buf *out)
{
	decode(t, t->node[node].from, t->node[node].n, out);
}

void
json_tree_key(const struct json_tree *t, uint32_t node, struct buf *out)
{
	decode(t, t->node[node].key, t->node[node].nkey, out);
}

void
json_quote(struct buf *out, const char *p, size_t n)
{
	static const char letters[256] = { ['\n'] = 'n',
		['\t'] = 't',
		['\r'] = 'r',
		['"'] = '"',
		['\\'] = '\\',
		['\b'] = 'b',
		['\f'] = 'f' };
	size_t i, from = 0;

	buf_put_u8(out, '"');
	for (i = 0; i < n; i++) {
		const uint8_t c = (uint8_t)p[i];
		const uint8_t two[] = { '\\', (uint8_t)letters[c] };

		if (c >= 0x20 && letters[c] == 0)
			continue;
		if (i > from)
			buf_put(out, p + from, i - from);
		from = i + 1;
		if (letters[c] != 0)
			buf_put(out, two, sizeof(two));
		else
			buf_printf(out, "\\u%04x", (unsigned int)c);
	}
	if (n > from)
		buf_put(out, p + from, n - from);
	buf_put_u8(out, '"');
}

static void
dump_string(
    const struct json_tree *t, uint32_t from, uint32_t n, struct buf *out)
{
	cleanup_buf struct buf b = { 0 };

	decode(t, from, n, &b);
	json_quote(out, (const char *)buf_head(&b), buf_len(&b));
}

void
json_tree_dump(const struct json_tree *t, uint32_t id, struct buf *out)
{
	const struct json_node *node = &t->node[id];
	bool object = node->type == JSON_OBJECT;
	uint32_t i;

	if (node->type == JSON_STR) {
		dump_string(t, node->from, node->n, out);
		return;
	}
	if (!object && node->type != JSON_ARRAY) {
		buf_put(out, t->text + node->from, node->n);
		return;
	}
	buf_put_u8(out, object ? '{' : '[');
	for (i = node->child; i != 0; i = t->node[i].next) {
		if (i != node->child)
			buf_put(out, ", ", 2);
		if (object) {
			dump_string(t, t->node[i].key, t->node[i].nkey, out);
			buf_put(out, ": ", 2);
		}
		json_tree_dump(t, i, out);
	}
	buf_put_u8(out, object ? '}' : ']');
}

#include "proxy/json_read.h"

#include <string.h>

enum state {
	S_VALUE,      /* a value must begin */
	S_FIRST,      /* of an array: a value or ] */
	S_FIRST_NAME, /* of an object: a name or } */
	S_NAME,       /* behind a comma: a name */
	S_COLON,
	S_NEXT, /* behind a value: comma or the end of what it is in */
	S_STRING,
	S_ESCAPE,
	S_HEX,
	S_NUMBER,
	S_WORD,
};

void
json_read_init(struct json_read *r, json_read_fn *fn, void *arg)
{
	memset(r, 0, sizeof(*r));
	r->fn = fn;
	r->arg = arg;
	r->state = S_VALUE;
}

static void
put(struct json_read *r, uint8_t c)
{
	if (r->n < JSON_TEXT_MAX)
		r->text[r->n++] = (char)c;
	else
		r->cut = true;
}

static void
put_utf8(struct json_read *r, unsigned int c)
{
	if (c < 0x80) {
		put(r, (uint8_t)c);
		return;
	}
	if (c < 0x800) {
		put(r, (uint8_t)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			put(r, (uint8_t)(0xe0 | c >> 12));
		} else {
			put(r, (uint8_t)(0xf0 | c >> 18));
			put(r, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		}
		put(r, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
	}
	put(r, (uint8_t)(0x80 | (c & 0x3f)));
}

/* ---- places ------------------------------------------------------------- */

/* Append to the path; what does not fit has none. */
static void
path_add(struct json_read *r, const char *s, size_t n)
{
	if (r->unnamed || r->path_len + n > JSON_PATH_MAX) {
		r->unnamed = true;
		return;
	}
	memcpy(r->path + r->path_len, s, n);
	r->path_len += n;
	r->path[r->path_len] = '\0';
}

/* Back to the container that a value or a member was in. */
static void
path_back(struct json_read *r)
{
	const struct json_level *l = &r->level[r->depth - 1];

	r->path_len = l->path_len;
	r->path[r->path_len] = '\0';
	r->unnamed = l->unnamed;
	if (!l->object)
		path_add(r, "[]", 2);
}

static bool
push(struct json_read *r, bool object)
{
	if (r->depth == JSON_DEPTH_MAX)
		return false;
	r->level[r->depth++] = (struct json_level){
		.object = object, .unnamed = r->unnamed, .path_len = r->path_len
	};
	path_back(r);
	r->state = object ? S_FIRST_NAME : S_FIRST;
	return true;
}

static bool
pop(struct json_read *r, bool object)
{
	if (r->depth == 0 || r->level[r->depth - 1].object != object)
		return false;
	r->depth--;
	if (r->depth > 0)
		path_back(r);
	r->state = S_NEXT;
	return true;
}

static void
name_ends(struct json_read *r)
{
	path_back(r);
	if (r->cut || r->n == 0 || memchr(r->text, '\0', r->n) != NULL ||
	    memchr(r->text, '.', r->n) != NULL ||
	    memchr(r->text, '[', r->n) != NULL)
		r->unnamed = true;
	path_add(r, ".", 1);
	path_add(r, r->text, r->n);
	r->state = S_COLON;
}

/* ---- values ------------------------------------------------------------- */

static bool
tell(struct json_read *r, enum json_kind kind)
{
	struct json_value v = { .kind = kind,
		.path = r->unnamed ? NULL : r->path,
		.text = r->text,
		.n = r->n,
		.cut = r->cut,
		.from = r->from,
		.to = r->at };

	r->text[r->n] = '\0';
	r->state = S_NEXT;
	return r->fn == NULL || r->fn(&v, r->arg);
}

static void
token_begins(struct json_read *r, enum state s, uint64_t from)
{
	r->state = s;
	r->n = 0;
	r->cut = false;
	r->from = from;
}

/* The grammar of numbers, RFC 8259 section 6. */
static bool
is_number(const char *s, size_t n)
{
	size_t i = 0, digits;

	i += i < n && s[i] == '-';
	if (i < n && s[i] == '0') {
		i++;
	} else {
		for (digits = 0; i < n && s[i] >= '0' && s[i] <= '9'; i++)
			digits++;
		if (digits == 0)
			return false;
	}
	if (i < n && s[i] == '.') {
		i++;
		for (digits = 0; i < n && s[i] >= '0' && s[i] <= '9'; i++)
			digits++;
		if (digits == 0)
			return false;
	}
	if (i < n && (s[i] == 'e' || s[i] == 'E')) {
		i++;
		i += i < n && (s[i] == '+' || s[i] == '-');
		for (digits = 0; i < n && s[i] >= '0' && s[i] <= '9'; i++)
			digits++;
		if (digits == 0)
			return false;
	}
	return i == n;
}

static bool
is_word(const char *s, size_t n)
{
	return (n == 4 && memcmp(s, "true", 4) == 0) ||
	       (n == 5 && memcmp(s, "false", 5) == 0) ||
	       (n == 4 && memcmp(s, "null", 4) == 0);
}

/* A number or a word ends where what cannot belong to it begins. */
static bool
bare_ends(struct json_read *r)
{
	bool number = r->state == S_NUMBER;

	if (r->cut ||
	    !(number ? is_number(r->text, r->n) : is_word(r->text, r->n)))
		return false;
	return tell(r, number ? JSON_NUMBER : JSON_WORD);
}

static bool
value_begins(struct json_read *r, uint8_t c)
{
	switch (c) {
	case '{':
		return push(r, true);
	case '[':
		return push(r, false);
	case '"':
		token_begins(r, S_STRING, r->at + 1);
		r->key = false;
		return true;
	default:
		break;
	}
	if (c == '-' || (c >= '0' && c <= '9'))
		token_begins(r, S_NUMBER, r->at);
	else if (c >= 'a' && c <= 'z')
		token_begins(r, S_WORD, r->at);
	else
		return false;
	put(r, c);
	return true;
}

/* ---- strings ------------------------------------------------------------ */

static bool
string_byte(struct json_read *r, uint8_t c)
{
	if (r->high != 0 && c != '\\')
		return false;
	if (c == '\\') {
		r->state = S_ESCAPE;
		return true;
	}
	if (c == '"') {
		if (!r->key)
			return tell(r, JSON_STRING);
		name_ends(r);
		return true;
	}
	if (c < 0x20)
		return false;
	put(r, c);
	return true;
}

static bool
escape_byte(struct json_read *r, uint8_t c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (c == 'u') {
		r->state = S_HEX;
		r->hex = 0;
		r->hex_left = 4;
		return true;
	}
	at = c == '\0' ? NULL : strchr(from, c);
	if (at == NULL || r->high != 0)
		return false;
	put(r, (uint8_t)to[at - from]);
	r->state = S_STRING;
	return true;
}

static bool
hex_byte(struct json_read *r, uint8_t c)
{
	unsigned int v;

	if (c >= '0' && c <= '9')
		v = c - '0';
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		v = (c | 0x20) - 'a' + 10;
	else
		return false;
	r->hex = r->hex << 4 | v;
	if (--r->hex_left > 0)
		return true;
	r->state = S_STRING;
	if (r->high != 0) {
		if (r->hex < 0xdc00 || r->hex > 0xdfff)
			return false;
		put_utf8(r,
		    0x10000 + ((r->high - 0xd800) << 10) + (r->hex - 0xdc00));
		r->high = 0;
		return true;
	}
	/* Half a pair alone stands for nothing. */
	if (r->hex >= 0xdc00 && r->hex <= 0xdfff)
		return false;
	if (r->hex >= 0xd800 && r->hex <= 0xdbff)
		r->high = r->hex;
	else
		put_utf8(r, r->hex);
	return true;
}

/* ---- between tokens ----------------------------------------------------- */

static bool
is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
name_begins(struct json_read *r, uint8_t c)
{
	if (c != '"')
		return false;
	token_begins(r, S_STRING, r->at + 1);
	r->key = true;
	return true;
}

static bool
next_byte(struct json_read *r, uint8_t c)
{
	if (c == '}' || c == ']')
		return pop(r, c == '}');
	if (c != ',' || r->depth == 0)
		return false;
	path_back(r);
	r->state = r->level[r->depth - 1].object ? S_NAME : S_VALUE;
	return true;
}

static bool
plain_byte(struct json_read *r, uint8_t c)
{
	switch (r->state) {
	case S_FIRST:
		return c == ']' ? pop(r, false) : value_begins(r, c);
	case S_VALUE:
		return value_begins(r, c);
	case S_FIRST_NAME:
		return c == '}' ? pop(r, true) : name_begins(r, c);
	case S_NAME:
		return name_begins(r, c);
	case S_COLON:
		r->state = S_VALUE;
		return c == ':';
	case S_NEXT:
		return next_byte(r, c);
	default:
		return false;
	}
}

static bool
step(struct json_read *r, uint8_t c)
{
	switch (r->state) {
	case S_STRING:
		return string_byte(r, c);
	case S_ESCAPE:
		return escape_byte(r, c);
	case S_HEX:
		return hex_byte(r, c);
	case S_NUMBER:
	case S_WORD:
		if (!is_space(c) && c != ',' && c != ']' && c != '}') {
			put(r, c);
			return true;
		}
		if (!bare_ends(r))
			return false;
		break;
	default:
		break;
	}
	return is_space(c) || plain_byte(r, c);
}

int
json_read(struct json_read *r, const void *p, size_t n)
{
	const uint8_t *s = p;

	for (size_t i = 0; i < n && !r->failed; i++) {
		r->failed = !step(r, s[i]);
		r->at++;
	}
	return r->failed ? -1 : 0;
}

int
json_read_end(struct json_read *r)
{
	if (!r->failed && (r->state == S_NUMBER || r->state == S_WORD))
		r->failed = !bare_ends(r);
	if (r->state != S_NEXT || r->depth != 0)
		r->failed = true;
	return r->failed ? -1 : 0;
}

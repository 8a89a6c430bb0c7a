#include "inferd/json_mend.h"

#include <string.h>

#include "base/str.h"
#include "inferd/unicode.h"

void
json_mend_init(struct json_mend *m, struct buf *out)
{
	memset(m, 0, sizeof(*m));
	m->out = out;
	m->state = MEND_VALUE;
}

static void
say(struct json_mend *m, const char *s)
{
	buf_put(m->out, s, strlen(s));
}

static bool
in_object(const struct json_mend *m)
{
	return m->depth > 0 && m->stack[m->depth - 1] == '{';
}

static void
value_done(struct json_mend *m)
{
	m->comma = true;
	m->state = m->depth == 0 ? MEND_DONE : MEND_NEXT;
}

/* Before a member of a list. */
static void
separate(struct json_mend *m)
{
	if (m->comma)
		say(m, ",");
	m->comma = false;
}

static void
close_top(struct json_mend *m)
{
	say(m, in_object(m) ? "}" : "]");
	m->depth--;
	value_done(m);
}

/* A closing bracket: closes what was opened within its own, or nothing. */
static void
close_to(struct json_mend *m, char open)
{
	unsigned int i;

	for (i = m->depth; i > 0 && m->stack[i - 1] != open; i--)
		;
	if (i == 0)
		return;
	while (m->depth >= i)
		close_top(m);
}

static void
open_list(struct json_mend *m, char c)
{
	if (m->depth == JSON_MEND_DEPTH) {
		say(m, "null");
		value_done(m);
		return;
	}
	m->stack[m->depth++] = c;
	say(m, c == '{' ? "{" : "[");
	m->comma = false;
	m->state = MEND_NEXT;
}

static void
flush_high(struct json_mend *m)
{
	if (m->high != 0)
		say(m, "\\ufffd");
	m->high = 0;
}

/* A character of a string. */
static void
put_char(struct json_mend *m, uint32_t cp)
{
	char utf8[4];

	flush_high(m);
	if (cp == '"')
		say(m, "\\\"");
	else if (cp == '\\')
		say(m, "\\\\");
	else if (cp == '\n')
		say(m, "\\n");
	else if (cp == '\t')
		say(m, "\\t");
	else if (cp == '\r')
		say(m, "\\r");
	else if (cp < 0x20)
		buf_printf(m->out, "\\u%04x", cp);
	else
		buf_put(m->out, utf8, unicode_encode(cp, utf8));
}

static void
string_begin(struct json_mend *m, bool key, char quote)
{
	say(m, "\"");
	m->key = key;
	m->quote = quote;
	m->state = MEND_STRING;
}

static void
string_end(struct json_mend *m)
{
	flush_high(m);
	say(m, "\"");
	if (m->key)
		m->state = MEND_COLON;
	else
		value_done(m);
}

static bool
is_number(const char *s)
{
	const char *p = s + (*s == '-');

	if (*p == '0')
		p++;
	else if (*p >= '1' && *p <= '9')
		p += strspn(p, "0123456789");
	else
		return false;
	if (*p == '.') {
		if (strspn(p + 1, "0123456789") == 0)
			return false;
		p += 1 + strspn(p + 1, "0123456789");
	}
	if (*p == 'e' || *p == 'E') {
		p += p[1] == '+' || p[1] == '-' ? 2 : 1;
		if (strspn(p, "0123456789") == 0)
			return false;
		p += strspn(p, "0123456789");
	}
	return *p == '\0';
}

static void
word_end(struct json_mend *m)
{
	const char *w = m->word;

	m->word[m->nword] = '\0';
	m->nword = 0;
	if (m->key) {
		buf_printf(m->out, "\"%s\"", w);
		m->state = MEND_COLON;
		return;
	}
	if (str_eq(w, "true") || str_eq(w, "True"))
		say(m, "true");
	else if (str_eq(w, "false") || str_eq(w, "False"))
		say(m, "false");
	else if (str_eq(w, "null") || str_eq(w, "None") || str_eq(w, "NaN") ||
		 str_eq(w, "undefined"))
		say(m, "null");
	else if (is_number(w))
		say(m, w);
	else
		buf_printf(m->out, "\"%s\"", w);
	value_done(m);
}

static bool
is_word(uint32_t cp)
{
	return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') ||
	       (cp >= '0' && cp <= '9') || cp == '-' || cp == '+' ||
	       cp == '.' || cp == '_' || cp == '$';
}

static bool
is_space(uint32_t cp)
{
	return cp == ' ' || cp == '\n' || cp == '\t' || cp == '\r';
}

static void
word_begin(struct json_mend *m, uint32_t cp, bool key)
{
	m->key = key;
	m->word[0] = (char)cp;
	m->nword = 1;
	m->state = MEND_WORD;
}

/* Where a value must come.  False: cp is to be looked at again. */
static bool
at_value(struct json_mend *m, uint32_t cp)
{
	if (cp == '{' || cp == '[') {
		open_list(m, (char)cp);
	} else if (cp == '"' || cp == '\'') {
		string_begin(m, false, (char)cp);
	} else if (is_word(cp)) {
		word_begin(m, cp, false);
	} else if (m->depth > 0 && (cp == ',' || cp == '}' || cp == ']')) {
		say(m, "null");
		value_done(m);
		return false;
	}
	return true;
}

static bool
at_next(struct json_mend *m, uint32_t cp)
{
	if (cp == '}' || cp == ']') {
		close_to(m, cp == '}' ? '{' : '[');
		return true;
	}
	if (cp != '{' && cp != '[' && cp != '"' && cp != '\'' && !is_word(cp))
		return true;
	separate(m);
	if (!in_object(m)) {
		m->state = MEND_VALUE;
		return false;
	}
	if (cp == '"' || cp == '\'') {
		string_begin(m, true, (char)cp);
	} else if (is_word(cp)) {
		word_begin(m, cp, true);
	} else {
		say(m, "\"\"");
		m->state = MEND_COLON;
		return false;
	}
	return true;
}

static bool
at_colon(struct json_mend *m, uint32_t cp)
{
	if (is_space(cp))
		return true;
	say(m, ":");
	m->state = MEND_VALUE;
	return cp == ':';
}

static bool
at_quote(struct json_mend *m, uint32_t cp)
{
	unsigned int i;

	if (is_space(cp)) {
		/* More of it only matters if the string goes on. */
		if (m->nspace < JSON_MEND_SPACE)
			m->space[m->nspace++] = (char)cp;
		return true;
	}
	if (cp == ',' || cp == '}' || cp == ']' || (m->key && cp == ':')) {
		m->nspace = 0;
		string_end(m);
		return false;
	}
	put_char(m, (uint8_t)m->quote);
	for (i = 0; i < m->nspace; i++)
		put_char(m, (uint8_t)m->space[i]);
	m->nspace = 0;
	m->state = MEND_STRING;
	return false;
}

static bool
at_escape(struct json_mend *m, uint32_t cp)
{
	m->state = MEND_STRING;
	if (cp == 'u') {
		m->nword = 0;
		m->state = MEND_HEX;
	} else if (cp == '\'') {
		put_char(m, cp);
	} else if (cp != 0 && cp < 0x80 && strchr("\"\\/bfnrt", (int)cp)) {
		flush_high(m);
		buf_printf(m->out, "\\%c", (char)cp);
	} else {
		put_char(m, '\\');
		return false;
	}
	return true;
}

static void
hex_done(struct json_mend *m, unsigned int v)
{
	m->state = MEND_STRING;
	if (v >= 0xdc00 && v < 0xe000) {
		if (m->high != 0)
			buf_printf(m->out, "\\u%04x\\u%04x", m->high, v);
		else
			say(m, "\\ufffd");
		m->high = 0;
		return;
	}
	flush_high(m);
	if (v >= 0xd800 && v < 0xdc00)
		m->high = v;
	else
		buf_printf(m->out, "\\u%04x", v);
}

/* An escape that broke off: its letters. */
static void
hex_text(struct json_mend *m)
{
	unsigned int i;

	put_char(m, '\\');
	put_char(m, 'u');
	for (i = 0; i < m->nword; i++)
		put_char(m, (uint8_t)m->word[i]);
	m->nword = 0;
	m->state = MEND_STRING;
}

static bool
at_hex(struct json_mend *m, uint32_t cp)
{
	static const char digits[] = "0123456789abcdef";
	unsigned int v = 0, i;

	if (cp == 0 || cp >= 0x80 ||
	    strchr("0123456789abcdefABCDEF", (int)cp) == NULL) {
		hex_text(m);
		return false;
	}
	m->word[m->nword++] = (char)cp;
	if (m->nword < 4)
		return true;
	for (i = 0; i < 4; i++) {
		char c = m->word[i];

		if (c >= 'A' && c <= 'F')
			c = (char)(c + 32);
		v = v << 4 | (unsigned int)(strchr(digits, c) - digits);
	}
	m->nword = 0;
	hex_done(m, v);
	return true;
}

/* False: cp is to be looked at again in the new state. */
static bool
step(struct json_mend *m, uint32_t cp)
{
	switch (m->state) {
	case MEND_VALUE:
		return at_value(m, cp);
	case MEND_NEXT:
		return at_next(m, cp);
	case MEND_COLON:
		return at_colon(m, cp);
	case MEND_STRING:
		if (cp == (uint8_t)m->quote)
			m->state = MEND_QUOTE;
		else if (cp == '\\')
			m->state = MEND_ESCAPE;
		else
			put_char(m, cp);
		return true;
	case MEND_QUOTE:
		return at_quote(m, cp);
	case MEND_ESCAPE:
		return at_escape(m, cp);
	case MEND_HEX:
		return at_hex(m, cp);
	case MEND_WORD:
		if (is_word(cp) && m->nword < JSON_MEND_WORD) {
			m->word[m->nword++] = (char)cp;
			return true;
		}
		word_end(m);
		return false;
	case MEND_DONE:
		return true;
	}
	return true;
}

void
json_mend_push(struct json_mend *m, const char *p, size_t n)
{
	cleanup_buf struct buf b = { 0 };
	size_t i, len, tail;
	uint32_t cp;

	if (m->nheld > 0) {
		buf_put(&b, m->held, m->nheld);
		buf_put(&b, p, n);
		p = (const char *)buf_head(&b);
		n = buf_len(&b);
	}
	tail = n == 0 ? 0 : unicode_tail(p, n);
	for (i = 0; i < n - tail; i += len) {
		cp = unicode_decode(p + i, n - tail - i, &len);
		while (!step(m, cp))
			;
	}
	if (tail > 0)
		memcpy(m->held, p + n - tail, tail);
	m->nheld = tail;
}

void
json_mend_end(struct json_mend *m)
{
	if (m->nheld > 0 && json_mend_in_string(m))
		while (!step(m, UNICODE_BAD))
			;
	m->nheld = 0;
	if (m->state == MEND_HEX)
		hex_text(m);
	if (json_mend_in_string(m) || m->state == MEND_QUOTE)
		string_end(m);
	if (m->state == MEND_WORD)
		word_end(m);
	if (m->state == MEND_COLON)
		say(m, ":");
	if (m->state == MEND_COLON || m->state == MEND_VALUE) {
		say(m, "null");
		value_done(m);
	}
	while (m->depth > 0)
		close_top(m);
	m->state = MEND_DONE;
}

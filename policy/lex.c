/*
 * Bytes to tokens.  Strict: what a person cannot see, or what two editors
 * would show differently, is refused.  A brace followed by white space opens
 * a block; any other opens alternatives inside a word, so one byte of
 * look-ahead is enough.
 */
#include "policy/internal.h"

#include <string.h>

#include "base/str.h"

/* Length of the well-formed UTF-8 sequence at s, 0 if there is none. */
static size_t
utf8_at(const unsigned char *s, size_t n, uint32_t *cp)
{
	size_t len;

	if (s[0] < 0x80) {
		*cp = s[0];
		return 1;
	}
	len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (len > n || !str_is_utf8((const char *)s, len))
		return 0;
	*cp = s[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++)
		*cp = (*cp << 6) | (s[i] & 0x3fu);
	return len;
}

static const char *
refused(uint32_t cp)
{
	if (cp == 0)
		return "a NUL byte";
	if (cp == '\r')
		return "a carriage return: lines end with LF alone";
	if ((cp < 0x20 && cp != '\t' && cp != '\n') ||
	    (cp >= 0x7f && cp < 0xa0))
		return "a control character";
	if (cp == 0xfeff)
		return "a byte order mark";
	if ((cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) ||
	    cp == 0x061c || cp == 0x200e || cp == 0x200f)
		return "a character that changes the direction of text";
	if ((cp >= 0x200b && cp <= 0x200d) || cp == 0x00ad ||
	    (cp >= 0x2060 && cp <= 0x2064) || cp == 0x2028 || cp == 0x2029 ||
	    (cp >= 0xe0000 && cp <= 0xe007f))
		return "an invisible character";
	return NULL;
}

/*
 * Look at every byte once, before anything is read: mistakes are reported and
 * blanked, so that the rest of the file can be checked too.
 */
void
lex_check(struct load *ld, struct source *s)
{
	struct pos pos = { s, 0, 1, 1 };
	size_t line_at = 0, len;
	const char *what;
	uint32_t cp = 0;

	while (pos.off < s->len) {
		pos.col = (unsigned int)(pos.off - line_at) + 1;
		len = utf8_at((const unsigned char *)s->text + pos.off,
		    s->len - pos.off, &cp);
		what = len == 0 ? "bytes that are not UTF-8" : refused(cp);
		if (what != NULL) {
			diag_at(ld, &pos, "the file holds %s", what);
			if (len == 0)
				len = 1;
			memset(s->text + pos.off, ' ', len);
		} else if (cp == '\n') {
			pos.line++;
			line_at = pos.off + 1;
		}
		pos.off += len;
	}
}

void
lex_start(struct lex *lx, struct load *ld, const struct source *s)
{
	memset(lx, 0, sizeof(*lx));
	lx->ld = ld;
	lx->src = s;
	lx->line = 1;
	lex_next(lx);
}

static struct pos
pos_here(const struct lex *lx)
{
	return (struct pos){ lx->src, lx->off, lx->line,
		(unsigned int)(lx->off - lx->line_at) + 1 };
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\0';
}

/* The byte at offset off; NUL at the end, which no source contains. */
static char
at(const struct lex *lx, size_t off)
{
	return off < lx->src->len ? lx->src->text[off] : '\0';
}

static bool
skip_space(struct lex *lx)
{
	bool fresh = lx->off == 0;
	char c;

	while ((c = at(lx, lx->off)) != '\0') {
		if (c == '#') {
			while (
			    at(lx, lx->off) != '\0' && at(lx, lx->off) != '\n')
				lx->off++;
		} else if (c == '\n') {
			lx->off++;
			lx->line++;
			lx->line_at = lx->off;
			fresh = true;
		} else if (is_space(c)) {
			lx->off++;
		} else {
			break;
		}
	}
	return fresh;
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One escape behind a backslash; returns the byte, or -1 with an error. */
static int
lex_escape(struct lex *lx)
{
	struct pos pos = pos_here(lx);
	char c = at(lx, lx->off + 1);
	int hi, lo;

	if (c == '"' || c == '\\') {
		lx->off += 2;
		return c;
	}
	if (c == 'x') {
		hi = hex(at(lx, lx->off + 2));
		lo = hi < 0 ? -1 : hex(at(lx, lx->off + 3));
		if (lo >= 0) {
			lx->off += 4;
			lx->tok.hex = true;
			return hi * 16 + lo;
		}
	}
	diag_at(lx->ld, &pos,
	    "unknown escape: only \\\", \\\\ and, in tests, \\xNN");
	lx->off++;
	return -1;
}

static void
lex_string(struct lex *lx)
{
	struct tok *t = &lx->tok;
	char out[POLICY_TOKEN_MAX];
	size_t n = 0;
	bool cut = false;
	char c;
	int v;

	t->kind = TOK_STRING;
	lx->off++;
	for (;;) {
		c = at(lx, lx->off);
		if (c == '"') {
			lx->off++;
			break;
		}
		if (c == '\n' || c == '\0') {
			diag_at(lx->ld, &t->pos,
			    "string is not closed on its line");
			lx->ld->torn = true;
			break;
		}
		v = (unsigned char)c;
		if (c == '\\')
			v = lex_escape(lx);
		else
			lx->off++;
		if (v >= 0 && n < sizeof(out))
			out[n++] = (char)v;
		else if (v >= 0)
			cut = true;
	}
	if (cut)
		diag_at(lx->ld, &t->pos, "string longer than %u bytes",
		    POLICY_TOKEN_MAX);
	t->s = pool_strndup(&lx->ld->p->pool, out, n);
	t->len = n;
}

static void
lex_word(struct lex *lx)
{
	struct tok *t = &lx->tok;
	struct pos brace = t->pos, pos;
	unsigned int depth = 0;
	size_t from = lx->off;
	char c;

	t->kind = TOK_WORD;
	for (;; lx->off++) {
		c = at(lx, lx->off);
		if (is_space(c) || c == ';' || c == '"')
			break;
		if (depth == 0 && (c == ',' || c == '}'))
			break;
		if (c == '{') {
			if (depth == 0 && is_space(at(lx, lx->off + 1)))
				break;
			if (depth == 0)
				brace = pos_here(lx);
			depth++;
		} else if (c == '}') {
			depth--;
		} else if (c == '\\') {
			pos = pos_here(lx);
			diag_at(lx->ld, &pos,
			    "a backslash means nothing here; "
			    "quote the word instead");
		}
	}
	if (depth > 0)
		diag_at(lx->ld, &brace,
		    "alternatives are not closed inside the word; a brace "
		    "that opens a block is followed by white space");
	if (c == '"') {
		pos = pos_here(lx);
		diag_at(lx->ld, &pos, "expected white space before the string");
	}
	t->len = lx->off - from;
	if (t->len > POLICY_TOKEN_MAX) {
		diag_at(lx->ld, &t->pos, "word longer than %u bytes",
		    POLICY_TOKEN_MAX);
		t->len = POLICY_TOKEN_MAX;
	}
	t->s = pool_strndup(&lx->ld->p->pool, lx->src->text + from, t->len);
}

void
lex_next(struct lex *lx)
{
	struct tok *t = &lx->tok;
	char c, next;

	memset(t, 0, sizeof(*t));
	t->s = "";
	t->fresh = skip_space(lx);
	t->pos = pos_here(lx);
	c = at(lx, lx->off);
	next = at(lx, lx->off + 1);
	if (c == '\0')
		t->kind = TOK_EOF;
	else if (c == ';')
		t->kind = TOK_SEMI;
	else if (c == ',')
		t->kind = TOK_COMMA;
	else if (c == '{' && is_space(next))
		t->kind = TOK_OPEN;
	else if (c == '}')
		t->kind = TOK_CLOSE;
	else if (c == '[' && (next == '"' || next == ']' || is_space(next)))
		t->kind = TOK_LIST;
	else if (c == ']')
		t->kind = TOK_LIST_END;
	else if (c == '"')
		lex_string(lx);
	else
		lex_word(lx);
	if (t->kind != TOK_EOF && t->kind != TOK_WORD && t->kind != TOK_STRING)
		lx->off++;
	t->end = lx->off;
}

#include "policy/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define SUGGEST_LEN_MAX 32u
#define SHOWN_BEFORE_MAX 120u /* bytes of a long line left of the caret */
#define FOUND_MAX 60u         /* bytes of a wrong word that are quoted */

/* The line around pos, so that no byte of it can move a terminal. */
static void
show_line(struct policy_diag *d, const struct pos *pos)
{
	const struct source *s = pos->src;
	size_t from = pos->off - (pos->col - 1), to = pos->off, i;
	cleanup_free char *left = NULL;
	cleanup_free char *right = NULL;
	cleanup_free char *copy = NULL;

	if (pos->off - from > SHOWN_BEFORE_MAX)
		from = pos->off - SHOWN_BEFORE_MAX;
	while (to < s->len && s->raw[to] != '\n' &&
	       to - pos->off < sizeof(d->source))
		to++;
	copy = xmemdup(s->raw + from, to - from + 1);
	for (i = 0; i < to - from; i++)
		if (copy[i] == '\t')
			copy[i] = ' ';
	left = str_escape(copy, pos->off - from);
	right = str_escape(copy + (pos->off - from), to - pos->off);
	d->caret = (unsigned int)strlcpy(d->source, left, sizeof(d->source));
	if (d->caret >= sizeof(d->source))
		d->caret = sizeof(d->source) - 1;
	(void)strlcat(d->source, right, sizeof(d->source));
}

static void __attribute__((format(printf, 3, 0)))
diag_v(struct load *ld, const struct pos *pos, const char *fmt, va_list ap)
{
	struct policy_diags *ds = ld->ds;
	struct policy_diag *d;

	if (ds->n >= POLICY_ERRORS_MAX)
		return;
	ds->d = xreallocarray(ds->d, ds->n + 1, sizeof(*ds->d));
	d = &ds->d[ds->n++];
	memset(d, 0, sizeof(*d));
	(void)vsnprintf(d->text, sizeof(d->text), fmt, ap);
	if (pos == NULL || pos->src == NULL) {
		(void)strlcpy(d->file, "policy", sizeof(d->file));
		d->line = d->col = 1;
		return;
	}
	(void)strlcpy(d->file, pos->src->name, sizeof(d->file));
	d->line = pos->line;
	d->col = pos->col;
	show_line(d, pos);
}

void
diag_at(struct load *ld, const struct pos *pos, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_v(ld, pos, fmt, ap);
	va_end(ap);
}

/* Levenshtein distance of two short words. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[SUGGEST_LEN_MAX + 1], la = strlen(a), lb = strlen(b);
	size_t i, j, diag, up;

	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 1; i <= la; i++) {
		diag = row[0];
		row[0] = i;
		for (j = 1; j <= lb; j++) {
			up = row[j];
			if (a[i - 1] != b[j - 1])
				diag++;
			if (row[j - 1] + 1 < diag)
				diag = row[j - 1] + 1;
			if (up + 1 < diag)
				diag = up + 1;
			row[j] = diag;
			diag = up;
		}
	}
	return row[lb];
}

const char *
suggest(const char *word, const char *const *cands, size_t n)
{
	const char *best = NULL;
	size_t i, d, least = 3, len = strlen(word);

	if (len < 2 || len > SUGGEST_LEN_MAX)
		return NULL;
	for (i = 0; i < n; i++) {
		if (strlen(cands[i]) > SUGGEST_LEN_MAX)
			continue;
		d = distance(word, cands[i]);
		/* Two slips in a word of three say nothing. */
		if (d < least && d * 2 <= strlen(cands[i])) {
			least = d;
			best = cands[i];
		}
	}
	return best;
}

static void
describe(const struct tok *t, char *out, size_t size)
{
	cleanup_free char *e = NULL;

	switch (t->kind) {
	case TOK_EOF:
		(void)strlcpy(out, "the end of the file", size);
		return;
	case TOK_OPEN:
		(void)strlcpy(out, "\"{\"", size);
		return;
	case TOK_CLOSE:
		(void)strlcpy(out, "\"}\"", size);
		return;
	case TOK_SEMI:
		(void)strlcpy(out, "\";\"", size);
		return;
	case TOK_COMMA:
		(void)strlcpy(out, "\",\"", size);
		return;
	case TOK_LIST:
		(void)strlcpy(out, "\"[\"", size);
		return;
	case TOK_LIST_END:
		(void)strlcpy(out, "\"]\"", size);
		return;
	case TOK_WORD:
	case TOK_STRING:
		break;
	}
	e = str_escape(t->s, t->len < FOUND_MAX ? t->len : FOUND_MAX);
	(void)snprintf(out, size, "%s\"%s%s\"",
	    t->kind == TOK_STRING ? "the string " : "", e,
	    t->len > FOUND_MAX ? "..." : "");
}

void
diag_expected(struct load *ld, const struct tok *t, const char *what,
    const char *const *cands, size_t n)
{
	const char *s = NULL;
	char found[160];

	/* It has been said already what is wrong here. */
	if (ld->torn) {
		ld->torn = false;
		return;
	}
	describe(t, found, sizeof(found));
	if (t->kind == TOK_WORD && cands != NULL)
		s = suggest(t->s, cands, n);
	if (s != NULL)
		diag_at(ld, &t->pos,
		    "expected %s, found %s (did you mean \"%s\"?)", what, found,
		    s);
	else
		diag_at(ld, &t->pos, "expected %s, found %s", what, found);
}

void
policy_diags_free(struct policy_diags *ds)
{
	free(ds->d);
	ds->d = NULL;
	ds->n = 0;
}

void
policy_diags_print(const struct policy_diags *ds, struct buf *b)
{
	const struct policy_diag *d;
	size_t i;
	unsigned int j;

	for (i = 0; i < ds->n; i++) {
		d = &ds->d[i];
		buf_printf(b, "%s:%u:%u: %s\n  %s\n  ", d->file, d->line,
		    d->col, d->text, d->source);
		/* One column per character, not per byte of UTF-8. */
		for (j = 0; j < d->caret; j++)
			if (((unsigned char)d->source[j] & 0xc0) != 0x80)
				buf_put_u8(b, ' ');
		buf_printf(b, "^\n");
	}
}

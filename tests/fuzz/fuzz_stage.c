/*
 * What is read of a staged workspace.  The first byte says what the rest is:
 * the journal and the record of an apply, which come back as the same bytes;
 * frames for brig diff, of which nothing reaches a terminal that it acts on;
 * two texts, whose difference has as many lines as it counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "daemon/cli_stage.h"
#include "daemon/stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
journal(const uint8_t *p, size_t n)
{
	cleanup_buf struct buf b = { 0 };
	struct stage_journal j;

	if (journal_get(p, n, &j) < 0)
		return;
	journal_put(&b, &j);
	if (buf_len(&b) != n || memcmp(buf_head(&b), p, n) != 0)
		abort();
	for (size_t i = 0; i < j.nops; i++)
		if (!stage_path_ok(j.ops[i].path))
			abort();
	journal_free(&j);
}

static void
record(const uint8_t *p, size_t n)
{
	cleanup_buf struct buf b = { 0 };
	struct stage_record r;

	if (stage_record_get(p, n, &r) < 0)
		return;
	stage_record_put(&b, &r);
	if (buf_len(&b) != n || memcmp(buf_head(&b), p, n) != 0)
		abort();
}

static void
frames(const uint8_t *p, size_t n, enum stage_show show)
{
	struct stage_view v = { .show = show, .safe = true };
	char *text = NULL;
	size_t size = 0;

	if (show == SHOW_JSON)
		v.list = json_array();
	v.to = open_memstream(&text, &size);
	if (v.to == NULL)
		abort();
	/* In two parts, as a pipe may give it. */
	if (stage_view_put(&v, p, n / 2) == 0 &&
	    stage_view_put(&v, p + n / 2, n - n / 2) == 0)
		(void)stage_view_end(&v);
	if (fclose(v.to) != 0)
		abort();
	for (size_t i = 0; i < size; i++) {
		const unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			abort();
	}
	free(text);
	json_decref(v.list);
	buf_free(&v.in);
}

static void
texts(const uint8_t *p, size_t n)
{
	const uint8_t *z = memchr(p, 0, n);
	size_t na = z == NULL ? n : (size_t)(z - p),
	       nb = z == NULL ? 0 : n - na;
	const uint8_t *b = z == NULL ? p : z + 1;
	cleanup_buf struct buf out = { 0 };
	uint32_t added, deleted, plus = 0, minus = 0;
	bool start = true;

	nb -= nb > 0;
	lines_diff(p, na, b, nb, &out, &added, &deleted);
	for (size_t i = 0; i < buf_len(&out); i++) {
		plus += start && buf_head(&out)[i] == '+';
		minus += start && buf_head(&out)[i] == '-';
		start = buf_head(&out)[i] == '\n';
	}
	if (plus != added || minus != deleted)
		abort();
	if (lines_similar(p, na, b, nb) > 100)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n == 0)
		return 0;
	switch (p[0]) {
	case 'j':
		journal(p + 1, n - 1);
		break;
	case 'r':
		record(p + 1, n - 1);
		break;
	case 'p':
	case 's':
	case 'n':
	case 'J':
		frames(p + 1, n - 1,
		    p[0] == 'p'   ? SHOW_PATCH
		    : p[0] == 's' ? SHOW_STAT
		    : p[0] == 'n' ? SHOW_NAMES
				  : SHOW_JSON);
		break;
	case 't':
		texts(p + 1, n - 1);
		break;
	default:
		break;
	}
	return 0;
}

#include "daemon/timing.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

#define US_PER_S 1000000u
#define SECONDS_MAX (1000u * 365 * 86400)

static void
put_time(struct buf *b, char kind, uint64_t us)
{
	buf_printf(b, "%c %" PRIu64 ".%06" PRIu64 " ", kind, us / US_PER_S,
	    us % US_PER_S);
}

void
timing_put(struct buf *b, const struct timing *t)
{
	switch (t->kind) {
	case TIMING_OUTPUT:
		put_time(b, 'O', t->us);
		buf_printf(b, "%" PRIu64 "\n", t->bytes);
		return;
	case TIMING_SIZE:
		put_time(b, 'S', t->us);
		buf_printf(b, "SIGWINCH ROWS=%u COLS=%u\n", t->rows, t->cols);
		return;
	case TIMING_OTHER:
		break;
	}
}

void
timing_put_header(struct buf *b, int64_t start, uint16_t rows, uint16_t cols)
{
	time_t when = (time_t)start;
	struct tm tm;
	char text[32];

	if (gmtime_r(&when, &tm) != NULL &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S+00:00", &tm) > 0) {
		put_time(b, 'H', 0);
		buf_printf(b, "START_TIME %s\n", text);
	}
	if (rows == 0 || cols == 0)
		return;
	put_time(b, 'H', 0);
	buf_printf(b, "COLUMNS %u\n", cols);
	put_time(b, 'H', 0);
	buf_printf(b, "LINES %u\n", rows);
}

/* Digits up to a byte that is none; false if there are none or too many. */
static bool
number(const char **p, const char *end, uint64_t max, uint64_t *out)
{
	const char *s = *p;
	uint64_t n = 0;

	while (s < end && *s >= '0' && *s <= '9') {
		n = n * 10 + (uint64_t)(*s++ - '0');
		if (n > max)
			return false;
	}
	*out = n;
	if (s == *p)
		return false;
	*p = s;
	return true;
}

static bool
literal(const char **p, const char *end, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(end - *p) < n || memcmp(*p, text, n) != 0)
		return false;
	*p += n;
	return true;
}

/* "1.250000" */
static bool
seconds(const char **p, const char *end, uint64_t *us)
{
	uint64_t whole, unit = US_PER_S / 10;

	if (!number(p, end, SECONDS_MAX, &whole) || !literal(p, end, "."))
		return false;
	*us = whole * US_PER_S;
	if (*p == end || **p < '0' || **p > '9')
		return false;
	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++, unit /= 10)
		*us += (uint64_t)(**p - '0') * unit;
	return true;
}

int
timing_parse(const char *line, size_t n, struct timing *t)
{
	const char *p = line, *end = line + n;
	uint64_t rows, cols;
	char kind;

	*t = (struct timing){ 0 };
	if (n > TIMING_LINE_MAX || n < 2 || line[1] != ' ')
		return -1;
	kind = line[0];
	p += 2;
	if (kind < 'A' || kind > 'Z' || !seconds(&p, end, &t->us) ||
	    !literal(&p, end, " "))
		return -1;
	if (kind == 'O') {
		t->kind = TIMING_OUTPUT;
		return number(&p, end, TIMING_BYTES_MAX, &t->bytes) && p == end
			   ? 0
			   : -1;
	}
	if (kind == 'S' && literal(&p, end, "SIGWINCH ROWS=")) {
		t->kind = TIMING_SIZE;
		if (!number(&p, end, UINT16_MAX, &rows) ||
		    !literal(&p, end, " COLS=") ||
		    !number(&p, end, UINT16_MAX, &cols) || p != end)
			return -1;
		t->rows = (uint16_t)rows;
		t->cols = (uint16_t)cols;
		return 0;
	}
	/* Header lines hold the first size. */
	if (kind == 'H' && literal(&p, end, "COLUMNS ") &&
	    number(&p, end, UINT16_MAX, &cols) && p == end) {
		t->kind = TIMING_SIZE;
		t->cols = (uint16_t)cols;
	} else if (kind == 'H' && literal(&p, end, "LINES ") &&
		   number(&p, end, UINT16_MAX, &rows) && p == end) {
		t->kind = TIMING_SIZE;
		t->rows = (uint16_t)rows;
	}
	return 0;
}

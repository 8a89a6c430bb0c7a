/*
 * Line differences: Myers' greedy algorithm (An O(ND) Difference Algorithm,
 * 1986) between the common head and tail, bounded; beyond the bound what lies
 * between is shown as replaced as a whole.  Pure.
 */
#include "daemon/stage.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define EDITS_MAX 1500 /* 9 MB of trace */
#define CONTEXT 3u
#define BINARY_LOOK 8000u /* as git looks */

struct line {
	const uint8_t *p;
	size_t n;
	uint32_t hash;
};

struct side {
	struct line *v;
	size_t n;
	bool *changed;
};

bool
lines_binary(const void *p, size_t n)
{
	return memchr(p, 0, n < BINARY_LOOK ? n : BINARY_LOOK) != NULL;
}

static void
split(struct side *s, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t cap = 64;

	s->v = xcalloc(cap, sizeof(*s->v));
	s->n = 0;
	while (n > 0) {
		const uint8_t *nl = memchr(p, '\n', n);
		size_t len = nl == NULL ? n : (size_t)(nl - p) + 1;
		uint32_t h = 2166136261u;

		if (s->n == cap) {
			cap *= 2;
			s->v = xreallocarray(s->v, cap, sizeof(*s->v));
		}
		for (size_t i = 0; i < len; i++)
			h = (h ^ p[i]) * 16777619u;
		s->v[s->n++] = (struct line){ p, len, h };
		p += len;
		n -= len;
	}
	s->changed = xcalloc(s->n + 1, sizeof(*s->changed));
}

static void
side_free(struct side *s)
{
	free(s->v);
	free(s->changed);
}

static bool
equal(const struct line *a, const struct line *b)
{
	return a->hash == b->hash && a->n == b->n &&
	       memcmp(a->p, b->p, a->n) == 0;
}

/* Row d of the trace holds the furthest x of diagonals -d..d. */
static int32_t *
row_new(int d)
{
	return xcalloc((size_t)d * 2 + 1, sizeof(int32_t));
}

static int
from_above(const int32_t *prev, int d, int k)
{
	if (k == -d)
		return 1;
	if (k == d)
		return 0;
	return prev[k - 1 + d - 1] < prev[k + 1 + d - 1];
}

static int32_t
start_of(const int32_t *prev, int d, int k)
{
	if (d == 0)
		return 0;
	return from_above(prev, d, k) ? prev[k + 1 + d - 1]
				      : prev[k - 1 + d - 1] + 1;
}

static void
trace_back(int32_t **rows, int d, struct side *a, struct side *b, size_t off,
    int32_t n, int32_t m)
{
	int32_t x = n, y = m;

	for (; d > 0; d--) {
		int k = x - y;
		int above = from_above(rows[d - 1], d, k);
		int pk = above ? k + 1 : k - 1;
		int32_t px = rows[d - 1][pk + d - 1], py = px - pk;

		if (above)
			b->changed[off + (size_t)py] = true;
		else
			a->changed[off + (size_t)px] = true;
		x = px;
		y = py;
	}
}

/* Marks what differs between a[off..off+n) and b[off..off+m). */
static void
middle(struct side *a, struct side *b, size_t off, size_t an, size_t bn)
{
	int32_t *rows[EDITS_MAX + 1];
	const int32_t n = (int32_t)an, m = (int32_t)bn;
	bool found = false;
	int d, max = 0;

	for (d = 0; d <= EDITS_MAX && !found; d++) {
		rows[d] = row_new(d);
		max = d;
		for (int k = -d; k <= d && !found; k += 2) {
			int32_t x = start_of(d == 0 ? NULL : rows[d - 1], d, k);
			int32_t y = x - k;

			while (x < n && y >= 0 && y < m &&
			       equal(&a->v[off + (size_t)x],
				   &b->v[off + (size_t)y])) {
				x++;
				y++;
			}
			rows[d][k + d] = x;
			found = x >= n && y >= m && x - y == n - m;
		}
	}
	if (found)
		trace_back(rows, max, a, b, off, n, m);
	for (int i = 0; i <= max; i++)
		free(rows[i]);
	if (found)
		return;
	for (size_t i = 0; i < an; i++)
		a->changed[off + i] = true;
	for (size_t i = 0; i < bn; i++)
		b->changed[off + i] = true;
}

static void
compare(struct side *a, struct side *b)
{
	size_t head = 0, tail = 0;

	while (head < a->n && head < b->n && equal(&a->v[head], &b->v[head]))
		head++;
	while (tail < a->n - head && tail < b->n - head &&
	       equal(&a->v[a->n - 1 - tail], &b->v[b->n - 1 - tail]))
		tail++;
	if (a->n - head - tail > INT32_MAX / 2 ||
	    b->n - head - tail > INT32_MAX / 2)
		return;
	middle(a, b, head, a->n - head - tail, b->n - head - tail);
}

static void
put_line(struct buf *out, char mark, const struct line *l)
{
	buf_put_u8(out, (uint8_t)mark);
	buf_put(out, l->p, l->n);
	if (l->p[l->n - 1] != '\n')
		buf_printf(out, "\n\\ No newline at end of file\n");
}

static void
put_range(struct buf *out, char mark, size_t first, size_t n)
{
	/* An empty range is named by the line before it. */
	buf_printf(out, "%c%zu", mark, n == 0 ? first : first + 1);
	if (n != 1)
		buf_printf(out, ",%zu", n);
}

/* Lines i, j are where the next hunk's first change is; end is behind its
 * last context. */
static void
hunk(struct buf *out, const struct side *a, const struct side *b, size_t *ip,
    size_t *jp)
{
	size_t i = *ip, j = *jp;
	size_t before = i < CONTEXT ? i : CONTEXT;
	size_t ei = i, ej = j, same = 0, ci, cj;

	while (ei < a->n || ej < b->n) {
		if (ei < a->n && a->changed[ei]) {
			ei++;
			same = 0;
		} else if (ej < b->n && b->changed[ej]) {
			ej++;
			same = 0;
		} else if (same == 2 * CONTEXT) {
			break;
		} else {
			ei++;
			ej++;
			same++;
		}
	}
	if (same > CONTEXT) {
		ei -= same - CONTEXT;
		ej -= same - CONTEXT;
	}
	ci = i - before;
	cj = j - before;
	buf_printf(out, "@@ ");
	put_range(out, '-', ci, ei - ci);
	buf_printf(out, " ");
	put_range(out, '+', cj, ej - cj);
	buf_printf(out, " @@\n");
	while (ci < ei || cj < ej) {
		if (ci < ei && a->changed[ci])
			put_line(out, '-', &a->v[ci++]);
		else if (cj < ej && b->changed[cj])
			put_line(out, '+', &b->v[cj++]);
		else {
			put_line(out, ' ', &a->v[ci++]);
			cj++;
		}
	}
	*ip = ei;
	*jp = ej;
}

void
lines_diff(const void *pa, size_t na, const void *pb, size_t nb,
    struct buf *out, uint32_t *added, uint32_t *deleted)
{
	struct side a, b;
	size_t i = 0, j = 0;

	split(&a, pa, na);
	split(&b, pb, nb);
	compare(&a, &b);
	*added = *deleted = 0;
	for (size_t k = 0; k < a.n; k++)
		*deleted += a.changed[k];
	for (size_t k = 0; k < b.n; k++)
		*added += b.changed[k];
	while (i < a.n || j < b.n) {
		if ((i < a.n && a.changed[i]) || (j < b.n && b.changed[j])) {
			hunk(out, &a, &b, &i, &j);
			continue;
		}
		i++;
		j++;
	}
	side_free(&a);
	side_free(&b);
}

static int
by_hash(const void *x, const void *y)
{
	uint32_t a = ((const struct line *)x)->hash;
	uint32_t b = ((const struct line *)y)->hash;

	return (a > b) - (a < b);
}

unsigned int
lines_similar(const void *pa, size_t na, const void *pb, size_t nb)
{
	struct side a, b;
	size_t i = 0, j = 0, same = 0, most = na > nb ? na : nb;

	if (most == 0)
		return 100;
	split(&a, pa, na);
	split(&b, pb, nb);
	qsort(a.v, a.n, sizeof(*a.v), by_hash);
	qsort(b.v, b.n, sizeof(*b.v), by_hash);
	while (i < a.n && j < b.n) {
		if (a.v[i].hash < b.v[j].hash) {
			i++;
		} else if (a.v[i].hash > b.v[j].hash) {
			j++;
		} else {
			same += a.v[i].n < b.v[j].n ? a.v[i].n : b.v[j].n;
			i++;
			j++;
		}
	}
	side_free(&a);
	side_free(&b);
	return (unsigned int)(same * 100 / most);
}

/*
 * Renamed files: a deleted and a new one with equal contents, by size and then
 * bytes; after those, pairs of texts of which more than half is equal.  The
 * work is bounded, not the number of changes.
 */
#include "daemon/stage.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define PAIRS_MAX 4000u /* texts compared line by line */
#define EXACT_MAX 20000u
#define EXACT_BYTES (1u << 20)
#define SIMILAR_MIN 50u

static bool
is_candidate(const struct stage_change *c, bool gone)
{
	return c->selected && c->kind == (gone ? STAGE_DELETE : STAGE_ADD) &&
	       S_ISREG(gone ? c->base.st_mode : c->now.st_mode) &&
	       (gone ? c->similar == 0 : c->from == STAGE_NONE) &&
	       (gone ? c->base.st_size : c->now.st_size) > 0 &&
	       (gone ? c->base.st_size : c->now.st_size) <= (off_t)EXACT_BYTES;
}

static void
pair(struct stage *s, uint32_t gone, uint32_t come, unsigned int similar)
{
	s->v[come].from = gone;
	s->v[come].similar = (uint8_t)similar;
	s->v[gone].similar = (uint8_t)similar;
}

static unsigned int
likeness(const struct stage *s, uint32_t gone, uint32_t come, bool exact)
{
	cleanup_buf struct buf a = { 0 }, b = { 0 };

	if (stage_read_side(s, &s->v[gone], true, &a) < 0 ||
	    stage_read_side(s, &s->v[come], false, &b) < 0)
		return 0;
	if (buf_len(&a) == buf_len(&b) &&
	    memcmp(buf_head(&a), buf_head(&b), buf_len(&a)) == 0)
		return 100;
	if (exact || buf_len(&a) == 0 || buf_len(&b) == 0 ||
	    lines_binary(buf_head(&a), buf_len(&a)) ||
	    lines_binary(buf_head(&b), buf_len(&b)))
		return 0;
	return lines_similar(
	    buf_head(&a), buf_len(&a), buf_head(&b), buf_len(&b));
}

static void
round_of(struct stage *s, const uint32_t *gone, size_t ngone,
    const uint32_t *come, size_t ncome, bool exact)
{
	size_t left = exact ? EXACT_MAX : PAIRS_MAX;

	for (size_t i = 0; i < ncome; i++) {
		unsigned int best = 0;
		uint32_t at = 0;

		if (!is_candidate(&s->v[come[i]], false))
			continue;
		for (size_t k = 0; k < ngone && left > 0 && best < 100; k++) {
			const struct stage_change *g = &s->v[gone[k]];
			unsigned int n;

			if (!is_candidate(g, true) ||
			    (exact &&
				g->base.st_size != s->v[come[i]].now.st_size))
				continue;
			left--;
			n = likeness(s, gone[k], come[i], exact);
			if (n > best) {
				best = n;
				at = gone[k];
			}
		}
		if (best > SIMILAR_MIN)
			pair(s, at, come[i], best > 99 && !exact ? 99 : best);
	}
}

void
stage_find_renames(struct stage *s)
{
	cleanup_free uint32_t *gone = xcalloc(s->n + 1, sizeof(*gone));
	cleanup_free uint32_t *come = xcalloc(s->n + 1, sizeof(*come));
	size_t ngone = 0, ncome = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		if (is_candidate(&s->v[i], true))
			gone[ngone++] = i;
		else if (is_candidate(&s->v[i], false))
			come[ncome++] = i;
	}
	/* Sizes are compared at every pair: not for a hundred million. */
	if (ngone == 0 || ncome == 0 || ngone > 10000 || ncome > 10000)
		return;
	round_of(s, gone, ngone, come, ncome, true);
	round_of(s, gone, ngone, come, ncome, false);
}

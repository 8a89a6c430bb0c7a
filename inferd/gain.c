#include "inferd/gain.h"

static bool
pays(const struct gain *g)
{
	const uint64_t with = g->with.pieces * (uint64_t)g->without.ns;
	const uint64_t without = g->without.pieces * (uint64_t)g->with.ns;

	return with >= without + without / GAIN_LEAST;
}

int64_t
gain_job(struct gain *g, bool all, size_t pieces, int64_t ns)
{
	int64_t rest = 0;

	if (all) {
		g->with.pieces += pieces;
		g->with.ns += ns;
	} else {
		g->without.pieces += pieces;
		g->without.ns += ns;
	}
	/* Of a long rest only what is not long ago counts. */
	if (g->without.ns > 4 * GAIN_WINDOW_NS) {
		g->without.pieces /= 2;
		g->without.ns /= 2;
	}
	if (g->with.ns < GAIN_WINDOW_NS || g->without.ns < GAIN_WINDOW_NS)
		return 0;
	if (!pays(g)) {
		rest = g->rest == 0 ? GAIN_REST_NS : 2 * g->rest;
		if (rest > GAIN_REST_MAX_NS)
			rest = GAIN_REST_MAX_NS;
	}
	*g = (struct gain){ .rest = rest };
	return rest;
}

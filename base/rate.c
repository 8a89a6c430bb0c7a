#include "base/rate.h"

#include "base/ev.h"

bool
rate_take(struct rate *r, unsigned int burst, uint64_t ms)
{
	uint64_t now = ev_now_ms();
	uint64_t add = r->since == 0 ? burst : (now - r->since) / ms;

	if (add > 0) {
		r->since = now;
		r->tokens = add > burst - r->tokens
				? burst
				: r->tokens + (unsigned int)add;
	}
	if (r->tokens == 0) {
		r->dropped++;
		return false;
	}
	r->tokens--;
	return true;
}

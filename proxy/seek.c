#include "proxy/seek.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "proxy/seek_int.h"

struct seek *
seek_new(void)
{
	return xcalloc(1, sizeof(struct seek));
}

void
seek_free(struct seek *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->n; i++) {
		explicit_bzero(s->key[i].p, s->key[i].n);
		free(s->key[i].p);
	}
	free(s->key);
	/* It tells the first bytes. */
	filter_free(&s->filter);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

static uint32_t
add(struct seek *s, const void *key, size_t n, bool encoded)
{
	struct seek_key *k;

	if (n == 0 || n > SEEK_KEY_MAX || s->n == SEEK_KEYS_MAX)
		fatalx("seek: key %u of %zu bytes", s->n, n);
	s->key = xreallocarray(s->key, s->n + 1, sizeof(*s->key));
	k = &s->key[s->n];
	k->p = xmemdup(key, n);
	k->n = n;
	k->encoded = encoded;
	filter_add(&s->filter, s->n, k);
	return s->n++;
}

uint32_t
seek_add(struct seek *s, const void *key, size_t n, bool encoded)
{
	return add(s, key, n, encoded && n >= SEEK_ENCODED_MIN);
}

void
seek_add_start(struct seek *s, const void *key, size_t n)
{
	(void)add(s, key, n, true);
}

bool
seek_is_key(const struct seek *s, uint32_t i, const void *key, size_t n)
{
	return i < s->n && s->key[i].n == n && memcmp(s->key[i].p, key, n) == 0;
}

bool
seek_search(const struct seek *s, const uint8_t *p, size_t n, size_t from,
    bool last, struct seek_hit *hit, size_t *hold)
{
	*hold = n;
	/* Then there is no filter either. */
	if (s->n == 0)
		return false;
	for (size_t i = from; i < n; i++) {
		i = filter_skip(&s->filter, p, n, i);
		if (i == n)
			break;
		switch (seek_match(s, p + i, n - i, last, hit)) {
		case FOUND_NOT:
			continue;
		case FOUND_MORE:
			*hold = i;
			return false;
		case FOUND:
			hit->at = i;
			return true;
		}
	}
	return false;
}

bool
seek_find(const struct seek *s, const void *p, size_t n, struct seek_hit *hit)
{
	size_t hold;

	return seek_search(s, p, n, 0, true, hit, &hold);
}

bool
seek_stream(const struct seek *s, struct buf *tail, const uint8_t *p, size_t n,
    struct seek_hit *hit)
{
	bool waits = buf_len(tail) > 0;
	size_t hold;

	if (waits) {
		buf_put(tail, p, n);
		p = buf_head(tail);
		n = buf_len(tail);
	}
	if (seek_search(s, p, n, 0, false, hit, &hold)) {
		buf_clear(tail);
		return true;
	}
	if (waits)
		buf_consume(tail, hold);
	else
		buf_put(tail, p + hold, n - hold);
	return false;
}

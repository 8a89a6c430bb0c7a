#include "proxy/scrub.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "proxy/seek.h"
#include "proxy/shape.h"

struct stub {
	uint8_t *p;
	size_t n;
	uint64_t end;        /* where its last replacement ended, */
	enum seek_form form; /* and in which form */
};

struct scrub {
	struct seek *seek;
	struct shape *shape;
	struct stub *stub; /* by number of the key */
	size_t n;
	uint64_t pos;    /* of the first byte held back */
	uint64_t edited; /* bytes before this are as they go out */
	struct buf held; /* as they came: a value may start there */
	struct buf part; /* the same bytes as they go out so far */
	size_t gone;     /* of them, let go early */
	size_t certain;  /* of them, in which indeed none starts */
	size_t searched; /* of them, for all there is to look for */
	struct buf work; /* a value written anew */
	uint64_t count;
	/* A pause came in the middle of what may be a value. */
	bool stalled, found;
	uint64_t stalled_at;
	unsigned int doubts;
};

struct scrub *
scrub_new(void)
{
	struct scrub *s = xcalloc(1, sizeof(*s));

	s->seek = seek_new();
	s->shape = shape_new();
	buf_init_wipe(&s->held, 0);
	buf_init_wipe(&s->part, 0);
	buf_init_wipe(&s->work, 0);
	return s;
}

void
scrub_free(struct scrub *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->stub[i].p);
	free(s->stub);
	seek_free(s->seek);
	shape_free(s->shape);
	buf_free(&s->held);
	buf_free(&s->part);
	buf_free(&s->work);
	free(s);
}

void
scrub_add(struct scrub *s, const void *real, const void *stub, size_t n)
{
	uint32_t key = seek_add(s->seek, real, n, true);

	s->stub = xreallocarray(s->stub, s->n + 1, sizeof(*s->stub));
	s->stub[s->n] = (struct stub){ .p = xmemdup(stub, n), .n = n };
	shape_add(s->shape, real, stub, n);
	s->searched = 0;
	if (key != s->n++)
		fatalx("scrub: key out of order");
}

size_t
scrub_keys(const struct scrub *s)
{
	return s->n;
}

bool
scrub_has(const struct scrub *s, size_t i, const void *real, const void *stub,
    size_t n)
{
	return i < s->n && s->stub[i].n == n &&
	       memcmp(s->stub[i].p, stub, n) == 0 &&
	       seek_is_key(s->seek, (uint32_t)i, real, n);
}

bool
scrub_is_full(const struct scrub *s)
{
	return s->n == SEEK_KEYS_MAX;
}

/*
 * Write over a value found.  dst is what goes out, where bytes before *edited
 * belong to an earlier value: of one that overlaps it only the rest is left.
 * A value that meets itself is replaced from the left.
 */
static void
replace(struct scrub *s, uint8_t *dst, const uint8_t *src, uint64_t pos,
    const struct seek_hit *hit, uint64_t *edited)
{
	struct stub *t = &s->stub[hit->key];
	uint64_t start = pos + hit->at, end = start + hit->len;
	size_t skip = 0;

	if ((t->form == hit->form && start < t->end) || end <= *edited)
		return;
	if (start < *edited)
		skip = (size_t)(*edited - start);
	buf_clear(&s->work);
	seek_rewrite(
	    s->seek, buf_reserve(&s->work, hit->len), src + hit->at, hit, t->p);
	memcpy(
	    dst + hit->at + skip, buf_head(&s->work) + skip, hit->len - skip);
	*edited = end;
	t->end = end;
	t->form = hit->form;
	s->count++;
}

/* Search src[from..n), src at pos in the stream, and edit dst, its copy.
 * Returns how many bytes of src are certain. */
static size_t
run(struct scrub *s, uint8_t *dst, const uint8_t *src, size_t from, size_t n,
    uint64_t pos, bool last, uint64_t *edited)
{
	struct seek_hit hit;
	size_t hold;

	for (; seek_search(s->seek, src, n, from, last, &hit, &hold);
	     from = hit.at + 1) {
		s->found |= s->stalled && pos + hit.at == s->stalled_at;
		replace(s, dst, src, pos, &hit, edited);
	}
	return hold;
}

/* Before at in the stream all is certain: what came of a start that a pause
 * stood behind? */
static void
resolve(struct scrub *s, uint64_t at)
{
	if (!s->stalled || at <= s->stalled_at)
		return;
	s->doubts += !s->found;
	s->stalled = s->found = false;
}

static void
feed(struct scrub *s, const uint8_t *p, size_t n, bool last, struct buf *out)
{
	size_t had = buf_len(&s->held), all = had + n, certain, sure, early;
	const uint8_t *src = p;
	uint8_t *dst;

	if (all == 0)
		return;
	if (had > 0) {
		buf_put(&s->held, p, n);
		src = buf_head(&s->held);
	}
	dst = buf_reserve(out, all);
	if (had > 0)
		memcpy(dst, buf_head(&s->part), had);
	if (n > 0)
		memcpy(dst + had, p, n);
	sure = certain =
	    run(s, dst, src, s->searched, all, s->pos, last, &s->edited);
	if (!last)
		sure = shape_hold(s->shape, src, all);
	if (sure > certain)
		sure = certain;
	resolve(s, s->pos + certain);
	s->certain = s->searched = certain - sure;
	early = s->gone < sure ? s->gone : sure;
	s->gone -= early;
	s->pos += sure;
	buf_clear(&s->part);
	buf_put(&s->part, dst + sure, all - sure);
	memmove(dst, dst + early, sure - early);
	explicit_bzero(dst + sure - early, all - sure + early);
	buf_commit(out, sure - early);
	if (had > 0)
		buf_consume(&s->held, sure);
	else
		buf_put(&s->held, p + sure, all - sure);
}

/* For a value that has been added since. */
static void
search_again(struct scrub *s, struct buf *out)
{
	if (s->searched < s->certain)
		feed(s, NULL, 0, false, out);
}

void
scrub_feed(struct scrub *s, const void *p, size_t n, struct buf *out)
{
	if (n > 0)
		feed(s, p, n, false, out);
}

size_t
scrub_pass(struct scrub *s, const void *p, size_t n)
{
	struct seek_hit hit;
	size_t hold;

	if (buf_len(&s->held) > 0 || n == 0)
		return 0;
	if (seek_search(s->seek, p, n, 0, false, &hit, &hold))
		hold = hit.at;
	else if (shape_hold(s->shape, p, n) < hold)
		hold = shape_hold(s->shape, p, n);
	s->pos += hold;
	return hold;
}

size_t
scrub_reach(const struct scrub *s)
{
	return shape_reach(s->shape);
}

void
scrub_settle(struct scrub *s, struct buf *out)
{
	size_t n, early;

	search_again(s, out);
	n = s->certain;
	early = s->gone < n ? s->gone : n;
	if (n == 0)
		return;
	buf_put(out, buf_head(&s->part) + early, n - early);
	buf_consume(&s->held, n);
	buf_consume(&s->part, n);
	s->pos += n;
	s->gone -= early;
	s->certain = s->searched = 0;
}

void
scrub_end(struct scrub *s, struct buf *out)
{
	feed(s, NULL, 0, true, out);
}

void
scrub_quiet(struct scrub *s, struct buf *out)
{
	size_t n, go;

	search_again(s, out);
	n = go = buf_len(&s->part);
	if (n - s->certain > SCRUB_QUIET_MAX &&
	    !shape_is_public(
		s->shape, buf_head(&s->held) + s->certain, n - s->certain)) {
		go = s->certain;
		s->stalled = true;
		s->stalled_at = s->pos + go;
	}
	if (go <= s->gone)
		return;
	buf_put(out, buf_head(&s->part) + s->gone, go - s->gone);
	s->gone = go;
}

unsigned int
scrub_doubts(const struct scrub *s)
{
	return s->doubts;
}

size_t
scrub_held(const struct scrub *s)
{
	return buf_len(&s->held);
}

static void
forget(struct scrub *s)
{
	for (size_t i = 0; i < s->n; i++)
		s->stub[i].end = 0;
}

void
scrub_text(struct scrub *s, char *text, size_t n)
{
	cleanup_free uint8_t *src = n == 0 ? NULL : xmemdup(text, n);
	bool found = s->found;
	uint64_t edited = 0;

	if (n == 0)
		return;
	forget(s);
	(void)run(s, (uint8_t *)text, src, 0, n, 0, true, &edited);
	forget(s);
	s->found = found;
	explicit_bzero(src, n);
}

void
scrub_again(struct scrub *s)
{
	forget(s);
	s->pos = s->edited = s->count = 0;
	s->gone = s->certain = s->searched = 0;
	s->stalled = s->found = false;
	s->doubts = 0;
	buf_free(&s->held);
	buf_free(&s->part);
	buf_free(&s->work);
}

uint64_t
scrub_count(const struct scrub *s)
{
	return s->count;
}

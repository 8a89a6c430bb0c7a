#include "proxy/scrub.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "proxy/seek.h"

struct stub {
	uint8_t *p;
	size_t n;
	uint64_t end;        /* where its last replacement ended, */
	enum seek_form form; /* and in which form */
};

struct scrub {
	struct seek *seek;
	struct stub *stub; /* by number of the key */
	size_t n;
	uint64_t pos;    /* of the first byte held back */
	uint64_t edited; /* bytes before this are as they go out */
	struct buf held; /* as they came: a value may start there */
	struct buf part; /* the same bytes as they go out so far */
	size_t gone;     /* of them, let go early */
	struct buf work; /* a value written anew */
	uint64_t count;
};

struct scrub *
scrub_new(void)
{
	struct scrub *s = xcalloc(1, sizeof(*s));

	s->seek = seek_new();
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

/* Search src[0..n), at pos in the stream, and edit dst, its copy.  Returns
 * how many bytes are certain. */
static size_t
run(struct scrub *s, uint8_t *dst, const uint8_t *src, size_t n, uint64_t pos,
    bool last, uint64_t *edited)
{
	struct seek_hit hit;
	size_t hold;

	for (size_t from = 0;
	     seek_search(s->seek, src, n, from, last, &hit, &hold);
	     from = hit.at + 1)
		replace(s, dst, src, pos, &hit, edited);
	return hold;
}

static void
feed(struct scrub *s, const uint8_t *p, size_t n, bool last, struct buf *out)
{
	size_t had = buf_len(&s->held), all = had + n, sure, early;
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
	sure = run(s, dst, src, all, s->pos, last, &s->edited);
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
	s->pos += hold;
	return hold;
}

void
scrub_end(struct scrub *s, struct buf *out)
{
	feed(s, NULL, 0, true, out);
}

void
scrub_quiet(struct scrub *s, struct buf *out)
{
	size_t n = buf_len(&s->part);

	if (n > SCRUB_QUIET_MAX || s->gone == n)
		return;
	buf_put(out, buf_head(&s->part) + s->gone, n - s->gone);
	s->gone = n;
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
	uint64_t edited = 0;

	if (n == 0)
		return;
	forget(s);
	(void)run(s, (uint8_t *)text, src, n, 0, true, &edited);
	forget(s);
	explicit_bzero(src, n);
}

void
scrub_again(struct scrub *s)
{
	forget(s);
	s->pos = s->edited = s->count = 0;
	s->gone = 0;
	buf_free(&s->held);
	buf_free(&s->part);
	buf_free(&s->work);
}

uint64_t
scrub_count(const struct scrub *s)
{
	return s->count;
}

#include "proxy/scrub.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "proxy/scan.h"

struct stub {
	uint8_t *p;
	size_t n;
	uint64_t end;                /* where its last replacement ended, */
	const struct scan_hit *last; /* and in which form */
};

struct scrub {
	struct scan *scan;
	struct stub *stub; /* by number of the key */
	size_t n;
	bool ready;
	uint32_t state;
	uint64_t pos; /* bytes fed so far */
	struct buf held;
	uint64_t count;
};

struct scrub *
scrub_new(void)
{
	struct scrub *s = xcalloc(1, sizeof(*s));

	s->scan = scan_new();
	buf_init(&s->held, 0);
	return s;
}

static void
wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_free(b);
}

void
scrub_free(struct scrub *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->stub[i].p);
	free(s->stub);
	scan_free(s->scan);
	wipe(&s->held);
	free(s);
}

void
scrub_add(struct scrub *s, const void *real, const void *stub, size_t n)
{
	uint32_t key = scan_add(s->scan, real, n, true, true);

	s->stub = xreallocarray(s->stub, s->n + 1, sizeof(*s->stub));
	s->stub[s->n] = (struct stub){ .p = xmemdup(stub, n), .n = n };
	if (key != s->n++)
		fatalx("scrub: key out of order");
}

static void
put_hex(uint8_t *dst, uint8_t c, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	dst[0] = (uint8_t)digits[c >> 4];
	dst[1] = (uint8_t)digits[c & 15];
}

/* dst keeps its way of escaping, byte by byte, so its length stays. */
static void
put_escaped(uint8_t *dst, size_t len, const struct stub *t)
{
	size_t at = 0;

	for (size_t i = 0; i < t->n && at < len; i++) {
		uint8_t c = t->p[i];

		if (dst[at] == '%' && len - at >= 3) {
			put_hex(dst + at + 1, c, true);
			at += 3;
		} else if (dst[at] == '\\' && len - at >= 6 &&
			   dst[at + 1] == 'u') {
			put_hex(dst + at + 4, c, false);
			at += 6;
		} else if (dst[at] == '\\' && len - at >= 2) {
			bool quoted = c == '"' || c == '\\' || c == '/';

			/* Two bytes of which none is an escape, where the
			 * stub's byte needs none. */
			dst[at] = quoted ? '\\' : c;
			dst[at + 1] = c;
			at += 2;
		} else {
			dst[at++] = c;
		}
	}
	/* An overlapping match may have changed how dst reads. */
	for (; at < len; at++)
		dst[at] = t->p[at % t->n];
}

/* Bits that the value shares with its neighbours stay theirs. */
static void
put_b64(uint8_t *dst, const struct scan_hit *hit, const struct stub *t)
{
	static const char std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz0123456789+/";
	bool url = memchr(dst, '-', hit->len) || memchr(dst, '_', hit->len);

	for (uint32_t j = 0; j < hit->len; j++) {
		unsigned int old = (unsigned int)scan_b64_value(dst[j]), v = 0;
		size_t bit = (size_t)(hit->first + j) * 6;

		for (unsigned int k = 0; k < 6; k++, bit++) {
			size_t byte = bit / 8;

			v <<= 1;
			if (byte < hit->shift || byte - hit->shift >= t->n)
				v |= (old >> (5 - k)) & 1u;
			else
				v |=
				    (t->p[byte - hit->shift] >> (7 - bit % 8)) &
				    1u;
		}
		dst[j] = (uint8_t)std[v];
		if (url && v == 62)
			dst[j] = '-';
		else if (url && v == 63)
			dst[j] = '_';
	}
}

static void
rewrite(uint8_t *dst, const struct scan_hit *hit, const struct stub *t)
{
	switch (hit->form) {
	case FORM_RAW:
		memcpy(dst, t->p, t->n);
		return;
	case FORM_B64:
		put_b64(dst, hit, t);
		return;
	case FORM_HEX:
		for (size_t i = 0; i < t->n; i++)
			put_hex(dst + 2 * i, t->p[i], hit->upper);
		return;
	case FORM_ESCAPED:
		put_escaped(dst, hit->len, t);
		return;
	}
}

/* Scan n bytes at p; what was held back lies before them in memory. */
static void
run(struct scrub *s, uint32_t *state, uint8_t *p, size_t n, uint64_t pos)
{
	size_t done = 0;

	if (!s->ready) {
		scan_ready(s->scan);
		s->ready = true;
	}
	while (done < n) {
		uint32_t match;

		done += scan_step(s->scan, state, p + done, n - done, &match);
		for (; match != 0; match = scan_next(s->scan, match)) {
			const struct scan_hit *hit = scan_hit(s->scan, match);
			struct stub *t = &s->stub[hit->key];
			uint64_t end = pos + done;

			if (hit == t->last && end - hit->len < t->end)
				continue;
			rewrite(p + done - hit->len, hit, t);
			t->end = end;
			t->last = hit;
			s->count++;
			break;
		}
	}
}

void
scrub_feed(struct scrub *s, const void *p, size_t n, struct buf *out)
{
	size_t before = buf_len(&s->held), keep;

	if (n == 0)
		return;
	buf_put(&s->held, p, n);
	run(s, &s->state, buf_head(&s->held) + before, n, s->pos);
	s->pos += n;
	keep = scan_pending(s->scan, s->state);
	n = buf_len(&s->held) - keep;
	buf_put(out, buf_head(&s->held), n);
	buf_consume(&s->held, n);
}

void
scrub_end(struct scrub *s, struct buf *out)
{
	buf_put(out, buf_head(&s->held), buf_len(&s->held));
	buf_consume(&s->held, buf_len(&s->held));
	s->state = 0;
}

size_t
scrub_held(const struct scrub *s)
{
	return buf_len(&s->held);
}

void
scrub_text(struct scrub *s, char *text, size_t n)
{
	uint32_t state = 0;

	for (size_t i = 0; i < s->n; i++)
		s->stub[i].last = NULL;
	run(s, &state, (uint8_t *)text, n, 0);
	for (size_t i = 0; i < s->n; i++)
		s->stub[i].last = NULL;
}

uint64_t
scrub_count(const struct scrub *s)
{
	return s->count;
}

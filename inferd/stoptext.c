#include "inferd/stoptext.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/unicode.h"

/* Knuth, Morris and Pratt: how much of it the text so far ends with. */
struct needle {
	struct chat_text text;
	uint32_t *back; /* [n]: the longest border of its first i + 1 bytes */
	size_t at;
	size_t which;
};

struct stoptext {
	struct needle needle[STOPTEXT_MAX];
	size_t n;
	struct buf held;
};

static bool
is_utf8(struct chat_text t)
{
	size_t i, len;

	for (i = 0; i < t.n; i += len)
		if (unicode_decode(t.p + i, t.n - i, &len) == UNICODE_BAD &&
		    len == 1)
			return false;
	return true;
}

static void
needle_init(struct needle *d, struct chat_text text, size_t which)
{
	size_t i, k = 0;

	d->text = text;
	d->which = which;
	d->back = xcalloc(text.n, sizeof(*d->back));
	for (i = 1; i < text.n; i++) {
		while (k > 0 && text.p[i] != text.p[k])
			k = d->back[k - 1];
		if (text.p[i] == text.p[k])
			k++;
		d->back[i] = (uint32_t)k;
	}
}

/* True: here it is complete. */
static bool
needle_byte(struct needle *d, char c)
{
	while (d->at > 0 && d->text.p[d->at] != c)
		d->at = d->back[d->at - 1];
	if (d->text.p[d->at] == c)
		d->at++;
	return d->at == d->text.n;
}

struct stoptext *
stoptext_new(const struct chat_text *texts, size_t n)
{
	struct stoptext *s = xcalloc(1, sizeof(*s));
	size_t i;

	for (i = 0; i < n && s->n < STOPTEXT_MAX; i++)
		if (texts[i].n > 0 && texts[i].n <= UINT32_MAX &&
		    is_utf8(texts[i]))
			needle_init(&s->needle[s->n++], texts[i], i);
	return s;
}

void
stoptext_free(struct stoptext *s)
{
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < s->n; i++)
		free(s->needle[i].back);
	buf_free(&s->held);
	free(s);
}

bool
stoptext_push(
    struct stoptext *s, const char *p, size_t n, struct buf *out, size_t *which)
{
	const struct needle *found;
	size_t i, k, hold;

	for (i = 0; i < n; i++) {
		found = NULL;
		hold = 0;
		buf_put_u8(&s->held, (uint8_t)p[i]);
		for (k = 0; k < s->n; k++) {
			struct needle *d = &s->needle[k];

			if (needle_byte(d, p[i]) &&
			    (found == NULL || d->text.n > found->text.n))
				found = d;
			if (d->at > hold)
				hold = d->at;
		}
		if (found != NULL) {
			*which = found->which;
			hold = buf_len(&s->held) - found->text.n;
			buf_put(out, buf_head(&s->held), hold);
			buf_clear(&s->held);
			return true;
		}
		if (i + 1 < n && buf_len(&s->held) < 4096)
			continue;
		hold = buf_len(&s->held) - hold;
		buf_put(out, buf_head(&s->held), hold);
		buf_consume(&s->held, hold);
	}
	return false;
}

void
stoptext_flush(struct stoptext *s, struct buf *out)
{
	size_t k;

	buf_put(out, buf_head(&s->held), buf_len(&s->held));
	buf_clear(&s->held);
	for (k = 0; k < s->n; k++)
		s->needle[k].at = 0;
}

#include "daemon/detach_keys.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"

#define CTRL "ctrl-"

/* One key of n characters; -1 if it is none. */
static int
parse_key(const char *s, size_t n)
{
	size_t prefix = strlen(CTRL);
	char c;

	if (n == 1)
		return (unsigned char)s[0];
	if (n != prefix + 1 || strncasecmp(s, CTRL, prefix) != 0)
		return -1;
	c = (char)toupper((unsigned char)s[prefix]);
	/* As the keyboard makes them: ^@ is 0, ^_ is 31. */
	return c >= '@' && c <= '_' ? c - '@' : -1;
}

int
detach_keys_parse(struct detach_keys *k, const char *text, struct error *err)
{
	*k = (struct detach_keys){ 0 };
	if (*text == '\0')
		return 0;
	for (;;) {
		/* A comma may be a key itself. */
		size_t n = *text == ',' ? 1 : strcspn(text, ",");
		int key = parse_key(text, n);

		if (key < 0)
			return error_set(
			    err, 0, "a key is one character or like ctrl-p");
		if (k->n == DETACH_KEYS_MAX)
			return error_set(
			    err, 0, "at most %u keys", DETACH_KEYS_MAX);
		k->key[k->n++] = (uint8_t)key;
		text += n;
		if (*text == '\0')
			return 0;
		text++;
	}
}

/*
 * The keys held back are not what follows: give them to the job, up to where
 * the sequence may begin anew.
 */
static void
mismatch(struct detach_keys *k, struct buf *out)
{
	size_t seen = k->seen;

	for (size_t from = 1; from <= seen; from++) {
		if (memcmp(k->key, k->key + from, seen - from) != 0)
			continue;
		buf_put(out, k->key, from);
		k->seen = seen - from;
		return;
	}
}

bool
detach_keys_feed(
    struct detach_keys *k, const void *p, size_t n, struct buf *out)
{
	const uint8_t *b = p;

	if (k->n == 0) {
		buf_put(out, p, n);
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		while (k->seen > 0 && k->key[k->seen] != b[i])
			mismatch(k, out);
		if (k->key[k->seen] != b[i]) {
			buf_put_u8(out, b[i]);
			continue;
		}
		if (++k->seen == k->n) {
			k->seen = 0;
			return true;
		}
	}
	return false;
}

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "proxy/seek.h"
#include "proxy/swap_int.h"

void
basic_free(struct basic *a)
{
	if (a->text != NULL)
		explicit_bzero(a->text, a->len);
	free(a->text);
	a->text = NULL;
}

/* The part of a Basic field value after the scheme; NULL if not Basic. */
static const char *
basic_token(const char *value)
{
	if (strncasecmp(value, "basic", 5) != 0 ||
	    (value[5] != ' ' && value[5] != '\t'))
		return NULL;
	value += 5;
	return value + strspn(value, " \t");
}

/* Alphabet and padding at the end only: what every reader reads alike. */
static bool
basic_is_plain(const char *s)
{
	while (*s != '\0' && seek_b64_value((uint8_t)*s) >= 0)
		s++;
	return s[strspn(s, "=")] == '\0';
}

bool
basic_parse(const char *value, struct basic *a)
{
	const char *token = basic_token(value);

	memset(a, 0, sizeof(*a));
	if (token == NULL || !basic_is_plain(token))
		return false;
	a->text = xcalloc(1, strlen(token) + 4);
	a->len = binding_b64_lax(token, strlen(token), (uint8_t *)a->text);
	a->user = a->text;
	a->pass = memchr(a->text, ':', a->len);
	if (a->pass == NULL || memchr(a->text, '\0', a->len) != NULL) {
		basic_free(a);
		return false;
	}
	*a->pass++ = '\0';
	return true;
}

char *
basic_write(const char *user, const char *pass)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = xasprintf("%s:%s", user, pass);
	size_t n = strlen(text), at = 0;
	char *out = xmalloc(6 + (n + 2) / 3 * 4 + 1);

	memcpy(out, "Basic ", 6);
	at = 6;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)text[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)(uint8_t)text[i + 1] << 8;
		if (i + 2 < n)
			v |= (uint8_t)text[i + 2];
		out[at++] = set[v >> 18];
		out[at++] = set[(v >> 12) & 63];
		out[at++] = i + 1 < n ? set[(v >> 6) & 63] : '=';
		out[at++] = i + 2 < n ? set[v & 63] : '=';
	}
	out[at] = '\0';
	explicit_bzero(text, n);
	free(text);
	return out;
}

#include "inferd/volatile.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/compat.h"
#include "base/str.h"

#define HEX_MAX 64u

static const char line_start[] = "x-anthropic-billing-header:";

/* Of a field's value so many parts, each ended by a dot, stay. */
static const struct field {
	const char *name;
	unsigned stay;
} fields[] = {
	{ "cch=", 0 },
	{ "cc_version=", 3 },
};

static bool
starts(const char *p, size_t n, const char *with)
{
	const size_t k = strlen(with);

	return n >= k && memcmp(p, with, k) == 0;
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	       (c >= 'A' && c <= 'F');
}

/* A value, up to ';' or the end: zeros for what changes, if it is of the form
 * that is known. */
static size_t
calm_value(char *p, size_t n, unsigned stay)
{
	size_t at = 0, end, changed = 0;

	for (; stay > 0; stay--) {
		while (at < n && p[at] >= '0' && p[at] <= '9')
			at++;
		if (at == n || p[at++] != '.')
			return 0;
	}
	for (end = at; end < n && is_hex(p[end]); end++)
		;
	if (end == at || end - at > HEX_MAX || (end < n && p[end] != ';'))
		return 0;
	for (; at < end; at++) {
		changed += p[at] != '0';
		p[at] = '0';
	}
	return changed;
}

/* A line behind its start: "name=value; name=value;". */
static size_t
calm_line(char *p, size_t n)
{
	size_t changed = 0;

	while (n > 0) {
		const char *end = memchr(p, ';', n);
		const size_t k =
		    end != NULL ? (size_t)(end - p) + 1 : n; /* with ';' */
		size_t name = 0;

		while (name < k && p[name] == ' ')
			name++;
		for (size_t i = 0; i < nitems(fields); i++) {
			const size_t from = name + strlen(fields[i].name);

			if (starts(p + name, k - name, fields[i].name))
				changed += calm_value(
				    p + from, k - from, fields[i].stay);
		}
		p += k;
		n -= k;
	}
	return changed;
}

size_t
volatile_calm(char *p, size_t n)
{
	const size_t skip = sizeof(line_start) - 1;
	size_t changed = 0;

	while (n > 0) {
		const char *end = memchr(p, '\n', n);
		const size_t line = end != NULL ? (size_t)(end - p) : n;

		if (starts(p, line, line_start)) {
			size_t k = line;

			if (p[k - 1] == '\r')
				k--;
			changed += calm_line(p + skip, k - skip);
		}
		p += end != NULL ? line + 1 : line;
		n -= end != NULL ? line + 1 : line;
	}
	return changed;
}

size_t
volatile_chat(struct chat *chat, struct volatile_copy *v)
{
	struct chat_message *copy =
	    chat->nmessages == 0
		? NULL
		: xmemdup(chat->messages, chat->nmessages * sizeof(*copy));
	size_t bytes = 0, changed = 0;
	char *at;

	*v = (struct volatile_copy){ .messages = copy };
	for (size_t i = 0; i < chat->nmessages; i++)
		if (copy[i].role == CHAT_SYSTEM)
			bytes += copy[i].text.n;
	at = v->text = xmalloc(bytes + 1);
	for (size_t i = 0; i < chat->nmessages; i++) {
		struct chat_text *text = &copy[i].text;

		if (copy[i].role != CHAT_SYSTEM || text->n == 0)
			continue;
		memcpy(at, text->p, text->n);
		changed += volatile_calm(at, text->n);
		text->p = at;
		at += text->n;
	}
	if (changed == 0)
		volatile_free(v);
	else
		chat->messages = copy;
	return changed;
}

void
volatile_free(struct volatile_copy *v)
{
	free(v->messages);
	free(v->text);
	*v = (struct volatile_copy){ 0 };
}

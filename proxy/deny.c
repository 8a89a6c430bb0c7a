#include "proxy/deny.h"

#include <string.h>

#include "base/str.h"

void
json_put_str(struct buf *b, const char *s)
{
	cleanup_free char *shown = NULL;

	if (!str_is_utf8(s, strlen(s)))
		s = shown = str_escape(s, strlen(s));
	buf_put_u8(b, '"');
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_printf(b, "\\u%04x", c);
		else
			buf_put_u8(b, c);
	}
	buf_put_u8(b, '"');
}

void
deny_body(struct buf *b, const struct denial *d)
{
	buf_printf(b, "{\"error\":");
	json_put_str(b, d->error);
	buf_printf(b, ",\"rule\":");
	if (d->rule != NULL && d->rule[0] != '\0')
		json_put_str(b, d->rule);
	else
		buf_printf(b, "\"built-in: %s\"", d->error);
	buf_printf(b, ",\"reason\":");
	json_put_str(b, d->reason);
	buf_printf(b, ",\"ask_id\":");
	if (d->ask_id != NULL && d->ask_id[0] != '\0')
		json_put_str(b, d->ask_id);
	else
		buf_printf(b, "null");
	buf_printf(b, ",\"next_steps\":[");
	for (size_t i = 0; i < DENY_STEPS_MAX; i++) {
		if (d->next_steps[i] == NULL)
			break;
		if (i > 0)
			buf_put_u8(b, ',');
		json_put_str(b, d->next_steps[i]);
	}
	buf_printf(b, "]}\n");
}

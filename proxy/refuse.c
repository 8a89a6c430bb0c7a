#include "proxy/refuse.h"

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
refuse_body(struct buf *b, const char *error, const char *reason,
    const char *next_steps)
{
	buf_printf(b, "{\"error\":");
	json_put_str(b, error);
	buf_printf(b, ",\"reason\":");
	json_put_str(b, reason);
	buf_printf(b, ",\"next_steps\":");
	json_put_str(b, next_steps);
	buf_printf(b, "}\n");
}

#include "proxy/deny.h"

#include "proxy/refuse.h"

static void
put_or_null(struct buf *b, const char *s)
{
	if (s == NULL || s[0] == '\0')
		buf_printf(b, "null");
	else
		json_put_str(b, s);
}

void
deny_body(struct buf *b, const struct denial *d)
{
	buf_printf(b, "{\"error\":");
	json_put_str(b, d->error);
	buf_printf(b, ",\"rule\":");
	put_or_null(b, d->rule);
	buf_printf(b, ",\"reason\":");
	json_put_str(b, d->reason);
	buf_printf(b, ",\"ask_id\":");
	put_or_null(b, d->ask_id);
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

/*
 * The decoders of the base library on any bytes: attach frames and audit
 * events never overrun, and what they borrow lies inside the input.
 */
#include <stdlib.h>
#include <string.h>

#include "base/attach.h"
#include "base/audit_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
attach(const uint8_t *data, size_t size)
{
	struct buf b;
	enum attach_type type;
	const uint8_t *p;
	size_t n;

	buf_init(&b, 0);
	buf_put(&b, data, size);
	while (attach_peek(&b, &type, &p, &n) == 1) {
		if (n > ATTACH_MAX || p + n > b.data + b.len)
			abort();
		buf_consume(&b, ATTACH_HEADER + n);
	}
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct audit_head h;
	struct audit_field f;
	struct cur c;

	attach(data, size);
	cur_init(&c, data, size);
	if (audit_ev_decode(&c, &h) == 0)
		for (uint32_t i = 0; i < h.fields; i++)
			if (audit_ev_field(&c, &f) < 0)
				break;
	return 0;
}

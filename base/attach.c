#include "base/attach.h"

#include "base/log.h"

void
attach_put(struct buf *b, enum attach_type type, const void *p, size_t n)
{
	if (n > ATTACH_MAX)
		fatalx("attach frame of %zu bytes", n);
	buf_put_u8(b, (uint8_t)type);
	buf_put_u32(b, (uint32_t)n);
	buf_put(b, p, n);
}

int
attach_peek(
    const struct buf *b, enum attach_type *type, const uint8_t **p, size_t *n)
{
	struct cur c;
	uint8_t t;
	uint32_t len;

	if (buf_len(b) < ATTACH_HEADER)
		return 0;
	cur_init(&c, buf_head(b), buf_len(b));
	t = cur_u8(&c);
	len = cur_u32(&c);
	if (len > ATTACH_MAX)
		return -1;
	switch ((enum attach_type)t) {
	case ATTACH_STDIN:
	case ATTACH_STDIN_EOF:
	case ATTACH_WINSIZE:
	case ATTACH_SIGNAL:
	case ATTACH_DETACH:
	case ATTACH_STDOUT:
	case ATTACH_STDERR:
	case ATTACH_NOTICE:
	case ATTACH_EXIT:
	case ATTACH_HELLO:
	case ATTACH_LIVE:
	case ATTACH_BYE:
		break;
	default:
		return -1;
	}
	if (c.left < len)
		return 0;
	*type = (enum attach_type)t;
	*p = cur_bytes(&c, len);
	*n = len;
	return 1;
}

#include "proxy/front_grpc.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"

/* Clients take 8 KiB of fields by default. */
#define MESSAGE_MAX 4096u

bool
grpc_is_call(const struct fields *request)
{
	static const char call[] = "application/grpc";
	const char *type = fields_get(request, "content-type", NULL);
	char next;

	if (type == NULL || strncasecmp(type, call, sizeof(call) - 1) != 0)
		return false;
	/* Not grpc-web, which has messages of its own. */
	next = type[sizeof(call) - 1];
	return next == '\0' || next == '+' || next == ';';
}

/* "HTTP to gRPC Status Code Mapping". */
static unsigned int
code(unsigned int status)
{
	switch (status) {
	case 400:
		return 13; /* INTERNAL */
	case 401:
		return 16; /* UNAUTHENTICATED */
	case 403:
		return 7; /* PERMISSION_DENIED */
	case 404:
		return 12; /* UNIMPLEMENTED */
	case 429:
	case 502:
	case 503:
	case 504:
		return 14; /* UNAVAILABLE */
	default:
		return 2; /* UNKNOWN */
	}
}

void
grpc_refusal(struct fields *fs, unsigned int status, const char *text, size_t n)
{
	cleanup_buf struct buf b = { 0 };
	char number[8];

	for (size_t i = 0; i < n && buf_len(&b) + 3 <= MESSAGE_MAX; i++) {
		const unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c > 0x7e || c == '%')
			buf_printf(&b, "%%%02X", c);
		else
			buf_put_u8(&b, c);
	}
	buf_put_u8(&b, '\0');
	snprintf(number, sizeof(number), "%u", code(status));
	fields_set(fs, "content-type", "application/grpc");
	fields_set(fs, "grpc-status", number);
	fields_set(fs, "grpc-message", (const char *)buf_head(&b));
}

/* What an upstream proxy answers to CONNECT: the same for any chunking, and
 * bytes of the tunnel are never taken for the answer's. */
#include <stdlib.h>
#include <string.h>

#include "proxy/dial_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	enum connect_result r;
	size_t used;
	char why[256];
};

static void
answer(struct outcome *o, const uint8_t *data, size_t size, size_t step)
{
	struct http_parser p;
	struct buf in;

	memset(o, 0, sizeof(*o));
	o->r = CONNECT_MORE;
	http_parser_init(&p, true);
	http_parser_for(&p, "CONNECT");
	buf_init(&in, 0);
	while (o->r == CONNECT_MORE && o->used < size) {
		size_t n = size - o->used < step ? size - o->used : step;
		/* A copy of just that size: reading on is caught. */
		uint8_t *piece = malloc(n);
		size_t used = 0;

		if (piece == NULL)
			abort();
		memcpy(piece, data + o->used, n);
		o->r = dial_connect_answer(
		    &p, &in, piece, n, &used, o->why, sizeof(o->why));
		free(piece);
		if (used > n || (o->r == CONNECT_MORE && used != n))
			abort();
		o->used += used;
	}
	http_parser_free(&p);
	buf_free(&in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, cut;

	answer(&whole, data, size, 1u << 20);
	for (size_t step = 1; step < 9; step += 3) {
		answer(&cut, data, size, step);
		if (cut.r != whole.r)
			abort();
		if (whole.r == CONNECT_OPEN && cut.used != whole.used)
			abort();
		if (whole.r == CONNECT_BAD && strcmp(cut.why, whole.why) != 0)
			abort();
	}
	if (whole.r == CONNECT_OPEN &&
	    (whole.used < 4 || memcmp(data + whole.used - 2, "\r\n", 2) != 0))
		abort();
	return 0;
}

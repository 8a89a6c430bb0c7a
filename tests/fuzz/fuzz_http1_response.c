/* HTTP/1.1 responses: in one piece and in small ones, the parser agrees. */
#include <stdlib.h>

#include "tests/proxy/http1_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = { 0 }, cut = { 0 };

	if (size == 0)
		return 0;
	run_http1(&whole, true, data[0] % 2 ? "HEAD" : "GET", data + 1,
	    size - 1, size, 0);
	for (size_t step = 1; step < 9; step += 3) {
		buf_clear(&cut);
		run_http1(&cut, true, data[0] % 2 ? "HEAD" : "GET", data + 1,
		    size - 1, size / 3, step);
		if (buf_len(&whole) != buf_len(&cut) ||
		    (buf_len(&cut) > 0 &&
			memcmp(buf_head(&whole), buf_head(&cut),
			    buf_len(&cut)) != 0))
			abort();
	}
	buf_free(&whole);
	buf_free(&cut);
	return 0;
}

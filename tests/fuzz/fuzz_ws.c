/*
 * Frames of a WebSocket from any bytes.  Bits of the first byte: masked, the
 * extension agreed on; the second says how to cut.  What comes out is well
 * formed and says the same however the input was cut.
 */
#include "tests/proxy/ws_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ws_run whole, cut;
	bool masked, deflate;
	size_t chunk;

	if (size < 2)
		return 0;
	masked = (data[0] & 1) != 0;
	deflate = (data[0] & 2) != 0;
	chunk = 1 + data[1] % 40;
	data += 2;
	size -= 2;
	ws_run_max = 1u << 19;
	ws_run(&whole, masked, deflate, "secret-value", "STUB-IN-PLAC", data,
	    size, 0, 1u << 20);
	ws_run(&cut, masked, deflate, "secret-value", "STUB-IN-PLAC", data,
	    size, chunk, 1 + chunk * 3);
	if (whole.cut || cut.cut)
		goto out;
	if (whole.code != cut.code ||
	    buf_len(&whole.log) != buf_len(&cut.log) ||
	    (buf_len(&cut.log) > 0 &&
		memcmp(buf_head(&whole.log), buf_head(&cut.log),
		    buf_len(&cut.log)) != 0))
		abort();
out:
	ws_run_free(&whole);
	ws_run_free(&cut);
	return 0;
}

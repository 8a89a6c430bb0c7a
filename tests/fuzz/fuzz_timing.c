/*
 * The reader of the times of a job's output: any bytes are an end to it, and
 * the output is played whole or up to where the times end it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fdutil.h"
#include "daemon/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char log[] = "the output of a job, of some length\n";
	cleanup_fd int l = fd_memfd("log", log, sizeof(log));
	cleanup_fd int t = fd_memfd("times", data, size);
	cleanup_buf struct buf carry = { 0 }, text = { 0 };
	struct replay_event e;
	struct error err = { 0 };
	uint64_t last = 0, got = 0;
	struct replay r;

	replay_init(&r, l, t, 1, 0);
	do {
		if (replay_next(&r, &e, &err) != 0 || e.us < last)
			abort();
		last = e.us;
		if (e.n > 0 && memcmp(e.bytes, log + got, e.n) != 0)
			abort();
		got += e.n;
	} while (e.kind != REPLAY_END);
	replay_free(&r);
	if (got != sizeof(log))
		abort();
	replay_utf8(&carry, data, size, true, &text);
	if (buf_len(&carry) != 0)
		abort();
	return 0;
}

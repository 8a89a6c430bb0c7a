/*
 * Swapping in any body: the first byte chooses the type, the second the size
 * of the pieces.  The result is the same whole and in pieces, as long as it
 * was, holds no more values than were put, and what is not a stub is there.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/secret.h"
#include "proxy/scrub.h"
#include "proxy/swap_body.h"

#define STUB "stub/A+B"
#define REAL "real/C+D"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t
run(enum swap_body_type type, const struct secret *value, const uint8_t *p,
    size_t n, size_t step, struct buf *out)
{
	struct swap_body *s = swap_body_new(type);
	uint64_t count;

	swap_body_add(s, STUB, value);
	if (!swap_body_keeps_length(s))
		abort();
	for (size_t at = 0, k; at < n; at += k) {
		k = n - at < step ? n - at : step;
		swap_body_feed(s, p + at, k, out);
		if (buf_len(out) + swap_body_held(s) != at + k)
			abort();
	}
	swap_body_end(s, out);
	count = swap_body_count(s);
	swap_body_free(s);
	return count;
}

/* Everything in plain sight: scrubbing must give the body back. */
static void
check_back(const uint8_t *p, size_t n, const struct buf *swapped)
{
	struct scrub *s = scrub_new();
	cleanup_buf struct buf same = { 0 }, back = { 0 };

	scrub_add(s, REAL, STUB, strlen(STUB));
	scrub_feed(s, p, n, &same);
	scrub_end(s, &same);
	if (scrub_count(s) == 0) {
		scrub_feed(s, buf_head(swapped), buf_len(swapped), &back);
		scrub_end(s, &back);
		if (buf_len(&back) != n || memcmp(buf_head(&back), p, n) != 0)
			abort();
	}
	scrub_free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum swap_body_type types[] = { SWAP_BODY_JSON,
		SWAP_BODY_FORM, SWAP_BODY_TEXT };
	struct secret *value;
	struct buf whole, parts;
	uint64_t count;
	enum swap_body_type type;

	if (size < 3)
		return 0;
	if ((value = secret_new(REAL, strlen(REAL))) == NULL)
		abort();
	type = types[data[0] % 3];
	buf_init_wipe(&whole, 0);
	buf_init_wipe(&parts, 0);
	count = run(type, value, data + 2, size - 2, size, &whole);
	if (run(type, value, data + 2, size - 2, 1 + data[1] % 16, &parts) !=
		count ||
	    buf_len(&whole) != size - 2 || buf_len(&parts) != size - 2 ||
	    memcmp(buf_head(&whole), buf_head(&parts), size - 2) != 0)
		abort();
	if (count == 0 && memcmp(buf_head(&whole), data + 2, size - 2) != 0)
		abort();
	if (memchr(data + 2, '\\', size - 2) == NULL &&
	    memchr(data + 2, '%', size - 2) == NULL)
		check_back(data + 2, size - 2, &whole);
	buf_free(&whole);
	buf_free(&parts);
	secret_free(value);
	return 0;
}

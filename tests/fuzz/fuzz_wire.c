/* Heads between front and back: what decodes encodes to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "proxy/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
same(const struct buf *b, const uint8_t *data, size_t n)
{
	if (buf_len(b) != n || memcmp(buf_head(b), data, n) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cur c;
	struct req_head rq;
	struct rsp_head rs;
	struct fields fs;
	struct buf b = { 0 };

	cur_init(&c, data, size);
	if (req_head_get(&c, &rq) == 0) {
		if (req_head_put(&b, &rq) == 0)
			same(&b, data, size);
		req_head_free(&rq);
	}
	buf_clear(&b);
	cur_init(&c, data, size);
	if (rsp_head_get(&c, &rs) == 0) {
		if (rsp_head_put(&b, &rs) == 0)
			same(&b, data, size);
		rsp_head_free(&rs);
	}
	buf_clear(&b);
	cur_init(&c, data, size);
	if (trailers_get(&c, &fs) == 0) {
		if (trailers_put(&b, &fs) == 0)
			same(&b, data, size);
		fields_free(&fs);
	}
	buf_free(&b);
	return 0;
}

/* What a job is, decoded: what is accepted encodes to the same bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/jobspec.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct shim_spec s;
	struct buf b;
	struct cur c;

	cur_init(&c, p, n);
	if (shim_spec_get(&c, &s) < 0)
		return 0;
	buf_init(&b, 0);
	if (cur_end(&c) == 0 &&
	    (shim_spec_put(&b, &s) < 0 || buf_len(&b) != n ||
		memcmp(buf_head(&b), p, n) != 0))
		abort();
	buf_free(&b);
	shim_spec_free(&s);
	return 0;
}

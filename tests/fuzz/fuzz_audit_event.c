/*
 * Any bytes as an audit event: refused, or one line that the verifier takes.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/audit_render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct audit_verify av;
	struct audit_meta m = { .seq = 1, .boot = "b", .from = ROLE_SHIM };
	uint8_t prev[AUDIT_HASH_SIZE] = { 0 }, hash[AUDIT_HASH_SIZE];
	struct buf out;
	int rv;

	buf_init(&out, 0);
	rv = audit_render(&m, data, size, prev, &out, hash);
	if (rv < 0 && buf_len(&out) != 0)
		abort();
	if (rv == 0) {
		audit_verify_init(&av);
		audit_verify_bytes(&av, buf_head(&out), buf_len(&out));
		if (audit_verify_end(&av)->result != AUDIT_OK ||
		    av.v.records != 1 ||
		    memcmp(av.v.head, hash, sizeof(hash)) != 0)
			abort();
	}
	buf_free(&out);
	return 0;
}

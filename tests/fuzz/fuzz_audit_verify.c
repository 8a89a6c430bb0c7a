/*
 * Any bytes as an audit log: the verdict does not depend on how they arrive.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/audit_verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct audit_verify whole, parts;

	audit_verify_init(&whole);
	audit_verify_bytes(&whole, data, size);
	audit_verify_end(&whole);
	audit_verify_init(&parts);
	for (size_t i = 0; i < size; i++)
		audit_verify_bytes(&parts, data + i, 1);
	audit_verify_end(&parts);
	if (memcmp(&whole.v, &parts.v, sizeof(whole.v)) != 0 ||
	    whole.v.bytes + whole.v.torn > size)
		abort();
	return 0;
}

/* DNS queries: an answer can be made to whatever was read. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/dnswire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t addr[16] = { 0xfd };
	struct dns_query q;
	enum dns_rcode rcode;
	struct buf b = { 0 };

	if (dns_parse(data, size, &q, &rcode) < 0)
		return 0;
	if (q.name[0] != '\0' && !str_is_hostname(q.name))
		abort();
	dns_put_answer(&b, &q, rcode, addr, sizeof(addr), 60);
	if (buf_len(&b) < 12 || buf_failed(&b))
		abort();
	buf_free(&b);
	return 0;
}

#include "sandbox/trace_stub.h"

#include <stdint.h>

#include "base/log.h"

/* write(2, text, n); exit_group(status); then what no program goes beyond. */
void
trace_stub_put(struct buf *b, const char *text, size_t n, int status)
{
#if defined(__x86_64__)
	size_t at = buf_len(b);

	if (n > TRACE_STUB_TEXT_MAX)
		fatalx("a stub with %zu bytes of text", n);
	buf_put(b, "\xbf\x02\x00\x00\x00", 5); /* mov edi, 2 */
	buf_put(b, "\x48\x8d\x35", 3);         /* lea rsi, [rip+N] */
	buf_put_u32(b, 0);
	buf_put_u8(b, 0xba); /* mov edx, n */
	buf_put_u32(b, (uint32_t)n);
	buf_put(b, "\xb8\x01\x00\x00\x00\x0f\x05", 7); /* write */
	buf_put_u8(b, 0xbf);                           /* mov edi, status */
	buf_put_u32(b, (uint32_t)status);
	buf_put(b, "\xb8\xe7\x00\x00\x00\x0f\x05", 7); /* exit_group */
	buf_put(b, "\x0f\x0b", 2);                     /* ud2 */
	/* The displacement counts from the end of the lea. */
	buf_patch_u32(b, at + 8, (uint32_t)(buf_len(b) - at - 12));
#elif defined(__aarch64__)
	const uint32_t movz = 0xd2800000u, svc = 0xd4000001u;
	const uint32_t code_after_adr = 8 * 4;

	if (n > TRACE_STUB_TEXT_MAX)
		fatalx("a stub with %zu bytes of text", n);
	buf_put_u32(b, movz | 2u << 5 | 0); /* x0 = 2 */
	buf_put_u32(b, 0x10000000u | (code_after_adr / 4) << 5 | 1); /* adr */
	buf_put_u32(b, movz | (uint32_t)n << 5 | 2); /* x2 = n */
	buf_put_u32(b, movz | 64u << 5 | 8);         /* write */
	buf_put_u32(b, svc);
	buf_put_u32(b, movz | (uint32_t)status << 5 | 0);
	buf_put_u32(b, movz | 94u << 5 | 8); /* exit_group */
	buf_put_u32(b, svc);
	buf_put_u32(b, 0x00000000u); /* udf */
#else
#error "exec mediation is not written for this machine"
#endif
	buf_put(b, text, n);
}

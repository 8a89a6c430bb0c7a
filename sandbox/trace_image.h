/*
 * The initial stack of a fresh process image (System V ABI): argc, argv,
 * envp, auxiliary vector, strings.  Pure: bytes in, pointers out; used by the
 * tracer on bytes that the traced process cannot change any more but did
 * choose.
 */
#ifndef BRIG_SANDBOX_TRACE_IMAGE_H
#define BRIG_SANDBOX_TRACE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

struct trace_image {
	const char **argv; /* NULL-terminated, pointing into the bytes */
	size_t argc;
	size_t argv_bytes; /* with their NULs */
	const char **envp;
	size_t envc;
	const char *execfn; /* AT_EXECFN, or "" */
};

/*
 * p: n bytes that lie at address base (the stack pointer) of the process.
 * NULL, or a sentence that says what is wrong; then nothing is held.
 */
const char *trace_image_parse(
    struct trace_image *im, const uint8_t *p, size_t n, uint64_t base);
void trace_image_free(struct trace_image *im);

#endif

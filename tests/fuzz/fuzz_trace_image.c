/* The stack of a new process image, as the exec tracer reads it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/trace_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct trace_image im;
	size_t sum = 0;

	if (trace_image_parse(&im, p, n, 0x1000) != NULL)
		return 0;
	for (size_t i = 0; i < im.argc; i++)
		sum += strlen(im.argv[i]) + 1;
	if (sum != im.argv_bytes || im.argv[im.argc] != NULL ||
	    im.envp[im.envc] != NULL || strlen(im.execfn) >= n)
		abort();
	trace_image_free(&im);
	return 0;
}

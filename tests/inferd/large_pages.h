/*
 * How much of a mapping large pages map.  Behind cmocka.
 */
#ifndef BRIG_TESTS_INFERD_LARGE_PAGES_H
#define BRIG_TESTS_INFERD_LARGE_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the mapping at p; what: as proc_pid_smaps(5) calls it, with its
 * colon: of files "FilePmdMapped:", of memory "AnonHugePages:". */
static inline uint64_t
large_pages_at(const void *p, const char *what)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long begin, end, n = 0;
	const size_t len = strlen(what);
	char line[512];
	bool here = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			here = (uintptr_t)p >= begin && (uintptr_t)p < end;
		else if (here && strncmp(line, what, len) == 0)
			n = strtoul(line + len, NULL, 10);
	}
	fclose(f);
	return (uint64_t)n << 10;
}

#endif

/* How long what would hang is waited for; the seconds of tests/lib.sh. */
#ifndef BRIG_TESTS_JAIL_BOUND_H
#define BRIG_TESTS_JAIL_BOUND_H

#include <stdlib.h>

/* seconds, times $BRIG_PATIENCE on machines that are slow. */
static inline unsigned int
bound(unsigned int seconds)
{
	const char *s = getenv("BRIG_PATIENCE");

	return s == NULL ? seconds
			 : seconds * (unsigned int)strtoul(s, NULL, 10);
}

#endif

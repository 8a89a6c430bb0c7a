#include "tests/proxy/later.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t *ahead; /* ms */

void
later_init(void)
{
	void *p = mmap(NULL, sizeof(*ahead), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	ahead = p;
}

void
later(uint64_t ms)
{
	atomic_fetch_add(ahead, ms);
}

/* In place of libc's. */
int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int ret = (int)syscall(SYS_clock_gettime, id, ts);
	uint64_t ms = ahead == NULL ? 0 : atomic_load(ahead);

	ts->tv_sec += (time_t)(ms / 1000);
	ts->tv_nsec += (long)(ms % 1000) * 1000000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_nsec -= 1000000000;
		ts->tv_sec++;
	}
	return ret;
}

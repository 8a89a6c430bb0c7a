#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "sandbox/doctor_part.h"

#define YEAR_OLDEST 2024 /* clocks that say less were never set */
#define LOCK_SIZE 65536u

/* Ids of the range that this user namespace has: a container may have few. */
static uint64_t
mapped_ids(uint64_t base, uint64_t count)
{
	FILE *f = fopen("/proc/self/uid_map", "re");
	uint64_t inside, outside, n, from, to, sum = 0;

	if (f == NULL)
		return 0;
	while (fscanf(f, "%" SCNu64 " %" SCNu64 " %" SCNu64, &inside, &outside,
		   &n) == 3) {
		from = inside > base ? inside : base;
		to = inside + n < base + count ? inside + n : base + count;
		if (to > from)
			sum += to - from;
	}
	(void)fclose(f);
	return sum;
}

/* An account in the range, or "". */
static void
account_in_range(uint64_t base, uint64_t count, char *name, size_t size)
{
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *pw;

	name[0] = '\0';
	while (f != NULL && (pw = fgetpwent(f)) != NULL)
		if (pw->pw_uid >= base && pw->pw_uid < base + count) {
			(void)strlcpy(name, pw->pw_name, size);
			break;
		}
	if (f != NULL)
		(void)fclose(f);
}

/* Somebody's range in /etc/subuid that overlaps: its line, or "". */
static void
subuid_in_range(uint64_t base, uint64_t count, char *name, size_t size)
{
	FILE *f = fopen("/etc/subuid", "re");
	char line[256], who[64];
	uint64_t from, n;

	name[0] = '\0';
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%63[^:]:%" SCNu64 ":%" SCNu64, who, &from,
			&n) == 3 &&
		    from < base + count && base < from + n) {
			(void)strlcpy(name, who, size);
			break;
		}
	if (f != NULL)
		(void)fclose(f);
}

static void
check_ids(const struct doctor *d)
{
	static const char what[] = "a host uid for each job";
	uint64_t base = d->job_uid_base, count = d->job_uid_count, mapped;
	char who[64];

	if (count == 0)
		return;
	mapped = mapped_ids(base, count);
	if (mapped < count) {
		doctor_say(d, "ids", what, "job-uids", DOCTOR_FATAL,
		    "%" PRIu64 " of the %" PRIu64 " ids from %" PRIu64
		    " exist here (/proc/self/uid_map): choose another range",
		    mapped, count, base);
		return;
	}
	account_in_range(base, count, who, sizeof(who));
	if (who[0] != '\0') {
		doctor_say(d, "ids", what, "job-uids", DOCTOR_MISSING,
		    "account %s is in the range from %" PRIu64
		    ": a job could be that user",
		    who, base);
		return;
	}
	subuid_in_range(base, count, who, sizeof(who));
	if (who[0] != '\0' && !str_eq(who, "brig"))
		doctor_say(d, "ids", what, "job-uids", DOCTOR_FALLBACK,
		    "/etc/subuid gives ids from the range to %s as well: its "
		    "containers can share an id with a job",
		    who);
	else
		doctor_say(d, "ids", what, "job-uids", DOCTOR_IN_FORCE,
		    "%" PRIu64 " from %" PRIu64, count, base);
}

static void
check_clock(const struct doctor *d)
{
	static const char what[] = "certificates and records have true dates";
	time_t now = time(NULL);
	struct timex t = { 0 };
	struct tm tm;

	if (gmtime_r(&now, &tm) == NULL || tm.tm_year + 1900 < YEAR_OLDEST)
		doctor_say(d, "clock", what, "clock", DOCTOR_MISSING,
		    "the clock was never set: TLS to any host will fail");
	else if (adjtimex(&t) >= 0 && !(t.status & STA_UNSYNC))
		doctor_say(d, "clock", what, "clock", DOCTOR_IN_FORCE,
		    "synchronised, within %ld ms", t.maxerror / 1000);
	else
		doctor_say(d, "clock", what, "clock", DOCTOR_IN_FORCE,
		    "set; the kernel is not told that it is synchronised");
}

static void
check_entropy(const struct doctor *d)
{
	static const char what[] = "keys cannot be guessed";
	char c;

	if (getrandom(&c, 1, GRND_NONBLOCK) == 1)
		doctor_say(d, "entropy", what, "getrandom", DOCTOR_IN_FORCE,
		    "the kernel's generator is seeded");
	else
		doctor_say(d, "entropy", what, "getrandom", DOCTOR_FATAL,
		    "%s: brigd waits until the generator is seeded",
		    strerror(errno));
}

static void
check_memory_lock(const struct doctor *d)
{
	static const char what[] = "secrets never reach swap";
	FILE *f = fopen("/proc/swaps", "re");
	char line[256];
	int swaps = -1; /* the heading */
	void *p;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		swaps++;
	if (f != NULL)
		(void)fclose(f);
	p = mmap(NULL, LOCK_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED && mlock(p, LOCK_SIZE) == 0)
		doctor_say(d, "mlock", what, "mlock", DOCTOR_IN_FORCE, "%s",
		    swaps > 0 ? "locked memory" : "no swap either");
	else if (swaps > 0)
		doctor_say(d, "mlock", what, "mlock", DOCTOR_MISSING,
		    "%s, and there is swap: raise RLIMIT_MEMLOCK",
		    strerror(errno));
	else
		doctor_say(d, "mlock", what, "no swap", DOCTOR_FALLBACK,
		    "memory cannot be locked (%s), but there is no swap",
		    strerror(errno));
	if (p != MAP_FAILED)
		(void)munmap(p, LOCK_SIZE);
}

static void
tell_lsms(const struct doctor *d)
{
	FILE *f = fopen("/sys/kernel/security/lsm", "re");
	char line[256] = "";

	if (f == NULL)
		return;
	if (fgets(line, sizeof(line), f) != NULL)
		doctor_say(d, "lsm", "security modules", "kernel", DOCTOR_NOTE,
		    "%.*s", (int)strcspn(line, "\n"), line);
	(void)fclose(f);
}

void
doctor_host(const struct doctor *d)
{
	check_ids(d);
	check_memory_lock(d);
	check_clock(d);
	check_entropy(d);
	tell_lsms(d);
}

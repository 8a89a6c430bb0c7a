/*
 * Which host uid a job gets: one to itself, and none that any process of the
 * host has, whoever started it.
 */
#include "daemon/parent.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"

/*
 * Our own jobs are known; strangers with a uid of the range are a mistake of
 * an administrator and are looked for once in a while.
 */
#define SCAN_MS 1000u

static bool
ours(const struct parent *pa, uid_t uid)
{
	for (const struct job *j = pa->jobs; j != NULL; j = j->next)
		if (j->host_uid == uid)
			return true;
	return false;
}

/* Marks the offsets that processes of the host have. */
static void
scan(struct parent *pa)
{
	const struct conf *c = &pa->conf;
	const struct dirent *e;
	struct stat st;
	DIR *d;

	if (pa->uids_busy == NULL)
		pa->uids_busy = xcalloc(c->job_uid_count, sizeof(bool));
	else if (ev_now_ms() - pa->uids_scanned < SCAN_MS)
		return;
	pa->uids_scanned = ev_now_ms();
	memset(pa->uids_busy, 0, c->job_uid_count * sizeof(bool));
	d = opendir("/proc");
	/* The owner of /proc/PID is its effective uid, dumpable or not. */
	while (d != NULL && (e = readdir(d)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]) &&
		    fstatat(dirfd(d), e->d_name, &st, 0) == 0 &&
		    st.st_uid >= c->job_uid_base &&
		    st.st_uid - c->job_uid_base < c->job_uid_count)
			pa->uids_busy[st.st_uid - c->job_uid_base] = true;
	if (d != NULL)
		closedir(d);
}

/* Round robin, so that a uid rests before the next job gets it. */
uid_t
uid_take(struct parent *pa, struct error *err)
{
	const struct conf *c = &pa->conf;
	uint32_t strangers = 0;

	if (pa->njobs >= c->max_jobs) {
		(void)error_set(err, 0,
		    "%u jobs are open, as many as max-jobs allows: wait for "
		    "one to end, or raise max-jobs in brigd.conf",
		    c->max_jobs);
		return 0;
	}
	scan(pa);
	for (uint32_t i = 0; i < c->job_uid_count; i++) {
		uint32_t off = pa->next_uid++ % c->job_uid_count;

		if (ours(pa, c->job_uid_base + off))
			continue;
		if (!pa->uids_busy[off])
			return c->job_uid_base + off;
		strangers++;
	}
	(void)error_set(err, 0,
	    "no job uid is free: of %u, %u belong to processes that brigd did "
	    "not start: end these, or set job-uids in brigd.conf",
	    c->job_uid_count, strangers);
	return 0;
}

/*
 * How many descriptors the parent may have open.  Each running job costs it
 * some for as long as it runs, so its soft limit is raised to what max-jobs
 * need; its children begin with the limits that the parent was started with,
 * so that a job gets none of ours.
 */
#include "daemon/parent.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"

/*
 * Of a running job: three channels, three capture sockets, pid 1, two of its
 * group, and as many again that are on their way in a message.
 */
#define FILES_PER_JOB 20u
/* Singletons and files, and a burst of jobs that begin at once. */
#define FILES_OWN 512u
/* A job is not begun with fewer left. */
#define FILES_SPARE 64u

int
parent_files(struct conf *c, struct rlimit *former, struct error *err)
{
	rlim_t want = FILES_OWN + (rlim_t)c->max_jobs * FILES_PER_JOB;
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, former) < 0)
		return error_set(err, errno, "getrlimit nofile");
	if (former->rlim_cur >= want)
		return 0;
	rl.rlim_cur = want;
	rl.rlim_max = former->rlim_max > want ? former->rlim_max : want;
	if (setrlimit(RLIMIT_NOFILE, &rl) == 0)
		return 0;
	/* Without CAP_SYS_RESOURCE, or beyond fs.nr_open. */
	if (former->rlim_max < FILES_OWN + FILES_PER_JOB ||
	    !c->max_jobs_default)
		return error_set(err, errno,
		    "max-jobs %u takes %llu open files, and the limit is %llu: "
		    "raise it (LimitNOFILE= of the unit, ulimit -Hn), or set a "
		    "lower max-jobs",
		    c->max_jobs, (unsigned long long)want,
		    (unsigned long long)former->rlim_max);
	rl.rlim_cur = rl.rlim_max = former->rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		return error_set(err, errno, "setrlimit nofile");
	c->max_jobs = (uint32_t)(rl.rlim_max - FILES_OWN) / FILES_PER_JOB;
	log_warnx("max-jobs is %u: the limit of open files is %llu",
	    c->max_jobs, (unsigned long long)rl.rlim_max);
	return 0;
}

int
parent_files_left(struct error *err)
{
	int fd[FILES_SPARE], n = 0, r = 0;

	while (n < (int)FILES_SPARE && (fd[n] = eventfd(0, EFD_CLOEXEC)) >= 0)
		n++;
	if (n < (int)FILES_SPARE)
		r = error_set(err, errno,
		    "brigd has no descriptors left for another job: wait for "
		    "one to end, or raise the limit of open files");
	while (n > 0)
		close(fd[--n]);
	return r;
}

#include <unistd.h>

#include "base/error.h"
#include "sandbox/cgroup.h"
#include "sandbox/doctor_part.h"

/* What a host without the controller costs. */
static const struct {
	enum cgroup_ctl ctl;
	const char *id;
	const char *protection;
	enum doctor_state without;
	const char *cost;
} limits[] = {
	{ CGROUP_MEMORY, "cgroup-memory", "limit memory, of the whole job",
	    DOCTOR_FALLBACK, "the limit is address space for each process" },
	{ CGROUP_PIDS, "cgroup-pids", "limit procs", DOCTOR_FALLBACK,
	    "the limit is RLIMIT_NPROC of the job's uid" },
	{ CGROUP_CPU, "cgroup-cpu", "limit cpu, cpu-weight", DOCTOR_MISSING,
	    "a job can take every processor" },
	{ CGROUP_IO, "cgroup-io", "limit io", DOCTOR_MISSING,
	    "a job can take all of a disk's time" },
	{ CGROUP_FREEZER, "cgroup-freezer", "freeze and thaw", DOCTOR_MISSING,
	    "jobs cannot be paused" },
};

void
doctor_cgroup(const struct doctor *d)
{
	struct cgroup_host h;
	struct error err = { 0 };
	size_t i;
	int writable;

	if (cgroup_host_read(&h, NULL, &err) < 0) {
		doctor_say(d, "cgroup", "limits of jobs", "cgroups",
		    DOCTOR_MISSING, "%s", err.msg);
		return;
	}
	writable = geteuid() == 0 ? cgroup_host_writable(&h, &err) : 0;
	for (i = 0; i < nitems(limits); i++) {
		const struct cgroup_place *at = &h.at[limits[i].ctl];

		if (at->version == 0)
			doctor_say(d, limits[i].id, limits[i].protection,
			    "none", limits[i].without,
			    "no cgroup controller for it: %s", limits[i].cost);
		else if (writable < 0)
			doctor_say(d, limits[i].id, limits[i].protection,
			    at->version == 2 ? "cgroup v2" : "cgroup v1",
			    limits[i].without, "%s: %s", err.msg,
			    limits[i].cost);
		else
			doctor_say(d, limits[i].id, limits[i].protection,
			    at->version == 2 ? "cgroup v2" : "cgroup v1",
			    geteuid() == 0 ? DOCTOR_IN_FORCE : DOCTOR_UNTRIED,
			    "%s", at->dir);
	}
}

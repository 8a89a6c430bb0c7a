#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/cgroup.h"
#include "sandbox/doctor_part.h"

#define PROCS_MAX 65536u
#define SYSTEMD_RUNS "/run/systemd/system" /* sd_booted(3) */
#define SYSTEMD_SLICE "/system.slice"

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

/*
 * Where brigd's groups would be: below the configured parent; below the slice
 * of services where systemd has v2, since the group of whoever runs this has
 * fewer controllers; else below our own.
 */
static int
places(const struct doctor *d, struct cgroup_host *h, struct error *err)
{
	const char *parent = d->cgroup_parent;

	if (cgroup_host_read(h, parent, err) < 0)
		return -1;
	if (parent != NULL || h->at[CGROUP_MEMORY].version == 1 ||
	    h->unified.version == 0 || access(SYSTEMD_RUNS, F_OK) < 0)
		return 0;
	return cgroup_host_read(h, SYSTEMD_SLICE, err);
}

/* The controllers of a v2 group with processes are not for groups in it. */
static bool
is_shared(const struct cgroup_place *at)
{
	cleanup_free char *type = xasprintf("%s/cgroup.type", at->dir);
	cleanup_free char *procs = xasprintf("%s/cgroup.procs", at->dir);
	cleanup_buf struct buf b = { 0 };
	cleanup_fd int fd = -1;
	char self[24];

	buf_init(&b, 0);
	/* The root is excepted, and has no type. */
	if (at->version != 2 || access(type, F_OK) < 0 ||
	    (fd = open(procs, O_RDONLY | O_CLOEXEC)) < 0 ||
	    fd_read_all(fd, &b, PROCS_MAX) < 0)
		return false;
	buf_put_u8(&b, '\0');
	(void)snprintf(self, sizeof(self), "%d\n", (int)getpid());
	return buf_len(&b) > 1 && !str_eq((const char *)buf_head(&b), self);
}

static void
say_place(const struct doctor *d, size_t i, const struct cgroup_place *at)
{
	const bool root = geteuid() == 0;
	const char *mech = at->version == 2 ? "cgroup v2" : "cgroup v1";

	if (limits[i].ctl != CGROUP_FREEZER && is_shared(at))
		doctor_say(d, limits[i].id, limits[i].protection, mech,
		    limits[i].without,
		    "there are processes in %s: have systemd start brigd "
		    "(Delegate=yes), or set cgroup-parent; else %s",
		    at->dir, limits[i].cost);
	else if (limits[i].ctl == CGROUP_IO && at->version == 1)
		doctor_say(d, limits[i].id, limits[i].protection, mech,
		    root ? DOCTOR_FALLBACK : DOCTOR_UNTRIED,
		    "%s: what the kernel writes later is not held", at->dir);
	else
		doctor_say(d, limits[i].id, limits[i].protection, mech,
		    root ? DOCTOR_IN_FORCE : DOCTOR_UNTRIED, "%s", at->dir);
}

void
doctor_cgroup(const struct doctor *d)
{
	struct cgroup_host h;
	struct error err = { 0 };
	size_t i;
	int writable;

	if (d->cgroups_off || places(d, &h, &err) < 0) {
		doctor_say(d, "cgroup", "limits of jobs", "cgroups",
		    DOCTOR_MISSING, "%s",
		    d->cgroups_off ? "off in brigd.conf: limits are of each "
				     "process, and jobs cannot be paused"
				   : err.msg);
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
			say_place(d, i, at);
	}
}

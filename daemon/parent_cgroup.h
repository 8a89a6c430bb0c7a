/*
 * The control groups of jobs, held by the parent: made before the shim builds
 * the jail, told to the shim by descriptor, removed when nothing is left in
 * them.
 */
#ifndef BRIG_PARENT_CGROUP_H
#define BRIG_PARENT_CGROUP_H

#include "base/error.h"
#include "daemon/conf.h"

struct parent;
struct job;
struct job_cgroup;

/*
 * Whether cgroups can be used as the configuration wants; changes nothing
 * (brigd -n).  0 or -1.
 */
int pcg_probe(const struct conf *c, struct error *err);
/* Make our group, after removing what an earlier life left.  0 or -1. */
int pcg_open(struct parent *pa, struct error *err);
/* Counts of jobs are read when they change; after ev_new(). */
void pcg_watch(struct parent *pa);
void pcg_close(struct parent *pa);

/*
 * 0 if the limits of profile can be held or need not be, else -1: the job
 * is refused.  workspace_fd (borrowed) may be -1.
 */
int pcg_check(struct parent *pa, const char *profile, int workspace_fd,
    struct error *err);
/* Make the groups of a job that has its workspace descriptor.  0 or -1. */
int pcg_job_open(struct job *j, struct error *err);
/* Tell its shim, before M_SHIM_START. */
void pcg_job_wire(struct job *j);
/* SIGKILL to what is left in there. */
void pcg_job_kill(struct job *j);
/* Record what happened and remove; false: not empty yet. */
bool pcg_job_close(struct job *j);
/* 0, or -1 with err. */
int pcg_job_freeze(struct job *j, bool on, struct error *err);
/* M_JOB_CGROUP to control, if there is something to say. */
void pcg_job_tell(struct job *j);

#endif

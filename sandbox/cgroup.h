/*
 * What the host's control groups offer, and the groups of jobs (cgroups(7)):
 * v2, and v1 for each controller that a hybrid host keeps there.  Owned by the
 * parent, which makes groups below the one it runs in and nowhere else, mounts
 * nothing and touches no other group; brig doctor only looks.
 */
#ifndef BRIG_SANDBOX_CGROUP_H
#define BRIG_SANDBOX_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum cgroup_ctl {
	CGROUP_MEMORY,
	CGROUP_PIDS,
	CGROUP_CPU,
	CGROUP_IO,
	CGROUP_FREEZER, /* v2: no controller, every group can */
	CGROUP_CTLS
};

#define CGROUP_PATH_MAX 1024u
#define CGROUP_NAME_MAX 64u
#define CGROUP_MOUNTS_MAX (1024u * 1024) /* bytes of mountinfo looked at */

/* Where groups for a controller would be made. */
struct cgroup_place {
	unsigned int version;      /* 1 or 2; 0: the host has none */
	char dir[CGROUP_PATH_MAX]; /* absolute; "" if version is 0 */
};

struct cgroup_host {
	struct cgroup_place at[CGROUP_CTLS];
	struct cgroup_place unified; /* v2, whatever its controllers */
};

const char *cgroup_ctl_name(enum cgroup_ctl c); /* "memory" ... */

/*
 * Where this process's groups are, or those called parent (as in
 * /proc/self/cgroup: "/system.slice") if it is not NULL.  0, or -1 if /proc
 * cannot be read.  Changes nothing.
 */
int cgroup_host_read(
    struct cgroup_host *h, const char *parent, struct error *err);
/*
 * The pure part of it: texts of /proc/self/mountinfo and /proc/self/cgroup.
 * A v2 controller is one the caller finds in cgroup.controllers of
 * unified.dir: see cgroup_host_controllers().
 */
void cgroup_host_parse(struct cgroup_host *h, const char *mountinfo,
    const char *self, const char *parent);
/* Text of cgroup.controllers: those that v1 does not have are v2's. */
void cgroup_host_controllers(struct cgroup_host *h, const char *text);
/* "memory v1, pids v1, cpu v2"; "" if there are none.  Truncates. */
void cgroup_host_text(const struct cgroup_host *h, char *text, size_t size);
/*
 * 0 if groups could be made by this process at every place, else -1 with one
 * line that names the folder and what to do.
 */
int cgroup_host_writable(const struct cgroup_host *h, struct error *err);

/* ---- groups of jobs (cgroup_job.c) ------------------------------------- */

/* 0: no limit. */
struct cgroup_limits {
	uint64_t memory;      /* bytes of the whole job */
	uint64_t swap;        /* beyond memory, if that is limited */
	uint32_t procs;       /* processes and threads */
	uint32_t cpu_percent; /* of one processor */
	uint32_t cpu_weight;  /* 1 to 10000 */
	uint64_t io;          /* bytes a second, read and written each */
	dev_t io_dev[4];      /* of these devices; 0: no more */
};

/*
 * The disk behind an open file or folder, as io limits name it: 1 and *dev, 0
 * if it is on none (tmpfs, a network file system).
 */
int cgroup_device(int fd, dev_t *dev);

struct cgroups;
struct cgroup;

/*
 * Make our group `name` at each place of h, after ending and removing what an
 * earlier life left in a group of that name.  On v2 this process first moves
 * to a leaf, since a group with controllers for its children has no processes.
 * NULL with err if a group cannot be made; a controller that cannot be given
 * to children is only missing (see cgroups_check()).
 */
struct cgroups *cgroups_open(
    const struct cgroup_host *h, const char *name, struct error *err);
/* Remove our groups (those of jobs are gone by now) and free. */
void cgroups_close(struct cgroups *cs);
/* Each folder that is ours, for a later life to find; fn borrows dir. */
void cgroups_each(const struct cgroups *cs,
    void (*fn)(const char *dir, void *arg), void *arg);
/* End and remove what is in a folder of an earlier life, and the folder. */
void cgroups_sweep(const char *dir);

/*
 * 0 if every limit of l can be held; else -1 and one line that says which
 * controller is missing, why and what to do.  cs may be NULL: none.
 */
int cgroups_check(
    const struct cgroups *cs, const struct cgroup_limits *l, struct error *err);
/* What limits that are held do not cover; "" if that is nothing. */
const char *cgroups_note(
    const struct cgroups *cs, const struct cgroup_limits *l);
/* Bit per enum cgroup_ctl that l needs and that is there. */
unsigned int cgroups_held(
    const struct cgroups *cs, const struct cgroup_limits *l);

/*
 * The groups of one job, as few as l needs and one to end and freeze it with.
 * Limits that cannot be held are left out.  NULL with err.
 */
struct cgroup *cgroup_new(struct cgroups *cs, const char *name,
    const struct cgroup_limits *l, struct error *err);
/*
 * How to get a process in: a v2 folder for clone3(2) (-1: none), and up to max
 * v1 files to write "0" to.  Fresh descriptors; returns their number, or -1.
 */
int cgroup_entry(
    const struct cgroup *g, int *v2, int *v1, size_t max, struct error *err);
#define CGROUP_ENTRY_MAX 4u

/* A fresh descriptor of the file that cgroup_oom_read() reads; -1: none. */
int cgroup_oom_open(const struct cgroup *g);
/* Processes that the memory limit has killed, or 0. */
uint64_t cgroup_oom_read(int fd);
/* The pure part of it. */
uint64_t cgroup_count(const char *text, const char *key);
/* Forks that the procs limit has refused. */
uint64_t cgroup_pids_refused(const struct cgroup *g);
/*
 * Be told of both: an inotify(7) descriptor gets watches on the files that
 * change; returns by wd[0..1] (-1: none).  v1 memory has an eventfd(2) of its
 * own instead: *event, or -1.
 */
void cgroup_watch(const struct cgroup *g, int inotify, int wd[2], int *event);

/* 0, or -1 with err: no freezer here, or it does not take. */
int cgroup_freeze(const struct cgroup *g, bool on, struct error *err);
/*
 * SIGKILL to all that is in there, frozen or not.  Call again until
 * cgroup_remove() succeeds where the kernel has no cgroup.kill.
 */
void cgroup_kill(const struct cgroup *g);
/* True and freed when nothing was left in it; false: try again. */
bool cgroup_remove(struct cgroup *g);

#endif

/*
 * What this host does for a jail: which protection is enforced by which
 * mechanism, and whether it is.  `brig doctor` prints it.  Runs in the CLI;
 * everything is tried in children and on detached objects, so that nothing on
 * the host changes.
 */
#ifndef BRIG_SANDBOX_DOCTOR_H
#define BRIG_SANDBOX_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The worst first. */
enum doctor_state {
	DOCTOR_FATAL,    /* missing, and no job can run without it */
	DOCTOR_MISSING,  /* jobs run without this protection or feature */
	DOCTOR_FALLBACK, /* something weaker or slower takes its place */
	DOCTOR_UNTRIED,  /* needs root to be tried */
	DOCTOR_IN_FORCE,
	DOCTOR_NOTE, /* a fact that counts neither way */
};

struct doctor_row {
	const char *id;         /* stable, for scripts: "landlock" */
	const char *protection; /* what a job is kept from, or gets */
	const char *mechanism;
	enum doctor_state state;
	const char *detail; /* what was found, and what its absence costs */
};

struct doctor {
	const char *state_dir; /* NULL: what depends on it is left out */
	const char *workspace; /* NULL: none is looked at */
	uid_t job_uid_base;    /* ids of jobs; count 0: left out */
	uint32_t job_uid_count;
	bool cgroups_off;          /* by the configuration */
	const char *cgroup_parent; /* of it; NULL: brigd's own group */
	/* The row and its strings live until it returns. */
	void (*report)(void *arg, const struct doctor_row *row);
	void *arg;
};

/*
 * Try each mechanism and report a row for it.  As another user than root,
 * what only root can try is DOCTOR_UNTRIED.
 */
void doctor_run(const struct doctor *d);

/* "in force", "fallback" ...: one or two words. */
const char *doctor_state_name(enum doctor_state s);

#endif

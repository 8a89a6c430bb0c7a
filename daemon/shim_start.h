/*
 * From a job's specification and profile to the configuration of its jail.
 * Run by the shim, as root, before the jail is built.
 */
#ifndef BRIG_SHIM_START_H
#define BRIG_SHIM_START_H

#include "base/error.h"
#include "daemon/shim.h"
#include "daemon/shim_relay.h"
#include "sandbox/jail.h"

/* A jail's configuration and what it borrows. */
struct shim_jail {
	struct jail_config conf;
	struct jail_rule *rules;
	size_t nrules, cap;
	char **env;
	struct jail_cgroup cgroup;
};

/* Fill *sj from s, which has a profile; sj must outlive jail_build(). */
void shim_jail_init(struct shim_jail *sj, struct shim *s);
/*
 * Make the job's pipes: its ends into sj, ours into rc.  Nothing for a job
 * with a terminal.  0 or -1.
 */
int shim_jail_stdio(struct shim_jail *sj, const struct shim *s,
    struct relay_conf *rc, struct error *err);
/*
 * Open what the profile has in the place of the host's /usr and of a fresh
 * home, into sj (shim_files.c).  Takes as long as unpacking an archive does,
 * which the parent is told.  0 or -1.
 */
int shim_jail_files(struct shim_jail *sj, struct shim *s, struct error *err);
/* Free it and close the job's ends. */
void shim_jail_done(struct shim_jail *sj);

#endif

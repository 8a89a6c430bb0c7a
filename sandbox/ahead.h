/*
 * What a jail needs whatever its job is, made before there is one: the network
 * with its capture, and namespaces with the file tree but for what belongs to
 * the job.  Made and held by a shim that waits, and used by one jail only: that
 * shim's.
 */
#ifndef BRIG_SANDBOX_AHEAD_H
#define BRIG_SANDBOX_AHEAD_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "sandbox/capture.h"
#include "sandbox/jail.h"

/* The other namespaces tell when, or for whom, they were made. */
#define AHEAD_FLAGS (CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)
#define AHEAD_NS 3

struct jail_ahead {
	struct capture net;
	int ns[AHEAD_NS]; /* mount namespace first; all -1: no tree */
	int ca_fd;        /* whose bytes its /etc has, as in jail_config */
	uint64_t stamp;   /* tree_etc_stamp() of the rest of it */
	int mounts;       /* tells of changes of the host's mounts since */
};

void ahead_init(struct jail_ahead *a); /* all -1 */
/*
 * Make it, with copies of ca_fd and trust_fd, which belong together (as in
 * jail_config).  Needs what jail_build() needs; blocks some milliseconds.  -1
 * with err if a part could not be made; what could is there.
 */
int ahead_make(
    struct jail_ahead *a, int ca_fd, int trust_fd, struct error *err);
/* Its tree is what jail_build() would make for c now. */
bool ahead_fits(const struct jail_ahead *a, const struct jail_config *c);
/* In pid 1: the namespaces, with the tree as "/". */
int ahead_enter(const struct jail_ahead *a, struct error *err);
void ahead_close(struct jail_ahead *a);

#endif

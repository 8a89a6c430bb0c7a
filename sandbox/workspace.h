/*
 * The submitter's directory, as the job gets it.  Runs in the caller of
 * jail_build(), as root, in the host's mount namespace.
 */
#ifndef BRIG_SANDBOX_WORKSPACE_H
#define BRIG_SANDBOX_WORKSPACE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "sandbox/jail.h"

/*
 * Open c->workspace without following symbolic links and check that it is
 * the directory behind c->workspace_fd.  O_PATH descriptor or -1.
 */
int workspace_open(const struct jail_config *c, struct error *err);

/*
 * A detached mount of dir (nosuid, nodev, and attr) in which the on-disk
 * owner appears as the job: what belongs to c->owner_uid belongs to
 * c->host_uid, what the job creates belongs to c->owner_uid, everybody
 * else's files cannot be written.  Descriptor for move_mount(2), or -1.
 */
int workspace_mount(
    int dir, const struct jail_config *c, uint64_t attr, struct error *err);

/* A user namespace that maps the owner to the job, as MOUNT_ATTR_IDMAP wants
 * it: descriptor or -1. */
int workspace_id_ns(const struct jail_config *c, struct error *err);

/* The same for a detached mount of the submitter's files that is there
 * already; errors call it what.  0 or -1. */
int workspace_map(int mnt, const char *what, const struct jail_config *c,
    uint64_t attr, struct error *err);

/* uid_map and gid_map of process pid: one id each.  0 or -1. */
int userns_map(pid_t pid, uid_t in_uid, uid_t out_uid, gid_t in_gid,
    gid_t out_gid, struct error *err);

#endif

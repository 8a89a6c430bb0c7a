/*
 * Small steps of the new mount API (fsopen(2), open_tree(2), mount_setattr(2),
 * move_mount(2)) that the parts of the tree share.  Everything works on
 * descriptors; what is not attached goes away with its descriptor.
 */
#ifndef BRIG_SANDBOX_MOUNT_H
#define BRIG_SANDBOX_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "sandbox/sys.h"

#define MNT_COMMON (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define MNT_READ_ONLY (MNT_COMMON | MOUNT_ATTR_RDONLY)

struct mnt_opt {
	const char *key, *value; /* NULL: a flag */
};

/* A file system of our own, not attached yet, with MOUNT_ATTR_* attr: its
 * root, or -1. */
int mnt_new(const char *type, const struct mnt_opt *opts, size_t n,
    uint64_t attr, struct error *err);

/*
 * A clone of what path names below dir, whose links are resolved as if dir
 * were "/", with attr set: 1 and *fd, 0 where there is none, -1.  path "" is
 * dir itself.
 */
int mnt_clone(int dir, const char *path, bool recursive, uint64_t attr, int *fd,
    struct error *err);

/* Attach at path below dir, which has to exist, without links on the way.  0 or
 * -1. */
int mnt_attach(int mnt, int dir, const char *path, struct error *err);

/* mkdirat(2) that takes what exists.  0 or -1. */
int mnt_mkdir(int dir, const char *path, mode_t mode, struct error *err);
/* All directories of path below dir, mode 0755, without links.  0 or -1. */
int mnt_mkdirs(int dir, const char *path, struct error *err);

/* A new file with this text, mode 0444.  0 or -1. */
int mnt_text(int dir, const char *path, const char *text, struct error *err);
/* The same with size bytes of descriptor from, from its start. */
int mnt_copy(
    int from, int dir, const char *path, size_t size, struct error *err);

#endif

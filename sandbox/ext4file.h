/*
 * A size limit that holds for files of one owner on any file system: an ext4
 * in a sparse file, mounted through a loop device that frees itself.  Only
 * root writes the file, and only through the kernel.
 */
#ifndef BRIG_SANDBOX_EXT4FILE_H
#define BRIG_SANDBOX_EXT4FILE_H

#include <stdint.h>

#include "base/error.h"

#define EXT4FILE_WAIT_MS 5000u /* for a mount that is going away */

/* Bytes of the file for so much room and so many inodes; 0: the default. */
uint64_t ext4file_size(uint64_t size, uint32_t inodes);

/* Make it in the empty file fd.  0 or -1. */
int ext4file_make(int fd, uint64_t size, uint32_t inodes, struct error *err);

/*
 * Lock it.  The lock sits on the open file, which the loop device holds as
 * long as anything is mounted: so it is never mounted twice.  0, or -1 with
 * errno (EWOULDBLOCK: in use).
 */
int ext4file_lock(int fd, unsigned int wait_ms);

/* A detached mount of the locked file, nosuid and nodev, or -1. */
int ext4file_mount(int fd, struct error *err);

#endif

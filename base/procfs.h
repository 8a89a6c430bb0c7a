/*
 * Text of /proc, proc(5).  Pure.
 */
#ifndef BRIG_BASE_PROCFS_H
#define BRIG_BASE_PROCFS_H

#include <stdint.h>

/*
 * The number `skip` words behind "KEY:" at the beginning of a line, as in
 * /proc/PID/status.  0, or -1 if there is none.
 */
int procfs_number(
    const char *text, const char *key, int base, int skip, uint64_t *out);

#endif

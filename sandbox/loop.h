/*
 * Loop devices that free themselves.
 */
#ifndef BRIG_SANDBOX_LOOP_H
#define BRIG_SANDBOX_LOOP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define LOOP_PATH_SIZE 32u

/*
 * Attach a loop device to the file, which it keeps open with all locks on that
 * open file.  Its descriptor, and its path for a mount, or -1.  Closing the
 * descriptor lets go of the device as soon as it is not mounted either.
 */
int loop_attach(
    int file, bool read_only, char path[LOOP_PATH_SIZE], struct error *err);

#endif

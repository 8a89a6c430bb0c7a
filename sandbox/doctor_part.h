/* The parts of doctor_run(), each about one subject. */
#ifndef BRIG_SANDBOX_DOCTOR_PART_H
#define BRIG_SANDBOX_DOCTOR_PART_H

#include "base/compat.h"
#include "sandbox/doctor.h"

/* Report a row. */
void doctor_say(const struct doctor *d, const char *id, const char *protection,
    const char *mechanism, enum doctor_state state, const char *fmt, ...)
    attr_printf(6, 7);

void doctor_kernel(const struct doctor *d); /* the jail's layers */
void doctor_files(const struct doctor *d);  /* file systems, workspace */
void doctor_cgroup(const struct doctor *d); /* limits */
void doctor_host(const struct doctor *d);   /* ids, clock, entropy ... */

#endif

/*
 * The system call filters of a jail.  mkfilter makes them from syscalls.tab
 * with libseccomp at build time, because generating them takes longer than
 * building the jail.
 * no_new_privs must be set by whoever installs one.
 */
#ifndef BRIG_SANDBOX_FILTER_H
#define BRIG_SANDBOX_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum filter_level {
	FILTER_DEFAULT,
	FILTER_STRICT, /* no more than builds and interpreters need */
	FILTER_NESTED, /* default, and namespaces of the job's own */
};

/* "default", "strict" or "nested": the column of syscalls.tab. */
const char *filter_name(enum filter_level level);

#define FILTER_JOB_MAX 3 /* programs a workload is under */

/* pid 1, once the workload has been forked: what waiting and killing need,
 * anything else kills it.  0 or -1. */
int filter_install_init(struct error *err);

/*
 * The workload's filters, stacked: the strictest answer counts.  One names the
 * permitted calls (others: ENOSYS, so that libraries fall back), one looks at
 * arguments, and unless memfd_exec one refuses executable memfds.  Fills
 * prog[FILTER_JOB_MAX] with static programs, to be installed in this order;
 * returns how many.
 */
size_t filter_job(
    enum filter_level level, bool memfd_exec, struct sock_fprog *prog);

/* Install them.  0 or -1. */
int filter_install_job(
    enum filter_level level, bool memfd_exec, struct error *err);

#endif

/*
 * The system call filters of a jail.  Made with libseccomp once per shim, as
 * plain BPF, because generating them costs more than building the jail.
 */
#ifndef BRIG_SANDBOX_FILTER_H
#define BRIG_SANDBOX_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define FILTER_INSNS_MAX 2048u

struct filter {
	struct sock_filter insn[FILTER_INSNS_MAX];
	unsigned short len;
};

/*
 * What the workload runs under, all stacked: the strictest answer counts.
 * allow names the permitted calls (others: ENOSYS, so that libraries fall
 * back); deny looks at arguments.
 */
struct filter_set {
	struct filter allow;
	struct filter deny;
	struct filter init; /* pid 1, once the workload has been forked */
	bool ready;
};

/* Generate all three into fs.  0 or -1. */
int filter_generate(struct filter_set *fs, struct error *err);

/* Install one on this thread (no_new_privs must be set).  0 or -1. */
int filter_install(const struct filter *f, struct error *err);

/* The workload's filters; memfd_exec false adds one for memfd_create(2). */
int filter_install_job(
    const struct filter_set *fs, bool memfd_exec, struct error *err);

#endif

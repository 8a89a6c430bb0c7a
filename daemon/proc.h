/*
 * One child process of the parent: how it is started, and what the kernel
 * says about it.  Run by the parent only.
 */
#ifndef BRIG_PROC_H
#define BRIG_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/proto.h"

struct proc_spec {
	enum role role;
	const char *exe; /* program; argv[0] is "brigd" or "brig-shim" */
	int exe_fd;      /* > 0: the same, opened, which is what is run */
	uid_t uid;       /* what the child is to become; shim: 0 */
	gid_t gid;
	const char *root; /* directory to confine it to, NULL: none */
	bool debug;
	struct rlimit files; /* of the child, which may raise its own */
};

/*
 * Fork and exec with the channel end `fd` as PARENT_FD and nothing else but
 * the standard descriptors (stdin and stdout on /dev/null).  fd stays the
 * caller's.  Returns the pid, or -1 with err.
 */
pid_t proc_spawn(const struct proc_spec *s, int fd, struct error *err);

/* What /proc/PID/status says. */
struct proc_status {
	uid_t uid; /* effective */
	gid_t gid;
	uint64_t caps_effective;
	uint64_t caps_permitted;
	uint8_t seccomp; /* 0 none, 1 strict, 2 filter */
	bool no_new_privs;
	uint64_t rss_kb;
};

/* 0, or -1 with errno when the process is gone or the text is not complete. */
int proc_status_read(pid_t pid, struct proc_status *st);
/* Pure part of it, for tests: text is NUL-terminated. */
int proc_status_parse(const char *text, struct proc_status *st);

#endif

/*
 * What the parts of the jail's construction share.  Private to sandbox/.
 */
#ifndef BRIG_SANDBOX_BUILD_H
#define BRIG_SANDBOX_BUILD_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "sandbox/filter.h"
#include "sandbox/jail.h"

/*
 * Between the caller of jail_build() and pid 1 (and, for READY and
 * EXEC_FAILED, the workload before its execve): one datagram each.
 */
enum ctl_type {
	CTL_ERROR = 1,   /* error */
	CTL_PARTS,       /* caller -> pid 1, +fds: parts of the tree, in order,
			  * as many as a message takes */
	CTL_NET,         /* caller -> pid 1, +fd of the network namespace, whose
			  * capture is in place */
	CTL_TREE,        /* pid 1 -> caller, +fd of "/", +fd terminal master */
	CTL_MAP,         /* pid 1 -> caller: write my id maps */
	CTL_MAPPED,      /* caller -> pid 1: done */
	CTL_READY,       /* workload -> caller: about to execve; its pid comes
			  * from the kernel (SCM_CREDENTIALS); +fd of the listener
			  * for execve where one was wanted and can be had */
	CTL_EXEC_FAILED, /* code, error */
	CTL_EXIT,        /* pid 1 -> caller: kind, code */
	CTL_AHEAD,       /* a tree made ahead -> caller, +fds of its mount, IPC
			  * and UTS namespaces */
};

struct ctl_msg {
	uint32_t type;
	int32_t kind;
	int32_t code;
	struct error error;
};

#define CTL_FDS_MAX 4 /* FD_PASS_MAX */

int ctl_send(int sock, const struct ctl_msg *m, const int *fds, size_t nfds);
/*
 * 1 and *m; 0 at end of file; -1 with errno.  fds are set to -1 where none
 * came; pid may be NULL and is 0 unless the socket has SO_PASSCRED.
 */
int ctl_recv(
    int sock, int flags, struct ctl_msg *m, int fds[CTL_FDS_MAX], pid_t *pid);
/* Receive one of the given type; anything else, CTL_ERROR too, is -1. */
int ctl_expect(int sock, enum ctl_type type, int fds[CTL_FDS_MAX], pid_t *pid,
    struct error *err);

struct build {
	const struct jail_config *c;
	const struct jail_ahead *ahead; /* its tree is used; else NULL */
	char **env;
	unsigned int landlock_abi;
	int ctl; /* blocking */
	int go;  /* one byte: execve; end of file: give up */
};

/* The first part of the tree that the caller makes; how many of the parts from
 * i on go into one message. */
int build_first(const struct build *b);
int build_parts(int i);

/* Body of pid 1, in the new pid namespace; never returns. */
void init_main(struct build *b) __attribute__((noreturn));

/* The workload, from fork to execve; never returns. */
void workload_main(struct build *b, int ruleset, int tty)
    __attribute__((noreturn));

#endif

/*
 * The jail of one job: namespaces, file tree, captured network, Landlock,
 * seccomp, and a pid 1 of ours.  Owned by the shim, which is the only process
 * that calls this; it needs root while jail_build() runs and CAP_KILL
 * afterwards.
 *
 * Life of a jail: jail_build() -> (trace_seize() job_pid) -> jail_go() ->
 * jail_event() whenever ctl_fd is readable -> jail_destroy().
 */
#ifndef BRIG_SANDBOX_JAIL_H
#define BRIG_SANDBOX_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/proto.h"
#include "sandbox/filter.h"

#define JAIL_UID 1000 /* the job's uid and gid as it sees them */
#define JAIL_GID 1000
#define JAIL_USER "agent"
#define JAIL_HOME "/home/agent"
#define JAIL_WORKSPACE "/workspace"
#define JAIL_PROXY_PORT                                                        \
	3128 /* the TCP capture socket's own port: connects                    \
	      * to 127.0.0.1 and ::1 reach it there */
#define JAIL_CA_FILE "/etc/ssl/certs/ca-certificates.crt"
#define JAIL_TRUST_FILE "/etc/ssl/certs/java/cacerts" /* Java's, PKCS#12 */

#define JAIL_RULES_MAX 1024u
#define JAIL_MASKS_MAX 1024u  /* places masked or made read-only */
#define JAIL_WALK_MAX 500000u /* directory entries looked at for globs */

/*
 * One `allow|deny read|write` rule of the policy.  The pattern is as written:
 * absolute, or from the anchor "workspace", "scratch" (/tmp) or "home"; `*`
 * matches inside one segment, `**` any depth, `{a,b}` alternatives.
 */
struct jail_rule {
	bool allow; /* false: deny, and ask */
	bool write; /* class write; else read */
	const char *pattern;
};

struct jail_ahead;

#define JAIL_CGROUP_MAX 4u /* v1 groups */

struct jail_cgroup {
	int v2;        /* folder of a v2 group; -1: none */
	const int *v1; /* "tasks" of v1 groups */
	size_t nv1;
};

struct jail_config {
	uid_t host_uid; /* the job's own ids on the host, not 0 */
	gid_t host_gid;
	uid_t owner_uid; /* submitter: owns the workspace's files */
	gid_t owner_gid;
	/*
	 * Absolute real path and an O_PATH descriptor of the same directory
	 * that the submitter opened: we open the path ourselves, without
	 * symbolic links, and insist on the same device and inode.  NULL or
	 * "": an empty scratch directory; workspace_fd is then ignored.
	 */
	const char *workspace;
	int workspace_fd;

	char *const *argv;    /* NULL-terminated, at least one */
	char *const *env;     /* "K=V", NULL-terminated; see jail_env() */
	const char *hostname; /* NULL: "brig" */
	int ca_fd;            /* PEM bundle, read from offset 0; -1: the
			       * host's own bundle */
	int trust_fd;         /* the same as PKCS#12, likewise */

	const struct jail_rule *rules;
	size_t nrules;
	bool read_default; /* class default is allow */
	bool write_default;

	/*
	 * The workspace is staged: what the job writes goes to an upper layer
	 * in stage_fd/staged (sandbox/stagedir.h); limits 0: none.
	 */
	bool staged;
	int stage_fd; /* the job's directory in state-dir */
	uint64_t stage_size;
	uint32_t stage_inodes;
	bool stage_by_path; /* struct overlay.by_path */
	bool protect;       /* deny writes to what host programs act on, see
			     * sandbox/protect.h */
	const char *const *trees; /* more folders of the host, absolute,
				   * read-only at the same place */
	size_t ntrees;
	int image_fd; /* detached read-only mount (sandbox/image.h) in the
		       * place of the host's /usr; -1: none */
	int home_fd;  /* detached mount of a kept home (sandbox/home.h); the
		       * ids that own it on disk are mapped, for this jail
		       * only; -1: a fresh tmpfs */

	bool workspace_exec;
	bool tmp_exec; /* /tmp and home; /dev/shm never */
	bool memfd_exec;
	bool listen; /* want jail.exec_fd */
	bool agent;  /* want an SSH agent's socket at P_AGENT_PATH */

	/* FILTER_NESTED gives up Landlock's rights on files, which forbid any
	 * mount, and a read-only /proc: it takes no rule that needs them. */
	enum filter_level filter;

	/* Limits; 0: the default. */
	uint32_t procs;      /* RLIMIT_NPROC of host_uid; default 4096 */
	uint32_t files;      /* RLIMIT_NOFILE; default 65536 */
	uint64_t memory;     /* RLIMIT_AS in bytes; default none */
	uint64_t tmp_size;   /* bytes of each tmpfs; default 1 GiB */
	uint32_t tmp_inodes; /* files of each tmpfs; default a million */

	/*
	 * Control groups that pid 1 begins in, and all that comes of it:
	 * descriptors of cgroup_entry(), borrowed.
	 */
	const struct jail_cgroup *cgroup; /* NULL: those of the caller */

	/*
	 * What was made ahead (sandbox/ahead.h), which jail_build() takes out
	 * of it; NULL: everything is made on the way.
	 */
	struct jail_ahead *ahead;

	/*
	 * Standard descriptors of the job (borrowed), or tty: a terminal of
	 * the jail's own devpts, whose master comes back in jail.pty_fd.
	 */
	int stdio[3];
	bool tty;
	uint16_t rows, cols;
};

struct jail {
	pid_t init_pid; /* pid 1 of the jail, a child of the caller,
			 * as the host sees it */
	int init_pidfd;
	pid_t job_pid;            /* the workload, as the host sees it; stopped
				   * before execve until jail_go() */
	int ctl_fd;               /* readable: call jail_event() */
	int capture[CAPTURE_MAX]; /* non-blocking, CLOEXEC; hand them to front
				   * with dup or steal_fd() */
	int link_fd;              /* sk_lookup attachment; capture ends (and
				   * connects fail) when it is closed */
	int go_fd;                /* private to jail_go() */
	int exec_fd;              /* asks before each execve (trace_notify.h);
				   * -1 if unwanted or not to be had */
	int pty_fd;               /* terminal master, CLOEXEC; -1 without tty */
	int root_fd;              /* O_PATH of the jail's "/": look programs up
				   * with openat2(RESOLVE_IN_ROOT) */
	bool staged;              /* c->stage_fd/staged was made */
	unsigned int landlock_abi; /* 0: no Landlock on this kernel */
	bool init_reaped;
};

enum jail_event_kind {
	JAIL_EXEC_FAILED, /* code 127: not found, 126: cannot be run;
			   * error says why.  JAIL_EXIT follows */
	JAIL_EXIT,        /* workload ended; pid 1 kills the rest and
			   * ends too */
	JAIL_GONE,        /* pid 1 ended without a word (killed) */
};

struct jail_event {
	enum jail_event_kind kind;
	enum exit_kind exit; /* JAIL_EXIT: EXIT_CODE or EXIT_SIGNAL;
			      * JAIL_EXEC_FAILED: EXIT_BRIG */
	int code;            /* status or signal number */
	struct error error;
};

/*
 * Build the jail and stop the workload right before its execve().  0, or -1
 * with nothing left behind; err begins with the name of the step that failed
 * ("workspace: ...", "capture: ...").  Blocks a few milliseconds.
 */
int jail_build(const struct jail_config *c, struct jail *j, struct error *err);

/* Let the workload execve(). 0 or -1. */
int jail_go(struct jail *j, struct error *err);

/*
 * Next event: 1 and *ev, or 0 when there is none yet.  After JAIL_EXIT or
 * JAIL_GONE there is no other: call jail_destroy().
 */
int jail_event(struct jail *j, struct jail_event *ev);

/*
 * SIGKILL ends every process of the jail; any other signal goes through
 * pid 1 to the workload's process group.  0 or -1 with errno.
 */
int jail_signal(struct jail *j, int sig);

/*
 * For a caller that reaps with waitpid(-1) itself: tell the jail that
 * init_pid was reaped, so that jail_destroy() does not wait for it.
 */
void jail_init_reaped(struct jail *j);

/*
 * Kill what is left, reap pid 1 (and, until it is dead, any other child or
 * tracee of the caller that ends) and close every descriptor still in *j (take
 * out what is to be kept with steal_fd()).  Safe on a jail_init()ed one.
 */
void jail_destroy(struct jail *j);

/* All descriptors -1, all pids 0. */
void jail_init(struct jail *j);

/*
 * The environment the workload will get: c->env, then what the jail insists
 * on (HOME, USER, TMPDIR, the CA variables ...) and defaults for PATH, LANG,
 * SHELL.  NULL-terminated; free with jail_env_free().
 */
char **jail_env(const struct jail_config *c);
void jail_env_free(char **env);

#endif

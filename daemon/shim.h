/*
 * brig-shim, one process per job: builds the jail, judges every exec of the
 * job, owns its terminal or pipes, and tells the parent how it ended.
 */
#ifndef BRIG_SHIM_H
#define BRIG_SHIM_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ev.h"
#include "base/peer.h"
#include "daemon/jobspec.h"
#include "policy/policy.h"
#include "sandbox/ahead.h"
#include "sandbox/jail.h"
#include "sandbox/trace.h"

struct judge;
struct relay;

/* One who wants to watch a job that is being started. */
struct shim_early {
	int fd;
	uid_t uid;
	bool read_only;
};
#define SHIM_EARLY_MAX 16u

struct shim {
	struct ev *ev;
	struct peers *peers;

	struct policy *policy;
	const struct profile *profile; /* of policy; NULL until started */

	struct shim_spec spec;
	int fds[JOB_FD_MAX]; /* -1: not given */
	struct {
		int v2, v1[JAIL_CGROUP_MAX], oom; /* -1: not given */
		size_t nv1;
		bool memory, procs; /* held by them, not per process */
	} cgroup;
	bool started;

	struct jail_ahead ahead;  /* made before there was a job */
	struct sock_fprog filter; /* likewise, for this process; filter NULL:
				   * not made */
	struct jail jail;
	bool jail_up;
	struct ev_io *jail_io;
	struct trace *trace;
	struct judge *judge;
	struct relay *relay;
	struct shim_early early[SHIM_EARLY_MAX];
	size_t nearly;
	int proc_fd;   /* /proc of the host */
	char **env;    /* what the job starts with */
	int root_hold; /* of image_open(), until this process ends */

	struct ev_timer *wall;   /* limit wall */
	struct ev_timer *hangup; /* SIGHUP was sent; SIGKILL is next */
	struct ev_timer *reap;   /* pid 1 of the jail has to end */

	/* How the job ended, once it has. */
	bool ended;
	bool asked_kill; /* by a person */
	bool delivered;
	enum exit_kind kind;
	uint32_t code;
	char detail[512];
};

/* ---- shim_cgroup.c ----------------------------------------------------- */

void shim_cgroup_init(struct shim *s);
/* M_SHIM_CGROUP */
int shim_on_cgroup(struct chan *c, struct msg *m, void *ctx);
/* The jail is built: close what was for that. */
void shim_cgroup_entered(struct shim *s);
/*
 * Whether the memory limit has killed anything, and a line on it; killed: it
 * ended the job.
 */
bool shim_oom_text(const struct shim *s, bool killed, char *text, size_t size);

/* Tell control whether a client is attached (shim.c). */
void shim_tell_attended(struct shim *s);

/*
 * Exec policy (shim_judge.c).  env: what the job starts with, borrowed;
 * variables that differ from it are what makes an exec risky.
 */
struct judge *judge_new(struct shim *s, char *const *env);
void judge_free(struct judge *j);
struct shim *judge_shim(struct judge *j);
/*
 * Look up which files the profile's program names stand for, inside the
 * jail's root, which is this process's own by then.  Again after a reload.
 */
void judge_programs(struct judge *j);
enum trace_verdict judge_exec(
    const struct trace_exec *x, char *message, size_t size, void *judge);
void judge_unreadable(pid_t pid, const char *why, void *judge);
void judge_gone(pid_t pid, void *judge);
/* Refuse what waits: nobody is left to answer, or the job is ending. */
void judge_refuse_all(struct judge *j, const char *why);

/* Messages of control and audit; the peers' owner is a struct shim. */
extern const struct msg_rule judge_from_control[2];
extern const struct msg_rule judge_from_audit[1];
void judge_control_up(struct peer *p);
void judge_control_down(struct peer *p);
void judge_audit_down(struct peer *p);

#endif

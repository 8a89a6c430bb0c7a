/*
 * The parent: the root process that reads configuration and policy, opens
 * the files, makes every channel, starts and restarts the children and starts
 * jobs.  It parses messages of its children and nothing else, and holds no
 * secret.  This header is shared by the parent_*.c files only.
 */
#ifndef BRIG_PARENT_H
#define BRIG_PARENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/audit_event.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/ev.h"
#include "base/msg.h"
#include "base/notify.h"
#include "base/proto.h"
#include "daemon/conf.h"
#include "daemon/jobspec.h"
#include "daemon/parent_roots.h"

#define RESTART_MIN_MS 100u /* first wait before a restart, doubling */
#define RESTART_MAX_MS 5000u
#define RESTART_CALM_MS 30000u /* lived so long: back-off starts again */
#define START_TRIES 5u         /* deaths before the daemon is ready: give up */
#define STOP_GRACE_MS 3000u    /* from M_STOP to SIGKILL */
/* The shim must report running within, also of dozens on a slow machine. */
#define JOB_START_MS 60000u
#define JOB_PREPARE_MS 3600000u /* and have unpacked a root within */
#define JOB_END_GRACE_MS 2000u  /* shim must exit after M_SHIM_EXIT within */
#define NONCE_SIZE 16u
#define CA_PEM_MAX 16384u

struct parent;
struct job;

/* One child process, or the place for it while it is down. */
struct proc {
	struct parent *pa;
	enum role role;
	struct job *job;   /* NULL for the singletons */
	pid_t pid;         /* 0 while down */
	struct chan *chan; /* NULL once the channel has ended */
	bool ready;
	bool no_restart;
	uint64_t started_ms;
	uint32_t backoff_ms;
	uint32_t restarts;
	struct ev_timer *timer; /* restart */
};

struct job {
	struct job *next;
	struct parent *pa;
	uint32_t id;
	struct job_spec spec;
	uid_t host_uid;
	uint8_t nonce[NONCE_SIZE];
	struct proc shim, front, back;
	int workspace_fd, attach_fd, log_fd, timing_fd;
	int capture[CAPTURE_MAX];
	int scan_fd; /* its workspace, for the look at its end */
	bool scanned;
	bool scanning;     /* job_scanned() comes, however long it takes */
	char **stub_env;   /* NULL until keyd has answered */
	bool shim_started; /* M_SHIM_START is out */
	bool preparing;    /* its shim is busy, and hears nothing */
	bool ending;
	bool killed; /* somebody asked for a deadly signal */
	enum job_state state;
	pid_t init_pid; /* pid 1 of the jail, 0 while unknown */
	int init_pidfd;
	char detail[P_NAME_MAX * 4];
	uint8_t exit_kind;
	uint32_t exit_code;
	struct job_cgroup *cgroup; /* parent_cgroup.c */
	struct ev_timer *timer;    /* start limit, then end grace */
};

/* Descriptors of a job that came before its M_JOB_START. */
struct job_fds {
	uint32_t job;
	int fd[JOB_FD_MAX];
};
#define JOB_FDS_PENDING 16u

struct parent {
	struct conf conf;
	const char *conf_path;
	bool debug;
	struct ev *ev;
	struct proc single[ROLE_MAX]; /* control keyd audit dns, and a shim
				       * that waits for a job */
	struct job *jobs;
	size_t njobs;
	struct stage_run *stages;
	uint32_t next_uid;   /* offset into the job uids */
	struct rlimit files; /* what we were started with */
	bool *uids_busy;     /* by offset: a process of the host has it */
	uint64_t uids_scanned;
	struct job_fds pending[JOB_FDS_PENDING];

	char *empty_dir; /* root of processes without files */
	char *control_dir;
	int shim_fd; /* the program: an upgrade is not to change it */
	int listen_fd;
	int vault_fd;
	int fresh_fd; /* of the vault, being written anew; or -1 */
	int key_fd;
	int state_fd;   /* state-dir, locked */
	int log_dir_fd; /* directory of the audit log, locked */
	int jobs_fd;    /* state-dir/jobs */
	int policy_fd;  /* sealed memfd, current bundle */
	uint32_t generation;
	struct policy *policy;   /* the same, for the limits of jobs */
	struct cgroups *cgroups; /* NULL: not used */
	int cgroup_watch;        /* inotify, or -1 */
	struct ev_io *watch_io;
	struct parent_roots roots; /* upstream trust */
	int bundle_fd; /* sealed memfd, roots + our CA; -1 until keyd has
			* told its CA */
	int trust_fd;  /* the same as PKCS#12 */
	struct buf ca_pem;

	struct chan *audit; /* the parent as a client of audit */
	bool ready;         /* READY has been said */
	bool stopping;
	struct ev_timer *stop_timer;
	struct ev_timer *watchdog;
	uint64_t watchdog_ms;
};

/* ---- parent.c ---------------------------------------------------------- */

/* Runs until stopped; returns the exit status. */
int parent_main(struct conf *conf, const char *conf_path, bool debug);
void parent_stop(struct parent *pa);

/* ---- parent_setup.c: files and directories ----------------------------- */

/* Everything that must exist before the first child; -1 with err. */
int parent_setup(struct parent *pa, struct error *err);
/* Read the policy into pa->policy_fd; text gets the diagnostics. */
int parent_load_policy(struct parent *pa, struct buf *text);
/* roots + the interception CA, once the latter is known. */
int parent_make_bundle(struct parent *pa, struct error *err);
/*
 * The audit log: for the audit process (read, append; created if missing) or
 * read-only for a client.
 */
int parent_open_audit(struct parent *pa, bool write, struct error *err);
/* A log of a job: created for append, or opened for reading. */
#define JOB_LOG_OUTPUT "output"
#define JOB_LOG_TIMING "timing" /* daemon/timing.h */
int parent_open_log(struct parent *pa, uint32_t job, const char *file,
    bool create, struct error *err);

/* The job's own directory, made with its log; or -1. */
int parent_open_job_dir(struct parent *pa, uint32_t job);
/* state-dir, without its lock; -1 with errno. */
int parent_open_state(struct parent *pa);

/* ---- parent_proc.c: children ------------------------------------------- */

void proc_init(
    struct parent *pa, struct proc *p, enum role role, struct job *job);
/* Start it (or, on failure, arrange for another try). */
void proc_start(struct proc *p);
/* End it; it is not started again. */
void proc_end(struct proc *p, bool now);
/* SIGKILL; the normal restart follows. */
void proc_kill(struct proc *p, const char *why);
/* waitpid said so. */
void proc_died(struct parent *pa, pid_t pid, int status);
/* Close its channel and timer; the process must be gone. */
void proc_clear(struct proc *p);
/* Call fn for every place of a process, singletons first. */
void proc_each(
    struct parent *pa, void (*fn)(struct proc *p, void *arg), void *arg);
struct proc *proc_find(struct parent *pa, enum role role, uint32_t job);

/* ---- parent_spare.c: a shim that waits for a job ------------------------ */

/* Start one unless there is one. */
void spare_start(struct parent *pa);
/* Make it the shim of j; false if none is ready. */
bool spare_take(struct parent *pa, struct job *j);

/* ---- parent_stage.c: processes that look at and land staged changes ----- */

/* From control: a descriptor for request serial, then its start. */
int stage_collect_fd(
    struct parent *pa, uint32_t serial, unsigned int which, int fd);
int stage_request(struct parent *pa, struct msg *m);
int stage_answer(struct parent *pa, struct msg *m);
/* A job is over: look whether anything is staged; job_scanned() follows.
 * False if there is nothing to look at. */
bool stage_look(struct parent *pa, struct job *j);
/* True if pid was one of these. */
bool stage_died(struct parent *pa, pid_t pid);
void stage_end_all(struct parent *pa);
/* control died: nobody waits for them any more. */
void stage_orphan(struct parent *pa);

/* ---- parent_vault.c: the vault's file ----------------------------------- */

/* A regular file of that user with one name? */
int parent_check_file(int fd, const char *path, uid_t uid, struct error *err);
int vault_file_open(struct parent *pa, struct error *err);
/* Whoever wrote the new one is gone. */
void vault_file_forget(struct parent *pa);
int on_vault_stale(struct chan *c, struct msg *m, void *ctx);
int on_vault_written(struct chan *c, struct msg *m, void *ctx);

/* ---- parent_wire.c: what a new child is told --------------------------- */

/* Configuration, files, policy, channels to all peers that are up. */
void wire_child(struct proc *p);
void send_keyd_file(struct proc *p, enum keyd_file which, int fd);
/* A shim that was a spare belongs to a job now. */
void wire_adopted(struct proc *p);
/* A new policy generation to everybody who needs it. */
void wire_policy(struct parent *pa);
/* And the authorities that upstream servers are verified with. */
void wire_roots(struct parent *pa);

/* ---- parent_msg.c: what children say ----------------------------------- */

/* Rules of the channel to a child of this role. */
const struct msg_rule *parent_rules(enum role role, size_t *n);
/* Validate and apply a new policy; text gets a sentence or diagnostics. */
int parent_reload(struct parent *pa, struct buf *text);
/* The answer to m, of that type: fd, which it takes, or why there is none. */
void parent_answer_fd(struct chan *c, uint16_t type, const struct msg *m,
    int fd, const struct error *err);
/* M_OPENED. */
void parent_opened(
    struct chan *c, const struct msg *m, int fd, const struct error *err);

/* ---- parent_inferd.c: connections to the local engine ------------------ */

int parent_on_inferd_get(struct chan *c, struct msg *m, void *ctx);

/* ---- parent_attach.c: those who watch a job, and its times ------------- */

int parent_on_attach(struct chan *c, struct msg *m, void *ctx);
int parent_on_timing_open(struct chan *c, struct msg *m, void *ctx);

/* ---- parent_job.c ------------------------------------------------------ */

struct job *job_find(struct parent *pa, uint32_t id);
/* From M_JOB_START: takes the descriptors collected for it and spec_fd. */
void job_start(struct parent *pa, uint32_t id, int spec_fd);
void job_collect_fd(struct parent *pa, uint32_t id, unsigned int which, int fd);
void job_kill(struct job *j, unsigned int signo);
/* keyd has answered, or the CA bundle is there: go on if all is ready. */
void job_continue(struct job *j);
void job_tell_control(struct job *j);
/* To a keyd that has just come up. */
void job_tell_keyd(struct job *j);
/* To a front that has just come up. */
void job_tell_front(struct job *j);
/* One of its processes is gone. */
void job_proc_gone(struct job *j, struct proc *p);
/* Brig's own failure ends it. */
void job_fail(struct job *j, enum job_state state, const char *fmt, ...)
    attr_printf(3, 4);
void job_exited(struct job *j, uint8_t kind, uint32_t code, const char *detail);
void job_running(struct job *j, pid_t init_pid, const char *detail);
void job_captured(struct job *j, unsigned int which, int fd);
void job_stubs(struct job *j, char **env);
/* Something is staged (or it cannot be told), or nothing is. */
void job_scanned(struct job *j, bool staged);

/* Its shim is busy with something; "": not any more. */
void job_preparing(struct job *j, const char *what);

/* ---- parent_home.c: M_HOME_LIST, M_HOME_RM ------------------------------ */

int parent_on_home_list(struct chan *c, struct msg *m, void *ctx);
int parent_on_home_rm(struct chan *c, struct msg *m, void *ctx);

/* ---- parent_uids.c ----------------------------------------------------- */

/* A host uid for a new job, or 0 with err. */
uid_t uid_take(struct parent *pa, struct error *err);

/* ---- parent_files.c ---------------------------------------------------- */

/*
 * Raise the soft limit of open files to what c->max_jobs need, or, where that
 * is nobody's wish but the default, lower these; former gets the limits as
 * they were.  -1 with err where it cannot be.
 */
int parent_files(struct conf *c, struct rlimit *former, struct error *err);
/* 0 if one more job can be begun, or -1 with err. */
int parent_files_left(struct error *err);

/* ---- parent_status.c --------------------------------------------------- */

void parent_status(struct parent *pa, struct buf *body);

/* ---- parent_audit.c ---------------------------------------------------- */

/* A fresh channel of our own to an audit process that has just started. */
void parent_audit_connect(struct parent *pa);
/* Send e and free it; not waited for.  Dropped while audit is down. */
void parent_audit(struct parent *pa, uint32_t job, struct audit_ev *e);

#endif

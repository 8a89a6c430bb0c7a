/*
 * The control process: the control socket, the job store, asks, and the job
 * state machine.  Holds the listener, its peers and the data base, nothing
 * else; all power stays with the parent, which it asks by message.  This
 * header is shared by control*.c and ask.c.
 */
#ifndef BRIG_CONTROL_H
#define BRIG_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/audit_event.h"
#include "base/ev.h"
#include "base/peer.h"
#include "daemon/store.h"
#include "policy/policy.h"

#define CONTROL_DB "/jobs.db" /* inside the process's root */
#define CLIENTS_MAX 512u
#define CLIENTS_PER_UID_MAX 64u /* root excepted */
#define STAGINGS_PER_UID_MAX 8u /* diff, apply ...; root excepted */
#define CLIENT_LINE_MAX (1024u * 1024)
#define CLIENT_DEPTH_MAX 16u
#define CLIENT_FDS_MAX 4u                  /* of one request */
#define CLIENT_REQUESTS_MAX 32u            /* unanswered, of one client */
#define CLIENT_OUT_HIGH (256u * 1024)      /* stop reading above */
#define CLIENT_OUT_MAX (16u * 1024 * 1024) /* cut off above */
#define ASK_LINES_MAX 64u
#define ASK_OPEN_MAX 32u /* pending asks of one job */

struct client;
struct cjob;
struct ask;
struct pending;

struct control {
	struct ev *ev;
	struct peers *peers;
	struct store *store;
	struct ev_timer *sync; /* set while the store holds changes */
	bool sync_set;         /* that are not on disk; NULL until then */
	int64_t started;       /* unix seconds */

	/* M_CONFIG */
	char *version;
	uid_t job_uid_base;
	uint32_t job_uid_count;
	bool has_admin_gid;
	gid_t admin_gid;
	char *default_profile;
	uint32_t ask_timeout;
	uint32_t max_jobs;
	uint32_t max_user_jobs;

	struct policy *policy; /* NULL until M_POLICY */
	uint32_t generation;

	int listen_fd;
	struct ev_io *listen_io;
	struct ev_timer *accept_timer; /* until it is listened to again */
	struct client *clients;
	size_t nclients;
	uint64_t next_client;

	struct pending *pending;
	uint32_t next_serial;
	struct cjob *jobs; /* not ended */
	size_t njobs;
	struct ask *asks;         /* pending */
	struct staging *stagings; /* stage processes under way */
};

/* ---- control.c --------------------------------------------------------- */

void control_preinit(void);
void control_main(void);
/* The same with another data base, for tests. */
void control_run(const char *db);

/*
 * Await an answer with this serial from a role.  fn gets NULL when the peer
 * is gone instead; it returns -1 for a malformed message.
 */
typedef int pending_fn(struct control *ct, struct msg *m, void *arg);
uint32_t pending_add(
    struct control *ct, enum role role, pending_fn *fn, void *arg);

/* Channel to keyd or audit, NULL while it is down. */
struct chan *control_peer(struct control *ct, enum role role);

/*
 * Send an audit event and free it; fn(ct, ok, why, arg) is called when it is
 * on disk, or cannot be.  fn may be NULL: not waited for.
 */
typedef void audited_fn(
    struct control *ct, bool ok, const char *why, void *arg);
void control_audit(struct control *ct, uint32_t job, struct audit_ev *e,
    audited_fn *fn, void *arg);

/* ---- control_client.c -------------------------------------------------- */

enum req_error {
	REQ_BAD_REQUEST, /* closes the connection, too */
	REQ_NOT_FOUND,
	REQ_DENIED,
	REQ_UNAVAILABLE,
	REQ_FAILED,
	REQ_EXISTS,
};

/* One request; freed by the reply, of which there is exactly one. */
struct request {
	struct control *ct;
	uint64_t client; /* number, not pointer: it may go first */
	json_int_t id;
	json_t *body;
	uid_t uid;
	gid_t gid;
	bool admin;
	char fd_names[CLIENT_FDS_MAX][16];
	int fds[CLIENT_FDS_MAX];
	size_t nfds;
	void *data; /* of the operation, between its steps */
};

/* Takes result (NULL: {}) and fd (-1: none). */
void request_ok(struct request *rq, json_t *result, int fd);
void request_fail(struct request *rq, enum req_error code, const char *fmt, ...)
    attr_printf(3, 4);
/* For pending_add(), arg is the request: the parent's bool ok and str why are
 * the reply. */
int request_answered(struct control *ct, struct msg *m, void *arg);
/* The descriptor of that name, now the caller's; -1 if none came. */
int request_fd(struct request *rq, const char *name);
bool request_may(const struct request *rq, uid_t owner);

void clients_listen(struct control *ct, int fd);
void clients_close(struct control *ct);
/*
 * A connection that has been accepted already; takes fd.  Credentials come
 * from the socket.
 */
void client_new(struct control *ct, int fd);

/* ---- control_ops.c ----------------------------------------------------- */

/* Run the operation a request names. */
void control_op(struct request *rq);
/* Message is malformed or missing a field: answers and returns NULL / -1. */
const char *arg_str(struct request *rq, const char *key, size_t max);
int arg_int(struct request *rq, const char *key, json_int_t min, json_int_t max,
    json_int_t *out);
/* Absent is the default; any other type than boolean answers and is -1. */
int arg_bool(struct request *rq, const char *key, bool dflt, bool *out);
/* Number behind prefix in the id of that key ("j-17"); answers and 0. */
uint32_t arg_id(struct request *rq, const char *key, const char *prefix);
/* JSON string of bytes that may not be UTF-8. */
json_t *json_text(const char *s);
json_t *json_time(int64_t t); /* null for 0 */

/* ---- control_job.c ----------------------------------------------------- */

void op_job_run(struct request *rq);
void op_job_list(struct request *rq);
void op_job_show(struct request *rq);
void op_job_wait(struct request *rq);
void op_job_kill(struct request *rq);
void op_job_logs(struct request *rq);
/* The job a request names: 0 and a row to free, or -1: answered. */
int find_job(struct request *rq, struct store_job *row);

/* ---- control_freeze.c -------------------------------------------------- */

void op_job_pause(struct request *rq);
void op_job_resume(struct request *rq);

/* ---- control_stage.c --------------------------------------------------- */

void op_stage_diff(struct request *rq);
void op_stage_apply(struct request *rq);
void op_stage_discard(struct request *rq);
/* M_STAGE_PLAN: 0, or -1 if it is malformed. */
int stage_plan_message(struct control *ct, struct msg *m);

/* ---- control_home.c ---------------------------------------------------- */

void op_home_list(struct request *rq);
void op_home_rm(struct request *rq);

/* ---- control_attach.c -------------------------------------------------- */

void op_job_attach(struct request *rq);

/* ---- control_state.c: the job state machine ---------------------------- */

struct cjob { /* a job that has not ended */
	struct cjob *next;
	struct store_job row;
	bool confirmed; /* the parent has told of it */
	bool attended;  /* its shim says that a client is attached */
	bool handed;    /* the parent has been told of it */
	struct request **waiters;
	size_t nwaiters;
};

/* Jobs left open by an earlier life of this process. */
void jobs_load(struct control *ct);
/* Rows were changed: they will be on disk in a second. */
void jobs_changed(struct control *ct);
struct cjob *jobs_find(struct control *ct, uint32_t id);
/* Takes the row. */
struct cjob *jobs_add(struct control *ct, struct store_job *row);
/* M_JOB_STATE, decoded. */
struct job_news {
	enum job_state state;
	uid_t host_uid;
	pid_t pid;
	enum exit_kind exit_kind;
	uint32_t exit_code;
	const char *detail;
};
void jobs_news(struct control *ct, uint32_t id, const struct job_news *n);
/* The parent has told of all there are: the others are lost. */
void jobs_sync(struct control *ct);
/* Ended by control itself. */
void jobs_fail(struct control *ct, struct cjob *j, enum job_state state,
    const char *detail);
json_t *job_json(const struct store_job *j, bool whole);
/* A client has gone: forget what it waited for. */
void jobs_forget_client(struct control *ct, uint64_t client);

/* ---- control_secret.c -------------------------------------------------- */

void op_secret_add(struct request *rq);
void op_secret_rotate(struct request *rq);
void op_secret_revoke(struct request *rq);
void op_secret_rm(struct request *rq);
void op_secret_list(struct request *rq);
/* Sends b and fd to keyd, if it is there; consumes fd.  fn gets rq. */
void ask_keyd(
    struct request *rq, uint16_t type, struct buf *b, int fd, pending_fn *fn);

/* control_ca.c */
void op_ca_show(struct request *rq);
void op_ca_rotate(struct request *rq);

/* ---- control_info.c: answers put together from the parent's ------------ */

void op_hello(struct request *rq);
void op_status(struct request *rq);
void op_policy_reload(struct request *rq);
void op_policy_show(struct request *rq);
void op_audit_open(struct request *rq);

/* ---- control_ask.c ----------------------------------------------------- */

void op_ask_list(struct request *rq);
void op_ask_answer(struct request *rq);

#endif

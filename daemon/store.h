/*
 * Jobs and asks on disk: SQLite (WAL), written by the control process alone.
 * Every change survives the end of this process.  What asks say survives that
 * of the machine, too, when the function returns; what jobs say from the next
 * store_sync() on: until then the audit log has it, and the numbers of rows
 * that were lost are not used again.
 * Rows are plain structs; strings in rows that a function fills are the
 * caller's to free with the matching *_free.
 */
#ifndef BRIG_STORE_H
#define BRIG_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/proto.h"

#define STORE_VERSION 1
#define STORE_LIST_MAX 1000u /* rows a listing returns, newest first */

struct store;

struct store_job {
	uint32_t id;
	uid_t uid;
	gid_t gid;
	char *profile;
	char **argv;     /* NULL-terminated */
	char *workspace; /* "" for none */
	enum job_state state;
	int64_t created, started, ended; /* unix seconds, 0: not yet */
	bool has_exit;
	enum exit_kind exit_kind;
	uint32_t exit_code;
	char *detail;
	uid_t host_uid;
	pid_t pid;
	bool enforced; /* exec rules are; else advisory */
	/* Of an open job, not stored: */
	bool paused;
	uint64_t ooms;    /* processes killed by the memory limit */
	uint64_t refused; /* forks refused by the procs limit */
	char *limits;     /* why some are per process only, or NULL */
};

enum ask_state {
	ASK_PENDING,
	ASK_ALLOWED,
	ASK_DENIED,
	ASK_TIMEOUT,
	ASK_CANCELLED,
	ASK_STATE_MAX
};

const char *ask_state_name(enum ask_state s);

struct store_ask {
	uint32_t id;
	uint32_t job;
	uint8_t class; /* enum policy_class */
	enum ask_state state;
	char *rule, *name, *because, *digest;
	char **lines;                       /* NULL-terminated */
	int64_t created, expires, answered; /* unix seconds */
	char *by, *message;                 /* "" until answered */
};

/*
 * Open or create the data base, check its integrity and bring it to
 * STORE_VERSION.  boot: fd_boot_id() of the machine, "" if unknown.  NULL with
 * err if it is damaged or newer than this program.
 */
struct store *store_open(const char *path, const char *boot, struct error *err);
void store_close(struct store *s);

/* Everything so far is on disk: 0; or -1, from then on always. */
int store_sync(struct store *s, struct error *err);
/* Something is not yet. */
bool store_unsynced(const struct store *s);

/* Insert; fills in id.  0 or -1. */
int store_job_add(struct store *s, struct store_job *j, struct error *err);
/* Write state, times, exit, host_uid, pid and enforced. */
int store_job_update(
    struct store *s, const struct store_job *j, struct error *err);
/* 1 found, 0 not, -1 error. */
int store_job_get(
    struct store *s, uint32_t id, struct store_job *j, struct error *err);

struct store_filter {
	bool open_only; /* not ended, pending */
	bool or_review; /* and jobs that wait for apply or discard */
	bool one_uid;   /* jobs (or asks of jobs) of uid */
	uid_t uid;
};

/* fn gets a row that is freed afterwards. */
int store_job_list(struct store *s, const struct store_filter *f,
    void (*fn)(const struct store_job *j, void *arg), void *arg,
    struct error *err);
/* Number of all jobs ever, or -1. */
int64_t store_job_count(struct store *s);
void store_job_free(struct store_job *j);

int store_ask_add(struct store *s, struct store_ask *a, struct error *err);
/* Write state, answered, by and message. */
int store_ask_update(
    struct store *s, const struct store_ask *a, struct error *err);
int store_ask_get(
    struct store *s, uint32_t id, struct store_ask *a, struct error *err);
int store_ask_list(struct store *s, const struct store_filter *f,
    void (*fn)(const struct store_ask *a, void *arg), void *arg,
    struct error *err);
void store_ask_free(struct store_ask *a);

#endif

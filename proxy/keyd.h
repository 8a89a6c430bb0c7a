/*
 * keyd: sole holder of the interception CA key and of the vault's secrets.
 * Private to keyd*.c and their tests; the entry points are in proxy/roles.h.
 *
 * It has no file and no socket but its channels and the vault's descriptor.
 * front asks it for leaves, back for the bindings of its job and for one value
 * at a time, which keyd releases after its own look at the policy; control
 * changes secrets.
 *
 * Audit codes (all of them carry obj.secret):
 *	KY101 secret.release	stream, before the value is sent
 *	KY102 secret.refuse	stream, severity 3; dec.because says why
 *	KY103 secret.sign	stream, before the signature is sent
 *	KY104 secret.nosign	stream, severity 3; dec.because says why
 *	KY201 secret.add	barrier, before it takes effect
 *	KY202 secret.rotate	barrier, before it takes effect
 *	KY203 secret.revoke	barrier, but takes effect at once
 *	KY204 secret.rm		barrier, but takes effect at once
 *	KY205 ca.rotate		barrier, likewise
 *	KY301 secret.capture	stream, a token is sealed and has a stub
 *	KY302 secret.capture	stream, severity 3; it could not be: dec.because
 *	KY401 keyd.limit	stream, severity 3; asked too often: obj.what,
 *				obj.refused
 *
 * What lessens authority does not wait for the log; it is reported as failed
 * when it could not be recorded.
 */
#ifndef BRIG_PROXY_KEYD_H
#define BRIG_PROXY_KEYD_H

#include "base/ev.h"
#include "base/peer.h"
#include "base/rate.h"
#include "policy/policy.h"
#include "proxy/mint.h"
#include "proxy/stub.h"
#include "proxy/vault.h"

/*
 * What the processes of a job may ask, each twice of what an honest one asks:
 * keyd serves other jobs too.  Values for requests are bounded by what back
 * has under way.
 */
enum keyd_limit {
	KEYD_LEAVES,   /* front keeps to half of it itself */
	KEYD_SSH,      /* likewise */
	KEYD_CAPTURES, /* each is written to disk */
	KEYD_LIMIT_MAX
};

struct keyd_rates {
	struct rate taken[KEYD_LIMIT_MAX];
	struct rate told[KEYD_LIMIT_MAX];
};

struct keyd_job {
	uint32_t job;
	uint8_t nonce[STUB_NONCE_SIZE];
	char profile[P_NAME_MAX + 1];
	struct keyd_rates rates;
};

struct keyd_pending; /* keyd_secret.c */

/* How often the vault is looked at for what is dead in it. */
#define KEYD_RENEW_MS 2000u

enum keyd_renew {
	RENEW_NONE,
	RENEW_ASKED,   /* the parent makes a file */
	RENEW_WRITTEN, /* the parent renames it */
};

struct keyd {
	struct ev *ev;
	struct peers *peers;
	int vault_fd;          /* until both files are here */
	struct secret *master; /* likewise */
	struct vault *vault;   /* NULL until both files are here */
	struct mint *mint;
	struct policy *policy; /* NULL: nothing is released */
	uint32_t generation;
	/* The upstream proxy, "" none, and the name of its credential. */
	char proxy_host[P_HOST_MAX + 1];
	uint16_t proxy_port;
	char proxy_secret[P_NAME_MAX + 1];
	struct keyd_job *jobs;
	size_t njobs;
	struct keyd_rates unknown; /* of jobs that are not open, together */
	struct keyd_pending *pending;
	size_t npending;
	uint32_t last_serial; /* of barrier events */
	struct ev_timer *orphans;
	enum keyd_renew renew;
	struct ev_timer *renew_timer;
	bool renew_due; /* it runs */
};

extern const struct msg_rule keyd_from_parent[6];
extern const struct peer_def keyd_peers[4];

/* NULL if the job is not open. */
const struct keyd_job *keyd_job(const struct keyd *k, uint32_t job);
/* Free everything but ev and peers. */
void keyd_clear(struct keyd *k);

/* keyd_limit.c: false, and recorded, when the job has asked too often. */
bool keyd_may(struct keyd *k, uint32_t job, enum keyd_limit what);

/* keyd_ca.c: the interception CA. */
int keyd_ca_open(struct keyd *k, struct error *err); /* fills k->mint */
int keyd_ca_tell(struct keyd *k, struct error *err); /* the parent, of both */
int keyd_on_ca_show(struct chan *c, struct msg *m, void *ctx);
int keyd_on_ca_rotate(struct chan *c, struct msg *m, void *ctx);

/* keyd_release.c: bindings and values for back. */
extern const struct msg_rule keyd_from_back[6];

/* What back says of a request that wants a value or a key. */
struct keyd_request {
	uint32_t cred;
	char method[64 + 1];
	char scheme[16 + 1];
	char host[P_HOST_MAX + 1];
	uint16_t port;
	char *path; /* owned by whoever reads the message */
	bool asked;
};

/* Decode the start of a message; 0, or -1.  r->path is to be freed. */
int keyd_request_get(struct cur *c, struct keyd_request *r);
/* keyd's own judgement, c may be NULL.  NULL, or why not. */
const char *keyd_judge(const struct keyd *k, uint32_t job,
    const struct keyd_request *r, const struct credential *c,
    struct decision *d);
/* KY101 or KY102; scope (may be NULL) is what a key is good for. */
void keyd_record(struct keyd *k, uint32_t job, const struct keyd_request *r,
    const struct credential *c, const struct decision *d, const char *scope,
    const char *why);
/* Body of M_RELEASED and M_SIGN_KEY_IS: a value, or why not. */
void keyd_answer(struct peer *p, uint16_t type, uint32_t serial,
    const void *value, size_t n, const char *why);
void keyd_back_up(struct peer *back);
/* Does the job have c, which another job may have been issued? */
bool keyd_has(const struct keyd_job *j, const struct credential *c);
/*
 * The stub of each credential in the vault's order, "" if its kind has none,
 * NULL if the job has not c.  Freed before the vault changes.
 */
char **keyd_stubs(const struct keyd *k, const struct keyd_job *j);
void keyd_free_stubs(const struct keyd *k, char **stubs);
/* Room that a credential takes in a message. */
size_t keyd_row_size(const struct credential *c);
/* Room that all but captured ones take, c (may be NULL) added. */
size_t keyd_bindings_size(const struct keyd *k, const struct credential *c);
/* Body of M_JOB_STUBS. */
void keyd_put_stubs(
    const struct keyd *k, const struct keyd_job *j, struct buf *b);
/* Send M_BINDINGS to the back of one job (0: of every job). */
void keyd_push_bindings(struct keyd *k, uint32_t job);
/* Send M_CRED_REVOKED to the back of one job (0: of every job). */
void keyd_push_revoked(struct keyd *k, uint32_t job, uint32_t cred);

/* keyd_sign.c: keys that are made from a secret. */
int keyd_on_sign_key(struct chan *ch, struct msg *m, void *ctx);

/* keyd_secret.c: changes that control asks for. */
extern const struct msg_rule keyd_from_control[7];
extern const struct msg_rule keyd_from_audit[1];
void keyd_audit_down(struct peer *audit);
void keyd_pending_free(struct keyd *k);

/* keyd_renew.c: writing the vault anew. */
void keyd_renew_start(struct keyd *k);
void keyd_renew_fill(struct keyd *k, int fd); /* takes fd; k->master is there */
int keyd_on_renamed(struct chan *c, struct msg *m, void *ctx);

/* keyd_ssh.c: keys that sign here. */
bool keyd_has_ssh(const struct keyd *k, const struct keyd_job *j);
/* Can the value of such a credential be used? */
int keyd_ssh_check(const struct secret *value, struct error *err);
int keyd_on_ssh_keys(struct chan *c, struct msg *m, void *ctx);
int keyd_on_ssh_sign(struct chan *c, struct msg *m, void *ctx);

/* keyd_capture.c: tokens that a job was issued. */
#define CAPTURE_VALUE_MAX 8192u      /* bytes of a token; else it is refused */
#define CAPTURE_KIND_MAX 4u          /* of one member in a job; oldest goes */
#define CAPTURE_JOB_MAX P_TOKENS_MAX /* in a job; oldest goes */
#define CAPTURE_ROOM_MAX 24576u      /* of their bindings; oldest goes */
#define CAPTURE_ORPHAN_MS                                                      \
	120000u /* after a restart: jobs not told of by then                   \
		 * have ended */
int keyd_on_capture(struct chan *c, struct msg *m, void *ctx);
/* The job has ended. */
void keyd_capture_forget(struct keyd *k, uint32_t job);
/* Start waiting for the jobs that were running. */
void keyd_capture_start(struct keyd *k);

#endif

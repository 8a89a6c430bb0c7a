/*
 * Asks: questions of a shim or a back that a person answers.  Owned by the
 * control process.  An answer is sent only after its audit record is on disk;
 * whatever goes wrong on the way is a denial.
 */
#ifndef BRIG_ASK_H
#define BRIG_ASK_H

#include "daemon/control.h"

enum ask_phase {
	ASK_OPENING, /* audit record under way; not listed to approvers */
	ASK_OPEN,
	ASK_ANSWERING, /* decided; audit record of the answer under way */
};

struct ask {
	struct ask *next;
	struct control *ct;
	struct store_ask row;
	enum ask_phase phase;
	enum role role; /* who asks */
	uint32_t serial;
	bool requester_gone;
	bool timed_out; /* while its opening was being recorded */
	uint64_t opened_ms;
	struct ev_timer *timer;
	struct request *answer; /* of the client that answers, or NULL */
	bool allow;
};

/* M_ASK and M_ASK_CANCEL of a peer; -1: malformed. */
int ask_message(struct peer *p, struct msg *m);
int ask_cancel_message(struct peer *p, struct msg *m);
/* The requester's channel is down: its asks are cancelled. */
void ask_peer_gone(struct control *ct, enum role role, uint32_t job);
/* Left pending by an earlier life of this process: cancelled. */
void ask_load(struct control *ct);

struct ask *ask_find(struct control *ct, uint32_t id);
/* Decide an open ask for a client; answers rq when done.  by: "uid:1000". */
void ask_answer(struct ask *a, bool allow, const char *by, const char *message,
    struct request *rq);

/* control_ask.c */
json_t *ask_json(const struct store_ask *a);

#endif

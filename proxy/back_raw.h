/*
 * Exchanges of back that are not HTTP: a connection to a name and port which a
 * net rule allows, and bytes in both directions.  Nothing in them is judged
 * but that no placeholder of a credential leaves; a PostgreSQL login is spoken
 * by back itself (proxy/back_pg.c).
 */
#ifndef BRIG_PROXY_BACK_RAW_H
#define BRIG_PROXY_BACK_RAW_H

#include "proxy/back.h"
#include "proxy/dial.h"

#define RAW_TCP "tcp"
#define RAW_POSTGRES "postgres"

/* No byte in either direction: then both ends are closed. */
#define RAW_IDLE_MS 3600000u
/* A login that is not over: refused. */
#define RAW_LOGIN_MS 60000u

struct pg;
struct ssh;

struct raw {
	struct exchange *x;
	struct dial *dial; /* until connected */
	int fd;
	struct tls *tls;
	struct ev_io *io;
	struct ev_timer *idle;
	uint64_t since;  /* connected, ms */
	struct buf in;   /* of the server, during a login */
	struct buf out;  /* to the server, before what the agent says */
	struct ssh *ssh; /* it is the agent's socket */
	struct pg *pg;   /* NULL: what comes is passed on */
	bool readable;   /* there may be bytes to read */
	bool want_write; /* TLS has to write before it can read */
	bool login;      /* a password is bound to the host */
	bool hung;       /* no event will come any more */
	bool server_end; /* the server has said all, and front knows */
	bool work_due;
};

/* back_raw.c: judging and recording */
bool raw_is(const struct req_head *h);
/* Gives x its raw; false when it has been refused or put off. */
bool raw_admit(struct exchange *x);
void raw_ask_policy(struct exchange *x);
/* Allowed: which credentials it will need. */
void raw_approved(struct exchange *x);
/* What a person is asked. */
void raw_put_lines(struct buf *b, const struct exchange *x);
const char *raw_scheme(const struct exchange *x); /* for M_RELEASE */
/* A denial in the protocol's own words; false if it has none. */
bool raw_deny(struct exchange *x, const struct denial *d);
/* Another policy is in force: end what it does not allow. */
void back_raw_rejudge(struct back *b);
bool raw_record_decision(struct exchange *x, const char *code,
    const char *effect, const char *why, uint32_t serial);
void raw_record_outcome(struct exchange *x, const char *error);
void raw_record_leak(struct exchange *x, const char *cred, const char *why);

/* back_pipe.c: the connection */
void raw_dial(struct exchange *x);
/* There is nothing to dial: keyd is at the other end. */
void raw_open_agent(struct raw *r);
/* Bytes of the agent, before they are queued.  False: the exchange is over. */
bool raw_look(struct exchange *x, const uint8_t *p, size_t n);
/* Something has changed: work at the end of the round. */
void raw_schedule(struct raw *r);
void raw_free(struct raw *r);
/* To front, within the credit. */
void raw_send(struct raw *r, const uint8_t *p, size_t n);
/* The connection is up, and front is to know. */
void raw_opened(struct raw *r);
/* Broken; why is one line. */
void raw_fail(struct raw *r, const char *why);
/* Over, as a failure if why is not NULL, after front has been sent what there
 * is to say. */
void raw_end(struct raw *r, const char *why);
/* n bytes of x->req have been used. */
void raw_took(struct raw *r, size_t n);
/*
 * Add what the server has said to r->in, at most n bytes if n > 0.  0, or -1
 * when it has ended or broken the connection.
 */
int raw_read(struct raw *r, size_t n);

#endif

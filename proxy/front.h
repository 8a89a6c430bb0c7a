/*
 * Inside of the front process (one per job): it owns the capture sockets of
 * the jail's network namespace, ends the agent's TLS, parses HTTP and DNS, and
 * hands requests to back.  It never sees a credential and opens no connection.
 *
 * Everything an agent sends can at most end that agent's connection.
 */
#ifndef BRIG_PROXY_FRONT_H
#define BRIG_PROXY_FRONT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ev.h"
#include "base/peer.h"
#include "base/rate.h"
#include "proxy/http1.h"
#include "proxy/pool.h"
#include "proxy/tls.h"

/*
 * Beyond this many connections the one idle for longest is closed, and if none
 * is idle the new one.  An idle one costs some kilobytes.
 */
#define FRONT_CONNS_MAX 12288u
/* After so many, memory is given back when three of four are gone. */
#define FRONT_TRIM_MIN 256u
/* Exchanges under way: beyond it 503, or the stream is refused. */
#define FRONT_EXCHANGES_MAX 2048u
/*
 * Bytes of responses that wait here for agents to read them: beyond it the
 * connection that has most of them is reset.
 */
#define FRONT_HELD_MAX (64u * 1024 * 1024)
/* First byte to last of TLS handshake and request head: else 408, close. */
#define FRONT_HEAD_MS 30000u
/*
 * An agent that has said nothing for so long may wait for the server to speak
 * first: back is asked whether the connection may be opened as it is.
 */
#define FRONT_RAW_WAIT_MS 150u
/*
 * What clients ask of the SSH agent: this much at once, then one each so many
 * ms; beyond it they are disconnected.  keyd serves other jobs too.
 */
#define FRONT_AGENT_BURST 200u
#define FRONT_AGENT_MS 50u
/* Between requests: then close. */
#define FRONT_IDLE_MS 120000u
/* An agent that neither sends the body it owes nor reads: reset. */
#define FRONT_STALL_MS 600000u
/* After the last answer, for the agent to see it before a reset. */
#define FRONT_LINGER_MS 2000u
#define FRONT_LINGER_MAX (4u * 1024 * 1024)
/* Bytes read ahead of a request whose turn has not come. */
#define FRONT_PIPELINE_MAX 16384u
/* Certificates being made at a time; beyond it handshakes fail. */
#define FRONT_MINTS_MAX 64u
/*
 * Names a job may have certificates made for: this many at once, then one
 * each so many ms.  keyd serves other jobs too.
 */
#define FRONT_MINT_BURST 100u
#define FRONT_MINT_MS 100u
/* Events told to back: this many at once, then one a second per kind. */
#define FRONT_EVENT_BURST 20u
#define FRONT_EVENT_MS 1000u
#define FRONT_DNS_TTL 60u

#define FRONT_HASH 512u

enum conn_state {
	CONN_DEAD,  /* waits to be freed */
	CONN_SNIFF, /* TLS or HTTP? */
	CONN_HANDSHAKE,
	CONN_MINT, /* handshake waits for keyd */
	CONN_OPEN,
	CONN_LINGER, /* all said; drops what still comes */
};

enum conn_timer {
	TIMER_NONE,
	TIMER_HEAD,
	TIMER_QUIET, /* nothing has been said yet */
	TIMER_IDLE,
	TIMER_BODY,
	TIMER_WRITE,
	TIMER_LINGER,
};

/* Why a request is answered here; all text is static. */
struct refusal {
	unsigned int status;
	const char *error, *reason, *next_steps;
};

/*
 * A request and its response.  An HTTP/1.1 connection has one at a time, an
 * HTTP/2 connection one for each stream.  Memory is the protocol's.
 */
struct exchange {
	struct conn *c;
	uint32_t serial; /* 0: back does not know of it, not yet or no more */
	struct exchange *hash_next;
	bool orphan;         /* back died under it */
	bool req_done;       /* all of the request is sent to back */
	bool rsp_head;       /* head of the response is written */
	bool head;           /* the method is HEAD */
	bool no_body;        /* HEAD, 204, 304 */
	bool chunked;        /* HTTP/1.1 */
	bool expect;         /* agent waits for 100 (Continue) */
	bool tunnel;         /* another protocol is asked for */
	enum body_kind kind; /* of the response */
	uint64_t left;       /* BODY_LENGTH */
	size_t tx_credit;    /* body bytes back takes */
	size_t rx_credit;    /* body bytes back may send */
	size_t rx_taken;     /* written out and not granted again */
};

/*
 * A protocol that agents speak.  The first functions are about a connection,
 * those with an exchange say what back has said about it.
 */
struct front_proto {
	/* Use what is in c->in; true if more bytes are wanted. */
	bool (*advance)(struct conn *c);
	/* Does it want to read now? */
	bool (*wants_input)(const struct conn *c);
	/* The agent closed its side. */
	void (*eof)(struct conn *c);
	/* Add to c->out, which is empty, what may be written now; false if
	 * there is none. */
	bool (*fill)(struct conn *c);
	/* Bytes were written. */
	void (*wrote)(struct conn *c);
	/* Which timer runs while nothing waits to be written, and its end;
	 * false: the connection is to be closed. */
	enum conn_timer (*timer)(const struct conn *c);
	bool (*expired)(struct conn *c);
	/* Free what the connection has, aborting its exchanges. */
	void (*end)(struct conn *c);
	/* Front is to end: add to c->out what an agent should hear; or NULL. */
	void (*goodbye)(struct conn *c);

	void (*on_continue)(struct exchange *ex);
	void (*on_head)(struct exchange *ex, struct rsp_head *h);
	/* Within the credit and the length. */
	void (*on_body)(struct exchange *ex, const uint8_t *p, size_t n);
	void (*on_end)(struct exchange *ex, const struct fields *trailers);
	/* A whole answer in back's words. */
	void (*on_deny)(struct exchange *ex, unsigned int status,
	    const char *json, size_t n, bool close);
	/* It is over with back and not done: say why, or cut the response. */
	void (*on_fail)(struct exchange *ex, const struct refusal *r);
	/* Back takes n bytes more. */
	void (*on_credit)(struct exchange *ex, size_t n);
};

struct conn {
	struct front *f;
	struct conn *next, *prev;
	struct conn *idle_next, *idle_prev; /* while TIMER_IDLE is set */
	int fd;
	struct ev_io *io;
	struct ev_timer *timer;
	enum conn_timer timer_kind;
	struct tls *tls;
	enum conn_state state;
	const struct front_proto *proto; /* from CONN_OPEN on */
	char *addr;                      /* literal, as dialled */
	char *dst;      /* addr or the name behind it; NULL: an unknown
			 * synthetic one, learnt from SNI or Host */
	uint32_t index; /* of the synthetic address, 0 if literal */
	uint16_t port;
	struct buf in, out;
	size_t nexchanges;      /* that back knows of */
	size_t waiting;         /* bytes in the buffers of streams */
	size_t held;            /* counted in f->held */
	struct http_parser req; /* HTTP/1.1 */
	struct exchange *ex;    /* HTTP/1.1 and raw: the one under way */
	char *ws_accept;        /* HTTP/1.1: what accepts its WebSocket */
	struct raw_conn *raw;   /* neither HTTP nor TLS */
	struct h2 *h2;          /* HTTP/2 */
	size_t lingered;
	bool readable; /* there may be bytes to read */
	bool work_due;
	bool progress;  /* bytes moved since the timer was set */
	bool head_open; /* part of a head is here */
	bool used;      /* a request came */
	bool keep;      /* connection outlives this exchange */
	bool closing;   /* close once out is written */
	bool crl_wait;  /* for keyd's list of revoked certificates */
	bool owes;      /* ... though the agent may still be sending */
};

struct mint {
	struct mint *next;
	uint32_t serial;
	char name[P_HOST_MAX + 1];
};

struct front {
	struct ev *ev;
	struct peers *ps;
	uint32_t job;
	struct peer *back, *keyd; /* NULL while down */
	int fds[CAPTURE_MAX];
	struct ev_io *ios[CAPTURE_MAX];
	struct ev_timer *accept_timer;
	struct addr_pool *pool;
	struct tls_server *tls; /* made for the first TLS connection */
	struct conn *conns;
	size_t nconns, peak;
	struct conn *idle_first, *idle_last; /* by how long they are */
	struct exchange *hash[FRONT_HASH];
	size_t nexchanges;
	size_t held; /* of all connections, as of their last round */
	uint32_t next_serial, next_mint;
	struct mint *mints;
	size_t nmints;
	struct rate mint_rate, agent_rate;
	struct rate event_rate[FRONT_EVENT_MAX];
};

/* front.c */
/* Tell back, to be recorded.  text is untrusted and escaped here. */
void front_event(struct front *f, enum front_event kind, const char *dst,
    uint16_t port, const char *text, size_t n);

/* front_listen.c: capture sockets, TCP. */
int front_take_fd(struct front *f, unsigned int which, int fd);
void front_drop_fds(struct front *f);

/* front_dns.c */
void front_udp_setup(int fd);
void front_on_udp(int fd, unsigned int events, void *arg);
void front_on_dns(int fd, unsigned int events, void *arg);

/* front_tls.c */
void conn_handshake(struct conn *c);
int front_minted(
    struct front *f, uint32_t serial, const uint8_t *der, size_t n);
/* keyd is gone: everybody who waits for it fails. */
void front_mints_fail(struct front *f);
/* A new keyd is there: ask it for what its predecessor owed. */
void front_mints_ask(struct front *f);

/* front_crl.c: the list of revoked certificates */
/* Is this request one for it? */
bool crl_is_asked(
    const struct conn *c, const char *authority, const char *target);
void crl_ask(struct conn *c); /* answers and closes, now or later */
/* Answer all who wait; n is 0 if there is none. */
void front_crl(struct front *f, const void *der, size_t n);
/* A new keyd is there: ask it for what its predecessor owed. */
void front_crl_ask(struct front *f);
int front_on_crl(struct chan *ch, struct msg *m, void *ctx);

/* front_conn.c */
/*
 * Takes fd.  addr is the literal address dialled, dst the name it stands for,
 * or addr itself, or NULL for an unknown synthetic address.
 */
struct conn *conn_new(struct front *f, int fd, const char *addr,
    const char *dst, uint32_t index, uint16_t port);
/* front_event() about this connection; text is ours. */
void conn_event(const struct conn *c, enum front_event kind, const char *text);
void conn_close(struct conn *c);    /* at once, flushing nothing */
void conn_reset(struct conn *c);    /* the agent must see a broken end */
void conn_schedule(struct conn *c); /* conn_work() at the round's end */
/* Back to CONN_SNIFF: nothing has come, and nothing is known. */
void conn_sniff_again(struct conn *c);
/* The protocol begins. */
void conn_opened(struct conn *c, const struct front_proto *proto);
/*
 * Write n bytes, buffering what the socket does not take.  With nothing
 * buffered before them they are not copied.
 */
void conn_put(struct conn *c, const void *p, size_t n);
/* No more requests: close when out is written. */
void conn_finish(struct conn *c);
/* Bring f->held up to date. */
void conn_held(struct conn *c);
/* Reset who holds most, if it is too much. */
void conn_relieve(struct front *f);
/* Close the connection that has been idle for longest; false if none is. */
bool conn_close_idle(struct front *f);
/* Tell every agent that front is going. */
void conn_goodbye(struct front *f);

/* front_http.c: HTTP/1.1. */
extern const struct front_proto front_http;
/* front_h2.c: HTTP/2. */
extern const struct front_proto front_h2;
void h2_start(struct conn *c);

/* front_raw.c: what is not HTTP. */
extern const struct front_proto front_raw;
/* c->in holds the first bytes of what no HTTP client says: take it over. */
bool raw_begins(struct conn *c);
/* It may be the begin of HTTP, and of anything else. */
bool raw_undecided(const struct conn *c);
/* A client of the job's SSH agent.  Takes fd. */
void raw_agent(struct front *f, int fd);
/* May one who says nothing wait for a server that is not HTTP's? */
bool raw_may_wait(const struct conn *c);
/* Nothing, or not enough, has been said for FRONT_RAW_WAIT_MS. */
void raw_quiet(struct conn *c);
/* Its exchange, c->ex, is a tunnel from now on. */
void raw_upgraded(struct conn *c);

/* front_ws.c: WebSocket handshakes. */
enum ws_ask {
	WS_OTHER, /* for a protocol that is not spoken here */
	WS_NO,    /* for nothing, or what may be ignored */
	WS_YES,
};
/* What do the Upgrade fields ask for? */
enum ws_ask ws_asked(const struct fields *fs);
/* Of HTTP/1.1: NULL and the key (borrowed), or why it is refused. */
const struct refusal *ws_handshake(
    const struct http_parser *p, const char **key);
const struct refusal *ws_version(const struct fields *fs);
/* What an acceptance has in HTTP/1.1 alone. */
void ws_accepted(struct rsp_head *h, const char *accept);
extern const struct refusal refusal_upgrade;

/* front_request.c: what both do with the head of a request. */
/*
 * Fill in what the connection knows (tls, sni, and dst and port if dst is
 * NULL), drop what does not travel, hand it to back.  The strings of h stay
 * the caller's; h->fields is used up.  NULL, or why not.
 */
const struct refusal *request_begin(struct exchange *ex, struct req_head *h);
/* All of the body is sent.  NULL, or why not. */
const struct refusal *request_end(
    struct exchange *ex, const struct fields *trailers);
/* Of method CONNECT, which request_begin() does not take. */
extern const struct refusal refusal_connect;
/* The JSON of a refusal. */
void refusal_body(struct buf *b, const struct refusal *r);
/* The fields of an answer of ours. */
void answer_fields(struct fields *fs, unsigned int status);

/* front_exchange.c: messages of back, and the exchange's life. */
extern const struct msg_rule front_back_rules[];
extern const size_t front_back_nrules;
/* Give it a serial. */
void exchange_begin(struct exchange *ex);
/* Back is done with it: it loses its serial. */
void exchange_end(struct exchange *ex);
/* Give it up and tell back why.  Nothing happens without a serial. */
void exchange_abort(struct exchange *ex, const char *why);
/* Send a message about the exchange, unless its back is gone. */
void exchange_send(struct exchange *ex, uint16_t type, const void *p, size_t n);
/* n <= tx_credit bytes of the body, in as many messages as it takes. */
void exchange_send_body(struct exchange *ex, const uint8_t *p, size_t n);
/* Grant back what has been written out (rx_taken), once it is worth it. */
void exchange_grant(struct exchange *ex);
/* Is back's channel so full that no body should be read? */
bool front_congested(const struct front *f);
void front_back_up(struct peer *p);
void front_back_down(struct peer *p);

#endif

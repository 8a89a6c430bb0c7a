/*
 * Shared by upstream.c (life of exchanges), upstream_pool.c (life of
 * connections), upstream_conn.c (bytes), upstream_h1.c (HTTP/1.1, WebSocket's
 * handshake), upstream_h2.c and upstream_h2_in.c (HTTP/2).
 *
 * A connection carries exchanges: HTTP/1.1 one at a time, HTTP/2 many.  An
 * exchange whose response is complete may outlive its HTTP/2 connection until
 * the user has taken all of it.
 */
#ifndef BRIG_PROXY_UPSTREAM_INT_H
#define BRIG_PROXY_UPSTREAM_INT_H

#include "base/buf.h"
#include "proxy/http1.h"
#include "proxy/upstream.h"

struct nghttp2_session;

enum conn_state {
	UC_DIAL,
	UC_OPEN,
	UC_LINGER, /* nobody's; the last bytes go out */
	UC_DEAD,   /* memory goes at the end of the round */
};

struct upstream_conn {
	struct upstream_pool *pool;
	struct upstream_conn *next; /* of the pool, newest use first */
	enum conn_state state;
	struct dial *dial;
	int fd;
	struct ev_io *io;
	struct ev_timer *timer; /* runs while it is nobody's */
	struct tls *tls;
	uint64_t made; /* ms */
	uint32_t generation;
	bool is_tls;
	bool h1_only;
	bool draining; /* takes no other exchange */
	bool proxied;
	bool tunnel; /* by CONNECT: nothing in it is for the proxy */
	char *host;
	uint16_t port;
	uint8_t identity[TLS_KEY_SIZE];
	struct upstream *users;
	size_t nusers;

	struct buf in, out;
	bool in_pump;
	bool bulk;       /* a read filled its buffer */
	bool pump_due;   /* at the end of this round */
	bool readable;   /* bytes may be there: cleared when they ran out */
	bool want_write; /* TLS needs to write in order to read */
	bool half_closed;

	struct http_parser parser; /* HTTP/1.1 */

	struct nghttp2_session *h2; /* NULL: HTTP/1.1 */
	uint64_t noise;             /* control frames beyond what is usual */
	uint64_t noise_at;          /* ms; when it was last let off */
	bool flooded;
	char why[96]; /* what the session did not bear */
};

enum up_state {
	UP_WAIT, /* for the connection */
	UP_OPEN,
	UP_DEAD, /* memory goes at the end of the round */
};

struct upstream {
	struct upstream_pool *pool;
	struct upstream_conn *conn; /* NULL: gone, see above */
	struct upstream *next;      /* of the connection */
	enum up_state state;
	const struct upstream_ops *ops;
	void *arg;
	struct ev_timer *timer;
	uint64_t begun;      /* ms */
	enum body_kind kind; /* of the request */
	const struct dial_proxy *proxy;
	unsigned int interim;
	bool reused;
	bool refused; /* the origin says that it has not acted on it */
	bool blocked; /* the user took less than it was given */
	bool was_high;
	bool got_bytes; /* of the response */
	bool ended;     /* the request is whole */
	bool complete;  /* so is the response */
	bool broken;    /* of no more use: uc2_settle() tells */
	bool told;      /* and the user knows */

	/* WebSocket. */
	bool upgrade;    /* asked for */
	bool raw;        /* granted: no HTTP from here on */
	char accept[29]; /* what Sec-WebSocket-Accept has to say */

	/* HTTP/2. */
	int32_t stream; /* 0: none */
	bool deferred;  /* the stream waits for more of out */
	bool to_head;   /* request is HEAD */
	bool headed;    /* the head has been given */
	unsigned int status;
	struct buf out; /* body of the request */
	struct buf rx;  /* body of the response that the user has not taken */
	size_t head_bytes;
	struct fields fields;   /* head, then trailers, as they come */
	struct fields trailers; /* of the request */
	bool have_length;
	uint64_t length;
	uint64_t data_bytes; /* of the response */
	char why[160];       /* of a failure found in the middle of a frame */
};

#define UPSTREAM_NOTES 32u

/* Names of origins; the oldest goes. */
struct origin_notes {
	char *name[UPSTREAM_NOTES]; /* "host port" */
	size_t next;
};

struct upstream_pool {
	struct ev *ev;
	struct dialer *dialer;
	struct upstream_conn *conns;
	struct origin_notes h1; /* speak it: nobody waits for their dials */
	struct origin_notes h1_only; /* asked for it: h2 is not offered */
};

/* upstream.c */
/* The exchange is over; failed() is called. */
void up_fail(struct upstream *u, enum upstream_fail how, const char *why);
/* The same after this round, as UPSTREAM_BROKEN; why is static text. */
void up_fail_later(struct upstream *u, const char *why);
/* The connection is over, and with it what it carries. */
void uc_fail(struct upstream_conn *c, enum upstream_fail how, const char *why);
/* A byte went one way or the other: the idle time starts anew. */
void up_alive(struct upstream *u);
/* The response is complete; trailers are taken. */
void up_done(struct upstream *u, struct fields *trailers);
/* An interim response came: false when u is no more. */
bool up_interim(struct upstream *u);

/* upstream_pool.c */
/* One that is to be dialled; of the pool. */
struct upstream_conn *uc_new(
    struct upstream_pool *p, const struct upstream_want *w);
void uc_destroy(struct upstream_conn *c);
bool uc_is_idle(const struct upstream_conn *c);
/* May c carry what w wants, as far as it is not too busy? */
bool uc_fits(const struct upstream_conn *c, const struct upstream_want *w);
/* Nobody uses c any more: keep it for a while. */
void uc_keep(struct upstream_conn *c);
void note_origin(struct origin_notes *o, const char *host, uint16_t port);
bool is_noted(const struct origin_notes *o, const char *host, uint16_t port);

/* upstream_conn.c */
void uc_on_io(int fd, unsigned int events, void *arg);
void uc_pump(struct upstream_conn *c);
/* At the end of this round, unless it is being pumped. */
void uc_pump_soon(struct upstream_conn *c);
void uc_pump_later(void *arg);
void uc_watch(struct upstream_conn *c, unsigned int want);
void up_wipe(struct buf *b);
/* Room for n more bytes, without a copy left behind. */
void up_reserve(struct buf *b, size_t n);

/* upstream_h1.c */
void uc1_head(
    struct upstream *u, const struct req_head *h, const char *hostport);
void uc1_body(struct upstream *u, const void *p, size_t n);
void uc1_end(struct upstream *u, const struct fields *trailers);
/* Give the user what has been read; false when nothing more can be. */
bool uc1_parse(struct upstream_conn *c);
void uc1_eof(struct upstream_conn *c, bool clean);

/* upstream_h2.c */
void uc2_open(struct upstream_conn *c);
void uc2_free(struct upstream_conn *c);
/* Room for one more stream? */
bool uc2_has_room(const struct upstream_conn *c);
void uc2_head(
    struct upstream *u, const struct req_head *h, const char *hostport);
void uc2_body(struct upstream *u, const void *p, size_t n);
void uc2_end(struct upstream *u, const struct fields *trailers);
/* The user lets go of it. */
void uc2_release(struct upstream *u);
void uc2_resume(struct upstream *u);
/* Say GOAWAY: true when it lies in c->out. */
bool uc2_goodbye(struct upstream_conn *c);
/* Frames that wait to be sent, into c->out as far as there is room.  False
 * when c is no more. */
bool uc2_fill(struct upstream_conn *c);
/* Nothing more is expected or to be said: uc2_over(). */
bool uc2_is_over(const struct upstream_conn *c);

/* upstream_h2_in.c */
/* All of c->in; false when c is no more. */
bool uc2_input(struct upstream_conn *c);
void uc2_eof(struct upstream_conn *c);
void uc2_over(struct upstream_conn *c);
/* Tell users what was found meanwhile; false when c is no more. */
bool uc2_settle(struct upstream_conn *c);
/* Let the user have what it may take of rx, and the end. */
void uc2_deliver(struct upstream *u);
struct nghttp2_session_callbacks;
void uc2_set_callbacks(struct nghttp2_session_callbacks *cbs);

#endif

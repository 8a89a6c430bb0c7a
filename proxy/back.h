/*
 * Inside of the back process, one per job: the decision of record.  It judges
 * every exchange that front describes, has it recorded, and only then connects
 * out; the stub becomes the real value here and turns back into the stub on
 * the way home.  It accepts no connection and opens no file.
 *
 * An exchange passes through the states of enum xstate in order; whatever is
 * missing on the way (policy, bindings, keyd, control, audit, dns) ends it
 * with a refusal.
 */
#ifndef BRIG_PROXY_BACK_H
#define BRIG_PROXY_BACK_H

#include "base/audit_event.h"
#include "base/ev.h"
#include "base/peer.h"
#include "base/rate.h"
#include "base/secret.h"
#include "policy/policy.h"
#include "proxy/binding.h"
#include "proxy/codec.h"
#include "proxy/deny.h"
#include "proxy/scrub.h"
#include "proxy/swap.h"
#include "proxy/upstream.h"
#include "proxy/wire.h"

#define BACK_EXCHANGES_MAX 256u /* at once; then 503 */
#define BACK_CREDS_MAX 40u      /* bound to one host and port; then 403 */
#define BACK_CAPTURE_BODY (256u * 1024) /* of a token endpoint; then 502 */
#define BACK_CAPTURE_NAMES 32u          /* members looked for; then 502 */
#define BACK_CAPTURE_FOUND 16u          /* tokens in a response; then 502 */
/* A body whose length changes with what is put in, or that is signed as a
 * whole, is held up to this size; beyond, 413. */
#define BODY_REWRITE_MAX (1024u * 1024)
/* Of all bodies and signed chunks that one back holds; beyond, 503. */
#define BACK_HELD_MAX (32u * 1024 * 1024)
#define BACK_STEP_MS 10000u    /* keyd and audit answer within this, or 503 */
#define BACK_RESOLVE_MS 15000u /* dns, or 502 */
#define BACK_QUIET_MS 5u       /* then an answer may be waited for */
/* A record that nobody waits for goes with the next that somebody waits for,
 * or after this; at the end of the job it is waited for that long. */
#define BACK_OWED_MS 5u
#define BACK_OWED_END_MS 1000
/* So many are kept while audit is away; what is beyond is counted. */
#define BACK_OWED_MAX 256u
/* Exchanges that are over and keep their memory for others. */
#define BACK_UNUSED_MAX 8u
/* What a scrubber holds stays after its exchange for so long at most, and
 * not beyond a change of what is bound. */
#define BACK_SPARE_MS 1000u
#define BACK_SPARE_MAX 8u
/* Events that front tells, of each kind: twice of what it keeps to. */
#define BACK_FRONT_BURST 40u
#define BACK_FRONT_MS 500u
/* Requests of a minute that a credential stands in: beyond, recorded. */
#define BACK_OFTEN_MAX 1000u
#define BACK_OFTEN_MS 60000u
/* Guesses of a value that a job may have right so far; then it is not used for
 * the job any more. */
#define BACK_DOUBTS_MAX 3u
#define BACK_ASK_SLACK_MS 5000u /* control's own time-out comes first */

enum xstate {
	X_ASK,     /* a person is asked */
	X_GATHER,  /* the whole request is waited for */
	X_RELEASE, /* keyd releases what is bound to the host */
	X_AUDIT,   /* the record is on its way to the disk */
	X_RESOLVE, /* dns looks the name up */
	X_LOCAL,   /* the parent connects to the local engine */
	X_CONNECT, /* dialling, TLS */
	X_OPEN,    /* the request is on its way, or the response */
	X_CAPTURE, /* keyd seals the tokens of the response */
	X_DRAIN,   /* the origin has sent all, front has not taken it */
	X_GONE,    /* memory goes at the end of the round */
};

struct cred_use {
	uint32_t cred;
	struct secret *value; /* NULL until released */
};

struct raw;    /* proxy/back_raw.h */
struct early;  /* back_early.c */
struct xmodel; /* proxy/back_model.h */
struct xch_body;
struct xch_sign;
struct xch_ws; /* proxy/back_ws.h */

struct held; /* back_capture.c */
#define VIA_EXCEPT_MAX 128u

/* The administrator's upstream proxy (brigd.conf(5)). */
struct via {
	char host[P_HOST_MAX + 1]; /* name or address; "": none */
	uint16_t port;
	char secret[P_NAME_MAX + 1]; /* name of its credential, or "" */
	char **except;               /* NAME, *.NAME or address */
	size_t nexcept;
};

struct exchange {
	struct back *back;
	struct exchange *next;
	uint32_t id; /* serial on the channel to front */
	enum xstate state;
	uint32_t wait; /* serial of the question that is open */
	uint32_t ack;  /* of its record, when it left early; 0: none, or here */
	struct early *early; /* the response came before that */
	struct ev_timer *timer;

	struct req_head head; /* as judged; holds stubs, never values */
	char host[256];       /* normalised */
	char hostport[272];   /* for the Host field */
	struct decision dec;
	const char *by; /* dec.by of the record */
	char ask_id[P_NAME_MAX + 1];
	char ask_by[P_NAME_MAX + 1];
	struct swap_plan plan;
	uint32_t judged; /* bindings_serial of the plan; 0: none */
	struct cred_use cred[BACK_CREDS_MAX];
	size_t ncreds;
	size_t released;       /* of them, so far */
	struct xmodel *model;  /* NULL: no call of a model */
	unsigned int stripped; /* fields with the caller's own key */
	struct scrub *scrub;   /* NULL: no credential on this host */
	size_t scrub_keys;     /* that it was made with */
	unsigned int doubts;   /* of it, counted */

	struct xch_body *body; /* NULL: the body goes as it comes */
	struct xch_sign *sign; /* NULL: nothing is signed */
	struct buf req;        /* body bytes not yet passed on */
	uint64_t req_credit;   /* bytes front may still send */
	uint64_t req_seen;
	uint64_t req_sent;
	uint32_t req_taken; /* of them, not yet granted anew */
	size_t req_prepaid; /* of req, granted already */
	bool req_ended;     /* M_REQ_END came */
	bool head_sent;     /* the head went to the origin */
	bool end_sent;      /* so did the end */
	struct fields req_trailers;
	struct buf stub_tail; /* of the body: what may start a stub */
	bool body_stub;       /* a stub in the body has been recorded */

	struct netaddr addrs[UPSTREAM_ADDRS_MAX];
	size_t naddrs;
	bool via;       /* through the upstream proxy */
	bool via_asked; /* dns looks the proxy's name up */
	struct netaddr via_addrs[UPSTREAM_ADDRS_MAX];
	size_t nvia;
	struct secret *via_auth; /* "USER:PASSWORD", or NULL */
	struct dial_proxy proxy;
	struct upstream *up;
	struct raw *raw;   /* NULL: it is HTTP */
	struct xch_ws *ws; /* a WebSocket that is looked into */
	bool retried;
	bool own_dial;  /* no connection that is there already */
	bool rsp_half;  /* it has ended, the request of a WebSocket goes on */
	bool rsp_ended; /* front knows */

	struct held *held; /* a response with tokens, not passed on yet */
	bool rsp_started;
	bool blocked; /* response waits for front */
	uint64_t rsp_credit;
	uint64_t rsp_bytes;
	unsigned int status;

	/* With a scrubber: the body on its way through. */
	uint32_t accepts;        /* codings the agent takes, 1 << enum coding */
	struct decoder *decoder; /* NULL: plain */
	struct encoder *encoder; /* NULL: goes on plain */
	bool decoder_full;       /* it may have more without more input */
	bool rsp_finished;       /* the end has been made ready */
	struct buf ready;        /* waits for credit */
	struct fields rsp_trailers;
};

/* Scrubbers that are not in use. */
struct scrub_spare {
	struct scrub *scrub[BACK_SPARE_MAX];
	size_t n;
	struct ev_timer *timer;
};

/* How often the value of a credential has gone out. */
struct often {
	uint32_t cred;
	unsigned int n;
	uint64_t since; /* ms */
};

/* Events on their way to audit, in order. */
struct owed {
	struct audit_ev event[BACK_OWED_MAX];
	size_t n;
	uint64_t lost;
	struct ev_timer *timer;
};

struct back {
	struct ev *ev;
	struct peers *peers;
	struct peer *front;
	uint32_t job;
	char profile_name[P_NAME_MAX + 1];
	uint32_t generation;
	struct policy *policy;
	const struct profile *profile; /* NULL: nothing is allowed */
	struct bindings bindings;
	bool have_bindings;
	size_t held;              /* bytes of bodies that wait to be whole */
	uint32_t bindings_serial; /* counts their changes */
	struct model_host *model_hosts; /* of brigd.conf */
	size_t nmodel_hosts;
	struct upstream_pool *pool;
	struct via via;
	struct codec_memory codecs;
	struct exchange *list;
	size_t n;
	struct exchange *unused; /* memory for the next ones, zeroed */
	size_t nunused;
	uint32_t serial;
	struct owed owed;
	struct scrub_spare spare;
	struct rate front_events[FRONT_EVENT_MAX];
	struct often *often;
	size_t noften;
	unsigned int doubts; /* BACK_DOUBTS_MAX */
	bool audit_room;     /* audit has said that it will not run out of it */
};

/* back.c */
struct chan *back_chan(struct back *b, enum role role); /* NULL if down */
uint32_t back_serial(struct back *b);

/* back_exchange.c: life of an exchange, and the channel to front */
extern const struct msg_rule back_from_front[];
extern const size_t back_nfrom_front;
void xch_deny(struct exchange *x, const struct denial *d);
/* Nothing can be said any more: drop it, telling front why. */
void xch_abort(struct exchange *x, const char *why);
void xch_end(struct exchange *x, bool keep_upstream);
void back_drop_all(struct back *b);
/* Memory kept for exchanges; after the last round. */
void back_unused_free(struct back *b);
struct exchange *back_waiting(
    struct back *b, enum xstate state, uint32_t serial);
void xch_wait(struct exchange *x, enum xstate state, uint64_t ms);

/* back_judge.c: from head to decision */
void xch_judge(struct exchange *x);
void xch_answered(struct exchange *x); /* a person has allowed it */
void xch_approved(struct exchange *x); /* by policy or a person */
/* The policy is another: end what it does not allow and is still going on. */
void back_rejudge(struct back *b);
/* Another request that this one amounts to: x->dec is what is stricter. */
void xch_judge_also(struct exchange *x, const struct http_request *rq);
/* To be released; false when x was refused instead. */
bool xch_add_cred(struct exchange *x, uint32_t cred);
void xch_refuse(struct exchange *x, unsigned int status, const char *error,
    const char *reason, const char *next_step);

/* back_elsewhere.c: does nothing in the head name another host or URL?  False
 * when x was refused for it. */
bool xch_points_here(struct exchange *x);

/* back_copy.c: let the path that COPY or MOVE goes to (RFC 4918) count in
 * x->dec; what an object store is to copy from (proxy/copysource.h). */
void xch_judge_destination(struct exchange *x);
void xch_judge_source(struct exchange *x);
/* Whether the field of that name is one of these. */
bool xch_is_copy_field(const struct exchange *x, const char *name);

/* back_override.c: other methods that a request asks for, as with
 * X-HTTP-Method-Override or "_method" */
struct http_request;
/* The next one of the head, in capitals: the caller frees; *at begins at 0.
 * NULL: no more. */
char *xch_override(const struct exchange *x, size_t *at);
bool xch_has_override(const struct exchange *x);
/* Let them count in x->dec; rq is the request by its own method. */
void xch_judge_overrides(struct exchange *x, struct http_request *rq);
/* What looks for one in the body, or NULL: it would change nothing. */
struct override *xch_override_in_body(const struct exchange *x);
/* One was found.  False when the exchange has been ended. */
bool xch_override_found(struct exchange *x, const struct override *o);
void xch_override_unclear(struct exchange *x);

/* back_steps.c: release, record, resolve, dial; answers of the peers */
void xch_release(struct exchange *x);
void xch_record(struct exchange *x);
void xch_resolve(struct exchange *x);
void xch_timed_out(struct exchange *x);
void xch_audit_failed(struct exchange *x, const char *why);
/* A peer went away: refuse what waits for it. */
void back_peer_lost(struct back *b, enum role role);
extern const struct msg_rule back_from_keyd[];
extern const size_t back_nfrom_keyd;
extern const struct msg_rule back_from_audit[];
extern const size_t back_nfrom_audit;
extern const struct msg_rule back_from_dns[];
extern const size_t back_nfrom_dns;

/*
 * back_early.c: a request that changes nothing leaves while its record is on
 * its way to the log, if audit has room for it.  What comes back is held until
 * the record is there; should that fail, the agent gets no answer, and the
 * outcome says so as soon as there is a log again.
 */
bool early_may(const struct exchange *x);
void early_free(struct exchange *x);
/* True when the head is held, and then the body, which is not taken... */
bool early_hold(struct exchange *x, struct rsp_head *h);
/* ...and the end. */
bool early_hold_end(struct exchange *x, struct fields *trailers);
/* There will be no acknowledgement; x is gone. */
void early_fail(struct exchange *x, const char *why);
/* False when serial is no early one's. */
bool early_acked(struct back *b, uint32_t serial, bool ok, const char *why);
int early_on_room(struct chan *c, struct msg *m, void *ctx);

/* back_via.c: through the upstream proxy, and as whom */
void via_config(struct via *v, const char *key, const char *value);
void via_clear(struct via *v);
bool via_applies(const struct via *v, const char *host);
/* It is allowed: which way?  False when x was refused instead. */
bool xch_via(struct exchange *x);
/* Which proxy and client certificate a dial is for; NULL each: none. */
void xch_way(struct exchange *x, const struct dial_proxy **proxy,
    const struct secret **identity);
/* All is released: false when x was refused instead. */
bool xch_via_ready(struct exchange *x);
/* The destination may be reached: find the proxy and dial. */
void xch_via_resolve(struct exchange *x);
void xch_via_addr(struct exchange *x, struct netaddr a);
void xch_via_resolved(struct exchange *x, const char *error);
/* A response head came: true when the proxy refused and x is over. */
bool xch_via_refused(struct exchange *x);

/* back_inferd.c: requests to the local engine, at INFERD_HOST */
#define INFERD_HOST "inferd.brig"
bool xch_is_inferd(const struct exchange *x);
/* Class http has no rule for it: x->dec by the rules of class model.  A call
 * is allowed so far, since it is judged when it is whole. */
void inferd_judge(struct exchange *x);
struct model_host;
/* As what a call there is read; x->host is it. */
const struct model_host *inferd_host(const struct exchange *x);
/* Over a connection that is there, or one that the parent makes. */
void inferd_connect(struct exchange *x);
int back_on_inferd(struct chan *c, struct msg *m, void *ctx);

/* back_ask.c: asking a person */
void xch_ask(struct exchange *x);
void xch_ask_cancel(struct exchange *x);
extern const struct msg_rule back_from_control[];
extern const size_t back_nfrom_control;

/* back_stream.c: between front and the origin */
void xch_dial(struct exchange *x, bool reuse);
/* Go on over fd, which it takes: connected, plain. */
void xch_adopt(struct exchange *x, int fd);
void xch_tell(struct exchange *x, uint16_t type, const struct buf *body);
/* After the decision was recorded as allowed: the outcome is a record, too. */
void xch_fail(struct exchange *x, unsigned int status, const char *error,
    const char *why, const char *step);

/* back_body.c: what is put into the request's body */
/* All values are here.  False when the exchange has been refused. */
bool xch_body_prepare(struct exchange *x);
void xch_body_free(struct exchange *x);
/* Does it go out in another form than it comes in? */
bool xch_body_changes(const struct exchange *x);
/* Must the head wait for more of the body? */
bool xch_body_waits(const struct exchange *x);
/* What the head says of the body that goes out, where it may differ. */
void xch_body_head(const struct exchange *x, struct req_head *h);
/* Move bytes from x->req on; returns how many.  It may end the exchange. */
size_t xch_body_fill(struct exchange *x);
/* All of the body, when the head has waited for it; else NULL. */
const struct buf *xch_body_whole(const struct exchange *x);
/* What goes out next. */
struct buf *xch_body_data(struct exchange *x);
uint64_t xch_body_swapped(const struct exchange *x); /* stubs, so far */

/* back_sign.c: requests that are signed */
enum xch_sign_body {
	SIGN_NO_BODY,    /* the signature does not need it */
	SIGN_WHOLE_BODY, /* before the head is signed */
	SIGN_CHUNKS,     /* it goes through xch_sign_feed() */
};
struct sigv4;
/* Is the request, as it came, signed with a stub, if it is signed?  False when
 * the exchange has been refused. */
bool xch_sign_admit(struct exchange *x);
/* What is to be signed with what, once bound credentials are in x->cred, where
 * one more may be put.  False as above. */
bool xch_sign_prepare(struct exchange *x);
/* A piece of the body as it came. */
void xch_sign_seen(struct exchange *x, const void *p, size_t n);
void xch_sign_free(struct exchange *x);
/* The signature that cred is the key of, if a key is made for it. */
const struct sigv4 *xch_sign_key(const struct exchange *x, uint32_t cred);
enum xch_sign_body xch_sign_body(const struct exchange *x);
/* Sign the head as it goes out; body is the whole one, or NULL.  0 or -1. */
int xch_sign_head(struct exchange *x, struct req_head *h,
    const struct buf *body, struct error *err);
int xch_sign_feed(struct exchange *x, const uint8_t *p, size_t n,
    struct buf *out, struct error *err);
size_t xch_sign_held(const struct exchange *x); /* bytes of a chunk */
int xch_sign_end(struct exchange *x, struct buf *out, struct error *err);

/* back_request.c: towards the origin */
void xch_ready(struct exchange *x);
void xch_push(struct exchange *x); /* request body onwards */
/* Let front send as many bytes again. */
void xch_grant(struct exchange *x, size_t n);

/* back_response.c: towards front */
void xch_rsp_head(struct exchange *x, struct rsp_head *h);
size_t xch_rsp_data(struct exchange *x, const uint8_t *p, size_t n);
/* Nothing has come for a moment. */
void xch_rsp_quiet(struct exchange *x);
void xch_rsp_done(struct exchange *x, struct fields *trailers);
/* So has the request of a WebSocket whose response had ended before. */
void xch_rsp_other_half(struct exchange *x);
void xch_pull(struct exchange *x); /* front can take more response */
/* A whole response of n plain bytes; takes head's and trailers' fields. */
void xch_rsp_whole(struct exchange *x, struct rsp_head *head, const uint8_t *p,
    size_t n, struct fields *trailers);

/* back_scrub.c: what looks for values in responses */
/* May one that is bound be in the response? */
bool xch_may_come_back(const struct exchange *x);
/* All values are here; false when one is not to be used any more. */
bool xch_scrub_prepare(struct exchange *x);
void xch_scrub_free(struct exchange *x);
/*
 * A job that makes a server repeat guesses of a value can see one that is right
 * so far by the pause (proxy/scrub.h).  False when there have been too many of
 * those, and x is gone.
 */
bool xch_scrub_trusts(struct exchange *x);
bool xch_scrub_admits(struct exchange *x); /* the same, to begin with */
void spare_init(struct back *b);
void spare_drop(struct back *b); /* all of them, now */
void spare_end(struct back *b);

/* back_capture.c: responses that issue tokens */
/* Must the response with that status be held? */
bool capture_is_due(const struct exchange *x, unsigned int status);
void capture_hold(struct exchange *x, struct rsp_head *head); /* takes it */
/* More of the plain body; -1 and err when it cannot be passed on. */
int capture_body(
    struct exchange *x, const uint8_t *p, size_t n, struct error *err);
/* It is complete, the origin's connection released.  Takes the trailers. */
void capture_end(struct exchange *x, struct fields *trailers);
int capture_on_captured(struct chan *c, struct msg *m, void *ctx);
void capture_free(struct held *h);

/* back_owed.c: records that nobody waits for */
void owed_init(struct back *b);
void owed_add(struct back *b, struct audit_ev *e); /* takes e */
void owed_send(struct back *b); /* now; nothing happens while audit is away */
void owed_end(struct back *b);

/* back_record.c: audit events */
/* Send and free e; serial 0 wants no answer, and e goes to what is owed.
 * False: audit is down. */
bool back_send_event(struct back *b, struct audit_ev *e, uint32_t serial);
/* True when it was sent; serial 0 wants no answer. */
bool record_decision(struct exchange *x, const char *code, const char *effect,
    const char *why, uint32_t serial);
void record_outcome(struct exchange *x, const char *error);
void record_leak(
    struct exchange *x, const char *cred, const char *why, bool passed);
/* Values are on their way: often ones are an event (attack 10). */
void record_often(struct exchange *x);
/* A start of a value was guessed; refused: too often. */
void record_guess(struct exchange *x, const char *why, bool refused);
void record_front(struct back *b, uint8_t kind, const char *dst, uint16_t port,
    const char *text);
/* May it change something at the origin? */
bool record_is_barrier(const struct exchange *x);

#endif

/*
 * HTTP semantics between front and back: the bodies of M_REQ_HEAD and
 * M_RSP_HEAD.  They carry a message, not a version of HTTP: method, scheme,
 * authority, target, fields.  An exchange is one request and its response; its
 * id is the serial of every message about it, chosen by front, never reused.
 *
 * Order: REQ_HEAD, REQ_BODY*, REQ_END; back may answer RSP_DENY (ends the
 * exchange; front drops what is left of the request), or [RSP_CONTINUE],
 * RSP_HEAD, RSP_BODY*, RSP_END at any time after REQ_HEAD.  Either side ends
 * early with REQ_ABORT / RSP_ABORT.  After RSP_END, RSP_DENY, RSP_ABORT or
 * REQ_ABORT no message for that serial is valid but the crossing of one
 * already under way, which is ignored.
 *
 * Flow control per exchange and direction: a sender of bodies starts with
 * WIRE_WINDOW bytes of credit for a request and WIRE_RSP_WINDOW for a response;
 * M_RSP_WINDOW and M_REQ_WINDOW grant more.  Exceeding the credit is a fault of
 * the peer.
 *
 * The answer to HEAD may say BODY_LENGTH (what GET would have had); no body
 * follows its head.
 *
 * A head with a protocol asks for something else than HTTP from then on:
 *   "websocket"   method GET, body kind BODY_STREAM.  Upgrade (RFC 6455) and
 *                 extended CONNECT (RFC 8441) are told in this one form;
 *                 Sec-WebSocket-Key and -Accept belong to each leg.  Accepted
 *                 is RSP_HEAD with status 101 and BODY_STREAM, then bodies are
 *                 the raw bytes, each direction until its *_END; the exchange
 *                 ends with the second one, or with an abort.  Any other
 *                 status is an ordinary response.
 *   "tcp", "postgres", "ssh-agent"   method CONNECT, target "", a connection
 *                 without HTTP; RSP_HEAD 200 opens it.
 *
 * Fields: hop-by-hop ones (Connection and what it names, Keep-Alive,
 * Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade) and Content-Length never
 * travel; the body kind says how the body is framed.  The encoders leave them
 * out, the decoders refuse them.  In the answer to a HEAD request and in a
 * 304, BODY_LENGTH says what the body would have been; none follows.
 */
#ifndef BRIG_PROXY_WIRE_H
#define BRIG_PROXY_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define WIRE_WINDOW (256u * 1024)
/* Half of it is on its way while front writes the other half. */
#define WIRE_RSP_WINDOW (512u * 1024)
#define WIRE_BODY_CHUNK (48u * 1024) /* at most, in one *_BODY message */
/* Pieces that bodies are read in: with what was held back before, a message. */
#define WIRE_PIECE (WIRE_BODY_CHUNK - 1024u)
#define WIRE_FIELDS_MAX 128u
#define WIRE_NAME_MAX 256u    /* field name */
#define WIRE_VALUE_MAX 16384u /* field value */
#define WIRE_HEAD_MAX 49152u  /* encoded head */
#define WIRE_METHOD_MAX 32u
#define WIRE_AUTHORITY_MAX 264u /* host name, colon, port */
#define WIRE_REASON_MAX 256u
#define WIRE_PROTOCOL_MAX 16u
#define WIRE_WEBSOCKET "websocket"

enum body_kind {
	BODY_NONE,
	BODY_LENGTH, /* length is known */
	BODY_STREAM, /* until REQ_END / RSP_END */
};

struct field {
	char *name;  /* as sent; compared without case */
	char *value; /* no CR LF NUL; outer white space removed */
	bool secret; /* value holds a real secret; back's own, never encoded */
};

struct fields {
	struct field *f;
	size_t n, cap;
};

void fields_add(struct fields *fs, const char *name, size_t nlen,
    const char *value, size_t vlen);
/* First value or NULL; *count (may be NULL) is how many there are. */
const char *fields_get(
    const struct fields *fs, const char *name, size_t *count);
void fields_remove(struct fields *fs, const char *name);
/* Replace all of that name by one. */
void fields_set(struct fields *fs, const char *name, const char *value);
/* Values are wiped before they are freed: back's may hold a secret. */
void fields_free(struct fields *fs);
/*
 * Remove the hop-by-hop fields of RFC 9110 section 7.6.1, what Connection
 * names, and Content-Length.
 */
void fields_strip_hop(struct fields *fs);
/* Is name one of those (Connection's own list apart)? */
bool wire_is_hop(const char *name);
/* Is name one that a WebSocket handshake makes for each leg anew? */
bool wire_is_leg(const char *name);
/* May it come after a body?  Not what says how to read the message. */
bool wire_is_trailer(const char *name);
/* Is the field called that, for servers that read "_" as a hyphen, too? */
bool wire_is_name(const char *field, const char *name);
/* Does the comma-separated list hold token, without regard to case? */
bool wire_list_has(const char *list, const char *token);

/* Field value: no controls but HTAB, no outer white space. */
bool wire_is_value(const char *s, size_t n);
/* Origin-form, printable ASCII without a fragment, or "*". */
bool wire_is_target(const char *s);
/* Host name, or IPv4 or IPv6 literal without brackets. */
bool wire_is_host(const char *s);
/* host[:port], [v6][:port]; no userinfo, no empty port (RFC 9110 s. 7.2). */
bool wire_is_authority(const char *s);

struct req_head {
	bool tls;      /* scheme https */
	char *sni;     /* server name of the TLS session, or "" */
	char *dst;     /* name behind the synthetic address, or the
			* literal address the agent dialled */
	uint16_t port; /* port the agent dialled */
	char *method;
	char *authority;      /* Host field (or absolute-form authority) as
			       * sent, "" if absent */
	char *target;         /* origin-form, or "*"; "" with CONNECT */
	char *protocol;       /* what it becomes, or "" for plain HTTP */
	struct fields fields; /* Host is not among them */
	enum body_kind kind;
	uint64_t length;
	bool expect_continue;
};

struct rsp_head {
	uint16_t status;
	char *reason; /* phrase, may be "" */
	struct fields fields;
	enum body_kind kind;
	uint64_t length;
};

/* Encode; 0, or -1 when it does not fit WIRE_HEAD_MAX. */
int req_head_put(struct buf *b, const struct req_head *h);
int rsp_head_put(struct buf *b, const struct rsp_head *h);
/*
 * Decode and check every field again (tokens, no CR/LF/NUL); 0 or -1.  101 is
 * the only interim status of a rsp_head; whether it was asked for is front's
 * to know.
 */
int req_head_get(struct cur *c, struct req_head *h);
int rsp_head_get(struct cur *c, struct rsp_head *h);
void req_head_free(struct req_head *h);
void rsp_head_free(struct rsp_head *h);

/* Trailers: M_REQ_END, M_RSP_END. */
int trailers_put(struct buf *b, const struct fields *fs);
int trailers_get(struct cur *c, struct fields *fs);

#endif

/*
 * The start of a PostgreSQL connection (protocol 3.0, PostgreSQL's
 * documentation chapter "Frontend/Backend Protocol"), up to the end of the
 * authentication.  Pure.  front recognises the first packet, back speaks the
 * login on both sides.
 */
#ifndef BRIG_PROXY_PGWIRE_H
#define BRIG_PROXY_PGWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define PG_START_MAX 10000u   /* first packet; the server's own limit */
#define PG_MESSAGE_MAX 32768u /* of a login; later ones are not looked at */
#define PG_NAME_MAX 255u      /* role */
#define PG_HEADER 5u          /* type and length of a message */

enum pg_start {
	PG_START_BAD, /* none of these */
	PG_START_MORE,
	PG_START_SSL,
	PG_START_GSS,
	PG_START_CANCEL,
	PG_START_LOGIN,
};

/*
 * What n bytes begin with; *used is the length of that packet when it is one
 * of SSL, GSS, CANCEL and LOGIN.  A few bytes are enough to be BAD.
 */
enum pg_start pg_start_parse(const uint8_t *p, size_t n, size_t *used);

/* What a start-up packet asks for. */
struct pg_login {
	char user[PG_NAME_MAX + 1];
	/* It asks for a minor version above 0, or for _pq_ options. */
	bool newer;
	struct buf options; /* names of those, each with its NUL */
	uint32_t noptions;
	struct buf packet; /* the same request for 3.0, without them */
};

/* A whole packet (PG_START_LOGIN); 0, or -1 if it is malformed or names no
 * role. */
int pg_login_parse(const uint8_t *p, size_t n, struct pg_login *l);
void pg_login_free(struct pg_login *l);

/* ---- messages with a type byte ------------------------------------------ */

enum pg_got {
	PG_MORE,
	PG_MESSAGE,
	PG_BAD, /* no such message, or too long for a login */
};

struct pg_message {
	uint8_t type;
	const uint8_t *body;
	size_t n;
	size_t used; /* of the whole message */
};

enum pg_got pg_message_parse(const uint8_t *p, size_t n, struct pg_message *m);

void pg_put(struct buf *b, uint8_t type, const void *body, size_t n);
/* SSLRequest. */
void pg_put_ssl(struct buf *b);
/* NegotiateProtocolVersion that says 3.0 to what l asked for. */
void pg_put_negotiate(struct buf *b, const struct pg_login *l);
/* ErrorResponse, fatal.  text is shown to people. */
void pg_put_error(
    struct buf *b, const char *sqlstate, const char *text, const char *hint);

/* What the server says about the login (message 'R'). */
enum pg_auth {
	PG_AUTH_OK = 0,
	PG_AUTH_CLEARTEXT = 3,
	PG_AUTH_MD5 = 5,
	PG_AUTH_SASL = 10,
	PG_AUTH_SASL_CONTINUE = 11,
	PG_AUTH_SASL_FINAL = 12,
	PG_AUTH_OTHER = -1,
};

/* data is what stands behind the code.  -1 if it is malformed. */
int pg_auth_parse(const struct pg_message *m, enum pg_auth *a,
    const uint8_t **data, size_t *n);
void pg_put_auth(struct buf *b, enum pg_auth a, const void *data, size_t n);
/* Is the mechanism in the list of PG_AUTH_SASL? */
bool pg_sasl_has(const uint8_t *list, size_t n, const char *mechanism);

/* The client's side of SASL (messages 'p'). */
void pg_put_sasl_first(
    struct buf *b, const char *mechanism, const void *data, size_t n);
/* 0, or -1 when it is malformed or of another mechanism. */
int pg_sasl_first_parse(const struct pg_message *m, const char *mechanism,
    const uint8_t **data, size_t *n);

#endif

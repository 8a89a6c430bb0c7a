/*
 * What a credential is for: its kind, the hosts it may be sent to and the
 * places of a request in which its stub is swapped.  Holds no secret.  One
 * codec serves the vault's records and every message; each reader checks again
 * what the one before it has checked.
 *
 * Kinds, and what their value is:
 *	token		what stands in a request, as it is
 *	sigv4		AWS secret access key; requests are signed with it
 *	hmac		key of a request signature
 *	mtls		PEM: client certificate, chain and key
 *	ssh		PEM: private key; never leaves keyd
 *	postgres	password of a role
 *	proxy		password at an upstream proxy
 * mtls, ssh and proxy have no stub: nothing of theirs is ever seen by a job.
 *
 * The text forms (credspec_text.c) are those of brig(1) and brig-control(7).
 */
#ifndef BRIG_PROXY_CREDSPEC_H
#define BRIG_PROXY_CREDSPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/proto.h"

#define CRED_HOSTS_MAX 8u
#define CRED_CAPTURE_MAX 4u /* members */

enum cred_kind {
	CRED_TOKEN,
	CRED_SIGV4,
	CRED_HMAC,
	CRED_MTLS,
	CRED_SSH,
	CRED_POSTGRES,
	CRED_PROXY,
	CRED_KIND_MAX
};

struct cred_host {
	char host[P_HOST_MAX + 1]; /* normalised: lower case, or an address */
	uint16_t port;
};

/* Members of the JSON responses of a token endpoint hold new tokens. */
struct cred_capture {
	char path[129];                   /* on any of the hosts */
	size_t n;                         /* 0: there is none */
	char names[CRED_CAPTURE_MAX][65]; /* ".access_token", ".a.b" */
};

struct cred_hmac {
	char algorithm[9]; /* sha256 sha1 sha512 */
	char header[65];   /* that holds the signature */
	char encoding[9];  /* hex base64 */
	char prefix[33];   /* before it: "sha256=" */
	/* {body} {method} {path} {timestamp}, joined by literal text */
	char signed_[129];
	char timestamp_header[65]; /* "" none */
};

struct cred_spec {
	enum cred_kind kind;
	uint32_t surfaces; /* SURFACE_* of base/proto.h; 0 but for tokens */
	size_t nhosts;
	struct cred_host hosts[CRED_HOSTS_MAX]; /* [0] is the primary one */
	char header[65];                        /* of SURFACE_HEADER */
	char query[65];  /* of SURFACE_QUERY: parameter */
	char user[129];  /* of Basic, access key id, role; "" any or none */
	char env[65];    /* variable that holds the stub in a job; "" none */
	bool inject;     /* put it in though the agent sent none */
	char scheme[33]; /* before the value in an injected header, or "" */
	struct cred_capture capture;
	char region[33], service[33]; /* sigv4; "": what the request says */
	struct cred_hmac hmac;
};

/* What is sent is what was checked: cred_spec_get() only bounds lengths. */
void cred_spec_put(struct buf *b, const struct cred_spec *s);
/* 0, or -1 when the bytes are not a spec.  *s is then undefined. */
int cred_spec_get(struct cur *c, struct cred_spec *s);

/* 0, or -1 and err, for people, when the parts do not make a credential. */
int cred_spec_check(const struct cred_spec *s, struct error *err);

/* Is it for exactly that host (normalised) and port? */
bool cred_spec_for(const struct cred_spec *s, const char *host, uint16_t port);

/* The surfaces that it has in a request for target (path and query). */
uint32_t cred_surfaces_at(const struct cred_spec *s, const char *target);

/* Does a job get a stub for such a credential? */
bool cred_has_stub(enum cred_kind kind);

/* Is a request for target (path and query) one to the token endpoint? */
bool cred_captures(const struct cred_spec *s, const char *target);

/* What a captured token is for: numbers of M_CRED_CAPTURE. */
enum token_use {
	TOKEN_ACCESS,
	TOKEN_REFRESH, /* goes back to the token endpoint, in a body */
	TOKEN_USE_MAX
};
enum token_use cred_member_use(const char *member);

/*
 * The description of a token that s captured: for the same hosts, in the same
 * places, and in Authorization; but in bodies only at the token endpoint.
 */
void cred_spec_captured(
    const struct cred_spec *s, enum token_use use, struct cred_spec *out);

/* ---- text --------------------------------------------------------------- */

const char *cred_kind_name(enum cred_kind kind);
int cred_kind_parse(const char *s, enum cred_kind *kind);

/* "HOST", "HOST:PORT", "[V6]:PORT"; port 0 if none is given.  Adds a host. */
int cred_host_parse(struct cred_spec *s, const char *text, struct error *err);
/* Room for brackets, colon, port. */
#define CRED_HOST_TEXT (P_HOST_MAX + 16)
void cred_host_format(const struct cred_host *h, char out[CRED_HOST_TEXT]);

/* "header:NAME", "basic", "basic:USER", "query:NAME", "path", "body:json"... */
int cred_surface_parse(
    struct cred_spec *s, const char *text, struct error *err);
/* Of the one surface; out has room for 80 bytes. */
#define CRED_SURFACE_TEXT 80u
void cred_surface_format(
    const struct cred_spec *s, uint32_t surface, char out[CRED_SURFACE_TEXT]);

/* "PATH:.member,.member" */
int cred_capture_parse(
    struct cred_spec *s, const char *text, struct error *err);
/* "header=X-Sig,alg=sha256,encoding=hex,prefix=sha256=,signed={body}" */
int cred_hmac_parse(struct cred_spec *s, const char *text, struct error *err);
/* Both are "" if there is none; the caller frees. */
char *cred_capture_format(const struct cred_spec *s);
char *cred_hmac_format(const struct cred_spec *s);

/*
 * What was not said: port, and surfaces and header of a token.  Call once when
 * all has been parsed; scheme is for injected headers.
 */
void cred_spec_defaults(struct cred_spec *s, bool has_scheme);

#endif

/*
 * A back process in a child, with the test as its parent and as all of its
 * peers, and an origin on loopback.
 */
#ifndef BRIG_TESTS_BACK_WORLD_H
#define BRIG_TESTS_BACK_WORLD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/ev.h"
#include "base/msg.h"
#include "base/proto.h"
#include "proxy/credspec.h"
#include "proxy/wire.h"

#define STUB "ghp_PLACEHOLDERvalue0123456789abcdefgh"
#define REAL "ghp_REALREALREALREAL0123456789ABCDEFGH"
#define CRED 7u

enum mode {
	MODE_OK,
	MODE_NO, /* answers no */
	MODE_SILENT,
};

struct answer {
	unsigned int heads, ends, denies, aborts, continues;
	unsigned int status;
	struct fields fields;
	enum body_kind kind;
	uint64_t length;
	struct buf body; /* of the response, or the JSON of a denial */
	char why[256];   /* of an abort */
	bool closes;
	uint64_t window; /* granted for the request's body */
};

struct world {
	struct ev *ev;
	pid_t back, origin;
	uint16_t port;
	char dir[64];
	struct buf roots;
	struct chan *parent, *front, *keyd, *dns, *audit, *control;
	enum mode audit_mode, keyd_mode, ask_mode, dns_mode;
	bool revoked;          /* the binding */
	struct cred_spec spec; /* of it; its host is good.example */
	const char *real;      /* what it is released as */
	/* Of the tokens; NULL: as of those that it captures. */
	const struct cred_spec *token_spec;
	uint8_t dns_addr[2][4];
	unsigned int dns_n;
	unsigned int sign_keys; /* asked for */
	unsigned int resolves, releases, asks, cancels, bad_peers, binding_gets;
	uint32_t ask_serial;   /* of the last ask */
	struct buf ask;        /* its body */
	uint32_t audit_serial; /* of the last record that wants an answer */
	const char *capture;   /* token endpoint of the binding, NULL: none */
	enum mode capture_mode;
	char *token[8]; /* captured so far: credentials CRED + 1... */
	unsigned int ntokens, captures;
	const char *late; /* a token that is captured while values are asked */
	char member[65];  /* of the last one */
	uint8_t use;
	/* What else it tells its parent; NULL: nobody. */
	int (*on_other)(struct chan *c, struct msg *m, struct world *w);
	bool grant;        /* give window back as bodies come */
	struct buf codes;  /* "HT101 HT201 " */
	struct buf events; /* bodies of all audit events */
	uint32_t id;
	struct answer a; /* to the exchange id */
};

/* cmocka group fixtures: one world for all. */
int world_setup(void **state);
int world_teardown(void **state);
/* Before each test: all well, everything forgotten. */
int world_reset(void **state);

void world_connect(struct world *w, enum role role);
void world_disconnect(struct world *w, enum role role);
/* Answer the last record that wants it, as a silent audit has not. */
void world_ack(struct world *w, bool ok);
void world_policy(struct world *w, const char *text);
void world_bindings(struct world *w);

/*
 * Send a request head for https://HOST:port.  fields: "Name: value\n" lines.
 * length < 0: no body.
 */
void world_request(struct world *w, const char *method, const char *host,
    const char *target, const char *fields, long length);
/* The same with everything to choose. */
void world_head(struct world *w, const struct req_head *h);
void world_body(struct world *w, const void *p, size_t n);
void world_end(struct world *w);
/* Until the exchange has ended; false when it has not in time. */
bool world_finish(struct world *w);
/* The stub of a token, in place: letters and digits exchanged. */
void world_token_stub(char *token);
/* Run for some time. */
void world_run(struct world *w, unsigned int ms);
/* A whole request without body, to its end. */
void world_get(
    struct world *w, const char *host, const char *target, const char *fields);

bool world_saw(struct world *w, const char *text);        /* response body */
bool world_logged(struct world *w, const char *text);     /* audit events */
bool world_asked(struct world *w, const char *text);      /* the last ask */
bool world_origin_saw(struct world *w, const char *text); /* since reset */
/* The path of the file in which the origin keeps what it gets. */
void world_record(struct world *w, char *path, size_t size);

#endif

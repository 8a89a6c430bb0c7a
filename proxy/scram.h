/*
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), both sides, one
 * authentication each.  Pure but for the randomness of nonces.  back is the
 * server towards an agent that has a stub for a password, and the client
 * towards the database.  Passwords and what is derived from them are wiped.
 *
 * Passwords are taken as they are: SASLprep (RFC 4013) changes nothing in
 * ASCII, nor in text that is in normalisation form KC already.
 */
#ifndef BRIG_PROXY_SCRAM_H
#define BRIG_PROXY_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define SCRAM_MESSAGE_MAX 2048u /* longer ones are refused */
#define SCRAM_SALT_MAX 256u
/* More would keep back busy for whom the server is the choice of. */
#define SCRAM_ITERATIONS_MAX 200000u
#define SCRAM_ITERATIONS 4096u /* as a server */
#define SCRAM_NONCE 24u        /* characters of ours */
#define SCRAM_BINDING_MAX 64u  /* of channel binding data */
#define SCRAM_KEY 32u

struct scram_client {
	const void *password; /* borrowed */
	size_t npassword;
	const char *user; /* PostgreSQL takes it from elsewhere: "" */
	uint8_t binding[SCRAM_BINDING_MAX];
	size_t nbinding; /* 0: no channel binding */
	char nonce[SCRAM_NONCE + 1];
	uint8_t server[SCRAM_KEY]; /* signature to expect */
	bool final;
};

/*
 * binding: tls-server-end-point data (RFC 5929) for -PLUS, n is 0 without.
 * Appends the first message.  0, or -1 without randomness.
 */
int scram_client_first(struct scram_client *c, const void *password,
    size_t npassword, const void *binding, size_t n, struct buf *out,
    struct error *err);
/* The server's first message in, our final one appended to out. */
int scram_client_final(struct scram_client *c, const void *p, size_t n,
    struct buf *out, struct error *err);
/* Its final message: has the server shown that it knows the password, too? */
int scram_client_check(
    struct scram_client *c, const void *p, size_t n, struct error *err);
void scram_client_wipe(struct scram_client *c);

struct scram_server {
	const void *password; /* borrowed */
	size_t npassword;
	char gs2[4]; /* "n,," or "y,,": no channel binding here */
	char nonce[SCRAM_MESSAGE_MAX];
	struct buf auth; /* AuthMessage so far */
	uint8_t salt[16];
};

/* The client's first message in, ours appended.  0, or -1 and err. */
int scram_server_first(struct scram_server *s, const void *password,
    size_t npassword, const void *p, size_t n, struct buf *out,
    struct error *err);
/* Its final message in, ours appended.  -1 also for a wrong password. */
int scram_server_final(struct scram_server *s, const void *p, size_t n,
    struct buf *out, struct error *err);
void scram_server_wipe(struct scram_server *s);

#endif

/*
 * What an SSH client says to its agent (draft-miller-ssh-agent and OpenSSH's
 * PROTOCOL.agent), and what it wants signed (RFC 4252 section 7).  Pure.  All
 * strings are borrowed from the message.
 */
#ifndef BRIG_PROXY_SSHWIRE_H
#define BRIG_PROXY_SSHWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define SSH_FRAME_MAX 16384u /* longer ones end the connection */

enum ssh_agent {
	SSH_AGENT_FAILURE = 5,
	SSH_AGENT_SUCCESS = 6,
	SSH_AGENTC_REQUEST_IDENTITIES = 11,
	SSH_AGENT_IDENTITIES_ANSWER = 12,
	SSH_AGENTC_SIGN_REQUEST = 13,
	SSH_AGENT_SIGN_RESPONSE = 14,
	SSH_AGENTC_EXTENSION = 27,
};

struct ssh_str {
	const uint8_t *p;
	size_t n;
};

/* A string of that length prefix; 0 or -1. */
int ssh_get(struct cur *c, struct ssh_str *s);
void ssh_put(struct buf *b, const void *p, size_t n);
bool ssh_is(const struct ssh_str *s, const char *text);
bool ssh_same(const struct ssh_str *a, const struct ssh_str *b);

enum ssh_got {
	SSH_MORE,
	SSH_FRAME,
	SSH_BAD
};

struct ssh_frame {
	uint8_t type;
	struct ssh_str body; /* behind the type */
	size_t used;
};

enum ssh_got ssh_frame_parse(const uint8_t *p, size_t n, struct ssh_frame *f);
void ssh_put_frame(struct buf *b, uint8_t type, const void *body, size_t n);

/* session-bind@openssh.com: which host a session is with. */
struct ssh_bind {
	struct ssh_str host_key, session, signature;
	bool forwarding;
};

/* Each is -1 when the body is not one.  */
int ssh_bind_parse(const struct ssh_str *body, struct ssh_bind *b);

struct ssh_sign {
	struct ssh_str key, data;
	uint32_t flags;
};

int ssh_sign_parse(const struct ssh_str *body, struct ssh_sign *s);

/* The data of a signature that authenticates a user. */
struct ssh_auth {
	struct ssh_str session, user, algorithm, key;
	struct ssh_str host_key; /* n is 0 in the plain method */
};

int ssh_auth_parse(const struct ssh_str *data, struct ssh_auth *a);

#endif

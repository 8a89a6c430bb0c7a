/*
 * SSH keys by libcrypto: a private key that keyd signs with, and the keys of
 * hosts.  ed25519, ECDSA over the NIST curves, RSA with SHA-2.
 */
#ifndef BRIG_PROXY_SSH_KEY_H
#define BRIG_PROXY_SSH_KEY_H

#include "base/buf.h"
#include "base/error.h"
#include "proxy/sshwire.h"

struct ssh_key;

/*
 * From text: OpenSSH's own format or PEM, without a passphrase.  What follows
 * the key is not looked at.  NULL with err.
 */
struct ssh_key *ssh_key_load(const void *p, size_t n, struct error *err);
void ssh_key_free(struct ssh_key *k);
/* The public half, as it travels. */
struct ssh_str ssh_key_public(const struct ssh_key *k);
/*
 * Sign with that algorithm; appends the signature (algorithm and blob).  -1 if
 * the key has no such algorithm.
 */
int ssh_key_sign(const struct ssh_key *k, const struct ssh_str *algorithm,
    const struct ssh_str *data, struct buf *out, struct error *err);

/* Has the owner of the public key signed data?  0 or -1. */
int ssh_verify(const struct ssh_str *key, const struct ssh_str *signature,
    const struct ssh_str *data);

/*
 * Is key one of those that text lists for host and port?  Lines as in
 * known_hosts(5), without hashed names and markers, or the key alone for any
 * host; other lines do not count.
 */
bool ssh_known(const void *text, size_t n, const char *host, uint16_t port,
    const struct ssh_str *key);

#endif

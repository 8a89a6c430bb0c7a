/*
 * The interception CA and the leaves it signs (RFC 5280).  Lives in keyd: the
 * CA key never leaves it; front gets leaves for its own key only.
 */
#ifndef BRIG_PROXY_MINT_H
#define BRIG_PROXY_MINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/secret.h"

/* A P-256 SubjectPublicKeyInfo is always this long (RFC 5480). */
#define MINT_SPKI_SIZE 91u
#define MINT_LEAF_DAYS 7
#define MINT_CA_DAYS 3652

/*
 * Where leaves say that revoked ones are listed.  None ever is: they are
 * short-lived, and nobody but front has their key.  The list is for clients
 * that trust nothing without one; front answers for this host itself.
 */
#define MINT_CRL_HOST "crl.brig.internal"
#define MINT_CRL_PATH "/ca.crl"
#define MINT_CRL_KEEP_S 3600 /* a job may ask as often as it likes */
#define MINT_CRL_DAYS 30

struct mint;

/* A fresh P-256 CA, "brig interception CA <6 hex>".  NULL and err. */
struct mint *mint_new(struct error *err);
/* From what mint_export() gave.  NULL and err if the two do not match. */
struct mint *mint_load(
    const struct secret *key, const void *cert, size_t n, struct error *err);
void mint_free(struct mint *m);

/* Private key (DER, caller frees) and certificate (DER, appended).  0, -1. */
int mint_export(const struct mint *m, struct secret **key, struct buf *cert,
    struct error *err);
/* Append the CA certificate as PEM.  0 or -1. */
int mint_ca_pem(const struct mint *m, struct buf *b, struct error *err);

/*
 * Append a leaf (DER) for name, a host name or an IP literal, and the P-256
 * key of an exactly MINT_SPKI_SIZE long SubjectPublicKeyInfo.  Valid from
 * yesterday, for clocks that lag, for MINT_LEAF_DAYS.  0, or -1 and err.
 */
int mint_leaf(const struct mint *m, const char *name, const void *spki,
    size_t n, struct buf *der, struct error *err);

/* Append the list (DER), valid from yesterday.  0, or -1 and err. */
int mint_crl(struct mint *m, struct buf *der, struct error *err);

#endif

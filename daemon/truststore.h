/*
 * The trust store of Java programs: a PKCS#12 file (RFC 7292) of certificates
 * that are trusted for everything, neither encrypted nor authenticated, since
 * it holds nothing secret and is read-only where it is used.  Java takes it
 * with any password.  Pure.
 */
#ifndef BRIG_DAEMON_TRUSTSTORE_H
#define BRIG_DAEMON_TRUSTSTORE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

#define TRUSTSTORE_CERTS_MAX 2000u
#define TRUSTSTORE_CERT_MAX 16384u /* DER of one certificate */

/*
 * Append to out a store of every certificate in pem (RFC 7468; what stands
 * between them is skipped).  0, or -1 and err when a certificate is cut off or
 * no base64, or a limit is passed.
 */
int truststore_put(
    struct buf *out, const void *pem, size_t n, struct error *err);

#endif

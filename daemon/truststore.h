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
 * The certificates of PEM text (RFC 7468; what stands between them is
 * skipped).  Start it as { .at = TEXT, .left = LENGTH }.
 */
struct pem_certs {
	const char *at;
	size_t left;
	unsigned int number; /* of the last one, from 1 */
};

/*
 * The next one's DER into der, emptied first: 1, or 0 when there is no more,
 * or -1 with err, which says which one, when it is cut off, too long or no
 * base64.
 */
int pem_certs_next(struct pem_certs *w, struct buf *der, struct error *err);

/*
 * Append to out a store of every certificate in pem.  0, or -1 with err when
 * one cannot be read or there are too many.
 */
int truststore_put(
    struct buf *out, const void *pem, size_t n, struct error *err);

#endif

/* Channel bindings: what ties a login to the session it is made over. */
#include "proxy/tls.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "proxy/tls_int.h"

size_t
tls_end_point(const struct tls *t, uint8_t out[TLS_END_POINT_MAX])
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	unsigned int n = 0;
	int nid = NID_undef;
	const EVP_MD *md;

	if (cert == NULL ||
	    X509_get_signature_info(cert, &nid, NULL, NULL, NULL) != 1)
		return 0;
	/* RFC 5929 section 4.1: never weaker than SHA-256. */
	if (nid == NID_md5 || nid == NID_sha1)
		nid = NID_sha256;
	md = EVP_get_digestbynid(nid);
	if (md == NULL || EVP_MD_get_size(md) > (int)TLS_END_POINT_MAX ||
	    X509_digest(cert, md, out, &n) != 1)
		return 0;
	return n;
}

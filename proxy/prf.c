#include "proxy/prf.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/log.h"

void
prf(const struct secret *key, const struct iovec *parts, size_t n,
    uint8_t out[PRF_SIZE])
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
	size_t len = 0;

	if (ctx == NULL ||
	    EVP_MAC_init(ctx, secret_bytes(key), secret_len(key), params) != 1)
		fatalx("OpenSSL has no HMAC-SHA256");
	for (size_t i = 0; i < n; i++)
		if (EVP_MAC_update(ctx, parts[i].iov_base, parts[i].iov_len) !=
		    1)
			fatalx("HMAC update");
	if (EVP_MAC_final(ctx, out, &len, PRF_SIZE) != 1 || len != PRF_SIZE)
		fatalx("HMAC final");
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
}

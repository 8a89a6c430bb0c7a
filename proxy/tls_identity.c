#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

#include "base/str.h"
#include "proxy/tls_int.h"

void
tls_identity_key(const struct secret *identity, uint8_t key[TLS_KEY_SIZE])
{
	_Static_assert(TLS_KEY_SIZE == SHA256_DIGEST_LENGTH, "size of a key");

	memset(key, 0, TLS_KEY_SIZE);
	/* Nobody finds a private key by guessing its digest. */
	if (identity != NULL)
		SHA256(secret_bytes(identity), secret_len(identity), key);
}

/* Never ask anybody. */
static int
no_passphrase(char *p, int size, int rw, void *arg)
{
	(void)p;
	(void)size;
	(void)rw;
	(void)arg;
	return -1;
}

static EVP_PKEY *
read_key(const struct secret *pem)
{
	BIO *bio = BIO_new_mem_buf(secret_bytes(pem), (int)secret_len(pem));
	EVP_PKEY *key = NULL;

	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	return key;
}

/* The first is the client's own; NULL if there is none. */
static STACK_OF(X509) * read_chain(const struct secret *pem)
{
	BIO *bio = BIO_new_mem_buf(secret_bytes(pem), (int)secret_len(pem));
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509 *cert;

	while (
	    bio != NULL && chain != NULL &&
	    sk_X509_num(chain) < (int)TLS_IDENTITY_CHAIN_MAX &&
	    (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
		if (sk_X509_push(chain, cert) <= 0)
			X509_free(cert);
	BIO_free(bio);
	if (chain != NULL && sk_X509_num(chain) == 0) {
		sk_X509_free(chain);
		chain = NULL;
	}
	return chain;
}

int
tls_identity_use(SSL *ssl, const struct secret *pem, struct error *err)
{
	EVP_PKEY *key = read_key(pem);
	STACK_OF(X509) *chain = read_chain(pem);
	X509 *own = chain == NULL ? NULL : sk_X509_shift(chain);
	int r = -1;

	ERR_clear_error();
	if (key == NULL)
		(void)error_set(err, 0,
		    "client certificate: the credential holds no private key "
		    "in PEM without a passphrase");
	else if (own == NULL)
		(void)error_set(err, 0,
		    "client certificate: the credential holds no certificate "
		    "in PEM");
	else if (X509_check_private_key(own, key) != 1)
		(void)error_set(err, 0,
		    "client certificate: the first certificate is for "
		    "another key");
	else if (SSL_use_cert_and_key(ssl, own, key, chain, 1) != 1)
		(void)tls_error(err, "client certificate");
	else
		r = 0;
	ERR_clear_error();
	X509_free(own);
	sk_X509_pop_free(chain, X509_free);
	EVP_PKEY_free(key);
	return r;
}

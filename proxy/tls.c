#include "proxy/tls.h"

#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/log.h"
#include "base/str.h"
#include "proxy/tls_int.h"

/* TLS 1.3: the first is safe, and faster than the second by a tenth. */
#define SUITES                                                                 \
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"                       \
	"TLS_CHACHA20_POLY1305_SHA256"
#define READ_AHEAD 65536u /* bytes asked of a socket at once */

void
tls_preinit(void)
{
	/*
	 * No openssl.cnf: what is negotiated is decided here, not by a file
	 * that the administrator edited for something else.  Said once, it
	 * holds for all that OpenSSL loads later, which is a few milliseconds
	 * of work that a job without TLS never needs; none of it opens a file.
	 */
	if (OPENSSL_init_crypto(
		OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) !=
	    1)
		fatalx("cannot initialise OpenSSL");
	/* OpenSSL's socket BIO writes without MSG_NOSIGNAL. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		fatal("signal SIGPIPE");
}

/*
 * What SSL_get_error() says hangs on an empty queue.  It nearly always is
 * empty, and to look is quicker than to clear each place of it.
 */
static void
no_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

/* The sentence of an error code, or NULL. */
static const char *
reason_of(unsigned long e)
{
	if (e == 0)
		return NULL;
	(void)OPENSSL_init_ssl(
	    OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
	    NULL);
	return ERR_reason_error_string(e);
}

int
tls_ctx_setup(SSL_CTX *ctx, struct error *err)
{
	SSL_CTX_set_security_level(ctx, 2);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
		return tls_error(err, "TLS version");
	if (SSL_CTX_set_ciphersuites(ctx, SUITES) != 1)
		return tls_error(err, "TLS cipher suites");
	/* A client without instructions for AES puts ChaCha20 first. */
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	/* One read fetches what is there, not a record's header and then its
	 * body. */
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD);
	/* An idle session keeps no record buffers, but see tls_warm(). */
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				  SSL_MODE_RELEASE_BUFFERS);
	return 0;
}

int
tls_attach(struct tls *t, SSL *ssl, int fd)
{
	BIO *bio;

	t->ssl = ssl;
	t->fd = fd;
	bio = tls_bio_new(t);
	if (bio == NULL || SSL_set_app_data(ssl, t) != 1) {
		BIO_free(bio);
		ERR_clear_error();
		return -1;
	}
	SSL_set_bio(ssl, bio, bio);
	return 0;
}

struct tls *
tls_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

void
tls_set_why(struct tls *t, const char *fmt, ...)
{
	va_list ap;

	if (t->why[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(t->why, sizeof(t->why), fmt, ap);
	va_end(ap);
}

int
tls_error(struct error *err, const char *what)
{
	unsigned long e = ERR_peek_error();
	const char *reason = reason_of(e);

	error_set(err, 0, "%s: %s", what,
	    reason != NULL ? reason : "OpenSSL failed without a reason");
	ERR_clear_error();
	return -1;
}

/* What went wrong, for people: from the first error of the queue. */
static void
explain_queue(struct tls *t)
{
	unsigned long e = ERR_peek_error();
	const char *reason;
	const char *who = t->client != NULL ? t->host : "client";

	if (ERR_SYSTEM_ERROR(e)) {
		tls_set_why(t, "%s (%s)", strerror(ERR_GET_REASON(e)), who);
		return;
	}
	if (ERR_GET_LIB(e) == ERR_LIB_SSL) {
		switch (ERR_GET_REASON(e)) {
		case SSL_R_UNEXPECTED_EOF_WHILE_READING:
			tls_set_why(
			    t, "connection cut without a TLS close (%s)", who);
			return;
		case SSL_R_HTTP_REQUEST:
		case SSL_R_WRONG_VERSION_NUMBER:
			tls_set_why(t, "peer does not speak TLS (%s)", who);
			return;
		case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
			tls_set_why(t,
			    "peer does not trust the certificate's "
			    "authority (%s)",
			    who);
			return;
		case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
			tls_set_why(
			    t, "peer wants a client certificate (%s)", who);
			return;
		case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
		case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
		case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
		case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
		case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
			tls_set_why(t,
			    "peer does not accept our certificate (%s)", who);
			return;
		case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
			tls_set_why(t,
			    "peer has no key and cipher that are acceptable "
			    "(%s)",
			    who);
			return;
		case SSL_R_UNSUPPORTED_PROTOCOL:
		case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
			tls_set_why(t,
			    "no common TLS version, at least 1.2 is "
			    "needed (%s)",
			    who);
			return;
		}
	}
	reason = reason_of(e);
	tls_set_why(t, "TLS: %s (%s)",
	    reason != NULL ? reason : "unknown failure", who);
}

/* TLS 1.3 refuses who has no certificate only after the handshake, and the
 * alert may be lost when the server closes with our request unread. */
static void
explain_identity(struct tls *t)
{
	if (t->wants_identity)
		tls_set_why(t,
		    "the server wants a client certificate, and there is "
		    "none (%s)",
		    t->host);
}

/* The outcome of an SSL_* call that returned ret <= 0; errno is the call's. */
static enum tls_io
outcome(struct tls *t, int ret, int saved_errno)
{
	const char *who = t->client != NULL ? t->host : "client";

	switch (SSL_get_error(t->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_WANT_X509_LOOKUP:
		return TLS_WANT_LEAF;
	case SSL_ERROR_ZERO_RETURN:
		explain_identity(t);
		return TLS_EOF;
	case SSL_ERROR_SYSCALL:
		t->dead = true;
		explain_identity(t);
		if (ERR_peek_error() != 0)
			explain_queue(t);
		else if (saved_errno != 0)
			tls_set_why(t, "%s (%s)", strerror(saved_errno), who);
		else
			tls_set_why(t, "connection closed (%s)", who);
		break;
	default:
		t->dead = true;
		explain_identity(t);
		explain_queue(t);
		break;
	}
	ERR_clear_error();
	return TLS_ERROR;
}

enum tls_io
tls_handshake(struct tls *t)
{
	int ret, saved_errno;

	if (t->dead)
		return TLS_ERROR;
	if (t->done)
		return TLS_OK;
	no_errors();
	errno = 0;
	ret = SSL_do_handshake(t->ssl);
	saved_errno = errno;
	if (ret != 1) {
		enum tls_io io = outcome(t, ret, saved_errno);

		if (io == TLS_EOF) {
			t->dead = true;
			tls_set_why(t, "peer closed during the handshake");
			io = TLS_ERROR;
		}
		if (io == TLS_ERROR && t->client != NULL)
			tls_client_failed(t);
		return io;
	}
	if (t->client != NULL && tls_client_done(t) < 0) {
		t->dead = true;
		tls_client_failed(t);
		return TLS_ERROR;
	}
	t->done = true;
	return TLS_OK;
}

enum tls_io
tls_read(struct tls *t, void *p, size_t n, size_t *got)
{
	int ret, saved_errno;

	*got = 0;
	if (t->dead)
		return TLS_ERROR;
	if (!t->done) {
		enum tls_io io = tls_handshake(t);

		if (io != TLS_OK)
			return io;
	}
	if (n == 0)
		return TLS_OK;
	no_errors();
	errno = 0;
	ret = SSL_read_ex(t->ssl, p, n, got);
	saved_errno = errno;
	if (ret == 1) {
		t->wants_identity = false;
		tls_warm(t);
		return TLS_OK;
	}
	*got = 0;
	return outcome(t, ret, saved_errno);
}

static enum tls_io
write_records(struct tls *t, const uint8_t *p, size_t n, bool more, size_t *put)
{
	int ret, saved_errno;
	enum tls_io io;

	*put = 0;
	if (t->dead)
		return TLS_ERROR;
	if (!t->done) {
		io = tls_handshake(t);
		if (io != TLS_OK)
			return io;
	}
	while (*put < n) {
		size_t k = 0, left = n - *put;

		t->more = more || left > SSL3_RT_MAX_PLAIN_LENGTH;
		ERR_clear_error();
		errno = 0;
		ret = SSL_write_ex(t->ssl, p + *put, left, &k);
		saved_errno = errno;
		t->held |= t->more;
		if (ret != 1) {
			io = outcome(t, ret, saved_errno);
			t->more = false;
			tls_push(t);
			return *put > 0 ? TLS_OK : io;
		}
		*put += k;
	}
	t->held = more;
	t->more = false;
	return TLS_OK;
}

enum tls_io
tls_write(struct tls *t, const void *p, size_t n, size_t *put)
{
	return write_records(t, p, n, false, put);
}

enum tls_io
tls_write_some(struct tls *t, const void *p, size_t n, size_t *put)
{
	return write_records(t, p, n, true, put);
}

ssize_t
tls_send(struct tls *t, int fd, const void *p, size_t n, bool more)
{
	size_t put = 0;
	ssize_t k;

	if (t == NULL) {
		do
			k = send(fd, p, n, MSG_NOSIGNAL);
		while (k < 0 && errno == EINTR);
		return k < 0 && errno == EAGAIN ? 0 : k;
	}
	switch (write_records(t, p, n, more, &put)) {
	case TLS_OK:
		return (ssize_t)put;
	case TLS_WANT_READ:
	case TLS_WANT_WRITE:
		return 0;
	case TLS_ERROR:
	case TLS_WANT_LEAF:
	case TLS_EOF:
		break;
	}
	return -1;
}

void
tls_close(struct tls *t)
{
	if (t->dead || !t->done)
		return;
	ERR_clear_error();
	t->more = false;
	SSL_shutdown(t->ssl);
	ERR_clear_error();
}

void
tls_bulk(struct tls *t, bool much)
{
	if (much) {
		SSL_clear_options(t->ssl, SSL_OP_CLEANSE_PLAINTEXT);
		return;
	}
	SSL_set_options(t->ssl, SSL_OP_CLEANSE_PLAINTEXT);
	(void)SSL_free_buffers(t->ssl);
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	/* Else OpenSSL takes the session for a broken one and spoils it. */
	if (t->ssl != NULL && t->done && !t->dead)
		SSL_set_shutdown(
		    t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	tls_forget(t);
	if (t->ssl != NULL && t->client != NULL)
		tls_bulk(t, false);
	SSL_free(t->ssl);
	tls_client_free(t->client);
	free(t);
}

bool
tls_pending(const struct tls *t)
{
	return SSL_has_pending(t->ssl) == 1;
}

const char *
tls_sni(const struct tls *t)
{
	return t->sni;
}

const char *
tls_leaf_name(const struct tls *t)
{
	return t->sni[0] != '\0' ? t->sni : t->host;
}

bool
tls_is_h2(const struct tls *t)
{
	const unsigned char *alpn;
	unsigned int n;

	SSL_get0_alpn_selected(t->ssl, &alpn, &n);
	return n == 2 && memcmp(alpn, "h2", 2) == 0;
}

bool
tls_is_resumed(const struct tls *t)
{
	return SSL_session_reused(t->ssl) == 1;
}

const char *
tls_why(const struct tls *t)
{
	return t->why;
}

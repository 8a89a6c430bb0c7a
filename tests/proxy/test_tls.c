/*
 * Both sides of TLS over a socketpair: what back must refuse, and how front
 * waits for a leaf.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "tests/proxy/tls_world.h"

static void
carries_bytes_both_ways_and_closes_cleanly(void **state)
{
	struct pair p;
	char got[32];
	size_t n;

	(void)state;
	pair_new(&p, NULL, "api.example");
	give_leaf(p.server, mint, "api.example", "api.example");
	shake(&p);
	assert_int_equal(p.cio, TLS_OK);
	assert_int_equal(p.sio, TLS_OK);
	assert_string_equal(tls_sni(p.s), "api.example");
	assert_int_equal(tls_read(p.s, got, sizeof(got), &n), TLS_WANT_READ);
	assert_int_equal(tls_write(p.c, "hello", 5, &n), TLS_OK);
	assert_int_equal(n, 5);
	assert_int_equal(tls_read(p.s, got, 2, &n), TLS_OK);
	assert_int_equal(n, 2);
	assert_true(tls_pending(p.s));
	assert_int_equal(tls_read(p.s, got + 2, 30, &n), TLS_OK);
	assert_int_equal(n, 3);
	assert_memory_equal(got, "hello", 5);
	assert_false(tls_pending(p.s));
	assert_int_equal(tls_write(p.s, "bye", 3, &n), TLS_OK);
	tls_close(p.s);
	assert_int_equal(tls_read(p.c, got, sizeof(got), &n), TLS_OK);
	assert_int_equal(n, 3);
	assert_int_equal(tls_read(p.c, got, sizeof(got), &n), TLS_EOF);
	pair_free(&p);
}

static void
cut_without_close_notify_is_an_error(void **state)
{
	struct pair p;
	char got[32];
	size_t n;

	(void)state;
	pair_new(&p, NULL, "api.example");
	give_leaf(p.server, mint, "api.example", "api.example");
	shake(&p);
	tls_read(p.c, got, sizeof(got), &n);
	fd_close(&p.fd[0]);
	assert_int_equal(tls_read(p.c, got, sizeof(got), &n), TLS_ERROR);
	assert_non_null(strstr(tls_why(p.c), "cut"));
	/* And stays one, without a signal. */
	assert_int_equal(tls_write(p.c, "x", 1, &n), TLS_ERROR);
	pair_free(&p);
}

static void
writes_a_lot_with_a_moving_buffer(void **state)
{
	static char big[300000], got[300000];
	struct pair p;
	size_t put = 0, have = 0, n;

	(void)state;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 251);
	pair_new(&p, NULL, "api.example");
	give_leaf(p.server, mint, "api.example", "api.example");
	shake(&p);
	for (int i = 0; i < 10000 && have < sizeof(big); i++) {
		char *copy = xmemdup(big + put, sizeof(big) - put);

		if (put < sizeof(big) &&
		    tls_write(p.s, copy, sizeof(big) - put, &n) == TLS_OK)
			put += n;
		free(copy);
		if (tls_read(p.c, got + have, sizeof(got) - have, &n) == TLS_OK)
			have += n;
	}
	assert_int_equal(have, sizeof(big));
	assert_memory_equal(big, got, sizeof(big));
	pair_free(&p);
}

/* Two ends over loopback, in which the kernel may hold bytes back. */
static void
tcp_pair(int fd[2])
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	cleanup_fd int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	assert_int_equal(bind(l, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&sin, &len), 0);
	fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd[1], (struct sockaddr *)&sin, len), 0);
	fd[0] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fd_nonblock(fd[i]), 0);
		setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
}

/* Bytes that the kernel has not sent. */
static int
unsent(int fd)
{
	int n = -1;

	assert_int_equal(ioctl(fd, SIOCOUTQNSD, &n), 0);
	return n;
}

static void
what_may_wait_goes_out_with_the_rest_or_a_push(void **state)
{
	struct pair p;
	bool waited = false;
	char got[64];
	size_t n;

	(void)state;
	pair_new(&p, NULL, "api.example");
	give_leaf(p.server, mint, "api.example", "api.example");
	pair_down(&p);
	tcp_pair(p.fd);
	pair_over(&p, NULL, "api.example");
	shake(&p);
	assert_int_equal(p.cio, TLS_OK);
	assert_int_equal(tls_read(p.c, got, sizeof(got), &n), TLS_WANT_READ);
	/* It waits a fifth of a second at most, which may pass. */
	for (int i = 0; i < 10 && !waited; i++) {
		assert_int_equal(tls_write_some(p.s, "one ", 4, &n), TLS_OK);
		waited = unsent(p.fd[0]) > 0;
		if (i % 2 == 0)
			tls_push(p.s);
		else
			assert_int_equal(tls_write(p.s, "two", 3, &n), TLS_OK);
		assert_int_equal(unsent(p.fd[0]), 0);
		assert_int_equal(tls_read(p.c, got, sizeof(got), &n), TLS_OK);
		assert_memory_equal(got, "one ", 4);
		if (i % 2 != 0)
			assert_int_equal(
			    tls_read(p.c, got, sizeof(got), &n), TLS_OK);
	}
	assert_true(waited);
	pair_free(&p);
}

static void
server_waits_for_the_leaf(void **state)
{
	struct pair p;

	(void)state;
	pair_new(&p, NULL, "API.example");
	shake(&p);
	assert_int_equal(p.sio, TLS_WANT_LEAF);
	assert_string_equal(tls_leaf_name(p.s), "api.example");
	assert_false(tls_server_has_leaf(p.server, "api.example"));
	give_leaf(p.server, mint, "api.example", "api.example");
	assert_true(tls_server_has_leaf(p.server, "API.EXAMPLE"));
	shake(&p);
	assert_int_equal(p.cio, TLS_OK);
	assert_int_equal(p.sio, TLS_OK);
	pair_free(&p);
}

static void
failed_mint_fails_the_handshake(void **state)
{
	struct pair p;
	struct error err;

	(void)state;
	pair_new(&p, NULL, "api.example");
	shake(&p);
	assert_int_equal(p.sio, TLS_WANT_LEAF);
	assert_int_equal(
	    tls_server_leaf(p.server, "api.example", NULL, 0, &err), 0);
	assert_false(tls_server_has_leaf(p.server, "api.example"));
	shake(&p);
	assert_int_equal(p.sio, TLS_ERROR);
	assert_string_equal(
	    tls_why(p.s), "no certificate could be made for api.example");
	assert_int_equal(p.cio, TLS_ERROR);
	pair_free(&p);
}

static void
leaf_for_another_key_is_refused(void **state)
{
	struct pair p;
	struct tls_server *other;
	struct error err;
	struct buf der;
	const uint8_t *spki;
	size_t n;

	(void)state;
	pair_new(&p, NULL, "api.example");
	other = tls_server_new(&err);
	spki = tls_server_spki(other, &n);
	buf_init(&der, 0);
	assert_int_equal(
	    mint_leaf(mint, "api.example", spki, n, &der, &err), 0);
	assert_int_equal(tls_server_leaf(p.server, "api.example",
			     buf_head(&der), buf_len(&der), &err),
	    -1);
	assert_int_equal(
	    tls_server_leaf(p.server, "api.example", buf_head(&der), 10, &err),
	    -1);
	assert_false(tls_server_has_leaf(p.server, "api.example"));
	buf_free(&der);
	tls_server_free(other);
	pair_free(&p);
}

static void
leaf_cache_is_bounded_and_drops_the_oldest(void **state)
{
	struct error err;
	struct tls_server *s = tls_server_new(&err);
	char name[32];

	(void)state;
	give_leaf(s, mint, "first.example", "first.example");
	usleep(3000);
	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "h%d.example", i);
		give_leaf(s, mint, name, name);
	}
	assert_false(tls_server_has_leaf(s, "first.example"));
	assert_true(tls_server_has_leaf(s, "h255.example"));
	tls_server_free(s);
}

/* A raw OpenSSL client, which does what tls_client never would. */
static void
raw_client(int fd, const char *sni, const char *alpn, SSL_CTX **ctx, SSL **ssl)
{
	*ctx = SSL_CTX_new(TLS_client_method());
	*ssl = SSL_new(*ctx);
	SSL_set_fd(*ssl, fd);
	SSL_set_connect_state(*ssl);
	if (sni != NULL)
		SSL_ctrl(*ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
		    TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)sni);
	if (alpn != NULL)
		SSL_set_alpn_protos(*ssl, (const unsigned char *)alpn,
		    (unsigned int)strlen(alpn));
}

static enum tls_io
raw_shake(const char *sni, const char *alpn, const char *fallback, char *why,
    size_t size, char *leaf_name)
{
	struct error err;
	struct tls_server *server = tls_server_new(&err);
	enum tls_io io = TLS_ERROR;
	struct tls *t;
	SSL_CTX *ctx;
	SSL *ssl;
	int fd[2];

	assert_int_equal(fd_socketpair(fd), 0);
	raw_client(fd[1], sni, alpn, &ctx, &ssl);
	t = tls_accept_new(server, fd[0], fallback);
	for (int i = 0; i < 20; i++) {
		SSL_do_handshake(ssl);
		io = tls_handshake(t);
		if (io == TLS_WANT_LEAF) {
			strlcpy(leaf_name, tls_leaf_name(t), 254);
			give_leaf(
			    server, mint, tls_leaf_name(t), tls_leaf_name(t));
		}
	}
	strlcpy(why, tls_why(t), size);
	tls_free(t);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	tls_server_free(server);
	close(fd[0]);
	close(fd[1]);
	return io;
}

static void
bad_server_names_fail_the_handshake(void **state)
{
	static const char *const bad[] = { "a b", "a_b.example", "*.example",
		"a..example", "a.example.", "-a.example", "a\nb", "\xc3\xa9" };
	char why[256], leaf[254];

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		assert_int_equal(raw_shake(bad[i], NULL, "ok.example", why,
				     sizeof(why), leaf),
		    TLS_ERROR);
		assert_non_null(strstr(why, "not a host name"));
	}
}

static void
no_server_name_uses_the_fallback_or_fails(void **state)
{
	char why[256], leaf[254];

	(void)state;
	assert_int_equal(
	    raw_shake(NULL, NULL, "192.0.2.7", why, sizeof(why), leaf), TLS_OK);
	assert_string_equal(leaf, "192.0.2.7");
	assert_int_equal(
	    raw_shake(NULL, NULL, NULL, why, sizeof(why), leaf), TLS_ERROR);
	assert_non_null(strstr(why, "no server name"));
}

/* What a client that lists these suites is given. */
static void
assert_suite(const char *offered, const char *want)
{
	struct error err;
	struct tls_server *server = tls_server_new(&err);
	struct tls *t;
	SSL_CTX *ctx;
	SSL *ssl;
	int fd[2];

	assert_int_equal(fd_socketpair(fd), 0);
	raw_client(fd[1], "a.example", NULL, &ctx, &ssl);
	assert_int_equal(SSL_set_ciphersuites(ssl, offered), 1);
	give_leaf(server, mint, "a.example", "a.example");
	t = tls_accept_new(server, fd[0], NULL);
	for (int i = 0; i < 20; i++) {
		SSL_do_handshake(ssl);
		(void)tls_handshake(t);
	}
	assert_int_equal(tls_handshake(t), TLS_OK);
	assert_string_equal(SSL_get_cipher_name(ssl), want);
	tls_free(t);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	tls_server_free(server);
	close(fd[0]);
	close(fd[1]);
}

static void
faster_suite_is_chosen_unless_the_client_lacks_aes(void **state)
{
	(void)state;
	assert_suite("TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
		     "TLS_AES_128_GCM_SHA256",
	    "TLS_AES_128_GCM_SHA256");
	assert_suite("TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
	    "TLS_CHACHA20_POLY1305_SHA256");
	assert_suite("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384");
}

static void
alpn_without_http_is_refused(void **state)
{
	char why[256], leaf[254];

	(void)state;
	assert_int_equal(
	    raw_shake("a.example", "\x02h3", NULL, why, sizeof(why), leaf),
	    TLS_ERROR);
	assert_non_null(strstr(why, "no HTTP"));
	assert_int_equal(
	    raw_shake("a.example", "\x02h2", NULL, why, sizeof(why), leaf),
	    TLS_OK);
	assert_int_equal(raw_shake("a.example", "\x08http/1.1", NULL, why,
			     sizeof(why), leaf),
	    TLS_OK);
}

static void
expect_refusal(
    struct mint *m, const char *cert_for, const char *host, const char *why)
{
	struct pair p;

	pair_new(&p, host, host);
	give_leaf(p.server, m, host, cert_for);
	shake(&p);
	assert_int_equal(p.cio, TLS_ERROR);
	assert_int_not_equal(p.sio, TLS_OK);
	assert_string_equal(tls_why(p.c), why);
	pair_free(&p);
}

static void
wrong_host_is_refused(void **state)
{
	(void)state;
	expect_refusal(mint, "other.example", "api.example",
	    "certificate is for other.example, not api.example");
	expect_refusal(mint, "192.0.2.1", "192.0.2.2",
	    "certificate is for 192.0.2.1, not 192.0.2.2");
	expect_refusal(mint, "api.example", "192.0.2.2",
	    "certificate is for api.example, not 192.0.2.2");
}

static void
unknown_authority_is_refused(void **state)
{
	(void)state;
	expect_refusal(stranger, "api.example", "api.example",
	    "certificate is not signed by a trusted authority, or the "
	    "server left out one in between (api.example)");
}

/* A server of plain OpenSSL with one self-signed certificate. */
static void
self_signed(X509 **cert, EVP_PKEY **key, const char *host, long from, long to)
{
	char san[300];
	X509_EXTENSION *ext;

	*key = EVP_EC_gen("P-256");
	*cert = X509_new();
	X509_set_version(*cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(*cert), 7);
	X509_gmtime_adj(X509_getm_notBefore(*cert), from);
	X509_gmtime_adj(X509_getm_notAfter(*cert), to);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(*cert), "CN",
	    MBSTRING_ASC, (const unsigned char *)host, -1, -1, 0);
	X509_set_issuer_name(*cert, X509_get_subject_name(*cert));
	X509_set_pubkey(*cert, *key);
	snprintf(san, sizeof(san), "DNS:%s", host);
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
	X509_add_ext(*cert, ext, -1);
	X509_EXTENSION_free(ext);
	X509_sign(*cert, *key, EVP_sha256());
}

static enum tls_io
against_raw_server(X509 *cert, EVP_PKEY *key, bool trusted, const char *host,
    int max_version, char *why, size_t size)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct error err;
	struct tls_client *cl;
	enum tls_io io = TLS_ERROR;
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long n;
	struct tls *t;
	SSL *ssl;
	int fd[2];

	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_max_proto_version(ctx, max_version);
	SSL_CTX_use_certificate(ctx, cert);
	SSL_CTX_use_PrivateKey(ctx, key);
	assert_int_equal(fd_socketpair(fd), 0);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd[0]);
	SSL_set_accept_state(ssl);
	PEM_write_bio_X509(bio, cert);
	n = BIO_get_mem_data(bio, &pem);
	cl = trusted ? tls_client_new(pem, (size_t)n, &err) : client();
	t = tls_connect_new(
	    cl, fd[1], &(struct tls_target){ .host = host }, &err);
	assert_non_null(t);
	for (int i = 0; i < 20; i++) {
		io = tls_handshake(t);
		SSL_do_handshake(ssl);
	}
	strlcpy(why, tls_why(t), size);
	tls_free(t);
	tls_client_free(cl);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	BIO_free(bio);
	close(fd[0]);
	close(fd[1]);
	return io;
}

static void
self_signed_is_refused(void **state)
{
	char why[256];
	EVP_PKEY *key;
	X509 *cert;

	(void)state;
	self_signed(&cert, &key, "api.example", -60, 3600);
	assert_int_equal(against_raw_server(cert, key, false, "api.example", 0,
			     why, sizeof(why)),
	    TLS_ERROR);
	assert_string_equal(why, "self-signed certificate (api.example)");
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
expired_and_not_yet_valid_are_refused(void **state)
{
	char why[256];
	EVP_PKEY *key;
	X509 *cert;

	(void)state;
	self_signed(&cert, &key, "api.example", -7200, -3600);
	assert_int_equal(against_raw_server(cert, key, true, "api.example", 0,
			     why, sizeof(why)),
	    TLS_ERROR);
	assert_string_equal(why, "certificate has expired (api.example)");
	X509_free(cert);
	EVP_PKEY_free(key);
	self_signed(&cert, &key, "api.example", 3600, 7200);
	assert_int_equal(against_raw_server(cert, key, true, "api.example", 0,
			     why, sizeof(why)),
	    TLS_ERROR);
	assert_string_equal(why, "certificate is not yet valid (api.example)");
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
wildcards_match_one_whole_label_only(void **state)
{
	static const struct {
		const char *cert, *host;
		enum tls_io want;
	} cases[] = {
		{ "*.example.com", "api.example.com", TLS_OK },
		{ "*.example.com", "a.b.example.com", TLS_ERROR },
		{ "*.example.com", "example.com", TLS_ERROR },
		{ "ap*.example.com", "api.example.com", TLS_ERROR },
		{ "*i.example.com", "api.example.com", TLS_ERROR },
	};
	char why[256];
	EVP_PKEY *key;
	X509 *cert;

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		self_signed(&cert, &key, cases[i].cert, -60, 3600);
		assert_int_equal(against_raw_server(cert, key, true,
				     cases[i].host, 0, why, sizeof(why)),
		    cases[i].want);
		X509_free(cert);
		EVP_PKEY_free(key);
	}
}

static void
old_tls_is_refused(void **state)
{
	char why[256];
	EVP_PKEY *key;
	X509 *cert;

	(void)state;
	self_signed(&cert, &key, "api.example", -60, 3600);
	assert_int_equal(against_raw_server(cert, key, true, "api.example",
			     TLS1_1_VERSION, why, sizeof(why)),
	    TLS_ERROR);
	assert_int_equal(against_raw_server(cert, key, true, "api.example",
			     TLS1_2_VERSION, why, sizeof(why)),
	    TLS_OK);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
resumed_sessions_work_and_keep_the_name(void **state)
{
	struct pair p;
	char got[8];
	size_t n;

	(void)state;
	pair_new(&p, NULL, "api.example");
	give_leaf(p.server, mint, "api.example", "api.example");
	for (int i = 0; i < 3; i++) {
		shake(&p);
		assert_int_equal(p.cio, TLS_OK);
		assert_int_equal(p.sio, TLS_OK);
		assert_int_equal(tls_is_resumed(p.c), i > 0);
		assert_string_equal(tls_sni(p.s), "api.example");
		/* The ticket of TLS 1.3 comes with the first bytes. */
		tls_write(p.s, "x", 1, &n);
		tls_read(p.c, got, sizeof(got), &n);
		pair_down(&p);
		pair_up(&p, NULL, "api.example");
	}
	/* A session for one host is never offered to another. */
	pair_down(&p);
	pair_up(&p, NULL, "b.example");
	give_leaf(p.server, mint, "b.example", "api.example");
	shake(&p);
	assert_int_equal(p.cio, TLS_ERROR);
	pair_free(&p);
}

static void
bad_hosts_and_roots_are_refused(void **state)
{
	struct error err;
	struct tls_client *c = client();
	int fd[2];

	(void)state;
	assert_int_equal(fd_socketpair(fd), 0);
	assert_null(tls_connect_new(
	    c, fd[0], &(struct tls_target){ .host = "" }, &err));
	assert_null(tls_connect_new(
	    c, fd[0], &(struct tls_target){ .host = "a b" }, &err));
	assert_null(tls_connect_new(
	    c, fd[0], &(struct tls_target){ .host = "*.example" }, &err));
	tls_client_free(c);
	c = tls_client_new("no certificates here\n", 21, &err);
	assert_null(tls_connect_new(
	    c, fd[0], &(struct tls_target){ .host = "a.example" }, &err));
	assert_string_equal(err.msg, "no trusted certificate authorities");
	tls_client_free(c);
	c = tls_client_new("", 0, &err);
	assert_null(tls_connect_new(
	    c, fd[0], &(struct tls_target){ .host = "a.example" }, &err));
	tls_client_free(c);
	close(fd[0]);
	close(fd[1]);
}

static void
plain_text_is_refused_with_a_reason(void **state)
{
	struct error err;
	struct tls_server *s = tls_server_new(&err);
	struct tls *t;
	int fd[2];

	(void)state;
	assert_int_equal(fd_socketpair(fd), 0);
	t = tls_accept_new(s, fd[0], "a.example");
	assert_int_equal(write(fd[1], "GET / HTTP/1.1\r\n\r\n", 18), 18);
	assert_int_equal(tls_handshake(t), TLS_ERROR);
	assert_non_null(strstr(tls_why(t), "does not speak TLS"));
	tls_free(t);
	tls_server_free(s);
	close(fd[0]);
	close(fd[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_bytes_both_ways_and_closes_cleanly),
		cmocka_unit_test(cut_without_close_notify_is_an_error),
		cmocka_unit_test(writes_a_lot_with_a_moving_buffer),
		cmocka_unit_test(
		    what_may_wait_goes_out_with_the_rest_or_a_push),
		cmocka_unit_test(server_waits_for_the_leaf),
		cmocka_unit_test(failed_mint_fails_the_handshake),
		cmocka_unit_test(leaf_for_another_key_is_refused),
		cmocka_unit_test(leaf_cache_is_bounded_and_drops_the_oldest),
		cmocka_unit_test(bad_server_names_fail_the_handshake),
		cmocka_unit_test(no_server_name_uses_the_fallback_or_fails),
		cmocka_unit_test(
		    faster_suite_is_chosen_unless_the_client_lacks_aes),
		cmocka_unit_test(alpn_without_http_is_refused),
		cmocka_unit_test(wrong_host_is_refused),
		cmocka_unit_test(unknown_authority_is_refused),
		cmocka_unit_test(self_signed_is_refused),
		cmocka_unit_test(expired_and_not_yet_valid_are_refused),
		cmocka_unit_test(wildcards_match_one_whole_label_only),
		cmocka_unit_test(old_tls_is_refused),
		cmocka_unit_test(resumed_sessions_work_and_keep_the_name),
		cmocka_unit_test(bad_hosts_and_roots_are_refused),
		cmocka_unit_test(plain_text_is_refused_with_a_reason),
	};

	return cmocka_run_group_tests_name(
	    "tls", tests, tls_world_setup, tls_world_teardown);
}

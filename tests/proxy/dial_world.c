#include "tests/proxy/dial_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "base/fdutil.h"
#include "base/str.h"

struct ev *ev;
struct mint *mint, *stranger;
struct secret *alice, *bob;

static void
on_done(void *arg, int fd, struct tls *t, bool h2)
{
	struct got *g = arg;

	assert_false(g->over);
	g->over = g->ok = true;
	g->fd = fd;
	g->t = t;
	g->h2 = h2;
}

static void
on_failed(void *arg, enum upstream_fail how, const char *why)
{
	struct got *g = arg;

	assert_false(g->over);
	g->over = true;
	g->how = how;
	strlcpy(g->why, why, sizeof(g->why));
}

const struct dial_ops world_ops = { on_done, on_failed };

void
world_run(struct got *g, unsigned int ms)
{
	uint64_t end = ev_now_ms() + ms;

	while (!g->over && ev_now_ms() < end)
		ev_once(ev, 20);
}

struct got
world_dial(struct dialer *d, const struct dial_opts *o)
{
	struct got g = { .fd = -1 };

	dial_start(d, o, &world_ops, &g);
	assert_false(g.over);
	world_run(&g, 20000);
	if (!g.over)
		fail_msg("the dial did not end");
	return g;
}

void
got_free(struct got *g)
{
	tls_free(g->t);
	fd_close(&g->fd);
}

/* All that the peer sends until it closes. */
void
got_rest(struct got *g, char *text, size_t size)
{
	size_t n = 0, got;

	for (int i = 0; i < 2000; i++) {
		enum tls_io io = TLS_EOF;
		ssize_t r;

		if (g->t != NULL) {
			io = tls_read(g->t, text + n, size - 1 - n, &got);
		} else {
			r = recv(g->fd, text + n, size - 1 - n, 0);
			got = r > 0 ? (size_t)r : 0;
			io = r > 0 ? TLS_OK : r == 0 ? TLS_EOF : TLS_WANT_READ;
		}
		if (io == TLS_OK)
			n += got;
		else if (io == TLS_WANT_READ)
			usleep(1000);
		else
			break;
	}
	text[n] = '\0';
}

struct netaddr
world_addr(const char *s)
{
	struct netaddr a = { 0 };

	assert_int_equal(netaddr_parse(s, &a), 0);
	return a;
}

/* ---- servers ------------------------------------------------------------ */

int
world_listener(const char *ip, uint16_t *port, int backlog)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(*port) };
	socklen_t len = sizeof(sin);

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET, ip, &sin.sin_addr), 1);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
	return fd;
}

pid_t
world_child(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

void
world_reap(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A key, and its leaf for HOST from m. */
static EVP_PKEY *
make_leaf(struct mint *m, X509 **cert)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	unsigned char *spki = NULL;
	int n = i2d_PUBKEY(key, &spki);
	struct error err;
	const uint8_t *p;
	struct buf der;

	buf_init(&der, 0);
	if (n <= 0 || mint_leaf(m, HOST, spki, (size_t)n, &der, &err) < 0)
		fail_msg("%s", err.msg);
	p = buf_head(&der);
	*cert = d2i_X509(NULL, &p, (long)buf_len(&der));
	assert_non_null(*cert);
	OPENSSL_free(spki);
	buf_free(&der);
	return key;
}

static int
any_client(int ok, X509_STORE_CTX *c)
{
	(void)ok;
	(void)c;
	return 1;
}

static int
pick_h2(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned int inlen, void *arg)
{
	(void)ssl;
	(void)arg;
	return SSL_select_next_proto((unsigned char **)(uintptr_t)out, outlen,
		   (const unsigned char *)"\x02h2\x08http/1.1", 12, in,
		   inlen) == OPENSSL_NPN_NEGOTIATED
		   ? SSL_TLSEXT_ERR_OK
		   : SSL_TLSEXT_ERR_NOACK;
}

/* Says on each connection whether it was resumed and who the client is. */
void __attribute__((noreturn))
world_origin_main(int lfd, const struct origin *o)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *cert;
	EVP_PKEY *key = make_leaf(o->ca != NULL ? o->ca : mint, &cert);

	SSL_CTX_use_certificate(ctx, cert);
	SSL_CTX_use_PrivateKey(ctx, key);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1);
	if (o->tls12)
		SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	if (o->h2)
		SSL_CTX_set_alpn_select_cb(ctx, pick_h2, NULL);
	if (o->wants_client)
		SSL_CTX_set_verify(ctx,
		    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
		    any_client);
	for (;;) {
		int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
		SSL *ssl = SSL_new(ctx);
		X509 *peer;
		char text[128] = "", id[64] = "-";

		SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1) {
			peer = SSL_get0_peer_certificate(ssl);
			if (peer != NULL)
				snprintf(id, sizeof(id), "%lx",
				    X509_issuer_and_serial_hash(peer));
			snprintf(text, sizeof(text), "%s %s",
			    SSL_session_reused(ssl) ? "resumed" : "full", id);
			SSL_write(ssl, text, (int)strlen(text));
			SSL_shutdown(ssl);
		}
		SSL_free(ssl);
		close(fd);
	}
}

pid_t
world_origin(const struct origin *o, uint16_t *port)
{
	int fd;
	pid_t pid;

	*port = 0;
	fd = world_listener("127.0.0.1", port, 16);
	pid = world_child();
	if (pid == 0)
		world_origin_main(fd, o);
	close(fd);
	return pid;
}

/* ---- fixtures ----------------------------------------------------------- */

/* PEM as the administrator would store it. */
static struct secret *
identity(void)
{
	X509 *cert;
	EVP_PKEY *key = make_leaf(stranger, &cert);
	BIO *bio = BIO_new(BIO_s_mem());
	struct secret *s;
	char *p;
	long n;

	PEM_write_bio_X509(bio, cert);
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	n = BIO_get_mem_data(bio, &p);
	s = secret_new(p, (size_t)n);
	assert_non_null(s);
	BIO_free(bio);
	X509_free(cert);
	EVP_PKEY_free(key);
	return s;
}

int
world_setup(void **state)
{
	struct error err;

	(void)state;
	tls_preinit();
	ev = ev_new();
	mint = mint_new(&err);
	stranger = mint_new(&err);
	alice = identity();
	bob = identity();
	return 0;
}

int
world_teardown(void **state)
{
	(void)state;
	mint_free(mint);
	mint_free(stranger);
	secret_free(alice);
	secret_free(bob);
	ev_once(ev, 0);
	ev_free(ev);
	return 0;
}

int
world_roots_fd(struct mint *m)
{
	struct error err;
	struct buf b;
	int fd;

	buf_init(&b, 0);
	assert_int_equal(mint_ca_pem(m, &b, &err), 0);
	fd = fd_memfd("roots", buf_head(&b), buf_len(&b));
	assert_true(fd >= 0);
	buf_free(&b);
	return fd;
}

struct dialer *
world_dialer(void)
{
	struct dialer *d = dialer_new(ev);

	dialer_roots(d, world_roots_fd(mint));
	return d;
}

void
world_dialer_end(struct dialer *d)
{
	/* What is to be freed at the end of a round. */
	ev_once(ev, 0);
	dialer_free(d);
}

/*
 * brig-origin: an HTTP(S)/1.1 server for tests and the demo.  It records what
 * reaches it, one JSON object a line, so that a test can say what an origin
 * saw, byte for byte.  One thread per connection.
 *
 *   brig-origin [-c CERT -k KEY] [-r RECORD] [-a ADDRESS] [-p PORT]
 *
 * Port 0 picks one; "listening PORT" on stdout says which.  Without a
 * certificate it speaks plain HTTP.  Paths:
 *   /echo          the request head and body, as text
 *   /leak          what Authorization held, in header and body, many spellings
 *   /leak-coding   the same, but as the name of a content coding
 *   /bytes/N       N bytes        /chunked/N   N chunks of 10 bytes
 *   /often/N/M     N times the credential, before each M bytes
 *   /sse/N/MS      N events, MS apart, each flushed
 *   /status/N      that status    /redirect?URL   302 to URL
 *   /upload        {"bytes":N,"fnv":...} of the body
 *   /reply         the request's body, as JSON
 *   /token/N       {"access_token":...} of N bytes
 *   /close         a body that ends with the connection
 *   /hang          never answers  /gzip   says gzip, is not
 *   /coded/CODINGS/N/MS   N events with the credential, MS apart, each flushed
 *   /ws            a WebSocket; each frame comes back and is recorded
 *   anything else  200 "ok\n"
 */
#include "tests/origin/origin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

static SSL_CTX *ctx;
static FILE *record;
static pthread_mutex_t record_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint connections;

int
origin_read(struct conn *c)
{
	uint8_t *p = buf_reserve(&c->in, 65536);
	ssize_t n;

	if (p == NULL)
		return -1;
	n = c->ssl != NULL ? SSL_read(c->ssl, p, 65536) : read(c->fd, p, 65536);
	if (n <= 0)
		return -1;
	buf_commit(&c->in, (size_t)n);
	return 0;
}

int
origin_write(struct conn *c, const void *p, size_t n)
{
	const uint8_t *q = p;

	if (c->ssl == NULL)
		return fd_write_all(c->fd, p, n);
	while (n > 0) {
		int k = SSL_write(c->ssl, q, n > 65536 ? 65536 : (int)n);

		if (k <= 0)
			return -1;
		q += k;
		n -= (size_t)k;
	}
	return 0;
}

static void
json_str(struct buf *b, const char *s)
{
	buf_put_u8(b, '"');
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			buf_printf(b, "\\u%04x", c);
		else
			buf_put_u8(b, c);
	}
	buf_put_u8(b, '"');
}

void
origin_record(const struct conn *c, const struct request *r)
{
	struct buf b;
	const char *sni = c->ssl == NULL ? ""
					 : SSL_get_servername(c->ssl,
					       TLSEXT_NAMETYPE_host_name);

	if (record == NULL)
		return;
	buf_init(&b, 0);
	buf_printf(&b, "{\"conn\":%u,\"tls\":%s,\"sni\":", c->number,
	    c->ssl != NULL ? "true" : "false");
	json_str(&b, sni == NULL ? "" : sni);
	buf_printf(&b, ",\"head\":");
	json_str(&b, r->head);
	buf_printf(&b, ",\"body_bytes\":%zu,\"body\":", r->body_bytes);
	json_str(&b, r->body);
	buf_printf(&b, "}\n");
	pthread_mutex_lock(&record_lock);
	fwrite(b.data, 1, b.len, record);
	fflush(record);
	pthread_mutex_unlock(&record_lock);
	buf_free(&b);
}

static void *
serve(void *arg)
{
	struct conn *c = arg;

	if (ctx != NULL) {
		c->ssl = SSL_new(ctx);
		SSL_set_fd(c->ssl, c->fd);
		if (SSL_accept(c->ssl) != 1)
			goto out;
	}
	while (origin_serve_one(c) == 0)
		continue;
	if (c->ssl != NULL)
		SSL_shutdown(c->ssl);
out:
	if (c->ssl != NULL)
		SSL_free(c->ssl);
	ERR_clear_error();
	close(c->fd);
	buf_free(&c->in);
	free(c);
	return NULL;
}

static void
setup_tls(const char *cert, const char *key)
{
	ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
		ERR_print_errors_fp(stderr);
		fatalx("certificate %s, key %s", cert, key);
	}
}

static int
listen_on(const char *address, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	socklen_t len = sizeof(sa);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (inet_pton(AF_INET, address, &sa.sin_addr) != 1)
		fatalx("bad address %s", address);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, 128) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		fatal("listen on %s:%u", address, port);
	printf("listening %u\n", ntohs(sa.sin_port));
	fflush(stdout);
	return fd;
}

int
main(int argc, char **argv)
{
	const char *cert = NULL, *key = NULL, *address = "127.0.0.1";
	uint64_t port = 0;
	int o, lfd, one = 1;

	log_init("brig-origin", LOG_LEVEL_INFO);
	while ((o = getopt(argc, argv, "a:c:k:p:r:")) != -1)
		switch (o) {
		case 'a':
			address = optarg;
			break;
		case 'c':
			cert = optarg;
			break;
		case 'k':
			key = optarg;
			break;
		case 'p':
			if (str_to_u64(optarg, 0, 65535, &port) < 0)
				fatalx("bad port %s", optarg);
			break;
		case 'r':
			if ((record = fopen(optarg, "ae")) == NULL)
				fatal("%s", optarg);
			break;
		default:
			return 2;
		}
	signal(SIGPIPE, SIG_IGN);
	if (cert != NULL && key != NULL)
		setup_tls(cert, key);
	lfd = listen_on(address, (uint16_t)port);
	for (;;) {
		struct conn *c;
		pthread_t t;
		int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0)
			fatal("accept");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c = xcalloc(1, sizeof(*c));
		c->fd = fd;
		c->number = ++connections;
		if (pthread_create(&t, NULL, serve, c) != 0)
			fatalx("no thread");
		pthread_detach(t);
	}
}

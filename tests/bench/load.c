/*
 * brig-load: a closed-loop HTTP/1.1-over-TLS load client, direct or through a
 * CONNECT proxy.
 *
 *   brig-load [-x PROXY:PORT | -d ADDRESS:PORT] [-c THREADS] [-n REQUESTS]
 *             [-r PER-CONNECTION] -C CAFILE HOST:PORT PATH
 *
 * -d connects there instead, to a proxy that needs no CONNECT.
 *
 * -r 0 (default) keeps one connection per thread; -r 1 opens a new one for
 * every request, and its set-up counts as part of the request.  Prints
 * "ok ERRORS SECONDS P50_US P99_US BYTES" on one line.  Bodies need a
 * Content-Length.
 */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
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
#include <time.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

#define THREADS_MAX 64u
#define REQUESTS_MAX 10000000u
#define ERRORS_MAX 100u /* a thread gives up after these */
#define READ_SIZE 65536

struct place {
	char *host, *port;
};

struct run {
	struct place proxy, detour, target;
	const char *path;
	SSL_CTX *ctx;
	uint64_t requests, per_conn;
	atomic_ullong next, errors, bytes;
	double *latency; /* seconds; < 0: failed */
};

struct link {
	struct run *run;
	SSL *ssl;
	int fd;
	struct buf in;
	uint64_t used;
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct place
place_of(const char *arg)
{
	const char *colon = strrchr(arg, ':');
	struct place p;

	if (colon == NULL)
		fatalx("%s: need HOST:PORT", arg);
	p.host = xstrndup(arg, (size_t)(colon - arg));
	p.port = xstrdup(colon + 1);
	return p;
}

static int
dial(const struct place *p)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM }, *list, *a;
	int fd = -1, one = 1;

	if (getaddrinfo(p->host, p->port, &hint, &list) != 0)
		return -1;
	for (a = list; a != NULL && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0)
			fd_close(&fd);
	}
	freeaddrinfo(list);
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* CONNECT, read byte by byte so that no byte of the tunnel is taken. */
static int
tunnel(int fd, const struct place *t)
{
	char b[1024];
	size_t n = 0;
	int k = snprintf(b, sizeof(b),
	    "CONNECT %s:%s HTTP/1.1\r\nHost: %s:%s\r\n\r\n", t->host, t->port,
	    t->host, t->port);

	if (fd_write_all(fd, b, (size_t)k) < 0)
		return -1;
	while (n < sizeof(b) - 1 && read(fd, b + n, 1) == 1) {
		b[++n] = '\0';
		if (str_ends(b, "\r\n\r\n"))
			return n > 12 && memcmp(b + 9, "200", 3) == 0 ? 0 : -1;
	}
	return -1;
}

static void
hang_up(struct link *l)
{
	if (l->ssl != NULL) {
		SSL_shutdown(l->ssl);
		SSL_free(l->ssl);
	}
	l->ssl = NULL;
	fd_close(&l->fd);
	buf_clear(&l->in);
	l->used = 0;
}

static int
open_link(struct link *l)
{
	struct run *r = l->run;

	l->fd = dial(r->proxy.host != NULL    ? &r->proxy
		     : r->detour.host != NULL ? &r->detour
					      : &r->target);
	if (l->fd < 0 ||
	    (r->proxy.host != NULL && tunnel(l->fd, &r->target) < 0)) {
		fd_close(&l->fd);
		return -1;
	}
	l->ssl = SSL_new(r->ctx);
	SSL_set_fd(l->ssl, l->fd);
	SSL_set_tlsext_host_name(l->ssl, r->target.host);
	SSL_set1_host(l->ssl, r->target.host);
	if (SSL_connect(l->ssl) != 1) {
		ERR_print_errors_fp(stderr);
		hang_up(l);
		return -1;
	}
	return 0;
}

static int
fill(struct link *l)
{
	uint8_t *p = buf_reserve(&l->in, READ_SIZE);
	int n = SSL_read(l->ssl, p, READ_SIZE);

	if (n <= 0)
		return -1;
	buf_commit(&l->in, (size_t)n);
	return 0;
}

static int
request(struct link *l)
{
	struct run *r = l->run;
	char q[2048];
	char *head, *len;
	uint64_t left = 0;
	uint8_t *e;
	int k = snprintf(q, sizeof(q), "GET %s HTTP/1.1\r\nHost: %s:%s\r\n\r\n",
	    r->path, r->target.host, r->target.port);

	if (SSL_write(l->ssl, q, k) != k)
		return -1;
	while ((e = buf_len(&l->in) == 0
			? NULL
			: memmem(buf_head(&l->in), buf_len(&l->in), "\r\n\r\n",
			      4)) == NULL)
		if (buf_len(&l->in) > 65536 || fill(l) < 0)
			return -1;
	head =
	    xstrndup((char *)buf_head(&l->in), (size_t)(e - buf_head(&l->in)));
	buf_consume(&l->in, strlen(head) + 4);
	len = strcasestr(head, "content-length: ");
	if (len != NULL)
		left = strtoull(len + 16, NULL, 10);
	k = len != NULL && strncmp(head + 9, "200", 3) == 0 ? 0 : -1;
	if (k < 0)
		fprintf(stderr, "%.300s\n", head);
	free(head);
	if (k < 0)
		return -1;
	r->bytes += left;
	for (;;) {
		size_t have = buf_len(&l->in);

		have = have < left ? have : left;
		buf_consume(&l->in, have);
		left -= have;
		if (left == 0)
			return 0;
		if (fill(l) < 0)
			return -1;
	}
}

static void *
worker(void *arg)
{
	struct run *r = arg;
	struct link l = { .run = r, .fd = -1 };
	unsigned int errors = 0;
	unsigned long long i;

	while ((i = r->next++) < r->requests && errors < ERRORS_MAX) {
		double t0 = now();
		bool fine =
		    (l.ssl != NULL || open_link(&l) == 0) && request(&l) == 0;

		r->latency[i] = fine ? now() - t0 : -1;
		if (!fine) {
			r->errors++;
			errors++;
		}
		if (!fine || (r->per_conn > 0 && ++l.used >= r->per_conn))
			hang_up(&l);
	}
	hang_up(&l);
	buf_free(&l.in);
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
report(struct run *r, double seconds)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < r->requests; i++)
		if (r->latency[i] > 0)
			r->latency[n++] = r->latency[i];
	qsort(r->latency, n, sizeof(*r->latency), compare);
	printf("%llu %llu %.6f %.1f %.1f %llu\n", (unsigned long long)n,
	    (unsigned long long)r->errors, seconds,
	    n == 0 ? 0.0 : r->latency[n / 2] * 1e6,
	    n == 0 ? 0.0 : r->latency[n * 99 / 100] * 1e6,
	    (unsigned long long)r->bytes);
}

int
main(int argc, char **argv)
{
	struct run r = { .requests = 1000 };
	pthread_t th[THREADS_MAX];
	const char *ca = NULL;
	uint64_t threads = 1;
	double t0;
	int o;

	log_init("brig-load", LOG_LEVEL_INFO);
	while ((o = getopt(argc, argv, "x:d:c:n:r:C:")) != -1) {
		if (o == 'x')
			r.proxy = place_of(optarg);
		else if (o == 'd')
			r.detour = place_of(optarg);
		else if (o == 'C')
			ca = optarg;
		else if ((o != 'c' || str_to_u64(optarg, 1, THREADS_MAX,
					  &threads) < 0) &&
			 (o != 'n' || str_to_u64(optarg, 1, REQUESTS_MAX,
					  &r.requests) < 0) &&
			 (o != 'r' || str_to_u64(optarg, 0, REQUESTS_MAX,
					  &r.per_conn) < 0))
			fatalx("bad -%c", o);
	}
	if (argc - optind != 2)
		fatalx("usage: brig-load [-x PROXY:PORT | -d ADDRESS:PORT] [-c "
		       "N] [-n N] [-r N] "
		       "-C CAFILE HOST:PORT PATH");
	r.target = place_of(argv[optind]);
	r.path = argv[optind + 1];
	signal(SIGPIPE, SIG_IGN);
	r.ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(r.ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(r.ctx, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_load_verify_locations(r.ctx, ca, NULL) != 1)
		fatalx("%s: no certificates", ca);
	r.latency = xcalloc(r.requests, sizeof(*r.latency));
	t0 = now();
	for (uint64_t i = 0; i < threads; i++)
		if (pthread_create(&th[i], NULL, worker, &r) != 0)
			fatalx("no thread");
	for (uint64_t i = 0; i < threads; i++)
		pthread_join(th[i], NULL);
	report(&r, now() - t0);
	return r.errors != 0;
}

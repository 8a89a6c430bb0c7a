/* What all dials of a process share: trusted roots and TLS sessions. */
#include <errno.h>
#include <stdlib.h>

#include "base/fdutil.h"
#include "base/proto.h"
#include "base/str.h"
#include "proxy/dial_int.h"

struct dialer *
dialer_new(struct ev *ev)
{
	struct dialer *d = xcalloc(1, sizeof(*d));

	d->ev = ev;
	d->roots_fd = d->host_roots_fd = -1;
	buf_init(&d->roots, 0);
	buf_init(&d->host_roots, 0);
	return d;
}

/* The next handshake makes a new client. */
static void
drop_client(struct dialer *d)
{
	tls_client_free(d->client);
	d->client = NULL;
	buf_free(&d->roots);
	buf_free(&d->host_roots);
	buf_init(&d->roots, 0);
	buf_init(&d->host_roots, 0);
	d->generation++;
}

void
dialer_free(struct dialer *d)
{
	if (d == NULL)
		return;
	drop_client(d);
	fd_close(&d->roots_fd);
	fd_close(&d->host_roots_fd);
	free(d);
}

void
dialer_roots(struct dialer *d, int fd)
{
	fd_close(&d->roots_fd);
	fd_close(&d->host_roots_fd);
	d->roots_fd = fd;
	drop_client(d);
}

/* Each entry to c, or only a look at them (c NULL).  0 or -1. */
static int
walk_host_roots(const struct buf *b, struct tls_client *c)
{
	struct cur cur;
	uint32_t n;

	cur_init(&cur, buf_head(b), buf_len(b));
	n = cur_count(&cur, DIAL_HOST_ROOTS_MAX, 8);
	for (uint32_t i = 0; i < n; i++) {
		cleanup_free char *host = cur_str(&cur, P_HOST_MAX);
		size_t size;
		const uint8_t *pem = cur_blob(&cur, DIAL_ROOTS_MAX, &size);

		if (host == NULL || host[0] == '\0' || pem == NULL)
			return -1;
		if (c != NULL)
			tls_client_host_roots(c, host, pem, size);
	}
	return cur_end(&cur);
}

int
dialer_host_roots(struct dialer *d, int fd)
{
	cleanup_buf struct buf b = { 0 };

	drop_client(d);
	fd_close(&d->host_roots_fd);
	if (fd_pread_all(fd, &b, DIAL_ROOTS_MAX) < 0 ||
	    walk_host_roots(&b, NULL) < 0) {
		fd_close(&fd);
		return -1;
	}
	d->host_roots_fd = fd;
	return 0;
}

void
dialer_forget(struct dialer *d, const char *host, uint16_t port)
{
	if (d->client != NULL)
		tls_client_forget(d->client, host, port);
}

uint32_t
dialer_generation(const struct dialer *d)
{
	return d->generation;
}

static struct tls_client *
client(struct dialer *d, struct error *err)
{
	if (d->client != NULL)
		return d->client;
	if (d->roots_fd < 0) {
		(void)error_set(
		    err, 0, "no trusted certificate authorities are known");
		return NULL;
	}
	buf_clear(&d->roots);
	buf_clear(&d->host_roots);
	if (fd_pread_all(d->roots_fd, &d->roots, DIAL_ROOTS_MAX) < 0 ||
	    (d->host_roots_fd >= 0 &&
		fd_pread_all(d->host_roots_fd, &d->host_roots, DIAL_ROOTS_MAX) <
		    0)) {
		(void)error_set(err, errno, "certificate authorities");
		return NULL;
	}
	d->client =
	    tls_client_new(buf_head(&d->roots), buf_len(&d->roots), err);
	if (d->client != NULL && d->host_roots_fd >= 0)
		(void)walk_host_roots(&d->host_roots, d->client);
	return d->client;
}

struct tls *
dialer_tls(
    struct dialer *d, const struct dial_opts *o, int fd, struct error *err)
{
	const struct tls_target target = { .host = o->host,
		.port = o->port,
		.offer_h2 = o->offer_h2,
		.no_alpn = o->raw,
		.identity = o->identity };
	struct tls_client *c = client(d, err);
	struct tls *t = c == NULL ? NULL : tls_connect_new(c, fd, &target, err);

	/* They have been parsed. */
	if (t != NULL && buf_len(&d->roots) > 0) {
		buf_free(&d->roots);
		buf_init(&d->roots, 0);
	}
	return t;
}

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "base/log.h"
#include "proxy/tls_int.h"

/*
 * OpenSSL's own BIO for sockets writes each record with write(2), which sends
 * it at once: a reader on the same machine would be woken for every 16 KiB.
 */

static int
sock_write(BIO *b, const char *p, int n)
{
	const struct tls *t = BIO_get_data(b);
	ssize_t k;

	BIO_clear_retry_flags(b);
	do
		k = send(t->fd, p, (size_t)n,
		    MSG_NOSIGNAL | (t->more ? MSG_MORE : 0));
	while (k < 0 && errno == EINTR);
	if (k < 0 && errno == EAGAIN)
		BIO_set_retry_write(b);
	return (int)k;
}

static int
sock_read(BIO *b, char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t k;

	BIO_clear_retry_flags(b);
	do
		k = recv(t->fd, p, (size_t)n, 0);
	while (k < 0 && errno == EINTR);
	if (k < 0 && errno == EAGAIN)
		BIO_set_retry_read(b);
	t->eof |= k == 0;
	return (int)k;
}

static long
sock_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	const struct tls *t = BIO_get_data(b);

	(void)num;
	(void)ptr;
	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return t->eof;
	default:
		return 0;
	}
}

static int
sock_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

static const BIO_METHOD *
method(void)
{
	static BIO_METHOD *m;

	if (m != NULL)
		return m;
	m = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "socket");
	if (m == NULL || BIO_meth_set_write(m, sock_write) != 1 ||
	    BIO_meth_set_read(m, sock_read) != 1 ||
	    BIO_meth_set_ctrl(m, sock_ctrl) != 1 ||
	    BIO_meth_set_create(m, sock_create) != 1)
		fatalx("out of memory");
	return m;
}

BIO *
tls_bio_new(struct tls *t)
{
	BIO *b = BIO_new(method());

	if (b != NULL)
		BIO_set_data(b, t);
	return b;
}

/* ---- buffers ------------------------------------------------------------ */

/* The one used last, and the one used longest ago. */
static struct tls *warmest, *coldest;
static size_t nwarm;

void
tls_forget(struct tls *t)
{
	if (!t->warm)
		return;
	*(t->warmer == NULL ? &warmest : &t->warmer->colder) = t->colder;
	*(t->colder == NULL ? &coldest : &t->colder->warmer) = t->warmer;
	t->warmer = t->colder = NULL;
	t->warm = false;
	nwarm--;
}

void
tls_warm(struct tls *t)
{
	struct tls *old;

	if (t == warmest)
		return;
	if (!t->warm)
		SSL_clear_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS);
	tls_forget(t);
	t->warm = true;
	t->colder = warmest;
	*(warmest == NULL ? &coldest : &warmest->warmer) = t;
	warmest = t;
	if (++nwarm <= TLS_WARM_MAX)
		return;
	old = coldest;
	tls_forget(old);
	/* Now, or when what is in them has been read or written. */
	SSL_set_mode(old->ssl, SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_free_buffers(old->ssl);
}

void
tls_push(struct tls *t)
{
	static const int one = 1;

	if (!t->held)
		return;
	t->held = false;
	/* tcp(7): set anew, it sends what waits. */
	(void)setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

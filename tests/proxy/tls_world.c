#include "tests/proxy/tls_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fdutil.h"

struct mint *mint, *stranger;
struct buf roots;

int
tls_world_setup(void **state)
{
	struct error err;

	(void)state;
	tls_preinit();
	mint = mint_new(&err);
	stranger = mint_new(&err);
	buf_init(&roots, 0);
	return mint_ca_pem(mint, &roots, &err);
}

int
tls_world_teardown(void **state)
{
	(void)state;
	mint_free(mint);
	mint_free(stranger);
	buf_free(&roots);
	return 0;
}

struct tls_client *
client(void)
{
	struct error err;
	struct tls_client *c =
	    tls_client_new(buf_head(&roots), buf_len(&roots), &err);

	assert_non_null(c);
	return c;
}

void
give_leaf(struct tls_server *s, struct mint *m, const char *name,
    const char *for_name)
{
	size_t n;
	const uint8_t *spki = tls_server_spki(s, &n);
	struct buf der;
	struct error err;

	buf_init(&der, 0);
	if (mint_leaf(m, for_name, spki, n, &der, &err) < 0)
		fail_msg("%s", err.msg);
	if (tls_server_leaf(s, name, buf_head(&der), buf_len(&der), &err) < 0)
		fail_msg("%s", err.msg);
	buf_free(&der);
}

/* Run both handshakes until neither moves. */
void
shake(struct pair *p)
{
	for (int i = 0; i < 20; i++) {
		p->cio = tls_handshake(p->c);
		p->sio = tls_handshake(p->s);
	}
}

void
pair_over(struct pair *p, const char *fallback, const char *host)
{
	struct error err;

	p->s = tls_accept_new(p->server, p->fd[0], fallback);
	p->c = tls_connect_new(
	    p->client, p->fd[1], &(struct tls_target){ .host = host }, &err);
	assert_non_null(p->s);
	if (p->c == NULL)
		fail_msg("%s", err.msg);
}

void
pair_up(struct pair *p, const char *fallback, const char *host)
{
	assert_int_equal(fd_socketpair(p->fd), 0);
	pair_over(p, fallback, host);
}

void
pair_new(struct pair *p, const char *fallback, const char *host)
{
	struct error err;

	p->server = tls_server_new(&err);
	assert_non_null(p->server);
	p->client = client();
	pair_up(p, fallback, host);
}

void
pair_down(struct pair *p)
{
	tls_free(p->s);
	tls_free(p->c);
	fd_close(&p->fd[0]);
	fd_close(&p->fd[1]);
}

void
pair_free(struct pair *p)
{
	pair_down(p);
	tls_server_free(p->server);
	tls_client_free(p->client);
}

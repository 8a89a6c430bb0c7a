/*
 * From addresses to a verified socket: who wins the race, whose sessions are
 * resumed, whose certificate is shown.
 */
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
#include "tests/proxy/dial_world.h"

/* ---- the race ----------------------------------------------------------- */

/* An address that does not answer: its backlog is full. */
struct hole {
	int fd, filler[4];
};

static void
hole_make(struct hole *h, const char *ip, uint16_t *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	h->fd = world_listener(ip, port, 0);
	sin.sin_port = htons(*port);
	inet_pton(AF_INET, ip, &sin.sin_addr);
	for (size_t i = 0; i < nitems(h->filler); i++) {
		h->filler[i] = socket(
		    AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(
		    h->filler[i], (struct sockaddr *)&sin, sizeof(sin));
	}
}

static void
hole_free(struct hole *h)
{
	close(h->fd);
	for (size_t i = 0; i < nitems(h->filler); i++)
		close(h->filler[i]);
}

static size_t
open_files(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
silent_address_loses_to_the_next(void **state)
{
	struct netaddr addrs[] = { world_addr("127.0.0.1"),
		world_addr("127.0.0.2") };
	struct dialer *d = world_dialer();
	uint16_t port = 0;
	struct hole h;
	uint64_t began;
	struct got g;
	size_t files;
	int fd;

	(void)state;
	hole_make(&h, "127.0.0.1", &port);
	fd = world_listener("127.0.0.2", &port, 4);
	const struct dial_opts o = {
		.host = HOST, .port = port, .addrs = addrs, .naddrs = 2
	};
	files = open_files();
	began = ev_now_ms();
	g = world_dial(d, &o);
	assert_true(g.ok);
	/* Not at once, and long before the first one's time is over. */
	assert_true(ev_now_ms() - began >= DIAL_DELAY_MS);
	assert_true(ev_now_ms() - began < DIAL_CONNECT_MS / 2);
	/* The loser is closed. */
	ev_once(ev, 0);
	assert_int_equal(open_files(), files + 1);
	got_free(&g);
	close(fd);
	hole_free(&h);
	world_dialer_end(d);
}

static void
refused_address_is_left_at_once(void **state)
{
	struct netaddr addrs[] = { world_addr("127.0.0.3"), world_addr("::1"),
		world_addr("127.0.0.2") };
	struct dialer *d = world_dialer();
	uint16_t port = 0;
	int fd = world_listener("127.0.0.2", &port, 4);
	const struct dial_opts o = {
		.host = HOST, .port = port, .addrs = addrs, .naddrs = 3
	};
	uint64_t began = ev_now_ms();
	struct got g = world_dial(d, &o);

	(void)state;
	assert_true(g.ok);
	assert_true(ev_now_ms() - began < DIAL_DELAY_MS);
	got_free(&g);
	close(fd);
	world_dialer_end(d);
}

static void
nothing_there_is_said(void **state)
{
	struct netaddr addrs[] = { world_addr("127.0.0.3"),
		world_addr("127.0.0.4") };
	struct dialer *d = world_dialer();
	uint16_t port = 0;
	int fd = world_listener("127.0.0.2", &port, 4);
	const struct dial_opts o = {
		.host = HOST, .port = port, .addrs = addrs, .naddrs = 2
	};
	const struct dial_opts none = { .host = HOST, .port = port };
	struct got g = world_dial(d, &o);

	(void)state;
	assert_false(g.ok);
	assert_int_equal(g.how, UPSTREAM_UNREACHABLE);
	assert_non_null(strstr(g.why, "cannot connect to " HOST));
	assert_non_null(strstr(g.why, "Connection refused"));
	g = world_dial(d, &none);
	assert_non_null(strstr(g.why, "no address"));
	close(fd);
	world_dialer_end(d);
}

static void
cancelled_dial_says_nothing_and_closes(void **state)
{
	struct netaddr addrs[DIAL_ADDRS_MAX + 4];
	struct dialer *d = world_dialer();
	struct got g = { .fd = -1 };
	uint16_t port = 0;
	struct hole h;
	struct dial *dl;
	size_t files;

	(void)state;
	hole_make(&h, "127.0.0.1", &port);
	for (size_t i = 0; i < nitems(addrs); i++)
		addrs[i] = world_addr("127.0.0.1");
	const struct dial_opts o = { .host = HOST,
		.port = port,
		.addrs = addrs,
		.naddrs = nitems(addrs) };
	files = open_files();
	dl = dial_start(d, &o, &world_ops, &g);
	world_run(&g, 4 * DIAL_DELAY_MS + 300);
	assert_false(g.over);
	/* All wait, but not more than so many at once. */
	assert_int_equal(open_files(), files + DIAL_RACE_MAX);
	dial_cancel(dl);
	assert_int_equal(open_files(), files);
	world_run(&g, 50);
	assert_false(g.over);
	hole_free(&h);
	world_dialer_end(d);
}

/* ---- TLS ---------------------------------------------------------------- */

static struct got
dial_origin(struct dialer *d, uint16_t port, const struct secret *id,
    bool offer_h2, char *text, size_t size)
{
	struct netaddr a = world_addr("127.0.0.1");
	const struct dial_opts o = { .tls = true,
		.host = HOST,
		.port = port,
		.addrs = &a,
		.naddrs = 1,
		.offer_h2 = offer_h2,
		.identity = id };
	struct got g = world_dial(d, &o);

	text[0] = '\0';
	if (g.ok)
		got_rest(&g, text, size);
	return g;
}

static const char *
says(struct dialer *d, uint16_t port, const struct secret *id)
{
	static char text[512];
	struct got g = dial_origin(d, port, id, false, text, sizeof(text));

	if (!g.ok)
		strlcpy(text, g.why, sizeof(text));
	got_free(&g);
	return text;
}

static void
h2_is_taken_only_when_offered(void **state)
{
	const struct origin both = { .h2 = true }, none = { 0 };
	struct dialer *d = world_dialer();
	uint16_t port, plain;
	pid_t pid = world_origin(&both, &port),
	      other = world_origin(&none, &plain);
	char text[512];
	struct got g;

	(void)state;
	g = dial_origin(d, port, NULL, true, text, sizeof(text));
	assert_true(g.ok && g.h2);
	got_free(&g);
	g = dial_origin(d, port, NULL, false, text, sizeof(text));
	assert_true(g.ok);
	assert_false(g.h2);
	got_free(&g);
	/* No protocol at all is HTTP/1.1. */
	g = dial_origin(d, plain, NULL, true, text, sizeof(text));
	assert_true(g.ok);
	assert_false(g.h2);
	got_free(&g);
	world_reap(pid);
	world_reap(other);
	world_dialer_end(d);
}

static void
sessions_are_resumed(const struct origin *o)
{
	struct dialer *d = world_dialer();
	uint16_t port, other;
	pid_t pid = world_origin(o, &port), pid2 = world_origin(o, &other);

	assert_string_equal(says(d, port, NULL), "full -");
	for (int i = 0; i < 5; i++)
		assert_string_equal(says(d, port, NULL), "resumed -");
	/* For that port alone, and until it is forgotten. */
	assert_string_equal(says(d, other, NULL), "full -");
	dialer_forget(d, HOST, port);
	assert_string_equal(says(d, port, NULL), "full -");
	assert_string_equal(says(d, other, NULL), "resumed -");
	world_reap(pid);
	world_reap(pid2);
	world_dialer_end(d);
}

static void
sessions_of_tls13_are_resumed(void **state)
{
	const struct origin o = { 0 };

	(void)state;
	sessions_are_resumed(&o);
}

static void
sessions_of_tls12_are_resumed(void **state)
{
	const struct origin o = { .tls12 = true };

	(void)state;
	sessions_are_resumed(&o);
}

static void
changed_roots_end_every_session(void **state)
{
	const struct origin o = { 0 };
	struct dialer *d = world_dialer();
	uint16_t port;
	pid_t pid = world_origin(&o, &port);
	uint32_t generation = dialer_generation(d);

	(void)state;
	assert_string_equal(says(d, port, NULL), "full -");
	assert_string_equal(says(d, port, NULL), "resumed -");
	dialer_roots(d, world_roots_fd(mint));
	assert_int_not_equal(dialer_generation(d), generation);
	assert_string_equal(says(d, port, NULL), "full -");
	dialer_roots(d, world_roots_fd(stranger));
	assert_non_null(
	    strstr(says(d, port, NULL), "not signed by a trusted authority"));
	world_reap(pid);
	world_dialer_end(d);
}

static void
failed_handshake_ends_the_sessions_of_the_origin(void **state)
{
	const struct origin o = { 0 }, bad = { .ca = stranger };
	struct netaddr a = world_addr("127.0.0.1");
	struct dialer *d = world_dialer();
	uint16_t port;
	pid_t pid = world_origin(&o, &port);
	struct dial_opts opts = {
		.tls = true, .host = HOST, .addrs = &a, .naddrs = 1
	};
	struct got g;
	int fd;

	(void)state;
	assert_string_equal(says(d, port, NULL), "full -");
	world_reap(pid);
	fd = world_listener("127.0.0.1", &port, 4);
	pid = world_child();
	if (pid == 0)
		world_origin_main(fd, &bad);
	close(fd);
	opts.port = port;
	g = world_dial(d, &opts);
	assert_false(g.ok);
	assert_int_equal(g.how, UPSTREAM_TLS);
	world_reap(pid);
	world_dialer_end(d);
}

static void
client_certificates_are_kept_apart(void **state)
{
	const struct origin o = { .wants_client = true };
	struct dialer *d = world_dialer();
	uint16_t port;
	pid_t pid = world_origin(&o, &port);
	char a[512], b[512], again[512];
	struct got nobody;

	(void)state;
	strlcpy(a, says(d, port, alice), sizeof(a));
	strlcpy(b, says(d, port, bob), sizeof(b));
	assert_true(str_starts(a, "full ") && a[5] != '-');
	/* A session of one is not resumed for the other. */
	assert_true(str_starts(b, "full ") && b[5] != '-');
	assert_string_not_equal(a, b);
	/* TLS 1.3 tells after the handshake. */
	nobody = dial_origin(d, port, NULL, false, again, sizeof(again));
	assert_true(nobody.ok);
	assert_string_equal(again, "");
	assert_string_equal(tls_why(nobody.t),
	    "the server wants a client certificate, and there is none "
	    "(" HOST ")");
	got_free(&nobody);
	strlcpy(again, says(d, port, alice), sizeof(again));
	assert_true(str_starts(again, "resumed "));
	assert_string_equal(again + 8, a + 5);
	world_reap(pid);
	world_dialer_end(d);
}

static void
missing_client_certificate_is_said(void **state)
{
	const struct origin o = { .wants_client = true, .tls12 = true };
	struct dialer *d = world_dialer();
	uint16_t port;
	pid_t pid = world_origin(&o, &port);

	(void)state;
	/* TLS 1.2 refuses in the handshake, with an alert that says less. */
	assert_string_equal(says(d, port, NULL),
	    "the server wants a client certificate, and there is none "
	    "(" HOST ")");
	assert_true(str_starts(says(d, port, alice), "full "));
	world_reap(pid);
	world_dialer_end(d);
}

static void
dial_outlives_who_began_it(void **state)
{
	const struct origin o = { .wants_client = true };
	struct netaddr a = world_addr("127.0.0.1");
	struct secret *id = secret_new(secret_bytes(alice), secret_len(alice));
	struct dialer *d = world_dialer();
	uint16_t port;
	pid_t pid = world_origin(&o, &port);
	struct dial_opts *opts = xcalloc(1, sizeof(*opts));
	struct got g = { .fd = -1 };
	char text[512];

	(void)state;
	opts->tls = true;
	opts->host = xstrdup(HOST);
	opts->port = port;
	opts->addrs = &a;
	opts->naddrs = 1;
	opts->identity = id;
	dial_start(d, opts, &world_ops, &g);
	secret_free(id);
	free((void *)(uintptr_t)opts->host);
	free(opts);
	world_run(&g, 10000);
	assert_true(g.ok);
	got_rest(&g, text, sizeof(text));
	assert_true(str_starts(text, "full ") && text[5] != '-');
	got_free(&g);
	world_reap(pid);
	world_dialer_end(d);
}

static void
client_certificate_must_be_complete(void **state)
{
	static const char rubbish[] = "-----BEGIN NOTHING-----\n";
	const struct origin o = { .wants_client = true };
	struct secret *bad = secret_new(rubbish, sizeof(rubbish) - 1);
	const char *p = memmem(
	    secret_bytes(alice), secret_len(alice), "-----BEGIN PRIVATE", 18);
	size_t n = (size_t)(p - (const char *)secret_bytes(alice));
	struct secret *no_key = secret_new(secret_bytes(alice), n);
	struct secret *no_cert =
	    secret_new(secret_bytes(alice) + n, secret_len(alice) - n);
	struct secret *mixed = secret_alloc(secret_len(bob) + n);
	struct dialer *d = world_dialer();
	uint16_t port;
	pid_t pid = world_origin(&o, &port);

	(void)state;
	memcpy(secret_data(mixed), secret_bytes(alice), n);
	memcpy(secret_data(mixed) + n, secret_bytes(bob), secret_len(bob));
	assert_non_null(strstr(says(d, port, bad), "no private key"));
	assert_non_null(strstr(says(d, port, no_key), "no private key"));
	assert_non_null(strstr(says(d, port, no_cert), "no certificate"));
	assert_non_null(strstr(says(d, port, mixed), "another key"));
	secret_free(bad);
	secret_free(no_key);
	secret_free(no_cert);
	secret_free(mixed);
	world_reap(pid);
	world_dialer_end(d);
}

static int
host_roots_fd(const char *host, struct mint *m)
{
	struct error err;
	struct buf b, pem;
	int fd;

	buf_init(&b, 0);
	buf_init(&pem, 0);
	assert_int_equal(mint_ca_pem(m, &pem, &err), 0);
	buf_put_u32(&b, 1);
	buf_put_str(&b, host);
	buf_put_blob(&b, buf_head(&pem), buf_len(&pem));
	fd = fd_memfd("roots", buf_head(&b), buf_len(&b));
	buf_free(&b);
	buf_free(&pem);
	return fd;
}

static void
roots_of_one_host_are_for_it_alone(void **state)
{
	const struct origin o = { .ca = stranger }, usual = { 0 };
	struct dialer *d = world_dialer();
	uint16_t port, other;
	pid_t pid = world_origin(&o, &port),
	      pid2 = world_origin(&usual, &other);

	(void)state;
	assert_int_equal(
	    dialer_host_roots(d, host_roots_fd("b.example", stranger)), 0);
	assert_non_null(
	    strstr(says(d, port, NULL), "not signed by a trusted authority"));
	assert_int_equal(
	    dialer_host_roots(d, host_roots_fd(HOST, stranger)), 0);
	assert_string_equal(says(d, port, NULL), "full -");
	/* The ones of all still hold. */
	assert_string_equal(says(d, other, NULL), "full -");
	/* Malformed: none holds. */
	assert_int_equal(
	    dialer_host_roots(d, fd_memfd("roots", "\1\0\0\0x", 5)), -1);
	assert_non_null(
	    strstr(says(d, port, NULL), "not signed by a trusted authority"));
	world_reap(pid);
	world_reap(pid2);
	world_dialer_end(d);
}

static void
nothing_is_trusted_without_roots(void **state)
{
	const struct origin o = { 0 };
	struct dialer *d = dialer_new(ev);
	uint16_t port;
	pid_t pid = world_origin(&o, &port);

	(void)state;
	assert_non_null(
	    strstr(says(d, port, NULL), "no trusted certificate authorities"));
	world_reap(pid);
	world_dialer_end(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silent_address_loses_to_the_next),
		cmocka_unit_test(refused_address_is_left_at_once),
		cmocka_unit_test(nothing_there_is_said),
		cmocka_unit_test(cancelled_dial_says_nothing_and_closes),
		cmocka_unit_test(h2_is_taken_only_when_offered),
		cmocka_unit_test(sessions_of_tls13_are_resumed),
		cmocka_unit_test(sessions_of_tls12_are_resumed),
		cmocka_unit_test(changed_roots_end_every_session),
		cmocka_unit_test(
		    failed_handshake_ends_the_sessions_of_the_origin),
		cmocka_unit_test(client_certificates_are_kept_apart),
		cmocka_unit_test(missing_client_certificate_is_said),
		cmocka_unit_test(dial_outlives_who_began_it),
		cmocka_unit_test(client_certificate_must_be_complete),
		cmocka_unit_test(roots_of_one_host_are_for_it_alone),
		cmocka_unit_test(nothing_is_trusted_without_roots),
	};

	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}

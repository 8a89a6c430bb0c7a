/* Through the CONNECT of an upstream proxy, which may answer anything. */
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

/*
 * A proxy that writes the head it got to log, answers with text in pieces of
 * step bytes, and then connects both sides when the answer is 200.
 */
static void __attribute__((noreturn))
proxy_main(int lfd, uint16_t to, const char *text, size_t step, int log)
{
	for (;;) {
		int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC), up;
		struct sockaddr_in sin = { .sin_family = AF_INET,
			.sin_port = htons(to),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		char head[4096] = "";
		size_t n = 0;

		while (strstr(head, "\r\n\r\n") == NULL &&
		       n < sizeof(head) - 1 && read(fd, head + n, 1) == 1)
			head[++n] = '\0';
		(void)!write(log, head, n);
		for (size_t at = 0; at < strlen(text); at += step) {
			size_t left = strlen(text) - at;

			(void)!write(fd, text + at, left < step ? left : step);
			usleep(2000);
		}
		if (strstr(text, " 200 ") == NULL || to == 0) {
			close(fd);
			continue;
		}
		up = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(up, (struct sockaddr *)&sin, sizeof(sin)) < 0)
			_exit(1);
		if (fork() == 0) {
			while ((n = (size_t)read(fd, head, 4096)) + 1 > 1)
				(void)!write(up, head, n);
			shutdown(up, SHUT_WR);
			_exit(0);
		}
		while ((n = (size_t)read(up, head, 4096)) + 1 > 1)
			(void)!write(fd, head, n);
		close(fd);
		close(up);
	}
}

struct proxy {
	pid_t pid;
	int log;
	struct netaddr addr;
	struct dial_proxy p;
};

static void
proxy_start(struct proxy *x, uint16_t to, const char *text, size_t step)
{
	int fd, log[2];

	memset(x, 0, sizeof(*x));
	fd = world_listener("127.0.0.1", &x->p.port, 16);
	assert_int_equal(pipe(log), 0);
	x->pid = world_child();
	if (x->pid == 0)
		proxy_main(fd, to, text, step, log[1]);
	close(fd);
	close(log[1]);
	x->log = log[0];
	x->addr = world_addr("127.0.0.1");
	x->p.host = "proxy.corp";
	x->p.addrs = &x->addr;
	x->p.naddrs = 1;
}

static void
proxy_stop(struct proxy *x)
{
	world_reap(x->pid);
	close(x->log);
}

/* ---- upstream proxy ----------------------------------------------------- */

static struct got
dial_proxied(struct dialer *d, struct proxy *x, uint16_t port, bool tls,
    bool raw, const char *host)
{
	const struct dial_opts o = { .tls = tls,
		.raw = raw,
		.host = host,
		.port = port,
		.proxy = &x->p };

	return world_dial(d, &o);
}

static void
tunnel_leads_to_the_verified_origin(void **state)
{
	static const char basic[] =
	    "Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n";
	const struct origin o = { 0 };
	struct secret *auth = secret_new("user:password", 13);
	struct dialer *d = world_dialer();
	char text[512] = "", want[128];
	struct proxy x;
	uint16_t port;
	pid_t pid = world_origin(&o, &port);
	struct got g;

	(void)state;
	/* Whatever pieces the answer comes in. */
	for (size_t step = 1; step < 80; step += 13) {
		proxy_start(&x, port,
		    "HTTP/1.1 200 Connection established\r\n"
		    "Via: 1.1 proxy\r\n\r\n",
		    step);
		x.p.auth = auth;
		g = dial_proxied(d, &x, port, true, false, HOST);
		if (!g.ok)
			fail_msg("%s", g.why);
		got_rest(&g, text, sizeof(text));
		assert_non_null(strstr(text, " -"));
		got_free(&g);
		memset(text, 0, sizeof(text));
		(void)!read(x.log, text, sizeof(text) - 1);
		snprintf(want, sizeof(want),
		    "CONNECT " HOST ":%u HTTP/1.1\r\nHost: " HOST ":%u\r\n",
		    port, port);
		assert_true(str_starts(text, want));
		assert_string_equal(
		    text + strlen(want) + strlen(basic), "\r\n");
		assert_non_null(strstr(text, basic));
		/* Another name than the certificate's is refused. */
		g = dial_proxied(d, &x, port, true, false, "b.example");
		assert_false(g.ok);
		assert_int_equal(g.how, UPSTREAM_TLS);
		proxy_stop(&x);
	}
	secret_free(auth);
	world_reap(pid);
	world_dialer_end(d);
}

static void
proxy_that_refuses_is_quoted(void **state)
{
	static const struct {
		const char *answer, *why;
	} table[] = {
		{ "HTTP/1.1 407 Proxy Authentication Required\r\n"
		  "Proxy-Authenticate: Basic realm=\"x\"\r\n"
		  "Content-Length: 2\r\n\r\nno",
		    "it answered 407" },
		{ "HTTP/1.1 403 \x1b[31mevil\r\n\r\n",
		    "it answered 403 Forbidden" },
		{ "HTTP/1.1 100 Continue\r\n\r\n", "100" },
		{ "HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", "302" },
		{ "SSH-2.0-OpenSSH\r\n", "does not answer with HTTP" },
		{ "HTTP/1.1 200 OK\r\nA: b\r\n", "without an answer" },
		{ "", "without an answer" },
	};
	struct dialer *d = world_dialer();
	struct proxy x;
	struct got g;

	(void)state;
	for (size_t i = 0; i < nitems(table); i++) {
		proxy_start(&x, 0, table[i].answer, 4096);
		g = dial_proxied(d, &x, 443, true, false, HOST);
		assert_false(g.ok);
		assert_int_equal(g.how, UPSTREAM_PROXY);
		if (strstr(g.why, table[i].why) == NULL)
			fail_msg("%s, not %s", g.why, table[i].why);
		assert_non_null(strstr(g.why, "proxy.corp port "));
		proxy_stop(&x);
	}
	/* And one that is not there. */
	g = dial_proxied(d, &x, 443, true, false, HOST);
	assert_int_equal(g.how, UPSTREAM_PROXY);
	assert_non_null(strstr(g.why, "cannot connect to the upstream proxy"));
	world_dialer_end(d);
}

static void
bytes_behind_the_answer_belong_to_the_tunnel(void **state)
{
	struct dialer *d = world_dialer();
	char text[64];
	struct proxy x;
	struct got g;

	(void)state;
	proxy_start(&x, 0, "HTTP/1.1 200 OK\r\n\r\nSSH-2.0-x\r\n", 4096);
	g = dial_proxied(d, &x, 22, false, true, "2001:db8::1");
	assert_true(g.ok);
	got_rest(&g, text, sizeof(text));
	assert_string_equal(text, "SSH-2.0-x\r\n");
	got_free(&g);
	memset(text, 0, sizeof(text));
	(void)!read(x.log, text, sizeof(text) - 1);
	assert_true(str_starts(text, "CONNECT [2001:db8::1]:22 HTTP/1.1\r\n"));
	proxy_stop(&x);
	world_dialer_end(d);
}

static void
plain_http_speaks_to_the_proxy_itself(void **state)
{
	struct secret *auth = secret_new("u:p", 3);
	struct dialer *d = world_dialer();
	struct proxy x;
	struct got g;
	struct buf b;

	(void)state;
	proxy_start(&x, 0, "HTTP/1.1 200 OK\r\n\r\n", 4096);
	x.p.auth = auth;
	g = dial_proxied(d, &x, 80, false, false, HOST);
	assert_true(g.ok);
	assert_null(g.t);
	buf_init(&b, 0);
	dial_proxy_auth(&x.p, &b);
	assert_int_equal(buf_len(&b), 10);
	assert_memory_equal(buf_head(&b), "Basic dTpw", 10);
	buf_free(&b);
	got_free(&g);
	proxy_stop(&x);
	secret_free(auth);
	world_dialer_end(d);
}

/* Each waits as long as it may, side by side. */
static void
nobody_waits_for_ever(void **state)
{
	struct netaddr a = world_addr("127.0.0.1");
	struct dialer *d = world_dialer();
	struct got tls = { .fd = -1 }, proxy = { .fd = -1 };
	uint16_t port = 0;
	int fd = world_listener("127.0.0.1", &port, 16);
	const struct dial_proxy p = {
		.host = "proxy.corp", .port = port, .addrs = &a, .naddrs = 1
	};
	struct dial_opts o = { .tls = true,
		.host = HOST,
		.port = port,
		.addrs = &a,
		.naddrs = 1 };
	uint64_t began = ev_now_ms();

	(void)state;
	/* The kernel answers for both; nobody accepts. */
	dial_start(d, &o, &world_ops, &tls);
	o.proxy = &p;
	dial_start(d, &o, &world_ops, &proxy);
	world_run(&tls, 30000);
	world_run(&proxy, 30000);
	assert_true(tls.over && proxy.over && !tls.ok && !proxy.ok);
	assert_true(ev_now_ms() - began >= DIAL_TLS_MS);
	assert_int_equal(tls.how, UPSTREAM_TIMEOUT);
	assert_non_null(strstr(tls.why, "TLS handshake took too long"));
	assert_int_equal(proxy.how, UPSTREAM_TIMEOUT);
	assert_non_null(strstr(proxy.why, "proxy did not answer in time"));
	close(fd);
	world_dialer_end(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tunnel_leads_to_the_verified_origin),
		cmocka_unit_test(proxy_that_refuses_is_quoted),
		cmocka_unit_test(bytes_behind_the_answer_belong_to_the_tunnel),
		cmocka_unit_test(plain_http_speaks_to_the_proxy_itself),
		cmocka_unit_test(nobody_waits_for_ever),
	};

	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}

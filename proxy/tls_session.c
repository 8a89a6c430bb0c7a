#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/ev.h"
#include "base/str.h"
#include "proxy/tls_int.h"

static void
clear(struct tls_session *s)
{
	free(s->host);
	SSL_SESSION_free(s->session);
	memset(s, 0, sizeof(*s));
}

static bool
fits(const struct tls_session *s, const struct tls *t)
{
	return s->session != NULL && s->port == t->port &&
	       str_eq(s->host, t->host) &&
	       memcmp(s->identity, t->identity, sizeof(s->identity)) == 0;
}

/* The free place, or the oldest of that origin or of all. */
static struct tls_session *
place(struct tls_sessions *ss, const struct tls *t)
{
	struct tls_session *oldest = NULL, *same = NULL, *spare = NULL;
	unsigned int n = 0;

	for (size_t i = 0; i < TLS_SESSIONS_MAX; i++) {
		struct tls_session *s = &ss->s[i];

		if (s->session == NULL) {
			spare = s;
			continue;
		}
		if (oldest == NULL || s->made < oldest->made)
			oldest = s;
		if (!fits(s, t))
			continue;
		n++;
		if (same == NULL || s->made < same->made)
			same = s;
	}
	if (n >= TLS_SESSIONS_EACH_MAX)
		return same;
	return spare != NULL ? spare : oldest;
}

void
tls_sessions_add(
    struct tls_sessions *ss, const struct tls *t, SSL_SESSION *session)
{
	struct tls_session *s = place(ss, t);

	clear(s);
	s->session = session;
	s->made = ev_now_ms() / 1000;
	s->host = xstrdup(t->host);
	s->port = t->port;
	memcpy(s->identity, t->identity, sizeof(s->identity));
}

/* A resumed handshake shows no certificate: it must still be good. */
static bool
is_good(const struct tls_session *s)
{
	const X509 *cert = SSL_SESSION_get0_peer(s->session);

	return cert != NULL && SSL_SESSION_is_resumable(s->session) == 1 &&
	       ev_now_ms() / 1000 - s->made < TLS_SESSION_S &&
	       X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

void
tls_sessions_use(struct tls_sessions *ss, struct tls *t)
{
	struct tls_session *best = NULL;

	for (size_t i = 0; i < TLS_SESSIONS_MAX; i++) {
		struct tls_session *s = &ss->s[i];

		if (!fits(s, t))
			continue;
		if (!is_good(s))
			clear(s);
		else if (best == NULL || s->made >= best->made)
			best = s;
	}
	if (best == NULL)
		return;
	(void)SSL_set_session(t->ssl, best->session);
	/* A TLS 1.3 ticket is used once, so that connections cannot be
	 * linked (RFC 8446 appendix C.4). */
	if (SSL_SESSION_get_protocol_version(best->session) >= TLS1_3_VERSION)
		clear(best);
}

void
tls_sessions_forget(struct tls_sessions *ss, const char *host, uint16_t port)
{
	for (size_t i = 0; i < TLS_SESSIONS_MAX; i++) {
		struct tls_session *s = &ss->s[i];

		if (s->session != NULL &&
		    (host == NULL ||
			(s->port == port && str_eq(s->host, host))))
			clear(s);
	}
}

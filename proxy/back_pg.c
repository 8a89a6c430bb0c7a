/*
 * A PostgreSQL login in the agent's stead.  The agent shows by SCRAM that it
 * knows the stub; then back asks the server for TLS, verifies it, and logs in
 * with the real password.  What each side is told depends on its own password
 * alone, so that neither learns anything of the other.  From the server's
 * AuthenticationOk on bytes are passed on as they are.
 */
#include "proxy/back_pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/str.h"
#include "proxy/pgwire.h"
#include "proxy/scram.h"

#define MECHANISM "SCRAM-SHA-256"
#define MECHANISM_PLUS "SCRAM-SHA-256-PLUS"

/* https://www.postgresql.org/docs/15/errcodes-appendix.html */
#define STATE_PASSWORD "28P01"
#define STATE_LOGIN "28000"
#define STATE_CONNECTION "08006"
#define STATE_PROTOCOL "08P01"
#define STATE_DENIED "42501"

enum pg_step {
	PG_FIRST,      /* packet of the agent */
	PG_SASL_FIRST, /* its first answer */
	PG_SASL_FINAL, /* its proof */
	PG_SSL,        /* one byte of the server */
	PG_TLS,        /* handshake */
	PG_AUTH,       /* what the server demands */
	PG_DONE,
};

struct pg {
	struct raw *r;
	enum pg_step step;
	bool login; /* agent and server are to be logged in */
	const struct secret *password;
	char *stub, *name; /* of the credential */
	struct pg_login want;
	struct scram_server agent;
	struct scram_client server;
	struct buf final; /* for the agent, once the server has agreed */
	bool sasl;        /* the server has begun SCRAM */
	bool proved;      /* it has shown that it knows the password */
};

enum pg_next {
	NEXT_AGAIN, /* there may be more to do */
	NEXT_WAIT,
	NEXT_GONE, /* the exchange is over */
};

struct pg *
pg_new(struct raw *r)
{
	struct exchange *x = r->x;
	struct pg *pg;

	if (strcmp(x->head.protocol, RAW_POSTGRES) != 0 ||
	    (!r->login && !x->head.tls))
		return NULL;
	pg = xcalloc(1, sizeof(*pg));
	pg->r = r;
	pg->login = r->login;
	pg->step = PG_FIRST;
	/* Without a credential it is between the agent and the server. */
	if (!pg->login) {
		pg_put_ssl(&r->out);
		pg->step = PG_SSL;
	}
	return pg;
}

void
pg_free(struct pg *pg)
{
	if (pg == NULL)
		return;
	pg_login_free(&pg->want);
	scram_server_wipe(&pg->agent);
	scram_client_wipe(&pg->server);
	buf_free(&pg->final);
	free(pg->stub);
	free(pg->name);
	free(pg);
}

/* Say so to the agent, in a way that its client shows. */
static enum pg_next
fail(struct pg *pg, const char *sqlstate, const char *why)
{
	cleanup_buf struct buf b = { 0 };
	cleanup_free char *text = xstrdup(why);
	struct scrub *s = pg->r->x->scrub;

	/* As in what is passed on, its certificates included. */
	if (s != NULL)
		scrub_text(s, text, strlen(text));
	pg_put_error(&b, sqlstate, text, NULL);
	raw_send(pg->r, buf_head(&b), buf_len(&b));
	raw_end(pg->r, text);
	return NEXT_GONE;
}

/* ---- the agent ---------------------------------------------------------- */

/* The credential of that role, or one for any. */
static enum pg_next
choose(struct pg *pg)
{
	struct exchange *x = pg->r->x;
	const struct bindings *bs = &x->back->bindings;
	char why[PG_NAME_MAX + 128];

	for (size_t i = 0; i < x->ncreds; i++) {
		const struct binding *bd = bindings_cred(bs, x->cred[i].cred);

		if (bd == NULL || bd->revoked ||
		    bd->spec.kind != CRED_POSTGRES ||
		    (bd->spec.user[0] != '\0' &&
			strcmp(bd->spec.user, pg->want.user) != 0))
			continue;
		pg->password = x->cred[i].value;
		pg->stub = xstrdup(bd->stub);
		pg->name = xstrdup(bd->name);
		return NEXT_AGAIN;
	}
	snprintf(why, sizeof(why),
	    "no credential of this job is for role \"%s\"", pg->want.user);
	return fail(pg, STATE_LOGIN, why);
}

static enum pg_next
first(struct pg *pg)
{
	static const char mechanisms[] = MECHANISM "\0";
	struct exchange *x = pg->r->x;
	cleanup_buf struct buf b = { 0 };
	size_t used = 0;
	enum pg_next next;

	switch (pg_start_parse(buf_head(&x->req), buf_len(&x->req), &used)) {
	case PG_START_MORE:
		return NEXT_WAIT;
	case PG_START_CANCEL:
		/* The key in it is all that the server asks for. */
		pg->login = false;
		pg_put_ssl(&pg->r->out);
		pg->step = PG_SSL;
		return NEXT_AGAIN;
	case PG_START_LOGIN:
		break;
	case PG_START_BAD:
	case PG_START_SSL:
	case PG_START_GSS:
		return fail(pg, STATE_PROTOCOL, "a login was expected");
	}
	if (pg_login_parse(buf_head(&x->req), used, &pg->want) < 0)
		return fail(pg, STATE_PROTOCOL, "the login names no role");
	raw_took(pg->r, used);
	next = choose(pg);
	if (next != NEXT_AGAIN)
		return next;
	if (pg->want.newer)
		pg_put_negotiate(&b, &pg->want);
	pg_put_auth(&b, PG_AUTH_SASL, mechanisms, sizeof(mechanisms));
	raw_send(pg->r, buf_head(&b), buf_len(&b));
	pg->step = PG_SASL_FIRST;
	return NEXT_AGAIN;
}

static enum pg_next
sasl_first(struct pg *pg, const struct pg_message *m)
{
	cleanup_buf struct buf b = { 0 }, data = { 0 };
	struct error err = { 0 };
	const uint8_t *p;
	size_t n;

	if (pg_sasl_first_parse(m, MECHANISM, &p, &n) < 0)
		return fail(pg, STATE_PROTOCOL, "SCRAM-SHA-256 was expected");
	if (scram_server_first(
		&pg->agent, pg->stub, strlen(pg->stub), p, n, &data, &err) < 0)
		return fail(pg, STATE_PROTOCOL, err.msg);
	pg_put_auth(&b, PG_AUTH_SASL_CONTINUE, buf_head(&data), buf_len(&data));
	raw_send(pg->r, buf_head(&b), buf_len(&b));
	pg->step = PG_SASL_FINAL;
	return NEXT_AGAIN;
}

static enum pg_next
sasl_final(struct pg *pg, const struct pg_message *m)
{
	struct error err = { 0 };
	char why[256];

	if (m->type != 'p')
		return fail(pg, STATE_PROTOCOL, "a password was expected");
	if (scram_server_final(&pg->agent, m->body, m->n, &pg->final, &err) <
	    0) {
		snprintf(why, sizeof(why),
		    "the password is not the placeholder of credential %s",
		    pg->name);
		return fail(pg, STATE_PASSWORD, why);
	}
	pg_put_ssl(&pg->r->out);
	pg->step = PG_SSL;
	return NEXT_AGAIN;
}

static enum pg_next
agent_says(struct pg *pg)
{
	struct exchange *x = pg->r->x;
	struct pg_message m;
	enum pg_next next;
	size_t used;

	switch (pg_message_parse(buf_head(&x->req), buf_len(&x->req), &m)) {
	case PG_MORE:
		return NEXT_WAIT;
	case PG_BAD:
		return fail(pg, STATE_PROTOCOL, "a malformed message");
	case PG_MESSAGE:
		break;
	}
	used = m.used;
	next =
	    pg->step == PG_SASL_FIRST ? sasl_first(pg, &m) : sasl_final(pg, &m);
	if (next != NEXT_GONE)
		raw_took(pg->r, used);
	return next;
}

/* ---- TLS to the server -------------------------------------------------- */

static enum pg_next
ssl_answer(struct pg *pg)
{
	struct raw *r = pg->r;
	struct exchange *x = r->x;
	struct error err = { 0 };
	struct cur in;

	cur_init(&in, buf_head(&r->in), buf_len(&r->in));
	if (in.left == 0)
		return NEXT_WAIT;
	/* What comes along with it is not from within TLS. */
	if (cur_u8(&in) != 'S' || in.left > 0)
		return fail(pg, STATE_CONNECTION,
		    "the server offers no TLS, and without it neither the "
		    "server is known nor a password safe");
	buf_consume(&r->in, 1);
	r->tls = dialer_tls(upstream_pool_dialer(x->back->pool),
	    &(struct dial_opts){ .tls = true,
		.host = x->host,
		.port = x->head.port,
		.raw = true },
	    r->fd, &err);
	if (r->tls == NULL)
		return fail(pg, STATE_CONNECTION, err.msg);
	pg->step = PG_TLS;
	return NEXT_AGAIN;
}

static enum pg_next
handshake(struct pg *pg)
{
	struct raw *r = pg->r;
	cleanup_free char *why = NULL;

	switch (tls_handshake(r->tls)) {
	case TLS_OK:
		break;
	case TLS_WANT_READ:
		r->readable = false;
		return NEXT_WAIT;
	case TLS_WANT_WRITE:
		r->want_write = true;
		return NEXT_WAIT;
	case TLS_WANT_LEAF:
	case TLS_ERROR:
	case TLS_EOF:
		why = xasprintf("TLS with the server: %s", tls_why(r->tls));
		return fail(pg, STATE_CONNECTION, why);
	}
	r->readable = true;
	if (!pg->login) {
		pg->step = PG_DONE;
		return NEXT_AGAIN;
	}
	buf_put(&r->out, buf_head(&pg->want.packet), buf_len(&pg->want.packet));
	pg->step = PG_AUTH;
	return NEXT_AGAIN;
}

/* ---- the server --------------------------------------------------------- */

static void
to_server(struct pg *pg, const struct buf *message)
{
	/* In one piece: growing would leave a copy of a password behind. */
	(void)buf_reserve(&pg->r->out, SCRAM_MESSAGE_MAX + P_STUB_MAX);
	buf_put(&pg->r->out, buf_head(message), buf_len(message));
}

static void
wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_free(b);
}

static enum pg_next
auth_sasl(struct pg *pg, const uint8_t *list, size_t n)
{
	cleanup_buf struct buf data = { 0 }, b = { 0 };
	uint8_t binding[TLS_END_POINT_MAX];
	struct error err = { 0 };
	size_t nbinding = 0;

	if (pg->sasl)
		return fail(pg, STATE_PROTOCOL, "the server begins anew");
	if (pg_sasl_has(list, n, MECHANISM_PLUS))
		nbinding = tls_end_point(pg->r->tls, binding);
	if (nbinding == 0 && !pg_sasl_has(list, n, MECHANISM))
		return fail(pg, STATE_LOGIN,
		    "the server wants another mechanism than SCRAM-SHA-256");
	if (scram_client_first(&pg->server, secret_bytes(pg->password),
		secret_len(pg->password), binding, nbinding, &data, &err) < 0)
		return fail(pg, STATE_LOGIN, err.msg);
	pg->sasl = true;
	pg_put_sasl_first(&b, nbinding > 0 ? MECHANISM_PLUS : MECHANISM,
	    buf_head(&data), buf_len(&data));
	to_server(pg, &b);
	return NEXT_AGAIN;
}

static enum pg_next
auth_continue(struct pg *pg, const uint8_t *p, size_t n)
{
	cleanup_buf struct buf data = { 0 }, b = { 0 };
	struct error err = { 0 };

	if (!pg->sasl || pg->server.final)
		return fail(
		    pg, STATE_PROTOCOL, "the server is ahead of its login");
	if (scram_client_final(&pg->server, p, n, &data, &err) < 0)
		return fail(pg, STATE_LOGIN, err.msg);
	pg_put(&b, 'p', buf_head(&data), buf_len(&data));
	to_server(pg, &b);
	return NEXT_AGAIN;
}

static enum pg_next
auth_final(struct pg *pg, const uint8_t *p, size_t n)
{
	struct error err = { 0 };

	if (scram_client_check(&pg->server, p, n, &err) < 0)
		return fail(pg, STATE_LOGIN, err.msg);
	pg->proved = true;
	return NEXT_AGAIN;
}

/* A PasswordMessage: text and its NUL. */
static void
put_password(struct pg *pg, const void *text, size_t n)
{
	struct buf b, body;

	buf_init(&b, 0);
	buf_init(&body, 0);
	(void)buf_reserve(&b, n + PG_HEADER + 1);
	(void)buf_reserve(&body, n + 1);
	buf_put(&body, text, n);
	buf_put_u8(&body, 0);
	pg_put(&b, 'p', buf_head(&body), buf_len(&body));
	to_server(pg, &b);
	wipe(&b);
	wipe(&body);
}

/* Lower-case hex of the MD5 of both parts. */
static bool
md5_hex(const void *a, size_t na, const void *b, size_t nb, char out[33])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t md[16];
	bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
		  EVP_DigestUpdate(ctx, a, na) == 1 &&
		  EVP_DigestUpdate(ctx, b, nb) == 1 &&
		  EVP_DigestFinal_ex(ctx, md, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	for (size_t i = 0; ok && i < sizeof(md); i++)
		snprintf(out + i * 2, 3, "%02x", md[i]);
	return ok;
}

static enum pg_next
auth_md5(struct pg *pg, const uint8_t salt[4])
{
	char inner[33], outer[36] = "md5";
	bool ok;

	ok = md5_hex(secret_bytes(pg->password), secret_len(pg->password),
		 pg->want.user, strlen(pg->want.user), inner) &&
	     md5_hex(inner, 32, salt, 4, outer + 3);
	if (ok)
		put_password(pg, outer, 35);
	explicit_bzero(inner, sizeof(inner));
	explicit_bzero(outer, sizeof(outer));
	return ok ? NEXT_AGAIN
		  : fail(pg, STATE_LOGIN, "MD5 is not to be had here");
}

static enum pg_next
auth_ok(struct pg *pg)
{
	cleanup_buf struct buf b = { 0 };

	/* Whoever asked for a proof owes one. */
	if (pg->sasl && !pg->proved)
		return fail(pg, STATE_LOGIN,
		    "the server has not shown that it knows the password");
	pg_put_auth(
	    &b, PG_AUTH_SASL_FINAL, buf_head(&pg->final), buf_len(&pg->final));
	pg_put_auth(&b, PG_AUTH_OK, NULL, 0);
	raw_send(pg->r, buf_head(&b), buf_len(&b));
	pg->step = PG_DONE;
	return NEXT_AGAIN;
}

static enum pg_next
demand(struct pg *pg, const struct pg_message *m)
{
	const uint8_t *data;
	enum pg_auth a;
	size_t n;

	if (pg_auth_parse(m, &a, &data, &n) < 0)
		return fail(pg, STATE_PROTOCOL,
		    "the server's demand for a password is malformed");
	switch (a) {
	case PG_AUTH_OK:
		return auth_ok(pg);
	case PG_AUTH_SASL:
		return auth_sasl(pg, data, n);
	case PG_AUTH_SASL_CONTINUE:
		return auth_continue(pg, data, n);
	case PG_AUTH_SASL_FINAL:
		return auth_final(pg, data, n);
	case PG_AUTH_CLEARTEXT:
	case PG_AUTH_MD5:
		break;
	case PG_AUTH_OTHER:
		return fail(pg, STATE_LOGIN,
		    "the server wants another kind of login than a password");
	}
	if (pg->sasl)
		return fail(pg, STATE_PROTOCOL, "the server begins anew");
	if (a == PG_AUTH_MD5)
		return auth_md5(pg, data);
	put_password(pg, secret_bytes(pg->password), secret_len(pg->password));
	return NEXT_AGAIN;
}

/* Its words may repeat what it was told. */
static void
pass_on(struct pg *pg, const struct pg_message *m)
{
	struct exchange *x = pg->r->x;
	cleanup_buf struct buf b = { 0 };

	pg_put(&b, m->type, m->body, m->n);
	if (x->scrub != NULL)
		scrub_text(x->scrub, (char *)buf_head(&b) + PG_HEADER, m->n);
	raw_send(pg->r, buf_head(&b), buf_len(&b));
}

static enum pg_next
server_says(struct pg *pg)
{
	struct raw *r = pg->r;
	struct pg_message m;
	enum pg_next next;
	size_t used;

	switch (pg_message_parse(buf_head(&r->in), buf_len(&r->in), &m)) {
	case PG_MORE:
		return NEXT_WAIT;
	case PG_BAD:
		return fail(
		    pg, STATE_PROTOCOL, "the server's answer is malformed");
	case PG_MESSAGE:
		break;
	}
	used = m.used;
	switch (m.type) {
	case 'R':
		next = demand(pg, &m);
		break;
	case 'N':
		pass_on(pg, &m);
		next = NEXT_AGAIN;
		break;
	case 'E':
		pass_on(pg, &m);
		raw_end(r, "the server has refused the login");
		return NEXT_GONE;
	default:
		return fail(pg, STATE_PROTOCOL,
		    "the server's answer has no place in a login");
	}
	if (next != NEXT_GONE)
		buf_consume(&r->in, used);
	return next;
}

/* ---- the whole ---------------------------------------------------------- */

static enum pg_next
step(struct pg *pg)
{
	switch (pg->step) {
	case PG_FIRST:
		return first(pg);
	case PG_SASL_FIRST:
	case PG_SASL_FINAL:
		return agent_says(pg);
	case PG_SSL:
		return ssl_answer(pg);
	case PG_TLS:
		return handshake(pg);
	case PG_AUTH:
		return server_says(pg);
	case PG_DONE:
		break;
	}
	return NEXT_WAIT;
}

bool
pg_work(struct pg *pg)
{
	struct raw *r = pg->r;
	enum pg_next next = NEXT_AGAIN;

	while (next == NEXT_AGAIN && pg->step != PG_DONE) {
		/* TLS reads for itself, and only from where it begins. */
		bool ended = pg->step != PG_TLS &&
			     raw_read(r, pg->step == PG_SSL ? 1 : 0) < 0;

		/* Its last words come before its end. */
		next = step(pg);
		if (next == NEXT_WAIT && ended)
			next = fail(pg, STATE_CONNECTION,
			    "the server closed the connection during the "
			    "login");
	}
	if (next == NEXT_GONE)
		return false;
	if (pg->step != PG_DONE && r->x->req_ended &&
	    buf_len(&r->x->req) == 0 && pg->step < PG_SSL) {
		raw_end(r, "the agent left during the login");
		return false;
	}
	if (pg->step != PG_DONE)
		return true;
	/* What came behind the login is the agent's. */
	if (buf_len(&r->in) > 0)
		raw_send(r, buf_head(&r->in), buf_len(&r->in));
	buf_free(&r->in);
	/* There may be more, or its end once more. */
	r->readable = true;
	pg_free(pg);
	r->pg = NULL;
	return true;
}

/* ---- denials ------------------------------------------------------------ */

void
pg_put_denial(struct buf *b, const struct denial *d)
{
	const char *state = d->status == 403   ? STATE_DENIED
			    : d->status == 502 ? STATE_CONNECTION
					       : "57P03";

	pg_put_error(b, state, d->reason, d->next_steps[0]);
}

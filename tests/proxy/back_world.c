#include "tests/proxy/back_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/audit_event.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "policy/policy.h"
#include "proxy/mint.h"
#include "proxy/roles.h"
#include "proxy/sign_sigv4.h"

#define WAIT_MS 8000u

static struct world world;

/* ---- the peers --------------------------------------------------------- */

static void
reply(struct chan *c, uint16_t type, uint32_t serial, struct buf *b)
{
	chan_send(c, type, 1, serial, b, -1);
	buf_free(b);
}

static int
on_other(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;

	return w->on_other == NULL ? 0 : w->on_other(c, m, w);
}

static int
on_bad_peer(struct chan *c, struct msg *m, void *ctx)
{
	(void)c;
	(void)m;
	((struct world *)ctx)->bad_peers++;
	return 0;
}

static int
on_bindings_get(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;

	(void)c;
	(void)m;
	w->binding_gets++;
	world_bindings(w);
	return 0;
}

static int
on_release(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;
	uint32_t cred = cur_u32(&m->body);
	const char *value = w->real;
	struct buf b = { 0 };

	(void)c;
	w->releases++;
	if (w->keyd_mode == MODE_SILENT)
		return 0;
	if (w->late != NULL) {
		w->token[w->ntokens++] = xstrdup(w->late);
		w->late = NULL;
		world_bindings(w);
	}
	if (cred > CRED && cred - CRED <= w->ntokens)
		value = w->token[cred - CRED - 1];
	buf_put_u8(&b, w->keyd_mode == MODE_OK);
	buf_put_blob(&b, value, w->keyd_mode == MODE_OK ? strlen(value) : 0);
	buf_put_str(&b, w->keyd_mode == MODE_OK ? "" : "not by my policy");
	reply(c, M_RELEASED, m->serial, &b);
	return 0;
}

void
world_token_stub(char *token)
{
	for (char *p = token; *p != '\0'; p++) {
		if (*p >= 'a' && *p <= 'z')
			*p = (char)('a' + (*p - 'a' + 13) % 26);
		else if (*p >= 'A' && *p <= 'Z')
			*p = (char)('A' + (*p - 'A' + 13) % 26);
		else if (*p >= '0' && *p <= '9')
			*p = (char)('0' + (*p - '0' + 5) % 10);
	}
}

static int
on_capture(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;
	uint32_t parent = cur_u32(&m->body);
	const uint8_t *value;
	char *token;
	struct buf b = { 0 };
	unsigned int i = 0;
	size_t n;

	assert_int_equal(parent, CRED);
	cur_str_into(&m->body, w->member, sizeof(w->member));
	w->use = cur_u8(&m->body);
	value = cur_blob(&m->body, P_STUB_MAX, &n);
	assert_int_equal(cur_end(&m->body), 0);
	w->captures++;
	if (w->capture_mode == MODE_SILENT)
		return 0;
	token = xstrndup((const char *)value, n);
	while (i < w->ntokens && strcmp(w->token[i], token) != 0)
		i++;
	if (i == w->ntokens && w->capture_mode == MODE_OK) {
		assert_true(i < nitems(w->token));
		w->token[w->ntokens++] = xstrdup(token);
		world_bindings(w);
	}
	world_token_stub(token);
	buf_put_u8(&b, w->capture_mode == MODE_OK);
	buf_put_u32(&b, CRED + 1 + i);
	buf_put_str(&b, w->capture_mode == MODE_OK ? token : "");
	buf_put_str(&b, w->capture_mode == MODE_OK ? "" : "the vault is full");
	reply(c, M_CRED_CAPTURED, m->serial, &b);
	free(token);
	return 0;
}

/* The derived key of what it is released as. */
static int
on_sign_key(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;
	struct secret *real = secret_new(w->real, strlen(w->real));
	char date[16], region[40], service[40];
	uint8_t key[SIGV4_KEY_SIZE];
	struct buf b = { 0 };

	w->sign_keys++;
	assert_int_equal(cur_u32(&m->body), CRED);
	for (int i = 0; i < 3; i++)
		free(cur_str(&m->body, P_URL_MAX));
	cur_u16(&m->body);
	free(cur_str(&m->body, P_URL_MAX));
	cur_bool(&m->body);
	cur_str_into(&m->body, date, sizeof(date));
	cur_str_into(&m->body, region, sizeof(region));
	cur_str_into(&m->body, service, sizeof(service));
	assert_int_equal(cur_end(&m->body), 0);
	sigv4_key(real, date, region, service, key);
	secret_free(real);
	if (w->keyd_mode == MODE_SILENT)
		return 0;
	buf_put_u8(&b, w->keyd_mode == MODE_OK);
	buf_put_blob(&b, key, w->keyd_mode == MODE_OK ? sizeof(key) : 0);
	buf_put_str(&b, w->keyd_mode == MODE_OK ? "" : "not by my policy");
	reply(c, M_SIGN_KEY_IS, m->serial, &b);
	return 0;
}

static int
on_resolve(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;
	struct buf b = { 0 };

	w->resolves++;
	if (w->dns_mode == MODE_SILENT)
		return 0;
	buf_put_u8(&b, w->dns_mode == MODE_OK);
	buf_put_str(&b, w->dns_mode == MODE_OK ? "" : "no such name");
	buf_put_u32(&b, w->dns_mode == MODE_OK ? w->dns_n : 0);
	for (unsigned int i = 0; w->dns_mode == MODE_OK && i < w->dns_n; i++) {
		buf_put_u8(&b, 4);
		buf_put(&b, w->dns_addr[i], 4);
	}
	reply(c, M_RESOLVED, m->serial, &b);
	return 0;
}

void
world_ack(struct world *w, bool ok)
{
	struct buf b = { 0 };

	buf_put_u8(&b, ok);
	buf_put_u64(&b, 1);
	buf_put_str(&b, ok ? "" : "disk full");
	reply(w->audit, M_AUDIT_ACK, w->audit_serial, &b);
}

static int
on_audit(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;
	struct audit_head h;

	(void)c;

	buf_put(&w->events, m->body.p, m->body.left);
	assert_int_equal(audit_ev_decode(&m->body, &h), 0);
	buf_printf(&w->codes, "%s ", h.code);
	if (m->serial == 0)
		return 0;
	w->audit_serial = m->serial;
	if (w->audit_mode != MODE_SILENT)
		world_ack(w, w->audit_mode == MODE_OK);
	return 0;
}

static int
on_ask(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;
	struct buf b = { 0 };

	w->asks++;
	w->ask_serial = m->serial;
	buf_clear(&w->ask);
	buf_put(&w->ask, m->body.p, m->body.left);
	buf_put_str(&b, "A-17");
	reply(c, M_ASK_OPENED, m->serial, &b);
	if (w->ask_mode == MODE_SILENT)
		return 0;
	memset(&b, 0, sizeof(b));
	buf_put_u8(&b, w->ask_mode == MODE_OK);
	buf_put_str(&b, "A-17");
	buf_put_str(&b, "uid:1000");
	buf_put_str(&b, w->ask_mode == MODE_OK ? "" : "use the mirror");
	reply(c, M_ASK_ANSWER, m->serial, &b);
	return 0;
}

static int
on_cancel(struct chan *c, struct msg *m, void *ctx)
{
	(void)c;
	(void)m;
	((struct world *)ctx)->cancels++;
	return 0;
}

static int
on_rsp(struct chan *c, struct msg *m, void *ctx)
{
	struct world *w = ctx;
	struct answer *a = &w->a;
	struct fields t = { 0 };
	struct rsp_head h;
	size_t n;

	(void)c;
	if (m->serial != w->id)
		return 0;
	switch (m->type) {
	case M_RSP_CONTINUE:
		a->continues++;
		break;
	case M_RSP_HEAD:
		a->heads++;
		assert_int_equal(rsp_head_get(&m->body, &h), 0);
		a->status = h.status;
		a->kind = h.kind;
		a->length = h.length;
		fields_free(&a->fields);
		a->fields = h.fields;
		memset(&h.fields, 0, sizeof(h.fields));
		rsp_head_free(&h);
		break;
	case M_RSP_BODY:
		n = m->body.left;
		assert_true(n <= WIRE_BODY_CHUNK);
		buf_put(&a->body, cur_bytes(&m->body, n), n);
		if (w->grant) {
			struct buf b = { 0 };
			buf_put_u32(&b, (uint32_t)n);
			reply(w->front, M_REQ_WINDOW, w->id, &b);
		}
		break;
	case M_RSP_END:
		a->ends++;
		assert_int_equal(trailers_get(&m->body, &t), 0);
		fields_free(&t);
		break;
	case M_RSP_DENY: {
		const uint8_t *p;

		a->denies++;
		a->status = cur_u16(&m->body);
		a->closes = cur_bool(&m->body);
		p = cur_blob(&m->body, MSG_BODY_MAX, &n);
		buf_put(&a->body, p, n);
		break;
	}
	case M_RSP_ABORT:
		a->aborts++;
		cur_str_into(&m->body, a->why, sizeof(a->why));
		break;
	case M_RSP_WINDOW:
		a->window += cur_u32(&m->body);
		break;
	}
	assert_int_equal(cur_end(&m->body), 0);
	return 0;
}

static const struct msg_rule parent_rules[] = {
	{ M_READY, MSG_ALLOWED, on_other },
	{ M_BAD_PEER, MSG_ALLOWED, on_bad_peer },
	{ M_INFERD_GET, MSG_ALLOWED, on_other },
};
static const struct msg_rule keyd_rules[] = {
	{ M_BINDINGS_GET, MSG_ALLOWED, on_bindings_get },
	{ M_RELEASE, MSG_ALLOWED, on_release },
	{ M_SIGN_KEY, MSG_ALLOWED, on_sign_key },
	{ M_CRED_CAPTURE, MSG_ALLOWED, on_capture },
};
static const struct msg_rule dns_rules[] = {
	{ M_RESOLVE, MSG_ALLOWED, on_resolve },
};
static const struct msg_rule audit_rules[] = {
	{ M_AUDIT, MSG_ALLOWED, on_audit },
};
static const struct msg_rule control_rules[] = {
	{ M_ASK, MSG_ALLOWED, on_ask },
	{ M_ASK_CANCEL, MSG_ALLOWED, on_cancel },
};
static const struct msg_rule front_rules[] = {
	{ M_RSP_CONTINUE, MSG_ALLOWED, on_rsp },
	{ M_RSP_HEAD, MSG_ALLOWED, on_rsp },
	{ M_RSP_BODY, MSG_ALLOWED, on_rsp },
	{ M_RSP_END, MSG_ALLOWED, on_rsp },
	{ M_RSP_DENY, MSG_ALLOWED, on_rsp },
	{ M_RSP_ABORT, MSG_ALLOWED, on_rsp },
	{ M_RSP_WINDOW, MSG_ALLOWED, on_rsp },
};

static void
on_end(struct chan *c, enum chan_end how, const char *why, void *ctx)
{
	struct world *w = ctx;
	struct chan **all[] = { &w->front, &w->keyd, &w->dns, &w->audit,
		&w->control, &w->parent };

	(void)how;
	(void)why;
	for (size_t i = 0; i < nitems(all); i++)
		if (*all[i] == c)
			*all[i] = NULL;
	chan_free(c);
}

static struct chan **
chan_of(
    struct world *w, enum role role, const struct msg_rule **rules, size_t *n)
{
	const struct {
		enum role role;
		struct chan **c;
		const struct msg_rule *rules;
		size_t n;
	} rows[] = {
		{ ROLE_FRONT, &w->front, front_rules, nitems(front_rules) },
		{ ROLE_KEYD, &w->keyd, keyd_rules, nitems(keyd_rules) },
		{ ROLE_DNS, &w->dns, dns_rules, nitems(dns_rules) },
		{ ROLE_AUDIT, &w->audit, audit_rules, nitems(audit_rules) },
		{ ROLE_CONTROL, &w->control, control_rules,
		    nitems(control_rules) },
	};

	for (size_t i = 0; i < nitems(rows); i++)
		if (rows[i].role == role) {
			*rules = rows[i].rules;
			*n = rows[i].n;
			return rows[i].c;
		}
	abort();
}

void
world_connect(struct world *w, enum role role)
{
	const struct msg_rule *rules;
	size_t n;
	struct chan **c = chan_of(w, role, &rules, &n);
	struct buf b = { 0 };
	int fds[2];

	if (*c != NULL)
		return;
	assert_int_equal(fd_socketpair(fds), 0);
	*c = chan_new(w->ev, fds[0], role_name(role), rules, n, on_end, w);
	buf_put_u8(&b, (uint8_t)role);
	buf_put_u32(&b, role == ROLE_FRONT ? 1 : 0);
	chan_send(w->parent, M_PEER, 1, 0, &b, fds[1]);
	buf_free(&b);
}

void
world_disconnect(struct world *w, enum role role)
{
	const struct msg_rule *rules;
	size_t n;
	struct chan **c = chan_of(w, role, &rules, &n);

	chan_free(*c);
	*c = NULL;
	world_run(w, 30);
}

void
world_bindings(struct world *w)
{
	struct cred_spec s = w->spec;
	struct cred_spec child;
	struct buf b = { 0 };

	s.nhosts = 1;
	strlcpy(s.hosts[0].host, "good.example", sizeof(s.hosts[0].host));
	s.hosts[0].port = w->port;
	if (w->capture != NULL) {
		strlcpy(s.capture.path, w->capture, sizeof(s.capture.path));
		strlcpy(s.capture.names[0], ".access_token", 65);
		strlcpy(s.capture.names[1], ".data.refresh_token", 65);
		s.capture.n = 2;
	}
	buf_put_u32(&b, 1 + w->ntokens);
	buf_put_u32(&b, CRED);
	buf_put_str(&b, "github");
	cred_spec_put(&b, &s);
	buf_put_u8(&b, w->revoked);
	buf_put_str(&b, STUB);
	cred_spec_captured(&s, TOKEN_ACCESS, &child);
	if (w->token_spec != NULL)
		child = *w->token_spec;
	child.nhosts = s.nhosts;
	memcpy(child.hosts, s.hosts, sizeof(child.hosts));
	for (unsigned int i = 0; i < w->ntokens; i++) {
		cleanup_free char *stub = xstrdup(w->token[i]);

		world_token_stub(stub);
		buf_put_u32(&b, CRED + 1 + i);
		buf_put_str(&b, "github.token");
		cred_spec_put(&b, &child);
		buf_put_u8(&b, 0);
		buf_put_str(&b, stub);
	}
	reply(w->keyd, M_BINDINGS, 0, &b);
}

void
world_policy(struct world *w, const char *text)
{
	struct policy_source src = { .name = "t.policy",
		.bytes = text,
		.len = strlen(text),
		.root = true };
	struct buf b = { 0 }, m = { 0 };

	assert_int_equal(policy_bundle_write(&b, &src, 1), 0);
	buf_put_u32(&m, 1);
	chan_send(w->parent, M_POLICY, 0, 0, &m,
	    fd_memfd("policy", buf_head(&b), buf_len(&b)));
	buf_free(&b);
	buf_free(&m);
}

/* ---- requests ---------------------------------------------------------- */

void
world_head(struct world *w, const struct req_head *h)
{
	struct buf b = { 0 };

	fields_free(&w->a.fields);
	buf_free(&w->a.body);
	memset(&w->a, 0, sizeof(w->a));
	w->id++;
	assert_int_equal(req_head_put(&b, h), 0);
	reply(w->front, M_REQ_HEAD, w->id, &b);
}

static void
add_fields(struct fields *fs, const char *lines)
{
	while (lines != NULL && *lines != '\0') {
		size_t n = strcspn(lines, "\n"), k = strcspn(lines, ":");

		fields_add(fs, lines, k, lines + k + 2, n - k - 2);
		lines += n + (lines[n] != '\0');
	}
}

void
world_request(struct world *w, const char *method, const char *host,
    const char *target, const char *fields, long length)
{
	struct req_head h = { .tls = true, .port = w->port };

	h.sni = xstrdup(host);
	h.dst = xstrdup(host);
	h.method = xstrdup(method);
	h.authority = xasprintf("%s:%u", host, w->port);
	h.target = xstrdup(target);
	h.kind = length < 0 ? BODY_NONE : BODY_LENGTH;
	h.length = length < 0 ? 0 : (uint64_t)length;
	add_fields(&h.fields, fields);
	world_head(w, &h);
	req_head_free(&h);
}

void
world_body(struct world *w, const void *p, size_t n)
{
	chan_send_bytes(w->front, M_REQ_BODY, 1, w->id, p, n);
}

void
world_end(struct world *w)
{
	struct buf b = { 0 };

	buf_put_u32(&b, 0);
	reply(w->front, M_REQ_END, w->id, &b);
}

void
world_run(struct world *w, unsigned int ms)
{
	uint64_t until = ev_now_ms() + ms;

	while (ev_now_ms() < until)
		ev_once(w->ev, 10);
}

bool
world_finish(struct world *w)
{
	uint64_t until = ev_now_ms() + WAIT_MS;

	while (
	    w->a.ends + w->a.denies + w->a.aborts == 0 && ev_now_ms() < until)
		ev_once(w->ev, 50);
	/* Records of the outcome travel on another channel. */
	world_run(w, 20);
	return w->a.ends + w->a.denies + w->a.aborts == 1;
}

void
world_get(
    struct world *w, const char *host, const char *target, const char *fields)
{
	world_request(w, "GET", host, target, fields, -1);
	world_end(w);
	assert_true(world_finish(w));
}

/* ---- set-up ------------------------------------------------------------ */

/* A key and a certificate for good.example under a CA of our own. */
static void
make_certificates(struct world *w)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	uint8_t *spki = NULL;
	int n = i2d_PUBKEY(key, &spki);
	struct error err = { 0 };
	struct mint *ca = mint_new(&err);
	struct buf der = { 0 };
	const unsigned char *p;
	char path[128];
	FILE *f;

	assert_non_null(ca);
	assert_int_equal(
	    mint_leaf(ca, "good.example", spki, (size_t)n, &der, &err), 0);
	assert_int_equal(mint_ca_pem(ca, &w->roots, &err), 0);
	p = buf_head(&der);
	X509 *cert = d2i_X509(NULL, &p, (long)buf_len(&der));
	snprintf(path, sizeof(path), "%s/cert", w->dir);
	assert_non_null(f = fopen(path, "we"));
	PEM_write_X509(f, cert);
	fclose(f);
	snprintf(path, sizeof(path), "%s/key", w->dir);
	assert_non_null(f = fopen(path, "we"));
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	X509_free(cert);
	EVP_PKEY_free(key);
	OPENSSL_free(spki);
	buf_free(&der);
	mint_free(ca);
}

static void
start_origin(struct world *w)
{
	const char *top = getenv("BRIG_BUILDDIR");
	cleanup_free char *prog =
	    xasprintf("%s/tests/origin/brig-origin", top == NULL ? "." : top);
	cleanup_free char *cert = xasprintf("%s/cert", w->dir);
	cleanup_free char *key = xasprintf("%s/key", w->dir);
	cleanup_free char *rec = xasprintf("%s/record", w->dir);
	unsigned int port = 0;
	int out[2];

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	w->origin = fork();
	assert_true(w->origin >= 0);
	if (w->origin == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		execl(prog, prog, "-c", cert, "-k", key, "-r", rec, "-a",
		    "127.0.0.1", "-p", "0", (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	FILE *f = fdopen(out[0], "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "listening %u", &port), 1);
	fclose(f);
	w->port = (uint16_t)port;
}

static void
start_back(struct world *w)
{
	struct buf b = { 0 };
	int fds[2];

	assert_int_equal(fd_socketpair(fds), 0);
	w->back = fork();
	assert_true(w->back >= 0);
	if (w->back == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		log_init("back", LOG_LEVEL_WARN);
		dup2(fds[1], PARENT_FD);
		fd_close_from(PARENT_FD + 1);
		fd_cloexec(PARENT_FD, true);
		back_preinit();
		back_main();
		exit(0);
	}
	close(fds[1]);
	w->parent = chan_new(w->ev, fds[0], "back", parent_rules,
	    nitems(parent_rules), on_end, w);
	buf_put_u32(&b, 2);
	buf_put_str(&b, "job");
	buf_put_str(&b, "1");
	buf_put_str(&b, "profile");
	buf_put_str(&b, "t");
	reply(w->parent, M_CONFIG, 0, &b);
	chan_send(w->parent, M_BACK_ROOTS, 0, 0, NULL,
	    fd_memfd("roots", buf_head(&w->roots), buf_len(&w->roots)));
}

int
world_setup(void **state)
{
	struct world *w = &world;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	strlcpy(w->dir, "/tmp/brig-back-XXXXXX", sizeof(w->dir));
	if (mkdtemp(w->dir) == NULL)
		return -1;
	w->ev = ev_new();
	make_certificates(w);
	start_origin(w);
	start_back(w);
	return 0;
}

int
world_reset(void **state)
{
	static const enum role roles[] = { ROLE_AUDIT, ROLE_KEYD, ROLE_DNS,
		ROLE_CONTROL, ROLE_FRONT };
	struct world *w = &world;
	char path[128];

	w->audit_mode = w->keyd_mode = w->ask_mode = w->dns_mode = MODE_OK;
	w->capture_mode = MODE_OK;
	w->token_spec = NULL;
	w->capture = w->late = NULL;
	while (w->ntokens > 0)
		free(w->token[--w->ntokens]);
	w->captures = 0;
	w->revoked = false;
	w->spec =
	    (struct cred_spec){ .surfaces = SURFACE_HEADER | SURFACE_BASIC,
		    .header = "Authorization" };
	w->real = REAL;
	w->grant = true;
	memcpy(w->dns_addr[0], "\x7f\0\0\1", 4);
	w->dns_n = 1;
	cleanup_free char *policy = xasprintf(
	    "profile t {\n"
	    "	default http deny;\n"
	    "	allow http {GET,HEAD,POST,PUT,TRACE} "
	    "https://good.example:%u/**;\n"
	    "	allow http GET https://wrong.example:%u/**;\n"
	    "	ask http GET https://good.example:%u/ask/** as asking;\n"
	    "	deny http GET https://good.example:%u/denied/**\n"
	    "	    because \"not for agents\";\n"
	    "	allow net 127.0.0.1:%u;\n"
	    "}\n",
	    w->port, w->port, w->port, w->port, w->port);
	world_policy(w, policy);
	for (size_t i = 0; i < nitems(roles); i++)
		world_connect(w, roles[i]);
	world_bindings(w);
	world_run(w, 30);
	w->sign_keys = 0;
	w->resolves = w->releases = w->asks = w->cancels = w->bad_peers = 0;
	buf_free(&w->codes);
	buf_free(&w->events);
	buf_free(&w->ask);
	world_record(w, path, sizeof(path));
	if (truncate(path, 0) < 0)
		return -1;
	*state = w;
	return 0;
}

int
world_teardown(void **state)
{
	static const char *const files[] = { "cert", "key", "record" };
	struct world *w = &world;
	int status = -1;

	(void)state;
	chan_send(w->parent, M_STOP, 0, 0, NULL, -1);
	chan_flush(w->parent, 1000);
	waitpid(w->back, &status, 0);
	kill(w->origin, SIGTERM);
	waitpid(w->origin, NULL, 0);
	for (size_t i = 0; i < nitems(files); i++) {
		cleanup_free char *p = xasprintf("%s/%s", w->dir, files[i]);
		unlink(p);
	}
	rmdir(w->dir);
	/* It stopped by itself and, under a sanitizer, without a leak. */
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

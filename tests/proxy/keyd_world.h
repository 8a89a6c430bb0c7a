/*
 * The world around a keyd under test: its parent, control, audit, front and
 * back, played by the test.  Included by tests/proxy/test_keyd*.c only.
 */
#ifndef BRIG_TESTS_KEYD_WORLD_H
#define BRIG_TESTS_KEYD_WORLD_H

#include <stdlib.h>
#include <sys/mman.h>

#include "base/audit_event.h"
#include "base/str.h"
#include "policy/policy.h"
#include "proxy/credspec.h"
#include "proxy/roles.h"
#include "proxy/stub.h"
#include "tests/proxy/chan_raw.h"

#define VALUE "ghp_Real0123456789abcdefGHIJKLMNOPQRSTUV"
#define VALUE2 "ghp_Next9876543210zyxwvuTSRQPONMLKJIHGFE"

static const char policy_text[] =
    "profile coding {\n"
    "	default http deny;\n"
    "	allow http GET https://api.example/**;\n"
    "	allow http GET http://api.example/**;\n"
    "	allow http GET https://api.example:8443/**;\n"
    "	allow http GET https://other.example/**;\n"
    "	ask http POST https://api.example/**;\n"
    "	allow net db.example:5432;\n"
    "	ask net db.example:5433;\n"
    "}\n";

struct world {
	pid_t pid;
	int vault; /* the test's own descriptor of the file */
	struct raw parent, control, audit, front, back;
	char ca_pem[4096];
	char stub[256];
	uint32_t cred;
};

static void
send_policy(struct world *w, uint32_t generation, const char *text)
{
	struct policy_source src = { .name = "t.policy",
		.bytes = text,
		.len = strlen(text),
		.root = true };
	struct buf bundle, b;
	int fd;

	buf_init(&bundle, 0);
	assert_int_equal(policy_bundle_write(&bundle, &src, 1), 0);
	fd = fd_memfd("policy", buf_head(&bundle), buf_len(&bundle));
	assert_true(fd >= 0);
	buf_free(&bundle);
	buf_init(&b, 0);
	buf_put_u32(&b, generation);
	raw_send(&w->parent, M_POLICY, 0, 0, &b, fd);
}

static inline int
key_fd(const char *key, size_t n)
{
	return fd_memfd("key", key, n);
}

static void
send_open(struct world *w, enum keyd_file which, int fd)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)which);
	raw_send(&w->parent, M_KEYD_OPEN, 0, 0, &b, fd);
}

static void
job_open(struct world *w, uint32_t job, char nonce, const char *profile)
{
	uint8_t bytes[STUB_NONCE_SIZE];
	struct buf b;

	memset(bytes, nonce, sizeof(bytes));
	buf_init(&b, 0);
	buf_put(&b, bytes, sizeof(bytes));
	buf_put_str(&b, profile);
	raw_send(&w->parent, M_JOB_OPEN, job, 77, &b, -1);
}

/* Everything up to ready.  vault < 0: a new one. */
static void
world_start(struct world *w)
{
	w->pid = raw_start(&w->parent, ROLE_KEYD, keyd_main);
	send_policy(w, 5, policy_text);
	send_open(w, KEYD_VAULT, dup(w->vault));
	send_open(w, KEYD_KEY, key_fd("0123456789abcdef0123456789abcdef", 32));
	raw_expect(&w->parent, M_CA_CERT);
	cur_str_into(&w->parent.body, w->ca_pem, sizeof(w->ca_pem));
	assert_int_equal(cur_end(&w->parent.body), 0);
	raw_expect(&w->parent, M_READY);
	raw_peer(&w->parent, &w->control, ROLE_CONTROL, 0);
	raw_peer(&w->parent, &w->audit, ROLE_AUDIT, 0);
	raw_peer(&w->parent, &w->front, ROLE_FRONT, 7);
	raw_peer(&w->parent, &w->back, ROLE_BACK, 7);
	/* Channels are not ordered among each other: wait for all of them. */
	job_open(w, 99, 'w', "coding");
	raw_expect(&w->parent, M_JOB_STUBS);
}

static void
world_new(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->vault = memfd_create("vault", MFD_CLOEXEC);
	assert_true(w->vault >= 0);
	world_start(w);
}

static void
world_stop(struct world *w)
{
	raw_send(&w->parent, M_STOP, 0, 0, NULL, -1);
	assert_int_equal(raw_wait(w->pid), 0);
	raw_close(&w->parent);
	raw_close(&w->control);
	raw_close(&w->audit);
	raw_close(&w->front);
	raw_close(&w->back);
}

static inline void
world_free(struct world *w)
{
	world_stop(w);
	close(w->vault);
}

/* ---- control's requests ------------------------------------------------- */

struct add {
	const char *name, *host;
	uint16_t port;
	uint8_t surfaces;
	const char *header, *user, *env;
};

static const struct add github = { "github", "api.example", 443, SURFACE_HEADER,
	"Authorization", "", "GITHUB_TOKEN" };

static inline void
spec_of(const struct add *a, struct cred_spec *s)
{
	memset(s, 0, sizeof(*s));
	s->nhosts = 1;
	strlcpy(s->hosts[0].host, a->host, sizeof(s->hosts[0].host));
	s->hosts[0].port = a->port;
	s->surfaces = a->surfaces;
	strlcpy(s->header, a->header, sizeof(s->header));
	strlcpy(s->user, a->user, sizeof(s->user));
	strlcpy(s->env, a->env, sizeof(s->env));
}

static inline void
send_spec(struct world *w, const char *name, const struct cred_spec *s, int fd)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_str(&b, name);
	cred_spec_put(&b, s);
	raw_send(&w->control, M_SECRET_ADD, 0, 11, &b, fd);
}

static inline void
send_add(struct world *w, const struct add *a, int fd)
{
	struct cred_spec s;

	spec_of(a, &s);
	send_spec(w, a->name, &s, fd);
}

static inline void
send_named(struct world *w, uint16_t type, const char *name, int fd)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_str(&b, name);
	raw_send(&w->control, type, 0, 12, &b, fd);
}

static inline int
value_fd(const char *value)
{
	return fd_memfd("value", value, strlen(value));
}

/* The next audit event; barriers are answered as told. */
static void
expect_audit(struct world *w, const char *code, bool ok)
{
	struct audit_head h;
	struct buf b;

	raw_expect(&w->audit, M_AUDIT);
	assert_null(memmem(w->audit.body.p, w->audit.body.left, "Real012", 7));
	assert_int_equal(audit_ev_decode(&w->audit.body, &h), 0);
	assert_string_equal(h.code, code);
	assert_int_equal(h.barrier, code[2] == '2');
	assert_int_equal(h.barrier, w->audit.serial != 0);
	for (uint32_t i = 0; i < h.fields; i++) {
		struct audit_field f;

		assert_int_equal(audit_ev_field(&w->audit.body, &f), 0);
	}
	assert_int_equal(cur_end(&w->audit.body), 0);
	if (!h.barrier)
		return;
	buf_init(&b, 0);
	buf_put_u8(&b, ok);
	buf_put_u64(&b, 1);
	buf_put_str(&b, ok ? "" : "disk full");
	raw_send(&w->audit, M_AUDIT_ACK, 0, w->audit.serial, &b, -1);
}

static inline void
expect_done(struct world *w, bool ok, const char *part)
{
	char error[512], fingerprint[32];
	bool got;

	raw_expect(&w->control, M_SECRET_DONE);
	got = cur_bool(&w->control.body);
	cur_str_into(&w->control.body, error, sizeof(error));
	cur_str_into(&w->control.body, fingerprint, sizeof(fingerprint));
	assert_int_equal(cur_end(&w->control.body), 0);
	if (got != ok || strstr(error, part) == NULL)
		fail_msg("ok %d, error \"%s\"", got, error);
	assert_int_equal(strlen(fingerprint), ok ? 12 : 0);
}

static inline void
add(struct world *w, const struct add *a, const char *value)
{
	send_add(w, a, value_fd(value));
	expect_audit(w, "KY201", true);
	expect_done(w, true, "");
}

/* ---- what back sees ----------------------------------------------------- */

struct row {
	uint32_t cred;
	char name[P_NAME_MAX + 1];
	struct cred_spec spec;
	bool revoked;
	char stub[256];
};

static inline uint32_t
get_bindings(struct world *w, struct row *rows, uint32_t max)
{
	uint32_t n = cur_u32(&w->back.body);

	assert_true(n <= max);
	for (uint32_t i = 0; i < n; i++) {
		struct row *r = &rows[i];

		r->cred = cur_u32(&w->back.body);
		cur_str_into(&w->back.body, r->name, sizeof(r->name));
		assert_int_equal(cred_spec_get(&w->back.body, &r->spec), 0);
		r->revoked = cur_bool(&w->back.body);
		cur_str_into(&w->back.body, r->stub, sizeof(r->stub));
	}
	assert_int_equal(cur_end(&w->back.body), 0);
	return n;
}

static inline uint32_t
expect_bindings(struct world *w, struct row *rows, uint32_t max)
{
	raw_expect(&w->back, M_BINDINGS);
	return get_bindings(w, rows, max);
}

struct want {
	uint32_t cred;
	const char *method, *scheme, *host;
	uint16_t port;
	const char *path;
	bool asked;
};

static inline void
send_release(struct world *w, const struct want *r)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u32(&b, r->cred);
	buf_put_str(&b, r->method);
	buf_put_str(&b, r->scheme);
	buf_put_str(&b, r->host);
	buf_put_u16(&b, r->port);
	buf_put_str(&b, r->path);
	buf_put_u8(&b, r->asked);
	raw_send(&w->back, M_RELEASE, 7, 21, &b, -1);
}

/* value NULL: refused, and why contains part. */
static inline void
expect_released(struct world *w, const char *value, const char *part)
{
	const uint8_t *p;
	char why[512];
	bool ok;
	size_t n;

	raw_expect(&w->back, M_RELEASED);
	assert_int_equal(w->back.serial, 21);
	ok = cur_bool(&w->back.body);
	p = cur_blob(&w->back.body, P_STUB_MAX, &n);
	cur_str_into(&w->back.body, why, sizeof(why));
	assert_int_equal(cur_end(&w->back.body), 0);
	if (ok != (value != NULL) || strstr(why, part) == NULL)
		fail_msg("ok %d, why \"%s\"", ok, why);
	assert_int_equal(n, value == NULL ? 0 : strlen(value));
	if (value != NULL)
		assert_memory_equal(p, value, n);
}

static inline void
release(
    struct world *w, const struct want *r, const char *value, const char *part)
{
	send_release(w, r);
	expect_audit(w, value != NULL ? "KY101" : "KY102", true);
	expect_released(w, value, part);
}

static inline struct want
get_api(const struct world *w)
{
	return (struct want){ w->cred, "GET", "https", "api.example", 443,
		"/user?x=1", false };
}

/* A secret in the vault and job 7 open. */
static inline void
world_ready(struct world *w)
{
	struct row rows[4];
	char env[P_NAME_MAX + 1];

	world_new(w);
	add(w, &github, VALUE "\n");
	/* Job 7 is not open yet. */
	assert_int_equal(expect_bindings(w, rows, 4), 0);
	job_open(w, 7, 'n', "coding");
	raw_expect(&w->parent, M_JOB_STUBS);
	assert_int_equal(w->parent.job, 7);
	assert_int_equal(w->parent.serial, 77);
	assert_int_equal(cur_u32(&w->parent.body), 1);
	cur_str_into(&w->parent.body, rows[1].name, sizeof(rows[1].name));
	cur_str_into(&w->parent.body, env, sizeof(env));
	cur_str_into(&w->parent.body, w->stub, sizeof(w->stub));
	assert_int_equal(cur_end(&w->parent.body), 0);
	assert_string_equal(rows[1].name, "github");
	assert_string_equal(env, "GITHUB_TOKEN");
	assert_int_equal(expect_bindings(w, rows, 4), 1);
	assert_string_equal(rows[0].stub, w->stub);
	assert_string_equal(rows[0].spec.hosts[0].host, "api.example");
	assert_false(rows[0].revoked);
	w->cred = rows[0].cred;
}

#endif

/*
 * keyd as a process: the test plays parent, control, audit, front and back.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/str.h"
#include "proxy/mint.h"
#include "proxy/roles.h"
#include "tests/proxy/keyd_world.h"

/* ---- cases -------------------------------------------------------------- */

static void
stub_has_the_shape_and_is_not_the_value(void **state)
{
	struct world w;

	(void)state;
	world_ready(&w);
	assert_int_equal(strlen(w.stub), strlen(VALUE));
	assert_memory_equal(w.stub, "ghp_", 4);
	assert_string_not_equal(w.stub, VALUE);
	world_free(&w);
}

static void
value_is_released_for_what_the_policy_allows(void **state)
{
	struct world w;
	struct want r;

	(void)state;
	world_ready(&w);
	r = get_api(&w);
	release(&w, &r, VALUE, "");
	r.host = "API.Example";
	release(&w, &r, VALUE, "");
	world_free(&w);
}

static void
value_is_refused_for_everything_else(void **state)
{
	struct world w;
	struct want r;

	(void)state;
	world_ready(&w);
	r = get_api(&w);
	r.cred = 99;
	release(&w, &r, NULL, "no such credential");
	r = get_api(&w);
	r.scheme = "http";
	release(&w, &r, NULL, "not https");
	r = get_api(&w);
	r.host = "other.example";
	release(&w, &r, NULL, "another host");
	r = get_api(&w);
	r.host = "api.example.evil.example";
	release(&w, &r, NULL, "another host");
	r = get_api(&w);
	r.port = 8443;
	release(&w, &r, NULL, "another host or port");
	r = get_api(&w);
	r.method = "DELETE";
	release(&w, &r, NULL, "denies");
	r = get_api(&w);
	r.path = "/a/%2e%2e/../b";
	release(&w, &r, NULL, "denies");
	world_free(&w);
}

static void
ask_needs_a_person(void **state)
{
	struct world w;
	struct want r;

	(void)state;
	world_ready(&w);
	r = get_api(&w);
	r.method = "POST";
	release(&w, &r, NULL, "asks");
	r.asked = true;
	release(&w, &r, VALUE, "");
	/* Being asked does not lift a denial. */
	r.method = "DELETE";
	release(&w, &r, NULL, "denies");
	world_free(&w);
}

static void
new_policy_counts_at_once(void **state)
{
	struct world w;
	struct want r;

	(void)state;
	world_ready(&w);
	send_policy(&w, 6, "profile coding {\n\tdefault http deny;\n}\n");
	r = get_api(&w);
	/* The parent's channel and back's are not ordered: wait for it. */
	job_open(&w, 9, 'm', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	release(&w, &r, NULL, "denies");
	send_policy(&w, 7, "profile research {\n\tdefault http deny;\n}\n");
	job_open(&w, 9, 'm', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	release(&w, &r, NULL, "no such profile");
	world_free(&w);
}

static void
closed_job_gets_nothing(void **state)
{
	struct world w;
	struct want r;
	struct row rows[4];

	(void)state;
	world_ready(&w);
	raw_send(&w.parent, M_JOB_CLOSE, 7, 0, NULL, -1);
	raw_expect(&w.back, M_CRED_REVOKED);
	assert_int_equal(cur_u32(&w.back.body), w.cred);
	assert_int_equal(expect_bindings(&w, rows, 4), 0);
	r = get_api(&w);
	release(&w, &r, NULL, "not open");
	world_free(&w);
}

static void
revoked_secret_is_dead_at_once(void **state)
{
	struct world w;
	struct want r;
	struct row rows[4];

	(void)state;
	world_ready(&w);
	send_named(&w, M_SECRET_REVOKE, "github", -1);
	/* Before the record of it is on disk. */
	raw_expect(&w.back, M_CRED_REVOKED);
	assert_int_equal(cur_u32(&w.back.body), w.cred);
	assert_int_equal(expect_bindings(&w, rows, 4), 1);
	assert_true(rows[0].revoked);
	assert_string_equal(rows[0].stub, w.stub);
	expect_audit(&w, "KY203", true);
	expect_done(&w, true, "");
	r = get_api(&w);
	release(&w, &r, NULL, "revoked");
	/* A new job does not get it. */
	job_open(&w, 8, 'x', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	assert_int_equal(cur_u32(&w.parent.body), 0);
	world_free(&w);
}

static void
removed_secret_is_forgotten(void **state)
{
	struct world w;
	struct want r;
	struct row rows[4];

	(void)state;
	world_ready(&w);
	send_named(&w, M_SECRET_RM, "github", -1);
	raw_expect(&w.back, M_CRED_REVOKED);
	assert_int_equal(expect_bindings(&w, rows, 4), 0);
	expect_audit(&w, "KY204", true);
	expect_done(&w, true, "");
	r = get_api(&w);
	release(&w, &r, NULL, "no such credential");
	send_named(&w, M_SECRET_RM, "github", -1);
	expect_done(&w, false, "no secret of that name");
	world_free(&w);
}

static void
rotation_keeps_the_stub_and_changes_the_value(void **state)
{
	struct world w;
	struct want r;
	struct row rows[4];

	(void)state;
	world_ready(&w);
	send_named(&w, M_SECRET_ROTATE, "github", value_fd(VALUE2));
	expect_audit(&w, "KY202", true);
	raw_expect(&w.back, M_CRED_REVOKED);
	assert_int_equal(expect_bindings(&w, rows, 4), 1);
	assert_string_equal(rows[0].stub, w.stub);
	assert_int_equal(rows[0].cred, w.cred);
	expect_done(&w, true, "");
	r = get_api(&w);
	release(&w, &r, VALUE2, "");
	world_free(&w);
}

static void
rotation_to_another_length_keeps_the_stub(void **state)
{
	struct world w;
	struct want r;
	struct row rows[4];

	(void)state;
	world_ready(&w);
	send_named(&w, M_SECRET_ROTATE, "github", value_fd(VALUE2 "more"));
	expect_audit(&w, "KY202", true);
	raw_expect(&w.back, M_CRED_REVOKED);
	assert_int_equal(expect_bindings(&w, rows, 4), 1);
	assert_string_equal(rows[0].stub, w.stub);
	assert_int_equal(rows[0].cred, w.cred);
	expect_done(&w, true, "");
	r = get_api(&w);
	release(&w, &r, VALUE2 "more", "");
	world_free(&w);
}

static void
rotation_brings_a_revoked_secret_back(void **state)
{
	struct world w;
	struct want r;
	struct row rows[4];

	(void)state;
	world_ready(&w);
	send_named(&w, M_SECRET_REVOKE, "github", -1);
	raw_expect(&w.back, M_CRED_REVOKED);
	assert_int_equal(expect_bindings(&w, rows, 4), 1);
	expect_audit(&w, "KY203", true);
	expect_done(&w, true, "");
	send_named(&w, M_SECRET_ROTATE, "github", value_fd(VALUE2));
	expect_audit(&w, "KY202", true);
	raw_expect(&w.back, M_CRED_REVOKED);
	assert_int_equal(expect_bindings(&w, rows, 4), 1);
	assert_false(rows[0].revoked);
	expect_done(&w, true, "");
	r = get_api(&w);
	release(&w, &r, VALUE2, "");
	world_free(&w);
}

static void
nothing_is_released_or_added_without_audit(void **state)
{
	struct world w;
	struct want r;

	(void)state;
	world_ready(&w);
	/* One change is waiting for its record when audit dies. */
	send_add(&w,
	    &(struct add){
		"second", "b.example", 443, SURFACE_HEADER, "X-Key", "", "" },
	    value_fd(VALUE2));
	raw_expect(&w.audit, M_AUDIT);
	raw_close(&w.audit);
	expect_done(&w, false, "not done");
	r = get_api(&w);
	send_release(&w, &r);
	expect_released(&w, NULL, "audit");
	send_add(&w,
	    &(struct add){
		"third", "b.example", 443, SURFACE_HEADER, "X-Key", "", "" },
	    value_fd(VALUE2));
	expect_done(&w, false, "audit log is not available");
	/* Taking away works, and says that it was not recorded. */
	send_named(&w, M_SECRET_REVOKE, "github", -1);
	raw_expect(&w.back, M_CRED_REVOKED);
	expect_done(&w, false, "done, but");
	/* With audit back, everything goes on. */
	raw_peer(&w.parent, &w.audit, ROLE_AUDIT, 0);
	job_open(&w, 9, 'm', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	add(&w,
	    &(struct add){
		"second", "b.example", 443, SURFACE_HEADER, "X-Key", "", "" },
	    VALUE2);
	world_free(&w);
}

static void
refused_record_means_no_change(void **state)
{
	struct world w;

	(void)state;
	world_new(&w);
	send_add(&w, &github, value_fd(VALUE));
	expect_audit(&w, "KY201", false);
	expect_done(&w, false, "disk full");
	add(&w, &github, VALUE);
	world_free(&w);
}

static void
mistakes_of_a_person_are_answered(void **state)
{
	static const struct {
		struct add a;
		const char *value, *part;
	} cases[] = {
		{ { "bad name", "api.example", 443, 1, "X", "", "" }, VALUE,
		    "name" },
		{ { "n", "a b", 443, 1, "X", "", "" }, VALUE, "host" },
		{ { "n", "0x7f.1", 443, 1, "X", "", "" }, VALUE, "host" },
		{ { "n", "a.example", 0, 1, "X", "", "" }, VALUE, "port" },
		{ { "n", "a.example", 443, 0, "X", "", "" }, VALUE,
		    "surfaces" },
		{ { "n", "a.example", 443, 8, "X", "", "" }, VALUE, "header" },
		{ { "n", "a.example", 443, 1, "", "", "" }, VALUE, "header" },
		{ { "n", "a.example", 443, 1, "Host", "", "" }, VALUE,
		    "header" },
		{ { "n", "a.example", 443, 1, "X", "", "LD_PRELOAD" }, VALUE,
		    "LD_PRELOAD" },
		{ { "n", "a.example", 443, 1, "X", "", "A-B" }, VALUE,
		    "environment" },
		{ { "n", "a.example", 443, 1, "X", "", "" }, "short", "8 to" },
		{ { "n", "a.example", 443, 1, "X", "", "" }, "", "8 to" },
		{ { "n", "a.example", 443, 1, "X", "", "" },
		    "two\nlines-of-text", "line" },
		{ { "n", "a.example", 443, 1, "X", "", "" }, "----------....",
		    "letters" },
		{ { "github", "a.example", 443, 1, "X", "", "" }, VALUE2,
		    "already" },
		{ { "n", "a.example", 443, 1, "X", "", "GITHUB_TOKEN" }, VALUE2,
		    "belongs to secret github" },
	};
	struct world w;
	char longname[300];
	int fd;

	(void)state;
	world_new(&w);
	add(&w, &github, VALUE);
	for (size_t i = 0; i < nitems(cases); i++) {
		send_add(&w, &cases[i].a, value_fd(cases[i].value));
		expect_done(&w, false, cases[i].part);
	}
	memset(longname, 'a', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = '\0';
	send_add(&w, &(struct add){ longname, "a", 1, 1, "X", "", "" },
	    value_fd(VALUE));
	expect_done(&w, false, "too long");
	/* A memfd that its sender can still change. */
	fd = memfd_create("value", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, VALUE2, strlen(VALUE2)), strlen(VALUE2));
	send_named(&w, M_SECRET_ROTATE, "github", fd);
	expect_done(&w, false, "sealed");
	world_free(&w);
}

static void
password_is_released_to_logins_that_net_rules_allow(void **state)
{
	struct world w;
	struct want r = { 0, "CONNECT", "postgres", "db.example", 5432, "",
		false };
	struct cred_spec s;
	struct row rows[4];

	(void)state;
	world_ready(&w);
	spec_of(&(struct add){ "", "db.example", 5432, 0, "", "joe", "PGPASS" },
	    &s);
	s.kind = CRED_POSTGRES;
	s.nhosts = 2;
	s.hosts[1] = s.hosts[0];
	s.hosts[1].port = 5433;
	send_spec(&w, "db", &s, value_fd(VALUE2));
	expect_audit(&w, "KY201", true);
	expect_done(&w, true, "");
	assert_int_equal(expect_bindings(&w, rows, 4), 2);
	r.cred = rows[1].cred;
	release(&w, &r, VALUE2, "");
	r.scheme = "https";
	release(&w, &r, NULL, "not PostgreSQL");
	r.scheme = "postgres";
	r.port = 5433;
	release(&w, &r, NULL, "nobody has allowed");
	r.asked = true;
	release(&w, &r, VALUE2, "");
	r.host = "api.example";
	release(&w, &r, NULL, "another host");
	world_free(&w);
}

static void
list_shows_everything_but_the_value(void **state)
{
	struct world w;
	struct cred_spec spec;
	char name[128], fp[32];

	(void)state;
	world_ready(&w);
	raw_send(&w.control, M_SECRET_LIST, 0, 13, NULL, -1);
	raw_expect(&w.control, M_SECRET_LISTED);
	assert_int_equal(w.control.serial, 13);
	assert_null(memmem(w.control.body.p, w.control.body.left, "Real", 4));
	assert_int_equal(cur_u32(&w.control.body), 1);
	cur_str_into(&w.control.body, name, sizeof(name));
	assert_int_equal(cred_spec_get(&w.control.body, &spec), 0);
	assert_true(cred_spec_for(&spec, "api.example", 443));
	assert_int_equal(spec.surfaces, SURFACE_HEADER);
	cur_str_into(&w.control.body, fp, sizeof(fp));
	assert_false(cur_bool(&w.control.body));
	assert_true(cur_u64(&w.control.body) > 1000000000);
	assert_true(cur_u64(&w.control.body) > 1000000000);
	assert_int_equal(cur_u32(&w.control.body), 0);
	assert_int_equal(cur_end(&w.control.body), 0);
	assert_string_equal(name, "github");
	assert_int_equal(strlen(fp), 12);
	world_free(&w);
}

static void
one_secret_is_for_each_of_its_hosts(void **state)
{
	struct world w;
	struct cred_spec s;
	struct row rows[4];
	struct want r;

	(void)state;
	world_ready(&w);
	spec_of(&(struct add){ "", "other.example", 443, SURFACE_HEADER, "X",
		    "", "" },
	    &s);
	s.nhosts = 2;
	strlcpy(s.hosts[1].host, "api.example", P_HOST_MAX);
	s.hosts[1].port = 8443;
	send_spec(&w, "two", &s, value_fd(VALUE2));
	expect_audit(&w, "KY201", true);
	expect_done(&w, true, "");
	assert_int_equal(expect_bindings(&w, rows, 4), 2);
	assert_int_equal(rows[1].spec.nhosts, 2);
	r = get_api(&w);
	r.cred = rows[1].cred;
	release(&w, &r, NULL, "another host or port");
	r.port = 8443;
	release(&w, &r, VALUE2, "");
	r.host = "other.example";
	r.port = 443;
	release(&w, &r, VALUE2, "");
	world_free(&w);
}

#define PEM                                                                    \
	"-----BEGIN PRIVATE KEY-----\n"                                        \
	"MC4CAQAwBQYDK2VwBCIEIDT9H36p+5A8yP8fczYOM4srIzJ4ma/"                  \
	"hoWxlvl6II8ZQ\n-----END PRIVATE KEY-----\n"

static void
a_kind_without_a_stub_shows_none(void **state)
{
	struct world w;
	struct cred_spec s = { .kind = CRED_SSH, .nhosts = 1 };
	struct row rows[4];
	struct want r;

	(void)state;
	world_ready(&w);
	strlcpy(s.hosts[0].host, "api.example", P_HOST_MAX);
	s.hosts[0].port = 443;
	send_spec(&w, "key", &s, value_fd(VALUE2));
	expect_done(&w, false, "PEM");
	s.surfaces = SURFACE_PATH;
	send_spec(&w, "key", &s, value_fd(PEM));
	expect_done(&w, false, "no surfaces");
	s.surfaces = 0;
	strlcpy(s.env, "KEY", sizeof(s.env));
	send_spec(&w, "key", &s, value_fd(PEM));
	expect_done(&w, false, "no stub");
	s.env[0] = '\0';
	send_spec(&w, "key", &s, value_fd(PEM));
	expect_audit(&w, "KY201", true);
	expect_done(&w, true, "");
	assert_int_equal(expect_bindings(&w, rows, 4), 2);
	assert_int_equal(rows[1].spec.kind, CRED_SSH);
	assert_string_equal(rows[1].stub, "");
	/* Its private key stays where it is. */
	r = get_api(&w);
	r.cred = rows[1].cred;
	release(&w, &r, NULL, "never released");
	job_open(&w, 8, 'z', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	assert_int_equal(cur_u32(&w.parent.body), 2); /* one is the agent */
	world_free(&w);
}

/* The upstream proxy as brigd.conf names it. */
static void
send_proxy(struct world *w, const char *where, const char *secret)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u32(&b, 2);
	buf_put_str(&b, "upstream-proxy");
	buf_put_str(&b, where);
	buf_put_str(&b, "upstream-proxy-secret");
	buf_put_str(&b, secret);
	raw_send(&w->parent, M_CONFIG, 0, 0, &b, -1);
	/* Channels are not ordered among each other. */
	job_open(w, 98, 'w', "coding");
	raw_expect(&w->parent, M_JOB_STUBS);
}

static void
proxy_credential_is_for_the_configured_proxy(void **state)
{
	struct world w;
	struct cred_spec s = { .kind = CRED_PROXY, .nhosts = 1 };
	struct row rows[4];
	struct want r;

	(void)state;
	world_ready(&w);
	strlcpy(s.hosts[0].host, "proxy.example", P_HOST_MAX);
	s.hosts[0].port = 3128;
	strlcpy(s.user, "jail", sizeof(s.user));
	send_spec(&w, "corp", &s, value_fd(VALUE2));
	expect_audit(&w, "KY201", true);
	expect_done(&w, true, "");
	assert_int_equal(expect_bindings(&w, rows, 4), 2);
	assert_string_equal(rows[1].stub, "");
	r = get_api(&w);
	r.cred = rows[1].cred;
	/* No proxy is configured, another one, another credential for it. */
	release(&w, &r, NULL, "not the upstream proxy");
	send_proxy(&w, "3129 proxy.example", "corp");
	release(&w, &r, NULL, "not the upstream proxy");
	send_proxy(&w, "3128 proxy.example", "other");
	release(&w, &r, NULL, "not the upstream proxy");
	/* For what the policy allows, whatever host it is. */
	send_proxy(&w, "3128 proxy.example", "corp");
	release(&w, &r, VALUE2, "");
	r.path = "/elsewhere";
	r.method = "DELETE";
	release(&w, &r, NULL, "denies");
	world_free(&w);
}

static void
restart_keeps_ca_secrets_and_stubs(void **state)
{
	struct world w;
	char pem[4096], stub[256];
	struct want r;
	struct row rows[4];

	(void)state;
	world_ready(&w);
	strlcpy(pem, w.ca_pem, sizeof(pem));
	strlcpy(stub, w.stub, sizeof(stub));
	world_stop(&w);
	world_start(&w);
	assert_string_equal(pem, w.ca_pem);
	job_open(&w, 7, 'n', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	assert_int_equal(expect_bindings(&w, rows, 4), 1);
	assert_string_equal(rows[0].stub, stub);
	r = get_api(&w);
	release(&w, &r, VALUE, "");
	world_free(&w);
}

static void
stubs_of_jobs_differ(void **state)
{
	struct world w;
	char text[256];

	(void)state;
	world_ready(&w);
	job_open(&w, 8, 'z', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	assert_int_equal(cur_u32(&w.parent.body), 1);
	cur_str_into(&w.parent.body, text, sizeof(text));
	cur_str_into(&w.parent.body, text, sizeof(text));
	cur_str_into(&w.parent.body, text, sizeof(text));
	assert_string_not_equal(text, w.stub);
	world_free(&w);
}

static void
front_gets_leaves_for_its_key(void **state)
{
	struct world w;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	uint8_t *spki = NULL;
	const uint8_t *der;
	size_t n;
	X509 *x;
	struct buf b;
	int len = i2d_PUBKEY(key, &spki);

	(void)state;
	world_new(&w);
	buf_init(&b, 0);
	buf_put_str(&b, "api.example");
	buf_put_blob(&b, spki, (size_t)len);
	raw_send(&w.front, M_MINT, 7, 31, &b, -1);
	raw_expect(&w.front, M_MINTED);
	assert_int_equal(w.front.serial, 31);
	assert_true(cur_bool(&w.front.body));
	der = cur_blob(&w.front.body, 8192, &n);
	assert_int_equal(cur_end(&w.front.body), 0);
	x = d2i_X509(NULL, &der, (long)n);
	assert_non_null(x);
	assert_int_equal(X509_check_private_key(x, key), 1);
	X509_free(x);
	/* A name that is none. */
	buf_init(&b, 0);
	buf_put_str(&b, "*.example");
	buf_put_blob(&b, spki, (size_t)len);
	raw_send(&w.front, M_MINT, 7, 32, &b, -1);
	raw_expect(&w.front, M_MINTED);
	assert_false(cur_bool(&w.front.body));
	OPENSSL_free(spki);
	EVP_PKEY_free(key);
	world_free(&w);
}

static void
peer_that_breaks_the_protocol_loses_its_channel_only(void **state)
{
	struct world w;
	struct want r;
	struct buf b;

	(void)state;
	world_ready(&w);
	/* front may not ask for values. */
	buf_init(&b, 0);
	buf_put_u32(&b, 1);
	raw_send(&w.front, M_RELEASE, 7, 1, &b, -1);
	assert_int_equal(raw_next(&w.front, RAW_WAIT_MS), -1);
	raw_expect(&w.parent, M_BAD_PEER);
	assert_int_equal(cur_u8(&w.parent.body), ROLE_FRONT);
	assert_int_equal(cur_u32(&w.parent.body), 7);
	r = get_api(&w);
	release(&w, &r, VALUE, "");
	/* back with a truncated message. */
	buf_init(&b, 0);
	buf_put_u32(&b, 1);
	raw_send(&w.back, M_RELEASE, 7, 1, &b, -1);
	assert_int_equal(raw_next(&w.back, RAW_WAIT_MS), -1);
	world_free(&w);
}

static void
bindings_of_another_job_are_not_given(void **state)
{
	struct world w;
	struct raw other;
	struct buf b;
	const uint8_t *p;
	size_t n;

	(void)state;
	world_ready(&w);
	raw_peer(&w.parent, &other, ROLE_BACK, 8);
	/* It claims job 7 in the header; the channel says 8. */
	raw_send(&other, M_BINDINGS_GET, 7, 1, NULL, -1);
	/* No answer to that: the next one is about the release. */
	buf_init(&b, 0);
	buf_put_u32(&b, w.cred);
	buf_put_str(&b, "GET");
	buf_put_str(&b, "https");
	buf_put_str(&b, "api.example");
	buf_put_u16(&b, 443);
	buf_put_str(&b, "/");
	buf_put_u8(&b, 0);
	raw_send(&other, M_RELEASE, 7, 2, &b, -1);
	raw_expect(&other, M_RELEASED);
	assert_false(cur_bool(&other.body));
	p = cur_blob(&other.body, P_STUB_MAX, &n);
	(void)p;
	assert_int_equal(n, 0);
	raw_close(&other);
	world_free(&w);
}

static void
many_long_secrets_are_bounded(void **state)
{
	struct world w;
	struct row rows[8];
	char *value = xmalloc(16385), name[16];
	uint32_t n = 0;

	(void)state;
	world_new(&w);
	job_open(&w, 7, 'n', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	assert_int_equal(expect_bindings(&w, rows, 8), 0);
	memset(value, 'v', 16384);
	value[16384] = '\0';
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "long%d", i);
		value[0] = (char)('a' + i);
		send_add(&w,
		    &(struct add){ name, "b.example", 443, SURFACE_HEADER,
			"X-Key", "", "" },
		    value_fd(value));
		if (i < 2) {
			expect_audit(&w, "KY201", true);
			expect_done(&w, true, "");
			raw_expect(&w.back, M_BINDINGS);
			n = cur_u32(&w.back.body);
		} else
			expect_done(&w, false, "too long for one message");
	}
	assert_int_equal(n, 2);
	free(value);
	world_free(&w);
}

static void
wrong_or_short_key_ends_the_process(void **state)
{
	struct world w;

	(void)state;
	world_new(&w);
	world_stop(&w);
	w.pid = raw_start(&w.parent, ROLE_KEYD, keyd_main);
	send_open(&w, KEYD_KEY, key_fd("another key, another key, anothe", 32));
	send_open(&w, KEYD_VAULT, dup(w.vault));
	assert_int_equal(raw_wait(w.pid), 1);
	raw_close(&w.parent);
	w.pid = raw_start(&w.parent, ROLE_KEYD, keyd_main);
	send_open(&w, KEYD_KEY, key_fd("0123456789", 10));
	assert_int_equal(raw_wait(w.pid), 1);
	raw_close(&w.parent);
	close(w.vault);
}

static int
setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	keyd_preinit();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stub_has_the_shape_and_is_not_the_value),
		cmocka_unit_test(value_is_released_for_what_the_policy_allows),
		cmocka_unit_test(value_is_refused_for_everything_else),
		cmocka_unit_test(ask_needs_a_person),
		cmocka_unit_test(new_policy_counts_at_once),
		cmocka_unit_test(closed_job_gets_nothing),
		cmocka_unit_test(revoked_secret_is_dead_at_once),
		cmocka_unit_test(removed_secret_is_forgotten),
		cmocka_unit_test(rotation_keeps_the_stub_and_changes_the_value),
		cmocka_unit_test(rotation_to_another_length_keeps_the_stub),
		cmocka_unit_test(rotation_brings_a_revoked_secret_back),
		cmocka_unit_test(nothing_is_released_or_added_without_audit),
		cmocka_unit_test(refused_record_means_no_change),
		cmocka_unit_test(mistakes_of_a_person_are_answered),
		cmocka_unit_test(
		    password_is_released_to_logins_that_net_rules_allow),
		cmocka_unit_test(list_shows_everything_but_the_value),
		cmocka_unit_test(one_secret_is_for_each_of_its_hosts),
		cmocka_unit_test(a_kind_without_a_stub_shows_none),
		cmocka_unit_test(proxy_credential_is_for_the_configured_proxy),
		cmocka_unit_test(restart_keeps_ca_secrets_and_stubs),
		cmocka_unit_test(stubs_of_jobs_differ),
		cmocka_unit_test(front_gets_leaves_for_its_key),
		cmocka_unit_test(
		    peer_that_breaks_the_protocol_loses_its_channel_only),
		cmocka_unit_test(bindings_of_another_job_are_not_given),
		cmocka_unit_test(many_long_secrets_are_bounded),
		cmocka_unit_test(wrong_or_short_key_ends_the_process),
	};

	return cmocka_run_group_tests_name("keyd", tests, setup, NULL);
}

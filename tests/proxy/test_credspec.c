/*
 * What a credential may say of itself, its bytes, its text, and which requests
 * go to its token endpoint.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/credspec.h"

static struct cred_spec
good(void)
{
	return (struct cred_spec){ .surfaces = SURFACE_HEADER,
		.nhosts = 1,
		.hosts = { { "a.example", 443 } },
		.header = "X-Api-Key",
		.user = "u",
		.env = "TOKEN" };
}

static struct cred_spec
full(void)
{
	return (struct cred_spec){ .surfaces = SURFACE_ALL,
		.nhosts = 2,
		.hosts = { { "a.example", 443 }, { "2001:db8::1", 8443 } },
		.header = "Authorization",
		.query = "access_token",
		.user = "x-access-token",
		.env = "TOKEN",
		.inject = true,
		.scheme = "token",
		.capture = { "/oauth/token", 2,
		    { ".access_token", ".data.refresh_token" } } };
}

static struct cred_spec
hmac(void)
{
	return (struct cred_spec){ .kind = CRED_HMAC,
		.nhosts = 1,
		.hosts = { { "a.example", 443 } },
		.hmac = { "sha256", "X-Sig", "hex",
		    "v0=", "v0:{timestamp}:{body},{path}", "X-Time" } };
}

static bool
is_same(const struct cred_spec *a, const struct cred_spec *b)
{
	cleanup_buf struct buf x = { 0 }, y = { 0 };
	bool same;

	cred_spec_put(&x, a);
	cred_spec_put(&y, b);
	same = buf_len(&x) == buf_len(&y) &&
	       memcmp(buf_head(&x), buf_head(&y), buf_len(&x)) == 0;
	return same;
}

static void
what_was_written_is_read_back(void **state)
{
	const struct cred_spec in[] = { good(), full(), hmac() };

	(void)state;
	for (size_t i = 0; i < nitems(in); i++) {
		cleanup_buf struct buf b = { 0 };
		struct cred_spec out;
		struct error err;
		struct cur c;

		if (cred_spec_check(&in[i], &err) < 0)
			fail_msg("%s", err.msg);
		cred_spec_put(&b, &in[i]);
		cur_init(&c, buf_head(&b), buf_len(&b));
		assert_int_equal(cred_spec_get(&c, &out), 0);
		assert_int_equal(cur_end(&c), 0);
		assert_true(is_same(&in[i], &out));
		/* Each cut is an error, none reads on. */
		for (size_t n = 0; n < buf_len(&b); n++) {
			cur_init(&c, buf_head(&b), n);
			assert_int_equal(cred_spec_get(&c, &out), -1);
		}
	}
}

static void
bad_parts_are_refused(void **state)
{
	struct cred_spec s;
	struct error err;

	(void)state;
	s = good();
	assert_int_equal(cred_spec_check(&s, &err), 0);
#define BAD(field, text)                                                       \
	do {                                                                   \
		s = good();                                                    \
		strlcpy(s.field, text, sizeof(s.field));                       \
		assert_int_equal(cred_spec_check(&s, &err), -1);               \
	} while (0)
	BAD(hosts[0].host, "");
	BAD(hosts[0].host, "A.example");
	BAD(hosts[0].host, "*.example");
	BAD(hosts[0].host, "a.example.");
	BAD(hosts[0].host, "127.1");
	BAD(hosts[0].host, "2130706433");
	BAD(hosts[0].host, "0:0::1");
	BAD(header, "");
	BAD(header, "Host");
	BAD(header, "content-length");
	BAD(header, "Transfer-Encoding");
	BAD(header, "X:Y");
	BAD(header, "X\r\nY");
	BAD(query, "q");
	BAD(user, "a:b");
	BAD(user, "a\nb");
	BAD(env, "1A");
	BAD(env, "A=B");
	BAD(scheme, "Bearer");
	BAD(region, "eu-west-1");
	BAD(hmac.algorithm, "sha256");
	BAD(capture.path, "token");
#undef BAD
#define BAD(change)                                                            \
	do {                                                                   \
		s = good();                                                    \
		change;                                                        \
		assert_int_equal(cred_spec_check(&s, &err), -1);               \
	} while (0)
	BAD(s.hosts[0].port = 0);
	BAD(s.nhosts = 0);
	BAD(s.nhosts = CRED_HOSTS_MAX + 1);
	BAD((s.nhosts = 2, s.hosts[1] = s.hosts[0]));
	BAD(s.surfaces = 0);
	BAD(s.surfaces = SURFACE_HEADER | 256);
	BAD(s.surfaces = SURFACE_HEADER | SURFACE_QUERY);
	BAD(s.kind = CRED_KIND_MAX);
	BAD(s.capture.n = 1);
	/* To inject takes a place that needs nothing of the agent. */
	BAD((s.inject = true, s.surfaces = SURFACE_BASIC, s.header[0] = '\0',
	    s.user[0] = '\0'));
	BAD((s.inject = true, s.surfaces = SURFACE_PATH, s.header[0] = '\0'));
#undef BAD
}

static void
captures_are_checked(void **state)
{
	static const char *const paths[] = { "", "token", "/a?b", "/a b",
		"/a%20b", "/a:b" };
	static const char *const members[] = { "", "a", ".", "..a", ".a.",
		".a b", ".a[0]", ".a..b" };
	struct cred_spec s;
	struct error err;

	(void)state;
	for (size_t i = 0; i < nitems(paths); i++) {
		s = full();
		strlcpy(s.capture.path, paths[i], sizeof(s.capture.path));
		assert_int_equal(cred_spec_check(&s, &err), -1);
	}
	for (size_t i = 0; i < nitems(members); i++) {
		s = full();
		strlcpy(
		    s.capture.names[1], members[i], sizeof(s.capture.names[1]));
		assert_int_equal(cred_spec_check(&s, &err), -1);
	}
	s = full();
	strlcpy(
	    s.capture.names[1], s.capture.names[0], sizeof(s.capture.names[1]));
	assert_int_equal(cred_spec_check(&s, &err), -1);
}

static void
kinds_have_only_what_they_use(void **state)
{
	struct cred_spec s;
	struct error err;

	(void)state;
	for (int k = CRED_SIGV4; k < CRED_KIND_MAX; k++) {
		s = good();
		s.kind = (enum cred_kind)k;
		assert_int_equal(cred_spec_check(&s, &err), -1);
		assert_non_null(strstr(err.msg, "surfaces"));
		s.surfaces = 0;
		s.header[0] = '\0';
		s.env[0] = '\0';
		if (k == CRED_HMAC)
			s.hmac = hmac().hmac;
		if (cred_spec_check(&s, &err) < 0)
			fail_msg("%s", err.msg);
		s.inject = true;
		assert_int_equal(cred_spec_check(&s, &err), -1);
		s.inject = false;
		strlcpy(s.env, "E", sizeof(s.env));
		assert_int_equal(
		    cred_spec_check(&s, &err), cred_has_stub(s.kind) ? 0 : -1);
	}
	/* Whose access key it is must be known. */
	s = good();
	s.kind = CRED_SIGV4;
	s.surfaces = 0;
	s.header[0] = s.user[0] = '\0';
	assert_int_equal(cred_spec_check(&s, &err), -1);
}

static void
signature_templates_are_checked(void **state)
{
	static const struct {
		const char *text;
		int want;
	} cases[] = { { "{body}", 0 }, { "{method} {path}.{body}", 0 },
		{ "", -1 }, { "text", -1 }, { "{nothing}", -1 },
		{ "{body", -1 }, { "{body}}", -1 }, { "{body}\n", -1 } };
	struct cred_spec s;
	struct error err;

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		s = hmac();
		strlcpy(s.hmac.signed_, cases[i].text, sizeof(s.hmac.signed_));
		assert_int_equal(cred_spec_check(&s, &err), cases[i].want);
	}
	s = hmac();
	s.hmac.timestamp_header[0] = '\0';
	assert_int_equal(cred_spec_check(&s, &err), -1);
}

static void
it_is_for_each_host_and_no_other(void **state)
{
	struct cred_spec s = full();

	(void)state;
	assert_true(cred_spec_for(&s, "a.example", 443));
	assert_true(cred_spec_for(&s, "2001:db8::1", 8443));
	assert_false(cred_spec_for(&s, "a.example", 8443));
	assert_false(cred_spec_for(&s, "2001:db8::1", 443));
	assert_false(cred_spec_for(&s, "b.example", 443));
	assert_false(cred_spec_for(&s, "", 0));
}

static void
every_spelling_of_the_token_endpoint_is_it(void **state)
{
	static const char *const same[] = { "/oauth/token", "/oauth/token?a=b",
		"/oauth/token/", "//oauth//token", "/./oauth/./token",
		"/x/../oauth/token", "/oauth/%74oken", "/oauth%2ftoken",
		"/oauth/%2574oken", "/OAuth/Token", "/oauth;v=1/token;x",
		"/oauth\\token", "/../oauth/token", "/oauth/token#x",
		"/oauth/x/%2e%2e/token", "/oauth/token%00", "oauth/token",
		"/oauth/token.json", "/oauth/token.JSON?a", "/oauth/token.",
		"/oauth/token%20", "/oauth/token.x.y;z/" };
	static const char *const others[] = { "/", "", "*", "/oauth",
		"/oauth/token/x", "/oauth/tokens", "/token", "/?/oauth/token",
		"/oauth/to%ken", "/oauth/token/../other", "/oauth/.token",
		"/oauth/token.json/x", "/oauth/t.oken" };
	static const char *const script[] = { "/oauth/token.php",
		"/oauth/token.php/x", "/oauth/token.php/x/y.z", "/oauth/token",
		"/oauth/token.php5" };
	struct cred_spec s = full();

	(void)state;
	for (size_t i = 0; i < nitems(same); i++) {
		if (!cred_captures(&s, same[i]))
			fail_msg("%s", same[i]);
	}
	for (size_t i = 0; i < nitems(others); i++) {
		if (cred_captures(&s, others[i]))
			fail_msg("%s", others[i]);
	}
	strlcpy(s.capture.path, "/oauth/token.php", sizeof(s.capture.path));
	for (size_t i = 0; i < nitems(script); i++) {
		if (!cred_captures(&s, script[i]))
			fail_msg("%s", script[i]);
	}
	assert_false(cred_captures(&s, "/oauth/other.php"));
	assert_false(cred_captures(&s, "/oauth/tokens.php/x"));
	s.capture.n = 0;
	assert_false(cred_captures(&s, "/oauth/token"));
}

static void
a_captured_token_is_for_bodies_to_its_endpoint_alone(void **state)
{
	static const char *const others[] = { "/", "/oauth/token/", "/notes",
		"/oauth/%74oken", "/oauth/Token", "/x/../oauth/token",
		"/oauth/tokens?/oauth/token" };
	const uint32_t bodies =
	    SURFACE_BODY_FORM | SURFACE_BODY_JSON | SURFACE_BODY_TEXT;
	struct cred_spec s = good(), parent = full();
	struct error err;

	(void)state;
	strlcpy(s.capture.path, "/oauth/token", sizeof(s.capture.path));
	strlcpy(s.capture.names[0], ".access_token", 65);
	s.capture.n = 1;
	parent = s;
	cred_spec_captured(&parent, TOKEN_REFRESH, &s);
	if (cred_spec_check(&s, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(s.header, "Authorization");
	assert_int_equal(s.capture.n, 0);
	assert_false(cred_captures(&s, "/oauth/token"));
	assert_int_equal(cred_surfaces_at(&s, "/oauth/token"),
	    SURFACE_HEADER | SURFACE_BODY_FORM | SURFACE_BODY_JSON);
	assert_int_equal(cred_surfaces_at(&s, "/oauth/token?a=b") & bodies,
	    SURFACE_BODY_FORM | SURFACE_BODY_JSON);
	for (size_t i = 0; i < nitems(others); i++)
		assert_int_equal(
		    cred_surfaces_at(&s, others[i]), SURFACE_HEADER);
	/* What it came from has its bodies everywhere. */
	parent = full();
	assert_int_equal(cred_surfaces_at(&parent, "/notes"), SURFACE_ALL);
	cred_spec_captured(&parent, TOKEN_ACCESS, &s);
	assert_int_equal(cred_surfaces_at(&s, "/notes"), SURFACE_ALL & ~bodies);
	assert_false(s.inject);
	assert_string_equal(s.env, "");
}

static void
text_is_read_and_written(void **state)
{
	static const char *const surfaces[] = { "header:Authorization", "basic",
		"query:access_token", "path", "body:json", "body:form",
		"body:text", "ws:text" };
	struct cred_spec s = { 0 }, want = full();
	cleanup_free char *text = NULL;
	struct error err;

	(void)state;
	for (size_t i = 0; i < nitems(surfaces); i++) {
		char out[CRED_SURFACE_TEXT];

		assert_int_equal(cred_surface_parse(&s, surfaces[i], &err), 0);
		cred_surface_format(&s, 1u << i, out);
		assert_string_equal(out, surfaces[i]);
	}
	assert_int_equal(
	    cred_surface_parse(&s, "basic:x-access-token", &err), 0);
	assert_int_equal(cred_surface_parse(&s, "header:X", &err), -1);
	assert_int_equal(cred_surface_parse(&s, "body:xml", &err), -1);
	assert_int_equal(cred_surface_parse(&s, "", &err), -1);
	assert_int_equal(cred_host_parse(&s, "A.Example", &err), 0);
	assert_int_equal(cred_host_parse(&s, "[2001:DB8::1]:8443", &err), 0);
	strlcpy(s.env, "TOKEN", sizeof(s.env));
	strlcpy(s.scheme, "token", sizeof(s.scheme));
	s.inject = true;
	assert_int_equal(
	    cred_capture_parse(
		&s, "/oauth/token:.access_token,.data.refresh_token", &err),
	    0);
	cred_spec_defaults(&s, true);
	assert_true(is_same(&s, &want));
	text = cred_capture_format(&s);
	assert_string_equal(
	    text, "/oauth/token:.access_token,.data.refresh_token");
}

static void
bad_text_is_refused(void **state)
{
	static const char *const hosts[] = { "", ":443", "a:0", "a:65536",
		"a:b:c", "[::1", "[::1]x", "a b", "a_b", "[a]]" };
	static const char *const captures[] = { "", "/t", "t",
		"/t:.a,.b,.c,.d,.e" };
	static const char *const hmacs[] = { "x", "alg", "alg=sha256789",
		"header=a,what=b" };
	struct cred_spec s = { 0 };
	struct error err;

	(void)state;
	for (size_t i = 0; i < nitems(hosts); i++) {
		if (cred_host_parse(&s, hosts[i], &err) == 0)
			fail_msg("%s", hosts[i]);
	}
	for (size_t i = 0; i < nitems(captures); i++) {
		memset(&s, 0, sizeof(s));
		if (cred_capture_parse(&s, captures[i], &err) == 0)
			fail_msg("%s", captures[i]);
	}
	for (size_t i = 0; i < nitems(hmacs); i++) {
		if (cred_hmac_parse(&s, hmacs[i], &err) == 0)
			fail_msg("%s", hmacs[i]);
	}
	for (size_t i = 0; i < CRED_HOSTS_MAX; i++)
		assert_int_equal(cred_host_parse(&s, "a", &err), 0);
	assert_int_equal(cred_host_parse(&s, "a", &err), -1);
}

static void
hmac_text_survives(void **state)
{
	struct cred_spec s = hmac(), t = hmac();
	cleanup_free char *text = cred_hmac_format(&s);
	struct error err;

	(void)state;
	memset(&t.hmac, 0, sizeof(t.hmac));
	assert_int_equal(cred_hmac_parse(&t, text, &err), 0);
	assert_true(is_same(&s, &t));
}

static void
defaults_depend_on_the_kind(void **state)
{
	struct cred_spec s = { .nhosts = 1, .hosts = { { "a", 0 } } };

	(void)state;
	s.inject = true;
	cred_spec_defaults(&s, false);
	assert_int_equal(s.hosts[0].port, 443);
	assert_int_equal(s.surfaces, SURFACE_HEADER);
	assert_string_equal(s.header, "Authorization");
	assert_string_equal(s.scheme, "Bearer");
	memset(&s, 0, sizeof(s));
	s.kind = CRED_SSH;
	s.nhosts = 1;
	cred_spec_defaults(&s, false);
	assert_int_equal(s.hosts[0].port, 22);
	assert_int_equal(s.surfaces, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_back),
		cmocka_unit_test(bad_parts_are_refused),
		cmocka_unit_test(captures_are_checked),
		cmocka_unit_test(kinds_have_only_what_they_use),
		cmocka_unit_test(signature_templates_are_checked),
		cmocka_unit_test(it_is_for_each_host_and_no_other),
		cmocka_unit_test(every_spelling_of_the_token_endpoint_is_it),
		cmocka_unit_test(
		    a_captured_token_is_for_bodies_to_its_endpoint_alone),
		cmocka_unit_test(text_is_read_and_written),
		cmocka_unit_test(bad_text_is_refused),
		cmocka_unit_test(hmac_text_survives),
		cmocka_unit_test(defaults_depend_on_the_kind),
	};

	return cmocka_run_group_tests_name("credspec", tests, NULL, NULL);
}

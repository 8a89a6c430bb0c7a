/*
 * Paths, URLs, addresses, and a property of the whole.
 */
#include "tests/policy/policytest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

#define P(body) must_load("profile p {\n" body "\n}\n")
#define ROUNDS 400

static void
path_patterns_go_by_segment(void **state)
{
	struct policy *p = P("allow read /usr/**; allow read workspace/**;"
			     "deny read workspace/**/{.env,*.pem};"
			     "allow write workspace/a*/x;"
			     "allow read /etc/{passwd,ssl/**};"
			     "allow write workspace/**/m/**/n;");
	static const struct {
		enum policy_class c;
		const char *path;
		enum effect want;
	} t[] = {
		{ POLICY_READ, "/usr", EFFECT_ALLOW },
		{ POLICY_READ, "/usr/lib/x", EFFECT_ALLOW },
		{ POLICY_READ, "/usrx", EFFECT_DENY },
		{ POLICY_READ, "workspace/a", EFFECT_ALLOW },
		{ POLICY_READ, "/workspace/a", EFFECT_ALLOW },
		{ POLICY_READ, "workspace/.env", EFFECT_DENY },
		{ POLICY_READ, "workspace/a/b/.env", EFFECT_DENY },
		{ POLICY_READ, "workspace/a/.envx", EFFECT_ALLOW },
		{ POLICY_READ, "workspace/k.pem", EFFECT_DENY },
		{ POLICY_READ, "/etc/passwd", EFFECT_ALLOW },
		{ POLICY_READ, "/etc/shadow", EFFECT_DENY },
		{ POLICY_READ, "/etc/ssl/certs/a", EFFECT_ALLOW },
		{ POLICY_WRITE, "/usr/x", EFFECT_DENY },
		{ POLICY_WRITE, "workspace/abc/x", EFFECT_ALLOW },
		{ POLICY_WRITE, "workspace/a/b/x", EFFECT_DENY },
		{ POLICY_WRITE, "workspace/q/m/r/s/n", EFFECT_ALLOW },
		{ POLICY_WRITE, "workspace/m/n", EFFECT_ALLOW },
		{ POLICY_WRITE, "workspace/m/n/o", EFFECT_DENY },
	};
	size_t i;

	for (i = 0; i < nitems(t); i++) {
		if (on_path(p, t[i].c, t[i].path) != t[i].want)
			fprintf(stderr, "# %s\n", t[i].path);
		assert_int_equal(last.effect, t[i].want);
	}
	policy_free(p);
}

static void
paths_of_two_readings_are_denied(void **state)
{
	static const char *const bad[] = { "/usr/../etc/shadow", "/usr//x",
		"/usr/./x", "usr/x", "", "/usr/x/", "/usr/x/..",
		"workspace/../x", "workspacex" };
	struct policy *p = P("default read allow;");
	size_t i;

	for (i = 0; i < nitems(bad); i++) {
		assert_int_equal(on_path(p, POLICY_READ, bad[i]), EFFECT_DENY);
		assert_int_equal(last.by, BY_FAILSAFE);
	}
	policy_free(p);
}

static void
collect(enum effect e, enum policy_class c, const char *pattern, void *arg)
{
	struct buf *b = arg;

	buf_printf(
	    b, "%s %s %s;", effect_name(e), policy_class_name(c), pattern);
}

static void
path_rules_reach_the_jail_without_braces(void **state)
{
	struct policy *p = P("allow read /etc/{a,b}/**; allow exec ls;"
			     "deny write workspace/.git/config;");
	struct buf b;

	buf_init(&b, 0);
	profile_path_rules(policy_profile(p, "p"), collect, &b);
	buf_put_u8(&b, 0);
	assert_string_equal((char *)buf_head(&b),
	    "allow read /etc/a/**;allow read /etc/b/**;"
	    "deny write workspace/.git/config;");
	buf_free(&b);
	policy_free(p);
}

static void
host_names_have_one_form(void **state)
{
	static const char *const good[][2] = {
		{ "API.GitHub.com.", "api.github.com" },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
		{ "127.0.0.1", "127.0.0.1" },
		{ "10.0.0.1.", "10.0.0.1" },
		{ "[::1]", "::1" },
		{ "FE80:0:0:0:0:0:0:1", "fe80::1" },
		{ "1.example", "1.example" },
	};
	static const char *const bad[] = { "", ".", "a..b", "-a.b", "a-.b",
		"a_b", "2130706433", "0177.0.0.1", "0x7f.1", "127.1",
		"127.0.0.01", "1.2.3.4.5", "a.0x7f", "[::1", "[fe80::1%eth0]",
		"::ffff:127.0.0.1", "[::127.0.0.1]", "a b", "a%00b", "a\tb",
		"b\xc3\xbc.example", "a/b", "a@b", "a:80", "[127.0.0.1]",
		"example.com.." };
	char out[256];
	size_t i;

	for (i = 0; i < nitems(good); i++) {
		assert_int_equal(
		    policy_host_normalise(good[i][0], out, sizeof(out)), 0);
		assert_string_equal(out, good[i][1]);
	}
	for (i = 0; i < nitems(bad); i++) {
		if (policy_host_normalise(bad[i], out, sizeof(out)) == 0)
			fprintf(stderr, "# taken: %s\n", bad[i]);
		assert_int_equal(
		    policy_host_normalise(bad[i], out, sizeof(out)), -1);
	}
	assert_int_equal(policy_host_normalise("example.com", out, 5), -1);
}

static void
url_paths_have_one_reading(void **state)
{
	static const char *const good[][2] = {
		{ "/", "/" },
		{ "/a/b?x=/../y", "/a/b" },
		{ "/%41%2e%62", "/A.b" },
		{ "/a%20b%c3%bc", "/a%20b%C3%BC" },
		{ "/a%252e", "/a%252e" },
		{ "/a/", "/a/" },
		{ "/a;b=c", "/a;b=c" },
		{ "/...", "/..." },
	};
	static const char *const bad[] = { "", "a", "*", "/a/../b", "/a/..",
		"/./a", "/%2e%2e/a", "/a/%2E./b", "/a%2fb", "/a%2Fb", "/a%5cb",
		"/a\\b", "//", "//a", "/a//b", "/a%00", "/a%0a", "/a%", "/a%4",
		"/a%zz", "/a b", "/a\x7f", "/a#b", "/a?b#c", "/a?b c",
		"/a\xc3\xbc", "/..;x/a", "/a/.;/b" };
	char out[64];
	size_t i;

	for (i = 0; i < nitems(good); i++) {
		if (policy_path_normalise(good[i][0], out, sizeof(out)) != 0)
			fprintf(stderr, "# refused: %s\n", good[i][0]);
		assert_int_equal(
		    policy_path_normalise(good[i][0], out, sizeof(out)), 0);
		assert_string_equal(out, good[i][1]);
	}
	for (i = 0; i < nitems(bad); i++) {
		if (policy_path_normalise(bad[i], out, sizeof(out)) == 0)
			fprintf(stderr, "# taken: %s\n", bad[i]);
		assert_int_equal(
		    policy_path_normalise(bad[i], out, sizeof(out)), -1);
	}
	assert_int_equal(policy_path_normalise("/abcdef", out, 4), -1);
}

static void
urls_split_into_parts_or_not_at_all(void **state)
{
	static const char *const bad[] = { "ftp://a/", "https:/a", "https:///",
		"https://a@b/", "https://a:b@c/", "https://a:0/",
		"https://a:65536/", "https://a:/", "https://a:80:81/",
		"https://a/#f", "https://a#b", "https://a\\b/", "https://::1/",
		"https://[::1/", "https://[::1]x/", "//a/", "https://a b/",
		"https://[fe80::1%25eth0]/" };
	char scheme[8], host[256], target[64];
	struct error err;
	uint16_t port;
	size_t i;

	assert_int_equal(policy_url_split("HTTPS://Example.COM.?q", scheme,
			     host, &port, target, sizeof(target), &err),
	    0);
	assert_string_equal(scheme, "https");
	assert_string_equal(host, "example.com");
	assert_int_equal(port, 443);
	assert_string_equal(target, "/?q");
	assert_int_equal(policy_url_split("http://[::1]:8080/a", scheme, host,
			     &port, target, sizeof(target), &err),
	    0);
	assert_string_equal(host, "::1");
	assert_int_equal(port, 8080);
	for (i = 0; i < nitems(bad); i++) {
		if (policy_url_split(bad[i], scheme, host, &port, target,
			sizeof(target), &err) == 0)
			fprintf(stderr, "# taken: %s\n", bad[i]);
		assert_int_equal(policy_url_split(bad[i], scheme, host, &port,
				     target, sizeof(target), &err),
		    -1);
	}
}

static void
http_rules_match_method_host_port_and_path(void **state)
{
	struct policy *p =
	    P("allow http {GET,HEAD} https://api.example.org/repos/*/w/**;"
	      "allow http * https://*.one.example/**;"
	      "allow http GET https://**.deep.example/**;"
	      "allow http GET http://10.0.0.5:8080/**;"
	      "ask http POST https://api.example.org/repos/a/w/pulls;"
	      "deny http * https://**/secret;");
	static const struct {
		const char *method, *url;
		enum effect want;
	} t[] = {
		{ "GET", "https://api.example.org/repos/a/w/x", EFFECT_ALLOW },
		{ "GET", "https://API.example.org./repos/a/w", EFFECT_ALLOW },
		{ "GET", "https://api.example.org/repos/a/w?x", EFFECT_ALLOW },
		{ "PUT", "https://api.example.org/repos/a/w/x", EFFECT_DENY },
		{ "GET", "http://api.example.org/repos/a/w/x", EFFECT_DENY },
		{ "GET", "https://api.example.org:8443/repos/a/w",
		    EFFECT_DENY },
		{ "GET", "https://api.example.org/repos/a/b/w/", EFFECT_DENY },
		{ "GET", "https://api.example.org/repos/a/w/../x",
		    EFFECT_DENY },
		{ "GET", "https://api.example.org@evil.test/repos/a/w",
		    EFFECT_DENY },
		{ "GET", "https://evil.test#.example.org/", EFFECT_DENY },
		{ "POST", "https://api.example.org/repos/a/w/pulls",
		    EFFECT_ASK },
		{ "get", "https://a.one.example/", EFFECT_DENY },
		{ "BREW", "https://a.one.example/", EFFECT_ALLOW },
		{ "GET", "https://a.b.one.example/", EFFECT_DENY },
		{ "GET", "https://one.example/", EFFECT_DENY },
		{ "GET", "https://xone.example/", EFFECT_DENY },
		{ "GET", "https://a.b.deep.example/", EFFECT_ALLOW },
		{ "GET", "https://deep.example/", EFFECT_DENY },
		{ "GET", "http://10.0.0.5:8080/x", EFFECT_ALLOW },
		{ "GET", "http://10.0.0.5/x", EFFECT_DENY },
		{ "GET", "https://a.one.example/secret", EFFECT_DENY },
	};
	size_t i;

	for (i = 0; i < nitems(t); i++) {
		if (on_http(p, t[i].method, t[i].url) != t[i].want)
			fprintf(stderr, "# %s %s\n", t[i].method, t[i].url);
		assert_int_equal(last.effect, t[i].want);
	}
	policy_free(p);
}

static void
an_encoded_slash_gets_what_both_its_readings_get(void **state)
{
	struct policy *p = P("allow http GET https://r.example/npm/**;"
			     "allow http GET https://r.example/one/*;"
			     "allow http GET https://r.example/@corp*;"
			     "allow http * https://r.example/up/** except "
			     "https://r.example/up/x/**;"
			     "ask http GET https://r.example/npm/ask/**;"
			     "deny http * https://r.example/npm/no/**;");
	static const struct {
		const char *path;
		enum effect want;
	} t[] = {
		{ "/npm/@corp%2fwidget", EFFECT_ALLOW },
		{ "/npm/@corp%2Fwidget%2fx?y=%2f", EFFECT_ALLOW },
		{ "/npm/no%2Fwidget", EFFECT_DENY },
		{ "/npm%2Fno/widget", EFFECT_DENY },
		{ "/npm%2Fok", EFFECT_DENY },
		{ "/npm/ask%2fx", EFFECT_ASK },
		{ "/one/a%2fb", EFFECT_DENY },
		{ "/one/a%252fb", EFFECT_DENY },
		{ "/npm/a%252fb", EFFECT_ALLOW },
		{ "/@corp%2Fwidget", EFFECT_DENY },
		{ "/up/x%2Fy", EFFECT_DENY },
		{ "/up/y%2Fx", EFFECT_ALLOW },
		{ "/npm/a%2F..%2Fno%2Fb", EFFECT_DENY },
		{ "/npm/a%2F%2e%2e/no/b", EFFECT_DENY },
		{ "/npm/a%2F/b", EFFECT_DENY },
		{ "/npm/%2Fa", EFFECT_DENY },
		{ "/npm/..;%2Fa", EFFECT_DENY },
		{ "/npm/a%5cb%2Fc", EFFECT_DENY },
		{ "/npm/a%2Fb%00", EFFECT_DENY },
		{ "%2Fnpm/a", EFFECT_DENY },
	};
	char url[64];
	size_t i;

	for (i = 0; i < nitems(t); i++) {
		(void)snprintf(
		    url, sizeof(url), "https://r.example%s", t[i].path);
		if (on_http(p, "GET", url) != t[i].want)
			fprintf(stderr, "# %s\n", url);
		assert_int_equal(last.effect, t[i].want);
	}
	assert_int_equal(on_http(p, "GET", "https://r.example/npm/no%2Fwidget"),
	    EFFECT_DENY);
	assert_int_equal(last.by, BY_RULE);
	policy_free(p);
}

static void
the_strictest_reading_of_a_path_decides(void **state)
{
	struct policy *p = P("allow http GET https://r.example/**;"
			     "ask http GET https://r.example/ask/**;"
			     "deny http * https://r.example/no/**;"
			     "allow http GET https://s.example/*/ok;");
	static const struct {
		const char *url;
		enum effect want;
	} t[] = {
		/* What follows ";" is not looked at by Java's servers. */
		{ "r.example/no;x/y", EFFECT_DENY },
		{ "r.example/no;x", EFFECT_DENY },
		{ "r.example/no;/y", EFFECT_DENY },
		{ "r.example/%6eo;a=b;c/y", EFFECT_DENY },
		{ "r.example/ask;x/y", EFFECT_ASK },
		{ "r.example/yes;no/x;y/z", EFFECT_ALLOW },
		{ "r.example/yes?a;b/no/c", EFFECT_ALLOW },
		{ "r.example/a/;x", EFFECT_ALLOW },
		{ "r.example/a/;x/b", EFFECT_DENY },
		{ "r.example/;x/no/b", EFFECT_DENY },
		{ "s.example/a;x/ok", EFFECT_ALLOW },
		{ "s.example/a/ok;x", EFFECT_DENY },
		/* Some decode what has been decoded. */
		{ "r.example/%256eo/y", EFFECT_DENY },
		{ "r.example/%25%36eo/y", EFFECT_DENY },
		{ "r.example/%256%65o/y", EFFECT_DENY },
		{ "r.example/a/%252e%252e/no/y", EFFECT_DENY },
		{ "r.example/a/%252E./no/y", EFFECT_DENY },
		{ "r.example/a%252f..%252fno", EFFECT_DENY },
		{ "r.example/no%252fy", EFFECT_DENY },
		{ "r.example/no%2fy;x", EFFECT_DENY },
		{ "r.example/no;x%2fy", EFFECT_DENY },
		{ "r.example/no;x%252fy", EFFECT_DENY },
		{ "r.example/a%255cno", EFFECT_DENY },
		{ "r.example/a%2500", EFFECT_DENY },
		{ "r.example/100%25", EFFECT_ALLOW },
		{ "r.example/100%25x/%2541%25", EFFECT_ALLOW },
	};
	char url[64];

	for (size_t i = 0; i < nitems(t); i++) {
		(void)snprintf(url, sizeof(url), "https://%s", t[i].url);
		if (on_http(p, "GET", url) != t[i].want)
			fprintf(stderr, "# %s\n", url);
		assert_int_equal(last.effect, t[i].want);
	}
	policy_free(p);
}

static void
every_host_is_every_name_not_every_address(void **state)
{
	struct policy *p = P("allow http GET https://**"
			     " except https://{*.internal,**.corp.example}/**;"
			     "deny http POST https://**; default http ask;");

	assert_int_equal(
	    on_http(p, "GET", "https://example.org/"), EFFECT_ALLOW);
	assert_int_equal(on_http(p, "GET", "https://a.internal/"), EFFECT_ASK);
	assert_int_equal(on_http(p, "GET", "https://1.2.3.4/"), EFFECT_ASK);
	assert_int_equal(on_http(p, "GET", "https://[2606::1]/"), EFFECT_ASK);
	/* A refusal of every host is one of addresses, too. */
	assert_int_equal(on_http(p, "POST", "https://1.2.3.4/"), EFFECT_DENY);
	policy_free(p);
}

static void
wide_hosts_are_refused_where_they_permit(void **state)
{
	static const char *const bad[] = { "allow http GET https://*/**;",
		"allow http GET https://*.com/**;",
		"allow http GET https://**.com/**;",
		"ask http GET https://*.com/**;",
		"deny http GET https://** except https://*.com/**;",
		"allow http GET https://a*.example.com/**;",
		"allow http GET https://a.**.example.com/**;",
		"allow http GET https://a.*.com/**;",
		"allow http GET https://1.2.3/**;",
		"allow http GET https://u@example.com/**;",
		"allow http GET https://example.com:*/**;",
		"allow http GET https://example.com/../**;",
		"allow http GET https://example.com/a?b;",
		"allow http GET example.com/**;",
		"allow http https://example.com/**;" };
	size_t i;

	for (i = 0; i < nitems(bad); i++)
		(void)first_mistake(bad[i]);
	policy_free(P("deny http * https://*.com/**;"));
	policy_free(P("allow http GET https://** except https://*.com/**;"));
}

static void
private_addresses_need_a_rule_and_global_ones_none(void **state)
{
	struct policy *p = P("allow net {10.1.0.0/16,192.168.7.7:5432};"
			     "allow net fd12::/16; allow net 127.0.0.1:8080;"
			     "allow net [::1]:9; deny net 8.8.8.0/24;"
			     "allow net 169.254.169.254:80;"
			     "allow net 100.64.0.0/10;"
			     "deny net 10.1.9.9;");
	static const struct {
		const char *addr;
		enum effect want;
	} t[] = {
		{ "93.184.216.34:443", EFFECT_ALLOW },
		{ "[2606:2800::1]:443", EFFECT_ALLOW },
		{ "8.8.8.8:53", EFFECT_DENY },
		{ "10.1.2.3:22", EFFECT_ALLOW },
		{ "10.1.9.9:22", EFFECT_DENY },
		{ "10.2.2.3:22", EFFECT_DENY },
		{ "[::ffff:10.1.2.3]:22", EFFECT_ALLOW },
		{ "[::ffff:10.2.2.3]:22", EFFECT_DENY },
		{ "[::ffff:127.0.0.1]:22", EFFECT_DENY },
		{ "[64:ff9b::10.1.2.3]:22", EFFECT_DENY },
		{ "[64:ff9b::1.1.1.1]:22", EFFECT_ALLOW },
		{ "192.168.7.7:5432", EFFECT_ALLOW },
		{ "192.168.7.7:5433", EFFECT_DENY },
		{ "127.0.0.1:8080", EFFECT_ALLOW },
		{ "127.0.0.1:8081", EFFECT_DENY },
		{ "127.0.0.2:8080", EFFECT_DENY },
		{ "[::1]:9", EFFECT_ALLOW },
		{ "[::1]:10", EFFECT_DENY },
		{ "[::]:9", EFFECT_DENY },
		{ "0.0.0.0:80", EFFECT_DENY },
		{ "169.254.169.254:80", EFFECT_ALLOW },
		{ "169.254.169.253:80", EFFECT_DENY },
		{ "[fd12::1]:1", EFFECT_ALLOW },
		{ "[fd13::1]:1", EFFECT_DENY },
		{ "[fd00:ec2::254]:80", EFFECT_DENY },
		{ "[fe80::1]:80", EFFECT_DENY },
		{ "[2002:7f00:1::]:80", EFFECT_DENY },
		{ "[2001::1]:80", EFFECT_DENY },
		{ "100.64.0.1:80", EFFECT_ALLOW },
		/* In the range, but a metadata service: by itself only. */
		{ "100.100.100.200:80", EFFECT_DENY },
		{ "168.63.129.16:80", EFFECT_DENY },
		{ "224.0.0.1:80", EFFECT_DENY },
		{ "255.255.255.255:80", EFFECT_DENY },
		{ "10.1.2.3", EFFECT_DENY },
		{ "10.1.2.3:0", EFFECT_DENY },
		{ "012.1.2.3:80", EFFECT_DENY },
	};
	size_t i;

	for (i = 0; i < nitems(t); i++) {
		if (on_net(p, t[i].addr) != t[i].want)
			fprintf(stderr, "# %s\n", t[i].addr);
		assert_int_equal(last.effect, t[i].want);
	}
	policy_free(p);
}

static void
net_rules_that_permit_too_much_are_refused(void **state)
{
	static const char *const bad[] = { "allow net 127.0.0.1;",
		"allow net 127.0.0.0/8;", "allow net 127.0.0.0/8:80;",
		"allow net 169.254.0.0/16;", "allow net 169.254.169.254;",
		"allow net ::1;", "allow net [::1]/64:80;",
		"allow net fe80::/10;", "allow net fd00:ec2::254;",
		"allow net 0.0.0.0/0;", "allow net ::/0;", "allow net 8.8.8.8;",
		"allow net 8.8.8.0/24:53;", "allow net 8.8.8.8:443;",
		"allow net db.example.com;", "allow net db.example.com:443;",
		"allow net *.com:22;", "allow net db.example.com:0;",
		"allow net db..example.com:5432;", "allow net 0.0.0.0:80;",
		"allow net 224.0.0.0/4;", "allow net 10.0.0.1/8;",
		"allow net 10.0.0.0/33;", "allow net 10.0.0.0:0;",
		"allow net 10.0.0.0:65536;", "allow net 10.0.0;",
		"allow net localhost:80;", "allow net ::ffff:10.0.0.1;",
		"ask net 10.0.0.1;", "default net allow;", "allow net *;" };
	size_t i;

	for (i = 0; i < nitems(bad); i++)
		(void)first_mistake(bad[i]);
	policy_free(P("deny net 0.0.0.0/0; deny net ::/0;"));
}

static void
connections_by_name_need_a_rule_with_the_port(void **state)
{
	struct policy *p =
	    P("allow net {db,cache}.example.com:5432; allow net 10.1.0.0/16;"
	      "allow net *.git.example.com:22 except evil.git.example.com:22;"
	      "ask net asked.example.com:25; deny net **.bad.example.com;"
	      "allow net **.bad.example.com:5432;");
	static const struct {
		const char *to;
		enum effect want;
	} t[] = {
		{ "db.example.com:5432", EFFECT_ALLOW },
		{ "DB.Example.COM.:5432", EFFECT_ALLOW },
		{ "cache.example.com:5432", EFFECT_ALLOW },
		{ "db.example.com:5433", EFFECT_DENY },
		{ "db.example.com:80", EFFECT_DENY },
		{ "db.example.com:443", EFFECT_DENY },
		{ "db.example.com", EFFECT_DENY },
		{ "xdb.example.com:5432", EFFECT_DENY },
		{ "db.example.com.evil.org:5432", EFFECT_DENY },
		{ "a.git.example.com:22", EFFECT_ALLOW },
		{ "evil.git.example.com:22", EFFECT_DENY },
		{ "b.a.git.example.com:22", EFFECT_DENY },
		{ "git.example.com:22", EFFECT_DENY },
		{ "asked.example.com:25", EFFECT_ASK },
		{ "x.bad.example.com:5432", EFFECT_DENY },
	};
	size_t i;

	for (i = 0; i < nitems(t); i++) {
		if (on_net(p, t[i].to) != t[i].want)
			fprintf(stderr, "# %s\n", t[i].to);
		assert_int_equal(last.effect, t[i].want);
	}
	policy_free(p);
}

static enum effect
raw(const struct policy *p, const char *host, uint16_t port)
{
	policy_raw(p, policy_profile(p, "p"), host, port, &last);
	return last.effect;
}

static void
connections_to_an_address_never_get_around_http_rules(void **state)
{
	struct policy *p = P("allow net {10.1.0.0/16:5432,10.2.0.0/16};"
			     "allow net {10.3.0.1:8443,127.0.0.1:6000};"
			     "allow net {8.8.4.4:22,[fd12::/16]:5432};"
			     "deny net 10.1.9.9;"
			     "allow http GET https://api.example.com:8443/**;");

	assert_int_equal(raw(p, "10.1.2.3", 5432), EFFECT_ALLOW);
	assert_int_equal(raw(p, "fd12::5", 5432), EFFECT_ALLOW);
	assert_int_equal(raw(p, "8.8.4.4", 22), EFFECT_ALLOW);
	assert_int_equal(raw(p, "127.0.0.1", 6000), EFFECT_ALLOW);
	/* Global or not: what no rule names. */
	assert_int_equal(raw(p, "8.8.8.8", 22), EFFECT_DENY);
	assert_int_equal(raw(p, "8.8.4.4", 23), EFFECT_DENY);
	assert_int_equal(raw(p, "10.1.2.3", 5433), EFFECT_DENY);
	assert_int_equal(raw(p, "127.0.0.2", 6000), EFFECT_DENY);
	assert_int_equal(raw(p, "10.1.9.9", 5432), EFFECT_DENY);
	/* A rule without a port says what names may lead to. */
	assert_int_equal(raw(p, "10.2.0.1", 5432), EFFECT_DENY);
	/* HTTP is spoken there. */
	assert_int_equal(raw(p, "10.3.0.1", 8443), EFFECT_DENY);
	assert_int_equal(raw(p, "10.1.2.3", 443), EFFECT_DENY);
	assert_int_equal(raw(p, "0.0.0.0", 5432), EFFECT_DENY);
	assert_int_equal(raw(p, "0x7f.1", 6000), EFFECT_DENY);
	policy_free(p);
}

static void
http_reaches_what_one_of_its_rules_is_for(void **state)
{
	struct policy *p =
	    P("allow http GET https://{a,*.b}.example.com:8443/x;"
	      "deny http * https://c.example.com:8443/**;");
	const struct profile *pr = policy_profile(p, "p");

	assert_true(policy_http_reaches(pr, "a.example.com", 8443));
	assert_true(policy_http_reaches(pr, "x.b.example.com", 8443));
	assert_false(policy_http_reaches(pr, "a.example.com", 443));
	assert_false(policy_http_reaches(pr, "c.example.com", 8443));
	policy_free(p);
	p = P("default http ask;");
	assert_true(policy_http_reaches(policy_profile(p, "p"), "z", 1));
	policy_free(p);
}

/* ---- a property -----------------------------------------------------------
 */

/* xorshift: the same cases on every machine. */
static unsigned int
next(unsigned int *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

static const char *const pool[] = {
	"exec {ls,cat} ...",
	"exec ls -a",
	"exec rm ... with arg {-f,--force}",
	"exec rm ... without arg -i",
	"exec git {push,log} ...",
	"exec git ... except git log ...",
	"exec workspace/** ...",
	"exec sh ...",
	"exec busybox ...",
	"read /usr/**",
	"read workspace/**",
	"read workspace/*/x",
	"write workspace/**",
	"write /usr/a",
	"http GET https://a.example.org/**",
	"http * https://**",
	("http {GET,POST} https://*.example.org/x"
	 " except https://b.example.org/**"),
	"http GET https://a.example.org/**/y",
	"net 10.0.0.0/8",
	"net 10.1.1.1:80",
	"net 127.0.0.1:80",
	"net a.example.org:22",
	"net *.example.org:22 except b.example.org:22",
};

static void
decide_all(const struct policy *p, enum effect out[15])
{
	size_t n = 0;

	out[n++] = on_exec(p, "ls", "-a", NULL);
	out[n++] = on_exec(p, "rm", "-if", "x", NULL);
	out[n++] = on_exec(p, "git", "-C", "x", "push", NULL);
	out[n++] = on_exec(p, "git", "-c", "a=b", "log", NULL);
	out[n++] = on_exec(p, "busybox", "rm", "x", NULL);
	out[n++] = on_exec(p, "workspace/a", NULL);
	out[n++] = on_path(p, POLICY_READ, "workspace/a/x");
	out[n++] = on_path(p, POLICY_WRITE, "/usr/a");
	out[n++] = on_http(p, "GET", "https://a.example.org/x");
	out[n++] = on_http(p, "POST", "https://b.example.org/x");
	out[n++] = on_http(p, "GET", "https://a.example.org/x/y");
	out[n++] = on_net(p, "10.1.1.1:80");
	out[n++] = on_net(p, "127.0.0.1:80");
	out[n++] = on_net(p, "8.8.8.8:80");
	out[n++] = on_net(p, "a.example.org:22");
}

static void
adding_a_deny_never_allows_more(void **state)
{
	unsigned int seed = 20240229;
	enum effect before[15], after[15];
	struct policy *p;
	size_t round, k, rules;
	struct buf b;
	char *text;

	for (round = 0; round < ROUNDS; round++) {
		buf_init(&b, 0);
		buf_printf(&b, "default exec %s; default http %s;",
		    effect_name(next(&seed) % 3), effect_name(next(&seed) % 3));
		rules = next(&seed) % 8;
		for (k = 0; k < rules; k++) {
			const char *r = pool[next(&seed) % nitems(pool)];
			bool can_ask = r[0] == 'e' || r[0] == 'h';

			buf_printf(&b, "%s %s;",
			    effect_name(next(&seed) % 3 == 0 && can_ask
					    ? EFFECT_ASK
					    : EFFECT_ALLOW),
			    r);
		}
		text = xasprintf("profile p { %.*s }", (int)buf_len(&b),
		    (char *)buf_head(&b));
		p = must_load(text);
		decide_all(p, before);
		policy_free(p);
		free(text);
		text =
		    xasprintf("profile p { %.*s deny %s; }", (int)buf_len(&b),
			(char *)buf_head(&b), pool[next(&seed) % nitems(pool)]);
		p = must_load(text);
		decide_all(p, after);
		policy_free(p);
		for (k = 0; k < 15; k++) {
			if (after[k] > before[k])
				fprintf(stderr, "# request %zu: %s\n", k, text);
			assert_true(after[k] <= before[k]);
		}
		free(text);
		buf_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_patterns_go_by_segment),
		cmocka_unit_test(paths_of_two_readings_are_denied),
		cmocka_unit_test(path_rules_reach_the_jail_without_braces),
		cmocka_unit_test(host_names_have_one_form),
		cmocka_unit_test(url_paths_have_one_reading),
		cmocka_unit_test(urls_split_into_parts_or_not_at_all),
		cmocka_unit_test(http_rules_match_method_host_port_and_path),
		cmocka_unit_test(
		    an_encoded_slash_gets_what_both_its_readings_get),
		cmocka_unit_test(the_strictest_reading_of_a_path_decides),
		cmocka_unit_test(every_host_is_every_name_not_every_address),
		cmocka_unit_test(wide_hosts_are_refused_where_they_permit),
		cmocka_unit_test(
		    private_addresses_need_a_rule_and_global_ones_none),
		cmocka_unit_test(net_rules_that_permit_too_much_are_refused),
		cmocka_unit_test(connections_by_name_need_a_rule_with_the_port),
		cmocka_unit_test(
		    connections_to_an_address_never_get_around_http_rules),
		cmocka_unit_test(http_reaches_what_one_of_its_rules_is_for),
		cmocka_unit_test(adding_a_deny_never_allows_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

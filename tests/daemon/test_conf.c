/* brigd.conf: what is accepted, and where mistakes are reported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "daemon/conf.h"

static struct conf conf;
static char diag_text[8192];

static int
parse(const char *text)
{
	struct buf diag;
	int rc;

	conf_free(&conf);
	conf_init(&conf);
	buf_init(&diag, 0);
	rc = conf_parse(&conf, "brigd.conf", text, strlen(text), &diag);
	snprintf(diag_text, sizeof(diag_text), "%.*s", (int)buf_len(&diag),
	    buf_len(&diag) == 0 ? "" : (const char *)buf_head(&diag));
	buf_free(&diag);
	return rc;
}

static void
refused(const char *text, const char *diag)
{
	assert_int_equal(parse(text), -1);
	assert_string_equal(diag_text, diag);
}

static void
empty_file_gives_the_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 0);
	assert_string_equal(conf.socket, "/run/brig/brigd.sock");
	assert_int_equal(conf.job_uid_base, 1879100000);
	assert_int_equal(conf.policy.n, 1);
	assert_string_equal(conf.user[ROLE_KEYD].name, "_brigkey");
	assert_string_equal(conf.default_profile, "default");
}

static void
comments_blank_lines_and_tabs_are_skipped(void **state)
{
	(void)state;
	assert_int_equal(parse("# one\n\n\tmax-jobs\t7 # two\n"), 0);
	assert_int_equal(conf.max_jobs, 7);
}

static void
unknown_directive_is_placed(void **state)
{
	(void)state;
	refused("max-jobs 1\n  sokcet /x\n",
	    "brigd.conf:2:3: expected a directive, found \"sokcet\"\n");
}

static void
bad_value_is_placed_at_the_word(void **state)
{
	(void)state;
	refused("max-jobs  0\n", "brigd.conf:1:11: expected a number from 1 "
				 "to 1024, found \"0\"\n");
	refused("socket run/x\n", "brigd.conf:1:8: expected an absolute path, "
				  "found \"run/x\"\n");
	refused("log-level loud\n", "brigd.conf:1:11: expected one of warn "
				    "info debug, found \"loud\"\n");
}

static void
every_mistake_is_reported(void **state)
{
	(void)state;
	refused("max-jobs\nsocket-mode 9\n",
	    "brigd.conf:1:1: usage: max-jobs N\n"
	    "brigd.conf:2:13: expected an octal mode such as 0660, found "
	    "\"9\"\n");
}

static void
directive_given_twice_is_refused(void **state)
{
	(void)state;
	refused("max-jobs 1\nmax-jobs 2\n",
	    "brigd.conf:2:1: \"max-jobs\" is given twice\n");
	assert_int_equal(parse("policy /a\npolicy /b\n"), 0);
	assert_int_equal(conf.policy.n, 2);
}

static void
control_bytes_are_refused(void **state)
{
	(void)state;
	refused("socket /a\x1b[2J\n",
	    "brigd.conf:1:10: byte 0x1b is not allowed\n");
}

static void
role_must_not_be_root(void **state)
{
	(void)state;
	assert_int_equal(parse("user keyd 0\n"), -1);
	assert_int_equal(parse("user keyd 5:0\n"), -1);
	assert_int_equal(parse("user shim 5\n"), -1);
	assert_int_equal(parse("user keyd 5:6\n"), 0);
	assert_int_equal(conf.user[ROLE_KEYD].uid, 5);
	assert_int_equal(conf.user[ROLE_KEYD].gid, 6);
}

static void
job_uids_stay_in_range(void **state)
{
	(void)state;
	assert_int_equal(parse("job-uids 0 10\n"), -1);
	assert_int_equal(parse("job-uids 4294967290 10\n"), -1);
	assert_int_equal(parse("job-uids 100000 65536\n"), 0);
}

static void
job_uids_may_come_from_subuid(void **state)
{
	uint32_t base, count;
	char name[8];

	(void)state;
	assert_int_equal(parse("job-uids subuid brig\n"), 0);
	assert_string_equal(conf.job_subuid, "brig");
	assert_int_equal(
	    conf_subuid_line("brig:100000:65536", name, 8, &base, &count), 1);
	assert_string_equal(name, "brig");
	assert_int_equal(base, 100000);
	assert_int_equal(count, 65536);
	assert_int_equal(
	    conf_subuid_line("brig:4294967290:10", name, 8, &base, &count), 0);
	assert_int_equal(
	    conf_subuid_line("brig:1:0", name, 8, &base, &count), 0);
	assert_int_equal(
	    conf_subuid_line("toolongs:1:2", name, 8, &base, &count), 0);
	assert_int_equal(conf_subuid_line(":1:2", name, 8, &base, &count), 0);
	assert_int_equal(conf_subuid_line("a:1", name, 8, &base, &count), 0);
	assert_int_equal(conf_subuid_line("", name, 8, &base, &count), 0);
}

static void
job_uids_are_as_many_as_jobs_and_nobody_elses(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(parse("job-uids 1879100000 10\n"), 0);
	assert_int_equal(conf_resolve_uids(&conf, &err), 0);
	assert_int_equal(conf.max_jobs, 10);
	assert_int_equal(parse("job-uids 1879100000 10\nmax-jobs 11\n"), 0);
	assert_int_equal(conf_resolve_uids(&conf, &err), -1);
	assert_non_null(strstr(err.msg, "too few for max-jobs 11"));
	/* Debian gives 65534 to nobody and nogroup. */
	assert_int_equal(parse("job-uids 65000 1000\n"), 0);
	assert_int_equal(conf_resolve_uids(&conf, &err), -1);
	assert_non_null(strstr(err.msg, "lies in the job-uids"));
	assert_int_equal(parse("job-uids subuid no-such-name\n"), 0);
	assert_int_equal(conf_resolve_uids(&conf, &err), -1);
	assert_non_null(strstr(err.msg, "/etc/subuid"));
}

static void
cgroups_are_one_of_four(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 0);
	assert_int_equal(conf.cgroups, CONF_CGROUPS_AUTO);
	assert_int_equal(parse("cgroups required\ncgroup-parent /a/b\n"), 0);
	assert_int_equal(conf.cgroups, CONF_CGROUPS_REQUIRED);
	assert_string_equal(conf.cgroup_parent, "/a/b");
	assert_int_equal(parse("cgroups on\n"), -1);
	assert_int_equal(parse("cgroup-parent a\n"), -1);
	assert_int_equal(parse("cgroup-parent /a/../b\n"), -1);
}

static void
static_names_are_checked(void **state)
{
	(void)state;
	assert_int_equal(parse("resolve API.Example 127.0.0.1,::1\n"), 0);
	assert_string_equal(conf.resolve.v[0], "api.example 127.0.0.1,::1");
	assert_int_equal(parse("resolve a_b 127.0.0.1\n"), -1);
	assert_int_equal(parse("resolve a.b 127.1\n"), -1);
	assert_int_equal(parse("resolve a.b 127.0.0.1,\n"), -1);
}

#define SIX                                                                    \
	"user control 7001\nuser keyd 7002\nuser audit 7003\nuser dns 7004\n"  \
	"user front 7005\nuser back 7006\nadmin-group 0\n"

static void
roles_must_not_share_a_user(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(parse(SIX), 0);
	assert_int_equal(conf_resolve(&conf, &err), 0);
	assert_int_equal(parse(SIX "user back 7002\n"), 0);
	assert_int_equal(conf_resolve(&conf, &err), -1);
	assert_non_null(strstr(err.msg, "must not run as the same user"));
}

static void
roles_must_not_be_job_users(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(parse(SIX "job-uids 7000 10\n"), 0);
	assert_int_equal(conf_resolve(&conf, &err), -1);
	assert_non_null(strstr(err.msg, "job-uids range"));
}

static void
missing_account_says_what_to_do(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(parse(SIX "user keyd _no_such_account_\n"), 0);
	assert_int_equal(conf_resolve(&conf, &err), -1);
	assert_non_null(strstr(err.msg, "systemd-sysusers"));
}

static void
authorities_can_be_for_one_host(void **state)
{
	(void)state;
	assert_int_equal(parse("extra-ca /a.pem\nextra-ca B.Example /b.pem\n"
			       "extra-ca FD00:0:0::1 /c.pem\n"),
	    0);
	assert_int_equal(conf.extra_ca.n, 1);
	assert_string_equal(conf.extra_ca.v[0], "/a.pem");
	assert_int_equal(conf.host_ca.n, 2);
	assert_string_equal(conf.host_ca.v[0], "b.example /b.pem");
	assert_string_equal(conf.host_ca.v[1], "fd00::1 /c.pem");
	assert_int_equal(parse("extra-ca b.example b.pem\n"), -1);
	assert_int_equal(parse("extra-ca b_c /b.pem\n"), -1);
	assert_int_equal(parse("extra-ca *.example /b.pem\n"), -1);
	refused("extra-ca\n", "brigd.conf:1:1: usage: extra-ca [HOST] PATH\n");
	assert_int_equal(parse("extra-ca a /b /c\n"), -1);
	/* Nothing else may be left out. */
	assert_int_equal(parse("resolve a.b\n"), -1);
}

static void
upstream_proxy_is_a_plain_url(void **state)
{
	static const char *const bad[] = { "proxy.example:3128",
		"https://proxy.example:3128", "http://proxy.example",
		"http://proxy.example:0", "http://proxy.example:65536",
		"http://u:p@proxy.example:3128", "http://:3128",
		"http://fd00::1:3128", "http://[fd00::1:3128",
		"http://[proxy.example]:3128", "http://proxy.example:3128/x",
		"http://a_b:3128", "http://[]:1" };
	char line[128];

	(void)state;
	assert_int_equal(parse(""), 0);
	assert_null(conf.upstream_proxy);
	assert_int_equal(
	    parse("upstream-proxy http://Proxy.Example:3128/\n"
		  "upstream-proxy-secret corp\nno-proxy *.Internal.Example\n"
		  "no-proxy 10.0.0.1\nno-proxy git\n"),
	    0);
	assert_string_equal(conf.upstream_proxy, "proxy.example");
	assert_int_equal(conf.upstream_port, 3128);
	assert_string_equal(conf.upstream_secret, "corp");
	assert_int_equal(conf.no_proxy.n, 3);
	assert_string_equal(conf.no_proxy.v[0], "*.internal.example");
	assert_int_equal(parse("upstream-proxy http://[fd00::1]:8080\n"), 0);
	assert_string_equal(conf.upstream_proxy, "fd00::1");
	for (size_t i = 0; i < nitems(bad); i++) {
		snprintf(line, sizeof(line), "upstream-proxy %s\n", bad[i]);
		assert_int_equal(parse(line), -1);
	}
	assert_int_equal(parse("upstream-proxy http://p:1\nno-proxy *\n"), -1);
	assert_int_equal(
	    parse("upstream-proxy http://p:1\nno-proxy *.10.0.0.0/8\n"), -1);
	assert_int_equal(parse("no-proxy a.example\n"), -1);
	assert_int_equal(parse("upstream-proxy-secret corp\n"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_file_gives_the_defaults),
		cmocka_unit_test(comments_blank_lines_and_tabs_are_skipped),
		cmocka_unit_test(unknown_directive_is_placed),
		cmocka_unit_test(bad_value_is_placed_at_the_word),
		cmocka_unit_test(every_mistake_is_reported),
		cmocka_unit_test(directive_given_twice_is_refused),
		cmocka_unit_test(control_bytes_are_refused),
		cmocka_unit_test(role_must_not_be_root),
		cmocka_unit_test(job_uids_stay_in_range),
		cmocka_unit_test(job_uids_may_come_from_subuid),
		cmocka_unit_test(job_uids_are_as_many_as_jobs_and_nobody_elses),
		cmocka_unit_test(cgroups_are_one_of_four),
		cmocka_unit_test(static_names_are_checked),
		cmocka_unit_test(authorities_can_be_for_one_host),
		cmocka_unit_test(upstream_proxy_is_a_plain_url),
		cmocka_unit_test(roles_must_not_share_a_user),
		cmocka_unit_test(roles_must_not_be_job_users),
		cmocka_unit_test(missing_account_says_what_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

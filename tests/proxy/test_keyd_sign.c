/* keyd gives keys of one day, region and service, and never the secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/compat.h"
#include "base/fdutil.h"
#include "proxy/sign_sigv4.h"
#include "tests/proxy/keyd_world.h"

#define SECRET "wJalrReal012/K7MDENG/bPxRfiCYEXAMPLEKEY0"

static void
day_text(int days, char out[16])
{
	time_t t = time(NULL) + (time_t)days * 24 * 60 * 60;
	struct tm tm;

	assert_non_null(gmtime_r(&t, &tm));
	assert_int_equal(strftime(out, 16, "%Y%m%d", &tm), 8);
}

/* Ask for a key; part NULL: it must come, else the reason holds part. */
static void
ask(struct world *w, const struct want *r, const char *date, const char *region,
    const char *service, const char *part)
{
	struct secret *secret = secret_new(SECRET, strlen(SECRET));
	uint8_t key[SIGV4_KEY_SIZE];
	const uint8_t *p;
	char why[512];
	struct buf b;
	bool ok;
	size_t n;

	sigv4_key(secret, date, region, service, key);
	secret_free(secret);
	buf_init(&b, 0);
	buf_put_u32(&b, r->cred);
	buf_put_str(&b, r->method);
	buf_put_str(&b, r->scheme);
	buf_put_str(&b, r->host);
	buf_put_u16(&b, r->port);
	buf_put_str(&b, r->path);
	buf_put_u8(&b, r->asked);
	buf_put_str(&b, date);
	buf_put_str(&b, region);
	buf_put_str(&b, service);
	raw_send(&w->back, M_SIGN_KEY, 7, 21, &b, -1);
	expect_audit(w, part == NULL ? "KY101" : "KY102", true);
	raw_expect(&w->back, M_SIGN_KEY_IS);
	assert_int_equal(w->back.serial, 21);
	ok = cur_bool(&w->back.body);
	p = cur_blob(&w->back.body, P_STUB_MAX, &n);
	cur_str_into(&w->back.body, why, sizeof(why));
	assert_int_equal(cur_end(&w->back.body), 0);
	if (ok != (part == NULL) || (part != NULL && strstr(why, part) == NULL))
		fail_msg("ok %d, why \"%s\"", ok, why);
	assert_int_equal(n, ok ? sizeof(key) : 0);
	if (ok)
		assert_memory_equal(p, key, sizeof(key));
}

/* The job has github, of kind token, and aws; *r asks for aws. */
static void
begin(struct world *w, struct want *r)
{
	struct cred_spec s = { .kind = CRED_SIGV4,
		.nhosts = 1,
		.hosts = { { "api.example", 443 } },
		.user = "AKIAREAL",
		.service = "s3" };
	struct row rows[4];

	world_ready(w);
	send_spec(w, "aws", &s, value_fd(SECRET));
	expect_audit(w, "KY201", true);
	expect_done(w, true, "");
	assert_int_equal(expect_bindings(w, rows, 4), 2);
	assert_string_equal(rows[1].name, "aws");
	assert_int_equal(strlen(rows[1].stub), strlen(SECRET));
	*r = get_api(w);
	r->cred = rows[1].cred;
}

static void
key_is_for_one_day_region_and_service(void **state)
{
	char today[16];
	struct world w;
	struct want r;

	(void)state;
	begin(&w, &r);
	day_text(0, today);
	ask(&w, &r, today, "us-east-1", "s3", NULL);
	ask(&w, &r, today, "eu-west-1", "s3", NULL);
	ask(&w, &r, today, "us-east-1", "iam", "another service");
	ask(&w, &r, today, "us-east-1/s3", "s3", "malformed");
	world_free(&w);
}

static void
key_is_only_for_these_days(void **state)
{
	static const struct {
		int days;
		const char *part;
	} rows[] = { { -7, NULL }, { -1, NULL }, { 1, NULL },
		{ -10, "these days" }, { 3, "these days" },
		{ 400, "these days" } };
	char date[16];
	struct world w;
	struct want r;

	(void)state;
	begin(&w, &r);
	for (size_t i = 0; i < nitems(rows); i++) {
		day_text(rows[i].days, date);
		ask(&w, &r, date, "us-east-1", "s3", rows[i].part);
	}
	ask(&w, &r, "", "us-east-1", "s3", "these days");
	ask(&w, &r, "2026112x", "us-east-1", "s3", "these days");
	world_free(&w);
}

static void
secret_that_signs_is_not_released(void **state)
{
	char today[16];
	struct world w;
	struct want r;

	(void)state;
	begin(&w, &r);
	release(&w, &r, NULL, "never released");
	/* Nor does a token sign. */
	day_text(0, today);
	r.cred = w.cred;
	ask(&w, &r, today, "us-east-1", "s3", "none that AWS");
	release(&w, &r, VALUE, "");
	world_free(&w);
}

static void
keyd_judges_the_request_as_for_a_release(void **state)
{
	char today[16];
	struct world w;
	struct want r, other;

	(void)state;
	begin(&w, &r);
	day_text(0, today);
	other = r;
	other.scheme = "http";
	ask(&w, &other, today, "us-east-1", "s3", "https");
	other = r;
	other.host = "other.example";
	ask(&w, &other, today, "us-east-1", "s3", "another host");
	other = r;
	other.method = "POST";
	ask(&w, &other, today, "us-east-1", "s3", "nobody has allowed");
	other.asked = true;
	ask(&w, &other, today, "us-east-1", "s3", NULL);
	other.method = "DELETE";
	ask(&w, &other, today, "us-east-1", "s3", "denies");
	send_named(&w, M_SECRET_REVOKE, "aws", -1);
	expect_audit(&w, "KY203", true);
	expect_done(&w, true, "");
	raw_expect(&w.back, M_CRED_REVOKED);
	raw_expect(&w.back, M_BINDINGS);
	ask(&w, &r, today, "us-east-1", "s3", "revoked");
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_is_for_one_day_region_and_service),
		cmocka_unit_test(key_is_only_for_these_days),
		cmocka_unit_test(secret_that_signs_is_not_released),
		cmocka_unit_test(keyd_judges_the_request_as_for_a_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

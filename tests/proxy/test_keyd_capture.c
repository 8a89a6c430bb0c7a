/*
 * keyd and the tokens that a job was issued: the test plays parent, control,
 * audit, front and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/proxy/keyd_world.h"

#define TOKEN "gho_RealToken0123456789abcdef"
#define TOKEN2 "gho_NextToken9876543210zyxwvu"
#define ROWS 40
#define CAPTURE_LONG 8000

/* github, with a token endpoint. */
static void
ready(struct world *w, struct row *rows)
{
	struct cred_spec s;

	world_new(w);
	spec_of(&github, &s);
	strlcpy(s.capture.path, "/oauth/token", sizeof(s.capture.path));
	strlcpy(s.capture.names[0], ".access_token", 65);
	strlcpy(s.capture.names[1], ".refresh_token", 65);
	s.capture.n = 2;
	send_spec(w, "github", &s, value_fd(VALUE));
	expect_audit(w, "KY201", true);
	expect_done(w, true, "");
	assert_int_equal(expect_bindings(w, rows, ROWS), 0);
	job_open(w, 7, 'n', "coding");
	raw_expect(&w->parent, M_JOB_STUBS);
	assert_int_equal(expect_bindings(w, rows, ROWS), 1);
	w->cred = rows[0].cred;
}

static void
send_capture(struct world *w, uint32_t parent, const char *member,
    enum token_use use, const char *value)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u32(&b, parent);
	buf_put_str(&b, member);
	buf_put_u8(&b, (uint8_t)use);
	buf_put_str(&b, value);
	raw_send(&w->back, M_CRED_CAPTURE, 7, 31, &b, -1);
}

/* part NULL: it was captured.  Returns the number. */
static uint32_t
expect_captured(struct world *w, const char *part, char stub[256])
{
	char why[512];
	uint32_t id;
	bool ok;

	raw_expect(&w->back, M_CRED_CAPTURED);
	assert_int_equal(w->back.serial, 31);
	ok = cur_bool(&w->back.body);
	id = cur_u32(&w->back.body);
	cur_str_into(&w->back.body, stub, 256);
	cur_str_into(&w->back.body, why, sizeof(why));
	assert_int_equal(cur_end(&w->back.body), 0);
	if (ok != (part == NULL) || (part != NULL && strstr(why, part) == NULL))
		fail_msg("ok %d, why \"%s\"", ok, why);
	return id;
}

/* A new token; rows is what back is told. */
static uint32_t
capture(struct world *w, const char *member, enum token_use use,
    const char *value, char stub[256], struct row *rows, uint32_t *n)
{
	send_capture(w, w->cred, member, use, value);
	expect_audit(w, "KY301", true);
	*n = expect_bindings(w, rows, ROWS);
	return expect_captured(w, NULL, stub);
}

static void
a_token_gets_a_stub_of_its_shape(void **state)
{
	struct world w;
	struct row rows[ROWS];
	struct want r;
	char stub[256];
	uint32_t id, n;

	(void)state;
	ready(&w, rows);
	id = capture(&w, ".access_token", TOKEN_ACCESS, TOKEN, stub, rows, &n);
	assert_int_equal(n, 2);
	assert_int_equal(strlen(stub), strlen(TOKEN));
	assert_memory_equal(stub, "gho_", 4);
	assert_null(strstr(stub, "RealToken"));
	assert_int_equal(rows[1].cred, id);
	assert_string_equal(rows[1].stub, stub);
	assert_string_equal(rows[1].name, "github.access_token");
	assert_true(cred_spec_for(&rows[1].spec, "api.example", 443));
	assert_string_equal(rows[1].spec.header, "Authorization");
	assert_int_equal(rows[1].spec.surfaces, SURFACE_HEADER);
	assert_int_equal(rows[1].spec.capture.n, 0);
	/* And it is released like the one it came from. */
	r = get_api(&w);
	r.cred = id;
	release(&w, &r, TOKEN, "");
	r.host = "other.example";
	release(&w, &r, NULL, "another host");
	world_free(&w);
}

static void
a_refresh_token_may_stand_in_a_body(void **state)
{
	struct world w;
	struct row rows[ROWS];
	char stub[256];
	uint32_t n;

	(void)state;
	ready(&w, rows);
	capture(&w, ".refresh_token", TOKEN_REFRESH, TOKEN, stub, rows, &n);
	assert_int_equal(rows[1].spec.surfaces,
	    SURFACE_HEADER | SURFACE_BODY_FORM | SURFACE_BODY_JSON);
	world_free(&w);
}

static void
the_same_token_gets_the_same_stub(void **state)
{
	struct world w;
	struct row rows[ROWS];
	char stub[256], again[256];
	uint32_t id, n;

	(void)state;
	ready(&w, rows);
	id = capture(&w, ".access_token", TOKEN_ACCESS, TOKEN, stub, rows, &n);
	send_capture(&w, w.cred, ".access_token", TOKEN_ACCESS, TOKEN);
	assert_int_equal(expect_captured(&w, NULL, again), id);
	assert_string_equal(again, stub);
	/* The credential itself, issued once more. */
	send_capture(&w, w.cred, ".access_token", TOKEN_ACCESS, VALUE);
	assert_int_equal(expect_captured(&w, NULL, again), w.cred);
	assert_string_equal(again, rows[0].stub);
	/* A stub that an origin sent back stays what it is. */
	send_capture(&w, w.cred, ".access_token", TOKEN_ACCESS, stub);
	assert_int_equal(expect_captured(&w, NULL, again), 0);
	assert_string_equal(again, stub);
	world_free(&w);
}

static void
what_is_not_declared_is_refused(void **state)
{
	struct world w;
	struct row rows[ROWS];
	char stub[256];
	static const struct {
		const char *member, *value, *why;
	} cases[] = { { ".id_token", TOKEN, "not capture that member" },
		{ "", TOKEN, "not capture that member" },
		{ ".access_token", "short", "too short" },
		{ ".access_token", "----------....", "letters" },
		{ ".access_token", "two words of text", "space" } };

	(void)state;
	ready(&w, rows);
	for (size_t i = 0; i < nitems(cases); i++) {
		send_capture(
		    &w, w.cred, cases[i].member, TOKEN_ACCESS, cases[i].value);
		expect_audit(&w, "KY302", true);
		expect_captured(&w, cases[i].why, stub);
		assert_string_equal(stub, "");
	}
	send_capture(&w, 99, ".access_token", TOKEN_ACCESS, TOKEN);
	expect_audit(&w, "KY302", true);
	expect_captured(&w, "no such credential", stub);
	world_free(&w);
}

static void
another_job_has_nothing_of_it(void **state)
{
	struct world w;
	struct row rows[ROWS];
	char stub[256];
	uint32_t n;

	(void)state;
	ready(&w, rows);
	capture(&w, ".access_token", TOKEN_ACCESS, TOKEN, stub, rows, &n);
	job_open(&w, 8, 'x', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	assert_int_equal(cur_u32(&w.parent.body), 1);
	raw_close(&w.back);
	raw_peer(&w.parent, &w.back, ROLE_BACK, 8);
	assert_int_equal(expect_bindings(&w, rows, ROWS), 1);
	world_free(&w);
}

static void
it_ends_with_its_job(void **state)
{
	struct world w;
	struct row rows[ROWS];
	char stub[256];
	uint32_t n;

	(void)state;
	ready(&w, rows);
	capture(&w, ".access_token", TOKEN_ACCESS, TOKEN, stub, rows, &n);
	raw_send(&w.parent, M_JOB_CLOSE, 7, 0, NULL, -1);
	raw_expect(&w.back, M_CRED_REVOKED);
	raw_expect(&w.back, M_CRED_REVOKED);
	assert_int_equal(expect_bindings(&w, rows, ROWS), 0);
	/* Even if a job of that number came again. */
	job_open(&w, 7, 'n', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	assert_int_equal(expect_bindings(&w, rows, ROWS), 1);
	world_free(&w);
}

static void
it_ends_with_the_credential(void **state)
{
	struct world w;
	struct row rows[ROWS];
	struct want r;
	char stub[256];
	uint32_t id, n;

	(void)state;
	ready(&w, rows);
	id = capture(&w, ".access_token", TOKEN_ACCESS, TOKEN, stub, rows, &n);
	send_named(&w, M_SECRET_REVOKE, "github", -1);
	raw_expect(&w.back, M_CRED_REVOKED);
	assert_int_equal(cur_u32(&w.back.body), id);
	raw_expect(&w.back, M_CRED_REVOKED);
	assert_int_equal(expect_bindings(&w, rows, ROWS), 1);
	expect_audit(&w, "KY203", true);
	expect_done(&w, true, "");
	r = get_api(&w);
	r.cred = id;
	release(&w, &r, NULL, "no such credential");
	send_capture(&w, w.cred, ".access_token", TOKEN_ACCESS, TOKEN2);
	expect_audit(&w, "KY302", true);
	expect_captured(&w, "revoked", stub);
	world_free(&w);
}

static void
a_restart_keeps_it(void **state)
{
	struct world w;
	struct row rows[ROWS];
	struct want r;
	char stub[256];
	uint32_t id, n;

	(void)state;
	ready(&w, rows);
	id = capture(&w, ".access_token", TOKEN_ACCESS, TOKEN, stub, rows, &n);
	world_stop(&w);
	world_start(&w);
	job_open(&w, 7, 'n', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	assert_int_equal(expect_bindings(&w, rows, ROWS), 2);
	assert_string_equal(rows[1].stub, stub);
	r = get_api(&w);
	r.cred = id;
	release(&w, &r, TOKEN, "");
	world_stop(&w);
	/* A job of the same number is not that job. */
	world_start(&w);
	job_open(&w, 7, 'z', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	assert_int_equal(expect_bindings(&w, rows, ROWS), 1);
	world_free(&w);
}

static void
the_oldest_of_its_kind_makes_room(void **state)
{
	struct world w;
	struct row rows[ROWS];
	char stub[256], value[64], refresh[256];
	uint32_t n;

	(void)state;
	ready(&w, rows);
	capture(&w, ".refresh_token", TOKEN_REFRESH, TOKEN, refresh, rows, &n);
	for (int i = 0; i < 12; i++) {
		snprintf(value, sizeof(value), "gho_Access0123456789%02d", i);
		capture(
		    &w, ".access_token", TOKEN_ACCESS, value, stub, rows, &n);
	}
	/* The parent, the refresh token and the last four. */
	assert_int_equal(n, 6);
	assert_string_equal(rows[1].stub, refresh);
	assert_string_equal(rows[5].stub, stub);
	world_free(&w);
}

static void
long_tokens_leave_room_for_each_other(void **state)
{
	struct world w;
	struct row rows[ROWS];
	char value[CAPTURE_LONG + 1], stub[256];
	uint32_t n = 0;

	(void)state;
	ready(&w, rows);
	for (int i = 0; i < 6; i++) {
		memset(value, 'a' + i, CAPTURE_LONG);
		value[CAPTURE_LONG] = '\0';
		send_capture(&w, w.cred,
		    i % 2 == 0 ? ".access_token" : ".refresh_token",
		    i % 2 == 0 ? TOKEN_ACCESS : TOKEN_REFRESH, value);
		expect_audit(&w, "KY301", true);
		raw_expect(&w.back, M_BINDINGS);
		n = cur_u32(&w.back.body);
		raw_expect(&w.back, M_CRED_CAPTURED);
		assert_true(cur_bool(&w.back.body));
	}
	assert_int_equal(n, 4);
	memset(value, 'z', CAPTURE_LONG);
	send_capture(&w, w.cred, ".access_token", TOKEN_ACCESS, "x");
	expect_audit(&w, "KY302", true);
	expect_captured(&w, "too short", stub);
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_gets_a_stub_of_its_shape),
		cmocka_unit_test(a_refresh_token_may_stand_in_a_body),
		cmocka_unit_test(the_same_token_gets_the_same_stub),
		cmocka_unit_test(what_is_not_declared_is_refused),
		cmocka_unit_test(another_job_has_nothing_of_it),
		cmocka_unit_test(it_ends_with_its_job),
		cmocka_unit_test(it_ends_with_the_credential),
		cmocka_unit_test(a_restart_keeps_it),
		cmocka_unit_test(the_oldest_of_its_kind_makes_room),
		cmocka_unit_test(long_tokens_leave_room_for_each_other),
	};

	return cmocka_run_group_tests_name("keyd_capture", tests, NULL, NULL);
}

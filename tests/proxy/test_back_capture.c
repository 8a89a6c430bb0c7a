/*
 * Tokens that a declared token endpoint issues: front gets stubs, or nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compat.h"
#include "base/str.h"
#include "proxy/credspec.h"
#include "tests/proxy/back_world.h"

#define HOST "good.example"
#define TOKEN "gho_TokenTokenToken0123456789"
#define TOKEN2 "gho_OtherOtherOther987654321"

static char stub[64], stub2[64];

static int
reset(void **state)
{
	struct world *w;

	if (world_reset(state) < 0)
		return -1;
	w = *state;
	w->capture = "/reply/token";
	world_bindings(w);
	world_run(w, 30);
	strlcpy(stub, TOKEN, sizeof(stub));
	world_token_stub(stub);
	strlcpy(stub2, TOKEN2, sizeof(stub2));
	world_token_stub(stub2);
	return 0;
}

/* The origin answers with body. */
static void
post(struct world *w, const char *target, const char *body)
{
	world_request(w, "POST", HOST, target, "", (long)strlen(body));
	if (*body != '\0')
		world_body(w, body, strlen(body));
	world_end(w);
	assert_true(world_finish(w));
}

static void
assert_answer(struct world *w, const char *body)
{
	buf_put_u8(&w->a.body, 0);
	if (w->a.ends != 1 || w->a.status != 200)
		fail_msg("status %u: %s %s", w->a.status, w->a.why,
		    buf_head(&w->a.body));
	assert_string_equal((char *)buf_head(&w->a.body), body);
	if (w->a.kind == BODY_LENGTH)
		assert_int_equal(w->a.length, strlen(body));
}

static void
assert_refused(struct world *w, unsigned int status, const char *part)
{
	buf_put_u8(&w->a.body, 0);
	if (w->a.denies != 1 || w->a.heads != 0 || w->a.status != status ||
	    strstr((char *)buf_head(&w->a.body), part) == NULL)
		fail_msg("%u denials, status %u: %s", w->a.denies, w->a.status,
		    buf_head(&w->a.body));
	assert_false(world_saw(w, "Token0123"));
	assert_false(world_logged(w, "Token0123"));
}

static void
tokens_come_as_stubs(void **state)
{
	struct world *w = *state;
	cleanup_free char *want = xasprintf(
	    "{\"access_token\": \"%s\",\"expires_in\":3600,"
	    "\"data\":{\"refresh_token\":\"%s\",\"x\":[\"%s\"]}, \"y\":\"%s\"}",
	    stub, stub2, stub, stub2);

	post(w, "/reply/token",
	    "{\"access_token\": \"" TOKEN "\",\"expires_in\":3600,"
	    "\"data\":{\"refresh_token\":\"" TOKEN2 "\",\"x\":[\"" TOKEN
	    "\"]}, \"y\":\"" TOKEN2 "\"}");
	assert_int_equal(w->captures, 2);
	assert_string_equal(w->member, ".data.refresh_token");
	assert_int_equal(w->use, TOKEN_REFRESH);
	assert_answer(w, want);
	assert_string_equal(fields_get(&w->a.fields, "X-Token", NULL), "kept");
	assert_true(world_logged(w, "HT201 "));
	assert_false(world_logged(w, TOKEN));
}

static void
a_stub_can_be_used_and_its_value_does_not_come_back(void **state)
{
	struct world *w = *state;
	cleanup_free char *auth = xasprintf("Authorization: Bearer %s\n", stub);

	post(w, "/reply/token", "{\"access_token\":\"" TOKEN "\"}");
	world_get(w, HOST, "/leak", auth);
	assert_int_equal(w->a.status, 200);
	assert_true(world_origin_saw(w, "Bearer " TOKEN));
	assert_true(world_saw(w, stub));
	assert_false(world_saw(w, TOKEN));
	/* The same token from elsewhere, to a request that did not use it. */
	post(w, "/reply/other", "[\"" TOKEN "\"]");
	assert_true(world_saw(w, stub));
	assert_false(world_saw(w, TOKEN));
	/* And issued again. */
	post(w, "/reply/token", "{\"access_token\":\"" TOKEN "\"}");
	assert_true(world_saw(w, stub));
	assert_false(world_saw(w, TOKEN));
	assert_int_equal(w->ntokens, 1);
}

static void
a_token_issued_meanwhile_does_not_come_back(void **state)
{
	struct world *w = *state;

	w->late = TOKEN;
	post(w, "/reply/other", "[\"" TOKEN "\"]");
	assert_int_equal(w->a.status, 200);
	assert_int_equal(w->releases, 2);
	assert_true(world_saw(w, stub));
	assert_false(world_saw(w, TOKEN));
}

static void
escapes_are_read_and_not_kept(void **state)
{
	struct world *w = *state;
	cleanup_free char *want =
	    xasprintf("{\"access_token\":\"%s\",\"access\\u005ftoken\":\"%s\"}",
		stub, stub2);

	post(w, "/reply/token",
	    "{\"access_token\":\"gho_\\u0054okenToken\\u0054oken0123456789\","
	    "\"access\\u005ftoken\":\"" TOKEN2 "\"}");
	assert_int_equal(w->captures, 2);
	assert_answer(w, want);
}

static void
any_spelling_of_the_endpoint_is_captured(void **state)
{
	static const char *const targets[] = { "/reply/token?x=1",
		"/reply/token/", "/reply/Token", "/reply/token;a=b" };
	struct world *w = *state;

	for (size_t i = 0; i < nitems(targets); i++) {
		post(w, targets[i], "{\"access_token\":\"" TOKEN "\"}");
		assert_int_equal(w->captures, i + 1);
		assert_false(world_saw(w, TOKEN));
		assert_true(world_saw(w, stub));
	}
}

static void
what_cannot_be_read_is_refused(void **state)
{
	static const struct {
		const char *body, *why;
	} cases[] = { { "access_token=" TOKEN "&scope=x", "not JSON" },
		{ "{\"access_token\":\"" TOKEN "\"", "not JSON" },
		{ "{\"access_token\":\"" TOKEN "\"} x", "not JSON" },
		{ "{'access_token':'" TOKEN "'}", "not JSON" },
		{ "{\"access_token\":[\"" TOKEN "\"]}", "not a string" },
		{ "{\"access_token\":{\"v\":\"" TOKEN "\"}}", "not a string" },
		{ "{\"access_token\":123456789012}", "not a string" },
		{ "{\"access_token\":\"short\"}", "too short" } };
	struct world *w = *state;

	for (size_t i = 0; i < nitems(cases); i++) {
		post(w, "/reply/token", cases[i].body);
		assert_refused(w, 502, cases[i].why);
		assert_int_equal(w->captures, 0);
	}
}

static void
too_many_tokens_are_refused(void **state)
{
	struct world *w = *state;
	cleanup_buf struct buf b = { 0 };

	for (int i = 0; i < 17; i++)
		buf_printf(&b, "%c\"access_token\":\"" TOKEN "%02d\"",
		    i == 0 ? '{' : ',', i);
	buf_put(&b, "}", 2);
	post(w, "/reply/token", (char *)buf_head(&b));
	assert_refused(w, 502, "too many");
	assert_int_equal(w->captures, 0);
}

/* Such a message would end back, or have keyd's end it. */
static void
a_token_too_long_for_a_message_is_refused(void **state)
{
	static const char *const paths[] = { "/token/16385", "/token/65537" };
	struct world *w = *state;

	for (size_t i = 0; i < nitems(paths); i++) {
		w->capture = paths[i];
		world_bindings(w);
		world_run(w, 30);
		world_get(w, HOST, paths[i], "");
		assert_refused(w, 502, "too long");
		assert_int_equal(w->captures, 0);
	}
	w->capture = "/token/16384";
	world_bindings(w);
	world_run(w, 30);
	world_get(w, HOST, w->capture, "");
	assert_int_equal(w->captures, 1);
}

static void
a_long_answer_is_refused(void **state)
{
	struct world *w = *state;

	w->capture = "/bytes/300000";
	world_bindings(w);
	world_run(w, 30);
	world_get(w, HOST, "/bytes/300000", "");
	assert_refused(w, 502, "longer than");
	world_get(w, HOST, "/bytes/30000", "");
	assert_int_equal(w->a.status, 200);
}

static void
an_answer_without_tokens_passes(void **state)
{
	static const char *const bodies[] = { "{\"error\":\"slow_down\"}",
		"{\"access_token\":null}", "{\"access_token\":\"\"}", "[]",
		"{\"other\":{\"access_token\":\"" TOKEN "\"}}", "" };
	struct world *w = *state;

	for (size_t i = 0; i < nitems(bodies); i++) {
		post(w, "/reply/token", bodies[i]);
		assert_answer(w, bodies[i]);
	}
	assert_int_equal(w->captures, 0);
}

static void
other_paths_and_errors_pass_as_they_are(void **state)
{
	struct world *w = *state;

	post(w, "/reply/other", "{\"access_token\":\"" TOKEN "\"}");
	assert_answer(w, "{\"access_token\":\"" TOKEN "\"}");
	w->capture = "/status/400";
	world_bindings(w);
	world_run(w, 30);
	world_get(w, HOST, "/status/400", "");
	assert_int_equal(w->a.status, 400);
	assert_true(world_saw(w, "status 400"));
	assert_int_equal(w->captures, 0);
}

static void
keyd_that_refuses_or_is_gone_means_502(void **state)
{
	struct world *w = *state;

	w->capture_mode = MODE_NO;
	post(w, "/reply/token", "{\"access_token\":\"" TOKEN "\"}");
	assert_refused(w, 502, "the vault is full");
	w->capture_mode = MODE_SILENT;
	world_request(w, "POST", HOST, "/reply/token", "", 49);
	world_body(w, "{\"access_token\":\"" TOKEN "\"}  ", 49);
	world_end(w);
	for (int i = 0; w->captures < 2 && i < 100; i++)
		world_run(w, 20);
	assert_int_equal(w->captures, 2);
	world_disconnect(w, ROLE_KEYD);
	assert_true(world_finish(w));
	assert_refused(w, 503, "went away");
}

static void
a_revoked_credential_lets_no_token_pass(void **state)
{
	struct world *w = *state;

	w->revoked = true;
	w->capture_mode = MODE_NO;
	world_bindings(w);
	world_run(w, 30);
	post(w, "/reply/token", "{\"access_token\":\"" TOKEN "\"}");
	assert_refused(w, 502, "the vault is full");
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup(f, reset)
	const struct CMUnitTest tests[] = {
		CASE(tokens_come_as_stubs),
		CASE(a_stub_can_be_used_and_its_value_does_not_come_back),
		CASE(a_token_issued_meanwhile_does_not_come_back),
		CASE(escapes_are_read_and_not_kept),
		CASE(any_spelling_of_the_endpoint_is_captured),
		CASE(what_cannot_be_read_is_refused),
		CASE(too_many_tokens_are_refused),
		CASE(a_token_too_long_for_a_message_is_refused),
		CASE(a_long_answer_is_refused),
		CASE(an_answer_without_tokens_passes),
		CASE(other_paths_and_errors_pass_as_they_are),
		CASE(keyd_that_refuses_or_is_gone_means_502),
		CASE(a_revoked_credential_lets_no_token_pass),
	};

	return cmocka_run_group_tests_name(
	    "back_capture", tests, world_setup, world_teardown);
}

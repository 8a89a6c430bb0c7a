/* What a back puts into requests, seen at an origin. */
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
#include "tests/proxy/back_world.h"

#define HOST "good.example"
#define JSON "Content-Type: application/json\n"
#define FORM "Content-Type: application/x-www-form-urlencoded\n"

static void
assert_ok(struct world *w)
{
	if (w->a.ends != 1 || w->a.status != 200) {
		buf_put_u8(&w->a.body, 0);
		fail_msg("status %u: %s %s", w->a.status, w->a.why,
		    buf_head(&w->a.body));
	}
}

/* Refused with that status and word, and the origin saw nothing. */
static void
assert_refused(struct world *w, unsigned int status, const char *word)
{
	cleanup_free char *json = xasprintf("{\"error\":\"%s\"", word);

	if (w->a.denies != 1 || w->a.status != status || !world_saw(w, json)) {
		buf_put_u8(&w->a.body, 0);
		fail_msg("%u denials, status %u: %s", w->a.denies, w->a.status,
		    buf_head(&w->a.body));
	}
	assert_false(world_origin_saw(w, "{"));
	assert_false(world_logged(w, REAL));
}

static void
use(struct world *w, const struct cred_spec *spec, const char *real)
{
	w->spec = *spec;
	if (real != NULL)
		w->real = real;
	world_bindings(w);
	world_run(w, 20);
}

/* length < 0: as a stream. */
static void
post(struct world *w, const char *target, const char *fields, const char *body,
    bool stream)
{
	size_t n = strlen(body);

	if (stream) {
		struct req_head h = { .tls = true,
			.sni = (char *)(uintptr_t)HOST,
			.dst = (char *)(uintptr_t)HOST,
			.port = w->port,
			.method = (char *)(uintptr_t) "POST",
			.protocol = (char *)(uintptr_t) "",
			.target = (char *)(uintptr_t)target,
			.kind = BODY_STREAM };
		const char *v = strchr(fields, ':') + 2;

		h.authority = xasprintf("%s:%u", HOST, w->port);
		fields_add(&h.fields, fields, strcspn(fields, ":"), v,
		    strcspn(v, "\n"));
		world_head(w, &h);
		fields_free(&h.fields);
		free(h.authority);
	} else {
		world_request(w, "POST", HOST, target, fields, (long)n);
	}
	for (size_t at = 0; at < n; at += 7)
		world_body(w, body + at, n - at < 7 ? n - at : 7);
	world_end(w);
	assert_true(world_finish(w));
}

static const struct cred_spec in_json = { .surfaces = SURFACE_BODY_JSON };
static const struct cred_spec in_form = { .surfaces = SURFACE_BODY_FORM };
static const struct cred_spec in_query = { .surfaces = SURFACE_QUERY,
	.query = "key" };
static const struct cred_spec in_path = { .surfaces = SURFACE_PATH };

static void
stub_in_a_declared_body_is_swapped_and_comes_back(void **state)
{
	struct world *w = *state;

	for (int stream = 0; stream < 2; stream++) {
		world_reset(state);
		use(w, &in_json, NULL);
		post(w, "/echo", JSON,
		    "{\"token\":\"" STUB "\",\"" STUB "\":1}", stream);
		assert_ok(w);
		assert_true(world_origin_saw(
		    w, "token\\\":\\\"" REAL "\\\",\\\"" STUB));
		assert_false(world_saw(w, REAL));
		assert_true(world_logged(w, "HT201 "));
		assert_true(world_logged(w, "obj.swapped"));
		/* The other one is in a name, and is told of. */
		assert_true(world_logged(w, "SE101 "));
		assert_false(world_logged(w, REAL));
	}
}

static void
value_that_is_released_now_is_the_one_looked_for(void **state)
{
	static const char other[] = "ghp_OTHEROTHEROTHER0123456789ABCDEFGHI";
	struct world *w = *state;

	for (int i = 0; i < 4; i++) {
		w->real = i % 2 == 0 ? REAL : other;
		world_get(w, HOST, "/leak", "Authorization: Bearer " STUB "\n");
		assert_ok(w);
		assert_true(world_saw(w, "raw=" STUB));
		assert_false(world_saw(w, w->real));
		assert_int_equal(w->releases, i + 1);
	}
	assert_true(world_origin_saw(w, REAL));
	assert_true(world_origin_saw(w, other));
}

static void
swapped_body_is_no_leak(void **state)
{
	struct world *w = *state;

	use(w, &in_form, NULL);
	post(w, "/echo", FORM, "a=1&client_secret=" STUB, false);
	assert_ok(w);
	assert_true(world_origin_saw(w, "a=1&client_secret=" REAL));
	assert_false(world_logged(w, "SE101 "));
}

static void
type_that_does_not_agree_is_left_alone(void **state)
{
	static const char *const types[] = { FORM, "Content-Type: text/plain\n",
		"Content-Type: application/json\nContent-Type: "
		"application/json\n",
		"X: y\n" };
	struct world *w = *state;

	for (size_t i = 0; i < nitems(types); i++) {
		world_reset(state);
		use(w, &in_json, NULL);
		post(w, "/echo", types[i], "[\"" STUB "\"]", false);
		assert_ok(w);
		assert_true(world_origin_saw(w, "[\\\"" STUB "\\\"]"));
		assert_true(world_logged(w, "SE101 "));
	}
}

static void
length_is_corrected_when_the_value_is_longer(void **state)
{
	struct world *w = *state;
	char length[64];

	use(w, &in_json, REAL "-and-more");
	post(w, "/echo", JSON, "[\"" STUB "\"]", false);
	assert_ok(w);
	assert_true(world_origin_saw(w, "[\\\"" REAL "-and-more\\\"]"));
	snprintf(length, sizeof(length), "Content-Length: %zu",
	    strlen("[\"" REAL "-and-more\"]"));
	assert_true(world_saw(w, length));
	/* A stream has no length to correct. */
	world_reset(state);
	use(w, &in_json, REAL "-and-more");
	post(w, "/echo", JSON, "[\"" STUB "\"]", true);
	assert_ok(w);
	assert_true(world_origin_saw(w, "[\\\"" REAL "-and-more\\\"]"));
	assert_false(world_saw(w, "Content-Length:"));
}

static void
body_too_large_to_be_held_is_refused_if_its_length_changes(void **state)
{
	struct world *w = *state;
	long size = 1024 * 1024 + 1;

	use(w, &in_json, REAL "-and-more");
	world_request(w, "POST", HOST, "/upload", JSON, size);
	assert_true(world_finish(w));
	assert_refused(w, 413, "limit");
}

static void
large_body_of_equal_length_is_not_held(void **state)
{
	struct world *w = *state;
	static char chunk[16384];
	size_t total = 3 * 1024 * 1024, sent = 0;

	memset(chunk, ' ', sizeof(chunk));
	use(w, &in_json, NULL);
	world_request(w, "POST", HOST, "/upload", JSON, (long)total);
	while (sent < total) {
		if (sent + sizeof(chunk) <= WIRE_WINDOW + w->a.window) {
			memcpy(chunk, sent == 0 ? "[\"" STUB : " \t\n   ", 6);
			world_body(w, chunk, sizeof(chunk));
			sent += sizeof(chunk);
		} else {
			ev_once(w->ev, 100);
		}
	}
	world_end(w);
	assert_true(world_finish(w));
	assert_ok(w);
	assert_true(world_saw(w, "\"bytes\":3145728"));
}

static void
stub_in_a_declared_query_or_path_is_swapped(void **state)
{
	struct world *w = *state;

	use(w, &in_query, NULL);
	world_get(w, HOST, "/echo?a=b&key=" STUB, "");
	assert_ok(w);
	assert_true(world_origin_saw(w, "/echo?a=b&key=" REAL));
	assert_false(world_saw(w, REAL));
	assert_true(world_logged(w, "/echo?a=#&key=#"));
	assert_false(world_logged(w, REAL));
	assert_false(world_logged(w, STUB));
	world_reset(state);
	use(w, &in_path, NULL);
	world_get(w, HOST, "/echo/" STUB "/x", "");
	assert_ok(w);
	assert_true(world_origin_saw(w, "/echo/" REAL "/x"));
	assert_true(world_logged(w, "/echo/{github}/x"));
	assert_false(world_logged(w, REAL));
	assert_false(world_logged(w, STUB));
}

static void
policy_sees_the_stub_in_a_path(void **state)
{
	struct world *w = *state;

	use(w, &in_path, NULL);
	world_get(w, HOST, "/denied/" STUB, "");
	assert_refused(w, 403, "policy_denied");
}

static void
undeclared_query_is_still_a_leak(void **state)
{
	struct world *w = *state;

	use(w, &in_json, NULL);
	world_get(w, HOST, "/echo?key=" STUB, "");
	assert_refused(w, 403, "credential_leak");
	assert_true(world_logged(w, "SE401 "));
}

static void
credential_is_put_in_unasked(void **state)
{
	struct cred_spec spec = { .surfaces = SURFACE_HEADER,
		.header = "Authorization",
		.inject = true,
		.scheme = "Bearer" };
	struct world *w = *state;

	use(w, &spec, NULL);
	world_get(w, HOST, "/echo", "Authorization: Bearer attackers-own\n");
	assert_ok(w);
	assert_true(world_origin_saw(w, "Authorization: Bearer " REAL));
	assert_false(world_origin_saw(w, "attackers-own"));
	assert_false(world_saw(w, REAL));
	assert_true(world_logged(w, "github"));
}

#define T(f) cmocka_unit_test_setup(f, world_reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(stub_in_a_declared_body_is_swapped_and_comes_back),
		T(value_that_is_released_now_is_the_one_looked_for),
		T(swapped_body_is_no_leak),
		T(type_that_does_not_agree_is_left_alone),
		T(length_is_corrected_when_the_value_is_longer),
		T(body_too_large_to_be_held_is_refused_if_its_length_changes),
		T(large_body_of_equal_length_is_not_held),
		T(stub_in_a_declared_query_or_path_is_swapped),
		T(policy_sees_the_stub_in_a_path),
		T(undeclared_query_is_still_a_leak),
		T(credential_is_put_in_unasked),
	};

	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}

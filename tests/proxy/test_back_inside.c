/* The body of a request on its way through a back, seen at an origin. */
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
#include "proxy/codec.h"
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

static void
assert_refused(struct world *w, unsigned int status, const char *word)
{
	cleanup_free char *json = xasprintf("{\"error\":\"%s\"", word);

	if (w->a.denies != 1 || w->a.status != status || !world_saw(w, json)) {
		buf_put_u8(&w->a.body, 0);
		fail_msg("%u denials, status %u: %s", w->a.denies, w->a.status,
		    buf_head(&w->a.body));
	}
}

static void
use(struct world *w, const struct cred_spec *spec)
{
	w->spec = *spec;
	world_bindings(w);
	world_run(w, 20);
}

/* A POST of n bytes in pieces of step. */
static void
post(struct world *w, const char *target, const char *lines, const void *body,
    size_t n, size_t step)
{
	const uint8_t *p = body;

	world_request(w, "POST", HOST, target, lines, (long)n);
	for (size_t at = 0; at < n && w->a.denies == 0; at += step) {
		world_body(w, p + at, n - at < step ? n - at : step);
		if (step < 20)
			world_run(w, 1);
	}
	world_end(w);
	assert_true(world_finish(w));
}

/* n bytes in a coding, into out, which is empty. */
static void
encode(enum coding c, const void *p, size_t n, struct buf *out)
{
	struct codec_memory m = { 0 };
	struct encoder *e = encoder_new(c, &m);
	struct error err = { 0 };

	assert_int_equal(encoder_step(e, p, n, out, &err), 0);
	assert_int_equal(encoder_end(e, out, &err), 0);
	encoder_free(e);
}

/* ---- other methods ------------------------------------------------------- */

static void
method_in_the_query_is_judged_as_well(void **state)
{
	struct world *w = *state;

	world_get(w, HOST, "/echo?a=b&_method=delete", "");
	assert_refused(w, 403, "policy_denied");
	world_get(w, HOST, "/echo?%5Fmethod=PATCH", "");
	assert_refused(w, 403, "policy_denied");
	world_get(w, HOST, "/echo?_method=POST&_method=POST", "");
	assert_refused(w, 403, "policy_denied");
	world_get(w, HOST, "/echo?_method=POST", "X-HTTP-Method: POST\n");
	assert_refused(w, 403, "policy_denied");
	world_get(w, HOST, "/echo?_method=post", "");
	assert_ok(w);
}

static void
method_in_the_body_is_judged_as_well(void **state)
{
	static const struct {
		const char *lines, *body;
	} rows[] = {
		{ FORM, "a=b&_method=DELETE" },
		{ FORM, "a=b&_method=DELETE&c=d" },
		{ FORM, "_method=POST&%5Fmethod=POST" },
		{ "Content-Type: application/json\n",
		    "{\"a\":1,\"_method\":\"DELETE\"}" },
		{ "Content-Type: multipart/form-data; boundary=b\n",
		    "--b\r\nContent-Disposition: form-data; "
		    "name=\"_method\"\r\n\r\nDELETE\r\n--b--\r\n" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < nitems(rows); i++)
		for (size_t step = 1; step < 100; step += 98) {
			world_reset(state);
			post(w, "/echo", rows[i].lines, rows[i].body,
			    strlen(rows[i].body), step);
			assert_int_equal(w->a.status, 403);
			assert_true(world_saw(w, "method_refused"));
			/* No origin takes a body that has no end. */
			assert_false(world_origin_saw(w, rows[i].body));
		}
	world_reset(state);
	post(w, "/echo", FORM, "a=b&_method=POST", 16, 3);
	assert_ok(w);
	assert_true(world_saw(w, "a=b&_method=POST"));
	/* Where it makes no difference it is nobody's business. */
	world_reset(state);
	cleanup_free char *policy = xasprintf("profile t {\n"
					      "default http allow;\n"
					      "allow net 127.0.0.1:%u;\n}\n",
	    w->port);
	world_policy(w, policy);
	post(w, "/echo", FORM, "_method=DELETE", 14, 3);
	assert_ok(w);
}

static void
method_in_a_compressed_body_is_judged_as_well(void **state)
{
	static const char form[] = "a=b&_method=DELETE";
	struct world *w = *state;

	for (enum coding c = CODING_GZIP; c < CODING_MAX; c++) {
		cleanup_buf struct buf body = { 0 }, fine = { 0 };
		cleanup_free char *lines =
		    xasprintf(FORM "Content-Encoding: %s\n", coding_name(c));
		cleanup_free char *bytes = NULL;

		encode(c, form, strlen(form), &body);
		for (size_t step = 1; step < 100; step += 98) {
			world_reset(state);
			post(w, "/echo", lines, buf_head(&body), buf_len(&body),
			    step);
			assert_int_equal(w->a.status, 403);
			assert_true(world_saw(w, "method_refused"));
		}
		/* What may pass is passed on as it came. */
		world_reset(state);
		encode(c, "a=b", 3, &fine);
		post(w, "/upload", lines, buf_head(&fine), buf_len(&fine), 1);
		assert_ok(w);
		assert_true(world_origin_saw(w, coding_name(c)));
		bytes = xasprintf("{\"bytes\":%zu,", buf_len(&fine));
		assert_true(world_saw(w, bytes));
	}
	world_reset(state);
	post(w, "/echo", FORM "Content-Encoding: secret-sauce\n", "a=b", 3, 3);
	assert_refused(w, 415, "encoded_body");
	world_reset(state);
	post(w, "/echo", FORM "Content-Encoding: gzip\n", "no gzip", 7, 7);
	assert_refused(w, 400, "bad_upload");
}

/* ---- compressed bodies with credentials ---------------------------------- */

static const struct cred_spec in_json = { .surfaces = SURFACE_BODY_JSON };
static const struct cred_spec in_form = { .surfaces = SURFACE_BODY_FORM };
static const struct cred_spec in_text = { .surfaces = SURFACE_BODY_TEXT };

static void
credential_goes_into_a_compressed_body(void **state)
{
	static const struct {
		const struct cred_spec *spec;
		const char *type, *body, *want;
	} rows[] = {
		{ &in_json, JSON, "{\"key\":\"" STUB "\"}",
		    "{\\\"key\\\":\\\"" REAL "\\\"}" },
		{ &in_form, FORM, "a=b&key=" STUB, "a=b&key=" REAL },
		{ &in_text, "Content-Type: text/plain\n", "key: " STUB,
		    "key: " REAL },
	};
	struct world *w = *state;

	for (size_t i = 0; i < nitems(rows); i++)
		for (enum coding c = CODING_GZIP; c < CODING_MAX; c++) {
			cleanup_buf struct buf body = { 0 };
			cleanup_free char *lines = xasprintf(
			    "%sContent-Encoding: %s\nContent-MD5: x\n",
			    rows[i].type, coding_name(c));
			cleanup_free char *length = xasprintf(
			    "Content-Length: %zu", strlen(rows[i].body));

			encode(c, rows[i].body, strlen(rows[i].body), &body);
			for (size_t step = 1; step < 100; step += 98) {
				world_reset(state);
				use(w, rows[i].spec);
				post(w, "/echo", lines, buf_head(&body),
				    buf_len(&body), step);
				assert_ok(w);
				assert_true(world_origin_saw(w, rows[i].want));
				assert_true(world_origin_saw(w, length));
				assert_false(
				    world_origin_saw(w, "Content-Encoding"));
				assert_false(
				    world_origin_saw(w, "Content-MD5"));
				/* It may be told after the response. */
				for (int k = 0;
				     k < 100 && !world_logged(w, "obj.swapped");
				     k++)
					world_run(w, 10);
				assert_true(world_logged(w, "obj.swapped"));
				assert_false(world_saw(w, REAL));
			}
		}
}

static void
compressed_body_that_cannot_be_read_is_refused(void **state)
{
	static const char *const codings[] = { "secret-sauce", "gzip, br, gzip",
		"compress" };
	struct world *w = *state;
	cleanup_buf struct buf body = { 0 };

	for (size_t i = 0; i < nitems(codings); i++) {
		cleanup_free char *lines =
		    xasprintf(JSON "Content-Encoding: %s\n", codings[i]);

		world_reset(state);
		use(w, &in_json);
		world_request(w, "POST", HOST, "/echo", lines, 10);
		assert_true(world_finish(w));
		assert_refused(w, 415, "encoded_body");
		assert_false(world_origin_saw(w, "{"));
	}
	/* Broken, and cut off. */
	encode(CODING_GZIP, "{\"a\":1}", 7, &body);
	for (size_t n = 1; n < buf_len(&body); n++) {
		world_reset(state);
		use(w, &in_json);
		post(w, "/echo", JSON "Content-Encoding: gzip\n",
		    buf_head(&body), n, n);
		assert_refused(w, 400, "bad_upload");
		assert_false(world_origin_saw(w, "{"));
	}
	buf_head(&body)[buf_len(&body) - 6] ^= 1;
	world_reset(state);
	use(w, &in_json);
	post(w, "/echo", JSON "Content-Encoding: gzip\n", buf_head(&body),
	    buf_len(&body), buf_len(&body));
	assert_refused(w, 400, "bad_upload");
	/* Another type holds none, and is not looked into. */
	world_reset(state);
	use(w, &in_json);
	post(w, "/echo",
	    "Content-Type: application/octet-stream\n"
	    "Content-Encoding: gzip\n",
	    "0123456789", 10, 10);
	assert_ok(w);
}

/* 100 MiB of blanks in a few bytes: no more than the limit is ever held. */
static void
compressed_body_that_expands_is_refused(void **state)
{
	static const enum coding codings[] = { CODING_GZIP, CODING_BR,
		CODING_ZSTD };
	static char blanks[1024 * 1024];
	struct world *w = *state;

	memset(blanks, ' ', sizeof(blanks));
	for (size_t i = 0; i < nitems(codings); i++) {
		cleanup_buf struct buf body = { 0 };
		cleanup_free char *lines = xasprintf(
		    JSON "Content-Encoding: %s\n", coding_name(codings[i]));
		struct codec_memory m = { 0 };
		struct encoder *e = encoder_new(codings[i], &m);
		struct error err = { 0 };

		for (int k = 0; k < 100; k++)
			assert_int_equal(
			    encoder_step(e, (const uint8_t *)blanks,
				sizeof(blanks), &body, &err),
			    0);
		assert_int_equal(encoder_end(e, &body, &err), 0);
		encoder_free(e);
		world_reset(state);
		use(w, &in_json);
		post(w, "/echo", lines, buf_head(&body),
		    buf_len(&body) < 100000 ? buf_len(&body) : 100000, 16000);
		assert_refused(w, 413, "limit");
		assert_false(world_origin_saw(w, "{"));
	}
}

#define T(f) cmocka_unit_test_setup(f, world_reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(method_in_the_query_is_judged_as_well),
		T(method_in_the_body_is_judged_as_well),
		T(method_in_a_compressed_body_is_judged_as_well),
		T(credential_goes_into_a_compressed_body),
		T(compressed_body_that_cannot_be_read_is_refused),
		T(compressed_body_that_expands_is_refused),
	};

	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}

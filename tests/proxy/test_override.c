/* Where a request asks for another method, as lenient servers read it. */
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
#include "proxy/override.h"

#define FORM "application/x-www-form-urlencoded"
#define PARTS "multipart/form-data; boundary=b"
#define PART "--b\r\nContent-Disposition: form-data; "

/* What a body in pieces of that size says in the end: "-" nothing, "?" that it
 * cannot be told, or the method. */
static char *
ask(const char *type, const char *body, size_t step)
{
	struct override *o = override_new(type);
	enum override_says s = OVERRIDE_GO;
	size_t n = strlen(body);
	char *out;

	if (o == NULL)
		return xstrdup("none");
	for (size_t at = 0; at < n && s != OVERRIDE_UNCLEAR; at += step)
		s = override_feed(o, body + at, n - at < step ? n - at : step);
	if (s != OVERRIDE_UNCLEAR)
		s = override_end(o);
	out = xstrdup(s == OVERRIDE_UNCLEAR        ? "?"
		      : override_method(o) != NULL ? override_method(o)
						   : "-");
	override_free(o);
	return out;
}

struct row {
	const char *type, *body, *want;
};

static void
check(const struct row *r, size_t n)
{
	static const size_t steps[] = { 1, 2, 3, 7, 4096 };

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < nitems(steps); k++) {
			cleanup_free char *got =
			    ask(r[i].type, r[i].body, steps[k]);

			if (strcmp(got, r[i].want) != 0)
				fail_msg("%s in steps of %zu: %s, not %s",
				    r[i].body, steps[k], got, r[i].want);
		}
}

static void
a_parameter_of_a_form_is_found(void **state)
{
	static const struct row r[] = {
		{ FORM, "_method=DELETE", "DELETE" },
		{ FORM, "a=b&_method=delete&c=d", "DELETE" },
		{ FORM "; charset=utf-8", "a=b;_method=put", "PUT" },
		{ FORM, "%5Fmethod=%44ELETE", "DELETE" },
		{ FORM, "_METHOD=x", "X" },
		{ FORM, ".method=x", "X" },
		{ FORM, "+_method=x", "X" },
		{ FORM, "%20%5bmethod=x", "X" },
		{ FORM, "X-HTTP-Method-Override=x", "X" },
		{ FORM, "_HttpMethod=PATCH", "PATCH" },
		{ "Application/X-WWW-Form-Urlencoded", "_method=a", "A" },
		/* Nothing of the kind. */
		{ FORM, "", "-" },
		{ FORM, "_method", "-" },
		{ FORM, "_method=", "-" },
		{ FORM, "method=x&a_method=x&x=_method=y", "-" },
		{ FORM, "_methods=x", "-" },
		/* None that can be judged. */
		{ FORM, "_method=a&_method=a", "?" },
		{ FORM, "_method=a&a=b&%5fmethod=", "A" },
		{ FORM, "_method=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		    "?" },
	};

	(void)state;
	check(r, nitems(r));
}

static void
a_part_of_a_form_is_found(void **state)
{
	static const struct row r[] = {
		{ PARTS, PART "name=\"_method\"\r\n\r\nDELETE\r\n--b--\r\n",
		    "DELETE" },
		{ PARTS,
		    PART "name=\"file\"; filename=\"x\"\r\nContent-Type: "
			 "a/b\r\n\r\nx\r\ny-\r\n--\r\n\r\n" PART
			 "name=_method\r\n\r\nput\r\n--b--",
		    "PUT" },
		{ PARTS, PART "name=\"_\\method\"\n\nput\n--b--", "PUT" },
		{ PARTS, PART "filename=\"x\";name = \"_method\"\r\n\r\nx",
		    "X" },
		{ PARTS, PART "\r\n name=\"_method\"\r\nX: y\r\n\r\nx\r\n",
		    "X" },
		{ PARTS, PART "name*=utf-8''%5Fmethod\r\n\r\nx\r\n", "X" },
		{ PARTS, PART "NAME=_METHOD\r\n\r\nx\r\n", "X" },
		{ PARTS, "\r\n\r\npreamble\r\n" PART "name=_method\r\n\r\nx",
		    "X" },
		{ PARTS, PART "name=a\r\n\r\n_method\r\n--b--", "-" },
		{ PARTS, PART "filename=_method\r\n\r\nx\r\n--b--", "-" },
		{ PARTS, PART "name=a\r\n\r\nname=\"_method\"\r\n\r\nx\r\n",
		    "-" },
		{ PARTS,
		    PART "name=_method\r\n\r\nx\r\n" PART
			 "name=_method\r\n\r\nx\r\n--b--",
		    "?" },
	};
	cleanup_free char *padding = xmalloc(5001);
	cleanup_free char *got = NULL, *body = NULL;

	(void)state;
	check(r, nitems(r));
	/* A line too long to be read, so that nothing of it counts. */
	memset(padding, 'x', 5000);
	padding[5000] = '\0';
	body = xasprintf(PART "x=%s; name=_method\r\n\r\nx\r\n", padding);
	got = ask(PARTS, body, 100);
	assert_string_equal(got, "?");
}

static void
a_member_of_json_is_found(void **state)
{
	static const struct row r[] = {
		{ "application/json", "{\"_method\":\"delete\"}", "DELETE" },
		{ "application/vnd.api+json; x=y",
		    "{\"a\":[1],\"\\u005fmethod\":\"\\u0050UT\"}", "PUT" },
		{ "application/json", "{\"a\":{\"_method\":\"x\"}}", "-" },
		{ "application/json", "[{\"_method\":\"x\"}]", "-" },
		{ "application/json", "{\"x\":{\"http\":{\"method\":\"x\"}}}",
		    "-" },
		{ "application/json", "{\"_method\":1}", "-" },
		{ "application/json", "{\"a\":\"_method\"}", "-" },
		{ "application/json", "{'_method':'x'}", "-" },
		{ "application/json", "{\"_method\":\"a\",\"_method\":\"b\"}",
		    "?" },
	};

	(void)state;
	check(r, nitems(r));
}

static void
other_bodies_hold_none(void **state)
{
	static const struct row r[] = {
		{ NULL, "_method=x", "none" },
		{ "text/plain", "_method=x", "none" },
		{ "application/octet-stream", "_method=x", "none" },
	};

	(void)state;
	check(r, nitems(r));
}

/* What is sent on while a value has not ended could be the whole body. */
static void
a_value_without_an_end_is_held(void **state)
{
	struct override *o = override_new(FORM);

	(void)state;
	assert_int_equal(override_feed(o, "a=b&_meth", 9), OVERRIDE_GO);
	assert_int_equal(override_feed(o, "od=", 3), OVERRIDE_HOLD);
	assert_int_equal(override_feed(o, "", 0), OVERRIDE_HOLD);
	assert_int_equal(override_feed(o, "PUT", 3), OVERRIDE_HOLD);
	assert_int_equal(override_end(o), OVERRIDE_METHOD);
	assert_string_equal(override_method(o), "PUT");
	override_free(o);
	o = override_new(FORM);
	assert_int_equal(
	    override_feed(o, "_method=put&x", 13), OVERRIDE_METHOD);
	assert_int_equal(override_feed(o, "=y", 2), OVERRIDE_GO);
	assert_int_equal(override_end(o), OVERRIDE_GO);
	override_free(o);
}

static void
the_query_is_read_alike(void **state)
{
	static const struct {
		const char *target, *want;
	} r[] = {
		{ "/", "" },
		{ "/?_method=delete", "DELETE " },
		{ "/a?x=y&_method=delete&z", "DELETE " },
		{ "/a?x=y;%5F%6dethod=%64elete", "DELETE " },
		{ "/?.method=a&_method=b&_HttpMethod=c", "A B C " },
		{ "/?_method", "" },
		{ "/?_method=", "" },
		{ "/_method=a?method=b", "" },
		{ "/?_method=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA " },
	};

	(void)state;
	for (size_t i = 0; i < nitems(r); i++) {
		char got[100] = "", *m;
		size_t at = 0;

		while ((m = override_query(r[i].target, &at)) != NULL) {
			strlcat(got, m, sizeof(got));
			strlcat(got, " ", sizeof(got));
			free(m);
		}
		assert_string_equal(got, r[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_parameter_of_a_form_is_found),
		cmocka_unit_test(a_part_of_a_form_is_found),
		cmocka_unit_test(a_member_of_json_is_found),
		cmocka_unit_test(other_bodies_hold_none),
		cmocka_unit_test(a_value_without_an_end_is_held),
		cmocka_unit_test(the_query_is_read_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Fields that would have a server serve another URL or host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/str.h"
#include "tests/proxy/back_world.h"

#define HOST "good.example"

static void
request_that_points_elsewhere_is_refused(void **state)
{
	static const char *const fields[] = { "X-Original-URL: /denied/x\n",
		"x-rewrite-url: /\n", "X_Original_URL: /\n",
		"X-Forwarded-Host: other.example\n",
		"X-Forwarded-Host: good.example, other.example\n",
		"X-Forwarded-Host: \"other.example\"\n",
		"X_FORWARDED_HOST: other.example:443\n",
		"X-Host: good.example.evil.example\n",
		"X-Original-Host: [::1]\n", "X-Host: good.example@x\n",
		"Forwarded: for=1.2.3.4;host=other.example\n",
		"Forwarded: host=good.example, Host=\"other.example:1\"\n",
		"X-Keep: 1\nX-Forwarded-Server: other\n" };
	struct world *w = *state;

	for (size_t i = 0; i < nitems(fields); i++) {
		world_get(w, HOST, "/echo", fields[i]);
		if (w->a.status != 403 || w->a.denies != 1)
			fail_msg("%sstatus %u", fields[i], w->a.status);
		assert_true(world_saw(w, " names another "));
	}
	assert_int_equal(w->releases, 0);
	assert_false(world_origin_saw(w, "GET"));
}

static void
what_says_the_same_or_nothing_passes(void **state)
{
	static const char *const fields[] = { "X-Forwarded-Host: \n",
		"X-Forwarded-Host: good.example\n",
		"X-Forwarded-Host: GOOD.example:8443, good.example.\n",
		"Forwarded: for=1.2.3.4;proto=https\n",
		"Forwarded: host=\"good.example:1\";for=x\n",
		"X-Forwarded-For: 1.2.3.4\nX-Forwarded-Proto: https\n",
		"X-Original: /x\nX-Forwarded-Hosts: x\n" };
	struct world *w = *state;

	for (size_t i = 0; i < nitems(fields); i++) {
		world_get(w, HOST, "/echo", fields[i]);
		if (w->a.status != 200)
			fail_msg("%sstatus %u", fields[i], w->a.status);
		assert_true(world_saw(w, fields[i][0] == 'X' ? "X-" : "For"));
	}
}

/* A rule for some paths is one for what is copied to them, too. */
static void
destination_of_a_copy_is_judged(void **state)
{
	struct world *w = *state;
	cleanup_free char *policy =
	    xasprintf("profile t {\n"
		      "	default http deny;\n"
		      "	allow http {GET,POST,COPY,MOVE} "
		      "https://good.example:%u/mine/**;\n"
		      "	allow http {GET,REBIND} https://good.example:%u/**;\n"
		      "	allow net 127.0.0.1:%u;\n"
		      "}\n",
		w->port, w->port, w->port);
	const struct {
		const char *method, *target, *to;
		unsigned int status;
	} rows[] = {
		{ "COPY", "/mine/a", "/mine/b", 200 },
		{ "COPY", "/mine/a", "https://good.example:PORT/mine/b", 200 },
		{ "MOVE", "/mine/a", "/theirs/b", 403 },
		{ "MOVE", "/mine/a", "https://good.example:PORT/theirs", 403 },
		{ "MOVE", "/mine/a", "https://good.example/mine/b", 403 },
		{ "COPY", "/mine/a", "http://good.example:PORT/mine/b", 403 },
		{ "COPY", "/mine/a", "https://evil.example:PORT/mine", 403 },
		{ "COPY", "/mine/a", "/mine/../theirs", 403 },
		{ "COPY", "/mine/a", "mine/b", 403 },
		{ "REBIND", "/mine/a", "/theirs/b", 200 },
		{ "REBIND", "/mine/a", "//theirs/b", 403 },
		{ "COPY", "/mine/a", "/mine/b\nDestination: /theirs", 403 },
		/* It means nothing there. */
		{ "GET", "/mine/a", "somewhere", 200 },
		{ "POST", "/mine/a", "/theirs", 200 },
		{ "GET", "/mine/a", "/theirs\nX-HTTP-Method-Override: COPY",
		    403 },
	};

	world_policy(w, policy);
	world_run(w, 30);
	for (size_t i = 0; i < nitems(rows); i++) {
		const char *at = strstr(rows[i].to, "PORT");
		cleanup_free char *to =
		    at == NULL ? xstrdup(rows[i].to)
			       : xasprintf("%.*s%u%s", (int)(at - rows[i].to),
				     rows[i].to, w->port, at + 4);
		cleanup_free char *fields = xasprintf("Destination: %s\n", to);

		world_request(
		    w, rows[i].method, HOST, rows[i].target, fields, -1);
		world_end(w);
		if (!world_finish(w) || w->a.status != rows[i].status)
			fail_msg("%s to %s: status %u", rows[i].method, to,
			    w->a.status);
	}
}

#define T(f) cmocka_unit_test_setup(f, world_reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(request_that_points_elsewhere_is_refused),
		T(what_says_the_same_or_nothing_passes),
		T(destination_of_a_copy_is_judged),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}

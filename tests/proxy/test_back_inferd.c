/*
 * Requests to the local engine: judged by class model, over a connection that
 * the parent makes.
 */
#include <sys/socket.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compat.h"
#include "base/fdutil.h"
#include "base/str.h"
#include "tests/proxy/back_world.h"

#define HOST "inferd.brig"
#define TINY "{\"model\":\"tiny\"}"

static bool runs;
static unsigned int asked; /* for a connection */
static int engine = -1;    /* its end of the last one */

static int
on_inferd_get(struct chan *c, struct msg *m, struct world *w)
{
	cleanup_buf struct buf b = { 0 };
	int fds[2] = { -1, -1 };

	if (m->type != M_INFERD_GET)
		return 0;
	asked++;
	fd_close(&engine);
	buf_put_u8(&b, runs);
	buf_put_str(&b, runs ? "" : "start it");
	if (runs) {
		assert_int_equal(
		    socketpair(AF_UNIX,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
		    0);
		engine = fds[1];
	} else {
		fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	chan_send(c, M_INFERD, 1, m->serial, &b, fds[0]);
	return 0;
}

static int
reset(void **state)
{
	int rc = world_reset(state);
	if (rc == 0)
		((struct world *)*state)->on_other = on_inferd_get;
	runs = true;
	asked = 0;
	fd_close(&engine);
	return rc;
}

static void
request(struct world *w, bool tls, uint16_t port, const char *method,
    const char *target, const char *body)
{
	struct req_head h = { .tls = tls, .port = port };

	h.sni = xstrdup(tls ? HOST : "");
	h.dst = xstrdup(HOST);
	h.method = xstrdup(method);
	h.authority = port == (tls ? 443 : 80) ? xstrdup(HOST)
					       : xasprintf(HOST ":%u", port);
	h.target = xstrdup(target);
	h.kind = body == NULL ? BODY_NONE : BODY_LENGTH;
	h.length = body == NULL ? 0 : strlen(body);
	world_head(w, &h);
	if (body != NULL)
		world_body(w, body, strlen(body));
	world_end(w);
	req_head_free(&h);
}

static void
post(struct world *w, const char *target, const char *body)
{
	request(w, false, 80, "POST", target, body);
}

/* What the engine got, up to the end of a head and, if there is one, TINY. */
static void
engine_reads(struct world *w, char *text, size_t size)
{
	size_t n = 0;

	for (int i = 0; i < 1000; i++) {
		ssize_t got =
		    engine < 0 ? -1 : recv(engine, text + n, size - 1 - n, 0);

		if (got > 0)
			n += (size_t)got;
		text[n] = '\0';
		if (strstr(text, "\r\n\r\n") != NULL &&
		    (!str_starts(text, "POST") || str_ends(text, TINY)))
			return;
		world_run(w, 10);
	}
	fail_msg("the engine got no request: %s", text);
}

static void
engine_says(struct world *w, const char *type, const char *body)
{
	cleanup_free char *text = xasprintf("HTTP/1.1 200 OK\r\n"
					    "Content-Type: %s\r\n"
					    "Content-Length: %zu\r\n\r\n%s",
	    type, strlen(body), body);

	assert_int_equal(
	    write(engine, text, strlen(text)), (ssize_t)strlen(text));
	assert_true(world_finish(w));
	assert_int_equal(w->a.status, 200);
	assert_true(world_saw(w, body));
}

static void
a_call_needs_a_model_rule_alone(void **state)
{
	struct world *w = *state;
	char text[4096];

	world_policy(w, "profile t { allow model inferd/tiny; }");
	post(w, "/v1/chat/completions", TINY);
	engine_reads(w, text, sizeof(text));
	assert_true(str_starts(text, "POST /v1/chat/completions HTTP/1.1\r\n"));
	assert_non_null(strstr(text, "\r\nHost: inferd.brig\r\n"));
	engine_says(w, "application/json",
	    "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}");
	assert_int_equal(asked, 1);
	assert_int_equal(w->resolves, 0);
	assert_true(world_logged(w, "inferd.brig"));
	assert_non_null(strstr((const char *)buf_head(&w->codes), "MD101"));
	assert_non_null(strstr((const char *)buf_head(&w->codes), "MD201"));
}

static void
the_next_one_goes_over_the_same_connection(void **state)
{
	struct world *w = *state;
	char text[4096];

	world_policy(w, "profile t { allow model inferd/tiny; }");
	for (int i = 0; i < 2; i++) {
		post(w, "/v1/messages", TINY);
		engine_reads(w, text, sizeof(text));
		engine_says(w, "application/json",
		    "{\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}");
	}
	/* https ends in front. */
	request(w, true, 443, "POST", "/v1/messages", TINY);
	engine_reads(w, text, sizeof(text));
	engine_says(w, "application/json", "{}");
	assert_int_equal(asked, 2);
}

static void
another_model_is_refused(void **state)
{
	struct world *w = *state;

	world_policy(w, "profile t { allow model inferd/big; }");
	post(w, "/v1/chat/completions", TINY);
	assert_true(world_finish(w));
	assert_int_equal(w->a.status, 403);
	assert_true(world_saw(w, "no model rule"));
	world_policy(w, "profile t { default http allow; }");
	post(w, "/v1/chat/completions", TINY);
	assert_true(world_finish(w));
	assert_int_equal(w->a.status, 403);
	post(w, "/v1/messages", "{}");
	assert_true(world_finish(w));
	assert_int_equal(w->a.status, 403);
	assert_int_equal(asked, 0);
}

static void
an_http_rule_that_denies_it_counts(void **state)
{
	struct world *w = *state;

	world_policy(w, "profile t { allow model inferd/*;\n"
			"deny http * http://inferd.brig/** because \"no\"; }");
	post(w, "/v1/chat/completions", TINY);
	assert_true(world_finish(w));
	assert_int_equal(w->a.status, 403);
	assert_int_equal(asked, 0);
}

static void
what_is_no_call_needs_a_rule_for_what_it_is_about(void **state)
{
	static const struct {
		const char *policy, *target;
		bool fine;
	} cases[] = {
		{ "allow model inferd/tiny;", "/v1/models", false },
		{ "allow model inferd/tiny;", "/v1/models/big", false },
		{ "allow model inferd/tiny;", "/health", false },
		{ "ask model inferd/*;", "/v1/models", false },
		{ "allow model inferd/*;", "/metrics", false },
		{ "allow model inferd/*;", "/v1/models/../metrics", false },
		{ "allow model inferd/*;", "/v1/chat/completions", false },
		{ "default http allow;", "/v1/models", false },
		{ "allow model inferd/tiny;", "/v1/models/tiny", true },
		{ "allow model inferd/*;", "/v1/models?x=1", true },
		{ "allow model inferd/*;", "/", true },
		{ "allow model */*;", "/health", true },
	};
	struct world *w = *state;
	char text[4096];

	for (size_t i = 0; i < nitems(cases); i++) {
		cleanup_free char *policy =
		    xasprintf("profile t { %s }", cases[i].policy);

		world_policy(w, policy);
		request(w, false, 80, "GET", cases[i].target, NULL);
		if (cases[i].fine) {
			engine_reads(w, text, sizeof(text));
			engine_says(w, "application/json", "[]");
			continue;
		}
		assert_true(world_finish(w));
		if (w->a.status != 403 || w->a.denies != 1)
			fail_msg("%s %s: status %u", cases[i].policy,
			    cases[i].target, w->a.status);
	}
}

static void
another_port_is_another_host(void **state)
{
	struct world *w = *state;

	world_policy(w, "profile t { allow model inferd/*; }");
	request(w, false, 8080, "POST", "/v1/messages", TINY);
	assert_true(world_finish(w));
	assert_int_equal(w->a.status, 403);
	request(w, true, 80, "POST", "/v1/messages", TINY);
	assert_true(world_finish(w));
	assert_int_equal(w->a.status, 403);
	assert_int_equal(asked, 0);
}

static void
an_engine_that_does_not_run_is_said(void **state)
{
	struct world *w = *state;

	world_policy(w, "profile t { allow model inferd/*; }");
	runs = false;
	post(w, "/v1/chat/completions", TINY);
	assert_true(world_finish(w));
	assert_int_equal(w->a.status, 503);
	assert_true(world_saw(w, "start it"));
	assert_true(world_saw(w, "inferd_unavailable"));
}

#define T(f) cmocka_unit_test_setup(f, reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_call_needs_a_model_rule_alone),
		T(the_next_one_goes_over_the_same_connection),
		T(another_model_is_refused),
		T(an_http_rule_that_denies_it_counts),
		T(what_is_no_call_needs_a_rule_for_what_it_is_about),
		T(another_port_is_another_host),
		T(an_engine_that_does_not_run_is_said),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}

/*
 * What is counted, as text; and which sockets are of this machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "inferd/metrics.h"
#include "inferd/sockets.h"

static const char *
text_of(const struct metrics *m, const struct client *only, struct buf *b)
{
	const struct engine_stats e = { .running = 2, .kv_budget = 1u << 30 };

	buf_clear(b);
	metrics_put(m, only, &e, b);
	buf_put_u8(b, 0);
	return (const char *)buf_head(b);
}

static void
agents_are_counted_apart(void **state)
{
	struct metrics m = { 0 };
	struct client *a = metrics_client(&m, "uid:1");
	struct client *b = metrics_client(&m, "job:7/x");
	const struct gen_usage u = { .prompt = 10,
		.cached = 4,
		.queue_us = 5,
		.model_drafted = 7,
		.model_accepted = 6 };
	cleanup_buf struct buf out = { 0 };
	const char *t;

	(void)state;
	metrics_ended(a, API_CHAT, GEN_STOP);
	metrics_ended(a, API_CHAT, GEN_STOP);
	metrics_ended(b, API_MESSAGES, OUTCOME_REFUSED);
	metrics_usage(a, &u);
	t = text_of(&m, NULL, &out);
	assert_non_null(
	    strstr(t, "\ninferd_requests_total{agent=\"uid:1\",api=\"chat\","
		      "outcome=\"stop\"} 2\n"));
	assert_non_null(strstr(t,
	    "\ninferd_requests_total{agent=\"job:7/x\",api=\"messages\","
	    "outcome=\"refused\"} 1\n"));
	assert_non_null(
	    strstr(t, "\ninferd_cached_tokens_total{agent=\"uid:1\"} 4\n"));
	assert_non_null(strstr(
	    t, "\ninferd_model_drafted_tokens_total{agent=\"uid:1\"} 7\n"));
	assert_non_null(strstr(
	    t, "\ninferd_model_accepted_tokens_total{agent=\"uid:1\"} 6\n"));
	assert_non_null(strstr(t,
	    "\ninferd_state_seconds_total{agent=\"uid:1\",state=\"queue\"} "
	    "0.000005\n"));
	assert_non_null(strstr(t, "\ninferd_running 2\n"));
	assert_true(strcmp(t + strlen(t) - 6, "# EOF\n") == 0);
	metrics_free(&m);
}

static void
an_agent_sees_itself_alone(void **state)
{
	struct metrics m = { 0 };
	struct client *a = metrics_client(&m, "uid:1");
	cleanup_buf struct buf out = { 0 };
	const char *t;

	(void)state;
	metrics_ended(a, API_CHAT, GEN_STOP);
	metrics_ended(metrics_client(&m, "uid:2"), API_CHAT, GEN_STOP);
	t = text_of(&m, a, &out);
	assert_non_null(strstr(t, "uid:1"));
	assert_null(strstr(t, "uid:2"));
	assert_null(strstr(t, "inferd_running"));
	metrics_free(&m);
}

static void
names_are_escaped(void **state)
{
	struct metrics m = { 0 };
	cleanup_buf struct buf out = { 0 };

	(void)state;
	metrics_client(&m, "a\"} 1\n\\b");
	assert_non_null(strstr(
	    text_of(&m, NULL, &out), "{agent=\"a\\\"} 1\\n\\\\b\"} 0\n"));
	metrics_free(&m);
}

static void
agents_that_are_gone_make_room(void **state)
{
	struct metrics m = { 0 };
	struct client *first = metrics_client(&m, "first");
	char name[32];

	(void)state;
	first->conns = 1;
	for (unsigned i = 0; i < METRICS_CLIENTS + 10; i++) {
		snprintf(name, sizeof(name), "uid:%u", i);
		assert_non_null(metrics_client(&m, name));
		assert_true(m.n <= METRICS_CLIENTS);
	}
	assert_ptr_equal(metrics_client(&m, "first"), first);
	for (struct client *c = m.clients; c != NULL; c = c->next)
		c->conns = 1;
	assert_null(metrics_client(&m, "one too many"));
	metrics_free(&m);
}

static void
tcp_is_of_this_machine_alone(void **state)
{
	static const char *const bad[] = { "0.0.0.0:0", "192.0.2.1:80",
		"[::]:80", "example.com:80", "127.0.0.1", "127.0.0.1:", ":80",
		"[::1:80", "127.0.0.1:70000", "[::ffff:192.0.2.1]:80", "" };
	struct error err;
	char name[64];
	cleanup_fd int fd = sockets_tcp("localhost:0", 1, &err);

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++)
		assert_int_equal(sockets_tcp(bad[i], 1, &err), -1);
	assert_true(fd >= 0);
	assert_true(sockets_is_tcp(fd));
	sockets_name(fd, name, sizeof(name));
	assert_int_equal(strncmp(name, "127.0.0.1:", 10), 0);
	assert_string_not_equal(name, "127.0.0.1:0");
}

static void
names_that_others_point_here_are_not_local(void **state)
{
	static const char *const good[] = { "localhost", "localhost:8080",
		"127.0.0.1", "127.1.2.3:1", "[::1]", "[::1]:8080",
		"LocalHost" };
	static const char *const bad[] = { "evil.example", "evil.example:8080",
		"127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1",
		"[fe80::1]", "", "localhost:8080:1", "user@localhost" };

	(void)state;
	for (size_t i = 0; i < nitems(good); i++)
		assert_true(sockets_is_local(good[i]));
	for (size_t i = 0; i < nitems(bad); i++)
		assert_false(sockets_is_local(bad[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agents_are_counted_apart),
		cmocka_unit_test(an_agent_sees_itself_alone),
		cmocka_unit_test(names_are_escaped),
		cmocka_unit_test(agents_that_are_gone_make_room),
		cmocka_unit_test(tcp_is_of_this_machine_alone),
		cmocka_unit_test(names_that_others_point_here_are_not_local),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * dns as a process: fixed answers, refusals, and a full queue.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"
#include "proxy/roles.h"
#include "tests/proxy/chan_raw.h"

struct world {
	pid_t pid;
	struct raw parent, back;
};

/* In place of libc's: the server of "slow" names never answers. */
int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
    struct addrinfo **res)
{
	static int (*real)(const char *, const char *, const struct addrinfo *,
	    struct addrinfo **);

	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

	pthread_mutex_lock(&lock);
	while (str_starts(node, "slow"))
		pthread_cond_wait(&never, &lock);
	pthread_mutex_unlock(&lock);
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(node, service, hints, res);
}

static void
send_config(struct world *w, const char *key, const char *value)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u32(&b, 2);
	buf_put_str(&b, "log-level");
	buf_put_str(&b, "warn");
	buf_put_str(&b, key);
	buf_put_str(&b, value);
	raw_send(&w->parent, M_CONFIG, 0, 0, &b, -1);
}

static void
world_new(struct world *w, const char *resolve)
{
	w->pid = raw_start(&w->parent, ROLE_DNS, dns_main);
	send_config(w, "resolve", resolve);
	raw_expect(&w->parent, M_READY);
	raw_peer(&w->parent, &w->back, ROLE_BACK, 3);
}

static void
world_free(struct world *w)
{
	raw_send(&w->parent, M_STOP, 0, 0, NULL, -1);
	assert_int_equal(raw_wait(w->pid), 0);
	raw_close(&w->parent);
	raw_close(&w->back);
}

static void
ask(struct world *w, const char *name, uint32_t serial)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_str(&b, name);
	raw_send(&w->back, M_RESOLVE, 3, serial, &b, -1);
}

/* Number of addresses, or -1 and the error. */
static int
answer(struct world *w, char *error, size_t size)
{
	bool ok;
	uint32_t n;

	raw_expect(&w->back, M_RESOLVED);
	ok = cur_bool(&w->back.body);
	cur_str_into(&w->back.body, error, size);
	n = cur_u32(&w->back.body);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t family = cur_u8(&w->back.body);

		assert_true(family == 4 || family == 6);
		assert_non_null(cur_bytes(&w->back.body, family == 4 ? 4 : 16));
	}
	assert_int_equal(cur_end(&w->back.body), 0);
	assert_true(n <= 16);
	assert_true(ok == (error[0] == '\0'));
	return ok ? (int)n : -1;
}

static void
fixed_names_are_answered_without_a_resolver(void **state)
{
	struct world w;
	char error[256];

	(void)state;
	world_new(&w, "Api.Example 192.0.2.1,2001:db8::1,192.0.2.1");
	ask(&w, "api.example", 1);
	assert_int_equal(answer(&w, error, sizeof(error)), 2);
	assert_int_equal(w.back.serial, 1);
	ask(&w, "API.example", 2);
	assert_int_equal(answer(&w, error, sizeof(error)), 2);
	world_free(&w);
}

static void
bad_names_are_refused(void **state)
{
	static const char *const bad[] = { "", "a b", "*.example", "a..b",
		"a.example.", "-a.example", "a\nb", "a_b.example" };
	struct world w;
	char error[256];

	(void)state;
	world_new(&w, "a.example 192.0.2.1");
	for (size_t i = 0; i < nitems(bad); i++) {
		ask(&w, bad[i], (uint32_t)i + 1);
		assert_int_equal(answer(&w, error, sizeof(error)), -1);
		assert_string_equal(error, "not a host name");
	}
	world_free(&w);
}

static void
localhost_comes_from_the_resolver(void **state)
{
	struct world w;
	char error[256];

	(void)state;
	world_new(&w, "a.example 192.0.2.1");
	ask(&w, "localhost", 9);
	assert_true(answer(&w, error, sizeof(error)) >= 1);
	assert_int_equal(w.back.serial, 9);
	world_free(&w);
}

static void
new_configuration_replaces_the_old(void **state)
{
	struct world w;
	char error[256];

	(void)state;
	world_new(&w, "localhost 192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.4");
	ask(&w, "localhost", 1);
	assert_int_equal(answer(&w, error, sizeof(error)), 4);
	send_config(&w, "nameserver", "192.0.2.53");
	for (int i = 0; i < 200; i++) {
		ask(&w, "localhost", 2);
		if (answer(&w, error, sizeof(error)) != 4)
			break;
		usleep(10000);
	}
	ask(&w, "localhost", 3);
	assert_in_range(answer(&w, error, sizeof(error)), 1, 2);
	world_free(&w);
}

static void
every_question_of_a_flood_is_answered(void **state)
{
	struct world w;
	char error[256];

	(void)state;
	world_new(&w, "a.example 192.0.2.1");
	for (uint32_t i = 1; i <= 400; i++)
		ask(&w, "localhost", i);
	for (uint32_t i = 1; i <= 400; i++) {
		if (answer(&w, error, sizeof(error)) < 0)
			assert_string_equal(
			    error, "too many names are being looked up");
	}
	world_free(&w);
}

/* A job may have a name server that takes its time for every name. */
static void
names_that_take_long_hold_up_their_own_job_alone(void **state)
{
	struct raw mine;
	struct world w;
	char name[32], error[256];
	struct buf b;

	(void)state;
	world_new(&w, "a.example 192.0.2.1");
	for (uint32_t i = 1; i <= 200; i++) {
		(void)snprintf(name, sizeof(name), "slow%u.example", i);
		ask(&w, name, i);
	}
	/* 64 of them wait. */
	for (int i = 64; i < 200; i++) {
		assert_int_equal(answer(&w, error, sizeof(error)), -1);
		assert_string_equal(
		    error, "too many names are being looked up");
	}
	mine = w.back;
	raw_peer(&w.parent, &w.back, ROLE_BACK, 4);
	for (uint32_t i = 1; i <= 20; i++) {
		buf_init(&b, 0);
		buf_put_str(&b, "localhost");
		raw_send(&w.back, M_RESOLVE, 4, i, &b, -1);
		assert_true(answer(&w, error, sizeof(error)) >= 1);
	}
	raw_close(&mine);
	world_free(&w);
}

/* Nor do many jobs together hold up another one. */
static void
jobs_that_ask_for_slow_names_leave_room_for_others(void **state)
{
	struct raw theirs[12];
	struct world w;
	char name[32], error[256];
	struct buf b;

	(void)state;
	world_new(&w, "a.example 192.0.2.1");
	raw_close(&w.back);
	for (uint32_t j = 0; j < nitems(theirs); j++) {
		raw_peer(&w.parent, &w.back, ROLE_BACK, 10 + j);
		for (uint32_t i = 1; i <= 64; i++) {
			(void)snprintf(name, sizeof(name), "slow%u.example", i);
			buf_init(&b, 0);
			buf_put_str(&b, name);
			raw_send(&w.back, M_RESOLVE, 10 + j, i, &b, -1);
		}
		/* So much has it read by now. */
		buf_init(&b, 0);
		buf_put_str(&b, "a.example");
		raw_send(&w.back, M_RESOLVE, 10 + j, 99, &b, -1);
		do
			(void)answer(&w, error, sizeof(error));
		while (w.back.serial != 99);
		theirs[j] = w.back;
	}
	raw_peer(&w.parent, &w.back, ROLE_BACK, 4);
	for (uint32_t i = 1; i <= 20; i++) {
		buf_init(&b, 0);
		buf_put_str(&b, "localhost");
		raw_send(&w.back, M_RESOLVE, 4, i, &b, -1);
		assert_true(answer(&w, error, sizeof(error)) >= 1);
	}
	/* Several at a time. */
	for (uint32_t i = 1; i <= 8; i++) {
		buf_init(&b, 0);
		buf_put_str(&b, "localhost");
		raw_send(&w.back, M_RESOLVE, 4, i, &b, -1);
	}
	for (uint32_t i = 1; i <= 8; i++)
		assert_true(answer(&w, error, sizeof(error)) >= 1);
	for (size_t j = 0; j < nitems(theirs); j++)
		raw_close(&theirs[j]);
	world_free(&w);
}

static void
bad_configuration_ends_the_process(void **state)
{
	static const char *const bad[] = { "a.example", "a.example ",
		"a.example 192.0.2", "a.example 192.0.2.1,", "a b 192.0.2.1" };
	struct world w;

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		w.pid = raw_start(&w.parent, ROLE_DNS, dns_main);
		send_config(&w, "resolve", bad[i]);
		assert_int_equal(raw_wait(w.pid), 1);
		raw_close(&w.parent);
	}
}

static int
setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	dns_preinit();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_names_are_answered_without_a_resolver),
		cmocka_unit_test(bad_names_are_refused),
		cmocka_unit_test(localhost_comes_from_the_resolver),
		cmocka_unit_test(new_configuration_replaces_the_old),
		cmocka_unit_test(every_question_of_a_flood_is_answered),
		cmocka_unit_test(
		    names_that_take_long_hold_up_their_own_job_alone),
		cmocka_unit_test(
		    jobs_that_ask_for_slow_names_leave_room_for_others),
		cmocka_unit_test(bad_configuration_ends_the_process),
	};

	return cmocka_run_group_tests_name("dns", tests, setup, NULL);
}

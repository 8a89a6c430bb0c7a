/*
 * Asks: what was asked and what was answered is on record before anybody acts
 * on it, and whatever goes wrong is a denial, once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "tests/daemon/ctlbox.h"

static struct box box;

static int
setup(void **state)
{
	(void)state;
	return box_start(&box, false);
}

static int
teardown(void **state)
{
	(void)state;
	box_free(&box);
	return 0;
}

static const char *
answer(int fd, const char *id, bool allow)
{
	char line[128];

	snprintf(line, sizeof(line),
	    "{\"v\":1,\"id\":5,\"op\":\"ask.answer\",\"ask\":\"%s\","
	    "\"allow\":%s}",
	    id, allow ? "true" : "false");
	return box_error(box_call(&box, fd, line));
}

static void
allowed_ask_is_recorded_before_the_answer(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	box_ask(&box, 7, 60);
	assert_true(box_until(&box, &box.opened, 1));
	assert_string_equal(box.ask_id, "A-1");
	assert_string_equal(box.codes[0], "AS101");
	assert_string_equal(answer(fd, "A-1", true), "");
	assert_true(box_until(&box, &box.answered, 1));
	assert_true(box.allowed);
	assert_int_equal(box.codes_at_answer, 2);
	assert_string_equal(box.codes[1], "AS201");
	close(fd);
}

static void
denied_ask_is_recorded_as_denied(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	box_ask(&box, 7, 60);
	assert_true(box_until(&box, &box.opened, 1));
	assert_string_equal(answer(fd, "A-1", false), "");
	assert_true(box_until(&box, &box.answered, 1));
	assert_false(box.allowed);
	assert_string_equal(box.codes[1], "AS401");
	close(fd);
}

static void
timeout_denies_once_and_late_approval_is_refused(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	box_ask(&box, 7, 1);
	assert_true(box_until(&box, &box.answered, 1));
	assert_false(box.allowed);
	assert_string_equal(answer(fd, "A-1", true), "failed");
	box_spin(&box, 100);
	assert_int_equal(box.answered, 1);
	close(fd);
}

static void
second_answer_is_refused(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	box_ask(&box, 7, 60);
	assert_true(box_until(&box, &box.opened, 1));
	assert_string_equal(answer(fd, "A-1", false), "");
	assert_string_equal(answer(fd, "A-1", true), "failed");
	box_spin(&box, 50);
	assert_int_equal(box.answered, 1);
	assert_false(box.allowed);
	close(fd);
}

static void
unrecorded_question_is_denied(void **state)
{
	(void)state;
	box.audit_refuses = true;
	box_ask(&box, 7, 60);
	assert_true(box_until(&box, &box.answered, 1));
	assert_false(box.allowed);
	assert_int_equal(box.opened, 0);
	assert_non_null(strstr(box.answer_text, "disk full"));
}

static void
without_audit_every_question_is_denied(void **state)
{
	(void)state;
	chan_free(box.audit);
	box.audit = NULL;
	box_spin(&box, 50);
	box_ask(&box, 7, 60);
	assert_true(box_until(&box, &box.answered, 1));
	assert_false(box.allowed);
}

static void
unrecorded_approval_is_a_denial(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	box_ask(&box, 7, 60);
	assert_true(box_until(&box, &box.opened, 1));
	box.audit_refuses = true;
	assert_string_equal(answer(fd, "A-1", true), "unavailable");
	assert_true(box_until(&box, &box.answered, 1));
	assert_false(box.allowed);
	close(fd);
}

static void
audit_dying_under_an_approval_denies(void **state)
{
	static const char line[] =
	    "{\"v\":1,\"id\":5,\"op\":\"ask.answer\",\"ask\":\"A-1\","
	    "\"allow\":true}\n";
	int fd = box_connect(&box, 0);

	(void)state;
	box_ask(&box, 7, 60);
	assert_true(box_until(&box, &box.opened, 1));
	box.audit_silent = true;
	box_send(fd, line, strlen(line), NULL, 0);
	box_spin(&box, 100);
	assert_int_equal(box.answered, 0);
	chan_free(box.audit);
	box.audit = NULL;
	assert_true(box_until(&box, &box.answered, 1));
	assert_false(box.allowed);
	assert_string_equal(box_error(box_reply(&box, fd)), "unavailable");
	close(fd);
}

static void
cancelled_ask_cannot_be_answered(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	box_ask(&box, 7, 60);
	assert_true(box_until(&box, &box.opened, 1));
	box_ask_cancel(&box, 7);
	box_spin(&box, 100);
	assert_string_equal(answer(fd, "A-1", true), "failed");
	assert_int_equal(box.answered, 0);
	close(fd);
}

static void
ask_goes_with_its_requester(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	box_ask(&box, 7, 60);
	assert_true(box_until(&box, &box.opened, 1));
	chan_free(box.shim);
	box.shim = NULL;
	box_spin(&box, 100);
	assert_string_equal(answer(fd, "A-1", true), "failed");
	close(fd);
}

static void
flood_of_questions_is_denied(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= 40; i++)
		box_ask(&box, i, 60);
	assert_true(box_until(&box, &box.answered, 8));
	assert_false(box.allowed);
	assert_true(box_until(&box, &box.opened, 32));
	box_spin(&box, 50);
	assert_int_equal(box.opened, 32);
	assert_int_equal(box.answered, 8);
}

static void
pending_ask_is_cancelled_by_a_restart(void **state)
{
	json_t *r;
	int fd;

	(void)state;
	box_ask(&box, 7, 60);
	assert_true(box_until(&box, &box.opened, 1));
	box_stop(&box);
	assert_int_equal(box_start(&box, true), 0);
	box_sync(&box);
	box_spin(&box, 300);
	fd = box_connect(&box, 0);
	assert_string_equal(answer(fd, "A-1", true), "failed");
	r = box_call(
	    &box, fd, "{\"v\":1,\"id\":1,\"op\":\"ask.list\",\"all\":true}");
	assert_string_equal(
	    json_string_value(json_object_get(
		json_array_get(
		    json_object_get(json_object_get(r, "result"), "asks"), 0),
		"state")),
	    "cancelled");
	json_decref(r);
	/* A new one has a new name. */
	box_ask(&box, 7, 60);
	assert_true(box_until(&box, &box.opened, 2));
	assert_string_equal(box.ask_id, "A-2");
	close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(allowed_ask_is_recorded_before_the_answer),
		T(denied_ask_is_recorded_as_denied),
		T(timeout_denies_once_and_late_approval_is_refused),
		T(second_answer_is_refused),
		T(unrecorded_question_is_denied),
		T(without_audit_every_question_is_denied),
		T(unrecorded_approval_is_a_denial),
		T(audit_dying_under_an_approval_denies),
		T(cancelled_ask_cannot_be_answered),
		T(ask_goes_with_its_requester),
		T(flood_of_questions_is_denied),
		T(pending_ask_is_cancelled_by_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * An approval of a script is about the bytes that were there to be shown.
 */
#include "tests/jail/shim_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/str.h"

#define MAKE "printf '#!/bin/sh\\necho first\\n' >asked; chmod +x asked; "

static void
ask_case(const char *script, bool runs)
{
	struct world w;

	world_init(&w);
	launch_sh(&w, "files", script, true);
	while (w.ask == 0)
		step(&w);
	expect_in(&w.ask_lines, "script: /workspace/asked\n");
	expect_in(&w.ask_lines, "script sha256: ");
	/* The rest of the script is through. */
	while (buf_len(&w.out) == 0)
		step(&w);
	answer(&w, true);
	until_exit(&w);
	if (runs) {
		expect_text(&w.out, "ready\nfirst\n0\n");
		assert_int_equal(w.n401, 0);
	} else {
		expect_text(&w.out, "ready\n126\n");
		expect_in(&w.err, "the script was changed");
		assert_int_equal(w.n401, 1);
	}
	world_end(&w);
}

static void
an_approved_script_runs(void **state)
{
	ask_case(MAKE "./asked & echo ready; wait $!; echo $?", true);
}

static void
another_file_in_its_place_does_not_run(void **state)
{
	ask_case(MAKE "./asked & sleep 0.5; cp asked other; mv other asked; "
		      "echo ready; wait $!; echo $?",
	    false);
}

static void
a_script_written_to_meanwhile_does_not_run(void **state)
{
	ask_case(MAKE "./asked & sleep 0.5; echo echo more >>asked; "
		      "echo ready; wait $!; echo $?",
	    false);
}

static void
a_script_written_back_meanwhile_does_not_run(void **state)
{
	ask_case(MAKE
	    "./asked & sleep 0.5; cat asked >other; cat other >asked; "
	    "echo ready; wait $!; echo $?",
	    false);
}

static void
a_script_that_is_gone_does_not_run(void **state)
{
	ask_case(MAKE "./asked & sleep 0.5; rm asked; "
		      "echo ready; wait $!; echo $?",
	    false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_approved_script_runs),
		cmocka_unit_test(another_file_in_its_place_does_not_run),
		cmocka_unit_test(a_script_written_to_meanwhile_does_not_run),
		cmocka_unit_test(a_script_written_back_meanwhile_does_not_run),
		cmocka_unit_test(a_script_that_is_gone_does_not_run),
	};

	log_init("test", LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

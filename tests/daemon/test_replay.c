/*
 * The times of a job's output, as written and as read, and the keys with
 * which a user leaves a job.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "daemon/detach_keys.h"
#include "daemon/replay.h"

static void
line_is_read_as_it_was_written(void **state)
{
	static const struct timing lines[] = {
		{ .kind = TIMING_OUTPUT, .us = 0, .bytes = 1 },
		{ .kind = TIMING_OUTPUT, .us = 1, .bytes = TIMING_BYTES_MAX },
		{ .kind = TIMING_OUTPUT, .us = 86400000001, .bytes = 9 },
		{ .kind = TIMING_SIZE, .us = 50, .rows = 24, .cols = 80 },
		{ .kind = TIMING_SIZE, .us = 0, .rows = 65535, .cols = 65535 },
	};

	(void)state;
	for (size_t i = 0; i < nitems(lines); i++) {
		cleanup_buf struct buf b = { 0 };
		struct timing t;

		timing_put(&b, &lines[i]);
		assert_int_equal(buf_head(&b)[buf_len(&b) - 1], '\n');
		assert_int_equal(
		    timing_parse((char *)buf_head(&b), buf_len(&b) - 1, &t), 0);
		assert_int_equal(t.kind, lines[i].kind);
		assert_int_equal(t.us, lines[i].us);
		assert_int_equal(t.bytes, lines[i].bytes);
		assert_int_equal(t.rows, lines[i].rows);
		assert_int_equal(t.cols, lines[i].cols);
	}
}

static void
other_lines_are_refused_or_passed_over(void **state)
{
	static const char *const bad[] = { "", "O", "O ", "O 1", "O 1 5",
		"O 1.0", "O 1.0 ", "O 1.0 x", "O 1.0 5x", "O -1.0 5",
		"O 1.0 -5", "o 1.0 5", "O 1.0  5", "O 99999999999999.0 5",
		"O 1.0 99999999999999999999", "S 1.0 SIGWINCH ROWS=1",
		"S 1.0 SIGWINCH ROWS=1 COLS=65536", "O 1. 5", "0.1 5" };
	static const char *const other[] = { "H 0.000000 SHELL /bin/sh",
		"I 0.5 12", "E 0.1 3", "S 0.1 SIGUSR1" };
	struct timing t;

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++)
		assert_int_equal(timing_parse(bad[i], strlen(bad[i]), &t), -1);
	for (size_t i = 0; i < nitems(other); i++) {
		assert_int_equal(
		    timing_parse(other[i], strlen(other[i]), &t), 0);
		assert_int_equal(t.kind, TIMING_OTHER);
	}
}

/* Everything as "us:bytes " or "us:ROWSxCOLS ". */
static char *
played(const char *log, const char *times, double speed, uint64_t idle)
{
	cleanup_fd int l = fd_memfd("log", log, strlen(log));
	cleanup_fd int t = fd_memfd("times", times, strlen(times));
	struct replay_event e;
	struct error err = { 0 };
	struct replay r;
	struct buf b;

	buf_init(&b, 0);
	replay_init(&r, l, t, speed, idle);
	do {
		assert_int_equal(replay_next(&r, &e, &err), 0);
		if (e.kind == REPLAY_OUTPUT) {
			buf_printf(&b, "%u:%.*s ", (unsigned int)e.us, (int)e.n,
			    (const char *)e.bytes);
		} else if (e.kind == REPLAY_SIZE) {
			buf_printf(&b, "%u:%ux%u ", (unsigned int)e.us, e.rows,
			    e.cols);
		}
	} while (e.kind != REPLAY_END);
	replay_free(&r);
	buf_put_u8(&b, '\0');
	return (char *)b.data;
}

static void
assert_played(const char *log, const char *times, double speed, uint64_t idle,
    const char *want)
{
	cleanup_free char *got = played(log, times, speed, idle);

	assert_string_equal(got, want);
}

#define TIMES                                                                  \
	"H 0.000000 START_TIME x\nH 0.000000 COLUMNS 80\n"                     \
	"H 0.000000 LINES 24\nO 0.000100 2\nO 5.000000 3\n"                    \
	"S 0.000200 SIGWINCH ROWS=33 COLS=99\nO 0.000300 1\n"

static void
output_comes_in_its_pieces_and_times(void **state)
{
	(void)state;
	assert_played("abcdef", TIMES, 1, 0,
	    "0:24x80 100:ab 5000100:cde 5000300:33x99 5000600:f ");
	assert_played("abcdef", TIMES, 2, 0,
	    "0:24x80 50:ab 2500050:cde 2500150:33x99 2500300:f ");
	assert_played("abcdef", TIMES, 1, 1000,
	    "0:24x80 100:ab 1100:cde 1300:33x99 1600:f ");
}

static void
log_and_times_of_different_length(void **state)
{
	(void)state;
	assert_played("abcdefgh", TIMES, 1, 0,
	    "0:24x80 100:ab 5000100:cde 5000300:33x99 5000600:f 5000600:gh ");
	assert_played("abc", TIMES, 1, 0, "0:24x80 100:ab 5000100:c ");
	assert_played("abc", "", 1, 0, "0:abc ");
	assert_played("", "", 1, 0, "");
	assert_played("", TIMES, 1, 0, "0:24x80 ");
}

static void
damaged_times_leave_the_output(void **state)
{
	(void)state;
	assert_played(
	    "abc", "O 0.000001 1\nrubbish\nO 1.0 1\n", 1, 0, "1:a 1:bc ");
	assert_played("abc", "O 0.000001 1\nO 0.5", 1, 0, "1:a 1:bc ");
	assert_played("abc", "O 0.000001 0\nO 0.000001 1\n", 1, 0, "2:a 2:bc ");
}

static void
text_is_valid_whatever_the_pieces(void **state)
{
	static const char in[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xff"
				 "\xc3x\xe2\x82";
	static const char want[] =
	    "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbd"
	    "\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd";

	(void)state;
	for (size_t step = 1; step < sizeof(in); step++) {
		cleanup_buf struct buf carry = { 0 }, out = { 0 };

		for (size_t at = 0; at < sizeof(in) - 1; at += step) {
			size_t n = sizeof(in) - 1 - at;

			replay_utf8(&carry, (const uint8_t *)in + at,
			    n < step ? n : step, false, &out);
		}
		replay_utf8(&carry, NULL, 0, true, &out);
		buf_put_u8(&out, '\0');
		assert_string_equal((char *)buf_head(&out), want);
	}
}

/* ---- keys -------------------------------------------------------------- */

static void
keys_are_read(void **state)
{
	static const struct {
		const char *text, *keys;
	} good[] = {
		{ "ctrl-p,ctrl-q", "\x10\x11" },
		{ "CTRL-A,d", "\x01"
			      "d" },
		{ "ctrl-[", "\x1b" },
		{ "ctrl-],ctrl-_", "\x1d\x1f" },
		{ "~,.", "~." },
		{ ",", "," },
		{ "", "" },
	};
	static const char *const bad[] = { "ctrl-", "ctrl", "ctrl-1", "ab",
		"a,", "ctrl-pp", "alt-x", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q" };
	struct detach_keys k;
	struct error err;

	(void)state;
	for (size_t i = 0; i < nitems(good); i++) {
		assert_int_equal(detach_keys_parse(&k, good[i].text, &err), 0);
		assert_int_equal(k.n, strlen(good[i].keys));
		assert_memory_equal(k.key, good[i].keys, k.n);
	}
	for (size_t i = 0; i < nitems(bad); i++)
		assert_int_equal(detach_keys_parse(&k, bad[i], &err), -1);
}

static void
keys_are_found_and_the_rest_is_input(void **state)
{
	static const struct {
		const char *keys, *typed, *out;
		bool found;
	} cases[] = {
		{ "ctrl-p,ctrl-q", "abc", "abc", false },
		{ "ctrl-p,ctrl-q", "ab\x10\x11rest", "ab", true },
		{ "ctrl-p,ctrl-q", "\x10x", "\x10x", false },
		{ "ctrl-p,ctrl-q", "\x10\x10x", "\x10\x10x", false },
		{ "ctrl-p,ctrl-q", "\x10\x10\x11", "\x10", true },
		{ "ctrl-p,ctrl-q", "\x10", "", false },
		{ "a,b,a,c", "ababac", "ab", true },
		{ "a,b,a,c", "abaababd", "abaababd", false },
		{ "a,a,b", "aaab", "a", true },
		{ "x", "abxc", "ab", true },
		{ "", "ab\x10\x11", "ab\x10\x11", false },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		size_t n = strlen(cases[i].typed);

		for (size_t step = 1; step <= n; step++) {
			cleanup_buf struct buf out = { 0 };
			struct detach_keys k;
			struct error err;
			bool found = false;

			detach_keys_parse(&k, cases[i].keys, &err);
			for (size_t at = 0; at < n && !found; at += step)
				found =
				    detach_keys_feed(&k, cases[i].typed + at,
					n - at < step ? n - at : step, &out);
			buf_put_u8(&out, '\0');
			assert_int_equal(found, cases[i].found);
			assert_string_equal(
			    (char *)buf_head(&out), cases[i].out);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_is_read_as_it_was_written),
		cmocka_unit_test(other_lines_are_refused_or_passed_over),
		cmocka_unit_test(output_comes_in_its_pieces_and_times),
		cmocka_unit_test(log_and_times_of_different_length),
		cmocka_unit_test(damaged_times_leave_the_output),
		cmocka_unit_test(text_is_valid_whatever_the_pieces),
		cmocka_unit_test(keys_are_read),
		cmocka_unit_test(keys_are_found_and_the_rest_is_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

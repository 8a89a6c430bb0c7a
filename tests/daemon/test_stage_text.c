/*
 * The pure parts of brig diff and apply: lines, journal, entries, paths, and
 * what a terminal gets to see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "daemon/cli_stage.h"
#include "daemon/stage.h"

static char *
diff(const char *a, const char *b)
{
	cleanup_buf struct buf out = { 0 };
	uint32_t added, deleted;

	lines_diff(a, strlen(a), b, strlen(b), &out, &added, &deleted);
	buf_put_u8(&out, 0);
	return xstrdup((char *)buf_head(&out));
}

static void
hunks_are_unified(void **state)
{
	static const struct {
		const char *a, *b, *want;
	} cases[] = {
		{ "", "", "" },
		{ "same\n", "same\n", "" },
		{ "", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n" },
		{ "a\n", "", "@@ -1 +0,0 @@\n-a\n" },
		{ "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
		    "1\n2\n3\n4\nfive\n6\n7\n8\n9\n",
		    "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n" },
		{ "a\nb", "a\nb\n",
		    "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n"
		    "+b\n" },
		{ "a\nc\n", "a\nb\nc\n", "@@ -1,2 +1,3 @@\n a\n+b\n c\n" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		cleanup_free char *got = diff(cases[i].a, cases[i].b);

		assert_string_equal(got, cases[i].want);
	}
}

/* Apply hunks of ours to a: must be b. */
static char *
patched(const char *a, const char *hunks)
{
	cleanup_buf struct buf out = { 0 };
	const char *p = hunks;
	size_t line = 0;

	while (*p != '\0') {
		size_t from = 0, n = 1, k;

		assert_int_equal(sscanf(p, "@@ -%zu,%zu", &from, &n) >= 1, 1);
		k = n == 0 ? from : from - 1;
		for (; line < k; line++) {
			size_t len = strcspn(a, "\n") + 1;

			buf_put(&out, a, len);
			a += len;
		}
		p = strchr(p, '\n') + 1;
		for (; *p != '\0' && *p != '@'; p = strchr(p, '\n') + 1) {
			size_t len = strcspn(p, "\n");

			if (*p != '+') {
				a = strchr(a, '\n') + 1;
				line++;
			}
			if (*p != '-')
				buf_put(&out, p + 1, len);
		}
	}
	buf_put(&out, a, strlen(a) + 1);
	return xstrdup((char *)buf_head(&out));
}

static void
any_two_texts_patch_into_each_other(void **state)
{
	unsigned int seed = 12345;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		cleanup_buf struct buf a = { 0 }, b = { 0 };
		int n = rand_r(&seed) % 40, m = rand_r(&seed) % 40;

		for (int i = 0; i < n; i++)
			buf_printf(&a, "%d\n", rand_r(&seed) % 6);
		for (int i = 0; i < m; i++)
			buf_printf(&b, "%d\n", rand_r(&seed) % 6);
		buf_put_u8(&a, 0);
		buf_put_u8(&b, 0);
		cleanup_free char *h =
		    diff((char *)buf_head(&a), (char *)buf_head(&b));
		cleanup_free char *got = patched((char *)buf_head(&a), h);
		assert_string_equal(got, (char *)buf_head(&b));
	}
}

static void
texts_that_share_nothing_are_bounded(void **state)
{
	cleanup_buf struct buf a = { 0 }, b = { 0 }, out = { 0 };
	uint32_t added, deleted;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		buf_printf(&a, "a%d\n", i);
		buf_printf(&b, "b%d\n", i);
	}
	lines_diff(buf_head(&a), buf_len(&a), buf_head(&b), buf_len(&b), &out,
	    &added, &deleted);
	assert_int_equal(added, 50000);
	assert_int_equal(deleted, 50000);
}

static void
a_journal_comes_back_or_is_refused(void **state)
{
	struct stage_op ops[] = { { .kind = OP_NEW,
				      .path = (char[]){ "a/b" },
				      .tmp = (char[]){ ".brig-stage-1-0" },
				      .new_ino = 7 },
		{ .kind = OP_CHMOD,
		    .path = (char[]){ "a" },
		    .tmp = (char[]){ "" },
		    .mode = 0700 } };
	struct stage_journal j = { .ops = ops, .nops = 2 }, got;
	cleanup_buf struct buf b = { 0 };

	(void)state;
	stage_paths_add(&j.landed, "a/b");
	journal_put(&b, &j);
	assert_int_equal(journal_get(buf_head(&b), buf_len(&b), &got), 0);
	assert_int_equal(got.nops, 2);
	assert_string_equal(got.ops[0].path, "a/b");
	assert_int_equal(got.ops[0].new_ino, 7);
	assert_string_equal(got.landed.v[0], "a/b");
	journal_free(&got);
	/* Cut anywhere, or with one bit turned: refused. */
	for (size_t i = 0; i < buf_len(&b); i++)
		assert_int_equal(journal_get(buf_head(&b), i, &got), -1);
	for (size_t i = 0; i < buf_len(&b); i++) {
		buf_head(&b)[i] ^= 4;
		assert_int_equal(
		    journal_get(buf_head(&b), buf_len(&b), &got), -1);
		buf_head(&b)[i] ^= 4;
	}
	ops[0].tmp = (char[]){ "../../etc/passwd" };
	buf_clear(&b);
	journal_put(&b, &j);
	assert_int_equal(journal_get(buf_head(&b), buf_len(&b), &got), -1);
	stage_paths_free(&j.landed);
}

static void
paths_that_leave_are_refused(void **state)
{
	static const char *const bad[] = { "", "/", "/a", "..", "a/..",
		"a/../b", ".", "./a", "a//b", "a/", "a/./b" };
	static const char *const good[] = { "a", "a/b", "..a", "a..", "...",
		"a/.../b" };

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++)
		assert_false(stage_path_ok(bad[i]));
	for (size_t i = 0; i < nitems(good); i++)
		assert_true(stage_path_ok(good[i]));
}

static void
a_selection_takes_whole_names(void **state)
{
	struct stage_paths p = { 0 };

	(void)state;
	assert_int_equal(stage_paths_match(&p, "any"), MATCH_ALL);
	stage_paths_add(&p, "dir/sub");
	assert_int_equal(stage_paths_match(&p, "dir"), MATCH_INSIDE);
	assert_int_equal(stage_paths_match(&p, "dir/sub"), MATCH_ALL);
	assert_int_equal(stage_paths_match(&p, "dir/sub/x"), MATCH_ALL);
	assert_int_equal(stage_paths_match(&p, "dir/subx"), MATCH_NONE);
	assert_int_equal(stage_paths_match(&p, "di"), MATCH_NONE);
	stage_paths_free(&p);
}

static void
put_frame(struct buf *b, uint8_t type, const struct buf *body)
{
	buf_put_u8(b, type);
	buf_put_blob(b, buf_head(body), buf_len(body));
}

static void
a_terminal_gets_no_escape_sequence_of_a_job(void **state)
{
	struct stage_entry e = { .kind = STAGE_ADD, .mode = 0100644 };
	cleanup_buf struct buf body = { 0 }, all = { 0 };
	struct stage_view v = { .show = SHOW_PATCH, .safe = true };
	char *text = NULL;
	size_t size = 0;

	(void)state;
	(void)strlcpy(e.path, "a\033]0;x\007b\n", sizeof(e.path));
	stage_entry_put(&body, &e);
	put_frame(&all, FRAME_ENTRY, &body);
	buf_clear(&body);
	buf_printf(&body, "diff --git a\n+++ \033[2J\n");
	put_frame(&all, FRAME_HEAD, &body);
	buf_clear(&body);
	buf_printf(&body, "@@ -0,0 +1 @@\n+\033[31mred\xc2\x9b\tC:\\x\r\n");
	put_frame(&all, FRAME_HUNKS, &body);
	v.to = open_memstream(&text, &size);
	/* Byte by byte, as a pipe may give it. */
	for (size_t i = 0; i < buf_len(&all); i++)
		assert_int_equal(stage_view_put(&v, buf_head(&all) + i, 1), 0);
	assert_int_equal(stage_view_end(&v), 0);
	fclose(v.to);
	assert_null(memchr(text, 033, size));
	assert_null(memchr(text, '\r', size));
	assert_non_null(strstr(text, "+\\x1b[31mred"));
	assert_non_null(strstr(text, "\tC:\\x"));
	free(text);
	buf_free(&v.in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hunks_are_unified),
		cmocka_unit_test(any_two_texts_patch_into_each_other),
		cmocka_unit_test(texts_that_share_nothing_are_bounded),
		cmocka_unit_test(a_journal_comes_back_or_is_refused),
		cmocka_unit_test(paths_that_leave_are_refused),
		cmocka_unit_test(a_selection_takes_whole_names),
		cmocka_unit_test(a_terminal_gets_no_escape_sequence_of_a_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

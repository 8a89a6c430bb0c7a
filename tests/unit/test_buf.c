/* Cursor getters never overrun; buffers keep their limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/attach.h"
#include "base/audit_event.h"
#include "base/buf.h"

static void
integers_round_trip(void **state)
{
	cleanup_buf struct buf b = { 0 };
	struct cur c;

	(void)state;
	buf_put_u8(&b, 0xfe);
	buf_put_u16(&b, 0xfedc);
	buf_put_u32(&b, 0xfedcba98u);
	buf_put_u64(&b, UINT64_C(0xfedcba9876543210));
	buf_put_str(&b, "hello");
	cur_init(&c, b.data, b.len);
	assert_int_equal(cur_u8(&c), 0xfe);
	assert_int_equal(cur_u16(&c), 0xfedc);
	assert_int_equal(cur_u32(&c), 0xfedcba98u);
	assert_true(cur_u64(&c) == UINT64_C(0xfedcba9876543210));
	char *s = cur_str(&c, 5);
	assert_string_equal(s, "hello");
	free(s);
	assert_int_equal(cur_end(&c), 0);
}

static void
numbers_are_written_as_printf_does(void **state)
{
	static const uint64_t v[] = { 0, 7, 10, 999999999, 1000000000,
		UINT64_MAX };
	static const int width[] = { 0, 1, 9, 20 };
	cleanup_buf struct buf a = { 0 }, b = { 0 };

	(void)state;
	for (size_t i = 0; i < nitems(v); i++)
		for (size_t k = 0; k < nitems(width); k++) {
			buf_put_dec(&a, v[i], (size_t)width[k]);
			buf_put_text(&a, " and ");
			buf_printf(&b, "%0*" PRIu64 " and ", width[k], v[i]);
		}
	assert_int_equal(buf_len(&a), buf_len(&b));
	assert_memory_equal(buf_head(&a), buf_head(&b), buf_len(&b));
}

static void
cut_keeps_what_is_before(void **state)
{
	cleanup_buf struct buf b = { 0 };

	(void)state;
	buf_put_text(&b, "gone kept cut");
	buf_consume(&b, 5);
	buf_cut(&b, 4);
	buf_put_text(&b, "!");
	assert_int_equal(buf_len(&b), 5);
	assert_memory_equal(buf_head(&b), "kept!", 5);
}

static void
truncation_at_every_byte_fails(void **state)
{
	cleanup_buf struct buf b = { 0 };

	(void)state;
	buf_put_u32(&b, 7);
	buf_put_str(&b, "abc");
	buf_put_u16(&b, 9);
	for (size_t n = 0; n < b.len; n++) {
		struct cur c;
		char *s;

		cur_init(&c, b.data, n);
		cur_u32(&c);
		s = cur_str(&c, 10);
		cur_u16(&c);
		assert_int_equal(cur_end(&c), -1);
		free(s);
	}
}

static void
trailing_bytes_fail(void **state)
{
	struct cur c;

	(void)state;
	cur_init(&c, "\1\2", 2);
	cur_u8(&c);
	assert_int_equal(cur_end(&c), -1);
}

static void
string_with_nul_or_too_long_fails(void **state)
{
	cleanup_buf struct buf b = { 0 };
	struct cur c;
	char small[4];

	(void)state;
	buf_put_blob(&b, "a\0b", 3);
	cur_init(&c, b.data, b.len);
	assert_null(cur_str(&c, 10));
	assert_int_equal(cur_end(&c), -1);
	buf_clear(&b);
	buf_put_str(&b, "abcd");
	cur_init(&c, b.data, b.len);
	assert_null(cur_str(&c, 3));
	cur_init(&c, b.data, b.len);
	cur_str_into(&c, small, sizeof(small));
	assert_string_equal(small, "");
	assert_int_equal(cur_end(&c), -1);
}

static void
count_bounds_what_follows(void **state)
{
	cleanup_buf struct buf b = { 0 };
	struct cur c;

	(void)state;
	buf_put_u32(&b, 1000000);
	buf_put_u32(&b, 0);
	cur_init(&c, b.data, b.len);
	assert_int_equal(cur_count(&c, 2000000, 4), 0);
	assert_true(c.failed);
}

static void
limit_marks_failed_and_stays(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 8);
	buf_put(&b, "12345678", 8);
	assert_false(buf_failed(&b));
	buf_put_u8(&b, 9);
	assert_true(buf_failed(&b));
	assert_int_equal(buf_len(&b), 8);
	buf_free(&b);
}

static void
consume_makes_room_under_a_limit(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 8);
	for (int i = 0; i < 100; i++) {
		buf_put(&b, "abcdef", 6);
		assert_memory_equal(buf_head(&b), "abcdef", 6);
		buf_consume(&b, 6);
	}
	assert_false(buf_failed(&b));
	buf_free(&b);
}

static void
attach_frame_bad_type_or_size_refused(void **state)
{
	cleanup_buf struct buf b = { 0 };
	enum attach_type t;
	const uint8_t *p;
	size_t n;

	(void)state;
	attach_put(&b, ATTACH_STDOUT, "xyz", 3);
	assert_int_equal(attach_peek(&b, &t, &p, &n), 1);
	assert_int_equal(t, ATTACH_STDOUT);
	assert_memory_equal(p, "xyz", 3);
	b.len--;
	assert_int_equal(attach_peek(&b, &t, &p, &n), 0);
	b.data[0] = 99;
	assert_int_equal(attach_peek(&b, &t, &p, &n), -1);
	b.data[0] = ATTACH_STDOUT;
	b.data[4] = 0xff;
	assert_int_equal(attach_peek(&b, &t, &p, &n), -1);
}

static void
audit_event_round_trip_and_cut(void **state)
{
	struct audit_ev e;
	struct audit_head h;
	struct audit_field f;
	struct cur c;
	const char *argv[] = { "git", "push", "a\nb" };
	char big[5000];

	(void)state;
	memset(big, 'x', sizeof(big));
	audit_ev_init(&e, "EX101", "exec.decide", 3, true);
	audit_ev_list(&e, "obj.argv", argv, 3);
	audit_ev_bytes(&e, "obj.text", big, sizeof(big));
	audit_ev_u64(&e, "who.pid", 7);
	cur_init(&c, e.body.data, e.body.len);
	assert_int_equal(audit_ev_decode(&c, &h), 0);
	assert_string_equal(h.code, "EX101");
	assert_true(h.barrier);
	assert_int_equal(h.fields, 3);
	assert_int_equal(audit_ev_field(&c, &f), 0);
	assert_int_equal(f.count, 3);
	assert_int_equal(audit_ev_field(&c, &f), 0);
	assert_int_equal(f.len, AUDIT_STR_MAX + strlen("[cut 2952]"));
	assert_int_equal(audit_ev_field(&c, &f), 0);
	assert_int_equal(f.u, 7);
	assert_int_equal(cur_end(&c), 0);
	audit_ev_free(&e);
}

static void
audit_event_bad_key_refused(void **state)
{
	static const char *const bad[] = { "argv", "obj.", "obj.A", "xyz.a",
		"obj.a\"b", "hash.x" };

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		struct audit_ev e;
		struct audit_head h;
		struct audit_field f;
		struct cur c;

		audit_ev_init(&e, "EX101", "exec.decide", 3, false);
		audit_ev_u64(&e, bad[i], 1);
		cur_init(&c, e.body.data, e.body.len);
		assert_int_equal(audit_ev_decode(&c, &h), 0);
		assert_int_equal(audit_ev_field(&c, &f), -1);
		audit_ev_free(&e);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_round_trip),
		cmocka_unit_test(numbers_are_written_as_printf_does),
		cmocka_unit_test(cut_keeps_what_is_before),
		cmocka_unit_test(truncation_at_every_byte_fails),
		cmocka_unit_test(trailing_bytes_fail),
		cmocka_unit_test(string_with_nul_or_too_long_fails),
		cmocka_unit_test(count_bounds_what_follows),
		cmocka_unit_test(limit_marks_failed_and_stays),
		cmocka_unit_test(consume_makes_room_under_a_limit),
		cmocka_unit_test(attach_frame_bad_type_or_size_refused),
		cmocka_unit_test(audit_event_round_trip_and_cut),
		cmocka_unit_test(audit_event_bad_key_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

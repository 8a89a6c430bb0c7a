/*
 * The audit log as bytes: what the renderer writes, the verifier accepts, and
 * nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/str.h"
#include "daemon/audit_render.h"
#include "daemon/audit_verify.h"

#define RECORDS 20

static struct audit_verify av; /* too big for a stack with guards */

struct log {
	struct buf b;
	uint64_t seq;
	uint8_t head[AUDIT_HASH_SIZE];
	uint8_t heads[RECORDS + 1][AUDIT_HASH_SIZE];
	size_t start[RECORDS + 2]; /* offset of each line, and the end */
};

static void
append(struct log *l, struct audit_ev *e)
{
	struct audit_meta m = { .seq = l->seq + 1,
		.boot = "b-1",
		.ts = { 1793000000, 123456789 },
		.mono = { 5, 6 },
		.from = ROLE_BACK,
		.job = 17 };

	assert_int_equal(audit_render(&m, buf_head(&e->body), buf_len(&e->body),
			     l->head, &l->b, l->head),
	    0);
	audit_ev_free(e);
	l->seq++;
}

static void
log_make(struct log *l, int records)
{
	struct audit_ev e;

	memset(l, 0, sizeof(*l));
	buf_init(&l->b, 0);
	for (int i = 0; i < records; i++) {
		l->start[i] = buf_len(&l->b);
		if (i == 0)
			audit_ev_init(&e, "AU101", "audit.open", 1, true);
		else
			audit_ev_init(&e, "HT101", "http.decide", 2, true);
		audit_ev_u64(&e, "obj.n", (uint64_t)i);
		append(l, &e);
		memcpy(l->heads[i], l->head, sizeof(l->head));
	}
	l->start[records] = buf_len(&l->b);
}

static const struct audit_verdict *
verify(const void *p, size_t n, size_t chunk)
{
	const uint8_t *s = p;

	audit_verify_init(&av);
	for (size_t at = 0; at < n; at += chunk)
		audit_verify_bytes(
		    &av, s + at, n - at < chunk ? n - at : chunk);
	return audit_verify_end(&av);
}

static void
sound_log_is_ok_for_any_chunking(void **state)
{
	static const size_t chunks[] = { 1, 7, 100, 4096, 1 << 20 };
	const struct audit_verdict *v;
	struct log l;

	(void)state;
	log_make(&l, RECORDS);
	for (size_t i = 0; i < nitems(chunks); i++) {
		v = verify(l.b.data, buf_len(&l.b), chunks[i]);
		assert_int_equal(v->result, AUDIT_OK);
		assert_int_equal(v->records, RECORDS);
		assert_int_equal(v->bytes, buf_len(&l.b));
		assert_memory_equal(v->head, l.head, sizeof(l.head));
		assert_false(v->closed);
	}
	v = verify("", 0, 1);
	assert_int_equal(v->result, AUDIT_OK);
	assert_int_equal(v->records, 0);
	buf_free(&l.b);
}

static void
every_flipped_bit_is_found_in_its_record(void **state)
{
	const struct audit_verdict *v;
	struct log l;
	size_t rec = 0;

	(void)state;
	log_make(&l, RECORDS);
	for (size_t i = 0; i < buf_len(&l.b); i++) {
		if (i == l.start[rec + 1])
			rec++;
		for (int bit = 0; bit < 8; bit++) {
			l.b.data[i] ^= (uint8_t)(1 << bit);
			v = verify(l.b.data, buf_len(&l.b), 1 << 20);
			l.b.data[i] ^= (uint8_t)(1 << bit);
			if (v->result == AUDIT_TAMPERED &&
			    v->bad_record == rec + 1 &&
			    v->bad_offset == l.start[rec])
				continue;
			/* Without its newline the last record is whole and
			 * what follows it is the tampering. */
			fail_msg("byte %zu bit %d: result %d record %llu", i,
			    bit, v->result, (unsigned long long)v->bad_record);
		}
	}
	assert_int_equal(rec, RECORDS - 1);
	buf_free(&l.b);
}

/* A log without lines [from, to). */
static void
cut_lines(const struct log *l, int from, int to, struct buf *out)
{
	buf_init(out, 0);
	buf_put(out, l->b.data, l->start[from]);
	buf_put(
	    out, l->b.data + l->start[to], l->start[RECORDS] - l->start[to]);
}

static void
removed_record_is_found(void **state)
{
	const struct audit_verdict *v;
	struct buf b;
	struct log l;

	(void)state;
	log_make(&l, RECORDS);
	for (int i = 1; i < RECORDS - 1; i++) {
		cut_lines(&l, i, i + 1, &b);
		v = verify(b.data, buf_len(&b), 999);
		assert_int_equal(v->result, AUDIT_TAMPERED);
		assert_int_equal(v->bad_record, i + 1);
		assert_int_equal(v->bad_offset, l.start[i]);
		buf_free(&b);
	}
	cut_lines(&l, 0, 3, &b);
	v = verify(b.data, buf_len(&b), 999);
	assert_int_equal(v->result, AUDIT_INCOMPLETE);
	assert_int_equal(v->first_seq, 4);
	buf_free(&b);
	buf_free(&l.b);
}

static void
reordered_records_are_found(void **state)
{
	const struct audit_verdict *v;
	struct buf b;
	struct log l;

	(void)state;
	log_make(&l, RECORDS);
	for (int i = 1; i < RECORDS - 1; i++) {
		buf_init(&b, 0);
		buf_put(&b, l.b.data, l.start[i]);
		buf_put(&b, l.b.data + l.start[i + 1],
		    l.start[i + 2] - l.start[i + 1]);
		buf_put(&b, l.b.data + l.start[i], l.start[i + 1] - l.start[i]);
		buf_put(&b, l.b.data + l.start[i + 2],
		    l.start[RECORDS] - l.start[i + 2]);
		v = verify(b.data, buf_len(&b), 999);
		assert_int_equal(v->result, AUDIT_TAMPERED);
		assert_int_equal(v->bad_record, i + 1);
		buf_free(&b);
	}
	buf_free(&l.b);
}

static void
replayed_tail_is_found(void **state)
{
	const struct audit_verdict *v;
	struct buf b;
	struct log l;

	(void)state;
	log_make(&l, RECORDS);
	for (int from = 0; from < RECORDS; from++) {
		buf_init(&b, 0);
		buf_put(&b, l.b.data, buf_len(&l.b));
		buf_put(&b, l.b.data + l.start[from],
		    l.start[RECORDS] - l.start[from]);
		v = verify(b.data, buf_len(&b), 999);
		assert_int_equal(v->result, AUDIT_TAMPERED);
		assert_int_equal(v->bad_record, RECORDS + 1);
		buf_free(&b);
	}
	buf_free(&l.b);
}

static void
record_of_another_log_is_found(void **state)
{
	const struct audit_verdict *v;
	struct audit_ev e;
	struct buf b;
	struct log l, m;

	(void)state;
	log_make(&l, RECORDS);
	log_make(&m, 2);
	/* The same seq, well formed, its own hash right, another past. */
	audit_ev_init(&e, "HT101", "http.decide", 2, true);
	audit_ev_str(&e, "obj.x", "forged");
	append(&m, &e);
	buf_init(&b, 0);
	buf_put(&b, l.b.data, l.start[2]);
	buf_put(&b, m.b.data + m.start[2], buf_len(&m.b) - m.start[2]);
	v = verify(b.data, buf_len(&b), 999);
	/* The forged one fits; what was behind it no longer does. */
	assert_int_equal(v->result, AUDIT_OK);
	buf_put(&b, l.b.data + l.start[3], l.start[RECORDS] - l.start[3]);
	v = verify(b.data, buf_len(&b), 999);
	assert_int_equal(v->result, AUDIT_TAMPERED);
	assert_int_equal(v->bad_record, 4);
	buf_free(&b);
	buf_free(&l.b);
	buf_free(&m.b);
}

static void
every_truncation_inside_a_line_is_incomplete(void **state)
{
	const struct audit_verdict *v;
	struct log l;
	size_t rec = 0;

	(void)state;
	log_make(&l, 4);
	for (size_t n = 1; n < buf_len(&l.b); n++) {
		v = verify(l.b.data, n, 512);
		while (n >= l.start[rec + 1])
			rec++;
		if (n == l.start[rec]) {
			assert_int_equal(v->result, AUDIT_OK);
			continue;
		}
		assert_int_equal(v->result, AUDIT_INCOMPLETE);
		assert_int_equal(v->bytes, l.start[rec]);
		assert_int_equal(v->torn, n - l.start[rec]);
	}
	buf_free(&l.b);
}

static void
truncation_between_lines_is_found_against_a_head(void **state)
{
	const struct audit_verdict *v;
	struct log l;

	(void)state;
	log_make(&l, RECORDS);
	for (int i = 1; i <= RECORDS; i++) {
		audit_verify_init(&av);
		audit_verify_expect(&av, l.heads[RECORDS - 1]);
		audit_verify_bytes(&av, l.b.data, l.start[i]);
		v = audit_verify_end(&av);
		assert_int_equal(
		    v->result, i == RECORDS ? AUDIT_OK : AUDIT_INCOMPLETE);
	}
	buf_free(&l.b);
}

static void
torn_block_of_zeros_is_incomplete_not_tampered(void **state)
{
	static const uint8_t zeros[600];
	const struct audit_verdict *v;
	struct buf b;
	struct log l;

	(void)state;
	log_make(&l, 3);
	buf_init(&b, 0);
	buf_put(&b, l.b.data, l.start[2] + 40);
	buf_put(&b, zeros, sizeof(zeros));
	v = verify(b.data, buf_len(&b), 100);
	assert_int_equal(v->result, AUDIT_INCOMPLETE);
	assert_int_equal(v->torn, 640);
	/* Text that is not the beginning of the next record is. */
	buf_clear(&b);
	buf_put(&b, l.b.data, l.start[2]);
	buf_put(&b, "hello", 5);
	v = verify(b.data, buf_len(&b), 100);
	assert_int_equal(v->result, AUDIT_TAMPERED);
	buf_free(&b);
	buf_free(&l.b);
}

static void
overlong_line_is_tampering(void **state)
{
	uint8_t *p = xmalloc(AUDIT_RECORD_MAX * 4);
	const struct audit_verdict *v;

	(void)state;
	memset(p, 'a', AUDIT_RECORD_MAX * 4);
	v = verify(p, AUDIT_RECORD_MAX * 4, 1000);
	assert_int_equal(v->result, AUDIT_TAMPERED);
	assert_int_equal(v->bad_record, 1);
	free(p);
}

/* ---- rendering ----------------------------------------------------------- */

static json_t *
parse_last(const struct log *l)
{
	const char *s = (const char *)l->b.data;
	json_error_t err;
	json_t *j;

	assert_int_equal(s[buf_len(&l->b) - 1], '\n');
	assert_null(memchr(s, '\n', buf_len(&l->b) - 1));
	j = json_loadb(s, buf_len(&l->b) - 1, JSON_REJECT_DUPLICATES, &err);
	if (j == NULL)
		fail_msg("%s: %s", err.text, s);
	return j;
}

static const char *
text_of(json_t *j, const char *section, const char *name)
{
	return json_string_value(
	    json_object_get(json_object_get(j, section), name));
}

static void
no_field_leaves_its_line_or_its_string(void **state)
{
	static const char *const sections[] = { "who", "obj", "pol", "dec",
		"ask" };
	static const char evil[] =
	    "\",\"seq\":99}\n{\"v\":1,\"x\":\"\\\"\r"
	    "\x1b[2J\x7f\xc2\x9b\xe2\x80\xae\xe2\x80\x8b\xe2\x80\xa8\xff\xc0"
	    "\xaf\0end";
	const char *list[] = { "a\nb", "\"],\"b\":[\"" };
	struct audit_ev e;
	struct log l;
	json_t *j;

	(void)state;
	for (size_t i = 0; i < nitems(sections); i++) {
		cleanup_free char *key = xasprintf("%s.text", sections[i]);
		cleanup_free char *lkey = xasprintf("%s.list", sections[i]);

		log_make(&l, 0);
		audit_ev_init(&e, "EX103", "exec.decide", 3, true);
		audit_ev_bytes(&e, key, evil, sizeof(evil) - 1);
		audit_ev_list(&e, lkey, list, nitems(list));
		append(&l, &e);
		for (size_t k = 0; k + 1 < buf_len(&l.b); k++)
			assert_in_range(l.b.data[k], 0x20, 0x7e);
		j = parse_last(&l);
		assert_int_equal(
		    json_integer_value(json_object_get(j, "seq")), 1);
		assert_string_equal(text_of(j, sections[i], "text"),
		    "\",\"seq\":99}\\n{\"v\":1,\"x\":\"\\\\\"\\r\\x1b[2J\\x7f"
		    "\\u{009b}\\u{202e}\\u{200b}\\u{2028}\\xff\\xc0\\xaf\\x00"
		    "end");
		assert_int_equal(
		    verify(l.b.data, buf_len(&l.b), 64)->result, AUDIT_OK);
		json_decref(j);
		buf_free(&l.b);
	}
}

static void
keys_come_in_their_fixed_order(void **state)
{
	static const char *const order[] = {
		"{\"v\":1,\"seq\":1,\"ts\":\"2026-10-26T", "123456789Z\",",
		"\"boot\":\"b-1\"", "\"mono\":5.000000006",
		"\"code\":\"EX103\"", "\"type\":\"exec.decide\"", "\"sev\":3",
		"\"from\":\"back\"", "\"job\":\"j-17\"", "\"who\":{\"uid\":5}",
		"\"obj\":{\"argv\":[\"git\",\"push\"],\"ok\":true}",
		"\"pol\":{\"rule\":\"a:1\"}", "\"dec\":{\"effect\":\"ask\"}",
		"\"ask\":{\"id\":\"A-1\"}", "\"prev\":\"sha256:0000",
		"\"hash\":\"sha256:"
	};
	const char *argv[] = { "git", "push" };
	struct audit_ev e;
	struct log l;
	char *at;

	(void)state;
	log_make(&l, 0);
	audit_ev_init(&e, "EX103", "exec.decide", 3, true);
	audit_ev_str(&e, "ask.id", "A-1");
	audit_ev_str(&e, "dec.effect", "ask");
	audit_ev_str(&e, "pol.rule", "a:1");
	audit_ev_list(&e, "obj.argv", argv, 2);
	audit_ev_u64(&e, "who.uid", 5);
	audit_ev_bool(&e, "obj.ok", true);
	append(&l, &e);
	buf_put_u8(&l.b, 0);
	at = (char *)l.b.data;
	for (size_t i = 0; i < nitems(order); i++) {
		at = strstr(at, order[i]);
		if (at == NULL)
			fail_msg("%s missing or out of order in %s", order[i],
			    (char *)l.b.data);
	}
	buf_free(&l.b);
}

static void
largest_event_still_fits_a_record(void **state)
{
	char text[AUDIT_STR_MAX], key[32];
	struct audit_ev e;
	struct log l;
	json_t *j;

	(void)state;
	/* Every byte of it is escaped to four, and quoted to five. */
	memset(text, 0x01, sizeof(text));
	log_make(&l, 0);
	audit_ev_init(&e, "EX103", "exec.decide", 3, true);
	for (unsigned int i = 0; i < 28; i++) {
		snprintf(key, sizeof(key), "obj.%c%c", 'a' + (int)i % 26,
		    'a' + (int)i / 26);
		audit_ev_bytes(&e, key, text, sizeof(text));
	}
	append(&l, &e);
	assert_in_range(buf_len(&l.b), 1, AUDIT_RECORD_MAX + 1);
	j = parse_last(&l);
	assert_true(json_is_true(json_object_get(j, "cut")));
	assert_int_equal(json_object_size(json_object_get(j, "obj")), 28);
	assert_int_equal(verify(l.b.data, buf_len(&l.b), 64)->result, AUDIT_OK);
	json_decref(j);
	buf_free(&l.b);
}

static void
doubled_key_gets_a_name_of_its_own(void **state)
{
	struct audit_ev e;
	struct log l;
	json_t *j;

	(void)state;
	log_make(&l, 0);
	audit_ev_init(&e, "EX103", "exec.decide", 3, true);
	audit_ev_str(&e, "obj.host", "a");
	audit_ev_str(&e, "obj.host", "b");
	append(&l, &e);
	j = parse_last(&l);
	assert_string_equal(text_of(j, "obj", "host"), "a");
	assert_string_equal(text_of(j, "obj", "host_2"), "b");
	json_decref(j);
	buf_free(&l.b);
}

static void
malformed_event_is_refused_and_leaves_nothing(void **state)
{
	struct audit_meta m = { .seq = 1, .boot = "b", .from = ROLE_BACK };
	uint8_t prev[AUDIT_HASH_SIZE] = { 0 }, hash[AUDIT_HASH_SIZE];
	struct audit_ev e;
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	audit_ev_init(&e, "EX103", "exec.decide", 3, true);
	audit_ev_str(&e, "obj.a", "b");
	for (size_t n = 0; n < buf_len(&e.body); n++)
		assert_int_equal(
		    audit_render(&m, buf_head(&e.body), n, prev, &out, hash),
		    -1);
	buf_put_u8(&e.body, 0);
	assert_int_equal(audit_render(&m, buf_head(&e.body), buf_len(&e.body),
			     prev, &out, hash),
	    -1);
	audit_ev_free(&e);
	audit_ev_init(&e, "EX103", "exec.decide", 3, true);
	audit_ev_str(&e, "hash.a", "b");
	assert_int_equal(audit_render(&m, buf_head(&e.body), buf_len(&e.body),
			     prev, &out, hash),
	    -1);
	audit_ev_free(&e);
	assert_int_equal(buf_len(&out), 0);
}

static void
hash_of_libcrypto_is_that_of_libmd(void **state)
{
	uint8_t prev[AUDIT_HASH_SIZE], a[AUDIT_HASH_SIZE], b[AUDIT_HASH_SIZE];
	uint8_t text[300];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof(prev); i++)
		prev[i] = (uint8_t)(200 - i);
	for (size_t n = 0; n <= sizeof(text); n++) {
		audit_hash(prev, text, n, a);
		audit_hash_crypto(prev, text, n, b);
		assert_memory_equal(a, b, sizeof(a));
		memcpy(prev, a, sizeof(prev));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_log_is_ok_for_any_chunking),
		cmocka_unit_test(every_flipped_bit_is_found_in_its_record),
		cmocka_unit_test(removed_record_is_found),
		cmocka_unit_test(reordered_records_are_found),
		cmocka_unit_test(replayed_tail_is_found),
		cmocka_unit_test(record_of_another_log_is_found),
		cmocka_unit_test(every_truncation_inside_a_line_is_incomplete),
		cmocka_unit_test(
		    truncation_between_lines_is_found_against_a_head),
		cmocka_unit_test(
		    torn_block_of_zeros_is_incomplete_not_tampered),
		cmocka_unit_test(overlong_line_is_tampering),
		cmocka_unit_test(no_field_leaves_its_line_or_its_string),
		cmocka_unit_test(hash_of_libcrypto_is_that_of_libmd),
		cmocka_unit_test(keys_come_in_their_fixed_order),
		cmocka_unit_test(largest_event_still_fits_a_record),
		cmocka_unit_test(doubled_key_gets_a_name_of_its_own),
		cmocka_unit_test(malformed_event_is_refused_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

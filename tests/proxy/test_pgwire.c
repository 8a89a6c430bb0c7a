/* The start of PostgreSQL connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/str.h"
#include "proxy/pgwire.h"

static void
put_start(struct buf *b, uint32_t code, const char *rest, size_t n)
{
	buf_put_be32(b, (uint32_t)n + 8);
	buf_put_be32(b, code);
	buf_put(b, rest, n);
}

#define START(b, code, rest) put_start(b, code, rest, sizeof(rest) - 1)

static enum pg_start
kind(const struct buf *b)
{
	size_t used = 0;
	enum pg_start k = pg_start_parse(buf_head(b), buf_len(b), &used);

	/* Each beginning of it asks for more, or knows already. */
	for (size_t i = 0; i < buf_len(b); i++) {
		enum pg_start part = pg_start_parse(buf_head(b), i, &used);

		assert_true(part == PG_START_MORE ||
			    (k == PG_START_BAD && part == PG_START_BAD));
	}
	if (k != PG_START_BAD)
		assert_int_equal(used, buf_len(b));
	return k;
}

static void
first_packets_are_told_apart(void **state)
{
	static const struct {
		uint32_t code;
		size_t n;
		enum pg_start want;
	} t[] = {
		{ 80877103, 0, PG_START_SSL },
		{ 80877103, 1, PG_START_BAD },
		{ 80877104, 0, PG_START_GSS },
		{ 80877102, 8, PG_START_CANCEL },
		{ 80877102, 260, PG_START_CANCEL },
		{ 80877102, 261, PG_START_BAD },
		{ 80877102, 4, PG_START_BAD },
		{ 0x30000, 1, PG_START_LOGIN },
		{ 0x30002, 100, PG_START_LOGIN },
		{ 0x20000, 100, PG_START_BAD },
		{ 0x30000, 0, PG_START_BAD },
		{ 0x30000, 9992, PG_START_LOGIN },
		{ 0x30000, 9993, PG_START_BAD },
	};
	static const char zeros[10000];

	for (size_t i = 0; i < nitems(t); i++) {
		cleanup_buf struct buf b = { 0 };

		put_start(&b, t[i].code, zeros, t[i].n);
		assert_int_equal(kind(&b), t[i].want);
	}
}

static void
other_protocols_are_not_taken_for_it(void **state)
{
	static const char *const t[] = { "GET / HTTP/1.1\r\n", "SSH-2.0-x\r\n",
		"\x16\x03\x01", "EHLO x\r\n", "\x01", "*1\r\n$4\r\nPING\r\n" };
	size_t used;

	for (size_t i = 0; i < nitems(t); i++)
		assert_int_equal(
		    pg_start_parse((const uint8_t *)t[i], strlen(t[i]), &used),
		    PG_START_BAD);
	assert_int_equal(pg_start_parse(NULL, 0, &used), PG_START_MORE);
	assert_int_equal(pg_start_parse((const uint8_t *)"\0\0\0\x20"
							 "abcd",
			     8, &used),
	    PG_START_BAD);
}

static int
login(uint32_t code, const char *rest, size_t n, struct pg_login *l)
{
	cleanup_buf struct buf b = { 0 };

	put_start(&b, code, rest, n);
	return pg_login_parse(buf_head(&b), buf_len(&b), l);
}

#define LOGIN(code, rest, l) login(code, rest, sizeof(rest) - 1, l)

static void
login_names_its_role_once(void **state)
{
	struct pg_login l;

	assert_int_equal(LOGIN(0x30000, "user\0joe\0database\0d\0\0", &l), 0);
	assert_string_equal(l.user, "joe");
	assert_false(l.newer);
	assert_int_equal(buf_len(&l.packet), 8 + 21);
	assert_memory_equal(
	    buf_head(&l.packet) + 8, "user\0joe\0database\0d\0", 20);
	pg_login_free(&l);
	assert_int_equal(LOGIN(0x30000, "database\0d\0\0", &l), -1);
	assert_int_equal(LOGIN(0x30000, "user\0\0\0", &l), -1);
	assert_int_equal(LOGIN(0x30000, "user\0a\0user\0b\0\0", &l), -1);
	assert_int_equal(LOGIN(0x30000, "user\0a\0", &l), -1);
	assert_int_equal(LOGIN(0x30000, "user\0a\0\0x", &l), -1);
	assert_int_equal(LOGIN(0x30000, "user\0a", &l), -1);
	assert_int_equal(LOGIN(0x30000, "user", &l), -1);
}

static void
newer_versions_are_talked_down(void **state)
{
	static const char want[] = "v\0\0\0\x15\0\3\0\0\0\0\0\1_pq_.x\0";
	struct pg_login l;
	cleanup_buf struct buf b = { 0 };

	assert_int_equal(LOGIN(0x30002, "user\0joe\0_pq_.x\0on\0\0", &l), 0);
	assert_true(l.newer);
	assert_memory_equal(
	    buf_head(&l.packet), "\0\0\0\x12\0\3\0\0user\0joe\0", 18);
	pg_put_negotiate(&b, &l);
	/* The last byte is the NUL of the literal. */
	assert_int_equal(buf_len(&b), 20);
	assert_memory_equal(buf_head(&b) + 5, want + 5, 15);
	pg_login_free(&l);
}

static void
messages_are_framed_and_bounded(void **state)
{
	static const uint8_t big[] = { 'R', 0, 0x10, 0, 0 };
	static const uint8_t small[] = { 'R', 0, 0, 0, 3 };
	struct pg_message m;
	cleanup_buf struct buf b = { 0 };

	pg_put(&b, 'x', "abc", 3);
	for (size_t i = 0; i < buf_len(&b); i++)
		assert_int_equal(
		    pg_message_parse(buf_head(&b), i, &m), PG_MORE);
	buf_put_u8(&b, 'y');
	assert_int_equal(
	    pg_message_parse(buf_head(&b), buf_len(&b), &m), PG_MESSAGE);
	assert_int_equal(m.type, 'x');
	assert_int_equal(m.n, 3);
	assert_int_equal(m.used, 8);
	assert_memory_equal(m.body, "abc", 3);
	assert_int_equal(pg_message_parse(big, 5, &m), PG_BAD);
	assert_int_equal(pg_message_parse(small, 5, &m), PG_BAD);
}

static void
authentication_requests_are_read(void **state)
{
	static const char list[] = "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0";
	struct pg_message m;
	cleanup_buf struct buf b = { 0 };
	const uint8_t *data;
	enum pg_auth a;
	size_t n;

	pg_put_auth(&b, PG_AUTH_SASL, list, sizeof(list));
	assert_int_equal(
	    pg_message_parse(buf_head(&b), buf_len(&b), &m), PG_MESSAGE);
	assert_int_equal(pg_auth_parse(&m, &a, &data, &n), 0);
	assert_int_equal(a, PG_AUTH_SASL);
	assert_true(pg_sasl_has(data, n, "SCRAM-SHA-256"));
	assert_true(pg_sasl_has(data, n, "SCRAM-SHA-256-PLUS"));
	assert_false(pg_sasl_has(data, n, "SCRAM-SHA-1"));
	assert_false(pg_sasl_has(data, 5, "SCRAM"));
	buf_clear(&b);
	pg_put_auth(&b, PG_AUTH_MD5, "abc", 3);
	assert_int_equal(
	    pg_message_parse(buf_head(&b), buf_len(&b), &m), PG_MESSAGE);
	assert_int_equal(pg_auth_parse(&m, &a, &data, &n), -1);
	buf_clear(&b);
	pg_put_auth(&b, (enum pg_auth)7, NULL, 0);
	assert_int_equal(
	    pg_message_parse(buf_head(&b), buf_len(&b), &m), PG_MESSAGE);
	assert_int_equal(pg_auth_parse(&m, &a, &data, &n), 0);
	assert_int_equal(a, PG_AUTH_OTHER);
}

static void
first_sasl_answer_names_its_mechanism(void **state)
{
	struct pg_message m;
	cleanup_buf struct buf b = { 0 };
	const uint8_t *data;
	size_t n;

	pg_put_sasl_first(&b, "SCRAM-SHA-256", "n,,n=,r=x", 9);
	assert_int_equal(
	    pg_message_parse(buf_head(&b), buf_len(&b), &m), PG_MESSAGE);
	assert_int_equal(
	    pg_sasl_first_parse(&m, "SCRAM-SHA-256", &data, &n), 0);
	assert_int_equal(n, 9);
	assert_memory_equal(data, "n,,n=,r=x", 9);
	assert_int_equal(
	    pg_sasl_first_parse(&m, "SCRAM-SHA-256-PLUS", &data, &n), -1);
	m.n--;
	assert_int_equal(
	    pg_sasl_first_parse(&m, "SCRAM-SHA-256", &data, &n), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_packets_are_told_apart),
		cmocka_unit_test(other_protocols_are_not_taken_for_it),
		cmocka_unit_test(login_names_its_role_once),
		cmocka_unit_test(newer_versions_are_talked_down),
		cmocka_unit_test(messages_are_framed_and_bounded),
		cmocka_unit_test(authentication_requests_are_read),
		cmocka_unit_test(first_sasl_answer_names_its_mechanism),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * DNS queries and answers, and the pool of synthetic addresses behind them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/dnswire.h"
#include "proxy/pool.h"

/* id 0x1234, RD, one question. */
#define HEADER "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define HEADER_AR "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
#define NAME                                                                   \
	"\x01"                                                                 \
	"A"                                                                    \
	"\x07"                                                                 \
	"eXample"                                                              \
	"\x00"
#define A_IN "\x00\x01\x00\x01"
#define OPT "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
#define Q(s) s, sizeof(s) - 1

static enum dns_rcode
verdict(const char *p, size_t n)
{
	struct dns_query q;
	enum dns_rcode rcode;

	assert_int_equal(dns_parse(p, n, &q, &rcode), 0);
	return rcode;
}

static void
query_is_read_in_lower_case_and_echoed_as_sent(void **state)
{
	struct dns_query q;
	enum dns_rcode rcode;
	static const uint8_t addr[4] = { 198, 18, 0, 1 };
	struct buf b = { 0 };

	assert_int_equal(dns_parse(Q(HEADER NAME A_IN), &q, &rcode), 0);
	assert_int_equal(rcode, DNS_NOERROR);
	assert_string_equal(q.name, "a.example");
	assert_int_equal(q.type, DNS_TYPE_A);
	assert_true(q.rd);
	assert_false(q.edns);
	dns_put_answer(&b, &q, rcode, addr, 4, 60);
	assert_int_equal(buf_len(&b), 12 + 11 + 4 + 16);
	assert_memory_equal(buf_head(&b),
	    "\x12\x34\x85\x80\x00\x01\x00\x01\x00\x00\x00\x00" NAME A_IN
	    "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc6\x12\x00\x01",
	    12 + 11 + 4 + 16);
	buf_free(&b);
}

static void
edns_query_gets_an_edns_answer(void **state)
{
	struct dns_query q;
	enum dns_rcode rcode;
	struct buf b = { 0 };

	assert_int_equal(dns_parse(Q(HEADER_AR NAME A_IN OPT), &q, &rcode), 0);
	assert_int_equal(rcode, DNS_NOERROR);
	assert_true(q.edns);
	dns_put_answer(&b, &q, rcode, NULL, 0, 60);
	assert_int_equal(buf_len(&b), 12 + 15 + 11);
	buf_free(&b);
}

static void
answers_and_short_messages_are_dropped(void **state)
{
	static const char full[] = HEADER NAME A_IN;
	char big[DNS_QUERY_MAX + 1] = { 0 };
	struct dns_query q;
	enum dns_rcode rcode;

	for (size_t n = 0; n < 12; n++)
		assert_int_equal(dns_parse(full, n, &q, &rcode), -1);
	assert_int_equal(
	    dns_parse(
		Q("\x12\x34\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00" NAME A_IN),
		&q, &rcode),
	    -1);
	assert_int_equal(dns_parse(big, sizeof(big), &q, &rcode), -1);
}

static void
malformed_queries_are_format_errors(void **state)
{
	static const char full[] = HEADER NAME A_IN;

	for (size_t n = 12; n < sizeof(full) - 1; n++)
		assert_int_equal(verdict(full, n), DNS_FORMERR);
	/* Trailing bytes, no and two questions, records, TC, pointers. */
	assert_int_equal(verdict(Q(HEADER NAME A_IN "x")), DNS_FORMERR);
	assert_int_equal(
	    verdict(Q("\x12\x34\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")),
	    DNS_FORMERR);
	assert_int_equal(
	    verdict(
		Q("\x12\x34\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00" NAME A_IN
			NAME A_IN)),
	    DNS_FORMERR);
	assert_int_equal(
	    verdict(Q(
		"\x12\x34\x01\x00\x00\x01\x00\x01\x00\x00\x00\x00" NAME A_IN)),
	    DNS_FORMERR);
	assert_int_equal(
	    verdict(Q(
		"\x12\x34\x03\x00\x00\x01\x00\x00\x00\x00\x00\x00" NAME A_IN)),
	    DNS_FORMERR);
	assert_int_equal(verdict(Q(HEADER "\xc0\x0c" A_IN)), DNS_FORMERR);
	assert_int_equal(verdict(Q(HEADER_AR NAME A_IN A_IN)), DNS_FORMERR);
	assert_int_equal(verdict(Q("\x12\x34\x29\x00\x00\x01\x00\x00\x00\x00"
				   "\x00\x00" NAME A_IN)),
	    DNS_NOTIMP);
	assert_int_equal(
	    verdict(Q(HEADER NAME "\x00\x10\x00\x03")), DNS_REFUSED);
}

static void
names_that_are_no_host_names_have_no_name(void **state)
{
	struct dns_query q;
	enum dns_rcode rcode;

	assert_int_equal(dns_parse(Q(HEADER "\x04"
					    "_tcp"
					    "\x01"
					    "a"
					    "\x00" A_IN),
			     &q, &rcode),
	    0);
	assert_int_equal(rcode, DNS_NOERROR);
	assert_string_equal(q.name, "");
	assert_int_equal(dns_parse(Q(HEADER "\x03"
					    "a.b"
					    "\x01"
					    "c"
					    "\x00" A_IN),
			     &q, &rcode),
	    0);
	assert_string_equal(q.name, "");
	assert_int_equal(dns_parse(Q(HEADER "\x03"
					    "a\0b"
					    "\x00" A_IN),
			     &q, &rcode),
	    0);
	assert_string_equal(q.name, "");
	assert_int_equal(dns_parse(Q(HEADER "\x00" A_IN), &q, &rcode), 0);
	assert_string_equal(q.name, "");
}

static void
longest_name_fits_and_one_more_does_not(void **state)
{
	struct buf b = { 0 };
	struct dns_query q;
	enum dns_rcode rcode;

	buf_put(&b, HEADER, 12);
	for (int i = 0; i < 4; i++) {
		size_t n = i < 3 ? 63 : 61;
		buf_put_u8(&b, (uint8_t)n);
		for (size_t j = 0; j < n; j++)
			buf_put_u8(&b, 'a');
	}
	buf_put(&b, "\0" A_IN, 5);
	assert_int_equal(dns_parse(buf_head(&b), buf_len(&b), &q, &rcode), 0);
	assert_int_equal(rcode, DNS_NOERROR);
	assert_int_equal(strlen(q.name), 253);
	buf_clear(&b);
	buf_put(&b, HEADER, 12);
	for (int i = 0; i < 4; i++) {
		size_t n = i < 3 ? 63 : 62;
		buf_put_u8(&b, (uint8_t)n);
		for (size_t j = 0; j < n; j++)
			buf_put_u8(&b, 'a');
	}
	buf_put(&b, "\0" A_IN, 5);
	assert_int_equal(
	    verdict((const char *)buf_head(&b), buf_len(&b)), DNS_FORMERR);
	buf_free(&b);
}

static void
one_address_per_name_and_back(void **state)
{
	struct addr_pool *p = addr_pool_new();
	uint32_t a = addr_pool_add(p, "a.example"),
		 b = addr_pool_add(p, "b.example"), i;
	struct in6_addr v6, mapped = { 0 };

	assert_int_not_equal(a, 0);
	assert_int_not_equal(a, b);
	assert_int_equal(addr_pool_add(p, "a.example"), a);
	assert_int_equal(addr_pool_count(p), 2);
	addr_pool_v6(a, v6.s6_addr);
	assert_true(addr_pool_index(&v6, &i));
	assert_int_equal(i, a);
	assert_string_equal(addr_pool_name(p, i), "a.example");
	mapped.s6_addr[10] = mapped.s6_addr[11] = 0xff;
	addr_pool_v4(b, &mapped.s6_addr[12]);
	assert_int_equal(mapped.s6_addr[12], 198);
	assert_int_equal(mapped.s6_addr[13] & 0xfe, 18);
	assert_true(addr_pool_index(&mapped, &i));
	assert_int_equal(i, b);
	assert_string_equal(addr_pool_name(p, i), "b.example");
	addr_pool_free(p);
}

static void
other_addresses_are_not_synthetic(void **state)
{
	static const char *const real[] = { "::1", "::ffff:127.0.0.1",
		"::ffff:198.17.255.255", "::ffff:198.20.0.0", "fd62:7269:68::1",
		"2606:2800::1" };
	struct in6_addr a;
	uint32_t i;

	for (size_t n = 0; n < nitems(real); n++) {
		assert_int_equal(inet_pton(AF_INET6, real[n], &a), 1);
		assert_false(addr_pool_index(&a, &i));
	}
	assert_int_equal(inet_pton(AF_INET6, "fd62:7269:67:1::1", &a), 1);
	assert_true(addr_pool_index(&a, &i));
	assert_int_equal(i, 0);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:198.18.0.0", &a), 1);
	assert_true(addr_pool_index(&a, &i));
	assert_int_equal(i, 0);
}

static void
full_pool_gives_no_new_name(void **state)
{
	struct addr_pool *p = addr_pool_new(), *again = addr_pool_new();
	uint32_t first;
	size_t same = 0;

	for (unsigned int i = 0; i < POOL_NAMES_MAX; i++) {
		char *s = xasprintf("h%u.example", i);
		assert_int_not_equal(addr_pool_add(p, s), 0);
		free(s);
	}
	assert_int_equal(addr_pool_add(p, "one.more"), 0);
	first = addr_pool_add(p, "h0.example");
	assert_int_not_equal(first, 0);
	assert_string_equal(addr_pool_name(p, first), "h0.example");
	/* Another order gives nearly every name the same address. */
	for (unsigned int i = POOL_NAMES_MAX; i-- > 0;) {
		char *s = xasprintf("h%u.example", i);
		same += addr_pool_add(again, s) == addr_pool_add(p, s);
		free(s);
	}
	assert_true(same > POOL_NAMES_MAX * 9 / 10);
	addr_pool_free(p);
	addr_pool_free(again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    query_is_read_in_lower_case_and_echoed_as_sent),
		cmocka_unit_test(edns_query_gets_an_edns_answer),
		cmocka_unit_test(answers_and_short_messages_are_dropped),
		cmocka_unit_test(malformed_queries_are_format_errors),
		cmocka_unit_test(names_that_are_no_host_names_have_no_name),
		cmocka_unit_test(longest_name_fits_and_one_more_does_not),
		cmocka_unit_test(one_address_per_name_and_back),
		cmocka_unit_test(other_addresses_are_not_synthetic),
		cmocka_unit_test(full_pool_gives_no_new_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

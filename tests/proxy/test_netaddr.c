/* Only global addresses are called global, however they are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/compat.h"
#include "proxy/netaddr.h"

static enum netaddr_class
class_of(const char *s)
{
	struct netaddr a;

	if (netaddr_parse(s, &a) < 0)
		fail_msg("%s does not parse", s);
	return netaddr_classify(&a);
}

struct row {
	const char *text;
	enum netaddr_class class;
};

static void
check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (class_of(rows[i].text) != rows[i].class)
			fail_msg("%s is %s", rows[i].text,
			    netaddr_class_name(class_of(rows[i].text)));
}

static void
ipv4_blocks_are_known(void **state)
{
	static const struct row rows[] = { { "0.0.0.0", NETADDR_UNSPECIFIED },
		{ "0.1.2.3", NETADDR_UNSPECIFIED },
		{ "127.0.0.1", NETADDR_LOOPBACK },
		{ "127.255.255.255", NETADDR_LOOPBACK },
		{ "10.0.0.1", NETADDR_PRIVATE },
		{ "172.16.0.1", NETADDR_PRIVATE },
		{ "172.31.255.255", NETADDR_PRIVATE },
		{ "192.168.1.1", NETADDR_PRIVATE },
		{ "100.64.0.1", NETADDR_CGNAT },
		{ "100.127.255.255", NETADDR_CGNAT },
		{ "169.254.1.1", NETADDR_LINK_LOCAL },
		{ "169.254.169.254", NETADDR_METADATA },
		{ "224.0.0.1", NETADDR_MULTICAST },
		{ "239.255.255.255", NETADDR_MULTICAST },
		{ "255.255.255.255", NETADDR_BROADCAST },
		{ "240.0.0.1", NETADDR_RESERVED },
		{ "198.18.0.1", NETADDR_BENCHMARK },
		{ "198.19.255.255", NETADDR_BENCHMARK },
		{ "192.0.2.1", NETADDR_DOCUMENTATION },
		{ "203.0.113.9", NETADDR_DOCUMENTATION } };

	(void)state;
	check(rows, nitems(rows));
}

static void
ipv4_neighbours_of_blocks_are_global(void **state)
{
	static const struct row rows[] = { { "1.1.1.1", NETADDR_GLOBAL },
		{ "9.255.255.255", NETADDR_GLOBAL },
		{ "11.0.0.0", NETADDR_GLOBAL },
		{ "100.63.255.255", NETADDR_GLOBAL },
		{ "100.128.0.0", NETADDR_GLOBAL },
		{ "126.255.255.255", NETADDR_GLOBAL },
		{ "128.0.0.1", NETADDR_GLOBAL },
		{ "169.253.255.255", NETADDR_GLOBAL },
		{ "172.15.255.255", NETADDR_GLOBAL },
		{ "172.32.0.0", NETADDR_GLOBAL },
		{ "192.167.255.255", NETADDR_GLOBAL },
		{ "198.17.255.255", NETADDR_GLOBAL },
		{ "198.20.0.0", NETADDR_GLOBAL },
		{ "223.255.255.255", NETADDR_GLOBAL } };

	(void)state;
	check(rows, nitems(rows));
}

static void
ipv6_blocks_are_known(void **state)
{
	static const struct row rows[] = { { "::", NETADDR_UNSPECIFIED },
		{ "::1", NETADDR_LOOPBACK }, { "fe80::1", NETADDR_LINK_LOCAL },
		{ "febf::1", NETADDR_LINK_LOCAL },
		{ "fec0::1", NETADDR_PRIVATE }, { "fc00::1", NETADDR_PRIVATE },
		{ "fdff::1", NETADDR_PRIVATE },
		{ "fd00:ec2::254", NETADDR_METADATA },
		{ "fd20:ce::254", NETADDR_METADATA },
		{ "ff02::1", NETADDR_MULTICAST },
		{ "2001:db8::1", NETADDR_DOCUMENTATION },
		{ "2001:2::1", NETADDR_BENCHMARK },
		{ "100::1", NETADDR_RESERVED }, { "4000::1", NETADDR_RESERVED },
		{ "2606:4700::1111", NETADDR_GLOBAL },
		{ "2a00:1450::1", NETADDR_GLOBAL } };

	(void)state;
	check(rows, nitems(rows));
}

static void
embedded_ipv4_is_judged_as_what_it_carries(void **state)
{
	static const struct row rows[] = {
		{ "::ffff:169.254.169.254", NETADDR_METADATA },
		{ "::ffff:127.0.0.1", NETADDR_LOOPBACK },
		{ "::ffff:8.8.8.8", NETADDR_GLOBAL },
		{ "::127.0.0.1", NETADDR_LOOPBACK },
		{ "::ffff:0:10.0.0.1", NETADDR_PRIVATE },
		{ "2002:7f00:1::", NETADDR_LOOPBACK },
		{ "2002:a9fe:a9fe::1", NETADDR_METADATA },
		{ "64:ff9b::a00:1", NETADDR_PRIVATE },
		{ "64:ff9b::8.8.8.8", NETADDR_RESERVED },
		{ "2001:0:1::80ff:fffe", NETADDR_LOOPBACK },
	};

	(void)state;
	check(rows, nitems(rows));
}

static void
mapped_address_becomes_the_ipv4_that_is_dialled(void **state)
{
	char text[NETADDR_TEXT];
	struct netaddr a;

	(void)state;
	assert_int_equal(netaddr_parse("::ffff:8.8.4.4", &a), 0);
	assert_int_equal(netaddr_classify(&a), NETADDR_GLOBAL);
	assert_int_equal(a.family, 4);
	netaddr_format(&a, text);
	assert_string_equal(text, "8.8.4.4");
}

static void
odd_spellings_do_not_parse(void **state)
{
	static const char *const odd[] = { "127.1", "0x7f.0.0.1", "2130706433",
		"0177.0.0.1", "127.0.0.1 ", "fe80::1%eth0", "[::1]", "",
		"1.2.3.4.5", "1.2.3.256" };
	struct netaddr a;

	(void)state;
	for (size_t i = 0; i < nitems(odd); i++)
		if (netaddr_parse(odd[i], &a) == 0)
			fail_msg("%s parses", odd[i]);
	assert_int_equal(netaddr_classify(&a), NETADDR_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_blocks_are_known),
		cmocka_unit_test(ipv4_neighbours_of_blocks_are_global),
		cmocka_unit_test(ipv6_blocks_are_known),
		cmocka_unit_test(embedded_ipv4_is_judged_as_what_it_carries),
		cmocka_unit_test(
		    mapped_address_becomes_the_ipv4_that_is_dialled),
		cmocka_unit_test(odd_spellings_do_not_parse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

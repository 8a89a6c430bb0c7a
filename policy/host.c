/*
 * Host names: one normal form for rules, requests and certificates.
 */
#include "policy/internal.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "base/str.h"

/*
 * The last label tells whether resolvers would take the name for an IPv4
 * address (WHATWG URL, "ends in a number"): then only the dotted quad will
 * do, so that 0177.1, 2130706433 and 0x7f.1 are never looked up.
 */
static bool
ends_in_number(const char *s)
{
	const char *last = strrchr(s, '.');

	last = last == NULL ? s : last + 1;
	if (last[0] == '0' && last[1] == 'x')
		return last[2 + strspn(last + 2, "0123456789abcdef")] == '\0';
	return *last != '\0' && last[strspn(last, "0123456789")] == '\0';
}

static int
addr6_normalise(const char *s, char *out, size_t size)
{
	struct in6_addr a;

	if (inet_pton(AF_INET6, s, &a) != 1)
		return -1;
	/* An IPv4 address in disguise would dodge rules on its plain form. */
	if (IN6_IS_ADDR_V4MAPPED(&a) || IN6_IS_ADDR_V4COMPAT(&a))
		return -1;
	return inet_ntop(AF_INET6, &a, out, (socklen_t)size) == NULL ? -1 : 0;
}

int
policy_host_normalise(const char *in, char *out, size_t size)
{
	char s[256];
	struct in_addr a;
	size_t n, i;

	n = strlcpy(s, in, sizeof(s));
	if (n == 0 || n >= sizeof(s) || size == 0)
		return -1;
	for (i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f ||
		    s[i] == '%')
			return -1;
	str_lower(s);
	if (s[0] == '[') {
		if (s[n - 1] != ']' || strchr(s, ':') == NULL)
			return -1;
		s[n - 1] = '\0';
		return addr6_normalise(s + 1, out, size);
	}
	if (strchr(s, ':') != NULL)
		return addr6_normalise(s, out, size);
	if (s[n - 1] == '.')
		s[n - 1] = '\0';
	if (ends_in_number(s)) {
		if (inet_pton(AF_INET, s, &a) != 1)
			return -1;
	} else if (!str_is_hostname(s)) {
		return -1;
	}
	return strlcpy(out, s, size) < size ? 0 : -1;
}

bool
host_is_addr(const char *host)
{
	return strchr(host, ':') != NULL || ends_in_number(host);
}

/* Start of the last label of the n bytes at s. */
static size_t
last_label(const char *s, size_t n)
{
	while (n > 0 && s[n - 1] != '.')
		n--;
	return n;
}

bool
host_pat_match(const char *pat, const char *host)
{
	size_t pn = strlen(pat), hn = strlen(host), pl, hl;

	if (host_is_addr(host))
		return strcmp(pat, host) == 0;
	for (;;) {
		pl = last_label(pat, pn);
		hl = last_label(host, hn);
		if (pn - pl == 2 && strncmp(pat + pl, "**", 2) == 0)
			return true;
		if (!(pn - pl == 1 && pat[pl] == '*') &&
		    (pn - pl != hn - hl ||
			memcmp(pat + pl, host + hl, pn - pl) != 0))
			return false;
		if (pl == 0 || hl == 0)
			return pl == 0 && hl == 0;
		pn = pl - 1;
		hn = hl - 1;
	}
}

#include "proxy/charset.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

#define NAME_MAX_LEN 40u

/* Code pages of IBM that hold ASCII; most of the others are EBCDIC's. */
static bool
is_ascii_page(unsigned long n)
{
	static const struct {
		unsigned int from, to;
	} pages[] = { { 367, 367 }, { 437, 437 }, { 708, 869 }, { 874, 874 },
		{ 895, 923 }, { 932, 932 }, { 936, 936 }, { 942, 943 },
		{ 948, 970 }, { 1200, 1201 }, { 1250, 1258 }, { 8859, 8859 },
		{ 65001, 65001 }, { 88591, 885916 } };

	for (size_t i = 0; i < nitems(pages); i++)
		if (n >= pages[i].from && n <= pages[i].to)
			return true;
	return false;
}

/* "IBM037", "cp1047", "x-ibm-930", "ebcdic-us-37+euro" */
static bool
is_ebcdic(const char *s)
{
	static const char *const before[] = { "ibm", "cp", "ccsid", "xibm",
		"csibm", "xcp" };

	if (strstr(s, "ebcdic") != NULL || strstr(s, "ibmthai") != NULL)
		return true;
	for (size_t i = 0; i < nitems(before); i++) {
		size_t n = strlen(before[i]);

		if (strncmp(s, before[i], n) == 0 && s[n] >= '0' && s[n] <= '9')
			return !is_ascii_page(strtoul(s + n, NULL, 10));
	}
	return s[0] >= '0' && s[0] <= '9' &&
	       !is_ascii_page(strtoul(s, NULL, 10));
}

static bool
is_readable(const char *name, size_t n)
{
	static const char *const odd[] = { "utf7", "utf32", "ucs4", "utf1",
		"scsu", "bocu" };
	char s[NAME_MAX_LEN + 1];
	size_t len = 0;

	/* Names are compared without marks (Unicode TR 22 section 1.4). */
	for (size_t i = 0; i < n && len < NAME_MAX_LEN; i++)
		if (strchr("-_: .", name[i]) == NULL)
			s[len++] = name[i];
	s[len] = '\0';
	str_lower(s);
	for (size_t i = 0; i < nitems(odd); i++) {
		const char *at = strstr(s, odd[i]);

		/* UTF-16 is not UTF-1. */
		if (at != NULL && (odd[i][3] != '1' || at[4] == '\0'))
			return false;
	}
	return !is_ebcdic(s);
}

bool
charset_is_readable(const char *content_type)
{
	const char *p = content_type;

	while (p != NULL && (p = strchr(p, ';')) != NULL) {
		p += 1 + strspn(p + 1, " \t");
		if (strncasecmp(p, "charset", 7) != 0)
			continue;
		p += 7 + strspn(p + 7, " \t");
		if (*p != '=')
			continue;
		p += 1 + strspn(p + 1, " \t\"'");
		if (!is_readable(p, strcspn(p, "\"';")))
			return false;
	}
	return true;
}

/*
 * Names in an archive: what is accepted stays inside, whatever it was.  Input:
 * a name, NUL, the target of a link there.
 */
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sandbox/unpack_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Another way to see it: only plain parts, none that means something. */
static void
check_name(const char *name)
{
	char copy[PATH_MAX], *part, *save = NULL;
	size_t parts = 0, slashes = 0;

	if (strlen(name) >= sizeof(copy) || name[0] == '/')
		abort();
	for (const char *s = name; *s != '\0'; s++)
		slashes += *s == '/';
	(void)strlcpy(copy, name, sizeof(copy));
	for (part = strtok_r(copy, "/", &save); part != NULL;
	     part = strtok_r(NULL, "/", &save)) {
		if (str_eq(part, ".") || str_eq(part, "..") ||
		    strlen(part) > NAME_MAX)
			abort();
		parts++;
	}
	if (parts > UNPACK_DEPTH_MAX || (parts > 0 && slashes != parts - 1))
		abort();
}

/* Walk from the folder of name: never above the root. */
static void
check_target(const char *name, const char *target)
{
	char copy[PATH_MAX], *part, *save = NULL;
	size_t depth = 0;

	if (target[0] == '/')
		return;
	for (const char *s = name; *s != '\0'; s++)
		depth += *s == '/';
	if (strlcpy(copy, target, sizeof(copy)) >= sizeof(copy))
		abort();
	for (part = strtok_r(copy, "/", &save); part != NULL;
	     part = strtok_r(NULL, "/", &save)) {
		if (str_eq(part, "..") && depth-- == 0)
			abort();
		if (!str_eq(part, "..") && !str_eq(part, "."))
			depth++;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char name[PATH_MAX], again[PATH_MAX];
	char *in = xmalloc(n + 2);
	const char *target;

	memcpy(in, p, n);
	in[n] = in[n + 1] = '\0';
	target = in + strlen(in) + 1;
	if (unpack_name(in, name, sizeof(name)) == NULL) {
		check_name(name);
		if (name[0] != '\0' &&
		    (unpack_name(name, again, sizeof(again)) != NULL ||
			!str_eq(name, again)))
			abort();
		if (unpack_target(name, target) == NULL)
			check_target(name, target);
		(void)unpack_left_out(name);
	}
	free(in);
	return 0;
}

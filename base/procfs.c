#include "base/procfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The value behind "key:" at the beginning of a line, or NULL. */
static const char *
status_field(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = text; p != NULL && *p != '\0';) {
		if (strncmp(p, key, n) == 0 && p[n] == ':') {
			p += n + 1;
			return p + strspn(p, " \t");
		}
		p = strchr(p, '\n');
		if (p != NULL)
			p++;
	}
	return NULL;
}

int
procfs_number(
    const char *text, const char *key, int base, int skip, uint64_t *out)
{
	const char *p = status_field(text, key);
	char *end;

	for (; p != NULL && skip > 0; skip--) {
		p += strcspn(p, " \t\n");
		p += strspn(p, " \t");
	}
	if (p == NULL)
		return -1;
	errno = 0;
	*out = strtoull(p, &end, base);
	return end == p || errno != 0 ? -1 : 0;
}

#include "sandbox/unpack_check.h"

#include <limits.h>
#include <string.h>

#include "base/str.h"

static bool
is_up(const char *part, size_t len)
{
	return len == 2 && part[0] == '.' && part[1] == '.';
}

static bool
is_here(const char *part, size_t len)
{
	return len == 1 && part[0] == '.';
}

const char *
unpack_name(const char *path, char *out, size_t size)
{
	unsigned int depth = 0;
	size_t len, n = 0;

	if (path == NULL || *path == '\0')
		return "no name";
	if (*path == '/')
		return "absolute path";
	for (; *path != '\0'; path += len + strspn(path + len, "/")) {
		len = strcspn(path, "/");
		if (is_here(path, len))
			continue;
		if (is_up(path, len))
			return "leads out of the archive";
		if (len > NAME_MAX || n + len + 2 > size ||
		    ++depth > UNPACK_DEPTH_MAX)
			return "too long or too deep";
		if (n > 0)
			out[n++] = '/';
		memcpy(out + n, path, len);
		n += len;
	}
	out[n] = '\0';
	return NULL;
}

bool
unpack_left_out(const char *name)
{
	static const char *const dirs[] = { "dev", "proc", "run", "sys",
		"tmp" };
	size_t i, len;

	for (i = 0; i < nitems(dirs); i++) {
		len = strlen(dirs[i]);
		if (strncmp(name, dirs[i], len) == 0 &&
		    (name[len] == '/' || name[len] == '\0'))
			return true;
	}
	return false;
}

const char *
unpack_target(const char *name, const char *target)
{
	int depth = 0;
	size_t len;

	if (target == NULL || *target == '\0' || strlen(target) >= PATH_MAX)
		return "bad link";
	if (*target == '/')
		return NULL;
	for (; (name = strchr(name, '/')) != NULL; name++)
		depth++;
	for (; *target != '\0'; target += len + strspn(target + len, "/")) {
		len = strcspn(target, "/");
		if (is_up(target, len))
			depth--;
		else if (!is_here(target, len))
			depth++;
		if (depth < 0)
			return "link leads out of the archive";
	}
	return NULL;
}

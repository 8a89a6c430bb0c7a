#include "sandbox/rules.h"

#include <fcntl.h>
#include <string.h>

#include "base/fdutil.h"
#include "sandbox/landlock.h"

int
rules_mount(int root, const struct jail_config *c, struct error *err)
{
	return 0;
}

static int
grant_fixed(int ruleset, unsigned int abi, const struct jail_config *c,
    struct error *err)
{
	const unsigned int x = c->tmp_exec ? LL_EXEC : 0;
	const unsigned int wx = c->workspace_exec ? LL_EXEC : 0;
	const struct {
		const char *path;
		unsigned int access;
	} fixed[] = {
		/* Covers /bin, /lib ... where they are links, as usual. */
		{ "/usr", LL_READ | LL_EXEC },
		{ "/bin", LL_READ | LL_EXEC },
		{ "/sbin", LL_READ | LL_EXEC },
		{ "/lib", LL_READ | LL_EXEC },
		{ "/lib64", LL_READ | LL_EXEC },
		{ "/etc", LL_READ },
		{ "/dev", LL_READ | LL_DEVICE },
		{ "/dev/shm", LL_READ | LL_WRITE },
		{ "/proc", LL_READ },
		{ "/run", LL_READ },
		/* Nothing is masked by Landlock then: `ls /` may work. */
		{ "/", c->read_default ? LL_READ : 0 },
		{ "/tmp", LL_READ | LL_WRITE | x },
		{ JAIL_HOME, LL_READ | LL_WRITE | x },
		{ JAIL_WORKSPACE, wx | (c->read_default ? LL_READ : 0) |
				      (c->write_default ? LL_WRITE : 0) },
	};
	size_t i;

	for (i = 0; i < nitems(fixed); i++)
		if (landlock_grant(ruleset, abi, AT_FDCWD, fixed[i].path,
			fixed[i].access, err) < 0)
			return -1;
	return 0;
}

int
rules_landlock(const struct jail_config *c, unsigned int abi, struct error *err)
{
	cleanup_fd int ruleset = -1;

	ruleset = landlock_new(abi, err);
	if (ruleset < 0 || grant_fixed(ruleset, abi, c, err) < 0)
		return -1;
	return steal_fd(&ruleset);
}

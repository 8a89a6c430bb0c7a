#include "sandbox/protect.h"

#include "base/compat.h"

#define NAME(p)                                                                \
	{                                                                      \
		false, true, "workspace/" p                                    \
	}

/*
 * Not in it: what a developer's build runs anyway (Makefile, package.json,
 * workflows): a person reviews that, or a rule denies it.
 */
static const struct jail_rule names[] = {
	NAME(".git/hooks"),
	NAME(".git/config"),
	/* Its content, a folder, takes the place of .git for config, hooks. */
	NAME(".git/commondir"),
	/* Read as well where `git sparse-checkout` has been used. */
	NAME(".git/config.worktree"),
	/*
	 * What git renames over the two.  The mount that holds one would go
	 * with the file it is on (the kernel's detach_mounts()), and no one
	 * could put it back before the job is there: git of the host has to
	 * fail instead.
	 */
	NAME(".git/config.lock"),
	NAME(".git/config.worktree.lock"),
	/* The same two of a worktree that lies elsewhere. */
	NAME(".git/worktrees/*/commondir"),
	NAME(".git/worktrees/*/config.worktree"),
	NAME(".git/modules/*/hooks"),
	NAME(".git/modules/*/config"),
	NAME(".git/modules/*/*/hooks"),
	NAME(".git/modules/*/*/config"),
	NAME(".claude"),
	NAME(".codex"),
	NAME(".cursor"),
	NAME(".devcontainer"),
	NAME(".envrc"),
	NAME(".gemini"),
	NAME(".husky"),
	NAME(".idea"),
	NAME(".mcp.json"),
	NAME(".vscode"),
};

size_t
protect_all(const struct jail_config *c)
{
	return c->nrules + (c->protect ? nitems(names) : 0);
}

const struct jail_rule *
protect_at(const struct jail_config *c, size_t i)
{
	return i < c->nrules ? &c->rules[i] : &names[i - c->nrules];
}

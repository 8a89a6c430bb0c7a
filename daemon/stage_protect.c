/*
 * What must not land by the way: files that programs of the host act on by
 * themselves, and directories that git would take for a repository.  Whoever
 * names such a path has looked at it.
 */
#include "daemon/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/str.h"

#define REPOSITORY ".git"

/*
 * What lands there runs outside the jail.  Wider than what a job is kept from
 * writing in its workspace (sandbox/protect.h): a name counts at any depth,
 * and in any case of its letters, since a file system may take them for one.
 */
static const char *const protected_paths[] = { ".git/hooks", ".git/config",
	".git/config.worktree", ".git/commondir", ".git/modules",
	".git/worktrees/*/commondir", ".git/worktrees/*/config.worktree",
	".hg/hgrc", ".husky", ".vscode", ".idea", ".envrc", ".claude", ".codex",
	".gemini", ".cursor", ".mcp.json", ".devcontainer", ".bashrc",
	".profile", ".bash_profile", ".zshrc", ".ssh", ".netrc", ".npmrc" };

/* Does path begin with what want spells?  A star is one name. */
static bool
begins(const char *path, const char *want)
{
	const char *star = strchr(want, '*');
	const size_t n = star == NULL ? strlen(want) : (size_t)(star - want);

	if (strncasecmp(path, want, n) != 0)
		return false;
	path += n;
	if (star == NULL)
		return *path == '\0' || *path == '/';
	return begins(path + strcspn(path, "/"), star + 1);
}

bool
stage_is_protected(const char *path)
{
	for (size_t i = 0; i < nitems(protected_paths); i++) {
		for (const char *p = path; p != NULL;) {
			if (begins(p, protected_paths[i]))
				return true;
			p = strchr(p, '/');
			if (p != NULL)
				p++;
		}
	}
	return false;
}

static bool
in_repository(const char *path)
{
	const size_t n = strlen(REPOSITORY);

	for (const char *p = path; p != NULL;) {
		if (strncasecmp(p, REPOSITORY, n) == 0 && p[n] == '/')
			return true;
		p = strchr(p, '/');
		if (p != NULL)
			p++;
	}
	return false;
}

/* A link or a file that says where the repository is, or one where none was;
 * but changes within one that was there are what git makes all day. */
static bool
is_repository(const struct stage_change *c)
{
	const char *slash = strrchr(c->path, '/');

	return strcasecmp(slash == NULL ? c->path : slash + 1, REPOSITORY) ==
		   0 &&
	       c->now.st_mode != 0 &&
	       (c->base.st_mode == 0 || !S_ISDIR(c->now.st_mode) ||
		   !S_ISDIR(c->base.st_mode));
}

/* Will there be dir/name, once everything has landed? */
static bool
will_be(const struct stage *s, const char *dir, size_t n, const char *name)
{
	cleanup_free char *path = xasprintf("%.*s%s", (int)n, dir, name);
	struct stat st;

	if (s->upper >= 0 &&
	    fstatat(s->upper, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return !S_ISCHR(st.st_mode);
	/* It may be hidden, or not be reached by a link: then it is one more
	 * that has to be named. */
	return fstatat(s->workspace, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* git looks for a repository in every directory that it is run in or below:
 * one with these names is one, whatever it is called. */
static bool
is_bare_repository(const struct stage *s, const struct stage_change *c)
{
	static const struct {
		const char *name;
		bool always; /* not only where it is new */
	} parts[] = { { "HEAD", false }, { "objects", false },
		{ "refs", false }, { "commondir", true }, { "config", true },
		{ "hooks", true } };
	const char *slash = strrchr(c->path, '/');
	const char *name = slash == NULL ? c->path : slash + 1;
	size_t i, n = (size_t)(name - c->path);

	if (c->now.st_mode == 0 || in_repository(c->path))
		return false;
	/* Hooks lie one below. */
	if (n > 6 && strncmp(name - 6, "hooks/", 6) == 0 &&
	    (n == 6 || name[-7] == '/')) {
		n -= 6;
		i = 5;
	} else {
		for (i = 0; i < nitems(parts); i++)
			if (str_eq(name, parts[i].name))
				break;
	}
	return i < nitems(parts) && (parts[i].always || c->base.st_mode == 0) &&
	       will_be(s, c->path, n, "HEAD") &&
	       (will_be(s, c->path, n, "commondir") ||
		   (will_be(s, c->path, n, "objects") &&
		       will_be(s, c->path, n, "refs")));
}

void
stage_check_protected(struct stage *s)
{
	if (s->force_protected)
		return;
	for (size_t i = 0; i < s->n; i++) {
		struct stage_change *c = &s->v[i];

		if (stage_paths_has(&s->wanted, c->path))
			continue;
		if (stage_is_protected(c->path) || is_repository(c) ||
		    /* git makes none; it may stand for a folder of the above */
		    (S_ISLNK(c->now.st_mode) && in_repository(c->path)))
			stage_refuse(c,
			    "is protected, since programs of the host act on "
			    "it: name it, or use --force-protected");
		else if (is_bare_repository(s, c))
			stage_refuse(c,
			    "is protected, since git would take its directory "
			    "for a repository: name it, or use "
			    "--force-protected");
	}
}

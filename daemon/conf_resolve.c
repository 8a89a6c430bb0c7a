#include "daemon/conf.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

#include "base/str.h"

/* Roles that must not share a user: each guards against another of them. */
static const enum role apart[] = {
	ROLE_CONTROL,
	ROLE_KEYD,
	ROLE_AUDIT,
	ROLE_FRONT,
	ROLE_BACK,
};

static int
resolve_user(enum role role, struct conf_user *u, struct error *err)
{
	const struct passwd *pw;

	if (u->name == NULL)
		return 0;
	errno = 0;
	pw = getpwnam(u->name);
	if (pw == NULL)
		return error_set(err, errno,
		    "no user \"%s\" for the %s process: create it "
		    "(systemd-sysusers) or set \"user %s UID\"",
		    u->name, role_name(role), role_name(role));
	if (pw->pw_uid == 0 || (!u->has_gid && pw->pw_gid == 0))
		return error_set(err, 0,
		    "user \"%s\" of the %s process is "
		    "root",
		    u->name, role_name(role));
	u->uid = pw->pw_uid;
	if (!u->has_gid)
		u->gid = pw->pw_gid;
	return 0;
}

static int
resolve_group(struct conf *c, struct error *err)
{
	const struct group *gr;
	uint64_t n;

	if (str_to_u64(c->admin_group, 0, UINT32_MAX - 1, &n) == 0) {
		c->admin_gid = (gid_t)n;
		c->has_admin_gid = true;
		return 0;
	}
	errno = 0;
	gr = getgrnam(c->admin_group);
	if (gr == NULL) {
		/* The default group may be missing: then only root is admin. */
		c->has_admin_gid = false;
		if (str_eq(c->admin_group, "brig"))
			return 0;
		return error_set(err, errno, "no group \"%s\" (admin-group)",
		    c->admin_group);
	}
	c->admin_gid = gr->gr_gid;
	c->has_admin_gid = true;
	return 0;
}

static bool
is_job_id(const struct conf *c, uint32_t id)
{
	return id >= c->job_uid_base && id - c->job_uid_base < c->job_uid_count;
}

int
conf_resolve(struct conf *c, struct error *err)
{
	for (unsigned int r = 0; r < ROLE_MAX; r++)
		if (resolve_user(r, &c->user[r], err) < 0)
			return -1;
	if (resolve_group(c, err) < 0)
		return -1;
	if (conf_resolve_uids(c, err) < 0)
		return -1;
	for (size_t i = 0; i < nitems(apart); i++)
		for (size_t j = 0; j < i; j++)
			if (c->user[apart[i]].uid == c->user[apart[j]].uid)
				return error_set(err, 0,
				    "the %s and %s processes must not run as "
				    "the same user (uid %u)",
				    role_name(apart[i]), role_name(apart[j]),
				    c->user[apart[i]].uid);
	if (c->user[ROLE_DNS].uid == c->user[ROLE_KEYD].uid)
		return error_set(err, 0,
		    "the dns and keyd processes must not "
		    "run as the same user");
	for (unsigned int r = 0; r < ROLE_MAX; r++)
		if (is_job_id(c, c->user[r].uid) ||
		    is_job_id(c, c->user[r].gid))
			return error_set(err, 0,
			    "the user or group of the %s "
			    "process lies in the job-uids range",
			    role_name(r));
	if (c->has_admin_gid && is_job_id(c, c->admin_gid))
		return error_set(
		    err, 0, "admin-group lies in the job-uids range");
	return 0;
}

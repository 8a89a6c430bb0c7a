/*
 * The range of user ids that jobs run as.  Whoever has one of these ids has a
 * job's power, so nobody else may.
 */
#include "daemon/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"

#define SUBUID_MAX (1024u * 1024)
#define NAME_MAX_BYTES 256u

int
conf_subuid_line(
    const char *line, char *name, size_t size, uint32_t *base, uint32_t *count)
{
	cleanup_free char *copy = xstrdup(line);
	char *b = strchr(copy, ':');
	char *n = b == NULL ? NULL : strchr(b + 1, ':');
	uint64_t v, k;

	if (n == NULL || b == copy)
		return 0;
	*b++ = '\0';
	*n++ = '\0';
	if (str_to_u64(b, 0, UINT32_MAX - 1, &v) < 0 ||
	    str_to_u64(n, 1, UINT32_MAX, &k) < 0 || v + k > UINT32_MAX ||
	    strlcpy(name, copy, size) >= size)
		return 0;
	*base = (uint32_t)v;
	*count = (uint32_t)k;
	return 1;
}

static bool
overlap(const struct conf *c, uint64_t base, uint64_t count)
{
	return base < (uint64_t)c->job_uid_base + c->job_uid_count &&
	       c->job_uid_base < base + count;
}

/* A name in these files may be a user id. */
static bool
is_name(const struct conf *c, const char *name)
{
	const struct passwd *pw;
	uint64_t id;

	if (c->job_subuid == NULL)
		return false;
	if (str_eq(c->job_subuid, name))
		return true;
	if (str_to_u64(name, 0, UINT32_MAX - 1, &id) < 0)
		return false;
	pw = getpwnam(c->job_subuid);
	return pw != NULL && pw->pw_uid == id;
}

/*
 * Every range of the file: ours is taken (found is counted), another's must
 * not touch it.
 */
static int
scan(struct conf *c, const char *path, bool take, unsigned int *found,
    struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_buf struct buf b = { 0 };
	cleanup_free char *text = NULL;
	char *next, *line, name[NAME_MAX_BYTES];
	uint32_t base, count;

	if (fd < 0 && errno == ENOENT)
		return 0;
	buf_init(&b, 0);
	if (fd < 0 || fd_read_all(fd, &b, SUBUID_MAX) < 0)
		return error_set(err, errno, "read %s", path);
	buf_put_u8(&b, '\0');
	next = text = xstrdup((const char *)buf_head(&b));
	while ((line = strsep(&next, "\n")) != NULL) {
		if (conf_subuid_line(line, name, sizeof(name), &base, &count) !=
		    1)
			continue;
		if (is_name(c, name)) {
			if (take && *found == 0) {
				c->job_uid_base = base;
				c->job_uid_count = count > CONF_JOB_UIDS_MAX
						       ? CONF_JOB_UIDS_MAX
						       : count;
			}
			*found += take || (base <= c->job_uid_base &&
					      (uint64_t)base + count >=
						  (uint64_t)c->job_uid_base +
						      c->job_uid_count);
		} else if (!take && overlap(c, base, count)) {
			return error_set(err, 0,
			    "the job uids %u to %u overlap the range of %.64s "
			    "in %s: set job-uids to ids that nobody has",
			    c->job_uid_base,
			    c->job_uid_base + c->job_uid_count - 1, name, path);
		}
	}
	return 0;
}

static int
take_subuid(struct conf *c, struct error *err)
{
	unsigned int uids = 0, gids = 0;

	if (scan(c, "/etc/subuid", true, &uids, err) < 0)
		return -1;
	if (uids == 0)
		return error_set(err, 0,
		    "job-uids subuid %.64s: no such name in /etc/subuid: add "
		    "\"%.64s:BASE:COUNT\" there and in /etc/subgid",
		    c->job_subuid, c->job_subuid);
	if (c->job_uid_base < CONF_JOB_UID_MIN)
		return error_set(err, 0,
		    "job-uids subuid %.64s: its range begins at %u, below %u",
		    c->job_subuid, c->job_uid_base, CONF_JOB_UID_MIN);
	if (scan(c, "/etc/subgid", false, &gids, err) < 0)
		return -1;
	/* The group ids of jobs have the same numbers. */
	if (gids == 0)
		return error_set(err, 0,
		    "job-uids subuid %.64s: /etc/subgid does not give it the "
		    "same range, %u:%u",
		    c->job_subuid, c->job_uid_base, c->job_uid_count);
	return 0;
}

/*
 * Only the files: to enumerate a directory service could take minutes, and
 * its ids are looked at when they are used (parent_uids.c).
 */
static int
check_accounts(const struct conf *c, struct error *err)
{
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *pw;
	const struct group *gr;
	int r = 0;

	while (f != NULL && r == 0 && (pw = fgetpwent(f)) != NULL)
		if (overlap(c, pw->pw_uid, 1) || overlap(c, pw->pw_gid, 1))
			r = error_set(err, 0,
			    "user \"%.64s\" lies in the job-uids range, %u to "
			    "%u",
			    pw->pw_name, c->job_uid_base,
			    c->job_uid_base + c->job_uid_count - 1);
	if (f != NULL)
		fclose(f);
	f = fopen("/etc/group", "re");
	while (f != NULL && r == 0 && (gr = fgetgrent(f)) != NULL)
		if (overlap(c, gr->gr_gid, 1))
			r = error_set(err, 0,
			    "group \"%.64s\" lies in the job-uids range, %u to "
			    "%u",
			    gr->gr_name, c->job_uid_base,
			    c->job_uid_base + c->job_uid_count - 1);
	if (f != NULL)
		fclose(f);
	return r;
}

int
conf_resolve_uids(struct conf *c, struct error *err)
{
	unsigned int found = 0;

	if (c->job_subuid != NULL && take_subuid(c, err) < 0)
		return -1;
	if (c->max_jobs == 0) {
		c->max_jobs_default = true;
		c->max_jobs = c->job_uid_count < CONF_JOBS_MAX
				  ? c->job_uid_count
				  : CONF_JOBS_MAX;
	}
	if (c->job_uid_count < c->max_jobs)
		return error_set(err, 0,
		    "%u job uids are too few for max-jobs %u: each running "
		    "job needs one of its own",
		    c->job_uid_count, c->max_jobs);
	if (scan(c, "/etc/subuid", false, &found, err) < 0 ||
	    scan(c, "/etc/subgid", false, &found, err) < 0)
		return -1;
	return check_accounts(c, err);
}

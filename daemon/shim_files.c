/*
 * What a job finds in the place of the host's /usr and of a fresh home.
 */
#include "daemon/shim_start.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/home.h"
#include "sandbox/image.h"

#define UNPACK "brig-unpack"
#define TELL_MS 2000

/* It stands beside our own program; the caller frees. */
static char *
find_unpack(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (n < 0)
		return xstrdup(UNPACK);
	path[n] = '\0';
	slash = strrchr(path, '/');
	return xasprintf(
	    "%.*s/" UNPACK, slash == NULL ? 0 : (int)(slash - path), path);
}

/* Let the parent know why this takes so long, or that it is over. */
static void
tell_busy(struct shim *s, const char *what)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, JOB_STARTING);
	buf_put_u32(&b, 0);
	buf_put_str(&b, what);
	chan_send(
	    peers_parent(s->peers), M_SHIM_STATE, s->spec.job.job, 0, &b, -1);
	buf_free(&b);
	chan_flush(peers_parent(s->peers), TELL_MS);
}

static int
open_root(
    struct shim_jail *sj, struct shim *s, const char *path, struct error *err)
{
	cleanup_free char *unpack = find_unpack();
	const struct image_conf c = { .path = path,
		.state = s->fds[JOB_FD_STATE],
		.unpack = unpack,
		.uid = s->spec.host_uid,
		.gid = s->spec.host_uid };
	const bool archive = image_is_archive(path);

	if (archive)
		tell_busy(s, "unpacking its root");
	sj->conf.image_fd = image_open(&c, &s->root_hold, err);
	if (archive && sj->conf.image_fd >= 0)
		tell_busy(s, "");
	return sj->conf.image_fd < 0 ? -1 : 0;
}

int
shim_jail_files(struct shim_jail *sj, struct shim *s, struct error *err)
{
	const struct profile_settings *ps = profile_settings(s->profile);
	const struct job_spec *job = &s->spec.job;

	if ((ps->root != NULL || ps->home_keep != NULL) &&
	    s->fds[JOB_FD_STATE] < 0)
		return error_set(err, 0,
		    "state-dir: the profile has changed since the job was "
		    "started, or it cannot be opened");
	if (ps->root != NULL && open_root(sj, s, ps->root, err) < 0)
		return -1;
	if (ps->home_keep == NULL)
		return 0;
	sj->conf.home_fd = home_open(s->fds[JOB_FD_STATE], job->uid, job->gid,
	    ps->home_keep, ps->disk, ps->inodes, err);
	return sj->conf.home_fd < 0 ? -1 : 0;
}

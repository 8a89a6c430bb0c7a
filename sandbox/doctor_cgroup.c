#include <fcntl.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/str.h"
#include "sandbox/doctor_part.h"

#define LIST_MAX 512

/* Where the controllers are: mount points, "" if there is none. */
struct hierarchies {
	char v2[LIST_MAX];
	char v2_controllers[LIST_MAX]; /* as in cgroup.controllers */
	char v1[5][LIST_MAX];          /* by index of limits[] */
};

static const struct limit {
	const char *id;
	const char *protection;
	const char *v2; /* name of the controller, */
	const char *v1; /* and as an option of a v1 mount */
	const char *cost;
} limits[] = {
	{ "cgroup-memory", "limit memory of the whole job", "memory", "memory",
	    "the limit is address space for each process" },
	{ "cgroup-pids", "limit procs", "pids", "pids",
	    "the limit is RLIMIT_NPROC of the job's uid" },
	{ "cgroup-cpu", "limit cpu, cpu-weight", "cpu", "cpu",
	    "a job can take every processor" },
	{ "cgroup-io", "limit io", "io", "blkio",
	    "a job can take the whole disk's time" },
	{ "cgroup-freezer", "freeze and thaw", NULL, "freezer",
	    "jobs are stopped with SIGSTOP" },
};

/* " name " in " list ". */
static bool
has_word(const char *list, const char *name, const char *separators)
{
	size_t n = strlen(name);
	const char *p = list;

	while (*(p += strspn(p, separators)) != '\0') {
		size_t len = strcspn(p, separators);

		if (len == n && strncmp(p, name, n) == 0)
			return true;
		p += len;
	}
	return false;
}

static void
read_line(const char *dir, const char *name, char *out, size_t size)
{
	cleanup_free char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "re");

	out[0] = '\0';
	if (f == NULL)
		return;
	if (fgets(out, (int)size, f) == NULL)
		out[0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	(void)fclose(f);
}

static void
find_hierarchies(struct hierarchies *h)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	size_t i;

	if (f == NULL)
		return;
	while ((m = getmntent(f)) != NULL) {
		if (str_eq(m->mnt_type, "cgroup2") && h->v2[0] == '\0')
			(void)strlcpy(h->v2, m->mnt_dir, sizeof(h->v2));
		if (!str_eq(m->mnt_type, "cgroup"))
			continue;
		for (i = 0; i < nitems(limits); i++)
			if (h->v1[i][0] == '\0' &&
			    has_word(m->mnt_opts, limits[i].v1, ","))
				(void)strlcpy(
				    h->v1[i], m->mnt_dir, sizeof(h->v1[i]));
	}
	(void)endmntent(f);
	if (h->v2[0] != '\0')
		read_line(h->v2, "cgroup.controllers", h->v2_controllers,
		    sizeof(h->v2_controllers));
}

/* Whether groups can be made there; containers mount it read-only. */
static bool
can_write(const char *dir)
{
	struct statvfs fs;

	return statvfs(dir, &fs) == 0 && !(fs.f_flag & ST_RDONLY) &&
	       (geteuid() != 0 || access(dir, W_OK) == 0);
}

static void
check_limit(const struct doctor *d, const struct hierarchies *h, size_t i)
{
	const struct limit *l = &limits[i];
	bool v2 = h->v2[0] != '\0' &&
		  (l->v2 == NULL ? h->v1[i][0] == '\0'
				 : has_word(h->v2_controllers, l->v2, " "));
	const char *dir = v2 ? h->v2 : h->v1[i];

	if (dir[0] == '\0')
		doctor_say(d, l->id, l->protection, "none",
		    l->v2 != NULL && str_eq(l->v2, "io") ? DOCTOR_MISSING
							 : DOCTOR_FALLBACK,
		    "no cgroup controller for it: %s", l->cost);
	else if (!can_write(dir))
		doctor_say(d, l->id, l->protection,
		    v2 ? "cgroup v2" : "cgroup v1", DOCTOR_FALLBACK,
		    "%s is read-only: %s", dir, l->cost);
	else
		doctor_say(d, l->id, l->protection,
		    v2 ? "cgroup v2" : "cgroup v1", DOCTOR_IN_FORCE, "%s", dir);
}

void
doctor_cgroup(const struct doctor *d)
{
	struct hierarchies h = { 0 };
	size_t i;

	find_hierarchies(&h);
	for (i = 0; i < nitems(limits); i++)
		check_limit(d, &h, i);
}

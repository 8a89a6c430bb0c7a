#include "sandbox/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "base/str.h"

#define FIELDS_MAX 64u /* words of a line of mountinfo */
#define CONTROLLERS_MAX 4096u

/* As v1 calls them; v2 says io instead of blkio and has no freezer. */
static const char *const v1_names[CGROUP_CTLS] = {
	[CGROUP_MEMORY] = "memory",
	[CGROUP_PIDS] = "pids",
	[CGROUP_CPU] = "cpu",
	[CGROUP_IO] = "blkio",
	[CGROUP_FREEZER] = "freezer",
};

const char *
cgroup_ctl_name(enum cgroup_ctl c)
{
	return c == CGROUP_IO ? "io" : v1_names[c];
}

/* Whether name is an element of a list with commas or blanks. */
static bool
in_list(const char *list, const char *name)
{
	size_t n = strlen(name);

	while (*list != '\0') {
		size_t len = strcspn(list, ", \n");

		if (len == n && strncmp(list, name, n) == 0)
			return true;
		list += len + (list[len] != '\0');
	}
	return false;
}

/* "\040" and the like, as mountinfo writes blanks (proc(5)); in place. */
static void
unescape(char *s)
{
	char *to = s;

	while (*s != '\0') {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
		    s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 +
				       (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* The mount of a hierarchy: what follows the separator "-" of its line. */
struct mount {
	char *id, *root, *point, *type, *source, *options;
};

/* Words of one line, in place.  False: not a mount that is understood. */
static bool
mount_line(char *line, struct mount *m)
{
	char *w[FIELDS_MAX];
	size_t n = 0, i;
	char *next = line, *one;

	while ((one = strsep(&next, " ")) != NULL && n < FIELDS_MAX)
		w[n++] = one;
	for (i = 6; i < n && !str_eq(w[i], "-"); i++)
		;
	if (i + 3 >= n)
		return false;
	*m = (struct mount){ w[0], w[3], w[4], w[i + 1], w[i + 2], w[i + 3] };
	unescape(m->root);
	unescape(m->point);
	return true;
}

/*
 * Path of our group in the hierarchy that has `name` ("" for v2), from
 * /proc/self/cgroup.  False: none.
 */
static bool
own_path(const char *self, const char *name, char *path, size_t size)
{
	while (*self != '\0') {
		size_t len = strcspn(self, "\n");
		cleanup_free char *line = xstrndup(self, len);
		char *list = strchr(line, ':');
		char *p = list == NULL ? NULL : strchr(list + 1, ':');

		self += len + (self[len] != '\0');
		if (p == NULL)
			continue;
		*p++ = '\0';
		list++;
		if (name[0] == '\0' ? list[0] == '\0' : in_list(list, name))
			return strlcpy(path, p, size) < size;
	}
	return false;
}

/* The folder of path in a mount that shows the hierarchy from root on. */
static void
place(struct cgroup_place *at, unsigned int version, const struct mount *m,
    const char *path)
{
	size_t n = str_eq(m->root, "/") ? 0 : strlen(m->root);
	char dir[CGROUP_PATH_MAX];

	/* Outside of what this mount, or our namespace, shows. */
	if (at->version != 0 || strncmp(path, m->root, n) != 0 ||
	    (path[n] != '/' && path[n] != '\0') || str_starts(path + n, "/.."))
		return;
	path += n;
	if (str_eq(path, "/"))
		path = "";
	if (snprintf(dir, sizeof(dir), "%s%s", m->point, path) >=
	    (int)sizeof(dir))
		return;
	at->version = version;
	strlcpy(at->dir, dir, sizeof(at->dir));
}

void
cgroup_host_parse(struct cgroup_host *h, const char *mountinfo,
    const char *self, const char *parent)
{
	char path[CGROUP_PATH_MAX];

	memset(h, 0, sizeof(*h));
	while (*mountinfo != '\0') {
		size_t len = strcspn(mountinfo, "\n");
		cleanup_free char *line = xstrndup(mountinfo, len);
		struct mount m;

		mountinfo += len + (mountinfo[len] != '\0');
		if (!mount_line(line, &m))
			continue;
		if (str_eq(m.type, "cgroup2") &&
		    own_path(self, "", path, sizeof(path)))
			place(
			    &h->unified, 2, &m, parent != NULL ? parent : path);
		if (!str_eq(m.type, "cgroup"))
			continue;
		for (unsigned int c = 0; c < CGROUP_CTLS; c++)
			if (in_list(m.options, v1_names[c]) &&
			    own_path(self, v1_names[c], path, sizeof(path)))
				place(&h->at[c], 1, &m,
				    parent != NULL ? parent : path);
	}
	/* cgroup.freeze and cgroup.kill work beside v1 controllers. */
	if (h->unified.version != 0)
		h->at[CGROUP_FREEZER] = h->unified;
}

void
cgroup_host_controllers(struct cgroup_host *h, const char *text)
{
	for (unsigned int c = 0; c < CGROUP_FREEZER; c++)
		if (h->at[c].version == 0 &&
		    in_list(text, cgroup_ctl_name((enum cgroup_ctl)c)))
			h->at[c] = h->unified;
}

/* A small file of /proc or of a group as a string. */
static char *
read_text(const char *path, size_t max)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_buf struct buf b = { 0 };

	if (fd < 0 || fd_read_all(fd, &b, max) < 0)
		return NULL;
	return xstrndup(
	    buf_len(&b) == 0 ? "" : (const char *)buf_head(&b), buf_len(&b));
}

int
cgroup_host_read(struct cgroup_host *h, const char *parent, struct error *err)
{
	cleanup_free char *mounts =
	    read_text("/proc/self/mountinfo", CGROUP_MOUNTS_MAX);
	cleanup_free char *self =
	    read_text("/proc/self/cgroup", CONTROLLERS_MAX);
	cleanup_free char *path = NULL, *ctls = NULL;

	memset(h, 0, sizeof(*h));
	if (mounts == NULL || self == NULL)
		return error_set(err, errno, "cgroups: read /proc/self");
	cgroup_host_parse(h, mounts, self, parent);
	if (h->unified.version == 0)
		return 0;
	path = xasprintf("%s/cgroup.controllers", h->unified.dir);
	ctls = read_text(path, CONTROLLERS_MAX);
	if (ctls != NULL)
		cgroup_host_controllers(h, ctls);
	return 0;
}

void
cgroup_host_text(const struct cgroup_host *h, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (unsigned int c = 0; c < CGROUP_CTLS && n < size; c++)
		if (h->at[c].version != 0)
			n += (size_t)snprintf(text + n, size - n, "%s%s v%u",
			    n == 0 ? "" : ", ",
			    cgroup_ctl_name((enum cgroup_ctl)c),
			    h->at[c].version);
}

int
cgroup_host_writable(const struct cgroup_host *h, struct error *err)
{
	for (unsigned int c = 0; c < CGROUP_CTLS; c++) {
		struct stat st;

		if (h->at[c].version == 0)
			continue;
		if (stat(h->at[c].dir, &st) == 0 && S_ISDIR(st.st_mode) &&
		    access(h->at[c].dir, W_OK) == 0)
			continue;
		return error_set(err, errno,
		    "cgroups: no group can be made in %s: mount cgroups "
		    "writable, set cgroup-parent, or \"cgroups off\" in "
		    "brigd.conf",
		    h->at[c].dir);
	}
	return 0;
}

/* ---- disks ------------------------------------------------------------- */

/* File systems with numbers of their own (btrfs): the device mounted. */
static dev_t
mounted_device(int fd)
{
	cleanup_free char *text =
	    read_text("/proc/self/mountinfo", CGROUP_MOUNTS_MAX);
	const char *s = text == NULL ? "" : text;
	struct statx sx;
	struct stat st;
	uint64_t id;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) < 0 ||
	    !(sx.stx_mask & STATX_MNT_ID))
		return 0;
	while (*s != '\0') {
		size_t len = strcspn(s, "\n");
		cleanup_free char *line = xstrndup(s, len);
		struct mount m;

		s += len + (s[len] != '\0');
		if (!mount_line(line, &m) ||
		    str_to_u64(m.id, 0, UINT64_MAX, &id) < 0 ||
		    id != sx.stx_mnt_id)
			continue;
		if (str_starts(m.source, "/dev/") && stat(m.source, &st) == 0 &&
		    S_ISBLK(st.st_mode))
			return st.st_rdev;
		return 0;
	}
	return 0;
}

int
cgroup_device(int fd, dev_t *dev)
{
	cleanup_free char *part = NULL, *disk = NULL, *text = NULL;
	unsigned int maj, min;
	struct stat st;
	dev_t d;

	if (fstat(fd, &st) < 0)
		return 0;
	d = major(st.st_dev) != 0 ? st.st_dev : mounted_device(fd);
	if (d == 0)
		return 0;
	/* A partition is throttled with its disk. */
	part = xasprintf("/sys/dev/block/%u:%u/partition", major(d), minor(d));
	if (access(part, F_OK) == 0) {
		disk = xasprintf(
		    "/sys/dev/block/%u:%u/../dev", major(d), minor(d));
		text = read_text(disk, 64);
		if (text == NULL || sscanf(text, "%u:%u", &maj, &min) != 2)
			return 0;
		d = makedev(maj, min);
	}
	*dev = d;
	return 1;
}

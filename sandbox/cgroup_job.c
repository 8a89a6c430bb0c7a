#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/cgroup.h"

#define FILE_TEXT_MAX 4096u
#define PERIOD_US 100000u /* of the processor quota */
#define SWEEP_TRIES 200
#define SWEEP_US 10000
#define BIT(c) (1u << (c))

/* Controllers whose groups are the same ones. */
struct hier {
	unsigned int version;
	unsigned int ctls; /* bit per enum cgroup_ctl: can be limited here */
	char dir[CGROUP_PATH_MAX]; /* our group */
	int fd;
};

struct cgroups {
	struct hier h[CGROUP_CTLS];
	size_t n;
	bool kill;                  /* cgroup.kill is there */
	bool swap;                  /* can be limited, or there is none */
	char *leaf;                 /* where this process moved to, or NULL */
	char why[CGROUP_CTLS][160]; /* a controller is missing */
};

struct cgroup {
	const struct cgroups *cs;
	char name[CGROUP_NAME_MAX];
	int fd[CGROUP_CTLS]; /* by index of cs->h; -1: not needed */
};

/* ---- files ------------------------------------------------------------- */

static int attr_printf(3, 4)
    put(int dir, const char *name, const char *fmt, ...)
{
	cleanup_fd int fd = -1;
	char text[128];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	return write(fd, text, (size_t)n) == n ? 0 : -1;
}

static ssize_t
get_fd(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return n;
}

static ssize_t
get(int dir, const char *name, char *text, size_t size)
{
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	text[0] = '\0';
	return fd < 0 ? -1 : get_fd(fd, text, size);
}

static bool
has(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, 0) == 0;
}

uint64_t
cgroup_count(const char *text, const char *key)
{
	size_t n = strlen(key);

	while (*text != '\0') {
		if (strncmp(text, key, n) == 0 && text[n] == ' ')
			return strtoull(text + n + 1, NULL, 10);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return 0;
}

/* ---- our own group ----------------------------------------------------- */

/* The processes in a group, for kernels without cgroup.kill. */
static void
kill_each(int dir)
{
	cleanup_fd int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	cleanup_free char *text = xmalloc(FILE_TEXT_MAX);
	char *next = text, *one;
	uint64_t pid;

	if (fd < 0 || get_fd(fd, text, FILE_TEXT_MAX) <= 0)
		return;
	/* A number that was cut is another process's: only whole lines. */
	while ((one = strsep(&next, "\n")) != NULL && next != NULL)
		if (str_to_u64(one, 2, INT32_MAX, &pid) == 0)
			(void)kill((pid_t)pid, SIGKILL);
}

static void
sweep_one(int base, const char *name)
{
	cleanup_fd int dir =
	    openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int i;

	for (i = 0; dir >= 0 && i < SWEEP_TRIES; i++) {
		if (unlinkat(base, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return;
		if (put(dir, "cgroup.kill", "1") < 0)
			kill_each(dir);
		/* v1: what is frozen does not die. */
		(void)put(dir, "freezer.state", "THAWED");
		(void)usleep(SWEEP_US);
	}
}

void
cgroups_sweep(const char *path)
{
	cleanup_fd int base =
	    open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const struct dirent *e;
	DIR *d;

	if (base < 0)
		return;
	d = fdopendir(dup(base));
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			sweep_one(base, e->d_name);
	if (d != NULL)
		closedir(d);
	(void)rmdir(path);
}

/* Is this process in the group? */
static bool
are_in(const char *dir)
{
	cleanup_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int procs = -1;
	cleanup_buf struct buf b = { 0 };
	cleanup_free char *text = NULL, *me = NULL;

	buf_init(&b, 0);
	if (fd >= 0)
		procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	if (procs < 0 || fd_read_all(procs, &b, CGROUP_MOUNTS_MAX) < 0 ||
	    buf_len(&b) == 0)
		return false;
	text = xasprintf("\n%.*s", (int)buf_len(&b), (char *)buf_head(&b));
	me = xasprintf("\n%d\n", (int)getpid());
	return strstr(text, me) != NULL;
}

/*
 * The rule of "no internal processes" (cgroups(7)): out of a group whose
 * children are to have controllers.  The root is excepted.
 */
static void
step_aside(struct cgroups *cs, const char *dir, int fd)
{
	cleanup_fd int leaf = -1;

	if (!has(fd, "cgroup.type") || !are_in(dir))
		return;
	if (mkdirat(fd, "brigd", 0755) < 0 && errno != EEXIST)
		return;
	leaf = openat(fd, "brigd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (leaf >= 0 && put(leaf, "cgroup.procs", "0") == 0)
		cs->leaf = xasprintf("%s/brigd", dir);
}

/* Give the children of the group what they can have. */
static void
delegate(struct cgroups *cs, struct hier *h, const char *dir, int fd)
{
	for (unsigned int c = 0; c < CGROUP_FREEZER; c++) {
		const char *name = cgroup_ctl_name((enum cgroup_ctl)c);

		if (!(h->ctls & BIT(c)) ||
		    put(fd, "cgroup.subtree_control", "+%s", name) == 0)
			continue;
		h->ctls &= ~BIT(c);
		(void)snprintf(cs->why[c], sizeof(cs->why[c]),
		    errno == EBUSY ? "other processes are in %s, too: start "
				     "brigd by systemd (Delegate=yes), or set "
				     "cgroup-parent"
				   : "%s does not give it to groups in it",
		    dir);
	}
}

static int
hier_open(struct cgroups *cs, const struct cgroup_place *at, unsigned int ctls,
    const char *name, struct error *err)
{
	struct hier *h = &cs->h[cs->n];
	cleanup_fd int dir = open(at->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return error_set(err, errno, "cgroups: open %s", at->dir);
	h->version = at->version;
	h->ctls = ctls;
	h->fd = -1;
	if (snprintf(h->dir, sizeof(h->dir), "%s/%s", at->dir, name) >=
	    (int)sizeof(h->dir))
		return error_set(err, ENAMETOOLONG, "cgroups: %s", at->dir);
	cgroups_sweep(h->dir);
	if (h->version == 2 && (ctls & ~BIT(CGROUP_FREEZER)) != 0) {
		step_aside(cs, at->dir, dir);
		delegate(cs, h, at->dir, dir);
	}
	if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		return error_set(err, errno,
		    "cgroups: make %s: mount cgroups writable, set "
		    "cgroup-parent, or \"cgroups off\" in brigd.conf",
		    h->dir);
	cs->n++;
	h->fd = open(h->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->fd < 0)
		return error_set(err, errno, "cgroups: open %s", h->dir);
	if (h->version == 2)
		delegate(cs, h, h->dir, h->fd);
	return 0;
}

static bool
host_swaps(void)
{
	char text[FILE_TEXT_MAX];
	const char *second;

	if (get(AT_FDCWD, "/proc/swaps", text, sizeof(text)) <= 0)
		return false;
	second = strchr(text, '\n');
	return second != NULL && second[1] != '\0';
}

static const struct hier *
holder(const struct cgroups *cs, enum cgroup_ctl c, size_t *i)
{
	for (size_t k = 0; cs != NULL && k < cs->n; k++)
		if (cs->h[k].ctls & BIT(c)) {
			if (i != NULL)
				*i = k;
			return &cs->h[k];
		}
	return NULL;
}

static void
look_closer(struct cgroups *cs)
{
	const struct hier *h = holder(cs, CGROUP_FREEZER, NULL);

	cs->kill = h != NULL && has(h->fd, "cgroup.kill");
	cs->swap = true;
	h = holder(cs, CGROUP_MEMORY, NULL);
	if (h != NULL && !has(h->fd, "memory.memsw.limit_in_bytes") &&
	    h->version == 1)
		cs->swap = !host_swaps();
}

struct cgroups *
cgroups_open(
    const struct cgroup_host *host, const char *name, struct error *err)
{
	struct cgroups *cs = xcalloc(1, sizeof(*cs));

	for (unsigned int c = 0; c < CGROUP_CTLS; c++) {
		const struct cgroup_place *at = &host->at[c];
		unsigned int same = 0;

		if (at->version == 0) {
			strlcpy(cs->why[c], "this host has none",
			    sizeof(cs->why[c]));
			continue;
		}
		for (unsigned int k = 0; k < CGROUP_CTLS; k++)
			if (str_eq(host->at[k].dir, at->dir))
				same |= BIT(k);
		/* Made with the first of them. */
		if ((same & (BIT(c) - 1)) != 0)
			continue;
		if (hier_open(cs, at, same, name, err) < 0) {
			cgroups_close(cs);
			return NULL;
		}
	}
	look_closer(cs);
	return cs;
}

void
cgroups_close(struct cgroups *cs)
{
	if (cs == NULL)
		return;
	for (size_t i = 0; i < cs->n; i++) {
		fd_close(&cs->h[i].fd);
		cgroups_sweep(cs->h[i].dir);
	}
	/* This process is in its leaf until it ends: that stays. */
	free(cs->leaf);
	free(cs);
}

void
cgroups_each(
    const struct cgroups *cs, void (*fn)(const char *dir, void *arg), void *arg)
{
	for (size_t i = 0; cs != NULL && i < cs->n; i++)
		fn(cs->h[i].dir, arg);
}

/* ---- limits ------------------------------------------------------------ */

static unsigned int
needed(const struct cgroup_limits *l)
{
	return (l->memory != 0 ? BIT(CGROUP_MEMORY) : 0) |
	       (l->procs != 0 ? BIT(CGROUP_PIDS) : 0) |
	       (l->cpu_percent != 0 || l->cpu_weight != 0 ? BIT(CGROUP_CPU)
							  : 0) |
	       (l->io != 0 && l->io_dev[0] != 0 ? BIT(CGROUP_IO) : 0);
}

unsigned int
cgroups_held(const struct cgroups *cs, const struct cgroup_limits *l)
{
	unsigned int all = 0;

	for (size_t i = 0; cs != NULL && i < cs->n; i++)
		all |= cs->h[i].ctls;
	return all & needed(l);
}

int
cgroups_check(
    const struct cgroups *cs, const struct cgroup_limits *l, struct error *err)
{
	static const char *const what[CGROUP_CTLS] = { "memory", "procs", "cpu",
		"io", "" };
	unsigned int lacking = needed(l) & ~cgroups_held(cs, l);

	for (unsigned int c = 0; c < CGROUP_FREEZER; c++)
		if (lacking & BIT(c))
			return error_set(err, 0,
			    "limit %s cannot be held: no cgroup controller "
			    "\"%s\": %s; or set \"cgroups optional\"",
			    what[c], cgroup_ctl_name((enum cgroup_ctl)c),
			    cs == NULL ? "cgroups are off in brigd.conf"
				       : cs->why[c]);
	if (l->io != 0 && l->io_dev[0] == 0)
		return error_set(err, 0,
		    "limit io cannot be held: no disk is behind state-dir, the "
		    "workspace or /usr; or set \"cgroups optional\"");
	if (l->memory != 0 && cs != NULL && !cs->swap)
		return error_set(err, 0,
		    "limit memory cannot be held: swap is on and not "
		    "accounted to cgroups: boot with swapaccount=1, or set "
		    "\"cgroups optional\"");
	return 0;
}

const char *
cgroups_note(const struct cgroups *cs, const struct cgroup_limits *l)
{
	for (size_t i = 0; cs != NULL && l->io != 0 && i < cs->n; i++)
		if (cs->h[i].version == 1 && (cs->h[i].ctls & BIT(CGROUP_IO)))
			return "enforced, but limit io does not hold what the "
			       "kernel writes later (cgroup v1)";
	return "";
}

static int
limit_memory(int d, unsigned int version, const struct cgroup_limits *l)
{
	if (version == 2) {
		if (put(d, "memory.max", "%llu",
			(unsigned long long)l->memory) < 0)
			return -1;
		return !has(d, "memory.swap.max") ||
			       put(d, "memory.swap.max", "%llu",
				   (unsigned long long)l->swap) == 0
			   ? 0
			   : -1;
	}
	if (put(d, "memory.limit_in_bytes", "%llu",
		(unsigned long long)l->memory) < 0)
		return -1;
	/* Of both together, which may not be less than of memory alone. */
	return !has(d, "memory.memsw.limit_in_bytes") ||
		       put(d, "memory.memsw.limit_in_bytes", "%llu",
			   (unsigned long long)(l->memory + l->swap)) == 0
		   ? 0
		   : -1;
}

static int
limit_cpu(int d, unsigned int version, const struct cgroup_limits *l)
{
	unsigned long long quota =
	    (unsigned long long)l->cpu_percent * PERIOD_US / 100;
	unsigned int shares = l->cpu_weight * 1024 / 100;

	if (quota != 0 && version == 2 &&
	    put(d, "cpu.max", "%llu %u", quota, PERIOD_US) < 0)
		return -1;
	if (quota != 0 && version == 1 &&
	    (put(d, "cpu.cfs_period_us", "%u", PERIOD_US) < 0 ||
		put(d, "cpu.cfs_quota_us", "%llu", quota) < 0))
		return -1;
	if (l->cpu_weight == 0)
		return 0;
	return version == 2 ? put(d, "cpu.weight", "%u", l->cpu_weight)
			    : put(d, "cpu.shares", "%u", shares);
}

static int
limit_io(int d, unsigned int version, const struct cgroup_limits *l)
{
	for (size_t i = 0; i < nitems(l->io_dev) && l->io_dev[i] != 0; i++) {
		unsigned int maj = major(l->io_dev[i]);
		unsigned int min = minor(l->io_dev[i]);
		unsigned long long n = l->io;

		if (version == 2) {
			if (put(d, "io.max", "%u:%u rbps=%llu wbps=%llu", maj,
				min, n, n) < 0)
				return -1;
		} else if (put(d, "blkio.throttle.read_bps_device",
			       "%u:%u %llu", maj, min, n) < 0 ||
			   put(d, "blkio.throttle.write_bps_device",
			       "%u:%u %llu", maj, min, n) < 0) {
			return -1;
		}
	}
	return 0;
}

static int
limit(int d, const struct hier *h, unsigned int ctls,
    const struct cgroup_limits *l, struct error *err)
{
	if ((ctls & BIT(CGROUP_MEMORY)) && limit_memory(d, h->version, l) < 0)
		return error_set(err, errno, "cgroups: limit memory");
	/* One more: pid 1 of the jail, which is ours. */
	if ((ctls & BIT(CGROUP_PIDS)) &&
	    put(d, "pids.max", "%llu", (unsigned long long)l->procs + 1) < 0)
		return error_set(err, errno, "cgroups: limit procs");
	if ((ctls & BIT(CGROUP_CPU)) && limit_cpu(d, h->version, l) < 0)
		return error_set(err, errno, "cgroups: limit cpu");
	if ((ctls & BIT(CGROUP_IO)) && limit_io(d, h->version, l) < 0)
		return error_set(err, errno, "cgroups: limit io");
	return 0;
}

struct cgroup *
cgroup_new(struct cgroups *cs, const char *name, const struct cgroup_limits *l,
    struct error *err)
{
	unsigned int want = cgroups_held(cs, l) | BIT(CGROUP_FREEZER);
	struct cgroup *g = xcalloc(1, sizeof(*g));
	size_t i;

	g->cs = cs;
	strlcpy(g->name, name, sizeof(g->name));
	for (i = 0; i < CGROUP_CTLS; i++)
		g->fd[i] = -1;
	for (i = 0; i < cs->n; i++) {
		const struct hier *h = &cs->h[i];

		if ((h->ctls & want) == 0)
			continue;
		if (mkdirat(h->fd, name, 0755) < 0) {
			(void)error_set(
			    err, errno, "cgroups: make %s/%s", h->dir, name);
			goto fail;
		}
		g->fd[i] =
		    openat(h->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (g->fd[i] < 0) {
			(void)error_set(
			    err, errno, "cgroups: open %s/%s", h->dir, name);
			(void)unlinkat(h->fd, name, AT_REMOVEDIR);
			goto fail;
		}
		if (limit(g->fd[i], h, h->ctls & want, l, err) < 0)
			goto fail;
	}
	return g;
fail:
	(void)cgroup_remove(g);
	return NULL;
}

int
cgroup_entry(
    const struct cgroup *g, int *v2, int *v1, size_t max, struct error *err)
{
	size_t n = 0;

	*v2 = -1;
	for (size_t i = 0; i < g->cs->n; i++) {
		int fd;

		if (g->fd[i] < 0)
			continue;
		if (g->cs->h[i].version == 2)
			fd = *v2 = fcntl(g->fd[i], F_DUPFD_CLOEXEC, 0);
		else if (n == max)
			return error_set(err, E2BIG, "cgroups: entries");
		else
			/*
			 * Not cgroup.procs: a process that moves itself as the
			 * one thread that it is need not wait, often for ten
			 * milliseconds, until no thread of the host is being
			 * made.
			 */
			fd = v1[n++] =
			    openat(g->fd[i], "tasks", O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return error_set(err, errno, "cgroups: entry");
	}
	return (int)n;
}

/* ---- what happens in it ------------------------------------------------ */

static int
dir_of(const struct cgroup *g, enum cgroup_ctl c, unsigned int *version)
{
	size_t i;
	const struct hier *h = holder(g->cs, c, &i);

	if (h == NULL)
		return -1;
	*version = h->version;
	return g->fd[i];
}

int
cgroup_oom_open(const struct cgroup *g)
{
	unsigned int v = 0;
	int d = dir_of(g, CGROUP_MEMORY, &v);

	return d < 0
		   ? -1
		   : openat(d, v == 2 ? "memory.events" : "memory.oom_control",
			 O_RDONLY | O_CLOEXEC);
}

uint64_t
cgroup_oom_read(int fd)
{
	char text[FILE_TEXT_MAX];

	return fd < 0 || get_fd(fd, text, sizeof(text)) <= 0
		   ? 0
		   : cgroup_count(text, "oom_kill");
}

uint64_t
cgroup_pids_refused(const struct cgroup *g)
{
	char text[FILE_TEXT_MAX];
	unsigned int v = 0;
	int d = dir_of(g, CGROUP_PIDS, &v);

	return d < 0 || get(d, "pids.events", text, sizeof(text)) <= 0
		   ? 0
		   : cgroup_count(text, "max");
}

static int
watch(int inotify, int dir, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	return inotify_add_watch(inotify, path, IN_MODIFY);
}

void
cgroup_watch(const struct cgroup *g, int inotify, int wd[2], int *event)
{
	cleanup_fd int oom = -1;
	unsigned int v = 0;
	int d = dir_of(g, CGROUP_PIDS, &v);

	wd[0] = d < 0 ? -1 : watch(inotify, d, "pids.events");
	wd[1] = *event = -1;
	d = dir_of(g, CGROUP_MEMORY, &v);
	if (d < 0)
		return;
	if (v == 2) {
		wd[1] = watch(inotify, d, "memory.events");
		return;
	}
	oom = openat(d, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	*event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (oom < 0 || *event < 0 ||
	    put(d, "cgroup.event_control", "%d %d", *event, oom) < 0)
		fd_close(event);
}

/* ---- freeze and end ---------------------------------------------------- */

int
cgroup_freeze(const struct cgroup *g, bool on, struct error *err)
{
	unsigned int v = 0;
	int d = dir_of(g, CGROUP_FREEZER, &v);

	if (d < 0)
		return error_set(err, 0,
		    "this host has no cgroup freezer: jobs cannot be paused");
	if (v == 2 ? put(d, "cgroup.freeze", on ? "1" : "0") < 0
		   : put(d, "freezer.state", on ? "FROZEN" : "THAWED") < 0)
		return error_set(
		    err, errno, on ? "cgroups: freeze" : "cgroups: thaw");
	return 0;
}

void
cgroup_kill(const struct cgroup *g)
{
	unsigned int v = 0;
	int d = dir_of(g, CGROUP_FREEZER, &v);

	if (d >= 0 && g->cs->kill && put(d, "cgroup.kill", "1") == 0)
		return;
	/* Frozen, so that nothing is born while it is looked at. */
	if (d >= 0)
		(void)cgroup_freeze(g, true, NULL);
	for (size_t i = 0; d < 0 && i < g->cs->n; i++)
		d = g->fd[i];
	if (d >= 0)
		kill_each(d);
	(void)cgroup_freeze(g, false, NULL);
}

bool
cgroup_remove(struct cgroup *g)
{
	bool gone = true;

	for (size_t i = 0; i < g->cs->n; i++) {
		if (g->fd[i] < 0)
			continue;
		if (unlinkat(g->cs->h[i].fd, g->name, AT_REMOVEDIR) < 0 &&
		    errno != ENOENT) {
			gone = false;
			continue;
		}
		fd_close(&g->fd[i]);
	}
	if (gone)
		free(g);
	return gone;
}

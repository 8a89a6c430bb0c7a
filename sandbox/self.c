/*
 * What each role can still do after self_confine(), besides talking on the
 * channels it is given:
 *
 *	parent	 root with the capabilities its children need; anything but
 *		 what the deny list of self_filter.c names
 *	control	 its database inside its root; accept clients
 *	keyd	 read and write the descriptors it is given
 *	audit	 files inside the log directory
 *	dns	 read the resolver's configuration; talk to name servers
 *	shim	 build a jail; after self_confine_shim() trace and signal
 *		 processes and stat files inside the jail's root
 *	front	 accept from the jail's capture sockets
 *	back	 connect over IPv4 and IPv6
 *	stage	 mount a job's staged layer; after self_confine_stage() read
 *		 and write below its directories, as the submitter
 */
#include "sandbox/self.h"

#include <sys/capability.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "sandbox/self_filter.h"
#include "sandbox/self_landlock.h"

#define MEMLOCK_WANTED (64u * 1024 * 1024)
/* Names and paths are the job's: as many and as long as it likes.  A million
 * changes (STAGE_CHANGES_MAX) of a real tree take half of it. */
#ifdef BRIG_SANITIZE
#define DATA_STAGE 0 /* shadow memory counts, too */
#else
#define DATA_STAGE (2ull << 30)
#endif

struct role_limits {
	rlim_t nofile;  /* 0: leave; singletons hold some for each job */
	rlim_t memlock; /* 0: leave */
	rlim_t data;    /* 0: leave */
};

static const struct role_limits limits[ROLE_MAX] = {
	[ROLE_PARENT] = { 0, 0 },
	[ROLE_CONTROL] = { 8192, 0 },
	[ROLE_KEYD] = { 4096, MEMLOCK_WANTED },
	[ROLE_AUDIT] = { 4096, 0 },
	[ROLE_DNS] = { 4096, 0 },
	[ROLE_SHIM] = { 0, 0 },
	[ROLE_FRONT] = { 16384, 0 },
	[ROLE_BACK] = { 4096, MEMLOCK_WANTED },
	[ROLE_STAGE] = { 4096, 0, DATA_STAGE },
};

/*
 * The parent itself needs few of these; it keeps what a shim must inherit to
 * build a jail, since nothing can be gained back over no_new_privs.
 */
static const cap_value_t caps_parent[] = {
	CAP_CHOWN,
	CAP_DAC_OVERRIDE,
	CAP_DAC_READ_SEARCH,
	CAP_FOWNER,
	CAP_KILL,
	CAP_SETUID,
	CAP_SETGID,
	CAP_SETPCAP,
	CAP_SETFCAP, /* map host uid 0 for a workspace that root submits */
	CAP_NET_ADMIN,
	CAP_NET_BIND_SERVICE,
	CAP_SYS_ADMIN,
	CAP_SYS_CHROOT,
	CAP_SYS_PTRACE,
	CAP_SYS_RESOURCE,
	CAP_MKNOD,
	CAP_BPF,
	CAP_PERFMON,
};

static void
self_fds(enum role role)
{
	/* The parent has no parent: what it has open by now is its own. */
	if (role != ROLE_PARENT)
		fd_close_from(PARENT_FD + 1);
}

/* Lower to want, or raise as far as the hard limit (or our power) goes. */
static void
self_rlimit(int what, rlim_t want, const char *name)
{
	struct rlimit now, rl = { want, want };

	if (getrlimit((__rlimit_resource_t)what, &now) != 0)
		fatal("getrlimit %s", name);
	if (want > now.rlim_max &&
	    setrlimit((__rlimit_resource_t)what, &rl) == 0)
		return;
	if (want > now.rlim_max)
		rl.rlim_cur = rl.rlim_max = now.rlim_max;
	if (setrlimit((__rlimit_resource_t)what, &rl) != 0)
		fatal("setrlimit %s", name);
	if (getrlimit((__rlimit_resource_t)what, &now) != 0 ||
	    now.rlim_cur != rl.rlim_cur || now.rlim_max != rl.rlim_max)
		fatalx("limit %s did not take", name);
}

static void
self_rlimits(enum role role)
{
	const struct role_limits *l = &limits[role];

	/* One byte, as for jails (see privs_limits()), which inherit it: with
	 * 0 the kernel still pipes a dump to the host's handler (core(5)). */
	self_rlimit(RLIMIT_CORE, 1, "core");
	if (l->nofile != 0)
		self_rlimit(RLIMIT_NOFILE, l->nofile, "nofile");
	if (l->memlock != 0)
		self_rlimit(RLIMIT_MEMLOCK, l->memlock, "memlock");
	if (l->data != 0)
		self_rlimit(RLIMIT_DATA, l->data, "data");
}

static void
self_root(const char *root)
{
	struct stat want, got;

	if (root == NULL)
		return;
	if (chdir(root) != 0 || stat(".", &want) != 0)
		fatal("root directory %s", root);
	if (chroot(".") != 0)
		fatal("chroot %s", root);
	if (chdir("/") != 0 || stat("/", &got) != 0)
		fatal("chdir to the new root");
	if (want.st_dev != got.st_dev || want.st_ino != got.st_ino)
		fatalx("chroot %s did not take", root);
}

static void
self_ids(uid_t uid, gid_t gid)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (setgroups(0, NULL) != 0)
		fatal("setgroups");
	if (setresgid(gid, gid, gid) != 0)
		fatal("setresgid %u", (unsigned int)gid);
	if (setresuid(uid, uid, uid) != 0)
		fatal("setresuid %u", (unsigned int)uid);
	if (getresuid(&r, &e, &s) != 0 || r != uid || e != uid || s != uid ||
	    getresgid(&rg, &eg, &sg) != 0 || rg != gid || eg != gid ||
	    sg != gid || getgroups(0, NULL) != 0)
		fatalx("user and group ids did not take");
	if (uid != 0 && setuid(0) == 0)
		fatalx("root could be taken back");
}

static bool
in_caps(cap_value_t c, const cap_value_t *keep, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (keep[i] == c)
			return true;
	return false;
}

/* Needs CAP_SETPCAP, so it comes before the ids change. */
static void
self_caps_bounding(const cap_value_t *keep, size_t n)
{
	cap_iab_t iab;
	int set;

	if (cap_reset_ambient() != 0)
		fatal("ambient capabilities");
	for (cap_value_t c = 0; (set = cap_get_bound(c)) >= 0; c++) {
		if (in_caps(c, keep, n) || set == 0)
			continue;
		if (cap_drop_bound(c) != 0)
			fatal("drop capability %d", c);
		if (cap_get_bound(c) != 0)
			fatalx("capability %d did not drop", c);
	}
	iab = cap_iab_get_proc();
	if (iab == NULL)
		fatal("inheritable capabilities");
	for (cap_value_t c = 0; c < cap_max_bits(); c++)
		if (cap_iab_get_vector(iab, CAP_IAB_AMB, c) == CAP_SET)
			fatalx("ambient capability %d did not drop", c);
	cap_free(iab);
}

/* Keep those of the list that we hold; nothing inheritable. */
static void
self_caps_sets(const cap_value_t *keep, size_t n)
{
	cap_t have, want, got;

	have = cap_get_proc();
	want = cap_init();
	if (have == NULL || want == NULL)
		fatal("capabilities");
	for (size_t i = 0; i < n; i++) {
		cap_flag_value_t v = CAP_CLEAR;

		if (cap_get_flag(have, keep[i], CAP_PERMITTED, &v) != 0 ||
		    v != CAP_SET)
			continue;
		if (cap_set_flag(want, CAP_PERMITTED, 1, &keep[i], CAP_SET) !=
			0 ||
		    cap_set_flag(want, CAP_EFFECTIVE, 1, &keep[i], CAP_SET) !=
			0)
			fatal("capability %d", keep[i]);
	}
	if (cap_set_proc(want) != 0)
		fatal("set capabilities");
	got = cap_get_proc();
	if (got == NULL || cap_compare(got, want) != 0)
		fatalx("capability sets did not take");
	cap_free(have);
	cap_free(want);
	cap_free(got);
}

static void
self_no_new_privs(bool dumpable)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		fatal("no_new_privs");
	if (!dumpable && (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
			     prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0))
		fatal("dumpable");
}

void
self_confine(const struct self_conf *c)
{
	const cap_value_t *keep = NULL;
	size_t n = 0;
	bool builds = false;

	switch (c->role) {
	case ROLE_PARENT:
	case ROLE_SHIM:
	case ROLE_STAGE:
		/* A shim is the parent's hands until its jail stands, a stage
		 * process until it has opened the layer. */
		keep = caps_parent;
		n = nitems(caps_parent);
		builds = true;
		break;
	case ROLE_CONTROL:
	case ROLE_KEYD:
	case ROLE_AUDIT:
	case ROLE_DNS:
	case ROLE_FRONT:
	case ROLE_BACK:
		if (c->uid == 0 || c->gid == 0)
			fatalx(
			    "role %s must not run as root", role_name(c->role));
		break;
	case ROLE_NONE:
	case ROLE_MAX:
		fatalx("no such role: %d", (int)c->role);
	}
	self_fds(c->role);
	self_rlimits(c->role);
	self_root(c->root);
	/* Of what a shim needs it has nothing to hand on: it never executes
	 * anything. */
	if (c->role == ROLE_SHIM)
		self_caps_bounding(NULL, 0);
	else
		self_caps_bounding(keep, n);
	self_ids(c->uid, c->gid);
	self_caps_sets(keep, n);
	/*
	 * Files of a non-dumpable process below /proc belong to root, which a
	 * shim is in the way of while it maps the ids of its jail.
	 */
	self_no_new_privs(c->role == ROLE_SHIM);
	if (c->role == ROLE_DNS)
		self_landlock_dns();
	if (c->role != ROLE_SHIM && c->role != ROLE_STAGE)
		self_filter(c->role);
	log_debug("confined role=%s uid=%u%s", role_name(c->role),
	    (unsigned int)c->uid, builds ? " builder" : "");
}

/*
 * setfsuid(2) reports no error but answers with the former id: ask twice.  The
 * argument -1 changes nothing.
 */
static void
self_fs_ids(uid_t uid, gid_t gid)
{
	if (uid == 0 || gid == 0)
		fatalx("a shim must not look at files as root");
	(void)setfsgid(gid);
	(void)setfsuid(uid);
	if ((gid_t)setfsgid((gid_t)-1) != gid ||
	    (uid_t)setfsuid((uid_t)-1) != uid)
		fatalx("file system ids did not take");
}

void
self_prepare_shim(struct sock_fprog *filter)
{
	self_filter_make(ROLE_SHIM, filter);
}

void
self_confine_shim(
    int root_fd, uid_t uid, gid_t gid, const struct sock_fprog *filter)
{
	if (root_fd >= 0) {
		if (fchdir(root_fd) != 0)
			fatal("root of the jail");
		self_root(".");
	}
	/*
	 * None is needed: root made the jail's user namespace, so a process
	 * with its effective uid has every capability over what is in there
	 * (user_namespaces(7)), and none over the host.
	 */
	self_caps_bounding(NULL, 0);
	/*
	 * Without capabilities root could not look up a script below a
	 * directory that is the job's alone.
	 */
	self_fs_ids(uid, gid);
	self_caps_sets(NULL, 0);
	self_no_new_privs(false);
	if (filter != NULL)
		self_filter_install(filter);
	else
		self_filter(ROLE_SHIM);
}

void
self_confine_stage(uid_t uid, gid_t gid, const int *dirs, size_t n)
{
	self_caps_bounding(NULL, 0);
	/* To root, too, if root submitted the job: without capabilities. */
	self_ids(uid, gid);
	self_caps_sets(NULL, 0);
	self_no_new_privs(false);
	self_landlock_dirs(dirs, n);
	self_filter(ROLE_STAGE);
}

#include "inferd/confine.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/compat.h"
#include "base/ev.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "inferd/filter.h"

/* Newer than Debian 12's headers: Landlock ABI 3, 4, 5, 6. */
#define LL_TRUNCATE (UINT64_C(1) << 14)
#define LL_IOCTL_DEV (UINT64_C(1) << 15)
#define LL_TCP (UINT64_C(3))    /* bind, connect */
#define LL_SCOPES (UINT64_C(3)) /* abstract sockets, signals */

struct ruleset {
	uint64_t fs, net, scoped;
};

#define THREADS_MAX 1024u
/* A thread that computes answers at once; one whose machine sleeps, late. */
#define ANSWER_MS 60000u

#define PROGRAM_MAX 256u

/*
 * What a thread is asked, and what it says.  Of the file, because a signal
 * handler gets no argument; one thread is asked at a time.
 */
static atomic_int asked;    /* its id; 0: nobody */
static atomic_int answered; /* errno of what failed; 0: done, -1: not yet */
static atomic_int failed_at;
static int ruleset_fd = -1;

enum step {
	STEP_NNP = 1,
	STEP_CAPS,
	STEP_LANDLOCK
};

static const char *
step_name(int step)
{
	switch (step) {
	case STEP_NNP:
		return "no_new_privs";
	case STEP_CAPS:
		return "capabilities";
	case STEP_LANDLOCK:
		return "Landlock";
	default:
		return "?";
	}
}

/* errno of the first that fails, *at says which; safe in a signal handler. */
static int
drop_caps(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	/* Without CAP_SETPCAP, and beyond the last one, it fails: nothing can
	 * be gained from the bounding set without execve(2) anyway. */
	for (unsigned long i = 0; i < 64; i++)
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0)
			break;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		return errno;
	memset(d, 0, sizeof(d));
	if (syscall(SYS_capset, &h, d) != 0 || syscall(SYS_capget, &h, d) != 0)
		return errno;
	for (size_t i = 0; i < nitems(d); i++)
		if (d[i].effective != 0 || d[i].permitted != 0 ||
		    d[i].inheritable != 0)
			return EPERM;
	return 0;
}

static int
confine_thread(int *at)
{
	*at = STEP_NNP;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return errno;
	*at = STEP_CAPS;
	if ((errno = drop_caps()) != 0)
		return errno;
	*at = STEP_LANDLOCK;
	if (ruleset_fd >= 0 &&
	    syscall(SYS_landlock_restrict_self, ruleset_fd, 0) != 0)
		return errno;
	return 0;
}

static void
on_signal(int signo attr_unused)
{
	int saved = errno, at = 0, e;

	if (atomic_load(&asked) != (int)syscall(SYS_gettid))
		return;
	e = confine_thread(&at);
	atomic_store(&failed_at, at);
	atomic_store(&asked, 0);
	atomic_store(&answered, e);
	errno = saved;
}

/* All that this kernel can refuse, of which the cache directory is excepted;
 * -1 in *fd where there is no Landlock and no need of it. */
static int
make_ruleset(const char *cache_dir, int *fd, struct error *err)
{
	struct landlock_path_beneath_attr below = {
		.allowed_access =
		    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
		    LANDLOCK_ACCESS_FS_WRITE_FILE |
		    LANDLOCK_ACCESS_FS_REMOVE_FILE |
		    LANDLOCK_ACCESS_FS_REMOVE_DIR |
		    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR,
	};
	struct ruleset rs = { .fs = (UINT64_C(1) << 13) - 1 };
	size_t size = sizeof(rs.fs);
	cleanup_fd int dir = -1;
	long abi;

	*fd = -1;
	abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1) {
		if (cache_dir == NULL)
			return 0; /* the filter refuses every file */
		return error_set(err, errno,
		    "this kernel has no Landlock, which holds the engine to "
		    "its cache directory: start it without one");
	}
	if (abi >= 2) {
		rs.fs |= LANDLOCK_ACCESS_FS_REFER;
		below.allowed_access |= LANDLOCK_ACCESS_FS_REFER;
	}
	if (abi >= 3) {
		rs.fs |= LL_TRUNCATE;
		below.allowed_access |= LL_TRUNCATE;
	}
	if (abi >= 4) {
		rs.net = LL_TCP;
		size = offsetof(struct ruleset, scoped);
	}
	if (abi >= 5)
		rs.fs |= LL_IOCTL_DEV;
	if (abi >= 6) {
		rs.scoped = LL_SCOPES;
		size = sizeof(rs);
	}
	*fd = (int)syscall(SYS_landlock_create_ruleset, &rs, size, 0);
	if (*fd < 0)
		return error_set(err, errno, "Landlock: make rules");
	if (cache_dir == NULL)
		return 0;
	dir = open(cache_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_set(err, errno, "open %s", cache_dir);
	below.parent_fd = dir;
	if (syscall(SYS_landlock_add_rule, *fd, LANDLOCK_RULE_PATH_BENEATH,
		&below, 0) != 0)
		return error_set(err, errno, "Landlock: %s", cache_dir);
	return 0;
}

/* 0, 1: it has ended meanwhile, -1 with err. */
static int
ask_thread(pid_t tid, struct error *err)
{
	const struct timespec nap = { 0, 200000 };
	uint64_t end = ev_now_ms() + ANSWER_MS;
	int e;

	atomic_store(&answered, -1);
	atomic_store(&asked, (int)tid);
	while (syscall(SYS_tgkill, getpid(), tid, CONFINE_SIGNAL) != 0) {
		if (errno == ESRCH)
			return 1;
		if (errno != EAGAIN || ev_now_ms() > end)
			return error_set(
			    err, errno, "signal thread %d", (int)tid);
	}
	while ((e = atomic_load(&answered)) == -1) {
		if (syscall(SYS_tgkill, getpid(), tid, 0) != 0)
			return 1;
		if (ev_now_ms() > end)
			return error_set(err, 0,
			    "thread %d does not answer: it blocks the signal "
			    "by which it is confined",
			    (int)tid);
		(void)nanosleep(&nap, NULL);
	}
	if (e != 0)
		return error_set(err, e, "thread %d: %s", (int)tid,
		    step_name(atomic_load(&failed_at)));
	return 0;
}

/* Each thread of this process but our own, once; *more: some were new. */
static int
ask_threads(pid_t *done, size_t *ndone, bool *more, struct error *err)
{
	pid_t self = (pid_t)syscall(SYS_gettid);
	struct dirent *e;
	int rc = 0;
	DIR *d;

	*more = false;
	if ((d = opendir("/proc/self/task")) == NULL)
		return error_set(err, errno, "open /proc/self/task");
	while (rc >= 0 && (e = readdir(d)) != NULL) {
		uint64_t tid;
		size_t i;

		if (str_to_u64(e->d_name, 1, INT32_MAX, &tid) < 0 ||
		    (pid_t)tid == self)
			continue;
		for (i = 0; i < *ndone && done[i] != (pid_t)tid; i++)
			;
		if (i < *ndone)
			continue;
		*more = true;
		if (*ndone == THREADS_MAX) {
			rc = error_set(
			    err, 0, "more than %u threads", THREADS_MAX);
			break;
		}
		done[(*ndone)++] = (pid_t)tid;
		rc = ask_thread((pid_t)tid, err);
	}
	closedir(d);
	return rc < 0 ? -1 : 0;
}

static int
confine_threads(struct error *err)
{
	struct sigaction sa = { .sa_flags = SA_RESTART };
	cleanup_free pid_t *done = xcalloc(THREADS_MAX, sizeof(*done));
	size_t ndone = 0;
	bool more;
	int at, e;

	sa.sa_handler = on_signal;
	sigfillset(&sa.sa_mask);
	if (sigaction(CONFINE_SIGNAL, &sa, NULL) != 0)
		return error_set(err, errno, "sigaction");
	/* A thread that is made by one that is confined is confined; one that
	 * was made before is seen in the next round. */
	do {
		if (ask_threads(done, &ndone, &more, err) < 0)
			return -1;
	} while (more);
	sa.sa_handler = SIG_IGN;
	if (sigaction(CONFINE_SIGNAL, &sa, NULL) != 0)
		return error_set(err, errno, "sigaction");
	if ((e = confine_thread(&at)) != 0)
		return error_set(err, e, "%s", step_name(at));
	return 0;
}

#ifndef BRIG_SANITIZE

static const int allowed[] = {
	/* memory */
	SYS_brk,
	SYS_madvise,
	SYS_mlock,
	SYS_mremap,
	SYS_munlock,
	SYS_munmap,
	/* threads that are there, signals, time */
	SYS_clock_getres,
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_exit,
	SYS_exit_group,
	SYS_futex,
	SYS_getcpu,
	SYS_getegid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getpid,
	SYS_getppid,
	SYS_getrandom,
	SYS_getrusage,
	SYS_gettid,
	SYS_gettimeofday,
	SYS_getuid,
	SYS_membarrier,
	SYS_nanosleep,
	SYS_restart_syscall,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sched_getaffinity,
	SYS_sched_setaffinity,
	SYS_sched_yield,
	SYS_sigaltstack,
	SYS_signalfd4,
	SYS_sysinfo,
	SYS_times,
	SYS_uname,
#ifdef SYS_time
	SYS_time,
#endif
	/* descriptors */
	SYS_accept4,
	SYS_close,
	SYS_close_range,
	SYS_dup,
	SYS_dup3,
	SYS_fadvise64,
	SYS_fcntl,
	SYS_fdatasync, /* of the record */
	SYS_fstat,
	SYS_getpeername,
	SYS_getsockname,
	SYS_getsockopt,
	SYS_lseek,
	SYS_pread64,
	SYS_read,
	SYS_readv,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_sendmsg,
	SYS_sendto,
	SYS_setsockopt,
	SYS_shutdown,
	SYS_write,
	SYS_writev,
	/* waiting */
	SYS_epoll_create1,
	SYS_epoll_ctl,
	SYS_epoll_pwait,
	SYS_epoll_pwait2,
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
	SYS_eventfd2,
#ifdef SYS_poll
	SYS_poll,
#endif
	SYS_ppoll,
	SYS_timerfd_create,
	SYS_timerfd_gettime,
	SYS_timerfd_settime,
};

/* With a cache directory, to which Landlock holds them. */
static const int allowed_files[] = {
	SYS_fallocate, SYS_flock, SYS_fsync, SYS_ftruncate, SYS_getdents64,
	SYS_mkdirat, SYS_openat, SYS_pwrite64,
#ifdef SYS_renameat
	SYS_renameat,
#endif
	SYS_renameat2, SYS_unlinkat,
	SYS_utimensat, /* of what is open, as libc has it */
};

/* libc looks for files by itself (time zone, overcommit setting of malloc): to
 * it a refusal is the same as a missing file. */
static const int lookups[] = {
	SYS_openat,
	SYS_faccessat,
	SYS_faccessat2,
	SYS_readlinkat,
	SYS_statx,
#ifdef SYS_open
	SYS_open,
	SYS_access,
	SYS_readlink,
	SYS_stat,
	SYS_lstat,
#endif
};

struct program {
	struct sock_filter code[PROGRAM_MAX];
	size_t n;
};

static void
add(struct program *p, const struct sock_filter *code, size_t n)
{
	if (n > PROGRAM_MAX - p->n)
		fatalx("the filter has no room");
	memcpy(p->code + p->n, code, n * sizeof(*code));
	p->n += n;
}

#define ADD(p, ...)                                                            \
	do {                                                                   \
		const struct sock_filter code_[] = { __VA_ARGS__ };            \
		add(p, code_, nitems(code_));                                  \
	} while (0)

static void
add_calls(struct program *p, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ADD(p, FILTER_IS(calls[i], 1), FILTER_ALLOW);
}

/* Calls whose arguments count; each ends with an answer. */
static void
add_special(struct program *p)
{
	/* Memory of nobody's file, never executable. */
	ADD(p, FILTER_IS(SYS_mmap, 7), FILTER_LOAD(args[2]),
	    FILTER_HAS(PROT_EXEC, 1), FILTER_ERRNO(EPERM), FILTER_LOAD(args[3]),
	    FILTER_HAS(MAP_ANONYMOUS, 1), FILTER_ALLOW, FILTER_ERRNO(EACCES));
	ADD(p, FILTER_IS(SYS_mprotect, 4), FILTER_LOAD(args[2]),
	    FILTER_HAS(PROT_EXEC, 1), FILTER_ERRNO(EPERM), FILTER_ALLOW);
	/* fstat(3) is newfstatat(fd, "", ..., AT_EMPTY_PATH) in libc. */
	ADD(p, FILTER_IS(SYS_newfstatat, 4), FILTER_LOAD(args[3]),
	    FILTER_HAS(AT_EMPTY_PATH, 1), FILTER_ALLOW, FILTER_ERRNO(EACCES));
	/* Names of threads. */
	ADD(p, FILTER_IS(SYS_prctl, 6), FILTER_LOAD(args[0]),
	    FILTER_IS(PR_SET_NAME, 1), FILTER_ALLOW, FILTER_IS(PR_GET_NAME, 1),
	    FILTER_ALLOW, FILTER_ERRNO(EINVAL));
	/* Is it a terminal?  How much is there to read? */
	ADD(p, FILTER_IS(SYS_ioctl, 8), FILTER_LOAD(args[1]),
	    FILTER_IS(TCGETS, 1), FILTER_ALLOW, FILTER_IS(TIOCGWINSZ, 1),
	    FILTER_ALLOW, FILTER_IS(FIONREAD, 1), FILTER_ALLOW,
	    FILTER_ERRNO(ENOTTY));
	/* abort(3) */
	ADD(p, FILTER_IS(SYS_tgkill, 4), FILTER_LOAD(args[0]),
	    FILTER_IS(getpid(), 1), FILTER_ALLOW, FILTER_KILL);
	/* Reading limits: no new one, in both halves of the pointer. */
	ADD(p, FILTER_IS(SYS_prlimit64, 7), FILTER_LOAD(args[2]),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), FILTER_ERRNO(EPERM),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		offsetof(struct seccomp_data, args[2]) + 4),
	    FILTER_IS(0, 1), FILTER_ALLOW, FILTER_ERRNO(EPERM));
}

static int
install_filter(bool files, struct error *err)
{
	struct program p = { .n = 0 };
	struct sock_fprog prog;
	long rc;

	ADD(&p, FILTER_LOAD(arch),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 1, 0), FILTER_KILL,
	    FILTER_LOAD(nr));
	add_calls(&p, allowed, nitems(allowed));
	if (files)
		add_calls(&p, allowed_files, nitems(allowed_files));
	for (size_t i = 0; i < nitems(lookups); i++)
		ADD(&p, FILTER_IS(lookups[i], 1), FILTER_ERRNO(EACCES));
	add_special(&p);
	ADD(&p, FILTER_KILL);
	prog.len = (unsigned short)p.n;
	prog.filter = p.code;
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_TSYNC, &prog);
	if (rc < 0)
		return error_set(err, errno, "seccomp");
	if (rc > 0)
		return error_set(
		    err, 0, "seccomp: thread %ld has a filter of its own", rc);
	return 0;
}

#endif

int
confine(const char *cache_dir, struct error *err)
{
	const struct rlimit none = { 0, 0 };
	cleanup_fd int rules = -1;
	int rc;

	if (make_ruleset(cache_dir, &rules, err) < 0)
		return -1;
	ruleset_fd = rules;
	rc = confine_threads(err);
	ruleset_fd = -1;
	if (rc < 0)
		return -1;
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return error_set(err, errno, "limit of core files");
#ifdef BRIG_SANITIZE
	/* Their runtimes need more calls than these, and look into the process
	 * when it ends. */
	log_info("no system call filter in a sanitizer build");
	return 0;
#else
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
	    prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return error_set(err, errno, "dumpable");
	return install_filter(cache_dir != NULL, err);
#endif
}

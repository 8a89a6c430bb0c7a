#include "daemon/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/procfs.h"
#include "base/str.h"

#define STATUS_MAX 16384u

/*
 * Between fork and exec: only system calls.  Whatever fails here ends the
 * child; the parent sees the channel close.
 */
static void __attribute__((noreturn)) child_exec(
    const struct proc_spec *s, char *const argv[], char *const envp[], int fd)
{
	sigset_t none;
	int null, exe = -1;

	/* Covers the time until the role itself notices the closed channel. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0)
		_exit(1);
	/* Above what the channel is about to be. */
	if (s->exe_fd > 0 &&
	    (exe = fcntl(s->exe_fd, F_DUPFD_CLOEXEC, PARENT_FD + 1)) < 0)
		_exit(1);
	/* dup2() onto itself would leave the close-on-exec flag set. */
	if (fd == PARENT_FD) {
		if (fd_cloexec(fd, false) < 0)
			_exit(1);
	} else if (dup2(fd, PARENT_FD) < 0) {
		_exit(1);
	}
	if (exe > PARENT_FD + 1 && dup3(exe, PARENT_FD + 1, O_CLOEXEC) < 0)
		_exit(1);
	fd_close_from(PARENT_FD + (exe < 0 ? 1 : 2));
	if (s->files.rlim_max != 0 && setrlimit(RLIMIT_NOFILE, &s->files) < 0)
		_exit(1);
	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || setsid() < 0)
		_exit(1);
	if (exe < 0)
		execve(s->exe, argv, envp);
	else
		execveat(PARENT_FD + 1, "", argv, envp, AT_EMPTY_PATH);
	log_warn("execute %s", s->exe);
	_exit(1);
}

pid_t
proc_spawn(const struct proc_spec *s, int fd, struct error *err)
{
	static char path_env[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	static char lc_env[] = "LC_ALL=C";
	char *envp[] = { path_env, lc_env, NULL, NULL };
	cleanup_free char *name = NULL, *uid = NULL, *gid = NULL, *root = NULL;
#ifdef BRIG_SANITIZE
	cleanup_free char *san = NULL;
#endif
	char opt_x[] = "-x", opt_u[] = "-U", opt_g[] = "-G", opt_r[] = "-R";
	char opt_d[] = "-d";
	cleanup_free char *arg0 = NULL;
	char *argv[12];
	size_t n = 0;
	pid_t pid;

	arg0 = xstrdup(s->role == ROLE_SHIM ? "brig-shim" : "brigd");
	name = xstrdup(role_name(s->role));
	uid = xasprintf("%u", s->uid);
	gid = xasprintf("%u", s->gid);
	argv[n++] = arg0;
	if (s->role != ROLE_SHIM) {
		argv[n++] = opt_x;
		argv[n++] = name;
		argv[n++] = opt_u;
		argv[n++] = uid;
		argv[n++] = opt_g;
		argv[n++] = gid;
	}
	if (s->root != NULL) {
		root = xstrdup(s->root);
		argv[n++] = opt_r;
		argv[n++] = root;
	}
	if (s->debug)
		argv[n++] = opt_d;
	argv[n] = NULL;
#ifdef BRIG_SANITIZE
	if (getenv("ASAN_OPTIONS") != NULL) {
		san = xasprintf("ASAN_OPTIONS=%s", getenv("ASAN_OPTIONS"));
		envp[2] = san;
	}
#endif
	pid = fork();
	if (pid < 0)
		return error_set(err, errno, "fork %s", role_name(s->role));
	if (pid == 0)
		child_exec(s, argv, envp, fd);
	return pid;
}

int
proc_status_parse(const char *text, struct proc_status *st)
{
	uint64_t uid, gid, seccomp, nnp;

	memset(st, 0, sizeof(*st));
	/* "Uid: real effective saved fs" */
	if (procfs_number(text, "Uid", 10, 1, &uid) < 0 ||
	    procfs_number(text, "Gid", 10, 1, &gid) < 0 ||
	    procfs_number(text, "CapEff", 16, 0, &st->caps_effective) < 0 ||
	    procfs_number(text, "CapPrm", 16, 0, &st->caps_permitted) < 0 ||
	    procfs_number(text, "Seccomp", 10, 0, &seccomp) < 0 ||
	    procfs_number(text, "NoNewPrivs", 10, 0, &nnp) < 0) {
		errno = EINVAL;
		return -1;
	}
	/* A zombie has no VmRSS. */
	if (procfs_number(text, "VmRSS", 10, 0, &st->rss_kb) < 0)
		st->rss_kb = 0;
	st->uid = (uid_t)uid;
	st->gid = (gid_t)gid;
	st->seccomp = (uint8_t)seccomp;
	st->no_new_privs = nnp == 1;
	return 0;
}

int
proc_status_read(pid_t pid, struct proc_status *st)
{
	char path[64];
	cleanup_fd int fd = -1;
	cleanup_buf struct buf b = { 0 };

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fd_read_all(fd, &b, STATUS_MAX) < 0)
		return -1;
	buf_put_u8(&b, '\0');
	return proc_status_parse((const char *)buf_head(&b), st);
}

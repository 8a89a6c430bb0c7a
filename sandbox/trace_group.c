#include "sandbox/trace_group.h"

#include <sys/ptrace.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/procfs.h"
#include "base/str.h"

#define STATUS_MAX 4096u /* of /proc/PID/status that is looked at */

struct stop {
	pid_t pid, leader;
	int status;
	bool ready;   /* to let go of */
	size_t waits; /* a leader: for so many stops or ends of others */
	struct stop *next;
};

struct trace_group {
	int proc_fd;
	struct stop *stops; /* a leader's before those of its threads */
};

struct thread {
	pid_t leader, tracer;
	uint64_t threads; /* of the group */
};

/* proc(5), status.  0, or -1 with errno: ENOENT or ESRCH if it is gone. */
static int
look(const struct trace_group *g, pid_t pid, struct thread *t)
{
	char path[48], text[STATUS_MAX];
	uint64_t leader, tracer;
	ssize_t n;

	snprintf(path, sizeof(path), "%d/status", (int)pid);
	cleanup_fd int fd = openat(g->proc_fd, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -1;
	text[n] = '\0';
	if (procfs_number(text, "Tgid", 10, 0, &leader) < 0 ||
	    procfs_number(text, "TracerPid", 10, 0, &tracer) < 0 ||
	    procfs_number(text, "Threads", 10, 0, &t->threads) < 0) {
		errno = EINVAL;
		return -1;
	}
	t->leader = (pid_t)leader;
	t->tracer = (pid_t)tracer;
	return 0;
}

bool
trace_group_has(const struct trace_group *g, pid_t pid)
{
	struct thread t;

	return look(g, pid, &t) == 0 && t.tracer == getpid();
}

static struct stop *
find(const struct trace_group *g, pid_t pid)
{
	for (struct stop *s = g->stops; s != NULL; s = s->next)
		if (s->pid == pid)
			return s;
	return NULL;
}

/* Is what has this number stopped, and not at an exec, which is to judge? */
static bool
is_stopped(pid_t pid)
{
	siginfo_t si;

	if (ptrace(PTRACE_GETSIGINFO, pid, NULL, &si) != 0)
		return errno != ESRCH;
	return si.si_code != (SIGTRAP | PTRACE_EVENT_EXEC << 8);
}

/*
 * How many threads of the group could exec, other than its stopped leader;
 * they are told to stop.
 */
static size_t
others_run(const struct trace_group *g, pid_t leader)
{
	size_t run = 0;
	char path[48];
	DIR *d;
	int fd;

	snprintf(path, sizeof(path), "%d/task", (int)leader);
	fd = openat(g->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (d == NULL) {
		/* Gone, or nothing is known: then it stays. */
		if (fd >= 0)
			close(fd);
		else if (errno != ENOENT && errno != ESRCH)
			log_warn("threads of pid %d", (int)leader);
		return 1;
	}
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		const pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

		if (pid <= 0 || pid == leader || find(g, pid) != NULL ||
		    !trace_group_has(g, pid))
			continue;
		(void)ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
		run++;
	}
	closedir(d);
	return run;
}

/*
 * A leader's stop, and those of its threads that wait for it.  In this order:
 * once no other can exec, the number is the leader's own if it is stopped
 * there, and remains so.
 */
static void
settle(struct trace_group *g, struct stop *leader)
{
	struct thread t;

	/* Each of many threads tells of itself, and is not asked each time. */
	if (leader->waits > 1) {
		leader->waits--;
		return;
	}
	leader->waits = 0;
	if (look(g, leader->pid, &t) < 0) {
		if (errno != ENOENT && errno != ESRCH) {
			log_warn("status of pid %d", (int)leader->pid);
			kill(leader->pid, SIGKILL);
		}
		return;
	}
	if (t.threads > 1)
		leader->waits = others_run(g, leader->pid);
	if (leader->waits > 0)
		return;
	if (!is_stopped(leader->pid))
		return;
	for (struct stop *s = g->stops; s != NULL; s = s->next)
		if (s->leader == leader->pid)
			s->ready = true;
}

static struct stop **
end_of(struct trace_group *g)
{
	struct stop **pp = &g->stops;

	while (*pp != NULL)
		pp = &(*pp)->next;
	return pp;
}

void
trace_group_stopped(struct trace_group *g, pid_t pid, int status)
{
	struct stop *s, *leader;
	struct thread t;

	if (look(g, pid, &t) < 0) {
		if (errno != ENOENT && errno != ESRCH) {
			log_warn("status of pid %d", (int)pid);
			kill(pid, SIGKILL);
		}
		return;
	}
	s = xcalloc(1, sizeof(*s));
	s->pid = pid;
	s->leader = t.leader;
	s->status = status;
	*end_of(g) = s;
	leader = find(g, t.leader);
	/* Only a leader's number changes hands. */
	if (leader == NULL)
		s->ready = true;
	else
		settle(g, leader);
}

static void
drop(struct stop **pp)
{
	struct stop *s = *pp;

	*pp = s->next;
	free(s);
}

void
trace_group_void(struct trace_group *g, pid_t pid)
{
	for (struct stop **pp = &g->stops; *pp != NULL;) {
		if ((*pp)->pid == pid || (*pp)->leader == pid)
			drop(pp);
		else
			pp = &(*pp)->next;
	}
	for (struct stop *s = g->stops; s != NULL; s = s->next)
		if (s->pid == s->leader && !s->ready)
			settle(g, s);
}

bool
trace_group_next(struct trace_group *g, pid_t *pid, int *status)
{
	for (struct stop **pp = &g->stops; *pp != NULL; pp = &(*pp)->next) {
		if (!(*pp)->ready)
			continue;
		*pid = (*pp)->pid;
		*status = (*pp)->status;
		drop(pp);
		return true;
	}
	return false;
}

struct trace_group *
trace_group_new(int proc_fd)
{
	struct trace_group *g = xcalloc(1, sizeof(*g));

	g->proc_fd = proc_fd;
	return g;
}

void
trace_group_free(struct trace_group *g)
{
	if (g == NULL)
		return;
	while (g->stops != NULL)
		drop(&g->stops);
	free(g);
}

/*
 * What the shim has to do with the control groups of its job: put its pid 1
 * in, and know whether the memory limit has killed.  They are the parent's.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "daemon/shim.h"
#include "sandbox/cgroup.h"

void
shim_cgroup_init(struct shim *s)
{
	s->cgroup.v2 = s->cgroup.oom = -1;
}

int
shim_on_cgroup(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct shim *s = p->owner;
	uint8_t which = cur_u8(&m->body);
	bool memory = cur_bool(&m->body);
	bool procs = cur_bool(&m->body);

	if (cur_end(&m->body) < 0 || s->started || which >= CGROUP_FD_MAX)
		return -1;
	s->cgroup.memory = memory;
	s->cgroup.procs = procs;
	switch ((enum cgroup_fd)which) {
	case CGROUP_FD_V2:
		fd_close(&s->cgroup.v2);
		s->cgroup.v2 = steal_fd(&m->fd);
		break;
	case CGROUP_FD_V1:
		if (s->cgroup.nv1 == JAIL_CGROUP_MAX)
			return -1;
		s->cgroup.v1[s->cgroup.nv1++] = steal_fd(&m->fd);
		break;
	case CGROUP_FD_OOM:
		fd_close(&s->cgroup.oom);
		s->cgroup.oom = steal_fd(&m->fd);
		break;
	case CGROUP_FD_MAX:
		break;
	}
	return 0;
}

/* Nothing of this process enters a group after the jail has. */
void
shim_cgroup_entered(struct shim *s)
{
	fd_close(&s->cgroup.v2);
	while (s->cgroup.nv1 > 0)
		fd_close(&s->cgroup.v1[--s->cgroup.nv1]);
}

static void
size_text(uint64_t n, char *text, size_t size)
{
	static const char units[] = { 'K', 'M', 'G', 'T' };
	int u = -1;

	while (n >= 1024 && n % 1024 == 0 && u + 1 < (int)sizeof(units)) {
		n /= 1024;
		u++;
	}
	if (u < 0)
		(void)snprintf(text, size, "%llu", (unsigned long long)n);
	else
		(void)snprintf(
		    text, size, "%llu%c", (unsigned long long)n, units[u]);
}

bool
shim_oom_text(const struct shim *s, bool killed, char *text, size_t size)
{
	uint64_t n = cgroup_oom_read(s->cgroup.oom);
	char limit[32];

	if (n == 0)
		return false;
	size_text(profile_settings(s->profile)->memory, limit, sizeof(limit));
	if (killed)
		(void)snprintf(text, size, "oom-killed, limit %s", limit);
	else
		(void)snprintf(text, size,
		    "out of memory: %llu of its processes %s killed, limit %s",
		    (unsigned long long)n, n == 1 ? "was" : "were", limit);
	return true;
}

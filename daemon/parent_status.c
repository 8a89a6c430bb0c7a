#include "daemon/parent.h"

#include <unistd.h>

#include "base/log.h"
#include "daemon/proc.h"

#define ROW_SIZE 47u /* encoded bytes of one row */

struct rows {
	struct buf *body;
	uint32_t n;
};

static void
row(struct rows *rs, enum role role, uint32_t job, pid_t pid, uint32_t restarts)
{
	struct proc_status st;

	/* Gone in this moment: the next status shows its successor. */
	if (pid == 0 || proc_status_read(pid, &st) < 0)
		return;
	if (buf_len(rs->body) + ROW_SIZE > MSG_BODY_MAX)
		return;
	buf_put_u8(rs->body, (uint8_t)role);
	buf_put_u32(rs->body, job);
	buf_put_u32(rs->body, (uint32_t)pid);
	buf_put_u32(rs->body, st.uid);
	buf_put_u32(rs->body, st.gid);
	buf_put_u64(rs->body, st.caps_effective);
	buf_put_u64(rs->body, st.caps_permitted);
	buf_put_u8(rs->body, st.seccomp);
	buf_put_u8(rs->body, st.no_new_privs);
	buf_put_u64(rs->body, st.rss_kb);
	buf_put_u32(rs->body, restarts);
	rs->n++;
}

static void
proc_row(struct proc *p, void *arg)
{
	row(arg, p->role, p->job == NULL ? 0 : p->job->id, p->pid, p->restarts);
}

/* Body of M_STATUS; rows beyond one message (1394 processes) are left out. */
void
parent_status(struct parent *pa, struct buf *body)
{
	struct rows rs = { .body = body };
	size_t at = buf_len(body);

	buf_put_u32(body, 0);
	row(&rs, ROLE_PARENT, 0, getpid(), 0);
	proc_each(pa, proc_row, &rs);
	buf_patch_u32(body, at, rs.n);
}

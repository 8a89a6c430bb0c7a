/*
 * The homes that jobs have kept: looked at and removed for control, which says
 * whose.
 */
#include "daemon/parent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/home.h"

static int
list(struct parent *pa, uid_t uid, struct home_entry *e, struct error *err)
{
	cleanup_fd int state = parent_open_state(pa);

	return state < 0 ? error_set(err, errno, "open state-dir")
			 : home_list(state, uid, e, err);
}

int
parent_on_home_list(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	uid_t uid = cur_u32(&m->body);
	struct home_entry *e;
	struct error err = { 0 };
	struct buf b;
	int n;

	if (cur_end(&m->body) < 0)
		return -1;
	e = xcalloc(HOMES_MAX, sizeof(*e));
	n = list(p->pa, uid, e, &err);
	buf_init(&b, 0);
	buf_put_u8(&b, n >= 0);
	buf_put_str(&b, err.msg);
	buf_put_u32(&b, n < 0 ? 0 : (uint32_t)n);
	for (int i = 0; i < n; i++) {
		buf_put_str(&b, e[i].name);
		buf_put_u64(&b, e[i].used);
		buf_put_u64(&b, e[i].size);
		buf_put_u64(&b, (uint64_t)e[i].mtime);
		buf_put_u8(&b, e[i].in_use);
	}
	chan_send(c, M_HOMES, 0, m->serial, &b, -1);
	buf_free(&b);
	free(e);
	return 0;
}

int
parent_on_home_rm(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	uid_t uid = cur_u32(&m->body);
	cleanup_free char *name = cur_str(&m->body, P_NAME_MAX);
	cleanup_fd int state = -1;
	struct error err = { 0 };
	struct buf b;
	int r;

	if (cur_end(&m->body) < 0 || !str_is_name(name, P_NAME_MAX))
		return -1;
	state = parent_open_state(p->pa);
	r = state < 0 ? error_set(&err, errno, "open state-dir")
		      : home_remove(state, uid, name, &err);
	buf_init(&b, 0);
	buf_put_u8(&b, r == 0);
	buf_put_str(&b, err.msg);
	chan_send(c, M_HOME_DONE, 0, m->serial, &b, -1);
	buf_free(&b);
	return 0;
}

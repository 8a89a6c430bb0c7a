#include "daemon/shim_attach.h"

#include <sys/socket.h>

#include "base/audit_event.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "daemon/shim_relay.h"

#define FLUSH_MS 500 /* the process may end right after */

bool
shim_is_stream_socket(int fd)
{
	socklen_t n = sizeof(int);
	int type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
	       type == SOCK_STREAM;
}

int
shim_on_attach(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct shim *s = p->owner;
	uid_t uid = cur_u32(&m->body);
	bool read_only = cur_bool(&m->body);

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	if (!shim_is_stream_socket(m->fd)) {
		log_info("uid %u: what came to be attached is no stream socket",
		    uid);
		return 0;
	}
	if (s->relay != NULL)
		relay_attach(s->relay, steal_fd(&m->fd), uid, read_only);
	else if (s->nearly < SHIM_EARLY_MAX)
		s->early[s->nearly++] =
		    (struct shim_early){ steal_fd(&m->fd), uid, read_only };
	return 0;
}

void
shim_attach_early(struct shim *s)
{
	for (size_t i = 0; i < s->nearly; i++)
		relay_attach(s->relay, s->early[i].fd, s->early[i].uid,
		    s->early[i].read_only);
	s->nearly = 0;
}

/* What the log keeps, and unless it goes on, how much it lacks. */
static void
record(struct shim *s, const struct outlog *l, bool ended)
{
	struct peer *p = peers_find(s->peers, ROLE_AUDIT, 0);
	struct audit_ev e;

	if (p == NULL)
		return;
	audit_ev_init(&e, ended ? "JB304" : "JB303",
	    ended ? "job.dropped" : "job.output", ended ? 1 : 2, false);
	audit_ev_str(&e, "obj.why", l->why);
	audit_ev_u64(&e, "obj.kept", l->kept);
	if (ended)
		audit_ev_u64(&e, "obj.dropped", l->dropped);
	chan_send(p->chan, M_AUDIT, s->spec.job.job, 0, &e.body, -1);
	audit_ev_free(&e);
	if (ended)
		chan_flush(p->chan, FLUSH_MS);
}

void
shim_record_cut(struct shim *s, const struct outlog *l)
{
	log_info("job %u: %s: %llu bytes kept", s->spec.job.job, l->why,
	    (unsigned long long)l->kept);
	record(s, l, false);
}

void
shim_record_dropped(struct shim *s, const struct outlog *l)
{
	if (l->full)
		record(s, l, true);
}

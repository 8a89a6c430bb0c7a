/*
 * A job's requests to http://inferd.brig go over connections that the parent
 * makes: it is root, and what root says first on a connection names the agent
 * to inferd(8).  The back process of the job gets the connection, and has no
 * other way to the socket.
 */
#include <sys/socket.h>

#include <errno.h>
#include <string.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "daemon/parent.h"

/* Answers that a back process has not read: more than it may have exchanges.
 * Each holds a descriptor. */
#define UNREAD_MAX (64u * 1024)

/* Never waits: inferd has a queue, and the line fits the empty socket. */
static int
connect_for(struct proc *p, struct error *err)
{
	const struct job_spec *s = &p->job->spec;
	cleanup_free char *line =
	    xasprintf("AGENT job:%u/%s\n", (unsigned int)s->uid, s->profile);
	cleanup_fd int fd = fd_connect_unix(p->pa->conf.inferd, SOCK_NONBLOCK);

	if (fd < 0 && errno == EAGAIN)
		return error_set(err, 0,
		    "the local engine has too many connections waiting");
	/* Where its socket is, is nothing for jobs. */
	if (fd < 0)
		return error_set(err, 0,
		    "the local engine does not run (%s): start the service "
		    "inferd",
		    strerror(errno));
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
		return error_set(err, errno, "the local engine takes nothing");
	return steal_fd(&fd);
}

int
parent_on_inferd_get(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	struct error err = { 0 };

	if (cur_end(&m->body) < 0)
		return -1;
	if (chan_queued(c) > UNREAD_MAX) {
		proc_kill(p, "asks for connections and does not take them");
		return 0;
	}
	parent_answer_fd(c, M_INFERD, m, connect_for(p, &err), &err);
	return 0;
}

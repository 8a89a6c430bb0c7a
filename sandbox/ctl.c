#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/fdutil.h"
#include "sandbox/build.h"

int
ctl_send(int sock, const struct ctl_msg *m, const int *fds, size_t nfds)
{
	return fd_sendmsg(sock, m, sizeof(*m), fds, nfds) == (ssize_t)sizeof(*m)
		   ? 0
		   : -1;
}

static void
take_fds(const struct cmsghdr *cm, int fds[CTL_FDS_MAX], size_t *n)
{
	size_t i, count = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int fd;

	for (i = 0; i < count; i++) {
		memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(fd));
		if (*n < CTL_FDS_MAX)
			fds[(*n)++] = fd;
		else
			fd_close(&fd);
	}
}

int
ctl_recv(
    int sock, int flags, struct ctl_msg *m, int fds[CTL_FDS_MAX], pid_t *pid)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * CTL_FDS_MAX) +
			   CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *cm;
	struct ucred cred;
	size_t i, nfds = 0;
	ssize_t n;

	for (i = 0; i < CTL_FDS_MAX; i++)
		fds[i] = -1;
	if (pid != NULL)
		*pid = 0;
	/* A peer that ended with unread input resets us once, before what it
	 * had to say. */
	do
		n = recvmsg(sock, &mh, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n <= 0)
		return (int)n;
	for (cm = CMSG_FIRSTHDR(&mh); cm != NULL; cm = CMSG_NXTHDR(&mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET)
			continue;
		if (cm->cmsg_type == SCM_RIGHTS)
			take_fds(cm, fds, &nfds);
		if (cm->cmsg_type == SCM_CREDENTIALS && pid != NULL) {
			memcpy(&cred, CMSG_DATA(cm), sizeof(cred));
			*pid = cred.pid;
		}
	}
	if (n != (ssize_t)sizeof(*m) || (mh.msg_flags & MSG_CTRUNC)) {
		for (i = 0; i < nfds; i++)
			fd_close(&fds[i]);
		errno = EPROTO;
		return -1;
	}
	m->error.msg[sizeof(m->error.msg) - 1] = '\0';
	return 1;
}

int
ctl_expect(int sock, enum ctl_type type, int fds[CTL_FDS_MAX], pid_t *pid,
    struct error *err)
{
	int none[CTL_FDS_MAX];
	struct ctl_msg m;
	size_t i;
	int r;

	if (fds == NULL)
		fds = none;
	r = ctl_recv(sock, 0, &m, fds, pid);
	if (r < 0)
		return error_set(err, errno, "jail: control socket");
	if (r == 0)
		return error_set(err, 0, "jail: the other side is gone");
	if (m.type == (uint32_t)type) {
		/* Nobody asked for descriptors: none may leak in. */
		for (i = 0; fds == none && i < CTL_FDS_MAX; i++)
			fd_close(&none[i]);
		return 0;
	}
	for (i = 0; i < CTL_FDS_MAX; i++)
		fd_close(&fds[i]);
	if (m.type == CTL_ERROR) {
		if (err != NULL)
			*err = m.error;
		return -1;
	}
	return error_set(err, EPROTO, "jail: message %u out of order", m.type);
}

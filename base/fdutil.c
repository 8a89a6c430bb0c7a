#include "base/fdutil.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/compat.h"

void
fd_cleanup(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

void
fd_close(int *fd)
{
	fd_cleanup(fd);
}

int
fd_nonblock(int fd)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl < 0)
		return -1;
	return fcntl(fd, F_SETFL, fl | O_NONBLOCK);
}

int
fd_cloexec(int fd, bool on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

int
fd_socketpair(int fds[2])
{
	int size = 512 * 1024;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		fds) < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		/* A smaller buffer still works, only slower. */
		(void)setsockopt(
		    fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

void
fd_close_from(int from)
{
	if (close_range((unsigned int)from, ~0u, 0) < 0)
		closefrom(from);
}

int
fd_write_all(int fd, const void *p, size_t n)
{
	const uint8_t *q = p;

	while (n > 0) {
		ssize_t k = write(fd, q, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -1;
		q += k;
		n -= (size_t)k;
	}
	return 0;
}

static int
read_all(int fd, struct buf *b, size_t max, bool positional)
{
	size_t got = 0;

	for (;;) {
		size_t want = max - got < 65536 ? max - got + 1 : 65536;
		uint8_t *p = buf_reserve(b, want);
		ssize_t k;

		if (p == NULL) {
			errno = EFBIG;
			return -1;
		}
		k = positional ? pread(fd, p, want, (off_t)got)
			       : read(fd, p, want);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -1;
		if (k == 0)
			return 0;
		got += (size_t)k;
		if (got > max) {
			errno = EFBIG;
			return -1;
		}
		buf_commit(b, (size_t)k);
	}
}

int
fd_read_all(int fd, struct buf *b, size_t max)
{
	return read_all(fd, b, max, false);
}

int
fd_pread_all(int fd, struct buf *b, size_t max)
{
	return read_all(fd, b, max, true);
}

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* since Linux 6.3 */
#endif

int
fd_memfd(const char *name, const void *p, size_t n)
{
	cleanup_fd int fd = memfd_create(
	    name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (fd_write_all(fd, p, n) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -1;
	return steal_fd(&fd);
}

bool
fd_is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	int need = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

	return seals >= 0 && (seals & need) == need;
}

void
fd_boot_id(char id[BOOT_ID_SIZE])
{
	cleanup_fd int fd =
	    open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, id, BOOT_ID_SIZE - 1);

	id[n < 0 ? 0 : n] = '\0';
	id[strcspn(id, "\n")] = '\0';
}

ssize_t
fd_sendmsg(int sock, const void *p, size_t n, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
	} ctl;
	struct iovec iov;
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t k;

	memcpy(&iov.iov_base, &p, sizeof(p)); /* sendmsg does not write */
	iov.iov_len = n;
	if (nfds > FD_PASS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (nfds > 0) {
		struct cmsghdr *cm;

		memset(&ctl, 0, sizeof(ctl));
		mh.msg_control = ctl.space;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, nfds * sizeof(int));
	}
	do {
		k = sendmsg(sock, &mh, MSG_NOSIGNAL);
	} while (k < 0 && errno == EINTR);
	return k;
}

ssize_t
fd_sendv(int sock, const struct fd_part *part, size_t n)
{
	struct iovec iov[FD_PARTS_MAX];
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t k;

	if (n > FD_PARTS_MAX) {
		errno = EINVAL;
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		/* sendmsg does not write */
		memcpy(&iov[i].iov_base, &part[i].p, sizeof(part[i].p));
		iov[i].iov_len = part[i].n;
	}
	do {
		k = sendmsg(sock, &mh, MSG_NOSIGNAL);
	} while (k < 0 && errno == EINTR);
	return k;
}

ssize_t
fd_recvmsg(int sock, void *p, size_t n, int *fds, size_t max_fds, size_t *nfds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
	} ctl;
	struct iovec iov = { .iov_base = p, .iov_len = n };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl.space,
		.msg_controllen = sizeof(ctl.space) };
	ssize_t k;

	*nfds = 0;
	do {
		k = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
	} while (k < 0 && errno == EINTR);
	if (k < 0)
		return -1;
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(&mh); cm != NULL;
	     cm = CMSG_NXTHDR(&mh, cm)) {
		size_t count;

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(
			    &fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(fd));
			if (*nfds < max_fds)
				fds[(*nfds)++] = fd;
			else
				close(fd);
		}
	}
	return k;
}

int
fd_connect_unix(const char *path, int flags)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;

	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return -1;
	return steal_fd(&fd);
}

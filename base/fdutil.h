/*
 * File descriptors: ownership, flags, and small whole-file helpers.
 */
#ifndef BRIG_FDUTIL_H
#define BRIG_FDUTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

void fd_cleanup(int *fd); /* closes if >= 0; keeps errno */
#define cleanup_fd attr_cleanup(fd_cleanup)
#define steal_fd(fdp)                                                          \
	({                                                                     \
		int f_ = *(fdp);                                               \
		*(fdp) = -1;                                                   \
		f_;                                                            \
	})
void fd_close(int *fd); /* close and set to -1 */

int fd_nonblock(int fd); /* 0 or -1, errno */
int fd_cloexec(int fd, bool on);
/*
 * Both ends CLOEXEC and non-blocking, SOCK_STREAM AF_UNIX, with buffers big
 * enough for a few 64 KiB messages.
 */
int fd_socketpair(int fds[2]);
/* Close everything >= from (close_range(2)). */
void fd_close_from(int from);

/* Whole writes and reads on blocking descriptors; -1 with errno. */
int fd_write_all(int fd, const void *p, size_t n);
/* Append at most max bytes up to end of file to b; EFBIG beyond max. */
int fd_read_all(int fd, struct buf *b, size_t max);
/* Positional, whole: for regular files and memfds. */
int fd_pread_all(int fd, struct buf *b, size_t max);

/*
 * A sealed, read-only memfd holding n bytes (F_SEAL_SEAL|SHRINK|GROW|WRITE);
 * -1 with errno.  name shows in /proc.
 */
int fd_memfd(const char *name, const void *p, size_t n);
/* Which life of the machine this is, as hexadecimal text; "" if unknown. */
#define BOOT_ID_SIZE 37
void fd_boot_id(char id[BOOT_ID_SIZE]);
/* True if fd is a memfd whose contents can no longer change. */
bool fd_is_sealed(int fd);

/* A stream connected to the socket at path; flags: SOCK_NONBLOCK or 0.  -1
 * with errno; ENAMETOOLONG where no socket can have that name. */
int fd_connect_unix(const char *path, int flags);

/*
 * Send / receive bytes with at most max_fds descriptors (SCM_RIGHTS),
 * MSG_NOSIGNAL; received ones are CLOEXEC; surplus ones are closed.
 * Return as sendmsg/recvmsg.
 */
#define FD_PASS_MAX 4
ssize_t fd_sendmsg(
    int sock, const void *p, size_t n, const int *fds, size_t nfds);
/* The same for bytes in up to FD_PARTS_MAX places. */
#define FD_PARTS_MAX 4u
struct fd_part {
	const void *p;
	size_t n;
};
ssize_t fd_sendv(int sock, const struct fd_part *part, size_t n);
ssize_t fd_recvmsg(
    int sock, void *p, size_t n, int *fds, size_t max_fds, size_t *nfds);

#endif

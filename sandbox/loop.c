#include "sandbox/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/fdutil.h"

#define TRIES 256 /* jobs start many at a time */

int
loop_attach(
    int file, bool read_only, char path[LOOP_PATH_SIZE], struct error *err)
{
	const struct loop_config c = { .fd = (uint32_t)file,
		.info = { .lo_flags = LO_FLAGS_AUTOCLEAR |
				      (read_only ? LO_FLAGS_READ_ONLY : 0u) } };
	cleanup_fd int ctl = -1;
	int i, n, fd, busy;

	ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (ctl < 0)
		return error_set(err, errno,
		    "this host has no loop devices (/dev/loop-control)");
	for (i = 0; i < TRIES; i++) {
		n = ioctl(ctl, LOOP_CTL_GET_FREE);
		if (n < 0)
			return error_set(err, errno, "no free loop device");
		(void)snprintf(path, LOOP_PATH_SIZE, "/dev/loop%d", n);
		fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (fd < 0)
			return error_set(err, errno, "%s", path);
		if (ioctl(fd, LOOP_CONFIGURE, &c) == 0)
			return fd;
		busy = errno;
		fd_close(&fd);
		/* Else somebody else took it in between. */
		if (busy != EBUSY)
			return error_set(err, busy, "%s", path);
	}
	return error_set(err, EBUSY, "no free loop device");
}

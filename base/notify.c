#include "base/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

/* A leading '@' means the abstract namespace. */
int
notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;
	size_t n;

	if (path == NULL || (path[0] != '/' && path[0] != '@'))
		return -1;
	n = strlen(path);
	if (n < 2 || n >= sizeof(sa.sun_path))
		return -1;
	memcpy(sa.sun_path, path, n);
	if (path[0] == '@')
		sa.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&sa,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) != 0) {
		log_warn("notify %s", path);
		return -1;
	}
	return steal_fd(&fd);
}

void
notify_on(int fd, const char *text)
{
	if (fd >= 0 && send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		log_warn("notify");
}

void
notify_send(const char *text)
{
	cleanup_fd int fd = notify_open();

	notify_on(fd, text);
}

uint64_t
notify_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	uint64_t n, who;

	if (usec == NULL || str_to_u64(usec, 1, UINT64_MAX, &n) < 0)
		return 0;
	if (pid != NULL && (str_to_u64(pid, 1, INT32_MAX, &who) < 0 ||
			       who != (uint64_t)getpid()))
		return 0;
	/* Twice as often as asked, as sd_watchdog_enabled(3) advises. */
	return n / 2000 > 0 ? n / 2000 : 1;
}

#include "base/listen.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fdutil.h"

/* A live server answers; a dead one's socket is in the way. */
static int
make_way(int fd, const struct sockaddr_un *sa, struct error *err)
{
	const char *path = sa->sun_path;
	struct stat st;

	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0)
		return error_set(
		    err, EADDRINUSE, "another process serves %s", path);
	if (errno != ECONNREFUSED)
		return 0;
	/* That is what other files say, too. */
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return error_set(err, ENOTSOCK, "%s", path);
	if (unlink(path) < 0)
		return error_set(err, errno, "unlink %s", path);
	return 0;
}

int
listen_unix(const char *path, uid_t uid, gid_t gid, mode_t mode, int backlog,
    struct error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;
	mode_t mask;
	int rc;

	if (strlcpy(sa.sun_path, path, sizeof(sa.sun_path)) >=
	    sizeof(sa.sun_path))
		return error_set(err, ENAMETOOLONG, "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, errno, "socket");
	if (make_way(fd, &sa, err) < 0)
		return -1;
	mask = umask(0777);
	rc = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	(void)umask(mask);
	if (rc < 0)
		return error_set(err, errno, "bind %s", path);
	if (chown(path, uid, gid) < 0 || chmod(path, mode) < 0)
		return error_set(err, errno, "set owner and mode of %s", path);
	if (listen(fd, backlog) < 0)
		return error_set(err, errno, "listen on %s", path);
	return steal_fd(&fd);
}

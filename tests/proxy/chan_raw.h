/*
 * Drives a process of ours from a test: the process runs in a child with its
 * parent channel on PARENT_FD, the test writes and reads raw messages.
 */
#ifndef BRIG_TESTS_CHAN_RAW_H
#define BRIG_TESTS_CHAN_RAW_H

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/proto.h"
#include "sandbox/self.h"

#define RAW_WAIT_MS 5000

struct raw {
	int fd;
	struct buf in;
	/* The last message. */
	uint16_t type;
	uint32_t job, serial;
	struct buf body_bytes;
	struct cur body;
};

static inline void
raw_init(struct raw *r, int fd)
{
	memset(r, 0, sizeof(*r));
	r->fd = fd;
	buf_init(&r->in, 0);
	buf_init(&r->body_bytes, 0);
}

static inline void
raw_close(struct raw *r)
{
	fd_close(&r->fd);
	buf_free(&r->in);
	buf_free(&r->body_bytes);
}

/* body is consumed; fd >= 0 is sent and closed. */
static inline void
raw_send(struct raw *r, uint16_t type, uint32_t job, uint32_t serial,
    struct buf *body, int fd)
{
	size_t n = body == NULL ? 0 : buf_len(body);
	struct pollfd pf = { .fd = r->fd, .events = POLLOUT };
	struct buf m;

	buf_init(&m, 0);
	buf_put_u16(&m, type);
	buf_put_u16(&m, fd >= 0);
	buf_put_u32(&m, (uint32_t)n);
	buf_put_u32(&m, job);
	buf_put_u32(&m, serial);
	if (n > 0)
		buf_put(&m, buf_head(body), n);
	poll(&pf, 1, RAW_WAIT_MS);
	if (fd_sendmsg(r->fd, buf_head(&m), buf_len(&m), &fd, fd >= 0) !=
	    (ssize_t)buf_len(&m))
		fatal("raw_send %u", type);
	if (fd >= 0)
		close(fd);
	buf_free(&m);
	if (body != NULL)
		buf_free(body);
}

/* The next message: 0; -1 at the end of the channel or after ms. */
static inline int
raw_next(struct raw *r, int ms)
{
	struct pollfd pf = { .fd = r->fd, .events = POLLIN };
	struct cur h;
	uint32_t len;

	for (;;) {
		uint8_t *p;
		ssize_t n;

		if (buf_len(&r->in) >= MSG_HEADER_SIZE) {
			cur_init(&h, buf_head(&r->in), MSG_HEADER_SIZE);
			r->type = cur_u16(&h);
			cur_u16(&h);
			len = cur_u32(&h);
			r->job = cur_u32(&h);
			r->serial = cur_u32(&h);
			if (buf_len(&r->in) >= MSG_HEADER_SIZE + len)
				break;
		}
		if (poll(&pf, 1, ms) != 1)
			return -1;
		p = buf_reserve(&r->in, 65536);
		n = read(r->fd, p, 65536);
		if (n <= 0)
			return -1;
		buf_commit(&r->in, (size_t)n);
	}
	buf_clear(&r->body_bytes);
	buf_put(&r->body_bytes, buf_head(&r->in) + MSG_HEADER_SIZE, len);
	buf_consume(&r->in, MSG_HEADER_SIZE + len);
	cur_init(&r->body, buf_head(&r->body_bytes), len);
	return 0;
}

/*
 * The next message must be of this type.  keyd asks for a new vault some time
 * after a change; that is passed over unless it is what is wanted.
 */
static inline void
raw_expect(struct raw *r, uint16_t type)
{
	do {
		if (raw_next(r, RAW_WAIT_MS) < 0)
			fail_msg("no message, wanted %u", type);
	} while (r->type == M_VAULT_STALE && type != M_VAULT_STALE);
	if (r->type != type)
		fail_msg("message %u, wanted %u", r->type, type);
}

/*
 * Start main_fn in a child; its parent channel becomes r.  As root it runs
 * confined, as it does in earnest, so that a call its filter refuses shows.
 */
static inline pid_t
raw_start(struct raw *r, enum role role, void (*main_fn)(void))
{
	const struct self_conf conf = {
		.role = role, .uid = 65534, .gid = 65534
	};

	int fds[2];
	pid_t pid;

	if (fd_socketpair(fds) < 0)
		fatal("socketpair");
	pid = fork();
	if (pid == 0) {
		if (dup2(fds[1], PARENT_FD) < 0)
			_exit(3);
		fd_close_from(PARENT_FD + 1);
		log_init("child", LOG_LEVEL_WARN);
		if (geteuid() == 0)
			self_confine(&conf);
		main_fn();
		_exit(0);
	}
	close(fds[1]);
	raw_init(r, fds[0]);
	return pid;
}

/* Give the process a peer; the test's end becomes r. */
static inline void
raw_peer(struct raw *parent, struct raw *r, enum role role, uint32_t job)
{
	struct buf b;
	int fds[2];

	if (fd_socketpair(fds) < 0)
		fatal("socketpair");
	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)role);
	buf_put_u32(&b, job);
	raw_send(parent, M_PEER, job, 0, &b, fds[1]);
	raw_init(r, fds[0]);
}

/* Exit status of the child, -1 if it does not end in time. */
static inline int
raw_wait(pid_t pid)
{
	int status;

	for (int i = 0; i < 500; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
		usleep(10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

#endif

#include "tests/proxy/fronttest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/str.h"
#include "proxy/roles.h"
#include "sandbox/self.h"

#define WAIT_S 5
#define NOBODY 65534

/* A socketpair whose first end blocks for WAIT_S at most. */
static void
pair(int fds[2])
{
	struct timeval tv = { .tv_sec = WAIT_S };

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(
	    setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
}

void
ft_send(int sock, uint16_t type, uint32_t serial, const struct buf *b, int fd)
{
	struct buf m = { 0 };
	size_t n = b == NULL ? 0 : buf_len(b);

	buf_put_u16(&m, type);
	buf_put_u16(&m, fd >= 0 ? 1 : 0);
	buf_put_u32(&m, (uint32_t)n);
	buf_put_u32(&m, JOB);
	buf_put_u32(&m, serial);
	if (n > 0)
		buf_put(&m, buf_head(b), n);
	assert_int_equal(
	    fd_sendmsg(sock, buf_head(&m), buf_len(&m), &fd, fd >= 0 ? 1 : 0),
	    (ssize_t)buf_len(&m));
	buf_free(&m);
}

void
ft_send_str(int sock, uint16_t type, uint32_t serial, const char *s)
{
	struct buf b = { 0 };

	buf_put_str(&b, s);
	ft_send(sock, type, serial, &b, -1);
	buf_free(&b);
}

void
ft_send_u32(int sock, uint16_t type, uint32_t serial, uint32_t v)
{
	struct buf b = { 0 };

	buf_put_u32(&b, v);
	ft_send(sock, type, serial, &b, -1);
	buf_free(&b);
}

static void
read_exactly(int sock, struct buf *b, size_t n)
{
	while (n > 0) {
		ssize_t k = recv(sock, buf_reserve(b, n), n, 0);
		if (k <= 0)
			fail_msg("no message: %s",
			    k == 0 ? "closed" : strerror(errno));
		buf_commit(b, (size_t)k);
		n -= (size_t)k;
	}
}

void
ft_next(int sock, struct ft_msg *m)
{
	struct buf h = { 0 };
	struct cur c;
	uint32_t n;

	memset(m, 0, sizeof(*m));
	read_exactly(sock, &h, MSG_HEADER_SIZE);
	cur_init(&c, buf_head(&h), buf_len(&h));
	m->type = cur_u16(&c);
	cur_u16(&c);
	n = cur_u32(&c);
	cur_u32(&c);
	m->serial = cur_u32(&c);
	buf_free(&h);
	read_exactly(sock, &m->body, n);
}

void
ft_expect(int sock, uint16_t type, struct ft_msg *m)
{
	ft_next(sock, m);
	if (m->type != type)
		fail_msg("message %u instead of %u", m->type, type);
}

bool
ft_waiting(int sock, int ms)
{
	struct pollfd pf = { .fd = sock, .events = POLLIN };

	return poll(&pf, 1, ms) > 0;
}

static int
peer(struct ft *t, enum role role, uint32_t job)
{
	struct buf b = { 0 };
	int fds[2];

	pair(fds);
	buf_put_u8(&b, (uint8_t)role);
	buf_put_u32(&b, job);
	ft_send(t->parent, M_PEER, 0, &b, fds[1]);
	close(fds[1]);
	buf_free(&b);
	return fds[0];
}

void
ft_new_back(struct ft *t)
{
	fd_close(&t->back);
	t->back = peer(t, ROLE_BACK, JOB);
}

void
ft_new_keyd(struct ft *t)
{
	fd_close(&t->keyd);
	t->keyd = peer(t, ROLE_KEYD, 0);
}

void
ft_give(struct ft *t, enum capture_fd which, int fd)
{
	struct buf b = { 0 };

	buf_put_u8(&b, (uint8_t)which);
	ft_send(t->parent, M_FRONT_FD, 0, &b, fd);
	buf_free(&b);
}

static int
loopback(int type, uint16_t *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
	return fd;
}

void
ft_start(struct ft *t)
{
	int fds[2], fd;
	struct ft_msg m;
	struct buf b = { 0 };

	memset(t, 0, sizeof(*t));
	t->back = t->keyd = -1;
	pair(fds);
	t->pid = fork();
	assert_true(t->pid >= 0);
	if (t->pid == 0) {
		if (dup2(fds[1], PARENT_FD) < 0)
			_exit(2);
		fd_close_from(PARENT_FD + 1);
		log_init("front", LOG_LEVEL_WARN);
		front_preinit();
		/* As in earnest, where that can be had: what the filter
		 * refuses kills it. */
		if (geteuid() == 0) {
			const struct self_conf conf = {
				.role = ROLE_FRONT, .uid = NOBODY, .gid = NOBODY
			};

			self_confine(&conf);
		}
		front_main();
		_exit(0);
	}
	close(fds[1]);
	t->parent = fds[0];
	buf_put_u32(&b, 2);
	buf_put_str(&b, "version");
	buf_put_str(&b, "0");
	buf_put_str(&b, "job");
	buf_put_str(&b, "7");
	ft_send(t->parent, M_CONFIG, 0, &b, -1);
	buf_free(&b);
	ft_expect(t->parent, M_READY, &m);
	buf_free(&m.body);
	ft_new_back(t);
	ft_new_keyd(t);
	fd = loopback(SOCK_STREAM, &t->port);
	assert_int_equal(listen(fd, 4096), 0);
	ft_give(t, CAPTURE_TCP, fd);
	close(fd);
	fd = loopback(SOCK_DGRAM, &t->dns_port);
	ft_give(t, CAPTURE_DNS, fd);
	close(fd);
}

void
ft_stop(struct ft *t)
{
	int status;

	ft_send(t->parent, M_STOP, 0, NULL, -1);
	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	fd_close(&t->parent);
	fd_close(&t->back);
	fd_close(&t->keyd);
}

uint32_t
ft_request(
    struct ft *t, struct req_head *h, const char *method, const char *target)
{
	struct ft_msg m;
	struct cur c;

	ft_expect(t->back, M_REQ_HEAD, &m);
	cur_init(&c, buf_head(&m.body), buf_len(&m.body));
	assert_int_equal(req_head_get(&c, h), 0);
	assert_string_equal(h->method, method);
	assert_string_equal(h->target, target);
	buf_free(&m.body);
	return m.serial;
}

uint32_t
ft_get(struct ft *t, const char *target)
{
	struct req_head h;
	struct ft_msg m;
	uint32_t serial = ft_request(t, &h, "GET", target);

	req_head_free(&h);
	ft_expect(t->back, M_REQ_END, &m);
	assert_int_equal(m.serial, serial);
	buf_free(&m.body);
	return serial;
}

void
ft_rsp_head(struct ft *t, uint32_t serial, unsigned int status,
    enum body_kind kind, uint64_t length)
{
	struct rsp_head h = {
		.status = (uint16_t)status, .kind = kind, .length = length
	};
	struct buf b = { 0 };

	h.reason = xstrdup("");
	fields_set(&h.fields, "X-From", "back");
	assert_int_equal(rsp_head_put(&b, &h), 0);
	ft_send(t->back, M_RSP_HEAD, serial, &b, -1);
	rsp_head_free(&h);
	buf_free(&b);
}

void
ft_rsp_body(struct ft *t, uint32_t serial, const char *s)
{
	struct buf b = { 0 };

	buf_put(&b, s, strlen(s));
	ft_send(t->back, M_RSP_BODY, serial, &b, -1);
	buf_free(&b);
}

void
ft_rsp_end(struct ft *t, uint32_t serial)
{
	ft_send_u32(t->back, M_RSP_END, serial, 0);
}

void
ft_rsp(struct ft *t, uint32_t serial, const char *body)
{
	ft_rsp_head(t, serial, 200, BODY_LENGTH, strlen(body));
	ft_rsp_body(t, serial, body);
	ft_rsp_end(t, serial);
}

void
ft_event(struct ft *t, enum front_event kind, const char *s)
{
	struct ft_msg m;
	struct cur c;
	char *dst, *text;

	ft_expect(t->back, M_FRONT_EVENT, &m);
	cur_init(&c, buf_head(&m.body), buf_len(&m.body));
	assert_int_equal(cur_u8(&c), kind);
	dst = cur_str(&c, P_HOST_MAX);
	cur_u16(&c);
	text = cur_str(&c, P_TEXT_MAX);
	assert_int_equal(cur_end(&c), 0);
	if (strstr(text, s) == NULL)
		fail_msg("event \"%s\" lacks \"%s\"", text, s);
	free(dst);
	free(text);
	buf_free(&m.body);
}

int
ft_connect(struct ft *t)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(t->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval tv = { .tv_sec = WAIT_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

void
ft_write(int sock, const char *s)
{
	assert_int_equal(
	    send(sock, s, strlen(s), MSG_NOSIGNAL), (ssize_t)strlen(s));
}

void
ft_read_until(int sock, const char *s, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	while (!str_ends(text, s)) {
		ssize_t k = recv(sock, text + n, 1, 0);
		if (k != 1 || n + 2 > size)
			fail_msg("\"%s\" and then no \"%s\"", text, s);
		text[++n] = '\0';
	}
}

int
ft_read_all(int sock, char *text, size_t size)
{
	size_t n = 0;
	ssize_t k = 0;

	while (n + 1 < size && (k = recv(sock, text + n, size - n - 1, 0)) > 0)
		n += (size_t)k;
	text[n] = '\0';
	if (k < 0 && errno == EAGAIN)
		fail_msg("connection stays open after \"%s\"", text);
	return k < 0 ? -1 : 0;
}

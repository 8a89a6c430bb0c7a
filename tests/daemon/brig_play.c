#include "tests/daemon/brig_play.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"

#define WAIT_MS 10000

char brig_dir[] = "/tmp/brig-test-XXXXXX";
char *brig_program;
static char *brig_socket;
int brig_listener = -1;

int
brig_group_setup(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const char *build = getenv("BRIG_BUILDDIR");

	(void)state;
	if (mkdtemp(brig_dir) == NULL)
		return -1;
	brig_socket = xasprintf("%s/s", brig_dir);
	brig_program = xasprintf("%s/brig", build == NULL ? "." : build);
	strlcpy(sun.sun_path, brig_socket, sizeof(sun.sun_path));
	brig_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(brig_listener, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    listen(brig_listener, 4) < 0)
		return -1;
	setenv("BRIG_SOCKET", brig_socket, 1);
	return 0;
}

int
brig_group_teardown(void **state)
{
	(void)state;
	unlink(brig_socket);
	rmdir(brig_dir);
	free(brig_socket);
	free(brig_program);
	return 0;
}

/* argv without argv[0], NULL-terminated, at most 15. */
void
brig_start(struct brig *b, const char *const *args)
{
	int in[2], out[2], err[2];
	const char *argv[17] = { brig_program };

	memset(b, 0, sizeof(*b));
	b->conn = -1;
	buf_init(&b->rx, 0);
	for (size_t i = 0; i < 15 && args[i] != NULL; i++)
		argv[i + 1] = args[i];
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	fflush(NULL);
	b->pid = fork();
	assert_true(b->pid >= 0);
	if (b->pid == 0) {
		char *const *vec;

		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		memcpy(&vec, &(const char *const *){ argv }, sizeof(vec));
		execv(brig_program, vec);
		_exit(99);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	b->in = in[1];
	b->out = out[0];
	b->err = err[0];
}

void
brig_wait_readable(int fd)
{
	struct pollfd pf = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&pf, 1, WAIT_MS), 1);
}

/* The next request, whose op must be op. */
json_t *
brig_expect(struct brig *b, const char *op)
{
	struct buf line;
	json_t *rq;
	char c;

	if (b->conn < 0) {
		brig_wait_readable(brig_listener);
		b->conn = accept4(brig_listener, NULL, NULL, SOCK_CLOEXEC);
		assert_true(b->conn >= 0);
	}
	buf_init(&line, 1 << 20);
	brig_wait_readable(b->conn);
	assert_int_equal(
	    fd_recvmsg(b->conn, &c, 1, b->fds, FD_PASS_MAX, &b->nfds), 1);
	buf_put_u8(&line, (uint8_t)c);
	while (c != '\n') {
		brig_wait_readable(b->conn);
		assert_int_equal(read(b->conn, &c, 1), 1);
		buf_put_u8(&line, (uint8_t)c);
	}
	rq = json_loadb(
	    (char *)line.data, buf_len(&line), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(rq);
	assert_string_equal(json_string_value(json_object_get(rq, "op")), op);
	b->id = json_integer_value(json_object_get(rq, "id"));
	buf_free(&line);
	return rq;
}

void
brig_reply_fd(struct brig *b, const char *result, int fd)
{
	cleanup_free char *s = xasprintf("{\"id\":%lld,\"ok\":true,"
					 "\"result\":%s}\n",
	    (long long)b->id, result);

	assert_int_equal(fd_sendmsg(b->conn, s, strlen(s), &fd, fd >= 0),
	    (ssize_t)strlen(s));
}

void
brig_reply(struct brig *b, const char *result)
{
	brig_reply_fd(b, result, -1);
}

void
brig_refuse(struct brig *b, const char *code)
{
	cleanup_free char *s =
	    xasprintf("{\"id\":%lld,\"ok\":false,"
		      "\"error\":{\"code\":\"%s\",\"message\":\"because\"}}\n",
		(long long)b->id, code);

	assert_int_equal(fd_write_all(b->conn, s, strlen(s)), 0);
}

/* Everything it wrote and its exit status. */
int
brig_finish(struct brig *b, char **out, char **err)
{
	int status, *fds[] = { &b->out, &b->err };
	char **dst[] = { out, err };

	fd_close(&b->in);
	for (int i = 0; i < 2; i++) {
		struct buf t;

		buf_init(&t, 0);
		fd_read_all(*fds[i], &t, 1 << 20);
		buf_put_u8(&t, 0);
		if (dst[i] != NULL)
			*dst[i] = (char *)t.data;
		else
			buf_free(&t);
		fd_close(fds[i]);
	}
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	fd_close(&b->conn);
	buf_free(&b->rx);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Answer job.run; returns the attach socket. */
int
brig_run_started(struct brig *b)
{
	json_decref(brig_expect(b, "job.run"));
	assert_int_equal(b->nfds, 1);
	brig_reply(b, "{\"job\":\"j-5\"}");
	return b->fds[0];
}

void
brig_put_frame(int sock, enum attach_type type, const void *p, size_t n)
{
	struct buf f;

	buf_init(&f, 0);
	attach_put(&f, type, p, n);
	assert_int_equal(fd_write_all(sock, buf_head(&f), buf_len(&f)), 0);
	buf_free(&f);
}

void
brig_put_exit(int sock, enum exit_kind kind, uint32_t code, const char *detail)
{
	struct buf f;

	buf_init(&f, 0);
	buf_put_u8(&f, (uint8_t)kind);
	buf_put_u32(&f, code);
	buf_put_str(&f, detail);
	brig_put_frame(sock, ATTACH_EXIT, buf_head(&f), buf_len(&f));
	buf_free(&f);
}

/* The next frame from brig must be this type; its payload as a string. */
char *
brig_get_frame(struct brig *b, int sock, enum attach_type want)
{
	enum attach_type type;
	const uint8_t *p;
	size_t n;
	char *s;

	while (attach_peek(&b->rx, &type, &p, &n) == 0) {
		ssize_t k;

		brig_wait_readable(sock);
		k = read(sock, buf_reserve(&b->rx, 4096), 4096);
		assert_true(k > 0);
		buf_commit(&b->rx, (size_t)k);
	}
	assert_int_equal(type, want);
	s = xmalloc(n + 1);
	memcpy(s, p, n);
	s[n] = '\0';
	buf_consume(&b->rx, ATTACH_HEADER + n);
	return s;
}

#include "daemon/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"

#define READ_SIZE 65536u

struct client *
client_new(int fd)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->fd = fd;
	/* One line and what was read behind it. */
	buf_init(&c->in, CLIENT_LINE_MAX + READ_SIZE);
	return c;
}

struct client *
client_open(const char *path, struct error *err)
{
	cleanup_fd int fd = -1;

	fd = fd_connect_unix(path, 0);
	if (fd < 0 && errno == ENAMETOOLONG) {
		error_set(err, 0,
		    "socket %s: the path is too long; name a "
		    "shorter one with --socket",
		    path);
		return NULL;
	}
	if (fd < 0) {
		int code = errno;

		error_set(err, 0, "cannot reach brigd at %s: %s; %s", path,
		    strerror(code),
		    code == EACCES
			? "ask an administrator for access"
			: "start it (systemctl start brigd) or name its socket "
			  "with --socket");
		return NULL;
	}
	return client_new(steal_fd(&fd));
}

static void
drop_fds(struct client *c)
{
	for (size_t i = 0; i < c->nfds; i++)
		close(c->fds[i]);
	c->nfds = 0;
}

void
client_free(struct client *c)
{
	if (c == NULL)
		return;
	drop_fds(c);
	fd_close(&c->fd);
	buf_free(&c->in);
	free(c->refusal);
	free(c);
}

void
client_cleanup(struct client **c)
{
	client_free(*c);
	*c = NULL;
}

int
client_send(struct client *c, const char *op, json_t *args, const int *fds,
    size_t nfds, struct error *err)
{
	json_t *rq = args == NULL ? json_object() : args;
	cleanup_free char *text = NULL;
	size_t len, done = 0;

	c->code[0] = '\0';
	free(c->refusal);
	c->refusal = NULL;
	if (json_object_set_new(rq, "v", json_integer(1)) < 0 ||
	    json_object_set_new(rq, "id", json_integer(++c->id)) < 0 ||
	    json_object_set_new(rq, "op", json_string(op)) < 0 ||
	    (text = json_dumps(rq, JSON_COMPACT)) == NULL) {
		json_decref(rq);
		return error_set(
		    err, 0, "%s: the request is not UTF-8 text", op);
	}
	json_decref(rq);
	len = strlen(text);
	if (len >= CLIENT_LINE_MAX)
		return error_set(err, 0,
		    "%s: the request is too long (%zu "
		    "bytes, %u are possible)",
		    op, len, CLIENT_LINE_MAX - 1);
	text[len++] = '\n'; /* in the place of its NUL */
	while (done < len) {
		ssize_t n = fd_sendmsg(
		    c->fd, text + done, len - done, fds, done == 0 ? nfds : 0);

		if (n < 0)
			return error_set(err, errno, "brigd: send");
		done += (size_t)n;
	}
	return 0;
}

/* Bytes of the first line in c->in without its newline, -1 if there is none. */
static ssize_t
line_length(const struct client *c)
{
	const uint8_t *p = buf_head(&c->in), *nl;

	if (p == NULL)
		return -1;
	nl = memchr(p, '\n', buf_len(&c->in));
	return nl == NULL ? -1 : nl - p;
}

static int
fill(struct client *c, struct error *err)
{
	uint8_t *p = buf_reserve(&c->in, READ_SIZE);
	int fds[FD_PASS_MAX];
	size_t nfds = 0;
	ssize_t n;

	if (p == NULL)
		return error_set(err, 0, "brigd: its reply is too long");
	n = fd_recvmsg(c->fd, p, READ_SIZE, fds, FD_PASS_MAX, &nfds);
	for (size_t i = 0; i < nfds; i++) {
		if (c->nfds < nitems(c->fds))
			c->fds[c->nfds++] = fds[i];
		else
			close(fds[i]);
	}
	if (n < 0 && errno != ECONNRESET)
		return error_set(err, errno, "brigd: receive");
	if (n <= 0)
		return error_set(err, 0,
		    "brigd closed the connection; see its "
		    "log (journalctl -u brigd)");
	buf_commit(&c->in, (size_t)n);
	return 0;
}

/* Why a request was refused, in the daemon's words made printable. */
static void
refused(struct client *c, json_t *reply, struct error *err)
{
	json_t *e = json_object_get(reply, "error");
	const char *code = json_string_value(json_object_get(e, "code"));
	json_t *m = json_object_get(e, "message");
	cleanup_free char *safe = NULL;

	if (code == NULL || !json_is_string(m)) {
		error_set(err, 0, "brigd: a reply that is not one");
		return;
	}
	strlcpy(c->code, code, sizeof(c->code));
	c->refusal = xstrdup(json_string_value(m));
	safe = str_escape(c->refusal, strlen(c->refusal));
	error_set(err, 0, "%s", safe);
}

json_t *
client_recv(struct client *c, struct error *err)
{
	json_t *reply, *result;
	ssize_t n;

	drop_fds(c);
	while ((n = line_length(c)) < 0) {
		if (fill(c, err) < 0)
			return NULL;
	}
	reply = json_loadb((const char *)buf_head(&c->in), (size_t)n,
	    JSON_REJECT_DUPLICATES, NULL);
	buf_consume(&c->in, (size_t)n + 1);
	/* A request that could not be read is answered without its id. */
	if (!json_is_object(reply) ||
	    (json_is_true(json_object_get(reply, "ok")) &&
		json_integer_value(json_object_get(reply, "id")) != c->id)) {
		json_decref(reply);
		error_set(err, 0, "brigd: a reply that is not one");
		return NULL;
	}
	if (!json_is_true(json_object_get(reply, "ok"))) {
		refused(c, reply, err);
		json_decref(reply);
		return NULL;
	}
	result = json_incref(json_object_get(reply, "result"));
	json_decref(reply);
	if (!json_is_object(result)) {
		json_decref(result);
		error_set(err, 0, "brigd: a reply without a result");
		return NULL;
	}
	return result;
}

json_t *
client_call(struct client *c, const char *op, json_t *args, struct error *err)
{
	if (client_send(c, op, args, NULL, 0, err) < 0)
		return NULL;
	return client_recv(c, err);
}

int
client_take_fd(struct client *c)
{
	int fd = c->nfds > 0 ? c->fds[0] : -1;

	if (c->nfds > 0)
		c->fds[0] = -1;
	drop_fds(c);
	return fd;
}

#include "daemon/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
#define GROUPS_MAX 65536u
#define READ_SIZE 65536u
#define ACCEPT_ROUNDS 16
#define ACCEPT_PAUSE_MS 100u

struct out { /* one reply line, maybe with a descriptor */
	struct out *next;
	char *line;
	size_t len, off;
	int fd;
};

struct client {
	struct client *next;
	struct control *ct;
	uint64_t number;
	int fd;
	struct ev_io *io;
	uid_t uid;
	gid_t gid;
	bool admin;
	struct buf in;
	int fds[CLIENT_FDS_MAX]; /* received, not yet claimed */
	size_t nfds;
	size_t requests; /* unanswered */
	struct out *out, **out_tail;
	size_t out_bytes;
	bool closing; /* after what is queued has gone out */
	bool dead;
};

static const char *const error_codes[] = {
	[REQ_BAD_REQUEST] = "bad_request",
	[REQ_NOT_FOUND] = "not_found",
	[REQ_DENIED] = "denied",
	[REQ_UNAVAILABLE] = "unavailable",
	[REQ_FAILED] = "failed",
	[REQ_EXISTS] = "exists",
};

static void client_next_lines(void *arg);

static void
client_free(void *arg)
{
	struct client *cl = arg;
	struct out *o;

	while ((o = cl->out) != NULL) {
		cl->out = o->next;
		fd_close(&o->fd);
		free(o->line);
		free(o);
	}
	buf_free(&cl->in);
	free(cl);
}

static void
client_close(struct client *cl)
{
	struct client **pp = &cl->ct->clients;

	if (cl->dead)
		return;
	cl->dead = true;
	while (*pp != cl)
		pp = &(*pp)->next;
	*pp = cl->next;
	cl->ct->nclients--;
	ev_io_free(cl->io);
	ev_undefer(cl->ct->ev, client_next_lines, cl);
	fd_close(&cl->fd);
	for (size_t i = 0; i < cl->nfds; i++)
		fd_close(&cl->fds[i]);
	cl->nfds = 0;
	jobs_forget_client(cl->ct, cl->number);
	ev_defer(cl->ct->ev, client_free, cl);
}

static struct client *
client_find(struct control *ct, uint64_t number)
{
	struct client *cl = ct->clients;

	while (cl != NULL && cl->number != number)
		cl = cl->next;
	return cl;
}

/* ---- output ------------------------------------------------------------ */

static void
client_watch(struct client *cl)
{
	unsigned int events = 0;

	if (!cl->closing && cl->out_bytes < CLIENT_OUT_HIGH &&
	    cl->requests < CLIENT_REQUESTS_MAX)
		events |= EV_READ;
	if (cl->out != NULL)
		events |= EV_WRITE;
	ev_io_set(cl->io, events);
}

static void
client_flush(struct client *cl)
{
	struct out *o;

	while ((o = cl->out) != NULL) {
		ssize_t n = fd_sendmsg(cl->fd, o->line + o->off,
		    o->len - o->off, &o->fd, o->fd >= 0 ? 1 : 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			client_close(cl);
			return;
		}
		/* The descriptor went with the first byte. */
		fd_close(&o->fd);
		o->off += (size_t)n;
		cl->out_bytes -= (size_t)n;
		if (o->off < o->len)
			continue;
		cl->out = o->next;
		if (cl->out == NULL)
			cl->out_tail = &cl->out;
		free(o->line);
		free(o);
	}
	if (cl->closing && cl->out == NULL) {
		client_close(cl);
		return;
	}
	client_watch(cl);
}

/* Takes reply and fd. */
static void
client_send(struct client *cl, json_t *reply, int fd)
{
	struct out *o = xcalloc(1, sizeof(*o));
	char *text = json_dumps(reply, JSON_COMPACT);

	json_decref(reply);
	if (text == NULL)
		fatalx("reply is not valid JSON");
	o->len = strlen(text) + 1;
	o->line = xreallocarray(text, o->len + 1, 1);
	o->line[o->len - 1] = '\n';
	o->fd = fd;
	*cl->out_tail = o;
	cl->out_tail = &o->next;
	cl->out_bytes += o->len;
	/* Only a client that does not read gets here: it loses its line. */
	if (cl->out_bytes > CLIENT_OUT_MAX) {
		log_info("client uid=%u does not read, closed", cl->uid);
		client_close(cl);
		return;
	}
	client_flush(cl);
}

static json_t *
error_json(json_int_t id, enum req_error code, const char *message)
{
	return json_pack("{s:I, s:b, s:{s:s, s:o}}", "id", id, "ok", 0, "error",
	    "code", error_codes[code], "message", json_text(message));
}

/* The line cannot be understood: say so once and close. */
static void attr_printf(3, 4)
    client_refuse(struct client *cl, json_int_t id, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cl->closing = true;
	client_send(cl, error_json(id, REQ_BAD_REQUEST, text), -1);
}

/* ---- requests ---------------------------------------------------------- */

static void
request_free(struct request *rq)
{
	for (size_t i = 0; i < rq->nfds; i++)
		fd_close(&rq->fds[i]);
	json_decref(rq->body);
	free(rq);
}

static void
request_reply(struct request *rq, json_t *reply, int fd)
{
	struct client *cl = client_find(rq->ct, rq->client);

	if (cl == NULL) {
		json_decref(reply);
		fd_close(&fd);
	} else {
		cl->requests--;
		client_send(cl, reply, fd);
		/* Lines may be waiting for a free place. */
		if (!cl->dead && !cl->closing) {
			ev_undefer(cl->ct->ev, client_next_lines, cl);
			ev_defer(cl->ct->ev, client_next_lines, cl);
		}
	}
	request_free(rq);
}

void
request_ok(struct request *rq, json_t *result, int fd)
{
	json_t *reply = json_pack("{s:I, s:b, s:o}", "id", rq->id, "ok", 1,
	    "result", result == NULL ? json_object() : result);

	if (reply == NULL)
		fatalx("reply is not valid JSON");
	request_reply(rq, reply, fd);
}

void
request_fail(struct request *rq, enum req_error code, const char *fmt, ...)
{
	char text[P_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	request_reply(rq, error_json(rq->id, code, text), -1);
}

int
request_answered(struct control *ct, struct msg *m, void *arg)
{
	struct request *rq = arg;
	cleanup_free char *why = NULL;
	bool ok;

	(void)ct;
	if (m == NULL) {
		request_fail(rq, REQ_UNAVAILABLE, "brigd is stopping");
		return 0;
	}
	ok = cur_bool(&m->body);
	why = cur_str(&m->body, P_TEXT_MAX);
	if (cur_end(&m->body) < 0) {
		request_fail(rq, REQ_FAILED, "answer is not readable");
		return -1;
	}
	if (ok)
		request_ok(rq, NULL, -1);
	else
		request_fail(rq, REQ_FAILED, "%s", why);
	return 0;
}

int
request_fd(struct request *rq, const char *name)
{
	for (size_t i = 0; i < rq->nfds; i++)
		if (str_eq(rq->fd_names[i], name))
			return steal_fd(&rq->fds[i]);
	return -1;
}

bool
request_may(const struct request *rq, uid_t owner)
{
	return rq->admin || rq->uid == owner;
}

/*
 * Brackets outside strings, before the parser recurses on them.  Bytes that
 * are not JSON at all are left to the parser.
 */
static bool
too_deep(const char *s, size_t n)
{
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < n; i++) {
		if (quoted && s[i] == '\\')
			i++;
		else if (s[i] == '"')
			quoted = !quoted;
		else if (quoted)
			continue;
		else if (s[i] == '{' || s[i] == '[')
			depth++;
		else if ((s[i] == '}' || s[i] == ']') && depth > 0)
			depth--;
		if (depth > CLIENT_DEPTH_MAX)
			return true;
	}
	return false;
}

/* "fds": names of the descriptors, in the order in which they came. */
static const char *
claim_fds(struct client *cl, struct request *rq)
{
	const json_t *names = json_object_get(rq->body, "fds");
	size_t n = json_array_size(names);

	if (names == NULL)
		return NULL;
	if (!json_is_array(names) || n > CLIENT_FDS_MAX)
		return "\"fds\" must be a short array of names";
	if (n > cl->nfds)
		return "fewer descriptors came than \"fds\" names";
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(names, i));

		if (s == NULL ||
		    strlcpy(rq->fd_names[i], s, sizeof(rq->fd_names[i])) >=
			sizeof(rq->fd_names[i]))
			return "\"fds\" must be a short array of names";
		for (size_t k = 0; k < i; k++)
			if (str_eq(rq->fd_names[k], s))
				return "\"fds\" names one twice";
	}
	for (size_t i = 0; i < n; i++)
		rq->fds[rq->nfds++] = cl->fds[i];
	cl->nfds -= n;
	memmove(cl->fds, cl->fds + n, cl->nfds * sizeof(cl->fds[0]));
	return NULL;
}

static void
client_line(struct client *cl, const char *line, size_t n)
{
	struct request *rq;
	json_error_t je;
	const json_t *v, *id;
	const char *why;
	json_t *body;

	if (too_deep(line, n)) {
		client_refuse(
		    cl, 0, "nested deeper than %u levels", CLIENT_DEPTH_MAX);
		return;
	}
	body = json_loadb(line, n, JSON_REJECT_DUPLICATES, &je);
	if (body == NULL) {
		client_refuse(cl, 0, "not a JSON object: %s (byte %d)", je.text,
		    je.position);
		return;
	}
	id = json_object_get(body, "id");
	v = json_object_get(body, "v");
	if (!json_is_object(body) || !json_is_integer(id) ||
	    json_integer_value(v) != 1 ||
	    !json_is_string(json_object_get(body, "op"))) {
		client_refuse(cl, json_integer_value(id),
		    "a request is {\"v\":1,\"id\":INT,\"op\":\"...\",...}");
		json_decref(body);
		return;
	}
	rq = xcalloc(1, sizeof(*rq));
	rq->ct = cl->ct;
	rq->client = cl->number;
	rq->id = json_integer_value(id);
	rq->body = body;
	rq->uid = cl->uid;
	rq->gid = cl->gid;
	rq->admin = cl->admin;
	cl->requests++;
	if ((why = claim_fds(cl, rq)) != NULL) {
		/* Which descriptor belongs to which line is no longer known. */
		cl->closing = true;
		request_fail(rq, REQ_BAD_REQUEST, "%s", why);
	} else
		control_op(rq);
}

/* Complete lines, as long as the client may have requests under way. */
static void
client_lines(struct client *cl)
{
	while (!cl->dead && !cl->closing &&
	       cl->requests < CLIENT_REQUESTS_MAX &&
	       cl->out_bytes < CLIENT_OUT_HIGH) {
		const uint8_t *head = buf_head(&cl->in);
		size_t n = buf_len(&cl->in);
		const uint8_t *nl = n == 0 ? NULL : memchr(head, '\n', n);
		cleanup_free char *line = NULL;
		size_t len;

		if (nl == NULL && n > CLIENT_LINE_MAX) {
			client_refuse(cl, 0, "line is longer than %u bytes",
			    CLIENT_LINE_MAX);
			return;
		}
		if (nl == NULL)
			break;
		len = (size_t)(nl - head);
		if (len > CLIENT_LINE_MAX) {
			client_refuse(cl, 0, "line is longer than %u bytes",
			    CLIENT_LINE_MAX);
			return;
		}
		/* A copy: an operation may close the client and its buffer. */
		line = xmemdup(head, len + 1);
		buf_consume(&cl->in, len + 1);
		client_line(cl, line, len);
	}
	if (cl->dead || cl->closing)
		return;
	/* Descriptors belong to a line: none is left without one. */
	if (buf_len(&cl->in) == 0 && cl->nfds > 0) {
		client_refuse(cl, 0, "descriptors came that no \"fds\" names");
		return;
	}
	client_watch(cl);
}

static void
client_next_lines(void *arg)
{
	client_lines(arg);
}

static void
on_client(int fd, unsigned int events, void *arg)
{
	struct client *cl = arg;
	size_t nfds = 0;
	uint8_t *room;
	ssize_t n;

	if (events & EV_WRITE) {
		client_flush(cl);
		if (cl->dead)
			return;
	}
	if ((events & (EV_READ | EV_HANGUP)) == 0)
		return;
	/* Not reading, but the other end is gone for good. */
	if (!(events & EV_READ)) {
		client_close(cl);
		return;
	}
	room = buf_reserve(&cl->in, READ_SIZE);
	if (room == NULL) {
		client_close(cl);
		return;
	}
	n = fd_recvmsg(fd, room, READ_SIZE, cl->fds + cl->nfds,
	    CLIENT_FDS_MAX - cl->nfds, &nfds);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(cl);
		return;
	}
	cl->nfds += nfds;
	buf_commit(&cl->in, (size_t)n);
	client_lines(cl);
}

/* ---- accept ------------------------------------------------------------ */

/* The list can grow between the two calls only for another process. */
static bool
in_admin_group(const struct control *ct, int fd, gid_t primary)
{
	cleanup_free gid_t *groups = NULL;
	socklen_t len = 0;

	if (!ct->has_admin_gid)
		return false;
	if (primary == ct->admin_gid)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 ||
	    errno != ERANGE || len > GROUPS_MAX * sizeof(gid_t))
		return false;
	groups = xmalloc(len);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(gid_t); i++)
		if (groups[i] == ct->admin_gid)
			return true;
	return false;
}

static bool
too_many(const struct control *ct, uid_t uid)
{
	size_t n = 0;

	if (ct->nclients >= CLIENTS_MAX)
		return true;
	for (const struct client *cl = ct->clients; cl != NULL; cl = cl->next)
		n += cl->uid == uid;
	return uid != 0 && n >= CLIENTS_PER_UID_MAX;
}

void
client_new(struct control *ct, int fd)
{
	struct client *cl;
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    fd_nonblock(fd) < 0) {
		close(fd);
		return;
	}
	/* Nothing inside a jail has any business here, answering asks least. */
	if (cred.uid - ct->job_uid_base < ct->job_uid_count ||
	    cred.gid - ct->job_uid_base < ct->job_uid_count ||
	    too_many(ct, cred.uid)) {
		/* Anybody can make this happen, as often as he likes. */
		log_debug("client uid=%u refused", cred.uid);
		close(fd);
		return;
	}
	cl = xcalloc(1, sizeof(*cl));
	cl->ct = ct;
	cl->number = ++ct->next_client;
	cl->fd = fd;
	cl->uid = cred.uid;
	cl->gid = cred.gid;
	cl->admin = cred.uid == 0 || in_admin_group(ct, fd, cred.gid);
	cl->out_tail = &cl->out;
	buf_init(&cl->in, CLIENT_LINE_MAX + 2 * READ_SIZE);
	cl->io = ev_io_new(ct->ev, fd, EV_READ, on_client, cl);
	cl->next = ct->clients;
	ct->clients = cl;
	ct->nclients++;
}

static void
accept_again(void *arg)
{
	struct control *ct = arg;

	if (ct->listen_io != NULL)
		ev_io_set(ct->listen_io, EV_READ);
}

/* Out of descriptors, say: those who wait go on being there. */
static void
accept_later(struct control *ct)
{
	log_warn("accept");
	ev_io_set(ct->listen_io, 0);
	if (ct->accept_timer == NULL)
		ct->accept_timer = ev_timer_new(ct->ev, accept_again, ct);
	ev_timer_set(ct->accept_timer, ACCEPT_PAUSE_MS);
}

static void
on_listener(int fd, unsigned int events, void *arg)
{
	struct control *ct = arg;

	(void)events;
	for (int i = 0; i < ACCEPT_ROUNDS; i++) {
		int client =
		    accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (client < 0) {
			if (errno != EAGAIN && errno != EINTR &&
			    errno != ECONNABORTED)
				accept_later(ct);
			return;
		}
		client_new(ct, client);
	}
}

void
clients_listen(struct control *ct, int fd)
{
	ct->listen_io = ev_io_new(ct->ev, fd, EV_READ, on_listener, ct);
}

void
clients_close(struct control *ct)
{
	ev_io_free(ct->listen_io);
	ct->listen_io = NULL;
	ev_timer_free(ct->accept_timer);
	ct->accept_timer = NULL;
	while (ct->clients != NULL)
		client_close(ct->clients);
}

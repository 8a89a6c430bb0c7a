#include "tests/fuzz/play.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"

#define DRAIN_SIZE 65536u
#define ROUNDS 3 /* of the loop after each step: ask, answer, end */

static bool
take(const uint8_t **data, size_t *size, const uint8_t **p, size_t *n)
{
	if (*size < 2)
		return false;
	*n = (*data)[0] | (size_t)(*data)[1] << 8;
	*n = *n < *size - 2 ? *n : *size - 2;
	*p = *data + 2;
	*data += 2 + *n;
	*size -= 2 + *n;
	return true;
}

static int
make_fd(const uint8_t *p, size_t n)
{
	int fds[2];

	if (n != 1)
		return fd_memfd("fuzz", p, n);
	if (p[0] == 0)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	if (p[0] != 1)
		return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd_socketpair(fds) < 0)
		return -1;
	close(fds[1]);
	return fds[0];
}

unsigned int play_faults;

bool
play_next(const uint8_t **data, size_t *size, struct play_step *st)
{
	const uint8_t *file;
	size_t nfile;

	if (*size < 4)
		return false;
	st->from = (*data)[0] & 0x7f;
	st->type = (*data)[1];
	st->job = (*data)[2];
	st->serial = (*data)[3];
	st->fd = -1;
	bool has_fd = ((*data)[0] & PLAY_FD) != 0;

	*data += 4;
	*size -= 4;
	if (!take(data, size, &st->body, &st->n))
		return false;
	if (has_fd && take(data, size, &file, &nfile))
		st->fd = make_fd(file, nfile);
	return true;
}

void
play_write(int end, const struct play_step *st)
{
	cleanup_buf struct buf b = { 0 };

	buf_put_u16(&b, st->type);
	buf_put_u16(&b, st->fd >= 0);
	buf_put_u32(&b, (uint32_t)st->n);
	buf_put_u32(&b, st->job);
	buf_put_u32(&b, st->serial);
	buf_put(&b, st->body, st->n);
	/* A full socket loses the message: the input asks for too much. */
	if (fd_sendmsg(end, buf_head(&b), buf_len(&b), &st->fd, st->fd >= 0) <
	    0)
		return;
}

bool
play_drain(int end, size_t *bytes)
{
	static uint8_t room[DRAIN_SIZE];
	int fds[FD_PASS_MAX];
	size_t nfds;
	ssize_t n;

	do {
		n = fd_recvmsg(
		    end, room, sizeof(room), fds, FD_PASS_MAX, &nfds);
		for (size_t i = 0; i < nfds; i++)
			close(fds[i]);
		if (n > 0)
			*bytes += (size_t)n;
	} while (n > 0);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Whole messages of the process to its i-th peer. */
static void
hear(struct play *p, size_t i)
{
	struct buf *b = &p->heard[i];

	while (buf_len(b) >= MSG_HEADER_SIZE) {
		struct cur c, body;
		uint16_t type;
		uint32_t n;

		cur_init(&c, buf_head(b), buf_len(b));
		type = cur_u16(&c);
		(void)cur_u16(&c);
		n = cur_u32(&c);
		if (buf_len(b) < MSG_HEADER_SIZE + n)
			return;
		cur_init(&body, (uint8_t *)buf_head(b) + MSG_HEADER_SIZE, n);
		p->hears(type, &body);
		buf_consume(b, MSG_HEADER_SIZE + n);
	}
}

/* As play_drain(), for the i-th peer. */
static bool
drain_peer(struct play *p, size_t i)
{
	int fds[FD_PASS_MAX];
	size_t nfds;
	ssize_t n;

	if (p->hears == NULL)
		return play_drain(p->ends[i], &p->answered);
	do {
		uint8_t *room = buf_reserve(&p->heard[i], DRAIN_SIZE);

		n = fd_recvmsg(
		    p->ends[i], room, DRAIN_SIZE, fds, FD_PASS_MAX, &nfds);
		for (size_t k = 0; k < nfds; k++)
			close(fds[k]);
		if (n > 0) {
			p->answered += (size_t)n;
			buf_commit(&p->heard[i], (size_t)n);
			hear(p, i);
		}
	} while (n > 0);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* As the parent does it: a fresh channel, told with M_PEER. */
static void
connect_peer(struct play *p, size_t i)
{
	uint8_t body[5] = { (uint8_t)p->defs[i].role };
	struct play_step st = { .type = M_PEER, .body = body, .n = 5 };
	bool single = p->defs[i].role != ROLE_SHIM &&
		      p->defs[i].role != ROLE_FRONT &&
		      p->defs[i].role != ROLE_BACK;
	cleanup_buf struct buf b = { 0 };
	int fds[2];

	if (fd_socketpair(fds) < 0 || fd_nonblock(fds[0]) < 0)
		abort();
	buf_put_u8(&b, (uint8_t)p->defs[i].role);
	buf_put_u32(&b, single ? 0 : p->job);
	st.body = buf_head(&b);
	st.n = buf_len(&b);
	st.fd = fds[1];
	play_write(p->parent_fd, &st);
	close(fds[1]);
	fd_close(&p->ends[i]);
	buf_clear(&p->heard[i]);
	p->ends[i] = fds[0];
	ev_once(p->ev, 0);
}

void
play_start(struct play *p, struct ev *ev, const struct msg_rule *rules,
    size_t nrules, const struct peer_def *defs, size_t ndefs, uint32_t job,
    void *owner)
{
	int fds[2];

	if (ndefs > PLAY_PEERS_MAX || fd_socketpair(fds) < 0 ||
	    fd_nonblock(fds[1]) < 0)
		abort();
	*p = (struct play){ .ev = ev,
		.rules = rules,
		.nrules = nrules,
		.defs = defs,
		.ndefs = ndefs,
		.job = job,
		.parent_fd = fds[1] };
	for (size_t i = 0; i < PLAY_PEERS_MAX; i++)
		p->ends[i] = -1;
	p->peers = peers_new(ev, fds[0], rules, nrules, defs, ndefs, owner);
	p->parent = (struct peer){ .role = ROLE_PARENT,
		.chan = peers_parent(p->peers),
		.owner = owner };
}

/* With the owner complete: peers say things when they come up. */
static void
connect_missing(struct play *p)
{
	for (size_t i = 0; i < p->ndefs; i++)
		if (p->ends[i] < 0)
			connect_peer(p, i);
}

static void
from_parent(struct play *p, struct play_step *st)
{
	struct msg m = { .type = st->type,
		.job = st->job,
		.serial = st->serial,
		.fd = st->fd };

	for (size_t i = 0; i < p->nrules; i++) {
		const struct msg_rule *r = &p->rules[i];

		if (r->type != st->type ||
		    ((r->flags & MSG_FD) != 0) != (st->fd >= 0) ||
		    ((r->flags & MSG_ONCE) && (p->spent >> i & 1)))
			continue;
		p->spent |= UINT64_C(1) << i;
		cur_init(&m.body, st->body, st->n);
		if (r->fn(p->parent.chan, &m, &p->parent) < 0)
			play_faults++;
		break;
	}
	st->fd = -1;
	fd_close(&m.fd);
}

bool
play_do(struct play *p, struct play_step *st)
{
	bool known = st->from <= p->ndefs;

	connect_missing(p);
	if (known && st->from == 0)
		from_parent(p, st);
	else if (known)
		play_write(p->ends[st->from - 1], st);
	if (known)
		fd_close(&st->fd);
	for (int i = 0; i < ROUNDS; i++)
		ev_once(p->ev, 0);
	play_drain(p->parent_fd, &p->answered);
	for (size_t i = 0; i < p->ndefs; i++)
		if (!drain_peer(p, i)) {
			fd_close(&p->ends[i]);
			play_faults++;
		}
	return known;
}

void
play_end(struct play *p)
{
	peers_free(p->peers);
	ev_once(p->ev, 0);
	close(p->parent_fd);
	for (size_t i = 0; i < p->ndefs; i++) {
		fd_close(&p->ends[i]);
		buf_free(&p->heard[i]);
	}
}

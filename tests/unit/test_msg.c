/*
 * Channels and the loop: order, descriptors, back-pressure, and that a peer
 * which breaks the protocol loses its channel and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/msg.h"

enum {
	T_TEXT = 1,
	T_FD,
	T_ONCE,
	T_BAD,
	T_SECRET,
	T_AFTER,
};

struct side {
	struct ev *ev;
	struct chan *c;
	unsigned int got, ends;
	enum chan_end how;
	uint32_t last;
	int fd;
	size_t bytes;
	bool free_in_handler;
	const uint8_t *body; /* of the last T_SECRET */
	bool wiped;
};

static int
on_text(struct chan *c, struct msg *m, void *ctx)
{
	struct side *s = ctx;

	s->got++;
	s->last = m->serial;
	s->bytes += m->body.left;
	if (s->free_in_handler) {
		chan_free(c);
		s->c = NULL;
	}
	return 0;
}

static int
on_fd(struct chan *c, struct msg *m, void *ctx)
{
	struct side *s = ctx;

	(void)c;
	s->got++;
	s->fd = steal_fd(&m->fd);
	return 0;
}

static int
on_bad(struct chan *c, struct msg *m, void *ctx)
{
	(void)c;
	(void)m;
	(void)ctx;
	return -1;
}

static int
on_secret(struct chan *c, struct msg *m, void *ctx)
{
	struct side *s = ctx;

	(void)c;
	s->body = m->body.p;
	return memcmp(s->body, "secret", 6) == 0 ? 0 : -1;
}

/* Came in the same read, so that the bytes before it are still there. */
static int
on_after(struct chan *c, struct msg *m, void *ctx)
{
	struct side *s = ctx;

	(void)c;
	(void)m;
	s->got++;
	s->wiped = memcmp(s->body, "\0\0\0\0\0\0", 6) == 0;
	return 0;
}

static const struct msg_rule rules[] = {
	{ T_SECRET, MSG_ALLOWED | MSG_WIPE, on_secret },
	{ T_AFTER, MSG_ALLOWED, on_after },
	{ T_TEXT, MSG_ALLOWED, on_text },
	{ T_FD, MSG_ALLOWED | MSG_FD, on_fd },
	{ T_ONCE, MSG_ALLOWED | MSG_ONCE, on_text },
	{ T_BAD, MSG_ALLOWED, on_bad },
};

static void
on_end(struct chan *c, enum chan_end how, const char *why, void *ctx)
{
	struct side *s = ctx;

	(void)why;
	s->ends++;
	s->how = how;
	chan_free(c);
	s->c = NULL;
}

struct pair {
	struct ev *ev;
	struct side a, b;
	int raw; /* other end of b when it has no channel */
};

static void
open_pair(struct pair *p, bool raw)
{
	int fds[2];

	memset(p, 0, sizeof(*p));
	p->ev = ev_new();
	assert_int_equal(fd_socketpair(fds), 0);
	p->a.fd = p->b.fd = -1;
	p->raw = -1;
	if (raw)
		p->raw = fds[0];
	else
		p->a.c = chan_new(
		    p->ev, fds[0], "b", rules, nitems(rules), on_end, &p->a);
	p->b.c =
	    chan_new(p->ev, fds[1], "a", rules, nitems(rules), on_end, &p->b);
}

static void
close_pair(struct pair *p)
{
	chan_free(p->a.c);
	chan_free(p->b.c);
	ev_once(p->ev, 0);
	fd_close(&p->raw);
	ev_free(p->ev);
}

static void
rounds(struct pair *p, int n)
{
	while (n-- > 0)
		ev_once(p->ev, 5);
}

static void
messages_arrive_whole_and_in_order(void **state)
{
	static uint8_t big[MSG_BODY_MAX];
	struct pair p;

	(void)state;
	open_pair(&p, false);
	for (uint32_t i = 1; i <= 50; i++)
		chan_send_bytes(p.a.c, T_TEXT, 0, i, big, sizeof(big));
	for (int i = 0; i < 200 && p.b.got < 50; i++)
		rounds(&p, 1);
	assert_int_equal(p.b.got, 50);
	assert_int_equal(p.b.last, 50);
	assert_int_equal(p.b.bytes, 50 * sizeof(big));
	close_pair(&p);
}

static int
on_counted(struct chan *c, struct msg *m, void *ctx)
{
	struct side *s = ctx;
	uint32_t from = m->serial;

	(void)c;
	assert_int_equal(m->serial, s->last + 1);
	s->last = m->serial;
	s->got++;
	while (m->body.left > 0)
		assert_int_equal(cur_u8(&m->body), from++ & 0xff);
	return 0;
}

/* Large ones do not overtake, in as many pieces as the socket takes. */
static void
large_and_small_bodies_keep_their_order(void **state)
{
	static const struct msg_rule counted[] = {
		{ T_TEXT, MSG_ALLOWED, on_counted },
	};
	static const size_t sizes[] = { MSG_BODY_MAX, 1, 8192, 0, 40000, 8191 };
	static uint8_t bytes[MSG_BODY_MAX + 256];
	struct pair p = { 0 };
	int fds[2];
	uint32_t sent = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	p.ev = ev_new();
	p.raw = -1;
	assert_int_equal(fd_socketpair(fds), 0);
	p.a.c = chan_new(p.ev, fds[0], "b", rules, nitems(rules), on_end, &p.a);
	p.b.c =
	    chan_new(p.ev, fds[1], "a", counted, nitems(counted), on_end, &p.b);
	/* The first is not kept for the end of the round. */
	chan_send_bytes(p.a.c, T_TEXT, 0, 1, bytes + 1, MSG_BODY_MAX);
	assert_int_equal(chan_queued(p.a.c), 0);
	for (sent = 1; sent < 300; sent++) {
		uint32_t serial = sent + 1;
		size_t n = sizes[sent % nitems(sizes)], k = n / 3;
		const uint8_t *from = bytes + (serial & 0xff);

		chan_send_two(
		    p.a.c, T_TEXT, 0, serial, from, k, from + k, n - k);
		if (sent % 70 == 0)
			rounds(&p, 1);
	}
	for (int i = 0; i < 500 && p.b.got < sent; i++)
		rounds(&p, 1);
	assert_int_equal(p.b.got, sent);
	assert_int_equal(p.a.ends + p.b.ends, 0);
	close_pair(&p);
}

static void
descriptors_go_with_their_message(void **state)
{
	struct pair p;
	int pipes[2];
	char c = 0;

	(void)state;
	open_pair(&p, false);
	assert_int_equal(pipe(pipes), 0);
	chan_send_bytes(p.a.c, T_TEXT, 0, 1, "x", 1);
	chan_send(p.a.c, T_FD, 0, 2, NULL, pipes[0]);
	chan_send_bytes(p.a.c, T_TEXT, 0, 3, "y", 1);
	rounds(&p, 5);
	assert_int_equal(p.b.got, 3);
	assert_true(p.b.fd >= 0);
	assert_int_equal(write(pipes[1], "z", 1), 1);
	assert_int_equal(read(p.b.fd, &c, 1), 1);
	assert_int_equal(c, 'z');
	close(p.b.fd);
	close(pipes[1]);
	close_pair(&p);
}

static void
once_means_once(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, false);
	chan_send(p.a.c, T_ONCE, 0, 1, NULL, -1);
	chan_send(p.a.c, T_ONCE, 0, 2, NULL, -1);
	rounds(&p, 5);
	assert_int_equal(p.b.got, 1);
	assert_int_equal(p.b.ends, 1);
	assert_int_equal(p.b.how, CHAN_FAULT);
	close_pair(&p);
}

static void
faults_end_the_channel_once(void **state)
{
	static const uint8_t bad[][MSG_HEADER_SIZE] = {
		{ 77, 0, 0, 0 },                 /* unknown type */
		{ T_TEXT, 0, 2, 0, 0, 0, 1, 0 }, /* unknown flag */
		{ T_TEXT, 0, 0, 0, 1, 0, 1, 0 }, /* 65537 bytes */
		{ T_FD, 0, 0, 0 },               /* no descriptor */
		{ T_TEXT, 0, 1, 0 },             /* promised, not sent */
		{ T_BAD, 0, 0, 0 },              /* handler refuses */
	};

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		struct pair p;

		open_pair(&p, true);
		assert_int_equal(
		    fd_write_all(p.raw, bad[i], sizeof(bad[i])), 0);
		assert_int_equal(
		    fd_write_all(p.raw, bad[i], sizeof(bad[i])), 0);
		rounds(&p, 3);
		assert_int_equal(p.b.ends, 1);
		assert_int_equal(p.b.how, CHAN_FAULT);
		assert_int_equal(p.b.got, 0);
		close_pair(&p);
	}
}

static void
unclaimed_descriptors_are_bounded(void **state)
{
	struct pair p;
	uint8_t part[] = { T_TEXT, 0 };

	(void)state;
	open_pair(&p, true);
	for (int i = 0; i < 40; i++)
		if (fd_sendmsg(p.raw, part, 1, &p.raw, 1) < 0)
			break;
		else
			rounds(&p, 1);
	assert_int_equal(p.b.ends, 1);
	close_pair(&p);
}

static void
channel_may_be_freed_inside_a_handler(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, false);
	p.b.free_in_handler = true;
	chan_send_bytes(p.a.c, T_TEXT, 0, 1, "x", 1);
	chan_send_bytes(p.a.c, T_TEXT, 0, 2, "x", 1);
	rounds(&p, 5);
	assert_int_equal(p.b.got, 1);
	assert_int_equal(p.a.ends, 1);
	assert_int_equal(p.a.how, CHAN_EOF);
	close_pair(&p);
}

static void
paused_channel_reads_on_after_resume(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, false);
	chan_pause(p.b.c, true);
	chan_send_bytes(p.a.c, T_TEXT, 0, 1, "x", 1);
	rounds(&p, 3);
	assert_int_equal(p.b.got, 0);
	chan_pause(p.b.c, false);
	rounds(&p, 3);
	assert_int_equal(p.b.got, 1);
	close_pair(&p);
}

static void
wait_dispatches_what_comes_before(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, false);
	chan_send_bytes(p.a.c, T_TEXT, 0, 1, "x", 1);
	chan_send(p.a.c, T_ONCE, 0, 2, NULL, -1);
	chan_send_bytes(p.a.c, T_TEXT, 0, 3, "x", 1);
	assert_int_equal(chan_flush(p.a.c, 100), 0);
	assert_int_equal(chan_wait(p.b.c, T_ONCE, 100), 0);
	assert_int_equal(p.b.got, 2);
	rounds(&p, 2);
	assert_int_equal(p.b.got, 3);
	assert_int_equal(chan_wait(p.b.c, T_ONCE, 20), -1);
	close_pair(&p);
}

static unsigned int fired[3];

static void
fire(void *arg)
{
	fired[*(int *)arg]++;
}

static void
timers_fire_once_and_in_order(void **state)
{
	static int id[3] = { 0, 1, 2 };
	struct ev *ev = ev_new();
	struct ev_timer *t[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		t[i] = ev_timer_new(ev, fire, &id[i]);
		ev_timer_set(t[i], (uint64_t)(3 - i) * 10);
	}
	ev_timer_clear(t[1]);
	ev_run(ev);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired[1], 0);
	assert_int_equal(fired[2], 1);
	for (int i = 0; i < 3; i++)
		ev_timer_free(t[i]);
	ev_free(ev);
}

static void
sealed_memfd_is_told_from_others(void **state)
{
	int fd = fd_memfd("t", "abc", 3);
	char path[] = "/tmp/brig-test-XXXXXX";
	int plain = mkstemp(path);

	(void)state;
	assert_true(fd >= 0 && plain >= 0);
	unlink(path);
	assert_true(fd_is_sealed(fd));
	assert_false(fd_is_sealed(plain));
	assert_int_equal(write(fd, "x", 1), -1);
	close(fd);
	close(plain);
}

static void
body_of_a_secret_is_overwritten(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p, false);
	chan_send_bytes(p.a.c, T_SECRET, 0, 0, "secret", 6);
	chan_send_bytes(p.a.c, T_AFTER, 0, 0, NULL, 0);
	rounds(&p, 3);
	assert_int_equal(p.b.got, 1);
	assert_true(p.b.wiped);
	close_pair(&p);
}

/* ---- copies of a secret ------------------------------------------------ */

#define VALUE_SIZE 40u
#define MASK 0x5a
#define REGION_MAX (1UL << 30)

/* The value is nowhere but where it is sent from. */
static void
put_value(struct buf *b)
{
	for (unsigned int i = 0; i < VALUE_SIZE; i++)
		buf_put_u8(b, (uint8_t)((0x11 + 7 * i) ^ MASK));
}

static unsigned int
find_values(const uint8_t *p, size_t n)
{
	unsigned int found = 0;

	for (size_t at = 0; at + VALUE_SIZE <= n; at++) {
		unsigned int i = 0;

		while (i < VALUE_SIZE &&
		       (p[at + i] ^ MASK) == (uint8_t)(0x11 + 7 * i))
			i++;
		found += i == VALUE_SIZE;
	}
	return found;
}

/* Copies of the value in memory of no file: the heap and mappings. */
static unsigned int
copies(void)
{
	static uint8_t block[1 << 16];
	FILE *maps = fopen("/proc/self/maps", "re");
	cleanup_fd int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned int found = 0;
	char line[512], perms[5];
	unsigned long from, to;

	assert_non_null(maps);
	assert_true(mem >= 0);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %4s", &from, &to, perms) != 3 ||
		    strncmp(perms, "rw", 2) != 0 || to - from > REGION_MAX ||
		    (strchr(line, '/') != NULL))
			continue;
		while (from < to) {
			ssize_t n =
			    pread(mem, block, sizeof(block), (off_t)from);

			if (n <= (ssize_t)VALUE_SIZE)
				break;
			found += find_values(block, (size_t)n);
			/* Pieces overlap, so that none hides in between. */
			from += (size_t)n - (VALUE_SIZE - 1);
			if (from + VALUE_SIZE > to)
				break;
		}
	}
	explicit_bzero(block, sizeof(block));
	fclose(maps);
	return found;
}

static void
what_is_sent_of_a_secret_leaves_no_copy(void **state)
{
	static uint8_t text[40000];
	struct pair p;
	struct buf b;

	(void)state;
	open_pair(&p, false);
	/* What was queued before is not secret; the queue then grows, and its
	 * front is written and made use of again. */
	chan_send_bytes(p.a.c, T_TEXT, 0, 0, text, 100);
	buf_init_wipe(&b, 0);
	buf_put(&b, "secret", 6);
	put_value(&b);
	for (int i = 0; i < 30; i++) {
		chan_send(p.a.c, T_SECRET, 0, 0, &b, -1);
		chan_send_bytes(p.a.c, T_TEXT, 0, 1, text, sizeof(text));
	}
	buf_free(&b);
	assert_true(copies() >= 30);
	for (int i = 0; i < 300 && p.b.got < 31; i++)
		rounds(&p, 1);
	assert_int_equal(p.b.got, 31);
	assert_int_equal(copies(), 0);
	/* One that never goes out: the channel ends before. */
	buf_put(&b, "secret", 6);
	put_value(&b);
	chan_send(p.a.c, T_SECRET, 0, 0, &b, -1);
	buf_free(&b);
	assert_int_equal(copies(), 1);
	close_pair(&p);
	assert_int_equal(copies(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_arrive_whole_and_in_order),
		cmocka_unit_test(large_and_small_bodies_keep_their_order),
		cmocka_unit_test(descriptors_go_with_their_message),
		cmocka_unit_test(once_means_once),
		cmocka_unit_test(body_of_a_secret_is_overwritten),
		cmocka_unit_test(what_is_sent_of_a_secret_leaves_no_copy),
		cmocka_unit_test(faults_end_the_channel_once),
		cmocka_unit_test(unclaimed_descriptors_are_bounded),
		cmocka_unit_test(channel_may_be_freed_inside_a_handler),
		cmocka_unit_test(paused_channel_reads_on_after_resume),
		cmocka_unit_test(wait_dispatches_what_comes_before),
		cmocka_unit_test(timers_fire_once_and_in_order),
		cmocka_unit_test(sealed_memfd_is_told_from_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

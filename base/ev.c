#include "base/ev.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

#define ROUND_EVENTS 64
#define SIGNO_MAX 65
#define SIGNALS_AT_ONCE 8

struct ev_io {
	struct ev *ev;
	int fd;
	unsigned int events;
	ev_io_fn *fn;
	void *arg;
	struct ev_io *dead_next;
	int dead;
};

struct ev_timer {
	struct ev *ev;
	uint64_t at;
	size_t slot; /* index in the heap + 1; 0 when not armed */
	ev_fn *fn;
	void *arg;
};

struct deferred {
	ev_fn *fn; /* NULL: forgotten */
	void *arg;
};

struct ev {
	int epfd;
	int stop;
	size_t watchers;
	struct ev_io *dead; /* freed at the end of the round */
	struct ev_timer **heap;
	size_t heap_n, heap_cap;
	struct deferred *defer;
	size_t defer_n, defer_cap, defer_at;
	int sigfd;
	struct ev_io *sigio;
	sigset_t sigs;
	struct {
		ev_signal_fn *fn;
		void *arg;
	} sig[SIGNO_MAX];
};

uint64_t
ev_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct ev *
ev_new(void)
{
	struct ev *ev = xcalloc(1, sizeof(*ev));

	ev->sigfd = -1;
	sigemptyset(&ev->sigs);
	ev->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (ev->epfd < 0)
		fatal("epoll_create1");
	return ev;
}

static void
bury(struct ev *ev)
{
	while (ev->dead != NULL) {
		struct ev_io *io = ev->dead;

		ev->dead = io->dead_next;
		free(io);
	}
}

void
ev_free(struct ev *ev)
{
	if (ev == NULL)
		return;
	ev_io_free(ev->sigio);
	bury(ev);
	if (ev->sigfd >= 0)
		close(ev->sigfd);
	close(ev->epfd);
	free(ev->heap);
	free(ev->defer);
	free(ev);
}

static uint32_t
to_epoll(unsigned int events)
{
	return (events & EV_READ ? EPOLLIN : 0u) |
	       (events & EV_WRITE ? EPOLLOUT : 0u);
}

struct ev_io *
ev_io_new(struct ev *ev, int fd, unsigned int events, ev_io_fn *fn, void *arg)
{
	struct ev_io *io = xcalloc(1, sizeof(*io));
	struct epoll_event ee = { .events = to_epoll(events), .data.ptr = io };

	io->ev = ev;
	io->fd = fd;
	io->events = events;
	io->fn = fn;
	io->arg = arg;
	if (epoll_ctl(ev->epfd, EPOLL_CTL_ADD, fd, &ee) < 0)
		fatal("epoll_ctl add %d", fd);
	ev->watchers++;
	return io;
}

void
ev_io_set(struct ev_io *io, unsigned int events)
{
	struct epoll_event ee = { .events = to_epoll(events), .data.ptr = io };

	if (io->events == events)
		return;
	io->events = events;
	if (epoll_ctl(io->ev->epfd, EPOLL_CTL_MOD, io->fd, &ee) < 0)
		fatal("epoll_ctl mod %d", io->fd);
}

unsigned int
ev_io_get(const struct ev_io *io)
{
	return io->events;
}

void
ev_io_free(struct ev_io *io)
{
	if (io == NULL || io->dead)
		return;
	if (epoll_ctl(io->ev->epfd, EPOLL_CTL_DEL, io->fd, NULL) < 0)
		fatal("epoll_ctl del %d", io->fd);
	io->ev->watchers--;
	io->dead = 1;
	io->dead_next = io->ev->dead;
	io->ev->dead = io;
}

/* ---- timers: a binary heap ordered by time ---------------------------- */

static void
heap_place(struct ev *ev, size_t i, struct ev_timer *t)
{
	ev->heap[i] = t;
	t->slot = i + 1;
}

static void
heap_up(struct ev *ev, size_t i)
{
	struct ev_timer *t = ev->heap[i];

	while (i > 0 && ev->heap[(i - 1) / 2]->at > t->at) {
		heap_place(ev, i, ev->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_place(ev, i, t);
}

static void
heap_down(struct ev *ev, size_t i)
{
	struct ev_timer *t = ev->heap[i];

	for (;;) {
		size_t k = 2 * i + 1;

		if (k >= ev->heap_n)
			break;
		if (k + 1 < ev->heap_n && ev->heap[k + 1]->at < ev->heap[k]->at)
			k++;
		if (ev->heap[k]->at >= t->at)
			break;
		heap_place(ev, i, ev->heap[k]);
		i = k;
	}
	heap_place(ev, i, t);
}

struct ev_timer *
ev_timer_new(struct ev *ev, ev_fn *fn, void *arg)
{
	struct ev_timer *t = xcalloc(1, sizeof(*t));

	t->ev = ev;
	t->fn = fn;
	t->arg = arg;
	return t;
}

void
ev_timer_clear(struct ev_timer *t)
{
	struct ev *ev = t->ev;
	size_t i = t->slot;

	if (i == 0)
		return;
	t->slot = 0;
	i--;
	if (--ev->heap_n == i)
		return;
	heap_place(ev, i, ev->heap[ev->heap_n]);
	heap_down(ev, i);
	heap_up(ev, ev->heap[i]->slot - 1);
}

void
ev_timer_set(struct ev_timer *t, uint64_t ms)
{
	struct ev *ev = t->ev;

	ev_timer_clear(t);
	t->at = ev_now_ms() + ms;
	if (ev->heap_n == ev->heap_cap) {
		ev->heap_cap = ev->heap_cap == 0 ? 16 : ev->heap_cap * 2;
		ev->heap =
		    xreallocarray(ev->heap, ev->heap_cap, sizeof(*ev->heap));
	}
	heap_place(ev, ev->heap_n++, t);
	heap_up(ev, ev->heap_n - 1);
}

void
ev_timer_free(struct ev_timer *t)
{
	if (t == NULL)
		return;
	ev_timer_clear(t);
	free(t);
}

static void
run_timers(struct ev *ev)
{
	uint64_t now = ev_now_ms();

	while (ev->heap_n > 0 && ev->heap[0]->at <= now) {
		struct ev_timer *t = ev->heap[0];

		ev_timer_clear(t);
		t->fn(t->arg); /* may free t */
	}
}

/* ---- signals ----------------------------------------------------------- */

static void
on_sigfd(int fd, unsigned int events, void *arg)
{
	struct ev *ev = arg;
	struct signalfd_siginfo si[SIGNALS_AT_ONCE];
	ssize_t n;

	(void)events;
	/* What is left makes the descriptor readable again. */
	n = read(fd, si, sizeof(si));
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(si[0]); i++) {
		uint32_t signo = si[i].ssi_signo;

		if (signo < SIGNO_MAX && ev->sig[signo].fn != NULL)
			ev->sig[signo].fn((int)signo, ev->sig[signo].arg);
	}
}

void
ev_signal(struct ev *ev, int signo, ev_signal_fn *fn, void *arg)
{
	if (signo <= 0 || signo >= SIGNO_MAX)
		fatalx("ev_signal: signal %d", signo);
	ev->sig[signo].fn = fn;
	ev->sig[signo].arg = arg;
	sigaddset(&ev->sigs, signo);
	if (sigprocmask(SIG_BLOCK, &ev->sigs, NULL) < 0)
		fatal("sigprocmask");
	ev->sigfd = signalfd(ev->sigfd, &ev->sigs, SFD_CLOEXEC | SFD_NONBLOCK);
	if (ev->sigfd < 0)
		fatal("signalfd");
	if (ev->sigio == NULL) {
		ev->sigio = ev_io_new(ev, ev->sigfd, EV_READ, on_sigfd, ev);
		ev->watchers--; /* signals alone do not keep a loop alive */
	}
}

/* ---- the loop ---------------------------------------------------------- */

void
ev_defer(struct ev *ev, ev_fn *fn, void *arg)
{
	if (ev->defer_n == ev->defer_cap) {
		ev->defer_cap = ev->defer_cap == 0 ? 16 : ev->defer_cap * 2;
		ev->defer =
		    xreallocarray(ev->defer, ev->defer_cap, sizeof(*ev->defer));
	}
	ev->defer[ev->defer_n].fn = fn;
	ev->defer[ev->defer_n++].arg = arg;
}

void
ev_undefer(struct ev *ev, ev_fn *fn, void *arg)
{
	for (size_t i = ev->defer_at; i < ev->defer_n; i++)
		if (ev->defer[i].fn == fn && ev->defer[i].arg == arg)
			ev->defer[i].fn = NULL;
}

static void
run_deferred(struct ev *ev)
{
	/* Calls may defer more: those run in the same round. */
	for (ev->defer_at = 0; ev->defer_at < ev->defer_n;) {
		struct deferred d = ev->defer[ev->defer_at++];

		if (d.fn != NULL)
			d.fn(d.arg);
	}
	ev->defer_at = ev->defer_n = 0;
}

static int
wait_ms(const struct ev *ev, int timeout_ms)
{
	uint64_t now, left;

	if (ev->defer_n > 0)
		return 0;
	if (ev->heap_n == 0)
		return timeout_ms;
	now = ev_now_ms();
	left = ev->heap[0]->at > now ? ev->heap[0]->at - now : 0;
	if (left > 3600 * 1000)
		left = 3600 * 1000;
	if (timeout_ms >= 0 && (uint64_t)timeout_ms < left)
		return timeout_ms;
	return (int)left;
}

void
ev_once(struct ev *ev, int timeout_ms)
{
	struct epoll_event ee[ROUND_EVENTS];
	int n;

	n = epoll_wait(ev->epfd, ee, ROUND_EVENTS, wait_ms(ev, timeout_ms));
	if (n < 0 && errno != EINTR)
		fatal("epoll_wait");
	for (int i = 0; i < n; i++) {
		struct ev_io *io = ee[i].data.ptr;
		unsigned int events = 0;

		if (ee[i].events & EPOLLIN)
			events |= EV_READ;
		if (ee[i].events & EPOLLOUT)
			events |= EV_WRITE;
		if (ee[i].events & (EPOLLHUP | EPOLLERR))
			events |= EV_HANGUP;
		if (!io->dead)
			io->fn(io->fd, events, io->arg);
	}
	run_timers(ev);
	run_deferred(ev);
	bury(ev);
}

void
ev_run(struct ev *ev)
{
	ev->stop = 0;
	while (!ev->stop &&
	       (ev->watchers > 0 || ev->heap_n > 0 || ev->defer_n > 0))
		ev_once(ev, -1);
}

void
ev_stop(struct ev *ev)
{
	ev->stop = 1;
}

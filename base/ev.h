/*
 * Event loop: epoll, a timer heap, signalfd.  One per process, one thread.
 *
 * Handlers never block.  A handler may delete any watcher, its own included:
 * memory is released after the current round, and a deleted watcher is never
 * called again.
 */
#ifndef BRIG_EV_H
#define BRIG_EV_H

#include <stdint.h>

#define EV_READ 1u
#define EV_WRITE 2u
#define EV_HANGUP 4u /* reported only: EPOLLHUP or EPOLLERR */

struct ev;
struct ev_io;
struct ev_timer;

typedef void ev_io_fn(int fd, unsigned int events, void *arg);
typedef void ev_fn(void *arg);
typedef void ev_signal_fn(int signo, void *arg);

struct ev *ev_new(void); /* fatal() on failure */
void ev_free(struct ev *ev);
/* Run until ev_stop() or nothing is left to wait for. */
void ev_run(struct ev *ev);
/* One round; timeout_ms -1 waits.  For tests and for loops of one's own. */
void ev_once(struct ev *ev, int timeout_ms);
void ev_stop(struct ev *ev);

/* The watcher does not own fd.  events 0 is allowed (hang-up only). */
struct ev_io *ev_io_new(
    struct ev *ev, int fd, unsigned int events, ev_io_fn *fn, void *arg);
void ev_io_set(struct ev_io *io, unsigned int events);
unsigned int ev_io_get(const struct ev_io *io);
void ev_io_free(struct ev_io *io); /* before close(fd); NULL is fine */

/* One-shot, CLOCK_MONOTONIC. */
struct ev_timer *ev_timer_new(struct ev *ev, ev_fn *fn, void *arg);
void ev_timer_set(struct ev_timer *t, uint64_t ms); /* (re)arm */
void ev_timer_clear(struct ev_timer *t);
void ev_timer_free(struct ev_timer *t);

/* Blocks the signal for the process and delivers it in the loop. */
void ev_signal(struct ev *ev, int signo, ev_signal_fn *fn, void *arg);

/* Call fn(arg) once at the end of this round, in order of registration. */
void ev_defer(struct ev *ev, ev_fn *fn, void *arg);
/* Forget deferred calls with this fn and arg. */
void ev_undefer(struct ev *ev, ev_fn *fn, void *arg);

uint64_t ev_now_ms(void); /* CLOCK_MONOTONIC */

#endif

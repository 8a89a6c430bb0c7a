/*
 * The job's standard streams: between its pipes or terminal, the client that
 * started it (frames of base/attach.h) and the log of its output.  Run by the
 * shim.  The client is not trusted: a bad frame ends the attachment, never
 * the job.
 */
#ifndef BRIG_SHIM_RELAY_H
#define BRIG_SHIM_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ev.h"
#include "base/proto.h"

struct relay;

struct relay_conf {
	int client_fd;      /* stream socket; -1: nobody is attached */
	int log_fd;         /* append; -1: no log */
	uint64_t log_limit; /* bytes kept; 0: all */
	/*
	 * Our ends, non-blocking.  With a terminal in_fd and out_fd are the
	 * same descriptor (owned once) and err_fd is -1.  in_fd -1: the job
	 * has no input.
	 */
	int in_fd, out_fd, err_fd;
	bool tty;
};

struct relay_ops {
	void (*on_signal)(int signo, void *arg); /* the client's wish */
	void (*on_client_gone)(void *arg);       /* not after relay_finish() */
	void (*on_finished)(void *arg); /* all delivered, or given up */
};

/* Takes ownership of every descriptor in c. */
struct relay *relay_new(struct ev *ev, const struct relay_conf *c,
    const struct relay_ops *ops, void *arg);
void relay_free(struct relay *r);

bool relay_attached(const struct relay *r);
/* A line for the user at the client's terminal (not in the log). */
void relay_notice(struct relay *r, const char *text);
/*
 * The job has ended and nothing of it is left: deliver what it wrote and how
 * it ended, then call on_finished (after at most RELAY_LINGER_MS).
 */
#define RELAY_LINGER_MS 5000
void relay_finish(
    struct relay *r, enum exit_kind kind, uint32_t code, const char *detail);

#endif

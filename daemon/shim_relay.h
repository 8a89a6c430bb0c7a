/*
 * The job's standard streams: between its pipes or terminal, the clients that
 * are attached to it (frames of base/attach.h) and the log of its output.  Run
 * by the shim.  Clients are not trusted: a bad frame ends the attachment,
 * never the job.
 *
 * The client that started the job holds it up when it does not read, as a
 * pipe would; no other client does.  Its going away without ATTACH_DETACH is
 * a hang-up of the job; that of any other is nothing.
 */
#ifndef BRIG_SHIM_RELAY_H
#define BRIG_SHIM_RELAY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ev.h"
#include "base/proto.h"
#include "daemon/shim_log.h"

#define RELAY_WATCHERS_MAX 16u /* besides the first client */

struct relay;

struct relay_conf {
	int client_fd;      /* stream socket; -1: nobody is attached */
	uid_t uid;          /* of the submitter */
	int log_fd;         /* append; -1: no log */
	int timing_fd;      /* append; -1: no times */
	uint64_t log_limit; /* bytes kept; 0: all */
	/*
	 * Our ends, non-blocking.  With a terminal in_fd and out_fd are the
	 * same descriptor (owned once) and err_fd is -1.  in_fd -1: the job
	 * has no input.
	 */
	int in_fd, out_fd, err_fd;
	bool tty;
	uint16_t rows, cols; /* of the terminal */
};

struct relay_ops {
	void (*on_signal)(int signo, void *arg); /* a client's wish */
	void (*on_client_gone)(void *arg);       /* not after relay_finish() */
	void (*on_attended)(void *arg); /* relay_attached() has changed */
	/* The log is full; output goes to the clients alone from now on. */
	void (*on_output_cut)(const struct outlog *l, void *arg);
	/* No output will come any more; the log is complete. */
	void (*on_output_end)(const struct outlog *l, void *arg);
	void (*on_finished)(void *arg); /* all delivered, or given up */
};

/* Takes ownership of every descriptor in c. */
struct relay *relay_new(struct ev *ev, const struct relay_conf *c,
    const struct relay_ops *ops, void *arg);
void relay_free(struct relay *r);

/* One more client, who gets what the job has printed last; takes fd. */
void relay_attach(struct relay *r, int fd, uid_t uid, bool read_only);
/* Somebody is attached who may type. */
bool relay_attached(const struct relay *r);
/* A line for the users at the clients' terminals (not in the log). */
void relay_notice(struct relay *r, const char *text);
/*
 * The job has ended and nothing of it is left: deliver what it wrote and how
 * it ended, then call on_finished (after at most RELAY_LINGER_MS for the
 * first client and RELAY_WATCH_LINGER_MS for others).
 */
#define RELAY_LINGER_MS 5000
#define RELAY_WATCH_LINGER_MS 1000
void relay_finish(
    struct relay *r, enum exit_kind kind, uint32_t code, const char *detail);

#endif

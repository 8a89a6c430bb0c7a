/*
 * A user's end of a running job: the terminal or pipes on one side, frames of
 * base/attach.h on the other.  Runs in `brig run` and `brig attach`; the job
 * goes on whatever happens here.
 */
#ifndef BRIG_ATTACH_CLIENT_H
#define BRIG_ATTACH_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "daemon/detach_keys.h"

struct attach_end {
	bool known;       /* ATTACH_EXIT came, and said this */
	const char *kind; /* "code", "signal" or "brig" */
	uint32_t code;
	char detail[1024];

	bool detached; /* the user left */
	int signo;     /* a signal told us to leave */
	bool hello;    /* the shim took us (job.attach) */
	char bye[256]; /* why the shim sent us away, or "" */
};

struct attach_io {
	int sock;         /* stays the caller's */
	int in, out, err; /* normally 0, 1, 2 */
	/*
	 * The job has a pty: in is put into raw mode.  For one who watches the
	 * shim says so.
	 */
	bool tty;
	/*
	 * By job.attach: signals and the end of in are not the job's, and a
	 * watcher that leaves is nothing to it.
	 */
	bool watch;
	bool read_only;
	struct detach_keys keys; /* while in is raw */
};

/*
 * Copy until the job ends or the user leaves.  Restores the terminal on every
 * way out, a signal that ends the program included.  0 with *end, -1 with
 * err.
 */
int attach_run(
    const struct attach_io *io, struct attach_end *end, struct error *err);

#endif

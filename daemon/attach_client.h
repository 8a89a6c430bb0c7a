/*
 * The submitter's end of a running job: its terminal or pipes on one side,
 * frames of base/attach.h on the other.  Runs in `brig run`; the job goes on
 * whatever happens here.
 */
#ifndef BRIG_ATTACH_CLIENT_H
#define BRIG_ATTACH_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct attach_end {       /* what ATTACH_EXIT said */
	bool known;       /* false: the socket closed without one */
	const char *kind; /* "code", "signal" or "brig" */
	uint32_t code;
	char detail[1024];
};

struct attach_io {
	int sock;         /* stays the caller's */
	int in, out, err; /* normally 0, 1, 2 */
	bool tty;         /* the job has a pty: in is put into raw mode */
};

/*
 * Copy until the job ends.  Restores the terminal on every way out, a signal
 * that ends the program included.  0 with *end, -1 with err.
 */
int attach_run(
    const struct attach_io *io, struct attach_end *end, struct error *err);

#endif

/*
 * Frames on the socket between `brig run`/`brig attach` and the shim:
 * u8 type, u32 length (little-endian), payload of at most ATTACH_MAX bytes.
 * The shim treats the other end as a client: a bad frame ends the attachment,
 * never the job.
 */
#ifndef BRIG_ATTACH_H
#define BRIG_ATTACH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define ATTACH_MAX 32768u
#define ATTACH_HEADER 5u

enum attach_type {
	/* client -> shim */
	ATTACH_STDIN = 1, /* bytes */
	ATTACH_STDIN_EOF, /* empty */
	ATTACH_WINSIZE,   /* u16 rows, u16 columns */
	ATTACH_SIGNAL,    /* u8 signal number */
	ATTACH_DETACH,    /* empty: leaves, and the job is to go on */
	/* shim -> client */
	ATTACH_STDOUT = 16, /* bytes (all output, when on a pty) */
	ATTACH_STDERR,      /* bytes */
	ATTACH_NOTICE,      /* text for the user: "ask A-17 pending ..." */
	ATTACH_EXIT,        /* u8 enum exit_kind, u32 code, str detail */
	/* only to who came by job.attach */
	ATTACH_HELLO, /* u8 tty, u8 read-only, u16 rows, u16 columns: first */
	ATTACH_LIVE,  /* empty: what follows is being printed now */
	ATTACH_BYE,   /* text: why the shim ends this attachment */
};

/* Append one frame; n <= ATTACH_MAX. */
void attach_put(struct buf *b, enum attach_type type, const void *p, size_t n);

/*
 * Look at the first frame of b: 1 and *type, *p, *n (borrowed) when it is
 * complete, 0 when more bytes are needed, -1 when it is malformed.  Then call
 * buf_consume(b, ATTACH_HEADER + n).
 */
int attach_peek(
    const struct buf *b, enum attach_type *type, const uint8_t **p, size_t *n);

#endif

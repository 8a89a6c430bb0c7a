/*
 * The record of what was asked and said: one line of JSON for each completion,
 * append-only, each with the hash of the line before, so that an edit, a
 * removal or another order shows.  Without text: hashes and numbers, and with
 * them a completion can be proved to have been that one.  With text, the
 * tokens and all parameters too, and it can be computed again, bit for bit.
 *
 * Each line ends with ,"prev":"sha256:HEX","hash":"sha256:HEX"} where hash is
 * SHA-256(0x00 || prev as 32 bytes || the line without its hash member), as in
 * brigd's audit log; the first prev is zeros.
 *
 * What cannot be recorded is not to be answered: a line is on disk when
 * record_add() returns; after one that could not be written whole there is none
 * any more, and whoever adds one is told.  The main thread's.
 */
#ifndef BRIG_INFERD_RECORD_H
#define BRIG_INFERD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "inferd/gen.h"

#define RECORD_LINE_MAX (256u << 20)
#define RECORD_HASH 32u

struct record;

/*
 * Opens or makes the file, which is its owner's alone, and goes on with its
 * chain.  One process at a time.  NULL with err: a line that does not fit or is
 * not whole, the disk.
 */
struct record *record_open(const char *path, bool text, struct error *err);
void record_close(struct record *r); /* NULL is fine */

/* Of one completion: what its prompt is made of, and its calls. */
struct record_turn;
struct record_turn *record_turn_new(void);
void record_turn_free(struct record_turn *t); /* NULL is fine */
/* Its text is hashed, and need not stay. */
void record_turn_prompt(struct record_turn *t, const struct prompt *p);
void record_turn_event(struct record_turn *t, const struct gen_event *e);

struct record_entry {
	uint64_t time_ms; /* since 1970 */
	const char *id;   /* of the answer */
	const char *agent;
	const char *model;  /* model_id() */
	const char *kv;     /* type of keys and values, "F16" */
	const char *steer;  /* or NULL */
	const int32_t *ids; /* of the prompt */
	size_t n;
	const struct gen_params *params;
	struct chat_text schema; /* of params->grammar; empty: any object */
	const struct gen_event *end;
};

/* -1 with err: it is not there, and no other will be. */
int record_add(struct record *r, const struct record_entry *e,
    const struct record_turn *t, struct error *err);
bool record_has_failed(const struct record *r);

/* Appends the line, its newline too; prev becomes its hash. */
void record_line(const struct record_entry *e, const struct record_turn *t,
    bool text, uint8_t prev[RECORD_HASH], struct buf *out);
/*
 * Is this line (without its newline) the next of the chain?  prev becomes its
 * hash then.
 */
bool record_check(const char *line, size_t n, uint8_t prev[RECORD_HASH]);

/* A record that is read, line by line. */
struct record_reader {
	int fd;          /* borrowed, at its beginning */
	size_t line;     /* that was read; the first is 1 */
	uint64_t behind; /* bytes up to its end */
	uint8_t prev[RECORD_HASH];
	struct buf in;
	size_t taken; /* of them the last line, and its newline */
};

enum record_next {
	RECORD_LINE,    /* the next, without its newline, until the next call */
	RECORD_OVER,    /* there is none */
	RECORD_TORN,    /* the last one was not written whole */
	RECORD_CHANGED, /* not what was written there */
	RECORD_FAILED   /* errno says why it cannot be read */
};

enum record_next record_read(
    struct record_reader *r, const char **line, size_t *n);
void record_reader_free(struct record_reader *r); /* safe on a zeroed one */
#define cleanup_record_reader attr_cleanup(record_reader_free)

#endif

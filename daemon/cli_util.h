/*
 * What the commands of `brig` share: errors, options, ids, tables, times, and
 * text of agents made safe for a terminal.
 */
#ifndef BRIG_CLI_UTIL_H
#define BRIG_CLI_UTIL_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/error.h"
#include "daemon/cli.h"
#include "daemon/client.h"

/* Exit statuses of brig itself. */
#define CLI_OK 0
#define CLI_FAILED 1
#define CLI_USAGE 64 /* as in sysexits.h; 1 and 2 mean something else */
#define CLI_BRIG 125 /* run, wait: brig's own failure, not the job's */

/* "brig: " and a line on stderr; returns CLI_FAILED. */
int cli_fail(const char *fmt, ...) attr_printf(1, 2);
/* Same with "brig: CMD: ...; see 'brig CMD --help'"; returns CLI_USAGE. */
int cli_usage(const char *cmd, const char *fmt, ...) attr_printf(2, 3);

/*
 * getopt_long(3) that stops at the first operand and reports what it does not
 * know: returns '?' after the message, -1 at the end.  --help and --json are
 * added: the first prints usage and ends the program, the second sets *json.
 */
struct cli_opts {
	const char *cmd;
	const char *usage;
	const char *shorts;         /* as for getopt, without "+:" */
	const struct option *longs; /* zero-terminated, or NULL */
	bool json;
	bool permute; /* options may follow operands */
};
void cli_opts_init(struct cli_opts *o, const struct cli *cli, const char *cmd,
    const char *usage, const char *shorts, const struct option *longs);
int cli_getopt(struct cli_opts *o, int argc, char **argv);
/* No operands may be left, or exactly one; the message is printed. */
int cli_no_operand(const struct cli_opts *o, int argc, char **argv);
const char *cli_one_operand(
    const struct cli_opts *o, int argc, char **argv, const char *what);

/* Connect and call; on failure the message is printed and NULL returned. */
struct client *cli_open(const struct cli *cli);
json_t *cli_call(struct client *c, const char *op, json_t *args);
/* Connect, call, disconnect. */
json_t *cli_ask(const struct cli *cli, const char *op, json_t *args);

/* "17", "j17", "j-17" -> "j-17"; false if it is none of these. */
bool cli_job_id(const char *s, char out[24]);
bool cli_ask_id(const char *s, char out[24]);

/* Members of an object; "" and 0 when they are missing.  Borrowed. */
const char *cli_str(json_t *o, const char *key);
int64_t cli_int(json_t *o, const char *key);
/* A string member made printable; the caller frees. */
char *cli_text(json_t *o, const char *key);
/* An array of strings as one line of words, still as untrusted as they. */
char *cli_words(json_t *array);
/* "12s ago", "3m ago" ... of a unix time; "in 5m" if it is to come; "-" for
 * 0.  In a static buffer. */
const char *cli_age(int64_t when);

/* The value as indented JSON on stdout; takes the reference. */
int cli_print_json(json_t *v);

/* Exit status that stands for how a JOB ended; says on stderr what brig has
 * to say.  CLI_BRIG if it has not. */
int cli_job_status(json_t *job);
/* Of the three numbers of an exit: as in cli_job_status(). */
int cli_exit_status(const char *kind, int64_t code, const char *detail);

#define TABLE_COLUMNS 10u

struct table {
	size_t columns;
	size_t rows;
	char **cells;
};

void table_init(struct table *t, size_t columns, ...); /* the headings */
/* The next row, columns strings; they are made printable. */
void table_row(struct table *t, ...);
/* Aligned, on stdout; then freed. */
void table_print(struct table *t);
void table_free(struct table *t);

#endif

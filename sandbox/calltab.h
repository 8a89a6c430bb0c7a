/*
 * Reads syscalls.tab: which system calls a jail permits, and what the others
 * get.  Used when the filters are made (mkfilter) and by the test that
 * compares them with the table; no process of brig's reads it.
 */
#ifndef BRIG_SANDBOX_CALLTAB_H
#define BRIG_SANDBOX_CALLTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum call_column { /* in the order of the table */
	CALL_DEFAULT,
	CALL_STRICT,
	CALL_NESTED,
	CALL_COLUMNS,
};

/* An answer: an errno, or one of these. */
#define CALL_ALLOW 0
#define CALL_ARGS (-1) /* the rules decide */

#define CALL_ARGS_MAX 6u
#define CALL_CMP_MAX 3u

enum call_op {
	CALL_EQ, /* of the low 32 bits, under a mask */
	CALL_NE, /* of 64 bits */
};

struct call_cmp {
	unsigned int arg;
	enum call_op op;
	uint32_t mask; /* CALL_EQ only */
	uint32_t value;
};

struct call_rule {
	struct call_cmp cmp[CALL_CMP_MAX];
	unsigned int ncmp;
	int answer[CALL_COLUMNS];
};

struct call {
	char name[32];
	int nr[2]; /* x86-64, arm64; -1: not there */
	int answer[CALL_COLUMNS];
	struct call_rule *rules; /* nrules, in the table's order */
	size_t nrules;
	int otherwise[CALL_COLUMNS]; /* no rule: CALL_ALLOW or ENOSYS */
};

struct calltab {
	struct call *calls;
	size_t ncalls;
};

/* Read the file.  0, or -1 with err naming the line.  calltab_free() it. */
int calltab_read(struct calltab *t, const char *path, struct error *err);
void calltab_free(struct calltab *t);

/* The number on this machine; -1: not there. */
int call_nr(const struct call *c);

/* What the table says to these arguments: CALL_ALLOW or an errno. */
int call_answer(const struct call *c, enum call_column col,
    const uint64_t args[CALL_ARGS_MAX]);

#endif

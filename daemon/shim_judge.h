/*
 * Inside of the shim's exec policy: what is known about one exec, apart from
 * how the answer is waited for.
 */
#ifndef BRIG_SHIM_JUDGE_H
#define BRIG_SHIM_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "base/audit_event.h"
#include "base/buf.h"
#include "policy/policy.h"
#include "sandbox/trace.h"

#define EXEC_WORDS_MAX 32u   /* program words of one file */
#define EXEC_RISKY_MAX 64u   /* variables; more are one too many */
#define EXEC_DIGEST_SIZE 65u /* SHA-256 in hex and NUL */

/* Which file a program word stands for. */
struct identity {
	dev_t dev;
	ino_t ino;
	const char *word;
};

struct identities {
	struct identity *v;
	size_t n;
};

/* stat() the paths of the profile's program words; replaces what is there. */
void identities_load(struct identities *ids, const struct profile *pr);
void identities_free(struct identities *ids);

/*
 * The bytes of a script, and what tells that the file was touched since.  The
 * interpreter opens the script by name after all judging is done: who may
 * write to its folder can still put another in its place at that moment.
 */
struct script_sum {
	char hex[EXEC_DIGEST_SIZE]; /* "": not a script */
	dev_t dev;
	ino_t ino;
	struct timespec changed;
};

#define SCRIPT_SUM_MAX (16u * 1024 * 1024)

/*
 * The script that x, a stopped exec of one, has by name at this moment: pid
 * and execfn are looked at.  -1: gone, no ordinary file, or longer than
 * SCRIPT_SUM_MAX.
 */
int script_sum_get(
    struct script_sum *sum, const struct trace_exec *x, int proc_fd);
bool script_sum_same(const struct script_sum *a, const struct script_sum *b);

/* The exec as the policy is asked about it. */
struct exec_facts {
	const struct trace_exec *x;
	struct exec_request rq;
	char *script;          /* owned */
	struct script_sum sum; /* of a script that is asked about */
	const char *words[EXEC_WORDS_MAX];
	const char *script_words[EXEC_WORDS_MAX];
	const char *risky[EXEC_RISKY_MAX];  /* names */
	char *names[EXEC_RISKY_MAX];        /* owned */
	const char *values[EXEC_RISKY_MAX]; /* "NAME=value", borrowed */
};

/*
 * env: the job's baseline.  pr: whose settings let variables be.  proc_fd:
 * /proc, to name the script.  x is borrowed for the life of f.
 */
void exec_facts_init(struct exec_facts *f, const struct trace_exec *x,
    const struct identities *ids, char *const *env, const struct profile *pr,
    int proc_fd);
void exec_facts_free(struct exec_facts *f);
/* Names the exact bytes judged: executable, arguments, directory, ... */
void exec_facts_digest(const struct exec_facts *f, char out[EXEC_DIGEST_SIZE]);
/* Body of M_ASK, limited to what one message holds. */
void exec_facts_ask(const struct exec_facts *f, const struct decision *d,
    uint32_t timeout_s, struct buf *b);
/*
 * The fields obj.* and pol.* of an "exec.decide" event: the same for the same
 * execution.
 */
void exec_facts_audit(
    const struct exec_facts *f, const struct decision *d, struct audit_ev *e);

#endif

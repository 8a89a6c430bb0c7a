/*
 * What surrounds a brig-shim under test: this program plays its parent,
 * control, audit and client, and keeps what it is told.
 */
#ifndef BRIG_TESTS_SHIM_WORLD_H
#define BRIG_TESTS_SHIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attach.h"
#include "base/buf.h"
#include "base/ev.h"
#include "base/msg.h"
#include "base/proto.h"
#include "tests/jail/bound.h"

#define JOB 7
#define JOB_UID 64950
#define LIMIT_MS (1000 * bound(120))

struct world {
	struct ev *ev;
	pid_t pid;
	struct chan *parent, *control, *audit;
	bool want_audit, want_control, ack;
	int client, log;
	struct buf in; /* from the shim, frames */
	struct buf out, err, notices;
	unsigned int captures;
	pid_t init;
	char running[64];
	bool exited;
	uint8_t kind;
	uint32_t code;
	char detail[512];
	bool attach_exit;
	uint8_t attach_kind;
	uint32_t attach_code;
	unsigned int n101, n102, n401, cuts;
	uint64_t repeats, merged; /* told by EX104, of them by program */
	struct buf argv;          /* of the last event, spaces between */
	char by[32];
	uint32_t ask; /* serial of the open ask */
	struct buf ask_lines;
	char ask_rule[128], ask_name[64];
	bool ask_cancelled;
	bool attended; /* as the shim told control last */
	char *const *env;
	bool tty;
	uint64_t deadline;
};

extern const struct msg_rule to_control[3];

void world_init(struct world *w);
void put_peer(struct world *w, enum role role, struct chan **c,
    const struct msg_rule *rules, size_t n);
void put_policy(struct world *w, const char *text);
void launch(struct world *w, const char *profile, char **argv, bool attach);
void launch_sh(
    struct world *w, const char *profile, const char *script, bool attach);
void step(struct world *w);
void until_exit(struct world *w);
void type_in(struct world *w, enum attach_type type, const void *p, size_t n);
char *text_of(const struct buf *b);
void expect_text(const struct buf *b, const char *want);
void expect_in(const struct buf *b, const char *want);
void expect_exit(struct world *w, enum exit_kind kind, uint32_t code);
void world_end(struct world *w);
void answer(struct world *w, bool allow);

#endif

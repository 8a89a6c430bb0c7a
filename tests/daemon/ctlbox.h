/*
 * A control process in a box: the test plays its parent, audit, keyd and one
 * shim, and any number of clients.  Run by tests only.
 */
#ifndef BRIG_TEST_CTLBOX_H
#define BRIG_TEST_CTLBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/ev.h"
#include "base/msg.h"
#include "base/proto.h"

#define BOX_JOB 41u /* job of the played shim */
#define BOX_EVENTS_MAX 64u

struct box {
	char dir[64];
	struct ev *ev;
	pid_t pid;
	int listen_fd;
	struct chan *parent, *audit, *keyd, *shim;
	bool ready;

	/* What the played ones saw. */
	char codes[BOX_EVENTS_MAX][8]; /* audit events, in order */
	size_t ncodes;
	uint32_t started; /* job of the last M_JOB_START */
	unsigned int starts;
	uint8_t kill_signal;
	unsigned int stagings; /* M_STAGE_START that nobody answers */
	char ask_id[32];
	unsigned int opened, answered;
	bool allowed;
	size_t codes_at_answer; /* audit events before the answer */
	char answer_text[256];

	bool audit_refuses; /* played audit: cannot write */
	bool audit_silent;  /* does not answer */
};

/* In a fresh directory, or (again) in the old one with its data base. */
int box_start(struct box *b, bool again);
/* End the control process only. */
void box_stop(struct box *b);
void box_free(struct box *b);
/* Run the loop for ms. */
void box_spin(struct box *b, int ms);
/* Until *flag counts up to want, at most 3 s; false: it did not. */
bool box_until(struct box *b, const unsigned int *flag, unsigned int want);

/* Connect as uid (0: as we are), -1 if refused. */
int box_connect(struct box *b, uid_t uid);
/* Send bytes with descriptors. */
void box_send(int fd, const void *p, size_t n, const int *fds, size_t nfds);
/* Next line of a reply parsed, NULL at the end of the connection. */
json_t *box_reply(struct box *b, int fd);
/* One request as text, one reply. */
json_t *box_call(struct box *b, int fd, const char *line);
/* Code of the error in reply ("" if ok), which is then freed. */
const char *box_error(json_t *reply);
/* True if the connection has been closed by the other end. */
bool box_closed(struct box *b, int fd);

void box_ask(struct box *b, uint32_t serial, uint32_t timeout);
void box_ask_cancel(struct box *b, uint32_t serial);
void box_job_state(struct box *b, uint32_t job, enum job_state state);
/* A late answer of a silent audit. */
void box_audit_ack(struct box *b, uint32_t serial);
void box_sync(struct box *b);

#endif

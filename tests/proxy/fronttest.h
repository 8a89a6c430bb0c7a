/*
 * A front process in a child, with the test as its parent, back, keyd and
 * agent.  Everything here blocks, with a time-out, and fails the test on any
 * surprise.
 */
#ifndef BRIG_TESTS_FRONTTEST_H
#define BRIG_TESTS_FRONTTEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/proto.h"
#include "proxy/wire.h"

#define JOB 7u

struct ft {
	pid_t pid;
	int parent, back, keyd; /* our ends */
	uint16_t port, dns_port;
};

struct ft_msg {
	uint16_t type;
	uint32_t serial;
	struct buf body;
};

/* Start it, with back and keyd up, and a plain listener on loopback. */
void ft_start(struct ft *t);
/* Tell it to stop, and check that it exits with 0. */
void ft_stop(struct ft *t);
void ft_new_back(struct ft *t);
void ft_new_keyd(struct ft *t);
/* Hand it a descriptor of ours (kept). */
void ft_give(struct ft *t, enum capture_fd which, int fd);

void ft_send(
    int sock, uint16_t type, uint32_t serial, const struct buf *b, int fd);
void ft_send_str(int sock, uint16_t type, uint32_t serial, const char *s);
void ft_send_u32(int sock, uint16_t type, uint32_t serial, uint32_t v);
/* The next message, or one of that type.  Free with buf_free(&m->body). */
void ft_next(int sock, struct ft_msg *m);
void ft_expect(int sock, uint16_t type, struct ft_msg *m);
/* True if a message comes within ms. */
bool ft_waiting(int sock, int ms);

/* The next request: head (free it), checked for method and target. */
uint32_t ft_request(
    struct ft *t, struct req_head *h, const char *method, const char *target);
/* Same without a body: head and end; returns the serial. */
uint32_t ft_get(struct ft *t, const char *target);
/* Answer: head, and for a body of known length the whole exchange. */
void ft_rsp_head(struct ft *t, uint32_t serial, unsigned int status,
    enum body_kind kind, uint64_t length);
void ft_rsp_body(struct ft *t, uint32_t serial, const char *s);
void ft_rsp_end(struct ft *t, uint32_t serial);
void ft_rsp(struct ft *t, uint32_t serial, const char *body);
/* An event of that kind whose text holds s. */
void ft_event(struct ft *t, enum front_event kind, const char *s);

/* The agent. */
int ft_connect(struct ft *t);
void ft_write(int sock, const char *s);
/* Reads until what came ends in s; the text must equal want if not NULL. */
void ft_read_until(int sock, const char *s, char *text, size_t size);
/* All until end of file; -1 if the connection was reset. */
int ft_read_all(int sock, char *text, size_t size);

#endif

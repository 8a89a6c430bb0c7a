/*
 * The `brig` program with the test as its daemon: starts it, answers its
 * requests, plays the shim's end of the attach socket.
 */
#ifndef BRIG_TEST_BRIG_PLAY_H
#define BRIG_TEST_BRIG_PLAY_H

/* cmocka.h wants these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/attach.h"
#include "base/fdutil.h"
#include "base/proto.h"

struct brig {
	pid_t pid;
	int in, out, err;     /* our ends */
	int conn;             /* its connection */
	int fds[FD_PASS_MAX]; /* that came with the last request */
	size_t nfds;
	json_int_t id;
	struct buf rx; /* of the attach socket */
};

/* A folder of the test; the program; where it connects to. */
extern char brig_dir[];
extern char *brig_program;
extern int brig_listener;

/* Of cmocka_run_group_tests(). */
int brig_group_setup(void **state);
int brig_group_teardown(void **state);

/* argv without argv[0], NULL-terminated, at most 15. */
void brig_start(struct brig *b, const char *const *args);
/* Everything it wrote (either may be NULL; else to be freed); its status. */
int brig_finish(struct brig *b, char **out, char **err);
void brig_wait_readable(int fd);

/* The next request, whose op must be op. */
json_t *brig_expect(struct brig *b, const char *op);
void brig_reply(struct brig *b, const char *result);
void brig_reply_fd(struct brig *b, const char *result, int fd);
void brig_refuse(struct brig *b, const char *code);

/* Answer job.run; returns the attach socket. */
int brig_run_started(struct brig *b);
void brig_put_frame(int sock, enum attach_type type, const void *p, size_t n);
void brig_put_exit(
    int sock, enum exit_kind kind, uint32_t code, const char *detail);
/* The next frame from brig must be this type; its payload as a string. */
char *brig_get_frame(struct brig *b, int sock, enum attach_type want);

#endif

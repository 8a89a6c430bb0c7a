/*
 * Dials of the process itself to origins in children on loopback, for
 * test_dial*.c.
 */
#ifndef BRIG_TESTS_DIAL_WORLD_H
#define BRIG_TESTS_DIAL_WORLD_H

#include <sys/types.h>

#include "proxy/dial.h"
#include "proxy/mint.h"

#define HOST "api.example"

extern struct ev *ev;
extern struct mint *mint, *stranger; /* trusted, not trusted */
extern struct secret *alice, *bob;   /* client certificates */

struct got {
	bool over;
	bool ok;
	int fd;
	struct tls *t;
	bool h2;
	enum upstream_fail how;
	char why[512];
};

extern const struct dial_ops world_ops; /* arg is a struct got */

int world_setup(void **state);
int world_teardown(void **state);

/* Until g is over or the time is. */
void world_run(struct got *g, unsigned int ms);
/* A whole dial. */
struct got world_dial(struct dialer *d, const struct dial_opts *o);
void got_free(struct got *g);
/* All that the peer sends until it closes. */
void got_rest(struct got *g, char *text, size_t size);

struct netaddr world_addr(const char *s);
/* port 0: any, and told. */
int world_listener(const char *ip, uint16_t *port, int backlog);
/* fork() that does not outlive the test; world_reap() ends it. */
pid_t world_child(void);
void world_reap(pid_t pid);

struct origin {
	bool tls12;
	bool h2;
	bool wants_client;
	struct mint *ca; /* NULL: mint */
};

/* Says on each connection whether it was resumed and who the client is. */
pid_t world_origin(const struct origin *o, uint16_t *port);
void world_origin_main(int lfd, const struct origin *o)
    __attribute__((noreturn));

/* A dialer that trusts mint. */
struct dialer *world_dialer(void);
void world_dialer_end(struct dialer *d);
int world_roots_fd(struct mint *m); /* their PEM in a memfd */

#endif

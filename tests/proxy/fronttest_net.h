/*
 * A front of tests/proxy/fronttest.h behind the real capture sockets, in a
 * network namespace of the test's own.
 */
#ifndef BRIG_TESTS_FRONTTEST_NET_H
#define BRIG_TESTS_FRONTTEST_NET_H

#include <netinet/in.h>

#include "sandbox/capture.h"
#include "tests/proxy/fronttest.h"

extern struct ft ftn;
extern struct capture ftn_capture;

/* cmocka group fixtures. */
int ftn_setup(void **state);
int ftn_teardown(void **state);
/* Skips the case where there is no capture. */
void ftn_need(void);
/* Connected, with a time-out for reading. */
int ftn_dial(int type, const char *addr, uint16_t port);
/* Ask a server for x.example; the address, as text. */
void ftn_resolve(const char *server, bool v6, char out[INET6_ADDRSTRLEN]);

#endif

/*
 * The SSH agent of a job, an exchange like a connection, but to keyd.
 */
#ifndef BRIG_PROXY_BACK_SSH_H
#define BRIG_PROXY_BACK_SSH_H

#include "proxy/back_raw.h"

#define RAW_AGENT "ssh-agent"

struct ssh *ssh_new(void);
void ssh_free(struct ssh *s);
/* Answer what x->req holds; false: the exchange has ended. */
bool ssh_work(struct raw *r);
/* keyd has not answered. */
void ssh_timed_out(struct raw *r);
int back_on_ssh_keys(struct chan *c, struct msg *m, void *ctx);
int back_on_ssh_signed(struct chan *c, struct msg *m, void *ctx);

#endif

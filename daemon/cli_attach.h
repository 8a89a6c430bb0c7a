/*
 * What brig run and brig attach share: staying with a job to its end, and
 * saying how that went.
 */
#ifndef BRIG_CLI_ATTACH_H
#define BRIG_CLI_ATTACH_H

#include "daemon/attach_client.h"
#include "daemon/client.h"

/* A pair for the descriptor "attach" of a request; -1 after a message. */
int cli_attach_pair(const char *cmd, int *mine, int *theirs);
/* --detach-keys: 0, or -1 after a message. */
int cli_attach_keys(
    const char *cmd, const char *text, struct detach_keys *keys);
/*
 * Stay with job id; the exit status for the user.  The standard descriptors
 * are filled in.  CLI_ATTACH_LATE: the job ended before we were attached.
 */
#define CLI_ATTACH_LATE (-1)
int cli_attach_stay(struct client *c, const char *id, struct attach_io *io);

#endif

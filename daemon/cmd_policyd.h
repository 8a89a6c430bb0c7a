/*
 * `brig policy`: reload and show go to the daemon, the rest to cmd_policy().
 */
#ifndef BRIG_CMD_POLICYD_H
#define BRIG_CMD_POLICYD_H

#include "daemon/cli.h"

int cmd_policyd(const struct cli *cli, int argc, char **argv);

#endif

/*
 * The `brig` command: one function per word, each in its own cmd_*.c.
 * argv[0] is the command word itself.  Each returns the exit status.
 */
#ifndef BRIG_CLI_H
#define BRIG_CLI_H

#include <stdbool.h>

struct cli {
	const char *socket; /* --socket, BRIG_SOCKET or the default */
	bool json;          /* --json */
};

int cmd_run(const struct cli *cli, int argc, char **argv);
int cmd_submit(const struct cli *cli, int argc, char **argv);
int cmd_ps(const struct cli *cli, int argc, char **argv);
int cmd_show(const struct cli *cli, int argc, char **argv);
int cmd_logs(const struct cli *cli, int argc, char **argv);
int cmd_attach(const struct cli *cli, int argc, char **argv);
int cmd_replay(const struct cli *cli, int argc, char **argv);
int cmd_wait(const struct cli *cli, int argc, char **argv);
int cmd_kill(const struct cli *cli, int argc, char **argv);
int cmd_pause(const struct cli *cli, int argc, char **argv);
int cmd_resume(const struct cli *cli, int argc, char **argv);
int cmd_diff(const struct cli *cli, int argc, char **argv);
int cmd_apply(const struct cli *cli, int argc, char **argv);
int cmd_discard(const struct cli *cli, int argc, char **argv);
int cmd_ca(const struct cli *cli, int argc, char **argv);
int cmd_home(const struct cli *cli, int argc, char **argv);
int cmd_secret(const struct cli *cli, int argc, char **argv);
int cmd_policy(const struct cli *cli, int argc, char **argv);
int cmd_asks(const struct cli *cli, int argc, char **argv);
int cmd_approve(const struct cli *cli, int argc, char **argv);
int cmd_deny(const struct cli *cli, int argc, char **argv);
int cmd_audit(const struct cli *cli, int argc, char **argv);
int cmd_status(const struct cli *cli, int argc, char **argv);
int cmd_doctor(const struct cli *cli, int argc, char **argv);

#endif

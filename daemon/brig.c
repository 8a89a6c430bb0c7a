/*
 * The `brig` command: picks the word and calls its function.  Runs with the
 * rights of whoever typed it; what they may do is for brigd to say.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/cli.h"
#include "daemon/cli_util.h"
#include "daemon/cmd_policyd.h"

static const struct {
	const char *name;
	int (*fn)(const struct cli *cli, int argc, char **argv);
	const char *help;
} commands[] = {
	{ "run", cmd_run, "run a command as a jailed job" },
	{ "submit", cmd_submit, "the same, without waiting for it" },
	{ "ps", cmd_ps, "list jobs" },
	{ "show", cmd_show, "show a job" },
	{ "logs", cmd_logs, "print the output of a job" },
	{ "attach", cmd_attach, "come to a running job" },
	{ "replay", cmd_replay, "play the output of a job again" },
	{ "wait", cmd_wait, "wait for the end of a job" },
	{ "kill", cmd_kill, "send a signal to a job" },
	{ "pause", cmd_pause, "stop a job where it is" },
	{ "resume", cmd_resume, "let a paused job go on" },
	{ "diff", cmd_diff, "show what a job staged" },
	{ "apply", cmd_apply, "land what a job staged" },
	{ "discard", cmd_discard, "throw away what a job staged" },
	{ "asks", cmd_asks, "list what waits for an answer" },
	{ "approve", cmd_approve, "allow what was asked" },
	{ "deny", cmd_deny, "refuse what was asked" },
	{ "ca", cmd_ca, "show and rotate the CA that jobs trust" },
	{ "home", cmd_home, "list and remove homes that jobs keep" },
	{ "secret", cmd_secret, "add, list, rotate and remove secrets" },
	{ "policy", cmd_policyd, "check, test, explain, show, reload policy" },
	{ "audit", cmd_audit, "read and verify the audit log" },
	{ "status", cmd_status, "show the daemon and its processes" },
	{ "doctor", cmd_doctor, "say what this host can and cannot do" },
};

static void
print_help(FILE *to)
{
	fputs("usage: brig [--socket PATH] [--json] COMMAND [ARGUMENT]...\n\n",
	    to);
	for (size_t i = 0; i < nitems(commands); i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\n'brig COMMAND --help' tells more; see also brig(1).\n", to);
}

/* Options before the command; the rest begins at optind.  0, or an exit
 * status + 1. */
static int
parse_global(struct cli *cli, int argc, char **argv)
{
	enum {
		OPT_SOCKET = 1,
		OPT_JSON,
		OPT_VERSION
	};
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, OPT_SOCKET },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:h", longs, NULL)) != -1) {
		switch (c) {
		case OPT_SOCKET:
			cli->socket = optarg;
			break;
		case OPT_JSON:
			cli->json = true;
			break;
		case OPT_VERSION:
			puts(PACKAGE_STRING);
			return CLI_OK + 1;
		case 'h':
			print_help(stdout);
			return CLI_OK + 1;
		default:
			cli_fail("%s; see 'brig --help'",
			    c == ':' ? "an option needs a value"
				     : "unknown option");
			return CLI_USAGE + 1;
		}
	}
	return 0;
}

static int
dispatch(const struct cli *cli, int argc, char **argv)
{
	cleanup_free char *safe = NULL;

	if (str_eq(argv[0], "help")) {
		/* brig help COMMAND is brig COMMAND --help. */
		static char flag[] = "--help";
		char *args[] = { argc > 1 ? argv[1] : NULL, flag, NULL };

		if (argc > 1 && !str_eq(argv[1], "help"))
			return dispatch(cli, 2, args);
		print_help(stdout);
		return CLI_OK;
	}
	for (size_t i = 0; i < nitems(commands); i++) {
		if (str_eq(argv[0], commands[i].name))
			return commands[i].fn(cli, argc, argv);
	}
	safe = str_escape(argv[0], strlen(argv[0]));
	cli_fail("unknown command %s; see 'brig --help'", safe);
	return CLI_USAGE;
}

int
main(int argc, char **argv)
{
	const char *path = getenv("BRIG_SOCKET");
	struct cli cli = {
		.socket = path != NULL && *path != '\0' ? path : CLIENT_SOCKET
	};
	int rv;

	/* UTF-8 is assumed everywhere; the locale changes nothing. */
	log_init("brig", LOG_LEVEL_WARN);
	if ((rv = parse_global(&cli, argc, argv)) != 0)
		return rv - 1;
	if (optind == argc) {
		print_help(stderr);
		return CLI_USAGE;
	}
	return dispatch(&cli, argc - optind, argv + optind);
}

/*
 * brig ca: the CA under which jobs see what they connect to.
 */
#include "daemon/cli.h"

#include <stdio.h>

#include "base/str.h"
#include "daemon/cli_util.h"

static const char usage[] =
    "usage: brig ca show [--json]\n"
    "       brig ca rotate\n"
    "show prints the certificates that jobs trust: the CA in use, and the one\n"
    "that rotate puts in its place.\n";

int
cmd_ca(const struct cli *cli, int argc, char **argv)
{
	struct cli_opts o;
	const char *word;
	json_t *r;
	bool rotate;
	int c;

	cli_opts_init(&o, cli, "ca", usage, "", NULL);
	o.permute = true;
	while ((c = cli_getopt(&o, argc, argv)) != -1)
		return CLI_USAGE;
	word = optind < argc ? argv[optind++] : "";
	rotate = str_eq(word, "rotate");
	if (!rotate && !str_eq(word, "show"))
		return cli_usage("ca", "say show or rotate");
	if (cli_no_operand(&o, argc, argv) < 0)
		return CLI_USAGE;
	r = cli_ask(cli, rotate ? "ca.rotate" : "ca.show", json_object());
	if (r == NULL)
		return CLI_FAILED;
	if (o.json || cli->json)
		return cli_print_json(r);
	if (rotate)
		puts("The next CA is in use.  Jobs that run go on; those that "
		     "were started before\nthe last rotation have to be "
		     "started again.");
	else
		fputs(cli_str(r, "pem"), stdout);
	json_decref(r);
	return CLI_OK;
}

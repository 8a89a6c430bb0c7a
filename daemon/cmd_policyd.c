/*
 * brig policy reload, show: the policy that brigd has in force.  The other
 * words work on files and need no daemon (cmd_policy()).
 */
#include "daemon/cmd_policyd.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "daemon/cli_util.h"

static const char reload_usage[] = "usage: brig policy reload [--json]\n"
				   "Have brigd read its policy files again.  A "
				   "mistake in them changes nothing.\n";

static const char show_usage[] = "usage: brig policy show [--json]\n"
				 "Show the policy in force.\n";

/*
 * Diagnostics span lines and quote policy files: each line is made printable
 * on its own.
 */
static void
print_text(const char *text, FILE *to)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		cleanup_free char *safe = str_escape(text, n);

		fprintf(to, "%s\n", safe);
		text += n + (text[n] == '\n');
	}
}

static int
reload(const struct cli *cli, int argc, char **argv)
{
	cleanup_client struct client *c = NULL;
	struct error err = { 0 };
	struct cli_opts o;
	json_t *r;

	cli_opts_init(&o, cli, "policy", reload_usage, "", NULL);
	if (cli_getopt(&o, argc, argv) != -1 ||
	    cli_no_operand(&o, argc, argv) < 0)
		return CLI_USAGE;
	if ((c = cli_open(cli)) == NULL)
		return CLI_FAILED;
	if ((r = client_call(c, "policy.reload", NULL, &err)) == NULL) {
		/* Diagnostics are lines of their own. */
		if (c->refusal == NULL || strchr(c->refusal, '\n') == NULL)
			return cli_fail("%s", err.msg);
		print_text(c->refusal, stderr);
		return cli_fail("policy reload: the policy in force is the "
				"one before; correct the above and reload");
	}
	if (o.json)
		return cli_print_json(r);
	print_text(cli_str(r, "text"), stdout);
	printf("generation %" PRId64 "\n", cli_int(r, "generation"));
	json_decref(r);
	return CLI_OK;
}

static int
show(const struct cli *cli, int argc, char **argv)
{
	struct cli_opts o;
	json_t *r;

	cli_opts_init(&o, cli, "policy", show_usage, "", NULL);
	if (cli_getopt(&o, argc, argv) != -1 ||
	    cli_no_operand(&o, argc, argv) < 0)
		return CLI_USAGE;
	if ((r = cli_ask(cli, "policy.show", NULL)) == NULL)
		return CLI_FAILED;
	if (o.json)
		return cli_print_json(r);

	cleanup_free char *print = cli_text(r, "fingerprint");
	cleanup_free char *names = cli_words(json_object_get(r, "profiles"));
	cleanup_free char *safe = str_escape(names, strlen(names));
	printf("generation  %" PRId64 "\nfingerprint %s\nprofiles    %s\n",
	    cli_int(r, "generation"), print, safe);
	json_decref(r);
	return CLI_OK;
}

int
cmd_policyd(const struct cli *cli, int argc, char **argv)
{
	if (argc > 1 && str_eq(argv[1], "reload"))
		return reload(cli, argc - 1, argv + 1);
	if (argc > 1 && str_eq(argv[1], "show"))
		return show(cli, argc - 1, argv + 1);
	return cmd_policy(cli, argc, argv);
}

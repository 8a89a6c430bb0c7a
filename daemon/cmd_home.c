/*
 * brig home: what jobs have kept of their homes.
 */
#include "daemon/cli.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/proto.h"
#include "base/str.h"
#include "daemon/cli_util.h"

static const char usage[] =
    "usage: brig home list [-u UID] [--json]\n"
    "       brig home rm [-u UID] NAME...\n"
    "List and remove the homes that jobs keep (`sandbox home keep NAME`).\n"
    "  -u, --user UID  those of that user; for root and the admin group\n";

static char *
size_text(int64_t n)
{
	static const char units[] = "KMGT";
	size_t i = 0;
	double v = (double)n / 1024;

	for (; v >= 1024 && i + 2 < sizeof(units); i++)
		v /= 1024;
	return xasprintf("%.1f%c", v, units[i]);
}

static int
list(const struct cli *cli, json_t *args, bool json)
{
	json_t *r = cli_ask(cli, "home.list", args), *h;
	struct table t;
	size_t i;

	if (r == NULL)
		return CLI_FAILED;
	if (json)
		return cli_print_json(r);
	table_init(&t, 5, "NAME", "USED", "SIZE", "WRITTEN", "STATE");
	json_array_foreach(json_object_get(r, "homes"), i, h)
	{
		cleanup_free char *used = size_text(cli_int(h, "used"));
		cleanup_free char *size = size_text(cli_int(h, "size"));

		table_row(&t, cli_str(h, "name"), used, size,
		    cli_age(cli_int(h, "written")),
		    json_is_true(json_object_get(h, "in_use")) ? "in use"
							       : "free");
	}
	table_print(&t);
	json_decref(r);
	return CLI_OK;
}

static int
rm(const struct cli *cli, json_t *args, int argc, char **argv)
{
	cleanup_client struct client *cl = NULL;
	int rv = CLI_OK;

	if (argc == 0)
		return cli_usage("home", "NAME is missing");
	for (int i = 0; i < argc; i++)
		if (!str_is_name(argv[i], P_NAME_MAX))
			return cli_usage("home",
			    "NAME is letters, digits, dots, hyphens and "
			    "underscores");
	if ((cl = cli_open(cli)) == NULL)
		return CLI_FAILED;
	for (int i = 0; i < argc; i++) {
		json_t *one = json_copy(args), *r;

		json_object_set_new(one, "name", json_string(argv[i]));
		r = cli_call(cl, "home.rm", one);
		if (r == NULL)
			rv = CLI_FAILED;
		json_decref(r);
	}
	return rv;
}

int
cmd_home(const struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "user", required_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	struct cli_opts o;
	const char *word;
	uint64_t uid;
	json_t *args;
	int c, rv;

	cli_opts_init(&o, cli, "home", usage, "u:", longs);
	o.permute = true;
	args = json_object();
	while ((c = cli_getopt(&o, argc, argv)) != -1) {
		if (c != 'u' ||
		    str_to_u64(optarg, 0, UINT32_MAX - 1, &uid) < 0) {
			json_decref(args);
			return c != 'u' ? CLI_USAGE
					: cli_usage("home", "UID is a number");
		}
		json_object_set_new(args, "uid", json_integer((json_int_t)uid));
	}
	word = optind < argc ? argv[optind++] : "";
	if (str_eq(word, "list"))
		rv = cli_no_operand(&o, argc, argv) < 0
			 ? CLI_USAGE
			 : list(cli, json_incref(args), o.json || cli->json);
	else if (str_eq(word, "rm"))
		rv = rm(cli, args, argc - optind, argv + optind);
	else
		rv = cli_usage("home", "say list or rm");
	json_decref(args);
	return rv;
}

/*
 * brig asks, approve, deny: what waits for a person.
 */
#include "daemon/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "daemon/cli_util.h"

static const char asks_usage[] =
    "usage: brig asks [-a] [--json]\n"
    "List what waits for an answer.\n"
    "  -a, --all   those that have been answered too\n"
    "      --json  as JSON\n";

static const char approve_usage[] =
    "usage: brig approve [-m TEXT] ID\n"
    "Allow what ask ID is about, once.\n"
    "  -m, --message TEXT  kept in the audit log\n";

static const char deny_usage[] =
    "usage: brig deny [-m TEXT] ID\n"
    "Refuse what ask ID is about.\n"
    "  -m, --message TEXT  shown to the agent, and kept in the audit log\n";

static void
put_text(const char *before, json_t *o, const char *key)
{
	cleanup_free char *s = cli_text(o, key);

	if (*s != '\0')
		printf("%s%s", before, s);
}

static void
print_ask(json_t *ask)
{
	json_t *line;
	size_t i;

	put_text("", ask, "id");
	put_text("  ", ask, "state");
	put_text("  job ", ask, "job");
	put_text("  ", ask, "class");
	if (str_eq(cli_str(ask, "state"), "pending"))
		printf("  expires %s\n", cli_age(cli_int(ask, "expires")));
	else {
		printf("  %s", cli_age(cli_int(ask, "answered")));
		put_text(" by ", ask, "by");
		put_text(": ", ask, "message");
		putchar('\n');
	}
	/* What an agent wants, line by line, marked as its words. */
	json_array_foreach(json_object_get(ask, "lines"), i, line)
	{
		cleanup_free char *s =
		    json_is_string(line)
			? str_escape_again(
			      json_string_value(line), json_string_length(line))
			: xstrdup("?");

		printf("  | %s\n", s);
	}
	put_text("  rule ", ask, "rule");
	put_text(" ", ask, "name");
	put_text(": ", ask, "because");
	putchar('\n');
}

int
cmd_asks(const struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "all", no_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	struct cli_opts o;
	bool all = false;
	json_t *r, *ask;
	size_t i;
	int c;

	cli_opts_init(&o, cli, "asks", asks_usage, "a", longs);
	o.permute = true;
	while ((c = cli_getopt(&o, argc, argv)) != -1) {
		if (c != 'a')
			return CLI_USAGE;
		all = true;
	}
	if (cli_no_operand(&o, argc, argv) < 0)
		return CLI_USAGE;
	r = cli_ask(cli, "ask.list", json_pack("{s:b}", "all", all));
	if (r == NULL)
		return CLI_FAILED;
	if (o.json)
		return cli_print_json(r);
	json_array_foreach(json_object_get(r, "asks"), i, ask) print_ask(ask);
	json_decref(r);
	return CLI_OK;
}

static int
answer(const struct cli *cli, const char *cmd, const char *usage, bool allow,
    int argc, char **argv)
{
	static const struct option longs[] = {
		{ "message", required_argument, NULL, 'm' },
		{ NULL, 0, NULL, 0 },
	};
	const char *id, *text = NULL;
	struct cli_opts o;
	json_t *args, *r;
	char full[24];
	int c;

	cli_opts_init(&o, cli, cmd, usage, "m:", longs);
	o.permute = true;
	while ((c = cli_getopt(&o, argc, argv)) != -1) {
		if (c != 'm')
			return CLI_USAGE;
		text = optarg;
	}
	if ((id = cli_one_operand(&o, argc, argv, "ID")) == NULL)
		return CLI_USAGE;
	if (!cli_ask_id(id, full))
		return cli_usage(cmd, "ID is like A-17 or 17");
	if (text != NULL && !str_is_utf8(text, strlen(text)))
		return cli_usage(cmd, "TEXT is not UTF-8");
	args = json_pack("{s:s,s:b}", "ask", full, "allow", allow);
	if (text != NULL)
		json_object_set_new(args, "message", json_string(text));
	r = cli_ask(cli, "ask.answer", args);
	if (r == NULL)
		return CLI_FAILED;
	if (o.json)
		return cli_print_json(r);
	printf("%s %s\n", full, allow ? "allowed" : "denied");
	json_decref(r);
	return CLI_OK;
}

int
cmd_approve(const struct cli *cli, int argc, char **argv)
{
	return answer(cli, "approve", approve_usage, true, argc, argv);
}

int
cmd_deny(const struct cli *cli, int argc, char **argv)
{
	return answer(cli, "deny", deny_usage, false, argc, argv);
}

/*
 * brig doctor: what this host can do for a jail, and whether brigd answers.
 * Changes nothing.
 */
#include "daemon/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "daemon/cli_util.h"
#include "sandbox/doctor.h"

static const char usage[] =
    "usage: brig doctor [-w DIR] [--json]\n"
    "Say what this host offers to jobs. Exits with 1 if something that jobs\n"
    "cannot do without is missing. Most of it needs root to be tried.\n"
    "  -w, --workspace DIR  also whether DIR can be a workspace\n";

struct doctor {
	struct table t;
	json_t *list;
	bool missing;
};

static void
report(void *arg, const char *feature, const char *state, const char *detail)
{
	struct doctor *d = arg;

	if (str_eq(state, "missing"))
		d->missing = true;
	json_array_append_new(
	    d->list, json_pack("{s:s,s:s,s:s}", "feature", feature, "state",
			 state, "detail", detail));
	table_row(&d->t, feature, state, detail);
}

static void
report_daemon(struct doctor *d, const struct cli *cli)
{
	cleanup_client struct client *c = NULL;
	cleanup_free char *text = NULL;
	struct error err = { 0 };
	json_t *r = NULL;

	c = client_open(cli->socket, &err);
	if (c != NULL)
		r = client_call(c, "hello", NULL, &err);
	if (r == NULL) {
		/* The host may be fine without it. */
		report(d, "brigd", "degraded", err.msg);
		return;
	}
	text =
	    xasprintf("version %s at %s", cli_str(r, "version"), cli->socket);
	report(d, "brigd", "ok", text);
	json_decref(r);
}

int
cmd_doctor(const struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "workspace", required_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	struct doctor d = { .list = json_array() };
	const char *dir = NULL;
	struct cli_opts o;
	int c;

	cli_opts_init(&o, cli, "doctor", usage, "w:", longs);
	while ((c = cli_getopt(&o, argc, argv)) == 'w')
		dir = optarg;
	if (c != -1 || cli_no_operand(&o, argc, argv) < 0) {
		json_decref(d.list);
		return CLI_USAGE;
	}
	table_init(&d.t, 3, "FEATURE", "STATE", "DETAIL");
	doctor_run(report, &d);
	if (dir != NULL)
		doctor_workspace(dir, report, &d);
	report_daemon(&d, cli);
	if (o.json) {
		table_free(&d.t);
		cli_print_json(d.list);
	} else {
		table_print(&d.t);
		json_decref(d.list);
	}
	return d.missing ? CLI_FAILED : CLI_OK;
}

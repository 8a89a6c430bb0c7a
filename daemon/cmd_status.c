/*
 * brig status: the daemon's processes and what each may still do.
 */
#include "daemon/cli.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/str.h"
#include "daemon/cli_util.h"

static const char usage[] =
    "usage: brig status [--json]\n"
    "Show brigd, its processes and the policy in force.\n";

static const char *
seccomp_name(int64_t mode)
{
	return mode == 2 ? "filter" : mode == 1 ? "strict" : "none";
}

static void
print_processes(json_t *rows)
{
	struct table t;
	json_t *p;
	size_t i;

	table_init(&t, 9, "PROCESS", "JOB", "PID", "UID", "CAPABILITIES",
	    "SECCOMP", "NNP", "RSS", "RESTARTS");
	json_array_foreach(rows, i, p)
	{
		cleanup_free char *pid =
		    xasprintf("%" PRId64, cli_int(p, "pid"));
		cleanup_free char *uid =
		    xasprintf("%" PRId64, cli_int(p, "uid"));
		cleanup_free char *rss = xasprintf(
		    "%" PRId64 "M", (cli_int(p, "rss_kb") + 1023) / 1024);
		cleanup_free char *restarts =
		    xasprintf("%" PRId64, cli_int(p, "restarts"));
		/* A number or the name of a job. */
		cleanup_free char *job =
		    json_is_integer(json_object_get(p, "job")) &&
			    cli_int(p, "job") != 0
			? xasprintf("j-%" PRId64, cli_int(p, "job"))
			: xstrdup(cli_str(p, "job"));

		table_row(&t, cli_str(p, "role"), job, pid, uid,
		    cli_str(p, "caps_effective"),
		    seccomp_name(cli_int(p, "seccomp")),
		    json_is_true(json_object_get(p, "no_new_privs")) ||
			    cli_int(p, "no_new_privs") == 1
			? "yes"
			: "no",
		    rss, restarts);
	}
	table_print(&t);
}

int
cmd_status(const struct cli *cli, int argc, char **argv)
{
	struct cli_opts o;
	json_t *r, *policy, *jobs;

	cli_opts_init(&o, cli, "status", usage, "", NULL);
	if (cli_getopt(&o, argc, argv) != -1 ||
	    cli_no_operand(&o, argc, argv) < 0)
		return CLI_USAGE;
	r = cli_ask(cli, "status", NULL);
	if (r == NULL)
		return CLI_FAILED;
	if (o.json)
		return cli_print_json(r);
	policy = json_object_get(r, "policy");
	jobs = json_object_get(r, "jobs");

	cleanup_free char *version = cli_text(r, "version");
	cleanup_free char *print = cli_text(policy, "fingerprint");
	printf("brigd %s, up %" PRId64 " s\n", version, cli_int(r, "uptime_s"));
	printf("policy generation %" PRId64 " (%s)\n",
	    cli_int(policy, "generation"), print);
	printf("jobs %" PRId64 " running, %" PRId64 " in all\n\n",
	    cli_int(jobs, "running"), cli_int(jobs, "total"));
	print_processes(json_object_get(r, "processes"));
	json_decref(r);
	return CLI_OK;
}

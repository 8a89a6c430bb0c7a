/*
 * brig pause, resume: stop jobs where they are, and let them go on.
 */
#include "daemon/cli.h"

#include "daemon/cli_util.h"

static const char pause_usage[] =
    "usage: brig pause JOB...\n"
    "Stop every process of jobs where it is. Their wall clock goes on.\n";

static const char resume_usage[] = "usage: brig resume JOB...\n"
				   "Let paused jobs go on.\n";

static int
each_job(const struct cli *cli, const char *cmd, const char *usage,
    const char *op, int argc, char **argv)
{
	cleanup_client struct client *cl = NULL;
	struct cli_opts o;
	int rv = CLI_OK;
	char id[24];

	cli_opts_init(&o, cli, cmd, usage, "", NULL);
	o.permute = true;
	if (cli_getopt(&o, argc, argv) != -1)
		return CLI_USAGE;
	if (optind == argc)
		return cli_usage(cmd, "JOB is missing");
	for (int i = optind; i < argc; i++)
		if (!cli_job_id(argv[i], id))
			return cli_usage(cmd, "JOB is like j-17 or 17");
	if ((cl = cli_open(cli)) == NULL)
		return CLI_FAILED;
	for (int i = optind; i < argc; i++) {
		json_t *r;

		cli_job_id(argv[i], id);
		r = cli_call(cl, op, json_pack("{s:s}", "job", id));
		if (r == NULL)
			rv = CLI_FAILED;
		json_decref(r);
	}
	return rv;
}

int
cmd_pause(const struct cli *cli, int argc, char **argv)
{
	return each_job(cli, "pause", pause_usage, "job.pause", argc, argv);
}

int
cmd_resume(const struct cli *cli, int argc, char **argv)
{
	return each_job(cli, "resume", resume_usage, "job.resume", argc, argv);
}

/*
 * brig doctor: what this host does for a jail, and whether brigd answers.
 * Changes nothing.
 */
#include "daemon/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "daemon/cli_util.h"
#include "daemon/conf.h"
#include "sandbox/doctor.h"

/* Exit statuses, beside CLI_USAGE. */
#define DOCTOR_EXIT_ALL 0
#define DOCTOR_EXIT_LESS 1
#define DOCTOR_EXIT_NONE 2

#define COLUMNS 4

static const char usage[] =
    "usage: brig doctor [-f FILE] [-w DIR] [--json]\n"
    "Say which protection of jobs is enforced by which mechanism on this\n"
    "host, and what is missing. Changes nothing. Most of it needs root to be\n"
    "tried. Exits with 0 if all is in force, 1 if jobs run with less, 2 if\n"
    "they cannot run.\n"
    "  -f, --file FILE      brigd's configuration\n"
    "  -w, --workspace DIR  also whether DIR can be a workspace\n";

struct report {
	json_t *list;
	enum doctor_state worst;
};

static void
add_row(void *arg, const struct doctor_row *row)
{
	struct report *r = arg;
	cleanup_free char *detail =
	    str_escape(row->detail, strlen(row->detail));

	if (row->state < r->worst)
		r->worst = row->state;
	json_array_append_new(r->list,
	    json_pack("{s:s,s:s,s:s,s:s,s:s}", "id", row->id, "protection",
		row->protection, "mechanism", row->mechanism, "state",
		doctor_state_name(row->state), "detail", detail));
}

/* Colour of a state on a terminal: an SGR sequence. */
static const char *
colour(const char *state)
{
	static const struct {
		enum doctor_state state;
		const char *sgr;
	} colours[] = {
		{ DOCTOR_FATAL, "\033[1;31m" },
		{ DOCTOR_MISSING, "\033[31m" },
		{ DOCTOR_FALLBACK, "\033[33m" },
		{ DOCTOR_UNTRIED, "\033[33m" },
		{ DOCTOR_IN_FORCE, "\033[32m" },
	};
	size_t i;

	for (i = 0; i < nitems(colours); i++)
		if (str_eq(doctor_state_name(colours[i].state), state))
			return colours[i].sgr;
	return "";
}

static void
print_rows(json_t *list, bool coloured)
{
	static const char *const keys[COLUMNS] = { "protection", "mechanism",
		"state", "detail" };
	static const char *const heads[COLUMNS] = { "PROTECTION", "MECHANISM",
		"STATE", "DETAIL" };
	int w[COLUMNS] = { 0 };
	size_t i, k;
	json_t *row;

	for (k = 0; k < COLUMNS - 1; k++) {
		w[k] = (int)strlen(heads[k]);
		json_array_foreach(list, i, row)
		{
			int n = (int)strlen(cli_str(row, keys[k]));

			w[k] = n > w[k] ? n : w[k];
		}
	}
	printf("%-*s  %-*s  %-*s  %s\n", w[0], heads[0], w[1], heads[1], w[2],
	    heads[2], heads[3]);
	json_array_foreach(list, i, row)
	{
		const char *state = cli_str(row, "state");

		printf("%-*s  %-*s  %s%-*s%s  %s\n", w[0],
		    cli_str(row, keys[0]), w[1], cli_str(row, keys[1]),
		    coloured ? colour(state) : "", w[2], state,
		    coloured ? "\033[0m" : "", cli_str(row, keys[3]));
	}
}

/* The state of a service says nothing about the host: a note. */
static void
report_daemon(struct report *r, const struct cli *cli)
{
	struct doctor_row row = { .id = "brigd",
		.protection = "the daemon",
		.mechanism = "brigd",
		.state = DOCTOR_NOTE };
	cleanup_client struct client *c = NULL;
	cleanup_free char *text = NULL;
	struct error err = { 0 };
	json_t *hello = NULL;

	c = client_open(cli->socket, &err);
	if (c != NULL)
		hello = client_call(c, "hello", NULL, &err);
	if (hello != NULL)
		text = xasprintf(
		    "version %s at %s", cli_str(hello, "version"), cli->socket);
	row.detail = text != NULL ? text : err.msg;
	add_row(r, &row);
	json_decref(hello);
}

static void
report_inferd(struct report *r, const struct conf *conf)
{
	struct doctor_row row = { .id = "inferd",
		.protection = "the local engine",
		.mechanism = "inferd",
		.state = DOCTOR_NOTE };
	cleanup_fd int fd = fd_connect_unix(conf->inferd, 0);
	cleanup_free char *text = NULL;

	if (fd >= 0)
		text = xasprintf("answers at %s", conf->inferd);
	else
		text = xasprintf("no http://inferd.brig in jobs: %s: %s%s",
		    conf->inferd, strerror(errno),
		    errno == EACCES ? "" : "; start the service inferd");
	row.detail = text;
	add_row(r, &row);
}

static int
exit_status(enum doctor_state worst)
{
	if (worst == DOCTOR_FATAL)
		return DOCTOR_EXIT_NONE;
	return worst < DOCTOR_IN_FORCE ? DOCTOR_EXIT_LESS : DOCTOR_EXIT_ALL;
}

/* The configuration, or its defaults for who may not read it.  0 or -1. */
static int
load_conf(const char *file, struct conf *conf)
{
	cleanup_buf struct buf diag = { 0 };
	int r;

	conf_init(conf);
	r = conf_load(
	    conf, file != NULL ? file : CONF_DEFAULT, file == NULL, &diag);
	if (r < 0 && (file != NULL || geteuid() == 0))
		(void)fprintf(stderr, "%.*s", (int)buf_len(&diag),
		    (const char *)buf_head(&diag));
	else
		r = 0;
	return r;
}

int
cmd_doctor(const struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "file", required_argument, NULL, 'f' },
		{ "workspace", required_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	struct report r = { .worst = DOCTOR_NOTE };
	struct doctor d = { .report = add_row, .arg = &r };
	const char *file = NULL;
	struct cli_opts o;
	struct conf conf;
	int c;

	cli_opts_init(&o, cli, "doctor", usage, "f:w:", longs);
	while ((c = cli_getopt(&o, argc, argv)) == 'w' || c == 'f')
		if (c == 'w')
			d.workspace = optarg;
		else
			file = optarg;
	if (c != -1 || cli_no_operand(&o, argc, argv) < 0)
		return CLI_USAGE;
	if (load_conf(file, &conf) < 0) {
		conf_free(&conf);
		return DOCTOR_EXIT_NONE;
	}
	d.state_dir = conf.state_dir;
	d.job_uid_base = conf.job_uid_base;
	d.job_uid_count = conf.job_uid_count;
	d.cgroups_off = conf.cgroups == CONF_CGROUPS_OFF;
	d.cgroup_parent = conf.cgroup_parent;
	r.list = json_array();
	doctor_run(&d);
	report_daemon(&r, cli);
	report_inferd(&r, &conf);
	if (o.json) {
		(void)cli_print_json(r.list);
	} else {
		print_rows(r.list,
		    isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == NULL);
		json_decref(r.list);
	}
	conf_free(&conf);
	return exit_status(r.worst);
}

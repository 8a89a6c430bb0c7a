/*
 * brig ps, show, logs, wait, kill: jobs that exist.
 */
#include "daemon/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "daemon/cli_util.h"

#define READ_SIZE 65536u
#define LINE_LONG 8192u /* a longer line is printed in pieces */
#define FOLLOW_MS 200

static const char ps_usage[] = "usage: brig ps [-a] [--json]\n"
			       "List jobs that are queued or running.\n"
			       "  -a, --all   those that have ended too\n"
			       "      --json  as JSON\n";

static const char show_usage[] = "usage: brig show [--json] JOB\n"
				 "Show what is known of a job.\n";

static const char logs_usage[] =
    "usage: brig logs [-f] [--raw] JOB\n"
    "Print the output of a job.\n"
    "  -f, --follow  go on until the job has ended\n"
    "      --raw     as it is, also on a terminal\n";

static const char wait_usage[] =
    "usage: brig wait [--json] JOB\n"
    "Wait for the end of a job and exit with its status.\n";

static const char kill_usage[] =
    "usage: brig kill [-s SIGNAL] JOB...\n"
    "Send a signal to jobs.\n"
    "  -s, --signal SIGNAL  TERM (default), INT, KILL ... or a number\n";

/* Request arguments that name a job; NULL after a message. */
static json_t *
job_args(const struct cli_opts *o, int argc, char **argv)
{
	const char *s = cli_one_operand(o, argc, argv, "JOB");
	char id[24];

	if (s == NULL)
		return NULL;
	if (!cli_job_id(s, id)) {
		cli_usage(o->cmd, "JOB is like j-17 or 17");
		return NULL;
	}
	return json_pack("{s:s}", "job", id);
}

/* "0", "signal 9", "brig: why" or "". */
static char *
exit_text(json_t *job)
{
	json_t *e = json_object_get(job, "exit");
	const char *kind = cli_str(e, "kind");

	if (!json_is_object(e))
		return xstrdup("");
	if (str_eq(kind, "code"))
		return xasprintf("%" PRId64, cli_int(e, "code"));
	if (str_eq(kind, "signal"))
		return xasprintf("signal %" PRId64 "%s%s", cli_int(e, "code"),
		    cli_str(e, "detail")[0] == '\0' ? "" : ": ",
		    cli_str(e, "detail"));
	return xasprintf("brig: %s", cli_str(e, "detail"));
}

int
cmd_ps(const struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "all", no_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	struct cli_opts o;
	struct table t;
	bool all = false;
	json_t *r, *job;
	size_t i;
	int c;

	cli_opts_init(&o, cli, "ps", ps_usage, "a", longs);
	o.permute = true;
	while ((c = cli_getopt(&o, argc, argv)) != -1) {
		if (c != 'a')
			return CLI_USAGE;
		all = true;
	}
	if (cli_no_operand(&o, argc, argv) < 0)
		return CLI_USAGE;
	r = cli_ask(cli, "job.list", json_pack("{s:b}", "all", all));
	if (r == NULL)
		return CLI_FAILED;
	if (o.json)
		return cli_print_json(r);
	table_init(
	    &t, 6, "JOB", "STATE", "PROFILE", "CREATED", "EXIT", "COMMAND");
	json_array_foreach(json_object_get(r, "jobs"), i, job)
	{
		cleanup_free char *words =
		    cli_words(json_object_get(job, "argv"));
		cleanup_free char *how = exit_text(job);

		table_row(&t, cli_str(job, "id"), cli_str(job, "state"),
		    cli_str(job, "profile"), cli_age(cli_int(job, "created")),
		    how, words);
	}
	table_print(&t);
	json_decref(r);
	return CLI_OK;
}

static void
print_line(const char *name, const char *value)
{
	cleanup_free char *safe = str_escape(value, strlen(value));

	printf("%-11s %s\n", name, *safe == '\0' ? "-" : safe);
}

static void
print_number(const char *name, json_t *job, const char *key)
{
	if (json_is_integer(json_object_get(job, key)))
		printf("%-11s %" PRId64 "\n", name, cli_int(job, key));
}

static void
show(json_t *job)
{
	cleanup_free char *words = cli_words(json_object_get(job, "argv"));
	cleanup_free char *how = exit_text(job);

	print_line("job", cli_str(job, "id"));
	print_line("state", cli_str(job, "state"));
	if (*cli_str(job, "busy") != '\0')
		print_line("busy with", cli_str(job, "busy"));
	print_line("profile", cli_str(job, "profile"));
	print_line("command", words);
	print_line("workspace", cli_str(job, "workspace"));
	print_number("submitter", job, "uid");
	print_number("host uid", job, "host_uid");
	print_number("pid", job, "pid");
	print_line("exec rules", cli_str(job, "exec_rules"));
	print_line("limits", cli_str(job, "limits"));
	if (cli_int(job, "oom_kills") != 0)
		print_number("oom kills", job, "oom_kills");
	if (cli_int(job, "refused_forks") != 0)
		print_number("no forks", job, "refused_forks");
	print_line("created", cli_age(cli_int(job, "created")));
	print_line("started", cli_age(cli_int(job, "started")));
	print_line("ended", cli_age(cli_int(job, "ended")));
	print_line("exit", how);
}

int
cmd_show(const struct cli *cli, int argc, char **argv)
{
	struct cli_opts o;
	json_t *args, *r;

	cli_opts_init(&o, cli, "show", show_usage, "", NULL);
	o.permute = true;
	if (cli_getopt(&o, argc, argv) != -1 ||
	    (args = job_args(&o, argc, argv)) == NULL)
		return CLI_USAGE;
	r = cli_ask(cli, "job.show", args);
	if (r == NULL)
		return CLI_FAILED;
	if (o.json)
		return cli_print_json(r);
	show(json_object_get(r, "job"));
	json_decref(r);
	return CLI_OK;
}

int
cmd_wait(const struct cli *cli, int argc, char **argv)
{
	struct cli_opts o;
	json_t *args, *r;
	int status;

	cli_opts_init(&o, cli, "wait", wait_usage, "", NULL);
	o.permute = true;
	if (cli_getopt(&o, argc, argv) != -1 ||
	    (args = job_args(&o, argc, argv)) == NULL)
		return CLI_BRIG;
	r = cli_ask(cli, "job.wait", args);
	if (r == NULL)
		return CLI_BRIG;
	status = cli_job_status(json_object_get(r, "job"));
	if (o.json)
		cli_print_json(r);
	else
		json_decref(r);
	return status;
}

/* A number or a name with or without SIG, as the daemon takes it. */
static json_t *
signal_arg(const char *s)
{
	uint64_t n;

	if (str_to_u64(s, 1, 64, &n) == 0)
		return json_integer((json_int_t)n);
	if (strncasecmp(s, "SIG", 3) == 0)
		s += 3;
	if (!str_is_name(s, 16))
		return NULL;

	cleanup_free char *name = xstrdup(s);
	for (char *p = name; *p != '\0'; p++) {
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	}
	return json_string(name);
}

int
cmd_kill(const struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "signal", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	cleanup_client struct client *cl = NULL;
	const char *sig = "TERM";
	struct cli_opts o;
	int c, rv = CLI_OK;
	char id[24];

	cli_opts_init(&o, cli, "kill", kill_usage, "s:", longs);
	o.permute = true;
	while ((c = cli_getopt(&o, argc, argv)) != -1) {
		json_t *probe;

		if (c != 's')
			return CLI_USAGE;
		sig = optarg;
		if ((probe = signal_arg(sig)) == NULL)
			return cli_usage("kill", "SIGNAL is like TERM or 15");
		json_decref(probe);
	}
	if (optind == argc)
		return cli_usage("kill", "JOB is missing");
	for (int i = optind; i < argc; i++) {
		if (!cli_job_id(argv[i], id))
			return cli_usage("kill", "JOB is like j-17 or 17");
	}
	if ((cl = cli_open(cli)) == NULL)
		return CLI_FAILED;
	for (int i = optind; i < argc; i++) {
		json_t *r;

		cli_job_id(argv[i], id);
		r = cli_call(cl, "job.kill",
		    json_pack(
			"{s:s,s:o}", "job", id, "signal", signal_arg(sig)));
		if (r == NULL)
			rv = CLI_FAILED;
		json_decref(r);
	}
	return rv;
}

/* ---- logs --------------------------------------------------------------- */

struct printer {
	bool safe; /* onto a terminal: no escape sequences of an agent */
	struct buf line;
};

static int
put_line(struct printer *p, size_t n, bool newline)
{
	const char *s = (const char *)buf_head(&p->line);
	cleanup_free char *safe = NULL;

	/* A pty ends its lines in CR LF. */
	if (newline && n > 0 && s[n - 1] == '\r')
		safe = str_escape(s, n - 1);
	else
		safe = str_escape(n == 0 ? "" : s, n);
	buf_consume(&p->line, n + newline);
	return printf(newline ? "%s\n" : "%s", safe) < 0 ? -1 : 0;
}

static int
put_bytes(struct printer *p, const void *bytes, size_t n, bool end)
{
	const uint8_t *nl;

	if (!p->safe)
		return fwrite(bytes, 1, n, stdout) == n ? 0 : -1;
	buf_put(&p->line, bytes, n);
	while (buf_len(&p->line) > 0 && (nl = memchr(buf_head(&p->line), '\n',
					     buf_len(&p->line))) != NULL) {
		if (put_line(p, (size_t)(nl - buf_head(&p->line)), true) < 0)
			return -1;
	}
	if (buf_len(&p->line) > LINE_LONG || (end && buf_len(&p->line) > 0))
		return put_line(p, buf_len(&p->line), false);
	return 0;
}

/* All there is now from *at; 0, or -1 after a message. */
static int
copy_log(int fd, off_t *at, struct printer *p, bool end)
{
	cleanup_free char *chunk = xmalloc(READ_SIZE);
	ssize_t n;

	while ((n = pread(fd, chunk, READ_SIZE, *at)) > 0) {
		*at += n;
		if (put_bytes(p, chunk, (size_t)n, false) < 0)
			break;
	}
	if (n == 0 && end)
		put_bytes(p, "", 0, true);
	if (n < 0) {
		cli_fail("logs: %s", strerror(errno));
		return -1;
	}
	if (fflush(stdout) != 0) {
		cli_fail("logs: cannot write output: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static int
follow_log(struct client *c, json_t *args, int fd, struct printer *p)
{
	struct pollfd pf = { .fd = c->fd, .events = POLLIN };
	struct error err = { 0 };
	bool ended = false;
	off_t at = 0;

	/* The reply comes when the job has ended. */
	if (client_send(c, "job.wait", args, NULL, 0, &err) < 0)
		return cli_fail("%s", err.msg);
	while (!ended) {
		json_t *r = NULL;

		if (poll(&pf, 1, FOLLOW_MS) > 0) {
			ended = true;
			if ((r = client_recv(c, &err)) == NULL)
				cli_fail("%s", err.msg);
			json_decref(r);
		}
		if (copy_log(fd, &at, p, ended) < 0)
			return CLI_FAILED;
	}
	return CLI_OK;
}

int
cmd_logs(const struct cli *cli, int argc, char **argv)
{
	enum {
		OPT_RAW = 1
	};
	static const struct option longs[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ "raw", no_argument, NULL, OPT_RAW },
		{ NULL, 0, NULL, 0 },
	};
	struct printer p = { .safe = isatty(STDOUT_FILENO) == 1 };
	cleanup_client struct client *cl = NULL;
	cleanup_fd int fd = -1;
	struct cli_opts o;
	bool follow = false;
	json_t *args, *r;
	off_t at = 0;
	int c, rv;

	cli_opts_init(&o, cli, "logs", logs_usage, "f", longs);
	o.permute = true;
	while ((c = cli_getopt(&o, argc, argv)) != -1) {
		if (c == 'f')
			follow = true;
		else if (c == OPT_RAW)
			p.safe = false;
		else
			return CLI_USAGE;
	}
	if ((args = job_args(&o, argc, argv)) == NULL)
		return CLI_USAGE;
	buf_init(&p.line, 0);
	if ((cl = cli_open(cli)) == NULL ||
	    (r = cli_call(cl, "job.logs", json_incref(args))) == NULL) {
		json_decref(args);
		return CLI_FAILED;
	}
	json_decref(r);
	fd = client_take_fd(cl);
	if (fd < 0)
		rv = cli_fail("logs: brigd sent no log");
	else if (follow)
		rv = follow_log(cl, json_incref(args), fd, &p);
	else
		rv = copy_log(fd, &at, &p, true) < 0 ? CLI_FAILED : CLI_OK;
	json_decref(args);
	buf_free(&p.line);
	return rv;
}

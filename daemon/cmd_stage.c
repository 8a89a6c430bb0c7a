/*
 * brig diff, apply, discard: what a job with a staged workspace wrote.
 */
#include "daemon/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "daemon/cli_stage.h"
#include "daemon/cli_util.h"
#include "daemon/stage_wire.h"

#define READ_SIZE 65536u
#define END_WAIT_MS 4000
#define DIFF_CHANGES 1 /* exit statuses of diff(1) */
#define DIFF_TROUBLE 2

static const char diff_usage[] =
    "usage: brig diff [--stat | --name-only [-z] | --json] [--color WHEN]\n"
    "                 JOB [PATH...]\n"
    "Show what a job staged: 0 nothing, 1 changes, 2 trouble.\n"
    "      --stat        one line for each change\n"
    "      --name-only   names only; -z ends them in NUL\n"
    "      --color WHEN  auto (default), always or never\n";

static const char apply_usage[] =
    "usage: brig apply [-n] [--force-protected] [--json] JOB [PATH...]\n"
    "Land what a job staged, all of it or PATHs, or nothing at all.\n"
    "  -n, --dry-run          say what would land and what would not\n"
    "      --force-protected  also files that programs of the host act on\n";

static const char discard_usage[] =
    "usage: brig discard [--json] JOB\n"
    "Throw away what a job staged and what has not been applied.\n";

struct staged {
	const char *cmd;
	char id[24];
	char *workspace; /* real path, or "" */
	json_t *args;
	struct stage_view view;
	int trouble; /* exit status */
};

/* A path as typed: below the workspace, or absolute in it. */
static int
add_path(const struct staged *st, json_t *list, const char *typed)
{
	cleanup_free char *path = NULL;
	const char *s = typed;
	size_t n = strlen(st->workspace);

	if (s[0] == '/') {
		if (n == 0 || strncmp(s, st->workspace, n) != 0 ||
		    (s[n] != '/' && s[n] != '\0'))
			return cli_fail("%s: %s is not in the workspace %s",
			    st->cmd, typed, st->workspace);
		s += n;
		while (*s == '/')
			s++;
	}
	while (str_starts(s, "./"))
		s += 2;
	path = xstrdup(s);
	n = strlen(path);
	while (n > 0 && path[n - 1] == '/')
		path[--n] = '\0';
	/* The whole workspace is what no PATH means, too. */
	if (n == 0 || str_eq(path, "."))
		return cli_fail(
		    "%s: leave PATH out for the whole workspace", st->cmd);
	if (!stage_path_ok(path))
		return cli_fail("%s: %s: a PATH lies in the workspace and "
				"holds no \"..\"",
		    st->cmd, typed);
	if (!str_is_utf8(path, n))
		return cli_fail("%s: %s is not UTF-8: name a directory that it "
				"lies in",
		    st->cmd, typed);
	json_array_append_new(list, json_string(path));
	return 0;
}

/*
 * brig run is back as soon as the command has ended, while brigd still ends
 * what is left of the job: wait for that, but not for a job that goes on.
 */
static json_t *
await_end(struct client *cl, const struct staged *st, json_t *show)
{
	const char *state = cli_str(json_object_get(show, "job"), "state");
	struct pollfd pf = { .fd = cl->fd, .events = POLLIN };
	struct error err = { 0 };

	if (!str_eq(state, "queued") && !str_eq(state, "starting") &&
	    !str_eq(state, "running"))
		return show;
	json_decref(show);
	if (client_send(cl, "job.wait", json_pack("{s:s}", "job", st->id), NULL,
		0, &err) < 0) {
		cli_fail("%s: %s", st->cmd, err.msg);
		return NULL;
	}
	if (poll(&pf, 1, END_WAIT_MS) <= 0) {
		cli_fail("%s: %s is still running: wait for its end", st->cmd,
		    st->id);
		return NULL;
	}
	show = client_recv(cl, &err);
	if (show == NULL)
		cli_fail("%s: %s", st->cmd, err.msg);
	return show;
}

/* The job's workspace, opened with our own rights; -1 if it is gone. */
static int
find_workspace(struct client *cl, struct staged *st, int *fd)
{
	json_t *r = cli_call(cl, "job.show", json_pack("{s:s}", "job", st->id));

	*fd = -1;
	if (r == NULL || (r = await_end(cl, st, r)) == NULL)
		return -1;
	st->workspace =
	    xstrdup(cli_str(json_object_get(r, "job"), "workspace"));
	json_decref(r);
	if (st->workspace[0] == '/')
		*fd = open(st->workspace, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

static int
show_all(struct staged *st, int fd)
{
	cleanup_free char *chunk = xmalloc(READ_SIZE);
	ssize_t n;

	while ((n = read(fd, chunk, READ_SIZE)) > 0)
		if (stage_view_put(&st->view, chunk, (size_t)n) < 0)
			return cli_fail("%s: brigd sent what is not a list of "
					"changes",
			    st->cmd);
	if (n < 0 || stage_view_end(&st->view) < 0)
		return cli_fail(
		    "%s: the list of changes is cut short", st->cmd);
	return fflush(st->view.to) == 0 && !ferror(st->view.to)
		   ? 0
		   : cli_fail("%s: cannot write output: %s", st->cmd,
			 strerror(errno));
}

/* Send, show what comes, and the answer; NULL after a message. */
static json_t *
talk(struct client *cl, struct staged *st, const char *op, int workspace)
{
	cleanup_fd int in = -1, out = -1;
	json_t *names = json_array(), *result;
	struct error err = { 0 };
	int p[2], fds[2], bad = 0;
	size_t n = 0;

	if (pipe2(p, O_CLOEXEC) < 0) {
		json_decref(names);
		cli_fail("%s: pipe: %s", st->cmd, strerror(errno));
		return NULL;
	}
	in = p[0];
	out = p[1];
	fds[n++] = out;
	json_array_append_new(names, json_string("out"));
	if (workspace >= 0) {
		fds[n++] = workspace;
		json_array_append_new(names, json_string("workspace"));
	}
	json_object_set_new(st->args, "fds", names);
	if (client_send(cl, op, json_incref(st->args), fds, n, &err) < 0) {
		cli_fail("%s: %s", st->cmd, err.msg);
		return NULL;
	}
	fd_close(&out);
	bad = show_all(st, in);
	result = client_recv(cl, &err);
	if (result == NULL)
		cli_fail("%s: %s", st->cmd,
		    cl->refusal != NULL ? cl->refusal : err.msg);
	if (bad != 0 && result != NULL) {
		json_decref(result);
		return NULL;
	}
	return result;
}

/* Operands and the exchange. */
static json_t *
run(const struct cli *cli, struct staged *st, const char *op, char **argv)
{
	cleanup_client struct client *cl = NULL;
	cleanup_fd int workspace = -1;
	json_t *list, *r = NULL;

	json_object_set_new(st->args, "job", json_string(st->id));
	buf_init(&st->view.in, 2 * (STAGE_FRAME_MAX + READ_SIZE));
	st->view.to = stdout;
	st->view.progress = isatty(STDERR_FILENO) == 1 && !cli->json;
	cl = cli_open(cli);
	if (cl == NULL || find_workspace(cl, st, &workspace) < 0)
		goto out;
	if (*argv != NULL) {
		list = json_array();
		json_object_set_new(st->args, "paths", list);
		for (; *argv != NULL; argv++)
			if (add_path(st, list, *argv) != 0)
				goto out;
	}
	r = talk(cl, st, op, workspace);
out:
	buf_free(&st->view.in);
	free(st->workspace);
	json_decref(st->args);
	return r;
}

static int
take_job(const struct cli_opts *o, struct staged *st, int argc, char **argv)
{
	if (optind == argc)
		return cli_usage(o->cmd, "JOB is missing");
	if (!cli_job_id(argv[optind], st->id))
		return cli_usage(o->cmd, "JOB is like j-17 or 17");
	optind++;
	return 0;
}

int
cmd_diff(const struct cli *cli, int argc, char **argv)
{
	enum {
		OPT_STAT = 1,
		OPT_NAMES,
		OPT_COLOR
	};
	static const struct option longs[] = {
		{ "stat", no_argument, NULL, OPT_STAT },
		{ "name-only", no_argument, NULL, OPT_NAMES },
		{ "color", required_argument, NULL, OPT_COLOR },
		{ NULL, 0, NULL, 0 },
	};
	const bool tty = isatty(STDOUT_FILENO) == 1;
	struct staged st = { .cmd = "diff" };
	const char *color = "auto";
	struct cli_opts o;
	json_t *r;
	int c;

	cli_opts_init(&o, cli, "diff", diff_usage, "z", longs);
	o.permute = true;
	while ((c = cli_getopt(&o, argc, argv)) != -1) {
		if (c == OPT_STAT)
			st.view.show = SHOW_STAT;
		else if (c == OPT_NAMES)
			st.view.show = SHOW_NAMES;
		else if (c == OPT_COLOR)
			color = optarg;
		else if (c == 'z')
			st.view.nul = true;
		else
			return CLI_USAGE;
	}
	if (!str_eq(color, "auto") && !str_eq(color, "always") &&
	    !str_eq(color, "never"))
		return cli_usage("diff", "WHEN is auto, always or never");
	if (take_job(&o, &st, argc, argv) != 0)
		return CLI_USAGE;
	if (o.json) {
		st.view.show = SHOW_JSON;
		st.view.list = json_array();
	}
	st.view.safe = tty || str_eq(color, "always");
	st.view.colour =
	    str_eq(color, "always") ||
	    (tty && str_eq(color, "auto") && getenv("NO_COLOR") == NULL);
	st.args =
	    json_pack("{s:b}", "patch", (int)(st.view.show == SHOW_PATCH));
	r = run(cli, &st, "stage.diff", argv + optind);
	if (r == NULL) {
		json_decref(st.view.list);
		return DIFF_TROUBLE;
	}
	json_decref(r);
	if (o.json)
		cli_print_json(json_pack(
		    "{s:s, s:o}", "job", st.id, "changes", st.view.list));
	else if (st.view.show == SHOW_STAT)
		printf(" %zu change%s, %" PRIu64 " lines added, %" PRIu64
		       " deleted\n",
		    st.view.entries, st.view.entries == 1 ? "" : "s",
		    st.view.added, st.view.deleted);
	return st.view.entries > 0 ? DIFF_CHANGES : CLI_OK;
}

int
cmd_apply(const struct cli *cli, int argc, char **argv)
{
	enum {
		OPT_FORCE = 1
	};
	static const struct option longs[] = {
		{ "dry-run", no_argument, NULL, 'n' },
		{ "force-protected", no_argument, NULL, OPT_FORCE },
		{ NULL, 0, NULL, 0 },
	};
	struct staged st = { .cmd = "apply", .view = { .show = SHOW_QUIET } };
	bool dry = false, force = false;
	struct cli_opts o;
	int64_t n, left;
	json_t *r;
	int c;

	cli_opts_init(&o, cli, "apply", apply_usage, "n", longs);
	o.permute = true;
	while ((c = cli_getopt(&o, argc, argv)) != -1) {
		if (c == 'n')
			dry = true;
		else if (c == OPT_FORCE)
			force = true;
		else
			return CLI_USAGE;
	}
	if (take_job(&o, &st, argc, argv) != 0)
		return CLI_USAGE;
	if (dry && !o.json)
		st.view.show = SHOW_STAT;
	else if (dry) {
		st.view.show = SHOW_JSON;
		st.view.list = json_array();
	}
	st.args = json_pack(
	    "{s:b, s:b}", "dry_run", (int)dry, "force_protected", (int)force);
	r = run(cli, &st, "stage.apply", argv + optind);
	if (r == NULL) {
		json_decref(st.view.list);
		return CLI_FAILED;
	}
	if (st.view.list != NULL)
		json_object_set_new(r, "list", st.view.list);
	n = cli_int(r, "changes");
	left = cli_int(r, "left");
	if (o.json)
		return cli_print_json(r);
	if (dry)
		printf("%zu of %" PRId64 " change%s can be applied\n",
		    st.view.entries - st.view.refused, n, n == 1 ? "" : "s");
	else if (left > 0)
		printf("%" PRId64 " change%s applied, %" PRId64
		       " left: see 'brig diff %s'\n",
		    n, n == 1 ? "" : "s", left, st.id);
	else
		printf("%" PRId64 " change%s applied\n", n, n == 1 ? "" : "s");
	if (cli_str(r, "note")[0] != '\0')
		cli_fail("apply: %s", cli_str(r, "note"));
	json_decref(r);
	return dry && st.view.refused > 0 ? CLI_FAILED : CLI_OK;
}

int
cmd_discard(const struct cli *cli, int argc, char **argv)
{
	struct staged st = { .cmd = "discard", .view = { .show = SHOW_QUIET } };
	char *none[] = { NULL };
	struct cli_opts o;
	json_t *r;

	cli_opts_init(&o, cli, "discard", discard_usage, "", NULL);
	o.permute = true;
	if (cli_getopt(&o, argc, argv) != -1 ||
	    take_job(&o, &st, argc, argv) != 0)
		return CLI_USAGE;
	if (cli_no_operand(&o, argc, argv) < 0)
		return CLI_USAGE;
	st.args = json_object();
	r = run(cli, &st, "stage.discard", none);
	if (r == NULL)
		return CLI_FAILED;
	if (o.json)
		return cli_print_json(r);
	json_decref(r);
	return CLI_OK;
}

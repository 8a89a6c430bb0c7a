/*
 * brig run, submit: start a job, and for run stay with it.
 */
#include "daemon/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/proto.h"
#include "base/str.h"
#include "daemon/attach_client.h"
#include "daemon/cli_util.h"

static const char run_usage[] =
    "usage: brig run [-dt] [-p PROFILE] [-w DIR] [--env K[=V]]... [--no-tty]\n"
    "                [--] COMMAND [ARGUMENT]...\n"
    "Run a command as a jailed job and exit with its status: 128+N after "
    "signal\n"
    "N, 125 when brig failed, 126 when policy denied it, 127 when it was not\n"
    "found.\n"
    "  -p, --profile PROFILE  policy profile; default: the daemon's\n"
    "  -w, --workspace DIR    directory the job works in; default: an empty "
    "one\n"
    "      --env K[=V]        a variable for the job; K alone takes it from "
    "here\n"
    "  -t, --tty              on a terminal of its own (default when this is "
    "one)\n"
    "      --no-tty           on pipes\n"
    "  -d, --detach           print the job's id and leave, as brig submit\n";

static const char submit_usage[] =
    "usage: brig submit [-p PROFILE] [-w DIR] [--env K[=V]]... [-t]\n"
    "                   [--] COMMAND [ARGUMENT]...\n"
    "Start a command as a jailed job and print its id.  The options are those "
    "of\n"
    "brig run; its output is kept for brig logs.\n";

struct run {
	const char *cmd;
	const char *profile;
	const char *dir;
	json_t *env;
	bool detach;
	int tty; /* -1: not said */
};

static bool
is_variable(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool alpha = (s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z';

		if (!alpha && s[i] != '_' &&
		    (i == 0 || s[i] < '0' || s[i] > '9'))
			return false;
	}
	return n > 0;
}

static int
add_env(struct run *r, const char *s)
{
	size_t n = strcspn(s, "=");
	cleanup_free char *key = xstrndup(s, n);
	const char *value;

	if (!is_variable(s, n))
		return cli_usage(r->cmd, "--env is K=V or K, with K the name "
					 "of a variable");
	value = s[n] == '=' ? s + n + 1 : getenv(key);
	if (value == NULL)
		return cli_usage(r->cmd, "--env %s: not set here", key);
	if (!str_is_utf8(value, strlen(value)))
		return cli_usage(
		    r->cmd, "--env %s: the value is not UTF-8", key);
	json_object_set_new(r->env, key, json_string(value));
	return 0;
}

static int
parse(struct run *r, const struct cli *cli, const char *usage, int argc,
    char **argv)
{
	enum {
		OPT_ENV = 1,
		OPT_NO_TTY
	};
	static const struct option longs[] = {
		{ "profile", required_argument, NULL, 'p' },
		{ "workspace", required_argument, NULL, 'w' },
		{ "env", required_argument, NULL, OPT_ENV },
		{ "tty", no_argument, NULL, 't' },
		{ "no-tty", no_argument, NULL, OPT_NO_TTY },
		{ "detach", no_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	struct cli_opts o;
	int c;

	cli_opts_init(&o, cli, r->cmd, usage, "p:w:td", longs);
	while ((c = cli_getopt(&o, argc, argv)) != -1) {
		switch (c) {
		case 'p':
			r->profile = optarg;
			break;
		case 'w':
			r->dir = optarg;
			break;
		case 't':
			r->tty = 1;
			break;
		case 'd':
			r->detach = true;
			break;
		case OPT_NO_TTY:
			r->tty = 0;
			break;
		case OPT_ENV:
			if (add_env(r, optarg) != 0)
				return -1;
			break;
		default:
			return -1;
		}
	}
	if (optind == argc) {
		cli_usage(r->cmd, "COMMAND is missing");
		return -1;
	}
	if (r->profile != NULL && !str_is_name(r->profile, P_NAME_MAX)) {
		cli_usage(r->cmd, "PROFILE is not a name");
		return -1;
	}
	return 0;
}

/*
 * What the job's terminal is to look like.  A detached job can have one too.
 */
static void
put_tty(json_t *args, const struct run *r)
{
	struct winsize ws = { .ws_row = 24, .ws_col = 80 };
	const char *term = getenv("TERM");
	bool tty = r->tty == 1 ||
		   (r->tty < 0 && !r->detach && isatty(STDIN_FILENO) == 1 &&
		       isatty(STDOUT_FILENO) == 1);

	json_object_set_new(args, "tty", json_boolean(tty));
	if (!tty)
		return;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0 || ws.ws_row == 0 ||
	    ws.ws_col == 0)
		ws = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	json_object_set_new(args, "rows", json_integer(ws.ws_row));
	json_object_set_new(args, "cols", json_integer(ws.ws_col));
	if (term != NULL && str_is_name(term, P_NAME_MAX))
		json_object_set_new(args, "term", json_string(term));
}

/* The workspace opened, its real path in the request; -1 after a message. */
static int
open_workspace(json_t *args, const struct run *r)
{
	cleanup_free char *real = realpath(r->dir, NULL);
	cleanup_fd int fd = -1;

	if (real == NULL) {
		cli_fail(
		    "%s: workspace %s: %s", r->cmd, r->dir, strerror(errno));
		return -1;
	}
	fd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		cli_fail("%s: workspace %s: %s", r->cmd, real, strerror(errno));
		return -1;
	}
	if (!str_is_utf8(real, strlen(real))) {
		cli_fail(
		    "%s: workspace: its path is not UTF-8; rename it", r->cmd);
		return -1;
	}
	json_object_set_new(args, "workspace", json_string(real));
	return steal_fd(&fd);
}

static json_t *
make_args(const struct run *r, int argc, char **argv)
{
	json_t *args = json_object(), *words = json_array();

	for (int i = 0; i < argc; i++) {
		/* JSON carries text only. */
		if (!str_is_utf8(argv[i], strlen(argv[i]))) {
			cli_fail("%s: argument %d of the command is not UTF-8",
			    r->cmd, i);
			json_decref(words);
			json_decref(args);
			return NULL;
		}
		json_array_append_new(words, json_string(argv[i]));
	}
	json_object_set_new(args, "argv", words);
	json_object_set(args, "env", r->env);
	if (r->profile != NULL)
		json_object_set_new(args, "profile", json_string(r->profile));
	json_object_set_new(args, "detach", json_boolean(r->detach));
	put_tty(args, r);
	return args;
}

/* The socket closed without a word: the job's record tells what happened. */
static int
end_unknown(struct client *c, const char *id)
{
	json_t *r = cli_call(c, "job.show", json_pack("{s:s}", "job", id));
	json_t *job = json_object_get(r, "job");
	int status = CLI_BRIG;

	if (r == NULL)
		return CLI_BRIG;
	if (json_is_object(json_object_get(job, "exit")))
		status = cli_job_status(job);
	else
		cli_fail("lost touch with job %s, which is %s; see 'brig logs "
			 "-f %s'",
		    id, cli_str(job, "state"), id);
	json_decref(r);
	return status;
}

static int
stay(struct client *c, const char *id, int sock, bool tty)
{
	struct attach_io io = { .sock = sock,
		.in = STDIN_FILENO,
		.out = STDOUT_FILENO,
		.err = STDERR_FILENO,
		.tty = tty };
	struct attach_end end;
	struct error err = { 0 };

	if (attach_run(&io, &end, &err) < 0) {
		cli_fail("job %s: %s; it goes on, see 'brig show %s'", id,
		    err.msg, id);
		return CLI_BRIG;
	}
	if (!end.known)
		return end_unknown(c, id);
	return cli_exit_status(end.kind, end.code, end.detail);
}

/* Send the request with its descriptors, and then stay with the job or not. */
static int
start(struct client *c, const struct run *r, json_t *args)
{
	cleanup_fd int ws = -1, mine = -1, theirs = -1;
	int fds[2], sv[2], status;
	bool tty = json_is_true(json_object_get(args, "tty"));
	json_t *names = json_array(), *result = NULL;
	struct error err = { 0 };
	size_t n = 0;
	char id[24];

	json_object_set_new(args, "fds", names);
	if (!r->detach) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) <
		    0) {
			json_decref(args);
			cli_fail("%s: socketpair: %s", r->cmd, strerror(errno));
			return CLI_BRIG;
		}
		mine = sv[0];
		theirs = fds[n++] = sv[1];
		json_array_append_new(names, json_string("attach"));
	}
	if (r->dir != NULL) {
		if ((ws = open_workspace(args, r)) < 0) {
			json_decref(args);
			return CLI_BRIG;
		}
		fds[n++] = ws;
		json_array_append_new(names, json_string("workspace"));
	}
	if (client_send(c, "job.run", args, fds, n, &err) == 0)
		result = client_recv(c, &err);
	/* Only then does the job's end close when the job is gone. */
	fd_close(&theirs);
	if (result == NULL) {
		cli_fail("%s: %s", r->cmd, err.msg);
		return CLI_BRIG;
	}
	if (!cli_job_id(cli_str(result, "job"), id)) {
		json_decref(result);
		cli_fail("%s: brigd: a reply that is not one", r->cmd);
		return CLI_BRIG;
	}
	json_decref(result);
	if (!r->detach)
		return stay(c, id, mine, tty);
	status = printf("%s\n", id) < 0 || fflush(stdout) != 0 ? CLI_BRIG : 0;
	return status;
}

static int
run(const struct cli *cli, struct run *r, const char *usage, int argc,
    char **argv)
{
	cleanup_client struct client *c = NULL;
	int status = CLI_BRIG;
	json_t *args = NULL;

	r->env = json_object();
	if (parse(r, cli, usage, argc, argv) == 0)
		args = make_args(r, argc - optind, argv + optind);
	if (args != NULL && (c = cli_open(cli)) != NULL)
		status = start(c, r, args);
	else
		json_decref(args);
	json_decref(r->env);
	return status;
}

int
cmd_run(const struct cli *cli, int argc, char **argv)
{
	struct run r = { .cmd = "run", .tty = -1 };

	return run(cli, &r, run_usage, argc, argv);
}

int
cmd_submit(const struct cli *cli, int argc, char **argv)
{
	struct run r = { .cmd = "submit", .tty = -1, .detach = true };

	return run(cli, &r, submit_usage, argc, argv);
}

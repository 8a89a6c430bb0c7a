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
#include <unistd.h>

#include "base/fdutil.h"
#include "base/proto.h"
#include "base/str.h"
#include "daemon/cli_attach.h"
#include "daemon/cli_util.h"

static const char run_usage[] =
    "usage: brig run [-dt] [-p PROFILE] [-w DIR] [--env K[=V]]... [--no-tty]\n"
    "                [--detach-keys KEYS] [--] COMMAND [ARGUMENT]...\n"
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
    "      --detach-keys KEYS keys that leave the job running; default:\n"
    "                         " DETACH_KEYS_DEFAULT "; \"\" for none\n"
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
	struct detach_keys keys;
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
		OPT_NO_TTY,
		OPT_KEYS
	};
	static const struct option longs[] = {
		{ "profile", required_argument, NULL, 'p' },
		{ "workspace", required_argument, NULL, 'w' },
		{ "env", required_argument, NULL, OPT_ENV },
		{ "tty", no_argument, NULL, 't' },
		{ "no-tty", no_argument, NULL, OPT_NO_TTY },
		{ "detach", no_argument, NULL, 'd' },
		{ "detach-keys", required_argument, NULL, OPT_KEYS },
		{ NULL, 0, NULL, 0 },
	};
	struct cli_opts o;
	int c;

	cli_attach_keys(r->cmd, DETACH_KEYS_DEFAULT, &r->keys);
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
		case OPT_KEYS:
			if (cli_attach_keys(r->cmd, optarg, &r->keys) < 0)
				return -1;
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

/* Send the request with its descriptors, and then stay with the job or not. */
static int
start(struct client *c, const struct run *r, json_t *args)
{
	cleanup_fd int ws = -1, mine = -1, theirs = -1;
	int fds[2], status;
	bool tty = json_is_true(json_object_get(args, "tty"));
	json_t *names = json_array(), *result = NULL;
	struct error err = { 0 };
	size_t n = 0;
	char id[24];

	json_object_set_new(args, "fds", names);
	if (!r->detach) {
		if (cli_attach_pair(r->cmd, &mine, &theirs) < 0) {
			json_decref(args);
			return CLI_BRIG;
		}
		fds[n++] = theirs;
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
	if (!r->detach) {
		struct attach_io io = {
			.sock = mine, .tty = tty, .keys = r->keys
		};

		return cli_attach_stay(c, id, &io);
	}
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

/*
 * brig attach: come to a job that is running, or see how one went.
 */
#include "daemon/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "daemon/cli_attach.h"
#include "daemon/cli_util.h"

#define TAIL_BYTES (1024 * 1024) /* of the log, as of a running job */
#define READ_SIZE 65536u

static const char attach_usage[] =
    "usage: brig attach [-r] [--detach-keys KEYS] JOB\n"
    "Come to a running job: see what it has printed last and what it prints,\n"
    "and type, if it has a terminal.  Exits as brig run does; 0 after the "
    "detach\n"
    "keys.  Of a job that has ended it shows the end of the output.\n"
    "  -r, --read-only         only watch; Ctrl-C leaves\n"
    "      --detach-keys KEYS  keys to leave with (" DETACH_KEYS_DEFAULT ")\n";

/* The end of the log of a job that is over, and its status. */
static int
show_ended(struct client *c, const char *id)
{
	json_t *r = cli_call(c, "job.wait", json_pack("{s:s}", "job", id));
	cleanup_free char *chunk = xmalloc(READ_SIZE);
	cleanup_fd int fd = -1;
	struct stat st;
	int status;
	ssize_t n;
	off_t at;

	json_decref(r);
	if (r == NULL || (r = cli_call(c, "job.logs",
			      json_pack("{s:s}", "job", id))) == NULL)
		return CLI_BRIG;
	fd = client_take_fd(c);
	if (fd < 0 || fstat(fd, &st) < 0) {
		json_decref(r);
		cli_fail("attach: brigd sent no log");
		return CLI_BRIG;
	}
	at = st.st_size > TAIL_BYTES ? st.st_size - TAIL_BYTES : 0;
	while ((n = pread(fd, chunk, READ_SIZE, at)) > 0) {
		at += n;
		if (fwrite(chunk, 1, (size_t)n, stdout) != (size_t)n)
			break;
	}
	if (n < 0 || fflush(stdout) != 0) {
		cli_fail("attach: %s", strerror(errno));
		status = CLI_BRIG;
	} else {
		cli_fail(
		    "%s has ended; 'brig replay %s' plays its output", id, id);
		status = cli_job_status(json_object_get(r, "job"));
	}
	json_decref(r);
	return status;
}

static int
attach(const struct cli *cli, const char *id, struct attach_io *io)
{
	cleanup_client struct client *c = cli_open(cli);
	cleanup_fd int mine = -1, theirs = -1;
	struct error err = { 0 };
	int status = CLI_ATTACH_LATE;
	json_t *r;

	if (c == NULL || cli_attach_pair("attach", &mine, &theirs) < 0)
		return CLI_BRIG;
	r = NULL;
	if (client_send(c, "job.attach",
		json_pack("{s:s, s:b, s:[s]}", "job", id, "read_only",
		    io->read_only, "fds", "attach"),
		&theirs, 1, &err) == 0)
		r = client_recv(c, &err);
	/* Only then does the job's end close when the job is gone. */
	fd_close(&theirs);
	if (r == NULL) {
		cli_fail("attach: %s", err.msg);
		return CLI_BRIG;
	}
	io->sock = mine;
	if (json_is_true(json_object_get(r, "attached")))
		status = cli_attach_stay(c, id, io);
	json_decref(r);
	return status == CLI_ATTACH_LATE ? show_ended(c, id) : status;
}

int
cmd_attach(const struct cli *cli, int argc, char **argv)
{
	enum {
		OPT_KEYS = 1
	};
	static const struct option longs[] = {
		{ "read-only", no_argument, NULL, 'r' },
		{ "detach-keys", required_argument, NULL, OPT_KEYS },
		{ NULL, 0, NULL, 0 },
	};
	struct attach_io io = { .watch = true };
	const char *keys = DETACH_KEYS_DEFAULT, *s;
	struct cli_opts o;
	char id[24];
	int c;

	cli_opts_init(&o, cli, "attach", attach_usage, "r", longs);
	o.permute = true;
	while ((c = cli_getopt(&o, argc, argv)) != -1) {
		if (c == 'r')
			io.read_only = true;
		else if (c == OPT_KEYS)
			keys = optarg;
		else
			return CLI_BRIG;
	}
	if (cli_attach_keys("attach", keys, &io.keys) < 0 ||
	    (s = cli_one_operand(&o, argc, argv, "JOB")) == NULL)
		return CLI_BRIG;
	if (!cli_job_id(s, id)) {
		cli_usage("attach", "JOB is like j-17 or 17");
		return CLI_BRIG;
	}
	return attach(cli, id, &io);
}

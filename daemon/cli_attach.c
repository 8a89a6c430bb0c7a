#include "daemon/cli_attach.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "daemon/cli_util.h"

#define END_TRIES 30   /* looks at a job that may be about to end */
#define END_NAP_MS 100 /* between them */

int
cli_attach_pair(const char *cmd, int *mine, int *theirs)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0) {
		cli_fail("%s: socketpair: %s", cmd, strerror(errno));
		return -1;
	}
	*mine = sv[0];
	*theirs = sv[1];
	return 0;
}

int
cli_attach_keys(const char *cmd, const char *text, struct detach_keys *keys)
{
	struct error err = { 0 };

	if (detach_keys_parse(keys, text, &err) == 0)
		return 0;
	cli_usage(cmd, "--detach-keys: %s", err.msg);
	return -1;
}

/*
 * The socket closed without a word: the job's record tells what happened, if
 * not at once, since the job ends for its client before it does for brigd.
 */
static int
end_unknown(struct client *c, const char *id)
{
	const struct timespec nap = { 0, END_NAP_MS * 1000000L };
	int status = CLI_BRIG, tries = 0;
	json_t *r, *job;

	for (;;) {
		r = cli_call(c, "job.show", json_pack("{s:s}", "job", id));
		if (r == NULL)
			return CLI_BRIG;
		job = json_object_get(r, "job");
		if (json_is_object(json_object_get(job, "exit")) ||
		    ++tries == END_TRIES)
			break;
		json_decref(r);
		(void)nanosleep(&nap, NULL);
	}
	if (json_is_object(json_object_get(job, "exit")))
		status = cli_job_status(job);
	else
		cli_fail("lost touch with job %s, which is %s; see 'brig logs "
			 "-f %s'",
		    id, cli_str(job, "state"), id);
	json_decref(r);
	return status;
}

int
cli_attach_stay(struct client *c, const char *id, struct attach_io *io)
{
	struct attach_end end;
	struct error err = { 0 };

	io->in = STDIN_FILENO;
	io->out = STDOUT_FILENO;
	io->err = STDERR_FILENO;
	if (attach_run(io, &end, &err) < 0) {
		cli_fail("job %s: %s; it goes on, see 'brig show %s'", id,
		    err.msg, id);
		return CLI_BRIG;
	}
	if (end.known)
		return cli_exit_status(end.kind, end.code, end.detail);
	if (end.bye[0] != '\0') {
		cleanup_free char *safe = str_escape(end.bye, strlen(end.bye));

		cli_fail("job %s: %s", id, safe);
		return CLI_BRIG;
	}
	if (end.detached && end.signo == SIGPIPE)
		return 128 + end.signo;
	if (end.detached) {
		cli_fail("detached from %s, which goes on; 'brig attach %s' "
			 "returns to it",
		    id, id);
		return end.signo == 0 ? CLI_OK : 128 + end.signo;
	}
	if (io->watch && !end.hello)
		return CLI_ATTACH_LATE;
	return end_unknown(c, id);
}

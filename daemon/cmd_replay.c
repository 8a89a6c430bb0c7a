/*
 * brig replay: play the output of a job again, as fast as it came.
 */
#include "daemon/cli.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/ev.h"
#include "base/fdutil.h"
#include "base/str.h"
#include "daemon/cli_util.h"
#include "daemon/replay.h"

#define SPEED_MAX 1000.0
#define IDLE_MAX 86400.0
#define CTRL_C 3

static const char replay_usage[] =
    "usage: brig replay [--speed N] [--max-idle S] [--asciicast | --json] JOB\n"
    "Play the output of a job again, as it came.  q ends it.\n"
    "      --speed N     N times as fast; 0.5 is half as fast\n"
    "      --max-idle S  no pause is longer than S seconds\n"
    "      --asciicast   print it as asciicast v2, for other players\n"
    "      --json        print one JSON object for each event\n";

/* What is done with the events. */
struct player {
	enum {
		PLAY_TERMINAL,
		PLAY_ASCIICAST,
		PLAY_JSON
	} how;
	json_t *job;
	bool headed; /* the header of an asciicast is out */
	uint16_t rows, cols;
	struct buf carry; /* an unfinished UTF-8 character */
	bool keys;        /* the terminal is ours */
	uint64_t started; /* ms */
};

/* ---- the terminal ------------------------------------------------------ */

static struct termios terminal_was;
static volatile sig_atomic_t terminal_taken, stopped;

static void
on_stop(int signo)
{
	stopped = signo;
}

static void
terminal_give_back(void)
{
	/*
	 * What the terminal answered to the bytes of a job is not for the
	 * user's shell.
	 */
	if (terminal_taken)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_was);
	terminal_taken = 0;
}

static void
terminal_take(struct player *p)
{
	struct sigaction sa = { .sa_handler = on_stop };
	struct termios t;

	if (isatty(STDOUT_FILENO) != 1 || isatty(STDIN_FILENO) != 1 ||
	    tcgetattr(STDIN_FILENO, &terminal_was) < 0)
		return;
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	t = terminal_was;
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
	if (atexit(terminal_give_back) != 0 ||
	    tcsetattr(STDIN_FILENO, TCSADRAIN, &t) < 0)
		return;
	terminal_taken = 1;
	p->keys = true;
}

/* Wait until then (ms); false when the user has had enough. */
static bool
wait_until(struct player *p, uint64_t when)
{
	struct pollfd pf = { .fd = p->keys ? STDIN_FILENO : -1,
		.events = POLLIN };

	while (!stopped) {
		uint64_t now = ev_now_ms();
		uint64_t left = when > now ? when - now : 0;
		char c;

		if (left > INT32_MAX)
			left = INT32_MAX;
		if (poll(&pf, 1, (int)left) <= 0) {
			if (left == 0)
				return true;
			continue;
		}
		if (read(STDIN_FILENO, &c, 1) != 1)
			pf.fd = -1;
		else if (c == 'q' || c == CTRL_C)
			return false;
	}
	return false;
}

/* ---- events ------------------------------------------------------------ */

static int
print_line(json_t *v)
{
	char *text = json_dumps(v, JSON_COMPACT);
	int rc = text == NULL || puts(text) < 0 ? -1 : 0;

	json_decref(v);
	free(text);
	return rc;
}

static json_t *
cast_header(const struct player *p)
{
	cleanup_free char *words = cli_words(json_object_get(p->job, "argv"));
	json_t *h = json_pack("{s:i, s:i, s:i, s:I}", "version", 2, "width",
	    p->cols == 0 ? 80 : p->cols, "height", p->rows == 0 ? 24 : p->rows,
	    "timestamp", (json_int_t)cli_int(p->job, "started"));

	json_object_set_new(h, "command", json_string(words));
	json_object_set_new(h, "title", json_string(cli_str(p->job, "id")));
	return h;
}

static int
print_event(struct player *p, const struct replay_event *e)
{
	double t = (double)e->us / 1000000.0;
	cleanup_buf struct buf text = { 0 };
	json_t *data = NULL;
	char size[16];

	if (e->kind == REPLAY_SIZE) {
		p->rows = e->rows;
		p->cols = e->cols;
	}
	if (p->how == PLAY_ASCIICAST && !p->headed) {
		p->headed = true;
		if (print_line(cast_header(p)) < 0)
			return -1;
		/* It holds the first size. */
		if (e->kind == REPLAY_SIZE)
			return 0;
	}
	if (e->kind == REPLAY_SIZE) {
		snprintf(size, sizeof(size), "%ux%u", e->cols, e->rows);
		return print_line(
		    p->how == PLAY_ASCIICAST
			? json_pack("[f,s,s]", t, "r", size)
			: json_pack("{s:f,s:s,s:i,s:i}", "time", t, "event",
			      "resize", "rows", e->rows, "cols", e->cols));
	}
	replay_utf8(&p->carry, e->bytes, e->n, e->kind == REPLAY_END, &text);
	if (buf_len(&text) > 0)
		data =
		    json_stringn((const char *)buf_head(&text), buf_len(&text));
	if (data != NULL &&
	    print_line(p->how == PLAY_ASCIICAST
			   ? json_pack("[f,s,o]", t, "o", data)
			   : json_pack("{s:f,s:s,s:o}", "time", t, "event",
				 "output", "data", data)) < 0)
		return -1;
	if (e->kind == REPLAY_END && p->how == PLAY_JSON)
		return print_line(json_pack(
		    "{s:f,s:s,s:O}", "time", t, "event", "end", "job", p->job));
	return 0;
}

/* 1: go on, 0: the user has left, -1: the output cannot be written. */
static int
play_event(struct player *p, const struct replay_event *e)
{
	if (p->how != PLAY_TERMINAL)
		return print_event(p, e) < 0 ? -1 : 1;
	if (!wait_until(p, p->started + e->us / 1000))
		return 0;
	if (e->n > 0 && fd_write_all(STDOUT_FILENO, e->bytes, e->n) < 0)
		return -1;
	return 1;
}

static int
play(struct player *p, struct replay *r)
{
	struct replay_event e;
	struct error err = { 0 };
	int rc;

	p->started = ev_now_ms();
	buf_init(&p->carry, 0);
	if (p->how == PLAY_TERMINAL)
		terminal_take(p);
	do {
		rc = replay_next(r, &e, &err);
		if (rc == 0)
			rc = play_event(p, &e);
	} while (rc > 0 && e.kind != REPLAY_END);
	terminal_give_back();
	buf_free(&p->carry);
	if (err.msg[0] != '\0')
		return cli_fail("replay: %s", err.msg);
	if (rc < 0 || fflush(stdout) != 0)
		return cli_fail(
		    "replay: cannot write output: %s", strerror(errno));
	return stopped ? 128 + stopped : CLI_OK;
}

/* ---- the command ------------------------------------------------------- */

/* More than 0 and up to max; false if it is no such number. */
static bool
number(const char *s, double max, double *out)
{
	char *end;

	errno = 0;
	*out = strtod(s, &end);
	return end != s && *end == '\0' && errno == 0 && isfinite(*out) &&
	       *out > 0 && *out <= max;
}

/* A log of the job; -1 after a message. */
static int
open_log(struct client *c, const char *id, bool timing, json_t **job)
{
	json_t *r = cli_call(c, "job.logs",
	    json_pack("{s:s, s:b}", "job", id, "timing", timing));
	int fd;

	if (r == NULL)
		return -1;
	if (job != NULL)
		*job = json_incref(json_object_get(r, "job"));
	json_decref(r);
	fd = client_take_fd(c);
	if (fd < 0)
		cli_fail("replay: brigd sent no log");
	return fd;
}

static int
replay(const struct cli *cli, const char *id, struct player *p, double speed,
    double idle)
{
	cleanup_client struct client *c = cli_open(cli);
	cleanup_fd int log_fd = -1, timing_fd = -1;
	struct replay r;
	int status;

	if (c == NULL || (log_fd = open_log(c, id, false, &p->job)) < 0 ||
	    (timing_fd = open_log(c, id, true, NULL)) < 0)
		return CLI_FAILED;
	replay_init(&r, log_fd, timing_fd, speed, (uint64_t)(idle * 1000000.0));
	status = play(p, &r);
	replay_free(&r);
	return status;
}

int
cmd_replay(const struct cli *cli, int argc, char **argv)
{
	enum {
		OPT_SPEED = 1,
		OPT_IDLE,
		OPT_CAST
	};
	static const struct option longs[] = {
		{ "speed", required_argument, NULL, OPT_SPEED },
		{ "max-idle", required_argument, NULL, OPT_IDLE },
		{ "asciicast", no_argument, NULL, OPT_CAST },
		{ NULL, 0, NULL, 0 },
	};
	struct player p = { .how = PLAY_TERMINAL };
	double speed = 1, idle = 0;
	struct cli_opts o;
	const char *s;
	int c, status;
	char id[24];

	cli_opts_init(&o, cli, "replay", replay_usage, "", longs);
	o.permute = true;
	while ((c = cli_getopt(&o, argc, argv)) != -1) {
		if (c == OPT_SPEED && !number(optarg, SPEED_MAX, &speed))
			return cli_usage("replay",
			    "--speed is a number above 0, at most 1000");
		if (c == OPT_IDLE && !number(optarg, IDLE_MAX, &idle))
			return cli_usage("replay",
			    "--max-idle is a number of seconds above 0");
		if (c == OPT_CAST)
			p.how = PLAY_ASCIICAST;
		else if (c != OPT_SPEED && c != OPT_IDLE)
			return CLI_USAGE;
	}
	if (o.json && p.how == PLAY_ASCIICAST)
		return cli_usage("replay", "--json or --asciicast, not both");
	if (o.json)
		p.how = PLAY_JSON;
	if ((s = cli_one_operand(&o, argc, argv, "JOB")) == NULL)
		return CLI_USAGE;
	if (!cli_job_id(s, id))
		return cli_usage("replay", "JOB is like j-17 or 17");
	status = replay(cli, id, &p, speed, idle);
	json_decref(p.job);
	return status;
}

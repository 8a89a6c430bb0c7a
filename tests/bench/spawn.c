/*
 * brig-spawn: wall time of commands, taken in turn so that what else the
 * machine does hits all of them alike.
 *
 *   brig-spawn ROUNDS COMMAND [COMMAND...]
 *
 * Each COMMAND is one argument, split at spaces; "9<FILE" opens a file as
 * descriptor 9.  Every command runs once untimed first.  Prints one line a
 * command: "MEDIAN_US P99_US".  A command that fails ends the run.
 *
 * A COMMAND that begins with "@" is started once and says "2" whenever it is
 * ready; what is timed is from the byte it is sent then to its answer "1".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

#define WORDS_MAX 64

struct command {
	char *v[WORDS_MAX];
	const char *fd9; /* file to open as descriptor 9, or NULL */
	int to, from;    /* pipes of one that is running, or -1 */
};

static void
split(struct command *c, const char *text)
{
	char *s = xstrdup(text), *save = NULL;
	size_t n = 0;

	for (char *w = strtok_r(s, " ", &save); w != NULL && n < WORDS_MAX - 1;
	     w = strtok_r(NULL, " ", &save))
		if (str_starts(w, "9<"))
			c->fd9 = w + 2;
		else
			c->v[n++] = w;
}

static void
wait_byte(const struct command *c, char want)
{
	char got;

	if (read(c->from, &got, 1) != 1 || got != want)
		fatalx("%s: no answer", c->v[0]);
}

static void
serve(struct command *c)
{
	int to[2], from[2];
	pid_t pid;

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		fatal("pipe");
	c->v[0]++;
	if ((pid = vfork()) == 0) {
		if (dup2(to[0], 0) < 0 || dup2(from[1], 1) < 0)
			_exit(126);
		execvp(c->v[0], c->v);
		_exit(127);
	}
	if (pid < 0)
		fatal("%s", c->v[0]);
	close(to[0]);
	close(from[1]);
	c->to = to[1];
	c->from = from[0];
}

static double
elapsed(const struct timespec *a, const struct timespec *b)
{
	return (double)(b->tv_sec - a->tv_sec) * 1e6 +
	       (double)(b->tv_nsec - a->tv_nsec) / 1e3;
}

static double
once(const struct command *c)
{
	struct timespec a, b;
	pid_t pid;
	int st;

	if (c->to >= 0) {
		wait_byte(c, '2');
		clock_gettime(CLOCK_MONOTONIC, &a);
		if (write(c->to, "g", 1) != 1)
			fatal("%s", c->v[0]);
		wait_byte(c, '1');
		clock_gettime(CLOCK_MONOTONIC, &b);
		return elapsed(&a, &b);
	}

	clock_gettime(CLOCK_MONOTONIC, &a);
	if ((pid = vfork()) == 0) {
		if (c->fd9 != NULL) {
			int fd = open(c->fd9, O_RDONLY);

			if (fd < 0 || dup2(fd, 9) < 0)
				_exit(126);
		}
		execvp(c->v[0], c->v);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &st, 0) != pid)
		fatal("%s", c->v[0]);
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (st != 0)
		fatalx("%s: wait status %#x", c->v[0], (unsigned int)st);
	return elapsed(&a, &b);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	size_t n = (size_t)argc - 2;
	uint64_t rounds;
	double **t;
	struct command *cmd;

	log_init("brig-spawn", LOG_LEVEL_INFO);
	if (argc < 3 || str_to_u64(argv[1], 1, 100000, &rounds) < 0)
		fatalx("usage: brig-spawn ROUNDS COMMAND...");
	cmd = xcalloc(n, sizeof(*cmd));
	t = xcalloc(n, sizeof(*t));
	for (size_t i = 0; i < n; i++) {
		cmd[i].to = cmd[i].from = -1;
		split(&cmd[i], argv[i + 2]);
		if (cmd[i].v[0] != NULL && cmd[i].v[0][0] == '@')
			serve(&cmd[i]);
		t[i] = xcalloc(rounds, sizeof(**t));
		(void)once(&cmd[i]);
	}
	for (uint64_t k = 0; k < rounds; k++)
		for (size_t i = 0; i < n; i++)
			t[i][k] = once(&cmd[i]);
	for (size_t i = 0; i < n; i++) {
		qsort(t[i], rounds, sizeof(**t), compare);
		printf(
		    "%.1f %.1f\n", t[i][rounds / 2], t[i][rounds * 99 / 100]);
	}
	return 0;
}

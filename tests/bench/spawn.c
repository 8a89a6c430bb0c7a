/*
 * brig-spawn: wall time of commands, taken in turn so that what else the
 * machine does hits all of them alike.
 *
 *   brig-spawn ROUNDS COMMAND [COMMAND...]
 *
 * Each COMMAND is one argument, split at spaces; "9<FILE" opens a file as
 * descriptor 9.  Every command runs once untimed first.  Prints one line a
 * command: "MEDIAN_US P99_US".  A command that fails ends the run.
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

static double
once(const struct command *c)
{
	struct timespec a, b;
	pid_t pid;
	int st;

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
	return (double)(b.tv_sec - a.tv_sec) * 1e6 +
	       (double)(b.tv_nsec - a.tv_nsec) / 1e3;
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
		split(&cmd[i], argv[i + 2]);
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

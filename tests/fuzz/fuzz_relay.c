/*
 * The relay with hostile clients.  Input: u8 flags (1: terminal, 2: somebody
 * started the job and stays), then steps: u8 what, u8 length, bytes.  What: 0
 * to 3: that client sends the bytes, raw; 4 to 7: it comes or, when it is
 * there, vanishes (an odd length: read-only); 8, 9: the job prints them; 10:
 * everybody reads; 11: the job reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "daemon/shim_relay.h"

#define CLIENTS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct ev *ev;
	struct relay *r;
	int in, out[2];
	int client[CLIENTS];
	unsigned int hung_up, finished;
};

static void
on_signal(int signo, void *arg)
{
	(void)arg;
	/* What nobody may send. */
	if (signo <= 0 || signo == SIGSTOP || signo == SIGSEGV || signo > 31)
		abort();
}

static void
on_gone(void *arg)
{
	struct world *w = arg;

	/* Once, by the first client alone. */
	if (w->hung_up++ != 0)
		abort();
}

static void
on_attended(void *arg)
{
	(void)arg;
}

static void
on_output_cut(const struct outlog *l, void *arg)
{
	(void)arg;
	if (!l->full)
		abort();
}

static void
on_output_end(const struct outlog *l, void *arg)
{
	(void)l;
	(void)arg;
}

static void
on_finished(void *arg)
{
	((struct world *)arg)->finished++;
}

static const struct relay_ops ops = { on_signal, on_gone, on_attended,
	on_output_cut, on_output_end, on_finished };

static int
pair(int *mine)
{
	int sv[2];

	if (fd_socketpair(sv) < 0)
		abort();
	*mine = sv[0];
	return sv[1];
}

static void
make_pipe(int *ours, int *theirs, bool to_job)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) != 0)
		abort();
	*ours = p[to_job];
	*theirs = p[!to_job];
}

static void
open_world(struct world *w, uint8_t flags)
{
	struct relay_conf c = { .client_fd = -1,
		.log_fd = -1,
		.timing_fd = -1,
		.err_fd = -1,
		.tty = flags & 1 };
	int master;

	w->ev = ev_new();
	for (size_t i = 0; i < CLIENTS; i++)
		w->client[i] = -1;
	if (flags & 2)
		c.client_fd = pair(&w->client[0]);
	if (c.tty) {
		if (openpty(&master, &w->out[0], NULL, NULL, NULL) != 0 ||
		    fd_nonblock(master) != 0 || fd_nonblock(w->out[0]) != 0)
			abort();
		c.in_fd = c.out_fd = master;
		w->in = w->out[1] = -1;
	} else {
		make_pipe(&c.in_fd, &w->in, true);
		make_pipe(&c.out_fd, &w->out[0], false);
		make_pipe(&c.err_fd, &w->out[1], false);
	}
	w->r = relay_new(w->ev, &c, &ops, w);
}

static void
drain(int fd)
{
	uint8_t b[65536];

	while (fd >= 0 && read(fd, b, sizeof(b)) > 0)
		continue;
}

static void
step(struct world *w, uint8_t what, const uint8_t *p, size_t n)
{
	int *cl = &w->client[what % CLIENTS];

	if (what < 4) {
		if (*cl >= 0)
			(void)send(*cl, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	} else if (what < 8) {
		if (*cl >= 0)
			fd_close(cl);
		else
			relay_attach(w->r, pair(cl), 0, n % 2 == 1);
	} else if (what < 10) {
		if (w->out[what % 2] >= 0 &&
		    write(w->out[what % 2], p, n) < 0 && errno != EAGAIN)
			abort();
	} else if (what == 10) {
		for (size_t i = 0; i < CLIENTS; i++)
			drain(w->client[i]);
	} else {
		drain(w->in >= 0 ? w->in : w->out[0]);
	}
	ev_once(w->ev, 0);
	ev_once(w->ev, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .finished = 0 };

	log_init("fuzz_relay", LOG_LEVEL_WARN);
	signal(SIGPIPE, SIG_IGN);
	if (size == 0)
		return 0;
	open_world(&w, data[0]);
	data++;
	size--;
	while (size >= 2) {
		size_t n = data[1] < size - 2 ? data[1] : size - 2;

		step(&w, data[0] % 12, data + 2, n);
		data += 2 + n;
		size -= 2 + n;
	}
	relay_finish(w.r, EXIT_CODE, 0, "");
	for (int i = 0; i < 5 && w.finished == 0; i++) {
		for (size_t k = 0; k < CLIENTS; k++)
			drain(w.client[k]);
		ev_once(w.ev, 0);
	}
	if (w.finished > 1)
		abort();
	relay_free(w.r);
	ev_once(w.ev, 0);
	ev_free(w.ev);
	for (size_t i = 0; i < CLIENTS; i++)
		fd_close(&w.client[i]);
	fd_close(&w.in);
	fd_close(&w.out[0]);
	fd_close(&w.out[1]);
	return 0;
}

/*
 * The dns process on any messages of a back: no overrun; a name that is not
 * one never reaches the resolver.  Its tables are private, so it is compiled
 * in here; no resolver runs.
 */
#include "proxy/dns.c"

#include "tests/fuzz/play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* No thread is started. */
	struct dns d = { .done_fd = -1, .workers = WORKERS_MAX };
	struct play_step st;
	struct lookup *l;
	struct play p;

	d.last = &d.turns;
	queue_init(&d.done);
	pthread_mutex_init(&d.lock, NULL);
	pthread_cond_init(&d.wake, NULL);
	d.ev = ev_new();
	d.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d.done_io = ev_io_new(d.ev, d.done_fd, EV_READ, on_done, &d);
	play_start(&p, d.ev, from_parent, nitems(from_parent), peers,
	    nitems(peers), 3, &d);
	d.peers = p.peers;
	while (play_next(&data, &size, &st))
		if (!play_do(&p, &st))
			fd_close(&st.fd);
	while ((l = take(&d)) != NULL) {
		if (!str_is_hostname(l->name))
			abort();
		/* The worker's part; answered when its back may be gone. */
		add_literal(&l->answer, "192.0.2.1");
		l->job->at_work--;
		d.at_work--;
		queue_push(&d.done, l);
	}
	on_done(d.done_fd, EV_READ, &d);
	if (d.busy != 0 || d.jobs != NULL || d.turns != NULL)
		abort();
	play_end(&p);
	ev_io_free(d.done_io);
	ev_once(d.ev, 0);
	close(d.done_fd);
	free(d.overrides);
	ev_free(d.ev);
	return 0;
}

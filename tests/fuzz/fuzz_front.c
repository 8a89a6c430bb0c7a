/*
 * The front process on any messages of back and keyd and any bytes of an
 * agent (step 0x20: a connection sends the body; step 0x21: it closes).  Its
 * tables are private, so it is compiled in here.
 */
#include "proxy/front.c"

#include <unistd.h>

#include "base/fdutil.h"
#include "tests/fuzz/play.h"

#define AGENT 0x20
#define AGENT_CLOSE 0x21

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
agent_step(struct front *f, int *end, struct play_step *st)
{
	size_t bytes = 0;
	int fds[2];

	if (*end < 0) {
		if (fd_socketpair(fds) < 0 || fd_nonblock(fds[0]) < 0 ||
		    fd_nonblock(fds[1]) < 0)
			abort();
		conn_new(f, fds[1], "192.0.2.1", "192.0.2.1", 0, 80);
		*end = fds[0];
	}
	if (fd_sendmsg(*end, st->body, st->n, NULL, 0) < 0)
		fd_close(end);
	for (int i = 0; i < 4; i++)
		ev_once(f->ev, 0);
	if (*end >= 0 && !play_drain(*end, &bytes))
		fd_close(end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct peer_def defs[] = {
		{ ROLE_BACK, front_back_rules, front_back_nrules, front_back_up,
		    front_back_down },
		{ ROLE_KEYD, keyd_rules, nitems(keyd_rules), keyd_up,
		    keyd_down },
	};
	struct front *f = xcalloc(1, sizeof(*f));
	static bool ready;
	struct play_step st;
	struct play p;
	int agent = -1;

	if (!ready) {
		front_preinit();
		ready = true;
	}
	for (size_t i = 0; i < CAPTURE_MAX; i++)
		f->fds[i] = -1;
	f->ev = ev_new();
	f->pool = addr_pool_new();
	f->next_serial = f->next_mint = 1;
	f->job = 3;
	play_start(&p, f->ev, parent_rules, nitems(parent_rules), defs,
	    nitems(defs), 3, f);
	f->ps = p.peers;
	p.hears = play_wire_hears;
	while (play_next(&data, &size, &st)) {
		/* Sockets of a jail are not what is tested. */
		if (st.from == 0 && st.type == M_FRONT_FD)
			st.from = 0x7f;
		if (play_do(&p, &st))
			continue;
		if (st.from == AGENT)
			agent_step(f, &agent, &st);
		else if (st.from == AGENT_CLOSE)
			fd_close(&agent);
		fd_close(&st.fd);
	}
	while (f->conns != NULL)
		conn_close(f->conns);
	f->back = f->keyd = NULL;
	play_end(&p);
	ev_undefer(f->ev, mints_fail, f);
	front_mints_fail(f);
	ev_once(f->ev, 0);
	addr_pool_free(f->pool);
	tls_server_free(f->tls);
	ev_timer_free(f->accept_timer);
	ev_free(f->ev);
	free(f);
	fd_close(&agent);
	return 0;
}

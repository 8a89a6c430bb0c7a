/*
 * The control process on any messages of its peers and any bytes of a client
 * (step 0x20): no overrun, no crash, and nothing left behind when all have
 * gone.  Its tables are private, so it is compiled in here.
 */
#include "daemon/control.c"

#include "tests/fuzz/play.h"

#define CLIENT 0x20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char policy_text[] =
    "profile default {\n\tdefault exec allow;\n}\n";

static void
client_step(struct control *ct, int *end, struct play_step *st)
{
	size_t bytes = 0;
	int fds[2];

	if (*end < 0 || ct->clients == NULL) {
		fd_close(end);
		if (fd_socketpair(fds) < 0 || fd_nonblock(fds[0]) < 0)
			abort();
		client_new(ct, fds[1]);
		*end = fds[0];
	}
	if (fd_sendmsg(*end, st->body, st->n, &st->fd, st->fd >= 0) < 0 &&
	    errno != EAGAIN)
		fd_close(end);
	for (int i = 0; i < 3; i++)
		ev_once(ct->ev, 0);
	if (*end >= 0 && !play_drain(*end, &bytes))
		fd_close(end);
}

static void
set_up(struct control *ct)
{
	const struct policy_source src = { "fuzz.policy", policy_text,
		sizeof(policy_text) - 1, true };
	struct policy_diags ds = { 0 };
	cleanup_buf struct buf bundle = { 0 };
	struct error err = { 0 };

	ct->ev = ev_new();
	ct->store = store_open(":memory:", "", &err);
	if (ct->store == NULL || policy_bundle_write(&bundle, &src, 1) < 0)
		abort();
	ct->policy =
	    policy_bundle_load(buf_head(&bundle), buf_len(&bundle), &ds);
	ct->version = xstrdup("fuzz");
	ct->default_profile = xstrdup("default");
	ct->max_jobs = 4;
	ct->ask_timeout = 300;
}

static void
clear(struct control *ct)
{
	pending_gone(ct, ROLE_PARENT);
	ev_once(ct->ev, 0);
	if (ct->asks != NULL || ct->pending != NULL || ct->njobs != 0)
		abort();
	fd_close(&ct->listen_fd);
	store_close(ct->store);
	policy_free(ct->policy);
	free(ct->version);
	free(ct->default_profile);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control ct = { .listen_fd = -1 };
	struct play_step st;
	struct play p;
	int client = -1;

	set_up(&ct);
	/* The listener is left out: accept(2) is not what is tested. */
	play_start(&p, ct.ev, from_parent, nitems(from_parent), defs,
	    nitems(defs), 3, &ct);
	ct.peers = p.peers;
	while (play_next(&data, &size, &st)) {
		if (st.from == 0 &&
		    (st.type == M_LISTEN || st.type == M_JOBS_SYNC))
			st.from = 0x7f;
		/* The job of a shim or back is that of its channel. */
		if (play_do(&p, &st))
			continue;
		if (st.from == CLIENT)
			client_step(&ct, &client, &st);
		fd_close(&st.fd);
	}
	clients_close(&ct);
	while (ct.jobs != NULL)
		jobs_fail(&ct, ct.jobs, JOB_LOST, "end of the input");
	play_end(&p);
	clear(&ct);
	fd_close(&client);
	ev_once(ct.ev, 0);
	ev_free(ct.ev);
	return 0;
}

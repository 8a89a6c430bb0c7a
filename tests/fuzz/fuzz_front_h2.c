/*
 * HTTP/2 of an agent: any bytes on a connection in front, with what back says
 * in between.  The input is as in play.h; step 0x20 is the agent's bytes (the
 * first ones come after the client's preface), 0x21 its end, 0x22 what back
 * answers to the oldest request, whose serial the harness knows: the type says
 * which answer.
 */
#include "proxy/front.c"

#include <unistd.h>

#include "base/fdutil.h"
#include "proxy/front_h2.h"
#include "tests/fuzz/play.h"

#define AGENT 0x20
#define AGENT_CLOSE 0x21
#define ANSWER 0x22
#define NOBODY 0x7f

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
rounds(struct front *f, int end)
{
	size_t bytes = 0;

	for (int i = 0; i < 4; i++)
		ev_once(f->ev, 0);
	if (end >= 0)
		(void)play_drain(end, &bytes);
}

static void
agent_step(struct front *f, int *end, const struct play_step *st)
{
	static const char hello[] = NGHTTP2_CLIENT_MAGIC "\0\0\0\4\0\0\0\0\0";
	int fds[2];

	if (*end < 0) {
		if (fd_socketpair(fds) < 0 || fd_nonblock(fds[0]) < 0 ||
		    fd_nonblock(fds[1]) < 0)
			abort();
		conn_new(f, fds[1], "192.0.2.1", "192.0.2.1", 0, 80);
		*end = fds[0];
		if (fd_sendmsg(*end, hello, sizeof(hello) - 1, NULL, 0) < 0)
			abort();
	}
	if (st->n > 0 && fd_sendmsg(*end, st->body, st->n, NULL, 0) < 0)
		fd_close(end);
	rounds(f, *end);
}

static void
answer_step(struct front *f, struct play *p, int end, struct play_step *st)
{
	static const uint16_t types[] = { M_RSP_CONTINUE, M_RSP_HEAD,
		M_RSP_BODY, M_RSP_END, M_RSP_DENY, M_RSP_ABORT, M_RSP_WINDOW };
	uint32_t oldest = 0;

	for (size_t i = 0; i < FRONT_HASH; i++)
		for (struct exchange *ex = f->hash[i]; ex != NULL;
		     ex = ex->hash_next)
			if (oldest == 0 || ex->serial < oldest)
				oldest = ex->serial;
	st->from = 1;
	st->type = types[st->type % nitems(types)];
	st->serial = oldest;
	play_do(p, st);
	rounds(f, end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct peer_def defs[] = {
		{ ROLE_BACK, front_back_rules, front_back_nrules, front_back_up,
		    front_back_down },
	};
	struct front *f = xcalloc(1, sizeof(*f));
	static bool ready;
	struct play_step st;
	struct play p;
	int agent = -1;

	if (!ready) {
		front_preinit();
		log_set_level_name("error");
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
		struct play_step nothing = { .from = NOBODY, .fd = -1 };

		/* A back that is there. */
		play_do(&p, &nothing);
		if (st.from == AGENT)
			agent_step(f, &agent, &st);
		else if (st.from == AGENT_CLOSE)
			fd_close(&agent);
		else if (st.from == ANSWER)
			answer_step(f, &p, agent, &st);
		fd_close(&st.fd);
	}
	conn_goodbye(f);
	f->back = NULL;
	play_end(&p);
	ev_once(f->ev, 0);
	addr_pool_free(f->pool);
	ev_timer_free(f->accept_timer);
	ev_free(f->ev);
	free(f);
	fd_close(&agent);
	return 0;
}

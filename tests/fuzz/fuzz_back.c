/*
 * The back process on any messages of its peers: no overrun, and nothing is
 * dialled without a policy, a record and an answer of dns.  Its tables are
 * private, so it is compiled in here; connect(2) is played.
 */
#include "proxy/back.c"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char policy_text[] = "profile default {\n\tdefault http ask;\n"
				  "\tallow http * http://a.example/**;\n}\n";

static bool armed; /* policy, audit and dns have all spoken */

/* No input may reach a network. */
int
connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	(void)fd;
	(void)sa;
	(void)len;
	if (!armed)
		abort();
	errno = ECONNREFUSED;
	return -1;
}

static void
set_up(struct back *b)
{
	const struct policy_source src = { "fuzz.policy", policy_text,
		sizeof(policy_text) - 1, true };
	struct policy_diags ds = { 0 };
	cleanup_buf struct buf bundle = { 0 };

	if (policy_bundle_write(&bundle, &src, 1) < 0)
		abort();
	b->policy =
	    policy_bundle_load(buf_head(&bundle), buf_len(&bundle), &ds);
	if (b->policy == NULL)
		abort();
	strlcpy(b->profile_name, "default", sizeof(b->profile_name));
	b->job = 3;
	choose_profile(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct peer_def defs[] = {
		{ ROLE_FRONT, back_from_front, back_nfrom_front, front_up,
		    front_down },
		{ ROLE_KEYD, back_from_keyd, back_nfrom_keyd, keyd_up,
		    peer_down },
		{ ROLE_DNS, back_from_dns, back_nfrom_dns, NULL, peer_down },
		{ ROLE_AUDIT, back_from_audit, back_nfrom_audit, audit_up,
		    peer_down },
		{ ROLE_CONTROL, back_from_control, back_nfrom_control, NULL,
		    peer_down },
	};
	static bool ready;
	struct back b = { 0 };
	bool acked = false;
	struct play_step st;
	struct play p;

	if (!ready) {
		back_preinit();
		ready = true;
	}
	armed = false;
	b.ev = ev_new();
	b.pool = upstream_pool_new(b.ev);
	owed_init(&b);
	spare_init(&b);
	set_up(&b);
	play_start(&p, b.ev, from_parent, nitems(from_parent), defs,
	    nitems(defs), 3, &b);
	b.peers = p.peers;
	p.hears = play_wire_hears;
	while (play_next(&data, &size, &st)) {
		/* A policy of the input may say anything. */
		acked |= st.from == 4 &&
			 (st.type == M_AUDIT_ACK || st.type == M_AUDIT_ROOM);
		armed |= acked && st.from == 3 && st.type == M_RESOLVED;
		armed |= st.from == 0 && st.type == M_POLICY;
		if (!play_do(&p, &st))
			fd_close(&st.fd);
	}
	back_drop_all(&b);
	owed_end(&b);
	spare_end(&b);
	play_end(&p);
	upstream_pool_free(b.pool);
	bindings_free(&b.bindings);
	free(b.model_hosts);
	via_clear(&b.via);
	policy_free(b.policy);
	ev_once(b.ev, 0);
	back_unused_free(&b);
	ev_free(b.ev);
	return 0;
}

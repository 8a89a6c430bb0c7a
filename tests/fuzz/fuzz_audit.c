/*
 * The audit process on any messages of its peers: what it has written is
 * always a chain that verifies.  Its tables are private, so it is compiled in
 * here.
 */
#include "daemon/audit.c"

#include "tests/fuzz/play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
verify(int fd, uint64_t want)
{
	cleanup_free struct audit_verify *av = xcalloc(1, sizeof(*av));
	cleanup_buf struct buf b = { 0 };
	const struct audit_verdict *v;

	if (fd_pread_all(fd, &b, 64u << 20) < 0)
		abort();
	audit_verify_init(av);
	audit_verify_bytes(av, buf_head(&b), buf_len(&b));
	v = audit_verify_end(av);
	if (v->result == AUDIT_TAMPERED || v->torn != 0 || v->last_seq != want)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct audit a = { .fd = -1, .reserved = UINT64_MAX / 2 };
	struct play_step st;
	struct play p;

	a.fd = open("/tmp", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	if (a.fd < 0)
		abort();
	a.ev = ev_new();
	a.sync_timer = ev_timer_new(a.ev, audit_sync, &a);
	play_start(&p, a.ev, from_parent, nitems(from_parent), peer_defs,
	    nitems(peer_defs), 3, &a);
	a.peers = p.peers;
	log_open(&a);
	while (play_next(&data, &size, &st)) {
		/* Its handler writes for a peer that the parent is not. */
		if (st.from == 0 && st.type == M_AUDIT)
			st.from = 1;
		if (!play_do(&p, &st))
			fd_close(&st.fd);
	}
	audit_commit(&a);
	verify(a.fd, a.seq);
	play_end(&p);
	ev_timer_free(a.sync_timer);
	ev_once(a.ev, 0);
	buf_free(&a.group);
	close(a.fd);
	ev_free(a.ev);
	return 0;
}

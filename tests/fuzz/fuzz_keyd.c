/*
 * keyd's message handlers on any bytes from control, audit, front and back:
 * no overrun, and no value is released: no policy allows anything.  Input: u8
 * which handler, u16 length, body, again and again; the highest bit of the
 * first byte opens the job.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "proxy/keyd.h"
#include "proxy/roles.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Messages that were refused; tests/fuzz/feed.c looks at it. */
extern unsigned int play_faults;
unsigned int play_faults;

#define OTHER "tok_NotReleased987654321"
#define VALUE "ghp_NeverReleased0123456789"

static struct secret *ca_key;
static struct buf ca_cert;

static void
make_ca(void)
{
	struct error err;
	struct mint *m = mint_new(&err);

	if (m == NULL || mint_export(m, &ca_key, &ca_cert, &err) < 0)
		abort();
	mint_free(m);
}

static void
on_end(struct chan *c, enum chan_end how, const char *why, void *ctx)
{
	(void)c;
	(void)how;
	(void)why;
	(void)ctx;
}

static void
fill(struct keyd *k)
{
	struct credential c = { .id = 1,
		.name = "one",
		.spec = { .surfaces = SURFACE_HEADER,
		    .nhosts = 1,
		    .hosts = { { "a.example", 443 } },
		    .header = "X-Key",
		    .env = "TOKEN",
		    .capture = { "/token", 1, { ".access_token" } } } };
	cleanup_secret struct secret *key = secret_new(VALUE VALUE, 32);
	struct credential aws = { .id = 2,
		.name = "aws",
		.spec = { .kind = CRED_SIGV4,
		    .nhosts = 1,
		    .hosts = { { "a.example", 443 } },
		    .user = "AKIAREAL",
		    .env = "AWS_SECRET_ACCESS_KEY" } };
	struct error err;

	k->vault = vault_new();
	aws.value = secret_new(VALUE "aws", strlen(VALUE "aws"));
	if (aws.value == NULL ||
	    (aws.shape = stub_shape(aws.value, &err)) == NULL)
		abort();
	c.value = secret_new(VALUE, strlen(VALUE));
	if (c.value == NULL || key == NULL ||
	    (c.shape = stub_shape(c.value, &err)) == NULL ||
	    vault_set_stub_key(k->vault, key, &err) < 0 ||
	    vault_put(k->vault, &c, &err) < 0 ||
	    vault_put(k->vault, &aws, &err) < 0)
		abort();
	/* As in any vault that has been opened. */
	for (int which = VAULT_CA; which <= VAULT_CA_NEXT; which++)
		if (vault_set_ca(k->vault, (enum vault_ca)which, ca_key,
			buf_head(&ca_cert), buf_len(&ca_cert), &err) < 0)
			abort();
	if (keyd_ca_open(k, &err) < 0)
		abort();
}

/* Every rule of every peer, in one list that a byte indexes. */
static void
dispatch(struct peer *p, uint8_t which, const uint8_t *body, size_t n)
{
	static const struct {
		enum role role;
		const struct msg_rule *rules;
		size_t n;
	} tables[] = {
		{ ROLE_CONTROL, keyd_from_control, nitems(keyd_from_control) },
		{ ROLE_AUDIT, keyd_from_audit, nitems(keyd_from_audit) },
		{ ROLE_BACK, keyd_from_back, nitems(keyd_from_back) },
		{ ROLE_FRONT, NULL, 0 },
	};
	size_t t = which % nitems(tables), i = which / nitems(tables);
	const struct msg_rule *rules = tables[t].rules;
	size_t count = tables[t].n;
	struct msg m = { .job = 3, .serial = i + 1, .fd = -1 };
	const struct msg_rule *r;

	if (rules == NULL) {
		for (size_t d = 0; d < nitems(keyd_peers); d++) {
			if (keyd_peers[d].role == ROLE_FRONT) {
				rules = keyd_peers[d].rules;
				count = keyd_peers[d].nrules;
			}
		}
	}
	r = &rules[i % count];
	p->role = tables[t].role;
	cur_init(&m.body, body, n);
	/* Most bodies are none that a value may be. */
	if ((r->flags & MSG_FD) != 0)
		m.fd = n % 2 == 0 ? fd_memfd("value", OTHER, strlen(OTHER))
				  : fd_memfd("value", body, n);
	if (r->fn(p->chan, &m, p) < 0)
		play_faults++;
	if (m.fd >= 0)
		close(m.fd);
}

/* Without the log next to nothing is done.  What is told it is dropped. */
static int
give_audit(struct ev *ev, int parent)
{
	struct chan *c =
	    chan_new(ev, dup(parent), "parent", NULL, 0, on_end, NULL);
	cleanup_buf struct buf b = { 0 };
	int fds[2];

	if (c == NULL || fd_socketpair(fds) < 0)
		abort();
	buf_put_u8(&b, ROLE_AUDIT);
	buf_put_u32(&b, 0);
	chan_send(c, M_PEER, 0, 0, &b, fds[1]);
	chan_flush(c, 0);
	ev_once(ev, 0);
	chan_free(c);
	return fds[0];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keyd k = { .vault_fd = -1 };
	struct peer p = { .job = 3, .owner = &k };
	cleanup_buf struct buf got = { 0 };
	int fds[2], parent[2], audit;

	if (ca_key == NULL)
		make_ca();
	if (fd_socketpair(fds) < 0 || fd_socketpair(parent) < 0)
		abort();
	k.ev = ev_new();
	k.peers = peers_new(k.ev, parent[0], keyd_from_parent,
	    nitems(keyd_from_parent), keyd_peers, nitems(keyd_peers), &k);
	audit = give_audit(k.ev, parent[1]);
	if (peers_find(k.peers, ROLE_AUDIT, 0) == NULL)
		abort();
	fill(&k);
	if (size > 0 && (data[0] & 0x80) != 0) {
		k.jobs = xcalloc(1, sizeof(*k.jobs));
		k.jobs[0].job = 3;
		k.njobs = 1;
	}
	p.chan = chan_new(k.ev, fds[0], "fuzz", NULL, 0, on_end, NULL);
	while (size >= 3) {
		size_t n = data[1] | (size_t)data[2] << 8;

		n = n < size - 3 ? n : size - 3;
		dispatch(&p, data[0] & 0x7f, data + 3, n);
		chan_flush(p.chan, 0);
		data += 3 + n;
		size -= 3 + n;
	}
	ev_once(k.ev, 0);
	chan_free(p.chan);
	/* What keyd answered must not hold the value. */
	if (fd_read_all(fds[1], &got, 16 << 20) < 0 && buf_len(&got) == 0)
		abort();
	if (buf_len(&got) > 0 &&
	    memmem(buf_head(&got), buf_len(&got), "NeverReleased", 13) != NULL)
		abort();
	peers_free(k.peers);
	keyd_clear(&k);
	ev_once(k.ev, 0);
	ev_free(k.ev);
	close(fds[1]);
	close(parent[1]);
	close(audit);
	return 0;
}

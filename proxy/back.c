#include "proxy/back.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/proto.h"
#include "base/str.h"
#include "proxy/back_model.h"
#include "proxy/back_raw.h"
#include "proxy/roles.h"
#include "proxy/tls.h"

#define CONFIG_MAX 256u

struct chan *
back_chan(struct back *b, enum role role)
{
	struct peer *p = peers_find(b->peers, role, 0);

	if (p == NULL)
		p = peers_find(b->peers, role, b->job);
	return p == NULL || !chan_alive(p->chan) ? NULL : p->chan;
}

uint32_t
back_serial(struct back *b)
{
	/* 0 asks for no answer. */
	if (++b->serial == 0)
		b->serial = 1;
	return b->serial;
}

static void
choose_profile(struct back *b)
{
	b->profile = NULL;
	if (b->policy == NULL || b->profile_name[0] == '\0')
		return;
	b->profile = policy_profile(b->policy, b->profile_name);
	if (b->profile == NULL)
		log_warnx("policy has no profile \"%s\": nothing is allowed",
		    b->profile_name);
}

/* ---- parent ------------------------------------------------------------ */

static int
on_config(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	uint32_t n = cur_count(&m->body, CONFIG_MAX, 8);

	(void)c;
	via_clear(&b->via);
	for (uint32_t i = 0; i < n; i++) {
		cleanup_free char *key = cur_str(&m->body, P_NAME_MAX);
		cleanup_free char *value = cur_str(&m->body, P_TEXT_MAX);
		uint64_t job;

		if (key == NULL || value == NULL)
			return -1;
		if (strcmp(key, "profile") == 0)
			strlcpy(
			    b->profile_name, value, sizeof(b->profile_name));
		else if (strcmp(key, "job") == 0 &&
			 str_to_u64(value, 1, UINT32_MAX, &job) == 0)
			b->job = (uint32_t)job;
		else if (strcmp(key, "model-host") == 0)
			back_model_host(b, value);
		else if (strcmp(key, "log-level") == 0)
			log_set_level_name(value);
		else
			via_config(&b->via, key, value);
	}
	if (cur_end(&m->body) < 0)
		return -1;
	choose_profile(b);
	return 0;
}

/*
 * A policy that does not load here although the parent loaded it means that
 * something is wrong: then nothing is allowed.
 */
static int
on_policy(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	uint32_t generation = cur_u32(&m->body);
	cleanup_fd int fd = steal_fd(&m->fd);
	cleanup_buf struct buf bytes = { 0 };
	struct policy_diags ds = { 0 };

	(void)c;
	if (cur_end(&m->body) < 0 || !fd_is_sealed(fd))
		return -1;
	b->profile = NULL;
	policy_free(b->policy);
	b->policy = NULL;
	b->generation = generation;
	if (fd_pread_all(fd, &bytes, POLICY_BUNDLE_MAX) == 0)
		b->policy =
		    policy_bundle_load(buf_head(&bytes), buf_len(&bytes), &ds);
	if (b->policy == NULL)
		log_warnx("policy generation %u does not load: nothing is "
			  "allowed",
		    generation);
	policy_diags_free(&ds);
	choose_profile(b);
	/* Their addresses were judged by the old one. */
	upstream_pool_clear(b->pool);
	back_raw_rejudge(b);
	back_rejudge(b);
	return 0;
}

static int
on_roots(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;

	(void)c;
	if (cur_end(&m->body) < 0 || !fd_is_sealed(m->fd) ||
	    lseek(m->fd, 0, SEEK_END) > (off_t)DIAL_ROOTS_MAX)
		return -1;
	upstream_pool_roots(b->pool, steal_fd(&m->fd));
	return 0;
}

static int
on_host_roots(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;

	(void)c;
	if (cur_end(&m->body) < 0 || !fd_is_sealed(m->fd))
		return -1;
	upstream_pool_clear(b->pool);
	return dialer_host_roots(
	    upstream_pool_dialer(b->pool), steal_fd(&m->fd));
}

static const struct msg_rule from_parent[] = {
	{ M_CONFIG, MSG_ALLOWED, on_config },
	{ M_POLICY, MSG_ALLOWED | MSG_FD, on_policy },
	{ M_BACK_ROOTS, MSG_ALLOWED | MSG_FD, on_roots },
	{ M_BACK_HOST_ROOTS, MSG_ALLOWED | MSG_FD, on_host_roots },
	{ M_INFERD, MSG_ALLOWED | MSG_FD, back_on_inferd },
};

/* ---- peers come and go ------------------------------------------------- */

static void
on_front_drain(void *arg)
{
	struct back *b = arg;
	struct exchange *next;

	for (struct exchange *x = b->list; x != NULL; x = next) {
		next = x->next;
		xch_pull(x);
	}
}

static void
front_up(struct peer *p)
{
	struct back *b = p->owner;

	b->front = p;
	if (b->job == 0)
		b->job = p->job;
	chan_on_drain(p->chan, on_front_drain, b);
}

static void
front_down(struct peer *p)
{
	struct back *b = p->owner;

	b->front = NULL;
	back_drop_all(b);
}

static void
keyd_up(struct peer *p)
{
	struct back *b = p->owner;

	chan_send(p->chan, M_BINDINGS_GET, b->job, 0, NULL, -1);
}

static void
audit_up(struct peer *p)
{
	owed_send(p->owner);
}

static void
peer_down(struct peer *p)
{
	back_peer_lost(p->owner, p->role);
}

void
back_preinit(void)
{
	tls_preinit();
}

void
back_main(void)
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
	struct back b = { 0 };

	b.ev = ev_new();
	b.pool = upstream_pool_new(b.ev);
	owed_init(&b);
	spare_init(&b);
	b.peers = peers_new(b.ev, PARENT_FD, from_parent, nitems(from_parent),
	    defs, nitems(defs), &b);
	peers_ready(b.peers);
	ev_run(b.ev);
	back_drop_all(&b);
	owed_end(&b);
	spare_end(&b);
	peers_free(b.peers);
	upstream_pool_free(b.pool);
	bindings_free(&b.bindings);
	free(b.often);
	free(b.model_hosts);
	via_clear(&b.via);
	policy_free(b.policy);
	/* What was to go at the end of the round goes now. */
	ev_once(b.ev, 0);
	back_unused_free(&b);
	ev_free(b.ev);
}

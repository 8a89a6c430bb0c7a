#include "proxy/front.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "proxy/roles.h"

#define CONFIG_MAX 256u
#define LEAF_MAX 8192u

void
front_event(struct front *f, enum front_event kind, const char *dst,
    uint16_t port, const char *text, size_t n)
{
	struct rate *l = &f->event_rate[kind];
	cleanup_free char *shown = NULL;
	cleanup_buf struct buf b = { 0 };

	if (!rate_take(l, FRONT_EVENT_BURST, FRONT_EVENT_MS))
		return;
	shown = str_escape(text, n > 512 ? 512 : n);
	if (l->dropped > 0) {
		char *more = xasprintf(
		    "%s (and %u more of this kind untold)", shown, l->dropped);
		free(shown);
		shown = more;
		l->dropped = 0;
	}
	if (f->back == NULL) {
		log_info("event=%d dst=%s port=%u untold: back is down: %s",
		    (int)kind, dst, port, shown);
		return;
	}
	buf_put_u8(&b, (uint8_t)kind);
	buf_put_str(&b, dst);
	buf_put_u16(&b, port);
	buf_put_str(&b, shown);
	chan_send(f->back->chan, M_FRONT_EVENT, f->job, 0, &b, -1);
}

/* M_CONFIG: only what concerns front; the rest is for others. */
static int
on_config(struct chan *ch, struct msg *m, void *ctx)
{
	struct front *f = ((struct peer *)ctx)->owner;
	uint32_t n = cur_count(&m->body, CONFIG_MAX, 8);

	for (uint32_t i = 0; i < n; i++) {
		cleanup_free char *key = cur_str(&m->body, P_NAME_MAX);
		cleanup_free char *value = cur_str(&m->body, P_TEXT_MAX);
		uint64_t job;

		if (m->body.failed)
			return -1;
		if (str_eq(key, "job")) {
			if (str_to_u64(value, 1, UINT32_MAX, &job) < 0)
				return -1;
			f->job = (uint32_t)job;
		} else if (str_eq(key, "log-level")) {
			log_set_level_name(value);
		}
	}
	return cur_end(&m->body);
}

static int
on_front_fd(struct chan *ch, struct msg *m, void *ctx)
{
	struct front *f = ((struct peer *)ctx)->owner;
	uint8_t which = cur_u8(&m->body);
	int fd = m->fd;

	if (cur_end(&m->body) < 0 || which >= CAPTURE_MAX)
		return -1;
	m->fd = -1;
	return front_take_fd(f, which, fd);
}

static int
on_minted(struct chan *ch, struct msg *m, void *ctx)
{
	struct front *f = ((struct peer *)ctx)->owner;
	bool ok = cur_bool(&m->body);
	size_t n;
	const uint8_t *der = cur_blob(&m->body, LEAF_MAX, &n);

	if (cur_end(&m->body) < 0 || ok != (n > 0))
		return -1;
	return front_minted(f, m->serial, ok ? der : NULL, n);
}

static int
on_ca_changed(struct chan *ch, struct msg *m, void *ctx)
{
	struct front *f = ((struct peer *)ctx)->owner;

	(void)ch;
	if (cur_end(&m->body) < 0)
		return -1;
	if (f->tls != NULL)
		tls_server_forget(f->tls);
	return 0;
}

static void
keyd_up(struct peer *p)
{
	struct front *f = p->owner;

	f->keyd = p;
	front_mints_ask(f);
	front_crl_ask(f);
}

static void
mints_fail(void *arg)
{
	struct front *f = arg;

	if (f->keyd == NULL) {
		front_mints_fail(f);
		front_crl(f, NULL, 0);
	}
}

static void
keyd_down(struct peer *p)
{
	struct front *f = p->owner;

	/*
	 * Answers of the old process will not come, and this may run from
	 * inside a send to it: let whoever waits fail at the round's end.
	 */
	f->keyd = NULL;
	ev_undefer(f->ev, mints_fail, f);
	ev_defer(f->ev, mints_fail, f);
}

static const struct msg_rule parent_rules[] = {
	{ M_CONFIG, MSG_ALLOWED, on_config },
	{ M_FRONT_FD, MSG_ALLOWED | MSG_FD, on_front_fd },
};

static const struct msg_rule keyd_rules[] = {
	{ M_MINTED, MSG_ALLOWED, on_minted },
	{ M_CRL, MSG_ALLOWED, front_on_crl },
	{ M_CA_CHANGED, MSG_ALLOWED, on_ca_changed },
};

void
front_preinit(void)
{
	tls_preinit();
}

void
front_main(void)
{
	struct front *f = xcalloc(1, sizeof(*f));
	const struct peer_def defs[] = {
		{ ROLE_BACK, front_back_rules, front_back_nrules, front_back_up,
		    front_back_down },
		{ ROLE_KEYD, keyd_rules, nitems(keyd_rules), keyd_up,
		    keyd_down },
	};

	for (size_t i = 0; i < CAPTURE_MAX; i++)
		f->fds[i] = -1;
	f->ev = ev_new();
	f->pool = addr_pool_new();
	f->next_serial = f->next_mint = 1;
	f->ps = peers_new(f->ev, PARENT_FD, parent_rules, nitems(parent_rules),
	    defs, nitems(defs), f);
	peers_ready(f->ps);
	ev_run(f->ev);

	front_drop_fds(f);
	conn_goodbye(f);
	f->back = f->keyd = NULL;
	peers_free(f->ps);
	ev_once(f->ev, 0);
	ev_undefer(f->ev, mints_fail, f);
	front_mints_fail(f);
	addr_pool_free(f->pool);
	tls_server_free(f->tls);
	ev_timer_free(f->accept_timer);
	ev_free(f->ev);
	free(f);
}

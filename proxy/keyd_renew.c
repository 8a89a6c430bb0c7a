/*
 * Having the vault written anew.  keyd has no file system, so the parent makes
 * the file and gives it the vault's name once keyd has filled it; see
 * proxy/vault.h for what happens in between.
 */
#include "proxy/keyd.h"

#include "base/fdutil.h"
#include "base/log.h"

static void
tell_parent(struct keyd *k, uint16_t type, const bool *ok)
{
	struct buf b;

	buf_init(&b, 0);
	if (ok != NULL)
		buf_put_u8(&b, *ok);
	chan_send(peers_parent(k->peers), type, 0, 0, &b, -1);
	buf_free(&b);
}

static void
on_timer(void *arg)
{
	struct keyd *k = arg;

	k->renew_due = false;
	if (k->renew != RENEW_NONE || !vault_is_stale(k->vault))
		return;
	k->renew = RENEW_ASKED;
	tell_parent(k, M_VAULT_STALE, NULL);
}

/* One change seldom comes alone; but those to come do not put it off. */
static void
on_change(void *arg)
{
	struct keyd *k = arg;

	if (k->renew_due)
		return;
	k->renew_due = true;
	ev_timer_set(k->renew_timer, KEYD_RENEW_MS);
}

void
keyd_renew_start(struct keyd *k)
{
	k->renew_timer = ev_timer_new(k->ev, on_timer, k);
	vault_on_change(k->vault, on_change, k);
	on_change(k);
}

void
keyd_renew_fill(struct keyd *k, int fd)
{
	struct error err;
	bool ok;

	ok = vault_rewrite(k->vault, fd, k->master, &err) == 0;
	secret_free(k->master);
	k->master = NULL;
	if (!ok)
		log_warnx("writing the vault anew: %s", err.msg);
	k->renew = RENEW_WRITTEN;
	tell_parent(k, M_VAULT_WRITTEN, &ok);
}

int
keyd_on_renamed(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct keyd *k = p->owner;
	bool ok = cur_bool(&m->body);

	(void)c;
	/* There may be no file for it. */
	if (cur_end(&m->body) < 0 || k->renew == RENEW_NONE ||
	    (ok && k->renew != RENEW_WRITTEN))
		return -1;
	k->renew = RENEW_NONE;
	vault_switched(k->vault, ok);
	if (ok) {
		log_info("the vault has been written anew");
		/* Much may have changed meanwhile. */
		on_change(k);
	}
	return 0;
}

#include "proxy/keyd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "proxy/prf.h"
#include "proxy/roles.h"
#include "proxy/vault_log.h"

#define CONFIG_MAX 4096u /* pairs */

/* ---- the vault ---------------------------------------------------------- */

/* Exactly VAULT_KEY_SIZE bytes; a longer file is not a key. */
static struct secret *
read_master(int fd, struct error *err)
{
	uint8_t bytes[VAULT_KEY_SIZE + 1];
	struct secret *s = NULL;
	size_t n = 0;
	ssize_t k;

	do {
		k = pread(fd, bytes + n, sizeof(bytes) - n, (off_t)n);
		if (k > 0)
			n += (size_t)k;
	} while ((k > 0 && n < sizeof(bytes)) || (k < 0 && errno == EINTR));
	if (k < 0)
		error_set(err, errno, "read the master key");
	else if (n != VAULT_KEY_SIZE)
		error_set(err, 0, "the master key is not %u bytes long",
		    VAULT_KEY_SIZE);
	else if ((s = secret_new(bytes, n)) == NULL)
		error_set(err, errno, "memory for the master key");
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return s;
}

static int
make_stub_key(struct vault *v, struct error *err)
{
	cleanup_secret struct secret *key = secret_alloc(PRF_SIZE);

	if (key == NULL)
		return error_set(err, errno, "memory for the stub key");
	if (RAND_priv_bytes(secret_data(key), PRF_SIZE) != 1)
		return error_set(err, 0, "no randomness for the stub key");
	return vault_set_stub_key(v, key, err);
}

static int
open_vault(struct keyd *k, struct error *err)
{
	k->vault = vault_open(steal_fd(&k->vault_fd), k->master, err);
	secret_free(k->master);
	k->master = NULL;
	if (k->vault == NULL)
		return -1;
	if (vault_stub_key(k->vault) == NULL &&
	    make_stub_key(k->vault, err) < 0)
		return -1;
	return keyd_ca_open(k, err);
}

static void
start(struct keyd *k)
{
	struct error err;

	if (open_vault(k, &err) < 0 || keyd_ca_tell(k, &err) < 0)
		fatalx("%s", err.msg);
	peers_ready(k->peers);
	keyd_capture_start(k);
	keyd_renew_start(k);
	log_info("serving secrets=%zu", vault_secrets(k->vault));
}

/* ---- messages of the parent --------------------------------------------- */

static struct keyd *
keyd_of(void *ctx)
{
	struct peer *p = ctx;

	return p->owner;
}

/* The key and an empty file, to write the vault anew. */
static int
on_reopen(struct keyd *k, uint8_t which, struct msg *m)
{
	struct error err;

	if (which == KEYD_KEY && k->master == NULL) {
		k->master = read_master(m->fd, &err);
		if (k->master == NULL)
			log_warnx("%s", err.msg);
		return k->master == NULL ? -1 : 0;
	}
	if (which != KEYD_FRESH || k->master == NULL)
		return -1;
	keyd_renew_fill(k, steal_fd(&m->fd));
	return 0;
}

static int
on_open(struct chan *c, struct msg *m, void *ctx)
{
	struct keyd *k = keyd_of(ctx);
	uint8_t which = cur_u8(&m->body);
	struct error err;

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	if (k->vault != NULL)
		return k->renew == RENEW_ASKED ? on_reopen(k, which, m) : -1;
	if (which == KEYD_VAULT && k->vault_fd < 0)
		k->vault_fd = steal_fd(&m->fd);
	else if (which == KEYD_KEY && k->master == NULL) {
		k->master = read_master(m->fd, &err);
		if (k->master == NULL)
			fatalx("%s", err.msg);
	} else
		return -1;
	if (k->vault_fd >= 0 && k->master != NULL)
		start(k);
	return 0;
}

/* "PORT HOST" */
static void
set_proxy(struct keyd *k, char *value)
{
	char *host = strchr(value, ' ');
	uint64_t port;

	if (host == NULL)
		return;
	*host++ = '\0';
	if (str_to_u64(value, 1, UINT16_MAX, &port) < 0)
		return;
	strlcpy(k->proxy_host, host, sizeof(k->proxy_host));
	k->proxy_port = (uint16_t)port;
}

static int
on_config(struct chan *c, struct msg *m, void *ctx)
{
	struct keyd *k = keyd_of(ctx);
	uint32_t n = cur_count(&m->body, CONFIG_MAX, 8);

	(void)c;
	for (uint32_t i = 0; i < n; i++) {
		cleanup_free char *key = cur_str(&m->body, P_TEXT_MAX);
		cleanup_free char *value = cur_str(&m->body, P_TEXT_MAX);

		if (key == NULL || value == NULL)
			return -1;
		if (str_eq(key, "log-level"))
			log_set_level_name(value);
		else if (str_eq(key, "upstream-proxy"))
			set_proxy(k, value);
		else if (str_eq(key, "upstream-proxy-secret"))
			strlcpy(
			    k->proxy_secret, value, sizeof(k->proxy_secret));
	}
	return cur_end(&m->body);
}

/*
 * keyd judges releases by its own copy.  The parent has loaded the same bytes
 * before; a bundle that does not load here is a fault of the parent.
 */
static int
on_policy(struct chan *c, struct msg *m, void *ctx)
{
	struct keyd *k = keyd_of(ctx);
	uint32_t generation = cur_u32(&m->body);
	cleanup_buf struct buf b = { 0 };
	struct policy_diags ds = { 0 };
	struct policy *p;

	(void)c;
	if (cur_end(&m->body) < 0 || !fd_is_sealed(m->fd) ||
	    fd_pread_all(m->fd, &b, POLICY_BUNDLE_MAX) < 0)
		return -1;
	p = policy_bundle_load(buf_head(&b), buf_len(&b), &ds);
	policy_diags_free(&ds);
	if (p == NULL)
		return -1;
	policy_free(k->policy);
	k->policy = p;
	k->generation = generation;
	return 0;
}

const struct keyd_job *
keyd_job(const struct keyd *k, uint32_t job)
{
	for (size_t i = 0; i < k->njobs; i++) {
		if (k->jobs[i].job == job)
			return &k->jobs[i];
	}
	return NULL;
}

static struct keyd_job *
job_add(struct keyd *k, uint32_t job)
{
	for (size_t i = 0; i < k->njobs; i++) {
		if (k->jobs[i].job == job)
			return &k->jobs[i];
	}
	if (k->njobs == P_JOBS_MAX)
		return NULL;
	k->jobs = xreallocarray(k->jobs, k->njobs + 1, sizeof(*k->jobs));
	memset(&k->jobs[k->njobs], 0, sizeof(*k->jobs));
	return &k->jobs[k->njobs++];
}

static int
on_job_open(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct keyd *k = p->owner;
	const uint8_t *nonce = cur_bytes(&m->body, STUB_NONCE_SIZE);
	char profile[P_NAME_MAX + 1];
	struct keyd_job *j;
	struct buf b;

	(void)c;
	cur_str_into(&m->body, profile, sizeof(profile));
	if (cur_end(&m->body) < 0 || m->job == 0 || k->vault == NULL ||
	    !str_is_name(profile, P_NAME_MAX))
		return -1;
	j = job_add(k, m->job);
	if (j == NULL)
		return -1;
	j->job = m->job;
	memcpy(j->nonce, nonce, STUB_NONCE_SIZE);
	strlcpy(j->profile, profile, sizeof(j->profile));
	buf_init(&b, 0);
	keyd_put_stubs(k, j, &b);
	chan_send(p->chan, M_JOB_STUBS, m->job, m->serial, &b, -1);
	buf_free(&b);
	keyd_push_bindings(k, m->job);
	return 0;
}

static int
on_job_close(struct chan *c, struct msg *m, void *ctx)
{
	struct keyd *k = keyd_of(ctx);

	(void)c;
	if (cur_end(&m->body) < 0 || m->job == 0)
		return -1;
	for (size_t i = 0; i < k->njobs; i++) {
		if (k->jobs[i].job != m->job)
			continue;
		for (size_t n = 0; n < vault_count(k->vault); n++) {
			if (keyd_has(&k->jobs[i], vault_at(k->vault, n)))
				keyd_push_revoked(
				    k, m->job, vault_at(k->vault, n)->id);
		}
		k->jobs[i] = k->jobs[--k->njobs];
		keyd_capture_forget(k, m->job);
		keyd_push_bindings(k, m->job);
		return 0;
	}
	return 0;
}

/* ---- leaves for front --------------------------------------------------- */

static int
on_mint(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct keyd *k = p->owner;
	cleanup_buf struct buf der = { 0 };
	char name[P_HOST_MAX + 1];
	const uint8_t *spki;
	struct error err;
	struct buf b;
	size_t n;
	bool may, ok;

	(void)c;
	cur_str_into(&m->body, name, sizeof(name));
	spki = cur_blob(&m->body, MINT_SPKI_SIZE, &n);
	if (cur_end(&m->body) < 0)
		return -1;
	may = k->mint != NULL && keyd_may(k, p->job, KEYD_LEAVES);
	ok = may && mint_leaf(k->mint, name, spki, n, &der, &err) == 0;
	if (may && !ok) {
		cleanup_free char *shown = str_escape(name, strlen(name));

		log_warnx("mint job=%u name=%s: %s", p->job, shown, err.msg);
	}
	buf_init(&b, 0);
	buf_put_u8(&b, ok);
	buf_put_blob(&b, buf_head(&der), ok ? buf_len(&der) : 0);
	chan_send(p->chan, M_MINTED, p->job, m->serial, &b, -1);
	buf_free(&b);
	return 0;
}

static int
on_crl_get(struct chan *c, struct msg *m, void *ctx)
{
	struct keyd *k = keyd_of(ctx);
	const struct peer *p = ctx;
	cleanup_buf struct buf der = { 0 }, b = { 0 };
	struct error err;
	bool ok;

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	ok = k->mint != NULL && mint_crl(k->mint, &der, &err) == 0;
	if (k->mint != NULL && !ok)
		log_warnx("%s", err.msg);
	buf_put_u8(&b, ok);
	buf_put_blob(&b, buf_head(&der), ok ? buf_len(&der) : 0);
	chan_send(p->chan, M_CRL, p->job, m->serial, &b, -1);
	return 0;
}

/* ---- the process -------------------------------------------------------- */

const struct msg_rule keyd_from_parent[] = {
	{ M_CONFIG, MSG_ALLOWED, on_config },
	{ M_POLICY, MSG_ALLOWED | MSG_FD, on_policy },
	{ M_KEYD_OPEN, MSG_ALLOWED | MSG_FD, on_open },
	{ M_VAULT_RENAMED, MSG_ALLOWED, keyd_on_renamed },
	{ M_JOB_OPEN, MSG_ALLOWED, on_job_open },
	{ M_JOB_CLOSE, MSG_ALLOWED, on_job_close },
};

static const struct msg_rule from_front[] = {
	{ M_MINT, MSG_ALLOWED, on_mint },
	{ M_CRL_GET, MSG_ALLOWED, on_crl_get },
};

const struct peer_def keyd_peers[] = {
	{ ROLE_CONTROL, keyd_from_control, nitems(keyd_from_control), NULL,
	    NULL },
	{ ROLE_AUDIT, keyd_from_audit, nitems(keyd_from_audit), NULL,
	    keyd_audit_down },
	{ ROLE_FRONT, from_front, nitems(from_front), NULL, NULL },
	{ ROLE_BACK, keyd_from_back, nitems(keyd_from_back), keyd_back_up,
	    NULL },
};

void
keyd_clear(struct keyd *k)
{
	keyd_pending_free(k);
	ev_timer_free(k->orphans);
	ev_timer_free(k->renew_timer);
	mint_free(k->mint);
	vault_free(k->vault);
	policy_free(k->policy);
	secret_free(k->master);
	fd_close(&k->vault_fd);
	free(k->jobs);
}

void
keyd_preinit(void)
{
	struct error err;
	struct mint *m;
	uint8_t out[PRF_SIZE];
	cleanup_secret struct secret *key = secret_alloc(PRF_SIZE);

	if (OPENSSL_init_crypto(
		OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
		NULL) != 1)
		fatalx("cannot initialise OpenSSL");
	if (key == NULL)
		fatal("memory that is locked, for secrets");
	/* Make OpenSSL fetch what is used later. */
	prf(key, NULL, 0, out);
	m = mint_new(&err);
	if (m == NULL)
		fatalx("%s", err.msg);
	mint_free(m);
	ERR_clear_error();
}

void
keyd_main(void)
{
	struct keyd k = { .vault_fd = -1 };

	k.ev = ev_new();
	k.peers = peers_new(k.ev, PARENT_FD, keyd_from_parent,
	    nitems(keyd_from_parent), keyd_peers, nitems(keyd_peers), &k);
	ev_run(k.ev);
	peers_free(k.peers);
	keyd_clear(&k);
	ev_free(k.ev);
}

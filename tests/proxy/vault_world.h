/*
 * Vaults in memfds, and the steps that fill one.  Included by
 * tests/proxy/test_vault*.c only.
 */
#ifndef BRIG_TESTS_VAULT_WORLD_H
#define BRIG_TESTS_VAULT_WORLD_H

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "proxy/stub.h"
#include "proxy/vault.h"
#include "proxy/vault_log.h"

#define STEPS 7u

static struct secret *master;

static inline int
setup(void **state)
{
	(void)state;
	master = secret_new("0123456789abcdef0123456789abcdef", 32);
	/* Torn files are reported at level warn, hundreds of times here. */
	log_init("test", LOG_LEVEL_WARN);
	return freopen("/dev/null", "w", stderr) == NULL;
}

static inline int
teardown(void **state)
{
	(void)state;
	secret_free(master);
	return 0;
}

static inline int
file_of(const void *p, size_t n)
{
	int fd = memfd_create("vault", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	if (n > 0)
		assert_int_equal(pwrite(fd, p, n, 0), n);
	return fd;
}

static inline struct vault *
open_bytes(const void *p, size_t n, int *dup_fd, struct error *err)
{
	int fd = file_of(p, n);

	if (dup_fd != NULL)
		*dup_fd = dup(fd);
	return vault_open(fd, master, err);
}

static inline void
put(struct vault *v, const char *name, const char *host, const char *value)
{
	struct credential c = { 0 };
	struct error err;

	c.id = vault_next_id(v);
	strlcpy(c.name, name, sizeof(c.name));
	strlcpy(c.spec.hosts[0].host, host, sizeof(c.spec.hosts[0].host));
	c.spec.hosts[0].port = 443;
	c.spec.nhosts = 1;
	strlcpy(c.spec.header, "Authorization", sizeof(c.spec.header));
	strlcpy(c.spec.env, "TOKEN", sizeof(c.spec.env));
	c.spec.surfaces = SURFACE_HEADER;
	c.created = c.changed = 1000;
	c.value = secret_new(value, strlen(value));
	c.shape = stub_shape(c.value, &err);
	if (vault_put(v, &c, &err) < 0)
		fail_msg("%s", err.msg);
	assert_null(c.value);
	assert_null(c.shape);
}

static inline int
do_step(struct vault *v, unsigned int i)
{
	cleanup_secret struct secret *k = secret_new("stub-key-stub-key-"
						     "stub-key-stub-",
	    32);
	struct error err;

	switch (i) {
	case 0:
		return vault_set_ca(v, VAULT_CA, k, "certificate", 11, &err);
	case 1:
		return vault_set_stub_key(v, k, &err);
	case 2:
		put(v, "one", "one.example", "ghp_aaaaaaaaaaaaaaaa");
		return 0;
	case 3:
		put(v, "two", "two.example", "ghp_bbbbbbbbbbbbbbbb");
		return 0;
	case 4:
		return vault_revoke(v, 1, 2000, &err);
	case 5:
		return vault_remove(v, 2, &err);
	default:
		put(v, "three", "192.0.2.1", "ghp_cccccccccccccccc");
		return 0;
	}
}

static inline void
put_captured(struct vault *v, uint32_t parent, uint32_t job, const char *value)
{
	const struct credential *up = vault_by_id(v, parent);
	struct credential c = { .parent = parent, .job = job, .changed = 1 };
	struct error err;

	c.id = vault_next_id(v);
	strlcpy(c.name, "one.access_token", sizeof(c.name));
	memset(c.nonce, 'n', sizeof(c.nonce));
	cred_spec_captured(&up->spec, TOKEN_REFRESH, &c.spec);
	c.value = secret_new(value, strlen(value));
	c.shape = stub_shape(c.value, &err);
	if (vault_put(v, &c, &err) < 0)
		fail_msg("%s", err.msg);
}

#endif

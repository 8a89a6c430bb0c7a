/*
 * keyd and processes of a job that ask more often than they have to.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/str.h"
#include "proxy/mint.h"
#include "proxy/roles.h"
#include "tests/proxy/keyd_world.h"

/* ---- cases -------------------------------------------------------------- */

static bool
mint(struct raw *front, uint32_t job, const uint8_t *spki, size_t n)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_str(&b, "api.example");
	buf_put_blob(&b, spki, n);
	raw_send(front, M_MINT, job, 31, &b, -1);
	raw_expect(front, M_MINTED);
	return cur_bool(&front->body);
}

/* A front that has been taken over does not keep to its own limits. */
static void
flood_of_a_front_is_refused_and_recorded(void **state)
{
	struct world w;
	struct raw other;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	uint8_t *spki = NULL;
	size_t n = (size_t)i2d_PUBKEY(key, &spki);
	unsigned int had = 0;

	(void)state;
	world_new(&w);
	job_open(&w, 7, 'a', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	for (int i = 0; i < 1000; i++)
		had += mint(&w.front, 7, spki, n);
	assert_in_range(had, 200, 800);
	expect_audit(&w, "KY401", true);
	/* Once, whatever follows; and nobody else has to do with it. */
	assert_int_equal(raw_next(&w.audit, 0), -1);
	raw_peer(&w.parent, &other, ROLE_FRONT, 99);
	assert_true(mint(&other, 99, spki, n));
	raw_close(&other);
	OPENSSL_free(spki);
	EVP_PKEY_free(key);
	world_free(&w);
}

static void
flood_for_the_ssh_agent_is_refused_and_recorded(void **state)
{
	struct world w;

	(void)state;
	world_new(&w);
	job_open(&w, 7, 'a', "coding");
	raw_expect(&w.parent, M_JOB_STUBS);
	raw_expect(&w.back, M_BINDINGS);
	for (int i = 0; i < 2000; i++) {
		raw_send(&w.back, M_SSH_KEYS, 7, 5, NULL, -1);
		raw_expect(&w.back, M_SSH_KEYS_ARE);
	}
	expect_audit(&w, "KY401", true);
	world_free(&w);
}

static int
setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	keyd_preinit();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flood_of_a_front_is_refused_and_recorded),
		cmocka_unit_test(
		    flood_for_the_ssh_agent_is_refused_and_recorded),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

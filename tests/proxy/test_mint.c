/*
 * The interception CA: leaves verify strictly, and only for what they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "proxy/mint.h"

struct state {
	struct mint *mint;
	uint8_t *spki;
	size_t spki_len;
};

static int
setup(void **state)
{
	static struct state s;
	struct error err;
	EVP_PKEY *key = EVP_EC_gen("P-256");

	s.mint = mint_new(&err);
	s.spki = NULL;
	s.spki_len = (size_t)i2d_PUBKEY(key, &s.spki);
	EVP_PKEY_free(key);
	*state = &s;
	return s.mint == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	struct state *s = *state;

	mint_free(s->mint);
	OPENSSL_free(s->spki);
	return 0;
}

static X509 *
leaf(struct state *s, const char *name)
{
	struct buf der;
	struct error err;
	const unsigned char *p;
	X509 *x;

	buf_init(&der, 0);
	if (mint_leaf(s->mint, name, s->spki, s->spki_len, &der, &err) < 0)
		fail_msg("%s", err.msg);
	p = buf_head(&der);
	x = d2i_X509(NULL, &p, (long)buf_len(&der));
	assert_non_null(x);
	assert_ptr_equal(p, der.data + der.len);
	buf_free(&der);
	return x;
}

static X509 *
ca_of(struct mint *m)
{
	struct buf pem;
	struct error err;
	BIO *bio;
	X509 *x;

	buf_init(&pem, 0);
	assert_int_equal(mint_ca_pem(m, &pem, &err), 0);
	bio = BIO_new_mem_buf(buf_head(&pem), (int)buf_len(&pem));
	x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	assert_non_null(x);
	BIO_free(bio);
	buf_free(&pem);
	return x;
}

/* X509_V_OK, or the error of a strict verification as a server. */
static int
verify(X509 *x, X509 *ca, const char *host, long shift)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int e;

	X509_STORE_add_cert(store, ca);
	X509_STORE_CTX_init(ctx, store, x, NULL);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT |
					       X509_V_FLAG_CHECK_SS_SIGNATURE |
					       X509_V_FLAG_POLICY_CHECK);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
	X509_VERIFY_PARAM_set_auth_level(param, 2);
	X509_VERIFY_PARAM_set_time(param, time(NULL) + shift);
	X509_VERIFY_PARAM_set_hostflags(
	    param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (X509_VERIFY_PARAM_set1_ip_asc(param, host) != 1)
		X509_VERIFY_PARAM_set1_host(param, host, 0);
	e = X509_verify_cert(ctx) == 1 ? X509_V_OK
				       : X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return e;
}

static int
leaf_verifies(struct state *s, const char *name, const char *as, long shift)
{
	X509 *x = leaf(s, name), *ca = ca_of(s->mint);
	int e = verify(x, ca, as, shift);

	X509_free(x);
	X509_free(ca);
	return e;
}

static void
leaf_verifies_strictly_for_names_and_addresses(void **state)
{
	static const char *const names[] = { "api.example.com", "localhost",
		"93.184.216.34", "2606:2800::1",
		("a23456789-123456789-123456789-123456789-123456789-123456789-"
		 "abc.a23456789-123456789.example.com") };

	for (size_t i = 0; i < nitems(names); i++)
		assert_int_equal(
		    leaf_verifies(*state, names[i], names[i], 0), X509_V_OK);
}

static void
leaf_fails_for_another_name(void **state)
{
	assert_int_equal(
	    leaf_verifies(*state, "api.example.com", "example.com", 0),
	    X509_V_ERR_HOSTNAME_MISMATCH);
	assert_int_equal(leaf_verifies(*state, "1.2.3.4", "1.2.3.5", 0),
	    X509_V_ERR_IP_ADDRESS_MISMATCH);
}

static void
leaf_tolerates_a_slow_clock_and_is_short_lived(void **state)
{
	static const long day = 24 * 3600;

	assert_int_equal(
	    leaf_verifies(*state, "a.example", "a.example", -day + 60),
	    X509_V_OK);
	assert_int_equal(leaf_verifies(*state, "a.example", "a.example",
			     MINT_LEAF_DAYS * day - 60),
	    X509_V_OK);
	assert_int_equal(leaf_verifies(*state, "a.example", "a.example",
			     MINT_LEAF_DAYS * day + 60),
	    X509_V_ERR_CERT_HAS_EXPIRED);
}

static void
leaf_cannot_sign(void **state)
{
	X509 *x = leaf(*state, "a.example");

	assert_int_equal(X509_check_ca(x), 0);
	assert_int_equal(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
	assert_non_null(X509_get0_authority_key_id(x));
	assert_non_null(X509_get0_subject_key_id(x));
	X509_free(x);
}

static void
serials_differ(void **state)
{
	X509 *a = leaf(*state, "a.example"), *b = leaf(*state, "a.example");

	assert_int_not_equal(X509_cmp(a, b), 0);
	assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(a),
				 X509_get0_serialNumber(b)),
	    0);
	X509_free(a);
	X509_free(b);
}

static void
ca_may_not_have_a_ca_below_it(void **state)
{
	struct state *s = *state;
	X509 *ca = ca_of(s->mint);
	char cn[64];

	assert_int_equal(X509_get_pathlen(ca), 0);
	assert_true(X509_check_ca(ca) > 0);
	X509_NAME_get_text_by_NID(
	    X509_get_subject_name(ca), NID_commonName, cn, sizeof(cn));
	assert_memory_equal(cn, "brig interception CA ", 21);
	assert_int_equal(strlen(cn), 21 + 6);
	X509_free(ca);
}

static void
bad_names_and_keys_are_refused(void **state)
{
	static const char *const names[] = { "", "a b", "*.example.com", "a..b",
		"a\nb", "-a", "a,DNS:b.example" };
	struct state *s = *state;
	uint8_t spki[MINT_SPKI_SIZE + 1];
	struct buf der;
	struct error err;

	buf_init(&der, 0);
	for (size_t i = 0; i < nitems(names); i++)
		assert_int_equal(mint_leaf(s->mint, names[i], s->spki,
				     s->spki_len, &der, &err),
		    -1);
	assert_int_equal(s->spki_len, MINT_SPKI_SIZE);
	memcpy(spki, s->spki, MINT_SPKI_SIZE);
	spki[MINT_SPKI_SIZE] = 0;
	assert_int_equal(
	    mint_leaf(s->mint, "a.example", spki, sizeof(spki), &der, &err),
	    -1);
	assert_int_equal(mint_leaf(s->mint, "a.example", spki,
			     MINT_SPKI_SIZE - 1, &der, &err),
	    -1);
	/* A point that is not on the curve. */
	spki[MINT_SPKI_SIZE - 1] ^= 1;
	assert_int_equal(
	    mint_leaf(s->mint, "a.example", spki, MINT_SPKI_SIZE, &der, &err),
	    -1);
	assert_int_equal(buf_len(&der), 0);
	buf_free(&der);
}

static void
ca_survives_export_and_load(void **state)
{
	struct state *s = *state;
	cleanup_secret struct secret *key = NULL;
	struct mint *again, *other;
	struct buf cert, cert2;
	struct error err;
	X509 *x, *ca;

	buf_init(&cert, 0);
	buf_init(&cert2, 0);
	assert_int_equal(mint_export(s->mint, &key, &cert, &err), 0);
	again = mint_load(key, buf_head(&cert), buf_len(&cert), &err);
	assert_non_null(again);
	x = leaf(&(struct state){ again, s->spki, s->spki_len }, "b.example");
	ca = ca_of(s->mint);
	assert_int_equal(verify(x, ca, "b.example", 0), X509_V_OK);
	X509_free(x);
	X509_free(ca);
	mint_free(again);
	/* The key of one CA with the certificate of another. */
	other = mint_new(&err);
	secret_cleanup(&key);
	key = NULL;
	assert_int_equal(mint_export(other, &key, &cert2, &err), 0);
	assert_null(mint_load(key, buf_head(&cert), buf_len(&cert), &err));
	mint_free(other);
	buf_free(&cert);
	buf_free(&cert2);
}

static void
the_list_of_revoked_leaves_is_empty_and_verifies(void **state)
{
	struct state *s = *state;
	X509 *x = leaf(s, "example.com");
	STACK_OF(DIST_POINT) *dps =
	    X509_get_ext_d2i(x, NID_crl_distribution_points, NULL, NULL);
	const GENERAL_NAME *where;
	struct buf der, pem, again = { 0 };
	struct error err;
	const unsigned char *p;
	X509_CRL *crl;
	X509 *ca;
	BIO *bio;

	assert_int_equal(sk_DIST_POINT_num(dps), 1);
	where = sk_GENERAL_NAME_value(
	    sk_DIST_POINT_value(dps, 0)->distpoint->name.fullname, 0);
	assert_int_equal(where->type, GEN_URI);
	assert_string_equal((const char *)ASN1_STRING_get0_data(
				where->d.uniformResourceIdentifier),
	    "http://" MINT_CRL_HOST MINT_CRL_PATH);
	buf_init(&der, 0);
	buf_init(&pem, 0);
	assert_int_equal(mint_crl(s->mint, &der, &err), 0);
	p = buf_head(&der);
	/* No work for keyd, however often a job asks. */
	assert_int_equal(mint_crl(s->mint, &again, &err), 0);
	assert_int_equal(buf_len(&again), buf_len(&der));
	assert_memory_equal(buf_head(&again), p, buf_len(&der));
	buf_free(&again);
	crl = d2i_X509_CRL(NULL, &p, (long)buf_len(&der));
	assert_non_null(crl);
	assert_ptr_equal(p, buf_head(&der) + buf_len(&der));
	assert_null(X509_CRL_get_REVOKED(crl));
	assert_int_equal(mint_ca_pem(s->mint, &pem, &err), 0);
	bio = BIO_new_mem_buf(buf_head(&pem), (int)buf_len(&pem));
	ca = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	assert_int_equal(X509_CRL_verify(crl, X509_get0_pubkey(ca)), 1);
	assert_true(X509_cmp_current_time(X509_CRL_get0_lastUpdate(crl)) < 0);
	assert_true(X509_cmp_current_time(X509_CRL_get0_nextUpdate(crl)) > 0);
	BIO_free(bio);
	X509_free(ca);
	X509_free(x);
	X509_CRL_free(crl);
	sk_DIST_POINT_pop_free(dps, DIST_POINT_free);
	buf_free(&der);
	buf_free(&pem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    leaf_verifies_strictly_for_names_and_addresses),
		cmocka_unit_test(leaf_fails_for_another_name),
		cmocka_unit_test(
		    leaf_tolerates_a_slow_clock_and_is_short_lived),
		cmocka_unit_test(leaf_cannot_sign),
		cmocka_unit_test(serials_differ),
		cmocka_unit_test(ca_may_not_have_a_ca_below_it),
		cmocka_unit_test(bad_names_and_keys_are_refused),
		cmocka_unit_test(ca_survives_export_and_load),
		cmocka_unit_test(
		    the_list_of_revoked_leaves_is_empty_and_verifies),
	};

	return cmocka_run_group_tests_name("mint", tests, setup, teardown);
}

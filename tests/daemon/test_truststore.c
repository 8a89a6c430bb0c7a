/* The trust store of Java programs, as another implementation reads it. */
#include "daemon/truststore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/pkcs12.h>

static const char cert[] =
    "text before\n-----BEGIN CERTIFICATE-----\n"
    "MIIBdjCCAR2gAwIBAgIUJ3iVJxMZkAXlYdbC6kZd3aWqzhEwCgYIKoZIzj0EAwIw\n"
    "-----END CERTIFICATE-----\n";

/* How many bags the store in b has, or -1 if it is none. */
static int
count_bags(const struct buf *b)
{
	const unsigned char *p = buf_head(b);
	PKCS12 *p12 = d2i_PKCS12(NULL, &p, (long)buf_len(b));
	STACK_OF(PKCS7) * safes;
	STACK_OF(PKCS12_SAFEBAG) * bags;
	int n = -1;

	if (p12 == NULL || p != buf_head(b) + buf_len(b))
		return -1;
	assert_int_equal(PKCS12_mac_present(p12), 0);
	safes = PKCS12_unpack_authsafes(p12);
	assert_non_null(safes);
	assert_int_equal(sk_PKCS7_num(safes), 1);
	bags = PKCS12_unpack_p7data(sk_PKCS7_value(safes, 0));
	if (bags != NULL)
		n = sk_PKCS12_SAFEBAG_num(bags);
	for (int i = 0; i < n; i++)
		assert_int_equal(
		    PKCS12_SAFEBAG_get_nid(sk_PKCS12_SAFEBAG_value(bags, i)),
		    NID_certBag);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	PKCS12_free(p12);
	return n;
}

static int
store_of(const char *pem, size_t n, struct error *err)
{
	struct buf out;
	int rc;

	buf_init(&out, 0);
	rc = truststore_put(&out, pem, n, err);
	if (rc == 0)
		rc = count_bags(&out);
	buf_free(&out);
	return rc;
}

static void
every_length_of_length_is_well_formed(void **state)
{
	struct error err = { 0 };
	struct buf pem;

	(void)state;
	buf_init(&pem, 0);
	/* One certificate is 48 bytes; 2000 make lengths of three bytes. */
	for (int n = 0; n <= (int)TRUSTSTORE_CERTS_MAX; n++) {
		if (n < 8 || n % 499 == 0)
			assert_int_equal(store_of((const char *)buf_head(&pem),
					     buf_len(&pem), &err),
			    n);
		buf_put(&pem, cert, strlen(cert));
	}
	assert_int_equal(
	    store_of((const char *)buf_head(&pem), buf_len(&pem), &err), -1);
	assert_string_equal(err.msg, "too many or too large certificates");
	buf_free(&pem);
}

static void
what_is_no_certificate_is_an_error(void **state)
{
	static const char cut[] = "-----BEGIN CERTIFICATE-----\nMIIB";
	static const char bad[] = "-----BEGIN CERTIFICATE-----\nMI!IB\n"
				  "-----END CERTIFICATE-----\n";
	static const char after[] = "-----BEGIN CERTIFICATE-----\nMI==IB\n"
				    "-----END CERTIFICATE-----\n";
	struct error err = { 0 };

	(void)state;
	assert_int_equal(store_of(cut, strlen(cut), &err), -1);
	assert_string_equal(err.msg, "a certificate is cut off");
	assert_int_equal(store_of(bad, strlen(bad), &err), -1);
	assert_string_equal(err.msg, "certificate 1 is not base64");
	assert_int_equal(store_of(after, strlen(after), &err), -1);
	assert_int_equal(store_of(cert, strlen(cert) - 3, &err), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_of_length_is_well_formed),
		cmocka_unit_test(what_is_no_certificate_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

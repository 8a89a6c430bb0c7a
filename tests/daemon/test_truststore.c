/*
 * The trust store of Java programs, as another implementation reads it, and
 * what is said of files of certificates that are none.
 */
#include "daemon/parent_roots.h"
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
	assert_string_equal(err.msg, "more than 2000 certificates");
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
	assert_string_equal(err.msg, "certificate 1 is cut off");
	assert_int_equal(store_of(bad, strlen(bad), &err), -1);
	assert_string_equal(err.msg, "certificate 1 is not base64");
	assert_int_equal(store_of(after, strlen(after), &err), -1);
	assert_int_equal(store_of(cert, strlen(cert) - 3, &err), -1);
}

/* Made with `openssl req -x509 -newkey ec ... -subj /CN=x`. */
static const char whole[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBcDCCARegAwIBAgIUMoce8W+3qB7EyrayJIQaZTFjQdgwCgYIKoZIzj0EAwIw\n"
    "DTELMAkGA1UEAwwCeHgwIBcNMjYxMTIxMjE1NzIxWhgPMjEyNjEwMjgyMTU3MjFa\n"
    "MA0xCzAJBgNVBAMMAnh4MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1QxC3rFi\n"
    "weBuHKgo7OTxLeD8Umz1+y2xAWQs+VEEq6Fu71kC/hsq4i0hMVL/7s7uuCITE7Tt\n"
    "4RkL3y38nKlnbKNTMFEwHQYDVR0OBBYEFJgIYqPwf1JkjQmpuYIJRse7cjpFMB8G\n"
    "A1UdIwQYMBaAFJgIYqPwf1JkjQmpuYIJRse7cjpFMA8GA1UdEwEB/wQFMAMBAf8w\n"
    "CgYIKoZIzj0EAwIDRwAwRAIgf44ziqBd3c2oRMyn4qFCc8LyT6kEk1nBcavdLban\n"
    "ta4CIHSi1WccyGLDxB1fAzspOsnj4XObP06EvpHAtKu3ymtC\n"
    "-----END CERTIFICATE-----\n";

static void
says(const char *text, const char *want)
{
	struct error err = { 0 };
	int rc = roots_check("/etc/ca.pem", text, strlen(text), &err);

	assert_int_equal(rc, want == NULL ? 0 : -1);
	assert_string_equal(err.msg, want == NULL ? "" : want);
}

static void
a_bad_file_of_certificates_is_told_by_its_place(void **state)
{
	cleanup_buf struct buf b = { 0 };

	(void)state;
	says(whole, NULL);
	buf_printf(&b, "notes\n%s\n%sand more", whole, whole);
	buf_put_u8(&b, '\0');
	says((const char *)buf_head(&b), NULL);
	buf_clear(&b);
	/* Well-formed base64, of something that is no certificate. */
	buf_printf(&b, "%s%s", whole, cert);
	buf_put_u8(&b, '\0');
	says((const char *)buf_head(&b),
	    "CA certificates /etc/ca.pem: certificate 2 is base64 of something "
	    "else");
	buf_clear(&b);
	buf_printf(&b, "%s%.*s", whole, (int)strlen(whole) - 4, whole);
	buf_put_u8(&b, '\0');
	says((const char *)buf_head(&b),
	    "CA certificates /etc/ca.pem: certificate 2 is cut off");
	says("", "CA certificates /etc/ca.pem: holds no certificate in PEM");
	says("\x30\x82\x01", "CA certificates /etc/ca.pem: holds no "
			     "certificate in PEM");
	buf_clear(&b);
	/* A whole one and a byte. */
	buf_printf(&b, "%.*sAAAA\n-----END CERTIFICATE-----\n",
	    (int)(strstr(whole, "-----END") - whole), whole);
	buf_put_u8(&b, '\0');
	says((const char *)buf_head(&b),
	    "CA certificates /etc/ca.pem: certificate 1 is base64 of something "
	    "else");
}

static void
a_file_of_too_many_certificates_is_refused(void **state)
{
	cleanup_buf struct buf b = { 0 };
	struct error err = { 0 };

	(void)state;
	for (unsigned int i = 0; i < ROOTS_FILE_CERTS_MAX; i++)
		buf_put(&b, whole, strlen(whole));
	assert_int_equal(roots_check("p", buf_head(&b), buf_len(&b), &err), 0);
	buf_put(&b, whole, strlen(whole));
	assert_int_equal(roots_check("p", buf_head(&b), buf_len(&b), &err), -1);
	assert_string_equal(err.msg,
	    "CA certificates p: holds 1991 certificates, more than 1990");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_of_length_is_well_formed),
		cmocka_unit_test(what_is_no_certificate_is_an_error),
		cmocka_unit_test(
		    a_bad_file_of_certificates_is_told_by_its_place),
		cmocka_unit_test(a_file_of_too_many_certificates_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

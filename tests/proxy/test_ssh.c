/* SSH: messages to an agent, what is signed, keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/str.h"
#include "proxy/ssh_key.h"

/* Of ssh-keygen; it opens nothing. */
static const char openssh[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACDkJlEiNeUcikem8g9MzQiVAsoJxSkKiSK9wMUU+WAOWwAAAJA9vNyYPbzc\n"
    "mAAAAAtzc2gtZWQyNTUxOQAAACDkJlEiNeUcikem8g9MzQiVAsoJxSkKiSK9wMUU+WAOWw\n"
    "AAAEBYHsAILCUvyOqta1U+T8ZTIwNuEQEJAPF4qTLiwY8tbOQmUSI15RyKR6byD0zNCJUC\n"
    "ygnFKQqJIr3AxRT5YA5bAAAACWJyaWctdGVzdAECAwQ=\n"
    "-----END OPENSSH PRIVATE KEY-----\n";

static const char openssh_pub[] =
    "AAAAC3NzaC1lZDI1NTE5AAAAIOQmUSI15RyKR6byD0zNCJUCygnFKQqJIr3AxRT5YA5b";

static struct error err;

static struct ssh_str
str(const char *s)
{
	return (struct ssh_str){ (const uint8_t *)s, strlen(s) };
}

static void
put(struct buf *b, const char *s)
{
	ssh_put(b, s, strlen(s));
}

static void
frames_are_bounded_and_whole(void **state)
{
	static const uint8_t none[] = { 0, 0, 0, 0, 1 };
	static const uint8_t big[] = { 0, 0, 0x40, 1, 1 };
	cleanup_buf struct buf b = { 0 };
	struct ssh_frame f;

	ssh_put_frame(&b, 13, "abc", 3);
	for (size_t i = 0; i < buf_len(&b); i++)
		assert_int_equal(
		    ssh_frame_parse(buf_head(&b), i, &f), SSH_MORE);
	buf_put_u8(&b, 0);
	assert_int_equal(
	    ssh_frame_parse(buf_head(&b), buf_len(&b), &f), SSH_FRAME);
	assert_int_equal(f.type, 13);
	assert_int_equal(f.used, 8);
	assert_true(ssh_is(&f.body, "abc"));
	assert_int_equal(ssh_frame_parse(none, 5, &f), SSH_BAD);
	assert_int_equal(ssh_frame_parse(big, 5, &f), SSH_BAD);
}

static int
bind_of(const char *name, const char *session, uint8_t flag, size_t cut)
{
	cleanup_buf struct buf b = { 0 };
	struct ssh_bind bind;
	struct ssh_str body;

	put(&b, name);
	put(&b, "host key");
	put(&b, session);
	put(&b, "signature");
	buf_put_u8(&b, flag);
	body = (struct ssh_str){ buf_head(&b), buf_len(&b) - cut };
	return ssh_bind_parse(&body, &bind);
}

static void
only_whole_session_binds_are_taken(void **state)
{
	static const char name[] = "session-bind@openssh.com";

	assert_int_equal(bind_of(name, "id", 0, 0), 0);
	assert_int_equal(bind_of(name, "id", 1, 0), 0);
	assert_int_equal(bind_of(name, "id", 2, 0), -1);
	assert_int_equal(bind_of(name, "", 0, 0), -1);
	assert_int_equal(bind_of(name, "id", 0, 1), -1);
	assert_int_equal(bind_of("query", "id", 0, 0), -1);
}

static int
auth_of(const char *service, const char *method, uint8_t type, uint8_t flag,
    const char *host, struct ssh_auth *a)
{
	static struct buf b;
	struct ssh_str data;

	buf_free(&b);
	put(&b, "session");
	buf_put_u8(&b, type);
	put(&b, "joe");
	put(&b, service);
	put(&b, method);
	buf_put_u8(&b, flag);
	put(&b, "ssh-ed25519");
	put(&b, "key");
	if (host != NULL)
		put(&b, host);
	data = (struct ssh_str){ buf_head(&b), buf_len(&b) };
	return ssh_auth_parse(&data, a);
}

static void
only_what_authenticates_a_user_is_signed(void **state)
{
	static const char c[] = "ssh-connection", plain[] = "publickey";
	static const char bound[] = "publickey-hostbound-v00@openssh.com";
	struct ssh_str sshsig = str("SSHSIG\0\0\0\0git");
	struct ssh_auth a;

	assert_int_equal(auth_of(c, plain, 50, 1, NULL, &a), 0);
	assert_true(ssh_is(&a.session, "session"));
	assert_true(ssh_is(&a.user, "joe"));
	assert_true(ssh_is(&a.key, "key"));
	assert_int_equal(a.host_key.n, 0);
	assert_int_equal(auth_of(c, bound, 50, 1, "host", &a), 0);
	assert_true(ssh_is(&a.host_key, "host"));
	assert_int_equal(auth_of(c, bound, 50, 1, NULL, &a), -1);
	assert_int_equal(auth_of(c, bound, 50, 1, "", &a), -1);
	assert_int_equal(auth_of(c, plain, 50, 1, "host", &a), -1);
	assert_int_equal(auth_of(c, plain, 51, 1, NULL, &a), -1);
	assert_int_equal(auth_of(c, plain, 50, 0, NULL, &a), -1);
	assert_int_equal(auth_of("ssh-userauth", plain, 50, 1, NULL, &a), -1);
	assert_int_equal(auth_of(c, "hostbased", 50, 1, NULL, &a), -1);
	assert_int_equal(ssh_auth_parse(&sshsig, &a), -1);
}

static void
key_of_openssh_is_read(void **state)
{
	struct ssh_key *k = ssh_key_load(openssh, strlen(openssh), &err);
	struct ssh_str pub;
	char b64[128];

	assert_non_null(k);
	pub = ssh_key_public(k);
	EVP_EncodeBlock((uint8_t *)b64, pub.p, (int)pub.n);
	assert_string_equal(b64, openssh_pub);
	ssh_key_free(k);
	/* Cut anywhere, it is none. */
	for (size_t i = 0; i + 40 < strlen(openssh); i += 7)
		assert_null(ssh_key_load(openssh, i, &err));
}

/* A fresh key, through PEM. */
static struct ssh_key *
fresh(EVP_PKEY *pkey)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct ssh_key *k;
	char *p;
	long n;

	assert_int_equal(
	    PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &p);
	k = ssh_key_load(p, (size_t)n, &err);
	BIO_free(bio);
	EVP_PKEY_free(pkey);
	return k;
}

static void
round_trip(struct ssh_key *k, const char *algorithm, const char *wrong)
{
	cleanup_buf struct buf sig = { 0 };
	struct ssh_str data = str("what is signed"), other = str("what is not");
	struct ssh_str alg = str(algorithm), no = str(wrong);
	struct ssh_str pub, s;

	assert_non_null(k);
	pub = ssh_key_public(k);
	assert_int_equal(ssh_key_sign(k, &no, &data, &sig, &err), -1);
	assert_int_equal(buf_len(&sig), 0);
	assert_int_equal(ssh_key_sign(k, &alg, &data, &sig, &err), 0);
	s = (struct ssh_str){ buf_head(&sig), buf_len(&sig) };
	assert_int_equal(ssh_verify(&pub, &s, &data), 0);
	assert_int_equal(ssh_verify(&pub, &s, &other), -1);
	s.n--;
	assert_int_equal(ssh_verify(&pub, &s, &data), -1);
	s.n++;
	for (size_t i = 0; i < s.n; i += 5) {
		buf_head(&sig)[i] ^= 1;
		assert_int_equal(ssh_verify(&pub, &s, &data), -1);
		buf_head(&sig)[i] ^= 1;
	}
	pub.n--;
	assert_int_equal(ssh_verify(&pub, &s, &data), -1);
	ssh_key_free(k);
}

static void
what_a_key_signs_is_verified_by_its_public_half(void **state)
{
	round_trip(fresh(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")),
	    "ssh-ed25519", "rsa-sha2-256");
	round_trip(fresh(EVP_EC_gen("P-256")), "ecdsa-sha2-nistp256",
	    "ecdsa-sha2-nistp384");
	round_trip(fresh(EVP_EC_gen("P-384")), "ecdsa-sha2-nistp384",
	    "ecdsa-sha2-nistp256");
	round_trip(
	    fresh(EVP_EC_gen("P-521")), "ecdsa-sha2-nistp521", "ssh-ed25519");
	round_trip(fresh(EVP_RSA_gen(2048)), "rsa-sha2-256", "ssh-rsa");
	round_trip(fresh(EVP_RSA_gen(2048)), "rsa-sha2-512", "ssh-dss");
}

static void
weak_and_foreign_keys_are_refused(void **state)
{
	assert_null(fresh(EVP_RSA_gen(1024)));
	assert_null(fresh(EVP_EC_gen("secp256k1")));
	assert_null(fresh(EVP_PKEY_Q_keygen(NULL, NULL, "X25519")));
	assert_null(ssh_key_load("-----BEGIN nothing", 18, &err));
}

static void
host_keys_are_known_by_host_and_port(void **state)
{
	static const char text[] =
	    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
	    "# a comment\n"
	    "a.example,b.example ssh-ed25519 a2V5 words\r\n"
	    "[c.example]:2222\tssh-ed25519 a2V5\n"
	    "@revoked d.example ssh-ed25519 a2V5\n"
	    "|1|abc|def ssh-ed25519 a2V5\n"
	    "e.example ssh-dss a2V5\n"
	    "ssh-ed25519 b3RoZXI=";
	struct ssh_str key = str("key"), other = str("other"), no = str("ke");

#define KNOWN(h, p, k) ssh_known(text, strlen(text), h, p, k)
	assert_true(KNOWN("a.example", 22, &key));
	assert_true(KNOWN("b.example", 22, &key));
	assert_true(KNOWN("c.example", 2222, &key));
	assert_true(KNOWN("any.example", 22, &other));
	assert_false(KNOWN("a.example", 2222, &key));
	assert_false(KNOWN("c.example", 22, &key));
	assert_false(KNOWN("d.example", 22, &key));
	assert_false(KNOWN("e.example", 22, &key));
	assert_false(KNOWN("x.example", 22, &key));
	assert_false(KNOWN("a.example", 22, &no));
	assert_false(ssh_known("", 0, "a", 22, &key));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_bounded_and_whole),
		cmocka_unit_test(only_whole_session_binds_are_taken),
		cmocka_unit_test(only_what_authenticates_a_user_is_signed),
		cmocka_unit_test(key_of_openssh_is_read),
		cmocka_unit_test(
		    what_a_key_signs_is_verified_by_its_public_half),
		cmocka_unit_test(weak_and_foreign_keys_are_refused),
		cmocka_unit_test(host_keys_are_known_by_host_and_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

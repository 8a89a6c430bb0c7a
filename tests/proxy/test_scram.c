/* SCRAM-SHA-256, by the example of RFC 7677 and against itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/str.h"
#include "proxy/scram.h"

static const char password[] = "pencil";
#define SERVER_NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="

static struct error err;

static bool
is(const struct buf *b, const char *s)
{
	return buf_len(b) == strlen(s) &&
	       memcmp(buf_head(b), s, buf_len(b)) == 0;
}

static void
client_answers_as_in_rfc_7677(void **state)
{
	static const char first[] = "r=" SERVER_NONCE ",s=" SALT ",i=4096";
	static const char final[] =
	    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
	struct scram_client c = { .password = password,
		.npassword = strlen(password),
		.user = "user",
		.nonce = "rOprNGfwEbeRWgbNEkqO" };
	cleanup_buf struct buf out = { 0 };

	assert_int_equal(
	    scram_client_final(&c, first, strlen(first), &out, &err), 0);
	assert_true(
	    is(&out, "c=biws,r=" SERVER_NONCE
		     ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
	assert_int_equal(scram_client_check(&c, final, strlen(final), &err), 0);
	assert_int_equal(scram_client_check(&c, "v=AAAA", 6, &err), -1);
	assert_int_equal(scram_client_check(&c, "e=other-error", 13, &err), -1);
	scram_client_wipe(&c);
}

static void
server_answers_as_in_rfc_7677(void **state)
{
	static const char final[] =
	    "c=biws,r=" SERVER_NONCE
	    ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
	static const uint8_t salt[16] = { 0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12,
		0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81 };
	struct scram_server s = { .password = password,
		.npassword = strlen(password),
		.gs2 = "n,,",
		.nonce = SERVER_NONCE };
	cleanup_buf struct buf out = { 0 };

	memcpy(s.salt, salt, sizeof(salt));
	buf_printf(&s.auth, "%s",
	    "n=user,r=rOprNGfwEbeRWgbNEkqO,r=" SERVER_NONCE ",s=" SALT
	    ",i=4096");
	assert_int_equal(
	    scram_server_final(&s, final, strlen(final), &out, &err), 0);
	assert_true(is(&out, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
	scram_server_wipe(&s);
}

/* Both sides; 0, or how far it came: 1 to 4. */
static int
run(const char *theirs, const char *ours)
{
	struct scram_client c;
	struct scram_server s = { 0 };
	cleanup_buf struct buf m1 = { 0 }, m2 = { 0 }, m3 = { 0 }, m4 = { 0 };
	int at = 0;

	if (scram_client_first(&c, theirs, strlen(theirs), NULL, 0, &m1, &err) <
	    0)
		at = 1;
	else if (scram_server_first(&s, ours, strlen(ours), buf_head(&m1),
		     buf_len(&m1), &m2, &err) < 0)
		at = 2;
	else if (scram_client_final(
		     &c, buf_head(&m2), buf_len(&m2), &m3, &err) < 0)
		at = 3;
	else if (scram_server_final(
		     &s, buf_head(&m3), buf_len(&m3), &m4, &err) < 0)
		at = 4;
	else if (scram_client_check(&c, buf_head(&m4), buf_len(&m4), &err) < 0)
		at = 5;
	scram_client_wipe(&c);
	scram_server_wipe(&s);
	return at;
}

static void
only_the_same_password_gets_in(void **state)
{
	assert_int_equal(
	    run("secret, with = and \xc3\xa9", "secret, with = and \xc3\xa9"),
	    0);
	assert_int_equal(run("secret", "Secret"), 4);
	assert_int_equal(run("", "x"), 4);
	assert_string_equal(err.msg, "the password is wrong");
}

static void
no_two_runs_have_the_same_messages(void **state)
{
	struct scram_client a, b;
	cleanup_buf struct buf m1 = { 0 }, m2 = { 0 };

	assert_int_equal(scram_client_first(&a, "x", 1, NULL, 0, &m1, &err), 0);
	assert_int_equal(scram_client_first(&b, "x", 1, NULL, 0, &m2, &err), 0);
	assert_string_not_equal(a.nonce, b.nonce);
	assert_int_equal(strlen(a.nonce), SCRAM_NONCE);
}

static void
channel_binding_is_in_the_final_message(void **state)
{
	static const char data[] = "0123456789abcdef0123456789abcdef";
	struct scram_client c;
	struct scram_server s;
	cleanup_buf struct buf m = { 0 }, first = { 0 }, out = { 0 };

	assert_int_equal(scram_client_first(&c, "x", 1, data, 32, &m, &err), 0);
	assert_memory_equal(buf_head(&m), "p=tls-server-end-point,,n=,r=", 29);
	/* As a server we never say that we can do that. */
	assert_int_equal(scram_server_first(
			     &s, "x", 1, buf_head(&m), buf_len(&m), &out, &err),
	    -1);
	buf_printf(&first, "r=%sX,s=" SALT ",i=1", c.nonce);
	assert_int_equal(scram_client_final(
			     &c, buf_head(&first), buf_len(&first), &out, &err),
	    0);
	assert_memory_equal(buf_head(&out),
	    "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsMDEyMzQ1Njc4OWFiY2Rl", 54);
}

static void
malformed_messages_are_refused(void **state)
{
	static const char *const firsts[] = { "", "n", "n,,", "n,,n=u",
		"n,,n=u,r=", "n,,n=u,r=a b", "n,a=x,n=u,r=abc",
		"p=x,,n=u,r=abc", "n,,n=u,r=abc,x=1", "n,,m=x,n=u,r=abc",
		"q,,n=u,r=abc" };
	static const char *const challenges[] = { "", "r=", "r=abc",
		"r=abcX,s=,i=1", "r=abcX,s=AAAA",
		"r=abcX,s=AAAA,i=", "r=abcX,s=AAAA,i=0", "r=abcX,s=AAAA,i=-1",
		"r=abcX,s=AAAA,i=200001", "r=abcX,s=AAA,i=1",
		"r=abcX,s=A A=,i=1", "r=xbcX,s=AAAA,i=1", "e=no",
		"r=abc,s=AAAA,i=1", "r=abcX,s=AB==,i=1",
		"m=x,r=abcX,s=AAAA,i=1" };
	struct scram_server s;
	cleanup_buf struct buf out = { 0 };

	for (size_t i = 0; i < nitems(firsts); i++) {
		assert_int_equal(scram_server_first(&s, "x", 1, firsts[i],
				     strlen(firsts[i]), &out, &err),
		    -1);
		scram_server_wipe(&s);
	}
	for (size_t i = 0; i < nitems(challenges); i++) {
		struct scram_client c = {
			.password = "x", .npassword = 1, .nonce = "abc"
		};

		assert_int_equal(scram_client_final(&c, challenges[i],
				     strlen(challenges[i]), &out, &err),
		    -1);
	}
	assert_int_equal(buf_len(&out), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_answers_as_in_rfc_7677),
		cmocka_unit_test(server_answers_as_in_rfc_7677),
		cmocka_unit_test(only_the_same_password_gets_in),
		cmocka_unit_test(no_two_runs_have_the_same_messages),
		cmocka_unit_test(channel_binding_is_in_the_final_message),
		cmocka_unit_test(malformed_messages_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

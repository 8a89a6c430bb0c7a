/* Request signatures by a shared key, as services have published them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/compat.h"
#include "base/str.h"
#include "proxy/sign_hash.h"
#include "proxy/sign_mac.h"

static void
make_head(struct req_head *h)
{
	memset(h, 0, sizeof(*h));
	h->method = xstrdup("POST");
	h->target = xstrdup("/v1/orders?limit=1");
}

static void
add(struct req_head *h, const char *name, const char *value)
{
	fields_add(&h->fields, name, strlen(name), value, strlen(value));
}

static int
sign(struct req_head *h, const struct cred_hmac *spec, const char *key,
    const char *body)
{
	struct secret *s = secret_new(key, strlen(key));
	struct error err = { 0 };
	int rc = sign_mac(h, spec, s, body, strlen(body), &err);

	assert_int_equal(rc < 0, err.msg[0] != '\0');
	secret_free(s);
	return rc;
}

static const struct cred_hmac github = { "sha256", "X-Hub-Signature-256", "hex",
	"sha256=", "{body}", "" };
static const struct cred_hmac slack = { "sha256", "X-Slack-Signature", "hex",
	"v0=", "v0:{timestamp}:{body}", "X-Slack-Request-Timestamp" };
static const struct cred_hmac stripe = { "sha256", "Stripe-Signature", "hex",
	"v1=", "{timestamp}.{body}", "stripe-signature" };
static const struct cred_hmac exchange = { "sha256", "CB-ACCESS-SIGN", "base64",
	"", "{timestamp}{method}{path}{body}", "CB-ACCESS-TIMESTAMP" };

/* docs.github.com, "Validating webhook deliveries". */
static void
signature_of_github_is_the_documented_one(void **state)
{
	struct req_head h;

	(void)state;
	make_head(&h);
	add(&h, "x-hub-signature-256", "sha256=0000");
	assert_true(sign_mac_is_signed(&github, &h));
	assert_true(sign_mac_needs_body(&github));
	assert_int_equal(
	    sign(&h, &github, "It's a Secret to Everybody", "Hello, World!"),
	    0);
	assert_string_equal(fields_get(&h.fields, github.header, NULL),
	    "sha256=757107ea0eb2509fc211221cce984b8a"
	    "37570b6d7586c22c46f4379c8b043e17");
	req_head_free(&h);
}

/* api.slack.com, "Verifying requests from Slack". */
static void
signature_of_slack_is_the_documented_one(void **state)
{
	struct req_head h;

	(void)state;
	make_head(&h);
	add(&h, "X-Slack-Signature", "v0=aa");
	add(&h, "X-Slack-Request-Timestamp", "1531420618");
	assert_int_equal(
	    sign(&h, &slack, "8f742231b10e8888abcd99yyyzzz85a5",
		"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain="
		"testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id="
		"U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&"
		"text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%"
		"2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
		"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce"
		"8b6703c"),
	    0);
	assert_string_equal(fields_get(&h.fields, slack.header, NULL),
	    "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b5"
	    "03");
	req_head_free(&h);
}

/* The parts of a header besides the signature stay as they are. */
static void
time_within_the_header_is_signed_and_kept(void **state)
{
	static const char *const before[] = { "t=1492774577,v1=00",
		"t=1492774577, v1=00 ,v0=6ffbb59b", "v1=,t=1492774577" };
	const char *text = "1492774577.{\"id\":1}";
	uint8_t mac[SIGN_MAC_MAX];
	char hex[SIGN_HEX_SIZE];

	(void)state;
	sign_hmac("SHA256", "whsec_test", 10, text, strlen(text), mac);
	sign_hex(mac, SIGN_SHA256_SIZE, hex);

	cleanup_free char *one = xasprintf("t=1492774577,v1=%s", hex);
	cleanup_free char *two =
	    xasprintf("t=1492774577, v1=%s,v0=6ffbb59b", hex);
	cleanup_free char *three = xasprintf("v1=%s,t=1492774577", hex);
	const char *const want[] = { one, two, three };
	for (size_t i = 0; i < nitems(before); i++) {
		struct req_head h;

		make_head(&h);
		add(&h, "Stripe-Signature", before[i]);
		assert_int_equal(
		    sign(&h, &stripe, "whsec_test", "{\"id\":1}"), 0);
		assert_string_equal(
		    fields_get(&h.fields, stripe.header, NULL), want[i]);
		req_head_free(&h);
	}
}

static void
method_path_and_time_are_signed_as_the_template_says(void **state)
{
	const char *text = "1500000000POST/v1/orders?limit=1{}";
	uint8_t mac[SIGN_MAC_MAX];
	struct req_head h;
	const char *v;

	(void)state;
	make_head(&h);
	add(&h, "CB-ACCESS-SIGN", "stub");
	add(&h, "CB-ACCESS-TIMESTAMP", "1500000000");
	assert_int_equal(sign(&h, &exchange, "key", "{}"), 0);
	v = fields_get(&h.fields, exchange.header, NULL);
	assert_int_equal(strlen(v), 44);
	assert_int_equal(v[43], '=');
	sign_hmac("SHA256", "key", 3, text, strlen(text), mac);
	/* The first three bytes are the first four characters. */
	cleanup_free char *first = xstrndup(v, 4);
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz0123456789+/";
	assert_int_equal(first[0], set[mac[0] >> 2]);
	assert_int_equal(first[3], set[mac[2] & 63]);
	req_head_free(&h);
}

/* RFC 2202 and RFC 4231, test case 2. */
static void
algorithms_are_the_standard_ones(void **state)
{
	static const char *const rows[][2] = {
		{ "sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
		{ "sha256", "5bdcc146bf60754e6a042426089575c7"
			    "5a003f089d2739839dec58b964ec3843" },
		{ "sha512", "164b7a7bfcf819e2e395fbe73b56e0a3"
			    "87bd64222e831fd610270cd7ea250554"
			    "9758bf75c05a994a6d034f65f8f0e6fd"
			    "caeab1a34d4a6b4b636e070a38bce737" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct cred_hmac spec = github;
		struct req_head h;

		strlcpy(spec.algorithm, rows[i][0], sizeof(spec.algorithm));
		strlcpy(spec.prefix, "", sizeof(spec.prefix));
		make_head(&h);
		add(&h, spec.header, "x");
		assert_int_equal(
		    sign(&h, &spec, "Jefe", "what do ya want for nothing?"), 0);
		assert_string_equal(
		    fields_get(&h.fields, spec.header, NULL), rows[i][1]);
		req_head_free(&h);
	}
}

static void
request_that_cannot_be_signed_is_refused(void **state)
{
	struct req_head h;

	(void)state;
	make_head(&h);
	assert_false(sign_mac_is_signed(&github, &h));
	assert_int_equal(sign(&h, &github, "key1", ""), -1);
	add(&h, github.header, "sha1=00");
	assert_int_equal(sign(&h, &github, "key1", ""), -1);
	add(&h, github.header, "sha256=00");
	assert_int_equal(sign(&h, &github, "key1", ""), -1);
	/* The time: not there, twice, not within the header. */
	add(&h, slack.header, "v0=00");
	assert_int_equal(sign(&h, &slack, "key1", ""), -1);
	add(&h, slack.timestamp_header, "1");
	assert_int_equal(sign(&h, &slack, "key1", ""), 0);
	add(&h, slack.timestamp_header, "2");
	assert_int_equal(sign(&h, &slack, "key1", ""), -1);
	add(&h, stripe.header, "v1=00");
	assert_int_equal(sign(&h, &stripe, "key1", ""), -1);
	req_head_free(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signature_of_github_is_the_documented_one),
		cmocka_unit_test(signature_of_slack_is_the_documented_one),
		cmocka_unit_test(time_within_the_header_is_signed_and_kept),
		cmocka_unit_test(
		    method_path_and_time_are_signed_as_the_template_says),
		cmocka_unit_test(algorithms_are_the_standard_ones),
		cmocka_unit_test(request_that_cannot_be_signed_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

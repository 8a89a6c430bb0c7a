/* A stub is swapped in its one right place; anywhere else it is a leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compat.h"
#include "base/proto.h"
#include "base/str.h"
#include "proxy/scrub.h"
#include "proxy/swap.h"

#define STUB "ghp_PLACEHOLDERvalue0123456789abcdefgh"
#define REAL "ghp_REALREALREALREAL0123456789ABCDEFGH"
#define STUB2 "sk-ant-OTHERplaceholder000"

static void
put_row(struct buf *b, uint32_t cred, const char *name, const char *host,
    uint8_t surfaces, const char *header, const char *user, bool revoked,
    const char *stub)
{
	struct cred_spec s = { .surfaces = surfaces, .nhosts = 1 };

	strlcpy(s.hosts[0].host, host, sizeof(s.hosts[0].host));
	s.hosts[0].port = 443;
	strlcpy(s.header, header, sizeof(s.header));
	strlcpy(s.user, user, sizeof(s.user));
	buf_put_u32(b, cred);
	buf_put_str(b, name);
	cred_spec_put(b, &s);
	buf_put_u8(b, revoked);
	buf_put_str(b, stub);
}

static void
make_bindings(struct bindings *bs, bool revoked, const char *user)
{
	cleanup_buf struct buf b = { 0 };
	struct cur c;

	buf_put_u32(&b, 2);
	put_row(&b, 1, "github", "api.example.com",
	    SURFACE_HEADER | SURFACE_BASIC, "Authorization", user, revoked,
	    STUB);
	put_row(&b, 2, "model", "llm.example.com", SURFACE_HEADER, "X-Api-Key",
	    "", false, STUB2);
	cur_init(&c, buf_head(&b), buf_len(&b));
	assert_int_equal(bindings_get(&c, bs), 0);
}

static void
make_head(struct req_head *h)
{
	memset(h, 0, sizeof(*h));
	h->tls = true;
	h->sni = xstrdup("api.example.com");
	h->dst = xstrdup("api.example.com");
	h->port = 443;
	h->method = xstrdup("GET");
	h->authority = xstrdup("api.example.com");
	h->target = xstrdup("/repos?page=2");
	fields_add(&h->fields, "Accept", 6, "*/*", 3);
}

static void
add(struct req_head *h, const char *name, const char *value)
{
	fields_add(&h->fields, name, strlen(name), value, strlen(value));
}

static void
replace(char **s, const char *with)
{
	free(*s);
	*s = xstrdup(with);
}

static enum swap_verdict
judge(const struct req_head *h, const char *host)
{
	struct bindings bs;
	struct swap_plan p;

	make_bindings(&bs, false, "");
	swap_judge(h, host, 443, &bs, &p);
	bindings_free(&bs);
	assert_null(strstr(p.reason, STUB));
	return p.verdict;
}

static enum swap_verdict
judge_field(const char *name, const char *value)
{
	struct req_head h;
	enum swap_verdict v;

	make_head(&h);
	add(&h, name, value);
	v = judge(&h, "api.example.com");
	req_head_free(&h);
	return v;
}

/* What the field holds after the swap, or NULL. */
static char *
swapped(const char *value, const char *user, const char *real)
{
	struct error err = { 0 };
	struct bindings bs;
	struct req_head h;
	struct secret *s = secret_new(real, strlen(real));
	char *out = NULL;

	make_bindings(&bs, false, user);
	make_head(&h);
	add(&h, "Authorization", value);
	struct swap_value v = { 1, s };
	struct swap_plan p;

	swap_judge(&h, "api.example.com", 443, &bs, &p);
	if (swap_apply(&h, &bs, &p, &v, 1, &err) == 0)
		out = xstrdup(fields_get(&h.fields, "authorization", NULL));
	req_head_free(&h);
	bindings_free(&bs);
	secret_free(s);
	return out;
}

/* "user:STUB" and friends, standard alphabet, by hand of base64(1). */
#define B64_PASS "dXNlcjpnaHBfUExBQ0VIT0xERVJ2YWx1ZTAxMjM0NTY3ODlhYmNkZWZnaA=="
#define B64_PASS_REAL                                                          \
	"dXNlcjpnaHBfUkVBTFJFQUxSRUFMUkVBTDAxMjM0NTY3ODlBQkNERUZHSA=="
#define B64_BOT_REAL "Ym90OmdocF9SRUFMUkVBTFJFQUxSRUFMMDEyMzQ1Njc4OUFCQ0RFRkdI"

static void
value_of_another_length_is_swapped_in(void **state)
{
	cleanup_free char *more =
	    swapped("Bearer " STUB "; x", "", REAL "-more");
	cleanup_free char *less =
	    swapped("Bearer " STUB "; x", "", "short-one");

	(void)state;
	assert_string_equal(more, "Bearer " REAL "-more; x");
	assert_string_equal(less, "Bearer short-one; x");
}

static void
stub_in_declared_header_is_swapped(void **state)
{
	cleanup_free char *v = swapped("Bearer " STUB, "", REAL);

	(void)state;
	assert_int_equal(
	    judge_field("authorization", "token " STUB), SWAP_HEADER);
	assert_non_null(v);
	assert_string_equal(v, "Bearer " REAL);
}

static void
stub_in_basic_is_swapped_and_written_anew(void **state)
{
	static const char *const forms[] = { "Basic " B64_PASS,
		"basic  " B64_PASS,
		"BASIC dXNlcjpnaHBfUExBQ0VIT0xERVJ2YWx1ZTAxMjM0NTY3ODlhYmNkZWZn"
		"aA" };

	(void)state;
	for (size_t i = 0; i < nitems(forms); i++) {
		cleanup_free char *v = swapped(forms[i], "", REAL);
		assert_int_equal(
		    judge_field("Authorization", forms[i]), SWAP_BASIC);
		assert_non_null(v);
		assert_string_equal(v, "Basic " B64_PASS_REAL);
	}
	cleanup_free char *bot = swapped("Basic " B64_PASS, "bot", REAL);
	assert_string_equal(bot, "Basic " B64_BOT_REAL);
}

static void
head_without_stub_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(
	    judge_field("Authorization", "Bearer other"), SWAP_NONE);
}

static void
stub_on_undeclared_surface_is_a_leak(void **state)
{
	(void)state;
	assert_int_equal(judge_field("X-Other", STUB), SWAP_LEAK);
	assert_int_equal(judge_field("Cookie", "a=" STUB), SWAP_LEAK);
	assert_int_equal(judge_field(STUB, "x"), SWAP_LEAK);
	/* Lower case, as HTTP/2 would force on a field name. */
	assert_int_equal(
	    judge_field("ghp_placeholdervalue0123456789abcdefgh", "x"),
	    SWAP_LEAK);
	/* Encoded forms count, also in the declared field. */
	assert_int_equal(judge_field("X-Other", B64_PASS), SWAP_LEAK);
	assert_int_equal(
	    judge_field("Authorization", "Bearer " B64_PASS), SWAP_LEAK);
	assert_int_equal(judge_field("Authorization",
			     "Bearer %67hp_PLACEHOLDERvalue0123456789abcdefgh"),
	    SWAP_LEAK);
	assert_int_equal(judge_field("X-Other",
			     "%2567hp_PLACEHOLDERvalue0123456789%61bcdefgh"),
	    SWAP_LEAK);
}

static void
basic_with_junk_inside_is_a_leak(void **state)
{
	(void)state;
	assert_int_equal(
	    judge_field("Authorization",
		"Basic dXNlcjpnaHBf UExBQ0VIT0xERVJ2YWx1ZTAxMjM0NTY3ODlhYmNk"
		"ZWZnaA=="),
	    SWAP_LEAK);
	assert_int_equal(
	    judge_field("Authorization",
		"Custom dXNlcjpnaHBf.UExBQ0VIT0xERVJ2YWx1ZTAxMjM0NTY3ODlhYmNk"
		"ZWZnaA=="),
	    SWAP_LEAK);
}

static void
stub_in_target_authority_or_method_is_a_leak(void **state)
{
	struct req_head h;

	(void)state;
	make_head(&h);
	replace(&h.target, "/x?t=" STUB);
	assert_int_equal(judge(&h, "api.example.com"), SWAP_LEAK);
	replace(&h.target, "/x?t=ghp%5FPLACEHOLDERvalue0123456789abcdefgh");
	assert_int_equal(judge(&h, "api.example.com"), SWAP_LEAK);
	replace(&h.target, "/");
	replace(&h.authority,
	    "ghp-x.ghp_placeholder.value0123456789abcdefgh.evil.com");
	assert_int_equal(judge(&h, "evil.com"), SWAP_LEAK);
	replace(&h.authority, "api.example.com");
	replace(&h.method, STUB);
	assert_int_equal(judge(&h, "api.example.com"), SWAP_LEAK);
	req_head_free(&h);
}

static void
stub_to_another_host_or_port_is_a_leak(void **state)
{
	struct bindings bs;
	struct swap_plan p;
	struct req_head h;

	(void)state;
	make_bindings(&bs, false, "");
	make_head(&h);
	add(&h, "Authorization", "Bearer " STUB);
	swap_judge(&h, "evil.example.com", 443, &bs, &p);
	assert_int_equal(p.verdict, SWAP_LEAK);
	swap_judge(&h, "api.example.com", 8443, &bs, &p);
	assert_int_equal(p.verdict, SWAP_LEAK);
	assert_string_equal(p.name, "github");
	/* Stub of one provider to the allowed host of another. */
	swap_judge(&h, "llm.example.com", 443, &bs, &p);
	assert_int_equal(p.verdict, SWAP_LEAK);
	req_head_free(&h);
	bindings_free(&bs);
}

/* At the end of texts of any length: as sent, folded, escaped twice. */
static void
stub_is_found_in_texts_of_any_length(void **state)
{
	static const char *const forms[] = { STUB,
		"GHP_PLACEHOLDERVALUE0123456789ABCDEFGH",
		"%2567hp_PLACEHOLDERvalue0123456789abcdefgh" };
	struct bindings bs;
	char text[1200];

	(void)state;
	make_bindings(&bs, false, "");
	for (size_t n = 0; n < 1100; n += n < 400 || n > 600 ? 50 : 1) {
		memset(text, 'x', n);
		for (size_t i = 0; i < nitems(forms); i++) {
			strlcpy(text + n, forms[i], sizeof(text) - n);
			assert_ptr_equal(
			    bindings_find(&bs, text, strlen(text)), &bs.b[0]);
			text[strlen(text) - 1] = '\0';
			assert_null(bindings_find(&bs, text, strlen(text)));
		}
	}
	bindings_free(&bs);
}

static void
more_than_one_slot_is_a_leak(void **state)
{
	struct req_head h;

	(void)state;
	make_head(&h);
	add(&h, "Authorization", "Bearer " STUB);
	add(&h, "authorization", "Bearer " STUB);
	assert_int_equal(judge(&h, "api.example.com"), SWAP_LEAK);
	replace(&h.fields.f[2].value, "Bearer mine");
	assert_int_equal(judge(&h, "api.example.com"), SWAP_LEAK);
	req_head_free(&h);
	assert_int_equal(
	    judge_field("Authorization", STUB " " STUB), SWAP_LEAK);
	assert_int_equal(
	    judge_field("Authorization", STUB "," STUB2), SWAP_LEAK);
	make_head(&h);
	add(&h, "Authorization", "Bearer " STUB);
	replace(&h.target, "/?t=" STUB);
	assert_int_equal(judge(&h, "api.example.com"), SWAP_LEAK);
	req_head_free(&h);
}

static void
revoked_or_plaintext_is_refused(void **state)
{
	struct bindings bs;
	struct swap_plan p;
	struct req_head h;

	(void)state;
	make_bindings(&bs, true, "");
	make_head(&h);
	add(&h, "Authorization", "Bearer " STUB);
	swap_judge(&h, "api.example.com", 443, &bs, &p);
	assert_int_equal(p.verdict, SWAP_REVOKED);
	bindings_free(&bs);
	make_bindings(&bs, false, "");
	h.tls = false;
	swap_judge(&h, "api.example.com", 443, &bs, &p);
	assert_int_equal(p.verdict, SWAP_PLAINTEXT);
	bindings_free(&bs);
	req_head_free(&h);
}

static unsigned int
strip(struct req_head *h, const char *host, const struct bindings *bs)
{
	struct swap_plan p;

	swap_judge(h, host, 443, bs, &p);
	return swap_strip(h, host, 443, bs, &p);
}

static void
foreign_key_on_bound_host_is_stripped(void **state)
{
	struct bindings bs;
	struct req_head h;

	(void)state;
	make_bindings(&bs, false, "");
	make_head(&h);
	add(&h, "Authorization", "Bearer attackers-own");
	add(&h, "X-Api-Key", "attackers-own");
	assert_int_equal(strip(&h, "api.example.com", &bs), 2);
	assert_int_equal(h.fields.n, 1);
	add(&h, "Authorization", "Bearer " STUB);
	add(&h, "x-api-key", "attackers-own");
	assert_int_equal(strip(&h, "api.example.com", &bs), 1);
	assert_string_equal(
	    fields_get(&h.fields, "Authorization", NULL), "Bearer " STUB);
	/* Elsewhere an agent may bring its own. */
	add(&h, "x-api-key", "own");
	assert_int_equal(strip(&h, "other.example.com", &bs), 0);
	req_head_free(&h);
	bindings_free(&bs);
}

/* As CGI reads names, in the query, and behind the body. */
static void
foreign_key_in_other_places_is_stripped(void **state)
{
	struct fields trailers = { 0 };
	struct bindings bs;
	struct req_head h;

	(void)state;
	make_bindings(&bs, false, "");
	make_head(&h);
	add(&h, "Authorization", "Bearer " STUB);
	add(&h, "X_Api-Key", "attackers-own");
	add(&h, "x_api_key", "attackers-own");
	add(&h, "X_Other", "stays");
	replace(
	    &h.target, "/x?private_token=mine&page_token=2&%61pi_key=mine&a=1");
	assert_int_equal(strip(&h, "api.example.com", &bs), 4);
	assert_string_equal(h.target, "/x?page_token=2&a=1");
	assert_int_equal(h.fields.n, 3);
	assert_string_equal(
	    fields_get(&h.fields, "Authorization", NULL), "Bearer " STUB);
	fields_add(&trailers, "x-api-key", 9, "mine", 4);
	fields_add(&trailers, "X-Sum", 5, "1", 1);
	assert_int_equal(
	    swap_strip_trailers(&trailers, "other.example.com", 443, &bs), 0);
	assert_int_equal(
	    swap_strip_trailers(&trailers, "api.example.com", 443, &bs), 1);
	assert_int_equal(trailers.n, 1);
	fields_free(&trailers);
	req_head_free(&h);
	bindings_free(&bs);
}

static void
value_that_does_not_fit_is_refused(void **state)
{
	char odd[] = REAL;

	(void)state;
	odd[5] = '\n';
	assert_null(swapped("Bearer " STUB, "", odd));
}

static void
swap_then_scrub_is_identity(void **state)
{
	static const char *const values[] = { "Bearer " STUB, STUB,
		"token " STUB ", x", "Basic " B64_PASS };

	(void)state;
	for (size_t i = 0; i < nitems(values); i++) {
		cleanup_free char *v = swapped(values[i], "", REAL);
		struct scrub *s = scrub_new();

		assert_non_null(v);
		assert_string_not_equal(v, values[i]);
		scrub_add(s, REAL, STUB, strlen(REAL));
		scrub_text(s, v, strlen(v));
		assert_string_equal(v, values[i]);
		scrub_free(s);
	}
}

static void
unsound_bindings_are_refused(void **state)
{
	static const char *const hosts[] = { "API.example.com", "", "a_b.com",
		"x.com.", "[::1]", "a b" };

	(void)state;
	for (size_t i = 0; i < nitems(hosts); i++) {
		cleanup_buf struct buf b = { 0 };
		struct bindings bs;
		struct cur c;

		buf_put_u32(&b, 1);
		put_row(
		    &b, 1, "n", hosts[i], SURFACE_HEADER, "A", "", false, STUB);
		cur_init(&c, buf_head(&b), buf_len(&b));
		assert_int_equal(bindings_get(&c, &bs), -1);
	}
}

/* Or keyd would have broken the protocol. */
static void
all_secrets_and_the_tokens_of_a_job_fit(void **state)
{
	cleanup_buf struct buf b = { 0 };
	const struct binding *found;
	struct bindings bs;
	struct cur c;
	char stub[32];

	buf_put_u32(&b, P_BINDINGS_MAX);
	for (uint32_t i = 0; i < P_BINDINGS_MAX; i++) {
		snprintf(stub, sizeof(stub), "ghp_PLACEHOLDER%06u", i);
		put_row(&b, i + 1, "n", "a.example", SURFACE_HEADER, "A", "",
		    false, stub);
	}
	cur_init(&c, buf_head(&b), buf_len(&b));
	assert_int_equal(bindings_get(&c, &bs), 0);
	found = bindings_find(&bs, stub, strlen(stub));
	assert_non_null(found);
	assert_int_equal(found->cred, P_BINDINGS_MAX);
	bindings_free(&bs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(value_of_another_length_is_swapped_in),
		cmocka_unit_test(all_secrets_and_the_tokens_of_a_job_fit),
		cmocka_unit_test(stub_in_declared_header_is_swapped),
		cmocka_unit_test(stub_in_basic_is_swapped_and_written_anew),
		cmocka_unit_test(head_without_stub_is_left_alone),
		cmocka_unit_test(stub_on_undeclared_surface_is_a_leak),
		cmocka_unit_test(basic_with_junk_inside_is_a_leak),
		cmocka_unit_test(stub_in_target_authority_or_method_is_a_leak),
		cmocka_unit_test(stub_to_another_host_or_port_is_a_leak),
		cmocka_unit_test(stub_is_found_in_texts_of_any_length),
		cmocka_unit_test(more_than_one_slot_is_a_leak),
		cmocka_unit_test(revoked_or_plaintext_is_refused),
		cmocka_unit_test(foreign_key_on_bound_host_is_stripped),
		cmocka_unit_test(foreign_key_in_other_places_is_stripped),
		cmocka_unit_test(value_that_does_not_fit_is_refused),
		cmocka_unit_test(swap_then_scrub_is_identity),
		cmocka_unit_test(unsound_bindings_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

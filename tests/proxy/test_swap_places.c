/* Queries, paths, injected fields, and every form of a stub in every place. */
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
#include "proxy/swap.h"

#define HOST "api.example.com"
#define STUB "123456:AAStub-stub_STUB0"
#define REAL "987654:BBReal-real_REAL9"
#define STUB2 "tok/en+with=odd0000"
#define REAL2 "TOK/EN+WITH=ODD9999"

struct world {
	struct bindings bs;
	struct req_head h;
	struct secret *v1, *v2;
	struct swap_plan p;
};

static void
put_row(struct buf *b, uint32_t cred, const char *name, const char *stub,
    const struct cred_spec *spec, const char *host)
{
	struct cred_spec s = *spec;

	s.nhosts = 1;
	strlcpy(s.hosts[0].host, host, sizeof(s.hosts[0].host));
	s.hosts[0].port = 443;
	buf_put_u32(b, cred);
	buf_put_str(b, name);
	cred_spec_put(b, &s);
	buf_put_u8(b, 0);
	buf_put_str(b, stub);
}

/* Two credentials of one host. */
static void
begin(struct world *w, const struct cred_spec *one, const struct cred_spec *two,
    const char *target)
{
	cleanup_buf struct buf b = { 0 };
	struct cur c;

	memset(w, 0, sizeof(*w));
	buf_put_u32(&b, two == NULL ? 1 : 2);
	put_row(&b, 1, "one", STUB, one, HOST);
	if (two != NULL)
		put_row(&b, 2, "two", STUB2, two, HOST);
	cur_init(&c, buf_head(&b), buf_len(&b));
	assert_int_equal(bindings_get(&c, &w->bs), 0);
	w->v1 = secret_new(REAL, strlen(REAL));
	w->v2 = secret_new(REAL2, strlen(REAL2));
	w->h.tls = true;
	w->h.sni = xstrdup(HOST);
	w->h.dst = xstrdup(HOST);
	w->h.port = 443;
	w->h.method = xstrdup("GET");
	w->h.authority = xstrdup(HOST);
	w->h.protocol = xstrdup("");
	w->h.target = xstrdup(target);
}

static void
finish(struct world *w)
{
	req_head_free(&w->h);
	bindings_free(&w->bs);
	secret_free(w->v1);
	secret_free(w->v2);
}

static enum swap_verdict
judge(struct world *w)
{
	swap_judge(&w->h, HOST, 443, &w->bs, &w->p);
	assert_null(strstr(w->p.reason, STUB));
	return w->p.verdict;
}

static int
apply(struct world *w)
{
	const struct swap_value v[] = { { 1, w->v1 }, { 2, w->v2 } };
	struct error err = { 0 };

	swap_judge(&w->h, HOST, 443, &w->bs, &w->p);
	return swap_apply(&w->h, &w->bs, &w->p, v, 2, &err);
}

static void
add(struct world *w, const char *name, const char *value)
{
	fields_add(&w->h.fields, name, strlen(name), value, strlen(value));
}

static const char *
field(const struct world *w, const char *name)
{
	const char *v = fields_get(&w->h.fields, name, NULL);

	return v == NULL ? "" : v;
}

static const struct cred_spec in_query = { .surfaces = SURFACE_QUERY,
	.query = "key" };
static const struct cred_spec in_query2 = { .surfaces = SURFACE_QUERY,
	.query = "token" };
static const struct cred_spec in_path = { .surfaces = SURFACE_PATH };
static const struct cred_spec in_header = { .surfaces = SURFACE_HEADER,
	.header = "X-Api-Key" };

/* ---- queries and paths --------------------------------------------------- */

static void
becomes(const struct cred_spec *one, const struct cred_spec *two,
    const char *target, enum swap_verdict verdict, const char *want)
{
	struct world w;

	begin(&w, one, two, target);
	if (judge(&w) != verdict)
		fail_msg("%s: verdict %d: %s", target, w.p.verdict, w.p.reason);
	if (want != NULL) {
		assert_int_equal(apply(&w), 0);
		assert_string_equal(w.h.target, want);
	}
	finish(&w);
}

static void
stub_in_its_parameter_is_swapped(void **state)
{
	(void)state;
	becomes(&in_query, NULL, "/x?key=" STUB, SWAP_QUERY,
	    "/x?key=987654%3ABBReal-real_REAL9");
	becomes(&in_query, NULL, "/x?a=1&key=123456%3AAAStub-stub%5FSTUB0&b=2",
	    SWAP_QUERY, "/x?a=1&key=987654%3ABBReal-real_REAL9&b=2");
	becomes(&in_query, NULL, "/x?k%65y=" STUB, SWAP_QUERY,
	    "/x?k%65y=987654%3ABBReal-real_REAL9");
	becomes(&in_query, &in_query2,
	    "/x?token=tok%2Fen%2Bwith=odd0000&key=" STUB "&c", SWAP_QUERY,
	    "/x?token=TOK%2FEN%2BWITH%3DODD9999&"
	    "key=987654%3ABBReal-real_REAL9&c");
}

static void
stub_in_a_segment_is_swapped(void **state)
{
	(void)state;
	becomes(&in_path, NULL, "/bot" STUB "/getMe?x=1", SWAP_PATH,
	    "/bot" REAL "/getMe?x=1");
	becomes(&in_path, NULL, "/hooks/" STUB, SWAP_PATH, "/hooks/" REAL);
	becomes(&in_path, NULL, "/123456%3aAAStub-stub_STUB0/a", SWAP_PATH,
	    "/" REAL "/a");
	becomes(&in_path, &in_query2, "/" STUB "?token=tok/en%2Bwith=odd0000",
	    SWAP_PATH, "/" REAL "?token=TOK%2FEN%2BWITH%3DODD9999");
}

/* The policy has judged the path with the stub. */
static void
value_with_a_slash_is_no_segment(void **state)
{
	struct world w;

	(void)state;
	begin(&w, &in_query, &in_path, "/tok%2Fen+with=odd0000");
	assert_int_equal(judge(&w), SWAP_PATH);
	assert_int_equal(apply(&w), -1);
	finish(&w);
}

static void
stub_elsewhere_in_a_target_is_a_leak(void **state)
{
	static const struct {
		const struct cred_spec *spec;
		const char *target;
	} rows[] = {
		{ &in_query, "/x?other=" STUB },
		{ &in_query, "/x?Key=" STUB },
		{ &in_query, "/x?key=x" STUB },
		{ &in_query, "/x?key=" STUB "x" },
		{ &in_query, "/x?key=" STUB "&key=" STUB },
		{ &in_query, "/x?key=" STUB "&key=mine" },
		{ &in_query, "/x?key=" STUB "&b=" STUB },
		{ &in_query, "/x?key=" STUB ";b=1" },
		{ &in_query, "/x?" STUB "=key" },
		{ &in_query, "/" STUB "?key=1" },
		{ &in_query, "/key=" STUB },
		{ &in_query, "/x?key=%2531%32%33456%253AAAStub-stub_STUB0" },
		{ &in_path, "/x?key=" STUB },
		{ &in_path, "/a-" STUB },
		{ &in_path, "/bot9" STUB },
		{ &in_path, "/" STUB "x" },
		{ &in_path, "/" STUB ";a=b" },
		{ &in_path, "/" STUB "/" STUB },
		{ &in_path, "/%2531%32%33456%253AAAStub-stub_STUB0" },
		{ &in_header, "/" STUB },
		{ &in_header, "/?key=" STUB },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		becomes(rows[i].spec, NULL, rows[i].target, SWAP_LEAK, NULL);
}

static void
same_stub_in_two_kinds_of_place_is_a_leak(void **state)
{
	struct cred_spec both = { .surfaces = SURFACE_HEADER | SURFACE_QUERY,
		.header = "X-Api-Key",
		.query = "key" };
	struct world w;

	(void)state;
	begin(&w, &both, NULL, "/x?key=" STUB);
	add(&w, "X-Api-Key", STUB);
	assert_int_equal(judge(&w), SWAP_LEAK);
	finish(&w);
}

static void
two_credentials_of_a_host_go_out_together(void **state)
{
	struct world w;

	(void)state;
	begin(&w, &in_header, &in_query2, "/x?token=" STUB2);
	/* A plus sign in a query reads as a space. */
	assert_int_equal(judge(&w), SWAP_LEAK);
	free(w.h.target);
	w.h.target = xstrdup("/x?token=tok/en%2bwith=odd0000");
	add(&w, "x-api-key", STUB);
	assert_int_equal(judge(&w), SWAP_HEADER);
	assert_int_equal(w.p.n, 2);
	assert_int_equal(apply(&w), 0);
	assert_string_equal(field(&w, "x-api-key"), REAL);
	assert_true(w.h.fields.f[0].secret);
	assert_string_equal(w.h.target, "/x?token=TOK%2FEN%2BWITH%3DODD9999");
	finish(&w);
}

static void
value_that_is_not_there_stops_the_request(void **state)
{
	struct error err = { 0 };
	struct world w;

	(void)state;
	begin(&w, &in_query, NULL, "/x?key=" STUB);
	(void)judge(&w);
	assert_int_equal(swap_apply(&w.h, &w.bs, &w.p, NULL, 0, &err), -1);
	finish(&w);
}

static void
own_key_in_the_declared_parameter_is_stripped(void **state)
{
	static const char *const rows[][2] = {
		{ "/x?key=mine", "/x" },
		{ "/x?key=mine&a=1", "/x?a=1" },
		{ "/x?a=1&key=mine", "/x?a=1" },
		{ "/x?a=1&k%65y=mine&key&b=2", "/x?a=1&b=2" },
		{ "/x?key=" STUB "&a", "/x?key=" STUB "&a" },
		{ "/x?access_token=mine&api_key=mine&key=" STUB "&job_token=m",
		    "/x?key=" STUB },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct world w;

		begin(&w, &in_query, NULL, rows[i][0]);
		(void)judge(&w);
		(void)swap_strip(&w.h, HOST, 443, &w.bs, &w.p);
		assert_string_equal(w.h.target, rows[i][1]);
		finish(&w);
	}
}

/* ---- injected ------------------------------------------------------------ */

static const struct cred_spec bearer = { .surfaces = SURFACE_HEADER,
	.header = "Authorization",
	.inject = true,
	.scheme = "Bearer" };
static const struct cred_spec plain = {
	.surfaces = SURFACE_HEADER, .header = "X-Api-Key", .inject = true
};
static const struct cred_spec basic = {
	.surfaces = SURFACE_BASIC, .user = "x-access-token", .inject = true
};

static void
credential_is_put_in_unasked(void **state)
{
	struct world w;

	(void)state;
	begin(&w, &bearer, &plain, "/");
	add(&w, "Accept", "*/*");
	assert_int_equal(judge(&w), SWAP_INJECT);
	assert_string_equal(w.p.name, "one");
	assert_int_equal(apply(&w), 0);
	assert_string_equal(field(&w, "authorization"), "Bearer " REAL);
	assert_string_equal(field(&w, "x-api-key"), REAL2);
	assert_true(w.h.fields.f[1].secret && w.h.fields.f[2].secret);
	finish(&w);
	begin(&w, &basic, NULL, "/");
	assert_int_equal(apply(&w), 0);
	assert_string_equal(field(&w, "authorization"),
	    "Basic eC1hY2Nlc3MtdG9rZW46OTg3NjU0OkJCUmVhbC1yZWFsX1JFQUw5");
	finish(&w);
}

static void
what_the_agent_sent_is_not_put_in_again(void **state)
{
	struct world w;

	(void)state;
	begin(&w, &bearer, NULL, "/");
	add(&w, "authorization", "token " STUB);
	assert_int_equal(judge(&w), SWAP_HEADER);
	assert_int_equal(w.p.n, 1);
	assert_int_equal(apply(&w), 0);
	assert_int_equal(w.h.fields.n, 1);
	assert_string_equal(field(&w, "authorization"), "token " REAL);
	finish(&w);
	/* One field takes one credential: the first. */
	begin(&w, &bearer, &basic, "/");
	assert_int_equal(judge(&w), SWAP_INJECT);
	assert_int_equal(w.p.n, 1);
	finish(&w);
}

static void
own_key_gives_way_to_the_injected_one(void **state)
{
	struct world w;

	(void)state;
	begin(&w, &bearer, NULL, "/");
	add(&w, "Authorization", "Bearer attackers-own");
	(void)judge(&w);
	assert_int_equal(swap_strip(&w.h, HOST, 443, &w.bs, &w.p), 1);
	assert_int_equal(apply(&w), 0);
	assert_int_equal(w.h.fields.n, 1);
	assert_string_equal(field(&w, "authorization"), "Bearer " REAL);
	finish(&w);
}

static void
nothing_is_put_in_elsewhere_or_in_plaintext(void **state)
{
	struct swap_plan p;
	struct world w;

	(void)state;
	begin(&w, &bearer, NULL, "/");
	swap_judge(&w.h, "other.example.com", 443, &w.bs, &p);
	assert_int_equal(p.verdict, SWAP_NONE);
	swap_judge(&w.h, HOST, 8443, &w.bs, &p);
	assert_int_equal(p.verdict, SWAP_NONE);
	w.h.tls = false;
	assert_int_equal(judge(&w), SWAP_NONE);
	w.h.tls = true;
	w.bs.b[0].revoked = true;
	assert_int_equal(judge(&w), SWAP_NONE);
	finish(&w);
}

/* ---- detection ----------------------------------------------------------- */

/* STUB in each form; the three of base64 have 0, 1, 2 bytes before it. */
static const struct {
	const char *name, *text;
} forms[] = {
	{ "raw", STUB },
	{ "lower case", "123456:aastub-stub_stub0" },
	{ "percent", "%31%32%33%34%35%36%3AAAStub%2Dstub%5FSTUB0" },
	{ "percent, lower case", "123456%3aAAStub%2dstub%5fSTUB0" },
	{ "double percent", "123456%253AAAStub%252Dstub_STUB0" },
	{ "json", "\\u0031\\u0032\\u0033\\u0034\\u0035\\u0036\\u003a\\u0041"
		  "\\u0041\\u0053\\u0074\\u0075\\u0062\\u002d\\u0073\\u0074"
		  "\\u0075\\u0062\\u005f\\u0053\\u0054\\u0055\\u0042\\u0030" },
	{ "base64", "MTIzNDU2OkFBU3R1Yi1zdHViX1NUVUIw" },
	{ "base64 + 1", "IDEyMzQ1NjpBQVN0dWItc3R1Yl9TVFVCMA==" },
	{ "base64 + 2", "ICAxMjM0NTY6QUFTdHViLXN0dWJfU1RVQjA=" },
	{ "utf-16", "1%002%003%004%005%006%00:%00A%00A%00S%00t%00u%00b%00-%00s%"
		    "00t%00u%00b%00_%00S%00T%00U%00B%000%00" },
	{ "utf-16, big end first",
	    "%001%002%003%004%005%006%00:%00A%00A%00S%00t%00u%00b%00-%00s%00t%"
	    "00u%00b%00_%00S%00T%00U%00B%000" },
	{ "json, twice",
	    "\\\\u0031\\\\u0032\\\\u0033\\\\u0034\\\\u0035\\\\u0036\\\\u003a\\"
	    "\\u0041\\\\u0041\\\\u0053\\\\u0074\\\\u0075\\\\u0062\\\\u002d\\\\u"
	    "0073\\\\u0074\\\\u0075\\\\u0062\\\\u005f\\\\u0053\\\\u0054\\\\u005"
	    "5\\\\u0042\\\\u0030" },
	{ "html",
	    "&#49;&#50;&#51;&#52;&#53;&#54;&#58;&#65;&#65;&#83;&#116;&#117;&#"
	    "98;&#45;&#115;&#116;&#117;&#98;&#95;&#83;&#84;&#85;&#66;&#48;" },
	{ "hex", "3132333435363a4141537475622d737475625f5354554230" },
};

static void
every_form_in_every_place_is_a_leak(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(forms); i++)
		for (int place = 0; place < 7; place++) {
			const char *f = forms[i].text;
			cleanup_free char *cookie = xasprintf("a=b; c=%s", f);
			cleanup_free char *bearer_ = xasprintf("Bearer %s", f);
			cleanup_free char *target =
			    xasprintf(place == 0   ? "/a?b=%s&c"
				      : place == 1 ? "/a/%s/b"
				      : place == 2 ? "/a?%s"
						   : "/",
				f);
			struct world w;

			/* A target is printable ASCII without these. */
			begin(&w, &in_header, NULL, target);
			if (place == 3)
				add(&w, "Cookie", cookie);
			else if (place == 4)
				add(&w, "X-Other", f);
			else if (place == 5)
				add(&w, "Authorization", bearer_);
			else if (place == 6)
				add(&w, "X-Api-Key", f);
			/* In its place it is right, as it is. */
			if (judge(&w) !=
			    (place == 6 && i == 0 ? SWAP_HEADER : SWAP_LEAK))
				fail_msg("%s in place %d: %d", forms[i].name,
				    place, w.p.verdict);
			finish(&w);
		}
}

static void
stub_in_several_parts_is_a_leak(void **state)
{
	static const struct {
		const char *target;
		const char *field[4];
	} rows[] = {
		{ "/?a=123456:AAStu&b=b-stub_STUB0", { NULL } },
		{ "/?b=b-stub_STUB0&a=123456:AAStu", { NULL } },
		{ "/?b=b-stub_&c=STUB0&a=x123456:AAStu", { NULL } },
		{ "/?b=b-s%74ub_STUB0xyz&a=123456%3aAAStu", { NULL } },
		{ "/123456:AAStu/b-stub_STUB0", { NULL } },
		{ "/123456:AAStu?b=b-stub_STUB0", { NULL } },
		{ "/", { "Cookie", "a=123456:AAStu; b=b-stub_STUB0" } },
		{ "/", { "Cookie", "b=b-stub_STUB0; a=123456:AAStu" } },
		{ "/", { "Cookie", "a=123456:AAStu", "Cookie",
			   "b=b-stub_STUB0" } },
		{ "/", { "X-A", "123456:AAStu", "X-A", "b-stub_STUB0" } },
		{ "/", { "X-A", "123456:AAStu, b-stub_STUB0" } },
		{ "/", { "X-B", "b-STUB_stub0", "X-A", "123456:aastu" } },
		{ "/?a=123456:AAStu", { "X-A", "b-stub_STUB0" } },
	};
	static const char *const fine[] = {
		"/?a=123456:AAStu&b=b-stub_STUB",
		"/?a=123456:AAStu&b=x-stub_STUB0",
		"/?a=123456:AAStu&c=b-stu_STUB0",
		"/123456:/AAStub",
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		begin(&w, &in_header, &in_query2, rows[i].target);
		for (size_t k = 0; k < 4 && rows[i].field[k] != NULL; k += 2)
			add(&w, rows[i].field[k], rows[i].field[k + 1]);
		if (judge(&w) != SWAP_LEAK)
			fail_msg("row %zu: %d", i, w.p.verdict);
		assert_non_null(strstr(w.p.reason, "several parts"));
		finish(&w);
	}
	for (size_t i = 0; i < nitems(fine); i++) {
		begin(&w, &in_header, &in_query2, fine[i]);
		if (judge(&w) != SWAP_NONE)
			fail_msg("%s: %d", fine[i], w.p.verdict);
		finish(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stub_in_its_parameter_is_swapped),
		cmocka_unit_test(stub_in_a_segment_is_swapped),
		cmocka_unit_test(value_with_a_slash_is_no_segment),
		cmocka_unit_test(stub_elsewhere_in_a_target_is_a_leak),
		cmocka_unit_test(same_stub_in_two_kinds_of_place_is_a_leak),
		cmocka_unit_test(two_credentials_of_a_host_go_out_together),
		cmocka_unit_test(value_that_is_not_there_stops_the_request),
		cmocka_unit_test(own_key_in_the_declared_parameter_is_stripped),
		cmocka_unit_test(credential_is_put_in_unasked),
		cmocka_unit_test(what_the_agent_sent_is_not_put_in_again),
		cmocka_unit_test(own_key_gives_way_to_the_injected_one),
		cmocka_unit_test(nothing_is_put_in_elsewhere_or_in_plaintext),
		cmocka_unit_test(every_form_in_every_place_is_a_leak),
		cmocka_unit_test(stub_in_several_parts_is_a_leak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

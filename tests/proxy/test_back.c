/* The decision of record: what leaves, what does not, and what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compat.h"
#include "base/str.h"
#include "proxy/codec.h"
#include "tests/proxy/back_world.h"

#define HOST "good.example"
#define AUTH "Authorization: Bearer " STUB "\n"

/* Refused with that status and word, and the origin saw nothing. */
static void
assert_refused(struct world *w, unsigned int status, const char *word)
{
	cleanup_free char *json = xasprintf("{\"error\":\"%s\"", word);

	if (w->a.denies != 1 || w->a.status != status || !world_saw(w, json)) {
		buf_put_u8(&w->a.body, 0);
		fail_msg("%u denials, status %u: %s", w->a.denies, w->a.status,
		    buf_head(&w->a.body));
	}
	assert_false(world_origin_saw(w, "{"));
	assert_false(world_logged(w, REAL));
}

static void
assert_ok(struct world *w)
{
	if (w->a.ends != 1 || w->a.status != 200) {
		buf_put_u8(&w->a.body, 0);
		fail_msg("status %u: %s %s", w->a.status, w->a.why,
		    buf_head(&w->a.body));
	}
}

static void
secret_goes_out_and_its_stub_comes_back(void **state)
{
	struct world *w = *state;

	world_get(w, HOST, "/leak?q=hidden", AUTH);
	assert_ok(w);
	assert_true(world_origin_saw(w, "Bearer " REAL));
	assert_false(world_origin_saw(w, STUB));
	assert_true(world_saw(w, "raw=" STUB));
	assert_true(world_saw(w, "split=" STUB));
	assert_false(world_saw(w, REAL));
	assert_false(world_saw(w, "5245414c5245414c"));
	assert_false(world_saw(w, "%52%45%41%4C"));
	assert_string_equal(
	    fields_get(&w->a.fields, "X-Echo", NULL), "Bearer " STUB);
	assert_true(world_logged(w, "HT101 "));
	assert_true(world_logged(w, "HT201 "));
	assert_true(world_logged(w, "/leak?q=#"));
	assert_false(world_logged(w, "hidden"));
	assert_false(world_logged(w, REAL));
	assert_false(world_logged(w, STUB));
	assert_int_equal(w->releases, 1);
}

static void
foreign_key_and_encodings_are_stripped_on_a_bound_host(void **state)
{
	struct world *w = *state;

	world_get(w, HOST, "/echo",
	    "Authorization: Bearer attackers-own\nRange: bytes=5-\n"
	    "If-Range: x\nAccept-Encoding: dcb, gzip\nA-IM: vcdiff\n"
	    "Accept-Encoding: compress, br;q=0.5, *\nX-Keep: this\n"
	    "grpc-accept-encoding: gzip\n");
	assert_ok(w);
	assert_false(world_origin_saw(w, "attackers-own"));
	assert_false(world_saw(w, "Range"));
	assert_false(world_saw(w, "A-IM"));
	assert_true(world_saw(w, "Accept-Encoding: gzip, br;q=0.5\r\n"));
	assert_false(world_saw(w, "dcb"));
	assert_true(world_saw(w, "grpc-accept-encoding: identity\r\n"));
	assert_true(world_saw(w, "X-Keep: this"));
	world_get(w, HOST, "/echo", "Accept-Encoding: compress\n");
	assert_true(world_saw(w, "Accept-Encoding: identity\r\n"));
	world_get(w, HOST, "/echo", "");
	assert_true(world_saw(w, "Accept-Encoding: identity\r\n"));
}

static void
denied_request_explains_itself(void **state)
{
	struct world *w = *state;

	world_get(w, HOST, "/denied/x", "");
	assert_refused(w, 403, "policy_denied");
	assert_true(world_saw(w, "\"rule\":\"t.policy:6\""));
	assert_true(world_saw(w, "\"reason\":\"not for agents\""));
	assert_true(world_saw(w, "\"ask_id\":null"));
	assert_true(world_saw(w, "\"next_steps\":["));
	assert_true(world_logged(w, "HT401 "));
	assert_int_equal(w->resolves, 0);
}

static void
stub_to_another_host_is_a_leak(void **state)
{
	struct world *w = *state;

	world_get(w, "wrong.example", "/x", AUTH);
	assert_refused(w, 403, "credential_leak");
	assert_true(world_logged(w, "SE401 "));
	world_get(w, HOST, "/x?token=" STUB, "");
	assert_refused(w, 403, "credential_leak");
	assert_int_equal(w->resolves, 0);
}

static void
host_that_differs_from_destination_or_sni_is_refused(void **state)
{
	struct world *w = *state;
	struct req_head h = { .tls = true, .port = w->port };
	char auth[64];

	snprintf(auth, sizeof(auth), "good.example:%u", w->port);
	h.method = (char *)(uintptr_t) "GET";
	h.target = (char *)(uintptr_t) "/";
	h.authority = auth;
	static const char *const rows[][2] = { { "good.example",
						   "evil.example" },
		{ "evil.example", "good.example" },
		{ "good.example", "127.0.0.1" } };
	for (size_t i = 0; i < nitems(rows); i++) {
		h.sni = (char *)(uintptr_t)rows[i][0];
		h.dst = (char *)(uintptr_t)rows[i][1];
		world_head(w, &h);
		world_end(w);
		assert_true(world_finish(w));
		assert_refused(w, 403, "host_mismatch");
	}
	h.sni = h.dst = h.authority = (char *)(uintptr_t) "good.example";
	world_head(w, &h); /* the usual port, but another was dialled */
	world_end(w);
	assert_true(world_finish(w));
	assert_refused(w, 403, "host_mismatch");
}

static void
plaintext_with_a_stub_is_refused(void **state)
{
	struct world *w = *state;
	struct req_head h = { .tls = false, .port = w->port };
	char auth[64];

	snprintf(auth, sizeof(auth), "good.example:%u", w->port);
	h.sni = (char *)(uintptr_t) "";
	h.dst = (char *)(uintptr_t) "good.example";
	h.method = (char *)(uintptr_t) "GET";
	h.target = (char *)(uintptr_t) "/";
	h.authority = auth;
	fields_add(&h.fields, "Authorization", 13, "token " STUB,
	    strlen("token " STUB));
	world_head(w, &h);
	world_end(w);
	assert_true(world_finish(w));
	assert_refused(w, 403, "credential_plaintext");
	fields_free(&h.fields);
}

static void
nothing_leaves_before_the_record_is_on_disk(void **state)
{
	struct world *w = *state;

	w->audit_mode = MODE_SILENT;
	world_request(w, "POST", HOST, "/x", "", -1);
	world_end(w);
	world_run(w, 200);
	assert_int_equal(w->resolves, 0);
	assert_false(world_origin_saw(w, "{"));
	world_disconnect(w, ROLE_AUDIT);
	assert_true(world_finish(w));
	assert_refused(w, 503, "audit_unavailable");
	world_get(w, HOST, "/x", "");
	assert_refused(w, 503, "audit_unavailable");
	world_connect(w, ROLE_AUDIT);
	w->audit_mode = MODE_NO;
	world_get(w, HOST, "/x", "");
	assert_refused(w, 503, "audit_unavailable");
}

static void
private_address_is_refused_and_public_one_is_not_needed(void **state)
{
	struct world *w = *state;

	memcpy(w->dns_addr[0], "\x0a\0\0\1", 4);
	world_get(w, "wrong.example", "/x", "");
	assert_refused(w, 403, "address_refused");
	assert_true(world_saw(w, "10.0.0.1 is a private address"));
	assert_true(world_logged(w, "NT401 "));
	/* Loopback is named by the policy, on that port only. */
	memcpy(w->dns_addr[1], "\x7f\0\0\1", 4);
	w->dns_n = 2;
	world_get(w, HOST, "/x", "");
	assert_ok(w);
}

static void
wrong_certificate_is_refused(void **state)
{
	struct world *w = *state;

	world_get(w, "wrong.example", "/x", "");
	assert_refused(w, 502, "upstream_tls");
	assert_true(world_saw(w, "certificate is for good.example"));
	assert_true(world_logged(w, "HT501 "));
}

static void
person_who_allows_lets_it_pass(void **state)
{
	struct world *w = *state;

	world_get(w, HOST, "/ask/x", AUTH);
	assert_ok(w);
	assert_int_equal(w->asks, 1);
	assert_true(world_logged(w, "HT102 HT101 "));
	assert_true(world_logged(w, "human"));
}

static void
person_who_denies_is_quoted(void **state)
{
	struct world *w = *state;

	w->ask_mode = MODE_NO;
	world_get(w, HOST, "/ask/x", "");
	assert_refused(w, 403, "ask_denied");
	assert_true(world_saw(w, "use the mirror"));
	assert_true(world_saw(w, "\"ask_id\":\"A-17\""));
}

static void
denial_that_came_while_a_person_was_asked_wins(void **state)
{
	struct world *w = *state;
	struct buf b = { 0 };

	w->ask_mode = MODE_SILENT;
	world_request(w, "GET", HOST, "/ask/x", AUTH, -1);
	world_end(w);
	world_run(w, 50);
	assert_int_equal(w->asks, 1);
	world_policy(w, "profile t {\n\tdefault http deny;\n}\n");
	world_run(w, 50);
	buf_put_u8(&b, 1);
	buf_put_str(&b, "A-17");
	buf_put_str(&b, "uid:1000");
	buf_put_str(&b, "");
	chan_send(w->control, M_ASK_ANSWER, 1, w->ask_serial, &b, -1);
	buf_free(&b);
	assert_true(world_finish(w));
	assert_refused(w, 403, "policy_denied");
	assert_int_equal(w->releases, 0);
}

static void
deny_net_covers_a_global_address(void **state)
{
	struct world *w = *state;
	cleanup_free char *policy =
	    xasprintf("profile t {\n"
		      "	allow http GET https://good.example:%u/**;\n"
		      "	deny net 93.184.216.0/24;\n}\n",
		w->port);

	world_policy(w, policy);
	memcpy(w->dns_addr[0], "\x5d\xb8\xd8\x22", 4);
	w->dns_n = 1;
	world_get(w, HOST, "/x", "");
	assert_refused(w, 403, "address_refused");
	assert_true(world_saw(w, "93.184.216.34 is denied by t.policy:3"));
}

static void
ask_without_control_is_denied_and_cancelled_when_given_up(void **state)
{
	struct world *w = *state;
	struct buf b = { 0 };

	w->ask_mode = MODE_SILENT;
	world_request(w, "GET", HOST, "/ask/x", "", -1);
	world_run(w, 50);
	buf_put_str(&b, "gone");
	chan_send(w->front, M_REQ_ABORT, 1, w->id, &b, -1);
	buf_free(&b);
	world_run(w, 50);
	assert_int_equal(w->cancels, 1);
	world_request(w, "GET", HOST, "/ask/x", "", -1);
	world_end(w);
	world_run(w, 50);
	world_disconnect(w, ROLE_CONTROL);
	assert_true(world_finish(w));
	assert_refused(w, 403, "ask_timeout");
	world_get(w, HOST, "/ask/x", "");
	assert_refused(w, 503, "ask_unavailable");
}

static void
credential_needs_a_live_and_willing_keyd(void **state)
{
	struct world *w = *state;

	w->keyd_mode = MODE_NO;
	world_get(w, HOST, "/x", AUTH);
	assert_refused(w, 403, "credential_refused");
	assert_true(world_saw(w, "not by my policy"));
	w->keyd_mode = MODE_SILENT;
	world_request(w, "GET", HOST, "/x", AUTH, -1);
	world_end(w);
	world_run(w, 50);
	world_disconnect(w, ROLE_KEYD);
	assert_true(world_finish(w));
	assert_refused(w, 503, "credentials_unavailable");
	/* Not without it either: the answer could not be scrubbed. */
	world_get(w, HOST, "/x", "");
	assert_refused(w, 503, "credentials_unavailable");
}

static void
revoked_credential_stops_at_once_on_open_connections(void **state)
{
	struct world *w = *state;
	struct buf b = { 0 };

	world_request(w, "GET", HOST, "/sse/1000/20", AUTH, -1);
	world_end(w);
	world_run(w, 200);
	assert_int_equal(w->a.heads, 1);
	assert_int_equal(w->a.ends, 0);
	/* Events are not held back. */
	assert_true(buf_len(&w->a.body) > 20);
	buf_put_u32(&b, CRED);
	chan_send(w->keyd, M_CRED_REVOKED, 1, 0, &b, -1);
	buf_free(&b);
	assert_true(world_finish(w));
	assert_int_equal(w->a.aborts, 1);
	world_get(w, HOST, "/x", AUTH);
	assert_int_equal(w->a.status, 403);
	assert_true(world_saw(w, "credential_revoked"));
}

/* The answer's body, decoded if it is coded. */
static void
decode_answer(struct world *w, struct buf *out)
{
	const char *coding = fields_get(&w->a.fields, "Content-Encoding", NULL);
	struct codec_memory m = { 0 };
	struct codings cs = { 0 };
	struct error err = { 0 };
	size_t used;

	if (coding == NULL) {
		buf_put(out, buf_head(&w->a.body), buf_len(&w->a.body));
		return;
	}
	assert_int_equal(codings_add(&cs, coding), 0);
	struct decoder *d = decoder_new(&cs, &m);
	if (decoder_step(d, buf_head(&w->a.body), buf_len(&w->a.body), &used,
		out, 1u << 24, &err) < 0 ||
	    decoder_end(d, &err) < 0)
		fail_msg("%s", err.msg);
	decoder_free(d);
}

static size_t
count(const struct buf *b, const char *text)
{
	const uint8_t *p = buf_head(b), *end = p + buf_len(b);
	size_t n = 0;

	while (p < end &&
	       (p = memmem(p, (size_t)(end - p), text, strlen(text))) != NULL) {
		p++;
		n++;
	}
	return n;
}

static void
coded_answer_is_searched_and_coded_again_if_asked_for(void **state)
{
	static const char *const codings[] = { "gzip", "deflate", "br", "zstd",
		"gzip,br", "zstd,deflate" };
	struct world *w = *state;

	for (size_t i = 0; i < nitems(codings) * 2; i++) {
		const char *coding = codings[i / 2];
		bool asked = i % 2 == 1, two = strchr(coding, ',') != NULL;
		cleanup_free char *target =
		    xasprintf("/coded/%s/200/0", coding);
		cleanup_free char *fields = xasprintf(
		    AUTH "Accept-Encoding: %s\n", asked ? coding : "identity");
		cleanup_buf struct buf plain = { 0 };

		world_get(w, HOST, target, fields);
		assert_ok(w);
		if (asked && !two)
			assert_string_equal(
			    fields_get(&w->a.fields, "Content-Encoding", NULL),
			    coding);
		else
			assert_null(
			    fields_get(&w->a.fields, "Content-Encoding", NULL));
		assert_string_equal(
		    fields_get(&w->a.fields, "ETag", NULL), "W/\"the-bytes\"");
		assert_null(fields_get(&w->a.fields, "Content-MD5", NULL));
		decode_answer(w, &plain);
		assert_int_equal(count(&plain, "\n\n"), 200);
		assert_int_equal(count(&plain, "Bearer " STUB "\n"), 200);
		assert_int_equal(count(&plain, "REALREAL"), 0);
	}
}

static void
coded_event_is_not_delayed(void **state)
{
	static const char *const codings[] = { "gzip", "deflate", "br",
		"zstd" };
	struct world *w = *state;

	for (size_t i = 0; i < nitems(codings); i++) {
		cleanup_free char *target =
		    xasprintf("/coded/%s/2/600", codings[i]);
		cleanup_free char *fields =
		    xasprintf(AUTH "Accept-Encoding: %s\n", codings[i]);
		cleanup_buf struct buf plain = { 0 };
		struct codec_memory m = { 0 };
		struct codings cs = { 0 };
		struct error err = { 0 };
		uint64_t until = ev_now_ms() + 2000;
		size_t used;

		world_request(w, "GET", HOST, target, fields, -1);
		world_end(w);
		while (buf_len(&w->a.body) == 0 && ev_now_ms() < until)
			ev_once(w->ev, 10);
		world_run(w, 50);
		assert_int_equal(w->a.ends, 0);
		codings_add(&cs, codings[i]);
		struct decoder *d = decoder_new(&cs, &m);
		assert_int_equal(
		    decoder_step(d, buf_head(&w->a.body), buf_len(&w->a.body),
			&used, &plain, 65536, &err),
		    0);
		decoder_free(d);
		assert_int_equal(count(&plain, "data: 0 Bearer " STUB), 1);
		assert_int_equal(count(&plain, "\n\n"), 1);
		assert_true(world_finish(w));
		assert_ok(w);
	}
}

/* More comes out than went in, at the pace of the reader. */
static void
coded_answer_waits_for_its_reader(void **state)
{
	struct world *w = *state;
	struct buf b = { 0 };

	for (int asked = 0; asked < 2; asked++) {
		cleanup_buf struct buf plain = { 0 };

		w->grant = false;
		world_request(w, "GET", HOST, "/coded/gzip/20000/0",
		    asked ? AUTH "Accept-Encoding: gzip\n" : AUTH, -1);
		world_end(w);
		for (int i = 0;
		     i < 50 && !asked && buf_len(&w->a.body) < WIRE_RSP_WINDOW;
		     i++)
			world_run(w, 100);
		world_run(w, 300);
		assert_true(buf_len(&w->a.body) <= WIRE_RSP_WINDOW);
		if (!asked)
			assert_int_equal(buf_len(&w->a.body), WIRE_RSP_WINDOW);
		w->grant = true;
		buf_put_u32(&b, WIRE_RSP_WINDOW);
		chan_send(w->front, M_REQ_WINDOW, 1, w->id, &b, -1);
		buf_free(&b);
		assert_true(world_finish(w));
		assert_ok(w);
		decode_answer(w, &plain);
		assert_int_equal(count(&plain, "Bearer " STUB "\n"), 20000);
	}
}

static void
answer_that_cannot_be_searched_is_refused(void **state)
{
	struct world *w = *state;

	/* It says gzip and is not: the head has gone by then. */
	world_get(w, HOST, "/gzip", AUTH);
	assert_int_equal(w->a.aborts, 1);
	assert_non_null(strstr(w->a.why, "gzip data is not valid"));
	assert_false(world_saw(w, "not really"));
	world_get(w, HOST, "/status/206", AUTH);
	assert_int_equal(w->a.status, 502);
	assert_true(world_saw(w, "response_encoded"));
	/* What the refusal quotes is searched, too. */
	world_get(w, HOST, "/leak-coding", AUTH);
	assert_int_equal(w->a.status, 502);
	assert_true(world_saw(w, "Bearer ghp_PLACEHOLDER"));
	assert_false(world_saw(w, "REALREAL"));
	assert_false(world_logged(w, "REALREAL"));
	/* A head without a body is told as that of GET would be. */
	world_request(w, "HEAD", HOST, "/coded/gzip/1/0",
	    AUTH "Accept-Encoding: gzip\n", -1);
	world_end(w);
	assert_true(world_finish(w));
	assert_ok(w);
	assert_string_equal(
	    fields_get(&w->a.fields, "Content-Encoding", NULL), "gzip");
}

static void
method_in_a_field_is_judged_as_well(void **state)
{
	struct world *w = *state;

	world_get(w, HOST, "/echo", "X-HTTP-Method-Override: delete\n");
	assert_refused(w, 403, "policy_denied");
	world_get(w, HOST, "/echo", "X_HTTP_METHOD_OVERRIDE: PATCH\n");
	assert_refused(w, 403, "policy_denied");
	world_get(w, HOST, "/echo", "X-HTTP-Method: \n");
	assert_refused(w, 403, "policy_denied");
	world_get(
	    w, HOST, "/echo", "X-HTTP-Method: GET\nX-Method-Override: GET\n");
	assert_refused(w, 403, "policy_denied");
	world_get(w, HOST, "/echo", "X-HTTP-Method-Override: POST\n");
	assert_ok(w);
}

static void
trace_is_refused_whatever_the_policy_says(void **state)
{
	struct world *w = *state;

	world_request(w, "TRACE", HOST, "/x", "", -1);
	world_end(w);
	assert_true(world_finish(w));
	assert_refused(w, 403, "method_refused");
}

static void
large_body_goes_up_within_its_window(void **state)
{
	struct world *w = *state;
	static uint8_t chunk[16384];
	size_t total = 1024 * 1024, sent = 0;

	memset(chunk, 'x', sizeof(chunk));
	world_request(w, "POST", HOST, "/upload", "", (long)total);
	while (sent < total) {
		if (sent + sizeof(chunk) <= WIRE_WINDOW + w->a.window) {
			world_body(w, chunk, sizeof(chunk));
			sent += sizeof(chunk);
		} else {
			ev_once(w->ev, 100);
		}
	}
	world_end(w);
	assert_true(world_finish(w));
	assert_ok(w);
	assert_true(world_saw(w, "\"bytes\":1048576"));
}

static void
download_stops_at_its_window_and_goes_on(void **state)
{
	struct world *w = *state;
	struct buf b = { 0 };

	w->grant = false;
	world_request(w, "GET", HOST, "/bytes/1000000", "", -1);
	world_end(w);
	world_run(w, 300);
	assert_int_equal(buf_len(&w->a.body), WIRE_RSP_WINDOW);
	w->grant = true;
	buf_put_u32(&b, WIRE_RSP_WINDOW);
	chan_send(w->front, M_REQ_WINDOW, 1, w->id, &b, -1);
	buf_free(&b);
	assert_true(world_finish(w));
	assert_ok(w);
	assert_int_equal(buf_len(&w->a.body), 1000000);
}

static void
connection_is_used_again_and_replaced_when_stale(void **state)
{
	struct world *w = *state;

	world_get(w, HOST, "/a", "");
	world_get(w, HOST, "/b", "");
	assert_ok(w);
	assert_int_equal(w->resolves, 1);
	world_get(w, HOST, "/close", "");
	assert_ok(w);
	assert_true(world_saw(w, "until the end"));
	world_get(w, HOST, "/c", "");
	assert_ok(w);
	assert_int_equal(w->resolves, 2);
}

static void
head_keeps_its_length(void **state)
{
	struct world *w = *state;

	world_request(w, "HEAD", HOST, "/bytes/1234", "", -1);
	world_end(w);
	assert_true(world_finish(w));
	assert_ok(w);
	assert_int_equal(w->a.kind, BODY_LENGTH);
	assert_int_equal(w->a.length, 1234);
	assert_int_equal(buf_len(&w->a.body), 0);
}

static void
redirect_is_passed_on_unfollowed(void **state)
{
	struct world *w = *state;

	world_get(w, HOST, "/redirect?https://evil.example/", AUTH);
	assert_int_equal(w->a.status, 302);
	assert_string_equal(fields_get(&w->a.fields, "Location", NULL),
	    "https://evil.example/");
	assert_int_equal(w->resolves, 1);
}

static void
stub_in_a_body_is_recorded_and_passes(void **state)
{
	struct world *w = *state;

	world_request(w, "POST", HOST, "/echo", AUTH, (long)strlen(STUB));
	world_body(w, STUB, 10);
	world_body(w, &STUB[10], strlen(STUB) - 10);
	world_end(w);
	assert_true(world_finish(w));
	assert_ok(w);
	assert_true(world_logged(w, "SE101 "));
	assert_true(world_origin_saw(w, STUB));
	/* In other words, too. */
	cleanup_buf struct buf b = { 0 };
	for (const char *c = STUB; *c != '\0'; c++)
		buf_printf(&b, "%%25%02x", *c);
	buf_clear(&w->codes);
	world_request(w, "POST", HOST, "/echo", AUTH, (long)buf_len(&b));
	world_body(w, buf_head(&b), buf_len(&b));
	world_end(w);
	assert_true(world_finish(w));
	assert_true(world_logged(w, "SE101 "));
}

static void
front_that_dies_takes_its_exchanges_along(void **state)
{
	struct world *w = *state;

	world_request(w, "GET", HOST, "/hang", "", -1);
	world_end(w);
	world_run(w, 100);
	world_disconnect(w, ROLE_FRONT);
	assert_true(world_logged(w, "HT501 "));
	world_connect(w, ROLE_FRONT);
	world_get(w, HOST, "/x", "");
	assert_ok(w);
}

static void
front_that_breaks_the_rules_is_reported(void **state)
{
	struct world *w = *state;
	static uint8_t chunk[100];

	world_request(w, "POST", HOST, "/upload", "", 10);
	world_body(w, chunk, sizeof(chunk));
	world_run(w, 50);
	assert_int_equal(w->bad_peers, 1);
	assert_null(w->front);
}

static void
policy_that_does_not_load_allows_nothing(void **state)
{
	struct world *w = *state;

	world_policy(w, "profile t { alow everything; }");
	world_get(w, HOST, "/x", "");
	assert_refused(w, 503, "policy_unavailable");
	world_policy(w, "profile other { default http allow; }");
	world_get(w, HOST, "/x", "");
	assert_refused(w, 503, "policy_unavailable");
}

static void
name_that_does_not_resolve_is_explained(void **state)
{
	struct world *w = *state;

	w->dns_mode = MODE_NO;
	world_get(w, "wrong.example", "/x", "");
	assert_refused(w, 502, "name_not_found");
	assert_true(world_saw(w, "no such name"));
}

#define T(f) cmocka_unit_test_setup(f, world_reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(secret_goes_out_and_its_stub_comes_back),
		T(foreign_key_and_encodings_are_stripped_on_a_bound_host),
		T(denied_request_explains_itself),
		T(stub_to_another_host_is_a_leak),
		T(host_that_differs_from_destination_or_sni_is_refused),
		T(plaintext_with_a_stub_is_refused),
		T(nothing_leaves_before_the_record_is_on_disk),
		T(private_address_is_refused_and_public_one_is_not_needed),
		T(wrong_certificate_is_refused),
		T(person_who_allows_lets_it_pass),
		T(person_who_denies_is_quoted),
		T(denial_that_came_while_a_person_was_asked_wins),
		T(deny_net_covers_a_global_address),
		T(ask_without_control_is_denied_and_cancelled_when_given_up),
		T(credential_needs_a_live_and_willing_keyd),
		T(revoked_credential_stops_at_once_on_open_connections),
		T(coded_answer_is_searched_and_coded_again_if_asked_for),
		T(coded_event_is_not_delayed),
		T(coded_answer_waits_for_its_reader),
		T(answer_that_cannot_be_searched_is_refused),
		T(method_in_a_field_is_judged_as_well),
		T(trace_is_refused_whatever_the_policy_says),
		T(large_body_goes_up_within_its_window),
		T(download_stops_at_its_window_and_goes_on),
		T(connection_is_used_again_and_replaced_when_stale),
		T(head_keeps_its_length),
		T(redirect_is_passed_on_unfollowed),
		T(stub_in_a_body_is_recorded_and_passes),
		T(front_that_dies_takes_its_exchanges_along),
		T(front_that_breaks_the_rules_is_reported),
		T(policy_that_does_not_load_allows_nothing),
		T(name_that_does_not_resolve_is_explained),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}

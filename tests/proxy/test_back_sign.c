/* Requests that a back signs anew, seen at an origin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/compat.h"
#include "base/str.h"
#include "proxy/sign_chunks.h"
#include "tests/proxy/back_world.h"

#define HOST "good.example"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SCOPE "20150830/us-east-1/s3/aws4_request"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define DATE "X-Amz-Date: 20150830T123600Z\n"
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
assert_refused(struct world *w, unsigned int status, const char *word)
{
	cleanup_free char *json = xasprintf("{\"error\":\"%s\"", word);

	if (w->a.denies != 1 || w->a.status != status || !world_saw(w, json)) {
		buf_put_u8(&w->a.body, 0);
		fail_msg("%u denials, status %u: %s", w->a.denies, w->a.status,
		    buf_head(&w->a.body));
	}
	assert_false(world_origin_saw(w, "{"));
}

static void
use(struct world *w, const struct cred_spec *spec, const char *real)
{
	w->spec = *spec;
	w->real = real;
	world_bindings(w);
	world_run(w, 20);
}

static const struct cred_spec aws = { .kind = CRED_SIGV4,
	.user = "AKIAREAL",
	.region = "us-east-1",
	.service = "s3" };

/*
 * A request signed with that secret, by the same code that is checked against
 * what AWS has published; all but method and target may be left out.
 */
static void
make(const struct world *w, const char *secret, const char *key_id,
    const char *method, const char *target, const char *names, const char *sha,
    const char *body, struct req_head *h, struct sigv4 *s,
    uint8_t key[SIGV4_KEY_SIZE], char signature[SIGN_HEX_SIZE])
{
	struct secret *real = secret_new(secret, strlen(secret));
	cleanup_free char *hostport = xasprintf("%s:%u", HOST, w->port);
	cleanup_free char *auth =
	    xasprintf("AWS4-HMAC-SHA256 Credential=X/" SCOPE
		      ", SignedHeaders=%s, Signature=" EMPTY,
		names);
	char hash[SIGN_HEX_SIZE];
	struct error err = { 0 };

	memset(h, 0, sizeof(*h));
	h->method = xstrdup(method);
	h->target = xstrdup(target);
	fields_add(&h->fields, "X-Amz-Date", 10, "20150830T123600Z", 16);
	if (names[0] != '\0')
		fields_add(&h->fields, "Authorization", 13, auth, strlen(auth));
	if (sha != NULL)
		fields_add(
		    &h->fields, "X-Amz-Content-Sha256", 20, sha, strlen(sha));
	if (sigv4_read(h, s, &err) < 0)
		fail_msg("%s", err.msg);
	sigv4_key(real, s->date, s->region, s->service, key);
	secret_free(real);
	sign_sha256_hex(body, strlen(body), hash);
	assert_int_equal(
	    sigv4_sign(h, hostport, s, key, key_id, hash, signature, &err), 0);
}

/* What the origin must get. */
static void
expect(struct world *w, const char *method, const char *target,
    const char *names, const char *sha, const char *body, struct req_head *h,
    struct sigv4 *s, uint8_t key[SIGV4_KEY_SIZE], char signature[SIGN_HEX_SIZE])
{
	make(w, SECRET, "AKIAREAL", method, target, names, sha, body, h, s, key,
	    signature);
}

#define NAMES "host;x-amz-content-sha256;x-amz-date"

/* The lines of a request that the job's SDK has signed, with the stub or with
 * the key of somebody else. */
static char *
lines_by(const struct world *w, const char *secret, const char *method,
    const char *target, const char *names, const char *sha, const char *body)
{
	uint8_t key[SIGV4_KEY_SIZE];
	char signature[SIGN_HEX_SIZE];
	struct req_head h;
	struct sigv4 s;
	char *lines;

	make(w, secret, "AKIASTUB", method, target, names, sha, body, &h, &s,
	    key, signature);
	lines = xasprintf("Authorization: %s\n" DATE "%s%s%s",
	    fields_get(&h.fields, "authorization", NULL),
	    sha == NULL ? "" : "X-Amz-Content-Sha256: ", sha == NULL ? "" : sha,
	    sha == NULL ? "" : "\n");
	req_head_free(&h);
	return lines;
}

static void
request_is_signed_anew(void **state)
{
	struct world *w = *state;
	uint8_t key[SIGV4_KEY_SIZE];
	char signature[SIGN_HEX_SIZE];
	struct req_head h;
	struct sigv4 s;

	use(w, &aws, SECRET);
	cleanup_free char *lines =
	    lines_by(w, STUB, "GET", "/echo/a%20b?x=1&c", NAMES, EMPTY, "");
	cleanup_free char *all = xasprintf(
	    "%sRange: bytes=0-3\nX-Amz-Security-Token: theirs\n", lines);
	world_get(w, HOST, "/echo/a%20b?x=1&c", all);
	assert_ok(w);
	expect(w, "GET", "/echo/a%20b?x=1&c",
	    "host;x-amz-content-sha256;x-amz-date", EMPTY, "", &h, &s, key,
	    signature);
	assert_true(
	    world_origin_saw(w, fields_get(&h.fields, "authorization", NULL)));
	assert_false(world_origin_saw(w, "AKIASTUB"));
	assert_false(world_origin_saw(w, "theirs"));
	assert_false(world_origin_saw(w, SECRET));
	/* The secret did not leave keyd, so nothing can come back. */
	assert_true(world_saw(w, "Range: bytes=0-3"));
	assert_int_equal(w->sign_keys, 1);
	assert_int_equal(w->releases, 0);
	assert_true(world_logged(w, "github"));
	req_head_free(&h);
}

static void
body_is_hashed_when_its_hash_is_not_said(void **state)
{
	static const char body[] = "{\"TableName\":\"t\"}";
	struct world *w = *state;
	uint8_t key[SIGV4_KEY_SIZE];
	char signature[SIGN_HEX_SIZE];
	struct req_head h;
	struct sigv4 s;

	use(w, &aws, SECRET);
	cleanup_free char *lines =
	    lines_by(w, STUB, "POST", "/echo", "host;x-amz-date", NULL, body);
	world_request(w, "POST", HOST, "/echo", lines, (long)strlen(body));
	for (const char *p = body; *p != '\0'; p++)
		world_body(w, p, 1);
	world_end(w);
	assert_true(world_finish(w));
	assert_ok(w);
	expect(w, "POST", "/echo", "host;x-amz-date", NULL, body, &h, &s, key,
	    signature);
	assert_true(world_origin_saw(w, signature));
	assert_true(world_origin_saw(w, "TableName"));
	req_head_free(&h);
}

#define PRESIGNED                                                              \
	"/echo?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIASTUB"     \
	"%2F20150830%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date="              \
	"20150830T123600Z&X-Amz-Expires=600&X-Amz-SignedHeaders=host&"         \
	"X-Amz-Signature=" EMPTY

static void
presigned_url_is_signed_anew(void **state)
{
	struct world *w = *state;
	uint8_t key[SIGV4_KEY_SIZE];
	char signature[SIGN_HEX_SIZE];
	struct req_head h;
	struct sigv4 s;

	use(w, &aws, SECRET);
	make(w, STUB, "AKIASTUB", "GET", PRESIGNED, "", NULL, "", &h, &s, key,
	    signature);
	world_get(w, HOST, h.target, "");
	req_head_free(&h);
	assert_ok(w);
	assert_false(world_origin_saw(w, signature));
	assert_true(world_origin_saw(w,
	    "X-Amz-Credential=AKIAREAL%2F20150830%2Fus-east-1%2Fs3%2F"
	    "aws4_request"));
	assert_false(world_origin_saw(w, EMPTY));
	assert_false(world_origin_saw(w, "AKIASTUB"));
}

static void
chunks_are_signed_anew_as_they_pass(void **state)
{
	struct world *w = *state;
	cleanup_buf struct buf in = { 0 }, want = { 0 };
	uint8_t key[SIGV4_KEY_SIZE];
	char signature[SIGN_HEX_SIZE];
	struct error err = { 0 };
	struct sign_chunks *c;
	struct req_head h;
	struct sigv4 s;
	char data[500];

	memset(data, 'd', sizeof(data));
	for (int i = 0; i < 100; i++) {
		buf_printf(
		    &in, "%zx;chunk-signature=" EMPTY "\r\n", sizeof(data));
		buf_put(&in, data, sizeof(data));
		buf_printf(&in, "\r\n");
	}
	buf_printf(&in, "0;chunk-signature=" EMPTY "\r\n\r\n");
	use(w, &aws, SECRET);
	cleanup_free char *lines = lines_by(w, STUB, "PUT", "/echo", NAMES,
	    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "");
	cleanup_free char *all =
	    xasprintf("%sContent-Encoding: aws-chunked\n", lines);
	world_request(w, "PUT", HOST, "/echo", all, (long)buf_len(&in));
	for (size_t at = 0, n; at < buf_len(&in); at += n) {
		n = buf_len(&in) - at;
		n = n < 7000 ? n : 7000;
		while (at + n > WIRE_WINDOW + w->a.window)
			ev_once(w->ev, 100);
		world_body(w, buf_head(&in) + at, n);
	}
	world_end(w);
	assert_true(world_finish(w));
	assert_ok(w);
	expect(w, "PUT", "/echo", "host;x-amz-content-sha256;x-amz-date",
	    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "", &h, &s, key, signature);
	assert_true(world_saw(w, signature));
	c = sign_chunks_new(&s, key, signature);
	assert_int_equal(
	    sign_chunks_feed(c, buf_head(&in), buf_len(&in), &want, &err), 0);
	assert_int_equal(sign_chunks_end(c, &want, &err), 0);
	sign_chunks_free(c);
	/* The origin keeps the first bytes. */
	assert_non_null(memmem(
	    buf_head(&w->a.body), buf_len(&w->a.body), buf_head(&want), 3000));
	assert_int_equal(buf_len(&want), buf_len(&in));
	req_head_free(&h);
}

static void
chunks_that_lie_end_the_request(void **state)
{
	struct world *w = *state;
	const char *body = "zz;chunk-signature=" EMPTY "\r\n";

	use(w, &aws, SECRET);
	cleanup_free char *lines = lines_by(w, STUB, "PUT", "/echo", NAMES,
	    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "");
	world_request(w, "PUT", HOST, "/echo", lines, (long)strlen(body));
	world_body(w, body, strlen(body));
	world_end(w);
	assert_true(world_finish(w));
	assert_int_equal(w->a.status, 400);
	assert_true(world_saw(w, "bad_upload"));
	assert_false(world_origin_saw(w, "chunk-signature"));
}

static void
signature_for_something_else_is_refused(void **state)
{
	struct cred_spec other = aws;
	struct world *w = *state;

	cleanup_free char *lines =
	    lines_by(w, STUB, "GET", "/echo", NAMES, EMPTY, "");
	strlcpy(other.region, "eu-west-1", sizeof(other.region));
	use(w, &other, SECRET);
	world_get(w, HOST, "/echo", lines);
	assert_refused(w, 403, "signature_refused");
	assert_true(world_saw(w, "eu-west-1"));
	/* The host is not signed. */
	world_reset(state);
	use(w, &aws, SECRET);
	world_get(w, HOST, "/echo",
	    "Authorization: AWS4-HMAC-SHA256 Credential=A/" SCOPE
	    ", SignedHeaders=x-amz-date, Signature=" EMPTY "\n" DATE);
	assert_refused(w, 403, "signature_refused");
	/* keyd says no. */
	world_reset(state);
	use(w, &aws, SECRET);
	w->keyd_mode = MODE_NO;
	cleanup_free char *again =
	    lines_by(w, STUB, "GET", "/echo", NAMES, EMPTY, "");
	world_get(w, HOST, "/echo", again);
	assert_refused(w, 403, "credential_refused");
}

/* A URL that an attacker has presigned, say, for his own account. */
static void
what_is_signed_with_another_key_is_refused(void **state)
{
	static const char body[] = "{\"TableName\":\"t\"}";
	struct world *w = *state;
	uint8_t key[SIGV4_KEY_SIZE];
	char signature[SIGN_HEX_SIZE];
	struct req_head h;
	struct sigv4 s;

	use(w, &aws, SECRET);
	cleanup_free char *head =
	    lines_by(w, "attackers-own", "GET", "/echo", NAMES, EMPTY, "");
	world_get(w, HOST, "/echo", head);
	assert_refused(w, 403, "signature_refused");
	assert_true(world_saw(
	    w, "not made with the placeholder of credential \\\"github\\\""));
	/* keyd is not even asked. */
	assert_int_equal(w->sign_keys, 0);
	/* The real one, should a job have it, is another key as well. */
	world_reset(state);
	use(w, &aws, SECRET);
	cleanup_free char *real =
	    lines_by(w, SECRET, "GET", "/echo", NAMES, EMPTY, "");
	world_get(w, HOST, "/echo", real);
	assert_refused(w, 403, "signature_refused");
	/* The stub's signature, of something else. */
	world_reset(state);
	use(w, &aws, SECRET);
	cleanup_free char *moved =
	    lines_by(w, STUB, "GET", "/other", NAMES, EMPTY, "");
	world_get(w, HOST, "/echo", moved);
	assert_refused(w, 403, "signature_refused");
	/* Presigned. */
	world_reset(state);
	use(w, &aws, SECRET);
	make(w, "attackers-own", "AKIASTUB", "GET", PRESIGNED, "", NULL, "", &h,
	    &s, key, signature);
	world_get(w, HOST, h.target, "");
	req_head_free(&h);
	assert_refused(w, 403, "signature_refused");
	/* Covering a body: told once that is whole, and nothing goes out. */
	for (int i = 0; i < 2; i++) {
		world_reset(state);
		use(w, &aws, SECRET);
		cleanup_free char *lines = lines_by(w,
		    i == 0 ? "attackers-own" : STUB, "POST", "/echo",
		    "host;x-amz-date", NULL, i == 0 ? body : "another body");
		world_request(
		    w, "POST", HOST, "/echo", lines, (long)strlen(body));
		world_body(w, body, strlen(body));
		world_end(w);
		assert_true(world_finish(w));
		assert_int_equal(w->a.status, 403);
		assert_true(world_saw(w, "not made with the placeholder"));
		assert_false(world_origin_saw(w, "TableName"));
	}
}

static void
unsigned_request_passes_without_a_key(void **state)
{
	struct world *w = *state;

	use(w, &aws, SECRET);
	world_get(w, HOST, "/echo", "Authorization: Bearer attackers-own\n");
	assert_ok(w);
	assert_false(world_origin_saw(w, "attackers-own"));
	assert_int_equal(w->sign_keys, 0);
}

/* ---- by a shared key ----------------------------------------------------- */

static const struct cred_spec github = { .kind = CRED_HMAC,
	.hmac = {
	    "sha256", "X-Hub-Signature-256", "hex", "sha256=", "{body}", "" } };

static void
body_is_signed_with_the_shared_key(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 2; i++) {
		world_reset(state);
		use(w, &github, "It's a Secret to Everybody");
		world_request(w, "POST", HOST, "/echo",
		    "X-Hub-Signature-256: sha256=00\n", 13);
		world_body(w, "Hello", 5);
		world_body(w, ", World!", 8);
		world_end(w);
		assert_true(world_finish(w));
		assert_ok(w);
		assert_true(world_origin_saw(w,
		    "sha256=757107ea0eb2509fc211221cce984b8a"
		    "37570b6d7586c22c46f4379c8b043e17"));
		assert_true(world_origin_saw(w, "Hello, World!"));
		assert_false(world_origin_saw(w, "It's a Secret"));
	}
	/* Not signed by the job: not signed. */
	world_reset(state);
	use(w, &github, "It's a Secret to Everybody");
	world_get(w, HOST, "/echo", "");
	assert_ok(w);
	assert_false(world_origin_saw(w, "sha256="));
}

/* ---- whose signature it was ---------------------------------------------- */

static const struct cred_spec mine = { .kind = CRED_HMAC,
	.env = "HOOK_KEY",
	.hmac = { "sha256", "X-Sign", "hex",
	    "v=", "{method} {path} {timestamp} {body}", "X-Time" } };

/* As a job does: by key, of target and n bytes of body. */
static char *
signed_by(const char *key, const char *target, const void *body, size_t n)
{
	cleanup_buf struct buf text = { 0 };
	uint8_t mac[SIGN_MAC_MAX];
	char hex[2 * SIGN_MAC_MAX + 1];

	buf_printf(&text, "POST %s 17 ", target);
	buf_put(&text, body, n);
	n = sign_hmac(
	    "SHA256", key, strlen(key), buf_head(&text), buf_len(&text), mac);
	sign_hex(mac, n, hex);
	return xasprintf("X-Time: 17\nX-Sign: v=%s\n", hex);
}

/* The digits of such a signature: the caller frees. */
static char *
digits(const char *fields)
{
	return xstrndup(strstr(fields, "v=") + 2, 64);
}

static void
post(struct world *w, const char *fields, const char *body, size_t n)
{
	world_request(w, "POST", HOST, "/echo?key=theirs&x=1", fields, (long)n);
	world_body(w, body, 3);
	world_body(w, body + 3, n - 3);
	world_end(w);
	assert_true(world_finish(w));
}

static void
what_the_job_has_not_signed_is_not_signed(void **state)
{
	static const char target[] = "/echo?key=theirs&x=1";
	struct world *w = *state;
	cleanup_free char *ours = signed_by(STUB, target, "Hello", 5);
	cleanup_free char *theirs = signed_by("another", target, "Hello", 5);
	cleanup_free char *upper = xstrdup(ours), *was = digits(ours);

	use(w, &mine, "It's a Secret to Everybody");
	post(w, ours, "Hello", 5);
	assert_ok(w);
	assert_false(world_origin_saw(w, was));
	assert_true(world_origin_saw(w, "X-Sign: v="));
	/* In capitals it is the same. */
	world_reset(state);
	use(w, &mine, "It's a Secret to Everybody");
	for (char *p = strstr(upper, "v=") + 2; *p != '\0'; p++)
		if (*p >= 'a' && *p <= 'f')
			*p = (char)(*p - 'a' + 'A');
	post(w, upper, "Hello", 5);
	assert_ok(w);
	for (int i = 0; i < 3; i++) {
		world_reset(state);
		use(w, &mine, "It's a Secret to Everybody");
		post(w,
		    i == 0   ? theirs
		    : i == 1 ? "X-Time: 17\nX-Sign: v=00\n"
			     : ours,
		    i == 2 ? "Jello" : "Hello", 5);
		assert_refused(w, 403, "signature_refused");
		assert_true(world_saw(w, "HOOK_KEY"));
	}
}

/* What the job has signed holds a stub: the server gets, and can check, what
 * holds the value. */
static void
what_is_put_into_a_signed_body_is_signed_anew(void **state)
{
	static const char target[] = "/echo?key=theirs&x=1";
	static const char key[] = "It's a Secret to Everybody";
	static const char token[] = "gho_TokenTokenToken0123456789";
	static const struct cred_spec wide = { .kind = CRED_TOKEN,
		.surfaces = SURFACE_BODY_JSON };
	struct world *w = *state;
	char stub[sizeof(token)];
	unsigned char packed[256];
	uLongf npacked = sizeof(packed);

	memcpy(stub, token, sizeof(stub));
	world_token_stub(stub);
	cleanup_free char *body = xasprintf("{\"key\":\"%s\"}", stub);
	cleanup_free char *real = xasprintf("{\"key\":\"%s\"}", token);
	size_t nbody = strlen(body);
	cleanup_free char *right = signed_by(key, target, real, nbody);
	cleanup_free char *want = digits(right);
	assert_int_equal(
	    compress(packed, &npacked, (unsigned char *)body, nbody), Z_OK);
	for (int i = 0; i < 4; i++) {
		bool deflate = i % 2 == 1, theirs = i >= 2;
		const char *sent = deflate ? (char *)packed : body;
		size_t n = deflate ? npacked : nbody;
		cleanup_free char *sign =
		    signed_by(theirs ? "another" : STUB, target, sent, n);
		cleanup_free char *lines =
		    xasprintf("%sContent-Type: application/json\n%s", sign,
			deflate ? "Content-Encoding: deflate\n" : "");
		world_reset(state);
		w->token_spec = &wide;
		w->token[w->ntokens++] = xstrdup(token);
		use(w, &mine, key);
		post(w, lines, sent, n);
		if (theirs) {
			assert_refused(w, 403, "signature_refused");
			continue;
		}
		assert_ok(w);
		assert_true(world_origin_saw(w, token));
		assert_true(world_origin_saw(w, want));
		cleanup_free char *was = digits(sign);
		assert_false(world_origin_saw(w, was));
		assert_false(world_saw(w, token));
	}
}

static void
body_too_large_to_be_signed_is_refused(void **state)
{
	static char chunk[16384];
	struct world *w = *state;

	use(w, &github, "It's a Secret to Everybody");
	world_request(w, "POST", HOST, "/echo",
	    "X-Hub-Signature-256: sha256=00\n", 1024 * 1024 + 1);
	assert_true(world_finish(w));
	assert_refused(w, 413, "limit");
	/* Its length is not said. */
	world_reset(state);
	use(w, &github, "It's a Secret to Everybody");
	struct req_head h = { .tls = true,
		.sni = (char *)(uintptr_t)HOST,
		.dst = (char *)(uintptr_t)HOST,
		.port = w->port,
		.method = (char *)(uintptr_t) "POST",
		.protocol = (char *)(uintptr_t) "",
		.target = (char *)(uintptr_t) "/echo",
		.kind = BODY_STREAM };
	h.authority = xasprintf("%s:%u", HOST, w->port);
	fields_add(&h.fields, "X-Hub-Signature-256", 19, "sha256=00", 9);
	world_head(w, &h);
	fields_free(&h.fields);
	free(h.authority);
	for (size_t sent = 0; w->a.denies == 0 && sent < 2 * 1024 * 1024;) {
		if (sent + sizeof(chunk) <= WIRE_WINDOW + w->a.window) {
			world_body(w, chunk, sizeof(chunk));
			sent += sizeof(chunk);
		}
		ev_once(w->ev, 10);
	}
	assert_int_equal(w->a.denies, 1);
	assert_int_equal(w->a.status, 413);
	assert_false(world_origin_saw(w, "{"));
}

/* One exchange after another holds almost all that one may. */
static void
bodies_that_are_held_are_bounded_together(void **state)
{
	static uint8_t chunk[WIRE_BODY_CHUNK];
	struct world *w = *state;
	size_t total = 1024 * 1024 - 1, open = 0;

	use(w, &github, "It's a Secret to Everybody");
	w->a.denies = 0; /* of the case before */
	for (; w->a.denies == 0 && open < 50; open++) {
		size_t sent = 0;

		world_request(w, "POST", HOST, "/echo",
		    "X-Hub-Signature-256: sha256=00\n", (long)total + 1);
		while (sent < total && w->a.denies == 0) {
			size_t n = total - sent;

			n = n < sizeof(chunk) ? n : sizeof(chunk);
			if (sent + n <= WIRE_WINDOW + w->a.window) {
				world_body(w, chunk, n);
				sent += n;
			} else {
				ev_once(w->ev, 10);
			}
		}
		world_run(w, 5);
	}
	assert_int_equal(w->a.denies, 1);
	buf_put_u8(&w->a.body, 0);
	if (w->a.status != 503)
		fail_msg("%zu open: %s", open, buf_head(&w->a.body));
	assert_true(open > 30 && open < 36);
}

#define T(f) cmocka_unit_test_setup(f, world_reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(request_is_signed_anew),
		T(body_is_hashed_when_its_hash_is_not_said),
		T(presigned_url_is_signed_anew),
		T(chunks_are_signed_anew_as_they_pass),
		T(chunks_that_lie_end_the_request),
		T(signature_for_something_else_is_refused),
		T(what_is_signed_with_another_key_is_refused),
		T(unsigned_request_passes_without_a_key),
		T(body_is_signed_with_the_shared_key),
		T(what_the_job_has_not_signed_is_not_signed),
		T(what_is_put_into_a_signed_body_is_signed_anew),
		T(body_too_large_to_be_signed_is_refused),
		T(bodies_that_are_held_are_bounded_together),
	};

	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}

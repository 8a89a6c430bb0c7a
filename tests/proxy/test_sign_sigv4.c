/*
 * AWS Signature Version 4 against what AWS has published: the requests and
 * signatures of its test suite and of the documentation of S3 and IAM.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/compat.h"
#include "base/str.h"
#include "proxy/sign_chunks.h"
#include "proxy/sign_sigv4.h"

#define SUITE_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define S3_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define S3_KEY_ID "AKIAIOSFODNN7EXAMPLE"
#define S3_HOST "examplebucket.s3.amazonaws.com"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void
make_head(struct req_head *h, const char *method, const char *target)
{
	memset(h, 0, sizeof(*h));
	h->tls = true;
	h->sni = xstrdup("");
	h->dst = xstrdup("");
	h->protocol = xstrdup("");
	h->method = xstrdup(method);
	h->authority = xstrdup("");
	h->target = xstrdup(target);
}

/* "Name: value" lines. */
static void
add_lines(struct req_head *h, const char *lines)
{
	while (*lines != '\0') {
		size_t n = strcspn(lines, "\n"), name = strcspn(lines, ":");
		const char *v = lines + name + 1;

		v += strspn(v, " ");
		fields_add(&h->fields, lines, name, v, (size_t)(lines + n - v));
		lines += n + (lines[n] == '\n');
	}
}

static void
key_for(const char *secret, const struct sigv4 *s, uint8_t key[SIGV4_KEY_SIZE])
{
	struct secret *v = secret_new(secret, strlen(secret));

	assert_non_null(v);
	sigv4_key(v, s->date, s->region, s->service, key);
	secret_free(v);
}

/* Sign as a job's SDK would have said it, with a wrong signature. */
static void
sign_head(struct req_head *h, const char *hostport, const char *secret,
    const char *key_id, const char *scope, const char *names, const char *body,
    struct sigv4 *s, char signature[SIGN_HEX_SIZE])
{
	struct error err = { 0 };
	uint8_t key[SIGV4_KEY_SIZE];
	char hash[SIGN_HEX_SIZE];
	cleanup_free char *auth =
	    xasprintf("AWS4-HMAC-SHA256 Credential=stub/%s,SignedHeaders=%s,"
		      "Signature=%s",
		scope, names, EMPTY);

	if (names[0] != '\0')
		fields_set(&h->fields, "Authorization", auth);
	if (sigv4_read(h, s, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_not_equal(s->where, SIGV4_NONE);
	key_for(secret, s, key);
	sign_sha256_hex(body, strlen(body), hash);
	if (sigv4_sign(h, hostport, s, key, key_id, hash, signature, &err) < 0)
		fail_msg("%s", err.msg);
}

/* Whose key has signed h, and that it is not another's. */
static void
assert_is_by(const struct req_head *h, const char *host, const char *secret,
    const char *body, bool want)
{
	cleanup_buf struct buf text = { 0 };
	struct error err = { 0 };
	uint8_t key[SIGV4_KEY_SIZE];
	char hash[SIGN_HEX_SIZE];
	struct sigv4 s;

	if (sigv4_read(h, &s, &err) < 0 ||
	    sigv4_covered(h, host, &s, &text, &err) < 0)
		fail_msg("%s", err.msg);
	sign_sha256_hex(body, strlen(body), hash);
	key_for(secret, &s, key);
	if (sigv4_is_by(&s, key, &text, hash) != want)
		fail_msg("%s: %d", h->target, want);
	key_for("somebody else's key", &s, key);
	assert_false(sigv4_is_by(&s, key, &text, hash));
}

struct vector {
	const char *name, *method, *target, *lines, *names, *body, *signature;
};

static void
check_vectors(const struct vector *v, size_t n, const char *hostport,
    const char *date, const char *scope, const char *secret, const char *key_id)
{
	for (size_t i = 0; i < n; i++) {
		char signature[SIGN_HEX_SIZE];
		struct req_head h;
		struct sigv4 s;
		cleanup_free char *want = xasprintf(
		    "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, "
		    "Signature=%s",
		    key_id, scope, v[i].names, v[i].signature);

		make_head(&h, v[i].method, v[i].target);
		add_lines(&h, v[i].lines);
		add_lines(&h, date);
		sign_head(&h, hostport, secret, key_id, scope, v[i].names,
		    v[i].body, &s, signature);
		if (strcmp(signature, v[i].signature) != 0)
			fail_msg("%s: %s", v[i].name, signature);
		assert_string_equal(
		    fields_get(&h.fields, "authorization", NULL), want);
		assert_is_by(&h, hostport, secret, v[i].body, true);
		assert_is_by(&h, "other.example", secret, v[i].body, false);
		free(h.method);
		h.method = xstrdup("DELETE");
		assert_is_by(&h, hostport, secret, v[i].body, false);
		req_head_free(&h);
	}
}

#define HD "host;x-amz-date"

static void
test_suite_of_aws(void **state)
{
	static const struct vector v[] = {
		{ "get-vanilla", "GET", "/", "", HD, "",
		    "5fa00fa31553b73ebf1942676e86291e"
		    "8372ff2a2260956d9b8aae1d763fbf31" },
		{ "post-vanilla", "POST", "/", "", HD, "",
		    "5da7c1a2acd57cee7505fc6676e4e544"
		    "621c30862966e37dddb68e92efbe5d6b" },
		{ "get-vanilla-query-order-key-case", "GET",
		    "/?Param2=value2&Param1=value1", "", HD, "",
		    "b97d918cfa904a5beff61c982a1b6f45"
		    "8b799221646efd99d3219ec94cdf2500" },
		{ "get-vanilla-empty-query-key", "GET", "/?Param1=value1", "",
		    HD, "",
		    "a67d582fa61cc504c4bae71f336f98b9"
		    "7f1ea3c7a6bfe1b6e45aec72011b9aeb" },
		{ "get-vanilla-query-unreserved", "GET",
		    "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
		    "pqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcde"
		    "fghijklmnopqrstuvwxyz",
		    "", HD, "",
		    "9c3e54bfcdf0b19771a7f523ee5669cd"
		    "f59bc7cc0884027167c21bb143a40197" },
		{ "get-vanilla-utf8-query", "GET", "/?\xe1\x88\xb4=bar", "", HD,
		    "",
		    "2cdec8eed098649ff3a119c94853b13c"
		    "643bcf08f8b0a1d91e12c9027818dd04" },
		{ "get-utf8", "GET", "/\xe1\x88\xb4", "", HD, "",
		    "8318018e0b0f223aa2bbf98705b62bb7"
		    "87dc9c0e678f255a891fd03141be5d85" },
		{ "get-space", "GET", "/example space/", "", HD, "",
		    "652487583200325589f1fba4c7e578f7"
		    "2c47cb61beeca81406b39ddec1366741" },
		{ "get-unreserved", "GET",
		    "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
		    "qrstuvwxyz",
		    "", HD, "",
		    "07ef7494c76fa4850883e2b006601f94"
		    "0f8a34d404d0cfa977f52a65bbf5f24f" },
		{ "get-relative", "GET", "/example/..", "", HD, "",
		    "5fa00fa31553b73ebf1942676e86291e"
		    "8372ff2a2260956d9b8aae1d763fbf31" },
		{ "get-relative-relative", "GET", "/example1/example2/../..",
		    "", HD, "",
		    "5fa00fa31553b73ebf1942676e86291e"
		    "8372ff2a2260956d9b8aae1d763fbf31" },
		{ "get-slash", "GET", "//", "", HD, "",
		    "5fa00fa31553b73ebf1942676e86291e"
		    "8372ff2a2260956d9b8aae1d763fbf31" },
		{ "get-slash-dot-slash", "GET", "/./", "", HD, "",
		    "5fa00fa31553b73ebf1942676e86291e"
		    "8372ff2a2260956d9b8aae1d763fbf31" },
		{ "get-slash-pointless-dot", "GET", "/./example", "", HD, "",
		    "ef75d96142cf21edca26f06005da7988"
		    "e4f8dc83a165a80865db7089db637ec5" },
		{ "get-slashes", "GET", "//example//", "", HD, "",
		    "9a624bd73a37c9a373b5312afbebe7a7"
		    "14a789de108f0bdfe846570885f57e84" },
		{ "get-header-key-duplicate", "GET", "/",
		    "My-Header1:value2\nMy-Header1:value2\nMy-Header1:value1",
		    "host;my-header1;x-amz-date", "",
		    "c9d5ea9f3f72853aea855b47ea873832"
		    "890dbdd183b4468f858259531a5138ea" },
		{ "get-header-value-trim", "GET", "/",
		    "My-Header1: value1\nMy-Header2: \"a   b   c\"",
		    "host;my-header1;my-header2;x-amz-date", "",
		    "acc3ed3afb60bb290fc8d2dd0098b991"
		    "1fcaa05412b367055dee359757a9c736" },
		{ "post-header-key-sort", "POST", "/", "My-Header1:value1",
		    "host;my-header1;x-amz-date", "",
		    "c5410059b04c1ee005303aed430f6e66"
		    "45f61f4dc9e1461ec8f8916fdf18852c" },
		{ "post-header-value-case", "POST", "/", "My-Header1:VALUE1",
		    "host;my-header1;x-amz-date", "",
		    "cdbc9802e29d2942e5e10b5bccfdd67c"
		    "5f22c7c4e8ae67b53629efa58b974b7d" },
		{ "post-vanilla-query", "POST", "/?Param1=value1", "", HD, "",
		    "28038455d6de14eafc1f9222cf5aa6f1"
		    "a96197d7deb8263271d420d138af7f11" },
		{ "post-x-www-form-urlencoded", "POST", "/",
		    "Content-Type:application/x-www-form-urlencoded",
		    "content-type;host;x-amz-date", "Param1=value1",
		    "ff11897932ad3f4e8b18135d722051e5"
		    "ac45fc38421b1da7b9d196a0fe09473a" },
		{ "post-x-www-form-urlencoded-parameters", "POST", "/",
		    "Content-Type:application/x-www-form-urlencoded; "
		    "charset=utf8",
		    "content-type;host;x-amz-date", "Param1=value1",
		    "1a72ec8f64bd914b0e42e42607c7fbce"
		    "7fb2c7465f63e3092b3b0d39fa77a6fe" },
	};
	static const struct vector iam[] = {
		{ "iam", "GET", "/?Action=ListUsers&Version=2010-05-08",
		    "Content-Type:application/x-www-form-urlencoded; "
		    "charset=utf-8",
		    "content-type;host;x-amz-date", "",
		    "5d672d79c15b13162d9279b0855cfba6"
		    "789a8edb4c82c400e06b5924a6f2b5d7" },
	};

	(void)state;
	check_vectors(v, nitems(v), "example.amazonaws.com",
	    "X-Amz-Date:20150830T123600Z",
	    "20150830/us-east-1/service/aws4_request", SUITE_SECRET,
	    "AKIDEXAMPLE");
	check_vectors(iam, nitems(iam), "iam.amazonaws.com",
	    "X-Amz-Date:20150830T123600Z",
	    "20150830/us-east-1/iam/aws4_request", SUITE_SECRET, "AKIDEXAMPLE");
}

#define HASH "host;x-amz-content-sha256;x-amz-date"

static void
examples_of_s3(void **state)
{
	static const struct vector v[] = {
		{ "get object", "GET", "/test.txt",
		    "Range: bytes=0-9\nx-amz-content-sha256: " EMPTY,
		    "host;range;x-amz-content-sha256;x-amz-date", "",
		    "f0e8bdb87c964420e857bd35b5d6ed31"
		    "0bd44f0170aba48dd91039c6036bdb41" },
		{ "put object", "PUT", "/test$file.text",
		    "Date: Fri, 24 May 2013 00:00:00 GMT\n"
		    "x-amz-storage-class: REDUCED_REDUNDANCY\n"
		    "x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbb"
		    "a87d2b6b4b4e99e42034a8b803f8b072",
		    "date;host;x-amz-content-sha256;x-amz-date;"
		    "x-amz-storage-class",
		    "",
		    "98ad721746da40c64f1a55b78f14c238"
		    "d841ea1380cd77a1b5971af0ece108bd" },
		{ "lifecycle", "GET", "/?lifecycle",
		    "x-amz-content-sha256: " EMPTY, HASH, "",
		    "fea454ca298b7da1c68078a5d1bdbfbb"
		    "e0d65c699e0f91ac7a200a0136783543" },
		{ "list", "GET", "/?max-keys=2&prefix=J",
		    "x-amz-content-sha256: " EMPTY, HASH, "",
		    "34b48302e7b5fa45bde8084f4b7868a8"
		    "6f0a534bc59db6670ed5711ef69dc6f7" },
	};

	(void)state;
	check_vectors(v, nitems(v), S3_HOST, "X-Amz-Date:20130524T000000Z",
	    "20130524/us-east-1/s3/aws4_request", S3_SECRET, S3_KEY_ID);
}

static void
key_is_the_documented_one(void **state)
{
	static const uint8_t want[SIGV4_KEY_SIZE] = { 0xf4, 0x78, 0x0e, 0x2d,
		0x9f, 0x65, 0xfa, 0x89, 0x5f, 0x9c, 0x67, 0xb3, 0x2c, 0xe1,
		0xba, 0xf0, 0xb0, 0xd8, 0xa4, 0x35, 0x05, 0xa0, 0x00, 0xa1,
		0xa9, 0xe0, 0x90, 0xd4, 0x14, 0xdb, 0x40, 0x4d };
	struct sigv4 s = {
		.date = "20120215", .region = "us-east-1", .service = "iam"
	};
	uint8_t key[SIGV4_KEY_SIZE];

	(void)state;
	key_for(SUITE_SECRET, &s, key);
	assert_memory_equal(key, want, sizeof(want));
}

#define PRESIGNED                                                              \
	"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"                           \
	"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"                     \
	"&X-Amz-Credential=%s%%2F20130524%%2Fus-east-1%%2Fs3%%2Faws4_request"  \
	"&X-Amz-SignedHeaders=host%s&X-Amz-Signature=%s"

static void
presigned_url_is_signed_anew(void **state)
{
	static const char *const extra[] = { "",
		"&X-Amz-Security-Token=abc%2F" };
	cleanup_free char *want = xasprintf(PRESIGNED, S3_KEY_ID, "",
	    "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");

	(void)state;
	for (size_t i = 0; i < nitems(extra); i++) {
		cleanup_free char *target =
		    xasprintf(PRESIGNED, "AKIASTUB", extra[i], EMPTY);
		char signature[SIGN_HEX_SIZE];
		struct req_head h;
		struct sigv4 s;

		make_head(&h, "GET", target);
		sign_head(&h, S3_HOST, S3_SECRET, S3_KEY_ID, "", "", "", &s,
		    signature);
		assert_string_equal(h.target, want);
		assert_is_by(&h, S3_HOST, S3_SECRET, "", true);
		assert_is_by(&h, S3_HOST ":443", S3_SECRET, "", false);
		req_head_free(&h);
	}
}

/* ---- chunks -------------------------------------------------------------- */

struct upload {
	const char *payload, *lines, *names, *seed, *chunk[3], *trailer;
};

static const struct upload uploads[] = {
	{ "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "",
	    "content-encoding;content-length;host;x-amz-content-sha256;"
	    "x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
	    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
	    { "ad80c730a21e5b8d04586a2213dd63b9"
	      "a0e99e0e2307b0ade35a65485a288648",
		"0055627c9e194cb4542bae2aa5492e3c"
		"1575bbb81b612b7d234b86a503ef5497",
		"b6c6ea8a5354eaf15b3cb7646744f427"
		"5b71ea724fed81ceb9323e279d449df9" },
	    NULL },
	{ "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
	    "\nx-amz-trailer: x-amz-checksum-crc32c",
	    "content-encoding;host;x-amz-content-sha256;x-amz-date;"
	    "x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
	    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
	    { "b474d8862b1487a5145d686f57f013e5"
	      "4db672cee1c953b3010fb58501ef5aa2",
		"1c1344b170168f8e65b41376b44b20fe"
		"354e373826ccbbe2c1d40a8cae51e5c7",
		"2ca2aba2005185cf7159c6277faf8379"
		"5951dd77a3a99e6e65d5c9f85863f992" },
	    "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e43"
	    "5" },
};

static void
put_body(struct buf *b, const struct upload *u, bool old)
{
	static const size_t sizes[3] = { 65536, 1024, 0 };
	char *fill = xmalloc(sizes[0]);

	memset(fill, 'a', sizes[0]);
	for (size_t i = 0; i < 3; i++) {
		buf_printf(b, "%zx;chunk-signature=%s\r\n", sizes[i],
		    old ? EMPTY : u->chunk[i]);
		buf_put(b, fill, sizes[i]);
		if (sizes[i] > 0 || u->trailer == NULL)
			buf_put(b, "\r\n", 2);
	}
	if (u->trailer != NULL)
		buf_printf(b,
		    "x-amz-checksum-crc32c:sOO8/Q==\r\n"
		    "x-amz-trailer-signature:%s\r\n\r\n",
		    old ? EMPTY : u->trailer);
	free(fill);
}

static void
chunks_are_signed_as_documented(void **state)
{
	static const size_t steps[] = { 1, 7, 1000, 65537, 1000000 };

	(void)state;
	for (size_t i = 0; i < nitems(uploads); i++) {
		const struct upload *u = &uploads[i];
		cleanup_buf struct buf in = { 0 }, want = { 0 };
		char signature[SIGN_HEX_SIZE];
		uint8_t key[SIGV4_KEY_SIZE];
		struct req_head h;
		struct sigv4 s;
		cleanup_free char *lines = xasprintf(
		    "Content-Encoding: aws-chunked\nX-Amz-Date: "
		    "20130524T000000Z\nx-amz-storage-class: "
		    "REDUCED_REDUNDANCY\nx-amz-decoded-content-length: 66560\n"
		    "x-amz-content-sha256: %s%s",
		    u->payload, u->lines);

		make_head(&h, "PUT", "/examplebucket/chunkObject.txt");
		h.kind = BODY_LENGTH;
		h.length = 66824;
		add_lines(&h, lines);
		sign_head(&h, "s3.amazonaws.com", S3_SECRET, S3_KEY_ID,
		    "20130524/us-east-1/s3/aws4_request", u->names, "", &s,
		    signature);
		assert_string_equal(signature, u->seed);
		assert_int_equal(
		    s.payload, i == 0 ? SIGV4_CHUNKS : SIGV4_TRAILER);
		req_head_free(&h);
		key_for(S3_SECRET, &s, key);
		put_body(&in, u, true);
		put_body(&want, u, false);
		for (size_t k = 0; k < nitems(steps); k++) {
			struct sign_chunks *c =
			    sign_chunks_new(&s, key, signature);
			cleanup_buf struct buf out = { 0 };
			struct error err = { 0 };

			for (size_t at = 0, n; at < buf_len(&in); at += n) {
				n = buf_len(&in) - at;
				n = n < steps[k] ? n : steps[k];
				assert_int_equal(
				    sign_chunks_feed(
					c, buf_head(&in) + at, n, &out, &err),
				    0);
			}
			assert_int_equal(sign_chunks_end(c, &out, &err), 0);
			assert_int_equal(buf_len(&out), buf_len(&want));
			assert_memory_equal(
			    buf_head(&out), buf_head(&want), buf_len(&want));
			sign_chunks_free(c);
		}
	}
}

static void
chunks_that_are_not_as_they_say_are_refused(void **state)
{
	static const char *const bodies[] = { "", "5\r\nhello\r\n",
		"5;chunk-signature=xyz\r\n",
		"5;chunk-signature=" EMPTY "\nhello",
		"5;chunk-signature=" EMPTY "\r\nhelloX\n",
		"5;chunk-signature=" EMPTY "\r\nhello\r\n",
		"0;chunk-signature=" EMPTY "\r\nx-amz-a:b\r\n\r\n",
		"fffffff;chunk-signature=" EMPTY "\r\n",
		"ffffffffffffffff;chunk-signature=" EMPTY "\r\n",
		"-5;chunk-signature=" EMPTY "\r\n" };
	struct sigv4 s = { .payload = SIGV4_CHUNKS };
	uint8_t key[SIGV4_KEY_SIZE] = { 0 };

	(void)state;
	for (size_t i = 0; i < nitems(bodies); i++) {
		struct sign_chunks *c = sign_chunks_new(&s, key, EMPTY);
		cleanup_buf struct buf out = { 0 };
		struct error err = { 0 };
		int rc = sign_chunks_feed(
		    c, bodies[i], strlen(bodies[i]), &out, &err);

		if (rc == 0)
			rc = sign_chunks_end(c, &out, &err);
		if (rc == 0)
			fail_msg("accepted: %s", bodies[i]);
		sign_chunks_free(c);
	}
}

/* ---- what is refused ----------------------------------------------------- */

#define AUTH "Authorization: AWS4-HMAC-SHA256 "
#define SCOPE "Credential=AKID/20150830/us-east-1/s3/aws4_request"
#define DATE "\nX-Amz-Date: 20150830T123600Z"

static void
what_cannot_be_signed_anew_is_refused(void **state)
{
	static const char *const rows[] = {
		/* The host is not covered. */
		AUTH SCOPE ",SignedHeaders=x-amz-date,Signature=" EMPTY DATE,
		AUTH SCOPE ",Signature=" EMPTY DATE,
		AUTH SCOPE ",SignedHeaders=hosts;xhost,Signature=" EMPTY DATE,
		/* No date, two, another day. */
		AUTH SCOPE ",SignedHeaders=host,Signature=" EMPTY,
		AUTH SCOPE ",SignedHeaders=host,Signature=" EMPTY DATE DATE,
		AUTH SCOPE ",SignedHeaders=host,Signature=" EMPTY
			   "\nX-Amz-Date: 20150831T123600Z",
		/* Scope. */
		AUTH "Credential=AKID/20150830/us-east-1/s3/aws5_request,"
		     "SignedHeaders=host,Signature=" EMPTY DATE,
		AUTH "Credential=AKID/2015083/us-east-1/s3/aws4_request,"
		     "SignedHeaders=host,Signature=" EMPTY DATE,
		AUTH "Credential=AKID/20150830//s3/aws4_request,"
		     "SignedHeaders=host,Signature=" EMPTY DATE,
		AUTH "Credential=AKID/20150830/us east/s3/aws4_request,"
		     "SignedHeaders=host,Signature=" EMPTY DATE,
		/* Algorithms. */
		"Authorization: AWS4-ECDSA-P256-SHA256 " SCOPE
		",SignedHeaders=host,Signature=" EMPTY DATE,
		AUTH SCOPE ",SignedHeaders=host,Signature=" EMPTY DATE
			   "\nX-Amz-Content-Sha256: STREAMING-OTHER",
		AUTH SCOPE ",SignedHeaders=host,Signature=" EMPTY DATE
			   "\n" AUTH SCOPE
			   ",SignedHeaders=host,Signature=" EMPTY,
		/* Signatures. */
		AUTH SCOPE ",SignedHeaders=host" DATE,
		AUTH SCOPE ",SignedHeaders=host,Signature=00" DATE,
		AUTH SCOPE ",SignedHeaders=host,Signature=" EMPTY "00" DATE,
		AUTH SCOPE
		",SignedHeaders=host,Signature=E3B0C44298FC1C149"
		"AFBF4C8996FB92427AE41E4649B934CA495991B7852B855" DATE,
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct error err = { 0 };
		struct req_head h;
		struct sigv4 s;

		make_head(&h, "GET", "/");
		add_lines(&h, rows[i]);
		if (sigv4_read(&h, &s, &err) == 0)
			fail_msg("accepted: %s", rows[i]);
		assert_true(err.msg[0] != '\0');
		req_head_free(&h);
	}
}

static void
request_without_a_signature_is_told(void **state)
{
	struct error err = { 0 };
	struct req_head h;
	struct sigv4 s;

	(void)state;
	make_head(&h, "GET", "/?a=b&X-Amz-Date=1");
	add_lines(&h, "Authorization: Bearer x");
	assert_int_equal(sigv4_read(&h, &s, &err), 0);
	assert_int_equal(s.where, SIGV4_NONE);
	req_head_free(&h);
}

static void
fields_that_are_not_sent_are_not_signed(void **state)
{
	char signature[SIGN_HEX_SIZE];
	struct req_head h;
	struct sigv4 s;

	(void)state;
	make_head(&h, "GET", "/");
	add_lines(
	    &h, "X-Amz-Date: 20150830T123600Z\nX-Amz-Security-Token: theirs");
	sign_head(&h, "example.amazonaws.com", SUITE_SECRET, "AKIDEXAMPLE",
	    "20150830/us-east-1/service/aws4_request",
	    "host;range;x-amz-date;x-amz-security-token", "", &s, signature);
	assert_string_equal(signature,
	    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
	assert_null(fields_get(&h.fields, "x-amz-security-token", NULL));
	req_head_free(&h);
}

static void
fields_that_end_with_the_connection_are_known_or_refused(void **state)
{
	cleanup_buf struct buf text = { 0 };
	struct error err = { 0 };
	char signature[SIGN_HEX_SIZE];
	struct req_head h;
	struct sigv4 s;

	(void)state;
	make_head(&h, "PUT", "/");
	add_lines(&h, "X-Amz-Date: 20150830T123600Z\nExpect: 100-continue\n"
		      "Transfer-Encoding: chunked");
	sign_head(&h, "example.amazonaws.com", SUITE_SECRET, "AKIDEXAMPLE",
	    "20150830/us-east-1/service/aws4_request",
	    "expect;host;transfer-encoding;x-amz-date", "", &s, signature);
	fields_remove(&h.fields, "Expect");
	fields_remove(&h.fields, "Transfer-Encoding");
	h.kind = BODY_STREAM;
	h.expect_continue = true;
	assert_is_by(&h, "example.amazonaws.com", SUITE_SECRET, "", true);
	h.expect_continue = false;
	assert_int_equal(sigv4_read(&h, &s, &err), 0);
	assert_int_equal(sigv4_covered(&h, "h", &s, &text, &err), -1);
	assert_string_equal(err.msg,
	    "the AWS signature covers the field \"expect\", which is not "
	    "there or ends with the connection");
	req_head_free(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suite_of_aws),
		cmocka_unit_test(examples_of_s3),
		cmocka_unit_test(key_is_the_documented_one),
		cmocka_unit_test(presigned_url_is_signed_anew),
		cmocka_unit_test(chunks_are_signed_as_documented),
		cmocka_unit_test(chunks_that_are_not_as_they_say_are_refused),
		cmocka_unit_test(what_cannot_be_signed_anew_is_refused),
		cmocka_unit_test(request_without_a_signature_is_told),
		cmocka_unit_test(fields_that_are_not_sent_are_not_signed),
		cmocka_unit_test(
		    fields_that_end_with_the_connection_are_known_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

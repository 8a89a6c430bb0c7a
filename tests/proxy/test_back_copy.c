/* Requests that have a server copy something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/str.h"
#include "proxy/copysource.h"
#include "tests/proxy/back_world.h"

#define HOST "good.example"

/* A rule for some paths is one for what is copied to them, too. */
static void
destination_of_a_copy_is_judged(void **state)
{
	struct world *w = *state;
	cleanup_free char *policy =
	    xasprintf("profile t {\n"
		      "	default http deny;\n"
		      "	allow http {GET,POST,COPY,MOVE} "
		      "https://good.example:%u/mine/**;\n"
		      "	allow http {GET,REBIND} https://good.example:%u/**;\n"
		      "	allow net 127.0.0.1:%u;\n"
		      "}\n",
		w->port, w->port, w->port);
	const struct {
		const char *method, *target, *to;
		unsigned int status;
	} rows[] = {
		{ "COPY", "/mine/a", "/mine/b", 200 },
		{ "COPY", "/mine/a", "https://good.example:PORT/mine/b", 200 },
		{ "MOVE", "/mine/a", "/theirs/b", 403 },
		{ "MOVE", "/mine/a", "https://good.example:PORT/theirs", 403 },
		{ "MOVE", "/mine/a", "https://good.example/mine/b", 403 },
		{ "COPY", "/mine/a", "http://good.example:PORT/mine/b", 403 },
		{ "COPY", "/mine/a", "https://evil.example:PORT/mine", 403 },
		{ "COPY", "/mine/a", "/mine/../theirs", 403 },
		{ "COPY", "/mine/a", "mine/b", 403 },
		{ "REBIND", "/mine/a", "/theirs/b", 200 },
		{ "REBIND", "/mine/a", "//theirs/b", 403 },
		{ "COPY", "/mine/a", "/mine/b\nDestination: /theirs", 403 },
		/* It means nothing there. */
		{ "GET", "/mine/a", "somewhere", 200 },
		{ "POST", "/mine/a", "/theirs", 200 },
		{ "GET", "/mine/a", "/theirs\nX-HTTP-Method-Override: COPY",
		    403 },
	};

	world_policy(w, policy);
	world_run(w, 30);
	for (size_t i = 0; i < nitems(rows); i++) {
		const char *at = strstr(rows[i].to, "PORT");
		cleanup_free char *to =
		    at == NULL ? xstrdup(rows[i].to)
			       : xasprintf("%.*s%u%s", (int)(at - rows[i].to),
				     rows[i].to, w->port, at + 4);
		cleanup_free char *fields = xasprintf("Destination: %s\n", to);

		world_request(
		    w, rows[i].method, HOST, rows[i].target, fields, -1);
		world_end(w);
		if (!world_finish(w) || w->a.status != rows[i].status)
			fail_msg("%s to %s: status %u", rows[i].method, to,
			    w->a.status);
	}
}

/* What a server is to read for a job is judged as if the job read it. */
static void
source_of_a_copy_is_judged(void **state)
{
	struct world *w = *state;
	cleanup_free char *policy =
	    xasprintf("profile t {\n"
		      "	default http deny;\n"
		      "	allow http {GET,PUT} "
		      "https://good.example:%u/mine/**;\n"
		      "	allow http PUT https://good.example:%u/**;\n"
		      "	allow http GET https://blobs.example/open/**;\n"
		      "	allow http GET https://b.s3.example/a;\n"
		      "	allow net 127.0.0.1:%u;\n"
		      "}\n",
		w->port, w->port, w->port);
	static const struct {
		const char *fields;
		unsigned int status;
	} rows[] = {
		{ "x-amz-copy-source: /mine/key\n", 200 },
		{ "X-Amz-Copy-Source: mine/key?versionId=3\n", 200 },
		{ "x-amz-copy-source: /theirs/key\n", 403 },
		{ "x_amz_copy_source: theirs/key\n", 403 },
		{ "x-amz-copy-source: /mine/../theirs/key\n", 403 },
		{ "x-amz-copy-source: %2ftheirs%2fkey\n", 403 },
		{ "x-amz-copy-source: //theirs/key\n", 403 },
		{ "x-amz-copy-source: \n", 403 },
		{ "x-amz-copy-source: /mine/a\nx-amz-copy-source: /b/c\n",
		    403 },
		{ "x-goog-copy-source: /theirs/key\n", 403 },
		{ "x-oss-copy-source: /theirs/key\n", 403 },
		{ "x-obs-copy-source: /theirs/key\n", 403 },
		{ "X-Copy-From: mine/key\n", 403 },
		{ "X-Copy-From-Account: other\n", 403 },
		{ "x-cos-copy-source: b.s3.example/a\n", 200 },
		{ "x-cos-copy-source: b.s3.example/b\n", 403 },
		{ "x-ms-copy-source: https://blobs.example/open/a\n", 200 },
		{ "x-ms-copy-source: https://blobs.example/a\n", 403 },
		{ "x-ms-copy-source: http://blobs.example/open/a\n", 403 },
		{ "x-ms-copy-source: https://u@blobs.example/open/a\n", 403 },
		/* What is moved is deleted as well. */
		{ "x-ms-rename-source: /mine/key\n", 403 },
		{ "x-amz-rename-source: /mine/key\n", 403 },
		{ "x-amz-copy-source-range: bytes=0-3\n", 200 },
	};

	world_policy(w, policy);
	world_run(w, 30);
	for (size_t i = 0; i < nitems(rows); i++) {
		world_request(w, "PUT", HOST, "/x/y/z", rows[i].fields, -1);
		world_end(w);
		if (!world_finish(w) || w->a.status != rows[i].status)
			fail_msg("%sstatus %u", rows[i].fields, w->a.status);
	}
}

static void
bucket_is_where_the_request_has_its_own(void **state)
{
	static const struct {
		const char *host, *target, *field, *value, *url;
	} rows[] = {
		{ "s3.eu-west-1.amazonaws.com", "/a/b", "x-amz-copy-source",
		    "/c/d", "https://s3.eu-west-1.amazonaws.com/c/d" },
		{ "a.s3.eu-west-1.amazonaws.com", "/b", "x-amz-copy-source",
		    "/c/d", "https://c.s3.eu-west-1.amazonaws.com/d" },
		{ "a.s3.amazonaws.com", "/b", "x-amz-copy-source", "a/d/e",
		    "https://a.s3.amazonaws.com/d/e" },
		{ "my.s3.logs.s3.amazonaws.com", "/b", "x-amz-copy-source",
		    "c/d", "https://c.s3.amazonaws.com/d" },
		{ "a.s3-us-west-2.amazonaws.com", "/b", "x-amz-copy-source",
		    "c", "https://c.s3-us-west-2.amazonaws.com/" },
		{ "a.storage.googleapis.com", "/b", "x-goog-copy-source", "c/d",
		    "https://c.storage.googleapis.com/d" },
		{ "storage.googleapis.com", "/a/b", "x-goog-copy-source", "c/d",
		    "https://storage.googleapis.com/c/d" },
		{ "a.oss-cn-hangzhou.aliyuncs.com", "/b", "x-oss-copy-source",
		    "/c/d", "https://c.oss-cn-hangzhou.aliyuncs.com/d" },
		{ "minio.lan", "/a/b", "x-amz-copy-source", "/minio/d",
		    "https://minio.lan/minio/d" },
		{ "swift.lan", "/v1/AUTH_me/a/b", "X-Copy-From", "/c/d",
		    "https://swift.lan/v1/AUTH_me/c/d" },
		{ "a.cos.ap-x.myqcloud.com", "/b", "x-cos-copy-source",
		    "c-1.cos.ap-x.myqcloud.com/d",
		    "https://c-1.cos.ap-x.myqcloud.com/d" },
		{ "me.blob.core.windows.net", "/a/b", "x-ms-copy-source",
		    "HTTPS://you.blob.core.windows.net/c/d?sv=1",
		    "https://you.blob.core.windows.net/c/d?sv=1" },
	};
	static struct copysource_url here, out;

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		cleanup_free char *url = NULL;
		const char *why;

		here = (struct copysource_url){ "https", "", 443, "" };
		strlcpy(here.host, rows[i].host, sizeof(here.host));
		strlcpy(here.target, rows[i].target, sizeof(here.target));
		why =
		    copysource_read(rows[i].field, rows[i].value, &here, &out);
		if (why != NULL)
			fail_msg("%s %s", rows[i].value, why);
		url = xasprintf("%s://%s%s", out.scheme, out.host, out.target);
		assert_string_equal(url, rows[i].url);
		assert_int_equal(out.port, 443);
	}
}

static void
what_is_too_long_is_no_source(void **state)
{
	static struct copysource_url here, out;
	static char path[P_URL_MAX + 2], bucket[400];

	(void)state;
	here = (struct copysource_url){ "https", "s3.example", 443, "/" };
	memset(path, 'a', sizeof(path) - 1);
	assert_non_null(
	    copysource_read("x-amz-copy-source", path, &here, &out));
	assert_non_null(copysource_read("X-Copy-From", path, &here, &out));
	path[P_URL_MAX - 1] = '\0';
	assert_null(copysource_read("x-amz-copy-source", path, &here, &out));
	assert_int_equal(strlen(out.target), P_URL_MAX);
	memset(bucket, 'b', sizeof(bucket) - 1);
	strlcpy(here.host, "a.s3.example", sizeof(here.host));
	assert_non_null(
	    copysource_read("x-amz-copy-source", bucket, &here, &out));
}

/* A person is shown what is copied, not only that something is. */
static void
who_is_asked_sees_what_is_copied(void **state)
{
	struct world *w = *state;
	cleanup_free char *policy =
	    xasprintf("profile t {\n"
		      "	default http deny;\n"
		      "	ask http * https://good.example:%u/**;\n"
		      "	allow net 127.0.0.1:%u;\n"
		      "}\n",
		w->port, w->port);
	static const struct {
		const char *method, *fields, *shown, *hidden;
	} rows[] = {
		{ "PUT", "x-amz-copy-source: /theirs/key\n",
		    "x-amz-copy-source: /theirs/key", NULL },
		{ "PUT", "x_ms_rename_source: theirs/key\nX-Other: value\n",
		    "x_ms_rename_source: theirs/key", "value" },
		{ "MOVE", "Destination: /theirs/b\n", "Destination: /theirs/b",
		    NULL },
		{ "GET", "Destination: /theirs/b\n", "Destination",
		    "/theirs/b" },
	};
	struct buf many = { 0 };

	world_policy(w, policy);
	world_run(w, 30);
	for (size_t i = 0; i < nitems(rows); i++) {
		world_request(
		    w, rows[i].method, HOST, "/x/y/z", rows[i].fields, -1);
		world_end(w);
		assert_true(world_finish(w));
		assert_int_equal(w->asks, i + 1);
		assert_true(world_asked(w, rows[i].shown));
		assert_true(
		    rows[i].hidden == NULL || !world_asked(w, rows[i].hidden));
	}
	for (int i = 0; i < 20; i++)
		buf_printf(&many, "x-amz-copy-source: /theirs/%d.\n", i);
	buf_put_u8(&many, 0);
	world_request(
	    w, "PUT", HOST, "/x/y/z", (const char *)buf_head(&many), -1);
	world_end(w);
	assert_true(world_finish(w));
	assert_true(world_asked(w, "/theirs/15."));
	assert_false(world_asked(w, "/theirs/16."));
	assert_true(world_asked(w, "and more such fields"));
	buf_free(&many);
}

#define T(f) cmocka_unit_test_setup(f, world_reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(destination_of_a_copy_is_judged),
		T(source_of_a_copy_is_judged),
		T(who_is_asked_sees_what_is_copied),
		cmocka_unit_test(bucket_is_where_the_request_has_its_own),
		cmocka_unit_test(what_is_too_long_is_no_source),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}

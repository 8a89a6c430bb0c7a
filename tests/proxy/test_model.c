/*
 * Calls of models: what requests want and responses used, in the words of the
 * providers' own documentation.
 */
#include "proxy/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static void
hosts_are_parsed(void **state)
{
	struct model_host h;
	struct error err = { 0 };
	static const char *const bad[] = { "", "x.test", "x.test none",
		"x.test open", ":1 openai", "x.test:0 openai",
		"x.test:65536 openai", "x.test:1x openai", "x_y:a openai",
		"x.test openai a", "x.test openai:a/b",
		"x.test openai:", "x.test openai:a:b", "[::1 openai",
		"[::1]x openai", "http://x openai" };

	(void)state;
	assert_int_equal(model_host_parse("API.x.test openai", &h, &err), 0);
	assert_string_equal(h.host, "api.x.test");
	assert_int_equal(h.port, 443);
	assert_int_equal(h.shape, MODEL_OPENAI);
	assert_string_equal(h.provider, "openai");
	assert_int_equal(
	    model_host_parse("[::1]:8080  gemini:mine", &h, &err), 0);
	assert_string_equal(h.host, "::1");
	assert_int_equal(h.port, 8080);
	assert_string_equal(h.provider, "mine");
	assert_int_equal(
	    model_host_parse("x.test:8443 anthropic:a-b", &h, &err), 0);
	assert_int_equal(h.port, 8443);
	for (size_t i = 0; i < nitems(bad); i++) {
		if (model_host_parse(bad[i], &h, &err) == 0)
			fprintf(stderr, "# taken: %s\n", bad[i]);
		assert_int_equal(model_host_parse(bad[i], &h, &err), -1);
	}
}

static void
requests_name_model_and_limit(void **state)
{
	static const struct {
		enum model_shape shape;
		const char *target, *body, *model;
		uint64_t max;
	} t[] = {
		{ MODEL_OPENAI, "/v1/chat/completions",
		    "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\","
		    "\"content\":\"say \\\"model\\\": x\"}]}",
		    "gpt-4o", 0 },
		{ MODEL_OPENAI, "/v1/chat/completions",
		    "{\"max_tokens\":10,\"max_completion_tokens\":20,\"n\":3,"
		    "\"model\":\"a/b:free\"}",
		    "a/b:free", 60 },
		{ MODEL_OPENAI, "/v1/responses",
		    "{\"model\":\"o3\",\"input\":\"hi\","
		    "\"max_output_tokens\":7}",
		    "o3", 7 },
		{ MODEL_OPENAI, "/openai/deployments/a/chat/completions?v=1",
		    "{\"model\":\"a\",\"n\":null,\"modelsx\":[1]}", "a", 0 },
		{ MODEL_OPENAI, "/v1/embeddings?x=1",
		    "{\"input\":[\"a\"],\"model\":\"text-embedding-3\"}",
		    "text-embedding-3", 1 },
		{ MODEL_OPENAI, "/v1/chat/completions",
		    "{\"mod\\u0065l\":\"x\",\"max_tokens\":null}", "x", 0 },
		{ MODEL_ANTHROPIC, "/v1/messages",
		    "{\"model\":\"claude-x\",\"max_tokens\":1024,\"metadata\":"
		    "{\"model\":\"other\"}}",
		    "claude-x", 1024 },
		{ MODEL_ANTHROPIC, "/v1/messages/count_tokens",
		    "{\"model\":\"claude-x\"}", "claude-x", 1 },
		{ MODEL_GEMINI,
		    "/v1beta/models/gemini-2.0-flash:generateContent?key=k",
		    "{\"contents\":[],\"generationConfig\":"
		    "{\"maxOutputTokens\":5,\"candidateCount\":2}}",
		    "gemini-2.0-flash", 10 },
		{ MODEL_OPENAI, "/openai/Deployments/%61/chat/completions",
		    "{\"model\":\"a\"}", "a", 0 },
		{ MODEL_GEMINI, "/v1/%6dodels/%67:streamGenerateContent", "{}",
		    "g", 0 },
		{ MODEL_GEMINI, "/v1/models/g:streamGenerateContent",
		    "{\"generation_config\":{\"max_output_tokens\":9}}", "g",
		    9 },
	};

	(void)state;
	for (size_t i = 0; i < nitems(t); i++) {
		struct model_call c;
		struct error err = { 0 };
		int rc = model_call_read(t[i].shape, t[i].target, t[i].body,
		    strlen(t[i].body), &c, &err);

		if (rc < 0)
			fprintf(stderr, "# %s: %s\n", t[i].body, err.msg);
		assert_int_equal(rc, 0);
		assert_string_equal(c.model, t[i].model);
		assert_int_equal(c.max_output, t[i].max);
	}
}

static void
what_can_be_read_in_two_ways_is_refused(void **state)
{
	static const struct {
		enum model_shape shape;
		const char *target, *body;
	} t[] = {
		{ MODEL_OPENAI, "/v1/files", "" },
		{ MODEL_OPENAI, "/x", "model=gpt-4o" },
		{ MODEL_OPENAI, "/x", "{\"messages\":[]}" },
		{ MODEL_OPENAI, "/x", "{\"model\":\"a\",\"model\":\"b\"}" },
		{ MODEL_OPENAI, "/x", "{\"model\":\"a\",\"Model\":\"b\"}" },
		{ MODEL_OPENAI, "/x", "{\"MODEL\":\"b\"}" },
		{ MODEL_OPENAI, "/x",
		    "{\"model\":\"a\",\"mode\\u006c\":\"b\"}" },
		{ MODEL_OPENAI, "/x", "{\"model\":[\"a\"]}" },
		{ MODEL_OPENAI, "/x", "{\"model\":{\"a\":\"b\"}}" },
		{ MODEL_OPENAI, "/x", "{\"model\":1}" },
		{ MODEL_OPENAI, "/x", "{\"model\":\"a\\u0000b\"}" },
		{ MODEL_OPENAI, "/x", "{\"model\":\"\"}" },
		{ MODEL_OPENAI, "/x", "[{\"model\":\"a\"}]" },
		{ MODEL_OPENAI, "/x", "{\"model\":\"a\"}{\"model\":\"b\"}" },
		{ MODEL_OPENAI, "/x", "{\"model\":\"a\"" },
		{ MODEL_OPENAI, "/x",
		    "{\"model\":\"a\",\"max_tokens\":\"9\"}" },
		{ MODEL_OPENAI, "/x", "{\"model\":\"a\",\"max_tokens\":1e3}" },
		{ MODEL_OPENAI, "/x", "{\"model\":\"a\",\"max_tokens\":-1}" },
		{ MODEL_OPENAI, "/x",
		    "{\"model\":\"a\",\"max_tokens\":99999999999}" },
		{ MODEL_OPENAI, "/x", "{\"model\":\"a\",\"n\":1025}" },
		{ MODEL_OPENAI, "/x",
		    "{\"model\":\"a\",\"models\":[\"a\",\"b\"]}" },
		{ MODEL_OPENAI, "/x",
		    "{\"model\":\"a\",\"fallbacks\":[{\"model\":\"b\"}]}" },
		{ MODEL_OPENAI, "/x",
		    "{\"model\":\"a\",\"max_tokens\":1,"
		    "\"max_to\xe2\x84\xaa"
		    "ens\":9}" },
		{ MODEL_OPENAI, "/x",
		    "{\"model\":\"a\",\"max_tokens\":1,"
		    "\"max_token\\u017f\":9}" },
		{ MODEL_OPENAI, "/openai/deployments/b/chat/completions",
		    "{\"model\":\"a\"}" },
		{ MODEL_OPENAI, "/v1/engines/ab/completions?x",
		    "{\"model\":\"a\"}" },
		/* As the server reads the path, and as another one would. */
		{ MODEL_OPENAI, "/openai/%64eployments/b/chat/completions",
		    "{\"model\":\"a\"}" },
		{ MODEL_OPENAI, "/openai/Deployments/b/chat/completions",
		    "{\"model\":\"a\"}" },
		{ MODEL_OPENAI, "/openai/deployments;x/b/chat/completions",
		    "{\"model\":\"a\"}" },
		{ MODEL_OPENAI, "/openai/deployments%2Fb%2fchat/completions",
		    "{\"model\":\"a\"}" },
		{ MODEL_OPENAI, "/openai/%2564eployments/b/chat/completions",
		    "{\"model\":\"a\"}" },
		{ MODEL_OPENAI, "/deployments/a/deployments/b/completions",
		    "{\"model\":\"a\"}" },
		{ MODEL_OPENAI, "/v1/a/..;/completions", "{\"model\":\"a\"}" },
		{ MODEL_GEMINI, "/v1/models;x/b:y/models/c:z", "{}" },
		{ MODEL_GEMINI, "/v1/models%2Fb:y/models/c:z", "{}" },
		{ MODEL_GEMINI, "/v1beta/models/g", "{}" },
		{ MODEL_GEMINI, "/v1beta/models/:x", "{}" },
		{ MODEL_GEMINI, "/v1beta/models/a%3ab:x", "{}" },
		{ MODEL_GEMINI, "/v1beta/models/a/b:x", "{}" },
		{ MODEL_GEMINI, "/v1beta/cachedContents?/models/x:y",
		    "{\"model\":\"g\"}" },
		{ MODEL_GEMINI, "/v1beta/models/g:generateContent",
		    "{\"generationConfig\":{\"maxoutputtokens\":1}}" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(t); i++) {
		struct model_call c;
		struct error err = { 0 };
		int rc = model_call_read(t[i].shape, t[i].target, t[i].body,
		    strlen(t[i].body), &c, &err);

		if (rc == 0)
			fprintf(
			    stderr, "# taken: %s %s\n", t[i].target, t[i].body);
		assert_int_equal(rc, -1);
		assert_true(err.msg[0] != '\0');
	}
}

static void
usage_in(enum model_shape s, const char *type, const char *body, size_t chunk,
    struct model_usage *u)
{
	struct model_reader *r = model_reader_new(s, type);
	size_t n = strlen(body);

	for (size_t at = 0; at < n; at += chunk)
		model_reader_feed(
		    r, body + at, n - at < chunk ? n - at : chunk);
	model_reader_usage(r, u);
	model_reader_free(r);
}

static void
usage_is_read_at_any_chunking(void **state)
{
	static const char json[] = "application/json; charset=utf-8";
	static const char events[] = "text/event-stream";
	static const struct {
		enum model_shape shape;
		const char *type, *body;
		uint64_t input, cached, made, output;
	} t[] = {
		{ MODEL_OPENAI, json,
		    "{\"choices\":[{\"message\":{\"content\":\"{\\\"usage\\\":"
		    "{\\\"prompt_tokens\\\":99}}\"}}],\"usage\":{"
		    "\"prompt_tokens\":19,\"completion_tokens\":10,"
		    "\"total_tokens\":29,\"prompt_tokens_details\":"
		    "{\"cached_tokens\":5},\"completion_tokens_details\":"
		    "{\"reasoning_tokens\":4}}}",
		    19, 5, 0, 10 },
		{ MODEL_OPENAI, events,
		    "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],"
		    "\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{"
		    "\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n"
		    "data: [DONE]\n\n",
		    3, 0, 0, 4 },
		{ MODEL_OPENAI, events,
		    "event: response.created\r\ndata: {\"type\":\"x\",\r\n"
		    "data:\"response\":{\"usage\":null}}\r\n\r\n: ping\r\n\r\n"
		    "event: response.completed\r\nid: 7\r\n"
		    "data: {\"response\":{\"usage\":{\"input_tokens\":37,"
		    "\"input_tokens_details\":{\"cached_tokens\":2},"
		    "\"output_tokens\":11}}}\r\n\r\n",
		    37, 2, 0, 11 },
		{ MODEL_ANTHROPIC, json,
		    "{\"usage\":{\"input_tokens\":10,"
		    "\"cache_creation_input_tokens\":100,"
		    "\"cache_read_input_tokens\":1000,\"output_tokens\":7}}",
		    1110, 1000, 100, 7 },
		{ MODEL_ANTHROPIC, events,
		    "event: message_start\ndata: {\"type\":\"message_start\","
		    "\"message\":{\"usage\":{\"input_tokens\":25,"
		    "\"output_tokens\":1}}}\n\n"
		    "event: message_delta\ndata: {\"type\":\"message_delta\","
		    "\"usage\":{\"output_tokens\":15}}\n\n",
		    25, 0, 0, 15 },
		{ MODEL_GEMINI, json,
		    "{\"usageMetadata\":{\"promptTokenCount\":8,"
		    "\"candidatesTokenCount\":20,\"thoughtsTokenCount\":30,"
		    "\"cachedContentTokenCount\":4,\"totalTokenCount\":58}}",
		    8, 4, 0, 50 },
		{ MODEL_GEMINI, json,
		    "[{\"usageMetadata\":{\"promptTokenCount\":8}},\r\n"
		    "{\"usageMetadata\":{\"promptTokenCount\":8,"
		    "\"candidatesTokenCount\":6}}]",
		    8, 0, 0, 6 },
		{ MODEL_GEMINI, events,
		    "data: {\"usageMetadata\":{\"promptTokenCount\":2,"
		    "\"candidatesTokenCount\":1}}\r\rdata: {\"usageMetadata\":"
		    "{\"promptTokenCount\":2,\"candidatesTokenCount\":9}}",
		    2, 0, 0, 9 },
	};

	(void)state;
	for (size_t i = 0; i < nitems(t); i++)
		for (size_t chunk = 1; chunk < 60; chunk += 3) {
			struct model_usage u;

			usage_in(t[i].shape, t[i].type, t[i].body, chunk, &u);
			assert_true(u.known);
			assert_int_equal(u.input, t[i].input);
			assert_int_equal(u.cached, t[i].cached);
			assert_int_equal(u.cache_made, t[i].made);
			assert_int_equal(u.output, t[i].output);
		}
}

static void
silence_is_not_zero(void **state)
{
	static const struct {
		const char *type, *body;
	} t[] = {
		{ NULL, "{\"usage\":{\"prompt_tokens\":1}}" },
		{ "audio/mpeg", "{\"usage\":{\"prompt_tokens\":1}}" },
		{ "application/json", "{\"usage\":null}" },
		{ "application/json", "{\"usage\":{\"prompt_tokens\":\"1\"}}" },
		{ "application/json", "{\"usage\":{\"prompt_tokens\":-1}}" },
		{ "application/json", "{\"a\":{\"usage\":{\"prompt_tokens\":1"
				      "}}}" },
		{ "application/json", "nonsense" },
		{ "text/event-stream",
		    "event: {\"usage\":{\"prompt_tokens\":1}}\n\n" },
		{ "text/event-stream",
		    " data: {\"usage\":{\"prompt_tokens\":1}}\n\n" },
		{ "text/event-stream",
		    "datax: {\"usage\":{\"prompt_tokens\":1}}\n\n" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(t); i++) {
		struct model_usage u;

		usage_in(MODEL_OPENAI, t[i].type, t[i].body, 7, &u);
		if (u.known)
			fprintf(stderr, "# taken: %s\n", t[i].body);
		assert_false(u.known);
	}
}

static void
refusals_have_the_shape_of_the_provider(void **state)
{
	static const char ours[] = "{\"error\":\"policy_denied\"}\n";
	static const char *const want[MODEL_SHAPES] = { ours,
		"{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":"
		"\"invalid_request_error\",\"param\":null,\"code\":"
		"\"policy_denied\"},\"brig\":{\"error\":\"policy_denied\"}\n}"
		"\n",
		"{\"type\":\"error\",\"error\":{\"type\":\"permission_error\","
		"\"message\":\"no \\\"x\\\"\"},\"brig\":{\"error\":"
		"\"policy_denied\"}\n}\n",
		"{\"error\":{\"code\":403,\"message\":\"no \\\"x\\\"\","
		"\"status\":\"PERMISSION_DENIED\"},\"brig\":{\"error\":"
		"\"policy_denied\"}\n}\n" };

	(void)state;
	for (enum model_shape s = MODEL_NONE; s < MODEL_SHAPES; s++) {
		struct buf b;
		struct json_read j;

		buf_init(&b, 0);
		model_error(&b, s, 403, "no \"x\"", ours, strlen(ours));
		json_read_init(&j, NULL, NULL);
		assert_int_equal(json_read(&j, buf_head(&b), buf_len(&b)), 0);
		assert_int_equal(json_read_end(&j), 0);
		buf_put_u8(&b, 0);
		assert_string_equal((const char *)buf_head(&b), want[s]);
		buf_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_are_parsed),
		cmocka_unit_test(requests_name_model_and_limit),
		cmocka_unit_test(what_can_be_read_in_two_ways_is_refused),
		cmocka_unit_test(usage_is_read_at_any_chunking),
		cmocka_unit_test(silence_is_not_zero),
		cmocka_unit_test(refusals_have_the_shape_of_the_provider),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

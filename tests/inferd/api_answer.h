/*
 * Answers in each protocol's shape, of what is said here.  Included behind
 * cmocka's headers.
 */
#ifndef BRIG_TESTS_API_ANSWER_H
#define BRIG_TESTS_API_ANSWER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/json_tree.h"
#include "tests/inferd/api_run.h"

#define ID "abcdefghijklmnopqrstuvwx"

static const char *const requests[] = {
	[API_CHAT] = "{'messages':[{'role':'user','content':'hi'}],'tools':["
		     "{'type':'function','function':{'name':'f'}},"
		     "{'type':'custom','custom':{'name':'p'}}],'stream':%s,"
		     "'stream_options':{'include_usage':true}}",
	[API_COMPLETIONS] = "{'prompt':'hi','stream':%s,'stream_options':"
			    "{'include_usage':true}}",
	[API_RESPONSES] = "{'input':'hi','tools':[{'type':'namespace','name':"
			  "'n','tools':[{'type':'function','name':'f'}]},"
			  "{'type':'custom','name':'p'}],'stream':%s}",
	[API_MESSAGES] = "{'messages':[{'role':'user','content':'hi'}],"
			 "'tools':[{'name':'f','input_schema':{}}],"
			 "'thinking':{'type':'adaptive'},"
			 "'stream':%s}",
};

struct say {
	enum gen_event_type type;
	const char *words; /* of a call: its name */
	const char *id;
};

/* The bytes of an answer; text comes in pieces of `chunk` characters. */
static char *
answer(enum api_kind kind, bool stream, const struct say *say, size_t chunk,
    enum gen_finish finish, const char *stop)
{
	struct gen_event end = { .type = GEN_END,
		.finish = finish,
		.stop = stop,
		.usage = {
		    .prompt = 10, .cached = 4, .sampled = 7, .thinking = 2 } };
	cleanup_buf struct buf out = { 0 };
	cleanup_free char *json = NULL;
	struct api_request q;
	struct api_reply *a;
	size_t i, n, k;
	char form[512];

	/* The formats are those above. */
	snprintf(form, sizeof(form), "%s", requests[kind]);
	k = (size_t)(strstr(form, "%s") - form);
	json = xasprintf(
	    "%.*s%s%s", (int)k, form, stream ? "true" : "false", form + k + 2);
	api_run_request(kind, json, &q);
	a = api_reply_new(&q, ID, "m", 1);
	for (; say->type != GEN_END; say++) {
		struct gen_event e = { .type = say->type,
			.call_id = say->id,
			.all = 9,
			.done = 3,
			.eta_ms = 1200 };

		n = say->words == NULL ? 0 : strlen(say->words);
		if (say->type == GEN_CALL_BEGIN || n == 0) {
			e.p = say->words;
			e.n = n;
			api_reply_event(a, &e, &out);
			continue;
		}
		for (i = 0; i < n; i += e.n) {
			e.p = say->words + i;
			e.n = n - i < chunk ? n - i : chunk;
			while (i + e.n < n && (e.p[e.n] & 0xc0) == 0x80)
				e.n++;
			api_reply_event(a, &e, &out);
		}
	}
	api_reply_event(a, &end, &out);
	api_reply_free(a);
	api_request_free(&q);
	buf_put_u8(&out, 0);
	return xstrdup((const char *)buf_head(&out));
}

#define CHUNK                                                                  \
	"data: {\"id\":\"chatcmpl-" ID "\",\"object\":"                        \
	"\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
#define DELTA(d)                                                               \
	CHUNK "\"choices\":[{\"index\":0,\"delta\":{" d                        \
	      "},\"finish_reason\":null}]}\n\n"

/* The types of a stream's events with what they say. */
static char *
outline(const char *stream)
{
	static const char *const said[] = { "delta", "text", "arguments",
		"input", "sequence_number", "output_index" };
	cleanup_buf struct buf b = { 0 };
	const char *at = stream, *end;
	size_t i;

	while ((at = strstr(at, "data: ")) != NULL) {
		cleanup_json_tree struct json_tree t = { 0 };
		uint32_t node;

		at += strlen("data: ");
		end = strchr(at, '\n');
		assert_int_equal(
		    json_tree_read(&t, at, (size_t)(end - at), NULL), 0);
		json_tree_str(&t, json_tree_get(&t, 0, "type"), &b);
		for (i = 0; i < nitems(said); i++) {
			node = json_tree_get(&t, 0, said[i]);
			if (node == 0)
				continue;
			buf_put_u8(&b, ' ');
			json_tree_dump(&t, node, &b);
		}
		buf_put_u8(&b, '\n');
	}
	buf_put_u8(&b, 0);
	return xstrdup((const char *)buf_head(&b));
}

#endif

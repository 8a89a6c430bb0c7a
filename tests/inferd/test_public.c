/*
 * Registered beginnings are found at the front of what agents ask, token by
 * token, and end where it becomes their own.
 */
#include "inferd/prompt_size.h"
#include "inferd/public.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compat.h"
#include "base/str.h"
#include "inferd/kv.h"
#include "tests/inferd/vocab_small.h"

#define DATE "2026-11-21"
#define SYSTEM "You are careful and write to nobody. 0123456789 abcdefghij"
#define TOOLS                                                                  \
	"[{\"name\":\"now\",\"description\":\"The time\",\"input_schema\":"    \
	"{\"type\":\"object\",\"properties\":{}}}]"
#define MESSAGES(system, user)                                                 \
	"{\"model\":\"m\",\"max_tokens\":9,\"system\":\"" system               \
	"\",\"tools\":" TOOLS ",\"messages\":[{\"role\":\"user\",\"content\":" \
	"\"" user "\"}]}"

struct world {
	struct vocab_small v;
	struct tok *tok;
	struct prompt_maker m;
	struct public_set *s;
};

static int
start(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct error err = { 0 };

	vocab_small_bpe(&w->v, "qwen2");
	w->tok = tok_new(&w->v.v, &err);
	assert_non_null(w->tok);
	w->m = (struct prompt_maker){
		.tok = w->tok, .vocab = &w->v.v, .family = CHAT_CHATML
	};
	w->s = public_new(&w->m);
	*state = w;
	return 0;
}

static int
end(void **state)
{
	struct world *w = *state;

	public_free(w->s);
	tok_free(w->tok);
	free(w);
	return 0;
}

static void
add(struct world *w, const char *text)
{
	struct error err = { 0 };

	if (public_add_text(w->s, text, strlen(text), &err) < 0)
		fail_msg("%s", err.msg);
}

static void
ask(struct world *w, enum api_kind kind, const char *body, struct tok_ids *ids)
{
	struct api_request r = { 0 };
	struct api_error e = { 0 };
	struct error err = { 0 };

	if (api_read(kind, body, strlen(body), &r, &e) < 0)
		fail_msg("%s", e.message);
	if (prompt_make(&w->m, &r, 1, DATE, ids, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	api_request_free(&r);
}

/* How much of it is public; *all: its tokens. */
static uint32_t
public_of(struct world *w, enum api_kind kind, const char *body, uint32_t *all)
{
	cleanup_tok_ids struct tok_ids ids = { 0 };

	ask(w, kind, body, &ids);
	*all = (uint32_t)ids.n;
	return public_match(w->s, DATE, ids.id, (uint32_t)ids.n);
}

static void
what_is_before_the_first_question_is_public(void **state)
{
	struct world *w = *state;
	cleanup_tok_ids struct tok_ids one = { 0 }, other = { 0 };
	uint32_t n, all, same = 0;

	add(w, MESSAGES(SYSTEM, "what is meant here?"));
	n = public_of(w, API_MESSAGES, MESSAGES(SYSTEM, "Is it?"), &all);
	ask(w, API_MESSAGES, MESSAGES(SYSTEM, "Is it?"), &one);
	ask(w, API_MESSAGES, MESSAGES(SYSTEM, "Or not?"), &other);
	while (one.id[same] == other.id[same])
		same++;
	/* The last one may belong to what comes behind. */
	assert_in_range(n, same - 1, same);
	assert_in_range(n, KV_PAGE + 1, all - 5);
	/* A question that is all of a prompt is the same, not more. */
	assert_int_equal(public_of(w, API_MESSAGES,
			     MESSAGES(SYSTEM, "what is meant here?"), &all),
	    n);
}

static void
what_parts_earlier_is_public_in_whole_pages(void **state)
{
	struct world *w = *state;
	uint32_t n, all;

	add(w, MESSAGES(SYSTEM SYSTEM SYSTEM, "?"));
	n = public_of(w, API_MESSAGES, MESSAGES(SYSTEM SYSTEM "X", "?"), &all);
	assert_true(n >= KV_PAGE);
	assert_int_equal(n % KV_PAGE, 0);
	assert_int_equal(
	    public_of(w, API_MESSAGES, MESSAGES("X" SYSTEM, "?"), &all), 0);
	/* The nearest of several. */
	add(w, MESSAGES("X" SYSTEM, "?"));
	assert_true(public_of(w, API_MESSAGES, MESSAGES("X" SYSTEM, "?"),
			&all) > KV_PAGE);
}

static void
each_protocol_is_recognised(void **state)
{
	struct world *w = *state;
	static const struct {
		enum api_kind kind;
		const char *body, *asked;
	} of[] = {
		{ API_CHAT,
		    "{\"messages\":[{\"role\":\"system\",\"content\":\"" SYSTEM
		    "\"},{\"role\":\"user\",\"content\":\"a\"}]}",
		    "{\"messages\":[{\"role\":\"system\",\"content\":\"" SYSTEM
		    "\"},{\"role\":\"user\",\"content\":\"Hi\"}]}" },
		{ API_RESPONSES,
		    " {\"instructions\":\"A " SYSTEM "\",\"input\":\"a\"}",
		    "{\"instructions\":\"A " SYSTEM "\",\"input\":\"Hi\"}" },
		{ API_COMPLETIONS, "{\"prompt\":\"B " SYSTEM "\"}",
		    "{\"prompt\":\"B " SYSTEM " and on\"}" },
		{ API_COMPLETIONS, "C " SYSTEM,
		    "{\"prompt\":\"C " SYSTEM ", yes\"}" },
	};

	for (size_t i = 0; i < nitems(of); i++) {
		uint32_t all;

		assert_int_equal(
		    public_of(w, of[i].kind, of[i].asked, &all), 0);
		add(w, of[i].body);
		assert_in_range(
		    public_of(w, of[i].kind, of[i].asked, &all), 30, all - 1);
	}
}

/* Fields that change are not part of it. */
static void
what_an_agent_changes_each_time_does_not_count(void **state)
{
	struct world *w = *state;
	uint32_t all;

	add(w, MESSAGES("x-anthropic-billing-header: cc_version=2.1.177.01c; "
			"cch=36ee5;" SYSTEM,
		   "?"));
	assert_int_equal(public_of(w, API_MESSAGES,
			     MESSAGES("x-anthropic-billing-header: "
				      "cc_version=2.1.177.abc; cch=36e"
				      "e5;" SYSTEM,
				 "?"),
			     &all) > KV_PAGE,
	    true);
}

static void
a_template_that_says_the_date_is_followed(void **state)
{
	struct world *w = *state;
	cleanup_tok_ids struct tok_ids ids = { 0 };
	uint32_t today;

	public_free(w->s);
	w->m.family = CHAT_HARMONY;
	w->s = public_new(&w->m);
	add(w, MESSAGES(SYSTEM, "?"));
	ask(w, API_MESSAGES, MESSAGES(SYSTEM, "Hi"), &ids);
	today = public_match(w->s, DATE, ids.id, (uint32_t)ids.n);
	assert_true(today > 2 * KV_PAGE);
	assert_true(
	    public_match(w->s, "2026-11-22", ids.id, (uint32_t)ids.n) < today);
	assert_int_equal(
	    public_match(w->s, DATE, ids.id, (uint32_t)ids.n), today);
}

static void
what_is_no_beginning_is_refused(void **state)
{
	struct world *w = *state;
	static const char *const texts[] = {
		"{",
		"{}",
		"{\"messages\":[]}",
		"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
		"{\"system\":3,\"messages\":[]}",
	};
	struct error err = { 0 };

	for (size_t i = 0; i < nitems(texts); i++) {
		assert_int_equal(
		    public_add_text(w->s, texts[i], strlen(texts[i]), &err),
		    -1);
		assert_true(err.msg[0] != '\0');
	}
	assert_int_equal(public_add(w->s, "/nonexistent/file", &err), -1);
	assert_non_null(strstr(err.msg, "/nonexistent/file"));
	assert_int_equal(public_match(NULL, DATE, NULL, 0), 0);
	for (uint32_t i = 0; i < PUBLIC_MAX; i++)
		add(w, SYSTEM);
	assert_int_equal(public_add_text(w->s, "a", 1, &err), -1);
}

static void
a_file_is_read(void **state)
{
	struct world *w = *state;
	char path[] = "/tmp/test_public.XXXXXX";
	const int fd = mkstemp(path);
	struct error err = { 0 };
	uint32_t all;

	assert_true(write(fd, SYSTEM, strlen(SYSTEM)) > 0);
	close(fd);
	assert_int_equal(public_add(w->s, path, &err), 0);
	unlink(path);
	assert_true(public_of(w, API_COMPLETIONS,
			"{\"prompt\":\"" SYSTEM "!\"}", &all) > 20);
}

#define with_world(f) cmocka_unit_test_setup_teardown(f, start, end)

/* How many tokens thoughts are that an assistant had in the turn that goes on,
 * by the number that is made or told. */
static uint32_t
thoughts_of(struct world *w, size_t n, uint32_t most)
{
	const struct chat_call call = { { "call_1", 6 }, { "f", 1 },
		{ "{}", 2 } };
	cleanup_free char *text = xmalloc(n);
	const struct chat_message m[] = {
		{ .role = CHAT_USER, .text = { "hi", 2 } },
		{ .role = CHAT_ASSISTANT,
		    .thinking = { text, n },
		    .calls = &call,
		    .ncalls = 1 },
		{ .role = CHAT_TOOL,
		    .text = { "1", 1 },
		    .call_id = { "call_1", 6 } },
	};
	const struct api_request r = { .kind = API_CHAT,
		.thinking_max = -1,
		.chat = { .messages = m, .nmessages = 3 } };
	struct prompt_maker maker = w->m;
	cleanup_tok_ids struct tok_ids ids = { 0 };
	struct error err = { 0 };
	uint32_t exceeds = 0;

	for (size_t i = 0; i < n; i++)
		text[i] = (char)('b' + i * 7 % 23);
	maker.family = CHAT_QWEN3;
	maker.most = most;
	maker.exceeds = &exceeds;
	if (prompt_make(&maker, &r, 1, DATE, &ids, NULL, &err) == 0) {
		assert_int_equal(exceeds, 0);
		return (uint32_t)ids.n;
	}
	assert_int_equal(err.code, E2BIG);
	assert_int_equal(ids.n, 0);
	assert_true(exceeds > most);
	return exceeds;
}

static void
what_cannot_fit_is_not_made(void **state)
{
	struct world *w = *state;
	const uint32_t all = thoughts_of(w, PROMPT_LONG + 1000, UINT32_MAX),
		       about = thoughts_of(w, PROMPT_LONG + 1000, 5000);

	assert_true(all > 100000);
	assert_in_range(about, all - all / 8, all + all / 8);
	/* What is not long is made, whoever refuses it then. */
	assert_true(thoughts_of(w, 20000, 100) > 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		with_world(what_is_before_the_first_question_is_public),
		with_world(what_parts_earlier_is_public_in_whole_pages),
		with_world(each_protocol_is_recognised),
		with_world(what_an_agent_changes_each_time_does_not_count),
		with_world(a_template_that_says_the_date_is_followed),
		with_world(what_is_no_beginning_is_refused),
		with_world(a_file_is_read),
		with_world(what_cannot_fit_is_not_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Records: what they hold, that their chain shows any change, and that a
 * completion comes out of one again, bit for bit.
 */
#include "inferd/record.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "inferd/again.h"
#include "inferd/engine.h"
#include "inferd/grammar.h"
#include "inferd/json_tree.h"
#include "tests/inferd/engine_world.h"

#define ASKED 6u

/* How often a file was told to be on disk, and whether that can be. */
static unsigned int synced;
static bool sync_fails;

int
fdatasync(int fd)
{
	(void)fd;
	synced++;
	errno = EIO;
	return sync_fails ? -1 : 0;
}

struct asked {
	struct world *w;
	struct gen_request r;
	int32_t *prompt;
	struct record_turn *turn;
	uint8_t *prev;
	struct buf *lines;
	bool text, over;
};

static void
on_event(const struct gen_event *e, void *arg)
{
	struct asked *a = arg;
	char id[16] = "answer-0";
	const struct record_entry entry = { .time_ms = 1,
		.id = id,
		.agent = "tester",
		.model = model_id(a->w->model),
		.kv = "F16",
		.ids = a->prompt,
		.n = a->r.n,
		.params = &a->r.params,
		.end = e };

	record_turn_event(a->turn, e);
	if (e->type != GEN_END)
		return;
	id[7] = (char)('0' + (int)a->r.params.sample.seed);
	record_line(&entry, a->turn, a->text, a->prev, a->lines);
	a->over = true;
}

/* Completions of many in one batch, as lines. */
static void
record_some(
    struct world *w, const struct grammar *g, bool text, struct buf *lines)
{
	const struct engine_opts o = { .threads = 2,
		.kv_type = TT_F16,
		.kv_budget = 64u << 20,
		.context = 2048,
		.batch_max = ASKED };
	const struct agent_budget none = { 0 };
	struct agents *agents = agents_new(&none);
	struct ev *ev = ev_new();
	struct error err = { 0 };
	struct engine *e = engine_new(ev, w->model, w->tok, &o, &err);
	struct asked a[ASKED];
	uint8_t prev[RECORD_HASH] = { 0 };
	enum engine_refusal why;
	uint32_t i, retry;

	assert_non_null(e);
	for (i = 0; i < ASKED; i++) {
		a[i] = (struct asked){ .w = w,
			.prompt = world_prompt(w, i, 40 + 30 * i),
			.turn = record_turn_new(),
			.prev = prev,
			.lines = lines,
			.text = text };
		a[i].r = (struct gen_request){ .agent = agents_find(
						   agents, "tester"),
			.prompt = world_prompt(w, i, 40 + 30 * i),
			.n = 40 + 30 * i,
			.params = world_params(24, i),
			.fn = on_event,
			.arg = &a[i] };
		if (i % 2 == 1)
			a[i].r.params.grammar = g;
		assert_non_null(engine_submit(e, &a[i].r, &why, &retry, &err));
	}
	for (i = 0; i < ASKED; i++)
		while (!a[i].over)
			ev_once(ev, 1000);
	engine_free(e);
	for (i = 0; i < ASKED; i++) {
		free(a[i].prompt);
		record_turn_free(a[i].turn);
	}
	agents_free(agents);
	ev_free(ev);
}

static void
what_was_recorded_comes_out_again(void **state)
{
	struct grammar *g = schema_compile("", 0, NULL);
	struct world w;
	cleanup_buf struct buf lines = { 0 };
	struct error err = { 0 };
	struct net *net;
	uint8_t prev[RECORD_HASH] = { 0 };
	const char *p, *end;
	size_t n = 0, at, changed = 0;

	(void)state;
	world_new(&w);
	record_some(&w, g, true, &lines);
	net = net_new(model_table(w.model), &err);
	assert_non_null(net);
	p = (const char *)buf_head(&lines);
	for (; (end = strchr(p, '\n')) != NULL && n < ASKED; p = end + 1, n++) {
		size_t len = (size_t)(end - p);
		cleanup_free char *other = xstrndup(p, len);
		char *seed = strstr(other, "\"seed\":\""), *sampled;
		struct again a = { net, w.tok, model_id(w.model), NULL, 1, 7 };

		assert_true(record_check(p, len, prev));
		assert_int_equal(again_line(&a, p, len, &at, &err), AGAIN_SAME);
		assert_true(at > 0);
		a.threads = 2;
		a.slice = 0;
		assert_int_equal(again_line(&a, p, len, &at, &err), AGAIN_SAME);
		/* Another seed, another token. */
		assert_non_null(seed);
		seed[8] = '9';
		changed += again_line(&a, other, len, &at, &err) == AGAIN_OTHER;
		seed[8] = p[seed + 8 - other];
		sampled = strstr(other, "\"sampled\":[");
		assert_non_null(sampled);
		sampled[11 + strspn(sampled + 11, "0123456789") - 1] ^= 1;
		assert_int_equal(
		    again_line(&a, other, len, &at, &err), AGAIN_OTHER);
		assert_int_equal(at, 0);
		a.model = "another";
		assert_int_equal(
		    again_line(&a, p, len, &at, &err), AGAIN_CANNOT);
		if (n + 1 == ASKED)
			break;
	}
	assert_int_equal(n + 1, ASKED);
	assert_true(changed > 0);
	net_free(net);
	world_free(&w);
	grammar_free(g);
}

static void
without_text_there_are_hashes_alone(void **state)
{
	struct world w;
	cleanup_buf struct buf lines = { 0 };

	(void)state;
	world_new(&w);
	record_some(&w, NULL, false, &lines);
	buf_put_u8(&lines, 0);
	assert_null(strstr((char *)buf_head(&lines), "\"all\""));
	assert_null(strstr((char *)buf_head(&lines), "\"prompt\":["));
	assert_non_null(strstr((char *)buf_head(&lines), "\"sha256\":\""));
	world_free(&w);
}

static struct record_entry
entry(const struct gen_params *p, const struct gen_event *end)
{
	static const int32_t ids[] = { 1, 2 };

	return (struct record_entry){ .id = "x",
		.agent = "a\n\"b",
		.model = "m",
		.kv = "F16",
		.ids = ids,
		.n = 2,
		.params = p,
		.end = end };
}

static void
a_change_shows_and_the_chain_goes_on(void **state)
{
	char path[] = "/tmp/record-XXXXXX";
	const struct gen_params p = { .max_tokens = 1 };
	const struct gen_event end = { .type = GEN_END, .finish = GEN_STOP };
	const struct record_entry e = entry(&p, &end);
	struct error err = { 0 };
	struct record *r;
	int fd = mkstemp(path), i;
	char c;

	(void)state;
	assert_true(fd >= 0);
	for (i = 0; i < 3; i++) {
		r = record_open(path, i == 1, &err);
		assert_non_null(r);
		assert_int_equal(record_add(r, &e, NULL, &err), 0);
		assert_int_equal(record_add(r, &e, NULL, &err), 0);
		record_close(r);
	}
	assert_int_equal(pread(fd, &c, 1, 100), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, 100), 1);
	assert_null(record_open(path, false, &err));
	assert_non_null(strstr(err.msg, "line 1"));
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, 100), 1);
	/* Others may not read it. */
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_null(record_open(path, false, &err));
	assert_int_equal(fchmod(fd, 0600), 0);
	r = record_open(path, false, &err);
	assert_non_null(r);
	record_close(r);
	/* The end is cut off within a line. */
	assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - 3), 0);
	assert_null(record_open(path, false, &err));
	close(fd);
	unlink(path);
}

/* SHA-256 of the text of each piece, as FIPS 180-2 has them of these two. */
static void
what_a_prompt_is_made_of_is_hashed(void **state)
{
	static const char want[] =
	    "\"segments\":["
	    "{\"origin\":\"template\",\"n\":0,\"sha256\":\"e3b0c44298fc1c149"
	    "afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"},"
	    "{\"origin\":\"user\",\"n\":3,\"sha256\":\"ba7816bf8f01cfea"
	    "414140de5dae2223b00361a396177a9cb410ff61f20015ad\"},"
	    "{\"origin\":\"tool\",\"n\":56,\"sha256\":\"248d6a61d20638b8"
	    "e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1\"}]}";
	struct prompt_segment segments[] = { { PROMPT_TEMPLATE, 2, 0 },
		{ PROMPT_USER, 2, 3 }, { PROMPT_TOOL, 5, 56 } };
	struct prompt prompt = { .segment = segments, .nsegments = 3 };
	const struct gen_params p = { .max_tokens = 1 };
	const struct gen_event end = { .type = GEN_END, .finish = GEN_STOP };
	const struct record_entry e = entry(&p, &end);
	struct record_turn *t = record_turn_new();
	cleanup_buf struct buf line = { 0 };
	uint8_t prev[RECORD_HASH] = { 0 };

	(void)state;
	buf_printf(&prompt.text,
	    "??abcabcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmno"
	    "mnopnopq!");
	record_turn_prompt(t, &prompt);
	buf_free(&prompt.text);
	record_line(&e, t, false, prev, &line);
	buf_put_u8(&line, 0);
	assert_non_null(strstr((char *)buf_head(&line), want));
	record_turn_free(t);
}

static void
a_call_that_was_cut_off_is_recorded_as_such(void **state)
{
	static const struct gen_event said[] = {
		{ .type = GEN_CALL_BEGIN, .p = "f", .n = 1, .call_id = "a" },
		{ .type = GEN_CALL_ARGS, .p = "{}", .n = 2 },
		{ .type = GEN_CALL_END },
		{ .type = GEN_CALL_BEGIN, .p = "f", .n = 1, .call_id = "b" },
		{ .type = GEN_CALL_ARGS, .p = "{\"x", .n = 3 },
	};
	const struct gen_params p = { .max_tokens = 1 };
	const struct gen_event end = { .type = GEN_END, .finish = GEN_LENGTH };
	const struct record_entry e = entry(&p, &end);
	struct record_turn *t = record_turn_new();
	cleanup_json_tree struct json_tree tree = { 0 };
	cleanup_buf struct buf line = { 0 };
	uint8_t prev[RECORD_HASH] = { 0 };
	uint32_t calls, second;

	(void)state;
	for (size_t i = 0; i < nitems(said); i++)
		record_turn_event(t, &said[i]);
	record_turn_event(t, &end);
	record_line(&e, t, false, prev, &line);
	assert_int_equal(json_tree_read(&tree, (char *)buf_head(&line),
			     buf_len(&line), NULL),
	    0);
	calls = json_tree_get(&tree, 0, "calls");
	assert_int_equal(json_tree_count(&tree, calls), 2);
	second = json_tree_first(&tree, calls);
	assert_int_equal(json_tree_get(&tree, second, "cut"), 0);
	second = tree.node[second].next;
	assert_int_not_equal(json_tree_get(&tree, second, "cut"), 0);
	record_turn_free(t);
}

static void
behind_a_line_that_failed_there_is_none(void **state)
{
	char path[] = "/tmp/record-XXXXXX", cut[64];
	const struct gen_params p = { .max_tokens = 1 };
	const struct gen_event end = { .type = GEN_END, .finish = GEN_STOP };
	const struct record_entry e = entry(&p, &end);
	struct error err = { 0 };
	struct rlimit was, less;
	struct record *r;
	off_t whole;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	r = record_open(path, false, &err);
	assert_non_null(r);
	assert_int_equal(record_add(r, &e, NULL, &err), 0);
	assert_false(record_has_failed(r));
	whole = lseek(fd, 0, SEEK_END);
	less = was;
	less.rlim_cur = (rlim_t)whole + 100;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
	assert_int_equal(record_add(r, &e, NULL, &err), -1);
	assert_int_equal(err.code, EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_true(record_has_failed(r));
	assert_int_equal(lseek(fd, 0, SEEK_END), whole + 100);
	/* There is room again, and nothing is put behind the part. */
	assert_int_equal(record_add(r, &e, NULL, &err), -1);
	assert_int_equal(lseek(fd, 0, SEEK_END), whole + 100);
	record_close(r);

	assert_null(record_open(path, false, &err));
	snprintf(cut, sizeof(cut), "line 2 was not written whole");
	assert_non_null(strstr(err.msg, cut));
	snprintf(cut, sizeof(cut), "truncate -s %lld", (long long)whole);
	assert_non_null(strstr(err.msg, cut));
	/* What it says helps. */
	assert_int_equal(truncate(path, whole), 0);
	r = record_open(path, false, &err);
	assert_non_null(r);
	assert_int_equal(record_add(r, &e, NULL, &err), 0);
	record_close(r);
	r = record_open(path, false, &err);
	assert_non_null(r);
	record_close(r);
	close(fd);
	unlink(path);
}

static void
a_line_that_was_added_is_on_disk(void **state)
{
	char path[] = "/tmp/record-XXXXXX";
	const struct gen_params p = { .max_tokens = 1 };
	const struct gen_event end = { .type = GEN_END, .finish = GEN_STOP };
	const struct record_entry e = entry(&p, &end);
	struct error err = { 0 };
	struct record *r;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	r = record_open(path, false, &err);
	assert_non_null(r);
	synced = 0;
	assert_int_equal(record_add(r, &e, NULL, &err), 0);
	assert_int_equal(synced, 1);
	sync_fails = true;
	assert_int_equal(record_add(r, &e, NULL, &err), -1);
	sync_fails = false;
	assert_int_equal(err.code, EIO);
	assert_true(record_has_failed(r));
	assert_int_equal(record_add(r, &e, NULL, &err), -1);
	record_close(r);
	close(fd);
	unlink(path);
}

static void
one_process_writes_it(void **state)
{
	char path[] = "/tmp/record-XXXXXX";
	struct error err = { 0 };
	struct record *r;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	r = record_open(path, false, &err);
	assert_non_null(r);
	assert_null(record_open(path, false, &err));
	assert_non_null(strstr(err.msg, "another process writes it"));
	record_close(r);
	r = record_open(path, false, &err);
	assert_non_null(r);
	record_close(r);
	close(fd);
	unlink(path);
}

/* line with `from`, which is in it, as `to`. */
static char *
other_line(const char *line, const char *from, const char *to)
{
	const char *at = strstr(line, from);

	assert_non_null(at);
	return xasprintf(
	    "%.*s%s%s", (int)(at - line), line, to, at + strlen(from));
}

static void
what_no_engine_has_recorded_is_not_computed(void **state)
{
	static const struct {
		const char *from, *to;
		enum again_result result;
	} cases[] = {
		{ "\"kv\":\"F16\"", "\"kv\":\"BF16\"", AGAIN_CANNOT },
		/* Of which no head is a block. */
		{ "\"kv\":\"F16\"", "\"kv\":\"Q4_K\"", AGAIN_CANNOT },
		{ "\"kv\":\"F16\"", "\"kv\":7", AGAIN_CANNOT },
		{ "\"max_tokens\":24", "\"max_tokens\":1e30", AGAIN_CANNOT },
		{ "\"max_tokens\":24", "\"max_tokens\":-1", AGAIN_CANNOT },
		{ "\"tool_choice\":0", "\"tool_choice\":1e30", AGAIN_SAME },
		{ "\"tool_choice\":0", "\"tool_choice\":-3", AGAIN_SAME },
		{ "\"tool_choice\":0", "\"tool_choice\":99", AGAIN_SAME },
	};
	struct world w;
	cleanup_buf struct buf lines = { 0 };
	struct error err = { 0 };
	struct net *net;
	struct again a;
	char *line;
	size_t at;

	(void)state;
	world_new(&w);
	record_some(&w, NULL, true, &lines);
	net = net_new(model_table(w.model), &err);
	assert_non_null(net);
	line = (char *)buf_head(&lines);
	*strchr(line, '\n') = '\0';
	a = (struct again){ net, w.tok, model_id(w.model), NULL, 1, 0 };
	assert_int_equal(
	    again_line(&a, line, strlen(line), &at, &err), AGAIN_SAME);
	for (size_t i = 0; i < nitems(cases); i++) {
		cleanup_free char *other =
		    other_line(line, cases[i].from, cases[i].to);

		if (again_line(&a, other, strlen(other), &at, &err) !=
		    cases[i].result)
			fail_msg("%s", cases[i].to);
	}
	net_free(net);
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_recorded_comes_out_again),
		cmocka_unit_test(a_line_that_was_added_is_on_disk),
		cmocka_unit_test(one_process_writes_it),
		cmocka_unit_test(what_no_engine_has_recorded_is_not_computed),
		cmocka_unit_test(without_text_there_are_hashes_alone),
		cmocka_unit_test(what_a_prompt_is_made_of_is_hashed),
		cmocka_unit_test(a_change_shows_and_the_chain_goes_on),
		cmocka_unit_test(a_call_that_was_cut_off_is_recorded_as_such),
		cmocka_unit_test(behind_a_line_that_failed_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "inferd/again.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "inferd/backend.h"
#include "inferd/completion.h"
#include "inferd/grammar.h"
#include "inferd/json_tree.h"
#include "inferd/record.h"
#include "inferd/run.h"

#define SLICE 128u

/* A line that was read, and what it points to. */
struct past {
	struct json_tree t;
	struct gen_params p;
	struct buf text;
	struct chat_tool *tools;
	struct grammar **owned;
	const struct grammar **held;
	struct chat_text *stop;
	struct tok_ids prompt, sampled;
	struct grammar *grammar;
	enum tensor_type kv;
	const struct steer *steer;
};

static void
past_free(struct past *p)
{
	size_t i;

	for (i = 0; p->owned != NULL && i < p->p.ntools; i++)
		grammar_free(p->owned[i]);
	grammar_free(p->grammar);
	free(p->owned);
	free(p->held);
	free(p->tools);
	free(p->stop);
	tok_ids_free(&p->prompt);
	tok_ids_free(&p->sampled);
	buf_free(&p->text);
	json_tree_free(&p->t);
}

static double
number(const struct past *p, uint32_t object, const char *name)
{
	uint32_t id = json_tree_get(&p->t, object, name);
	char s[64] = "";

	if (id != 0 && p->t.node[id].n < sizeof(s))
		memcpy(s, p->t.text + p->t.node[id].from, p->t.node[id].n);
	return strtod(s, NULL);
}

/* 0 for what is no whole number up to max. */
static uint32_t
whole(const struct past *p, uint32_t object, const char *name, uint32_t max)
{
	const double v = number(p, object, name);

	return v >= 0 && v <= max ? (uint32_t)v : 0;
}

static bool
truth(const struct past *p, uint32_t object, const char *name)
{
	uint32_t id = json_tree_get(&p->t, object, name);

	return id != 0 && p->t.node[id].type == JSON_TRUE;
}

/* A string's bytes, kept in p->text, which has room for all of them. */
static struct chat_text
bytes(struct past *p, uint32_t id)
{
	size_t from = buf_len(&p->text);

	if (id != 0 && p->t.node[id].type == JSON_STR)
		json_tree_str(&p->t, id, &p->text);
	return (struct chat_text){ (const char *)buf_head(&p->text) + from,
		buf_len(&p->text) - from };
}

static char *
string(const struct past *p, uint32_t object, const char *name)
{
	cleanup_buf struct buf b = { 0 };
	uint32_t id = json_tree_get(&p->t, object, name);

	if (id == 0 || p->t.node[id].type != JSON_STR)
		return NULL;
	json_tree_str(&p->t, id, &b);
	return xstrndup((const char *)buf_head(&b), buf_len(&b));
}

static int
ids(const struct past *p, uint32_t list, uint32_t vocab, struct tok_ids *out)
{
	uint64_t v;
	uint32_t i;

	for (i = json_tree_first(&p->t, list); i != 0; i = p->t.node[i].next) {
		char s[16] = "";

		if (p->t.node[i].n >= sizeof(s))
			return -1;
		memcpy(s, p->t.text + p->t.node[i].from, p->t.node[i].n);
		if (str_to_u64(s, 0, vocab - 1, &v) < 0)
			return -1;
		tok_ids_push(out, (int32_t)v);
	}
	return out->n > 0 || list != 0 ? 0 : -1;
}

static int
tools(struct past *p, uint32_t all, struct error *err)
{
	uint32_t list = json_tree_get(&p->t, all, "tools"), i;
	size_t n = list == 0 ? 0 : json_tree_count(&p->t, list), k = 0;

	p->tools = xcalloc(n + 1, sizeof(*p->tools));
	p->owned = xcalloc(n + 1, sizeof(*p->owned));
	p->held = xcalloc(n + 1, sizeof(*p->held));
	p->p.ntools = n;
	p->p.tools = p->tools;
	for (i = json_tree_first(&p->t, list); list != 0 && i != 0;
	     i = p->t.node[i].next, k++) {
		struct chat_tool *t = &p->tools[k];

		t->name = bytes(p, json_tree_get(&p->t, i, "name"));
		t->schema = bytes(p, json_tree_get(&p->t, i, "schema"));
		if (!truth(p, i, "strict"))
			continue;
		p->owned[k] = schema_compile(t->schema.p, t->schema.n, err);
		if (p->owned[k] == NULL)
			return -1;
		p->held[k] = p->owned[k];
	}
	if (truth(p, all, "held"))
		p->p.tool_grammar = p->held;
	return 0;
}

static void
stops(struct past *p, uint32_t all)
{
	uint32_t list = json_tree_get(&p->t, all, "stop"), i;

	if (list == 0)
		return;
	p->stop = xcalloc(json_tree_count(&p->t, list) + 1, sizeof(*p->stop));
	for (i = json_tree_first(&p->t, list); i != 0; i = p->t.node[i].next)
		p->stop[p->p.nstop++] = bytes(p, i);
	p->p.stop = p->stop;
}

static void
numbers(struct past *p, uint32_t params)
{
	cleanup_free char *family = string(p, params, "family");
	cleanup_free char *seed = string(p, params, "seed");
	struct sample_params *s = &p->p.sample;

	p->p.family = family == NULL ? CHAT_NONE : template_find(family);
	if (seed != NULL)
		(void)str_to_u64(seed, 0, UINT64_MAX, &s->seed);
	s->temperature = (float)number(p, params, "temperature");
	s->top_p = (float)number(p, params, "top_p");
	s->min_p = (float)number(p, params, "min_p");
	s->top_k = whole(p, params, "top_k", UINT32_MAX);
	p->p.max_tokens = whole(p, params, "max_tokens", UINT32_MAX);
	p->p.thinking_max = whole(p, params, "thinking_max", UINT32_MAX);
}

/* The type of keys and values by its name; -1: they cannot be kept so. */
static int
kv_type(const struct hparams *hp, const char *name, enum tensor_type *out)
{
	const int type = name == NULL ? -1 : tensor_type_find(name);

	if (type < 0 || !kv_fits(hp, (enum tensor_type)type))
		return -1;
	*out = (enum tensor_type)type;
	return 0;
}

static enum again_result
past_read(const struct again *a, struct past *p, const char *line, size_t n,
    struct error *err)
{
	cleanup_free char *model = NULL, *steer = NULL, *kv = NULL;
	uint32_t all, params;

	if (json_tree_read(&p->t, line, n, err) < 0)
		return AGAIN_CANNOT;
	all = json_tree_get(&p->t, 0, "all");
	params = json_tree_get(&p->t, 0, "params");
	if (all == 0)
		return AGAIN_NO_TEXT;
	/* Nothing that is decoded is longer than the line. */
	if (buf_reserve(&p->text, n) == NULL)
		return AGAIN_CANNOT;
	model = string(p, 0, "model");
	steer = string(p, 0, "steer");
	kv = string(p, 0, "kv");
	if (!str_eq(model, a->model)) {
		error_set(
		    err, 0, "it was model %.64s", model == NULL ? "?" : model);
		return AGAIN_CANNOT;
	}
	p->steer = steer == NULL ? NULL : steers_find(a->steers, steer);
	if ((steer != NULL && p->steer == NULL) ||
	    kv_type(&a->net->hp, kv, &p->kv) < 0) {
		error_set(err, 0,
		    "its class of steering or its type of keys "
		    "and values is not here");
		return AGAIN_CANNOT;
	}
	numbers(p, params);
	p->p.chat = truth(p, all, "chat");
	if (p->p.chat && p->p.family == CHAT_NONE) {
		error_set(err, 0, "it was of a template that is not here");
		return AGAIN_CANNOT;
	}
	p->p.thinking = truth(p, all, "thinking");
	p->p.one_call = truth(p, all, "one_call");
	p->p.tool_choice =
	    (enum tool_choice)whole(p, all, "tool_choice", TOOLS_NAMED);
	p->p.tool_name = bytes(p, json_tree_get(&p->t, all, "tool_name"));
	stops(p, all);
	if (tools(p, all, err) < 0)
		return AGAIN_CANNOT;
	if (json_tree_get(&p->t, all, "schema") != 0) {
		struct chat_text s =
		    bytes(p, json_tree_get(&p->t, all, "schema"));

		p->grammar = schema_compile(s.p, s.n, err);
		if (p->grammar == NULL)
			return AGAIN_CANNOT;
		p->p.grammar = p->grammar;
	}
	if (ids(p, json_tree_get(&p->t, all, "prompt"), a->net->hp.vocab,
		&p->prompt) < 0 ||
	    ids(p, json_tree_get(&p->t, all, "sampled"), a->net->hp.vocab,
		&p->sampled) < 0 ||
	    p->prompt.n == 0 || p->p.max_tokens == 0 ||
	    p->prompt.n + p->sampled.n >= UINT32_MAX) {
		error_set(err, 0, "its tokens are not this model's");
		return AGAIN_CANNOT;
	}
	return AGAIN_SAME;
}

static void
hear(const struct gen_event *e, void *arg)
{
	(void)e;
	(void)arg;
}

/* Logits behind the prompt, in slices. */
static void
read_prompt(const struct past *p, struct run *run, struct kv_seq *s,
    uint32_t slice, float *logits)
{
	cleanup_free struct row *rows = xcalloc(slice, sizeof(*rows));
	uint32_t i = 0, n, all = (uint32_t)p->prompt.n;

	while (i < all) {
		for (n = 0; n < slice && i < all; n++, i++)
			rows[n] = (struct row){ .seq = s,
				.pos = i,
				.token = (uint32_t)p->prompt.id[i],
				.want = i + 1 == all };
		run_rows(run, rows, n, logits);
	}
}

static enum again_result
say_again(const struct again *a, const struct past *p, size_t *at)
{
	static const uint8_t no_ids[16];
	uint32_t slice = a->slice == 0 ? SLICE : a->slice;
	struct pool *pool = pool_new(a->threads);
	struct kv_pool *kv = kv_pool_new(&a->net->hp, p->kv, SIZE_MAX);
	struct run *run = run_new(a->net, pool, p->kv, slice);
	struct kv_seq *s = kv_seq_new(kv);
	struct completion *c =
	    completion_new(a->tok, &p->p, no_ids, NULL, hear, NULL);
	float *logits = xcalloc(a->net->hp.vocab, sizeof(*logits));
	enum again_result result = AGAIN_SAME;
	uint32_t token;

	kv_seq_steer(s, p->steer);
	if (kv_seq_reserve(s, (uint32_t)(p->prompt.n + p->sampled.n)) == 0)
		read_prompt(p, run, s, slice, logits);
	for (*at = 0; *at < p->sampled.n; (*at)++) {
		const struct row row = { .seq = s,
			.pos = (uint32_t)(p->prompt.n + *at),
			.token = (uint32_t)p->sampled.id[*at],
			.want = true };

		if (completion_state(c) != GEN_GOING) {
			result = AGAIN_OTHER;
			break;
		}
		token = completion_next(c, logits);
		if (token != (uint32_t)p->sampled.id[*at]) {
			result = AGAIN_OTHER;
			break;
		}
		if (*at + 1 < p->sampled.n)
			run_rows(run, &row, 1, logits);
	}
	completion_free(c);
	kv_seq_free(s);
	run_free(run);
	kv_pool_free(kv);
	pool_free(pool);
	free(logits);
	return result;
}

enum again_result
again_line(const struct again *a, const char *line, size_t n, size_t *at,
    struct error *err)
{
	struct past p = { .kv = TT_F16 };
	enum again_result result = past_read(a, &p, line, n, err);

	if (result == AGAIN_SAME)
		result = say_again(a, &p, at);
	past_free(&p);
	return result;
}

/* Does the line speak of this answer? */
static bool
is_wanted(const char *line, size_t n, const char *id)
{
	cleanup_json_tree struct json_tree t = { 0 };

	return id == NULL ||
	       (json_tree_read(&t, line, n, NULL) == 0 &&
		   json_tree_get(&t, 0, "id") != 0 &&
		   json_tree_is(&t, json_tree_get(&t, 0, "id"), id));
}

static bool
print_line(const struct again *a, const char *p, size_t n, size_t line)
{
	struct error err = { 0 };
	size_t at = 0;

	switch (again_line(a, p, n, &at, &err)) {
	case AGAIN_SAME:
		printf("line %zu: the same, %zu tokens\n", line, at);
		return true;
	case AGAIN_NO_TEXT:
		printf("line %zu: recorded without text\n", line);
		return true;
	case AGAIN_OTHER:
		printf("line %zu: NOT the same from token %zu on\n", line, at);
		return false;
	case AGAIN_CANNOT:
		break;
	}
	printf("line %zu: cannot be computed here: %s\n", line, err.msg);
	return false;
}

int
again_print(const struct again *a, const char *path, const char *id)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_record_reader struct record_reader r = { .fd = fd };
	size_t n, wanted = 0;
	const char *p;
	enum record_next next;
	bool good = true;

	next = fd < 0 ? RECORD_FAILED : RECORD_LINE;
	while (next == RECORD_LINE) {
		next = record_read(&r, &p, &n);
		if (next != RECORD_LINE || !is_wanted(p, n, id))
			continue;
		wanted++;
		good &= print_line(a, p, n, r.line);
	}
	switch (next) {
	case RECORD_LINE:
	case RECORD_OVER:
		break;
	case RECORD_TORN:
		printf("line %zu: NOT written whole\n", r.line + 1);
		return EXIT_FAILURE;
	case RECORD_CHANGED:
		printf("line %zu: NOT as it was written\n", r.line + 1);
		return EXIT_FAILURE;
	case RECORD_FAILED:
		fprintf(stderr, "inferd: %s: %s\n", path, strerror(errno));
		return EXIT_FAILURE;
	}
	if (wanted == 0)
		fprintf(stderr, "inferd: %s: no such completion\n", path);
	return good && wanted > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
again(const struct backend_opts *b, const char *path, const char *id)
{
	struct error err = { 0 };
	struct model *m = model_open(b->model, &b->open, &err);
	struct net *net = m == NULL ? NULL : net_new(model_table(m), &err);
	struct tok *tok =
	    net == NULL ? NULL : tok_new(&model_table(m)->vocab, &err);
	struct steers *steers = tok == NULL ? NULL : steers_new(&net->hp);
	int rc = EXIT_FAILURE;
	bool good = tok != NULL;

	for (size_t i = 0; good && i < b->nsteer; i++)
		good = steers_add(steers, b->steer[i], &err) == 0;
	if (good) {
		const struct again a = { .net = net,
			.tok = tok,
			.model = model_id(m),
			.steers = steers,
			.threads = b->engine.threads };

		rc = again_print(&a, path, id);
	} else {
		fprintf(stderr, "inferd: %s\n", err.msg);
	}
	steers_free(steers);
	tok_free(tok);
	net_free(net);
	model_close(m);
	return rc;
}

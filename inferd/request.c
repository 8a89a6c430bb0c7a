#include "inferd/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"
#include "inferd/call_loop.h"
#include "inferd/grammar.h"
#include "inferd/prompt.h"
#include "inferd/record.h"

#define ID_SIZE 24u
#define DATE_SIZE 11u
#define TOOL_GRAMMARS_MAX (16u << 20) /* bytes, of one request */
#define RETRY_MAX_S 60u /* somebody is to be told what takes longer */

struct request {
	struct server *s;
	struct caller *k;      /* NULL: it has hung up */
	struct client *client; /* whose numbers it counts in */
	struct agent *agent;
	struct replay_turn *turn; /* of a chat */
	/* For the record, if there is one. */
	struct record_turn *made;
	int32_t *prompt;
	size_t nprompt;
	char id[ID_SIZE + 1];
	struct request *prev, *next;
	enum api_kind kind;
	struct api_request api;
	struct api_reply *reply;
	struct gen *gen;
	struct gen_params params;
	struct call_loop loop;
	struct grammar *grammar;
	struct grammar **tool_grammar; /* [api.chat.ntools], or NULL */
	char date[DATE_SIZE];
	size_t held; /* bytes that it is counted with */
	bool streaming;
};

/* ---- life --------------------------------------------------------------- */

static struct request *
request_new(struct caller *k, enum api_kind kind)
{
	struct request *q = xcalloc(1, sizeof(*q));
	struct server *s = k->s;

	q->s = s;
	q->k = k;
	q->kind = kind;
	q->client = k->client;
	q->client->open++;
	q->agent = k->agent;
	q->agent->held++;
	/* Its bytes are those that the connection has read. */
	q->held = k->held;
	k->held = 0;
	k->request = q;
	q->next = s->requests;
	if (q->next != NULL)
		q->next->prev = q;
	s->requests = q;
	return q;
}

static void
request_free(struct request *q)
{
	if (q->k != NULL)
		q->k->request = NULL;
	if (q->prev != NULL)
		q->prev->next = q->next;
	else
		q->s->requests = q->next;
	if (q->next != NULL)
		q->next->prev = q->prev;
	server_let_go(q->s, q->client, q->held);
	q->client->open--;
	q->agent->held--;
	grammar_free(q->grammar);
	for (size_t i = 0; q->tool_grammar != NULL && i < q->params.ntools; i++)
		grammar_free(q->tool_grammar[i]);
	free(q->tool_grammar);
	replay_turn_free(q->turn);
	record_turn_free(q->made);
	free(q->prompt);
	api_reply_free(q->reply);
	api_request_free(&q->api);
	free(q);
}

void
request_leave(struct request *q)
{
	q->k = NULL;
	if (q->gen != NULL)
		engine_cancel(q->s->o.engine, q->gen);
}

void
request_cancel_all(struct server *s)
{
	for (struct request *q = s->requests; q != NULL; q = q->next)
		if (q->gen != NULL)
			engine_cancel(s->o.engine, q->gen);
}

/* ---- refusals ----------------------------------------------------------- */

static void
reply_refusal(struct caller *k, enum api_kind kind, const struct api_error *e,
    uint32_t retry_s)
{
	struct fields fs = { 0 };
	cleanup_buf struct buf b = { 0 };
	char text[16];

	buf_init(&b, 0);
	api_error_body(kind, e, &b);
	fields_set(&fs, "Content-Type", "application/json");
	if (retry_s > 0) {
		snprintf(text, sizeof(text), "%" PRIu32, retry_s);
		fields_set(&fs, "Retry-After", text);
	}
	/* OpenAI's and Anthropic's libraries try again without a word, after
	 * as long as they are told. */
	if (e->status == 429 && (retry_s == 0 || retry_s > RETRY_MAX_S))
		fields_set(&fs, "X-Should-Retry", "false");
	conn_reply(
	    k->conn, (unsigned)e->status, &fs, buf_head(&b), buf_len(&b));
	fields_free(&fs);
}

/* Frees q. */
static void
refuse(struct request *q, const struct api_error *e, uint32_t retry_s)
{
	struct caller *k = q->k;
	const enum api_kind kind = q->kind;

	metrics_ended(q->client, kind, OUTCOME_REFUSED);
	request_free(q);
	reply_refusal(k, kind, e, retry_s);
}

static void
over_budget(struct api_error *e, const struct error *err, uint32_t retry_s)
{
	if (retry_s > 0)
		api_fail(e, 429, NULL, "", "%s; try again in %" PRIu32 " s",
		    err->msg, retry_s);
	else
		api_fail(e, 429, NULL, "", "%s", err->msg);
}

static void
engine_refused(struct request *q, enum engine_refusal why, uint32_t n,
    uint32_t retry_s, const struct error *err)
{
	const uint32_t context = engine_context(q->s->o.engine, q->agent);
	struct api_error e = { .status = 503 };

	/* It would never fit, however long one waits. */
	if (n >= context)
		why = ENGINE_CONTEXT;
	switch (why) {
	case ENGINE_CONTEXT:
		/* In words that agents look for. */
		api_fail(&e, 400, API_CONTEXT_LENGTH, "messages",
		    "prompt is too long: %" PRIu32 " tokens > %" PRIu32
		    " maximum (this model's maximum context length is %" PRIu32
		    " tokens)",
		    n, context > 0 ? context - 1 : 0, context);
		break;
	case ENGINE_BUDGET:
		over_budget(&e, err, retry_s);
		break;
	case ENGINE_DEADLINE:
		api_fail(&e, 400, NULL, "", "%s", err->msg);
		break;
	case ENGINE_OK:
	case ENGINE_BUSY:
	case ENGINE_MEMORY:
		api_fail(&e, 503, NULL, "", "%s", err->msg);
		if (retry_s == 0)
			retry_s = 1;
		break;
	}
	refuse(q, &e, retry_s);
}

/* ---- events ------------------------------------------------------------- */

static void
begin_stream(struct request *q)
{
	struct fields fs = { 0 };

	fields_set(&fs, "Content-Type", "text/event-stream; charset=utf-8");
	fields_set(&fs, "Cache-Control", "no-cache");
	q->streaming = true;
	conn_stream(q->k->conn, 200, &fs);
	fields_free(&fs);
}

static void
say(struct request *q, const struct gen_event *ev)
{
	cleanup_buf struct buf b = { 0 };

	buf_init(&b, 0);
	api_reply_event(q->reply, ev, &b);
	if (!q->api.stream) {
		if (ev->type == GEN_END)
			reply_json(q->k, 200, &b);
		return;
	}
	if (!q->streaming && (buf_len(&b) > 0 || ev->type == GEN_END))
		begin_stream(q);
	/* A client that reads nothing may be gone after any of these. */
	if (q->k != NULL)
		conn_stream_put(q->k->conn, buf_head(&b), buf_len(&b));
	if (q->k != NULL && ev->type == GEN_END)
		conn_stream_end(q->k->conn);
}

/* The class of steering that its agent has, or NULL. */
static const char *
steer_of(const struct request *q)
{
	const struct server_opts *o = &q->s->o;
	const size_t n = strlen(q->agent->name);

	for (size_t i = 0; i < o->nagent_steer; i++) {
		const char *rule = o->agent_steer[i],
			   *class = strrchr(rule, '=');

		if ((size_t)(class - rule) == n &&
		    strncmp(rule, q->agent->name, n) == 0)
			return class + 1;
	}
	return NULL;
}

/* -1: the answer is not recorded. */
static int
record(struct request *q, const struct gen_event *ev)
{
	const struct server_opts *o = &q->s->o;
	const struct record_entry e = { .time_ms = (uint64_t)time(NULL) * 1000,
		.id = q->id,
		.agent = q->agent->name,
		.model = o->model_id,
		.kv = o->kv,
		.steer = steer_of(q),
		.ids = q->prompt,
		.n = q->nprompt,
		.params = &q->params,
		.schema = q->api.schema,
		.end = ev };
	struct error err = { 0 };
	bool failed = record_has_failed(o->record);

	record_turn_event(q->made, ev);
	if (ev->type != GEN_END ||
	    record_add(o->record, &e, q->made, &err) == 0)
		return 0;
	if (!failed) {
		log_warnx("%s: nothing is answered any more until a restart "
			  "with room for it",
		    err.msg);
		/* Theirs would not be recorded either. */
		request_cancel_all(q->s);
	}
	return -1;
}

static void
no_record(struct api_error *e)
{
	api_fail(e, 503, NULL, "",
	    "the record of completions cannot be written, and none is "
	    "answered without it");
}

/* Instead of the end of an answer, or of all of it. */
static void
say_failed(struct request *q, const struct api_error *e, uint32_t retry_s)
{
	cleanup_buf struct buf b = { 0 };

	if (!q->streaming) {
		reply_refusal(q->k, q->kind, e, retry_s);
		return;
	}
	buf_init(&b, 0);
	api_reply_fail(q->reply, e, &b);
	conn_stream_put(q->k->conn, buf_head(&b), buf_len(&b));
	if (q->k != NULL)
		conn_stream_end(q->k->conn);
}

/*
 * The end of a completion that is no answer, since there is not a word of it,
 * or since it is not its client that does not want it any more: told as what it
 * is, lest it be taken for a short one.
 */
static bool
is_no_answer(const struct request *q, const struct gen_event *ev,
    struct api_error *e, uint32_t *retry_s)
{
	const struct gen_usage *u = &ev->usage;
	struct agent a = *q->agent;
	struct error err = { 0 };

	*retry_s = 1;
	if (ev->type != GEN_END)
		return false;
	if (ev->finish == GEN_CANCELLED) {
		api_fail(e, 503, NULL, "", "the engine is being stopped");
		return true;
	}
	if (u->sampled > 0 || !gen_is_cut(ev->finish))
		return false;
	if (ev->finish == GEN_BUDGET) {
		/* Which budget it is, and until when. */
		a.open = 0;
		if (agent_admit(&a, ev_now_ms(), u->prompt - u->cached + 1,
			retry_s, &err) == 0) {
			*retry_s = 1;
			error_set(&err, 0, "the budget was used up");
		}
		over_budget(e, &err, *retry_s);
	} else if (ev->finish == GEN_DEADLINE) {
		api_fail(e, 503, NULL, "",
		    "its time was over before the first token: %.1f s in the "
		    "queue, %.1f s to read the prompt",
		    (double)u->queue_us * 1e-6, (double)u->prompt_us * 1e-6);
	} else {
		api_fail(e, 503, NULL, "",
		    "there was no memory for its keys and values");
	}
	return true;
}

static void
on_event(const struct gen_event *ev, void *arg)
{
	struct request *q = arg;
	struct api_error e;
	uint32_t retry_s;
	bool lost;

	if (ev->type == GEN_END)
		q->gen = NULL;
	lost = q->made != NULL && record(q, ev) < 0;
	if (ev->type == GEN_END) {
		metrics_ended(
		    q->client, q->kind, lost ? OUTCOME_UNRECORDED : ev->finish);
		metrics_usage(q->client, &ev->usage);
	}
	if (q->turn != NULL && !lost)
		replay_turn_event(q->turn, ev);
	if (q->k != NULL && lost) {
		no_record(&e);
		say_failed(q, &e, 0);
	} else if (q->k != NULL && is_no_answer(q, ev, &e, &retry_s)) {
		say_failed(q, &e, retry_s);
	} else if (q->k != NULL) {
		say(q, ev);
	}
	if (ev->type == GEN_END)
		request_free(q);
}

/* ---- from bytes to a completion ----------------------------------------- */

static void
random_bytes(void *p, size_t n)
{
	if (getrandom(p, n, 0) != (ssize_t)n)
		fatal("getrandom");
}

static void
random_id(char id[ID_SIZE + 1])
{
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
	uint8_t raw[ID_SIZE];

	random_bytes(raw, sizeof(raw));
	for (size_t i = 0; i < ID_SIZE; i++)
		id[i] = letters[raw[i] % (sizeof(letters) - 1)];
	id[ID_SIZE] = '\0';
}

/* As some templates say it; UTC, since no file may be opened to know better. */
static void
today(char date[DATE_SIZE])
{
	time_t now = time(NULL);
	struct tm tm;

	date[0] = '\0';
	if (gmtime_r(&now, &tm) != NULL)
		(void)strftime(date, DATE_SIZE, "%Y-%m-%d", &tm);
}

/* The prompt's ids; -1 with e, or with about how many there are, if they are
 * more than there is room for. */
static int
make_prompt(struct request *q, struct tok_ids *ids, uint32_t *exceeds,
    struct api_error *e)
{
	const struct server_opts *o = &q->s->o;
	cleanup_prompt struct prompt said = { 0 };
	const struct prompt_maker m = { .tok = o->tok,
		.vocab = o->vocab,
		.family = o->family,
		.keep_volatile = o->keep_volatile,
		.replay = o->replay,
		.most = engine_context(o->engine, q->agent),
		.exceeds = exceeds,
		.said = o->record != NULL ? &said : NULL };
	struct error err = { 0 };

	today(q->date);
	if (prompt_make(&m, &q->api, q->agent->space, q->date, ids,
		&q->params.thinking, &err) == 0) {
		if (o->record == NULL || q->kind == API_COUNT_TOKENS)
			return 0;
		q->made = record_turn_new();
		record_turn_prompt(q->made, &said);
		return 0;
	}
	if (*exceeds > 0)
		return -1;
	if (err.code == EMSGSIZE)
		api_fail(e, 413, NULL, "", "the prompt is too long to be read");
	else
		api_fail(e, 400, NULL, "messages", "%s", err.msg);
	return -1;
}

/* What the answer must match; -1 with e. */
static int
make_grammar(struct request *q, struct api_error *e)
{
	const struct api_request *a = &q->api;
	struct error err = { 0 };

	if (a->schema.n == 0 && !a->json_object)
		return 0;
	q->grammar = schema_compile(a->schema.p, a->schema.n, &err);
	if (q->grammar == NULL) {
		api_fail(e, 400, NULL, "schema", "%s", err.msg);
		return -1;
	}
	q->params.grammar = q->grammar;
	return 0;
}

/*
 * The same for arguments of tools.  Of a tool that is not strict a schema that
 * cannot be held to is no error: its arguments are an object then.
 */
static int
make_tool_grammars(struct request *q, struct api_error *e)
{
	const struct api_request *a = &q->api;
	bool forced =
	    a->tool_choice == TOOLS_REQUIRED || a->tool_choice == TOOLS_NAMED;
	uint64_t spent = 0;
	size_t bytes = 0;
	struct error err = { 0 };

	if (a->chat.ntools == 0 || (!forced && !a->strict_tools))
		return 0;
	q->tool_grammar = xcalloc(a->chat.ntools, sizeof(*q->tool_grammar));
	q->params.tool_grammar = (const struct grammar *const *)q->tool_grammar;
	for (size_t i = 0; i < a->chat.ntools; i++) {
		const struct chat_tool *t = &a->chat.tools[i];

		if ((!forced && !a->tool[i].strict) || t->schema.n == 0)
			continue;
		q->tool_grammar[i] =
		    schema_compile_next(t->schema.p, t->schema.n, &spent, &err);
		if (q->tool_grammar[i] != NULL) {
			bytes += grammar_bytes(q->tool_grammar[i]);
			if (bytes <= TOOL_GRAMMARS_MAX)
				continue;
			api_fail(e, 400, NULL, "tools",
			    "the schemas of the tools are too large together");
			return -1;
		}
		if (!a->tool[i].strict)
			continue;
		api_fail(e, 400, NULL, "tools", "tool %.*s: %s",
		    (int)(t->name.n < 64 ? t->name.n : 64), t->name.p, err.msg);
		return -1;
	}
	/* They are there until the answer is. */
	if (!server_hold(q->s, q->client, bytes)) {
		api_fail(
		    e, 503, NULL, "", "too many bytes of requests are waiting");
		return -1;
	}
	q->held += bytes;
	return 0;
}

/* Calls of the history count as the model's: a loop goes over many turns. */
static void
remember_calls(struct request *q)
{
	const struct chat *chat = &q->api.chat;

	for (size_t i = 0; i < chat->nmessages; i++) {
		const struct chat_message *m = &chat->messages[i];

		for (size_t j = 0; j < m->ncalls; j++)
			(void)call_loop_add(&q->loop, &m->calls[j]);
		if (m->role == CHAT_TOOL)
			call_loop_result(&q->loop, m->call_id, m->text);
	}
}

static void
set_params(struct request *q, uint32_t n)
{
	const struct api_request *a = &q->api;
	const struct server_opts *o = &q->s->o;
	struct gen_params *p = &q->params;
	uint32_t context = engine_context(o->engine, q->agent);
	uint32_t room = n < context ? context - n : 1;

	p->family = o->family;
	p->chat = q->kind != API_COMPLETIONS;
	p->sample.temperature = a->temperature < 0 ? 1 : a->temperature;
	p->sample.top_p = a->top_p < 0 ? 1 : a->top_p;
	p->sample.min_p = a->min_p < 0 ? 0 : a->min_p;
	p->sample.top_k = a->top_k < 0 ? 0 : (uint32_t)a->top_k;
	if (a->seed < 0)
		random_bytes(&p->sample.seed, sizeof(p->sample.seed));
	else
		p->sample.seed = (uint64_t)a->seed;
	p->max_tokens = a->max_tokens;
	if (p->max_tokens == 0 || p->max_tokens > room)
		p->max_tokens = room;
	p->thinking_max = a->thinking_max <= 0 ? 0
			  : a->thinking_max < UINT32_MAX
			      ? (uint32_t)a->thinking_max
			      : UINT32_MAX;
	p->stop = a->stop;
	p->nstop = a->nstop;
	p->tools = a->chat.tools;
	p->ntools = a->chat.ntools;
	p->tool_choice = a->tool_choice;
	p->tool_name = a->tool_name;
	p->one_call = a->one_call;
	p->loop_max = o->loop_max;
}

/* Whole seconds; what is not a number says nothing. */
static uint32_t
seconds(const struct conn_request *r, const char *name)
{
	const char *v = fields_get(r->fields, name, NULL);
	size_t n = v == NULL ? 0 : strspn(v, "0123456789");
	char digits[8];
	uint64_t s;

	if (n == 0 || n >= sizeof(digits))
		return 0;
	memcpy(digits, v, n);
	digits[n] = '\0';
	if (str_to_u64(digits, 1, UINT32_MAX / 1000, &s) < 0)
		return 0;
	return (uint32_t)s;
}

/*
 * When all of it must be there.  What OpenAI's and Anthropic's libraries say
 * of themselves they keep to the first byte alone when they read a stream, and
 * it is no reason to refuse an answer that nobody said how long it is.
 */
static uint32_t
deadline_of(const struct request *q, const struct conn_request *r)
{
	uint32_t s = seconds(r, "X-Request-Timeout");

	if (s == 0 && !q->api.stream && q->api.max_tokens > 0)
		s = seconds(r, "X-Stainless-Timeout");
	return s * 1000;
}

static void
count(struct request *q, uint32_t n)
{
	struct caller *k = q->k;
	cleanup_buf struct buf b = { 0 };

	buf_init(&b, 0);
	metrics_ended(q->client, q->kind, OUTCOME_ANSWERED);
	request_free(q);
	api_count_body(n, &b);
	reply_json(k, 200, &b);
}

/* Takes the ids. */
static void
submit(struct request *q, struct tok_ids *ids, uint32_t deadline_ms)
{
	const struct server_opts *o = &q->s->o;
	struct gen_request g = { .prompt = ids->id,
		.n = (uint32_t)ids->n,
		.agent = q->agent,
		.params = q->params,
		.deadline_ms = deadline_ms,
		.interactive = !q->api.flex,
		.loop = &q->loop,
		.fn = on_event,
		.arg = q };
	enum engine_refusal why = ENGINE_OK;
	uint32_t retry_s = 0;
	struct error err = { 0 };

	memset(ids, 0, sizeof(*ids));
	g.npublic = public_match(o->publics, q->date, g.prompt, g.n);
	if (o->replay != NULL && q->kind != API_COMPLETIONS)
		q->turn = replay_turn_new(o->replay, q->agent->space);
	random_bytes(g.ids, sizeof(g.ids));
	g.steer = steer_of(q);
	random_id(q->id);
	if (o->record != NULL) {
		q->nprompt = g.n;
		q->prompt = xmemdup(g.prompt, g.n * sizeof(*g.prompt));
	}
	q->reply = api_reply_new(&q->api, q->id, o->model, (int64_t)time(NULL));
	q->gen = engine_submit(o->engine, &g, &why, &retry_s, &err);
	if (q->gen == NULL)
		engine_refused(q, why, g.n, retry_s, &err);
}

/*
 * Most clients have names of a provider's models built in, and any is fine.
 * But a supervisor's policy judges by the name which models its agents may
 * ask: theirs is taken at its word.  -1 with e.
 */
static int
check_model(const struct request *q, struct api_error *e)
{
	const char *model = q->s->o.model;

	if (!q->k->named || q->api.model[0] == '\0' ||
	    strcmp(q->api.model, model) == 0)
		return 0;
	api_fail(e, 404, NULL, "model", "the only model here is %s", model);
	return -1;
}

/* -1 with e. */
static int
check_coding(const struct conn_request *r, struct api_error *e)
{
	const char *coding = fields_get(r->fields, "Content-Encoding", NULL);

	if (coding == NULL || strcasecmp(coding, "identity") == 0)
		return 0;
	api_fail(e, 415, NULL, "",
	    "the request is compressed (Content-Encoding): send it as it is");
	return -1;
}

void
request_begin(
    struct caller *k, enum api_kind kind, const struct conn_request *r)
{
	struct request *q = request_new(k, kind);
	struct api_error e = { .status = 400 };
	cleanup_tok_ids struct tok_ids ids = { 0 };
	struct error err = { 0 };
	uint32_t n = 0;

	if (kind != API_COUNT_TOKENS && k->s->o.record != NULL &&
	    record_has_failed(k->s->o.record)) {
		no_record(&e);
		refuse(q, &e, 0);
		return;
	}
	if (check_coding(r, &e) < 0 ||
	    api_read(kind, r->body, r->n, &q->api, &e) < 0 ||
	    check_model(q, &e) < 0) {
		refuse(q, &e, 0);
		return;
	}
	if (make_prompt(q, &ids, &n, &e) < 0) {
		if (n == 0)
			refuse(q, &e, 0);
		else if (kind == API_COUNT_TOKENS)
			count(q, n);
		else
			engine_refused(q, ENGINE_CONTEXT, n, 0, &err);
		return;
	}
	if (kind == API_COUNT_TOKENS) {
		count(q, (uint32_t)ids.n);
		return;
	}
	/* Before anything is made for an answer that there will not be. */
	if (ids.n >= engine_context(k->s->o.engine, q->agent)) {
		engine_refused(q, ENGINE_CONTEXT, (uint32_t)ids.n, 0, &err);
		return;
	}
	set_params(q, (uint32_t)ids.n);
	if (make_grammar(q, &e) < 0 || make_tool_grammars(q, &e) < 0) {
		refuse(q, &e, 0);
		return;
	}
	remember_calls(q);
	submit(q, &ids, deadline_of(q, r));
}

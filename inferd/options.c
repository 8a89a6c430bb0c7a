#include "inferd/options.h"

#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "inferd/call_loop.h"
#include "inferd/pool.h"

#define CONTEXT_MIN 16u
#define CONTEXT_MAX (1u << 24)
#define WINDOW_DEFAULT 512u /* tokens, of --perplexity */
#define WINDOW_MAX 4096u
#define BATCH_DEFAULT 8u
#define BATCH_MAX 64u
#define LOOP_DEFAULT 8u
#define CACHE_DEFAULT (UINT64_C(8) << 30)
#define SOCKET_MODE 0600

static const char usage[] =
    "usage: inferd -m MODEL --socket PATH [--socket-mode MODE]\n"
    "              [--socket-group GROUP] [--tcp ADDRESS:PORT]\n"
    "              [-t THREADS] [--context N] [--batch N] [--kv-memory SIZE]\n"
    "              [--kv-type TYPE] [--cache-dir DIR [--cache-size SIZE]]\n"
    "              [--draft-model FILE | --no-drafts] [--agent-tokens N]\n"
    "              [--agent-cpu SECONDS] [--agent-window SECONDS]\n"
    "              [--agent-kv SIZE] [--agent-wall SECONDS]\n"
    "              [--agent-requests N] [--loop-max N] [--name NAME]\n"
    "              [--template NAME] [--supervisor USER] [--keep-volatile]\n"
    "              [--no-confine] [--public-prefix FILE]...\n"
    "              [--steer CLASS=FILE[:STRENGTH][:project]]...\n"
    "              [--agent-steer NAME=CLASS]... [--record FILE "
    "[--record-text]]\n"
    "              [--seal [--manifest FILE]]\n"
    "       inferd -m MODEL --chat [-t THREADS] [--context N]\n"
    "              [--draft-model FILE] [--template NAME]\n"
    "       inferd --check MODEL [--vocab-only | --draft-model FILE] "
    "[--json]\n"
    "              [--seal [--manifest FILE]]\n"
    "       inferd -m MODEL --bench[=PROMPT,TOKENS,PASSES] [-t THREADS] "
    "[--json]\n"
    "              [--draft-model FILE]\n"
    "       inferd -m MODEL --perplexity FILE [--context N] [-t THREADS] "
    "[--json]\n"
    "       inferd -m MODEL --replay FILE [-t THREADS]\n"
    "              [--steer CLASS=FILE[:STRENGTH][:project]]... [ID]\n"
    "       inferd -m MODEL --tokenize [--json]\n"
    "       inferd --help | --version\n";

enum {
	OPT_AGENT_CPU = 256,
	OPT_AGENT_KV,
	OPT_AGENT_REQUESTS,
	OPT_AGENT_STEER,
	OPT_AGENT_TOKENS,
	OPT_AGENT_WALL,
	OPT_AGENT_WINDOW,
	OPT_BATCH,
	OPT_BENCH,
	OPT_CACHE_DIR,
	OPT_CACHE_SIZE,
	OPT_CHAT,
	OPT_CHECK,
	OPT_CONTEXT,
	OPT_DRAFT,
	OPT_JSON,
	OPT_KEEP_VOLATILE,
	OPT_KV_MEMORY,
	OPT_KV_TYPE,
	OPT_LOOP_MAX,
	OPT_MANIFEST,
	OPT_NAME,
	OPT_NO_CONFINE,
	OPT_NO_DRAFTS,
	OPT_PERPLEXITY,
	OPT_PUBLIC,
	OPT_RECORD,
	OPT_RECORD_TEXT,
	OPT_REPLAY,
	OPT_SEAL,
	OPT_SOCKET,
	OPT_SOCKET_GROUP,
	OPT_SOCKET_MODE,
	OPT_STEER,
	OPT_SUPERVISOR,
	OPT_TCP,
	OPT_TEMPLATE,
	OPT_TOKENIZE,
	OPT_VOCAB
};

static const struct option table[] = {
	{ "agent-cpu", required_argument, NULL, OPT_AGENT_CPU },
	{ "agent-kv", required_argument, NULL, OPT_AGENT_KV },
	{ "agent-requests", required_argument, NULL, OPT_AGENT_REQUESTS },
	{ "agent-steer", required_argument, NULL, OPT_AGENT_STEER },
	{ "agent-tokens", required_argument, NULL, OPT_AGENT_TOKENS },
	{ "agent-wall", required_argument, NULL, OPT_AGENT_WALL },
	{ "agent-window", required_argument, NULL, OPT_AGENT_WINDOW },
	{ "batch", required_argument, NULL, OPT_BATCH },
	{ "bench", optional_argument, NULL, OPT_BENCH },
	{ "cache-dir", required_argument, NULL, OPT_CACHE_DIR },
	{ "cache-size", required_argument, NULL, OPT_CACHE_SIZE },
	{ "chat", no_argument, NULL, OPT_CHAT },
	{ "check", required_argument, NULL, OPT_CHECK },
	{ "context", required_argument, NULL, OPT_CONTEXT },
	{ "draft-model", required_argument, NULL, OPT_DRAFT },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "keep-volatile", no_argument, NULL, OPT_KEEP_VOLATILE },
	{ "kv-memory", required_argument, NULL, OPT_KV_MEMORY },
	{ "kv-type", required_argument, NULL, OPT_KV_TYPE },
	{ "loop-max", required_argument, NULL, OPT_LOOP_MAX },
	{ "manifest", required_argument, NULL, OPT_MANIFEST },
	{ "model", required_argument, NULL, 'm' },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "no-confine", no_argument, NULL, OPT_NO_CONFINE },
	{ "no-drafts", no_argument, NULL, OPT_NO_DRAFTS },
	{ "perplexity", required_argument, NULL, OPT_PERPLEXITY },
	{ "public-prefix", required_argument, NULL, OPT_PUBLIC },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ "record-text", no_argument, NULL, OPT_RECORD_TEXT },
	{ "replay", required_argument, NULL, OPT_REPLAY },
	{ "seal", no_argument, NULL, OPT_SEAL },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "socket-group", required_argument, NULL, OPT_SOCKET_GROUP },
	{ "socket-mode", required_argument, NULL, OPT_SOCKET_MODE },
	{ "steer", required_argument, NULL, OPT_STEER },
	{ "supervisor", required_argument, NULL, OPT_SUPERVISOR },
	{ "tcp", required_argument, NULL, OPT_TCP },
	{ "template", required_argument, NULL, OPT_TEMPLATE },
	{ "threads", required_argument, NULL, 't' },
	{ "tokenize", no_argument, NULL, OPT_TOKENIZE },
	{ "version", no_argument, NULL, 'V' },
	{ "vocab-only", no_argument, NULL, OPT_VOCAB },
	{ NULL, 0, NULL, 0 },
};

static void __attribute__((noreturn, format(printf, 1, 2)))
refuse(const char *fmt, ...)
{
	va_list ap;

	fputs("inferd: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

static void
mode(struct options *o, enum mode m)
{
	if (o->mode != MODE_NONE)
		refuse("one thing at a time: of --check, --bench, "
		       "--perplexity, --tokenize, --replay and --chat");
	o->mode = m;
}

static uint64_t
number(const char *name, const char *text, uint64_t low, uint64_t high)
{
	uint64_t n;

	if (str_to_u64(text, low, high, &n) < 0)
		refuse("--%s: a number from %" PRIu64 " to %" PRIu64 ", not %s",
		    name, low, high, text);
	return n;
}

/* Bytes: "8G". */
static uint64_t
size(const char *name, const char *text)
{
	static const char units[] = "KMGT";
	size_t n = strlen(text);
	const char *unit = n > 0 ? strchr(units, text[n - 1]) : NULL;
	unsigned shift = 0;
	cleanup_free char *digits = xstrdup(text);
	uint64_t v;

	if (n > 0 && unit != NULL && *unit != '\0') {
		shift = 10 * (unsigned)(unit - units + 1);
		digits[n - 1] = '\0';
	}
	if (str_to_u64(digits, 1, UINT64_MAX >> shift, &v) < 0)
		refuse("--%s: bytes, or a number with K, M, G or T, not %s",
		    name, text);
	return v << shift;
}

/* Octal, of a socket: reading means nothing there. */
static mode_t
socket_mode(const char *text)
{
	unsigned n = 0;

	if (*text == '\0' || strlen(text) > 4 ||
	    text[strspn(text, "01234567")] != '\0')
		refuse("--socket-mode: octal digits, not %s", text);
	for (; *text != '\0'; text++)
		n = n * 8 + (unsigned)(*text - '0');
	return (mode_t)(n & 0777);
}

static gid_t
group(const char *text)
{
	const struct group *g = getgrnam(text);
	uint64_t n;

	if (g != NULL)
		return g->gr_gid;
	if (str_to_u64(text, 0, UINT32_MAX - 1, &n) < 0)
		refuse("--socket-group: there is no group %s", text);
	return (gid_t)n;
}

static uid_t
user(const char *text)
{
	const struct passwd *p = getpwnam(text);
	uint64_t n;

	if (p != NULL)
		return p->pw_uid;
	if (str_to_u64(text, 0, UINT32_MAX - 1, &n) < 0)
		refuse("--supervisor: there is no user %s", text);
	return (uid_t)n;
}

static enum tensor_type
kv_type(const char *text)
{
	static const enum tensor_type types[] = { TT_F32, TT_F16, TT_Q8_0 };

	for (size_t i = 0; i < nitems(types); i++)
		if (strcasecmp(text, tensor_type_info(types[i])->name) == 0)
			return types[i];
	refuse("--kv-type: F32, F16 or Q8_0, not %s", text);
}

static enum chat_family
family(const char *text)
{
	enum chat_family f = template_find(text);

	if (f == CHAT_NONE)
		refuse("--template: %s is not known", text);
	return f;
}

/* The processors that we may use. */
static unsigned
processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

/* Limits of each agent. */
static void
read_limit(struct agent_budget *b, int opt, const char *arg)
{
	switch (opt) {
	case OPT_AGENT_CPU:
		b->cpu_ms = number("agent-cpu", arg, 1, UINT32_MAX) * 1000;
		break;
	case OPT_AGENT_KV:
		b->kv_bytes = size("agent-kv", arg);
		break;
	case OPT_AGENT_REQUESTS:
		b->requests =
		    (uint32_t)number("agent-requests", arg, 1, UINT32_MAX);
		break;
	case OPT_AGENT_TOKENS:
		b->tokens = number("agent-tokens", arg, 1, INT64_MAX);
		break;
	case OPT_AGENT_WALL:
		b->wall_s =
		    (uint32_t)number("agent-wall", arg, 1, UINT32_MAX / 1000);
		break;
	case OPT_AGENT_WINDOW:
		b->window_s = number("agent-window", arg, 1, UINT32_MAX);
		break;
	default:
		exit(EXIT_FAILURE); /* getopt_long(3) has said why */
	}
}

static void
read_engine(struct options *o, int opt, const char *arg)
{
	struct engine_opts *e = &o->serve.backend.engine;

	switch (opt) {
	case OPT_BATCH:
		e->batch_max = (uint32_t)number("batch", arg, 1, BATCH_MAX);
		break;
	case OPT_CACHE_DIR:
		e->cache_dir = arg;
		break;
	case OPT_CACHE_SIZE:
		e->disk_budget = size("cache-size", arg);
		break;
	case OPT_CONTEXT:
		e->context =
		    (uint32_t)number("context", arg, CONTEXT_MIN, CONTEXT_MAX);
		break;
	case OPT_KV_MEMORY:
		e->kv_budget = size("kv-memory", arg);
		break;
	case OPT_KV_TYPE:
		e->kv_type = kv_type(arg);
		break;
	case OPT_NO_DRAFTS:
		e->no_drafts = true;
		break;
	case 't':
		e->threads =
		    (unsigned)number("threads", arg, 1, POOL_THREADS_MAX);
		break;
	default:
		read_limit(&o->serve.budget, opt, arg);
	}
}

static void
read_serve(struct options *o, int opt, const char *arg)
{
	struct serve_opts *s = &o->serve;

	switch (opt) {
	case OPT_KEEP_VOLATILE:
		s->keep_volatile = true;
		break;
	case OPT_LOOP_MAX:
		s->loop_max =
		    (uint32_t)number("loop-max", arg, 0, CALL_LOOP_LAST);
		break;
	case OPT_NAME:
		s->name = arg;
		break;
	case OPT_NO_CONFINE:
		s->no_confine = true;
		break;
	case OPT_PUBLIC:
		if (s->npublics == PUBLIC_MAX)
			refuse("--public-prefix: %u at most", PUBLIC_MAX);
		s->publics[s->npublics++] = arg;
		break;
	case OPT_AGENT_STEER:
		if (s->nagent_steer == STEER_CLASSES_MAX)
			refuse("--agent-steer: %u at most", STEER_CLASSES_MAX);
		s->agent_steer[s->nagent_steer++] = arg;
		break;
	case OPT_RECORD:
		s->record = arg;
		break;
	case OPT_RECORD_TEXT:
		s->record_text = true;
		break;
	case OPT_STEER:
		if (s->backend.nsteer == STEER_CLASSES_MAX)
			refuse("--steer: %u at most", STEER_CLASSES_MAX);
		s->backend.steer[s->backend.nsteer++] = arg;
		break;
	case OPT_SOCKET:
		s->socket = arg;
		break;
	case OPT_SOCKET_GROUP:
		s->socket_group = group(arg);
		break;
	case OPT_SOCKET_MODE:
		s->socket_mode = socket_mode(arg);
		break;
	case OPT_SUPERVISOR:
		s->supervisor = user(arg);
		s->has_supervisor = true;
		break;
	case OPT_TCP:
		s->tcp = arg;
		break;
	case OPT_TEMPLATE:
		s->backend.family = family(arg);
		break;
	default:
		read_engine(o, opt, arg);
	}
}

static void
read_one(struct options *o, int opt, const char *arg)
{
	struct backend_opts *b = &o->serve.backend;

	switch (opt) {
	case OPT_BENCH:
		mode(o, MODE_BENCH);
		if (arg != NULL && speed_parse(arg, &o->speed) < 0)
			refuse("--bench=PROMPT,TOKENS,PASSES: three numbers, "
			       "not %s",
			    arg);
		break;
	case OPT_CHAT:
		mode(o, MODE_CHAT);
		break;
	case OPT_CHECK:
		mode(o, MODE_CHECK);
		b->model = arg;
		break;
	case OPT_DRAFT:
		b->draft = arg;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case OPT_MANIFEST:
		b->open.manifest = arg;
		break;
	case OPT_PERPLEXITY:
		mode(o, MODE_PERPLEXITY);
		o->text = arg;
		break;
	case OPT_REPLAY:
		mode(o, MODE_REPLAY);
		o->text = arg;
		break;
	case OPT_SEAL:
		b->open.seal = true;
		break;
	case OPT_TOKENIZE:
		mode(o, MODE_TOKENIZE);
		break;
	case OPT_VOCAB:
		b->open.vocab_only = true;
		break;
	case 'm':
		b->model = arg;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(EXIT_SUCCESS);
	case 'V':
		puts("inferd " PACKAGE_VERSION);
		exit(EXIT_SUCCESS);
	default:
		read_serve(o, opt, arg);
	}
}

/* The name of an option that does nothing but for serving, or NULL. */
static const char *
serving_alone(int opt)
{
	static const int alone[] = { OPT_AGENT_CPU, OPT_AGENT_KV,
		OPT_AGENT_REQUESTS, OPT_AGENT_STEER, OPT_AGENT_TOKENS,
		OPT_AGENT_WALL, OPT_AGENT_WINDOW, OPT_KEEP_VOLATILE,
		OPT_LOOP_MAX, OPT_NAME, OPT_NO_CONFINE, OPT_PUBLIC, OPT_RECORD,
		OPT_RECORD_TEXT, OPT_SOCKET, OPT_SOCKET_GROUP, OPT_SOCKET_MODE,
		OPT_SUPERVISOR, OPT_TCP };
	const struct option *o = table;

	for (size_t i = 0; i < nitems(alone); i++) {
		if (alone[i] != opt)
			continue;
		while (o->val != opt)
			o++;
		return o->name;
	}
	return NULL;
}

/* What would do nothing, where whoever says it relies on it. */
static void
check_serving(const struct options *o, bool cache_size)
{
	const struct serve_opts *s = &o->serve;

	if (o->mode != MODE_SERVE && o->serving != NULL)
		refuse("--%s is for serving alone", o->serving);
	if (s->record_text && s->record == NULL)
		refuse("--record-text: there is no --record");
	if (cache_size && s->backend.engine.cache_dir == NULL)
		refuse("--cache-size: there is no --cache-dir");
	if (s->budget.window_s != 0 && s->budget.tokens == 0 &&
	    s->budget.cpu_ms == 0)
		refuse("--agent-window: there is neither --agent-tokens nor "
		       "--agent-cpu");
}

void
options_read(struct options *o, int argc, char **argv)
{
	struct serve_opts *s = &o->serve;
	struct engine_opts *e = &s->backend.engine;
	bool cache_size = false;
	int opt;

	*o = (struct options){ .speed = SPEED_DEFAULT };
	s->socket_mode = SOCKET_MODE;
	s->socket_group = (gid_t)-1;
	s->loop_max = LOOP_DEFAULT;
	e->threads = processors();
	e->kv_type = TT_F16;
	e->batch_max = BATCH_DEFAULT;
	e->disk_budget = CACHE_DEFAULT;
	while ((opt = getopt_long(argc, argv, "hm:t:V", table, NULL)) != -1) {
		read_one(o, opt, optarg);
		cache_size |= opt == OPT_CACHE_SIZE;
		if (serving_alone(opt) != NULL)
			o->serving = serving_alone(opt);
	}
	if (o->mode == MODE_NONE &&
	    (s->socket != NULL || s->tcp != NULL || serve_has_sockets()))
		o->mode = MODE_SERVE;
	if (o->mode == MODE_REPLAY && optind + 1 == argc)
		o->id = argv[optind++];
	if (optind < argc)
		refuse("%s: what is this?  A model is named with -m",
		    argv[optind]);
	if (s->backend.model == NULL)
		refuse("no model: -m MODEL, or --check MODEL");
	if (o->mode == MODE_NONE)
		refuse("nothing to do: --socket or --tcp, --chat, --bench, "
		       "--perplexity, --tokenize or --replay");
	check_serving(o, cache_size);
	if (s->backend.draft != NULL && e->no_drafts)
		refuse("--draft-model is for drafts, --no-drafts against them");
	if (s->backend.draft != NULL && s->backend.open.vocab_only)
		refuse("--draft-model: a vocabulary alone guesses nothing");
	if (s->backend.open.vocab_only && o->mode != MODE_CHECK &&
	    o->mode != MODE_TOKENIZE)
		refuse("--vocab-only: a vocabulary alone says nothing");
	if (o->mode == MODE_PERPLEXITY) {
		if (e->context == 0)
			e->context = WINDOW_DEFAULT;
		if (e->context > WINDOW_MAX)
			refuse("--context: a number from %u to %u for "
			       "--perplexity",
			    CONTEXT_MIN, WINDOW_MAX);
	}
}

/*
 * inferd: serves quantised Mixture-of-Experts models to agents.
 */
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "inferd/check.h"
#include "inferd/perplexity.h"
#include "inferd/pool.h"
#include "inferd/speed.h"
#include "inferd/tokenize.h"

#define CONTEXT_MIN 16u
#define CONTEXT_MAX 4096u

static const char usage[] =
    "usage: inferd --check MODEL [--vocab-only] [--json]\n"
    "              [--seal [--manifest FILE]]\n"
    "       inferd -m MODEL --bench[=PROMPT,TOKENS,PASSES] [-t THREADS] "
    "[--json]\n"
    "       inferd -m MODEL --perplexity FILE [--context N] [-t THREADS]\n"
    "       inferd -m MODEL --tokenize [--json]\n"
    "       inferd --help | --version\n";

enum {
	OPT_CHECK = 256,
	OPT_BENCH,
	OPT_CONTEXT,
	OPT_JSON,
	OPT_MANIFEST,
	OPT_PERPLEXITY,
	OPT_SEAL,
	OPT_TOKENIZE,
	OPT_VOCAB
};

enum mode {
	MODE_NONE,
	MODE_CHECK,
	MODE_BENCH,
	MODE_PERPLEXITY,
	MODE_TOKENIZE
};

struct command {
	enum mode mode;
	const char *model, *text;
	struct model_opts opts;
	struct speed speed;
	unsigned threads, context;
	bool json;
};

static const struct option options[] = {
	{ "bench", optional_argument, NULL, OPT_BENCH },
	{ "check", required_argument, NULL, OPT_CHECK },
	{ "context", required_argument, NULL, OPT_CONTEXT },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "manifest", required_argument, NULL, OPT_MANIFEST },
	{ "model", required_argument, NULL, 'm' },
	{ "perplexity", required_argument, NULL, OPT_PERPLEXITY },
	{ "seal", no_argument, NULL, OPT_SEAL },
	{ "threads", required_argument, NULL, 't' },
	{ "tokenize", no_argument, NULL, OPT_TOKENIZE },
	{ "version", no_argument, NULL, 'V' },
	{ "vocab-only", no_argument, NULL, OPT_VOCAB },
	{ NULL, 0, NULL, 0 },
};

static void
misused(void)
{
	fputs(usage, stderr);
	exit(EXIT_FAILURE);
}

static void
mode(struct command *c, enum mode m)
{
	if (c->mode != MODE_NONE)
		misused();
	c->mode = m;
}

static unsigned
number(const char *name, const char *text, unsigned low, unsigned high)
{
	uint64_t n;

	if (str_to_u64(text, low, high, &n) < 0) {
		fprintf(stderr,
		    "inferd: --%s: a number from %u to %u, not %s\n", name, low,
		    high, text);
		exit(EXIT_FAILURE);
	}
	return (unsigned)n;
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

static void
parse(struct command *c, int argc, char **argv)
{
	int o;

	while ((o = getopt_long(argc, argv, "hm:t:V", options, NULL)) != -1) {
		switch (o) {
		case OPT_BENCH:
			mode(c, MODE_BENCH);
			if (optarg != NULL &&
			    speed_parse(optarg, &c->speed) < 0)
				misused();
			break;
		case OPT_CHECK:
			mode(c, MODE_CHECK);
			c->model = optarg;
			break;
		case OPT_CONTEXT:
			c->context =
			    number("context", optarg, CONTEXT_MIN, CONTEXT_MAX);
			break;
		case OPT_JSON:
			c->json = true;
			break;
		case OPT_MANIFEST:
			c->opts.manifest = optarg;
			break;
		case OPT_PERPLEXITY:
			mode(c, MODE_PERPLEXITY);
			c->text = optarg;
			break;
		case OPT_SEAL:
			c->opts.seal = true;
			break;
		case OPT_TOKENIZE:
			mode(c, MODE_TOKENIZE);
			break;
		case OPT_VOCAB:
			c->opts.vocab_only = true;
			break;
		case 'm':
			c->model = optarg;
			break;
		case 't':
			c->threads =
			    number("threads", optarg, 1, POOL_THREADS_MAX);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		case 'V':
			puts("inferd " PACKAGE_VERSION);
			exit(EXIT_SUCCESS);
		default:
			misused();
		}
	}
	if (c->mode == MODE_NONE || c->model == NULL || optind != argc)
		misused();
}

int
main(int argc, char **argv)
{
	struct command c = {
		.threads = processors(), .context = 512, .speed = SPEED_DEFAULT
	};

	parse(&c, argc, argv);
	switch (c.mode) {
	case MODE_CHECK:
		c.opts.scan = true;
		return check_model(c.model, &c.opts, c.json);
	case MODE_BENCH:
		return speed_print(
		    c.model, &c.opts, &c.speed, c.threads, c.json);
	case MODE_PERPLEXITY:
		return perplexity_print(
		    c.model, &c.opts, c.text, c.context, c.threads, c.json);
	case MODE_TOKENIZE:
		return tokenize_print(c.model, &c.opts, c.json);
	case MODE_NONE:
		break;
	}
	return EXIT_FAILURE;
}

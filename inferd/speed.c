#include "inferd/speed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/compat.h"
#include "base/str.h"
#include "inferd/model_shape.h"
#include "inferd/run.h"
#include "inferd/warm.h"

struct measure {
	const struct model_table *t;
	struct run *run;
	struct kv_pool *kv;
	float *logits;
	struct row *rows;
};

int
speed_parse(const char *text, struct speed *s)
{
	static const unsigned most[] = { SPEED_PROMPT_MAX, SPEED_TOKENS_MAX,
		SPEED_PASSES_MAX };
	unsigned *out[] = { &s->prompt, &s->tokens, &s->passes };
	char part[16];

	for (size_t i = 0; i < nitems(out); i++) {
		const size_t n = strcspn(text, ",");
		uint64_t v;

		if (n >= sizeof(part) ||
		    text[n] != (i + 1 < nitems(out) ? ',' : '\0'))
			return -1;
		memcpy(part, text, n);
		part[n] = '\0';
		if (str_to_u64(part, i == 2 ? 1 : 0, most[i], &v) < 0)
			return -1;
		*out[i] = (unsigned)v;
		text += n + 1;
	}
	return s->prompt == 0 && s->tokens == 0 ? -1 : 0;
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* n tokens at once from position 0, then m one by one; seconds of each. */
static void
pass(struct measure *m, uint32_t n, uint32_t more, double *first, double *then)
{
	struct kv_seq *s = kv_seq_new(m->kv);
	struct row *rows = m->rows;
	const uint32_t vocab = m->t->hp.vocab;
	double begin;

	if (kv_seq_reserve(s, n + more) != 0)
		abort(); /* the pool was made for it */
	for (uint32_t i = 0; i < n; i++)
		rows[i] =
		    (struct row){ s, i, (i * 7919 + 13) % vocab, i + 1 == n };
	begin = now();
	run_rows(m->run, rows, n, m->logits);
	*first = now() - begin;
	begin = now();
	for (uint32_t i = 0; i < more; i++) {
		rows[0] =
		    (struct row){ s, n + i, (i * 104729 + 7) % vocab, true };
		run_rows(m->run, rows, 1, m->logits);
	}
	*then = now() - begin;
	kv_seq_free(s);
}

static int
ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* samples: seconds of n tokens each; they become ascending. */
static void
print_rate(const struct measure *m, bool json, const char *name, unsigned n,
    unsigned threads, double *samples, unsigned passes)
{
	const bool alone = name[0] == 'd';
	double rate, bytes;

	qsort(samples, passes, sizeof(*samples), ascending);
	rate = n / samples[passes / 2];
	/* A prompt shares what it reads among its tokens. */
	bytes = (double)model_bytes_per_token(m->t) * rate;
	if (!json) {
		printf("%s%-6u %8.2f tokens/s", name, n, rate);
		if (alone)
			printf("  (%.1f GB/s of weights)", bytes / 1e9);
		putchar('\n');
		return;
	}
	printf("{\"name\":\"%s%u\",\"threads\":%u,\"tokens_per_second\":%.2f",
	    name, n, threads, rate);
	if (alone)
		printf(",\"weights_gb_per_second\":%.2f", bytes / 1e9);
	for (unsigned i = 0; i < passes; i++)
		printf("%s%.2f", i == 0 ? ",\"samples\":[" : ",",
		    n / samples[passes - 1 - i]);
	puts("]}");
}

static void
print_rest(bool json, double seconds)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	if (json)
		printf("{\"name\":\"load\",\"seconds\":%.3f}\n"
		       "{\"name\":\"memory\",\"max_resident_kib\":%ld}\n",
		    seconds, ru.ru_maxrss);
	else
		printf("load           %8.3f s\nmemory         %8ld MiB\n",
		    seconds, ru.ru_maxrss / 1024);
}

static void
measure(struct measure *m, const struct net *net, const struct speed *s,
    unsigned threads, bool json)
{
	double first[SPEED_PASSES_MAX], then[SPEED_PASSES_MAX], unused;
	struct pool *pool = pool_new(threads);
	const uint32_t most = s->prompt > 1 ? s->prompt : 1;

	m->kv = kv_pool_new(&net->hp, TT_F16, SIZE_MAX);
	m->run = run_new(net, pool, TT_F16, most);
	m->logits = xcalloc(net->hp.vocab, sizeof(*m->logits));
	m->rows = xcalloc(most, sizeof(*m->rows));
	pass(m, 1, 4, &unused, &unused);
	for (unsigned i = 0; i < s->passes; i++) {
		if (s->prompt > 0)
			pass(m, s->prompt, 0, &first[i], &unused);
		if (s->tokens > 0)
			pass(m, 1, s->tokens, &unused, &then[i]);
	}
	if (s->prompt > 0)
		print_rate(m, json, "prefill_pp", s->prompt, threads, first,
		    s->passes);
	if (s->tokens > 0)
		print_rate(
		    m, json, "decode_tg", s->tokens, threads, then, s->passes);
	free(m->rows);
	free(m->logits);
	run_free(m->run);
	kv_pool_free(m->kv);
	pool_free(pool);
}

int
speed_print(const char *path, const struct model_opts *opts,
    const struct speed *s, unsigned threads, bool json)
{
	const double begin = now();
	struct error err = { 0 };
	struct model *model = model_open(path, opts, &err);
	struct net *net = NULL;
	struct measure m = { 0 };
	struct warm *warm = NULL;
	double loaded;

	if (model != NULL)
		net = net_new(model_table(model), &err);
	loaded = now() - begin;
	if (net == NULL) {
		fprintf(stderr, "inferd: %s\n", err.msg);
		model_close(model);
		return EXIT_FAILURE;
	}
	m.t = model_table(model);
	if (!model_is_sealed(model))
		warm = warm_model(model);
	warm_wait(warm);
	measure(&m, net, s, threads, json);
	print_rest(json, loaded);
	warm_free(warm);
	net_free(net);
	model_close(model);
	return EXIT_SUCCESS;
}

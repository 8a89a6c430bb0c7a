#include "inferd/speed.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/str.h"
#include "inferd/model_shape.h"
#include "inferd/run.h"

#define PROMPT 512u
#define TOKENS 64u
#define PASSES 5u

struct measure {
	const struct model_table *t;
	struct run *run;
	struct kv_pool *kv;
	float *logits;
};

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
	struct row rows[PROMPT];
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

static void
print_rate(const struct measure *m, bool json, const char *name,
    unsigned threads, double rate)
{
	/* A prompt shares what it reads among its tokens. */
	const double bytes = (double)model_bytes_per_token(m->t) * rate;
	const bool alone = name[0] == 'd';

	if (json) {
		printf("{\"name\":\"%s\",\"threads\":%u,"
		       "\"tokens_per_second\":%.2f",
		    name, threads, rate);
		if (alone)
			printf(",\"weights_gb_per_second\":%.2f", bytes / 1e9);
		puts("}");
		return;
	}
	printf("%-14s %8.2f tokens/s", name, rate);
	if (alone)
		printf("  (%.1f GB/s of weights)", bytes / 1e9);
	putchar('\n');
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
measure(struct measure *m, const struct net *net, unsigned threads, bool json)
{
	double first[PASSES], then[PASSES], unused;
	struct pool *pool = pool_new(threads);

	m->kv = kv_pool_new(&net->hp, TT_F16, SIZE_MAX);
	m->run = run_new(net, pool, TT_F16, PROMPT);
	m->logits = xcalloc(net->hp.vocab, sizeof(*m->logits));
	pass(m, 1, 4, &unused, &unused);
	for (uint32_t i = 0; i < PASSES; i++) {
		pass(m, PROMPT, 0, &first[i], &unused);
		pass(m, 1, TOKENS, &unused, &then[i]);
	}
	qsort(first, PASSES, sizeof(*first), ascending);
	qsort(then, PASSES, sizeof(*then), ascending);
	print_rate(
	    m, json, "prefill_pp512", threads, PROMPT / first[PASSES / 2]);
	print_rate(m, json, "decode_tg64", threads, TOKENS / then[PASSES / 2]);
	free(m->logits);
	run_free(m->run);
	kv_pool_free(m->kv);
	pool_free(pool);
}

int
speed_print(const char *path, const struct model_opts *opts, unsigned threads,
    bool json)
{
	const double begin = now();
	struct error err = { 0 };
	struct model *model = model_open(path, opts, &err);
	struct net *net = NULL;
	struct measure m = { 0 };
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
	measure(&m, net, threads, json);
	print_rest(json, loaded);
	net_free(net);
	model_close(model);
	return EXIT_SUCCESS;
}

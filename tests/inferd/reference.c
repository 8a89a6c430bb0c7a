#include "tests/inferd/reference.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "inferd/run.h"

#define FILE_MAX (64u << 20)
#define HEAD 16u

void
logits_read(const char *path, struct logits *l)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const uint8_t *p;
	struct buf b;

	buf_init(&b, 0);
	if (fd < 0 || fd_read_all(fd, &b, FILE_MAX) != 0)
		fatal("read %s", path);
	p = buf_head(&b);
	if (p == NULL || buf_len(&b) < HEAD || memcmp(p, "LOGITS1", 8) != 0)
		fatalx("%s: not logits", path);
	memcpy(&l->n, p + 8, 4);
	memcpy(&l->vocab, p + 12, 4);
	if (l->n <= 0 || l->vocab <= 0 ||
	    (uint64_t)buf_len(&b) !=
		HEAD + 4 * (uint64_t)l->n * (1 + (uint64_t)l->vocab))
		fatalx("%s: not of its length", path);
	l->token = xmemdup(p + HEAD, (size_t)l->n * 4);
	l->value = xmemdup(
	    p + HEAD + (size_t)l->n * 4, (size_t)l->n * (size_t)l->vocab * 4);
	buf_free(&b);
	close(fd);
}

void
logits_free(struct logits *l)
{
	free(l->token);
	free(l->value);
}

float *
logits_of(const struct net *net, const struct logits *l, enum tensor_type kv)
{
	struct pool *pool = pool_new(2);
	struct kv_pool *pages = kv_pool_new(&net->hp, kv, SIZE_MAX);
	struct kv_seq *s = kv_seq_new(pages);
	struct run *run = run_new(net, pool, kv, (size_t)l->n);
	struct row *rows = xcalloc((size_t)l->n, sizeof(*rows));
	float *out = xcalloc((size_t)l->n * (size_t)l->vocab, sizeof(*out));

	if (net->hp.vocab != (uint32_t)l->vocab)
		fatalx("a vocabulary of %u, not %d", net->hp.vocab, l->vocab);
	if (kv_seq_reserve(s, (uint32_t)l->n) != 0)
		fatalx("no room for %d positions", l->n);
	for (int32_t i = 0; i < l->n; i++)
		rows[i] =
		    (struct row){ s, (uint32_t)i, (uint32_t)l->token[i], true };
	run_rows(run, rows, (size_t)l->n, out);
	free(rows);
	run_free(run);
	kv_seq_free(s);
	kv_pool_free(pages);
	pool_free(pool);
	return out;
}

static int32_t
top(const float *x, int32_t n)
{
	int32_t best = 0;

	for (int32_t i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	return best;
}

static double
log_sum(const float *x, int32_t n, float most)
{
	double sum = 0;

	for (int32_t i = 0; i < n; i++)
		sum += exp((double)x[i] - (double)most);
	return log(sum) + (double)most;
}

/* Kullback-Leibler divergence of b's distribution from a's. */
static double
divergence(const float *a, const float *b, int32_t n)
{
	const double la = log_sum(a, n, a[top(a, n)]);
	const double lb = log_sum(b, n, b[top(b, n)]);
	double sum = 0;

	for (int32_t i = 0; i < n; i++) {
		const double p = (double)a[i] - la, q = (double)b[i] - lb;

		sum += exp(p) * (p - q);
	}
	return sum;
}

static int
ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The larger one; what is no number is larger than all. */
static double
more(double most, double x)
{
	return x <= most ? most : x;
}

struct likeness
logits_compare(const float *a, const float *b, int32_t n, int32_t vocab)
{
	double *kld = xcalloc((size_t)n, sizeof(*kld)), most = 0;
	struct likeness l = { 0 };

	for (int32_t i = 0; i < n * vocab; i++) {
		most = more(most, fabs((double)a[i]));
		l.difference =
		    more(l.difference, fabs((double)a[i] - (double)b[i]));
	}
	l.difference /= most;
	for (int32_t i = 0; i < n; i++) {
		const float *x = &a[i * vocab], *y = &b[i * vocab];

		kld[i] = divergence(x, y, vocab);
		l.same += top(x, vocab) == top(y, vocab);
	}
	qsort(kld, (size_t)n, sizeof(*kld), ascending);
	l.median = kld[n / 2];
	free(kld);
	return l;
}

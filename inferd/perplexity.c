#include "inferd/perplexity.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "base/str.h"
#include "inferd/run.h"
#include "inferd/tok.h"

struct score {
	double sum; /* of -log p */
	size_t n;
};

/* -log of the probability of a token. */
static double
surprise(const float *logits, uint32_t vocab, int32_t token)
{
	float most = logits[0];
	double sum = 0;

	for (uint32_t i = 1; i < vocab; i++)
		most = fmaxf(most, logits[i]);
	for (uint32_t i = 0; i < vocab; i++)
		sum += exp((double)logits[i] - (double)most);
	return log(sum) + (double)most - (double)logits[token];
}

static void
window(const struct net *net, struct run *run, struct kv_pool *kv,
    const int32_t *id, uint32_t n, float *logits, struct score *score)
{
	struct row *rows = xcalloc(n, sizeof(*rows));
	struct kv_seq *s = kv_seq_new(kv);
	const uint32_t vocab = net->hp.vocab, half = n / 2;

	if (kv_seq_reserve(s, n) != 0)
		abort(); /* the pool has no limit */
	for (uint32_t i = 0; i < n; i++)
		rows[i] = (struct row){ s, i, (uint32_t)id[i],
			i >= half && i + 1 < n };
	run_rows(run, rows, n, logits);
	for (uint32_t i = half; i + 1 < n; i++) {
		score->sum += surprise(
		    &logits[(size_t)(i - half) * vocab], vocab, id[i + 1]);
		score->n++;
	}
	kv_seq_free(s);
	free(rows);
}

static int
read_text(const char *path, struct buf *b, struct error *err)
{
	cleanup_fd int fd = -1;

	if (strcmp(path, "-") != 0) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return error_set(err, errno, "%s", path);
	}
	if (fd_read_all(fd < 0 ? STDIN_FILENO : fd, b, TOK_TEXT_MAX) < 0)
		return error_set(err, errno, "%s", path);
	return 0;
}

static int
ids_of(const struct model_table *t, const char *text, struct tok_ids *ids,
    struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	struct tok *tok = tok_new(&t->vocab, err);

	if (tok == NULL)
		return -1;
	if (read_text(text, &b, err) < 0) {
		tok_free(tok);
		return -1;
	}
	if (t->vocab.add_bos && t->vocab.bos != MODEL_NO_TOKEN)
		tok_ids_push(ids, t->vocab.bos);
	(void)tok_encode(
	    tok, (const char *)buf_head(&b), buf_len(&b), false, ids);
	tok_free(tok);
	return 0;
}

static int
fail(struct model *m, struct net *net, const struct error *err)
{
	fprintf(stderr, "inferd: %s\n", err->msg);
	net_free(net);
	model_close(m);
	return EXIT_FAILURE;
}

int
perplexity_print(const char *path, const struct model_opts *opts,
    const char *text, uint32_t context, unsigned threads, bool json)
{
	struct error err = { 0 };
	struct model *m = model_open(path, opts, &err);
	cleanup_tok_ids struct tok_ids ids = { 0 };
	struct score score = { 0 };
	struct net *net = NULL;
	struct pool *pool;
	struct kv_pool *kv;
	struct run *run;
	float *logits;

	if (m != NULL)
		net = net_new(model_table(m), &err);
	if (net == NULL || ids_of(model_table(m), text, &ids, &err) < 0)
		return fail(m, net, &err);
	if (ids.n < context) {
		error_set(&err, 0,
		    "%s: %zu tokens; a window of %u needs more text", text,
		    ids.n, context);
		return fail(m, net, &err);
	}
	pool = pool_new(threads);
	kv = kv_pool_new(&net->hp, TT_F16, SIZE_MAX);
	run = run_new(net, pool, TT_F16, context);
	logits = xcalloc(
	    (size_t)(context - context / 2) * net->hp.vocab, sizeof(*logits));
	for (size_t at = 0; at + context <= ids.n; at += context)
		window(net, run, kv, &ids.id[at], context, logits, &score);
	free(logits);
	run_free(run);
	kv_pool_free(kv);
	pool_free(pool);
	if (!isfinite(exp(score.sum / (double)score.n))) {
		error_set(&err, 0,
		    "%s: the model finds no number for it; look at the model "
		    "with --check",
		    text);
		return fail(m, net, &err);
	}
	printf(json
		   ? "{\"name\":\"perplexity\",\"value\":%.6g,\"tokens\":%zu}\n"
		   : "perplexity %.6g over %zu tokens\n",
	    exp(score.sum / (double)score.n), score.n);
	net_free(net);
	model_close(m);
	return EXIT_SUCCESS;
}

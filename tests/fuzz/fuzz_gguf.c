/*
 * The model parser on any bytes, as a whole model, as one of two files where
 * there is a second one in them, and for its vocabulary; the table's decoder
 * on the same bytes; and what is made of a table that is taken: tokens, and a
 * net.  What is taken has been through all checks, so that its tensors lie in
 * the file and its ids in the vocabulary.  And files of control vectors.
 */
#include "inferd/model_scan.h"
#include "inferd/net.h"
#include "inferd/steer.h"
#include "inferd/tok.h"
#include "tests/inferd/gguf_run.h"

/* The data of tensors need not be there: heads are what is read. */
#define DATA_SIZE (1u << 20)
#define TEXT_MAX 512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Text to ids and back, as it is and as a template's. */
static void
tokenize(const struct vocab_table *v, const char *p, size_t n)
{
	struct error err;
	struct tok *t = tok_new(v, &err);

	if (t == NULL)
		return;
	for (int special = 0; special < 2; special++) {
		cleanup_tok_ids struct tok_ids ids = { 0 };
		cleanup_buf struct buf b = { 0 };
		struct tok_stream s;

		if (tok_encode(t, p, n, special == 1, &ids) < 0)
			abort();
		tok_stream_init(&s, t, true);
		for (size_t i = 0; i < ids.n; i++) {
			if (ids.id[i] < 0 || (uint32_t)ids.id[i] >= v->n)
				abort();
			tok_stream_push(&s, ids.id[i], &b);
		}
		tok_stream_end(&s, &b);
	}
	tok_free(t);
}

static void
walk(const struct model_table *t, const uint8_t *data, size_t size)
{
	struct error err;
	volatile char sink = 0;

	for (uint32_t i = 0; i < t->vocab.n; i++)
		for (uint32_t k = 0; k < t->vocab.tokens[i].len; k++)
			sink = t->vocab.tokens[i].p[k];
	for (uint32_t i = 0; i < t->vocab.nmerges; i++)
		if (t->vocab.merges[i].result >= t->vocab.n)
			abort();
	for (size_t i = 0; i < t->ntensors; i++) {
		struct tensor *ti = &t->tensors[i];

		if (ti->file == 0 && ti->offset < size &&
		    ti->bytes <= size - ti->offset) {
			ti->data = data + ti->offset;
			(void)model_scan(ti, &err);
		}
	}
	(void)sink;
	tokenize(
	    &t->vocab, (const char *)data, size < TEXT_MAX ? size : TEXT_MAX);
	/* Weights are bound, not read. */
	for (size_t i = 0; i < t->ntensors; i++)
		t->tensors[i].data = NULL;
	if (model_shape_check(t, &err) == 0)
		net_free(net_new(t, &err));
}

/* Two files, one behind the other. */
static void
split(const uint8_t *data, size_t size)
{
	const uint8_t *second =
	    size < 8 ? NULL : memmem(data + 4, size - 4, "GGUF", 4);
	struct model_table *t;
	struct error err;

	if (second == NULL)
		return;
	const struct model_bytes files[] = {
		{ data, (size_t)(second - data), size + DATA_SIZE },
		{ second, size - (size_t)(second - data), size + DATA_SIZE },
	};
	t = model_parse(files, 2, false, &err);
	if (t != NULL)
		walk(t, data, 0);
	model_table_free(t);
}

static void
vectors(const uint8_t *data, size_t size)
{
	static const struct hparams hp = { .layers = 4, .embd = 8 };

	for (int project = 0; project < 2; project++) {
		struct steers *s = steers_new(&hp);
		float h[8] = { 1, 2, 3 };
		struct error err;

		if (steers_add_bytes(s, "class", "file", data, size, 1,
			project == 1, &err) == 0)
			for (uint32_t i = 0; i < hp.layers; i++)
				steer_apply(steers_find(s, "class"), i, h);
		steers_free(s);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int vocab_only = 0; vocab_only < 2; vocab_only++) {
		struct model_table *t;
		struct error err;

		t = gguf_run_sized(
		    data, size, size + DATA_SIZE, vocab_only == 1, &err);
		if (t != NULL)
			walk(t, data, size);
		model_table_free(t);
		t = model_table_decode(data, size, &err);
		if (t != NULL)
			walk(t, data, size);
		model_table_free(t);
	}
	split(data, size);
	vectors(data, size);
	return 0;
}

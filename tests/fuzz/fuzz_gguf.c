/*
 * The model parser on any bytes, as a whole model and for its vocabulary; and
 * the table's decoder on the same bytes.  What is taken has been through all
 * checks, so that its tensors lie in the file and its ids in the vocabulary.
 */
#include "tests/inferd/gguf_run.h"

/* The data of tensors need not be there: heads are what is read. */
#define DATA_SIZE (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
walk(const struct model_table *t)
{
	volatile char sink = 0;

	for (uint32_t i = 0; i < t->vocab.n; i++)
		for (uint32_t k = 0; k < t->vocab.tokens[i].len; k++)
			sink = t->vocab.tokens[i].p[k];
	for (uint32_t i = 0; i < t->vocab.nmerges; i++)
		if (t->vocab.merges[i].result >= t->vocab.n)
			abort();
	(void)sink;
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
			walk(t);
		model_table_free(t);
		t = model_table_decode(data, size, &err);
		if (t != NULL)
			walk(t);
		model_table_free(t);
	}
	return 0;
}

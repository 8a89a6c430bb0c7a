/*
 * What llama.cpp makes of a model: its logits behind each of some tokens, with
 * one thread, keys and values in F32 and no flash attention.
 *
 *   llama-logits MODEL.gguf OUT.logits <TOKENS
 *
 * TOKENS: ids in decimal.  OUT: "LOGITS1\0", n and the vocabulary's size, n
 * tokens, n rows of logits; numbers in four bytes.
 *
 * Compiled and run with the headers, libraries and loader of a llama.cpp that
 * infer-peers.sh has unpacked; GGML_BACKEND_PATH is what computes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ggml-backend.h>
#include <llama.h>

#define TOKENS_MAX 65536

static void
die(const char *what, const char *of)
{
	fprintf(stderr, "llama-logits: %s%s\n", what, of);
	exit(EXIT_FAILURE);
}

static void
complain(enum ggml_log_level level, const char *text, void *arg)
{
	(void)arg;
	if (level == GGML_LOG_LEVEL_ERROR || level == GGML_LOG_LEVEL_WARN)
		fputs(text, stderr);
}

static int32_t
read_tokens(llama_token *token, int32_t vocab)
{
	int32_t n = 0;

	while (n < TOKENS_MAX && scanf("%d", &token[n]) == 1) {
		if (token[n] < 0 || token[n] >= vocab)
			die("a token is outside of the vocabulary", "");
		n++;
	}
	if (n == 0 || !feof(stdin))
		die("1 to 65536 numbers of tokens are needed", "");
	return n;
}

static void
put(FILE *f, const void *p, size_t n)
{
	if (fwrite(p, 1, n, f) != n)
		die("write: ", strerror(errno));
}

static struct llama_context *
context(struct llama_model *model, int32_t n)
{
	struct llama_context_params p = llama_context_default_params();
	struct llama_context *ctx;

	p.n_ctx = p.n_batch = p.n_ubatch = (uint32_t)n;
	p.n_seq_max = 1;
	p.n_threads = p.n_threads_batch = 1;
	p.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
	p.type_k = p.type_v = GGML_TYPE_F32;
	p.op_offload = false;
	ctx = llama_init_from_model(model, p);
	if (ctx == NULL)
		die("no context for this model", "");
	return ctx;
}

static void
compute(struct llama_context *ctx, const llama_token *token, int32_t n)
{
	struct llama_batch b = llama_batch_init(n, 0, 1);

	for (int32_t i = 0; i < n; i++) {
		b.token[i] = token[i];
		b.pos[i] = i;
		b.n_seq_id[i] = 1;
		b.seq_id[i][0] = 0;
		b.logits[i] = 1;
	}
	b.n_tokens = n;
	if (llama_decode(ctx, b) != 0)
		die("llama_decode() fails", "");
	llama_batch_free(b);
}

int
main(int argc, char **argv)
{
	struct llama_model_params p = llama_model_default_params();
	const char *backend = getenv("GGML_BACKEND_PATH");
	static llama_token token[TOKENS_MAX];
	struct llama_context *ctx;
	struct llama_model *model;
	int32_t n, vocab;
	FILE *f;

	if (argc != 3)
		die("usage: llama-logits MODEL.gguf OUT.logits <TOKENS", "");
	llama_log_set(complain, NULL);
	if (backend == NULL || ggml_backend_load(backend) == NULL)
		die("GGML_BACKEND_PATH is no backend", "");
	llama_backend_init();
	p.use_extra_bufts = false; /* weights stay as they are in the file */
	p.n_gpu_layers = 0;
	model = llama_model_load_from_file(argv[1], p);
	if (model == NULL)
		die("cannot load ", argv[1]);
	vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
	n = read_tokens(token, vocab);
	ctx = context(model, n);
	compute(ctx, token, n);
	if ((f = fopen(argv[2], "wbe")) == NULL)
		die("cannot write ", argv[2]);
	put(f, "LOGITS1", 8);
	put(f, &n, sizeof(n));
	put(f, &vocab, sizeof(vocab));
	put(f, token, (size_t)n * sizeof(*token));
	for (int32_t i = 0; i < n; i++)
		put(f, llama_get_logits_ith(ctx, i),
		    (size_t)vocab * sizeof(float));
	if (fclose(f) != 0)
		die("write: ", strerror(errno));
	llama_free(ctx);
	llama_model_free(model);
	return EXIT_SUCCESS;
}

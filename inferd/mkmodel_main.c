/*
 * inferd-mkmodel: writes a model of random weights.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/mkmodel.h"

static const char usage[] =
    "usage: inferd-mkmodel [options] FILE.gguf\n"
    "  --arch NAME        qwen3moe, qwen3, llama, olmoe, gpt-oss,\n"
    "                     glm4moe, deepseek2, qwen3next, qwen35moe or\n"
    "                     deepseek4\n"
    "  --preset tiny|bench\n"
    "  --layers --embd --heads --kv-heads --head --ff --experts --used\n"
    "  --expert-ff --vocab --ctx --window --rope-dims --rope-base\n"
    "  --rope-scale --lead --shared --groups --groups-used --nextn\n"
    "  --q-rank --kv-rank --expert-scale --gate softmax|sigmoid\n"
    "  --raw-weights      of experts, which do not sum to one\n"
    "  --interval --taps --state --state-keys --states --fused\n"
    "  --streams --rounds --out-groups --out-rank --choosers --chooser\n"
    "  --chosen --fixed --limit X\n"
    "  --yarn FACTOR      positions by YaRN\n"
    "  --yarn-scores X    where that makes scores larger: by how much\n"
    "  --type TYPE        of every matrix but the router's\n"
    "  --type-embd --type-output --type-attn --type-router --type-ffn\n"
    "  --type-down TYPE\n"
    "  --tokens bpe|spm|none  --pre NAME  --no-template\n"
    "  --tied  --extras  --biases  --qk-norm  --split N  --seed N  --gain X\n";

/* Long options without a letter, in the order of the table below. */
enum {
	OPT_ARCH = 256,
	OPT_PRESET,
	OPT_TYPE,
	OPT_TOKENS,
	OPT_PRE,
	OPT_NO_TEMPLATE,
	OPT_TIED,
	OPT_EXTRAS,
	OPT_BIASES,
	OPT_QK_NORM,
	OPT_GATE,
	OPT_EXPERT_SCALE,
	OPT_RAW_WEIGHTS,
	OPT_FUSED,
	OPT_SPLIT,
	OPT_SEED,
	OPT_GAIN,
	OPT_YARN,
	OPT_YARN_SCORES,
	OPT_ROPE_BASE,
	OPT_ROPE_SCALE,
	OPT_LIMIT,
	OPT_NUMBER,     /* and on: numbers[] */
	OPT_CLASS = 512 /* and on: of that class */
};

#define SHARED_MAX 64u /* of experts that every row goes through */

struct number {
	uint32_t *v;
	uint32_t max;
};

static int
fail(const char *what, const char *of)
{
	fprintf(stderr, "inferd-mkmodel: %s '%s'\n", what, of);
	return EXIT_FAILURE;
}

/* Layers with no squeezed rows, with rows of few and of many positions. */
static void
set_streams(struct hparams *h)
{
	h->expert_scale = 1.5f;
	h->q_rank = 256;
	h->kv_heads = 1;
	h->head_k = 128;
	h->window = 32;
	h->streams = (struct streams_shape){ .n = 4,
		.rounds = 20,
		.eps = 1e-6f,
		.out_groups = 2,
		.out_rank = 128,
		.index_heads = 16,
		.index_key = 64,
		.index_top = 32,
		.hash_layers = 1,
		.squeeze_base = 160000,
		.limit = 10,
		.shared_limit = 10 };
}

/* What goes with an architecture, before the options have their say. */
static void
set_arch(struct mkmodel *k, enum arch arch)
{
	struct hparams *h = &k->hp;

	h->arch = arch;
	if (arch == ARCH_QWEN3)
		h->experts = h->experts_used = h->expert_ff = 0;
	else
		h->ff = 0;
	h->window = arch == ARCH_GPT_OSS ? 128 : 0;
	h->gate = model_usual_gate(arch);
	h->expert_norm = arch != ARCH_OLMOE;
	h->dense_layers = arch == ARCH_GLM4MOE ? 1 : 0;
	h->rope_dims = 0;
	if (arch == ARCH_DEEPSEEK2) {
		h->dense_layers = 1;
		h->q_rank = h->kv_rank = 256;
		h->kv_heads = 1;
		h->head_k = 96;
	}
	h->streams = (struct streams_shape){ 0 };
	if (arch == ARCH_DEEPSEEK4)
		set_streams(h);
	h->delta = (struct delta_shape){ 0 };
	if ((model_traits(arch) & TRAIT_DELTA) != 0)
		h->delta = (struct delta_shape){ .every = 4,
			.taps = 4,
			.key_heads = 2,
			.heads = 4,
			.key = 64 };
}

static void
set_bench(struct mkmodel *k)
{
	struct hparams *h = &k->hp;

	h->layers = 24;
	h->embd = 2048;
	h->heads = 16;
	h->kv_heads = h->kv_rank == 0 ? 4 : 1;
	h->head_k = h->kv_rank == 0 ? 128 : 192;
	h->q_rank = h->q_rank == 0 ? 0 : 768;
	h->kv_rank = h->kv_rank == 0 ? 0 : 512;
	h->ff = h->ff == 0 ? 0 : 6144;
	if (h->experts > 0) {
		h->experts = 64;
		h->experts_used = 8;
		h->expert_ff = 768;
	}
	if (h->delta.every > 0) {
		h->delta.key_heads = 16;
		h->delta.heads = 32;
		h->delta.key = 128;
	}
	h->vocab = 32000;
	h->ctx_train = 32768;
	k->mix = true;
}

static int
set_real(const char *text, float least, float *out)
{
	char *end;
	float v = strtof(text, &end);

	if (*text == '\0' || *end != '\0' || !(v >= least) || v > 1e9f)
		return fail("no such number:", text);
	*out = v;
	return 0;
}

static int
set_type(const char *text, enum tensor_type *out)
{
	int type = tensor_type_find(text);

	if (type < 0)
		return fail("unknown type", text);
	*out = (enum tensor_type)type;
	return 0;
}

static int
set_number(const char *text, const struct number *n)
{
	uint64_t v;

	if (str_to_u64(text, 0, n->max, &v) < 0)
		return fail("no such number:", text);
	*n->v = (uint32_t)v;
	return 0;
}

static int
set_tokens(struct mkmodel *k, const char *text)
{
	if (str_eq(text, "bpe"))
		k->vocab = MKMODEL_BPE;
	else if (str_eq(text, "spm"))
		k->vocab = MKMODEL_SPM;
	else if (str_eq(text, "none"))
		k->vocab = MKMODEL_NO_VOCAB;
	else
		return fail("unknown kind of tokens", text);
	return 0;
}

static int
set_preset(struct mkmodel *k, const char *text)
{
	if (str_eq(text, "bench"))
		set_bench(k);
	else if (!str_eq(text, "tiny"))
		return fail("unknown preset", text);
	return 0;
}

static int
set_yarn(struct mkmodel *k, const char *text)
{
	k->hp.yarn.on = true;
	k->hp.yarn.beta_fast = 32;
	k->hp.yarn.beta_slow = 1;
	return set_real(text, 1, &k->hp.yarn.factor);
}

static int
set_gate(struct mkmodel *k, const char *text)
{
	if (str_eq(text, "sigmoid"))
		k->hp.gate = GATE_SIGMOID;
	else if (str_eq(text, "softmax"))
		k->hp.gate = GATE_SOFTMAX;
	else
		return fail("unknown gate", text);
	return 0;
}

/* Those that take effect before all others, wherever they stand. */
static int
first_options(struct mkmodel *k, int c)
{
	enum arch arch;

	if (c == OPT_ARCH) {
		if ((arch = arch_find(optarg)) == ARCH_NONE)
			return fail("unknown architecture", optarg);
		set_arch(k, arch);
	}
	return 0;
}

static int
option(struct mkmodel *k, int c, const struct number *numbers)
{
	uint64_t v;

	switch (c) {
	case OPT_ARCH:
	case OPT_PRESET:
		return 0;
	case OPT_TYPE: {
		enum tensor_type type;

		if (set_type(optarg, &type) != 0)
			return EXIT_FAILURE;
		for (size_t i = 0; i < MKMODEL_CLASSES; i++)
			if (i != CLASS_NORM && i != CLASS_ROUTER)
				k->type[i] = type;
		return 0;
	}
	case OPT_TOKENS:
		return set_tokens(k, optarg);
	case OPT_PRE:
		k->pre = optarg;
		return 0;
	case OPT_NO_TEMPLATE:
		k->template = false;
		return 0;
	case OPT_TIED:
		k->tied = true;
		return 0;
	case OPT_EXTRAS:
		k->extras = true;
		return 0;
	case OPT_BIASES:
		k->biases = true;
		return 0;
	case OPT_QK_NORM:
		k->qk_norm = true;
		return 0;
	case OPT_FUSED:
		k->hp.delta.fused = true;
		return 0;
	case OPT_GATE:
		return set_gate(k, optarg);
	case OPT_RAW_WEIGHTS:
		k->hp.expert_norm = false;
		return 0;
	case OPT_YARN_SCORES:
		return set_real(optarg, 0, &k->hp.yarn.log_mul);
	case OPT_EXPERT_SCALE:
		return set_real(optarg, 0, &k->hp.expert_scale);
	case OPT_SPLIT:
		if (str_to_u64(optarg, 1, MODEL_FILES_MAX, &v) < 0)
			return fail("no such number:", optarg);
		k->files = (uint32_t)v;
		return 0;
	case OPT_SEED:
		if (str_to_u64(optarg, 0, UINT64_MAX, &k->seed) < 0)
			return fail("no such number:", optarg);
		return 0;
	case OPT_GAIN:
		return set_real(optarg, 0, &k->gain);
	case OPT_YARN:
		return set_yarn(k, optarg);
	case OPT_ROPE_BASE:
		return set_real(optarg, 1, &k->hp.rope_base);
	case OPT_ROPE_SCALE:
		return set_real(optarg, 0, &k->hp.rope_scale);
	case OPT_LIMIT:
		k->hp.streams.shared_limit = 0;
		if (set_real(optarg, 0, &k->hp.streams.limit) != 0)
			return EXIT_FAILURE;
		k->hp.streams.shared_limit = k->hp.streams.limit;
		return 0;
	default:
		if (c >= OPT_CLASS)
			return set_type(optarg, &k->type[c - OPT_CLASS]);
		return set_number(optarg, &numbers[c - OPT_NUMBER]);
	}
}

/* Values of a head that are rotated. */
static uint32_t
usual_rotation(const struct hparams *h)
{
	if ((model_traits(h->arch) & TRAIT_DELTA) != 0)
		return h->head_k / 4;
	if (h->arch == ARCH_DEEPSEEK2)
		return h->head_k / 6 * 2;
	if (h->arch == ARCH_DEEPSEEK4)
		return h->head_k / 4;
	return h->arch == ARCH_GLM4MOE ? h->head_k / 2 : h->head_k;
}

/* What was not said follows from the rest. */
static void
complete(struct mkmodel *k, bool dense, uint32_t shared)
{
	struct hparams *h = &k->hp;

	if (dense)
		h->experts = h->experts_used = h->expert_ff = 0;
	if ((h->experts == 0 || h->dense_layers > 0) && h->ff == 0)
		h->ff = 2 * h->embd;
	h->shared_ff = shared * h->expert_ff;
	h->head_v = h->head_k;
	h->delta.value = h->delta.key;
	if (h->delta.every > h->layers)
		h->delta.every = h->layers;
	/* The first two have a window alone; the others take turns. */
	for (uint32_t i = 2; h->streams.n > 0 && i < h->layers; i++)
		h->streams.squeeze[i] = i % 2 == 0 ? SQUEEZE_FEW : SQUEEZE_MANY;
	if (h->rope_dims == 0)
		h->rope_dims = usual_rotation(h);
	if (h->kv_rank > 0 && h->rope_dims < h->head_k)
		h->head_v = h->head_k - h->rope_dims;
	if (h->yarn.on)
		h->yarn.ctx_orig = h->ctx_train;
	if (h->yarn.on && h->kv_rank > 0 && h->yarn.log_mul == 0)
		h->yarn.log_mul = 0.1f;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "arch", required_argument, NULL, OPT_ARCH },
		{ "preset", required_argument, NULL, OPT_PRESET },
		{ "type", required_argument, NULL, OPT_TYPE },
		{ "tokens", required_argument, NULL, OPT_TOKENS },
		{ "pre", required_argument, NULL, OPT_PRE },
		{ "no-template", no_argument, NULL, OPT_NO_TEMPLATE },
		{ "tied", no_argument, NULL, OPT_TIED },
		{ "extras", no_argument, NULL, OPT_EXTRAS },
		{ "biases", no_argument, NULL, OPT_BIASES },
		{ "qk-norm", no_argument, NULL, OPT_QK_NORM },
		{ "gate", required_argument, NULL, OPT_GATE },
		{ "expert-scale", required_argument, NULL, OPT_EXPERT_SCALE },
		{ "raw-weights", no_argument, NULL, OPT_RAW_WEIGHTS },
		{ "fused", no_argument, NULL, OPT_FUSED },
		{ "split", required_argument, NULL, OPT_SPLIT },
		{ "seed", required_argument, NULL, OPT_SEED },
		{ "gain", required_argument, NULL, OPT_GAIN },
		{ "yarn", required_argument, NULL, OPT_YARN },
		{ "yarn-scores", required_argument, NULL, OPT_YARN_SCORES },
		{ "rope-base", required_argument, NULL, OPT_ROPE_BASE },
		{ "rope-scale", required_argument, NULL, OPT_ROPE_SCALE },
		{ "limit", required_argument, NULL, OPT_LIMIT },
		{ "layers", required_argument, NULL, OPT_NUMBER },
		{ "embd", required_argument, NULL, OPT_NUMBER + 1 },
		{ "heads", required_argument, NULL, OPT_NUMBER + 2 },
		{ "kv-heads", required_argument, NULL, OPT_NUMBER + 3 },
		{ "head", required_argument, NULL, OPT_NUMBER + 4 },
		{ "ff", required_argument, NULL, OPT_NUMBER + 5 },
		{ "experts", required_argument, NULL, OPT_NUMBER + 6 },
		{ "used", required_argument, NULL, OPT_NUMBER + 7 },
		{ "expert-ff", required_argument, NULL, OPT_NUMBER + 8 },
		{ "vocab", required_argument, NULL, OPT_NUMBER + 9 },
		{ "ctx", required_argument, NULL, OPT_NUMBER + 10 },
		{ "window", required_argument, NULL, OPT_NUMBER + 11 },
		{ "lead", required_argument, NULL, OPT_NUMBER + 12 },
		{ "shared", required_argument, NULL, OPT_NUMBER + 13 },
		{ "groups", required_argument, NULL, OPT_NUMBER + 14 },
		{ "groups-used", required_argument, NULL, OPT_NUMBER + 15 },
		{ "nextn", required_argument, NULL, OPT_NUMBER + 16 },
		{ "rope-dims", required_argument, NULL, OPT_NUMBER + 17 },
		{ "q-rank", required_argument, NULL, OPT_NUMBER + 18 },
		{ "kv-rank", required_argument, NULL, OPT_NUMBER + 19 },
		{ "interval", required_argument, NULL, OPT_NUMBER + 20 },
		{ "taps", required_argument, NULL, OPT_NUMBER + 21 },
		{ "state", required_argument, NULL, OPT_NUMBER + 22 },
		{ "state-keys", required_argument, NULL, OPT_NUMBER + 23 },
		{ "states", required_argument, NULL, OPT_NUMBER + 24 },
		{ "streams", required_argument, NULL, OPT_NUMBER + 25 },
		{ "rounds", required_argument, NULL, OPT_NUMBER + 26 },
		{ "out-groups", required_argument, NULL, OPT_NUMBER + 27 },
		{ "out-rank", required_argument, NULL, OPT_NUMBER + 28 },
		{ "choosers", required_argument, NULL, OPT_NUMBER + 29 },
		{ "chooser", required_argument, NULL, OPT_NUMBER + 30 },
		{ "chosen", required_argument, NULL, OPT_NUMBER + 31 },
		{ "fixed", required_argument, NULL, OPT_NUMBER + 32 },
		{ "type-embd", required_argument, NULL,
		    OPT_CLASS + CLASS_EMBD },
		{ "type-output", required_argument, NULL,
		    OPT_CLASS + CLASS_OUTPUT },
		{ "type-attn", required_argument, NULL,
		    OPT_CLASS + CLASS_ATTN },
		{ "type-router", required_argument, NULL,
		    OPT_CLASS + CLASS_ROUTER },
		{ "type-ffn", required_argument, NULL, OPT_CLASS + CLASS_FFN },
		{ "type-down", required_argument, NULL,
		    OPT_CLASS + CLASS_DOWN },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct mkmodel k;
	struct hparams *h = &k.hp;
	uint32_t shared = 0;
	const struct number numbers[] = {
		{ &h->layers, MODEL_LAYERS_MAX },
		{ &h->embd, MODEL_EMBD_MAX },
		{ &h->heads, MODEL_HEADS_MAX },
		{ &h->kv_heads, MODEL_HEADS_MAX },
		{ &h->head_k, MODEL_HEAD_MAX },
		{ &h->ff, MODEL_FF_MAX },
		{ &h->experts, MODEL_EXPERTS_MAX },
		{ &h->experts_used, MODEL_EXPERTS_MAX },
		{ &h->expert_ff, MODEL_FF_MAX },
		{ &h->vocab, MODEL_VOCAB_MAX },
		{ &h->ctx_train, MODEL_CTX_MAX },
		{ &h->window, MODEL_CTX_MAX },
		{ &h->dense_layers, MODEL_LAYERS_MAX },
		{ &shared, SHARED_MAX },
		{ &h->expert_groups, MODEL_EXPERTS_MAX },
		{ &h->groups_used, MODEL_EXPERTS_MAX },
		{ &h->idle_layers, MODEL_LAYERS_MAX },
		{ &h->rope_dims, MODEL_HEAD_MAX },
		{ &h->q_rank, MODEL_EMBD_MAX },
		{ &h->kv_rank, MODEL_HEAD_MAX },
		{ &h->delta.every, MODEL_LAYERS_MAX },
		{ &h->delta.taps, DELTA_TAPS_MAX },
		{ &h->delta.key, MODEL_HEAD_MAX },
		{ &h->delta.key_heads, MODEL_HEADS_MAX },
		{ &h->delta.heads, MODEL_HEADS_MAX },
		{ &h->streams.n, STREAMS_MAX },
		{ &h->streams.rounds, STREAMS_ROUNDS_MAX },
		{ &h->streams.out_groups, MODEL_HEADS_MAX },
		{ &h->streams.out_rank, MODEL_EMBD_MAX },
		{ &h->streams.index_heads, MODEL_HEADS_MAX },
		{ &h->streams.index_key, MODEL_HEAD_MAX },
		{ &h->streams.index_top, INDEX_TOP_MAX },
		{ &h->streams.hash_layers, MODEL_LAYERS_MAX },
	};
	const char *preset = "tiny";
	struct error err;
	int c;

	mkmodel_init(&k);
	set_arch(&k, ARCH_QWEN3MOE);
	/* Architecture, then preset, then the rest as it stands. */
	while ((c = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (c == 'V') {
			puts("inferd-mkmodel " PACKAGE_VERSION);
			return EXIT_SUCCESS;
		}
		if (c == '?') {
			fputs(usage, stderr);
			return EXIT_FAILURE;
		}
		if (c == OPT_PRESET)
			preset = optarg;
		if (first_options(&k, c) != 0)
			return EXIT_FAILURE;
	}
	if (optind + 1 != argc) {
		fputs(usage, stderr);
		return EXIT_FAILURE;
	}
	shared = (model_traits(h->arch) & TRAIT_SHARED) != 0;
	if (set_preset(&k, preset) != 0)
		return EXIT_FAILURE;
	optind = 1;
	while ((c = getopt_long(argc, argv, "hV", options, NULL)) != -1)
		if (option(&k, c, numbers) != 0)
			return EXIT_FAILURE;
	complete(&k, h->experts == 0, shared);
	if (mkmodel_write(&k, argv[optind], &err) < 0) {
		fprintf(stderr, "inferd-mkmodel: %s\n", err.msg);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

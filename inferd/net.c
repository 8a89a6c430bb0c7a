#include "inferd/net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compat.h"
#include "base/str.h"
#include "inferd/kv.h"
#include "inferd/model_scan.h"
#include "inferd/model_shape.h"
#include "inferd/net_bind.h"
#include "inferd/rope.h"

const struct arch_def *
arch_def(enum arch arch)
{
	static const struct arch_def *const all[] = { &arch_qwen3moe,
		&arch_qwen3, &arch_llama, &arch_olmoe, &arch_gpt_oss,
		&arch_glm4moe, &arch_deepseek2, &arch_qwen3next,
		&arch_qwen35moe, &arch_deepseek4 };

	for (size_t i = 0; i < nitems(all); i++)
		if (all[i]->arch == arch)
			return all[i];
	return NULL;
}

bool
net_kv_shape(const struct hparams *hp, uint32_t i, struct kv_shape *out)
{
	const struct arch_def *d = arch_def(hp->arch);

	if (d != NULL && d->kv != NULL)
		return d->kv(hp, i, out);
	*out = (struct kv_shape){
		.heads = hp->kv_heads, .key = hp->head_k, .value = hp->head_v
	};
	return i < hp->layers;
}

static const struct tensor *
find(struct binding *b, const char *part, const char *suffix, bool needed)
{
	char name[MODEL_NAME_MAX + 1];
	const struct tensor *t;

	if (b->layer < 0)
		snprintf(name, sizeof(name), "%s%s", part, suffix);
	else
		snprintf(
		    name, sizeof(name), "blk.%d.%s%s", b->layer, part, suffix);
	t = model_table_find(b->t, name);
	if (t == NULL && needed && !b->failed) {
		error_set(b->err, 0, "model: tensor %s is missing", name);
		b->failed = true;
	}
	return t;
}

const float *
net_vector(struct binding *b, const char *part, const char *suffix, size_t n,
    bool needed)
{
	const struct tensor *t = find(b, part, suffix, needed);

	if (t == NULL)
		return NULL;
	if (t->type != TT_F32 ||
	    t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3] != n) {
		if (!b->failed)
			error_set(b->err, 0,
			    "model: tensor %s is not of %zu values in F32",
			    t->name, n);
		b->failed = true;
		return NULL;
	}
	return t->data;
}

struct matrix
net_matrix(struct binding *b, const char *part, size_t rows, size_t cols,
    size_t experts, bool needed)
{
	const struct tensor *t = find(b, part, ".weight", needed);
	const size_t n = experts == 0 ? 1 : experts;
	struct matrix m = { 0 };

	if (t == NULL)
		return m;
	if (t->dims[0] != cols || t->dims[1] != rows || t->dims[2] != n) {
		if (!b->failed)
			error_set(b->err, 0,
			    "model: tensor %s is not of %zu x %zu x %zu",
			    t->name, cols, rows, n);
		b->failed = true;
		return m;
	}
	m.type = t->type;
	m.w = t->data;
	m.rows = rows;
	m.cols = cols;
	m.row_bytes = tensor_row_bytes(t->type, cols);
	m.bias = net_vector(b, part, ".bias", rows * n, false);
	m.scale = net_vector(b, part, ".scale", n, false);
	return m;
}

int32_t *
net_table(struct binding *b, const char *part, size_t rows, size_t cols,
    uint32_t below)
{
	const struct tensor *t = find(b, part, ".weight", true);
	struct tensor own;
	int32_t *v;

	/* Of a model that is only looked at there is no data. */
	if (t == NULL || t->data == NULL)
		return NULL;
	if (t->type == TT_I32 && t->dims[0] == cols && t->dims[1] == rows &&
	    t->dims[2] == 1) {
		own = *t;
		own.data = v = xmalloc(t->bytes);
		memcpy(v, t->data, t->bytes);
		if (model_scan_below(&own, below) == 0)
			return v;
		free(v);
	}
	if (!b->failed)
		error_set(b->err, 0,
		    "model: tensor %s is no table of %zu x %zu numbers "
		    "below %u",
		    t->name, cols, rows, below);
	b->failed = true;
	return NULL;
}

void
net_bind_attention(struct binding *b, const struct net *net, struct layer *l)
{
	const struct hparams *hp = &net->hp;
	const struct arch_def *d = net->def;
	const size_t q = (size_t)hp->heads * hp->head_k,
		     k = (size_t)hp->kv_heads * hp->head_k,
		     v = (size_t)hp->kv_heads * hp->head_v,
		     o = (size_t)hp->heads * hp->head_v;
	const bool full = d->qk_norm == QK_NORM_FULL,
		   norm = !d->qk_norm_optional;

	l->q =
	    net_matrix(b, "attn_q", d->q_gate ? 2 * q : q, hp->embd, 0, true);
	l->k = net_matrix(b, "attn_k", k, hp->embd, 0, true);
	l->v = net_matrix(b, "attn_v", v, hp->embd, 0, true);
	l->o = net_matrix(b, "attn_output", hp->embd, o, 0, true);
	if (d->qk_norm != QK_NORM_NONE) {
		l->q_norm = net_vector(
		    b, "attn_q_norm", ".weight", full ? q : hp->head_k, norm);
		l->k_norm = net_vector(
		    b, "attn_k_norm", ".weight", full ? k : hp->head_k, norm);
	}
	l->sinks = net_vector(
	    b, "attn_sinks", ".weight", hp->heads, hp->arch == ARCH_GPT_OSS);
	l->window = d->window == NULL
			? hp->window
			: d->window((uint32_t)b->layer, hp->window);
}

static void
bind_shared(struct binding *b, const struct hparams *hp, struct layer *l)
{
	const size_t ff = hp->shared_ff, embd = hp->embd;

	if (ff == 0)
		return;
	l->shared_gate = net_matrix(b, "ffn_gate_shexp", ff, embd, 0, true);
	l->shared_up = net_matrix(b, "ffn_up_shexp", ff, embd, 0, true);
	l->shared_down = net_matrix(b, "ffn_down_shexp", embd, ff, 0, true);
	l->shared_share =
	    net_vector(b, "ffn_gate_inp_shexp", ".weight", embd, false);
}

static void
bind_feed_forward(struct binding *b, const struct net *net, struct layer *l)
{
	const struct hparams *hp = &net->hp;
	const size_t ff = hp->expert_ff, embd = hp->embd, n = hp->experts;

	l->ffn_norm = net_vector(b, net->def->ffn_norm, ".weight", embd, true);
	if (!model_layer_experts(hp, (uint32_t)b->layer)) {
		l->gate = net_matrix(b, "ffn_gate", hp->ff, embd, 0, true);
		l->up = net_matrix(b, "ffn_up", hp->ff, embd, 0, true);
		l->down = net_matrix(b, "ffn_down", embd, hp->ff, 0, true);
		return;
	}
	l->router = net_matrix(b, "ffn_gate_inp", n, embd, 0, true);
	l->router_bias = net_vector(b, "exp_probs_b", ".bias", n, false);
	if (model_layer_hashed(hp, (uint32_t)b->layer))
		l->fixed = net_table(b, "ffn_gate_tid2eid", hp->vocab,
		    hp->experts_used, (uint32_t)n);
	l->gate = net_matrix(b, "ffn_gate_exps", ff, embd, n, true);
	l->up = net_matrix(b, "ffn_up_exps", ff, embd, n, true);
	l->down = net_matrix(b, "ffn_down_exps", embd, ff, n, true);
	if (!net->def->expert_scales)
		l->gate.scale = l->up.scale = l->down.scale = NULL;
	bind_shared(b, hp, l);
}

static void
bind_layer(struct binding *b, const struct net *net, struct layer *l)
{
	const struct hparams *hp = &net->hp;
	const struct arch_def *d = net->def;

	l->attn_norm = net_vector(b, "attn_norm", ".weight", hp->embd, true);
	if (d->bind != NULL)
		d->bind(b, net, l);
	else
		net_bind_attention(b, net, l);
	bind_feed_forward(b, net, l);
}

static void
bind_rope(struct binding *b, struct net *n)
{
	const size_t pairs = n->hp.rope_dims / 2;
	const float *factors;

	b->layer = -1;
	factors = net_vector(b, "rope_freqs", ".weight", pairs, false);
	n->rope_freq = xcalloc(pairs, sizeof(*n->rope_freq));
	if (n->hp.streams.n == 0) {
		rope_frequencies(&n->hp, factors, n->rope_freq, &n->rope_gain);
		return;
	}
	n->squeeze_freq = xcalloc(pairs, sizeof(*n->squeeze_freq));
	rope_streams(&n->hp, n->rope_freq, n->squeeze_freq);
	n->rope_gain = 1;
}

static void
bind_streams(struct binding *b, struct net *n)
{
	const size_t streams = n->hp.streams.n;

	if (streams == 0)
		return;
	n->mix_out.fn = net_matrix(
	    b, "output_hc_fn", streams, streams * n->hp.embd, 0, true);
	n->mix_out.base =
	    net_vector(b, "output_hc_base", ".weight", streams, true);
	n->mix_out.scale = net_vector(b, "output_hc_scale", ".weight", 1, true);
}

struct net *
net_new(const struct model_table *t, struct error *err)
{
	struct binding b = { .t = t, .err = err, .layer = -1 };
	const struct arch_def *def = arch_def(t->hp.arch);
	struct net *n;

	if (def == NULL) {
		error_set(err, 0, "model: architecture %s cannot be run",
		    arch_name(t->hp.arch));
		return NULL;
	}
	n = xcalloc(1, sizeof(*n));
	n->def = def;
	n->hp = t->hp;
	n->attn_scale = rope_grows(&n->hp) / sqrtf((float)n->hp.head_k);
	n->embd =
	    net_matrix(&b, "token_embd", n->hp.vocab, n->hp.embd, 0, true);
	n->output = net_matrix(&b, "output", n->hp.vocab, n->hp.embd, 0, false);
	if (n->output.w == NULL)
		n->output = n->embd;
	n->output_norm =
	    net_vector(&b, "output_norm", ".weight", n->hp.embd, true);
	bind_streams(&b, n);
	n->layers = xcalloc(n->hp.layers, sizeof(*n->layers));
	for (uint32_t i = 0; i < n->hp.layers && !b.failed; i++) {
		b.layer = (int)i;
		bind_layer(&b, n, &n->layers[i]);
	}
	bind_rope(&b, n);
	if (b.failed) {
		net_free(n);
		return NULL;
	}
	return n;
}

void
net_free(struct net *n)
{
	if (n == NULL)
		return;
	for (uint32_t i = 0; n->layers != NULL && i < n->hp.layers; i++) {
		free(n->layers[i].fixed);
		free(n->layers[i].delta.conv);
		free(n->layers[i].squeeze.place);
		free(n->layers[i].index.place);
	}
	free(n->layers);
	free(n->rope_freq);
	free(n->squeeze_freq);
	free(n);
}

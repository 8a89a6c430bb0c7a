#include "inferd/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "inferd/guess.h"
#include "inferd/kv.h"
#include "inferd/model_shape.h"
#include "proxy/json_string.h"

struct use {
	size_t tensors;
	uint64_t bytes;
};

static void
count_types(const struct model_table *t, struct use use[TT_MAX])
{
	memset(use, 0, TT_MAX * sizeof(*use));
	for (size_t i = 0; i < t->ntensors; i++) {
		use[t->tensors[i].type].tensors++;
		use[t->tensors[i].type].bytes += t->tensors[i].bytes;
	}
}

static void
put_member(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, ",\"%s\":\"", name);
	json_string_encode(b, value, strlen(value));
	buf_printf(b, "\"");
}

/* Layers that keep a state, and bytes of it for each sequence. */
static uint32_t
states(const struct hparams *h, size_t *bytes)
{
	struct kv_shape shape;
	uint32_t n = 0;

	*bytes = 0;
	for (uint32_t i = 0; net_kv_shape(h, i, &shape); i++) {
		/* One may have two, the second behind all others'. */
		n +=
		    shape.state > 0 && (h->streams.n == 0 || i < 2 * h->layers);
		*bytes += shape.state;
	}
	return n;
}

/* The model that guesses; draft: NULL if there is none. */
static void
put_json(struct buf *b, const struct model *m, const struct model *draft)
{
	const struct model_table *t = model_table(m);
	const struct hparams *h = &t->hp;
	struct use use[TT_MAX];
	uint64_t active, all = model_params(t, &active);
	const char *comma = "";
	size_t bytes;
	const uint32_t nstates = states(h, &bytes);

	buf_printf(b, "{\"arch\":\"%s\"", arch_name(h->arch));
	put_member(b, "name", t->name);
	put_member(b, "id", model_id(m));
	buf_printf(b,
	    ",\"files\":%u,\"bytes\":%" PRIu64 ",\"params\":%" PRIu64
	    ",\"params_active\":%" PRIu64 ",\"bytes_per_token\":%" PRIu64
	    ",\"layers\":%u,\"embedding\":%u,\"heads\":%u,\"kv_heads\":%u,"
	    "\"experts\":%u,\"experts_used\":%u,\"dense_layers\":%u,"
	    "\"idle_layers\":%u,\"q_rank\":%u,\"kv_rank\":%u,"
	    "\"state_layers\":%u,\"state_bytes\":%zu,"
	    "\"context\":%u,\"vocabulary\":%u",
	    t->nfiles, model_bytes(m), all, active, model_bytes_per_token(t),
	    h->layers, h->embd, h->heads, h->kv_heads, h->experts,
	    h->experts_used, h->experts > 0 ? h->dense_layers : h->layers,
	    h->idle_layers, h->q_rank, h->kv_rank, nstates, bytes, h->ctx_train,
	    h->vocab);
	put_member(b, "tokeniser", t->vocab.model);
	put_member(b, "pre", t->vocab.pre);
	put_member(b, "template_sha256", t->template_sha256);
	buf_printf(b, ",\"sealed\":%s,\"locked\":%s,\"types\":{",
	    model_is_sealed(m) ? "true" : "false",
	    model_is_locked(m) ? "true" : "false");
	count_types(t, use);
	for (uint32_t i = 0; i < TT_MAX; i++) {
		if (use[i].tensors == 0)
			continue;
		buf_printf(b,
		    "%s\"%s\":{\"tensors\":%zu,\"bytes\":%" PRIu64 "}", comma,
		    tensor_type_name(i), use[i].tensors, use[i].bytes);
		comma = ",";
	}
	buf_printf(b, "}");
	if (draft != NULL) {
		t = model_table(draft);
		buf_printf(
		    b, ",\"draft\":{\"arch\":\"%s\"", arch_name(t->hp.arch));
		put_member(b, "id", model_id(draft));
		buf_printf(b,
		    ",\"bytes\":%" PRIu64 ",\"bytes_per_token\":%" PRIu64 "}",
		    model_bytes(draft), model_bytes_per_token(t));
	}
	buf_printf(b, "}\n");
}

static const char *
or_none(const char *s)
{
	return s[0] == '\0' ? "none" : s;
}

static void
put_shape(struct buf *b, const struct model_table *t)
{
	const struct hparams *h = &t->hp;
	uint64_t active, all = model_params(t, &active);
	size_t bytes;
	const uint32_t nstates = states(h, &bytes);

	buf_printf(b,
	    "parameters    %.3f million, %.3f million of them for a token\n"
	    "read          %.1f MB of weights for a token\n"
	    "layers        %u of %u, %u heads, %u for keys and values\n",
	    (double)all / 1e6, (double)active / 1e6,
	    (double)model_bytes_per_token(t) / 1e6, h->layers, h->embd,
	    h->heads, h->kv_heads);
	if (h->idle_layers > 0)
		buf_printf(b, "idle layers   %u behind those, left out\n",
		    h->idle_layers);
	if (h->kv_rank > 0)
		buf_printf(
		    b, "ranks         %u of keys and values", h->kv_rank);
	if (h->q_rank > 0)
		buf_printf(b, ", %u of queries", h->q_rank);
	if (h->kv_rank > 0)
		buf_printf(b, "\n");
	if (h->experts > 0)
		buf_printf(b, "experts       %u of %u%s\n", h->experts_used,
		    h->experts, h->shared_ff > 0 ? ", and a shared one" : "");
	if (nstates > 0)
		buf_printf(b,
		    "states        in %u layers, %.1f MB for each sequence\n",
		    nstates, (double)bytes / 1e6);
	if (h->dense_layers > 0)
		buf_printf(b, "dense layers  %u in front\n", h->dense_layers);
	buf_printf(b, "context       %u tokens\n", h->ctx_train);
}

static void
put_text(struct buf *b, const struct model *m)
{
	const struct model_table *t = model_table(m);
	cleanup_free char *name = str_escape(t->name, strlen(t->name));
	cleanup_free char *pre = str_escape(t->vocab.pre, strlen(t->vocab.pre));
	struct use use[TT_MAX];

	buf_printf(b,
	    "model         %s\n"
	    "architecture  %s\n"
	    "files         %u, %.1f MB%s%s\n",
	    or_none(name), arch_name(t->hp.arch), t->nfiles,
	    (double)model_bytes(m) / 1e6, model_is_sealed(m) ? ", sealed" : "",
	    model_is_locked(m) ? ", locked" : "");
	if (t->hp.arch != ARCH_NONE)
		put_shape(b, t);
	buf_printf(b, "vocabulary    %u tokens, tokeniser %s, pre %s\n",
	    t->hp.vocab, t->vocab.model, or_none(pre));
	buf_printf(b, "template      %s\n", or_none(t->template_sha256));
	count_types(t, use);
	for (uint32_t i = 0; i < TT_MAX; i++)
		if (use[i].tensors > 0)
			buf_printf(b,
			    "type          %-8s %zu tensors, %.1f MB\n",
			    tensor_type_name(i), use[i].tensors,
			    (double)use[i].bytes / 1e6);
}

static void
put_draft(struct buf *b, const struct model *draft)
{
	const struct model_table *t = model_table(draft);

	buf_printf(b,
	    "draft         %s, %.1f MB, %.1f MB of weights for a token\n",
	    arch_name(t->hp.arch), (double)model_bytes(draft) / 1e6,
	    (double)model_bytes_per_token(t) / 1e6);
}

static int
open_both(const char *path, const char *second, const struct model_opts *opts,
    struct model **m, struct model **draft, struct error *err)
{
	struct net *net;

	*m = model_open(path, opts, err);
	if (*m == NULL || second == NULL)
		return *m == NULL ? -1 : 0;
	*draft = model_open(second, opts, err);
	if (*draft == NULL)
		return -1;
	net = guesser_net(model_table(*m), model_table(*draft), err);
	net_free(net);
	return net == NULL ? -1 : 0;
}

int
check_model(const char *path, const char *second, const struct model_opts *opts,
    bool json)
{
	cleanup_model struct model *m = NULL, *draft = NULL;
	cleanup_buf struct buf b = { 0 };
	struct error err = { 0 };

	if (open_both(path, second, opts, &m, &draft, &err) < 0) {
		fprintf(stderr, "inferd: %s\n", err.msg);
		return EXIT_FAILURE;
	}
	buf_init(&b, 0);
	if (json)
		put_json(&b, m, draft);
	else
		put_text(&b, m);
	if (!json && draft != NULL)
		put_draft(&b, draft);
	fwrite(buf_head(&b), 1, buf_len(&b), stdout);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

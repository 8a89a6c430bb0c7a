#include "inferd/guess.h"

#include <stdlib.h>

#include "base/str.h"
#include "inferd/kern.h"
#include "inferd/tensor_type.h"
#include "inferd/vocab_same.h"

#define PART 4u /* of the memory of keys and values, at most */
#define MEAN 0.6

/* How often guesses come true, by how sure it was. */
static const struct {
	float sure;
	double chance;
} kinds[GUESS_KINDS] = { { 0, 0.2 }, { 0.3f, 0.4 }, { 0.5f, 0.6 },
	{ 0.7f, 0.75 }, { 0.9f, 0.9 } };

/* Heads of some shapes have no blocks of a type. */
static enum tensor_type
type_for(const struct hparams *hp, enum tensor_type type)
{
	return kv_fits(hp, type) ? type : TT_F16;
}

struct net *
guesser_net(const struct model_table *first, const struct model_table *t,
    struct error *err)
{
	struct kv_pool *kv = kv_pool_new(&t->hp, TT_F16, 0);
	const bool stays = kv_state_bytes(kv) == 0;
	struct error why = { 0 };
	struct net *n = NULL;

	kv_pool_free(kv);

	if (first->hp.vocab != t->hp.vocab)
		error_set(&why, 0,
		    "its vocabulary has %u tokens, the model's %u", t->hp.vocab,
		    first->hp.vocab);
	else if (!stays)
		error_set(&why, 0,
		    "%s keeps a state, and cannot go back when guesses are "
		    "wrong",
		    arch_name(t->hp.arch));
	else if (vocab_same(&first->vocab, &t->vocab, &why) == 0)
		n = net_new(t, &why);
	if (n == NULL)
		error_set(err, 0, "the draft model: %s", why.msg);
	return n;
}

struct guesser *
guesser_new(const struct net *n, struct pool *pool, enum tensor_type type,
    uint64_t budget, double weight)
{
	struct guesser *m = xcalloc(1, sizeof(*m));

	type = type_for(&n->hp, type);
	m->net = n;
	m->run = run_new(n, pool, type, GUESS_ROWS);
	m->kv = kv_pool_new(&n->hp, type, budget);
	m->sampler = sampler_new(n->hp.vocab);
	m->weight = weight;
	return m;
}

void
guesser_free(struct guesser *m)
{
	if (m == NULL)
		return;
	sampler_free(m->sampler);
	run_free(m->run);
	kv_pool_free(m->kv);
	free(m);
}

static uint64_t
page_bytes(const struct hparams *hp, enum tensor_type type)
{
	struct kv_pool *kv = kv_pool_new(hp, type_for(hp, type), 0);
	const uint64_t n = kv_page_bytes(kv);

	kv_pool_free(kv);
	return n;
}

uint64_t
guesser_budget(const struct hparams *hp, enum tensor_type type,
    uint64_t main_page, uint64_t total)
{
	const uint64_t page = page_bytes(hp, type),
		       all = total / (page + main_page) * page,
		       most = total / PART;

	return all < most ? all : most;
}

uint64_t
guesser_positions(
    const struct hparams *hp, enum tensor_type type, uint64_t budget)
{
	return budget / page_bytes(hp, type) * KV_PAGE;
}

struct guess *
guess_new(void)
{
	struct guess *g = xcalloc(1, sizeof(*g));

	g->mean = MEAN;
	for (size_t i = 0; i < GUESS_KINDS; i++)
		g->chance[i] = kinds[i].chance;
	return g;
}

void
guess_forget(struct guess *g)
{
	if (g == NULL)
		return;
	kv_seq_free(g->kv);
	g->kv = NULL;
	g->at = g->made = 0;
	g->missed = 0;
}

void
guess_free(struct guess *g)
{
	guess_forget(g);
	free(g);
}

uint64_t
guesser_bytes(const struct guesser *m, uint32_t n)
{
	return ((uint64_t)n + KV_PAGE - 1) / KV_PAGE * kv_page_bytes(m->kv);
}

uint64_t
guess_bytes(const struct guesser *m, const struct guess *g)
{
	return g == NULL || g->kv == NULL
		   ? 0
		   : guesser_bytes(m, kv_seq_room(g->kv));
}

int
guess_reserve(struct guesser *m, struct guess *g, uint32_t n)
{
	uint32_t room;

	if (g->kv == NULL)
		g->kv = kv_seq_new(m->kv);
	room = kv_seq_room(g->kv);
	if (kv_seq_reserve(g->kv, n) == 0)
		return 0;
	kv_seq_cut(g->kv, room);
	return -1;
}

void
guess_learn(struct guess *g, const uint32_t *ids, uint32_t n)
{
	uint32_t right = 0, valid;
	bool came = true;

	/* Behind the first wrong one nothing is known. */
	while (came && right < g->made && g->text + right < n) {
		came = ids[g->text + right] == g->token[right];
		draft_chance_add(&g->chance[g->kind[right]], came);
		draft_chance_add(&g->mean, came);
		right += came;
	}
	if (g->made > 0) {
		valid = g->text + right;
		g->at = g->at < valid ? g->at : valid;
		g->made = 0;
	}
	/* The last one is computed again, for what comes behind it. */
	if (g->at >= n)
		g->at = n - 1;
}

void
guess_rest(struct guess *g)
{
	draft_chance_forget(&g->mean, MEAN);
	for (size_t i = 0; i < GUESS_KINDS; i++)
		draft_chance_forget(&g->chance[i], kinds[i].chance);
}

uint32_t
guess_read(struct guesser *m, struct guess *g, const uint32_t *ids, uint32_t n,
    uint32_t most, const atomic_int *stop)
{
	uint32_t i, rows = n - 1 - g->at;

	rows = rows < most ? rows : most;
	for (i = 0; i < rows; i++)
		m->rows[i] =
		    (struct row){ g->kv, g->at + i, ids[g->at + i], false };
	if (run_rows_until(m->run, m->rows, rows, 0, NULL, stop) < rows)
		return 0;
	g->at += rows;
	return rows;
}

uint32_t
guess_add(struct guesser *m, struct guess *g, const uint32_t *ids, uint32_t n)
{
	const uint32_t end = n + g->made, before = m->nrows;

	for (uint32_t pos = g->at; pos < end; pos++)
		m->rows[m->nrows++] = (struct row){ g->kv, pos,
			pos < n ? ids[pos] : g->token[pos - n],
			pos + 1 == end };
	g->text = n;
	return m->nrows - before;
}

void
guesser_step(struct guesser *m, float *logits)
{
	run_rows(m->run, m->rows, m->nrows, logits);
	m->nrows = 0;
}

double
guess_take(struct guesser *m, struct guess *g, float *logits)
{
	const struct sample_params likeliest = { 0 };
	const uint32_t token =
	    sampler_draw(m->sampler, &likeliest, logits, NULL, 0);
	float sure;
	uint8_t kind = GUESS_KINDS - 1;

	sure = 1 / kern_exp_sum(logits, m->net->hp.vocab, logits[token]);
	/* What is not a number is not sure. */
	while (kind > 0 && !(sure >= kinds[kind].sure))
		kind--;
	g->at = g->text + g->made;
	g->token[g->made] = token;
	g->kind[g->made++] = kind;
	return g->chance[kind];
}

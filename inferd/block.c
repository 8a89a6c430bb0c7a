#include "inferd/block.h"

#include "inferd/kern.h"

bool
block_row_is_first(const struct run *r, size_t row)
{
	for (size_t i = row; i-- > 0;)
		if (r->rows[i].seq == r->rows[row].seq)
			return false;
	return true;
}

void
block_norm(struct run *r, const float *x, const float *w, float *y)
{
	const size_t embd = r->net->hp.embd;

	for (size_t i = 0; i < r->n; i++)
		kern_rms_norm(
		    &x[i * embd], w, r->net->hp.rms_eps, embd, &y[i * embd]);
}

static void
add_out(struct run *r)
{
	const size_t n = r->n * r->net->hp.embd;

	for (size_t i = 0; i < n; i++)
		r->x[i] += r->out[i];
}

void
block_around(
    struct run *r, uint32_t layer, void (*attention)(struct run *, uint32_t))
{
	const struct layer *l = &r->net->layers[layer];

	block_norm(r, r->x, l->attn_norm, r->norm);
	attention(r, layer);
	add_out(r);
	block_norm(r, r->x, l->ffn_norm, r->norm);
	if (l->router.w != NULL)
		block_experts(r, layer);
	else
		block_dense(r, layer);
	add_out(r);
}

void
block_decoder(struct run *r, uint32_t layer)
{
	block_around(r, layer, block_attention);
}

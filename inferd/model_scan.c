#include "inferd/model_scan.h"

#include <string.h>

#define F16_EXP 0x7c00u
#define BF16_EXP 0x7f80u
#define F32_EXP 0x7f800000u
#define E8M0_NAN 0xffu

/* Where the half-precision scales of a block are; -1: there is none. */
static void
scales(enum tensor_type type, int at[2])
{
	at[0] = at[1] = -1;
	switch (type) {
	case TT_Q4_K:
	case TT_Q5_K:
		at[0] = 0;
		at[1] = 2;
		break;
	case TT_Q4_0:
	case TT_Q8_0:
	case TT_IQ2_XXS:
	case TT_IQ4_NL:
	case TT_IQ4_XS:
		at[0] = 0;
		break;
	case TT_Q2_K:
		at[0] = 80;
		at[1] = 82;
		break;
	case TT_Q3_K:
		at[0] = 108;
		break;
	case TT_Q6_K:
		at[0] = 208;
		break;
	case TT_F32:
	case TT_F16:
	case TT_BF16:
	case TT_MXFP4:
	case TT_MAX:
		break;
	}
}

static bool
has16(const uint8_t *p, size_t n, size_t stride, unsigned exp)
{
	for (size_t i = 0; i < n; i += stride) {
		uint16_t v;

		memcpy(&v, &p[i], sizeof(v));
		if ((v & exp) == exp)
			return true;
	}
	return false;
}

static bool
has32(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += 4) {
		uint32_t v;

		memcpy(&v, &p[i], sizeof(v));
		if ((v & F32_EXP) == F32_EXP)
			return true;
	}
	return false;
}

static bool
has_e8m0(const uint8_t *p, size_t n, size_t stride)
{
	for (size_t i = 0; i < n; i += stride)
		if (p[i] == E8M0_NAN)
			return true;
	return false;
}

int
model_scan(const struct tensor *t, struct error *err)
{
	size_t block = tensor_type_info(t->type)->bytes;
	const uint8_t *p = t->data;
	bool bad = false;
	int at[2];

	if (t->type == TT_F32)
		bad = has32(p, t->bytes);
	else if (t->type == TT_F16)
		bad = has16(p, t->bytes, block, F16_EXP);
	else if (t->type == TT_BF16)
		bad = has16(p, t->bytes, block, BF16_EXP);
	else if (t->type == TT_MXFP4)
		bad = has_e8m0(p, t->bytes, block);
	scales(t->type, at);
	for (int i = 0; i < 2 && !bad; i++)
		if (at[i] >= 0)
			bad = has16(p + at[i], t->bytes - (size_t)at[i], block,
			    F16_EXP);
	if (bad)
		return error_set(err, 0,
		    "tensor %s has a value or scale that is not finite",
		    t->name);
	return 0;
}

int
model_scan_below(const struct tensor *t, uint32_t below)
{
	const uint8_t *p = t->data;

	for (size_t i = 0; i < t->bytes; i += sizeof(uint32_t)) {
		uint32_t v;

		memcpy(&v, &p[i], sizeof(v));
		if (v >= below)
			return -1;
	}
	return 0;
}

#include "inferd/tensor_type.h"

#include <strings.h>

#include "base/compat.h"

static const struct tensor_type_info infos[TT_MAX] = {
	[TT_F32] = { "F32", 1, 4 },
	[TT_F16] = { "F16", 1, 2 },
	[TT_Q4_0] = { "Q4_0", 32, 18 },
	[TT_Q8_0] = { "Q8_0", 32, 34 },
	[TT_Q2_K] = { "Q2_K", 256, 84 },
	[TT_Q3_K] = { "Q3_K", 256, 110 },
	[TT_Q4_K] = { "Q4_K", 256, 144 },
	[TT_Q5_K] = { "Q5_K", 256, 176 },
	[TT_Q6_K] = { "Q6_K", 256, 210 },
	[TT_IQ2_XXS] = { "IQ2_XXS", 256, 66 },
	[TT_IQ4_NL] = { "IQ4_NL", 32, 18 },
	[26] = { "I32", 1, 4 },
	[TT_IQ4_XS] = { "IQ4_XS", 256, 136 },
	[TT_BF16] = { "BF16", 1, 2 },
	[TT_MXFP4] = { "MXFP4", 32, 17 },
};

/* Named in refusals only. */
static const char *const others[] = {
	[3] = "Q4_1",
	[6] = "Q5_0",
	[7] = "Q5_1",
	[9] = "Q8_1",
	[15] = "Q8_K",
	[17] = "IQ2_XS",
	[18] = "IQ3_XXS",
	[19] = "IQ1_S",
	[21] = "IQ3_S",
	[22] = "IQ2_S",
	[24] = "I8",
	[25] = "I16",
	[27] = "I64",
	[28] = "F64",
	[29] = "IQ1_M",
	[34] = "TQ1_0",
	[35] = "TQ2_0",
};

const struct tensor_type_info *
tensor_type_info(uint32_t type)
{
	if (type >= nitems(infos) || infos[type].name == NULL)
		return NULL;
	return &infos[type];
}

const char *
tensor_type_name(uint32_t type)
{
	const struct tensor_type_info *info = tensor_type_info(type);

	if (info != NULL)
		return info->name;
	if (type < nitems(others) && others[type] != NULL)
		return others[type];
	return "unknown";
}

int
tensor_type_find(const char *name)
{
	for (uint32_t i = 0; i < nitems(infos); i++)
		if (infos[i].name != NULL && i != TT_I32 &&
		    strcasecmp(infos[i].name, name) == 0)
			return (int)i;
	return -1;
}

size_t
tensor_row_bytes(enum tensor_type type, uint64_t n)
{
	const struct tensor_type_info *info = tensor_type_info(type);
	size_t bytes;

	if (info == NULL || n % info->block != 0 ||
	    __builtin_mul_overflow(n / info->block, info->bytes, &bytes))
		return 0;
	return bytes;
}

/*
 * The tables behind unicode.h, made by unicode_gen.py.
 */
#ifndef BRIG_INFERD_UNICODE_INT_H
#define BRIG_INFERD_UNICODE_INT_H

#include <stddef.h>
#include <stdint.h>

#include "base/compat.h"

#define UNICODE_BLOCK_SHIFT 12
/* Classes of a range only: capital and small letters take turns in it. */
#define UNICODE_EVEN_UPPER 11u
#define UNICODE_ODD_UPPER 12u

extern const uint32_t unicode_ranges[];
extern const size_t unicode_nranges;
extern const uint16_t unicode_index[];
extern const uint32_t unicode_han[][2];
extern const size_t unicode_nhan;

#endif

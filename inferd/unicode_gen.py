#!/usr/bin/env python3
"""Writes inferd/unicode_table.c from Python's own Unicode data.

Run by hand when the tables are to follow a newer Unicode:
    python3 inferd/unicode_gen.py >inferd/unicode_table.c
"""
import unicodedata

CLASSES = ["Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "N", "P", "S", "Z"]
EVEN_UPPER, ODD_UPPER = 11, 12  # capital and small letters take turns
BLOCK = 12


def class_of(cp):
    cat = unicodedata.category(chr(cp))
    if cat in CLASSES:
        return CLASSES.index(cat)
    if cat[0] in "MNPSZ":
        return CLASSES.index(cat[0])
    return 0


def ranges(values):
    """(first, class) wherever the class changes."""
    out = []
    cp = 0
    while cp < len(values):
        end = cp
        while (
            end + 1 < len(values)
            and values[end] + values[end + 1] == 3
            and values[end] in (1, 2)
            and values[end + 1] in (1, 2)
        ):
            end += 1
        if end - cp >= 2:
            upper_even = (values[cp] == 1) == (cp % 2 == 0)
            out.append((cp, EVEN_UPPER if upper_even else ODD_UPPER))
            cp = end + 1
            continue
        out.append((cp, values[cp]))
        cp += 1
    merged = []
    for first, cls in out:
        if not merged or merged[-1][1] != cls:
            merged.append((first, cls))
    return merged


def han(cp):
    """The script Han, which the data has no property for."""
    name = unicodedata.name(chr(cp), "")
    return (
        name.startswith("CJK UNIFIED IDEOGRAPH")
        or name.startswith("CJK COMPATIBILITY IDEOGRAPH")
        or name.startswith("CJK RADICAL")
        or name.startswith("KANGXI RADICAL")
        or name.startswith("HANGZHOU NUMERAL")
        or cp in (0x3005, 0x3007, 0x303B)
    )


def runs(test):
    out = []
    for cp in range(0x110000):
        if not test(cp):
            continue
        if out and out[-1][1] == cp - 1:
            out[-1][1] = cp
        else:
            out.append([cp, cp])
    return out


def numbers(values, form):
    line = "\t"
    for v in values:
        item = form % v + ","
        width = len(line) + 7 + len(item) + (0 if line == "\t" else 1)
        if width > 80:
            print(line)
            line = "\t"
        line += item if line == "\t" else " " + item
    print(line)


table = ranges([class_of(cp) for cp in range(0x110000)])
index = []
for block in range((0x110000 >> BLOCK) + 1):
    # The last range that begins at or before the block does.
    index.append(max(i for i, r in enumerate(table) if r[0] <= block << BLOCK))

print(
    f"""/*
 * Made by unicode_gen.py from Unicode {unicodedata.unidata_version}: do not edit.
 */
#include "inferd/unicode.h"
#include "inferd/unicode_int.h"

/* clang-format off */
const char unicode_version[] = "{unicodedata.unidata_version}";

/* First code point << 4 | class, in order. */
const uint32_t unicode_ranges[] = {{"""
)
numbers([first << 4 | cls for first, cls in table], "0x%07x")
print(
    f"""}};

const size_t unicode_nranges = nitems(unicode_ranges);

/* The range that holds the first code point of each block. */
const uint16_t unicode_index[] = {{"""
)
numbers(index, "%d")
print(
    """};

/* First and last of each run of the script Han. */
const uint32_t unicode_han[][2] = {"""
)
for first, last in runs(han):
    print(f"\t{{ 0x{first:05x}, 0x{last:05x} }},")
print(
    """};

const size_t unicode_nhan = nitems(unicode_han);
/* clang-format on */"""
)

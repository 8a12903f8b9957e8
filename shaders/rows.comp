// Spreads the records of rows, as softmax and attention leave them in scratch, to the row statistics' tensors.
//
// records    [B, H, Q, RECORD] in scratch (mask.glsl)
// outputs    [B, H, Q] each, any strides; absent where not wanted. Of 4-byte elements, which are copied as bits
//
// An item takes a row. Copies: no error of its own.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "mask.glsl"

struct parameters {
    uint rows, heads, queries;
    view statistic_view[RECORD];
};
PARAMETERS
layout(std430, set = 0, binding = 1) readonly buffer records_block { uint records[]; };

#define OUTPUT(number, name) layout(std430, set = 0, binding = number) writeonly buffer name##_block { uint name[]; };
OUTPUT(2, lse)
OUTPUT(3, entropy)
OUTPUT(4, largest)
OUTPUT(5, argmax)
OUTPUT(6, previous)
OUTPUT(7, self)
OUTPUT(8, first)
OUTPUT(9, key_mass)

#define PUT(name, FIELD)                                                                                               \
    if (p.statistic_view[FIELD].present != 0u)                                                                         \
    name[p.statistic_view[FIELD].offset + b * p.statistic_view[FIELD].stride[0] +                                      \
         h * p.statistic_view[FIELD].stride[1] + i * p.statistic_view[FIELD].stride[2]] = records[row * RECORD + FIELD]

void main()
{
    const uint row = group_number() * ITEMS + ITEM;
    if (row >= p.rows) return;
    const uint b = row / (p.heads * p.queries), h = row / p.queries % p.heads, i = row % p.queries;
    PUT(lse, LSE);
    PUT(entropy, ENTROPY);
    PUT(largest, MAX);
    PUT(argmax, ARGMAX);
    PUT(previous, PREVIOUS);
    PUT(self, SELF);
    PUT(first, FIRST);
    PUT(key_mass, KEY_MASS);
}

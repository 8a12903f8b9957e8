// sum and norm_backward: out [n] = the sum of blocks [blocks, n] in scratch, in their order (+ out).
//
// out f32. An item takes a column.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

struct parameters {
    view out_view;
    uint blocks, accumulate, items;
};
PARAMETERS
layout(std430, set = 0, binding = 1) readonly buffer sums_block { float sums[]; };
layout(std430, set = 0, binding = 2) buffer out_block { float out_[]; };

void main()
{
    const uint column = item_number(), place = p.out_view.offset + column * p.out_view.stride[0];
    if (column >= p.items) return;
    float sum = 0.0;
    for (uint block = 0; block < p.blocks; block++) sum += sums[block * p.items + column];
    out_[place] = p.accumulate != 0 ? out_[place] + sum : sum;
}

// sum: the sums of a single column x [T], or of its squares, over stretches of it, [stretches] in scratch; sum_merge
// adds these up in their order. The first stretch of x is number `first` of all.
//
// x f32. An item takes a stretch of `each` entries, a multiple of four: lane l adds entries l, l + 4, ... Error as that
// of sum_rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "fours.glsl"

layout(constant_id = 2) const bool SQUARES = false;

struct parameters {
    view x_view;
    uint rows, each, first, items;
};
PARAMETERS
INPUT(1, x)
layout(std430, set = 0, binding = 2) writeonly buffer sums_block { float sums[]; };

void main()
{
    const uint item = item_number();
    if (item >= p.items) return;
    const uint end = min((item + 1) * p.each, p.rows), stride = p.x_view.stride[0];
    vec4       sum = vec4(0);
    for (uint row = item * p.each; row < end; row += 4) {
        LOAD_FOUR(value, x, p.x_view.offset + row * stride, stride, min(end - row, 4u), F32)
        sum += SQUARES ? value * value : value;
    }
    sums[p.first + item] = (sum.x + sum.z) + (sum.y + sum.w);
}

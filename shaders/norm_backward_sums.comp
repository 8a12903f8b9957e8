// norm_backward: sums over blocks of rows of d_out n, for d_weight, and of d_out, for d_bias: each [blocks, d] in
// scratch; sum_merge adds the blocks up in their order. n is made of each row's mean and r, which norm_backward_block
// or _group has left in scratch.
//
// x and d_out f32 [i, j, k, d]. An item takes a run of four columns in a block of `each` rows. Error, with that of
// sum_merge: gamma(rows + 4) of the terms.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "fours.glsl"

struct parameters {
    view x_view, d_out_view;
    uint shape[4];
    uint each, items;
};
PARAMETERS
INPUT(1, x)
INPUT(2, d_out)
layout(std430, set = 0, binding = 3) readonly buffer statistics_block { vec2 statistics[]; };
OUTPUT(4, weights)
OUTPUT(5, biases)

#include "norm_rows.glsl"

void main()
{
    const uint item = item_number(), d = p.shape[3], runs = (d + 3) / 4;
    if (item >= p.items) return;
    const uint block = item / runs, column = (item - block * runs) * 4, count = min(d - column, 4u);
    const uint end  = min((block + 1) * p.each, p.shape[0] * p.shape[1] * p.shape[2]);
    const uint step = p.x_view.stride[3], given_step = p.d_out_view.stride[3];
    vec4       weight = vec4(0), bias = vec4(0);
    for (uint index = block * p.each; index < end; index++) {
        const vec2 row = statistics[index];
        LOAD_FOUR(given, d_out, row_index(index, p.d_out_view) + column * given_step, given_step, count, F32)
        LOAD_FOUR(value, x, row_index(index, p.x_view) + column * step, step, count, F32)
        weight += given * ((value - row.x) * row.y);
        bias += given;
    }
    STORE_FOUR(weights, block * d + column, 1, count, weight)
    STORE_FOUR(biases, block * d + column, 1, count, bias)
}

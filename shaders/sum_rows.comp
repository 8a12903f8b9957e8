// sum: the sums of x [T, n], or of x^2, over blocks of rows, [blocks, n] in scratch; sum_merge adds the blocks up in
// their order. The number of blocks follows from the sizes alone; the first one of x is number `first` of all.
//
// x f32. An item takes a run of four columns in a block of `each` rows. Error, with that of sum_merge: gamma(T + 2) of
// the magnitudes.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "fours.glsl"

layout(constant_id = 2) const bool SQUARES = false;

struct parameters {
    view x_view;
    uint rows, columns, each, first, items;
};
PARAMETERS
INPUT(1, x)
OUTPUT(2, sums)

void main()
{
    const uint item = item_number(), runs = (p.columns + 3) / 4;
    if (item >= p.items) return;
    const uint block = item / runs, column = (item - block * runs) * 4, count = min(p.columns - column, 4u);
    const uint end = min((block + 1) * p.each, p.rows), stride = p.x_view.stride[1];
    vec4       sum = vec4(0);
    for (uint row = block * p.each; row < end; row++) {
        LOAD_FOUR(value, x, p.x_view.offset + row * p.x_view.stride[0] + column * stride, stride, count, F32)
        sum += SQUARES ? value * value : value;
    }
    STORE_FOUR(sums, (p.first + block) * p.columns + column, 1, count, sum)
}

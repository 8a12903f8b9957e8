// norm, a group of items for each row: see norm.glsl. Item i takes fours i, i + ITEMS, ... of the row, and what the
// items found is added in a fixed order. Launch: a group of 8 items or a larger power of two for each row.
#version 450
#extension GL_GOOGLE_include_directive : require
#define REDUCE_CONSTANT 5
#include "common.glsl"
#include "norm.glsl"
#include "reduce.glsl"

void main()
{
    const uint index = group_number(), first = ITEM * 4, step = ITEMS * 4, row = row_index(index, p.x_view);
    float centre = 0.0, square = 1.0;
    if (KIND == LAYER) centre = reduce_sum(sum_of_row(row, first, step, 0.0, false)) * p.per_entry;
    if (KIND != NONE) square = squared_denominator(reduce_sum(sum_of_row(row, first, step, centre, true)));
    write_row(row, row_index(index, p.out_view), first, step, centre, inversesqrt(square));
    if (p.scale_view.present != 0 && ITEM == 0) scale[row_index(index, p.scale_view)] = root_of(square);
}

// norm_backward, a group of items for each row: see norm_backward.glsl. Item i takes fours i, i + ITEMS, ... of the
// row, and what the items found is added in a fixed order. Launch: a group of 8 items or a larger power of two for each
// row.
#version 450
#extension GL_GOOGLE_include_directive : require
#define REDUCE_CONSTANT 6
#include "common.glsl"
#include "norm_backward.glsl"
#include "reduce.glsl"

void main()
{
    const uint index = group_number(), first = ITEM * 4, step = ITEMS * 4;
    norm_row   row = norm_row(row_index(index, p.x_view), row_index(index, p.d_out_view), 0.0, 1.0, 0.0, 0.0);
    if (KIND == LAYER) row.centre = reduce_sum(sum_of_row(row.x, first, step, 0.0, false)) * p.per_entry;
    if (KIND != NONE) {
        const float squares = reduce_sum(sum_of_row(row.x, first, step, row.centre, true));
        row.factor          = inversesqrt(squared_denominator(squares));
    }
    if (ITEM == 0) {
        statistics[2 * index]     = row.centre;
        statistics[2 * index + 1] = row.factor;
    }
    if (!HAS_D_X) return;
    if (KIND != NONE) {
        const vec2 sums = sums_of_gradient(row, first, step);
        row.products    = reduce_sum(sums.y) * p.per_entry;
        if (KIND == LAYER) row.mean = reduce_sum(sums.x) * p.per_entry;
    }
    write_gradient(row, index, first, step);
}

// norm_backward, an item for each row: see norm_backward.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "norm_backward.glsl"

void main()
{
    const uint index = item_number();
    if (index >= p.rows) return;
    norm_row row = norm_row(row_index(index, p.x_view), row_index(index, p.d_out_view), 0.0, 1.0, 0.0, 0.0);
    if (KIND == LAYER) row.centre = sum_of_row(row.x, 0, 4, 0.0, false) * p.per_entry;
    if (KIND != NONE) row.factor = inversesqrt(squared_denominator(sum_of_row(row.x, 0, 4, row.centre, true)));
    statistics[2 * index]     = row.centre;
    statistics[2 * index + 1] = row.factor;
    if (!HAS_D_X) return;
    if (KIND != NONE) {
        const vec2 sums = sums_of_gradient(row, 0, 4);
        row.products    = sums.y * p.per_entry;
        if (KIND == LAYER) row.mean = sums.x * p.per_entry;
    }
    write_gradient(row, index, 0, 4);
}

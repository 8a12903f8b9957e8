// norm, an item for each row: see norm.glsl. Launch: groups of any size that have an item for each row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "norm.glsl"

void main()
{
    const uint index = group_number() * ITEMS + ITEM;
    if (index >= p.shape[0] * p.shape[1] * p.shape[2]) return;
    const uint row = row_index(index, p.x_view);
    float centre = 0.0, square = 1.0;
    if (KIND == LAYER) centre = sum_of_row(row, 0, 4, 0.0, false) * p.per_entry;
    if (KIND != NONE) square = squared_denominator(sum_of_row(row, 0, 4, centre, true));
    write_row(row, row_index(index, p.out_view), 0, 4, centre, inversesqrt(square));
    if (p.scale_view.present != 0) scale[row_index(index, p.scale_view)] = root_of(square);
}

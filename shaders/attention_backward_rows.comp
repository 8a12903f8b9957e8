// attention_backward: o = d_out . out of each row of a tile. See attention_backward.glsl. An item takes a row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "attention_backward.glsl"

struct parameters {
    view          out_view, d_out_view;
    backward_tile tile;
    uint          items;
};
PARAMETERS
INPUT(1, out_)
INPUT(2, d_out)
layout(std430, set = 0, binding = 3) writeonly buffer sums_block { float sums[]; };

void main()
{
    const uint r = item_number(), size = p.tile.value_size;
    if (r >= p.items) return;
    const row_at at   = row_of(p.tile, r);
    const uint   from = vector_at(p.out_view, at.batch, at.query, at.head);
    const uint   with = vector_at(p.d_out_view, at.batch, at.query, at.head);
    DOT(sum, out_, from, d_out, with, size)
    sums[r] = sum;
}

// embed_backward: d_table[v] += scale * the sum of d_out[t] over the t of a piece of tokens with ids[t] = v, in
// ascending t.
//
// ids i32 [count], d_out f32 [count, d], d_table f32 [V, d], of which a launch may have rows first_row .. first_row +
// rows - 1 alone; next and first as embed_chain leaves them. The first token of each id follows its chain, so that each
// row has one item for each run; rows without any are left alone. An item takes a run of four entries of a token.
// Error, with the pieces before: gamma(n + 2) of the magnitudes of n rows, none for one row with scale 1.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "fours.glsl"

struct parameters {
    view  ids_view, d_out_view, d_table_view;
    uint  count, size, first_row, rows;
    float scale;
    uint  items;
};
PARAMETERS
layout(std430, set = 0, binding = 1) readonly buffer ids_block { int ids[]; };
INPUT(2, d_out)
UPDATED(3, d_table)
layout(std430, set = 0, binding = 4) readonly buffer next_block { uint next[]; };
layout(std430, set = 0, binding = 5) readonly buffer first_block { uint first[]; };

void main()
{
    const uint item = item_number(), runs = (p.size + 3) / 4, token = item / runs;
    if (item >= p.items) return;
    const uint i = (item - token * runs) * 4, count = min(p.size - i, 4u);
    // Negative ids are large numbers.
    const uint row = uint(ids[p.ids_view.offset + token * p.ids_view.stride[0]]) - p.first_row;
    if (row >= p.rows || first[token] == 0) return;
    const uint step = p.d_out_view.stride[1], along = p.d_table_view.stride[1];
    const uint to   = p.d_table_view.offset + row * p.d_table_view.stride[0] + i * along;
    vec4       sum  = vec4(0);
    for (uint t = token; t < p.count; t = next[t]) {
        LOAD_FOUR(value, d_out, p.d_out_view.offset + t * p.d_out_view.stride[0] + i * step, step, count, F32)
        sum += value;
    }
    LOAD_UPDATED(before, d_table, to, along, count)
    sum = p.scale * sum + before;
    STORE_FOUR(d_table, to, along, count, sum)
}

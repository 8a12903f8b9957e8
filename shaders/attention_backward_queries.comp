// attention_backward: d_q of a tile's rows, of the keys from `begin` to `end`. See attention_backward.glsl. An item takes
// a run of four entries of a row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "attention_backward.glsl"

struct parameters {
    view          k_view, d_q_view;
    backward_tile tile;
    uint          begin, end, adds, items;
};
PARAMETERS
INPUT(1, k)
UPDATED(2, d_q)
layout(std430, set = 0, binding = 3) readonly buffer shares_block { float shares[]; };
layout(std430, set = 0, binding = 4) readonly buffer slopes_block { float slopes[]; };

void main()
{
    const uint item = item_number(), runs = (p.tile.head_size + 3) / 4, r = item / runs, i = (item - r * runs) * 4;
    if (item >= p.items) return;
    const row_at at    = row_of(p.tile, r);
    const uint   count = min(p.tile.head_size - i, 4u), group = at.head / (p.tile.heads / p.tile.groups);
    const uint   from = vector_at(p.k_view, at.batch, 0, group) + i, step = p.k_view.stride[1];
    const uint   to  = vector_at(p.d_q_view, at.batch, at.query, at.head) + i;
    vec4         sum = vec4(0);
    for (uint key = p.begin; key < p.end; key++) {
        const uint place = r * p.tile.keys + key;
        if (shares[place] < 0.0) continue;
        LOAD_FOUR(value, k, from + key * step, 1, count, F32)
        sum += slopes[place] * value;
    }
    sum *= p.tile.scale;
    if (p.adds != 0) {
        LOAD_UPDATED(before, d_q, to, 1, count)
        sum += before;
    }
    STORE_FOUR(d_q, to, 1, count, sum)
}

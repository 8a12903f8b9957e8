// loss: what a tile adds to d_x, scale * the sum over its entries of their gradient times their row of the unembedding.
// See loss.glsl. An item takes a run of four entries of a row of d_x.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "fours.glsl"
#include "math.glsl"
#include "loss.glsl"

layout(constant_id = 3) const uint WEIGHT = 0; // dtype

struct parameters {
    view      target_view, unembedding_view, d_x_view;
    loss_tile tile;
    uint      adds, items;
};
PARAMETERS
TARGET_BINDING
INPUT(2, unembedding)
UPDATED(3, d_x)
layout(std430, set = 0, binding = 4) readonly buffer slopes_block { float slopes[]; };

void main()
{
    const uint item = item_number(), runs = (p.tile.size + 3) / 4, t = item / runs, i = (item - t * runs) * 4;
    if (item >= p.items) return;
    const uint count = min(p.tile.size - i, 4u), along = p.unembedding_view.stride[1], step = p.d_x_view.stride[1];
    const uint from = p.unembedding_view.offset + i * along, pitch = p.unembedding_view.stride[0];
    const uint to   = p.d_x_view.offset + t * p.d_x_view.stride[0] + i * step;
    const uint width = COUNTS(t) ? p.tile.width : 0;
    vec4       sum   = vec4(0);
    for (uint entry = 0; entry < width; entry++) {
        LOAD_FOUR(by, unembedding, from + entry * pitch, along, count, WEIGHT)
        sum += slopes[t * p.tile.width + entry] * by;
    }
    sum *= p.tile.scale;
    if (p.adds != 0) {
        LOAD_UPDATED(before, d_x, to, step, count)
        sum += before;
    }
    STORE_FOUR(d_x, to, step, count, sum)
}

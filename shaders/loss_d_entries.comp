// loss: d_unembedding and d_bias of a tile's entries, sums over the rows t from `begin` to `end` that count. See
// loss.glsl. An item takes a run of four entries of a row of d_unembedding; the first of a row takes d_bias too.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "fours.glsl"
#include "math.glsl"
#include "loss.glsl"

layout(constant_id = 3) const bool HAS_D_UNEMBEDDING = false;
layout(constant_id = 4) const bool HAS_D_BIAS        = false;

struct parameters {
    view      target_view, x_view, d_unembedding_view, d_bias_view;
    loss_tile tile;
    uint      begin, end, adds, items;
};
PARAMETERS
TARGET_BINDING
INPUT(2, x)
UPDATED(3, d_unembedding)
layout(std430, set = 0, binding = 4) buffer d_bias_block { float d_bias[]; };
layout(std430, set = 0, binding = 5) readonly buffer slopes_block { float slopes[]; };

void main()
{
    const uint item = item_number(), runs = HAS_D_UNEMBEDDING ? (p.tile.size + 3) / 4 : 1;
    const uint entry = item / runs, i = (item - entry * runs) * 4;
    if (item >= p.items) return;
    const uint count = min(p.tile.size - i, 4u), step = p.x_view.stride[1], from = p.x_view.offset + i * step;
    vec4       sum   = vec4(0);
    float      total = 0.0;
    for (uint t = p.begin; t < p.end; t++) {
        if (!COUNTS(t)) continue;
        const float given = slopes[t * p.tile.width + entry];
        total += given;
        if (HAS_D_UNEMBEDDING) {
            LOAD_FOUR(value, x, from + t * p.x_view.stride[0], step, count, F32)
            sum += given * value;
        }
    }
    if (HAS_D_UNEMBEDDING) {
        const uint along = p.d_unembedding_view.stride[1];
        const uint to    = p.d_unembedding_view.offset + entry * p.d_unembedding_view.stride[0] + i * along;
        sum *= p.tile.scale;
        if (p.adds != 0) {
            LOAD_UPDATED(before, d_unembedding, to, along, count)
            sum += before;
        }
        STORE_FOUR(d_unembedding, to, along, count, sum)
    }
    if (!HAS_D_BIAS || i > 0) return;
    const uint place = p.d_bias_view.offset + entry * p.d_bias_view.stride[0];
    d_bias[place]    = p.adds != 0 ? d_bias[place] + total : total;
}

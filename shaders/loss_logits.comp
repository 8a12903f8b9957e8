// loss: the logits of a tile, f32 [T, width] in scratch. See loss.glsl. An item takes a row and an entry: lane l of the
// sum adds entries l, l + 4, ... of the product.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "fours.glsl"
#include "math.glsl"
#include "loss.glsl"

layout(constant_id = 3) const uint WEIGHT = 0; // dtypes
layout(constant_id = 4) const uint BIAS   = 0;

struct parameters {
    view      x_view, unembedding_view, bias_view;
    loss_tile tile;
    uint      items;
};
PARAMETERS
INPUT(1, x)
INPUT(2, unembedding)
layout(std430, set = 0, binding = 3) readonly buffer bias_block { uint bias[]; };
layout(std430, set = 0, binding = 4) writeonly buffer logits_block { float logits[]; };

void main()
{
    const uint item = item_number(), t = item / p.tile.width, entry = item - t * p.tile.width;
    if (item >= p.items) return;
    const uint from    = p.x_view.offset + t * p.x_view.stride[0], step = p.x_view.stride[1];
    const uint weights = p.unembedding_view.offset + entry * p.unembedding_view.stride[0];
    const uint along = p.unembedding_view.stride[1], size = p.tile.size;
    vec4       sum = vec4(0);
    for (uint i = 0; i < size; i += 4) {
        const uint count = FOURS ? 4 : min(size - i, 4u);
        LOAD_FOUR(value, x, from + i * step, step, count, F32)
        LOAD_FOUR(by, unembedding, weights + i * along, along, count, WEIGHT)
        sum += value * by;
    }
    float logit = ((sum.x + sum.z) + (sum.y + sum.w)) * p.tile.scale;
    if (p.bias_view.present != 0) {
        const uint at = p.bias_view.offset + entry * p.bias_view.stride[0];
        logit += LOAD_AS(bias, at, BIAS);
    }
    logits[item] = p.tile.softcap > 0.0 ? p.tile.softcap * tanh_of(logit / p.tile.softcap) : logit;
}

// loss: a tile's logits become the gradients in what lies below their soft-cap; those of rows that do not count mean
// nothing, and no sum takes them. See loss.glsl. An item takes a row and an entry.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "loss.glsl"

struct parameters {
    view      target_view;
    loss_tile tile;
    uint      items;
};
PARAMETERS
TARGET_BINDING
layout(std430, set = 0, binding = 2) buffer logits_block { float logits[]; };
layout(std430, set = 0, binding = 3) readonly buffer taught_block { float taught[]; };
layout(std430, set = 0, binding = 4) readonly buffer states_block { float states[]; };

void main()
{
    const uint item = item_number(), t = item / p.tile.width, entry = item - t * p.tile.width, at = t * STATE;
    if (item >= p.items) return;
    const float logit = logits[item], bent = logit / p.tile.softcap;
    const float slope = p.tile.softcap > 0.0 ? 1.0 - bent * bent : 1.0;
    const float share = exp_negative(logit - base_of(states[at + MAX])) / states[at + SUM];
    float       aim;
    if (TAUGHT)
        aim = exp_negative(taught[item] - base_of(states[at + TAUGHT_MAX])) / states[at + TAUGHT_SUM];
    else
        aim = TARGET_OF(t) - p.tile.first == entry ? 1.0 : 0.0;
    logits[item] = p.tile.factor * (share - aim) * slope;
}

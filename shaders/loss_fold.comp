// loss: a tile's logits go into the state of each row. See loss.glsl. An item takes a row.
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
layout(std430, set = 0, binding = 2) readonly buffer logits_block { float logits[]; };
layout(std430, set = 0, binding = 3) readonly buffer taught_block { float taught[]; };
layout(std430, set = 0, binding = 4) buffer states_block { float states[]; };

void main()
{
    const uint t = item_number(), at = t * STATE, row = t * p.tile.width, width = p.tile.width;
    if (t >= p.items) return;
    float       state[STATE] = float[](-INFINITE, 0.0, -INFINITE, 0.0, 0.0, uintBitsToFloat(0x7fc00000u));
    const uint  sides = TAUGHT ? 2 : 1;
    if (p.tile.first > 0)
        for (uint i = 0; i < STATE; i++) state[i] = states[at + i];
    for (uint side = 0; side < sides; side++) {
        const uint  field = side * 2; // MAX or TAUGHT_MAX, and its sum behind
        const float old   = state[field];
        float       largest = old;
        for (uint i = 0; i < width; i++) {
            const float logit = side == 0 ? logits[row + i] : taught[row + i];
            largest           = logit > largest ? logit : largest;
        }
        const float   base = base_of(largest), rescale = old == -INFINITE ? 0.0 : exp_negative(old - base);
        precise float added = 0.0, weighed = 0.0;
        for (uint i = 0; i < width; i++) {
            const float own = logits[row + i], logit = side == 0 ? own : taught[row + i];
            const float exponential = exp_negative(logit - base);
            added += exponential;
            if (side == 1 && exponential != 0.0) weighed += exponential * (logit - own);
        }
        precise float sum = (old == -INFINITE ? 0.0 : state[field + 1] * rescale) + added;
        state[field]      = largest;
        state[field + 1]  = sum;
        if (side == 1)
            state[DIVERGENCE] = (old == -INFINITE ? 0.0 : state[DIVERGENCE] * rescale) + weighed;
    }
    if (!TAUGHT) {
        const uint named = TARGET_OF(t) - p.tile.first;
        if (named < width) state[TARGET] = logits[row + named];
    }
    for (uint i = 0; i < STATE; i++) states[at + i] = state[i];
}

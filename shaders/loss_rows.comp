// loss: the losses, of the rows' states. See loss.glsl. An item takes a row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "loss.glsl"

struct parameters {
    view      target_view, loss_view;
    loss_tile tile;
    uint      items;
};
PARAMETERS
TARGET_BINDING
layout(std430, set = 0, binding = 2) writeonly buffer loss_block { float loss[]; };
layout(std430, set = 0, binding = 3) readonly buffer states_block { float states[]; };

void main()
{
    const uint t = item_number(), at = t * STATE;
    if (t >= p.items) return;
    const float largest = states[at + MAX], log_sum = log_positive(states[at + SUM]);
    float       value   = 0.0;
    if (TAUGHT) {
        const float sum   = states[at + TAUGHT_SUM];
        const float apart = (states[at + TAUGHT_MAX] - largest) + (log_positive(sum) - log_sum);
        value             = states[at + DIVERGENCE] / sum - apart;
        value             = value < 0.0 ? 0.0 : value;
    } else if (COUNTS(t)) {
        value = (largest - states[at + TARGET]) + log_sum;
    }
    loss[p.loss_view.offset + t * p.loss_view.stride[0]] = value;
}

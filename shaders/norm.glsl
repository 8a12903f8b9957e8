// What norm_block.comp and norm_group.comp share.
//
// layer: (x - mean) / sqrt(var + epsilon) * (weight + weight_offset) + bias; rms: without the mean. Kind none copies x;
// its denominator is 1. x, out f32 [i, j, k, d] (may be the same), weight, bias f32, f16 or bf16 [d] or absent, scale
// f32 [i, j, k] or absent: the denominator.
//
// Each row is read three times: for the mean, for the squares about it (no cancellation between large numbers), and for
// the result. Lane l of a sum adds entries l, l + 4, ... of those that an item takes, every `step` / 4th four from four
// `first` / 4 on. Errors: mean gamma(d) sum |x| / d, denominator half that of the mean square and 5 u, result 4 u more.

#include "fours.glsl"

layout(constant_id = 2) const uint KIND   = 0;
layout(constant_id = 3) const uint WEIGHT = 0; // dtypes, or ABSENT
layout(constant_id = 4) const uint BIAS   = 0;

// scry_norm_kind
const uint LAYER = 0, RMS = 1, NONE = 2;

const uint ABSENT = 255;

struct parameters {
    view  x_view, weight_view, bias_view, out_view, scale_view;
    uint  shape[4];
    float epsilon, weight_offset, per_entry; // 1 / d
};
PARAMETERS
INPUT(1, x)
INPUT(2, weight)
INPUT(3, bias)
OUTPUT(4, out_)
layout(std430, set = 0, binding = 5) writeonly buffer scale_block { float scale[]; };

// Where row `index` of all, in row-major order, begins in a tensor of the shape.
uint row_index(uint index, view v)
{
    const uint outer = index / p.shape[2], k = index - outer * p.shape[2];
    const uint i = outer / p.shape[1], j = outer - i * p.shape[1];
    return v.offset + i * v.stride[0] + j * v.stride[1] + k * v.stride[2];
}

// Of x - centre, or its square, over an item's share of the row that begins at `row`.
float sum_of_row(uint row, uint first, uint step, float centre, bool squares)
{
    const uint d = p.shape[3], stride = p.x_view.stride[3];
    vec4       sum = vec4(0);
    for (uint i = first; i < d; i += step) {
        const uint count = FOURS ? 4 : min(d - i, 4u);
        LOAD_FOUR(value, x, row + i * stride, stride, count, F32)
        value -= centre;
        if (!FOURS) value = mix(vec4(0), value, lessThan(uvec4(0, 1, 2, 3), uvec4(count)));
        sum += squares ? value * value : value;
    }
    return (sum.x + sum.z) + (sum.y + sum.w);
}

float squared_denominator(float squares)
{
    return squares * p.per_entry + p.epsilon;
}

void write_row(uint row, uint to, uint first, uint step, float centre, float factor)
{
    const uint d = p.shape[3], stride = p.x_view.stride[3];
    for (uint i = first; i < d; i += step) {
        const uint count = FOURS ? 4 : min(d - i, 4u);
        LOAD_FOUR(value, x, row + i * stride, stride, count, F32)
        if (KIND != NONE) value = (value - centre) * factor;
        if (KIND != NONE && WEIGHT != ABSENT) {
            const uint along = p.weight_view.stride[0];
            LOAD_FOUR(by, weight, p.weight_view.offset + i * along, along, count, WEIGHT)
            value *= by + p.weight_offset;
        }
        if (KIND != NONE && BIAS != ABSENT) {
            const uint along = p.bias_view.stride[0];
            LOAD_FOUR(added, bias, p.bias_view.offset + i * along, along, count, BIAS)
            value += added;
        }
        STORE_FOUR(out_, to + i * p.out_view.stride[3], p.out_view.stride[3], count, value)
    }
}

// sqrt(x) through what Vulkan bounds best, 2 ulp for 1 / sqrt(x).
float root_of(float x)
{
    return x > 0.0 && x < uintBitsToFloat(0x7f800000u) ? x * inversesqrt(x) : sqrt(x);
}

// What norm_block.comp and norm_group.comp share.
//
// layer: (x - mean) / sqrt(var + epsilon) * (weight + weight_offset) + bias; rms: without the mean. Kind none copies x;
// its denominator is 1. x, out f32 [i, j, k, d] (may be the same), weight, bias f32, f16 or bf16 [d] or absent, scale
// f32 [i, j, k] or absent: the denominator.
//
// Each row is read three times: for the mean, for the squares about it (no cancellation between large numbers), and for
// the result. Errors: mean gamma(d) sum |x| / d, denominator half that of the mean square and 5 u, result 4 u more.

#include "norm_kinds.glsl"

layout(constant_id = 4) const uint BIAS = 0; // dtype, or ABSENT

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

#include "norm_sums.glsl"

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

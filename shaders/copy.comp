// out = x, element by element, with any strides: moved as they are, or f32, f16 and bf16 made into each other, rounded
// to nearest even.
//
// x and out of the shape that is walked, out with its elements in order. An item takes a run of RUN elements of a row.
// Exact but for the rounding into the narrower format.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "half.glsl"

layout(constant_id = 1) const uint FROM = 0; // dtypes
layout(constant_id = 2) const uint TO   = 0;

const uint RUN = 4;

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view x_view, out_view;
    uint shape[4];
    uint runs;
};
layout(std430, set = 0, binding = 1) readonly buffer x_block { uint x[]; };
layout(std430, set = 0, binding = 2) buffer out_block { uint out_[]; };

bool is_short(uint dtype)
{
    return dtype == F16 || dtype == BF16;
}

// Element `index` of x in TO's bits.
uint load(uint index)
{
    const uint word = x[is_short(FROM) ? index >> 1 : index];
    const uint bits = is_short(FROM) ? word >> (index & 1u) * 16u & 0xffffu : word;
    if (FROM == TO) return bits;
    const float value = float_of_word(word, index, FROM);
    return is_short(TO) ? short_of_float(value, TO) : floatBitsToUint(value);
}

void main()
{
    const uint run = group_number() * ITEMS + ITEM;
    if (run >= runs) return;
    const uint in_row = (shape[3] + RUN - 1) / RUN, row = run / in_row, begin = (run - row * in_row) * RUN;
    const uint i0 = row / (shape[1] * shape[2]), i1 = row / shape[2] % shape[1], i2 = row % shape[2];
    const uint count = min(RUN, shape[3] - begin);
    uint from = x_view.offset + i0 * x_view.stride[0] + i1 * x_view.stride[1] + i2 * x_view.stride[2] +
                begin * x_view.stride[3];
    uint to = out_view.offset + i0 * out_view.stride[0] + i1 * out_view.stride[1] + i2 * out_view.stride[2] +
              begin * out_view.stride[3];
    for (uint i = 0; i < count; i++, from += x_view.stride[3], to += out_view.stride[3]) {
        const uint bits = load(from);
        if (!is_short(TO)) {
            out_[to] = bits;
        } else if (out_view.stride[3] == 1 && (to & 1u) == 0u && i + 1 < count) {
            i++, from += x_view.stride[3];
            out_[to >> 1] = bits | load(from) << 16;
            to++;
        } else {
            STORE_SHORT(out_, to, bits)
        }
    }
}

// copy: out = x, element by element, with any strides: moved as they are, or f32, f16 and bf16 made into each other,
// rounded to nearest even.
//
// x and out of the shape that is walked. Launch: items with `each` runs. Exact but for the rounding into the narrower
// format.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "half.glsl"
#include "runs.glsl"

layout(constant_id = 3) const uint FROM = 0; // dtypes
layout(constant_id = 4) const uint TO   = 0;

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view x_view, out_view;
    walk all;
};
layout(std430, set = 0, binding = 1) readonly buffer x_block { uint x[]; };
#define OUT_BINDING 2

uint bits_at(run r, uint i)
{
    const uint index = run_index(r, x_view) + i * x_view.stride[3];
    const uint word  = x[is_short(FROM) ? index >> 1 : index];
    if (FROM == TO) return is_short(FROM) ? word >> (index & 1u) * 16u & 0xffffu : word;
    const float value = float_of_word(word, index, FROM);
    return is_short(TO) ? short_of_float(value, TO) : floatBitsToUint(value);
}

#include "store.glsl"
